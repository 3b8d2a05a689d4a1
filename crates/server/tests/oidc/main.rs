//! Logging in at the issuer for development: as browsers do it, as programs do it, and as neither may.

#![allow(clippy::unwrap_used, reason = "tests")]

mod device;
mod peers;
mod refusals;
mod world;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sealmark_formats::Digest;
use sealmark_identity::{Expected, KeySet, Token};
use sealmark_server::oidc::{DevIssuer, Options, password_hash};
use serde_json::{Value, json};

use world::*;

const JANE: [(&str, &str); 2] = [("email", "jane@example.org"), ("decision", "yes")];

#[tokio::test]
async fn a_program_gets_an_identity_through_the_browser() {
    let world = World::start(None).await;
    let mut browser = Browser::new();
    let page = browser
        .open(&world.authorize(&[("login_hint", "\"><b>@x")]))
        .await;
    assert_eq!(page.status, 200);
    for text in [
        "For development",
        "localhost:41234",
        "value=\"&quot;&gt;&lt;b&gt;@x\"",
    ] {
        assert!(page.html.contains(text), "{text} in {}", page.html);
    }
    assert!(!page.html.contains("<script") && !page.html.contains("type=\"password\""));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    for part in [
        "default-src 'none'",
        "form-action 'self' http://localhost:41234;",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    let style = between(&page.html, "<style>", "</style>").unwrap();
    let digest = STANDARD.encode(Digest::sha256(style.as_bytes()).bytes());
    assert!(policy.contains(&format!("style-src 'sha256-{digest}'")));
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
    ] {
        assert_eq!(page.headers[name], value);
    }
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Lax") && cookie.contains("; Path=/oidc;"));

    let answer = browser.submit(&page, &JANE).await;
    let location = answer.headers["location"].to_str().unwrap();
    assert!(location.starts_with(&format!("{REDIRECT}?")), "{location}");
    let sent = answer.sent_to();
    assert_eq!(sent["state"], "some state");
    assert_eq!(sent["iss"], world.issuer.url());

    let (status, tokens) = world.exchange(&sent["code"], &[]).await;
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(tokens["token_type"], "Bearer");
    let keys = world.http.get(world.url("keys")).send().await.unwrap();
    let keys = KeySet::parse(&keys.bytes().await.unwrap()).unwrap();
    let now = claims(tokens["id_token"].as_str().unwrap())["iat"]
        .as_i64()
        .unwrap();
    for name in ["id_token", "access_token"] {
        let token = tokens[name].as_str().unwrap();
        let expected = Expected {
            issuer: world.issuer.url(),
            audience: Some("sigstore"),
            algorithms: &world.issuer.algorithms(),
        };
        let parsed = Token::parse(token).unwrap();
        for keys in [&keys, &world.issuer.key_set()] {
            parsed.verify(keys, &expected, now).unwrap();
        }
        assert!(parsed.verify(&keys, &expected, now + 120).is_err());
        let claims = claims(token);
        assert_eq!(claims["email"], "jane@example.org");
        assert_eq!(claims["email_verified"], true);
        assert_eq!(claims["nonce"], "some nonce");
        assert_eq!(claims["exp"].as_i64().unwrap() - now, 120);
        assert_eq!(claims["sub"].as_str().unwrap().len(), 22);
    }
    let access = tokens["access_token"].as_str().unwrap();
    let half = URL_SAFE_NO_PAD.encode(&Digest::sha256(access.as_bytes()).bytes()[..16]);
    assert_eq!(
        claims(tokens["id_token"].as_str().unwrap())["at_hash"],
        half
    );

    let who = world.http.get(world.url("userinfo")).bearer_auth(access);
    let who: Value = who.send().await.unwrap().json().await.unwrap();
    assert_eq!(who["email"], "jane@example.org");
    let nobody = world.http.get(world.url("userinfo")).bearer_auth("x.y.z");
    let nobody = nobody.send().await.unwrap();
    assert_eq!(nobody.status(), 401);
    assert_eq!(
        nobody.headers()["www-authenticate"],
        "Bearer error=\"invalid_token\""
    );
}

#[tokio::test]
async fn discovery_names_what_there_is() {
    let world = World::start(None).await;
    let document = world
        .http
        .get(world.url(".well-known/openid-configuration"));
    let document: Value = document.send().await.unwrap().json().await.unwrap();
    assert_eq!(document["issuer"], world.issuer.url());
    assert_eq!(
        document["code_challenge_methods_supported"],
        json!(["S256"])
    );
    assert_eq!(
        document["id_token_signing_alg_values_supported"],
        json!(["RS256"])
    );
    for name in [
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "device_authorization_endpoint",
        "userinfo_endpoint",
    ] {
        let url = document[name].as_str().unwrap();
        let status = world.http.get(url).send().await.unwrap().status().as_u16();
        assert_ne!(status, 404, "{url}");
    }
    for (path, status, allow) in [("nothing", 404, None), ("token", 405, Some("POST"))] {
        let answer = world.http.get(world.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), status);
        let found = answer.headers().get("allow").map(|it| it.to_str().unwrap());
        assert_eq!(found, allow);
    }
}

#[tokio::test]
async fn a_program_elsewhere_gets_a_code_to_type() {
    let world = World::start(None).await;
    let oob = ("redirect_uri", "urn:ietf:wg:oauth:2.0:oob");
    let mut browser = Browser::new();
    let page = browser.open(&world.authorize(&[oob])).await;
    let page = browser.submit(&page, &JANE).await;
    assert_eq!(page.status, 200);
    assert!(!page.headers.contains_key("location"));
    let code = between(&page.html, "<code>", "</code>").unwrap();
    // As sigstore-python authenticates: with an empty secret.
    let form = [
        ("grant_type", "authorization_code"),
        oob,
        ("code", code),
        ("code_verifier", VERIFIER),
    ];
    let answer = world
        .http
        .post(world.url("token"))
        .basic_auth("sigstore", Some(""))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(encode(&form));
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let tokens: Value = answer.json().await.unwrap();
    assert_eq!(
        claims(tokens["access_token"].as_str().unwrap())["aud"],
        "sigstore"
    );
}

