//! Tokens, keys and requests that somebody made up: each is refused, says why, and leaves nothing in the CT log.

use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sealmark_keys::Algorithm;
use serde_json::{Value, json};

use crate::world::*;

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// The claims of a good token.
fn claims(world: &World) -> Value {
    json!({
        "iss": world.issuer.url, "aud": "sigstore", "sub": "1234", "exp": now() + 60,
        "email": "jane@example.org", "email_verified": true,
    })
}

/// HMAC with SHA-256, as everybody can compute it with the issuer's public key.
fn hs256(secret: &[u8], signed: &str) -> String {
    use aws_lc_rs::hmac;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

#[tokio::test]
async fn a_token_that_its_issuer_did_not_sign_is_none() {
    let world = World::of_people().await;
    let issuer = &world.issuer;
    let public = issuer.key.public_key();
    let good = issuer.token(json!({}));
    let unsigned = |alg: &str| format!("{}.{}.", part(&json!({"alg": alg})), part(&claims(&world)));
    let keyed = |secret: &[u8]| {
        let header = json!({"alg": "HS256", "kid": "k1"});
        hs256(
            secret,
            &format!("{}.{}", part(&header), part(&claims(&world))),
        )
    };
    let (signed, signature) = good.rsplit_once('.').expect("it has dots");
    let mut other = claims(&world);
    other["email"] = json!("eve@example.org");
    let moved = format!(
        "{}.{}.{signature}",
        part(&json!({"alg": "ES256", "kid": "k1"})),
        part(&other)
    );
    let header = |more: Value| {
        let mut header = json!({"alg": "ES256", "kid": "k1"});
        for (name, value) in more.as_object().expect("an object") {
            header[name] = value.clone();
        }
        header
    };
    // Keys that the token brings along itself, by somebody else.
    let mut eve = issuer.clone();
    eve.key = new_key(Algorithm::EcdsaP256);
    let spki = eve.key.public_key().spki_der();
    let (x, y) = spki[spki.len() - 64..].split_at(32);
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "k1", "x": encode(x), "y": encode(y)});
    let canary = Issuer::start().await;
    let deep = format!("{}.{}.AA", part(&json!({"alg": "ES256"})), {
        URL_SAFE_NO_PAD.encode("[".repeat(30_000))
    });
    let not_a_token = "is not an identity token (JWT)";
    let foreign = "its signature is not one by a key that";
    for (what, token, message) in [
        ("unsigned", unsigned("none"), "it is signed with \"none\""),
        ("unsigned", unsigned("None"), "it is signed with \"None\""),
        ("unsigned", unsigned("NONE"), "it is signed with \"NONE\""),
        ("unsigned", unsigned(""), "it is signed with \"\""),
        ("without signature", format!("{signed}."), foreign),
        (
            "HS256, the key's PEM",
            keyed(public.to_pem().as_bytes()),
            "it is signed with \"HS256\"",
        ),
        (
            "HS256, the key's DER",
            keyed(public.spki_der()),
            "it is signed with \"HS256\"",
        ),
        ("HS256, nothing", keyed(b""), "it is signed with \"HS256\""),
        (
            "another algorithm than the issuer's",
            issuer.token_with(&json!({"alg": "RS256", "kid": "k1"}), json!({})),
            "it is signed with \"RS256\"; its issuer signs with ES256",
        ),
        ("the signature of another", moved, foreign),
        (
            "with its own key",
            eve.token_with(&header(json!({"jwk": jwk})), json!({})),
            foreign,
        ),
        (
            "with an address of its key",
            eve.token_with(
                &header(json!({"jku": canary.url, "x5u": canary.url})),
                json!({}),
            ),
            foreign,
        ),
        (
            "with demands",
            issuer.token_with(&header(json!({"crit": ["b64"], "b64": false})), json!({})),
            "\"crit\"",
        ),
        // GHSA-f83f-xpx7-ffpw: memory by dots.
        ("a million dots", ".".repeat(1_000_000), not_a_token),
        ("ten thousand dots", ".".repeat(10_000), not_a_token),
        ("four parts", format!("{good}.AA"), not_a_token),
        ("two parts", signed.to_owned(), not_a_token),
        ("nested deeply", deep, not_a_token),
        (
            "too long",
            format!("{signed}.{}", "A".repeat(65_536)),
            not_a_token,
        ),
        (
            "expired",
            issuer.token(json!({"exp": now() - 1})),
            "it expired",
        ),
        ("without end", issuer.token(json!({"exp": null})), "\"exp\""),
        (
            "a text for its end",
            issuer.token(json!({"exp": "tomorrow"})),
            "\"exp\"",
        ),
        (
            "not yet",
            issuer.token(json!({"nbf": now() + 3600})),
            "it is valid only in",
        ),
        (
            "for somebody else",
            issuer.token(json!({"aud": "sigstore.example"})),
            "its audience is \"sigstore.example\", not \"sigstore\"",
        ),
        (
            "for nobody",
            issuer.token(json!({"aud": []})),
            "its audience is []",
        ),
        (
            "for all",
            issuer.token(json!({"aud": null})),
            "its audience is",
        ),
        (
            "of nobody",
            issuer.token(json!({"iss": null})),
            "is not one that this CA believes",
        ),
        (
            "of several",
            issuer.token(json!({"iss": [issuer.url]})),
            "is not one that this CA believes",
        ),
        (
            "of nearly the same",
            issuer.token(json!({"iss": format!("{}/", issuer.url)})),
            "is not one that this CA believes",
        ),
    ] {
        let key = new_key(Algorithm::EcdsaP256);
        let (status, answer) = world.ask(&key, &token, "jane@example.org").await;
        let found = answer["message"].as_str().expect("a message");
        assert!(status == 400 && found.contains(message), "{what}: {answer}");
        assert!(found.len() < 2000, "{what}: {} bytes", found.len());
    }
    assert_eq!(canary.asked.load(std::sync::atomic::Ordering::SeqCst), 0);
    // The very one from which they were made is good.
    let key = new_key(Algorithm::EcdsaP256);
    let (status, answer) = world.ask(&key, &good, "jane@example.org").await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(logged(&world).await, 1);
}

