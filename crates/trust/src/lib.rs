//! Where trusted material comes from: TUF, files, the embedded public root.
//!
//! Nothing here decides whether a signature is good; it says whom to believe, and [`Origin`] says why. Material from a
//! TUF repository is never taken as it lies in the cache: every use goes through the whole chain from the pinned root
//! (see [`tuf`]).

mod error;
pub mod material;
pub mod service;
pub mod tuf;

pub use error::Error;
pub use material::{EnvironmentFiles, Origin, RevocationFeed, TrustedMaterial};
pub use sealmark_formats::{SigningConfig, TrustedRoot};
