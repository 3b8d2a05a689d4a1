//! Fulcio v2 over gRPC, as gRPC's own client uses it, on the port of its other interfaces.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_testkit::{Sandbox, require_or_skip};
use sealmark_x509::{Certificate, SubjectAltName, verify_embedded_sct};
use serde_json::{Value, json};

use crate::world::*;

fn client() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ca/client.py")
}

fn certificates(answer: &Value) -> Vec<Certificate> {
    let chain = answer["signed_certificate_embedded_sct"]["chain"]["certificates"].as_array();
    let chain = chain.unwrap_or_else(|| panic!("no chain: {answer}"));
    let read = |pem: &Value| {
        let pem = pem.as_str().expect("PEM is a text");
        Certificate::from_pem(pem.as_bytes()).expect("it is a certificate")
    };
    chain.iter().map(read).collect()
}

/// An element of DER.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u8::try_from(content.len()).expect("it is short");
    let head = match length {
        ..0x80 => vec![tag, length],
        _ => vec![tag, 0x81, length],
    };
    [head, content].concat()
}

/// PKCS#10, without a name (RFC 2986), as sigstore-python sends one.
fn certificate_request(key: &PrivateKey) -> Vec<u8> {
    let nobody = element(0x30, &[]);
    let spki = key.public_key().spki_der();
    let info = element(0x30, &[&[2, 1, 0], &nobody, spki, &[0xa0, 0]]);
    let signature = key.sign(&info).expect("the key signs");
    // ecdsa-with-SHA256
    let algorithm = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let der = element(0x30, &[&info, &algorithm, &element(3, &[&[0], &signature])]);
    let pem = STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{pem}\n-----END CERTIFICATE REQUEST-----\n")
        .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn grpcio_uses_it_as_a_fulcio_of_version_2() {
    let python = require_or_skip!("python-grpc");
    let world = World::of_people().await;
    let key = new_key(Algorithm::EcdsaP256);
    let proof = key.sign(b"jane@example.org").expect("the key signs");
    let request = certificate_request(&key);
    let given = json!({
        "token": world.issuer.token(json!({})),
        "key": key.public_key().to_pem(),
        "proof": STANDARD.encode(proof),
        "request": STANDARD.encode(request),
    });
    let address = world.url.strip_prefix("http://").expect("it has no TLS");
    let sandbox = Sandbox::new();
    let finished = tokio::task::block_in_place(|| {
        let program = sandbox.command(python).arg(client()).arg(address);
        program.stdin(given.to_string()).run().success()
    });
    let said: Value = serde_json::from_slice(finished.stdout_bytes()).unwrap();

    for name in ["certificate", "by metadata", "by request"] {
        let chain = certificates(&said[name]);
        let [leaf, ca, root] = &chain[..] else {
            panic!("{name}: {} certificates", chain.len())
        };
        assert_eq!(root, &world.root, "{name}");
        assert_eq!(leaf.public_key().unwrap(), key.public_key(), "{name}");
        let jane = SubjectAltName::Email("jane@example.org".to_owned());
        assert_eq!(leaf.subject_alt_names(), [jane], "{name}");
        let [sct] = leaf.signed_certificate_timestamps() else {
            panic!("{name}: one promise")
        };
        verify_embedded_sct(leaf, ca, sct, world.ct.public_key()).unwrap();
    }
    for (name, code, message) in [
        (
            "no token",
            "INVALID_ARGUMENT",
            "There was an error processing the identity token: there is none",
        ),
        (
            "bad token",
            "INVALID_ARGUMENT",
            "There was an error processing the identity token",
        ),
        (
            "no key",
            "INVALID_ARGUMENT",
            "The public key supplied in the request could not be parsed",
        ),
        (
            "bad proof",
            "INVALID_ARGUMENT",
            "The signature supplied in the request could not be verified",
        ),
        (
            "bad request",
            "INVALID_ARGUMENT",
            "The certificate signing request could not be parsed",
        ),
        (
            "empty",
            "INVALID_ARGUMENT",
            "There was an error processing the identity token: there is none",
        ),
        ("nonsense", "INVALID_ARGUMENT", "not the message"),
        ("too large", "RESOURCE_EXHAUSTED", "at most 4194304"),
        ("unknown method", "UNIMPLEMENTED", "CA/Nothing"),
    ] {
        assert_eq!(said[name]["code"], code, "{name}: {}", said[name]);
        let found = said[name]["message"].as_str().unwrap();
        assert!(
            found.starts_with(message) || found.contains(message),
            "{name}: {found}"
        );
    }

    // What is read is what HTTP gives.
    let http = |path: &'static str| {
        let request = world.http.get(format!("{}{path}", world.url));
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    assert_eq!(said["bundle"], http("/api/v2/trustBundle").await);
    let configuration = http("/api/v2/configuration").await;
    let issuer = &said["configuration"]["issuers"][0];
    assert_eq!(
        issuer["issuer_url"],
        configuration["issuers"][0]["issuerUrl"]
    );
    assert_eq!(issuer["audience"], "sigstore");
    assert_eq!(issuer["challenge_claim"], "email");
    assert_eq!(issuer["issuer_type"], "email");

    assert_eq!(said["health"], json!(["SERVING", "SERVING"]));
    let services = ["dev.sigstore.fulcio.v2.CA", "grpc.health.v1.Health"];
    assert_eq!(said["services"], json!(services));
}
