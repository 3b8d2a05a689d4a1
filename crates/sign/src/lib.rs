//! The signing pipeline: identity, certificate, signature, timestamp, log entry, bundle, attachment.
//!
//! Whatever is made here is verified by the engine that will verify it later before anyone sees it, and what is signed
//! once is not signed again: the same signer over the same content adds nothing.

pub mod attest;
pub mod blob;
mod check;
mod error;
pub mod fulcio;
pub mod identity;
pub mod image;
mod legacy;
pub mod log;
mod place;
pub mod services;
mod signatory;
pub mod timestamp;

pub use error::Error;
pub use place::{Layouts, Location, Placed, State};
pub use sealmark_http as http;
pub use sealmark_verify::report::Sighting;
pub use services::Services;
pub use signatory::{Progress, Signatory};
