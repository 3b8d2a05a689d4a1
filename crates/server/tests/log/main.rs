//! The transparency log as its clients see it: what they send, and what they can prove with the answer.

mod copies;
mod durable;
mod grpc;
mod malformed;
mod options;
mod real;
mod rekor_tiles;
mod search;
mod served;
mod shards;
mod v2_requests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::log_entry::{EntryBody, dsse_v1_body, intoto_v2_body};
use sealmark_formats::{Digest, dsse};
use sealmark_keys::{Algorithm, HashAlgorithm, PrivateKey, PublicKey};
use sealmark_server::log::{Options, TransparencyLog};
use sealmark_tlog::merkle::{leaf_hash, verify_consistency};
use sealmark_tlog::tile::{Bundle, LengthPrefix};
use sealmark_tlog::{Checkpoint, Hash, Origin};
use serde_json::{Value, json};

use served::{Served, hex};

fn key() -> PrivateKey {
    PrivateKey::generate(Algorithm::EcdsaP256).expect("the log and its answers are as documented")
}

fn hashedrekord(key: &PrivateKey, data: &[u8]) -> Value {
    let pem = key.public_key().to_pem();
    let digest = Digest::of(key.key_type().hash(), data);
    let signature = key
        .sign_digest(&digest)
        .expect("the log and its answers are as documented");
    json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": {"algorithm": digest.algorithm().name(), "value": digest.hex()}},
        "signature": {"content": STANDARD.encode(signature), "publicKey": {"content": STANDARD.encode(pem)}},
    }})
}

const STATEMENT: &str = r#"{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"a","digest":{"sha256":"AAaa000000000000000000000000000000000000000000000000000000000000"}}],"predicateType":"x","predicate":{"materials":[{"uri":"b","digest":{"sha1":"bbbb000000000000000000000000000000000000"}}]}}"#;

fn envelope(key: &PrivateKey) -> (String, dsse::Envelope) {
    let payload_type = "application/vnd.in-toto+json";
    let signature = key
        .sign(&dsse::pae(payload_type, STATEMENT.as_bytes()))
        .expect("the log and its answers are as documented");
    let json = json!({
        "payloadType": payload_type,
        "payload": STANDARD.encode(STATEMENT),
        "signatures": [{"keyid": "", "sig": STANDARD.encode(signature)}],
    })
    .to_string();
    let envelope =
        dsse::Envelope::parse(json.as_bytes()).expect("the log and its answers are as documented");
    (json, envelope)
}

#[tokio::test]
async fn an_entry_is_proven_found_and_not_taken_twice() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    let (first_key, second_key) = (key(), key());
    let (one, two) = (
        hashedrekord(&first_key, b"one"),
        hashedrekord(&second_key, b"two"),
    );
    let (id, _) = log.create(&one).await;
    let (other, _) = log.create(&two).await;

    let again = log.post("/api/v1/log/entries", &one).await;
    assert_eq!(again.status(), 409);
    let location = format!("/api/v1/log/entries/{id}");
    assert_eq!(again.headers()["location"], location);
    let body: Value = again.json().await.unwrap();
    assert_eq!(
        body,
        json!({"code": 409, "message": format!("an equivalent entry already exists in the transparency log with UUID {id}")}),
    );

    for path in [
        "/api/v1/log/entries?logIndex=0",
        &location,
        &format!("/api/v1/log/entries/{}", &id[16..]),
    ] {
        let response = log.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        let shown: Value = response.json().await.unwrap();
        log.prove(&id, &shown[&id]);
        assert_eq!(shown[&id]["verification"]["inclusionProof"]["treeSize"], 2);
    }
    let query =
        json!({"entryUUIDs": [id, "00".repeat(32)], "logIndexes": [1, 7], "entries": [two]});
    let response = log.post("/api/v1/log/entries/retrieve", &query).await;
    let shown: Vec<Value> = response.json().await.unwrap();
    assert_eq!(shown.len(), 3, "what is not there is left out");

    let pem = first_key.public_key().to_pem();
    let key_hash = Digest::sha256(pem.as_bytes());
    let hash = Digest::sha256(b"one");
    let by_key = json!({"format": "x509", "content": STANDARD.encode(&pem)});
    for query in [
        json!({"hash": hash.to_string()}),
        json!({"hash": hash.hex().to_uppercase()}),
        json!({"hash": key_hash.to_string()}),
        json!({"publicKey": by_key}),
        json!({"publicKey": by_key, "hash": hash.hex(), "operator": "and"}),
    ] {
        assert_eq!(log.search(query.clone()).await, [id.as_str()], "{query}");
    }
    let second = Digest::sha256(b"two").hex();
    let either = json!({"publicKey": by_key, "hash": second, "operator": "or"});
    assert_eq!(log.search(either).await, [id.as_str(), other.as_str()]);
    let both = json!({"publicKey": by_key, "hash": second, "operator": "and"});
    assert!(log.search(both).await.is_empty());
    assert!(
        log.search(json!({"email": "nobody@example.com"}))
            .await
            .is_empty()
    );

    let info: Value = log.get("/api/v1/log").await.json().await.unwrap();
    assert_eq!(info["treeSize"], 2);
    assert_eq!(info["treeID"], log.tree.to_string());
    assert_eq!(info["inactiveShards"], json!([]));
    let proof = log.get("/api/v1/log/proof?firstSize=1&lastSize=2").await;
    let proof: Value = proof.json().await.unwrap();
    let hashes: Vec<Hash> = proof["hashes"]
        .as_array()
        .unwrap()
        .iter()
        .map(hex)
        .collect();
    let before: Hash = id[16..].parse().unwrap();
    verify_consistency(1, 2, &before, &hex(&info["rootHash"]), &hashes).unwrap();
    log.close().await;
}

