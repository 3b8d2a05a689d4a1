//! The signing pipeline: signature, bundle, attachment.
//!
//! Whatever is made here is verified by the engine that will verify it later before anyone sees it, and what is signed
//! once is not signed again: the same key over the same content adds nothing.

pub mod blob;
mod check;
mod error;
pub mod image;

pub use error::Error;
