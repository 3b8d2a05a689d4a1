//! Signatures: no bytes are a signature of a message that was never signed, for any kind of key.
#![no_main]

use std::sync::LazyLock;

use sealmark_keys::{Digest, PublicKey};

static KEYS: LazyLock<Vec<PublicKey>> = LazyLock::new(|| {
    let files: [&[u8]; 5] = [
        include_bytes!("../../crates/keys/tests/fixtures/p256.pub.pem"),
        include_bytes!("../../crates/keys/tests/fixtures/p384.pub.pem"),
        include_bytes!("../../crates/keys/tests/fixtures/p521.pub.pem"),
        include_bytes!("../../crates/keys/tests/fixtures/ed25519.pub.pem"),
        include_bytes!("../../crates/keys/tests/fixtures/rsa2048.pub.pem"),
    ];
    files
        .iter()
        .map(|pem| PublicKey::from_pem(pem).expect("a key of the tests"))
        .collect()
});

const MESSAGE: &[u8] = b"never signed";

sealmark_fuzz::target!(only [&[0; 64], &[1; 256]], |data| {
    let digest = Digest::sha256(MESSAGE);
    for key in KEYS.iter() {
        assert!(key.verify(MESSAGE, data).is_err());
        assert!(key.verify_digest(&digest, data).is_err());
        let mut stream = key.stream_verifier(data, None);
        stream.update(MESSAGE);
        assert!(stream.finish().is_err());
    }
    true
});
