//! Certificates, as callers ask for them over HTTP, and what the CT log then shows of them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod clocks;
mod elsewhere;
mod faults;
mod grpc;
mod issuers;
mod world;

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_server::ca::Authority;
use sealmark_tlog::Hash;
use sealmark_tlog::merkle::{leaf_hash, verify_inclusion};
use sealmark_x509::{
    Certificate, ExtendedKeyUsage, FulcioExtension, Purpose, SubjectAltName, verify_chain,
    verify_embedded_sct,
};
use serde_json::{Value, json};

use world::*;

fn key(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::generate(algorithm).expect("there is randomness")
}

#[tokio::test]
async fn who_brings_a_token_gets_a_certificate_that_the_log_has() {
    let world = World::of_people().await;
    let kinds = [
        Algorithm::EcdsaP256,
        Algorithm::EcdsaP384,
        Algorithm::EcdsaP521,
        Algorithm::Ed25519,
        Algorithm::Rsa2048,
    ];
    for (at, algorithm) in kinds.into_iter().enumerate() {
        let key = key(algorithm);
        let token = world.issuer.token(json!({}));
        // Libraries sign one or the other.
        let challenge = ["jane@example.org", "1234"][at % 2];
        let (status, answer) = world.ask(&key, &token, challenge).await;
        assert_eq!(status, 200, "{answer}");
        let chain = chain(&answer);
        let [leaf, ca, root] = &chain[..] else {
            panic!("{} certificates", chain.len())
        };
        assert_eq!(root, &world.root);
        let time = leaf.validity().not_before.unix_seconds();
        let roots = std::slice::from_ref(root);
        let paths = verify_chain(
            leaf,
            std::slice::from_ref(ca),
            roots,
            time,
            Purpose::CodeSigning,
        );
        paths.unwrap();
        assert_eq!(leaf.public_key().unwrap(), key.public_key());
        assert_eq!(leaf.validity().seconds(), 600);
        assert_eq!(leaf.subject(), "");
        assert_eq!(leaf.extended_key_usage(), [ExtendedKeyUsage::CodeSigning]);
        assert_eq!(
            leaf.subject_alt_names(),
            [SubjectAltName::Email("jane@example.org".to_owned())]
        );
        let fulcio: Vec<_> = leaf.fulcio().iter().collect();
        let url = world.issuer.url.as_str();
        assert_eq!(
            fulcio,
            [
                (FulcioExtension::IssuerV1, url),
                (FulcioExtension::Issuer, url),
                (FulcioExtension::TokenSubject, "1234"),
            ]
        );
        // The promise is of this certificate, and says where in the log it is.
        let [sct] = leaf.signed_certificate_timestamps() else {
            panic!("one promise")
        };
        verify_embedded_sct(leaf, ca, sct, world.ct.public_key()).unwrap();
        assert_eq!(sct.extensions, [0, 0, 5, 0, 0, 0, 0, at as u8]);
        in_the_log(&world, at as u64, leaf, sct.timestamp).await;
    }
}

