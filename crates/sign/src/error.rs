//! Why something could not be signed.

/// A failure; its `Display` is the whole message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry did not do what was asked.
    #[error(transparent)]
    Oci(#[from] sealmark_oci::Error),
    /// The key did not sign.
    #[error(transparent)]
    Key(#[from] sealmark_kms::Error),
    /// The fresh signature does not verify with its own public key; nothing was published.
    #[error(
        "the signature just made over {what} does not verify: {reason}; nothing was published. \
         The private and the public key may not belong together"
    )]
    NotVerified {
        /// What was signed.
        what: String,
        /// The check that failed.
        reason: String,
    },
}
