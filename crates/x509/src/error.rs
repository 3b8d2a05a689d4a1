//! Why bytes are not a certificate.

use crate::{MAX_CERTIFICATE, MAX_CHAIN, MAX_PEM};

/// What is wrong, where, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The DER is longer than any certificate.
    #[error(
        "the certificate has {0} bytes, more than {MAX_CERTIFICATE}, which no certificate has; is it the right file?"
    )]
    TooLarge(usize),
    /// The PEM text is longer than any chain.
    #[error(
        "the PEM file has {0} bytes, more than the {MAX_PEM} that are read; is it the right file?"
    )]
    PemTooLarge(usize),
    /// There are more certificates than a chain has.
    #[error(
        "the PEM file has more than {MAX_CHAIN} certificates; give the chain of one certificate"
    )]
    TooMany,
    /// There is no PEM block with a certificate.
    #[error("there is no certificate: {0}")]
    NoCertificate(String),
    /// There are several certificates where one is expected.
    #[error(
        "one certificate is expected, and there are {0}; give only the signer's own, or give them as a chain"
    )]
    NotOne(usize),
    /// A PEM block is damaged.
    #[error("the PEM block of certificate {number} is damaged: {reason}")]
    Pem {
        /// Which one, from 1.
        number: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// The bytes are not an X.509 certificate (RFC 5280).
    #[error("not a valid X.509 certificate: {0}")]
    Malformed(String),
    /// The bytes are not a certificate request (RFC 2986).
    #[error("not a valid certificate request (PKCS #10): {0}")]
    Request(String),
    /// An extension is not what its specification says.
    #[error("not a valid X.509 certificate: the extension {extension} is malformed: {reason}")]
    Extension {
        /// Its name, or its object identifier.
        extension: String,
        /// What is wrong.
        reason: String,
    },
    /// The bytes are not a signed certificate timestamp (RFC 6962).
    #[error("not a valid signed certificate timestamp (SCT): {0}")]
    Sct(String),
    /// The certificate's key cannot be used.
    #[error("the public key in the certificate cannot be used: {0}")]
    Key(#[from] sealmark_keys::Error),
}

impl Error {
    pub(crate) fn extension(name: impl Into<String>, reason: impl core::fmt::Display) -> Self {
        Self::Extension {
            extension: name.into(),
            reason: reason.to_string(),
        }
    }
}
