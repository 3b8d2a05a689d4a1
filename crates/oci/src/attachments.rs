//! Everything that is attached to an artifact, in every layout, as [`Evidence`].
//!
//! Invariant: what cannot be read is there as [`Unreadable`](evidence::Content::Unreadable), with the reason; what
//! cannot be *fetched* because the registry refuses or fails is an error for the whole. "There are none" is only said
//! when every place was looked at and answered.
//!
//! One listing, one request for `.sig` (and `.att` if wanted), and for each attachment one for its manifest and one
//! for its blob. Blobs that several attachments share (the payload of two signatures) are fetched once.

mod contents;

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sealmark_formats::{Digest, legacy};
use sealmark_verify::Evidence;
use sealmark_verify::evidence;

use self::contents::Limits;
use crate::client::referrers::stated_type;
use crate::client::{Client, Manifest};
use crate::error::Error;
use crate::layout::Layout;
use crate::manifest::{Descriptor, holds_bundle};
use crate::reference::{Repository, attachment_tag};

/// Largest attachment, in bytes, also after decompression; cosign's `COSIGN_MAX_ATTACHMENT_SIZE`. cosign's own bound is
/// 128 MiB: a predicate of 100 MiB does not fit, since base64 makes 134 of it.
pub const MAX_ATTACHMENT: u64 = 192 << 20;
/// Most attachments of one artifact, all layouts together; cosign's limit for the layers of a `.sig` image.
pub const MAX_ATTACHMENTS: usize = 1000;
/// Bytes of all attachments of one artifact together: they are held in memory at once.
pub const MAX_ATTACHED: u64 = 512 << 20;
/// Images inside one index, with those of indexes inside it.
pub const MAX_IMAGES: usize = 1000;
/// Requests at the same time.
pub(crate) const PARALLEL: usize = 16;

/// Where attachments are looked for.
#[derive(Clone, Debug)]
pub enum Source {
    /// A repository in a registry: the image's own, or `COSIGN_REPOSITORY`.
    Registry {
        /// Talks to it.
        client: Client,
        /// The repository that the attachments are in.
        repository: Repository,
    },
    /// A layout on disk.
    Layout(Layout),
}

/// Which attachments are wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Want {
    /// Sigstore bundles.
    pub bundles: bool,
    /// `.sig`, and experimental OCI 1.1 signatures.
    pub signatures: bool,
    /// `.att`.
    pub attestations: bool,
}

impl Want {
    /// Bundles alone.
    pub const BUNDLES: Self = Self {
        bundles: true,
        signatures: false,
        attestations: false,
    };
    /// Legacy signatures alone.
    pub const LEGACY_SIGNATURES: Self = Self {
        bundles: false,
        signatures: true,
        attestations: false,
    };
    /// Bundles and legacy signatures.
    pub const SIGNATURES: Self = Self {
        bundles: true,
        signatures: true,
        attestations: false,
    };
    /// Bundles and legacy attestations.
    pub const ATTESTATIONS: Self = Self {
        bundles: true,
        signatures: false,
        attestations: true,
    };
    /// Everything.
    pub const ALL: Self = Self {
        bundles: true,
        signatures: true,
        attestations: true,
    };
}

impl Source {
    /// Where a manifest is, for people.
    pub(crate) fn location(&self, manifest: &Digest) -> String {
        match self {
            Self::Registry { repository, .. } => repository.at(&manifest.to_string()),
            Self::Layout(layout) => format!("{}@{manifest}", layout.dir().display()),
        }
    }

    pub(crate) async fn manifest(&self, digest: &Digest) -> Result<Manifest, Error> {
        match self {
            Self::Registry { client, repository } => {
                client.manifest(repository, &digest.to_string()).await
            }
            Self::Layout(layout) => {
                let (layout, digest) = (layout.clone(), digest.clone());
                blocking(move || layout.manifest(&digest)).await
            }
        }
    }

