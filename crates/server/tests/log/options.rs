//! What an operator may switch on.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_server::log::{Duplicates, Options};
use serde_json::{Value, json};

use crate::served::Served;
use crate::shards::request_v2;
use crate::{STATEMENT, envelope, hashedrekord, key};

/// Payloads of attestations are kept and shown if the log was told so, then and now.
#[tokio::test]
async fn attestations_are_kept_if_that_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let intoto = || {
        let key = key();
        let (json, _) = envelope(&key);
        json!({"apiVersion": "0.0.1", "kind": "intoto", "spec": {
            "content": {"envelope": json},
            "publicKey": STANDARD.encode(key.public_key().to_pem()),
        }})
    };
    let options = |attestations| Options {
        attestations,
        ..Options::new("127.0.0.1")
    };
    let without = Served::open_with(directory.path(), options(None)).await;
    let (not_kept, _) = without.create(&intoto()).await;
    without.close().await;

    let with = Served::open_with(directory.path(), options(Some(STATEMENT.len()))).await;
    let (kept, created) = with.create(&intoto()).await;
    assert!(
        created.get("attestation").is_none(),
        "only who reads gets it"
    );
    let key = key();
    let (json, _) = envelope(&key);
    // Of dsse nothing is kept, as in Rekor.
    let dsse = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": {
        "envelope": json, "verifiers": [STANDARD.encode(key.public_key().to_pem())],
    }}});
    let (dsse, _) = with.create(&dsse).await;
    let (rekord, _) = with.create(&hashedrekord(&key, b"data")).await;
    for (id, expected) in [
        (&kept, Some(STATEMENT)),
        (&not_kept, None),
        (&dsse, None),
        (&rekord, None),
    ] {
        let shown = with.json(&format!("/api/v1/log/entries/{id}")).await;
        with.prove(id, &shown[id.as_str()]);
        let data = shown[id.as_str()]["attestation"]["data"].as_str();
        assert_eq!(data, expected.map(|text| STANDARD.encode(text)).as_deref());
    }
    let query = json!({"entryUUIDs": [kept]});
    let response = with.post("/api/v1/log/entries/retrieve", &query).await;
    let shown: Value = response.json().await.unwrap();
    assert!(shown[0][&kept]["attestation"]["data"].is_string());
    with.close().await;

    let small = Served::open_with(directory.path(), options(Some(STATEMENT.len() - 1))).await;
    let (too_long, _) = small.create(&intoto()).await;
    let shown = small.json(&format!("/api/v1/log/entries/{too_long}")).await;
    assert!(shown[&too_long].get("attestation").is_none());
    small.close().await;
    let without = Served::open_with(directory.path(), options(None)).await;
    let shown = without.json(&format!("/api/v1/log/entries/{kept}")).await;
    assert!(shown[&kept].get("attestation").is_none());
    without.close().await;
}

#[tokio::test]
async fn who_sends_an_entry_of_v2_again_may_get_the_one_there_is() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        duplicates: Duplicates::Return,
        ..Options::new("127.0.0.1")
    };
    let log = Served::open_with(directory.path(), options).await;
    let key = key();
    let entry = request_v2(&key, b"one");
    let first: Value = log
        .post("/api/v2/log/entries", &entry)
        .await
        .json()
        .await
        .unwrap();
    log.post("/api/v2/log/entries", &request_v2(&key, b"two"))
        .await;
    let again = log.post("/api/v2/log/entries", &entry).await;
    assert_eq!(again.status(), 201);
    assert_eq!(again.headers()["x-log-index"], "0");
    let again: Value = again.json().await.unwrap();
    for same in ["logIndex", "logId", "kindVersion", "canonicalizedBody"] {
        assert_eq!(again[same], first[same], "{same}");
    }
    assert_eq!(
        again["inclusionProof"]["treeSize"], "2",
        "the proof is of now"
    );
    assert_eq!(
        again["inclusionProof"]["hashes"].as_array().unwrap().len(),
        1
    );
    log.close().await;
}
