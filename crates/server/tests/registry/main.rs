//! The registry, as clients meet it: over real sockets.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, a panic with its line is the report"
)]

mod crash;
mod discovery;
mod hostile;
mod management;
mod peers;
mod pull;
mod push;
mod service;
mod settings;