    /// The image or index, and if it is an index everything inside it, each once: BuildKit lists the same attestation
    /// manifest several times. The source is the repository that the image itself is in.
    ///
    /// # Errors
    /// As reading manifests; [`Error::TooMany`] if there are more than [`MAX_IMAGES`].
    pub async fn with_children(&self, root: Descriptor) -> Result<Vec<Descriptor>, Error> {
        let mut seen = BTreeSet::from([root.digest.clone()]);
        let location = self.location(&root.digest);
        let mut subjects = vec![root];
        let mut next = 0;
        while let Some(subject) = subjects.get(next) {
            next += 1;
            if !subject.is_index() {
                continue;
            }
            let index = self.manifest(&subject.digest).await?.index()?;
            for child in index.manifests {
                if seen.insert(child.digest.clone()) {
                    subjects.push(child);
                }
                if subjects.len() > MAX_IMAGES {
                    return Err(Error::TooMany {
                        what: format!("images in {location}"),
                        limit: MAX_IMAGES,
                    });
                }
            }
        }
        Ok(subjects)
    }

    async fn blob(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, Error> {
        match self {
            Self::Registry { client, repository } => client.blob(repository, digest, limit).await,
            Self::Layout(layout) => {
                let (layout, digest) = (layout.clone(), digest.clone());
                blocking(move || layout.blob(&digest, limit)).await
            }
        }
    }

    pub(crate) async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        match self {
            Self::Registry { client, repository } => Ok(client
                .referrers(repository, subject, None)
                .await?
                .descriptors),
            Self::Layout(layout) => {
                let (layout, subject) = (layout.clone(), subject.clone());
                blocking(move || layout.referrers(&subject)).await
            }
        }
    }

    /// The images at the legacy tag; a layout may have several.
    pub(crate) async fn legacy(
        &self,
        subject: &Digest,
        suffix: &'static str,
    ) -> Result<Vec<Manifest>, Error> {
        match self {
            Self::Registry { client, repository } => {
                let tag = attachment_tag(&client.options().tag_prefix, subject, suffix);
                let found = client.attachments_at(repository, &tag).await?;
                Ok(found.into_iter().map(|(manifest, _)| manifest).collect())
            }
            Self::Layout(layout) => {
                let (layout, subject) = (layout.clone(), subject.clone());
                blocking(move || {
                    let entries = layout.legacy(&subject, suffix)?;
                    entries
                        .iter()
                        .map(|entry| layout.manifest(&entry.digest))
                        .collect()
                })
                .await
            }
        }
    }

    fn max_attachment(&self) -> u64 {
        match self {
            Self::Registry { client, .. } => client.options().max_attachment,
            Self::Layout(_) => MAX_ATTACHMENT,
        }
    }
}

/// Disks can be slow, too.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::malformed("reading a layout", error)),
    }
}

/// An attachment of which the blob is still to be read, or what is wrong with it.
struct Found {
    layout: evidence::Layout,
    manifest: Digest,
    layer: Result<Descriptor, String>,
}

/// Reads everything that is attached to `subject`.
///
/// # Errors
/// [`Error::TooMany`] beyond [`MAX_ATTACHMENTS`]; whatever the registry refuses or fails with, except about a single
/// attachment. What does not fit into [`MAX_ATTACHED`] is unreadable, the largest first.
pub async fn gather(source: &Source, subject: &Digest, want: Want) -> Result<Vec<Evidence>, Error> {
    use evidence::Layout::{LegacyAttestation, LegacySignature};
    let (referring, signatures, attestations) = tokio::try_join!(
        referring(source, subject, want),
        layers(source, subject, LegacySignature, want.signatures),
        layers(source, subject, LegacyAttestation, want.attestations),
    )?;
    let mut found = referring;
    found.extend(signatures);
    found.extend(attestations);
    check_count(source, subject, found.len())?;
    contents::read(source, found, Limits::of(source)).await
}

fn check_count(source: &Source, subject: &Digest, count: usize) -> Result<(), Error> {
    if count > MAX_ATTACHMENTS {
        let what = format!("attachments of {}", source.location(subject));
        return Err(Error::TooMany {
            what,
            limit: MAX_ATTACHMENTS,
        });
    }
    Ok(())
}

