//! Images, their manifests, and layouts on disk.

use std::collections::BTreeMap;

use sealmark_formats::{Bundle, legacy};
use sealmark_oci::manifest::{self, ImageManifest, Index, Parsed};
use sealmark_oci::{Client, Descriptor, Layout, Reference, Repository, Source};
use serde::Deserialize;

use super::facts::Facts;
use super::{bundle, certificate};
use crate::error::Error;

/// A configuration is not larger than this, in bytes; the specification's have some 10 KiB.
const MAX_CONFIG: u64 = 4 << 20;
/// An image that runs, as opposed to signatures in the shape of one.
const IMAGE: &str = "image manifest";
/// Annotations whose content is shown in another way.
const SHOWN_OTHERWISE: [&str; 4] = [
    legacy::CERTIFICATE_ANNOTATION,
    legacy::CHAIN_ANNOTATION,
    legacy::BUNDLE_ANNOTATION,
    legacy::TIMESTAMP_ANNOTATION,
];

/// An image in a registry.
pub(super) async fn describe(
    client: &Client,
    reference: &Reference,
    attachments: Repository,
) -> Result<(&'static str, Facts), Error> {
    let repository = reference.in_repository();
    let found = client
        .manifest(&repository, &reference.identifier())
        .await?;
    let parsed = found.parse()?;
    let mut facts = Facts::new();
    facts.text("reference", repository.at(&found.digest.to_string()));
    facts.text("mediaType", &found.media_type);
    facts.text("digest", found.digest.to_string());
    facts.count("size", found.bytes.len());
    if let Parsed::Image(image) = &parsed {
        if kind(&parsed) == IMAGE {
            let config = client
                .blob(&repository, &image.config.digest, MAX_CONFIG)
                .await?;
            facts.append(config_facts(&config));
        }
        if let [layer] = image.layers.as_slice()
            && manifest::holds_bundle(&layer.media_type)
        {
            let limit = client.options().max_attachment;
            let json = client.blob(&repository, &layer.digest, limit).await?;
            match Bundle::parse(&json) {
                Ok(parsed) => facts.facts("bundle", bundle::facts(&parsed)),
                Err(error) => facts.text("bundle", error.to_string()),
            }
        }
    }
    facts.append(manifest_facts(&parsed));
    let source = Source::Registry {
        client: client.clone(),
        repository: attachments,
    };
    let node = sealmark_oci::tree::list(&source, &found.digest, false).await?;
    facts.count("attachmentCount", node.attachments.len());
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for attachment in &node.attachments {
        *kinds.entry(attachment.layout).or_default() += 1;
    }
    let list = kinds
        .iter()
        .map(|(layout, count)| format!("{count} {layout}"))
        .collect();
    facts.list("attachments", list);
    Ok((kind(&parsed), facts))
}

/// A manifest in a file.
pub(super) fn describe_manifest(
    media_type: &str,
    bytes: &[u8],
) -> Result<(&'static str, Facts), sealmark_oci::Error> {
    let parsed = Parsed::read("the manifest", media_type, bytes)?;
    let mut facts = Facts::new();
    if !media_type.is_empty() {
        facts.text("mediaType", media_type);
    }
    facts.text(
        "digest",
        sealmark_formats::Digest::sha256(bytes).to_string(),
    );
    facts.count("size", bytes.len());
    facts.append(manifest_facts(&parsed));
    Ok((kind(&parsed), facts))
}

/// A layout on disk: the images that it names.
pub(super) fn describe_layout(layout: &Layout) -> Result<(&'static str, Facts), Error> {
    let index = layout.index()?;
    let mut facts = Facts::new();
    facts.count("imageCount", index.manifests.len());
    let mut images = Vec::new();
    for entry in &index.manifests {
        let mut image = descriptor_facts(entry);
        image.maybe(
            "name",
            entry
                .annotations
                .get(manifest::REF_NAME_ANNOTATION)
                .map(String::as_str),
        );
        image.count("referrerCount", layout.referrers(&entry.digest)?.len());
        images.push(image);
    }
    facts.each("images", images);
    facts.map("annotations", &index.annotations);
    Ok(("OCI layout", facts))
}

