//! Files of real cosign are read, and real cosign reads ours.

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{fixture, found, open, succeed};
use sealmark_keys::{Algorithm, Digest, Error, HashAlgorithm, PrivateKey, PublicKey};

const MESSAGE: &[u8] = b"a message signed by cosign 3.1.1\n";

#[test]
fn a_key_made_by_cosign_opens_with_its_password_only() {
    for (name, password) in [("cosign-3.1.1", "pw1"), ("cosign-3.1.1-empty-password", "")] {
        let file = fixture(&format!("{name}.key"));
        let public = fixture(&format!("{name}.pub"));
        let key = open(&file, password).unwrap();
        assert_eq!(key.public_key().to_pem().as_bytes(), public);
        assert_eq!(open(&file, "other").unwrap_err(), Error::WrongPassword);
    }
}

#[test]
fn every_scrypt_parameter_that_cosign_reads_is_read() {
    let public = PublicKey::from_pem(&fixture("p256.pub.pem")).unwrap();
    for name in ["p256.n32768.key", "p256.n131072.key"] {
        let file = fixture(name);
        assert_eq!(open(&file, "secret").unwrap().public_key(), &public);
        assert_eq!(open(&file, "Secret").unwrap_err(), Error::WrongPassword);
    }
}

#[test]
fn signatures_made_by_cosign_are_accepted_with_any_or_no_hint() {
    let table = String::from_utf8(fixture("cosign-signatures.txt")).unwrap();
    let mut count = 0;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let [name, how, scheme, hash, hint, signature] =
            line.split(", ").collect::<Vec<_>>().try_into().unwrap();
        let signature = STANDARD.decode(signature).unwrap();
        let password = if name == "cosign-3.1.1.key" {
            "pw1"
        } else {
            "secret"
        };
        let key = open(&fixture(name), password).unwrap();
        let public = key.public_key();
        assert_eq!(public.id().hint(), hint, "{name} {how}");

        let found = public.verify(MESSAGE, &signature).unwrap();
        assert_eq!(found.describe(public.key_type()), scheme, "{name} {how}");
        let mut check = public.stream_verifier(&signature, HashAlgorithm::from_name(hash));
        MESSAGE.chunks(5).for_each(|piece| check.update(piece));
        let (streamed, digest) = check.finish().unwrap();
        assert_eq!(streamed, found);
        assert_eq!(digest, Digest::of(digest.algorithm(), MESSAGE));
        if let Some(hash) = HashAlgorithm::from_name(hash) {
            assert_eq!(digest.algorithm(), hash);
        }
        assert!(public.verify(b"another message", &signature).is_err());
        // RFC 8032 and PKCS#1 v1.5 are deterministic.
        if scheme.starts_with("Ed25519") || scheme.starts_with("RSA") {
            assert_eq!(key.sign(MESSAGE).unwrap(), signature, "{name} {how}");
        }
        count += 1;
    }
    assert_eq!(count, 8);
}

#[test]
fn cosign_reads_keys_and_verifies_signatures_made_here() {
    if !found("cosign3") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (dir, path) = (dir.path(), |name: &str| dir.path().join(name));
    std::fs::write(path("message"), MESSAGE).unwrap();
    for algorithm in Algorithm::ALL {
        let key = PrivateKey::generate(algorithm).unwrap();
        std::fs::write(path("cosign.key"), key.to_encrypted_pem(b"secret").unwrap()).unwrap();
        std::fs::write(path("cosign.pub"), key.public_key().to_pem()).unwrap();
        let public = succeed("cosign3", dir, &["public-key", "--key", "cosign.key"]);
        assert!(
            public.contains(key.public_key().to_pem().trim()),
            "{algorithm}: {public}"
        );

        let signature = STANDARD.encode(key.sign(MESSAGE).unwrap());
        std::fs::write(path("message.sig"), signature).unwrap();
        let mut args = vec![
            "verify-blob",
            "--key",
            "cosign.pub",
            "--signature",
            "message.sig",
        ];
        args.extend(["--insecure-ignore-tlog=true", "message"]);
        // cosign takes every key's hash for SHA-256 unless told.
        let hash = format!("--signature-digest-algorithm={}", key.public_key().hash());
        args.push(&hash);
        assert!(
            succeed("cosign3", dir, &args).contains("Verified OK"),
            "{algorithm}"
        );
    }
}
