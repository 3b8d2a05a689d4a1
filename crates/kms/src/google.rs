//! Keys in Google Cloud KMS ([its REST interface](https://cloud.google.com/kms/docs/reference/rest)).
//!
//! Invariants: what goes there and what comes is guarded with its CRC-32C both ways, as Google asks of clients; one version
//! of the key is chosen when it is found, and signs all of the run; a token goes to Google's own hosts alone, or to those
//! that the credentials or an override name, and only over https or to this machine.

#[cfg(feature = "google")]
mod crc32c;
#[cfg(feature = "google")]
mod credentials;
#[cfg(feature = "google")]
mod exchange;
#[cfg(feature = "google")]
mod key;
#[cfg_attr(not(feature = "google"), allow(dead_code, reason = "only parsed then"))]
pub(crate) mod reference;
#[cfg(feature = "google")]
mod refusal;
#[cfg(feature = "google")]
mod wrap;

#[cfg(feature = "google")]
pub(crate) use key::{create, open};
pub use reference::Reference;
#[cfg(feature = "google")]
pub(crate) use wrap::{unwrap, wrap};
