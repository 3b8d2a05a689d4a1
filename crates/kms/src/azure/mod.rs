//! Keys in Azure Key Vault and in its Managed HSM.
//!
//! A [`Key`] is understood in every build; the rest needs the feature `azure`. The service is asked over its REST
//! interface (docs/decisions/0006-azure-without-its-sdk.md says why):
//! <https://learn.microsoft.com/rest/api/keyvault/keys/operation-groups>.
//!
//! Invariants: a token goes to a host of Key Vault only, and only if that is of the domain which the token is for. What
//! is printed of a token is whose it is and when it expires.

mod cloud;
mod reference;

pub use reference::Key;

#[cfg(feature = "azure")]
mod certificate;
#[cfg(feature = "azure")]
mod chain;
#[cfg(feature = "azure")]
mod challenge;
#[cfg(feature = "azure")]
mod environment;
#[cfg(feature = "azure")]
mod error;
#[cfg(feature = "azure")]
mod identity;
#[cfg(feature = "azure")]
mod key;
#[cfg(feature = "azure")]
mod login;
#[cfg(feature = "azure")]
mod managed;
#[cfg(feature = "azure")]
mod refusal;
#[cfg(feature = "azure")]
mod service;
#[cfg(feature = "azure")]
mod tools;
#[cfg(feature = "azure")]
mod vault;
#[cfg(feature = "azure")]
mod wrap;

#[cfg(feature = "azure")]
pub use error::Error;
#[cfg(feature = "azure")]
pub use service::{create, open};
#[cfg(feature = "azure")]
pub(crate) use wrap::{unwrap, wrap};
