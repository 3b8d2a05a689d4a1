//! Where a key is: key references, and a Signer for each.
//!
//! A [`KeyRef`] says where a key is, [`load_public`] and [`load_signer`] get it from there. Whatever comes from
//! there is hostile until it has been parsed: sizes and times are bounded.

mod error;
mod fetch;
mod load;
mod reference;
mod remote;
mod signer;

pub use error::Error;
pub use load::{load_public, load_signer};
pub use reference::KeyRef;
pub use remote::{DEFAULT_TIMEOUT, KeyService, MAX_MESSAGE, OnNote, Options, Pending, RemoteKey};
pub use sealmark_keys::Input;
pub use signer::Signer;
