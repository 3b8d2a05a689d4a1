//! Images and their signatures in a directory.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;

use sealmark_formats::{Digest, legacy};
use sealmark_oci::layout::{KIND_ANNOTATION, KIND_IMAGE, KIND_SIGNATURES};
use sealmark_oci::manifest::{
    ImageManifest, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, REF_NAME_ANNOTATION, bundle_manifest,
    legacy_image,
};
use sealmark_oci::{Descriptor, Error, Index, Layout, Source, Want, gather, tree};
use sealmark_verify::evidence::Content;

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

fn add_image(layout: &Layout, n: usize, annotations: &[(&str, &str)]) -> Descriptor {
    let config = layout
        .add_blob(format!("{{\"n\":{n}}}").as_bytes())
        .unwrap();
    let size = format!("{{\"n\":{n}}}").len() as u64;
    let image = ImageManifest {
        schema_version: 2,
        media_type: Some(OCI_MANIFEST.to_owned()),
        config: Descriptor::new(OCI_CONFIG, config, size),
        layers: Vec::new(),
        annotations: BTreeMap::new(),
        subject: None,
        artifact_type: None,
    };
    let bytes = image.to_json();
    let mut descriptor = Descriptor::of(OCI_MANIFEST, &bytes);
    for (name, value) in annotations {
        descriptor
            .annotations
            .insert((*name).to_owned(), (*value).to_owned());
    }
    layout.add_manifest(&descriptor, &bytes).unwrap();
    descriptor
}

fn add_bundle(layout: &Layout, subject: &Descriptor) -> Digest {
    let json = format!(
        r#"{{"mediaType":"{BUNDLE}","verificationMaterial":{{"publicKey":{{"hint":"aGludA=="}}}},"dsseEnvelope":{{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{{"sig":"c2ln"}}]}}}}"#
    );
    layout.add_blob(json.as_bytes()).unwrap();
    let layer = Descriptor::of(BUNDLE, json.as_bytes());
    // As a bare blob, as `cosign save` does it.
    layout
        .add_blob(&bundle_manifest(subject, layer, BTreeMap::new()).to_json())
        .unwrap()
}

async fn gathered(dir: &Path, subject: &Digest) -> Result<Vec<Content>, Error> {
    let source = Source::Layout(Layout::open(dir)?);
    let evidence = gather(&source, subject, Want::ALL).await?;
    Ok(evidence.into_iter().map(|one| one.content).collect())
}

#[tokio::test]
async fn a_layout_is_written_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path()).unwrap();
    let first = add_image(&layout, 1, &[]);
    assert_eq!(layout.resolve(None).unwrap().digest, first.digest);
    let named = add_image(&layout, 2, &[(REF_NAME_ANNOTATION, "v2")]);
    assert_eq!(layout.resolve(Some("v2")).unwrap().digest, named.digest);
    assert_eq!(
        layout
            .resolve(Some(&first.digest.to_string()))
            .unwrap()
            .digest,
        first.digest
    );
    let error = layout.resolve(None).unwrap_err().to_string();
    assert!(
        error.contains("several images; choose one of") && error.contains("v2"),
        "{error}"
    );
    let error = layout.resolve(Some("v3")).unwrap_err();
    assert!(
        error.is_not_found() && error.to_string().contains("v2"),
        "{error}"
    );
    // A name moves, and nothing is listed twice.
    let moved = add_image(&layout, 3, &[(REF_NAME_ANNOTATION, "v2")]);
    add_image(&layout, 3, &[(REF_NAME_ANNOTATION, "v2")]);
    let layout = Layout::create(dir.path()).unwrap();
    assert_eq!(layout.resolve(Some("v2")).unwrap().digest, moved.digest);
    assert_eq!(layout.index().unwrap().manifests.len(), 2);
}

