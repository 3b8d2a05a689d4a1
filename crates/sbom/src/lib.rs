//! The packages inside an image, as SPDX and CycloneDX.
//!
//! Invariant: what is in an image is hostile. Every size, count, depth and path is bounded, and a file that cannot be
//! read costs its own packages, never those of others.

pub mod file;
pub mod languages;
pub mod package;

pub use file::{Content, File, Reader};
pub use package::{Ecosystem, Location, Package, Purl};
