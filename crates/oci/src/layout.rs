//! OCI image layouts on disk, also as `cosign save` writes them.
//!
//! Invariant: every byte that is read by digest has that digest, sizes and counts are bounded, and file names are
//! only ever made from a [`Digest`], so that nothing in a layout leads out of it. Files appear whole or not at all.
//!
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sealmark_formats::{Digest, HashAlgorithm};

use crate::client::{MAX_MANIFEST, Manifest};
use crate::error::{Attempt, Error, sanitise};
use crate::manifest::{Descriptor, ImageManifest, Index, Parsed, REF_NAME_ANNOTATION};

/// Annotation by which `cosign save` tells what an entry of `index.json` is.
pub const KIND_ANNOTATION: &str = "kind";
/// An image in a layout of `cosign save`.
pub const KIND_IMAGE: &str = "dev.cosignproject.cosign/image";
/// An index in a layout of `cosign save`.
pub const KIND_INDEX: &str = "dev.cosignproject.cosign/imageIndex";
/// The `.sig` image in a layout of `cosign save`.
pub const KIND_SIGNATURES: &str = "dev.cosignproject.cosign/sigs";
/// The `.att` image in a layout of `cosign save`.
pub const KIND_ATTESTATIONS: &str = "dev.cosignproject.cosign/atts";

/// Artifact type of what says whom to believe about the images of a layout. It is no image, and refers to none.
pub const TRUST_TYPE: &str = "application/vnd.sealmark.trust.v1";

/// Files that are looked at to find what refers to an image. The largest published indexes have a few thousand blobs.
const MAX_SCANNED: usize = 20_000;
/// Bytes that are read to do so. Only files that begin like JSON count.
const MAX_SCANNED_BYTES: u64 = 1 << 30;
/// How deep indexes are nested.
const MAX_DEPTH: usize = 4;

/// An OCI image layout on disk.
#[derive(Clone, Debug)]
pub struct Layout {
    dir: PathBuf,
}

