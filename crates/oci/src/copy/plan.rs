//! What there is to move: every manifest, read and checked, and the blobs that they name.
//!
//! Invariant: it ends, whatever the source says. Each manifest is taken once, so that lists which lead back to where one
//! was lead nowhere; depth, number and bytes are bounded; and what is listed as attached counts only if it says itself
//! what it is attached to.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sealmark_formats::{Digest, legacy, statement};
use serde::Serialize;

use super::{Only, Options, is_platform};
use crate::attachments::{PARALLEL, Source};
use crate::client::Manifest;
use crate::client::referrers::referrer_descriptor;
use crate::error::Error;
use crate::manifest::{
    BUNDLE_CONTENT_ANNOTATION, BUNDLE_PREDICATE_ANNOTATION, BUNDLE_PREFIX, Descriptor, Index,
    Parsed, REVOCATION_TYPE, is_image, is_index,
};

/// Manifests of one copy: an index of the largest projects has some dozens, each with a few attachments.
const MAX_MANIFESTS: usize = 10_000;
/// Their bytes, which are held in memory together.
const MAX_MANIFEST_BYTES: u64 = 256 << 20;
/// Blobs of one copy.
const MAX_BLOBS: usize = 100_000;
/// How deep indexes are nested.
const MAX_DEPTH: usize = 4;
/// How deep attachments are attached to attachments.
const MAX_NESTING: usize = 8;

/// One manifest that is moved.
pub(super) struct Item {
    pub(super) manifest: Manifest,
    pub(super) parsed: Parsed,
    pub(super) role: Role,
    /// How deep it is in an index, or among attachments of attachments. Images that are deeper are moved first,
    /// attachments after what they are attached to.
    pub(super) depth: usize,
}

/// Why it is moved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Role {
    /// The image, the index, or an image in it.
    Image,
    /// Inside an index that is attached.
    Part,
    /// Attached by its subject; as a list of referrers describes it.
    Referrer {
        subject: Digest,
        entry: Box<Descriptor>,
    },
    /// At the legacy tag of `subject`.
    Legacy {
        subject: Digest,
        suffix: &'static str,
    },
}

/// Something that was not moved.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// What it is listed as attached to.
    pub subject: Digest,
    /// Its own digest.
    pub digest: Digest,
    /// Why.
    pub reason: String,
}

pub(super) struct Plan {
    /// The image or index that was asked for.
    pub(super) root: Manifest,
    pub(super) items: Vec<Item>,
    pub(super) skipped: Vec<Skipped>,
}

impl Plan {
    /// Reads everything that is to be moved.
    pub(super) async fn make(
        source: &Source,
        attached: &Source,
        image: &Digest,
        options: &Options,
    ) -> Result<Self, Error> {
        let mut root = source.manifest(image).await?;
        if let Some(wanted) = &options.platform {
            root = source.manifest(&child_for(&root, wanted)?).await?;
        }
        // In a layout, one pass over all blobs finds the referrers of all of them.
        let listed = match source {
            Source::Registry { .. } => None,
            Source::Layout(layout) => {
                let layout = layout.clone();
                Some(crate::attachments::blocking(move || layout.all_referrers()).await?)
            }
        };
        let mut walk = Walk {
            source,
            attached_in: attached,
            listed,
            root: root.digest.clone(),
            only: options.only,
            seen: HashSet::from([root.digest.clone()]),
            items: Vec::new(),
            bytes: 0,
            skipped: Vec::new(),
        };
        walk.take(root.clone(), Role::Image, 0, Role::Image).await?;
        walk.attachments().await?;
        let mut items = walk.items;
        if options.only.is_some() {
            items.retain(|item| item.role != Role::Image);
        }
        Ok(Self {
            root,
            items,
            skipped: walk.skipped,
        })
    }

