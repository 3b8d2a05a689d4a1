//! Errors: which key reference, what went wrong with it, what to do.

/// Why a key could not be found, read or used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The reference names a place for keys that cannot be used.
    #[error("{provider} keys are not supported ({reference}); {alternative}")]
    NotSupported {
        /// The reference, cut to a length that can be printed.
        reference: String,
        /// Where the key is.
        provider: &'static str,
        /// What can be done instead.
        alternative: &'static str,
    },
    /// The reference has a scheme that is not known.
    #[error(
        "unknown key reference {reference}: {}known are a file's path, env://VARIABLE, https://… and what docs/keys.md lists: awskms, azurekms, gcpkms, gitlab, hashivault, k8s, openbao, pkcs11",
        .nearest.map(|n| format!("did you mean {n}://? ")).unwrap_or_default()
    )]
    UnknownScheme {
        /// The reference, cut to a length that can be printed.
        reference: String,
        /// A known scheme that is spelled almost the same.
        nearest: Option<&'static str>,
    },
    /// The reference is of a known kind, but cannot be right.
    #[error("bad key reference {reference}: {reason}")]
    BadReference {
        /// The reference, cut to a length that can be printed.
        reference: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The key could not be read from where it should be.
    #[error("cannot read key {key}: {reason}")]
    Read {
        /// The reference.
        key: String,
        /// The cause.
        reason: String,
    },
    /// What was read is not a key that can be used here.
    #[error("cannot use key {key}: {cause}")]
    Key {
        /// The reference.
        key: String,
        /// The cause.
        cause: sealmark_keys::Error,
    },
    /// A public key is needed, and the private key given is encrypted.
    #[error(
        "{key} is an encrypted private key, but a public key is needed; \
         write its public key to a file: sealmark public-key --key {key}"
    )]
    EncryptedPrivateKey {
        /// The reference.
        key: String,
    },
    /// The password could not be had; made by the caller's `password` function.
    #[error("{0}")]
    Password(String),
    /// The key failed to sign.
    #[error("cannot sign with key {key}: {cause}")]
    Sign {
        /// The public key's id.
        key: String,
        /// The cause.
        cause: sealmark_keys::Error,
    },
    /// The provider gave a signature that is not one of this key over what was sent.
    #[error(
        "{key} gave a signature that its public key does not verify ({scheme}): {cause}; it is not used"
    )]
    BadSignature {
        /// The normalised reference.
        key: String,
        /// The scheme that was asked for.
        scheme: String,
        /// What the check says.
        cause: String,
    },
    /// A provider said why it does not do something.
    #[error("{key} {what}: {reason}")]
    Provider {
        /// The reference, as it was understood.
        key: String,
        /// What failed: `cannot sign`.
        what: &'static str,
        /// The cause, and what to do.
        reason: String,
    },
    /// Keys are made in providers, and in files by other means.
    #[error("{key} is no place where a key can be made and stays; {instead}")]
    NotMade {
        /// The reference.
        key: String,
        /// What to do.
        instead: String,
    },
    /// A key pair is written to files, or to a service that keeps such files.
    #[error(
        "{key} is no place where a key pair can be kept: those are k8s://NAMESPACE/SECRET, gitlab://PROJECT and \
         github://OWNER/REPOSITORY; a key that stays with its provider is made with --kms"
    )]
    NotKept {
        /// The reference.
        key: String,
    },
    /// There is a pair already, which is not replaced without a word.
    #[error(
        "{key} has a key pair already: nothing was written, as a key that is replaced cannot be brought back. Choose \
         another place, or give --yes to replace it"
    )]
    PairThere {
        /// The reference.
        key: String,
    },
    /// Such keys sign the data itself, and it is more than they can be sent.
    #[error("the data is larger than {} MiB, which is the most that a remote Ed25519 key can be sent; use an ECDSA or RSA key, which signs a digest", .limit >> 20)]
    MessageTooLarge {
        /// The bound, in bytes.
        limit: usize,
    },
    /// AWS KMS could not be asked, or refused.
    #[cfg(feature = "aws")]
    #[error(transparent)]
    Aws(#[from] crate::aws::Error),
    /// A provider could not be asked, or refused.
    #[error(transparent)]
    Service(#[from] sealmark_http::Error),
    /// A key in Azure could not be had or used.
    #[cfg(feature = "azure")]
    #[error(transparent)]
    Azure(#[from] crate::azure::Error),
    /// A plugin gave no key or no signature.
    #[error(transparent)]
    Plugin(#[from] crate::plugin::Error),
    /// The file to sign could not be opened.
    #[error("cannot read {path} to sign it: {reason}")]
    Open {
        /// The file.
        path: String,
        /// The cause.
        reason: String,
    },
    /// The program is ending, or a thread of it died.
    #[error("the work was interrupted: {0}")]
    Interrupted(String),
}
