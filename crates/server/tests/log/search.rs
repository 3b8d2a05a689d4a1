//! Searching: by all that an entry has, page by page, in both interfaces.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::Digest;
use sealmark_formats::simple_signing::SimpleSigning;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_server::log::{Interface, rotate};
use sealmark_x509::Certificate;
use serde_json::{Value, json};

use crate::real::bodies;
use crate::served::Served;
use crate::shards::{request_v2, rotation};
use crate::{hashedrekord, key};

/// Certificates of the public instances, in entries of both interfaces, are found by all that they say.
#[tokio::test]
async fn entries_are_found_by_what_their_certificate_says() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    // What each entry must be found by.
    let mut expected: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut certificates = 0;
    for body in bodies() {
        let Ok(entry) = serde_json::from_slice::<Value>(&body) else {
            continue;
        };
        let (certificate, found) = match entry["apiVersion"].as_str() {
            Some("0.0.1") if entry["kind"] == "hashedrekord" => {
                let pem = entry["spec"]["signature"]["publicKey"]["content"].as_str();
                let pem = STANDARD.decode(pem.unwrap()).unwrap();
                let (id, _) = log.create(&entry).await;
                (Certificate::from_pem(&pem).ok(), json!({"v1": id}))
            }
            Some("0.0.2") if entry["kind"] == "hashedrekord" => {
                let spec = &entry["spec"]["hashedRekordV002"];
                let request = json!({"hashedRekordRequestV002": {
                    "digest": spec["data"]["digest"], "signature": spec["signature"],
                }});
                let sent = log.post("/api/v2/log/entries", &request).await;
                let sent: Value = sent.json().await.unwrap();
                let der = &spec["signature"]["verifier"]["x509Certificate"]["rawBytes"];
                let der = STANDARD.decode(der.as_str().unwrap_or_default()).unwrap();
                let found = json!({"v2": {"logIndex": sent["logIndex"]}});
                (Certificate::from_der(&der).ok(), found)
            }
            _ => continue,
        };
        let Some(certificate) = certificate else {
            continue;
        };
        certificates += 1;
        let mut add = |query: Value| {
            let all = expected.entry(query.to_string()).or_default();
            all.push(found.clone());
        };
        add(json!({"hash": certificate.fingerprint().to_string()}));
        for name in certificate.subject_alt_names() {
            add(json!({"subject": name.value().to_uppercase()}));
        }
        if let Some(issuer) = certificate.fulcio().issuer() {
            add(json!({"issuer": issuer}));
        }
    }
    assert!(certificates >= 4, "{certificates}");
    assert!(expected.keys().any(|query| query.contains("issuer")));
    for (query, found) in expected {
        let query: Value = serde_json::from_str(&query).unwrap();
        let ids = log.search(query.clone()).await;
        let v1 = found.iter().filter_map(|found| found["v1"].as_str());
        assert_eq!(ids, v1.collect::<Vec<_>>(), "{query}");
        let answer = log.post("/api/v2/index/retrieve", &query).await;
        let answer: Value = answer.json().await.unwrap();
        let v2 = found.iter().filter_map(|found| found.get("v2").cloned());
        assert_eq!(answer["entries"], v2.collect::<Value>(), "{query}");
        assert_eq!(answer["next"], Value::Null);
    }
    log.close().await;
}

#[tokio::test]
async fn an_image_is_found_if_the_client_sends_what_it_signed() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    let image = Digest::sha256(b"manifest");
    let payload = SimpleSigning::new("registry.example/app", &image, &BTreeMap::new());
    let payload = serde_json::to_vec(&payload).unwrap();
    let key = key();
    let mut entry = hashedrekord(&key, &payload);
    entry["spec"]["data"]["content"] = json!(STANDARD.encode(&payload));
    let mut lie = hashedrekord(&key, b"something else");
    lie["spec"]["data"]["content"] = json!(STANDARD.encode(&payload));
    let (id, shown) = log.create(&entry).await;
    log.create(&lie).await;
    assert_eq!(
        log.search(json!({"hash": image.to_string()})).await,
        [id.as_str()]
    );
    // The leaf is the one that it has without.
    let body = STANDARD.decode(shown["body"].as_str().unwrap()).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["spec"]["data"].as_object().unwrap().len(), 1, "{body}");
    log.close().await;
}

