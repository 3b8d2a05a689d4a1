//! Sigstore bundles: what is read is written and read again as the same bundle.
#![no_main]

use sealmark_formats::Bundle;

sealmark_fuzz::target!([], |data| {
    let Some(bundle) = sealmark_fuzz::read(Bundle::parse(data)) else {
        return false;
    };
    sealmark_fuzz::same(&bundle, Bundle::parse(&bundle.to_json()));
    let _ = bundle.material.key_digest();
    true
});
