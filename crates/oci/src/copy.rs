//! Moving images with all that is attached to them, between registries and layouts on disk.
//!
//! The journey: `plan` finds everything there is to move, and reads the manifests; then the blobs are moved, in
//! parallel and each only if it is not there; then manifests, what is listed before what lists it; then what is
//! attached is made findable in the destination's own way; and last of all the tag is set.
//!
//! Invariants:
//! - Whoever pulls the tag at the destination gets the former image or the whole new one, never a part.
//! - Nothing that others attached at the destination is lost: lists and legacy images are merged, not overwritten.
//! - Manifests are moved byte for byte, so that digests and signatures stay what they are.
//! - A copy that was interrupted is completed by the next one; what had arrived is not sent again.

mod layout;
mod plan;
mod registry;

use std::sync::Arc;

use sealmark_formats::Digest;
use serde::Serialize;

pub use self::plan::Skipped;
use self::plan::{Plan, Role};
use crate::attachments::Source;
use crate::client::Client;
use crate::error::Error;
use crate::layout::Layout;
use crate::manifest::Platform;
use crate::reference::Repository;

/// Blobs that are moved at the same time. Memory is this many times a few pieces.
const PARALLEL_BLOBS: usize = 8;

/// Where an image is moved to.
#[derive(Clone, Debug)]
pub enum Destination {
    /// A repository in a registry.
    Registry {
        /// Talks to it. If the source is in the same registry, it should be the source's own: they share what they know.
        client: Client,
        /// The repository.
        repository: Repository,
        /// The tag that is moved, last of all. Without it the image is there by its digest.
        tag: Option<String>,
    },
    /// A layout on disk. Writers of one layout must take turns.
    Layout {
        /// The layout.
        layout: Layout,
        /// The image's name in the layout; a former image of that name loses it.
        name: Option<String>,
    },
}

/// What is moved.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only these attachments, and not the image itself, which may be at the destination already. Everything without.
    pub only: Option<Only>,
    /// Of an index, only the image for this platform: `linux/amd64` or `linux/arm/v7`.
    pub platform: Option<String>,
    /// Move the tag even if it is another image now.
    pub force: bool,
    /// Where the attachments are at the source, if not beside the image: `COSIGN_REPOSITORY`.
    pub attached_in: Option<Repository>,
    /// Where they go at the destination, if not beside the image. Both are for registries.
    pub attach_in: Option<Repository>,
}

/// Kinds of attachments, in every layout.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Only {
    /// Signatures: bundles, OCI 1.1 signatures and `.sig`.
    pub signatures: bool,
    /// Attestations: bundles and `.att`.
    pub attestations: bool,
    /// `.sbom`.
    pub sboms: bool,
}

/// Follows a copy while it runs. Called from several tasks, and often: it must be quick.
pub trait Progress: Send + Sync {
    /// So many bytes of blobs are to be moved or found at the destination.
    fn expect(&self, bytes: u64);
    /// So many more were moved, or need not be.
    fn advance(&self, bytes: u64);
    /// So many are moved again, since a connection broke.
    fn retract(&self, bytes: u64);
}

/// Nobody looks.
impl Progress for () {
    fn expect(&self, _: u64) {}
    fn advance(&self, _: u64) {}
    fn retract(&self, _: u64) {}
}

/// What a copy did.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Copied {
    /// The digest of the image or index, the same at the source and at the destination.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Images, with those in indexes and the indexes themselves.
    pub images: usize,
    /// Manifests that are attached to them, at any depth.
    pub attachments: usize,
    /// Blobs that were sent.
    pub blobs_sent: usize,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Blobs that were at the destination already, or were mounted from another repository there.
    pub blobs_present: usize,
    /// Manifests that were sent; those that were there already are not.
    pub manifests_sent: usize,
    /// What the source lists as attached and could not be moved, and why: it is gone, or is about another image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
}

/// What was sent, as a destination counts it.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    blobs: usize,
    bytes: u64,
    present: usize,
    manifests: usize,
}

impl std::ops::AddAssign for Sent {
    fn add_assign(&mut self, more: Self) {
        self.blobs += more.blobs;
        self.bytes += more.bytes;
        self.present += more.present;
        self.manifests += more.manifests;
    }
}

