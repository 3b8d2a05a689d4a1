//! `alpine` entries: no `.PKGINFO` is logged that the key did not sign.
#![no_main]

use std::sync::LazyLock;

use sealmark_fuzz::Entries;

static ENTRIES: LazyLock<Entries> = LazyLock::new(|| {
    Entries::like(
        "alpine-package",
        "/spec/package/content",
        |spec| spec["package"]["pkginfo"].clone(),
        |_| Vec::new(),
    )
});

sealmark_fuzz::target!([], |data| ENTRIES.take(data));