#[tokio::test]
async fn attestations_are_found_by_what_they_speak_of() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    let key = key();
    let pem = key.public_key().to_pem();
    let (json, parsed) = envelope(&key);
    let entry = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
        "proposedContent": {"envelope": json, "verifiers": [STANDARD.encode(&pem)]},
    }});
    let (dsse, shown) = log.create(&entry).await;
    // The leaf is what verifiers of bundles make of the envelope.
    let body = STANDARD.decode(shown["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, dsse_v1_body(json.as_bytes(), &parsed, &pem).unwrap());

    let signature = STANDARD.encode(STANDARD.encode(&parsed.signatures[0].sig));
    let entry = json!({"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": {
        "envelope": {
            "payloadType": parsed.payload_type,
            "payload": STANDARD.encode(STANDARD.encode(STATEMENT)),
            "signatures": [{"sig": signature, "publicKey": STANDARD.encode(&pem)}],
        },
        "hash": {"algorithm": "sha256", "value": Digest::sha256(json.as_bytes()).hex()},
    }}});
    let (intoto, shown) = log.create(&entry).await;
    let body = STANDARD.decode(shown["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        body,
        intoto_v2_body(json.as_bytes(), &parsed, &pem).unwrap()
    );

    let entry = json!({"apiVersion": "0.0.1", "kind": "intoto", "spec": {
        "content": {"envelope": json}, "publicKey": STANDARD.encode(&pem),
    }});
    let (intoto_v1, shown) = log.create(&entry).await;
    let body = STANDARD.decode(shown["body"].as_str().unwrap()).unwrap();
    let EntryBody::Claims(claims) = EntryBody::parse(&body).unwrap() else {
        panic!("it is of a known kind");
    };
    assert_eq!(
        claims.payload_digest,
        Some(Digest::sha256(STATEMENT.as_bytes()))
    );

    for query in [
        json!({"hash": format!("sha256:aaaa{}", "0".repeat(60))}),
        json!({"hash": format!("bbbb{}", "0".repeat(36))}),
        json!({"hash": Digest::sha256(STATEMENT.as_bytes()).hex()}),
        // Rekor does not find these: it indexes them by the other form of the key's hash.
        json!({"publicKey": {"format": "x509", "content": STANDARD.encode(&pem)}}),
    ] {
        let found = log.search(query.clone()).await;
        assert_eq!(
            found,
            [dsse.as_str(), intoto.as_str(), intoto_v1.as_str()],
            "{query}"
        );
    }
    log.close().await;
}

#[tokio::test]
async fn what_is_wrong_is_refused_as_rekor_refuses_it() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    let key = key();
    let good = hashedrekord(&key, b"data");
    let with = |pointer: &str, value: Value| {
        let mut entry = good.clone();
        *entry.pointer_mut(pointer).unwrap() = value;
        entry
    };
    let (json, _) = envelope(&key);
    let stranger = STANDARD.encode(self::key().public_key().to_pem());
    let dsse = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
        "proposedContent": {"envelope": json, "verifiers": [stranger]},
    }});
    let mut p384 = hashedrekord(
        &PrivateKey::generate(Algorithm::EcdsaP384).unwrap(),
        b"data",
    );
    p384["spec"]["data"] = good["spec"]["data"].clone();
    let entries = [
        (
            with("/spec/data/hash/value", json!("00".repeat(32))),
            400,
            400,
        ),
        (with("/spec/data/hash/value", json!("zz")), 400, 400),
        (with("/spec/data/hash/algorithm", json!("md5")), 422, 606),
        (with("/spec/signature/content", json!("%")), 422, 601),
        (with("/spec/signature/content", json!(7)), 422, 601),
        (with("/spec/signature/publicKey", json!({})), 422, 602),
        (
            with("/spec/signature/publicKey/content", json!("bm8ga2V5")),
            400,
            400,
        ),
        (with("/spec", json!(null)), 422, 602),
        (with("/kind", json!("nonsense")), 422, 606),
        (with("/kind", json!("rekord")), 422, 602),
        (with("/apiVersion", json!("0.0.9")), 400, 400),
        (p384, 400, 400),
        (dsse, 400, 400),
        (json!([]), 422, 601),
    ];
    for (entry, status, code) in entries {
        let response = log.post("/api/v1/log/entries", &entry).await;
        assert_eq!(response.status(), status, "{entry}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["code"], code, "{entry}: {body}");
        assert!(!body["message"].as_str().unwrap().is_empty());
    }
    let post = |body: Vec<u8>| {
        let url = format!("{}/api/v1/log/entries", log.url);
        log.client.post(url).body(body).send()
    };
    assert_eq!(post(b"{".to_vec()).await.unwrap().status(), 400);
    assert_eq!(post(vec![b' '; 9 << 20]).await.unwrap().status(), 413);
    let many = json!({"logIndexes": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]});
    let many = log.post("/api/v1/log/entries/retrieve", &many).await;
    assert_eq!(many.status(), 422);
    for (path, status) in [
        ("/api/v1/log/entries?logIndex=0", 404),
        ("/api/v1/log/entries?logIndex=-1", 422),
        ("/api/v1/log/entries", 422),
        ("/api/v1/log/entries/xyz", 422),
        ("/api/v1/log/proof?firstSize=2&lastSize=1", 400),
        ("/api/v1/log/proof?lastSize=1", 400),
        ("/api/v1/log/proof?firstSize=0&lastSize=1", 422),
        ("/api/v1/log/publicKey?treeID=1", 400),
        ("/api/v1/index/retrieve", 405),
        ("/api/v1/nothing", 404),
        ("/api/v2/tile/0/000", 404),
        ("/api/v2/tile/../../keys/v1.pem", 404),
        ("/ping", 200),
        ("/healthz", 200),
        ("/api/v1/log/publicKey", 200),
    ] {
        assert_eq!(log.get(path).await.status(), status, "{path}");
    }
    let info: Value = log.get("/api/v1/log").await.json().await.unwrap();
    assert_eq!(info["treeSize"], 0, "nothing was written");
    log.close().await;
}

