//! openssl reads what is written here, and the other way round, for every algorithm.

mod common;

use common::{found, open, open_plain, succeed};
use sealmark_keys::{Algorithm, KeyType, PrivateKey, PublicKey, Scheme};

const MESSAGE: &[u8] = b"a message for openssl";

fn generate(dir: &std::path::Path, algorithm: Algorithm) {
    let name = algorithm.name();
    let (kind, option) = match algorithm.key_type() {
        KeyType::Ecdsa(curve) => ("EC", format!("ec_paramgen_curve:{}", curve.name())),
        KeyType::Ed25519 => ("ED25519", String::new()),
        KeyType::Rsa { bits } => ("RSA", format!("rsa_keygen_bits:{bits}")),
    };
    let mut args = vec!["genpkey", "-algorithm", kind, "-out", name];
    if !option.is_empty() {
        args.extend(["-pkeyopt", &option]);
    }
    succeed("openssl", dir, &args);
}

#[test]
fn openssl_verifies_what_we_sign() {
    if !found("openssl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (dir, path) = (dir.path(), |name: &str| dir.path().join(name));
    std::fs::write(path("message"), MESSAGE).unwrap();
    for algorithm in Algorithm::ALL {
        let key = PrivateKey::generate(algorithm).unwrap();
        std::fs::write(path("key.pub"), key.public_key().to_pem()).unwrap();
        std::fs::write(path("key.der"), key.to_pkcs8_der().unwrap()).unwrap();
        let public = succeed(
            "openssl",
            dir,
            &["pkey", "-inform", "DER", "-in", "key.der", "-pubout"],
        );
        assert_eq!(public, key.public_key().to_pem());
        std::fs::write(path("sig"), key.sign(MESSAGE).unwrap()).unwrap();
        let mut args = vec![
            "pkeyutl", "-verify", "-pubin", "-inkey", "key.pub", "-rawin",
        ];
        args.extend(["-sigfile", "sig", "-in", "message"]);
        if algorithm != Algorithm::Ed25519 {
            args.extend(["-digest", key.public_key().hash().name()]);
        }
        assert!(
            succeed("openssl", dir, &args).contains("Verified Successfully"),
            "{algorithm}"
        );
    }
}

#[test]
fn we_verify_what_openssl_signs_with_any_hash_and_padding() {
    if !found("openssl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (dir, path) = (dir.path(), |name: &str| dir.path().join(name));
    std::fs::write(path("message"), MESSAGE).unwrap();
    for algorithm in Algorithm::ALL {
        generate(dir, algorithm);
        let key = open_plain(&std::fs::read(path(algorithm.name())).unwrap()).unwrap();
        let mut again = key.to_pkcs8_der().unwrap().to_vec();
        again = PrivateKey::from_pkcs8_der(&again)
            .unwrap()
            .to_pkcs8_der()
            .unwrap()
            .to_vec();
        assert_eq!(again, *key.to_pkcs8_der().unwrap());
        let public = key.public_key();
        for &scheme in public.key_type().schemes() {
            let mut args = vec!["pkeyutl", "-sign", "-inkey", algorithm.name(), "-rawin"];
            args.extend(["-in", "message", "-out", "sig"]);
            match scheme {
                Scheme::Ed25519ph => continue, // openssl has it from 3.2 on
                Scheme::Ed25519 => {}
                _ => args.extend(["-digest", scheme.hash().unwrap().name()]),
            }
            if matches!(
                scheme,
                Scheme::RsaPssSha256 | Scheme::RsaPssSha384 | Scheme::RsaPssSha512
            ) {
                args.extend(["-pkeyopt", "rsa_padding_mode:pss"]);
                args.extend(["-pkeyopt", "rsa_pss_saltlen:digest"]);
            }
            succeed("openssl", dir, &args);
            let signature = std::fs::read(path("sig")).unwrap();
            assert_eq!(
                public.verify(MESSAGE, &signature),
                Ok(scheme),
                "{algorithm}"
            );
            assert_eq!(public.verify_scheme(scheme, MESSAGE, &signature), Ok(()));
            let mut check = public.stream_verifier(&signature, scheme.hash());
            check.update(MESSAGE);
            assert_eq!(check.finish().unwrap().0, scheme);
        }
    }
}

#[test]
fn openssl_and_we_name_the_same_public_key_and_password() {
    if !found("openssl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (dir, path) = (dir.path(), |name: &str| dir.path().join(name));
    for algorithm in Algorithm::ALL {
        generate(dir, algorithm);
        let public = succeed(
            "openssl",
            dir,
            &["pkey", "-in", algorithm.name(), "-pubout"],
        );
        let public = PublicKey::from_pem(public.as_bytes()).unwrap();
        assert_eq!(public.key_type(), algorithm.key_type());
        let mut args = vec![
            "pkcs8",
            "-topk8",
            "-in",
            algorithm.name(),
            "-out",
            "encrypted",
        ];
        args.extend(["-passout", "pass:a password"]);
        succeed("openssl", dir, &args);
        let file = std::fs::read(path("encrypted")).unwrap();
        assert_eq!(open(&file, "a password").unwrap().public_key(), &public);
        assert_eq!(
            open(&file, "a passwort").unwrap_err().to_string(),
            "wrong password for the private key"
        );
    }
}

/// As Alpine's packages are signed; it is for nothing else.
#[test]
fn sha1_signatures_are_checked_only_by_the_function_that_says_so() {
    if !found("openssl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (dir, path) = (dir.path(), |name: &str| dir.path().join(name));
    std::fs::write(path("message"), MESSAGE).unwrap();
    for (algorithm, hash, good) in [
        (Algorithm::Rsa2048, "-sha1", true),
        (Algorithm::Rsa2048, "-sha256", false),
        (Algorithm::EcdsaP256, "-sha1", false),
    ] {
        generate(dir, algorithm);
        let name = algorithm.name();
        succeed(
            "openssl",
            dir,
            &["dgst", hash, "-sign", name, "-out", "sig", "message"],
        );
        let public = succeed("openssl", dir, &["pkey", "-in", name, "-pubout"]);
        let key = PublicKey::from_pem(public.as_bytes()).unwrap();
        let signature = std::fs::read(path("sig")).unwrap();
        let check =
            |message: &[u8]| key.is_rsa_sha1_signature_for_legacy_use_only(message, &signature);
        assert_eq!(check(MESSAGE), good, "{name} {hash}");
        assert!(!check(b"another message"), "{name} {hash}");
        assert_eq!(key.verify(MESSAGE, &signature).is_ok(), hash != "-sha1");
    }
}