    /// The blobs that the manifests of images name, and those of attachments. Each is named once, unless they go `apart`.
    /// Layers that an image only points at, elsewhere, are not moved.
    pub(super) fn blobs(&self, apart: bool) -> Result<(Vec<Descriptor>, Vec<Descriptor>), Error> {
        let mut sizes: BTreeMap<(&Digest, bool), u64> = BTreeMap::new();
        let (mut of_images, mut of_attachments) = (Vec::new(), Vec::new());
        for item in &self.items {
            let attached = item.role != Role::Image;
            let blobs = match attached {
                true => &mut of_attachments,
                false => &mut of_images,
            };
            let named: Vec<&Descriptor> = match &item.parsed {
                Parsed::Image(image) => image.layers.iter().chain([&image.config]).collect(),
                Parsed::Index(index) => {
                    index.manifests.iter().filter(|d| !is_manifest(d)).collect()
                }
            };
            for blob in named {
                if blob.media_type.contains("foreign")
                    || blob.media_type.contains("nondistributable")
                {
                    continue;
                }
                match sizes.insert((&blob.digest, apart && attached), blob.size) {
                    None => blobs.push(blob.clone()),
                    Some(size) if size == blob.size => {}
                    Some(size) => {
                        let reason = format!("it is said to have {size} and {} bytes", blob.size);
                        return Err(Error::malformed(format!("blob {}", blob.digest), reason));
                    }
                }
            }
            if sizes.len() > MAX_BLOBS {
                let what = format!("blobs of {}", self.root.digest);
                return Err(Error::TooMany {
                    what,
                    limit: MAX_BLOBS,
                });
            }
        }
        Ok((of_images, of_attachments))
    }
}

struct Walk<'a> {
    source: &'a Source,
    /// Where attachments are.
    attached_in: &'a Source,
    /// In a layout, what refers to what.
    listed: Option<BTreeMap<Digest, Vec<Descriptor>>>,
    root: Digest,
    only: Option<Only>,
    seen: HashSet<Digest>,
    items: Vec<Item>,
    bytes: u64,
    skipped: Vec<Skipped>,
}

/// Something that is listed as attached to `subject`.
struct Found {
    subject: Digest,
    digest: Digest,
    what: Result<(Manifest, Option<&'static str>), String>,
}

impl Walk<'_> {
    /// Adds a manifest, and if it is an index what it lists.
    async fn take(
        &mut self,
        manifest: Manifest,
        role: Role,
        first: usize,
        inside: Role,
    ) -> Result<(), Error> {
        let mut level = vec![(manifest, role)];
        for depth in first..=first + MAX_DEPTH {
            let mut children: Vec<Descriptor> = Vec::new();
            for (manifest, role) in level {
                let parsed = manifest.parse()?;
                if let Parsed::Index(index) = &parsed {
                    let manifests = index.manifests.iter().filter(|child| is_manifest(child));
                    children.extend(
                        manifests
                            .filter(|child| self.seen.insert(child.digest.clone()))
                            .cloned(),
                    );
                }
                self.bytes += manifest.bytes.len() as u64;
                self.items.push(Item {
                    manifest,
                    parsed,
                    role,
                    depth,
                });
            }
            self.check(children.len())?;
            if children.is_empty() {
                return Ok(());
            }
            let source = match inside {
                Role::Image => self.source,
                _ => self.attached_in,
            };
            level = stream::iter(children)
                .map(|child| async move {
                    let manifest = source.manifest(&child.digest).await?;
                    if manifest.bytes.len() as u64 != child.size {
                        return Err(Error::malformed(
                            format!("manifest {}", child.digest),
                            format!(
                                "the index says that it has {} bytes, and it has {}",
                                child.size,
                                manifest.bytes.len()
                            ),
                        ));
                    }
                    Ok(manifest)
                })
                .buffered(PARALLEL)
                .map_ok(|manifest| (manifest, inside.clone()))
                .try_collect()
                .await?;
        }
        Err(Error::TooMany {
            what: format!("indexes inside one another in {}", self.root),
            limit: MAX_DEPTH,
        })
    }

    fn check(&self, more: usize) -> Result<(), Error> {
        if self.items.len().saturating_add(more) > MAX_MANIFESTS {
            return Err(Error::TooMany {
                what: format!("manifests of {} and of what is attached to it", self.root),
                limit: MAX_MANIFESTS,
            });
        }
        if self.bytes > MAX_MANIFEST_BYTES {
            return Err(Error::TooLarge {
                what: format!("the manifests of {} together", self.root),
                limit: MAX_MANIFEST_BYTES,
            });
        }
        Ok(())
    }

