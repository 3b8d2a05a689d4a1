//! Key pairs in secrets of Kubernetes, as cosign keeps them: the members `cosign.key`, `cosign.pub` and
//! `cosign.password` of one secret.
//!
//! Invariants: credentials go to the server that the kubeconfig names for them and nowhere else, and are in no message;
//! a secret that is replaced is the one that was read.

#[cfg(feature = "kubernetes")]
mod access;
#[cfg(feature = "kubernetes")]
mod connection;
#[cfg(feature = "kubernetes")]
mod exec;
#[cfg(feature = "kubernetes")]
mod kubeconfig;
pub(crate) mod reference;
#[cfg(feature = "kubernetes")]
mod secret;

pub use reference::Reference;
#[cfg(feature = "kubernetes")]
pub(crate) use secret::{read, store};
