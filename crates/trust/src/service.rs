//! Entries of a trusted root, made of PEM files as operators have them.
//!
//! The entries are those that cosign's `trusted-root create` makes of the same files.

use jiff::Timestamp;
use sealmark_formats::trusted_root::{CertificateAuthority, LogInstance, TimeRange};
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::{Curve, KeyType, PublicKey};
use sealmark_x509::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::{PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;

use crate::Error;

const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// Type of Ed25519 signatures in signed notes (C2SP signed-note).
const NOTE_ED25519: u8 = 1;

/// A log with the key in `pem`. `from` names the file in errors.
///
/// The log's id is the SHA-256 of the key. Where an Ed25519 key comes with the `origin` of the log's checkpoints (Rekor
/// v2), it is the SHA-256 of origin and key whose first bytes are the checkpoints' key id (C2SP signed-note).
///
/// # Errors
/// If `pem` is no public key, or one of a size that trusted roots have no name for.
pub fn log(
    from: &str,
    pem: &[u8],
    base_url: &str,
    origin: Option<&str>,
    valid_for: TimeRange,
) -> Result<LogInstance, Error> {
    let key = PublicKey::from_pem(pem).map_err(|cause| Error::Key {
        from: from.to_owned(),
        cause,
    })?;
    let details = key_details(key.key_type()).ok_or_else(|| Error::Unsuitable {
        from: from.to_owned(),
        reason: format!(
            "a {} key has no name in trusted roots; ECDSA (P-256, P-384, P-521), Ed25519 and RSA of 2048, 3072 or \
             4096 bits have",
            key.algorithm_name()
        ),
    })?;
    let log_id = match (origin, key.key_type()) {
        (Some(origin), KeyType::Ed25519) => note_key_hash(origin, &key),
        _ => key.id().bytes().to_vec(),
    };
    Ok(LogInstance {
        base_url: base_url.to_owned(),
        hash_algorithm: HashAlgorithm::Sha256,
        public_key: key.spki_der().to_vec(),
        key_details: details.to_owned(),
        valid_for,
        log_id,
        checkpoint_key_id: None,
        operator: None,
    })
}

/// SHA-256 of origin, newline, signature type and key, as in <https://c2sp.org/signed-note>.
fn note_key_hash(origin: &str, key: &PublicKey) -> Vec<u8> {
    // RFC 8410: an Ed25519 key is the last 32 bytes of its SubjectPublicKeyInfo.
    let spki = key.spki_der();
    let raw = &spki[spki.len().saturating_sub(32)..];
    let text = [origin.as_bytes(), b"\n", &[NOTE_ED25519], raw].concat();
    Digest::sha256(&text).bytes().to_vec()
}

/// The name of a key in trusted roots (`PublicKeyDetails` of sigstore_common.proto).
fn key_details(key: KeyType) -> Option<&'static str> {
    match key {
        KeyType::Ecdsa(Curve::P256) => Some("PKIX_ECDSA_P256_SHA_256"),
        KeyType::Ecdsa(Curve::P384) => Some("PKIX_ECDSA_P384_SHA_384"),
        KeyType::Ecdsa(Curve::P521) => Some("PKIX_ECDSA_P521_SHA_512"),
        KeyType::Ed25519 => Some("PKIX_ED25519"),
        KeyType::Rsa { bits: 2048 } => Some("PKIX_RSA_PKCS1V15_2048_SHA256"),
        KeyType::Rsa { bits: 3072 } => Some("PKIX_RSA_PKCS1V15_3072_SHA256"),
        KeyType::Rsa { bits: 4096 } => Some("PKIX_RSA_PKCS1V15_4096_SHA256"),
        KeyType::Rsa { .. } => None,
    }
}

/// The certificates of a PEM file. `from` names the file in errors.
///
/// # Errors
/// If there are none, or one cannot be read.
pub fn chain(from: &str, pem: &[u8]) -> Result<Vec<Certificate>, Error> {
    let chain = Certificate::chain_from_pem(pem).map_err(|cause| Error::Certificate {
        from: from.to_owned(),
        cause,
    })?;
    if chain.is_empty() {
        return Err(Error::Unsuitable {
            from: from.to_owned(),
            reason: "it has no certificate".to_owned(),
        });
    }
    Ok(chain)
}