    /// Adds what is attached to the images, then what is attached to that, and so on.
    async fn attachments(&mut self) -> Result<(), Error> {
        let mut subjects: Vec<Digest> = self
            .items
            .iter()
            .map(|item| item.manifest.digest.clone())
            .collect();
        let mut nesting = 0;
        while !subjects.is_empty() {
            let mut next = Vec::new();
            // A few at a time, so that a source that lists without end is noticed.
            for some in subjects.chunks(PARALLEL) {
                let walk = &*self;
                let found: Vec<Vec<Found>> = stream::iter(some)
                    .map(|subject| walk.attached(subject, nesting == 0))
                    .buffered(PARALLEL)
                    .try_collect()
                    .await?;
                for found in found.into_iter().flatten() {
                    self.add(found, nesting, &mut next).await?;
                }
                self.check(0)?;
            }
            if !next.is_empty() && nesting == MAX_NESTING {
                return Err(Error::TooMany {
                    what: format!("attachments of attachments of {}", self.root),
                    limit: MAX_NESTING,
                });
            }
            subjects = next;
            nesting += 1;
        }
        Ok(())
    }

    async fn add(
        &mut self,
        found: Found,
        nesting: usize,
        next: &mut Vec<Digest>,
    ) -> Result<(), Error> {
        let Found {
            subject,
            digest,
            what,
        } = found;
        let skip = |reason: String| Skipped {
            subject: subject.clone(),
            digest: digest.clone(),
            reason,
        };
        let (manifest, suffix) = match what {
            Ok(found) => found,
            Err(reason) => {
                self.skipped.push(skip(reason));
                return Ok(());
            }
        };
        let role = match suffix {
            Some(suffix) => Role::Legacy {
                subject: subject.clone(),
                suffix,
            },
            None => {
                let about = Descriptor::new("", subject.clone(), 0);
                match referrer_descriptor(&about, &manifest.media_type, &manifest.bytes) {
                    Ok(entry) => Role::Referrer {
                        subject: subject.clone(),
                        entry: Box::new(Descriptor {
                            digest: digest.clone(),
                            ..entry
                        }),
                    },
                    Err(error) => {
                        self.skipped.push(skip(error.to_string()));
                        return Ok(());
                    }
                }
            }
        };
        if nesting == 0 && !self.only.is_none_or(|only| only.has(&role)) {
            return Ok(());
        }
        let new = self.seen.insert(digest.clone());
        if new {
            next.push(digest);
        } else if suffix.is_none() {
            return Ok(());
        }
        self.take(manifest, role, nesting, Role::Part).await
    }

    /// What is listed as attached to `subject`.
    async fn attached(&self, subject: &Digest, is_image: bool) -> Result<Vec<Found>, Error> {
        let (mut found, signatures, attestations, sboms) = tokio::try_join!(
            self.referrers(subject, is_image),
            self.legacy(subject, "sig"),
            self.legacy(subject, "att"),
            self.legacy(subject, "sbom"),
        )?;
        found.extend(signatures);
        found.extend(attestations);
        found.extend(sboms);
        Ok(found)
    }

