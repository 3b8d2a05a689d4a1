//! Devices without a browser.

use serde_json::{Value, json};

use super::JANE;
use super::world::*;

pub(crate) async fn start_device(world: &World) -> Value {
    let challenge = challenge();
    let form = [
        ("client_id", "sigstore"),
        ("scope", "openid email"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    let (status, started) = world.post("device/code", &form).await;
    assert_eq!(status, 200, "{started}");
    started
}

async fn poll(world: &World, device_code: &str, verifier: &str) -> (u16, Value) {
    // As cosign asks: without its name, and with a scope in two pieces.
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", device_code),
        ("scope", "openid"),
        ("scope", "email"),
        ("code_verifier", verifier),
    ];
    world.post("token", &form).await
}

#[tokio::test]
async fn a_device_gets_an_identity_from_another_browser() {
    let world = World::start(None).await;
    let started = start_device(&world).await;
    let device_code = started["device_code"].as_str().unwrap();
    assert_eq!(started["interval"], 5);
    let (status, answer) = poll(&world, device_code, VERIFIER).await;
    assert_eq!(
        (status, &answer["error"]),
        (400, &json!("authorization_pending"))
    );
    let (_, answer) = poll(&world, device_code, VERIFIER).await;
    assert_eq!(answer["error"], "slow_down");
    let mut browser = Browser::new();
    let page = browser
        .open(started["verification_uri_complete"].as_str().unwrap())
        .await;
    let user_code = started["user_code"].as_str().unwrap();
    assert!(page.html.contains(user_code));
    let wrong = [("user_code", "BCDF-BCDF"), JANE[0], JANE[1]];
    let refused = browser.submit(&page, &wrong).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.html.contains("No device shows this code"),
        "{}",
        refused.html
    );
    let right = [("user_code", user_code), JANE[0], JANE[1]];
    let done = browser.submit(&page, &right).await;
    assert!(done.status == 200 && done.html.contains("Go back to your device"));
    // It was answered.
    assert_eq!(browser.submit(&page, &right).await.status, 400);
    world.clock.advance(10);
    let (status, tokens) = poll(&world, device_code, VERIFIER).await;
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(
        claims(tokens["id_token"].as_str().unwrap())["email"],
        "jane@example.org"
    );
    world.clock.advance(10);
    let (_, answer) = poll(&world, device_code, VERIFIER).await;
    assert_eq!(answer["error"], "invalid_grant");
}

#[tokio::test]
async fn a_device_is_refused_for_a_reason() {
    let world = World::start(None).await;
    let mut browser = Browser::new();
    // The user says no.
    let started = start_device(&world).await;
    let page = browser
        .open(started["verification_uri"].as_str().unwrap())
        .await;
    let code = ("user_code", started["user_code"].as_str().unwrap());
    let no = browser.submit(&page, &[code, ("decision", "no")]).await;
    assert!(no.html.contains("was refused"), "{}", no.html);
    let (_, answer) = poll(&world, started["device_code"].as_str().unwrap(), VERIFIER).await;
    assert_eq!(answer["error"], "access_denied");
    // Somebody else has the device's code.
    let started = start_device(&world).await;
    let code = ("user_code", started["user_code"].as_str().unwrap());
    browser.submit(&page, &[code, JANE[0], JANE[1]]).await;
    let other = "x".repeat(43);
    let (_, answer) = poll(&world, started["device_code"].as_str().unwrap(), &other).await;
    assert_eq!(answer["error"], "invalid_grant");
    // Nobody comes.
    let started = start_device(&world).await;
    world.clock.advance(600);
    let (_, answer) = poll(&world, started["device_code"].as_str().unwrap(), VERIFIER).await;
    assert_eq!(answer["error"], "expired_token");
    // Somebody tries codes.
    let mut statuses = Vec::new();
    for _ in 0..61 {
        let guess = [("user_code", "BCDF-BCDF"), JANE[0], JANE[1]];
        statuses.push(browser.submit(&page, &guess).await.status);
    }
    assert!(
        statuses.contains(&400) && statuses.contains(&429),
        "{statuses:?}"
    );
    // Requests that no device makes.
    for (form, error) in [
        (vec![("scope", "openid")], "invalid_client"),
        (
            vec![("client_id", "other"), ("scope", "openid")],
            "invalid_client",
        ),
        (vec![("client_id", "sigstore")], "invalid_scope"),
        (
            vec![
                ("client_id", "sigstore"),
                ("scope", "openid"),
                ("code_challenge", "x"),
            ],
            "invalid_request",
        ),
    ] {
        let (_, answer) = world.post("device/code", &form).await;
        assert_eq!(answer["error"], error, "{form:?}");
    }
}
