//! Bodies of log entries: what the real ones claim, and how others are refused.

#![allow(clippy::unwrap_used, reason = "tests")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use sealmark_formats::bundle::{Content, Material};
use sealmark_formats::log_entry::{
    EntryBody, EntryClaims, EntrySignature, Leaf, MAX_BODY, Verifier, dsse_v1_body, dsse_v2_body,
    hashedrekord_v1_body, intoto_v2_body, leaf_of_bundle,
};
use sealmark_formats::{Bundle, Digest, HashAlgorithm};
use serde_json::{Value, json};

mod kinds;

const A_TXT: &str = "sha256:a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf";

fn bundle(name: &str) -> Bundle {
    let path = format!("{}/tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    Bundle::parse(&std::fs::read(path).unwrap()).unwrap()
}

fn claims(body: &[u8]) -> EntryClaims {
    match EntryBody::parse(body).unwrap() {
        EntryBody::Claims(claims) => claims,
        other => panic!("{other:?}"),
    }
}

fn signature(bundle: &Bundle) -> &[u8] {
    match &bundle.content {
        Content::MessageSignature(message) => &message.signature,
        Content::Dsse(envelope) => &envelope.signatures[0].sig,
    }
}

fn certificate(bundle: &Bundle) -> Option<Verifier> {
    match &bundle.material {
        Material::PublicKey { .. } => None,
        Material::Certificate(der) => Some(Verifier::Certificate(der.clone())),
        Material::CertificateChain(chain) => Some(Verifier::Certificate(chain[0].clone())),
    }
}

#[test]
fn real_entries_claim_what_their_bundles_hold() {
    for (name, kind) in [
        ("v0.3-certificate-message", "hashedrekord 0.0.1"),
        ("v0.3-key-message", "hashedrekord 0.0.1"),
        ("v0.3-certificate-dsse", "dsse 0.0.1"),
        ("v0.2-chain-dsse", "intoto 0.0.2"),
        ("v0.3-rekor2-message", "hashedrekord 0.0.2"),
        ("v0.3-rekor2-dsse", "hashedrekord 0.0.2"),
    ] {
        let bundle = bundle(name);
        let claims = claims(&bundle.log_entries[0].canonicalized_body);
        assert_eq!(
            format!("{} {}", claims.kind, claims.version),
            kind,
            "{name}"
        );
        let [logged] = claims.signatures.as_slice() else {
            panic!("{name}: {claims:?}")
        };
        assert_eq!(
            logged.signature.as_deref(),
            Some(signature(&bundle)),
            "{name}"
        );
        match certificate(&bundle) {
            Some(certificate) => assert!(logged.verifier == certificate, "{name}"),
            None => {
                let Verifier::PublicKey(spki) = &logged.verifier else {
                    panic!("{name}: {logged:?}")
                };
                assert_eq!(
                    bundle.material.key_digest(),
                    Some(Digest::sha256(spki)),
                    "{name}"
                );
            }
        }
        let v2 = claims.version == "0.0.2" && claims.kind == "hashedrekord";
        assert_eq!(
            logged.key_details.as_deref(),
            v2.then_some("PKIX_ECDSA_P256_SHA_256")
        );
        match &bundle.content {
            Content::MessageSignature(_) => {
                assert_eq!(claims.artifact_digest.unwrap().to_string(), A_TXT, "{name}");
                assert_eq!(claims.payload_digest, None);
            }
            Content::Dsse(envelope) if v2 => {
                assert_eq!(
                    claims.artifact_digest,
                    Some(Digest::sha256(&envelope.pae()))
                );
            }
            Content::Dsse(envelope) => {
                assert_eq!(
                    claims.payload_digest,
                    Some(Digest::sha256(&envelope.payload))
                );
                assert!(claims.envelope_digest.is_some());
            }
        }
    }
}

#[test]
fn what_a_rekor_v1_logged_is_written_alike() {
    let text = |value: &Value| String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap());
    for (name, verifier) in [
        (
            "v0.3-certificate-message",
            "/spec/signature/publicKey/content",
        ),
        ("v0.3-key-message", "/spec/signature/publicKey/content"),
        ("v0.3-certificate-dsse", "/spec/signatures/0/verifier"),
        (
            "v0.2-chain-dsse",
            "/spec/content/envelope/signatures/0/publicKey",
        ),
    ] {
        let bundle = bundle(name);
        let given = &bundle.log_entries[0].canonicalized_body;
        let mut json: Value = serde_json::from_slice(given).unwrap();
        if let Some(envelope) = json.pointer_mut("/spec/content/envelope") {
            // This one is by a mock of a log, which keeps what the log drops.
            envelope.as_object_mut().unwrap().remove("payload");
        }
        let pem = text(json.pointer(verifier).unwrap()).unwrap();
        let claims = claims(given);
        let mut written = match &bundle.content {
            Content::MessageSignature(message) => {
                let digest = claims.artifact_digest.unwrap();
                hashedrekord_v1_body(&digest, &message.signature, &pem).unwrap()
            }
            Content::Dsse(envelope) if claims.kind == "dsse" => {
                dsse_v1_body(b"as it was sent", envelope, &pem).unwrap()
            }
            Content::Dsse(envelope) => intoto_v2_body(b"as it was sent", envelope, &pem).unwrap(),
        };
        // How the envelope was spelt when it was sent is not in the bundle.
        if let Some(sent) = claims.envelope_digest {
            let ours = Digest::sha256(b"as it was sent").hex();
            let text = String::from_utf8(written).unwrap();
            assert!(text.contains(&ours));
            written = text.replace(&ours, &sent.hex()).into_bytes();
        }
        assert_eq!(
            String::from_utf8_lossy(&written),
            json.to_string(),
            "{name}"
        );
    }
}

