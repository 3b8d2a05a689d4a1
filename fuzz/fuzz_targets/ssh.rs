//! OpenSSH: the canonical form of a key or a signature is read as the same, and is its own canonical form.
#![no_main]

use sealmark_keys::ssh::{PublicKey, Signature};

sealmark_fuzz::target!([], |data| {
    let mut accepted = false;
    if let Some(key) = sealmark_fuzz::read(PublicKey::parse(data)) {
        let canonical = key.canonical();
        let again = PublicKey::parse(canonical.as_bytes()).expect("the canonical form can be read");
        assert_eq!(again.canonical(), canonical);
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