#[tokio::test]
async fn digests_of_every_length_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    for algorithm in [
        Algorithm::EcdsaP256,
        Algorithm::EcdsaP384,
        Algorithm::EcdsaP521,
    ] {
        let key = PrivateKey::generate(algorithm).unwrap();
        let digest = Digest::of(key.key_type().hash(), b"data");
        let (id, _) = log.create(&hashedrekord(&key, b"data")).await;
        for hash in [
            digest.hex(),
            digest.to_string(),
            digest.hex().to_uppercase(),
        ] {
            assert_eq!(
                log.search(json!({"hash": hash})).await,
                [id.as_str()],
                "{algorithm}"
            );
        }
    }
    log.close().await;
}

#[tokio::test]
async fn long_answers_come_in_pages_over_all_trees() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (key(), key());
    let log = Served::open(directory.path()).await;
    let mut ids = Vec::new();
    let mut of_one = Vec::new();
    for number in 0..7 {
        let key = if number % 3 == 0 { &other } else { &one };
        let (id, _) = log.create(&hashedrekord(key, &[number])).await;
        ids.push(id.clone());
        of_one.extend((number % 3 != 0).then_some(id));
    }
    log.close().await;
    rotate(directory.path(), &rotation(Interface::V1)).unwrap();
    let log = Served::open(directory.path()).await;
    for number in 7..10 {
        let (id, _) = log.create(&hashedrekord(&one, &[number])).await;
        ids.push(id.clone());
        of_one.push(id);
    }
    let by_key = |key: &PrivateKey| {
        let pem = STANDARD.encode(key.public_key().to_pem());
        json!({"format": "x509", "content": pem})
    };
    let pages = async |query: &Value, path: &str, most: usize| {
        let (mut from, mut found) = (Some(0), Vec::new());
        while let Some(start) = from {
            let mut query = query.clone();
            query["from"] = json!(start);
            query["limit"] = json!(most);
            let response = log.post(path, &query).await;
            assert_eq!(response.status(), 200);
            let header = |name| {
                let value: Option<&reqwest::header::HeaderValue> = response.headers().get(name);
                value.and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
            };
            assert_eq!(header("x-index-through"), Some(10));
            from = header("x-next-entry");
            let more = response.headers().contains_key("x-more-entries");
            assert_eq!(more, from.is_some());
            let page: Vec<String> = response.json().await.expect("it is a list");
            assert!(page.len() <= most);
            assert!(page.len() == most || from.is_none());
            found.extend(page);
        }
        found
    };
    let path = "/api/v1/index/retrieve";
    for most in [1, 2, 3, 10, 10_000] {
        let query = json!({"publicKey": by_key(&one)});
        assert_eq!(pages(&query, path, most).await, of_one, "{most}");
        // Neither alone has all.
        let hash = Digest::sha256(&[3]).hex();
        let either = json!({"publicKey": by_key(&one), "hash": hash, "operator": "or"});
        let mut expected = of_one.clone();
        expected.insert(2, ids[3].clone());
        assert_eq!(pages(&either, path, most).await, expected, "{most}");
        let both = json!({"publicKey": by_key(&one), "hash": Digest::sha256(&[8]).hex(), "operator": "and"});
        assert_eq!(pages(&both, path, most).await, [ids[8].clone()], "{most}");
    }
    for bad in [json!(0), json!(10_001), json!("many"), json!(-1)] {
        let query = json!({"hash": "00".repeat(32), "limit": bad});
        let response = log.post(path, &query).await;
        assert_eq!(response.status(), 422, "{query}");
    }
    log.close().await;
}

#[tokio::test]
async fn v2_is_searched_by_the_same_questions() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    let key = key();
    for number in 0..5 {
        log.post("/api/v2/log/entries", &request_v2(&key, &[number]))
            .await;
    }
    let path = "/api/v2/index/retrieve";
    let ask = async |query: Value| {
        let response = log.post(path, &query).await;
        let status = response.status().as_u16();
        (status, response.json::<Value>().await.expect("it is JSON"))
    };
    let pem = STANDARD.encode(key.public_key().to_pem());
    let by_key = json!({"format": "x509", "content": pem});
    let (_, found) = ask(json!({"hash": Digest::sha256(&[3]).hex()})).await;
    let expected = json!({"entries": [{"logIndex": "3"}], "next": null, "through": "5"});
    assert_eq!(found, expected);
    let (_, found) = ask(json!({"publicKey": by_key, "from": "1", "limit": 3})).await;
    let entries = json!([{"logIndex": "1"}, {"logIndex": "2"}, {"logIndex": "3"}]);
    assert_eq!(found["entries"], entries);
    assert_eq!(found["next"], "4");
    let (status, refused) = ask(json!({})).await;
    assert_eq!((status, &refused["code"]), (400, &json!(3)));
    assert_eq!(log.get(path).await.status(), 405);
    log.close().await;
}
