//! What a registry must know of a manifest: which content it needs, which manifest it refers to, and how it is
//! listed among the referrers of that.
//!
//! Invariant: parsing keeps nothing of the content but this; the bytes are stored as they came.
//! <https://github.com/opencontainers/image-spec/blob/main/manifest.md>

use std::collections::BTreeMap;

use sealmark_formats::Digest;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Bytes of a media type: RFC 6838 allows 127 on each side of the slash.
pub(super) const MAX_MEDIA_TYPE: usize = 255;

/// A descriptor, as the referrers API lists it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

/// What was read of a manifest.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) media_type: String,
    /// Blobs that must be in the repository.
    pub(super) blobs: Vec<Digest>,
    /// Manifests that an index lists.
    pub(super) manifests: Vec<Digest>,
    pub(super) subject: Option<Digest>,
    artifact_type: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Reference>,
    layers: Option<Vec<Reference>>,
    /// Of `application/vnd.oci.artifact.manifest.v1+json`, which only release candidates of OCI 1.1 had.
    blobs: Option<Vec<Reference>>,
    manifests: Option<Vec<Reference>>,
    subject: Option<Reference>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    #[serde(rename = "size")]
    _size: u64,
    urls: Option<Vec<String>>,
}

impl Reference {
    /// Layers that must not, or need not, be in a registry: they come from elsewhere.
    fn is_foreign(&self) -> bool {
        self.media_type.contains("nondistributable")
            || self.media_type.contains(".foreign.")
            || self.urls.as_ref().is_some_and(|urls| !urls.is_empty())
    }
}

/// The part of a `Content-Type` before its parameters, if it is a media type.
pub(super) fn media_type(content_type: &str) -> Option<&str> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let token = |text: &str| {
        let mark = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !text.is_empty() && text.bytes().all(mark)
    };
    let (kind, subtype) = essence.split_once('/')?;
    (essence.len() <= MAX_MEDIA_TYPE && token(kind) && token(subtype)).then_some(essence)
}

impl Manifest {
    /// Reads a manifest that was pushed as `content_type`. The error says what is wrong with it.
    ///
    /// Types other than the four that registries know are taken as they are, as long as they are JSON objects: their
    /// fields are read where they look like OCI's, and ignored where they do not.
    pub(super) fn parse(content: &[u8], content_type: Option<&str>) -> Result<Self, String> {
        let invalid = |error: serde_json::Error| format!("the manifest cannot be read: {error}");
        // An array would also do for a derived `Deserialize`.
        if content.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err("the manifest is not a JSON object".to_owned());
        }
        let parsed = serde_json::from_slice::<Document>(content);
        let declared = parsed
            .as_ref()
            .ok()
            .and_then(|document| document.media_type.as_deref());
        let media_type = match (content_type, declared) {
            (Some(pushed), Some(declared)) if pushed != declared => {
                return Err(format!(
                    "the manifest says that it is {declared}, the Content-Type is {pushed}"
                ));
            }
            (Some(media_type), _) => media_type.to_owned(),
            (None, Some(declared)) => match media_type(declared) == Some(declared) {
                true => declared.to_owned(),
                false => return Err("the manifest's mediaType is not a media type".to_owned()),
            },
            (None, None) => match &parsed {
                Ok(Document {
                    manifests: Some(_), ..
                }) => OCI_INDEX.to_owned(),
                _ => OCI_MANIFEST.to_owned(),
            },
        };
        let is_image = matches!(media_type.as_str(), OCI_MANIFEST | DOCKER_MANIFEST);
        let is_index = matches!(media_type.as_str(), OCI_INDEX | DOCKER_LIST);
        let document = match parsed {
            Ok(document) => document,
            Err(error) if is_image || is_index => return Err(invalid(error)),
            Err(_) => {
                serde_json::from_slice::<IgnoredAny>(content).map_err(invalid)?;
                Document::default()
            }
        };
        if (is_image || is_index) && document.schema_version != Some(2) {
            return Err("the manifest's schemaVersion is not 2".to_owned());
        }
        if is_image && document.config.is_none() {
            return Err("the image manifest has no config".to_owned());
        }
        if is_image && document.manifests.is_some() {
            return Err("the image manifest has manifests, as only an index may".to_owned());
        }
        if is_index && (document.config.is_some() || document.layers.is_some()) {
            return Err(
                "the index has a config or layers, as only an image manifest may".to_owned(),
            );
        }
        // An index has no config; the specification then has the descriptor go without a type.
        let config_type = document
            .config
            .as_ref()
            .map(|config| config.media_type.clone());
        let artifact_type = document.artifact_type.filter(|text| !text.is_empty());
        let blobs = document
            .config
            .into_iter()
            .chain(document.layers.into_iter().flatten());
        let blobs = blobs.chain(document.blobs.into_iter().flatten());
        let manifests = document
            .manifests
            .into_iter()
            .flatten()
            .map(|manifest| manifest.digest);
        Ok(Self {
            blobs: blobs
                .filter(|blob| !blob.is_foreign())
                .map(|blob| blob.digest)
                .collect(),
            manifests: manifests.collect(),
            subject: document.subject.map(|subject| subject.digest),
            artifact_type: artifact_type.or_else(|| config_type.filter(|text| !text.is_empty())),
            annotations: document.annotations,
            media_type,
        })
    }

    /// How this manifest is listed among the referrers of its subject.
    pub(super) fn descriptor(&self, digest: &Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type: self.media_type.clone(),
            digest: digest.clone(),
            size,
            artifact_type: self.artifact_type.clone(),
            annotations: self.annotations.clone(),
        }
    }
}
