//! Manifests, indexes and descriptors, read and written.
//!
//! Invariant: reading never re-serialises. Whoever needs the digest of a manifest keeps its bytes; the types here are
//! for looking inside, and for writing new ones. Fields of descriptors that are not known are kept, because an index
//! that is shared with others is written back.
//!
//! <https://github.com/opencontainers/image-spec/blob/main/manifest.md>,
//! <https://github.com/opencontainers/image-spec/blob/main/image-index.md>

use std::collections::BTreeMap;

use sealmark_formats::revocation::REVOCATION_V1;
use sealmark_formats::{Digest, null_as_default};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// An OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// A docker image manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A docker image index.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// An OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// A docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// The empty configuration, [`EMPTY_JSON`].
pub const EMPTY_CONFIG: &str = "application/vnd.oci.empty.v1+json";
/// The two bytes that [`EMPTY_CONFIG`] stands for.
pub const EMPTY_JSON: &[u8] = b"{}";
/// How the media type of every Sigstore bundle starts.
pub const BUNDLE_PREFIX: &str = "application/vnd.dev.sigstore.bundle";
/// The artifact type, and the media type of the layer, of a bundle that holds a revocation. cosign 3 takes every bundle of a good signer for a signature of
/// the image, whatever its statement says; this one it passes over.
pub const REVOCATION_TYPE: &str = "application/vnd.sealmark.revocation.v1+json";

/// Annotation: when the manifest was made, RFC 3339.
pub const CREATED_ANNOTATION: &str = "org.opencontainers.image.created";
/// Annotation in a layout's index: the name of the image.
pub const REF_NAME_ANNOTATION: &str = "org.opencontainers.image.ref.name";
/// Annotation of a bundle's manifest: `dsse-envelope` or `message-signature`.
pub const BUNDLE_CONTENT_ANNOTATION: &str = "dev.sigstore.bundle.content";
/// Annotation of a bundle's manifest: the statement's predicate type.
pub const BUNDLE_PREDICATE_ANNOTATION: &str = "dev.sigstore.bundle.predicateType";

/// Points at a blob or manifest. Fields are written in the order in which cosign writes them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of what is pointed at.
    #[serde(default)]
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
    /// Annotations.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub annotations: BTreeMap<String, String>,
    /// In an index: what the image runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The `artifactType` of the manifest that is pointed at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Fields that are not known here.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

impl Descriptor {
    /// Points at `bytes`.
    pub fn of(media_type: impl Into<String>, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::sha256(bytes), bytes.len() as u64)
    }

    /// Points at something by digest and size.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            size,
            digest,
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
            other: BTreeMap::new(),
        }
    }

    /// Points at an index, not at a single image.
    pub fn is_index(&self) -> bool {
        is_index(&self.media_type)
    }
}

/// What an image runs on.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Platform {
    /// `amd64`.
    #[serde(default)]
    pub architecture: String,
    /// `linux`.
    #[serde(default)]
    pub os: String,
    /// `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Fields that are not known here.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

impl core::fmt::Display for Platform {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// An image manifest, OCI's or docker's.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    /// Always 2.
    pub schema_version: u32,
    /// The manifest's own media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers.
    #[serde(default, deserialize_with = "null_as_default")]
    pub layers: Vec<Descriptor>,
    /// Annotations.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub annotations: BTreeMap<String, String>,
    /// What this manifest is attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// What kind of artifact this is, if it is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl ImageManifest {
    /// The kind of artifact as the specification defines it for referrers: `artifactType`, else the type of the
    /// configuration.
    pub fn kind(&self) -> &str {
        match &self.artifact_type {
            Some(kind) if !kind.is_empty() => kind,
            _ => &self.config.media_type,
        }
    }

    /// The bytes to push.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers serialise")
    }
}

/// An image index, OCI's or docker's.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The index's own media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The images.
    #[serde(default, deserialize_with = "null_as_default")]
    pub manifests: Vec<Descriptor>,
    /// Annotations.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub annotations: BTreeMap<String, String>,
    /// What this index is attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// What kind of artifact this is, if it is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Index {
    /// An index of these manifests.
    pub fn of(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(OCI_INDEX.to_owned()),
            manifests,
            annotations: BTreeMap::new(),
            subject: None,
            artifact_type: None,
        }
    }

    /// The bytes to push.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers serialise")
    }
}

