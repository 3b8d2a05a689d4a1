//! Files with private keys: what is read without a password is written and read again as the same key; no password is
//! asked for but for files that say that they are encrypted.
#![no_main]

use sealmark_keys::{Error, PrivateKey};

sealmark_fuzz::target!([], |data| {
    let mut asked = 0;
    let encrypted = PrivateKey::is_encrypted_pem(data);
    let read = PrivateKey::from_pem(data, || {
        asked += 1;
        Err(Error::WrongPassword)
    });
    assert!(asked == 0 || encrypted == Some(true) && asked == 1 && read.is_err());
    if let Some(key) = sealmark_fuzz::read(read) {
        assert_eq!(encrypted, Some(false));
        let written = key
            .to_pkcs8_der()
            .expect("a key that was read can be written");
        let again = PrivateKey::from_pkcs8_der(&written).expect("what was written can be read");
        assert!(again.public_key() == key.public_key());
        return true;
    }
    asked == 1
});
