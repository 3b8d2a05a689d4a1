//! The wire types of Sigstore's public formats, read and written byte for byte.
//!
//! Pure functions of bytes: no I/O, no clock. A value of a type in this crate is well formed; whether it is to be
//! trusted is decided in `sealmark-verify`.

pub mod bundle;
pub mod canonical_json;
pub mod digest;
pub mod dsse;
mod encoding;
pub mod jcs;
pub mod legacy;
pub mod log_entry;
pub mod predicate;
pub mod predicate_type;
pub mod promotion;
mod protobuf_json;
pub mod provenance;
pub mod revocation;
pub mod revocation_feed;
pub mod signing_config;
pub mod simple_signing;
pub mod statement;
pub mod trusted_root;

pub use bundle::Bundle;
pub use digest::{Digest, HashAlgorithm, Hasher};
pub use encoding::{ParseError, excerpt};
pub use protobuf_json::null_as_default;
pub use signing_config::SigningConfig;
pub use trusted_root::TrustedRoot;
