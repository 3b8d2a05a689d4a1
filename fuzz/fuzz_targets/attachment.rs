//! Layers of signature images in the legacy layout, `{"mediaType": …, "blob": …, "annotations": {…}}`: whatever they
//! hold, an image that nobody signed is not verified.
#![no_main]

use std::collections::BTreeMap;

use sealmark_fuzz::verified;
use sealmark_verify::evidence::{Content, Layout};
use serde_json::Value;

const SIMPLE: &[u8] = br#"{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","blob":"{\"critical\":{\"identity\":{\"docker-reference\":\"\"},\"image\":{\"docker-manifest-digest\":\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"},\"type\":\"cosign container image signature\"},\"optional\":null}","annotations":{"dev.cosignproject.cosign/signature":"MEUCIQDm","dev.sigstore.cosign/certificate":"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n","dev.sigstore.cosign/bundle":"{\"SignedEntryTimestamp\":\"AAEC\",\"Payload\":{\"body\":\"e30=\",\"integratedTime\":1667474418,\"logIndex\":1,\"logID\":\"c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d\"}}","dev.sigstore.cosign/rfc3161timestamp":"{\"SignedRFC3161Timestamp\":\"AAEC\"}"}}"#;
const ENVELOPE: &[u8] = br#"{"mediaType":"application/vnd.dsse.envelope.v1+json","blob":"{\"payloadType\":\"application/vnd.in-toto+json\",\"payload\":\"e30=\",\"signatures\":[{\"sig\":\"AAEC\"}]}","annotations":{}}"#;

sealmark_fuzz::target!([SIMPLE, ENVELOPE], |data| {
    let Ok(layer) = serde_json::from_slice::<Value>(data) else {
        return false;
    };
    let text = |name: &str| layer[name].as_str().unwrap_or_default().to_owned();
    let annotations: BTreeMap<String, String> = layer["annotations"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    let blob = text("blob").into_bytes();
    let content = Content::from_legacy_layer(&text("mediaType"), blob, &annotations);
    let readable = !matches!(content, Content::Unreadable(_));
    for layout in [
        Layout::LegacySignature,
        Layout::LegacyAttestation,
        Layout::Oci11Signature,
    ] {
        assert!(!verified(layout, content.clone()));
    }
    readable
});
