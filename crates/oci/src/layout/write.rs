//! Writing layouts.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use sealmark_formats::{Digest, HashAlgorithm, Hasher};

use super::Layout;
use crate::error::Error;
use crate::manifest::{Descriptor, Index, REF_NAME_ANNOTATION};

/// How the names of files begin that are not whole yet.
const PARTIAL: &str = ".sealmark-";

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

    pub(crate) fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
        let path = self.blob_path(digest);
        if path.is_file() && self.blob(digest, bytes.len() as u64).is_ok() {
            return Ok(());
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
        self.list(std::slice::from_ref(descriptor))
    }

    /// Lists manifests that are in the layout in `index.json`, in one write.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn list(&self, descriptors: &[Descriptor]) -> Result<(), Error> {
        let key = |entry: &Descriptor| (entry.digest.clone(), entry.annotations.clone());
        // `cosign save` gives an image and its signatures one name, and tells them apart by kind.
        let named = |entry: &Descriptor| {
            let name = entry.annotations.get(REF_NAME_ANNOTATION)?.clone();
            Some((name, entry.annotations.get(super::KIND_ANNOTATION).cloned()))
        };
        let same: BTreeSet<_> = descriptors.iter().map(key).collect();
        let renamed: BTreeSet<_> = descriptors.iter().filter_map(named).collect();
        let mut index = self.index()?;
        index.manifests.retain(|entry| {
            !same.contains(&key(entry)) && named(entry).is_none_or(|name| !renamed.contains(&name))
        });
        index.manifests.extend_from_slice(descriptors);
        write_whole(&self.dir().join("index.json"), &index.to_json())
    }

    /// Whether the layout has a blob of this size and digest. A file that is cut short or altered is not it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn has_blob(&self, digest: &Digest, size: u64) -> Result<bool, Error> {
        let path = self.blob_path(digest);
        let error = |error| Error::io("reading", &path, error);
        let Some((mut file, length)) = super::open_regular(&path)? else {
            return Ok(false);
        };
        if length != size {
            return Ok(false);
        }
        let mut hasher = Hasher::new(digest.algorithm());
        let mut piece = vec![0; 128 << 10];
        loop {
            let read = file.read(&mut piece).map_err(error)?;
            if read == 0 {
                return Ok(hasher.finish() == *digest);
            }
            hasher.update(&piece[..read]);
        }
    }

    /// A file beside the blobs, which becomes one when it is whole.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn partial(&self, digest: &Digest) -> Result<tempfile::NamedTempFile, Error> {
        partial(&self.blob_path(digest))
    }

    /// Makes a file that is whole the blob.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn keep(&self, digest: &Digest, file: tempfile::NamedTempFile) -> Result<(), Error> {
        keep(&self.blob_path(digest), file)
    }

    /// Removes what an interrupted writer left. Writers of one layout take turns, so that nobody is still writing it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn sweep(&self) -> Result<(), Error> {
        for algorithm in HashAlgorithm::ALL {
            let dir = self.dir().join("blobs").join(algorithm.name());
            let Ok(entries) = std::fs::read_dir(&dir) else {
                continue;
            };
            for entry in entries {
                let entry = entry.map_err(|error| Error::io("reading", &dir, error))?;
                if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
                    let path = entry.path();
                    std::fs::remove_file(&path)
                        .map_err(|error| Error::io("removing", &path, error))?;
                }
            }
        }
        Ok(())
    }
}

/// Under another name first, so that no reader sees a part.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = partial(path)?;
    file.write_all(bytes)
        .map_err(|error| Error::io("writing", path, error))?;
    keep(path, file)
}

fn partial(path: &Path) -> Result<tempfile::NamedTempFile, Error> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(dir).map_err(|error| Error::io("making", dir, error))?;
    tempfile::Builder::new()
        .prefix(PARTIAL)
        .tempfile_in(dir)
        .map_err(|error| Error::io("writing", path, error))
}

fn keep(path: &Path, file: tempfile::NamedTempFile) -> Result<(), Error> {
    let error = |error| Error::io("writing", path, error);
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
