//! Manifests and indexes from registries: what is read is written and read again as the same.
#![no_main]

use sealmark_oci::manifest::{OCI_INDEX, OCI_MANIFEST, Parsed};

const IMAGE: &[u8] = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"data":"e30="},"layers":[{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0,"annotations":{"a":"b"}}],"subject":{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"annotations":{"org.opencontainers.image.created":"2026-01-01T00:00:00Z"}}"#;
const INDEX: &[u8] = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0,"artifactType":"a/b","platform":{"architecture":"arm64","os":"linux","variant":"v8"}}]}"#;

sealmark_fuzz::target!([IMAGE, INDEX], |data| {
    let mut accepted = false;
    for media_type in [OCI_MANIFEST, OCI_INDEX, "application/json"] {
        let read = Parsed::read("a manifest", media_type, data);
        let Some(parsed) = sealmark_fuzz::read(read) else {
            continue;
        };
        let _ = parsed.subject();
        let written = match &parsed {
            Parsed::Image(image) => image.to_json(),
            Parsed::Index(index) => index.to_json(),
        };
        let named = match &parsed {
            Parsed::Image(_) => OCI_MANIFEST,
            Parsed::Index(_) => OCI_INDEX,
        };
        sealmark_fuzz::same(&parsed, Parsed::read("a manifest", named, &written));
        accepted = true;
    }
    accepted
});