#[tokio::test]
async fn signatures_are_found_in_a_layout_of_cosign_save() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path()).unwrap();
    let name = (REF_NAME_ANNOTATION, "example.com/app:v1");
    let image = add_image(&layout, 1, &[(KIND_ANNOTATION, KIND_IMAGE), name]);
    add_bundle(&layout, &image);
    let payload = br#"{"critical":1}"#;
    layout.add_blob(payload).unwrap();
    let mut layer = Descriptor::of(legacy::SIMPLE_SIGNING_MEDIA_TYPE, payload);
    layer
        .annotations
        .insert(legacy::SIGNATURE_ANNOTATION.to_owned(), "c2ln".to_owned());
    let (signatures, config) = legacy_image(vec![layer], false);
    layout.add_blob(&config).unwrap();
    let bytes = signatures.to_json();
    let mut descriptor = Descriptor::of(OCI_MANIFEST, &bytes);
    descriptor.annotations = [(KIND_ANNOTATION, KIND_SIGNATURES), name]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    layout.add_manifest(&descriptor, &bytes).unwrap();

    // The signatures are not a second image.
    assert_eq!(layout.resolve(None).unwrap().digest, image.digest);
    assert_eq!(
        layout.resolve(Some("example.com/app:v1")).unwrap().digest,
        image.digest
    );
    let found = gathered(dir.path(), &image.digest).await.unwrap();
    assert!(
        matches!(
            found.as_slice(),
            [Content::Bundle(_), Content::SimpleSigning(_)]
        ),
        "{found:?}"
    );
    assert!(
        gathered(dir.path(), &Digest::sha256(b"other"))
            .await
            .unwrap()
            .len()
            == 1
    );
}

#[tokio::test]
async fn an_index_with_signed_children_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path()).unwrap();
    let children = [add_image(&layout, 1, &[]), add_image(&layout, 2, &[])];
    for child in &children {
        add_bundle(&layout, child);
    }
    let index = Index::of([children.as_slice(), &children[..1]].concat()).to_json();
    let mut descriptor = Descriptor::of(OCI_INDEX, &index);
    descriptor
        .annotations
        .insert(REF_NAME_ANNOTATION.to_owned(), "multi".to_owned());
    layout.add_manifest(&descriptor, &index).unwrap();
    let found = layout.resolve(Some("multi")).unwrap();
    assert!(found.is_index());
    let source = Source::Layout(layout);
    let node = tree::list(&source, &found.digest, true).await.unwrap();
    assert_eq!(node.children.len(), 2);
    assert!(
        node.children
            .iter()
            .all(|child| child.attachments.len() == 1)
    );
    assert!(
        serde_json::to_string(&node)
            .unwrap()
            .contains("\"layout\":\"bundle\"")
    );
}

#[tokio::test]
async fn a_damaged_attachment_is_reported_and_a_damaged_image_refused() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path()).unwrap();
    let image = add_image(&layout, 1, &[]);
    let bundle = add_bundle(&layout, &image);
    let path = layout.blob_path(&bundle);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text} ")).unwrap();
    let found = gathered(dir.path(), &image.digest).await.unwrap();
    assert!(
        matches!(found.as_slice(), [Content::Unreadable(reason)] if reason.contains("altered")),
        "{found:?}"
    );
    std::fs::write(layout.blob_path(&image.digest), b"{}").unwrap();
    let error = layout.resolve(None).unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
}

#[test]
fn what_is_no_layout_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let error = Layout::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("there is no file `oci-layout`"), "{error}");
    std::fs::write(
        dir.path().join("oci-layout"),
        r#"{"imageLayoutVersion":"9.0"}"#,
    )
    .unwrap();
    let error = Layout::open(dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("version \"9.0\" is not supported"),
        "{error}"
    );
    std::fs::write(
        dir.path().join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    let layout = Layout::open(dir.path()).unwrap();
    assert!(
        layout
            .index()
            .unwrap_err()
            .to_string()
            .contains("there is no such file")
    );
    std::fs::write(
        dir.path().join("index.json"),
        r#"{"schemaVersion":2,"manifests":[{"mediaType":"a","size":1,"digest":"sha256:../../etc/passwd"}]}"#,
    )
    .unwrap();
    assert!(
        layout
            .index()
            .unwrap_err()
            .to_string()
            .contains("not a digest")
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_pipe_in_a_layout_blocks_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path()).unwrap();
    let image = add_image(&layout, 1, &[]);
    let pipe = layout.blob_path(&Digest::sha256(b"pipe"));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("skipped: mkfifo not found");
        return;
    }
    assert!(
        gathered(dir.path(), &image.digest)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        layout
            .blob(&Digest::sha256(b"pipe"), 10)
            .unwrap_err()
            .is_not_found()
    );
}
