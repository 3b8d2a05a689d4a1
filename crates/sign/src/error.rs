//! Why something could not be signed.

use sealmark_formats::signing_config::SelectError;

/// A failure; its `Display` is the whole message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry did not do what was asked.
    #[error(transparent)]
    Oci(#[from] sealmark_oci::Error),
    /// The key did not sign.
    #[error(transparent)]
    Key(#[from] sealmark_kms::Error),
    /// A key of one run could not be made.
    #[error("no key for this signature can be made: {0}")]
    Ephemeral(sealmark_keys::Error),
    /// The transparency log did not take the entry, or did not prove that it did.
    #[error("the signature is in no transparency log, and nothing was published: {0}")]
    Log(#[from] sealmark_rekor::Error),
    /// The fresh signature does not verify; nothing was published.
    #[error(
        "the signature just made over {what} does not verify: {reason}; nothing was published{hint}"
    )]
    NotVerified {
        /// What was signed.
        what: String,
        /// The check that failed.
        reason: String,
        /// What may be the matter.
        hint: &'static str,
    },
    /// The certificate is not by an authority that is believed; nothing was published.
    #[error(
        "the certificate that {ca} issued is not by an authority that is trusted here: {reason}; nothing was signed or \
         published. Give the trusted root of the same instance with --trusted-root"
    )]
    Untrusted {
        /// The authority that was asked.
        ca: String,
        /// What is wrong.
        reason: String,
    },
    /// The services to sign with do not suffice, or are none.
    #[error("{0}")]
    Services(String),
    /// No service can be chosen.
    #[error("{0}")]
    Select(#[from] SelectError),
    /// A service could not be asked, or did not do what was asked.
    #[error(transparent)]
    Service(#[from] sealmark_http::Error),
    /// The certificate expired before everything was signed.
    #[error(
        "the certificate of this run was good until {until}, and there is no other one: {cause}. What was signed before \
         is complete; sign the rest in another run"
    )]
    Renewal {
        /// When it expired.
        until: String,
        /// Why there is no other one.
        cause: Box<Self>,
    },
    /// A statement that was given cannot be signed.
    #[error("the statement cannot be signed: {0}")]
    Statement(String),
    /// The new attestation is attached, and an old one could not be removed.
    #[error(
        "the new attestation ({what}) is attached, but what it should take the place of is still there: {cause}"
    )]
    NotReplaced {
        /// Its type.
        what: String,
        /// Why.
        cause: Box<sealmark_oci::Error>,
    },
    /// Nobody says who signs.
    #[error("{0}")]
    Identity(String),
}
