//! One function: evidence, artifact, trusted material, policy and time in, a [`Report`] out.
//!
//! Pure and synchronous: no I/O, no clock. Every attachment goes through the same ordered list of checks, each check
//! leaves its outcome, and the verdict follows from the report alone.

pub mod artifact;
mod certificate;
mod checks;
pub mod evidence;
mod log;
pub mod policy;
pub mod policy_file;
mod predicate;
pub mod promotion;
pub mod report;
pub mod revocation;
mod signed;
pub mod slsa;
mod timestamp;
pub mod trust;

use std::collections::HashMap;

pub use artifact::Artifact;
pub use evidence::Evidence;
pub use policy::{Demand, Kind, Policy, Requirement, Signer};
pub use report::Report;
use report::{Attachment, DemandReport};
pub use revocation::Revocations;
pub use trust::TrustedMaterial;

/// Checks every piece of evidence for `artifact` against `policy`. `now` is in seconds since 1970.
///
/// An attachment counts for a demand if it passes every check, whatever others say. A demand is met if as many of its
/// signers as its threshold asks for have attachments that count, and the artifact is verified if every demand is met.
pub fn verify(
    artifact: &Artifact<'_>,
    evidence: &[Evidence],
    trust: &TrustedMaterial,
    policy: &Policy,
    now: i64,
) -> Report {
    let revocations = Revocations::default();
    verify_unless_revoked(artifact, evidence, trust, policy, &revocations, now)
}

/// As [`verify`], with revocations from elsewhere than the artifact's own attachments.
pub fn verify_unless_revoked(
    artifact: &Artifact<'_>,
    evidence: &[Evidence],
    trust: &TrustedMaterial,
    policy: &Policy,
    revocations: &Revocations,
    now: i64,
) -> Report {
    let mut ignored = Vec::new();
    let demands = policy
        .demands
        .iter()
        .map(|demand| {
            let context = checks::Context {
                artifact,
                trust,
                demand,
                now,
                explain: false,
            };
            let mut attachments = attachments(&context, evidence);
            let more = revocation::judge(
                &context,
                evidence,
                revocations,
                &policy.revokers,
                &mut attachments,
            );
            ignored.extend(more);
            DemandReport::new(demand, attachments)
        })
        .collect();
    ignored.dedup();
    let is_revocation = |one: &&Evidence| revocation::is_revocation(one);
    let attached = report::RevocationSource {
        kind: "attached",
        location: None,
        revocations: evidence.iter().filter(is_revocation).count(),
        as_of: None,
    };
    let others = revocations.sources.iter().cloned();
    let sources = core::iter::once(attached).chain(others).collect();
    Report::new(artifact.digest.clone(), demands, ignored, sources)
}

/// Tells of every piece of evidence who signed it, when, and how that is known. Nothing is asked for and nothing is
/// accepted: this is no verification of the artifact. `keys` may have made signatures that name no certificate, and whoever
/// signed may have revoked that: with what is attached, or with one of `revocations`.
pub fn explain(
    artifact: &Artifact<'_>,
    evidence: &[Evidence],
    trust: &TrustedMaterial,
    keys: &[sealmark_keys::PublicKey],
    revocations: &Revocations,
    now: i64,
) -> Vec<Attachment> {
    let signers = keys.iter().cloned().map(Signer::Key).collect();
    let demand = Demand {
        log: Requirement::IfPresent,
        sct: Requirement::IfPresent,
        ..Demand::new(Kind::BlobSignatureOrStatement, signers)
    };
    let context = checks::Context {
        artifact,
        trust,
        demand: &demand,
        now,
        explain: true,
    };
    let mut attachments = attachments(&context, evidence);
    revocation::judge(&context, evidence, revocations, &[], &mut attachments);
    attachments
}

fn attachments(context: &checks::Context<'_>, evidence: &[Evidence]) -> Vec<Attachment> {
    let mut seen: HashMap<(&[u8], &[u8]), &str> = HashMap::new();
    evidence
        .iter()
        .map(|evidence| {
            let mut attachment = checks::run(context, evidence);
            if let Some(identity) = evidence.content.identity() {
                match seen.get(&identity) {
                    Some(first) => attachment.duplicate_of = Some((*first).to_owned()),
                    None => {
                        seen.insert(identity, &evidence.source.location);
                    }
                }
            }
            attachment
        })
        .collect()
}
