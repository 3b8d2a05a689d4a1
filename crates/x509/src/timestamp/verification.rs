//! Whether a token is what it says: the steps of RFC 3161, section 2.2 and RFC 5652, section 5.6.
//!
//! It is checked against the certificates of one authority at a time. Their validity for the caller, a window in a
//! trusted root, belongs to that authority and not to a pool of them.

use sealmark_formats::Digest;
use sealmark_formats::digest::sha1_for_legacy_use_only;

use super::cms::{CertificateHash, SignerId};
use super::{TimestampError, TimestampToken};
use crate::chain::name;
use crate::{Certificate, Purpose, UnixSeconds, verify_chain};

/// A timestamp that one authority gave.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifiedTimestamp {
    /// When, in whole seconds since 1970.
    pub unix_seconds: u64,
    /// Nanoseconds after that second; authorities of Sigstore give whole seconds.
    pub nanoseconds: u32,
    /// The number that the authority gave it, big-endian, as the content of a DER integer.
    pub serial: Vec<u8>,
    /// The authority's policy, an object identifier in dots.
    pub policy: String,
    /// The certificate that signed it.
    pub signer: Certificate,
}

impl TimestampToken {
    /// Verifies that one authority says of `message` that it existed at a time.
    ///
    /// `message` is the data itself; in Sigstore that is the bytes of a signature. `authority` are the certificates
    /// of one authority, as in one entry of a trusted root, in any order: those of CAs that are self-issued are
    /// trusted, or the last one if none is. If the signer's own certificate is among them, the token must be by that
    /// one; otherwise by any one that the CAs issued for timestamps. The chain is checked at the time in the token.
    ///
    /// Whether the authority is trusted at that time is the caller's question.
    ///
    /// # Errors
    /// In this order: other data, another signer, other content than was signed, a signature or a chain that is not
    /// good.
    pub fn verify(
        &self,
        message: &[u8],
        authority: &[Certificate],
    ) -> Result<VerifiedTimestamp, TimestampError> {
        let imprint = &self.info.imprint;
        let data = Digest::of(imprint.algorithm(), message);
        if data != *imprint {
            return Err(TimestampError::OtherData {
                token: imprint.clone(),
                data,
            });
        }
        let signer = self.signer(authority)?;
        self.check_signature(signer)?;
        self.check_chain(signer, authority)?;
        Ok(VerifiedTimestamp {
            unix_seconds: self.info.unix_seconds,
            nanoseconds: self.info.nanoseconds,
            serial: self.info.serial.clone(),
            policy: self.info.policy.clone(),
            signer: signer.clone(),
        })
    }

    /// Checks that one of the certificates in the token, or of `more`, signed it, and gives that one.
    ///
    /// That is no reason to trust it: anyone can make a certificate and put it there. It shows that the token is whole.
    ///
    /// # Errors
    /// If there is no such certificate, or the signature, or what it covers, is not good.
    pub fn verify_integrity<'a>(
        &'a self,
        more: &'a [Certificate],
    ) -> Result<&'a Certificate, TimestampError> {
        let id = &self.signed.signer.id;
        let mut candidates = self.signed.certificates.iter().chain(more);
        let signer = candidates
            .find(|it| id.names(it))
            .ok_or_else(|| TimestampError::NoCertificate(id.describe()))?;
        self.check_signature(signer)?;
        Ok(signer)
    }

    /// The certificate of the signer.
    fn signer<'a>(
        &'a self,
        authority: &'a [Certificate],
    ) -> Result<&'a Certificate, TimestampError> {
        if authority.is_empty() {
            return Err(TimestampError::NoAuthority);
        }
        let own: Vec<_> = authority.iter().filter(|it| !it.is_ca()).collect();
        let candidates = if own.is_empty() {
            self.signed.certificates.iter().collect()
        } else {
            own
        };
        let id = &self.signed.signer.id;
        let found = candidates.iter().copied().find(|it| id.names(it));
        found.ok_or_else(|| TimestampError::OtherAuthority {
            signer: id.describe(),
            authority: candidates.into_iter().map(name).collect(),
        })
    }

    fn check_signature(&self, certificate: &Certificate) -> Result<(), TimestampError> {
        let signer = &self.signed.signer;
        for bound_to in &signer.bound_to {
            if !bound_to.is_of(certificate) {
                return Err(TimestampError::OtherCertificate {
                    certificate: name(certificate),
                    attribute: bound_to.attribute(),
                });
            }
        }
        let digest = Digest::of(signer.hash, &self.signed.content);
        if digest.bytes() != signer.message_digest {
            return Err(TimestampError::ContentChanged);
        }
        certificate
            .public_key()?
            .verify_scheme(signer.scheme, &signer.signed, &signer.signature)
            .map_err(TimestampError::Signature)
    }

    fn check_chain(
        &self,
        signer: &Certificate,
        authority: &[Certificate],
    ) -> Result<(), TimestampError> {
        let (mut roots, mut intermediates): (Vec<_>, Vec<_>) = authority
            .iter()
            .filter(|it| it.is_ca())
            .cloned()
            .partition(Certificate::is_self_issued);
        if roots.is_empty() {
            roots.extend(intermediates.pop());
        }
        // Those in the token may fill a gap below a root; they are trusted for nothing.
        intermediates.extend(
            self.signed
                .certificates
                .iter()
                .filter(|it| it.is_ca())
                .cloned(),
        );
        let at = self.info.unix_seconds;
        verify_chain(signer, &intermediates, &roots, at, Purpose::TimeStamping)
            .map(drop)
            .map_err(|reason| TimestampError::Chain {
                at: UnixSeconds(at),
                reason,
            })
    }
}

impl SignerId {
    pub(crate) fn names(&self, certificate: &Certificate) -> bool {
        match self {
            Self::IssuerAndSerial { issuer, serial } => {
                certificate.issuer_der() == issuer && certificate.serial_der() == serial
            }
            Self::SubjectKeyId(id) => certificate.subject_key_id() == Some(id),
        }
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Self::IssuerAndSerial { serial, .. } => {
                format!("the certificate with serial number {}", hex(serial))
            }
            Self::SubjectKeyId(id) => format!("the key with id {}", hex(id)),
        }
    }
}

impl CertificateHash {
    fn is_of(&self, certificate: &Certificate) -> bool {
        match self.hash {
            Some(hash) => Digest::of(hash, certificate.der()).bytes() == self.value,
            // SHA-1 here only repeats which of the certificates that are trusted anyway is meant; a certificate that
            // collides with the authority's is not one that its CA signed.
            None => sha1_for_legacy_use_only(certificate.der()) == self.value,
        }
    }

    fn attribute(&self) -> &'static str {
        match self.hash {
            Some(_) => "signingCertificateV2",
            None => "signingCertificate",
        }
    }
}

/// A stranger's number, cut to a length that can be printed.
fn hex(bytes: &[u8]) -> String {
    hex::encode(&bytes[..bytes.len().min(32)])
}
