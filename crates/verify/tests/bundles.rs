//! Real bundles, from bytes to verdict: those of the public instance and of the suite sigstore-conformance.
//!
//! Nothing here touches a file or a clock, so that the same tests run on `wasm32-unknown-unknown`
//! (`cargo xtask test --only wasm`). Every case of the suite is in `sealmark-conformance`.

use sealmark_formats::{Digest, TrustedRoot};
use sealmark_keys::PublicKey;
use sealmark_verify::evidence::{Content, Evidence, Layout, Source};
use sealmark_verify::policy::{Demand, Identity, Kind, Match, Policy, Requirement, Signer};
use sealmark_verify::report::{Outcome, Verdict};
use sealmark_verify::{Artifact, TrustedMaterial};

const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// 2026-11-01T00:00:00Z, later than every bundle.
const NOW: i64 = 1_793_491_200;

type Bytes = &'static [u8];

const PUBLIC_GOOD: Bytes = include_bytes!("../../trust/embedded/trusted_root.json");

/// A file of the suite.
macro_rules! suite {
    ($path:literal) => {
        include_bytes!(concat!(
            "../../conformance/tests/fixtures/bundle-verify/",
            $path
        ))
    };
}

/// Who must have signed.
fn identity() -> Signer {
    Signer::Identity(Identity {
        issuer: Match::Exact(ISSUER.to_owned()),
        subject: Match::Exact(IDENTITY.to_owned()),
        extensions: Vec::new(),
    })
}

/// The check that the bundle fails, and why; `Ok` if it verifies.
fn verify(bundle: &[u8], root: &[u8], artifact: &[u8], signer: Signer) -> Result<(), String> {
    let root = TrustedRoot::parse(root).expect("a trusted root");
    let mut demand = Demand::new(Kind::BlobSignatureOrStatement, vec![signer]);
    if root.ctlogs.is_empty() {
        demand.sct = Requirement::not_checked("the root has none");
    }
    let policy = Policy::from(demand);
    let evidence = [Evidence {
        source: Source {
            layout: Layout::File,
            manifest: None,
            location: "bundle.sigstore.json".to_owned(),
        },
        content: Content::from_bundle(bundle),
    }];
    let artifact = Artifact::by_digest(Digest::sha256(artifact));
    let trust = TrustedMaterial::new(&root);
    let report = sealmark_verify::verify(&artifact, &evidence, &trust, &policy, NOW);
    if report.verdict == Verdict::Verified {
        return Ok(());
    }
    let check = report
        .attachments()
        .find_map(|attachment| attachment.failure())
        .expect("a check that failed");
    Err(match &check.outcome {
        Outcome::Failed {
            expected, found, ..
        } => format!("{}: expected {expected}, found {found}", check.name.title()),
        _ => check.name.title().to_owned(),
    })
}

#[test]
fn good_bundles_verify() {
    let a = suite!("a.txt");
    let cases: [(&str, Bytes, Bytes, Bytes); 5] = [
        (
            "public instance, DSSE, Rekor v1",
            suite!("happy-path-intoto-in-dsse-v3/bundle.sigstore.json"),
            PUBLIC_GOOD,
            a,
        ),
        (
            "SCT with extensions",
            suite!("bundle-with-sct-with-extensions/bundle.sigstore.json"),
            suite!("bundle-with-sct-with-extensions/trusted_root.json"),
            a,
        ),
        (
            "DSSE, Rekor v2, timestamp",
            suite!("rekor2-dsse-happy-path/bundle.sigstore.json"),
            suite!("rekor2-dsse-happy-path/trusted_root.json"),
            a,
        ),
        (
            "an authority's chain that has expired since",
            suite!("rekor2-timestamp-with-expired-cert-chain/bundle.sigstore.json"),
            suite!("rekor2-timestamp-with-expired-cert-chain/trusted_root.json"),
            a,
        ),
        (
            "a private instance",
            suite!("intoto-with-custom-trust-root/bundle.sigstore.json"),
            suite!("intoto-with-custom-trust-root/trusted_root.json"),
            suite!("intoto-with-custom-trust-root/artifact"),
        ),
    ];
    for (name, bundle, root, artifact) in cases {
        assert_eq!(verify(bundle, root, artifact, identity()), Ok(()), "{name}");
        let refusal = verify(bundle, root, b"another artifact", identity());
        assert!(refusal.is_err(), "{name}: another artifact");
    }
}

#[test]
fn a_bundle_of_a_key_verifies_with_this_key_only() {
    let bundle = suite!("managed-key-and-trusted-root/bundle.sigstore.json");
    let root = suite!("managed-key-and-trusted-root/trusted_root.json");
    let signer = |pem: &[u8]| Signer::Key(PublicKey::from_pem(pem).expect("a key"));

    let key = signer(suite!("managed-key-and-trusted-root/key.pub"));
    assert_eq!(verify(bundle, root, suite!("a.txt"), key), Ok(()));

    // The key of cosign's tests in `sealmark-keys`.
    let other = signer(include_bytes!("../../keys/tests/fixtures/cosign-3.1.1.pub"));
    let refusal = verify(bundle, root, suite!("a.txt"), other);
    assert!(refusal.is_err());
}

#[test]
fn bad_bundles_fail_at_the_check_that_is_meant() {
    let a = suite!("a.txt");
    let cases: [(&str, Bytes, Bytes, Bytes, &str); 8] = [
        (
            "the envelope's signature is another",
            suite!("dsse-invalid-sig_fail/bundle.sigstore.json"),
            PUBLIC_GOOD,
            a,
            "signature: ",
        ),
        (
            "the checkpoint's root hash is another",
            suite!("checkpoint-wrong-roothash_fail/bundle.sigstore.json"),
            PUBLIC_GOOD,
            a,
            "transparency log: ",
        ),
        (
            "a hash of the inclusion proof is another",
            suite!("inclusion-proof-corrupted-hash_fail/bundle.sigstore.json"),
            PUBLIC_GOOD,
            a,
            "the inclusion proof leads to the root",
        ),
        (
            "the log entry is of another signature",
            suite!("rekor2-dsse-mismatch-sig_fail/bundle.sigstore.json"),
            suite!("rekor2-dsse-mismatch-sig_fail/trusted_root.json"),
            a,
            "it is of another signature or signer",
        ),
        (
            "the timestamp is of another signature",
            suite!("rekor2-timestamp-payload-mismatch_fail/bundle.sigstore.json"),
            suite!("rekor2-timestamp-payload-mismatch_fail/trusted_root.json"),
            a,
            "a time at which the signature was made",
        ),
        (
            "signed when the certificate had expired",
            suite!("intoto-expired-certificate_fail/bundle.sigstore.json"),
            suite!("intoto-expired-certificate_fail/trusted_root.json"),
            suite!("intoto-expired-certificate_fail/artifact"),
            "certificate: ",
        ),
        (
            "the signature does not belong to the certificate",
            suite!("wrong-material_fail/bundle.sigstore.json"),
            PUBLIC_GOOD,
            suite!("wrong-material_fail/artifact"),
            "signature: ",
        ),
        (
            "all of it is of another instance",
            suite!("intoto-with-custom-trust-root/bundle.sigstore.json"),
            PUBLIC_GOOD,
            suite!("intoto-with-custom-trust-root/artifact"),
            "no trusted log has the id",
        ),
    ];
    for (name, bundle, root, artifact, reason) in cases {
        let refusal = verify(bundle, root, artifact, identity()).expect_err(name);
        assert!(refusal.contains(reason), "{name}: {refusal}");
    }
}
