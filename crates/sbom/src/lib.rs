//! The packages inside an image, as SPDX and CycloneDX.
//!
//! Invariant: what is in an image is hostile. Every size, count, depth and path is bounded, and a file that cannot be
//! read costs its own packages, never those of others.

pub mod cyclonedx;
pub mod file;
pub mod languages;
pub mod package;
pub mod spdx_json;
pub mod table;

mod catalogue;
mod directory;
mod document;
mod error;
mod found;
mod image;
mod layer;
mod system;
mod tar;
mod unpack;

pub use catalogue::{Sbom, Subject};
pub use error::Error;
pub use file::{Content, File, Reader};
pub use image::{ImageName, directory, image};
pub use package::{Ecosystem, Location, Package, Purl};
pub use system::OsRelease;
