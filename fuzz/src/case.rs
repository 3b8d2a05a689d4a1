//! Bundles that verify, with what they verify against; and artifacts that none of them is for.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use sealmark_formats::{Digest, HashAlgorithm, TrustedRoot};
use sealmark_keys::PublicKey;
use sealmark_verify::evidence::{Content, Layout, Source};
use sealmark_verify::policy::{Attestation, Identity, Match};
use sealmark_verify::report::Verdict;
use sealmark_verify::{
    Artifact, Demand, Evidence, Kind, Policy, Requirement, Signer, TrustedMaterial,
};

/// All times in the fixtures are before this, and no CA of theirs has expired: 2026-06-01.
const NOW: i64 = 1_780_272_000;

/// A bundle, and everything that it takes to verify it.
pub struct Case {
    /// The name of its folder in the fixtures of `crates/conformance`.
    pub name: String,
    /// The bundle.
    pub json: Vec<u8>,
    /// The artifact that it is for.
    pub artifact: Vec<u8>,
    trust: TrustedMaterial,
    policy: Policy,
}

impl Case {
    /// Whether a bundle verifies for an artifact, with the trusted material and the policy of this case.
    pub fn verifies(&self, json: &[u8], artifact: &[u8]) -> bool {
        let artifact = Artifact {
            digest: Digest::sha256(artifact),
            more_digests: [HashAlgorithm::Sha384, HashAlgorithm::Sha512]
                .map(|algorithm| Digest::of(algorithm, artifact))
                .to_vec(),
            bytes: None,
        };
        let evidence = evidence(Layout::File, Content::from_bundle(json));
        is_verified(&artifact, &evidence, &self.trust, &self.policy)
    }

    fn read(folder: &Path) -> Self {
        let file = |name: &str| fs::read(folder.join(name)).ok();
        let text = |name: &str, default: &str| {
            file(name)
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .map_or_else(|| default.to_owned(), |text| text.trim().to_owned())
        };
        let trust = match file("trusted_root.json") {
            Some(json) => {
                TrustedMaterial::new(&TrustedRoot::parse(&json).expect("trusted roots parse"))
            }
            None => PUBLIC_GOOD.clone(),
        };
        let signer = match file("key.pub") {
            Some(pem) => Signer::Key(PublicKey::from_pem(&pem).expect("keys parse")),
            None => Signer::Identity(Identity {
                issuer: Match::Exact(text(
                    "issuer",
                    "https://token.actions.githubusercontent.com",
                )),
                subject: Match::Exact(text("identity", IDENTITY)),
                extensions: Vec::new(),
            }),
        };
        let ct = trust.ct_logs.is_empty();
        Self {
            name: folder
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            json: file("bundle.sigstore.json").expect("every case has a bundle"),
            artifact: file("artifact")
                .or_else(|| fs::read(folder.join("../a.txt")).ok())
                .expect("an artifact"),
            policy: Policy::from(Demand {
                sct: match ct {
                    true => not_checked(),
                    false => Requirement::AtLeast(1),
                },
                ..Demand::new(Kind::BlobSignatureOrStatement, vec![signer])
            }),
            trust,
        }
    }
}

const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";

static PUBLIC_GOOD: LazyLock<TrustedMaterial> = LazyLock::new(|| {
    let material = sealmark_trust::TrustedMaterial::embedded_public_good();
    TrustedMaterial::new(&material.trusted_root)
});

/// The cases of the public suite that verify.
pub fn cases() -> &'static [Case] {
    static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
        let fixtures = "../crates/conformance/tests/fixtures/bundle-verify";
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(fixtures);
        let mut folders: Vec<_> = fs::read_dir(folder)
            .expect("the fixtures are there")
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.is_dir() && !path.to_string_lossy().ends_with("_fail"))
            .collect();
        folders.sort();
        let cases: Vec<Case> = folders.iter().map(|folder| Case::read(folder)).collect();
        for case in &cases {
            assert!(
                case.verifies(&case.json, &case.artifact),
                "{} does not verify",
                case.name
            );
        }
        cases
    });
    &CASES
}

/// Whether evidence speaks for an artifact that nobody signed, by any policy that cares about claims.
pub fn verified(layout: Layout, content: Content) -> bool {
    static POLICIES: LazyLock<Vec<Policy>> = LazyLock::new(|| {
        let pem = include_bytes!("../../crates/keys/tests/fixtures/p256.pub.pem");
        let anyone = || Match::pattern(".").expect("a pattern");
        let signers = vec![
            Signer::Key(PublicKey::from_pem(pem).expect("a key of the tests")),
            Signer::Identity(Identity {
                issuer: anyone(),
                subject: anyone(),
                extensions: Vec::new(),
            }),
        ];
        let kinds = [
            Kind::ImageSignature,
            Kind::BlobSignature,
            Kind::BlobSignatureOrStatement,
            Kind::Attestation(Attestation::default()),
        ];
        let requirements = [
            not_checked(),
            Requirement::IfPresent,
            Requirement::AtLeast(1),
        ];
        kinds
            .iter()
            .flat_map(|kind| {
                requirements
                    .iter()
                    .map(|demand| policy(kind.clone(), signers.clone(), demand))
            })
            .collect()
    });
    let artifact = Artifact::by_digest(Digest::sha256(b"an artifact that nobody signed"));
    let evidence = evidence(layout, content);
    POLICIES
        .iter()
        .any(|policy| is_verified(&artifact, &evidence, &PUBLIC_GOOD, policy))
}

fn not_checked() -> Requirement {
    Requirement::not_checked("a fuzz target")
}

fn policy(kind: Kind, signers: Vec<Signer>, demand: &Requirement) -> Policy {
    Policy::from(Demand {
        log: demand.clone(),
        timestamp: demand.clone(),
        sct: demand.clone(),
        allow_certificate_chain: true,
        ..Demand::new(kind, signers)
    })
}

fn evidence(layout: Layout, content: Content) -> [Evidence; 1] {
    let source = Source {
        layout,
        manifest: None,
        location: "fuzz".to_owned(),
    };
    [Evidence { source, content }]
}

fn is_verified(
    artifact: &Artifact<'_>,
    evidence: &[Evidence],
    trust: &TrustedMaterial,
    policy: &Policy,
) -> bool {
    let report = sealmark_verify::verify(artifact, evidence, trust, policy, NOW);
    // The views of a report are outside input, too.
    let _ = serde_json::to_vec(&report).expect("reports serialise");
    report.verdict == Verdict::Verified
}
