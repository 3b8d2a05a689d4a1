//! Merkle trees: hashes, proofs, tiles, signed notes, checkpoints, cosignatures, and policies over them.
//!
//! Pure functions of bytes: no I/O, no clock. A [`Note`] or a [`Checkpoint`] is well formed and no more; what
//! [`Checkpoint::open`] gives is signed by the key that the caller trusts, and [`merkle`] then ties a leaf to its root.
//!
//! ```
//! use sealmark_tlog::merkle::{leaf_hash, node_hash, verify_inclusion};
//!
//! let (first, second) = (leaf_hash(b"first entry"), leaf_hash(b"second entry"));
//! let root = node_hash(&first, &second);
//! verify_inclusion(1, 2, &second, &[first], &root)?;
//! # Ok::<(), sealmark_tlog::Error>(())
//! ```

pub mod checkpoint;
pub mod cosignature;
mod error;
pub mod merkle;
pub mod note;
pub mod policy;
pub mod tile;
pub mod witness;

pub use checkpoint::{Checkpoint, Origin};
pub use error::Error;
pub use merkle::Hash;
#[cfg(not(target_arch = "wasm32"))]
pub use note::NoteSigner;
pub use note::{Note, NoteSignature};
pub use tile::Tile;
