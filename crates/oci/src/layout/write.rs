//! Writing layouts.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use sealmark_formats::Digest;

use super::Layout;
use crate::error::Error;
use crate::manifest::{Descriptor, Index, REF_NAME_ANNOTATION};

impl Layout {
    /// Opens a layout for writing, and makes it if there is none.
    ///
    /// # Errors
    /// [`Error::Io`], or as of [`open`](Self::open) if there is something else.
    pub fn create(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        let dir = dir.into();
        let blobs = dir.join("blobs").join("sha256");
        std::fs::create_dir_all(&blobs).map_err(|error| Error::io("making", &blobs, error))?;
        if !dir.join("index.json").exists() {
            write_whole(&dir.join("index.json"), &Index::of(Vec::new()).to_json())?;
        }
        if !dir.join("oci-layout").exists() {
            write_whole(
                &dir.join("oci-layout"),
                br#"{"imageLayoutVersion":"1.0.0"}"#,
            )?;
        }
        Self::open(dir)
    }

    /// Adds a blob.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn add_blob(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::sha256(bytes);
        self.put_blob(&digest, bytes)?;
        Ok(digest)
    }

    fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
        let path = self.blob_path(digest);
        if path.is_file() && self.blob(digest, bytes.len() as u64).is_ok() {
            return Ok(());
        }
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(|error| Error::io("making", dir, error))?;
        }
        write_whole(&path, bytes)
    }

    /// Adds a manifest as a blob, and lists it in `index.json` as `descriptor` describes it. An entry of the same
    /// name is replaced, and the same entry is not listed twice. Writers of one layout must take turns.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`] if the descriptor is of other bytes; [`Error::Io`].
    pub fn add_manifest(&self, descriptor: &Descriptor, bytes: &[u8]) -> Result<(), Error> {
        let found = Digest::of(descriptor.digest.algorithm(), bytes);
        if found != descriptor.digest || descriptor.size != bytes.len() as u64 {
            let what = "manifest to be added to the layout".to_owned();
            return Err(Error::DigestMismatch {
                what,
                expected: descriptor.digest.clone(),
                found,
            });
        }
        self.put_blob(&descriptor.digest, bytes)?;
        let mut index = self.index()?;
        let name = descriptor.annotations.get(REF_NAME_ANNOTATION);
        let kind = descriptor.annotations.get(super::KIND_ANNOTATION);
        index.manifests.retain(|entry| {
            let same =
                entry.digest == descriptor.digest && entry.annotations == descriptor.annotations;
            // `cosign save` gives an image and its signatures one name, and tells them apart by kind.
            let renamed = name.is_some()
                && entry.annotations.get(REF_NAME_ANNOTATION) == name
                && entry.annotations.get(super::KIND_ANNOTATION) == kind;
            !same && !renamed
        });
        index.manifests.push(descriptor.clone());
        write_whole(&self.dir().join("index.json"), &index.to_json())
    }
}

/// Under another name first, so that no reader sees a part.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let error = |error| Error::io("writing", path, error);
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".sealmark-")
        .tempfile_in(dir)
        .map_err(error)?;
    file.write_all(bytes).map_err(error)?;
    // Blobs are public, unlike other temporary files.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(mode).map_err(error)?;
    }
    file.persist(path).map_err(|failed| error(failed.error))?;
    Ok(())
}
