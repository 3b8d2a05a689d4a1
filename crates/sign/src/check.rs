//! A signature that was just made, judged by the engine that everyone else will use.

use sealmark_kms::Signer;
use sealmark_verify::evidence::{Content, Layout, Source};
use sealmark_verify::report::{Attachment, Outcome, Report, Verdict};
use sealmark_verify::{Artifact, Demand, Evidence, Kind, Policy, Requirement, TrustedMaterial};

use crate::Error;

/// Verifies what `signer` just made for `artifact`, before anyone sees it. `what` names the artifact for people.
pub(crate) fn fresh(
    signer: &Signer,
    kind: Kind,
    artifact: &Artifact<'_>,
    content: Content,
    what: &str,
) -> Result<(), Error> {
    let source = Source {
        layout: Layout::File,
        manifest: None,
        location: "the new signature".to_owned(),
    };
    made_by(signer, kind, artifact, &Evidence { source, content }).map_err(|reason| {
        Error::NotVerified {
            what: what.to_owned(),
            reason,
        }
    })
}

/// Whether the evidence is a good signature of the artifact by `signer`; if not, why.
pub(crate) fn made_by(
    signer: &Signer,
    kind: Kind,
    artifact: &Artifact<'_>,
    evidence: &Evidence,
) -> Result<(), String> {
    let not_made = || Requirement::not_checked("it was just made");
    let signers = vec![sealmark_verify::Signer::Key(signer.public_key().clone())];
    let policy = Policy::from(Demand {
        log: not_made(),
        timestamp: not_made(),
        sct: not_made(),
        ..Demand::new(kind, signers)
    });
    let evidence = core::slice::from_ref(evidence);
    // Neither trusted material nor the time is asked for by such a policy.
    let report =
        sealmark_verify::verify(artifact, evidence, &TrustedMaterial::default(), &policy, 0);
    match report.verdict {
        Verdict::Verified => Ok(()),
        _ => Err(first_failure(&report)),
    }
}

fn first_failure(report: &Report) -> String {
    let failure = report.attachments().find_map(Attachment::failure);
    match failure.map(|check| &check.outcome) {
        Some(Outcome::Failed {
            expected, found, ..
        }) => format!("expected {expected}, found {found}"),
        _ => "no check passed".to_owned(),
    }
}