#[test]
fn what_a_rekor_v2_logged_is_rebuilt_from_the_bundle() {
    let artifact: Digest = A_TXT.parse().unwrap();
    for name in ["v0.3-rekor2-message", "v0.3-rekor2-dsse"] {
        let bundle = bundle(name);
        let given = &bundle.log_entries[0].canonicalized_body;
        let body = EntryBody::parse(given).unwrap();
        let verifier = certificate(&bundle).unwrap();
        let leaf = leaf_of_bundle(&body, &bundle.content, Some(&artifact), &verifier).unwrap();
        assert_eq!(leaf, Leaf::Rebuilt(given.clone()), "{name}");
        // Another certificate is another leaf, so it cannot be found in the log.
        let other = Verifier::Certificate(b"another".to_vec());
        let leaf = leaf_of_bundle(&body, &bundle.content, Some(&artifact), &other).unwrap();
        assert!(matches!(leaf, Leaf::Rebuilt(bytes) if bytes != *given));
    }
    let message = bundle("v0.3-rekor2-message");
    let body = EntryBody::parse(&message.log_entries[0].canonicalized_body).unwrap();
    let verifier = certificate(&message).unwrap();
    let sha512 = Digest::of(HashAlgorithm::Sha512, b"");
    for artifact in [None, Some(&sha512)] {
        let error = leaf_of_bundle(&body, &message.content, artifact, &verifier).unwrap_err();
        assert!(error.to_string().contains("sha256"), "{error}");
    }
}

#[test]
fn what_a_rekor_v1_logged_is_what_the_bundle_repeats() {
    for name in [
        "v0.1-chain-message",
        "v0.3-certificate-dsse",
        "v0.2-chain-dsse",
    ] {
        let bundle = bundle(name);
        let body = EntryBody::parse(&bundle.log_entries[0].canonicalized_body).unwrap();
        let verifier = certificate(&bundle).unwrap();
        let leaf = leaf_of_bundle(&body, &bundle.content, None, &verifier).unwrap();
        assert_eq!(leaf, Leaf::CanonicalizedBody, "{name}");
    }
}

