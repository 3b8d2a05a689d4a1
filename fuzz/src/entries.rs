//! Proposed log entries with one part of them replaced, and what of them nobody without the key can have changed.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_entries::check_v1;
use serde_json::Value;

/// Entries of one kind, and what of them was signed in the fixtures of `crates/entries`.
pub struct Entries {
    base: Value,
    part: &'static str,
    signed: fn(&Value) -> Value,
    known: Vec<Value>,
}

impl Entries {
    /// Entries like the fixture `name`, in which the base64 at `part` is replaced; `signed` gives what is signed of a
    /// leaf's `spec`, `also` what else was signed of a fixture's proposed `spec`.
    pub fn like(
        name: &str,
        part: &'static str,
        signed: fn(&Value) -> Value,
        also: fn(&Value) -> Vec<Value>,
    ) -> Self {
        let folder = "../crates/entries/tests/fixtures/rekor";
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let (kind, _) = name.split_once('-').expect("names begin with the kind");
        let (mut base, mut known) = (Value::Null, Vec::new());
        for file in fs::read_dir(folder).expect("the fixtures are there") {
            let path = file.expect("the fixtures can be read").path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let Some(stem) = stem.filter(|stem| stem.starts_with(kind)) else {
                continue;
            };
            let json = fs::read(&path).expect("the fixtures can be read");
            let case: Value = serde_json::from_slice(&json).unwrap_or_default();
            if stem == name {
                base = case["proposed"].clone();
            }
            known.extend(also(&case["proposed"]["spec"]));
            if let Some(leaf) = case.get("leaf").and_then(Value::as_str) {
                known.push(signed(&spec(leaf.as_bytes())));
            }
        }
        assert!(base.is_object(), "there is no fixture {name}");
        Self {
            base,
            part,
            signed,
            known,
        }
    }

    /// Whether the entry is taken with `data` as that part.
    #[track_caller]
    pub fn take(&self, data: &[u8]) -> bool {
        let mut entry = self.base.clone();
        *entry.pointer_mut(self.part).expect("the part is there") =
            Value::from(STANDARD.encode(data));
        let Some(proposed) = crate::read(check_v1(&entry)) else {
            return false;
        };
        let signed = (self.signed)(&spec(&proposed.leaf));
        assert!(self.known.contains(&signed), "nobody signed {signed}");
        true
    }
}

fn spec(leaf: &[u8]) -> Value {
    let body: Value = serde_json::from_slice(leaf).expect("leaves are JSON");
    body["spec"].clone()
}