#[tokio::test]
async fn a_v2_entry_is_proven_and_read_from_tiles() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let digest = Digest::of(HashAlgorithm::Sha256, b"data");
    let signature = STANDARD.encode(key.sign_digest(&digest).unwrap());
    let der = STANDARD.encode(key.public_key().spki_der());
    let request = |digest: &[u8], details: Value| {
        json!({"hashedRekordRequestV002": {
            "digest": STANDARD.encode(digest),
            "signature": {"content": signature, "verifier": {
                "publicKey": {"rawBytes": der}, "keyDetails": details,
            }},
        }})
    };
    let good = request(digest.bytes(), json!("PKIX_ECDSA_P256_SHA_256"));
    let response = log.post("/api/v2/log/entries", &good).await;
    assert_eq!(response.status(), 201);
    let entry: Value = response.json().await.unwrap();
    let body = STANDARD
        .decode(entry["canonicalizedBody"].as_str().unwrap())
        .unwrap();
    let note = entry["inclusionProof"]["checkpoint"]["envelope"]
        .as_str()
        .unwrap();
    let pem = std::fs::read(directory.path().join("keys/v2.pub")).unwrap();
    let public = PublicKey::from_pem(&pem).unwrap();
    let checkpoint = Checkpoint::open(note, Origin::Named("127.0.0.1"), &public).unwrap();
    checkpoint
        .verify_inclusion(0, &leaf_hash(&body), &[])
        .unwrap();
    assert_eq!(entry["integratedTime"], "0");
    assert_eq!(entry["inclusionPromise"], Value::Null);

    let newest = log.get("/api/v2/checkpoint").await.text().await.unwrap();
    assert_eq!(newest, note);
    let tile = log
        .get("/api/v2/tile/entries/000.p/1")
        .await
        .bytes()
        .await
        .unwrap();
    let bundle = Bundle::parse("tile/entries/000.p/1").unwrap();
    assert_eq!(
        bundle.decode(&tile, LengthPrefix::Two).unwrap(),
        [body.as_slice()]
    );

    // By the enum's number it is the same entry.
    let again = request(digest.bytes(), json!(5));
    let again = log.post("/api/v2/log/entries", &again).await;
    assert_eq!(again.status(), 409);
    assert_eq!(again.headers()["x-log-index"], "0");
    assert_eq!(again.json::<Value>().await.unwrap()["code"], 6);
    for bad in [
        request(&[0; 32], json!("PKIX_ECDSA_P256_SHA_256")),
        request(&[0; 31], json!("PKIX_ECDSA_P256_SHA_256")),
        request(digest.bytes(), json!("PKIX_ECDSA_P384_SHA_384")),
        request(digest.bytes(), json!("PKIX_ED25519")),
        json!({"dsseRequestV002": {}}),
    ] {
        let response = log.post("/api/v2/log/entries", &bad).await;
        assert_eq!(response.status(), 400, "{bad}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["code"], 3);
        assert_eq!(body["details"], json!([]));
    }
    log.close().await;
}

