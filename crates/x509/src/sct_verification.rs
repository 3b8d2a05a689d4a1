//! Whether a CT log really gave the promise that an SCT is (RFC 6962, section 3.2).
//!
//! What a log signs is not the certificate with the SCT in it, which cannot exist yet, but the certificate's
//! `TBSCertificate` without the list of SCTs, bound to the key of the CA that will sign it. So the issuer must be the
//! one of a chain that was verified.

use der::asn1::ObjectIdentifier;
use sealmark_formats::Digest;
use sealmark_keys::{PublicKey, Scheme, VerifyError};

use crate::element::{Element, constructed, encode};
use crate::extensions::{CT_POISON, SCT_LIST};
use crate::{Certificate, SignedCertificateTimestamp};

/// `LogEntryType` of RFC 6962, section 3.1.
const X509_ENTRY: u16 = 0;
const PRECERT_ENTRY: u16 = 1;

/// Why a promise is not one of this log for this certificate.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SctError {
    /// The SCT says that it comes from another log.
    #[error("the SCT is by the CT log {}, and the key is that of the log {}", hex::encode(.sct), hex::encode(.key))]
    OtherLog {
        /// The log that the SCT names.
        sct: [u8; 32],
        /// The log that has the key.
        key: [u8; 32],
    },
    /// The signature is of a kind that CT logs do not make, or not with a key like this log's.
    #[error(
        "the SCT's signature is of kind {signature_algorithm} over hash {hash} (RFC 5246, section 7.4.1.4.1), which \
         the key of the CT log, {key}, does not make"
    )]
    UnsupportedSignature {
        /// The number of the hash.
        hash: u8,
        /// The number of the kind of signature.
        signature_algorithm: u8,
        /// What the log's key is.
        key: sealmark_keys::KeyType,
    },
    /// The log did not promise this.
    #[error("the CT log did not give this SCT for this certificate: {0}")]
    Mismatch(VerifyError),
    /// The certificate has no list of SCTs that could be taken out.
    #[error("the certificate has no embedded SCT; a detached one is needed")]
    NotEmbedded,
    /// What should be a precertificate is none.
    #[error("the certificate is no precertificate: it has no CT poison")]
    NotPrecertificate,
    /// The certificate is too long for the structure that is signed.
    #[error("the certificate cannot be in a CT log: {0}")]
    Unloggable(String),
}

/// Verifies an SCT that is embedded in `leaf`: that the log with this key promised to publish it.
///
/// `issuer` is the certificate of the CA that issued `leaf` in a chain that was verified
/// ([`Chain::issuer`](crate::Chain::issuer)). Whether the log is trusted at
/// [`sct.unix_seconds()`](SignedCertificateTimestamp::unix_seconds) is the caller's question.
///
/// # Errors
/// If the SCT is another log's, or not for this certificate by this issuer.
pub fn verify_embedded_sct(
    leaf: &Certificate,
    issuer: &Certificate,
    sct: &SignedCertificateTimestamp,
    log_key: &PublicKey,
) -> Result<(), SctError> {
    let entry = precert(leaf, SCT_LIST, issuer)?.ok_or(SctError::NotEmbedded)?;
    verify(sct, (PRECERT_ENTRY, entry), log_key)
}

/// Verifies an SCT that a log gave for a precertificate, before the certificate with the SCT is made.
///
/// # Errors
/// If the SCT is another log's, or not for this precertificate by this issuer.
pub fn verify_precertificate_sct(
    precertificate: &Certificate,
    issuer: &Certificate,
    sct: &SignedCertificateTimestamp,
    log_key: &PublicKey,
) -> Result<(), SctError> {
    verify(sct, precert_entry(precertificate, issuer)?, log_key)
}

/// Verifies an SCT that came beside `leaf`, as from cosign's `--sct` file or in Fulcio's reply.
///
/// # Errors
/// If the SCT is another log's, or not for this certificate.
pub fn verify_detached_sct(
    leaf: &Certificate,
    sct: &SignedCertificateTimestamp,
    log_key: &PublicKey,
) -> Result<(), SctError> {
    verify(sct, certificate_entry(leaf)?, log_key)
}

