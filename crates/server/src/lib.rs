//! The services over HTTP.
//!
//! Each service is a module with an `axum::Router` and nothing that outlives it; [`listen`] gives every one of
//! them the same bounded connections and the same orderly end, and [`ops`] what operators and browsers want: metrics,
//! an access log, limits.

pub mod ca;
pub mod ct;
mod durable;
pub mod elsewhere;
mod error;
mod grpc;
pub mod instance;
mod keyring;
pub mod kms;
pub mod listen;
mod locks;
pub mod log;
mod marker;
pub mod oidc;
pub mod ops;
pub mod password;
pub mod registry;
pub mod reload;
mod serial;
pub mod tsa;
pub mod tuf;
pub mod witness;

pub use error::Error;
