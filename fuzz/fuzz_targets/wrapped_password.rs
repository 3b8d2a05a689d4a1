//! `password.kms`, the file with the wrapped password of a server's keys: what is read is written and read again as the same,
//! and leads to no program.
#![no_main]

use sealmark_kms::KeyRef;
use sealmark_kms::wrap::Wrapped;

const SEEDS: [&[u8]; 2] = [
    br#"{"layout":1,"reference":"openbao://sigstore","key":"openbao://transit/sigstore","algorithm":"aes256-gcm96","instance":"sigstore.example.com","ciphertext":"vault:v1:AAAA"}"#,
    br#"{"layout":1,"reference":"awskms:///alias/sigstore","key":"awskms:///arn:aws:kms:us-west-2:562077019569:key/61c124fb-bf47-4f95-a805-65dda7cd08ae","algorithm":"SYMMETRIC_DEFAULT","instance":"127.0.0.1","ciphertext":"AQIDBA=="}"#,
];

sealmark_fuzz::target!(only SEEDS, |data| {
    let Some(wrapped) = sealmark_fuzz::read(Wrapped::parse(data)) else {
        return false;
    };
    let key = KeyRef::parse(wrapped.key());
    assert!(!matches!(
        key,
        Err(_) | Ok(KeyRef::Plugin(_) | KeyRef::File(_) | KeyRef::Env(_) | KeyRef::Url(_))
    ));
    sealmark_fuzz::same(&wrapped, Wrapped::parse(wrapped.to_json().as_bytes()));
    true
});