/// What a log's tree has for a certificate, or for a precertificate that `issuer` signed: the `MerkleTreeLeaf` of RFC
/// 6962, section 3.4.
///
/// # Errors
/// If it is no precertificate although there is an issuer, or is too long for a log.
pub fn log_leaf(
    certificate: &Certificate,
    issuer: Option<&Certificate>,
    timestamp: u64,
    extensions: &[u8],
) -> Result<Vec<u8>, SctError> {
    let (kind, entry) = match issuer {
        Some(issuer) => precert_entry(certificate, issuer)?,
        None => certificate_entry(certificate)?,
    };
    // The struct that an SCT signs has other fields before the time, and the same bytes.
    signed_struct(timestamp, kind, &entry, extensions)
}

/// Verifies the head of a log's tree (RFC 6962, section 3.5): `signature` is the `DigitallySigned` that `get-sth` has, the
/// time is in milliseconds.
///
/// # Errors
/// If the log with this key did not sign it.
pub fn verify_tree_head(
    timestamp: u64,
    size: u64,
    root: &[u8; 32],
    signature: &[u8],
    log_key: &PublicKey,
) -> Result<(), SctError> {
    let (head, bytes) = match signature {
        [hash, kind, a, b, rest @ ..] if u16::from_be_bytes([*a, *b]) as usize == rest.len() => {
            ((*kind, *hash), rest)
        }
        _ => ((0, 0), signature),
    };
    let mut table = NUMBERS.into_iter();
    let scheme = table
        .find_map(|(kind, hash, scheme)| ((kind, hash) == head).then_some(scheme))
        .filter(|scheme| scheme.fits(log_key.key_type()))
        .ok_or_else(|| SctError::UnsupportedSignature {
            hash: head.1,
            signature_algorithm: head.0,
            key: log_key.key_type(),
        })?;
    let mut signed = vec![0, 1]; // v1, tree_hash
    signed.extend(timestamp.to_be_bytes());
    signed.extend(size.to_be_bytes());
    signed.extend(root);
    log_key
        .verify_scheme(scheme, &signed, bytes)
        .map_err(SctError::Mismatch)
}

/// Checks the signature over the `digitally-signed struct` of RFC 6962, section 3.2.
fn verify(
    sct: &SignedCertificateTimestamp,
    entry: (u16, Vec<u8>),
    log_key: &PublicKey,
) -> Result<(), SctError> {
    if log_key.id().bytes() != sct.log_id {
        let mut key = [0; 32];
        key.copy_from_slice(log_key.id().bytes());
        return Err(SctError::OtherLog {
            sct: sct.log_id,
            key,
        });
    }
    let scheme = scheme(sct)
        .filter(|scheme| scheme.fits(log_key.key_type()))
        .ok_or_else(|| SctError::UnsupportedSignature {
            hash: sct.hash,
            signature_algorithm: sct.signature_algorithm,
            key: log_key.key_type(),
        })?;
    let signed = signed_struct(sct.timestamp, entry.0, &entry.1, &sct.extensions)?;
    log_key
        .verify_scheme(scheme, &signed, &sct.signature)
        .map_err(SctError::Mismatch)
}

/// Kind and bytes of the entry for a certificate.
pub(crate) fn certificate_entry(certificate: &Certificate) -> Result<(u16, Vec<u8>), SctError> {
    Ok((X509_ENTRY, opaque24(certificate.der())?))
}

/// Kind and bytes of the entry for a precertificate that `issuer` signed.
pub(crate) fn precert_entry(
    precertificate: &Certificate,
    issuer: &Certificate,
) -> Result<(u16, Vec<u8>), SctError> {
    let entry = precert(precertificate, CT_POISON, issuer)?;
    Ok((PRECERT_ENTRY, entry.ok_or(SctError::NotPrecertificate)?))
}