/// Moves `image` (an image or index, by its digest at the source) with everything attached to it and, if it is an
/// index, to the images in it: referrers, also of other referrers, whether listed by an API or by the fallback index,
/// and the legacy images `.sig`, `.att` and `.sbom`.
///
/// # Errors
/// [`Error::Exists`] if the tag is another image and [`Options::force`] is not set; [`Error::DigestMismatch`],
/// [`Error::TooLarge`], [`Error::TooMany`] or [`Error::Malformed`] if the source gives other bytes than it says, or too
/// much; whatever a registry refuses or fails with. What has arrived by then stays, and the tag has not moved.
pub async fn copy(
    source: &Source,
    image: &Digest,
    destination: &Destination,
    options: &Options,
    progress: Arc<dyn Progress>,
) -> Result<Copied, Error> {
    let attached = match (source, &options.attached_in) {
        (Source::Registry { client, .. }, Some(repository)) => Source::Registry {
            client: client.clone(),
            repository: repository.clone(),
        },
        _ => source.clone(),
    };
    let plan = Plan::make(source, &attached, image, options).await?;
    if let Destination::Registry {
        client,
        repository,
        tag: Some(tag),
    } = destination
        && options.only.is_none()
    {
        registry::may_move(client, repository, tag, &plan.root.digest, options.force).await?;
    }
    // What is attached may come from another repository than the image, and go to another.
    let (blobs, attached_blobs) = plan.blobs(options.attach_in.is_some())?;
    progress.expect(
        blobs
            .iter()
            .chain(&attached_blobs)
            .fold(0, |sum, blob| u64::saturating_add(sum, blob.size)),
    );
    let sent = match destination {
        Destination::Registry {
            client,
            repository,
            tag,
        } => {
            let image = registry::Writer {
                source,
                client,
                repository,
                progress: Arc::clone(&progress),
            };
            let attachments = registry::Writer {
                source: &attached,
                repository: options.attach_in.as_ref().unwrap_or(repository),
                progress,
                ..image
            };
            let mut sent = image.blobs(&blobs).await?;
            sent += attachments.blobs(&attached_blobs).await?;
            sent.manifests += image.images(&plan).await?;
            sent.manifests += attachments.attachments(&plan, options.force).await?;
            if let Some(tag) = tag.as_deref().filter(|_| options.only.is_none()) {
                image.tag(&plan, tag, options.force).await?;
            }
            sent
        }
        Destination::Layout { layout, name } => {
            let blobs = [(source, blobs), (&attached, attached_blobs)];
            layout::write(&plan, &blobs, layout, name.as_deref(), progress).await?
        }
    };
    let attachments = plan
        .items
        .iter()
        .filter(|item| matches!(item.role, Role::Referrer { .. } | Role::Legacy { .. }));
    Ok(Copied {
        digest: plan.root.digest.clone(),
        media_type: plan.root.media_type.clone(),
        images: plan
            .items
            .iter()
            .filter(|item| item.role == Role::Image)
            .count(),
        attachments: attachments.count(),
        blobs_sent: sent.blobs,
        bytes_sent: sent.bytes,
        blobs_present: sent.present,
        manifests_sent: sent.manifests,
        skipped: plan.skipped,
    })
}

/// Whether a platform is the one that was asked for as `os/architecture` or `os/architecture/variant`.
fn is_platform(platform: &Platform, wanted: &str) -> bool {
    let named = format!("{}/{}", platform.os, platform.architecture);
    named == wanted || platform.to_string() == wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_named_with_or_without_its_variant() {
        let platform = |variant: Option<&str>| Platform {
            os: "linux".to_owned(),
            architecture: "arm".to_owned(),
            variant: variant.map(str::to_owned),
            ..Platform::default()
        };
        for (variant, wanted, same) in [
            (Some("v7"), "linux/arm/v7", true),
            (Some("v7"), "linux/arm", true),
            (Some("v7"), "linux/arm/v6", false),
            (None, "linux/arm", true),
            (None, "linux/arm/v7", false),
            (None, "arm", false),
        ] {
            assert_eq!(is_platform(&platform(variant), wanted), same, "{wanted}");
        }
    }
}
