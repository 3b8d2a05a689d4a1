//! RFC 3161 tokens: none is good for bytes that were never timestamped.
#![no_main]

use std::sync::LazyLock;

use sealmark_x509::{Certificate, TimestampToken};

static AUTHORITIES: LazyLock<Vec<Vec<Certificate>>> = LazyLock::new(|| {
    let files: [&[u8]; 3] = [
        include_bytes!("../../crates/x509/tests/fixtures/authorities/custom/tsa-0.pem"),
        include_bytes!("../../crates/x509/tests/fixtures/authorities/public-good/tsa-0.pem"),
        include_bytes!("../../crates/x509/tests/fixtures/authorities/staging/tsa-0.pem"),
    ];
    let read = |pem: &&[u8]| Certificate::chain_from_pem(pem).expect("an authority of the tests");
    files.iter().map(read).collect()
});

sealmark_fuzz::target!([], |data| {
    let Some(token) = sealmark_fuzz::read(TimestampToken::parse(data)) else {
        return false;
    };
    let _ = format!("{token:?}");
    let _ = (
        token.unix_seconds(),
        token.imprint(),
        token.serial(),
        token.policy(),
        token.nonce(),
    );
    for certificate in token.certificates() {
        sealmark_fuzz::same(certificate, Certificate::from_der(certificate.der()));
    }
    for authority in AUTHORITIES.iter() {
        let verified = token.verify(b"never timestamped", authority);
        assert!(sealmark_fuzz::read(verified).is_none());
    }
    true
});
