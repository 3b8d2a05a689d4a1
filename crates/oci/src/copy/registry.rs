//! Writing into a registry.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sealmark_formats::Digest;

use super::plan::{Item, Plan, Role};
use super::{PARALLEL_BLOBS, Progress, Sent};
use crate::attachments::{PARALLEL, Source};
use crate::client::Client;
use crate::client::stream::{BlobStream, Origin};
use crate::error::Error;
use crate::manifest::{DOCKER_MANIFEST, Descriptor, Parsed};
use crate::reference::{Reference, Repository, attachment_tag};

/// Refuses to move a tag from another image.
pub(super) async fn may_move(
    client: &Client,
    repository: &Repository,
    tag: &str,
    digest: &Digest,
    force: bool,
) -> Result<(), Error> {
    if force {
        return Ok(());
    }
    let reference = Reference {
        registry: repository.registry.clone(),
        repository: repository.name.clone(),
        tag: Some(tag.to_owned()),
        digest: None,
    };
    match client.resolve(&reference).await {
        Ok(there) if there.digest != *digest => Err(Error::Exists {
            target: repository.at(tag),
            digest: there.digest,
        }),
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

pub(super) struct Writer<'a> {
    pub(super) source: &'a Source,
    pub(super) client: &'a Client,
    pub(super) repository: &'a Repository,
    pub(super) progress: Arc<dyn Progress>,
}

impl Writer<'_> {
    /// The image, the index and the images in it, without a tag.
    pub(super) async fn images(&self, plan: &Plan) -> Result<usize, Error> {
        self.manifests(plan, |role| *role == Role::Image).await
    }

    /// What is attached, found in the registry's own way.
    pub(super) async fn attachments(&self, plan: &Plan, force: bool) -> Result<usize, Error> {
        let mut sent = self.manifests(plan, |role| *role != Role::Image).await?;
        self.listed(plan).await?;
        let legacy = stream::iter(&plan.items)
            .filter_map(|item| async move {
                match &item.role {
                    Role::Legacy { subject, suffix } => Some((item, subject, *suffix)),
                    _ => None,
                }
            })
            .map(|(item, subject, suffix)| self.legacy(item, subject, suffix, force))
            .buffer_unordered(PARALLEL)
            .try_collect::<Vec<bool>>()
            .await?;
        sent += legacy.into_iter().filter(|sent| *sent).count();
        Ok(sent)
    }

    /// Moves the tag to the image.
    pub(super) async fn tag(&self, plan: &Plan, tag: &str, force: bool) -> Result<(), Error> {
        // Again, since the copy may have taken long.
        may_move(self.client, self.repository, tag, &plan.root.digest, force).await?;
        let (media_type, bytes) = (&plan.root.media_type, plan.root.bytes.clone());
        self.client
            .push_manifest(self.repository, Some(tag), media_type, bytes)
            .await?;
        Ok(())
    }

    pub(super) async fn blobs(&self, blobs: &[Descriptor]) -> Result<Sent, Error> {
        let (count, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
        stream::iter(blobs)
            .map(|blob| {
                let (count, bytes) = (&count, &bytes);
                async move {
                    if self.has_blob(blob).await? {
                        self.progress.advance(blob.size);
                        return Ok::<(), Error>(());
                    }
                    let origin = match self.source {
                        Source::Registry { client, repository } => {
                            Origin::Registry(client.clone(), repository.clone())
                        }
                        Source::Layout(layout) => Origin::File(layout.blob_path(&blob.digest)),
                    };
                    let stream = BlobStream::new(origin, blob.clone(), Arc::clone(&self.progress));
                    self.client.push_stream(self.repository, stream).await?;
                    count.fetch_add(1, Relaxed);
                    bytes.fetch_add(blob.size, Relaxed);
                    Ok(())
                }
            })
            .buffer_unordered(PARALLEL_BLOBS)
            .try_collect::<()>()
            .await?;
        let count = count.into_inner();
        Ok(Sent {
            blobs: count,
            bytes: bytes.into_inner(),
            present: blobs.len() - count,
            manifests: 0,
        })
    }

    /// Whether the repository has the blob, or now has, since another one of the same registry has.
    async fn has_blob(&self, blob: &Descriptor) -> Result<bool, Error> {
        if let Source::Registry { repository, .. } = self.source
            && repository != self.repository
            && repository.registry == self.repository.registry
            && self
                .client
                .mount_blob(repository, self.repository, &blob.digest)
                .await?
        {
            return Ok(true);
        }
        self.client.blob_exists(self.repository, &blob.digest).await
    }

    /// Images and parts of attached indexes, the deepest first; then what is attached, after what it is attached to.
    async fn manifests(&self, plan: &Plan, which: fn(&Role) -> bool) -> Result<usize, Error> {
        let mut steps: BTreeMap<(u8, isize), Vec<&Item>> = BTreeMap::new();
        for item in plan.items.iter().filter(|item| which(&item.role)) {
            let depth = isize::try_from(item.depth).unwrap_or(isize::MAX);
            let step = match item.role {
                Role::Image => (0, -depth),
                Role::Part => (1, -depth),
                Role::Referrer { .. } => (2, depth),
                Role::Legacy { .. } => continue,
            };
            steps.entry(step).or_default().push(item);
        }
        let mut sent = 0;
        for items in steps.into_values() {
            let done: Vec<bool> = stream::iter(items)
                .map(|item| async move {
                    let identifier = item.manifest.digest.to_string();
                    if self
                        .client
                        .manifest_exists(self.repository, &identifier)
                        .await?
                    {
                        return Ok::<_, Error>(false);
                    }
                    self.put(item, &identifier).await?;
                    Ok(true)
                })
                .buffer_unordered(PARALLEL)
                .try_collect()
                .await?;
            sent += done.into_iter().filter(|sent| *sent).count();
        }
        Ok(sent)
    }

    async fn put(&self, item: &Item, identifier: &str) -> Result<(), Error> {
        let manifest = &item.manifest;
        self.client
            .push_manifest(
                self.repository,
                Some(identifier),
                &manifest.media_type,
                manifest.bytes.clone(),
            )
            .await?;
        Ok(())
    }

    /// Sees to it that attachments are found.
    async fn listed(&self, plan: &Plan) -> Result<(), Error> {
        let mut lists: BTreeMap<&Digest, Vec<Descriptor>> = BTreeMap::new();
        for item in &plan.items {
            if let Role::Referrer { subject, entry } = &item.role {
                lists.entry(subject).or_default().push((**entry).clone());
            }
        }
        stream::iter(lists)
            .map(|(subject, entries)| async move {
                self.client
                    .see_listed(self.repository, subject, &entries)
                    .await
            })
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await
    }

    /// Whether the legacy image had to be sent. Where others have attached something else, both are there afterwards.
    async fn legacy(
        &self,
        item: &Item,
        subject: &Digest,
        suffix: &str,
        force: bool,
    ) -> Result<bool, Error> {
        let tag = attachment_tag(&self.client.options().tag_prefix, subject, suffix);
        let there = self.client.attachments_at(self.repository, &tag).await?;
        let Some((there, _)) = there else {
            self.put(item, &tag).await?;
            return Ok(true);
        };
        if there.digest == item.manifest.digest {
            return Ok(false);
        }
        // An SBOM is one thing, not a list of them.
        if suffix == "sbom" {
            if !force {
                return Err(Error::Exists {
                    target: self.repository.at(&tag),
                    digest: there.digest,
                });
            }
            self.put(item, &tag).await?;
            return Ok(true);
        }
        let layers = match &item.parsed {
            Parsed::Image(image) => image.layers.as_slice(),
            Parsed::Index(_) => &[],
        };
        let docker = item.manifest.media_type == DOCKER_MANIFEST;
        let merged = self
            .client
            .merge_legacy(self.repository, &tag, layers, docker)
            .await?;
        Ok(merged != there.digest)
    }
}
