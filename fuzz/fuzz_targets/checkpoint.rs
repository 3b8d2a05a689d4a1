//! Checkpoints: a checkpoint is exactly what is written when it is displayed; none is signed by a key that signs none.
#![no_main]

use std::sync::LazyLock;

use sealmark_keys::PublicKey;
use sealmark_tlog::{Checkpoint, Note, Origin, cosignature};

static KEYS: LazyLock<[PublicKey; 2]> = LazyLock::new(|| {
    let key = |pem: &[u8]| PublicKey::from_pem(pem).expect("a key of the tests");
    [
        key(include_bytes!(
            "../../crates/keys/tests/fixtures/p256.pub.pem"
        )),
        key(include_bytes!(
            "../../crates/keys/tests/fixtures/ed25519.pub.pem"
        )),
    ]
});

sealmark_fuzz::target!([], |data| {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let note = Note::parse(text);
    for key in KEYS.iter() {
        for origin in [Origin::Named("log.example"), Origin::RekorV1] {
            assert!(Checkpoint::open(text, origin, key).is_err());
        }
        if let Ok(note) = &note {
            assert!(cosignature::verify(note, "witness.example", key).is_err());
        }
    }
    let body = note.as_ref().map_or(text, |note| &note.text);
    let Some(checkpoint) = sealmark_fuzz::read(Checkpoint::parse(body)) else {
        return false;
    };
    let _ = checkpoint.rekor_v1_tree();
    sealmark_fuzz::same(&checkpoint, Checkpoint::parse(&checkpoint.to_string()));
    true
});
