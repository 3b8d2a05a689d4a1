//! Requests of version 1 with one thing wrong: status, code and message of each, as Rekor gives them; and that nothing
//! of them is written, however many come at once.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::Digest;
use sealmark_keys::{Algorithm, PrivateKey};
use serde_json::{Value, json};

use crate::served::Served;
use crate::{STATEMENT, envelope, hashedrekord, key};

const ENTRIES: &str = "/api/v1/log/entries";
const RETRIEVE: &str = "/api/v1/log/entries/retrieve";
const SEARCH: &str = "/api/v1/index/retrieve";

struct Case {
    path: &'static str,
    body: Value,
    status: u16,
    code: u16,
    /// What the message begins with.
    message: &'static str,
}

/// `entry` without the member at this pointer, or with another value for it.
fn changed(entry: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut entry = entry.clone();
    let (parent, member) = pointer.rsplit_once('/').expect("a pointer");
    match (
        entry.pointer_mut(parent).expect("the member is there"),
        value,
    ) {
        (Value::Array(items), Some(value)) => {
            items[member.parse::<usize>().expect("a number")] = value
        }
        (parent, Some(value)) => parent[member] = value,
        (parent, None) => drop(parent.as_object_mut().expect("an object").remove(member)),
    }
    entry
}

/// A good entry of each kind.
fn good() -> [Value; 4] {
    let key = key();
    let pem = STANDARD.encode(key.public_key().to_pem());
    let (text, parsed) = envelope(&key);
    let signature = STANDARD.encode(STANDARD.encode(&parsed.signatures[0].sig));
    let hash = Digest::sha256(text.as_bytes()).hex();
    [
        hashedrekord(&key, b"data"),
        json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
            "proposedContent": {"envelope": text, "verifiers": [pem]},
        }}),
        json!({"apiVersion": "0.0.1", "kind": "intoto", "spec": {
            "content": {"envelope": text}, "publicKey": pem,
        }}),
        json!({"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": {
            "envelope": {
                "payloadType": parsed.payload_type,
                "payload": STANDARD.encode(STANDARD.encode(STATEMENT)),
                "signatures": [{"sig": signature, "publicKey": pem}],
            },
            "hash": {"algorithm": "sha256", "value": hash},
        }}}),
    ]
}

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let [record, dsse, intoto, intoto_v2] = good();
    let stranger = json!(STANDARD.encode(key().public_key().to_pem()));
    let junk = || Some(json!("bm8ga2V5"));
    let many = |value: &Value| Some(json!(vec![value.clone(); 11]));
    let p384 = PrivateKey::generate(Algorithm::EcdsaP384).expect("a key can be made");
    let p384 = STANDARD.encode(p384.public_key().to_pem());
    let (pem, verifiers) = (
        "/spec/signature/publicKey/content",
        "/spec/proposedContent/verifiers",
    );
    let signatures = "/spec/content/envelope/signatures";
    let entry = "error processing entry: ";
    let mut table = Vec::new();
    for (good, pointer, value, status, code, message) in [
        (&record, "/kind", None, 422, 602, "kind in body is required"),
        (&record, "/kind", Some(json!("nonsense")), 422, 606, "invalid kind value: \"nonsense\""),
        (&record, "/kind", Some(json!(7)), 422, 601, "kind in body must be of type string"),
        (&record, "/apiVersion", None, 422, 602, "apiVersion in body is required"),
        (&record, "/apiVersion", Some(json!("0.0.9")), 400, 400, entry),
        (&record, "/spec", None, 422, 602, "spec in body is required"),
        (&record, "/spec", Some(Value::Null), 422, 602, "spec in body is required"),
        (&record, "/spec/signature", None, 422, 602, "spec.signature in body is required"),
        (&record, "/spec/signature/content", None, 422, 602, "spec.signature.content in body is required"),
        (&record, "/spec/signature/content", Some(json!("")), 422, 602, "spec.signature.content in body is required"),
        (&record, "/spec/signature/content", Some(json!("%")), 422, 601, "spec.signature.content in body must be of type byte"),
        (&record, "/spec/signature/content", junk(), 400, 400, entry),
        (&record, "/spec/signature/publicKey", None, 422, 602, "spec.signature.publicKey in body is required"),
        (&record, pem, None, 422, 602, "spec.signature.publicKey.content in body is required"),
        (&record, pem, Some(json!([1])), 422, 601, "spec.signature.publicKey.content in body must be of type string"),
        (&record, pem, junk(), 400, 400, entry),
        (&record, pem, Some(stranger.clone()), 400, 400, entry),
        (&record, pem, Some(json!(p384)), 400, 400, entry),
        (&record, "/spec/data", None, 422, 602, "spec.data in body is required"),
        (&record, "/spec/data/hash", None, 422, 602, "spec.data.hash in body is required"),
        (&record, "/spec/data/hash/algorithm", None, 422, 602, "spec.data.hash.algorithm in body is required"),
        (&record, "/spec/data/hash/algorithm", Some(json!("md5")), 422, 606, "spec.data.hash.algorithm in body should be one of [sha256 sha384 sha512]"),
        (&record, "/spec/data/hash/algorithm", Some(json!("sha512")), 400, 400, entry),
        (&record, "/spec/data/hash/value", None, 422, 602, "spec.data.hash.value in body is required"),
        (&record, "/spec/data/hash/value", Some(json!("zz")), 400, 400, entry),
        (&record, "/spec/data/hash/value", Some(json!("00".repeat(32))), 400, 400, entry),
        (&dsse, "/spec/proposedContent", None, 422, 602, "spec.proposedContent in body is required"),
        (&dsse, "/spec/payloadHash", Some(json!({})), 422, 606, "either proposedContent or "),
        (&dsse, "/spec/proposedContent/envelope", None, 422, 602, "spec.proposedContent.envelope in body is required"),
        (&dsse, "/spec/proposedContent/envelope", Some(json!({})), 422, 601, "spec.proposedContent.envelope in body must be of type string"),
        (&dsse, "/spec/proposedContent/envelope", Some(json!("{")), 400, 400, entry),
        (&dsse, "/spec/proposedContent/envelope", Some(json!("{\"payloadType\":\"x\",\"payload\":\"\",\"signatures\":[]}")), 400, 400, entry),
        (&dsse, verifiers, None, 422, 602, "spec.proposedContent.verifiers in body is required"),
        (&dsse, verifiers, Some(json!([])), 422, 604, "spec.proposedContent.verifiers in body should have 1 to 10 items"),
        (&dsse, verifiers, many(&stranger), 422, 604, "spec.proposedContent.verifiers in body should have 1 to 10 items"),
        (&dsse, verifiers, Some(json!([stranger])), 400, 400, entry),
        (&dsse, verifiers, Some(json!(["bm8ga2V5"])), 400, 400, entry),
        (&dsse, verifiers, Some(json!([7])), 422, 601, "spec.proposedContent.verifiers.0 in body must be of type string"),
        (&intoto, "/spec/content", None, 422, 602, "spec.content in body is required"),
        (&intoto, "/spec/content/envelope", None, 422, 602, "spec.content.envelope in body is required"),
        (&intoto, "/spec/content/envelope", Some(json!("[]")), 400, 400, entry),
        (&intoto, "/spec/publicKey", None, 422, 602, "spec.publicKey in body is required"),
        (&intoto, "/spec/publicKey", Some(stranger.clone()), 400, 400, entry),
        (&intoto_v2, "/spec/content/envelope/payloadType", None, 422, 602, "spec.content.envelope.payloadType in body is required"),
        (&intoto_v2, "/spec/content/envelope/payload", None, 422, 602, "spec.content.envelope.payload in body is required"),
        (&intoto_v2, "/spec/content/envelope/payload", Some(json!("%")), 422, 601, "spec.content.envelope.payload in body must be of type byte"),
        (&intoto_v2, "/spec/content/envelope/payload", Some(json!("JSUl")), 400, 400, entry),
        (&intoto_v2, signatures, None, 422, 602, "spec.content.envelope.signatures in body is required"),
        (&intoto_v2, signatures, Some(json!([])), 422, 604, "spec.content.envelope.signatures in body should have 1 to 10 items"),
        (&intoto_v2, signatures, Some(json!([{}])), 422, 602, "spec.content.envelope.signatures.0.sig in body is required"),
        (&intoto_v2, "/spec/content/envelope/signatures/0/publicKey", Some(stranger), 400, 400, entry),
        (&intoto_v2, "/spec/content/hash", Some(json!({})), 422, 602, "spec.content.hash.algorithm in body is required"),
        (&intoto_v2, "/spec/content/hash/algorithm", Some(json!("md5")), 422, 606, "spec.content.hash.algorithm in body should be one of [sha256]"),
    ] {
        let body = changed(good, pointer, value);
        table.push(Case {
            path: ENTRIES,
            body,
            status,
            code,
            message,
        });
    }
    for (path, body, status, code, message) in [
        (ENTRIES, json!([]), 422, 601, " in body must be of type object"),
        (ENTRIES, json!("x"), 422, 601, " in body must be of type object"),
        (ENTRIES, json!({}), 422, 602, "kind in body is required"),
        (RETRIEVE, json!({}), 422, 602, "entries in body is required"),
        (RETRIEVE, json!({"logIndexes": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}), 422, 422, "more than max allowed 10 entries in request"),
        (RETRIEVE, json!({"logIndexes": ["1"]}), 422, 601, "logIndexes.0 in body must be of type integer"),
        (RETRIEVE, json!({"logIndexes": 1}), 422, 601, "logIndexes in body must be of type array"),
        (RETRIEVE, json!({"entryUUIDs": ["xyz"]}), 422, 605, "entryUUIDs in body should match "),
        (RETRIEVE, json!({"entries": [{}]}), 422, 602, "kind in body is required"),
        (SEARCH, json!({}), 400, 400, "at least one of "),
        (SEARCH, json!({"hash": "zz"}), 422, 605, "hash in body should be "),
        (SEARCH, json!({"hash": 7}), 422, 601, "hash in body must be of type string"),
        (SEARCH, json!({"email": "a@b.example", "operator": "xor"}), 422, 606, "operator in body should be one of [and or]"),
        (SEARCH, json!({"publicKey": {}}), 422, 602, "publicKey.format in body is required"),
        (SEARCH, json!({"publicKey": {"format": "x"}}), 422, 606, "publicKey.format in body should be one of "),
        (SEARCH, json!({"publicKey": {"format": "x509", "content": "bm8ga2V5"}}), 400, 400, entry),
    ] {
        table.push(Case {
            path,
            body,
            status,
            code,
            message,
        });
    }
    table
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mistake_has_its_answer_and_nothing_of_it_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    let (cases, good) = (cases(), good());
    let (log_ref, many) = (&log, (0..5).flat_map(|_| &cases));
    let wrong = futures_util::future::join_all(many.map(|case| async move {
        let response = log_ref.post(case.path, &case.body).await;
        let status = response.status().as_u16();
        (case, status, response.json::<Value>().await)
    }));
    // Good entries come between them.
    let right = futures_util::future::join_all(good.iter().map(|entry| log_ref.create(entry)));
    let (wrong, right) = futures_util::future::join(wrong, right).await;
    for (case, status, body) in wrong {
        let (sent, body) = (&case.body, body.unwrap());
        let message = body["message"].as_str().unwrap();
        assert_eq!(
            (status, &body["code"]),
            (case.status, &json!(case.code)),
            "{sent}: {body}"
        );
        assert!(message.starts_with(case.message), "{sent}: {message}");
        if let Some(reason) = message.strip_prefix("error processing entry: ") {
            assert!(reason.len() > 5, "{sent}: {message}");
        }
    }
    let info: Value = log.get("/api/v1/log").await.json().await.unwrap();
    assert_eq!(
        info["treeSize"],
        right.len(),
        "only the good ones are written"
    );
    log.close().await;
}
