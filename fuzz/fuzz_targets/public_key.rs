//! Public keys, in PEM and DER: what is read is written and read again as the same key.
#![no_main]

use sealmark_keys::PublicKey;

sealmark_fuzz::target!([], |data| {
    let (pem, der) = (PublicKey::from_pem(data), PublicKey::from_spki_der(data));
    let Some(key) = sealmark_fuzz::read(pem).or_else(|| sealmark_fuzz::read(der)) else {
        return false;
    };
    sealmark_fuzz::same(&key, PublicKey::from_pem(key.to_pem().as_bytes()));
    sealmark_fuzz::same(&key, PublicKey::from_spki_der(key.spki_der()));
    let _ = (key.id().hint(), key.algorithm_name(), key.hash());
    true
});