impl Layout {
    /// Opens a layout.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the directory is none.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Marker {
            image_layout_version: String,
        }
        let layout = Self { dir: dir.into() };
        let what = format!("OCI layout {}", layout.dir.display());
        if !layout.dir.is_dir() {
            return Err(Error::malformed(&what, "there is no such directory"));
        }
        let marker = layout.dir.join("oci-layout");
        let bytes = read_file(&marker, MAX_MANIFEST)?
            .ok_or_else(|| Error::malformed(&what, "there is no file `oci-layout`"))?;
        let marker: Marker =
            serde_json::from_slice(&bytes).map_err(|error| Error::malformed(&what, error))?;
        if !marker.image_layout_version.starts_with("1.") {
            let version = sanitise(&marker.image_layout_version);
            return Err(Error::malformed(
                what,
                format!("version {version:?} is not supported"),
            ));
        }
        Ok(layout)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `index.json`.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is missing or not an index.
    pub fn index(&self) -> Result<Index, Error> {
        let path = self.dir.join("index.json");
        let what = path.display().to_string();
        let bytes = read_file(&path, MAX_MANIFEST)?
            .ok_or_else(|| Error::malformed(&what, "there is no such file"))?;
        serde_json::from_slice(&bytes).map_err(|error| Error::malformed(what, error))
    }

    /// Finds an image by its name in the layout, or by digest; without either, the only image that there is. What is
    /// attached to an image is not an image.
    ///
    /// # Errors
    /// [`Error::NotFound`], naming what there is; [`Error::Malformed`] if the name means several images.
    pub fn resolve(&self, name: Option<&str>) -> Result<Descriptor, Error> {
        let digest = name.and_then(|name| name.parse::<Digest>().ok());
        if let Some(digest) = &digest {
            return Ok(self.manifest(digest)?.descriptor());
        }
        let index = self.index()?;
        let mut images: Vec<&Descriptor> = Vec::new();
        for entry in &index.manifests {
            if !images.iter().any(|image| image.digest == entry.digest) && self.is_image(entry)? {
                images.push(entry);
            }
        }
        let names: Vec<String> = images
            .iter()
            .map(|image| match image.annotations.get(REF_NAME_ANNOTATION) {
                Some(name) => sanitise(name),
                None => image.digest.to_string(),
            })
            .take(10)
            .collect();
        match name {
            Some(name) => images.retain(|image| {
                image
                    .annotations
                    .get(REF_NAME_ANNOTATION)
                    .is_some_and(|have| have == name)
            }),
            // oras lists the images of an index beside it, without a name: the index is the image then.
            None if images.len() > 1 => {
                let inside = self.listed_by(&images)?;
                images.retain(|image| {
                    image.annotations.contains_key(REF_NAME_ANNOTATION)
                        || !inside.contains(&image.digest)
                });
            }
            None => {}
        }
        match images.as_slice() {
            [image] => Ok((*image).clone()),
            [] => Err(self.not_found(
                name.unwrap_or("an image"),
                if names.is_empty() {
                    "the layout has no images".to_owned()
                } else {
                    format!("the layout has {}", names.join(", "))
                },
            )),
            _ => Err(Error::malformed(
                format!("OCI layout {}", self.dir.display()),
                format!("it has several images; choose one of {}", names.join(", ")),
            )),
        }
    }

    /// What the indexes among `images` list.
    fn listed_by(&self, images: &[&Descriptor]) -> Result<BTreeSet<Digest>, Error> {
        let mut listed = BTreeSet::new();
        for image in images {
            if let Parsed::Index(index) = self.manifest(&image.digest)?.parse()? {
                listed.extend(index.manifests.into_iter().map(|entry| entry.digest));
            }
        }
        Ok(listed)
    }

    /// An entry of `index.json` that is an image, not something attached to one.
    fn is_image(&self, entry: &Descriptor) -> Result<bool, Error> {
        match entry.annotations.get(KIND_ANNOTATION).map(String::as_str) {
            Some(KIND_IMAGE | KIND_INDEX) => return Ok(true),
            Some(KIND_SIGNATURES | KIND_ATTESTATIONS) => return Ok(false),
            _ => {}
        }
        if entry
            .annotations
            .get(REF_NAME_ANNOTATION)
            .is_some_and(|name| is_attachment_tag(name))
        {
            return Ok(false);
        }
        let parsed = self.manifest(&entry.digest)?.parse()?;
        Ok(parsed.subject().is_none() && !is_trust(&parsed))
    }

    /// The manifests that say whom to believe about the images here.
    ///
    /// # Errors
    /// If the index, or what it lists, cannot be read.
    pub fn trust(&self) -> Result<Vec<ImageManifest>, Error> {
        let mut found = Vec::new();
        for entry in &self.index()?.manifests {
            if let Parsed::Image(image) = self.manifest(&entry.digest)?.parse()?
                && image.kind() == TRUST_TYPE
            {
                found.push(*image);
            }
        }
        Ok(found)
    }

    /// A manifest or index by digest.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::TooLarge`], [`Error::DigestMismatch`].
    pub fn manifest(&self, digest: &Digest) -> Result<Manifest, Error> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Shape {
            #[serde(default)]
            media_type: Option<String>,
            #[serde(default)]
            manifests: Option<serde::de::IgnoredAny>,
        }
        let bytes = self.blob(digest, MAX_MANIFEST)?;
        let shape: Shape = serde_json::from_slice(&bytes)
            .map_err(|error| Error::malformed(format!("manifest {digest}"), error))?;
        let media_type = shape.media_type.map_or_else(
            || {
                let index = shape.manifests.is_some();
                if index {
                    crate::manifest::OCI_INDEX
                } else {
                    crate::manifest::OCI_MANIFEST
                }
                .to_owned()
            },
            |media_type| sanitise(&media_type),
        );
        Ok(Manifest {
            media_type,
            digest: digest.clone(),
            bytes: bytes.into(),
        })
    }

    /// A blob by digest.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::TooLarge`] beyond `limit`, [`Error::DigestMismatch`].
    pub fn blob(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, Error> {
        let path = self.blob_path(digest);
        let bytes = read_file(&path, limit)?
            .ok_or_else(|| self.not_found(&digest.to_string(), String::new()))?;
        let found = Digest::of(digest.algorithm(), &bytes);
        if found != *digest {
            let what = path.display().to_string();
            return Err(Error::DigestMismatch {
                what,
                expected: digest.clone(),
                found,
            });
        }
        Ok(bytes)
    }

    /// Where a blob is, or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.dir
            .join("blobs")
            .join(digest.algorithm().name())
            .join(digest.hex())
    }

    /// Everything in the layout that refers to `subject`, whether an index lists it or not: `cosign save` writes
    /// bundles as bare blobs. Descriptors have the manifests' own artifact type and annotations.
    ///
    /// # Errors
    /// [`Error::TooMany`], [`Error::TooLarge`] if the layout is too big to be searched; [`Error::Io`].
    pub fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let mut found = self.scan(&|digest| digest == subject)?;
        Ok(found.remove(subject).unwrap_or_default())
    }

    /// Everything in the layout that refers to something, by what it refers to: as [`referrers`](Self::referrers), for
    /// all subjects in one pass.
    ///
    /// # Errors
    /// As of [`referrers`](Self::referrers).
    pub fn all_referrers(&self) -> Result<BTreeMap<Digest, Vec<Descriptor>>, Error> {
        self.scan(&|_| true)
    }

    fn scan(
        &self,
        wanted: &dyn Fn(&Digest) -> bool,
    ) -> Result<BTreeMap<Digest, Vec<Descriptor>>, Error> {
        let mut found: BTreeMap<Digest, Vec<Descriptor>> = BTreeMap::new();
        let mut files = 0;
        let mut read = 0;
        for algorithm in HashAlgorithm::ALL {
            let dir = self.dir.join("blobs").join(algorithm.name());
            let entries = match std::fs::read_dir(&dir) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::io("reading", dir, error)),
            };
            for entry in entries {
                let entry = entry.map_err(|error| Error::io("reading", &dir, error))?;
                files += 1;
                if files > MAX_SCANNED {
                    let what = format!("blobs in {}", dir.display());
                    return Err(Error::TooMany {
                        what,
                        limit: MAX_SCANNED,
                    });
                }
                let digest = entry
                    .file_name()
                    .to_str()
                    .and_then(|name| format!("{algorithm}:{name}").parse::<Digest>().ok());
                let Some(digest) = digest else { continue };
                let Some(bytes) = read_json(&entry.path())? else {
                    continue;
                };
                read += bytes.len() as u64;
                if read > MAX_SCANNED_BYTES {
                    let what = format!("the JSON in {}", dir.display());
                    return Err(Error::TooLarge {
                        what,
                        limit: MAX_SCANNED_BYTES,
                    });
                }
                if let Some((subject, descriptor)) = referrer(&digest, &bytes)
                    && wanted(&subject)
                {
                    found.entry(subject).or_default().push(descriptor);
                }
            }
        }
        for list in found.values_mut() {
            list.sort_by(|a, b| a.digest.cmp(&b.digest));
        }
        Ok(found)
    }

    /// The images that hold legacy attachments of `subject`: entries of `index.json`, also nested, that `cosign save`
    /// marks as such, or that have the attachment's tag as their name. `suffix` is `sig`, `att` or `sbom`.
    ///
    /// A mark does not say which image it is about; whoever reads the signatures sees.
    ///
    /// # Errors
    /// If an index cannot be read.
    pub fn legacy(&self, subject: &Digest, suffix: &str) -> Result<Vec<Descriptor>, Error> {
        let tag = crate::reference::attachment_tag("", subject, suffix);
        let kind = match suffix {
            "sig" => KIND_SIGNATURES,
            "att" => KIND_ATTESTATIONS,
            _ => "",
        };
        let mut found: Vec<Descriptor> = Vec::new();
        self.walk(&self.index()?, 0, &mut 0, &mut |entry| {
            let name = entry.annotations.get(REF_NAME_ANNOTATION);
            let named = name.is_some_and(|name| *name == tag || name.ends_with(&format!(":{tag}")));
            // A name that is the tag of another image's attachment says more than the mark.
            let marked = !name.is_some_and(|name| is_attachment_tag(name))
                && entry
                    .annotations
                    .get(KIND_ANNOTATION)
                    .is_some_and(|mark| mark == kind);
            if (named || marked) && !found.iter().any(|have| have.digest == entry.digest) {
                found.push(entry.clone());
            }
        })?;
        Ok(found)
    }

    fn walk(
        &self,
        index: &Index,
        depth: usize,
        visited: &mut usize,
        visit: &mut dyn FnMut(&Descriptor),
    ) -> Result<(), Error> {
        for entry in &index.manifests {
            *visited += 1;
            if *visited > MAX_SCANNED {
                let what = format!("entries of the indexes in {}", self.dir.display());
                return Err(Error::TooMany {
                    what,
                    limit: MAX_SCANNED,
                });
            }
            visit(entry);
            if entry.is_index() && depth < MAX_DEPTH {
                let nested = match self.manifest(&entry.digest) {
                    Ok(manifest) => manifest.index()?,
                    // A layout may hold a part of an index.
                    Err(error) if error.is_not_found() => continue,
                    Err(error) => return Err(error),
                };
                self.walk(&nested, depth + 1, visited, visit)?;
            }
        }
        Ok(())
    }

    fn not_found(&self, what: &str, detail: String) -> Error {
        Error::NotFound {
            attempt: Attempt {
                host: String::new(),
                operation: "reading",
                target: format!("{} in OCI layout {}", sanitise(what), self.dir.display()),
            },
            repository_unknown: false,
            detail,
        }
    }
}

