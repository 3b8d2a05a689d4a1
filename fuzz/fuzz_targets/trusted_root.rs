//! Trusted roots: what is read is written and read again as the same root; what is unusable in it is named.
#![no_main]

use sealmark_formats::TrustedRoot;
use sealmark_verify::TrustedMaterial;

sealmark_fuzz::target!([], |data| {
    let Some(root) = sealmark_fuzz::read(TrustedRoot::parse(data)) else {
        return false;
    };
    sealmark_fuzz::same(&root, TrustedRoot::parse(&root.to_json()));
    let material = TrustedMaterial::new(&root);
    let usable = material.logs.len()
        + material.authorities.len()
        + material.ct_logs.len()
        + material.timestamp_authorities.len();
    let written = root.tlogs.len()
        + root.certificate_authorities.len()
        + root.ctlogs.len()
        + root.timestamp_authorities.len();
    assert_eq!(usable + material.unusable.len(), written);
    true
});
