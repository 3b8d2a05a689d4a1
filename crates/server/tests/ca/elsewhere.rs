//! A CA whose CT log is elsewhere, as one of another project may be.

use std::time::{Duration, Instant};

use sealmark_keys::Algorithm;
use sealmark_server::ca::{Promises, RemoteCt};
use sealmark_x509::verify_embedded_sct;
use serde_json::json;

use crate::world::*;

#[tokio::test]
async fn its_promises_are_in_the_certificates() {
    let world = World::logging(people, |url, ct| {
        let log = RemoteCt::new(url, ct.public_key().clone());
        Promises::There(log.expect("it is a URL and a key"))
    })
    .await;
    let key = new_key(Algorithm::EcdsaP256);
    let token = world.issuer.token(json!({}));
    let (status, answer) = world.ask(&key, &token, "jane@example.org").await;
    assert_eq!(status, 200, "{answer}");
    let chain = chain(&answer);
    let [sct] = chain[0].signed_certificate_timestamps() else {
        panic!("one promise")
    };
    verify_embedded_sct(&chain[0], &chain[1], sct, world.ct.public_key()).unwrap();
    let sth = world.http.get(format!("{}/ct/v1/get-sth", world.ct_url));
    let sth: serde_json::Value = sth.send().await.unwrap().json().await.unwrap();
    assert_eq!(sth["tree_size"], 1);
}

#[tokio::test]
async fn a_promise_by_another_key_is_in_no_certificate() {
    let world = World::logging(people, |url, _| {
        let other = new_key(Algorithm::EcdsaP256);
        let log = RemoteCt::new(url, other.public_key().clone());
        Promises::There(log.expect("it is a URL and a key"))
    })
    .await;
    let token = world.issuer.token(json!({}));
    let key = new_key(Algorithm::EcdsaP256);
    let (status, answer) = world.ask(&key, &token, "jane@example.org").await;
    let expected =
        json!({"code": 13, "message": "Error entering certificate in CTL", "details": []});
    assert_eq!((status, answer), (500, expected));
}

#[tokio::test]
async fn a_log_that_does_not_answer_is_said_to_and_holds_nobody_up() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let world = World::logging(people, |_, ct| {
        let log = RemoteCt::new(&format!("http://{address}"), ct.public_key().clone());
        Promises::There(log.expect("it is a URL and a key"))
    })
    .await;
    let token = world.issuer.token(json!({}));
    let start = Instant::now();
    let key = new_key(Algorithm::EcdsaP256);
    let (status, answer) = world.ask(&key, &token, "jane@example.org").await;
    assert_eq!(status, 503, "{answer}");
    let message = answer["message"].as_str().unwrap();
    assert!(
        message.contains("Error entering certificate in CTL") && message.contains("did not answer"),
        "{message}"
    );
    assert!(start.elapsed() < Duration::from_secs(10));
}
