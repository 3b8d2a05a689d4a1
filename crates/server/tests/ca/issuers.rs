//! Issuers that are slow, lie, or send the CA elsewhere: they stop nobody else, and it goes nowhere that the
//! configuration does not name.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sealmark_keys::Algorithm;
use serde_json::json;

use crate::world::*;

#[tokio::test]
async fn a_slow_issuer_is_given_up_and_stops_nobody_else() {
    let slow = Issuer::start().await;
    *slow.delay.lock().unwrap() = Duration::from_secs(3600);
    let world = World::start(|url| {
        let more = format!(
            "  {}:\n    client-id: sigstore\n    type: email\n",
            slow.url
        );
        people(url) + &more
    })
    .await;
    let key = new_key(Algorithm::Ed25519);
    let began = Instant::now();
    let waits = async {
        let token = slow.token(json!({}));
        // Many at once are one question.
        tokio::join!(
            world.ask(&key, &token, "1234"),
            world.ask(&key, &token, "1234"),
            world.ask(&key, &token, "1234"),
        )
    };
    let served = async {
        let began = Instant::now();
        for _ in 0..5 {
            let token = world.issuer.token(json!({}));
            assert_eq!(world.ask(&key, &token, "1234").await.0, 200);
        }
        began.elapsed()
    };
    let (answers, served) = tokio::join!(waits, served);
    assert!(served < Duration::from_secs(5), "{served:?}");
    for (status, answer) in [answers.0, answers.1, answers.2] {
        let message = answer["message"].as_str().unwrap();
        assert!(
            status == 503 && message.contains("did not answer"),
            "{answer}"
        );
    }
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    // Who comes at once after that is told at once.
    let began = Instant::now();
    let (status, _) = world.ask(&key, &slow.token(json!({})), "1234").await;
    assert!(status == 503 && began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn no_issuer_sends_the_ca_elsewhere() {
    let canary = Issuer::start().await;
    let key = new_key(Algorithm::Ed25519);
    // A redirect to another host, as into a private network.
    let world = World::of_people().await;
    let elsewhere = format!("{}/latest/meta-data", canary.url);
    *world.issuer.redirect.lock().unwrap() = Some(elsewhere);
    let (status, answer) = world
        .ask(&key, &world.issuer.token(json!({})), "1234")
        .await;
    let message = answer["message"].as_str().unwrap();
    assert!(
        status == 503 && message.contains("redirects are not followed"),
        "{answer}"
    );
    // A document that is another issuer's, or names no keys.
    for (document, reason) in [
        (
            json!({"issuer": canary.url, "jwks_uri": canary.url}),
            "is of another issuer",
        ),
        (
            json!({"issuer": world.issuer.url, "jwks_uri": "file:///etc/passwd"}),
            "did not answer",
        ),
        (
            json!({"issuer": world.issuer.url, "jwks_uri": ""}),
            "has no https jwks_uri",
        ),
        (json!([]), "is not a discovery document"),
    ] {
        let world = World::of_people().await;
        let mut document = document;
        if document["issuer"].is_string() && document["issuer"] != json!(canary.url) {
            document["issuer"] = world.issuer.url.clone().into();
        }
        *world.issuer.discovery.lock().unwrap() = Some(document.clone());
        let (status, answer) = world
            .ask(&key, &world.issuer.token(json!({})), "1234")
            .await;
        let message = answer["message"].as_str().unwrap();
        assert!(
            status == 503 && message.contains(reason),
            "{document} {answer}"
        );
    }
    assert_eq!(canary.asked.load(Ordering::SeqCst), 0);
}

/// GHSA-59jp-pj84-45mr: a pattern that is not bound at both ends made Fulcio ask any host.
#[tokio::test]
async fn a_pattern_of_issuers_is_one_of_whole_urls() {
    let canary = Issuer::start().await;
    let world = World::start(|url| {
        format!("meta-issuers:\n  {url}/id/*:\n    client-id: sigstore\n    type: email\n")
    })
    .await;
    let key = new_key(Algorithm::Ed25519);
    let (own, other) = (&world.issuer.url, &canary.url);
    let host = own.strip_prefix("http://").unwrap();
    for url in [
        format!("{other}?{own}/id/1"),
        format!("{other}#{own}/id/1"),
        format!("{other}/{own}/id/1"),
        format!(
            "http://{host}@{}/id/1",
            other.strip_prefix("http://").unwrap()
        ),
        format!("{own}/id/1?x"),
        format!("{own}/id/1#x"),
        format!("{own}/id/1/2"),
        format!("{own}/id/../id/1"),
        format!("{own}/id/"),
        format!("{own}/id/1\n"),
        format!(" {own}/id/1"),
    ] {
        let token = world.issuer.token(json!({"iss": url}));
        let (status, answer) = world.ask(&key, &token, "1234").await;
        let message = answer["message"].as_str().unwrap();
        assert!(
            status == 400 && message.contains("is not one that this CA believes"),
            "{url}: {answer}"
        );
    }
    assert_eq!(canary.asked.load(Ordering::SeqCst), 0);
    assert_eq!(world.issuer.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_issuer_with_a_million_keys_costs_little() {
    let few = |count: usize| json!({"keys": vec![json!({"kty": "oct"}); count]}).to_string();
    for (keys, reason) in [
        (few(1000), "it has 1000 keys, at most 256 are read"),
        (few(1_000_000), "answered more than 1048576 bytes"),
        (
            format!("{{\"keys\": {}", "[".repeat(500_000)),
            "not a set of keys (JWKS)",
        ),
    ] {
        let world = World::of_people().await;
        *world.issuer.instead.lock().unwrap() = Some((200, keys));
        let key = new_key(Algorithm::Ed25519);
        let began = Instant::now();
        for _ in 0..50 {
            let (status, answer) = world
                .ask(&key, &world.issuer.token(json!({})), "1234")
                .await;
            let message = answer["message"].as_str().unwrap();
            assert!(status == 503 && message.contains(reason), "{answer}");
        }
        // Once for the document and once for the keys, whoever comes.
        assert_eq!(world.issuer.asked.load(Ordering::SeqCst), 2);
        assert!(
            began.elapsed() < Duration::from_secs(8),
            "{:?}",
            began.elapsed()
        );
    }
}