/// An authority that certifies signers: who signs first, the anchor last. Without a start it counts from when the anchor
/// does.
///
/// # Errors
/// If the chain is empty or has a certificate that is no authority's.
pub fn certificate_authority(
    from: &str,
    chain: &[Certificate],
    uri: &str,
    valid_for: TimeRange,
) -> Result<CertificateAuthority, Error> {
    for certificate in chain {
        if !certificate.is_ca() {
            return Err(Error::Unsuitable {
                from: from.to_owned(),
                reason: format!(
                    "{} is not the certificate of an authority; give the issuers, without what they issued",
                    certificate.subject()
                ),
            });
        }
    }
    authority(from, chain, uri, valid_for, chain.last())
}

/// A timestamp authority: its own certificate first, the anchor last. Without a start it counts from when its own
/// certificate does.
///
/// # Errors
/// If the chain is empty or does not begin with the certificate that signs timestamps.
pub fn timestamp_authority(
    from: &str,
    chain: &[Certificate],
    uri: &str,
    valid_for: TimeRange,
) -> Result<CertificateAuthority, Error> {
    if chain.first().is_some_and(Certificate::is_ca) {
        return Err(Error::Unsuitable {
            from: from.to_owned(),
            reason: "the first certificate must be the one that signs timestamps, not an issuer's"
                .to_owned(),
        });
    }
    authority(from, chain, uri, valid_for, chain.first())
}

fn authority(
    from: &str,
    chain: &[Certificate],
    uri: &str,
    valid_for: TimeRange,
    starts_with: Option<&Certificate>,
) -> Result<CertificateAuthority, Error> {
    let unsuitable = |reason: &str| Error::Unsuitable {
        from: from.to_owned(),
        reason: reason.to_owned(),
    };
    let (Some(anchor), Some(starts_with)) = (chain.last(), starts_with) else {
        return Err(unsuitable("it has no certificate"));
    };
    for pair in chain.windows(2) {
        if pair[0].issuer() != pair[1].subject() {
            return Err(Error::Unsuitable {
                from: from.to_owned(),
                reason: format!(
                    "{} is followed by {}, which did not issue it; the order is: who signs first, its issuer, the root last",
                    pair[0].subject(),
                    pair[1].subject()
                ),
            });
        }
    }
    let not_before = || {
        let seconds = starts_with.validity().not_before.unix_seconds();
        i64::try_from(seconds)
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .ok_or_else(|| unsuitable("its certificate begins at a time that is out of range"))
    };
    let start = match valid_for.start {
        Some(start) => start,
        None => not_before()?,
    };
    if valid_for.end.is_some_and(|end| end < start) {
        return Err(unsuitable("it would end before it begins"));
    }
    let (organization, common_name) = names(anchor);
    Ok(CertificateAuthority {
        organization,
        common_name,
        uri: uri.to_owned(),
        cert_chain: chain.iter().map(|c| c.der().to_vec()).collect(),
        valid_for: TimeRange {
            start: Some(start),
            end: valid_for.end,
        },
        operator: None,
    })
}

/// Organization and common name of the subject; empty where it has none.
fn names(certificate: &Certificate) -> (String, String) {
    let Ok(parsed) = x509_cert::Certificate::from_der(certificate.der()) else {
        return Default::default();
    };
    let mut found = (String::new(), String::new());
    for attribute in parsed.tbs_certificate().subject().iter() {
        let place = match attribute.oid {
            ORGANIZATION => &mut found.0,
            COMMON_NAME => &mut found.1,
            _ => continue,
        };
        if !place.is_empty() {
            continue;
        }
        let value = &attribute.value;
        if let Ok(text) = value.decode_as::<Utf8StringRef<'_>>() {
            *place = text.as_str().to_owned();
        } else if let Ok(text) = value.decode_as::<PrintableStringRef<'_>>() {
            *place = text.as_str().to_owned();
        }
    }
    found
}
