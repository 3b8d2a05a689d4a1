//! Keys in a transit secrets engine of HashiCorp Vault or OpenBao
//! ([its interface](https://openbao.org/api-docs/secret/transit/)).
//!
//! Invariants: one version of the key is chosen when it is found, and signs all of the run; the token goes to the server
//! of `VAULT_ADDR` alone, and is in no message.

#[cfg(feature = "vault")]
mod connection;
#[cfg(feature = "vault")]
mod key;
pub(crate) mod reference;
#[cfg(feature = "vault")]
mod refusal;
#[cfg(feature = "vault")]
mod wrap;

#[cfg(feature = "vault")]
pub(crate) use key::{create, open};
pub use reference::{Product, Reference};
#[cfg(feature = "vault")]
pub(crate) use wrap::{unwrap, wrap};
