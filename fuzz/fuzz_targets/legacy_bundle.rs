//! What cosign wrote before there were Sigstore bundles: files beside blobs, and the log's promises in annotations.
#![no_main]

use sealmark_formats::legacy::{BlobBundle, RekorBundle, Rfc3161Timestamp};
use serde_json::{from_slice, to_vec};

const BLOB: &[u8] = br#"{"base64Signature":"AAEC","cert":"LS0tLS0=","rekorBundle":{"SignedEntryTimestamp":"AAEC","Payload":{"body":"e30=","integratedTime":1667474418,"logIndex":1,"logID":"c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d"}}}"#;
const PROMISE: &[u8] = br#"{"SignedEntryTimestamp":"AAEC","Payload":{"body":"e30=","integratedTime":1667474418,"logIndex":1,"logID":"c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d"}}"#;
const TIMESTAMP: &[u8] = br#"{"SignedRFC3161Timestamp":"AAEC"}"#;

sealmark_fuzz::target!([BLOB, PROMISE, TIMESTAMP], |data| {
    let mut accepted = false;
    if let Ok(bundle) = BlobBundle::parse(data) {
        sealmark_fuzz::same(&bundle, BlobBundle::parse(&bundle.to_json()));
        accepted = true;
    }
    if let Ok(promise) = from_slice::<RekorBundle>(data) {
        let written = to_vec(&promise).expect("promises serialise");
        sealmark_fuzz::same(&promise, from_slice(&written));
        accepted = true;
    }
    if let Ok(timestamp) = from_slice::<Rfc3161Timestamp>(data) {
        let written = to_vec(&timestamp).expect("timestamps serialise");
        sealmark_fuzz::same(&timestamp, from_slice(&written));
        accepted = true;
    }
    accepted
});
