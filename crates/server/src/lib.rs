//! The services over HTTP.
//!
//! Each service is a module with an `axum::Router` and nothing that outlives it; [`listen`] gives every one of
//! them the same bounded connections and the same orderly end.

mod durable;
mod error;
mod grpc;
mod keyring;
pub mod listen;
pub mod log;
pub mod registry;
pub mod witness;

pub use error::Error;
