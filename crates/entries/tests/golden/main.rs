//! Entries as Rekor 1.5.3 reads them: the same leaf, byte for byte, and found by at least the same keys.
//!
//! `tests/fixtures/rekor/README.md` says how the files were made.

mod attestations;
mod packages;

use std::path::Path;

use sealmark_entries::{Error, Proposed};
use sealmark_formats::Digest;
use serde_json::Value;

/// A proposed entry, and what Rekor made of it.
pub(crate) struct Case {
    pub(crate) proposed: Value,
    leaf: Option<String>,
    keys: Vec<String>,
    /// The key of what is kept beside the entry, and how long that is.
    attestation: Option<(String, u64)>,
}

impl Case {
    pub(crate) fn load(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rekor");
        let json = std::fs::read(folder.join(format!("{name}.json")));
        let json = json.unwrap_or_else(|error| panic!("{name}: {error}"));
        let case: Value = serde_json::from_slice(&json).expect("cases are JSON");
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let keys = case.get("keys").and_then(Value::as_array);
        Self {
            proposed: case["proposed"].clone(),
            leaf: case.get("leaf").and_then(text),
            attestation: case.get("attestation").and_then(|kept| {
                let key = kept["key"].as_str()?.to_owned();
                Some((key, kept["bytes"].as_u64()?))
            }),
            keys: keys.into_iter().flatten().filter_map(text).collect(),
        }
    }

    pub(crate) fn read(&self) -> Result<Proposed, Error> {
        sealmark_entries::read_v1(self.proposed.to_string().as_bytes())
    }
}

/// Both take them.
pub(crate) fn taken(names: &[&str]) {
    for name in names {
        let case = Case::load(name);
        let proposed = case
            .read()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let kept = (!proposed.attestation.is_empty()).then(|| {
            let key = Digest::sha256(&proposed.attestation).to_string();
            (key, proposed.attestation.len() as u64)
        });
        assert_eq!(kept, case.attestation, "{name}");
        let leaf = String::from_utf8(proposed.leaf).expect("leaves are JSON");
        assert_eq!(Some(leaf), case.leaf, "{name}");
        for key in &case.keys {
            let key = key.to_lowercase();
            assert!(proposed.keys.contains(&key), "{name}: {key}");
        }
    }
}

/// Rekor takes what is marked with true; here all are refused, with such words.
pub(crate) fn refused(cases: &[(&str, bool, &str)]) {
    for (name, by_rekor, words) in cases {
        let case = Case::load(name);
        assert_eq!(case.leaf.is_some(), *by_rekor, "{name}");
        let error = case.read().expect_err(name).to_string();
        assert!(error.contains(words), "{name}: {error}");
    }
}

/// No file is forgotten: each is in one of the tables.
#[test]
fn every_case_is_tested() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rekor");
    let sources = [include_str!("attestations.rs"), include_str!("packages.rs")];
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let quoted = format!("\"{name}\"");
        assert!(sources.iter().any(|it| it.contains(&quoted)), "{name}");
    }
}
