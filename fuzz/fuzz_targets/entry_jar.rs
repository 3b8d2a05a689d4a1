//! `jar` entries: nothing is logged under a certificate that signed no manifest, however the archive is packed.
#![no_main]

use std::sync::LazyLock;

use sealmark_fuzz::Entries;

static ENTRIES: LazyLock<Entries> = LazyLock::new(|| {
    Entries::like(
        "jar-p256",
        "/spec/archive/content",
        |spec| spec["signature"]["publicKey"].clone(),
        |_| Vec::new(),
    )
});

sealmark_fuzz::target!([], |data| ENTRIES.take(data));
