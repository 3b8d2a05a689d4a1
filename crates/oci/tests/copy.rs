//! Images that move between registries of different kinds and layouts, with everything that is attached to them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::process::Command;
use std::sync::Arc;

use sealmark_formats::Digest;
use sealmark_oci::copy::{Only, Options};
use sealmark_oci::manifest::{DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use sealmark_oci::{Copied, Destination, Error, Layout, Source, attachment_tag, copy};
use serde_json::{Value, json};
use support::client;
use support::registry::{Memory, Quirks};

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Larger than what is moved in memory.
fn large() -> Vec<u8> {
    (0..300_000_u32).map(|n| (n % 251) as u8).collect()
}

fn blob(memory: &Memory, bytes: &[u8]) -> Value {
    let digest = memory.state.lock().unwrap().put_blob(bytes);
    json!({"mediaType": "application/octet-stream", "size": bytes.len(), "digest": digest})
}

fn put(memory: &Memory, tag: Option<&str>, media_type: &str, manifest: &Value) -> Digest {
    let bytes = manifest.to_string();
    let mut state = memory.state.lock().unwrap();
    state.put(tag, media_type, bytes.as_bytes())
}

fn image(memory: &Memory, tag: Option<&str>, layer: &[u8]) -> Digest {
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": blob(memory, b"{}"), "layers": [blob(memory, layer)],
    });
    put(memory, tag, OCI_MANIFEST, &manifest)
}

fn attach(memory: &Memory, subject: &Digest, kind: &str, content: &[u8]) -> Digest {
    let manifests = &memory.state.lock().unwrap().manifests.clone();
    let found = manifests.get(&subject.to_string());
    let (media_type, size) = found.map_or((OCI_MANIFEST, 1), |(kind, b)| (kind.as_str(), b.len()));
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": kind,
        "config": blob(memory, b"{}"), "layers": [blob(memory, content)],
        "subject": {"mediaType": media_type, "size": size, "digest": subject},
        "annotations": {"dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1"},
    });
    put(memory, None, OCI_MANIFEST, &manifest)
}

fn legacy(memory: &Memory, subject: &Digest, suffix: &str, content: &[u8]) -> Digest {
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": blob(memory, b"{}"), "layers": [blob(memory, content)],
    });
    let tag = attachment_tag("", subject, suffix);
    put(memory, Some(&tag), OCI_MANIFEST, &manifest)
}

/// An index of two images; a signature of the index, one of that signature, one of an image, and legacy ones.
struct Story {
    from: Memory,
    index: Digest,
    child: Digest,
    signature: Digest,
    countersignature: Digest,
    attested: Digest,
    sig: Digest,
    child_sig: Digest,
}

impl Story {
    async fn new(quirks: Quirks) -> Self {
        let from = Memory::start(quirks).await;
        let child = image(&from, None, &large());
        let other = image(&from, None, b"other");
        let manifests: Vec<Value> = [(&child, "amd64"), (&other, "arm64")]
            .into_iter()
            .map(|(digest, architecture)| {
                let size = from.state.lock().unwrap().manifests[&digest.to_string()]
                    .1
                    .len();
                json!({
                    "mediaType": OCI_MANIFEST, "size": size, "digest": digest,
                    "platform": {"os": "linux", "architecture": architecture},
                })
            })
            .collect();
        let index = json!({
            "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests,
        });
        let index = put(&from, Some("v1"), OCI_INDEX, &index);
        let signature = attach(&from, &index, BUNDLE, b"signature");
        Self {
            countersignature: attach(&from, &signature, BUNDLE, b"countersignature"),
            attested: attach(&from, &child, "application/vnd.example", b"report"),
            sig: legacy(&from, &index, "sig", b"payload"),
            child_sig: legacy(&from, &child, "sig", b"child's payload"),
            signature,
            from,
            index,
            child,
        }
    }

    fn source(&self) -> Source {
        source(&self.from)
    }

