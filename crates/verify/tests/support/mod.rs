//! What tests with the virtual Sigstore share: how a test asks, and what it is told. Only this module knows how
//! policies and reports are built.

#![allow(dead_code, reason = "not every test uses all of it")]

use std::collections::BTreeMap;

use sealmark_formats::bundle::{Bundle, Material, Version};
use sealmark_formats::simple_signing::SimpleSigning;
use sealmark_formats::{Digest, TrustedRoot};
use sealmark_keys::{Algorithm, PrivateKey, PublicKey};
use sealmark_verify::artifact::{Bytes, needed_hashes};
use sealmark_verify::evidence::{Content, Detached, Evidence, Layout, Source};
use sealmark_verify::policy::{Attestation, Identity, Match, PredicateType};
use sealmark_verify::report::{Outcome, Verdict};
use sealmark_verify::{Artifact, Demand, Kind, Policy, Requirement, Signer, TrustedMaterial};
use sealmark_virtual::{DAY, Legacy, START, Signed, VirtualSigstore};
use sealmark_x509::Certificate;

/// The file, or the manifest of the image, that tests are about.
pub(crate) const FILE: &[u8] = b"the content of a file, or the manifest of an image";
pub(crate) const EMAIL: &str = "person@example.com";
pub(crate) const ISSUER: &str = "https://issuer.example.com";
/// When tests verify, unless they say otherwise: long after every certificate of a signer has expired.
pub(crate) const LATER: i64 = START + 30 * DAY;

pub(crate) fn person() -> sealmark_virtual::Identity {
    sealmark_virtual::Identity::email(EMAIL, ISSUER)
}

pub(crate) fn key() -> PrivateKey {
    PrivateKey::generate(Algorithm::EcdsaP256).unwrap()
}

/// What a test wants to be proven.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Need {
    Required,
    /// So many, each from another log or authority.
    AtLeast(usize),
    IfPresent,
    NotChecked,
}

/// What a test asks of [`FILE`].
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) kind: Kind,
    pub(crate) signer: Signer,
    pub(crate) log: Need,
    pub(crate) timestamp: Need,
    pub(crate) sct: Need,
    pub(crate) now: i64,
    pub(crate) file: Vec<u8>,
}

impl Ask {
    /// As a user asks who names a person: a log must prove it, a CT log must have the certificate.
    pub(crate) fn person() -> Self {
        Self::identity(EMAIL, ISSUER)
    }

    pub(crate) fn identity(subject: &str, issuer: &str) -> Self {
        Self {
            kind: Kind::BlobSignatureOrStatement,
            signer: Signer::Identity(Identity {
                issuer: Match::Exact(issuer.to_owned()),
                subject: Match::Exact(subject.to_owned()),
                extensions: Vec::new(),
            }),
            log: Need::Required,
            timestamp: Need::IfPresent,
            sct: Need::Required,
            now: LATER,
            file: FILE.to_vec(),
        }
    }

    /// As a user asks who gives a key.
    pub(crate) fn key(key: &PublicKey) -> Self {
        Self {
            signer: Signer::Key(key.clone()),
            ..Self::person()
        }
    }

    /// Whoever a bundle's certificate names.
    pub(crate) fn signer_of(bundle: &Bundle) -> Self {
        let der = match &bundle.material {
            Material::Certificate(der) => der,
            Material::CertificateChain(chain) => &chain[0],
            Material::PublicKey { .. } => panic!("it has no certificate"),
        };
        let leaf = Certificate::from_der(der).unwrap();
        Self::identity(
            &leaf.subject_alt_names()[0].value(),
            leaf.fulcio().issuer().unwrap_or_default(),
        )
    }

    pub(crate) fn image(self) -> Self {
        Self {
            kind: Kind::ImageSignature,
            ..self
        }
    }

    /// As a user asks who wants attestations of these types, in the words of the command line.
    pub(crate) fn attestation(self, types: &[&str], every: bool) -> Self {
        let types = types
            .iter()
            .flat_map(|text| PredicateType::named(text).unwrap())
            .collect();
        let predicate = Vec::new();
        Self {
            kind: Kind::Attestation(Attestation {
                types,
                predicate,
                every,
                slsa: None,
                checks: Vec::new(),
            }),
            ..self
        }
    }

    pub(crate) fn log(self, log: Need) -> Self {
        Self { log, ..self }
    }

    pub(crate) fn timestamp(self, timestamp: Need) -> Self {
        Self { timestamp, ..self }
    }

    pub(crate) fn now(self, now: i64) -> Self {
        Self { now, ..self }
    }

    pub(crate) fn file(self, file: &[u8]) -> Self {
        Self {
            file: file.to_vec(),
            ..self
        }
    }

    fn policy(&self) -> Policy {
        let requirement = |need| match need {
            Need::Required => Requirement::AtLeast(1),
            Need::AtLeast(count) => Requirement::AtLeast(count),
            Need::IfPresent => Requirement::IfPresent,
            Need::NotChecked => Requirement::not_checked("the test says so"),
        };
        Policy::from(Demand {
            log: requirement(self.log),
            timestamp: requirement(self.timestamp),
            sct: requirement(self.sct),
            ..Demand::new(self.kind.clone(), vec![self.signer.clone()])
        })
    }