/// What a manifest is, in words.
fn kind(parsed: &Parsed) -> &'static str {
    let image = match parsed {
        Parsed::Index(index) if index.artifact_type.is_some() => return "index of artifacts",
        Parsed::Index(_) => return "image index",
        Parsed::Image(image) => image,
    };
    let all = |media_type: &str| {
        !image.layers.is_empty()
            && image
                .layers
                .iter()
                .all(|layer| layer.media_type == media_type)
    };
    if manifest::holds_bundle(image.kind()) {
        "manifest of a Sigstore bundle"
    } else if all(legacy::SIMPLE_SIGNING_MEDIA_TYPE) {
        "signature manifest (legacy layout)"
    } else if all(legacy::DSSE_MEDIA_TYPE) {
        "attestation manifest (legacy layout)"
    } else if manifest_is_image(image) {
        IMAGE
    } else {
        "artifact manifest"
    }
}

/// Whether the configuration is that of an image that runs.
fn manifest_is_image(image: &ImageManifest) -> bool {
    image.artifact_type.is_none()
        && [manifest::OCI_CONFIG, manifest::DOCKER_CONFIG]
            .contains(&image.config.media_type.as_str())
}

fn manifest_facts(parsed: &Parsed) -> Facts {
    match parsed {
        Parsed::Image(image) => image_facts(image),
        Parsed::Index(index) => index_facts(index),
    }
}

fn image_facts(image: &ImageManifest) -> Facts {
    let mut facts = Facts::new();
    facts.maybe("artifactType", image.artifact_type.as_deref());
    facts.facts("config", descriptor_facts(&image.config));
    facts.count("layerCount", image.layers.len());
    facts.each("layers", image.layers.iter().map(layer_facts).collect());
    if let Some(subject) = &image.subject {
        facts.facts("subject", descriptor_facts(subject));
    }
    facts.map("annotations", &image.annotations);
    facts
}

fn index_facts(index: &Index) -> Facts {
    let mut facts = Facts::new();
    facts.maybe("artifactType", index.artifact_type.as_deref());
    facts.count("manifestCount", index.manifests.len());
    facts.each(
        "manifests",
        index.manifests.iter().map(descriptor_facts).collect(),
    );
    if let Some(subject) = &index.subject {
        facts.facts("subject", descriptor_facts(subject));
    }
    facts.map("annotations", &index.annotations);
    facts
}

fn descriptor_facts(descriptor: &Descriptor) -> Facts {
    let mut facts = Facts::new();
    facts.text("mediaType", &descriptor.media_type);
    facts.maybe("artifactType", descriptor.artifact_type.as_deref());
    facts.text("digest", descriptor.digest.to_string());
    facts.number("size", descriptor.size);
    facts.maybe(
        "platform",
        descriptor.platform.as_ref().map(ToString::to_string),
    );
    facts.map(
        "annotations",
        descriptor
            .annotations
            .iter()
            .filter(|(key, _)| !SHOWN_OTHERWISE.contains(&key.as_str())),
    );
    facts
}

/// A layer, with what a legacy signature keeps in its annotations.
fn layer_facts(layer: &Descriptor) -> Facts {
    let mut facts = descriptor_facts(layer);
    let annotation = |name| layer.annotations.get(name).filter(|text| !text.is_empty());
    if let Some(pem) = annotation(legacy::CERTIFICATE_ANNOTATION) {
        facts.each("certificates", certificate::embedded_pem(pem.as_bytes()));
    }
    if let Some(pem) = annotation(legacy::CHAIN_ANNOTATION) {
        facts.each(
            "certificateChain",
            certificate::embedded_pem(pem.as_bytes()),
        );
    }
    if let Some(json) = annotation(legacy::BUNDLE_ANNOTATION) {
        match serde_json::from_str::<legacy::RekorBundle>(json) {
            Ok(promise) => facts.facts("logPromise", bundle::promise_facts(&promise)),
            Err(error) => facts.text("logPromise", format!("unreadable: {error}")),
        }
    }
    if let Some(json) = annotation(legacy::TIMESTAMP_ANNOTATION) {
        match serde_json::from_str::<legacy::Rfc3161Timestamp>(json) {
            Ok(timestamp) => facts.count("timestampSize", timestamp.response.len()),
            Err(error) => facts.text("timestamp", format!("unreadable: {error}")),
        }
    }
    facts
}

