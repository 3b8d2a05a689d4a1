//! What is attached to an image is found, in every layout, with as few requests as possible.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::io::Write as _;

use bytes::Bytes;
use sealmark_formats::{Digest, legacy};
use sealmark_oci::manifest::{
    BUNDLE_CONTENT_ANNOTATION, BUNDLE_PREDICATE_ANNOTATION, EMPTY_CONFIG, ImageManifest, OCI_INDEX,
    OCI_MANIFEST, bundle_manifest, empty_config,
};
use sealmark_oci::{
    BundleAttachment, Client, Descriptor, Error, Options, ReferrersSource, Replace, Source, Want,
    gather, tree,
};
use sealmark_verify::Evidence;
use sealmark_verify::evidence::{Content, Layout};
use support::registry::{Memory, Quirks};
use support::{client, options};

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

fn subject() -> Descriptor {
    Descriptor::of(OCI_MANIFEST, br#"{"schemaVersion":2,"image":1}"#)
}

/// A bundle as `sign` makes it with a key; `n` makes it differ from others.
fn bundle(n: usize) -> Bytes {
    let payload = base64(format!("{{\"n\":{n}}}").as_bytes());
    format!(
        r#"{{"mediaType":"{BUNDLE}","verificationMaterial":{{"publicKey":{{"hint":"aGludA=="}}}},"dsseEnvelope":{{"payload":"{payload}","payloadType":"application/vnd.in-toto+json","signatures":[{{"sig":"c2ln"}}]}}}}"#
    )
    .into()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn attachment(n: usize) -> BundleAttachment {
    BundleAttachment {
        json: bundle(n),
        media_type: BUNDLE.to_owned(),
        annotations: BTreeMap::from([
            (
                BUNDLE_CONTENT_ANNOTATION.to_owned(),
                "dsse-envelope".to_owned(),
            ),
            (
                BUNDLE_PREDICATE_ANNOTATION.to_owned(),
                format!("https://example.com/{n}"),
            ),
        ]),
    }
}

fn signature(payload: &[u8], signature: &str) -> Descriptor {
    let mut layer = Descriptor::of(legacy::SIMPLE_SIGNING_MEDIA_TYPE, payload);
    let annotation = legacy::SIGNATURE_ANNOTATION.to_owned();
    layer.annotations = BTreeMap::from([(annotation, base64(signature.as_bytes()))]);
    layer
}

fn source(memory: &Memory) -> Source {
    Source::Registry {
        client: client(),
        repository: memory.server.repository(),
    }
}

async fn gathered(memory: &Memory, want: Want) -> Vec<Evidence> {
    gather(&source(memory), &subject().digest, want)
        .await
        .unwrap()
}

fn kinds(evidence: &[Evidence]) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for one in evidence {
        let name = match one.content {
            Content::Unreadable(_) => "unreadable",
            _ => one.source.layout.name(),
        };
        *kinds.entry(name).or_default() += 1;
    }
    kinds
}

#[tokio::test]
async fn two_bundles_are_read_with_six_requests() {
    for quirks in [
        Quirks::default(),
        Quirks {
            subject_header: true,
            ..Quirks::default()
        },
        Quirks {
            mistyped: true,
            ..Quirks::default()
        },
        Quirks {
            page: 1,
            ..Quirks::default()
        },
        Quirks {
            no_referrers: true,
            ..Quirks::default()
        },
    ] {
        let memory = Memory::start(quirks.clone()).await;
        let writer = client();
        let repository = memory.server.repository();
        for n in 0..2 {
            let attached = writer
                .attach_bundle(&repository, &subject(), attachment(n))
                .await
                .unwrap();
            let via = if quirks.no_referrers {
                ReferrersSource::FallbackIndex
            } else {
                ReferrersSource::Api
            };
            assert_eq!(attached.via, via);
        }
        memory.server.log.lock().unwrap().clear();
        let evidence = gathered(&memory, Want::SIGNATURES).await;
        assert_eq!(
            kinds(&evidence),
            BTreeMap::from([("bundle", 2)]),
            "{quirks:?}"
        );
        let location = &evidence[0].source.location;
        assert!(
            location.starts_with(&format!("{repository}@sha256:")),
            "{location}"
        );
        let more = usize::from(quirks.page > 0) + usize::from(quirks.no_referrers);
        assert_eq!(
            memory.server.requests().len(),
            6 + more,
            "{:?}",
            memory.server.lines()
        );
    }
}

#[tokio::test]
async fn a_fallback_index_says_what_its_entries_are() {
    let memory = Memory::start(Quirks {
        no_referrers: true,
        ..Quirks::default()
    })
    .await;
    let repository = memory.server.repository();
    let attached = client()
        .attach_bundle(&repository, &subject(), attachment(7))
        .await
        .unwrap();
    let tag = format!("sha256-{}", subject().digest.hex());
    let index = memory.state.lock().unwrap().json(&tag);
    assert_eq!(index["mediaType"], OCI_INDEX);
    let entry = &index["manifests"][0];
    assert_eq!(entry["digest"], attached.digest.to_string());
    assert_eq!(entry["artifactType"], BUNDLE);
    assert_eq!(
        entry["annotations"][BUNDLE_PREDICATE_ANNOTATION],
        "https://example.com/7"
    );
    // Once more is not twice.
    client()
        .attach_bundle(&repository, &subject(), attachment(7))
        .await
        .unwrap();
    let index = memory.state.lock().unwrap().json(&tag);
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_index_with_the_types_that_cosign_3_1_wrote_hides_nothing() {
    let memory = Memory::start(Quirks {
        no_referrers: true,
        ..Quirks::default()
    })
    .await;
    let repository = memory.server.repository();
    client()
        .attach_bundle(&repository, &subject(), attachment(1))
        .await
        .unwrap();
    let tag = format!("sha256-{}", subject().digest.hex());
    {
        let mut state = memory.state.lock().unwrap();
        let mut index = state.json(&tag);
        index["manifests"][0]["artifactType"] = EMPTY_CONFIG.into();
        index["manifests"][0]
            .as_object_mut()
            .unwrap()
            .remove("annotations");
        // The same one again, and something that is no bundle.
        let twice = index["manifests"][0].clone();
        let sbom = Descriptor::of(OCI_MANIFEST, b"sbom");
        let mut other = serde_json::to_value(&sbom).unwrap();
        other["artifactType"] = "application/spdx+json".into();
        index["manifests"]
            .as_array_mut()
            .unwrap()
            .extend([twice, other]);
        state.put(Some(&tag), OCI_INDEX, index.to_string().as_bytes());
    }
    let client = client();
    let found = client
        .referrers(&repository, &subject().digest, Some(BUNDLE))
        .await
        .unwrap();
    assert_eq!(
        (found.descriptors.len(), found.source),
        (1, ReferrersSource::FallbackIndex)
    );
    let evidence = gathered(&memory, Want::ALL).await;
    assert_eq!(kinds(&evidence), BTreeMap::from([("bundle", 1)]));
    // Attaching the next one keeps all of them.
    client
        .attach_bundle(&repository, &subject(), attachment(2))
        .await
        .unwrap();
    let index = memory.state.lock().unwrap().json(&tag);
    assert_eq!(index["manifests"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn every_layout_is_read_at_once() {
    let memory = Memory::start(Quirks::default()).await;
    let repository = memory.server.repository();
    let client = client();
    client
        .attach_bundle(&repository, &subject(), attachment(1))
        .await
        .unwrap();
    let digest = subject().digest;
    let payload = Bytes::from_static(b"{\"critical\":1}");
    for text in ["one", "two", "one"] {
        let layer = signature(&payload, text);
        client
            .append_legacy(
                &repository,
                &digest,
                "sig",
                layer,
                payload.clone(),
                Replace::Nothing,
                false,
            )
            .await
            .unwrap();
    }
    let envelope = r#"{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"keyid":"","sig":"c2ln"}]}"#;
    for (number, predicate, replace) in [
        (0, "a", Replace::Nothing),
        (1, "b", Replace::Nothing),
        (
            2,
            "a",
            Replace::Blobs(vec![Digest::sha256(envelope.as_bytes())]),
        ),
    ] {
        let envelope = format!("{envelope}{}", " ".repeat(number));
        let mut layer = Descriptor::of(legacy::DSSE_MEDIA_TYPE, envelope.as_bytes());
        layer.annotations = BTreeMap::from([("predicateType".to_owned(), predicate.to_owned())]);
        client
            .append_legacy(
                &repository,
                &digest,
                "att",
                layer,
                envelope.into(),
                replace,
                false,
            )
            .await
            .unwrap();
    }
    // An experimental signature of cosign 2.
    let old = signature(&payload, "three");
    let manifest = ImageManifest {
        artifact_type: Some(legacy::OCI11_SIGNATURE_TYPE.to_owned()),
        ..bundle_manifest(&subject(), old, BTreeMap::new())
    };
    client
        .attach(
            &repository,
            &subject(),
            OCI_MANIFEST,
            manifest.to_json().into(),
        )
        .await
        .unwrap();

    let evidence = gathered(&memory, Want::ALL).await;
    let expected = [
        ("bundle", 1),
        ("legacy-attestation", 2),
        ("legacy-signature", 2),
        ("oci-1-1", 1),
    ];
    assert_eq!(kinds(&evidence), BTreeMap::from(expected));
    let signatures: Vec<&[u8]> = evidence
        .iter()
        .filter(|one| one.source.layout == Layout::LegacySignature)
        .map(|one| match &one.content {
            Content::SimpleSigning(detached) => detached.signature.as_slice(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(signatures, [b"one", b"two"]);
    assert_eq!(kinds(&gathered(&memory, Want::ATTESTATIONS).await).len(), 2);

    let node = tree::list(&source(&memory), &digest, true).await.unwrap();
    let mut listed: Vec<&str> = node.attachments.iter().map(|one| one.layout).collect();
    listed.sort_unstable();
    assert_eq!(
        listed,
        [
            "bundle",
            "legacy-attestation",
            "legacy-attestation",
            "legacy-signature",
            "legacy-signature",
            "oci-1-1"
        ]
    );
    let bundle = node
        .attachments
        .iter()
        .find(|one| one.layout == "bundle")
        .unwrap();
    assert_eq!(
        bundle.predicate_type.as_deref(),
        Some("https://example.com/1")
    );
}

/// Puts a bundle manifest around a layer, without asking what the layer is.
fn put_raw(
    memory: &Memory,
    media_type: &str,
    declared: u64,
    blob: Option<&[u8]>,
    n: usize,
) -> Digest {
    let mut state = memory.state.lock().unwrap();
    let bytes = blob.unwrap_or(b"missing");
    if blob.is_some() {
        state.put_blob(bytes);
    }
    let layer = Descriptor::new(media_type, Digest::sha256(bytes), declared);
    let annotations = BTreeMap::from([("n".to_owned(), n.to_string())]);
    let mut manifest = bundle_manifest(&subject(), layer, annotations);
    manifest.artifact_type = Some(BUNDLE.to_owned());
    state.put(None, OCI_MANIFEST, &manifest.to_json())
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Why the attachment of this manifest is unreadable, if it is.
fn reason<'a>(evidence: &'a [Evidence], manifest: &Digest) -> Option<&'a str> {
    let one = evidence
        .iter()
        .find(|one| one.source.manifest.as_ref() == Some(manifest))
        .unwrap();
    match &one.content {
        Content::Unreadable(reason) => Some(reason),
        _ => None,
    }
}

#[tokio::test]
async fn one_bad_attachment_is_reported_and_the_others_are_read() {
    let memory = Memory::start(Quirks::default()).await;
    let good = bundle(1);
    put_raw(&memory, BUNDLE, good.len() as u64, Some(&good), 1);
    put_raw(&memory, BUNDLE, 7, None, 2);
    put_raw(&memory, BUNDLE, 5, Some(b"{ huge }"), 3);
    put_raw(&memory, BUNDLE, 200 << 20, Some(b"{}"), 4);
    put_raw(&memory, BUNDLE, 3, Some(b"xyz"), 5);
    put_raw(&memory, "text/plain", 1, Some(b"t"), 6);
    let evidence = gathered(&memory, Want::ALL).await;
    assert_eq!(
        kinds(&evidence),
        BTreeMap::from([("bundle", 1), ("unreadable", 5)])
    );
    let reasons: Vec<String> = evidence
        .iter()
        .filter_map(|one| match &one.content {
            Content::Unreadable(reason) => Some(reason.clone()),
            _ => None,
        })
        .collect();
    for expected in [
        "nothing at",
        "larger than 5 bytes",
        "larger than 201326592 bytes",
        "says that it is a bundle, and has none",
    ] {
        assert!(
            reasons.iter().any(|reason| reason.contains(expected)),
            "{expected}: {reasons:?}"
        );
    }
}

#[tokio::test]
async fn compressed_attachments_are_unpacked_within_the_bound() {
    let memory = Memory::start(Quirks::default()).await;
    let packed = pack(&bundle(1));
    let media_type = format!("{BUNDLE}+gzip");
    put_raw(&memory, &media_type, packed.len() as u64, Some(&packed), 1);
    let bomb = pack(&vec![b' '; 8 << 20]);
    assert!(bomb.len() < 10_000);
    put_raw(&memory, &media_type, bomb.len() as u64, Some(&bomb), 2);
    put_raw(&memory, &media_type, 3, Some(b"abc"), 3);
    let client = Client::new(Options {
        max_attachment: 1 << 20,
        ..options()
    });
    let source = Source::Registry {
        client,
        repository: memory.server.repository(),
    };
    let evidence = gather(&source, &subject().digest, Want::ALL).await.unwrap();
    assert_eq!(
        kinds(&evidence),
        BTreeMap::from([("bundle", 1), ("unreadable", 2)])
    );
    let unreadable = format!("{evidence:?}");
    assert!(
        unreadable.contains("unpacked, is larger than 1048576 bytes"),
        "{unreadable}"
    );
    assert!(unreadable.contains("not gzip"), "{unreadable}");
}

#[tokio::test]
async fn a_thousand_attachments_are_read_and_one_more_is_refused() {
    let memory = Memory::start(Quirks {
        page: 300,
        ..Quirks::default()
    })
    .await;
    let good = bundle(1);
    for n in 0..1000 {
        put_raw(&memory, BUNDLE, good.len() as u64, Some(&good), n);
    }
    assert_eq!(gathered(&memory, Want::SIGNATURES).await.len(), 1000);
    // The blob that they share came once.
    assert_eq!(memory.server.count("GET /v2/team/app/blobs/"), 1);
    put_raw(&memory, BUNDLE, good.len() as u64, Some(&good), 1000);
    let error = gather(&source(&memory), &subject().digest, Want::ALL)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::TooMany { limit: 1000, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_manifest_that_lies_about_anothers_blob_hurts_only_itself() {
    let (plain, packed) = (bundle(1), pack(&bundle(1)));
    let gzip = format!("{BUNDLE}+gzip");
    let size = |bytes: &[u8]| bytes.len() as u64;
    let cases: [(&[u8], &str, &str, u64, &str); 8] = [
        (&plain, BUNDLE, BUNDLE, 200 << 20, "larger than 201326592"),
        (&plain, BUNDLE, BUNDLE, 127 << 20, "has 133169152 bytes"),
        (&plain, BUNDLE, BUNDLE, size(&plain) + 1, "and it has"),
        (&plain, BUNDLE, BUNDLE, 1, "has 1 bytes, and it has"),
        (&plain, BUNDLE, &gzip, size(&plain), "it is not gzip"),
        (
            &packed,
            &gzip,
            BUNDLE,
            size(&packed),
            "not a valid Sigstore",
        ),
        (&packed, &gzip, &gzip, 127 << 20, "has 133169152 bytes"),
        (&packed, &gzip, "text/gzip", size(&packed), "and has none"),
    ];
    for (blob, kind, lie, declared, expected) in cases {
        let mut orders = std::collections::BTreeSet::new();
        // Manifests are listed by their digests: in a few pairs, the liar comes before and after.
        for n in 0..10 {
            let memory = Memory::start(Quirks::default()).await;
            let honest = put_raw(&memory, kind, size(blob), Some(blob), n);
            let liar = put_raw(&memory, lie, declared, Some(blob), n + 100);
            let evidence = gathered(&memory, Want::ALL).await;
            assert_eq!(evidence.len(), 2);
            assert_eq!(reason(&evidence, &honest), None, "{lie} {declared}");
            let reason = reason(&evidence, &liar).unwrap();
            assert!(reason.contains(expected), "{expected}: {reason}");
            assert_eq!(memory.server.count("GET /v2/team/app/blobs/"), 1);
            orders.insert(evidence[0].source.manifest == Some(liar));
        }
        assert_eq!(orders.len(), 2, "both orders");
    }
}

#[tokio::test]
async fn layers_that_lie_about_anothers_payload_hurt_only_themselves() {
    let payload = b"{\"critical\":1}";
    let good = signature(payload, "good");
    let mut huge = signature(payload, "huge");
    huge.size = 127 << 20;
    let mut gzip = signature(payload, "gzip");
    gzip.media_type.push_str("+gzip");
    for layers in [
        [&good, &huge, &gzip],
        [&huge, &gzip, &good],
        [&gzip, &good, &huge],
    ] {
        let memory = Memory::start(Quirks::default()).await;
        {
            let image = ImageManifest {
                layers: layers.into_iter().cloned().collect(),
                subject: None,
                ..bundle_manifest(&subject(), good.clone(), BTreeMap::new())
            };
            let mut state = memory.state.lock().unwrap();
            state.put_blob(payload);
            let tag = format!("sha256-{}.sig", subject().digest.hex());
            state.put(Some(&tag), OCI_MANIFEST, &image.to_json());
        }
        let evidence = gathered(&memory, Want::ALL).await;
        let read: Vec<&[u8]> = evidence
            .iter()
            .filter_map(|one| match &one.content {
                Content::SimpleSigning(detached) => Some(&detached.signature[..]),
                _ => None,
            })
            .collect();
        assert_eq!((evidence.len(), read), (3, vec![&b"good"[..]]));
        assert_eq!(memory.server.count("GET /v2/team/app/blobs/"), 1);
    }
}

#[tokio::test]
async fn tiny_pushes_that_claim_all_memory_hide_nothing() {
    let memory = Memory::start(Quirks::default()).await;
    let good = bundle(0);
    let honest = put_raw(&memory, BUNDLE, good.len() as u64, Some(&good), 0);
    for n in 1..40 {
        put_raw(&memory, BUNDLE, 127 << 20, Some(&bundle(n)), n);
    }
    let evidence = gathered(&memory, Want::ALL).await;
    assert_eq!(reason(&evidence, &honest), None);
    let expected = BTreeMap::from([("bundle", 1), ("unreadable", 39)]);
    assert_eq!(kinds(&evidence), expected);
}

#[tokio::test]
async fn something_else_in_the_place_of_the_fallback_index_hides_no_signature() {
    let image = bundle_manifest(&subject(), empty_config(), BTreeMap::new()).to_json();
    let cases: [(&[u8], &str); 2] = [
        (
            &image,
            "and is a manifest of type \"application/vnd.oci.empty.v1+json\"",
        ),
        (b"{\"manifests\":7}", "and is malformed: "),
    ];
    for (manifest, is) in cases {
        let quirks = Quirks {
            no_referrers: true,
            ..Quirks::default()
        };
        let memory = Memory::start(quirks).await;
        let payload = Bytes::from_static(b"{\"critical\":1}");
        let repository = memory.server.repository();
        client()
            .append_legacy(
                &repository,
                &subject().digest,
                "sig",
                signature(&payload, "good"),
                payload.clone(),
                Replace::Nothing,
                false,
            )
            .await
            .unwrap();
        let tag = format!("sha256-{}", subject().digest.hex());
        let media_type = if manifest == image {
            OCI_MANIFEST
        } else {
            OCI_INDEX
        };
        let digest = memory
            .state
            .lock()
            .unwrap()
            .put(Some(&tag), media_type, manifest);
        let evidence = gathered(&memory, Want::ALL).await;
        let expected = BTreeMap::from([("legacy-signature", 1), ("unreadable", 1)]);
        assert_eq!(kinds(&evidence), expected);
        let told = reason(&evidence, &digest).unwrap();
        let start = format!(
            "the tag {} should be an index of referrers, ",
            repository.at(&tag)
        );
        assert!(told.starts_with(&start) && told.contains(is), "{told}");

        let node = tree::list(&source(&memory), &subject().digest, false)
            .await
            .unwrap();
        let tags: Vec<Option<&str>> = node
            .attachments
            .iter()
            .map(|one| one.tag.as_deref())
            .collect();
        let signatures = format!("{tag}.sig");
        assert_eq!(tags, [Some(&*tag), Some(&*signatures)]);
        // Whoever wants the list itself is told that there is none.
        let error = client()
            .referrers(&repository, &subject().digest, None)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::NotReferrers { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_listed_manifest_that_is_not_json_is_one_bad_attachment() {
    let quirks = Quirks {
        no_referrers: true,
        ..Quirks::default()
    };
    let memory = Memory::start(quirks).await;
    client()
        .attach_bundle(&memory.server.repository(), &subject(), attachment(1))
        .await
        .unwrap();
    {
        let mut state = memory.state.lock().unwrap();
        let tag = format!("sha256-{}", subject().digest.hex());
        let mut index = state.json(&tag);
        let mut entry = index["manifests"][0].clone();
        entry["digest"] = state.put(None, OCI_MANIFEST, b"<html>").to_string().into();
        index["manifests"].as_array_mut().unwrap().push(entry);
        state.put(Some(&tag), OCI_INDEX, index.to_string().as_bytes());
    }
    let evidence = gathered(&memory, Want::ALL).await;
    let expected = BTreeMap::from([("bundle", 1), ("unreadable", 1)]);
    assert_eq!(kinds(&evidence), expected);
}

#[tokio::test]
async fn an_image_without_attachments_has_none() {
    for no_referrers in [false, true] {
        let memory = Memory::start(Quirks {
            no_referrers,
            ..Quirks::default()
        })
        .await;
        assert!(gathered(&memory, Want::ALL).await.is_empty());
    }
}

#[tokio::test]
async fn a_registry_that_takes_an_attachment_and_does_not_list_it_is_reported() {
    let quirks = Quirks {
        unlisted: true,
        subject_header: true,
        ..Quirks::default()
    };
    let memory = Memory::start(quirks).await;
    let repository = memory.server.repository();
    let error = client()
        .attach_bundle(&repository, &subject(), attachment(1))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotListed { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("its referrers API does not list it"),
        "{error}"
    );
}

#[tokio::test]
async fn an_attachment_of_something_else_is_refused() {
    let memory = Memory::start(Quirks::default()).await;
    let other = Descriptor::of(OCI_MANIFEST, b"other");
    let manifest = bundle_manifest(&other, empty_config(), BTreeMap::new()).to_json();
    let repository = memory.server.repository();
    let attached = client()
        .attach(&repository, &subject(), OCI_MANIFEST, manifest.into())
        .await;
    let error = attached.unwrap_err();
    assert!(
        error.to_string().contains("its subject is not sha256:"),
        "{error}"
    );
    assert!(memory.server.requests().is_empty());
}

#[tokio::test]
async fn an_immutable_tag_is_told_as_what_it_is() {
    let quirks = Quirks {
        no_referrers: true,
        immutable: true,
        ..Quirks::default()
    };
    let memory = Memory::start(quirks).await;
    let repository = memory.server.repository();
    client()
        .attach_bundle(&repository, &subject(), attachment(1))
        .await
        .unwrap();
    let error = client()
        .attach_bundle(&repository, &subject(), attachment(2))
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Rejected { status: 412, .. }),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("the tag is immutable"),
        "{error}"
    );
}

#[tokio::test]
async fn images_are_pushed_tagged_mounted_and_deleted() {
    let memory = Memory::start(Quirks::default()).await;
    let repository = memory.server.repository();
    let client = client();
    let big = Bytes::from(vec![7; 1 << 20]);
    let digest = client.push_blob(&repository, big.clone()).await.unwrap();
    client.push_blob(&repository, big.clone()).await.unwrap();
    assert_eq!(memory.server.count("PUT /v2/team/app/blobs/"), 1);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("blob");
    std::fs::write(&path, b"from a file").unwrap();
    let from_file = Digest::sha256(b"from a file");
    client
        .push_blob_file(&repository, &from_file, &path)
        .await
        .unwrap();
    assert_eq!(
        client.blob(&repository, &from_file, 100).await.unwrap(),
        b"from a file"
    );
    assert!(
        client
            .mount_blob(&repository, &repository, &digest)
            .await
            .unwrap()
    );
    let mut copy = Vec::new();
    let descriptor = Descriptor::of("a/b", &big);
    client
        .blob_to(&repository, &descriptor, &mut copy)
        .await
        .unwrap();
    assert_eq!(copy, big);

    let manifest = Bytes::from_static(br#"{"schemaVersion":2,"manifests":[]}"#);
    let pushed = client
        .push_manifest(&repository, Some("v1"), OCI_INDEX, manifest)
        .await
        .unwrap();
    let reference = format!("{repository}:v1").parse().unwrap();
    let resolved = client.resolve(&reference).await.unwrap();
    assert_eq!((&resolved.digest, resolved.size), (&pushed.digest, 34));
    assert!(resolved.is_index());
    assert_eq!(client.tags(&repository).await.unwrap(), ["v1"]);
    client.delete_tag(&repository, "v1").await.unwrap();
    assert!(client.resolve(&reference).await.unwrap_err().is_not_found());
    client
        .delete_manifest(&repository, &pushed.digest)
        .await
        .unwrap();
    assert!(
        client
            .delete_manifest(&repository, &pushed.digest)
            .await
            .unwrap_err()
            .is_not_found()
    );
}
