//! What is attached to an image, listed and not read: for `tree`.
//!
//! Invariant: nothing is left out. An attachment of unknown kind is listed as what it says it is.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sealmark_formats::{Digest, legacy};
use serde::Serialize;

use crate::attachments::{MAX_ATTACHMENTS, PARALLEL, Source};
use crate::client::referrers::stated_type;
use crate::error::Error;
use crate::manifest::{
    BUNDLE_PREDICATE_ANNOTATION, CREATED_ANNOTATION, Descriptor, Parsed, holds_bundle,
};

/// Most images of an index that are looked at.
const MAX_CHILDREN: usize = 500;
/// How deep indexes are nested.
const MAX_DEPTH: usize = 3;

/// An image and what is attached to it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Digest of the image.
    pub digest: Digest,
    /// Its media type; `None` if the image itself is not where its attachments are.
    pub media_type: Option<String>,
    /// What it runs on, if an index says so.
    pub platform: Option<String>,
    /// What is attached to it.
    pub attachments: Vec<Attachment>,
    /// The images of an index.
    pub children: Vec<Self>,
}

/// One attachment.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// `bundle`, `oci-1-1`, `legacy-signature`, `legacy-attestation`, `legacy-sbom`, or `referrer` for other kinds.
    pub layout: &'static str,
    /// Digest of the manifest that holds it.
    pub manifest: Digest,
    /// The tag of a legacy attachment.
    pub tag: Option<String>,
    /// Digest of the layer, where the manifest was looked into.
    pub layer: Option<Digest>,
    /// The artifact type, or the layer's media type in a legacy attachment.
    pub artifact_type: String,
    /// The predicate type that an annotation claims; only a verified statement tells the truth.
    pub predicate_type: Option<String>,
    /// Size in bytes of the layer, or of the manifest where it was not looked into.
    pub size: u64,
    /// When it was made, as an annotation claims.
    pub created: Option<String>,
}

/// Lists what is attached to `subject`, and with `children`, if it is an index, to each of its images.
///
/// # Errors
/// Whatever the registry refuses or fails with; [`Error::TooMany`].
pub async fn list(source: &Source, subject: &Digest, children: bool) -> Result<Node, Error> {
    node(source, subject.clone(), None, children, 0).await
}