/// How many entries the CT log has.
async fn logged(world: &World) -> u64 {
    let sth = world.http.get(format!("{}/ct/v1/get-sth", world.ct_url));
    let sth: Value = sth.send().await.unwrap().json().await.unwrap();
    sth["tree_size"].as_u64().expect("a size")
}

fn openssl(folder: &std::path::Path, words: &str) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(words.split(' '))
        .current_dir(folder)
        .output()
        .expect("openssl is installed");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "openssl {words}: {said}");
    output.stdout
}

#[tokio::test]
async fn a_request_that_another_key_signed_gets_nothing() {
    let world = World::of_people().await;
    let folder = tempfile::tempdir().unwrap();
    let run = |words: &str| openssl(folder.path(), words);
    for name in ["own", "other"] {
        run(&format!(
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}.pem"
        ));
    }
    let request = |key: &str| run(&format!("req -new -key {key}.pem -subj /CN=x -outform DER"));
    let (own, other) = (request("own"), request("other"));
    let public = run("pkey -in own.pem -pubout -outform DER");
    let foreign = run("pkey -in other.pem -pubout -outform DER");
    // The same request with another's key in it, which the signature is not by.
    let at = own
        .windows(public.len())
        .position(|window| window == public)
        .expect("the request has the key");
    let mut swapped = own.clone();
    swapped[at..at + foreign.len()].copy_from_slice(&foreign);
    let mut cut = other.clone();
    cut.truncate(other.len() - 1);
    let mut long = own.clone();
    long.push(0);
    for (what, request, message) in [
        ("another's key", swapped, "could not be verified"),
        ("cut", cut, "request could not be parsed"),
        ("with more behind it", long, "request could not be parsed"),
        ("a key, no request", public, "request could not be parsed"),
        (
            "nothing but size",
            vec![0x30; 200_000],
            "request could not be parsed",
        ),
    ] {
        let body = json!({
            "credentials": {"oidcIdentityToken": world.issuer.token(json!({}))},
            "certificateSigningRequest": STANDARD.encode(request),
        });
        let body = body.to_string();
        let (status, text) = world.post("/api/v2/signingCert", None, &body).await;
        assert!(
            status == 400 && text.contains(message),
            "{what}: {status} {text}"
        );
    }
    let good = json!({
        "credentials": {"oidcIdentityToken": world.issuer.token(json!({}))},
        "certificateSigningRequest": STANDARD.encode(own),
    });
    let (status, text) = world
        .post("/api/v2/signingCert", None, &good.to_string())
        .await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(logged(&world).await, 1);
}

#[tokio::test]
async fn weak_and_strange_keys_get_nothing() {
    let world = World::of_people().await;
    let folder = tempfile::tempdir().unwrap();
    let insecure = "The public key supplied in the request is insecure";
    let parsed = "The public key supplied in the request could not be parsed";
    for (options, csr, message) in [
        ("RSA -pkeyopt rsa_keygen_bits:1024", true, "1024"),
        ("RSA -pkeyopt rsa_keygen_bits:1024", false, parsed),
        ("RSA -pkeyopt rsa_keygen_bits:2304", true, insecure),
        ("RSA -pkeyopt rsa_keygen_bits:2304", false, insecure),
        ("EC -pkeyopt ec_paramgen_curve:P-224", false, parsed),
        ("EC -pkeyopt ec_paramgen_curve:secp256k1", false, parsed),
        (
            "EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit",
            false,
            parsed,
        ),
        ("ED448", false, parsed),
        ("X25519", false, parsed),
    ] {
        let run = |words: &str| openssl(folder.path(), words);
        run(&format!("genpkey -algorithm {options} -out key.pem"));
        let mut body = json!({"credentials": {"oidcIdentityToken": world.issuer.token(json!({}))}});
        if csr {
            let request = run("req -new -key key.pem -subj /CN=x");
            body["certificateSigningRequest"] = STANDARD.encode(request).into();
        } else {
            let public = run("pkey -in key.pem -pubout");
            std::fs::write(folder.path().join("challenge"), "jane@example.org").unwrap();
            let proof = match options.starts_with("RSA") {
                true => run("dgst -sha256 -sign key.pem challenge"),
                false => vec![0; 64],
            };
            body["publicKeyRequest"] = json!({
                "publicKey": {"content": String::from_utf8(public).unwrap()},
                "proofOfPossession": STANDARD.encode(proof),
            });
        }
        let (status, text) = world
            .post("/api/v2/signingCert", None, &body.to_string())
            .await;
        assert!(
            status == 400 && text.contains(message),
            "{options}: {status} {text}"
        );
    }
    assert_eq!(logged(&world).await, 0);
}
