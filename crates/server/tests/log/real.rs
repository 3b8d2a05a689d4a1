//! Entries of the public logs, sent again: this log must make the very same leaf of each.
//!
//! They come from the bundles in the fixtures of `conformance` and `tlog`. A canonical body of a `hashedrekord` is also
//! a proposal that can be sent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::served::Served;

/// Bodies, each once: some bundles share an entry. Those of cases that are to fail are left out.
pub(crate) fn bodies() -> BTreeSet<Vec<u8>> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = BTreeSet::new();
    let mut folders = vec![
        crates.join("conformance/tests/fixtures/bundle-verify"),
        crates.join("tlog/tests/fixtures/bundles"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the fixtures are there") {
            let path = entry.expect("the fixtures can be listed").path();
            let name = path.to_string_lossy();
            if name.contains("_fail") || name.contains("/bad-") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let file = std::fs::read(&path).unwrap_or_default();
            let Ok(bundle) = serde_json::from_slice::<Value>(&file) else {
                continue;
            };
            let entries = bundle.pointer("/verificationMaterial/tlogEntries");
            for entry in entries.and_then(Value::as_array).into_iter().flatten() {
                let body = entry["canonicalizedBody"].as_str().unwrap_or_default();
                if let Ok(body) = STANDARD.decode(body) {
                    found.insert(body);
                }
            }
        }
    }
    found
}

#[tokio::test]
async fn real_entries_have_the_same_leaves_here() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    let mut checked = BTreeMap::new();
    for body in bodies() {
        let Ok(entry) = serde_json::from_slice::<Value>(&body) else {
            continue;
        };
        let kind = format!(
            "{} {}",
            entry["kind"].as_str().unwrap_or_default(),
            entry["apiVersion"].as_str().unwrap_or_default()
        );
        let leaf = match kind.as_str() {
            "hashedrekord 0.0.1" => log.create(&entry).await.1["body"].clone(),
            "hashedrekord 0.0.2" => {
                let spec = &entry["spec"]["hashedRekordV002"];
                let request = json!({"hashedRekordRequestV002": {
                    "digest": spec["data"]["digest"], "signature": spec["signature"],
                }});
                let response = log.post("/api/v2/log/entries", &request).await;
                let status = response.status();
                let entry: Value = response.json().await.unwrap();
                assert_eq!(status, 201, "{entry}");
                entry["canonicalizedBody"].clone()
            }
            // Of envelopes the log keeps a hash of the JSON, which bundles do not have as it was sent.
            _ => continue,
        };
        let leaf = STANDARD.decode(leaf.as_str().unwrap()).unwrap();
        assert_eq!(leaf, body, "{kind}");
        *checked.entry(kind).or_insert(0) += 1;
    }
    assert_eq!(checked.len(), 2, "{checked:?}");
    log.close().await;
}