async fn node(
    source: &Source,
    digest: Digest,
    platform: Option<String>,
    children: bool,
    depth: usize,
) -> Result<Node, Error> {
    let image = async {
        match source.manifest(&digest).await {
            Ok(manifest) => Ok(Some(manifest)),
            // Signatures may be kept in a repository of their own.
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    };
    let (image, mut attachments, signatures, attestations, sboms) = tokio::try_join!(
        image,
        referring(source, &digest),
        legacy_layers(source, &digest, "sig", "legacy-signature"),
        legacy_layers(source, &digest, "att", "legacy-attestation"),
        legacy_layers(source, &digest, "sbom", "legacy-sbom"),
    )?;
    attachments.extend(signatures);
    attachments.extend(attestations);
    attachments.extend(sboms);
    let media_type = image.as_ref().map(|manifest| manifest.media_type.clone());
    let mut nodes = Vec::new();
    if let (Some(manifest), true, true) = (&image, children, depth < MAX_DEPTH)
        && let Parsed::Index(index) = manifest.parse()?
    {
        if index.manifests.len() > MAX_CHILDREN {
            let what = format!("images of the index {digest}");
            return Err(Error::TooMany {
                what,
                limit: MAX_CHILDREN,
            });
        }
        // BuildKit lists one attestation manifest several times.
        let mut seen = std::collections::HashSet::new();
        let images = index
            .manifests
            .into_iter()
            .filter(|d| seen.insert(d.digest.clone()));
        nodes = stream::iter(images.collect::<Vec<_>>())
            .map(|child| {
                let platform = child.platform.as_ref().map(ToString::to_string);
                Box::pin(node(source, child.digest, platform, children, depth + 1))
            })
            .buffered(PARALLEL / 4)
            .try_collect()
            .await?;
    }
    Ok(Node {
        digest,
        media_type,
        platform,
        attachments,
        children: nodes,
    })
}

async fn referring(source: &Source, subject: &Digest) -> Result<Vec<Attachment>, Error> {
    let listed = match source.referrers(subject).await {
        Ok(listed) => listed,
        // What is there instead of a list is shown as what it is.
        Err(Error::NotReferrers { digest, .. }) => {
            let found = source.manifest(&digest).await?.descriptor();
            return Ok(vec![Attachment {
                tag: Some(crate::reference::attachment_tag("", subject, "")),
                artifact_type: found.media_type.clone(),
                ..of_descriptor(&found)
            }]);
        }
        Err(error) => return Err(error),
    };
    if listed.len() > MAX_ATTACHMENTS {
        let what = format!("attachments of {subject}");
        return Err(Error::TooMany {
            what,
            limit: MAX_ATTACHMENTS,
        });
    }
    stream::iter(listed)
        .map(|descriptor| async move {
            let look = stated_type(&descriptor).is_none_or(holds_bundle);
            let mut attachment = of_descriptor(&descriptor);
            if look {
                match source
                    .manifest(&descriptor.digest)
                    .await
                    .and_then(|found| found.parse())
                {
                    Ok(Parsed::Image(image)) => {
                        attachment.artifact_type = image.kind().to_owned();
                        if let Some(layer) = image.layers.first() {
                            attachment.layer = Some(layer.digest.clone());
                            attachment.size = layer.size;
                            if holds_bundle(&layer.media_type) {
                                attachment.artifact_type.clone_from(&layer.media_type);
                            }
                        }
                        let annotation = |name: &str| image.annotations.get(name).cloned();
                        attachment.predicate_type = annotation(BUNDLE_PREDICATE_ANNOTATION);
                        attachment.created = annotation(CREATED_ANNOTATION);
                    }
                    Ok(Parsed::Index(_)) => {}
                    // Listed, and gone or damaged: it is shown as it is listed.
                    Err(
                        Error::NotFound { .. }
                        | Error::Malformed { .. }
                        | Error::DigestMismatch { .. }
                        | Error::TooLarge { .. },
                    ) => {}
                    Err(error) => return Err(error),
                }
            }
            attachment.layout = match attachment.artifact_type.as_str() {
                kind if holds_bundle(kind) => "bundle",
                legacy::OCI11_SIGNATURE_TYPE => "oci-1-1",
                _ => "referrer",
            };
            Ok(attachment)
        })
        .buffered(PARALLEL)
        .try_collect()
        .await
}

fn of_descriptor(descriptor: &Descriptor) -> Attachment {
    let annotation = |name: &str| descriptor.annotations.get(name).cloned();
    Attachment {
        layout: "referrer",
        manifest: descriptor.digest.clone(),
        tag: None,
        layer: None,
        artifact_type: descriptor.artifact_type.clone().unwrap_or_default(),
        predicate_type: annotation(BUNDLE_PREDICATE_ANNOTATION),
        size: descriptor.size,
        created: annotation(CREATED_ANNOTATION),
    }
}

async fn legacy_layers(
    source: &Source,
    subject: &Digest,
    suffix: &'static str,
    layout: &'static str,
) -> Result<Vec<Attachment>, Error> {
    let prefix = match source {
        Source::Registry { client, .. } => client.options().tag_prefix.as_str(),
        Source::Layout(_) => "",
    };
    let tag = crate::reference::attachment_tag(prefix, subject, suffix);
    let mut attachments = Vec::new();
    for manifest in source.legacy(subject, suffix).await? {
        let image = manifest.image()?;
        if attachments.len() + image.layers.len() > MAX_ATTACHMENTS {
            let what = format!("attachments at {tag}");
            return Err(Error::TooMany {
                what,
                limit: MAX_ATTACHMENTS,
            });
        }
        attachments.extend(image.layers.into_iter().map(|layer| Attachment {
            layout,
            manifest: manifest.digest.clone(),
            tag: Some(tag.clone()),
            predicate_type: layer.annotations.get("predicateType").cloned(),
            created: layer.annotations.get(CREATED_ANNOTATION).cloned(),
            layer: Some(layer.digest),
            artifact_type: layer.media_type,
            size: layer.size,
        }));
    }
    Ok(attachments)
}