/// What the configuration of an image says about it.
fn config_facts(json: &[u8]) -> Facts {
    #[derive(Deserialize)]
    struct Config {
        #[serde(flatten)]
        platform: manifest::Platform,
        #[serde(default)]
        created: Option<String>,
    }
    let mut facts = Facts::new();
    match serde_json::from_slice::<Config>(json) {
        Ok(config) => {
            if !config.platform.os.is_empty() {
                facts.text("platform", config.platform.to_string());
            }
            facts.maybe("created", config.created);
        }
        Err(error) => facts.text("configuration", format!("unreadable: {error}")),
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(config: &str, layers: &[(&str, &str, &str)]) -> String {
        let empty = sealmark_formats::Digest::sha256(b"");
        let layers: Vec<_> = layers
            .iter()
            .map(|(media_type, key, value)| {
                serde_json::json!({
                    "mediaType": media_type, "size": 1, "digest": empty, "annotations": {*key: value},
                })
            })
            .collect();
        serde_json::json!({
            "schemaVersion": 2,
            "config": {"mediaType": config, "size": 2, "digest": empty},
            "layers": layers,
        })
        .to_string()
    }

    #[test]
    fn a_manifest_is_named_by_what_it_holds() {
        let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
        let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
        for (config, layers, expected) in [
            (
                manifest::OCI_CONFIG,
                vec![(layer, "a", "b")],
                "image manifest",
            ),
            (
                manifest::OCI_CONFIG,
                vec![(legacy::SIMPLE_SIGNING_MEDIA_TYPE, "a", "b")],
                "signature manifest (legacy layout)",
            ),
            (
                manifest::OCI_CONFIG,
                vec![(legacy::DSSE_MEDIA_TYPE, "a", "b")],
                "attestation manifest (legacy layout)",
            ),
            (
                bundle,
                vec![(bundle, "a", "b")],
                "manifest of a Sigstore bundle",
            ),
            ("application/vnd.example", vec![], "artifact manifest"),
        ] {
            let json = manifest(config, &layers);
            let (kind, _) = describe_manifest("", json.as_bytes()).unwrap();
            assert_eq!(kind, expected);
        }
    }

    #[test]
    fn a_legacy_signatures_certificate_is_opened() {
        let pem = include_str!("../../../tests/fixtures/github-workflow.pem");
        let layer = (
            legacy::SIMPLE_SIGNING_MEDIA_TYPE,
            legacy::CERTIFICATE_ANNOTATION,
            pem,
        );
        let json = manifest(manifest::OCI_CONFIG, &[layer]);
        let (_, facts) = describe_manifest("", json.as_bytes()).unwrap();
        let lines = facts.lines().join("\n");
        assert!(lines.contains("CN=sigstore-intermediate"), "{lines}");
        assert!(!lines.contains("BEGIN CERTIFICATE"), "{lines}");
    }

    #[test]
    fn a_configuration_tells_the_platform() {
        let lines = config_facts(br#"{"os":"linux","architecture":"arm64","variant":"v8","created":"2024-05-01T12:00:00Z","config":{}}"#).lines();
        assert_eq!(
            lines,
            ["platform: linux/arm64/v8", "created:  2024-05-01T12:00:00Z"]
        );
        assert!(config_facts(b"[]").lines()[0].starts_with("configuration: unreadable"));
    }
}
