//! Signed certificate timestamps: from TLS encoding and from a CT log's reply; written in TLS encoding again they are
//! the same, and none is by a log that gave none.
#![no_main]

use std::sync::LazyLock;

use sealmark_keys::PublicKey;
use sealmark_x509::{
    Certificate, SignedCertificateTimestamp, verify_detached_sct, verify_embedded_sct,
};

static LOG: LazyLock<PublicKey> = LazyLock::new(|| {
    let pem = include_bytes!("../../crates/keys/tests/fixtures/p256.pub.pem");
    PublicKey::from_pem(pem).expect("a key of the tests")
});

static LEAF: LazyLock<Certificate> = LazyLock::new(|| {
    let pem = include_bytes!("../../crates/x509/tests/fixtures/github-workflow.pem");
    Certificate::from_pem(pem).expect("a certificate of the tests")
});

const REPLY: &[u8] = br#"{"sct_version":0,"id":"3T0wasbHETJjGR4cmWc3AqJKXrjePK3/h4pygC8p7o4=","timestamp":1667474418000,"extensions":"","signature":"BAMAAgAA"}"#;
const TLS: &[u8] = &[0; 47];

/// RFC 6962, section 3.2.
fn written(sct: &SignedCertificateTimestamp) -> Vec<u8> {
    let vector = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).expect("it was read with two bytes of length");
        [&length.to_be_bytes(), bytes].concat()
    };
    [
        &[0],
        sct.log_id.as_slice(),
        &sct.timestamp.to_be_bytes(),
        &vector(&sct.extensions),
        &[sct.hash, sct.signature_algorithm],
        &vector(&sct.signature),
    ]
    .concat()
}

sealmark_fuzz::target!([REPLY, TLS], |data| {
    let mut promises = Vec::new();
    promises.extend(sealmark_fuzz::read(SignedCertificateTimestamp::from_tls(
        data,
    )));
    promises.extend(sealmark_fuzz::read(SignedCertificateTimestamp::from_json(
        data,
    )));
    if let Ok(certificate) = Certificate::from_der(data) {
        promises.extend_from_slice(certificate.signed_certificate_timestamps());
    }
    for sct in &promises {
        sealmark_fuzz::same(sct, SignedCertificateTimestamp::from_tls(&written(sct)));
        let mut by_log = sct.clone();
        by_log.log_id.copy_from_slice(LOG.id().bytes());
        assert!(verify_embedded_sct(&LEAF, &LEAF, &by_log, &LOG).is_err());
        assert!(verify_detached_sct(&LEAF, &by_log, &LOG).is_err());
    }
    !promises.is_empty()
});
