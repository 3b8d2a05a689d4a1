//! SCTs: what a CT log signs (RFC 6962, section 3.2), and their TLS encoding (section 3.3).

use super::extension::opaque16;
use super::{IssueError, IssuingKey};
use crate::sct_verification::{certificate_entry, precert_entry, signature_numbers, signed_struct};
use crate::{Certificate, SctError, SignedCertificateTimestamp};

const WHAT: &str = "an SCT";

/// A promise that a CT log is about to sign.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnsignedSct {
    /// The promise; its signature is still empty.
    pub sct: SignedCertificateTimestamp,
    /// The bytes to be signed.
    pub to_be_signed: Vec<u8>,
}

impl UnsignedSct {
    /// The promise with the log's signature.
    #[must_use]
    pub fn signed(mut self, signature: Vec<u8>) -> SignedCertificateTimestamp {
        self.sct.signature = signature;
        self.sct
    }

    /// Signs the promise.
    ///
    /// # Errors
    /// If the key does not sign.
    pub fn sign(self, key: &impl IssuingKey) -> Result<SignedCertificateTimestamp, IssueError> {
        let signature = key.sign(&self.to_be_signed).map_err(IssueError::Key)?;
        Ok(self.signed(signature))
    }

    fn new(
        entry: (u16, Vec<u8>),
        timestamp: u64,
        extensions: &[u8],
        key: &impl IssuingKey,
    ) -> Result<Self, IssueError> {
        let scheme = key.scheme();
        let (signature_algorithm, hash) =
            signature_numbers(scheme).ok_or(IssueError::Scheme { what: WHAT, scheme })?;
        let mut log_id = [0; 32];
        log_id.copy_from_slice(key.public_key().id().bytes());
        let to_be_signed =
            signed_struct(timestamp, entry.0, &entry.1, extensions).map_err(unwritable)?;
        let sct = SignedCertificateTimestamp {
            log_id,
            timestamp,
            extensions: extensions.to_vec(),
            hash,
            signature_algorithm,
            signature: Vec::new(),
        };
        Ok(Self { sct, to_be_signed })
    }
}

/// The promise to log the certificate that will follow on this precertificate.
///
/// `issuer` is the CA that will sign it, whose key becomes part of the promise. `timestamp` is in milliseconds since
/// 1970; `extensions` are those of the SCT, as `leaf_index` of logs with tiles.
///
/// # Errors
/// If the precertificate has no poison, or the key is of a kind that CT logs do not have.
pub fn sct_for_precertificate(
    precertificate: &Certificate,
    issuer: &Certificate,
    timestamp: u64,
    extensions: &[u8],
    key: &impl IssuingKey,
) -> Result<UnsignedSct, IssueError> {
    let entry = precert_entry(precertificate, issuer).map_err(unwritable)?;
    UnsignedSct::new(entry, timestamp, extensions, key)
}

/// The promise to log this certificate, for a detached SCT. As [`sct_for_precertificate`].
///
/// # Errors
/// If the key is of a kind that CT logs do not have.
pub fn sct_for_certificate(
    certificate: &Certificate,
    timestamp: u64,
    extensions: &[u8],
    key: &impl IssuingKey,
) -> Result<UnsignedSct, IssueError> {
    let entry = certificate_entry(certificate).map_err(unwritable)?;
    UnsignedSct::new(entry, timestamp, extensions, key)
}

fn unwritable(error: SctError) -> IssueError {
    IssueError::unwritable(WHAT, error)
}

impl SignedCertificateTimestamp {
    /// The promise in TLS encoding, as [`from_tls`](Self::from_tls) reads it.
    ///
    /// # Errors
    /// If the extensions or the signature are longer than 65,535 bytes.
    pub fn to_tls(&self) -> Result<Vec<u8>, IssueError> {
        Ok([
            &[0][..], // v1
            &self.log_id,
            &self.timestamp.to_be_bytes(),
            &opaque16(WHAT, &self.extensions)?,
            &[self.hash, self.signature_algorithm],
            &opaque16(WHAT, &self.signature)?,
        ]
        .concat())
    }
}
