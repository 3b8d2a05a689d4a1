//! Why a timestamp is not one.

use sealmark_formats::Digest;
use sealmark_keys::VerifyError;

use super::MAX_TIMESTAMP;
use crate::{ChainError, Error, UnixSeconds};

/// What is wrong with a timestamp.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampError {
    /// It is longer than any timestamp.
    #[error("the timestamp has {0} bytes, more than {MAX_TIMESTAMP}, which no timestamp has")]
    TooLarge(usize),
    /// It is not what RFC 3161 or RFC 5652 say.
    #[error("not a valid RFC 3161 timestamp: its {part} is malformed: {reason}")]
    Malformed {
        /// Which part.
        part: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The authority did not give a timestamp.
    #[error("the timestamp authority gave no timestamp: status {status}: {reason:?}")]
    Refused {
        /// `PKIStatus`.
        status: u8,
        /// What the authority says about it.
        reason: String,
    },
    /// It uses an algorithm that is too weak, or not known.
    #[error("the timestamp's {part} uses the algorithm {oid}, which is not supported")]
    UnsupportedAlgorithm {
        /// For what.
        part: &'static str,
        /// The algorithm's object identifier.
        oid: String,
    },
    /// It is for other data.
    #[error("the timestamp is for other data: it is for {token}, and the data is {data}")]
    OtherData {
        /// The digest in the token.
        token: Digest,
        /// The digest of the data.
        data: Digest,
    },
    /// There is no authority to check it against.
    #[error("there are no certificates of a timestamp authority to check the timestamp with")]
    NoAuthority,
    /// The signer is not this authority.
    #[error("the timestamp was signed by {signer}, which is not this timestamp authority; {}", known(.authority))]
    OtherAuthority {
        /// The signer, as the token names it.
        signer: String,
        /// The signers that this authority has.
        authority: Vec<String>,
    },
    /// The certificate of its signer is not there.
    #[error("the timestamp was signed by {0}, which is not in it")]
    NoCertificate(String),
    /// What was signed names another certificate than the signer's (RFC 5035).
    #[error(
        "the timestamp is bound to another certificate than that of its signer, {certificate}: its {attribute} does \
         not match"
    )]
    OtherCertificate {
        /// The certificate of the signer.
        certificate: String,
        /// The attribute.
        attribute: &'static str,
    },
    /// The signature is not over this content.
    #[error(
        "the timestamp's content was changed after it was signed: its digest is not the signed one"
    )]
    ContentChanged,
    /// The signature is not good.
    #[error("the signature of the timestamp is not good: {0}")]
    Signature(VerifyError),
    /// The signer's key cannot be used.
    #[error("the timestamp cannot be checked: {0}")]
    Certificate(#[from] Error),
    /// The signer was not an authority at that time.
    #[error("the timestamp of {} is not to be trusted: {reason}", at)]
    Chain {
        /// The time in the token.
        at: UnixSeconds,
        /// What is wrong with the signer's certificate.
        reason: ChainError,
    },
}

impl TimestampError {
    pub(super) fn malformed(part: &'static str, reason: impl ToString) -> Self {
        Self::Malformed {
            part,
            reason: reason.to_string(),
        }
    }
}

fn known(authority: &[String]) -> String {
    if authority.is_empty() {
        return "the certificate of its signer is neither in it nor known".to_owned();
    }
    format!("that signs as {}", authority.join(" or "))
}