    /// What is attached at a place to what, as it is listed there.
    async fn check(&self, at: &Memory) {
        let (client, repository) = (client(), at.server.repository());
        for (subject, expected) in [
            (&self.index, &self.signature),
            (&self.signature, &self.countersignature),
            (&self.child, &self.attested),
        ] {
            let listed = client.referrers(&repository, subject, None).await.unwrap();
            let listed: Vec<_> = listed.descriptors.iter().map(|d| &d.digest).collect();
            assert!(listed.contains(&expected), "{subject}: {listed:?}");
        }
        for (subject, expected) in [(&self.index, &self.sig), (&self.child, &self.child_sig)] {
            let tag = attachment_tag("", subject, "sig");
            let found = client.manifest(&repository, &tag).await.unwrap();
            assert_eq!(found.digest, *expected);
        }
        let tagged = client.manifest(&repository, "v1").await.unwrap();
        assert_eq!(tagged.digest, self.index);
        let state = at.state.lock().unwrap();
        assert_eq!(
            state.blobs.len(),
            self.from.state.lock().unwrap().blobs.len()
        );
    }
}

fn source(memory: &Memory) -> Source {
    Source::Registry {
        client: client(),
        repository: memory.server.repository(),
    }
}

fn destination(memory: &Memory) -> Destination {
    Destination::Registry {
        client: client(),
        repository: memory.server.repository(),
        tag: Some("v1".to_owned()),
    }
}

async fn run(from: &Source, image: &Digest, to: &Destination) -> Result<Copied, Error> {
    copy(from, image, to, &Options::default(), Arc::new(())).await
}

fn without_api() -> Quirks {
    Quirks {
        no_referrers: true,
        ..Quirks::default()
    }
}

#[tokio::test]
async fn an_image_moves_between_registries_of_both_kinds_and_through_a_layout() {
    let story = Story::new(Quirks::default()).await;
    let plain = Memory::start(without_api()).await;
    // Somebody else has attached something there.
    let foreign = attach(
        &plain,
        &story.index,
        "application/vnd.foreign",
        b"signature",
    );
    let listed = json!({
        "schemaVersion": 2, "mediaType": OCI_INDEX,
        "manifests": [{"mediaType": OCI_MANIFEST, "size": 1, "digest": foreign}],
    });
    let tag = attachment_tag("", &story.index, "");
    put(&plain, Some(&tag), OCI_INDEX, &listed);

    let copied = run(&story.source(), &story.index, &destination(&plain))
        .await
        .unwrap();
    assert_eq!((copied.images, copied.attachments), (3, 5));
    assert_eq!(copied.skipped, []);
    story.check(&plain).await;
    assert!(
        plain
            .state
            .lock()
            .unwrap()
            .json(&tag)
            .to_string()
            .contains(&foreign.to_string())
    );
    let puts: Vec<_> = plain
        .server
        .lines()
        .into_iter()
        .filter(|line| line.starts_with("PUT "))
        .collect();
    assert!(puts.last().unwrap().contains("manifests/v1"), "{puts:?}");

    // Again: nothing is sent but the tag.
    let again = run(&story.source(), &story.index, &destination(&plain))
        .await
        .unwrap();
    assert_eq!(
        (again.blobs_sent, again.bytes_sent, again.manifests_sent),
        (0, 0, 0)
    );

    // Through a layout, into a registry with the API.
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path()).unwrap();
    let saved = Destination::Layout {
        layout: layout.clone(),
        name: Some("v1".to_owned()),
    };
    let copied = run(&story.source(), &story.index, &saved).await.unwrap();
    assert_eq!((copied.images, copied.attachments), (3, 5));
    let found = layout.resolve(None).unwrap();
    assert_eq!(found.digest, story.index);
    let api = Memory::start(Quirks::default()).await;
    let loaded = Source::Layout(layout.clone());
    run(&loaded, &found.digest, &destination(&api))
        .await
        .unwrap();
    story.check(&api).await;

    // A writer was interrupted: a part is left, and a blob is cut short.
    let large = layout.blob_path(&Digest::sha256(&large()));
    std::fs::write(&large, b"short").unwrap();
    let part = large.with_file_name(".sealmark-part");
    std::fs::write(&part, b"part").unwrap();
    let again = run(&story.source(), &story.index, &saved).await.unwrap();
    assert_eq!((again.blobs_sent, again.bytes_sent), (1, 300_000));
    assert!(!part.exists());
    assert_eq!(layout.index().unwrap().manifests.len(), 1 + 3 + 2);

    // Other tools read it.
    if let Some(oras) = sealmark_testkit::Peer::find("oras") {
        let output = Command::new(oras)
            .args(["discover", "--oci-layout", "--format", "json"])
            .arg(format!("{}:v1", dir.path().display()))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(&story.signature.to_string()), "{output:?}");
        assert!(text.contains(&story.countersignature.to_string()), "{text}");
    } else {
        sealmark_testkit::skip("oras");
    }
    if let Some(skopeo) = sealmark_testkit::Peer::find("skopeo") {
        let output = Command::new(skopeo)
            .args(["inspect", "--raw"])
            .arg(format!("oci:{}:v1", dir.path().display()))
            .output()
            .unwrap();
        assert_eq!(Digest::sha256(&output.stdout), story.index, "{output:?}");
    } else {
        sealmark_testkit::skip("skopeo");
    }
}