#[test]
fn a_dsse_entry_of_rekor_v2_is_read_as_it_is_written() {
    let bundle = bundle("v0.3-rekor2-dsse");
    let Content::Dsse(envelope) = &bundle.content else {
        panic!()
    };
    let signature = |bytes: &[u8]| EntrySignature {
        signature: Some(bytes.to_vec()),
        verifier: Verifier::PublicKey(b"spki".to_vec()),
        key_details: Some("PKIX_ED25519_PH".to_owned()),
    };
    let payload = Digest::sha256(&envelope.payload);
    let body = dsse_v2_body(&payload, &[signature(b"b"), signature(b"a")]).unwrap();
    let expected = format!(
        "{{\"apiVersion\":\"0.0.2\",\"kind\":\"dsse\",\"spec\":{{\"dsseV002\":{{\"payloadHash\":{{\
         \"algorithm\":\"SHA2_256\",\"digest\":\"{}\"}},\"signatures\":[{},{}]}}}}}}",
        STANDARD.encode(payload.bytes()),
        r#"{"content":"YQ==","verifier":{"keyDetails":"PKIX_ED25519_PH","publicKey":{"rawBytes":"c3BraQ=="}}}"#,
        r#"{"content":"Yg==","verifier":{"keyDetails":"PKIX_ED25519_PH","publicKey":{"rawBytes":"c3BraQ=="}}}"#,
    );
    assert_eq!(String::from_utf8(body.clone()).unwrap(), expected);
    let read = claims(&body);
    assert_eq!(read.payload_digest, Some(payload.clone()));
    assert_eq!(read.signatures, [signature(b"a"), signature(b"b")]);

    let own = signature(&envelope.signatures[0].sig);
    let logged = dsse_v2_body(&payload, core::slice::from_ref(&own)).unwrap();
    let body = EntryBody::parse(&logged).unwrap();
    let leaf = leaf_of_bundle(&body, &bundle.content, None, &own.verifier).unwrap();
    assert_eq!(leaf, Leaf::Rebuilt(logged));
}

const KEY_PEM: &str = "-----BEGIN PUBLIC KEY-----\nc3Br\naQ==\n-----END PUBLIC KEY-----\n";

fn pem(text: &str) -> Value {
    json!(STANDARD.encode(text))
}

fn hash() -> Value {
    json!({"algorithm": "sha256", "value": "AB".repeat(32)})
}

#[test]
fn intoto_0_0_1_records_the_key_but_no_signature() {
    let body = json!({
        "apiVersion": "0.0.1", "kind": "intoto",
        "spec": {"content": {"hash": hash()}, "publicKey": pem(KEY_PEM)},
    });
    let claims = claims(body.to_string().as_bytes());
    assert_eq!(claims.payload_digest, None);
    assert_eq!(claims.envelope_digest.unwrap().hex(), "ab".repeat(32));
    let expected = EntrySignature {
        signature: None,
        verifier: Verifier::PublicKey(b"spki".to_vec()),
        key_details: None,
    };
    assert_eq!(claims.signatures, [expected]);
}

/// `path` in `document` set to `value`, or removed.
fn with(document: &Value, path: &str, value: Option<&Value>) -> Vec<u8> {
    let mut document = document.clone();
    let (parent, name) = path.rsplit_once('/').unwrap();
    let parent = document
        .pointer_mut(parent)
        .unwrap()
        .as_object_mut()
        .unwrap();
    match value {
        Some(value) => parent.insert(name.to_owned(), value.clone()),
        None => parent.remove(name),
    };
    document.to_string().into_bytes()
}

