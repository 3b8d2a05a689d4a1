//! Certificates.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_x509::{Certificate, SignedCertificateTimestamp, SubjectAltName};

use super::facts::Facts;
use super::key;

/// What a certificate says.
pub(super) fn facts(certificate: &Certificate) -> Facts {
    let mut facts = Facts::new();
    facts.text("subject", or_empty(certificate.subject()));
    facts.list(
        "subjectAltNames",
        certificate
            .subject_alt_names()
            .iter()
            .map(SubjectAltName::to_string)
            .collect(),
    );
    facts.text("issuer", or_empty(certificate.issuer()));
    facts.text("serialNumber", certificate.serial().to_string());
    let validity = certificate.validity();
    facts.text("notBefore", validity.not_before.to_string());
    facts.text("notAfter", validity.not_after.to_string());
    match certificate.public_key() {
        Ok(public) => facts.facts("publicKey", key::public_facts(public)),
        Err(error) => facts.text("publicKey", error.to_string()),
    }
    if let Some(usage) = certificate.key_usage() {
        facts.list(
            "keyUsage",
            usage.names().into_iter().map(str::to_owned).collect(),
        );
    }
    facts.list(
        "extendedKeyUsage",
        certificate
            .extended_key_usage()
            .iter()
            .map(ToString::to_string)
            .collect(),
    );
    facts.flag("certificateAuthority", certificate.is_ca());
    if let Some(length) = certificate
        .basic_constraints()
        .and_then(|constraints| constraints.path_len)
    {
        facts.number("pathLength", length.into());
    }
    facts.maybe("subjectKeyId", certificate.subject_key_id().map(hex));
    facts.maybe("authorityKeyId", certificate.authority_key_id().map(hex));
    if !certificate.fulcio().is_empty() {
        let mut fulcio = Facts::new();
        for (extension, value) in certificate.fulcio().iter() {
            fulcio.text(extension.json_name(), value);
        }
        facts.facts("fulcioExtensions", fulcio);
    }
    facts.each(
        "signedCertificateTimestamps",
        certificate
            .signed_certificate_timestamps()
            .iter()
            .map(timestamp)
            .collect(),
    );
    facts.list(
        "otherExtensions",
        certificate
            .unread_extensions()
            .iter()
            .map(|other| {
                format!(
                    "{}{}",
                    other.oid,
                    if other.critical { " (critical)" } else { "" }
                )
            })
            .collect(),
    );
    facts.text("fingerprint", certificate.fingerprint().to_string());
    facts
}

/// One certificate, or several in their order.
pub(super) fn chain(certificates: &[Certificate]) -> (&'static str, Facts) {
    if let [certificate] = certificates {
        return ("X.509 certificate", facts(certificate));
    }
    let mut all = Facts::new();
    all.each("certificates", certificates.iter().map(facts).collect());
    ("X.509 certificates", all)
}

/// A certificate in DER that something else carries; what is wrong with it is a fact, too.
pub(super) fn embedded(der: &[u8]) -> Facts {
    match Certificate::from_der(der) {
        Ok(certificate) => facts(&certificate),
        Err(error) => {
            let mut facts = Facts::new();
            facts.text("unreadable", error.to_string());
            facts
        }
    }
}

/// As [`embedded`], for PEM.
pub(super) fn embedded_pem(pem: &[u8]) -> Vec<Facts> {
    match Certificate::chain_from_pem(pem) {
        Ok(certificates) => certificates.iter().map(facts).collect(),
        Err(error) => {
            let mut facts = Facts::new();
            facts.text("unreadable", error.to_string());
            vec![facts]
        }
    }
}

fn timestamp(timestamp: &SignedCertificateTimestamp) -> Facts {
    let mut facts = Facts::new();
    facts.text("version", timestamp.version());
    facts.text("logId", STANDARD.encode(timestamp.log_id));
    let time = i64::try_from(timestamp.timestamp)
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    match time {
        Some(time) => facts.text("timestamp", time.to_string()),
        None => facts.number("timestampMilliseconds", timestamp.timestamp),
    }
    facts
}

fn or_empty(name: String) -> String {
    if name.is_empty() {
        "(empty)".to_owned()
    } else {
        name
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