#[tokio::test]
async fn what_others_signed_at_the_destination_stays() {
    let story = Story::new(without_api()).await;
    let there = Memory::start(without_api()).await;
    legacy(&there, &story.index, "sig", b"another payload");
    run(&story.source(), &story.index, &destination(&there))
        .await
        .unwrap();
    let tag = attachment_tag("", &story.index, "sig");
    let layers = there.state.lock().unwrap().json(&tag)["layers"].clone();
    let digests: Vec<_> = layers
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["digest"].clone())
        .collect();
    let expected = [&b"another payload"[..], b"payload"].map(|p| json!(Digest::sha256(p)));
    assert_eq!(digests, expected);
}

#[tokio::test]
async fn a_tag_that_is_another_image_moves_by_force_only() {
    let story = Story::new(Quirks::default()).await;
    let there = Memory::start(Quirks::default()).await;
    let former = image(&there, Some("v1"), b"former");
    let failed = run(&story.source(), &story.index, &destination(&there)).await;
    assert!(matches!(&failed, Err(Error::Exists { digest, .. }) if *digest == former));
    let options = Options {
        force: true,
        ..Options::default()
    };
    let (from, to) = (story.source(), destination(&there));
    copy(&from, &story.index, &to, &options, Arc::new(()))
        .await
        .unwrap();
    story.check_tag(&there);
}

impl Story {
    fn check_tag(&self, at: &Memory) {
        let bytes = at.state.lock().unwrap().manifests["v1"].1.clone();
        assert_eq!(Digest::sha256(&bytes), self.index);
    }
}

#[tokio::test]
async fn one_platform_or_only_signatures_are_copied() {
    let story = Story::new(Quirks::default()).await;
    let there = Memory::start(Quirks::default()).await;
    let options = Options {
        platform: Some("linux/amd64".to_owned()),
        ..Options::default()
    };
    let (from, to) = (story.source(), destination(&there));
    let copied = copy(&from, &story.index, &to, &options, Arc::new(()))
        .await
        .unwrap();
    assert_eq!(copied.digest, story.child);
    assert_eq!((copied.images, copied.attachments), (1, 2));

    let there = Memory::start(Quirks::default()).await;
    let options = Options {
        only: Some(Only {
            signatures: true,
            ..Only::default()
        }),
        ..Options::default()
    };
    let to = destination(&there);
    let copied = copy(&from, &story.index, &to, &options, Arc::new(()))
        .await
        .unwrap();
    assert_eq!((copied.images, copied.attachments), (0, 4));
    let state = there.state.lock().unwrap();
    assert!(!state.manifests.contains_key("v1"));
    assert!(!state.manifests.contains_key(&story.index.to_string()));
    assert!(!state.manifests.contains_key(&story.attested.to_string()));
}