#[tokio::test]
async fn a_log_that_is_opened_again_is_the_same_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    let (id, before) = log.create(&hashedrekord(&key(), b"data")).await;
    let options = |host: &str, password: Option<&str>| Options {
        password: password.map(|text| text.as_bytes().to_vec().into()),
        ..Options::new(host)
    };
    let busy = TransparencyLog::open(directory.path(), options("127.0.0.1", None));
    assert!(busy.unwrap_err().to_string().contains("in use"));
    log.close().await;
    let other = TransparencyLog::open(directory.path(), options("log.example", None));
    assert!(other.unwrap_err().to_string().contains("127.0.0.1"));

    let log = Served::open(directory.path()).await;
    let shown: Value = log
        .get("/api/v1/log/entries?logIndex=0")
        .await
        .json()
        .await
        .unwrap();
    log.prove(&id, &shown[&id]);
    assert_eq!(shown[&id]["integratedTime"], before["integratedTime"]);
    log.close().await;
}

#[test]
fn keys_are_private_and_encrypted_if_there_is_a_password() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let options = |password: Option<&str>| Options {
        password: password.map(|text| text.as_bytes().to_vec().into()),
        ..Options::new("log.example")
    };
    drop(TransparencyLog::open(directory.path(), options(Some("secret"))).unwrap());
    for name in ["v1.pem", "v2.pem"] {
        let path = directory.path().join("keys").join(name);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let file = std::fs::read(&path).unwrap();
        assert_eq!(PrivateKey::is_encrypted_pem(&file), Some(true));
    }
    for wrong in [None, Some("wrong")] {
        let error = TransparencyLog::open(directory.path(), options(wrong)).unwrap_err();
        assert!(error.to_string().contains("keys/v1.pem"), "{error}");
    }
    drop(TransparencyLog::open(directory.path(), options(Some("secret"))).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_send_the_same_entry_one_is_first() {
    let directory = tempfile::tempdir().unwrap();
    let log = std::sync::Arc::new(Served::open(directory.path()).await);
    let entry = hashedrekord(&key(), b"data");
    let senders = (0..16).map(|_| {
        let (log, entry) = (log.clone(), entry.clone());
        tokio::spawn(async move {
            let response = log.post("/api/v1/log/entries", &entry).await;
            let location = response.headers()["location"].to_str().unwrap().to_owned();
            // Whoever is told where the entry is finds it there.
            assert_eq!(log.get(&location).await.status(), 200);
            response.status().as_u16()
        })
    });
    let mut answers = Vec::new();
    for sender in senders.collect::<Vec<_>>() {
        answers.push(sender.await.unwrap());
    }
    answers.sort_unstable();
    assert_eq!(answers[0], 201);
    assert!(
        answers[1..].iter().all(|status| *status == 409),
        "{answers:?}"
    );
    std::sync::Arc::into_inner(log).unwrap().close().await;
}
