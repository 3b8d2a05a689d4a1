//! minisign: the canonical form of a key or a signature is read as the same.
#![no_main]

use sealmark_keys::minisign::{PublicKey, Signature};

sealmark_fuzz::target!([], |data| {
    let mut accepted = false;
    if let Some(key) = sealmark_fuzz::read(PublicKey::parse(data)) {
        sealmark_fuzz::same(&key, PublicKey::parse(key.canonical().as_bytes()));
        accepted = true;
    }
    if let Some(signature) = sealmark_fuzz::read(Signature::parse(data)) {
        sealmark_fuzz::same(
            &signature,
            Signature::parse(signature.canonical().as_bytes()),
        );
        accepted = true;
    }
    accepted
});
