//! Simple signing payloads: what is read is written and read again as the same payload.
#![no_main]

use sealmark_formats::simple_signing::SimpleSigning;

const SEED: &[u8] = br#"{"critical":{"identity":{"docker-reference":"localhost:5000/app"},"image":{"docker-manifest-digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"type":"cosign container image signature"},"optional":{"a":"<b>","n":1}}"#;

sealmark_fuzz::target!([SEED], |data| {
    let Some(payload) = sealmark_fuzz::read(SimpleSigning::parse(data)) else {
        return false;
    };
    sealmark_fuzz::same(&payload, SimpleSigning::parse(&payload.to_json()));
    true
});
