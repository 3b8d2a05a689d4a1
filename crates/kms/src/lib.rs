//! Where a key is: key references, and a Signer for each.
//!
//! A [`KeyRef`] says where a key is, [`load_public`] and [`load_signer`] get it from there. Whatever comes from
//! there is hostile until it has been parsed: sizes and times are bounded.

pub mod aws;
pub mod azure;
#[allow(
    dead_code,
    reason = "which of it is needed depends on the providers that are built in"
)]
mod encode;
mod error;
mod fetch;
pub mod github;
pub mod gitlab;
pub mod google;
pub mod kubernetes;
mod load;
pub mod pkcs11;
pub mod plugin;
#[cfg_attr(
    not(any(feature = "azure", feature = "kubernetes")),
    allow(dead_code, reason = "plugins say in their answer whether they failed")
)]
mod program;
mod reference;
mod remote;
mod signer;
mod stored;
pub mod vault;
pub mod wrap;

pub use error::Error;
pub use load::{create_key, load_public, load_signer, load_verifier};
pub use reference::KeyRef;
pub use remote::{
    Ask, DEFAULT_TIMEOUT, KeyService, MAX_MESSAGE, OnNote, Options, Pending, RemoteKey,
};
pub use sealmark_keys::Input;
pub use signer::Signer;
pub use stored::{KeyPair, store};
