//! Keys behind a program: the plugin protocol of Sigstore's clients, both ways round.
//! <https://github.com/sigstore/sigstore/tree/main/pkg/signature/kms/cliplugin>
//!
//! For a reference `NAME://KEY` with a `NAME` that is not known, the program `sigstore-kms-NAME` in `PATH` is asked, as
//! `sigstore-kms-NAME v1 ARGUMENTS`, with arguments and answer in JSON, and the data to sign on standard input. And called
//! by such a name, this program answers so ([`answer`]), with its own providers.

mod client;
mod protocol;
mod server;

pub use client::Key;
pub(crate) use client::{create, open};
pub use server::{Answer, answer};

/// What the names of such programs begin with.
pub const PREFIX: &str = "sigstore-kms-";

/// Why a plugin gave no key or no signature. Each message is complete in itself.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{key}: the plugin {program} {reason}")]
pub struct Error {
    /// The reference.
    pub key: String,
    /// The program's name.
    pub program: String,
    /// What it did or did not do.
    pub reason: String,
}

/// The scheme that a program of this name answers for: `sigstore-kms-azurekms` (or a path to it) for `azurekms`.
///
/// ```
/// use sealmark_kms::plugin::scheme;
/// assert_eq!(scheme("/usr/bin/sigstore-kms-azurekms"), Some("azurekms"));
/// assert_eq!(scheme("sealmark"), None);
/// ```
pub fn scheme(program: &str) -> Option<&str> {
    let name = program.rsplit(['/', '\\']).next()?;
    let name = name.strip_suffix(".exe").unwrap_or(name);
    name.strip_prefix(PREFIX)
        .filter(|scheme| !scheme.is_empty())
}
