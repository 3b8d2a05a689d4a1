//! OpenPGP: the canonical form of a keyring or a signature can be read, and nobody signed what was never signed.
#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_keys::openpgp::{Cleartext, Detached, KeyRing};
use serde_json::Value;

/// Keyrings of the tests.
static RINGS: LazyLock<Vec<KeyRing>> = LazyLock::new(|| {
    let cases: [&str; 4] = [
        include_str!("../../crates/entries/tests/fixtures/rekor-1.5.3/rekord-pgp-rsa2048.json"),
        include_str!("../../crates/entries/tests/fixtures/rekor-1.5.3/rekord-pgp-p256.json"),
        include_str!("../../crates/entries/tests/fixtures/rekor-1.5.3/rekord-pgp-ed25519.json"),
        include_str!(
            "../../crates/entries/tests/fixtures/rekor-1.5.3/rekord-pgp-signing-subkey.json"
        ),
    ];
    let ring = |case: &str| {
        let case: Value = serde_json::from_str(case).ok()?;
        let key = case.pointer("/proposed/spec/signature/publicKey/content")?;
        KeyRing::parse(&STANDARD.decode(key.as_str()?).ok()?).ok()
    };
    cases
        .into_iter()
        .map(|case| ring(case).expect("a keyring of the tests"))
        .collect()
});

sealmark_fuzz::target!([], |data| {
    let mut accepted = false;
    if let Some(ring) = sealmark_fuzz::read(KeyRing::parse(data)) {
        let canonical = ring.to_armor();
        KeyRing::parse(canonical.as_bytes()).expect("the canonical form can be read");
        assert!(ring.emails().iter().all(|email| email.contains('@')));
        accepted = true;
    }
    if let Some(signature) = sealmark_fuzz::read(Detached::parse(data)) {
        let canonical = signature.canonical();
        let again = Detached::parse(&canonical).expect("the canonical form can be read");
        assert_eq!(again.canonical(), canonical);
        for ring in RINGS.iter() {
            let verified = signature.verify(ring, b"never signed");
            assert!(sealmark_fuzz::read(verified).is_none());
        }
        accepted = true;
    }
    if let Some(message) = sealmark_fuzz::read(Cleartext::parse(data)) {
        let lines = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count();
        assert!(lines(&message.signed) <= lines(&message.text));
        accepted = true;
    }
    accepted
});
