//! What the issuer refuses: programs that it does not know or that are wrong, codes of others, pages of others.

use serde_json::json;

use super::JANE;
use super::device::start_device;
use super::world::*;

#[tokio::test]
async fn a_browser_is_sent_nowhere_for_who_is_not_known() {
    let world = World::start(None).await;
    for (changed, text) in [
        (("client_id", "evil"), "is not known"),
        (("client_id", ""), "is not known"),
        (("redirect_uri", ""), "at a place that is not allowed"),
        (
            ("redirect_uri", "https://evil.example/auth/callback"),
            "not allowed",
        ),
        (
            (
                "redirect_uri",
                "http://localhost:1@evil.example/auth/callback",
            ),
            "not allowed",
        ),
        (
            ("redirect_uri", "http://localhost:1/elsewhere"),
            "not allowed",
        ),
        (("redirect_uri", "javascript:alert(1)"), "not allowed"),
    ] {
        let page = Browser::new().open(&world.authorize(&[changed])).await;
        assert_eq!(page.status, 400, "{changed:?}");
        assert!(page.html.contains(text), "{}", page.html);
        assert!(!page.headers.contains_key("location") && !page.html.contains("<form"));
    }
    let twice = format!(
        "{}&redirect_uri=https%3A%2F%2Fevil.example",
        world.authorize(&[])
    );
    let page = Browser::new().open(&twice).await;
    assert!(
        page.status == 400 && page.html.contains("is there twice"),
        "{}",
        page.html
    );
    let long = "x".repeat(17 << 10);
    let page = Browser::new()
        .open(&world.authorize(&[("state", &long)]))
        .await;
    assert_eq!(page.status, 400);
}

#[tokio::test]
async fn a_known_program_is_told_what_is_wrong() {
    let world = World::start(None).await;
    let http = &world.http;
    for (changed, error) in [
        (
            vec![("code_challenge", ""), ("code_challenge_method", "")],
            "invalid_request",
        ),
        (vec![("code_challenge_method", "")], "invalid_request"),
        (vec![("code_challenge_method", "plain")], "invalid_request"),
        (vec![("code_challenge", "short")], "invalid_request"),
        (
            vec![("response_type", "token")],
            "unsupported_response_type",
        ),
        (vec![("response_mode", "fragment")], "invalid_request"),
        (vec![("scope", "email")], "invalid_scope"),
        (vec![("prompt", "none")], "login_required"),
        (vec![("request", "x")], "request_not_supported"),
        (
            vec![("request_uri", "http://127.0.0.1/x")],
            "request_uri_not_supported",
        ),
    ] {
        let answer = http.get(world.authorize(&changed)).send().await.unwrap();
        let location = answer.headers()["location"].to_str().unwrap();
        assert!(
            location.starts_with(&format!("{REDIRECT}?error={error}&")),
            "{location}"
        );
        assert!(location.contains("&state=some+state"), "{location}");
        let oob = [
            &changed[..],
            &[("redirect_uri", "urn:ietf:wg:oauth:2.0:oob")],
        ]
        .concat();
        let page = Browser::new().open(&world.authorize(&oob)).await;
        assert!(
            page.status == 400 && page.html.contains(error),
            "{}",
            page.html
        );
    }
    let mut browser = Browser::new();
    let page = browser.open(&world.authorize(&[])).await;
    let cancelled = browser.submit(&page, &[("decision", "no")]).await.sent_to();
    assert_eq!(cancelled["error"], "access_denied");
}