pub(crate) fn is_attachment_tag(name: &str) -> bool {
    let tag = name.rsplit_once(':').map_or(name, |(_, tag)| tag);
    tag.starts_with("sha256-")
        && [".sig", ".att", ".sbom"]
            .iter()
            .any(|suffix| tag.ends_with(suffix))
}

/// The manifest as a referrer, and what it refers to.
fn referrer(digest: &Digest, bytes: &[u8]) -> Option<(Digest, Descriptor)> {
    let parsed = Parsed::read("blob", "", bytes).ok()?;
    let subject = parsed.subject()?.digest.clone();
    let (media_type, artifact_type, annotations) = match parsed {
        Parsed::Image(image) => {
            let kind = image.kind().to_owned();
            (image.media_type, Some(kind), image.annotations)
        }
        Parsed::Index(index) => (index.media_type, index.artifact_type, index.annotations),
    };
    let media_type = media_type.unwrap_or_else(|| crate::manifest::OCI_MANIFEST.to_owned());
    let mut descriptor = Descriptor::new(media_type, digest.clone(), bytes.len() as u64);
    descriptor.artifact_type = artifact_type;
    descriptor.annotations = annotations;
    Some((subject, descriptor))
}

/// A regular file, whole; `None` if there is no such file.
fn read_file(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
    let Some((mut file, size)) = open_regular(path)? else {
        return Ok(None);
    };
    let too_large = || Error::TooLarge {
        what: path.display().to_string(),
        limit,
    };
    if size > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    (&mut file)
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("reading", path, error))?;
    if bytes.len() as u64 > limit {
        return Err(too_large());
    }
    Ok(Some(bytes))
}

/// A file that may be a manifest: not too large, and beginning like one.
fn read_json(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let Some((mut file, size)) = open_regular(path)? else {
        return Ok(None);
    };
    if size > MAX_MANIFEST {
        return Ok(None);
    }
    let error = |error| Error::io("reading", path, error);
    let mut bytes = Vec::new();
    (&mut file)
        .take(64)
        .read_to_end(&mut bytes)
        .map_err(error)?;
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Ok(None);
    }
    (&mut file)
        .take(MAX_MANIFEST)
        .read_to_end(&mut bytes)
        .map_err(error)?;
    Ok(Some(bytes))
}

fn is_trust(parsed: &Parsed) -> bool {
    matches!(parsed, Parsed::Image(image) if image.kind() == TRUST_TYPE)
}

/// A pipe or device in a layout would block, or never end.
fn open_regular(path: &Path) -> Result<Option<(std::fs::File, u64)>, Error> {
    let error = |error| Error::io("reading", path, error);
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some((
            std::fs::File::open(path).map_err(error)?,
            metadata.len(),
        ))),
        Ok(_) => Ok(None),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(error(cause)),
    }
}