    /// Whether this content is good enough.
    pub(crate) fn of(&self, root: &TrustedRoot, content: Content) -> Answer {
        self.of_all(&TrustedMaterial::new(root), vec![content])
    }

    /// Whether one of these contents is good enough.
    pub(crate) fn of_all(&self, trust: &TrustedMaterial, contents: Vec<Content>) -> Answer {
        let bytes = Slice(&self.file);
        let evidence: Vec<_> = contents.iter().cloned().map(in_a_file).collect();
        // What callers compute, and no more.
        let mut digests = needed_hashes(&evidence, &self.policy())
            .into_iter()
            .map(|algorithm| Digest::of(algorithm, &self.file));
        let artifact = Artifact {
            digest: digests.next().unwrap(),
            more_digests: digests.collect(),
            bytes: Some(&bytes),
        };
        self.of_artifact(&artifact, trust, contents)
    }

    /// As [`of_all`](Self::of_all), for an artifact that the test made.
    pub(crate) fn of_artifact(
        &self,
        artifact: &Artifact<'_>,
        trust: &TrustedMaterial,
        contents: Vec<Content>,
    ) -> Answer {
        let evidence: Vec<_> = contents.into_iter().map(in_a_file).collect();
        let report = sealmark_verify::verify(artifact, &evidence, trust, &self.policy(), self.now);
        let reasons = report.attachments().map(|attachment| {
            let check = attachment.failure();
            check.map_or_else(String::new, |check| match &check.outcome {
                Outcome::Failed {
                    expected, found, ..
                } => format!("{}: expected {expected}, found {found}", check.name.title()),
                other => format!("{other:?}"),
            })
        });
        Answer {
            verified: report.verdict == Verdict::Verified,
            why: reasons.collect::<Vec<_>>().join("\n"),
        }
    }
}

fn in_a_file(content: Content) -> Evidence {
    let source = Source {
        layout: Layout::File,
        manifest: None,
        location: "evidence of a test".to_owned(),
    };
    Evidence { source, content }
}

struct Slice<'a>(&'a [u8]);

impl Bytes for Slice<'_> {
    fn read(&self, sink: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        self.0.chunks(16).for_each(sink);
        Ok(())
    }
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) verified: bool,
    /// Why not: the check that failed, what it expected and what it found.
    pub(crate) why: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn is_good(&self) {
        assert!(self.verified, "{}", self.why);
    }

    /// It is refused, and for this reason, so that no test passes for another one.
    #[track_caller]
    pub(crate) fn is_refused(&self, check: &str, reason: &str) {
        assert!(!self.verified, "it verified");
        assert!(
            self.why.starts_with(&format!("{check}: ")) && self.why.contains(reason),
            "refused, but not by {check} for {reason:?}: {}",
            self.why
        );
    }
}

/// A bundle, through its JSON as everything from outside.
pub(crate) fn bundle(bundle: &Bundle) -> Content {
    Content::from_bundle(&bundle.to_json())
}

pub(crate) fn v0_3(signed: &Signed) -> Content {
    bundle(&signed.bundle(Version::V0_3))
}

/// What cosign 1 and 2 kept in a registry, through the annotations.
pub(crate) fn layer(legacy: &Legacy) -> Content {
    let annotations = legacy.annotations();
    Content::from_legacy_layer(legacy.media_type(), legacy.payload.clone(), &annotations)
}

/// A signature beside a file, with what cosign 1 and 2 kept beside it.
pub(crate) fn detached(legacy: Legacy) -> Content {
    Content::Blob(Detached {
        payload: legacy.payload,
        signature: legacy.signature,
        certificate: legacy.certificate,
        chain: legacy.chain,
        log_entry: legacy.log_entry,
        timestamps: legacy.timestamps,
        sct: None,
    })
}

/// A statement that has [`FILE`] as its subject.
pub(crate) fn statement(predicate_type: &str) -> Vec<u8> {
    statement_about(FILE, predicate_type)
}

pub(crate) fn statement_about(file: &[u8], predicate_type: &str) -> Vec<u8> {
    let hex = Digest::sha256(file).hex();
    format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"file","digest":{{"sha256":"{hex}"}}}}],"predicateType":"{predicate_type}","predicate":{{"a":1}}}}"#
    )
    .into_bytes()
}

/// The claims of an image signature of cosign 1 and 2 for [`FILE`].
pub(crate) fn simple_signing() -> Vec<u8> {
    let digest = Digest::sha256(FILE);
    let payload = SimpleSigning::new("registry.example/image", &digest, &BTreeMap::new());
    serde_json::to_vec(&payload).unwrap()
}

/// Trusted material in which one thing was changed.
pub(crate) fn root_with(
    sigstore: &VirtualSigstore,
    change: impl FnOnce(&mut TrustedRoot),
) -> TrustedRoot {
    let mut root = sigstore.trusted_root();
    change(&mut root);
    root
}
