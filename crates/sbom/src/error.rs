//! Why there is no SBOM.

use std::io;
use std::path::PathBuf;

use sealmark_formats::Digest;

/// A failure. Its `Display` is the whole message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A registry or a layout did not do what was asked.
    #[error("{0}")]
    Oci(#[from] sealmark_oci::Error),
    /// A layer cannot be looked through. What is in the others would be half the truth.
    #[error("cannot look through layer {layer}: {problem}")]
    Layer {
        /// The layer.
        layer: Digest,
        /// What is wrong with it.
        problem: String,
    },
    /// A directory has more than is looked through.
    #[error("cannot look through {}: {problem}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file or directory could not be read.
    #[error("cannot read {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// An index has no image for the platform.
    #[error("{index} has no image for {wanted}; it has {have}: choose one with --platform")]
    Platform {
        /// The index.
        index: Digest,
        /// The platform.
        wanted: String,
        /// Those that there are.
        have: String,
    },
    /// What was named is no image.
    #[error(
        "{manifest} is no image: it has a layer of the type {media_type:?}; name the image that it is attached to"
    )]
    NotAnImage {
        /// The manifest.
        manifest: Digest,
        /// The type.
        media_type: String,
    },
    /// The thread that looked through a layer came to an end by itself.
    #[error("looking through layer {layer} was interrupted; this is an error of this program")]
    Interrupted {
        /// The layer.
        layer: Digest,
    },
}
