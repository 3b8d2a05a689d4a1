//! Key pairs in Actions secrets of a GitHub repository, as cosign keeps them: `COSIGN_PRIVATE_KEY`, `COSIGN_PUBLIC_KEY`
//! and `COSIGN_PASSWORD` ([the interface](https://docs.github.com/rest/actions/secrets)).
//!
//! GitHub gives a secret to workflows alone, so that a pair is written here and never read. Invariants: what goes there is
//! sealed for the repository's key; the token goes to that host alone, and is in no message.

pub(crate) mod reference;
#[cfg(feature = "github")]
mod secrets;

pub use reference::Reference;
#[cfg(feature = "github")]
pub(crate) use secrets::store;