#[tokio::test]
async fn an_altered_or_missized_blob_never_arrives() {
    for bytes in [vec![7; 300_000], vec![7; 100], vec![7; 400_000]] {
        let story = Story::new(Quirks::default()).await;
        let digest = Digest::sha256(&large()).to_string();
        story
            .from
            .state
            .lock()
            .unwrap()
            .blobs
            .insert(digest.clone(), bytes);
        let there = Memory::start(Quirks::default()).await;
        let failed = run(&story.source(), &story.index, &destination(&there)).await;
        let error = failed.unwrap_err();
        assert!(
            matches!(
                error,
                Error::DigestMismatch { .. } | Error::Malformed { .. } | Error::TooLarge { .. }
            ),
            "{error}"
        );
        let state = there.state.lock().unwrap();
        assert!(!state.blobs.contains_key(&digest));
        assert!(state.manifests.is_empty());
    }
}

#[tokio::test]
async fn lists_that_lie_lead_nowhere() {
    let from = Memory::start(without_api()).await;
    let subject = image(&from, Some("v1"), b"image");
    let elsewhere = attach(&from, &Digest::sha256(b"another"), BUNDLE, b"signature");
    let gone = Digest::sha256(b"gone");
    // The image is listed as attached to itself, too.
    let entries = [&elsewhere, &gone, &subject]
        .map(|digest| json!({"mediaType": OCI_MANIFEST, "size": 1, "digest": digest}));
    let listed = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
    put(
        &from,
        Some(&attachment_tag("", &subject, "")),
        OCI_INDEX,
        &listed,
    );
    let there = Memory::start(Quirks::default()).await;
    let copied = run(&source(&from), &subject, &destination(&there))
        .await
        .unwrap();
    assert_eq!((copied.images, copied.attachments), (1, 0));
    let mut skipped: Vec<_> = copied
        .skipped
        .iter()
        .map(|skipped| &skipped.digest)
        .collect();
    skipped.sort();
    let mut expected = vec![&elsewhere, &gone];
    expected.sort();
    assert_eq!(skipped, expected);
}

#[tokio::test]
async fn attachments_without_end_are_refused() {
    let from = Memory::start(Quirks::default()).await;
    let image = image(&from, Some("v1"), b"image");
    let mut subject = image.clone();
    for number in 0..12 {
        subject = attach(&from, &subject, BUNDLE, &[number]);
    }
    let there = Memory::start(Quirks::default()).await;
    let error = run(&source(&from), &image, &destination(&there))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::TooMany { .. }), "{error}");
    assert!(there.state.lock().unwrap().manifests.is_empty());
}