/// A manifest or an index, by its content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Parsed {
    /// A single image or artifact.
    Image(Box<ImageManifest>),
    /// Several.
    Index(Box<Index>),
}

impl Parsed {
    /// Reads a manifest. The media type decides; if it is none of the known ones, the content does.
    ///
    /// # Errors
    /// [`Error::Malformed`], naming `what`.
    pub fn read(what: &str, media_type: &str, bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Shape {
            #[serde(default)]
            media_type: Option<String>,
            #[serde(default)]
            manifests: Option<serde::de::IgnoredAny>,
            #[serde(default)]
            config: Option<serde::de::IgnoredAny>,
        }
        let shape: Shape =
            serde_json::from_slice(bytes).map_err(|error| Error::malformed(what, error))?;
        // A document that is both would be read as one thing here and as another elsewhere.
        if shape.manifests.is_some() && shape.config.is_some() {
            return Err(Error::malformed(
                what,
                "it has both `manifests` and `config`",
            ));
        }
        let declared = shape.media_type.as_deref().unwrap_or(media_type);
        let index = if is_index(declared) {
            true
        } else if is_image(declared) {
            false
        } else {
            shape.manifests.is_some()
        };
        let parsed = if index {
            serde_json::from_slice(bytes).map(|index| Self::Index(Box::new(index)))
        } else {
            serde_json::from_slice(bytes).map(|image| Self::Image(Box::new(image)))
        };
        parsed.map_err(|error| Error::malformed(what, error))
    }

    /// What it is attached to.
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Image(image) => image.subject.as_ref(),
            Self::Index(index) => index.subject.as_ref(),
        }
    }
}

/// The media type of an index.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_INDEX)
}

/// The media type of an image manifest.
pub fn is_image(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
}

/// The descriptor of the empty configuration.
pub fn empty_config() -> Descriptor {
    Descriptor::of(EMPTY_CONFIG, EMPTY_JSON)
}

/// Whether a manifest of this artifact type, or a layer of this media type, holds a Sigstore bundle.
pub fn holds_bundle(kind: &str) -> bool {
    kind.starts_with(BUNDLE_PREFIX) || kind == REVOCATION_TYPE
}

/// The manifest that holds one Sigstore bundle, as cosign 3 writes it: the empty configuration carries a copy of the
/// artifact type, which some registries report instead of the manifest's.
pub fn bundle_manifest(
    subject: &Descriptor,
    mut layer: Descriptor,
    annotations: BTreeMap<String, String>,
) -> ImageManifest {
    let predicate_type = annotations.get(BUNDLE_PREDICATE_ANNOTATION);
    if predicate_type.is_some_and(|it| it == REVOCATION_V1) {
        REVOCATION_TYPE.clone_into(&mut layer.media_type);
    }
    let artifact_type = Some(layer.media_type.clone());
    let mut config = empty_config();
    config.artifact_type.clone_from(&artifact_type);
    ImageManifest {
        schema_version: 2,
        media_type: Some(OCI_MANIFEST.to_owned()),
        config,
        layers: vec![layer],
        annotations,
        subject: Some(Descriptor::new(
            subject.media_type.clone(),
            subject.digest.clone(),
            subject.size,
        )),
        artifact_type,
    }
}

/// The configuration of the image that holds legacy signatures or attestations, as cosign 1 and 2 write it.
pub fn legacy_config(layers: &[Descriptor]) -> Vec<u8> {
    const NEVER: &str = "0001-01-01T00:00:00Z";
    #[derive(Serialize)]
    struct History {
        created: &'static str,
    }
    #[derive(Serialize)]
    struct RootFs<'a> {
        r#type: &'static str,
        diff_ids: Vec<&'a Digest>,
    }
    #[derive(Serialize)]
    struct Empty {}
    #[derive(Serialize)]
    struct Config<'a> {
        architecture: &'static str,
        created: &'static str,
        history: Vec<History>,
        os: &'static str,
        rootfs: RootFs<'a>,
        config: Empty,
    }
    serde_json::to_vec(&Config {
        architecture: "",
        created: NEVER,
        history: layers.iter().map(|_| History { created: NEVER }).collect(),
        os: "",
        rootfs: RootFs {
            r#type: "layers",
            diff_ids: layers.iter().map(|layer| &layer.digest).collect(),
        },
        config: Empty {},
    })
    .expect("strings serialise")
}