    async fn referrers(&self, subject: &Digest, is_image: bool) -> Result<Vec<Found>, Error> {
        let mut unreadable = None;
        let listed = match (self.attached_in, &self.listed) {
            (_, Some(listed)) => Ok(listed.get(subject).cloned().unwrap_or_default()),
            (Source::Registry { client, repository }, None) if is_image => {
                let (listed, fallback) = tokio::try_join!(
                    client.referrers(repository, subject, None),
                    client.fallback_index(repository, subject),
                )
                .map(|(api, fallback)| (api.descriptors, fallback.descriptors))?;
                // A registry that got its API later may still have the index of before.
                Ok(listed.into_iter().chain(fallback).collect::<Vec<_>>())
            }
            (source, None) => source.referrers(subject).await,
        };
        let listed = match listed {
            Err(Error::NotReferrers { digest, tag, found }) => {
                let reason = Error::NotReferrers {
                    digest: digest.clone(),
                    tag,
                    found,
                };
                unreadable = Some(Found {
                    subject: subject.clone(),
                    digest,
                    what: Err(reason.to_string()),
                });
                Vec::new()
            }
            other => other?,
        };
        let digests: BTreeSet<Digest> = listed.into_iter().map(|entry| entry.digest).collect();
        self.check(digests.len())?;
        let new = digests
            .into_iter()
            .filter(|digest| !self.seen.contains(digest));
        let found: Vec<Found> = stream::iter(new.collect::<Vec<_>>())
            .map(|digest| async move {
                let what = match self.attached_in.manifest(&digest).await {
                    Ok(manifest) => Ok((manifest, None)),
                    Err(error) => Err(crate::attachments::own_fault(error)?),
                };
                Ok::<_, Error>(Found {
                    subject: subject.clone(),
                    digest,
                    what,
                })
            })
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok(found.into_iter().chain(unreadable).collect())
    }

    async fn legacy(&self, subject: &Digest, suffix: &'static str) -> Result<Vec<Found>, Error> {
        // cosign's marks in a layout do not say what they are about: it marks what belongs to the image itself.
        if let Source::Layout(layout) = self.attached_in
            && *subject != self.root
        {
            let tag = crate::reference::attachment_tag("", subject, suffix);
            let named = layout.index()?.manifests.into_iter().any(|entry| {
                entry
                    .annotations
                    .get(crate::manifest::REF_NAME_ANNOTATION)
                    .is_some_and(|name| name.ends_with(&tag))
            });
            if !named {
                return Ok(Vec::new());
            }
        }
        let found = self.attached_in.legacy(subject, suffix).await?;
        Ok(found
            .into_iter()
            .map(|manifest| Found {
                subject: subject.clone(),
                digest: manifest.digest.clone(),
                what: match manifest.image() {
                    Ok(_) => Ok((manifest, Some(suffix))),
                    Err(error) => Err(error.to_string()),
                },
            })
            .collect())
    }
}

impl Only {
    fn has(self, role: &Role) -> bool {
        match role {
            Role::Image | Role::Part => false,
            Role::Legacy { suffix, .. } => match *suffix {
                "sig" => self.signatures,
                "att" => self.attestations,
                _ => self.sboms,
            },
            Role::Referrer { entry, .. } => match entry.artifact_type.as_deref() {
                Some(legacy::OCI11_SIGNATURE_TYPE) => self.signatures,
                // Whatever it is about: what is revoked must not be copied without it.
                Some(REVOCATION_TYPE) => true,
                Some(kind) if kind.starts_with(BUNDLE_PREFIX) => {
                    let annotation = |name| entry.annotations.get(name).map(String::as_str);
                    let signs = annotation(BUNDLE_PREDICATE_ANNOTATION)
                        == Some(statement::COSIGN_SIGN_V1)
                        || annotation(BUNDLE_CONTENT_ANNOTATION) == Some("message-signature");
                    if signs {
                        self.signatures
                    } else {
                        self.attestations
                    }
                }
                _ => false,
            },
        }
    }
}

/// What an index lists is nearly always manifests; caches of BuildKit list blobs.
fn is_manifest(descriptor: &Descriptor) -> bool {
    let kind = &descriptor.media_type;
    kind.is_empty() || is_index(kind) || is_image(kind)
}

fn child_for(root: &Manifest, wanted: &str) -> Result<Digest, Error> {
    let Index { manifests, .. } = root.index()?;
    let platforms: Vec<String> = manifests
        .iter()
        .filter_map(|child| child.platform.as_ref().map(ToString::to_string))
        .take(20)
        .collect();
    let found = manifests.into_iter().find(|child| {
        let platform = child.platform.as_ref();
        platform.is_some_and(|platform| is_platform(platform, wanted))
    });
    match found {
        Some(child) => Ok(child.digest),
        None => Err(Error::malformed(
            format!("index {}", root.digest),
            format!(
                "it has no image for the platform {wanted:?}; it has {}",
                platforms.join(", ")
            ),
        )),
    }
}
