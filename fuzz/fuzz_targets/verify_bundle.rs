//! The whole of verification: no bundle, real ones included, speaks for an artifact that nobody signed.
#![no_main]

use sealmark_fuzz::verified;
use sealmark_verify::evidence::{Content, Layout};

sealmark_fuzz::target!([], |data| {
    let content = Content::from_bundle(data);
    let readable = !matches!(content, Content::Unreadable(_));
    for layout in [Layout::Bundle, Layout::File] {
        assert!(!verified(layout, content.clone()));
    }
    readable
});
