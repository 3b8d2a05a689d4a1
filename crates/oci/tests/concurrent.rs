//! Many sign one image at the same time, and nobody's signature is lost.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use sealmark_formats::legacy::SIMPLE_SIGNING_MEDIA_TYPE;
use sealmark_oci::manifest::{OCI_INDEX, OCI_MANIFEST};
use sealmark_oci::{BundleAttachment, Client, Descriptor, Options, Replace};
use support::options;
use support::registry::{Etag, Memory, Quirks};

const SIGNERS: usize = 12;

fn subject() -> Descriptor {
    Descriptor::of(OCI_MANIFEST, b"image")
}

fn attachment(n: usize) -> BundleAttachment {
    BundleAttachment {
        json: format!("{{\"n\":{n}}}").into(),
        media_type: "application/vnd.dev.sigstore.bundle.v0.3+json".to_owned(),
        annotations: BTreeMap::new(),
    }
}

fn quirks(etag: Etag) -> Quirks {
    Quirks {
        no_referrers: true,
        etag,
        delay: Duration::from_millis(30),
        ..Quirks::default()
    }
}

fn patient() -> Client {
    Client::new(Options {
        timeout: Duration::from_secs(20),
        ..options()
    })
}

/// Each signer gets the client that `client` gives it. All must be in the index in the end.
async fn all_attach(memory: &Memory, client: impl Fn() -> Client) {
    let repository = memory.server.repository();
    let signers = (0..SIGNERS).map(|n| {
        let (client, repository) = (client(), repository.clone());
        tokio::spawn(async move {
            client
                .attach_bundle(&repository, &subject(), attachment(n))
                .await
                .unwrap()
                .digest
        })
    });
    let mut attached = BTreeSet::new();
    for signer in futures_util::future::join_all(signers).await {
        attached.insert(signer.unwrap().to_string());
    }
    assert_eq!(attached.len(), SIGNERS);
    let tag = format!("sha256-{}", subject().digest.hex());
    let index = memory.state.lock().unwrap().json(&tag);
    let listed: BTreeSet<String> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["digest"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(listed, attached);
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_tasks_of_one_process() {
    let memory = Memory::start(quirks(Etag::Ignored)).await;
    let client = patient();
    all_attach(&memory, || client.clone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_processes_and_a_registry_that_ignores_conditions() {
    for etag in [Etag::Ignored, Etag::None] {
        let memory = Memory::start(quirks(etag)).await;
        all_attach(&memory, patient).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_processes_and_a_registry_that_honours_conditions() {
    let memory = Memory::start(quirks(Etag::Honoured)).await;
    all_attach(&memory, patient).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_processes_adding_legacy_signatures() {
    let memory = Memory::start(quirks(Etag::Ignored)).await;
    let repository = memory.server.repository();
    let payload = Bytes::from_static(b"{}");
    let signers = (0..SIGNERS).map(|n| {
        let (client, repository, payload) = (patient(), repository.clone(), payload.clone());
        tokio::spawn(async move {
            let mut layer = Descriptor::of(SIMPLE_SIGNING_MEDIA_TYPE, &payload);
            layer.annotations.insert("n".to_owned(), n.to_string());
            let digest = subject().digest;
            client
                .append_legacy(
                    &repository,
                    &digest,
                    "sig",
                    layer,
                    payload,
                    Replace::Nothing,
                    false,
                )
                .await
                .unwrap();
        })
    });
    for signer in futures_util::future::join_all(signers).await {
        signer.unwrap();
    }
    let tag = format!("sha256-{}.sig", subject().digest.hex());
    let manifest = memory.state.lock().unwrap().json(&tag);
    let layers = manifest["layers"].as_array().unwrap();
    let numbers: BTreeSet<&str> = layers
        .iter()
        .map(|layer| layer["annotations"]["n"].as_str().unwrap())
        .collect();
    assert_eq!((layers.len(), numbers.len()), (SIGNERS, SIGNERS));
    // The configuration fits the layers.
    let config = manifest["config"]["digest"].as_str().unwrap();
    assert!(memory.state.lock().unwrap().blobs.contains_key(config));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_deleted_on_purpose_meanwhile_does_not_come_back() {
    let memory = Memory::start(quirks(Etag::Ignored)).await;
    let repository = memory.server.repository();
    let first = patient()
        .attach_bundle(&repository, &subject(), attachment(1))
        .await
        .unwrap();
    let tag = format!("sha256-{}", subject().digest.hex());
    let put = format!("PUT /v2/team/app/manifests/{tag}");
    let before = memory.server.count(&put);
    let second = tokio::spawn({
        let repository = repository.clone();
        async move {
            patient()
                .attach_bundle(&repository, &subject(), attachment(2))
                .await
        }
    });
    // Once the second is written, and before its writer has looked twice, somebody cleans up.
    let written = || {
        let state = memory.state.lock().unwrap();
        state.json(&tag)["manifests"].as_array().unwrap().len() == 2
    };
    while !written() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(memory.server.count(&put), before + 1);
    {
        let mut state = memory.state.lock().unwrap();
        let mut index = state.json(&tag);
        index["manifests"]
            .as_array_mut()
            .unwrap()
            .retain(|entry| entry["digest"] != first.digest.to_string());
        state.put(Some(&tag), OCI_INDEX, index.to_string().as_bytes());
        state.manifests.remove(&first.digest.to_string());
    }
    let second = second.await.unwrap().unwrap();
    let index = memory.state.lock().unwrap().json(&tag);
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["digest"], second.digest.to_string());
}
