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
pub mod report;
mod signed;
mod timestamp;
pub mod trust;

use std::collections::HashMap;

pub use artifact::Artifact;
pub use evidence::Evidence;
pub use policy::{Kind, Policy, Requirement, Signer};
pub use report::Report;
pub use trust::TrustedMaterial;

/// Checks every piece of evidence for `artifact` against `policy`. `now` is in seconds since 1970.
///
/// An attachment counts if it passes every check, whatever others say, and the artifact is verified if as many of the
/// policy's signers as its threshold asks for have attachments that count. See
/// [`report::verdict`](Report::verdict) for what the caller may conclude.
pub fn verify(
    artifact: &Artifact<'_>,
    evidence: &[Evidence],
    trust: &TrustedMaterial,
    policy: &Policy,
    now: i64,
) -> Report {
    let context = checks::Context {
        artifact,
        trust,
        policy,
        now,
    };
    let mut seen: HashMap<(&[u8], &[u8]), &str> = HashMap::new();
    let attachments: Vec<_> = evidence
        .iter()
        .map(|evidence| {
            let mut attachment = checks::run(&context, evidence);
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
        .collect();
    let verdict = report::verdict(&attachments, policy.threshold);
    Report {
        digest: artifact.digest.clone(),
        verdict,
        threshold: policy.threshold,
        attachments,
    }
}