/// `PreCert`: the hash of the issuer's key, and the certificate's content without one of the CT extensions. `None` if
/// it does not have that one.
fn precert(
    certificate: &Certificate,
    extension: ObjectIdentifier,
    issuer: &Certificate,
) -> Result<Option<Vec<u8>>, SctError> {
    let tbs = without(certificate.tbs_der(), extension)
        .map_err(|error| SctError::Unloggable(error.to_string()))?;
    let Some(tbs) = tbs else { return Ok(None) };
    let mut entry = Digest::sha256(issuer.spki_der()).bytes().to_vec();
    entry.extend(opaque24(&tbs)?);
    Ok(Some(entry))
}

/// The `digitally-signed struct` of RFC 6962, section 3.2.
pub(crate) fn signed_struct(
    timestamp: u64,
    entry_type: u16,
    entry: &[u8],
    extensions: &[u8],
) -> Result<Vec<u8>, SctError> {
    let extensions_len = u16::try_from(extensions.len())
        .map_err(|_| SctError::Unloggable("the SCT's extensions are too long".to_owned()))?;
    let mut signed = vec![0, 0]; // v1, certificate_timestamp
    signed.extend(timestamp.to_be_bytes());
    signed.extend(entry_type.to_be_bytes());
    signed.extend(entry);
    signed.extend(extensions_len.to_be_bytes());
    signed.extend(extensions);
    Ok(signed)
}

/// `SignatureAlgorithm` and `HashAlgorithm` of RFC 5246, section 7.4.1.4.1. RFC 6962 has SHA-256 only; logs with larger
/// keys use larger hashes.
const NUMBERS: [(u8, u8, Scheme); 6] = [
    (1, 4, Scheme::RsaPkcs1Sha256),
    (1, 5, Scheme::RsaPkcs1Sha384),
    (1, 6, Scheme::RsaPkcs1Sha512),
    (3, 4, Scheme::EcdsaSha256),
    (3, 5, Scheme::EcdsaSha384),
    (3, 6, Scheme::EcdsaSha512),
];

fn scheme(sct: &SignedCertificateTimestamp) -> Option<Scheme> {
    let numbers = (sct.signature_algorithm, sct.hash);
    let mut table = NUMBERS.into_iter();
    table.find_map(|(kind, hash, scheme)| ((kind, hash) == numbers).then_some(scheme))
}

/// The numbers of the kind of signature and of its hash, if CT logs sign so.
pub(crate) fn signature_numbers(scheme: Scheme) -> Option<(u8, u8)> {
    let mut table = NUMBERS.into_iter();
    table.find_map(|(kind, hash, known)| (known == scheme).then_some((kind, hash)))
}

/// A vector with three bytes of length.
fn opaque24(bytes: &[u8]) -> Result<Vec<u8>, SctError> {
    let length = u32::try_from(bytes.len())
        .ok()
        .filter(|length| *length < 1 << 24)
        .ok_or_else(|| SctError::Unloggable("it is too long".to_owned()))?;
    Ok([&length.to_be_bytes()[1..], bytes].concat())
}

/// A `TBSCertificate` without one extension. Everything else keeps its very bytes, but for the lengths around it.
/// `None` if there is no such extension.
fn without(tbs: &[u8], unwanted: ObjectIdentifier) -> der::Result<Option<Vec<u8>>> {
    let outer = Element::only(tbs)?;
    let mut kept = Vec::with_capacity(tbs.len());
    let mut found = false;
    let mut fields = outer.elements()?;
    while !fields.is_finished() {
        let field = fields.next()?;
        if field.tag != constructed(3) {
            kept.extend_from_slice(field.der);
            continue;
        }
        let list = Element::only(field.content)?;
        let mut extensions = Vec::with_capacity(list.content.len());
        let mut each = list.elements()?;
        while !each.is_finished() {
            let extension = each.next()?;
            let oid: ObjectIdentifier = extension.elements()?.next()?.decode()?;
            if oid == unwanted {
                found = true;
            } else {
                extensions.extend_from_slice(extension.der);
            }
        }
        // "SEQUENCE SIZE (1..MAX)": without extensions there is no list.
        if !extensions.is_empty() {
            kept.extend(encode(field.tag, &encode(list.tag, &extensions)?)?);
        }
    }
    if !found {
        return Ok(None);
    }
    encode(outer.tag, &kept).map(Some)
}
