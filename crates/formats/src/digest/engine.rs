//! The hash functions: by aws-lc-rs, or in Rust alone where that, which is C, cannot be built (`wasm32`) or where the
//! feature `portable` asks for it. Nothing outside this file knows which; the reasons are in
//! `docs/decisions/0003-portable-engine.md`.

#[cfg(not(any(target_arch = "wasm32", feature = "portable")))]
mod aws_lc;
#[cfg(any(target_arch = "wasm32", feature = "portable"))]
mod portable;

#[cfg(not(any(target_arch = "wasm32", feature = "portable")))]
pub(super) use aws_lc::{Context, sha1, sha256};
#[cfg(any(target_arch = "wasm32", feature = "portable"))]
pub(super) use portable::{Context, sha1, sha256};
