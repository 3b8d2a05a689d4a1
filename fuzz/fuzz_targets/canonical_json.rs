//! RFC 8785: the canonical form is its own canonical form.
#![no_main]

use sealmark_formats::jcs::canonicalize;

sealmark_fuzz::target!([], |data| {
    let Some(canonical) = sealmark_fuzz::read(canonicalize(data)) else {
        return false;
    };
    sealmark_fuzz::same(&canonical, canonicalize(&canonical));
    true
});
