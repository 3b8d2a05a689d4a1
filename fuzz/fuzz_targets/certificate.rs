//! Certificates, in DER and PEM: what is read is read again from its own DER as the same certificate, says of itself
//! what it will, and is issued by no CA that issued none.
#![no_main]

use std::sync::LazyLock;

use sealmark_x509::{Certificate, Purpose, verify_chain};

/// A CA of which no certificate but its own is among the seeds.
static AUTHORITY: LazyLock<Vec<Certificate>> = LazyLock::new(|| {
    let pem = include_bytes!("../../crates/x509/tests/fixtures/custom-ca.pem");
    Certificate::chain_from_pem(pem).expect("a CA of the tests")
});

sealmark_fuzz::target!([], |data| {
    let read = sealmark_fuzz::read(Certificate::from_der(data))
        .or_else(|| sealmark_fuzz::read(Certificate::from_pem(data)))
        .map(|certificate| vec![certificate])
        .or_else(|| sealmark_fuzz::read(Certificate::chain_from_pem(data)));
    let Some(certificates) = read else {
        return false;
    };
    for certificate in &certificates {
        sealmark_fuzz::same(certificate, Certificate::from_der(certificate.der()));
        let _ = format!("{certificate:?} {}", certificate.serial());
        let _ = (
            certificate.subject(),
            certificate.issuer(),
            certificate.is_self_issued(),
        );
        let _ = (certificate.public_key(), certificate.signature_algorithm());
        let _ = (
            certificate.extended_key_usage(),
            certificate.is_ca(),
            certificate.key_usage(),
        );
        for name in certificate.subject_alt_names() {
            let _ = (name.kind(), name.value(), name.to_string());
        }
        for (extension, _) in certificate.fulcio().iter() {
            let _ = (extension.oid(), extension.label());
        }
        let valid = certificate.validity();
        let seconds = valid.not_before.unix_seconds();
        let _ = (valid.seconds(), valid.contains(seconds));
        let known = AUTHORITY.contains(certificate);
        let found = verify_chain(
            certificate,
            &certificates,
            &AUTHORITY,
            seconds,
            Purpose::CodeSigning,
        );
        assert!(known || sealmark_fuzz::read(found).is_none());
    }
    true
});