/// What is wrong with one attachment, as opposed to with the registry.
pub(crate) fn own_fault(error: Error) -> Result<String, Error> {
    match error {
        Error::DigestMismatch { .. }
        | Error::TooLarge { .. }
        | Error::TooMany { .. }
        | Error::Malformed { .. }
        // Who may push can name a digest by an algorithm that the registry does not know.
        | Error::Rejected { status: 400, .. } => Ok(error.to_string()),
        // It is listed, and not there.
        Error::NotFound { attempt, .. } => Ok(format!("nothing at {}", attempt.target)),
        other => Err(other),
    }
}

/// Bundles and experimental signatures, from what refers to the subject.
async fn referring(source: &Source, subject: &Digest, want: Want) -> Result<Vec<Found>, Error> {
    let mut listed = match source.referrers(subject).await {
        Ok(listed) => listed,
        // Who may push a tag must not hide the other layouts with it.
        Err(Error::NotReferrers { digest, tag, found }) => {
            return Ok(vec![Found {
                layout: evidence::Layout::Bundle,
                manifest: digest.clone(),
                layer: Err(Error::NotReferrers { digest, tag, found }.to_string()),
            }]);
        }
        Err(error) => return Err(error),
    };
    listed.retain(|descriptor| match stated_type(descriptor) {
        Some(kind) if holds_bundle(kind) => want.bundles,
        Some(legacy::OCI11_SIGNATURE_TYPE) => want.signatures,
        Some(_) => false,
        // It may be anything: one must look.
        None => true,
    });
    check_count(source, subject, listed.len())?;
    let found: Vec<Vec<Found>> = stream::iter(listed)
        .map(|descriptor| async move {
            let said = stated_type(&descriptor).is_some();
            let image = match source.manifest(&descriptor.digest).await {
                Ok(manifest) => manifest.image(),
                Err(error) => Err(error),
            };
            let image = match image {
                Ok(image) => image,
                // An index that refers to the image is no bundle, unless it is said to be one.
                Err(Error::Malformed { .. }) if !said => return Ok(Vec::new()),
                Err(error) => {
                    return Ok(vec![Found {
                        layout: evidence::Layout::Bundle,
                        manifest: descriptor.digest,
                        layer: Err(own_fault(error)?),
                    }]);
                }
            };
            let bundle = holds_bundle(image.kind());
            let signature = image.kind() == legacy::OCI11_SIGNATURE_TYPE;
            let layout = if signature {
                evidence::Layout::Oci11Signature
            } else {
                evidence::Layout::Bundle
            };
            let mut found: Vec<Found> = image
                .layers
                .into_iter()
                .filter(|layer| {
                    signature && want.signatures || want.bundles && holds_bundle(&layer.media_type)
                })
                .map(|layer| Found {
                    layout,
                    manifest: descriptor.digest.clone(),
                    layer: Ok(layer),
                })
                .collect();
            if found.is_empty() && bundle && want.bundles {
                let layer = Err("the manifest says that it is a bundle, and has none".to_owned());
                found.push(Found {
                    layout,
                    manifest: descriptor.digest,
                    layer,
                });
            }
            Ok::<_, Error>(found)
        })
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

/// The layers of a legacy image.
async fn layers(
    source: &Source,
    subject: &Digest,
    layout: evidence::Layout,
    wanted: bool,
) -> Result<Vec<Found>, Error> {
    if !wanted {
        return Ok(Vec::new());
    }
    let suffix = match layout {
        evidence::Layout::LegacyAttestation => "att",
        _ => "sig",
    };
    let mut found = Vec::new();
    for manifest in source.legacy(subject, suffix).await? {
        let digest = manifest.digest.clone();
        match manifest.image() {
            Ok(image) => found.extend(image.layers.into_iter().map(|layer| Found {
                layout,
                manifest: digest.clone(),
                layer: Ok(layer),
            })),
            Err(error) => {
                found.push(Found {
                    layout,
                    manifest: digest,
                    layer: Err(own_fault(error)?),
                });
            }
        }
        check_count(source, subject, found.len())?;
    }
    Ok(found)
}
