//! No parser panics on any input, and none accepts what it should not.

mod common;

use common::{fixture, open};
use proptest::prelude::*;
use sealmark_keys::{Algorithm, HashAlgorithm, PrivateKey, PublicKey};

fn pem(label: &str, content: &[u8]) -> String {
    use base64::Engine;
    let base64 = base64::engine::general_purpose::STANDARD.encode(content);
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}

const LABELS: [&str; 8] = [
    "PUBLIC KEY",
    "RSA PUBLIC KEY",
    "PRIVATE KEY",
    "EC PRIVATE KEY",
    "RSA PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "ENCRYPTED SIGSTORE PRIVATE KEY",
    "CERTIFICATE",
];

fn read_all(file: &[u8]) {
    let _ = PublicKey::from_pem(file);
    // The password is wrong without any work done, so that a thousand cases take no time.
    let _ = PrivateKey::from_pem(file, || Err(sealmark_keys::Error::WrongPassword));
    let _ = PrivateKey::is_encrypted_pem(file);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600), text in ".*") {
        read_all(&bytes);
        read_all(text.as_bytes());
        let _ = PublicKey::from_spki_der(&bytes);
        let _ = PrivateKey::from_pkcs8_der(&bytes);
        let _ = text.parse::<Algorithm>();
        for label in LABELS {
            read_all(pem(label, &bytes).as_bytes());
            read_all(format!("-----BEGIN {label}-----{text}").as_bytes());
        }
    }

    #[test]
    fn damaged_files(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        for name in [
            "p256.pub.pem", "rsa2048.pkcs1.pub.pem", "p256.sec1.pem", "p256.pkcs8.pem", "ed25519.pkcs8.pem",
            "rsa2048.pkcs1.pem", "p256.pbes2.pem", "p256.pbes2-scrypt.pem", "cosign-3.1.1.key",
        ] {
            let mut file = fixture(name);
            let at = at.index(file.len());
            if cut { file.truncate(at) } else { file[at] = byte }
            read_all(&file);
        }
    }

    #[test]
    fn damaged_der(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for name in ["p256", "p521", "ed25519", "rsa2048"] {
            let key = open(&fixture(&format!("{name}.pkcs8.pem")), "").unwrap();
            let mut public = key.public_key().spki_der().to_vec();
            let index = at.index(public.len());
            public[index] = byte;
            if let Ok(other) = PublicKey::from_spki_der(&public) {
                prop_assert_eq!(other.spki_der(), &public[..]);
            }
            let mut private = key.to_pkcs8_der().unwrap().to_vec();
            let index = at.index(private.len());
            private[index] = byte;
            let _ = PrivateKey::from_pkcs8_der(&private);
        }
    }

    #[test]
    fn arbitrary_signatures(signature in proptest::collection::vec(any::<u8>(), 0..300)) {
        for name in ["p256.pub.pem", "p384.pub.pem", "p521.pub.pem", "ed25519.pub.pem", "rsa2048.pub.pem"] {
            let key = PublicKey::from_pem(&fixture(name)).unwrap();
            prop_assert!(key.verify(b"message", &signature).is_err());
            let mut check = key.stream_verifier(&signature, Some(HashAlgorithm::Sha384));
            check.update(b"message");
            prop_assert!(check.finish().is_err());
        }
    }
}
