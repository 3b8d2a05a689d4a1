//! Real bundles with changes: one that still verifies has the content and the signer that it had, and none speaks for
//! another artifact.
#![no_main]

use sealmark_formats::Bundle;
use sealmark_formats::bundle::{Content, Material};
use sealmark_fuzz::{Case, cases, changed};

fn leaf(bundle: &Bundle) -> Option<&[u8]> {
    match &bundle.material {
        Material::Certificate(der) => Some(der),
        Material::CertificateChain(chain) => chain.first().map(Vec::as_slice),
        Material::PublicKey { .. } => None,
    }
}

fn statement(bundle: &Bundle) -> Option<(&str, &[u8])> {
    match &bundle.content {
        Content::Dsse(envelope) => Some((&envelope.payload_type, &envelope.payload)),
        Content::MessageSignature(_) => None,
    }
}

fn check(case: &Case, json: &[u8]) {
    assert!(!case.verifies(json, b"another artifact"));
    if case.verifies(json, &case.artifact) {
        let read = |json| Bundle::parse(json).expect("it was verified");
        let (before, after) = (read(&case.json), read(json));
        assert_eq!(leaf(&before), leaf(&after), "{}: another signer", case.name);
        assert_eq!(
            statement(&before),
            statement(&after),
            "{}: another statement",
            case.name
        );
    }
}

// The first byte chooses the bundle, the others the changes.
sealmark_fuzz::target!(only [&[0], &[1, 0, 0, 7, 1], &[2, 3, 0, 9, 9]], |data| {
    let Some((first, changes)) = data.split_first() else {
        return false;
    };
    let case = &cases()[usize::from(*first) % cases().len()];
    check(case, &changed(case, changes));
    true
});