/// The image that holds legacy signatures or attestations, as cosign 1 and 2 write it. `docker` selects docker's
/// media types (`COSIGN_DOCKER_MEDIA_TYPES=1`). The second value is the configuration, to be pushed first.
pub fn legacy_image(layers: Vec<Descriptor>, docker: bool) -> (ImageManifest, Vec<u8>) {
    let config = legacy_config(&layers);
    let (manifest_type, config_type) = if docker {
        (DOCKER_MANIFEST, DOCKER_CONFIG)
    } else {
        (OCI_MANIFEST, OCI_CONFIG)
    };
    let manifest = ImageManifest {
        schema_version: 2,
        media_type: Some(manifest_type.to_owned()),
        config: Descriptor::of(config_type, &config),
        layers,
        annotations: BTreeMap::new(),
        subject: None,
        artifact_type: None,
    };
    (manifest, config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..60), media_type in ".{0,10}") {
            let _ = Parsed::read("x", &media_type, &bytes);
        }
    }

    #[test]
    fn a_bundle_manifest_is_cosigns_byte_for_byte() {
        let layer = Descriptor::of("application/vnd.dev.sigstore.bundle.v0.3+json", b"x");
        let subject = Descriptor::of(OCI_MANIFEST, b"{}");
        let annotations = BTreeMap::from([(
            BUNDLE_CONTENT_ANNOTATION.to_owned(),
            "dsse-envelope".to_owned(),
        )]);
        let json = String::from_utf8(bundle_manifest(&subject, layer, annotations).to_json());
        let empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let expected = [
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
            r#""config":{"mediaType":"application/vnd.oci.empty.v1+json","size":2,"digest":"EMPTY","#,
            r#""artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"},"#,
            r#""layers":[{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","size":1,"#,
            r#""digest":"sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}],"#,
            r#""annotations":{"dev.sigstore.bundle.content":"dsse-envelope"},"#,
            r#""subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":2,"#,
            r#""digest":"EMPTY"},"artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"}"#,
        ];
        assert_eq!(json.unwrap(), expected.concat().replace("EMPTY", empty));
    }

    #[test]
    fn unknown_fields_of_descriptors_survive() {
        let text = r#"{"mediaType":"a/b","size":1,"digest":"sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","data":"eA=="}"#;
        let descriptor: Descriptor = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&descriptor).unwrap(), text);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let config = r#"{"mediaType":"c","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}"#;
        for (text, error) in [
            (
                format!(r#"{{"schemaVersion":2,"manifests":[],"config":{config}}}"#),
                "both",
            ),
            (r#"{"schemaVersion":2,"layers":[]}"#.to_owned(), "config"),
            ("[]".to_owned(), "malformed"),
            ("<html>".to_owned(), "malformed"),
        ] {
            let found = Parsed::read("x", OCI_MANIFEST, text.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(found.contains(error), "{text}: {found}");
        }
        let text = format!(r#"{{"schemaVersion":2,"config":{config},"layers":null}}"#);
        let Parsed::Image(image) = Parsed::read("x", "", text.as_bytes()).unwrap() else {
            panic!("an image");
        };
        assert!(image.layers.is_empty());
        assert_eq!(image.kind(), "c");
    }

    #[test]
    fn an_error_does_not_repeat_a_whole_manifest() {
        let text = format!(
            r#"{{"schemaVersion":2,"layers":"{}"}}"#,
            "a".repeat(1 << 20)
        );
        let error = Parsed::read("x", "", text.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.len() < 1000, "{} bytes", error.len());
    }

    #[test]
    fn a_legacy_configuration_is_cosigns() {
        let layer = Descriptor::of("a/b", b"x");
        assert_eq!(
            String::from_utf8(legacy_config(&[layer])).unwrap(),
            concat!(
                r#"{"architecture":"","created":"0001-01-01T00:00:00Z","#,
                r#""history":[{"created":"0001-01-01T00:00:00Z"}],"os":"","rootfs":{"type":"layers","#,
                r#""diff_ids":["sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"]},"#,
                r#""config":{}}"#
            )
        );
    }
}
