//! Bodies of log entries: bounds are kept, and a leaf is built again only from a body that can be read.
#![no_main]

use std::sync::LazyLock;

use sealmark_formats::bundle::Material;
use sealmark_formats::log_entry::{EntryBody, Leaf, MAX_SIGNATURES, Verifier, leaf_of_bundle};
use sealmark_formats::{Bundle, Digest};
use sealmark_fuzz::cases;

static BUNDLES: LazyLock<Vec<Bundle>> = LazyLock::new(|| {
    cases()
        .iter()
        .filter_map(|case| Bundle::parse(&case.json).ok())
        .collect()
});

sealmark_fuzz::target!([], |data| {
    let Some(body) = sealmark_fuzz::read(EntryBody::parse(data)) else {
        return false;
    };
    assert!(!body.kind().is_empty() || matches!(body, EntryBody::Other { .. }));
    if let EntryBody::Claims(claims) = &body {
        assert!(claims.signatures.len() <= MAX_SIGNATURES);
    }
    for bundle in BUNDLES.iter() {
        let verifier = match &bundle.material {
            Material::Certificate(der) => Verifier::Certificate(der.clone()),
            Material::CertificateChain(chain) => Verifier::Certificate(chain[0].clone()),
            Material::PublicKey { .. } => Verifier::PublicKey(b"a key".to_vec()),
        };
        let artifact = Digest::sha256(b"artifact");
        if let Ok(Leaf::Rebuilt(leaf)) =
            leaf_of_bundle(&body, &bundle.content, Some(&artifact), &verifier)
        {
            EntryBody::parse(&leaf).expect("a leaf that was built can be read");
        }
    }
    true
});