async fn get(world: &World, path: &str) -> Value {
    let answer = world
        .http
        .get(format!("{}/{path}", world.ct_url))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

/// As a monitor looks, in both ways that there are.
async fn in_the_log(world: &World, index: u64, leaf: &Certificate, time: u64) {
    let sth = get(world, "ct/v1/get-sth").await;
    let size = sth["tree_size"].as_u64().unwrap();
    assert_eq!(size, index + 1);
    let path = format!("ct/v1/get-entry-and-proof?leaf_index={index}&tree_size={size}");
    let entry = get(world, &path).await;
    let input = STANDARD
        .decode(entry["leaf_input"].as_str().unwrap())
        .unwrap();
    assert_eq!(input[..2], [0, 0]);
    assert_eq!(input[2..10], time.to_be_bytes());
    let proof: Vec<Hash> = entry["audit_path"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hash| Hash::from_base64(hash.as_str().unwrap()).unwrap())
        .collect();
    let root = Hash::from_base64(sth["sha256_root_hash"].as_str().unwrap()).unwrap();
    verify_inclusion(index, size, &leaf_hash(&input), &proof, &root).unwrap();
    let extra = STANDARD
        .decode(entry["extra_data"].as_str().unwrap())
        .unwrap();
    let length = u32::from_be_bytes([0, extra[0], extra[1], extra[2]]) as usize;
    let precertificate = Certificate::from_der(&extra[3..3 + length]).unwrap();
    assert!(precertificate.is_precertificate() && !leaf.is_precertificate());
    assert_eq!(
        precertificate.serial().to_string(),
        leaf.serial().to_string()
    );
    let tile = format!("{}/tile/data/000.p/{size}", world.ct_url);
    let tile = world
        .http
        .get(tile)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let of_tile = tile
        .windows(input.len() - 2)
        .position(|window| window == &input[2..]);
    assert!(of_tile.is_some());
    let checkpoint = world
        .http
        .get(format!("{}/checkpoint", world.ct_url))
        .send()
        .await
        .unwrap();
    let checkpoint = checkpoint.text().await.unwrap();
    let head = format!(
        "ct.example/log\n{size}\n{}\n\n\u{2014} ct.example/log ",
        root.to_base64()
    );
    assert!(checkpoint.starts_with(&head), "{checkpoint}");
}

#[tokio::test]
async fn clients_of_the_old_interface_get_pem() {
    let world = World::of_people().await;
    let key = key(Algorithm::EcdsaP256);
    let token = world.issuer.token(json!({}));
    let proof = STANDARD.encode(key.sign(b"jane@example.org").unwrap());
    let body = json!({
        "publicKey": {"content": STANDARD.encode(key.public_key().to_pem()), "algorithm": "ecdsa"},
        "signedEmailAddress": proof,
        // As cosign 2 writes what it does not send.
        "certificateSigningRequest": null,
    });
    let (status, pem) = world
        .post("/api/v1/signingCert", Some(&token), &body.to_string())
        .await;
    assert_eq!(status, 201, "{pem}");
    assert!(pem.ends_with("-----END CERTIFICATE-----"));
    let chain = Certificate::chain_from_pem(pem.as_bytes()).unwrap();
    assert_eq!(chain.len(), 3);
    let root = world
        .http
        .get(format!("{}/api/v1/rootCert", world.url))
        .send()
        .await
        .unwrap();
    assert_eq!(
        root.headers()["content-type"],
        "application/pem-certificate-chain"
    );
    let root = Certificate::chain_from_pem(&root.bytes().await.unwrap()).unwrap();
    assert_eq!(root, chain[1..]);
    let bundle = world
        .http
        .get(format!("{}/api/v2/trustBundle", world.url))
        .send()
        .await
        .unwrap();
    let bundle: Value = bundle.json().await.unwrap();
    assert_eq!(bundle["chains"][0]["certificates"][1], root[1].to_pem());
}

#[tokio::test]
async fn a_shorter_life_may_be_asked_for() {
    let world = World::of_people().await;
    let key = key(Algorithm::Ed25519);
    for (seconds, status) in [(60, 200), (600, 200), (0, 400), (601, 400)] {
        let body = json!({
            "credentials": {"oidcIdentityToken": world.issuer.token(json!({}))},
            "publicKeyRequest": {
                "publicKey": {"content": key.public_key().to_pem()},
                "proofOfPossession": STANDARD.encode(key.sign(b"1234").unwrap()),
            },
            "lifetimeSeconds": seconds,
        });
        let (got, text) = world
            .post("/api/v2/signingCert", None, &body.to_string())
            .await;
        assert_eq!(got, status, "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        match status {
            200 => assert_eq!(chain(&answer)[0].validity().seconds(), seconds),
            _ => assert!(text.contains("from 1 to 600"), "{text}"),
        }
    }
}

#[tokio::test]
async fn a_refusal_says_why_and_nothing_is_logged() {
    let world = World::of_people().await;
    let key = key(Algorithm::EcdsaP256);
    let token = |claims| world.issuer.token(claims);
    let wrong_key = {
        let mut other = world.issuer.clone();
        other.key = self::key(Algorithm::EcdsaP256);
        other.token(json!({}))
    };
    let expired = json!({"exp": now() - 5});
    for (token, challenge, message) in [
        (
            "x".to_owned(),
            "1234",
            "There was an error processing the identity token: it is not an identity token (JWT): it has no dots",
        ),
        (
            token(json!({"iss": "https://evil.example"})),
            "1234",
            "is not one that this CA believes",
        ),
        (
            token(json!({"aud": "other"})),
            "1234",
            "its audience is \"other\", not \"sigstore\"",
        ),
        (token(expired), "1234", "it expired"),
        (
            token(json!({"email_verified": false})),
            "1234",
            "does not say that the address is the person's",
        ),
        (wrong_key, "1234", "its signature is not one by a key that"),
        (
            token(json!({})),
            "eve@example.org",
            "The signature supplied in the request could not be verified",
        ),
    ] {
        let (status, answer) = world.ask(&key, &token, challenge).await;
        assert_eq!((status, &answer["code"]), (400, &json!(3)), "{answer}");
        let found = answer["message"].as_str().unwrap();
        assert!(found.contains(message), "{found}");
        // Who reads the message must not have the token.
        assert!(!found.contains(&token) || token.len() < 10);
    }
    let good = token(json!({}));
    let body = |key: &str, proof: &str| {
        json!({
            "credentials": {"oidcIdentityToken": good},
            "publicKeyRequest": {"publicKey": {"content": key}, "proofOfPossession": proof},
        })
        .to_string()
    };
    let csr = |text: &str| {
        json!({"credentials": {"oidcIdentityToken": good}, "certificateSigningRequest": STANDARD.encode(text)}).to_string()
    };
    let pem = key.public_key().to_pem();
    for (body, message) in [
        (
            "{".to_owned(),
            "The body is not a request for a certificate",
        ),
        (
            "{}".to_owned(),
            "there is none: send it in credentials.oidcIdentityToken",
        ),
        (
            body("", "AA=="),
            "The public key supplied in the request could not be parsed",
        ),
        (
            body(&pem, "AA=="),
            "The signature supplied in the request could not be verified",
        ),
        (
            body(&pem, "!"),
            "The signature supplied in the request could not be verified",
        ),
        (
            csr("x"),
            "The certificate signing request could not be parsed",
        ),
    ] {
        let (status, text) = world.post("/api/v2/signingCert", None, &body).await;
        assert!(status == 400 && text.contains(message), "{status} {text}");
    }
    let (status, text) = world
        .post("/api/v2/signingCert", None, &" ".repeat((4 << 20) + 1))
        .await;
    assert!(status == 413, "{status} {text}");
    let (status, text) = world.post("/api/v2/trustBundle", None, "").await;
    assert_eq!(
        (status, text.as_str()),
        (
            501,
            r#"{"code":12,"details":[],"message":"Method Not Allowed"}"#
        )
    );
    let (status, text) = world.post("/api/v2/nothing", None, "").await;
    assert_eq!(
        (status, text.as_str()),
        (404, r#"{"code":5,"details":[],"message":"Not Found"}"#)
    );
    let sth = get(&world, "ct/v1/get-sth").await;
    assert_eq!(sth["tree_size"], 0);
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_found_and_a_storm_of_them_is_not() {
    let world = World::of_people().await;
    let key = key(Algorithm::Ed25519);
    let (status, _) = world
        .ask(&key, &world.issuer.token(json!({})), "1234")
        .await;
    assert_eq!(
        (status, world.issuer.asked.load(Ordering::SeqCst)),
        (200, 2)
    );
    for _ in 0..20 {
        let (status, _) = world
            .ask(&key, &world.issuer.token(json!({})), "1234")
            .await;
        assert_eq!(status, 200);
    }
    assert_eq!(world.issuer.asked.load(Ordering::SeqCst), 2);
    // Tokens with keys that nobody has: the issuer is not asked for each.
    *world.issuer.kid.lock().unwrap() = "k2".to_owned();
    for _ in 0..20 {
        let (status, answer) = world
            .ask(&key, &world.issuer.token(json!({})), "1234")
            .await;
        let message = answer["message"].as_str().unwrap();
        assert!(
            status == 400 && message.contains("\"k2\", which"),
            "{answer}"
        );
    }
    assert_eq!(world.issuer.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_issuer_that_lies_or_breaks_is_told_apart_from_a_bad_token() {
    let huge = json!({"keys": vec![json!({"kty": "oct"}); 100_000]}).to_string();
    for (status, text, message) in [
        (200, "<html>", "not a set of keys (JWKS)"),
        (200, huge.as_str(), "answered more than 1048576 bytes"),
        (302, "", "redirects are not followed"),
        (500, "", "answered 500 Internal Server Error"),
    ] {
        let world = World::of_people().await;
        *world.issuer.instead.lock().unwrap() = Some((status, text.to_owned()));
        let key = key(Algorithm::Ed25519);
        let (status, answer) = world
            .ask(&key, &world.issuer.token(json!({})), "1234")
            .await;
        let found = answer["message"].as_str().unwrap();
        assert!(status == 503 && found.contains(message), "{answer}");
        assert!(found.contains(&format!("the keys of the issuer {}", world.issuer.url)));
    }
}

#[tokio::test]
async fn rules_and_single_use_restrict_an_issuer() {
    let world = World::start(|url| {
        format!(
            "oidc-issuers:\n  {url}:\n    client-id: sigstore\n    type: email\n    single-use-tokens: true\n    allow:\n      - hd == \"example.org\"\n"
        )
    })
    .await;
    let key = key(Algorithm::Ed25519);
    let (status, answer) = world
        .ask(&key, &world.issuer.token(json!({})), "1234")
        .await;
    let message = answer["message"].as_str().unwrap();
    assert!(
        status == 400 && message.contains("meets none of the rules: hd == \"example.org\""),
        "{answer}"
    );
    let token = world.issuer.token(json!({"hd": "example.org"}));
    assert_eq!(world.ask(&key, &token, "1234").await.0, 200);
    // Nor with another signature of the issuer's key over the same.
    for token in [token.clone(), world.issuer.signed_again(&token)] {
        let (status, answer) = world.ask(&key, &token, "1234").await;
        assert!(
            status == 400 && answer["message"].as_str().unwrap().contains("used already"),
            "{answer}"
        );
    }
    let configuration = world
        .http
        .get(format!("{}/api/v2/configuration", world.url))
        .send()
        .await
        .unwrap();
    let configuration: Value = configuration.json().await.unwrap();
    assert_eq!(
        configuration["issuers"][0],
        json!({
            "issuerUrl": world.issuer.url, "audience": "sigstore", "challengeClaim": "email", "spiffeTrustDomain": "",
            "issuerType": "email", "subjectDomain": "", "skipEmailVerification": false,
        })
    );
}

#[tokio::test]
async fn other_cas_may_log_too_if_the_log_knows_their_root() {
    let world = World::of_people().await;
    let key = key(Algorithm::Ed25519);
    let (_, answer) = world
        .ask(&key, &world.issuer.token(json!({})), "1234")
        .await;
    let chain: Vec<String> = chain(&answer)
        .iter()
        .map(|it| STANDARD.encode(it.der()))
        .collect();
    let add = async |endpoint: &str, chain: &[String]| {
        let url = format!("{}/ct/v1/{endpoint}", world.ct_url);
        let answer = world
            .http
            .post(url)
            .body(json!({"chain": chain}).to_string())
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    // The final certificate, without its root; then again.
    let (status, first) = add("add-chain", &chain[..2]).await;
    assert_eq!(status, 200, "{first}");
    let (status, second) = add("add-chain", &chain).await;
    assert_eq!(status, 200, "{second}");
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    for field in ["timestamp", "extensions", "id"] {
        assert_eq!(parse(&first)[field], parse(&second)[field]);
    }
    let other = Authority::root(new_key(Algorithm::EcdsaP384), "example.com", "other", now())
        .unwrap()
        .certificate;
    let other = STANDARD.encode(other.der());
    for (endpoint, chain, reason) in [
        (
            "add-pre-chain",
            &chain[..],
            "Bad Request\nit is not a precertificate",
        ),
        ("add-chain", &chain[..1], "leads to no root"),
        ("add-chain", &[other], "leads to no root"),
        ("add-chain", &[], "the chain is empty"),
        (
            "add-chain",
            &[chain[0].clone(), chain[2].clone()],
            "is not signed by",
        ),
        ("add-chain", &["AA==".to_owned()], "certificate 0:"),
    ] {
        let (status, text) = add(endpoint, chain).await;
        assert!(status == 400 && text.contains(reason), "{status} {text}");
    }
    let entries = get(&world, "ct/v1/get-entries?start=0&end=10").await;
    assert_eq!(entries["entries"].as_array().unwrap().len(), 2);
    let roots = get(&world, "ct/v1/get-roots").await;
    assert_eq!(
        roots["certificates"],
        json!([STANDARD.encode(world.root.der())])
    );
    let issuer = world.root.fingerprint().hex();
    let issuer = world
        .http
        .get(format!("{}/issuer/{issuer}", world.ct_url))
        .send()
        .await
        .unwrap();
    assert_eq!(issuer.bytes().await.unwrap(), world.root.der());
}
