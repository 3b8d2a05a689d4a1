//! Keys on tokens: smart cards, HSMs, TPMs, and whatever else has a PKCS#11 module.
//!
//! Invariants: a PIN is tried once, and is in no message; a token is logged in to only to sign, or where it shows nothing
//! before; a module is loaded once, and one session to a token serves all of a run.

#[cfg(feature = "pkcs11")]
mod create;
#[cfg(feature = "pkcs11")]
mod module;
#[cfg(feature = "pkcs11")]
mod object;
#[cfg(feature = "pkcs11")]
mod pin;
#[cfg_attr(not(feature = "pkcs11"), allow(dead_code, reason = "only parsed then"))]
pub(crate) mod reference;
#[cfg(feature = "pkcs11")]
mod sign;
#[cfg(feature = "pkcs11")]
mod token;

pub use reference::Reference;

#[cfg(feature = "pkcs11")]
pub(crate) use key::{create, open};

#[cfg(feature = "pkcs11")]
mod key;
