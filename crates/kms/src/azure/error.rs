//! What can go wrong with Azure. Each message is complete in itself, and has nothing secret.

/// Why a key in Azure could not be read, made or used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing to log in with was found.
    #[error(
        "no credential for {vault} was found: {attempts}. Set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or \
         log in with `az login`"
    )]
    NoCredential {
        /// The vault's host.
        vault: String,
        /// Each source, and why it gave none.
        attempts: String,
    },
    /// A variable has a value that cannot be used.
    #[error("{variable} cannot be used: {reason}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// Why not, and what it may be.
        reason: String,
    },
    /// There is a credential, and it does not log in.
    #[error("cannot log in to Azure with {origin}: {reason}")]
    Login {
        /// Which source of credentials.
        origin: &'static str,
        /// Why, and what to do.
        reason: String,
    },
    /// The vault said something about who may log in that cannot be followed.
    #[error("{vault} asks for a login that is not done, so nothing was sent: {reason}")]
    Challenge {
        /// The vault's host.
        vault: String,
        /// Why.
        reason: String,
    },
    /// The vault refused.
    #[error("{key}: cannot {action}: {reason}")]
    Refused {
        /// The reference.
        key: String,
        /// What was tried.
        action: &'static str,
        /// Why, and what to do.
        reason: String,
    },
    /// There is no such vault.
    #[error(
        "{key}: there is no vault at {host}: the name is not known ({reason}); check its spelling{hint}; a vault that was \
         deleted has no name either (az keyvault list, az keyvault list-deleted)"
    )]
    UnknownVault {
        /// The reference.
        key: String,
        /// The host.
        host: String,
        /// What the resolver said.
        reason: String,
        /// Other places where it may be.
        hint: String,
    },
    /// The key is of a kind that makes no signature which Sigstore knows, or may not be used.
    #[error("{key}: {reason}")]
    Unusable {
        /// The reference.
        key: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The network, or an answer that is not one.
    #[error(transparent)]
    Http(#[from] sealmark_http::Error),
}