#[tokio::test]
async fn a_code_is_for_who_asked_and_once() {
    let world = World::start(None).await;
    let short = "x".repeat(42);
    let other = "x".repeat(43);
    for (changed, status, error) in [
        (vec![("code_verifier", "")], 400, "invalid_request"),
        (
            vec![("code_verifier", other.as_str())],
            400,
            "invalid_grant",
        ),
        (
            vec![("code_verifier", short.as_str())],
            400,
            "invalid_grant",
        ),
        (vec![("redirect_uri", "")], 400, "invalid_request"),
        (
            vec![("redirect_uri", "http://localhost:41235/auth/callback")],
            400,
            "invalid_grant",
        ),
        (vec![("client_id", "")], 401, "invalid_client"),
        (vec![("client_id", "other")], 401, "invalid_client"),
        (vec![("client_secret", "x")], 401, "invalid_client"),
        (vec![("code", "x")], 400, "invalid_grant"),
        (vec![("code", "")], 400, "invalid_request"),
        (vec![("grant_type", "")], 400, "invalid_request"),
        (
            vec![("grant_type", "password")],
            400,
            "unsupported_grant_type",
        ),
    ] {
        let code = world.code().await;
        let (found, answer) = world.exchange(&code, &changed).await;
        assert_eq!(
            (found, &answer["error"]),
            (status, &json!(error)),
            "{changed:?} {answer}"
        );
        assert!(!answer.to_string().contains(&code));
    }
    let code = world.code().await;
    assert_eq!(world.exchange(&code, &[]).await.0, 200);
    let (status, answer) = world.exchange(&code, &[]).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
    // Who has the code and not the verifier spoils it.
    let code = world.code().await;
    world.exchange(&code, &[("code_verifier", &other)]).await;
    assert_eq!(world.exchange(&code, &[]).await.0, 400);
    let code = world.code().await;
    world.clock.advance(60);
    let (status, answer) = world.exchange(&code, &[]).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
    let answer = world
        .http
        .post(world.url("token"))
        .header("content-type", "application/json")
        .body("{}");
    assert_eq!(answer.send().await.unwrap().status(), 415);
    let answer = world
        .http
        .post(world.url("token"))
        .basic_auth("sigstore", Some("secret"))
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(answer.headers().contains_key("www-authenticate"));
}

#[tokio::test]
async fn no_other_page_logs_somebody_in() {
    let world = World::start(None).await;
    let url = world.authorize(&[]);
    let is_refused = |page: Page| {
        assert!(
            page.status == 403 && page.html.contains("was not sent from"),
            "{}",
            page.html
        );
        assert!(!page.headers.contains_key("location"));
    };
    // A page that may read this server's answers, but sends no cookies.
    let mut evil = Browser::new();
    let page = evil.open(&url).await;
    evil.cookie = None;
    is_refused(evil.submit(&page, &JANE).await);
    // One that has its own cookie and token, and sends the form with the cookie of the user.
    let mut user = Browser::new();
    let own = user.open(&url).await;
    is_refused(user.submit(&page, &JANE).await);
    // One whose form the browser says is of another site.
    user.headers = vec![("sec-fetch-site", "cross-site")];
    is_refused(user.submit(&own, &JANE).await);
    // One whose name leads to this server's address.
    for origin in ["http://evil.example", "null", ""] {
        user.headers = vec![("sec-fetch-site", "same-origin"), ("origin", origin)];
        is_refused(user.submit(&own, &JANE).await);
    }
    let origin = world.issuer.url().trim_end_matches("/oidc").to_owned();
    user.headers = vec![("sec-fetch-site", "same-origin"), ("origin", origin.leak())];
    assert_eq!(user.submit(&own, &JANE).await.status, 303);
    // Without any token.
    let mut bare = own;
    bare.html = "<form method=\"post\" action=\"\"></form>".to_owned();
    is_refused(user.submit(&bare, &JANE).await);
    let started = start_device(&world).await;
    bare.url = started["verification_uri_complete"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    is_refused(user.submit(&bare, &JANE).await);
    // No answer may be read by a page together with the user's cookies.
    let answer = world
        .http
        .get(&url)
        .header("origin", "https://evil.example");
    let answer = answer.send().await.unwrap();
    assert!(
        !answer
            .headers()
            .contains_key("access-control-allow-credentials")
    );
}