#[tokio::test]
async fn an_operator_may_allow_another_redirect() {
    let redirect = "https://app.example/callback";
    let world = World::with(None, |mut options| {
        options.redirects = vec![redirect.to_owned()];
        options
    })
    .await;
    let mut browser = Browser::new();
    let page = browser
        .open(&world.authorize(&[("redirect_uri", redirect)]))
        .await;
    let answer = browser.submit(&page, &JANE).await;
    let location = answer.headers["location"].to_str().unwrap();
    assert!(location.starts_with("https://app.example/callback?code="));
}

#[tokio::test]
async fn users_prove_who_they_are() {
    let hash = tokio::task::spawn_blocking(|| password_hash(b"correct horse")).await;
    let hash = hash.unwrap().unwrap();
    let users = format!("users:\n  - email: Jane@example.org\n    password: {hash}\n");
    let world = World::start(Some(&users)).await;
    assert!(world.issuer.asks_for_passwords());
    let mut browser = Browser::new();
    let page = browser.open(&world.authorize(&[])).await;
    assert!(page.html.contains("type=\"password\"") && !page.html.contains("For development"));
    let form = |email: &'static str, password: &'static str| {
        [
            ("email", email),
            ("password", password),
            ("decision", "yes"),
        ]
    };
    for (email, password, status, text) in [
        (
            "jane@example.org",
            "wrong",
            403,
            "The address or the password is wrong",
        ),
        (
            "eve@example.org",
            "correct horse",
            403,
            "The address or the password is wrong",
        ),
        (
            "jane@example.org",
            "",
            403,
            "The address or the password is wrong",
        ),
        ("jane", "correct horse", 400, "Type an e-mail address"),
        ("<script>@x", "correct horse", 400, "Type an e-mail address"),
    ] {
        let answer = browser.submit(&page, &form(email, password)).await;
        assert_eq!(answer.status, status, "{email} {password}");
        assert!(answer.html.contains(text), "{}", answer.html);
        assert!(!answer.html.contains("<script>") && !answer.html.contains("correct horse"));
    }
    // The page with the error has a form that works.
    let again = browser
        .submit(&page, &form("jane@example.org", "wrong"))
        .await;
    let answer = browser
        .submit(&again, &form("jane@example.org", "correct horse"))
        .await;
    let code = answer.sent_to().remove("code").unwrap();
    let (_, tokens) = world.exchange(&code, &[]).await;
    let email = &claims(tokens["id_token"].as_str().unwrap())["email"];
    assert_eq!(email, "Jane@example.org", "as the file has it");
    // Wrong too often: not even the right one is taken, until some time has passed.
    let mut last = answer;
    for _ in 0..3 {
        last = browser
            .submit(&page, &form("jane@example.org", "wrong"))
            .await;
    }
    assert_eq!(last.status, 429);
    let wait = last.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    let answer = browser
        .submit(&page, &form("jane@example.org", "correct horse"))
        .await;
    assert_eq!(answer.status, 429);
    world.clock.advance(wait);
    let answer = browser
        .submit(&page, &form("jane@example.org", "correct horse"))
        .await;
    assert_eq!(answer.status, 303);
}

#[tokio::test]
async fn the_issuer_stays_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let open = |url: &str| DevIssuer::open(folder.path(), Options::new(url));
    let key = |issuer: &DevIssuer| issuer.key_set().to_json().unwrap();
    let issuer = open("http://127.0.0.1:3000/oidc").unwrap();
    assert_eq!(
        key(&issuer),
        key(&open("https://sign.example/oidc").unwrap())
    );
    let file = folder.path().join("keys/issuer.pem");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let token = issuer
        .mint("jane@example.org", Duration::from_secs(60))
        .unwrap();
    assert_eq!(claims(&token)["email"], "jane@example.org");
    for (email, seconds) in [
        ("jane", 60),
        ("jane@example.org", 0),
        ("jane@example.org", 86_401),
    ] {
        assert!(
            issuer.mint(email, Duration::from_secs(seconds)).is_err(),
            "{email} {seconds}"
        );
    }
    for (url, problem) in [
        ("127.0.0.1:3000/oidc", "cannot be its URL"),
        ("ftp://127.0.0.1/oidc", "neither http nor https"),
        ("http://127.0.0.1:3000", "its path is another one"),
        ("http://127.0.0.1:3000/oidc/", "its path is another one"),
        (
            "http://127.0.0.1:3000/oidc?x",
            "more than a host and a path",
        ),
        (
            "http://LOCALHOST:3000/oidc",
            "it is to be written as http://localhost:3000/oidc",
        ),
    ] {
        let error = open(url).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
    std::fs::write(folder.path().join("users.yaml"), "users: []").unwrap();
    let error = open("http://127.0.0.1:3000/oidc").unwrap_err().to_string();
    assert!(error.contains("users.yaml: it has 0 users"), "{error}");
    let mut options = Options::new("http://127.0.0.1:3000/oidc");
    options.users = Some(folder.path().join("nobody.yaml"));
    let error = DevIssuer::open(folder.path(), options)
        .unwrap_err()
        .to_string();
    assert!(error.contains("there is no file"), "{error}");
}
