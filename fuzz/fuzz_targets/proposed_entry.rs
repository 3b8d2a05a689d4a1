//! Proposed entries of Rekor v1: a leaf is JSON of the proposed kind, always the same, and found by keys in lower case.
#![no_main]

use sealmark_entries::read_v1;
use serde_json::Value;

sealmark_fuzz::target!([], |data| {
    let Some(proposed) = sealmark_fuzz::read(read_v1(data)) else {
        return false;
    };
    assert_eq!(read_v1(data).as_ref(), Ok(&proposed));
    let leaf: Value = serde_json::from_slice(&proposed.leaf).expect("a leaf is JSON");
    let sent: Value = serde_json::from_slice(data).expect("what was read is JSON");
    assert_eq!(leaf["kind"], sent["kind"]);
    assert_eq!(leaf["apiVersion"], sent["apiVersion"]);
    assert!(!proposed.keys.is_empty());
    let mut keys = proposed.keys.iter();
    assert!(keys.all(|key| key.to_lowercase() == *key));
    true
});
