//! `tuf` entries: no metadata is logged that the keys of its root did not sign.
#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_fuzz::Entries;
use serde_json::Value;

static ENTRIES: LazyLock<Entries> = LazyLock::new(|| {
    // The same keys signed all roots and all metadata of the fixtures.
    let also = |spec: &Value| {
        ["metadata", "root"]
            .map(|name| spec[name]["content"]["signed"].clone())
            .to_vec()
    };
    Entries::like("tuf-base64", "/spec/metadata/content", signed, also)
});

fn signed(spec: &Value) -> Value {
    let content = spec["metadata"]["content"].as_str().unwrap_or_default();
    let json = STANDARD.decode(content).unwrap_or_default();
    let document: Value = serde_json::from_slice(&json).unwrap_or_default();
    document["signed"].clone()
}

sealmark_fuzz::target!([], |data| ENTRIES.take(data));
