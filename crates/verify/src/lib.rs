//! One function: evidence, artifact digest, trusted material, policy and time in, a [`Report`] out.
//!
//! Pure and synchronous: no I/O, no clock. Every attachment goes through the same ordered list of checks, each check
//! leaves its outcome, and the verdict follows from the report alone.
//!
//! Trusted material and time come with the checks that need them: certificates, logs and timestamps are not
//! supported yet, and a policy that requires a log or a timestamp accepts nothing.

pub mod artifact;
mod checks;
pub mod evidence;
pub mod policy;
pub mod report;

use std::collections::HashMap;

pub use artifact::Artifact;
pub use evidence::Evidence;
pub use policy::{Kind, Policy, Requirement};
pub use report::Report;

/// Checks every piece of evidence for `artifact` against `policy`.
///
/// One attachment that passes every check is enough, whatever others say. See [`report::verdict`](Report::verdict)
/// for what the caller may conclude.
pub fn verify(artifact: &Artifact<'_>, evidence: &[Evidence], policy: &Policy) -> Report {
    let mut seen: HashMap<(&[u8], &[u8]), &str> = HashMap::new();
    let attachments: Vec<_> = evidence
        .iter()
        .map(|evidence| {
            let mut attachment = checks::run(artifact, evidence, policy);
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
    Report {
        digest: artifact.digest.clone(),
        verdict: report::verdict(&attachments),
        attachments,
    }
}
