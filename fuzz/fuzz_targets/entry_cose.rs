//! `cose` entries: nothing is logged whose payload the key did not sign.
#![no_main]

use std::sync::LazyLock;

use sealmark_fuzz::Entries;

static ENTRIES: LazyLock<Entries> = LazyLock::new(|| {
    Entries::like(
        "cose-es256",
        "/spec/message",
        |spec| spec["data"]["payloadHash"].clone(),
        |_| Vec::new(),
    )
});

sealmark_fuzz::target!([], |data| ENTRIES.take(data));