#[test]
fn a_field_that_is_missing_or_wrong_is_named() {
    let mut documents = vec![
        json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": {"hash": hash()},
            "signature": {"content": "c2ln", "publicKey": {"content": pem(KEY_PEM)}}}}),
        json!({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": {
            "data": {"algorithm": "SHA2_256", "digest": STANDARD.encode([1; 32])},
            "signature": {"content": "c2ln", "verifier": {
                "keyDetails": "PKIX_ECDSA_P256_SHA_256", "publicKey": {"rawBytes": "c3BraQ=="}}}}}}),
        json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
            "envelopeHash": hash(), "payloadHash": hash(),
            "signatures": [{"signature": "c2ln", "verifier": pem(KEY_PEM)}]}}),
        json!({"apiVersion": "0.0.2", "kind": "dsse", "spec": {"dsseV002": {
            "payloadHash": {"algorithm": "SHA2_256", "digest": STANDARD.encode([1; 32])},
            "signatures": [{"content": "c2ln", "verifier": {
                "keyDetails": "PKIX_ECDSA_P256_SHA_256", "publicKey": {"rawBytes": "c3BraQ=="}}}]}}}),
        json!({"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": {
            "envelope": {"payloadType": "t", "signatures": [
                {"sig": STANDARD.encode("c2ln"), "publicKey": pem(KEY_PEM)}]},
            "payloadHash": hash()}}}),
    ];
    documents.extend(
        kinds::other_kinds()
            .iter()
            .map(|(kind, spec, _)| kinds::body(kind, spec)),
    );
    // What says nothing about a signature is not read.
    let optional = [
        "/spec/content/envelope/payloadType",
        "/spec/package/headers",
        "/spec/package/headers/Name",
        "/spec/package/pkginfo",
        "/spec/package/pkginfo/pkgname",
        "/spec/spec_version",
    ];
    let mut count = 0;
    for document in &documents {
        claims(document.to_string().as_bytes());
        for path in paths(document, "") {
            if optional.contains(&path.as_str()) || path.contains("/0/") {
                continue;
            }
            let dotted = path[1..].replace('/', ".");
            for value in [
                None,
                Some(json!(7)),
                Some(json!(null)),
                Some(json!("")),
                Some(json!("!")),
            ] {
                let error = match EntryBody::parse(&with(document, &path, value.as_ref())) {
                    Err(error) => error.to_string(),
                    // The name of a key's details, or another kind, is free text.
                    Ok(_) if value == Some(json!("!")) => continue,
                    Ok(body) => panic!("{path} {value:?}: {body:?}"),
                };
                // Without its only key a verifier is neither of the two that it can be.
                let named = dotted.strip_suffix(".publicKey").unwrap_or(&dotted);
                assert!(
                    error.starts_with("not a valid log entry: ") && error.contains(named),
                    "{path} {value:?}: {error}"
                );
                count += 1;
            }
        }
    }
    assert!(count > 400, "{count}");
}

/// Every JSON pointer in the document.
fn paths(value: &Value, path: &str) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), v)).collect(),
        _ => Vec::new(),
    };
    children
        .into_iter()
        .flat_map(|(name, child)| {
            let path = format!("{path}/{name}");
            let mut all = paths(child, &path);
            all.insert(0, path);
            all
        })
        .collect()
}

#[test]
fn what_is_over_a_bound_or_ambiguous_is_refused() {
    let error = |json: &str| EntryBody::parse(json.as_bytes()).unwrap_err().to_string();
    assert!(error(&" ".repeat(MAX_BODY + 1)).contains("at most 4194304"));
    let signature = json!({"signature": "c2ln", "verifier": pem(KEY_PEM)});
    let many = |count| {
        json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
            "envelopeHash": hash(), "payloadHash": hash(),
            "signatures": vec![signature.clone(); count]}})
        .to_string()
    };
    assert!(EntryBody::parse(many(64).as_bytes()).is_ok());
    assert!(error(&many(65)).contains("spec.signatures has 65 items, at most 64"));
    assert!(error(&many(0)).contains("spec.signatures is empty"));
    assert!(error(r#"{"kind":"dsse","kind":"intoto"}"#).contains("occurs twice"));
    let mut both: Value = serde_json::from_str(&many(1)).unwrap();
    both["spec"]["signatures"][0]["verifier"] =
        pem("-----BEGIN PGP PUBLIC KEY BLOCK-----\nc3Br\n-----END PGP PUBLIC KEY BLOCK-----\n");
    let error = error(&both.to_string());
    assert!(
        error.contains("spec.signatures[0].verifier is PEM of a \"PGP PUBLIC KEY BLOCK\""),
        "{error}"
    );
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = EntryBody::parse(&bytes);
    }

    /// Real bodies with one byte changed.
    #[test]
    fn no_change_panics(which in 0_usize..4, at: prop::sample::Index, byte: u8) {
        let names = ["v0.3-key-message", "v0.3-certificate-dsse", "v0.2-chain-dsse", "v0.3-rekor2-dsse"];
        let mut body = bundle(names[which]).log_entries.remove(0).canonicalized_body;
        let at = at.index(body.len());
        body[at] = byte;
        let _ = EntryBody::parse(&body);
    }

    #[test]
    fn no_pem_panics(text in "(-----BEGIN |-----END |-----|PUBLIC KEY|CERTIFICATE|[A-Za-z0-9+/=\n]{0,9}){0,9}") {
        let body = json!({"apiVersion": "0.0.1", "kind": "intoto",
            "spec": {"content": {"hash": hash()}, "publicKey": pem(&text)}});
        let _ = EntryBody::parse(body.to_string().as_bytes());
    }
}