/// What docker pushed before OCI: a manifest list of images by schema 2, byte for byte, with their media types.
#[tokio::test]
async fn images_by_docker_keep_their_media_types() {
    let from = Memory::start(without_api()).await;
    let child = json!({
        "schemaVersion": 2, "mediaType": DOCKER_MANIFEST,
        "config": blob(&from, br#"{"architecture":"amd64","os":"linux"}"#),
        "layers": [{
            "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": 5,
            "digest": from.state.lock().unwrap().put_blob(b"layer"),
        }],
    });
    let child_digest = put(&from, None, DOCKER_MANIFEST, &child);
    let list = json!({
        "schemaVersion": 2, "mediaType": DOCKER_INDEX,
        "manifests": [{
            "mediaType": DOCKER_MANIFEST, "size": child.to_string().len(), "digest": child_digest,
            "platform": {"architecture": "amd64", "os": "linux"},
        }],
    });
    let digest = put(&from, Some("v1"), DOCKER_INDEX, &list);
    let signature = legacy(&from, &child_digest, "sig", b"a signature");
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    let to_layout = Destination::Layout {
        layout: layout.clone(),
        name: Some("v1".to_owned()),
    };
    run(&source(&from), &digest, &to_layout).await.unwrap();
    for source in [source(&from), Source::Layout(layout)] {
        let to = Memory::start(without_api()).await;
        let copied = run(&source, &digest, &destination(&to)).await.unwrap();
        assert_eq!((copied.images, copied.attachments), (2, 1));
        let there = to.state.lock().unwrap();
        let tag = attachment_tag("", &child_digest, "sig");
        for (identifier, media_type, bytes) in [
            ("v1", DOCKER_INDEX, Some(&list)),
            (&digest.to_string(), DOCKER_INDEX, Some(&list)),
            (&child_digest.to_string(), DOCKER_MANIFEST, Some(&child)),
            (&tag, OCI_MANIFEST, None),
        ] {
            let (kind, found) = &there.manifests[identifier];
            assert_eq!(kind, media_type, "{identifier}");
            if let Some(bytes) = bytes {
                assert_eq!(found, bytes.to_string().as_bytes(), "{identifier}");
            }
        }
        assert_eq!(Digest::sha256(&there.manifests[&tag].1), signature);
    }
}

/// `COSIGN_REPOSITORY`: what is attached is in one repository, and the image in another.
#[tokio::test]
async fn attachments_come_from_another_repository_and_go_to_another() {
    let story = Story::new(Quirks::default()).await;
    // The image alone is here; what is attached to it stays where the story has it.
    let image = Memory::start(without_api()).await;
    let alone = Memory::start(without_api()).await;
    let nothing_attached = Options {
        attached_in: Some(alone.server.repository()),
        ..Options::default()
    };
    let copied = copy(
        &story.source(),
        &story.index,
        &destination(&image),
        &nothing_attached,
        Arc::new(()),
    )
    .await
    .unwrap();
    assert_eq!((copied.images, copied.attachments), (3, 0));

    let elsewhere = Options {
        attached_in: Some(story.from.server.repository()),
        ..Options::default()
    };
    let to = Memory::start(Quirks::default()).await;
    let (from, progress) = (source(&image), Arc::new(()));
    let copied = copy(&from, &story.index, &destination(&to), &elsewhere, progress).await;
    let copied = copied.unwrap();
    assert_eq!((copied.images, copied.attachments), (3, 5));
    story.check(&to).await;

    // Into a layout, and from there into two repositories.
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    let to_layout = Destination::Layout {
        layout: layout.clone(),
        name: Some("v1".to_owned()),
    };
    let saved = copy(&from, &story.index, &to_layout, &elsewhere, Arc::new(())).await;
    assert_eq!(saved.unwrap().attachments, 5);
    let (plain, attachments) = (
        Memory::start(without_api()).await,
        Memory::start(without_api()).await,
    );
    let apart = Options {
        attach_in: Some(attachments.server.repository()),
        ..Options::default()
    };
    let (from, to) = (Source::Layout(layout), destination(&plain));
    let loaded = copy(&from, &story.index, &to, &apart, Arc::new(())).await;
    assert_eq!(loaded.unwrap().attachments, 5);
    let has = |memory: &Memory, identifier: &str| {
        memory
            .state
            .lock()
            .unwrap()
            .manifests
            .contains_key(identifier)
    };
    let tag = attachment_tag("", &story.index, "sig");
    let lists = attachment_tag("", &story.index, "");
    for (identifier, beside, there) in [
        ("v1", true, false),
        (&story.index.to_string(), true, false),
        (&story.child.to_string(), true, false),
        (&tag, false, true),
        (&lists, false, true),
    ] {
        assert_eq!(has(&plain, identifier), beside, "{identifier}");
        assert_eq!(has(&attachments, identifier), there, "{identifier}");
    }
}
