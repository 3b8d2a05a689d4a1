//! A signature that was just made, judged by the engine that everyone else will use.

use jiff::Timestamp;
use sealmark_verify::evidence::{Content, Layout, Source};
use sealmark_verify::report::{Attachment, Outcome, Report, Sighting, Verdict};
use sealmark_verify::{Artifact, Evidence, Kind};

use crate::{Error, Signatory};

/// Verifies what `signatory` just made for `artifact`, before anyone sees it, and gives who else has seen it, and back what
/// was verified. `what` names the artifact for people.
pub(crate) fn fresh(
    signatory: &Signatory,
    kind: Kind,
    artifact: &Artifact<'_>,
    content: Content,
    what: &str,
) -> Result<(Vec<Sighting>, Content), Error> {
    let source = Source {
        layout: Layout::File,
        manifest: None,
        location: "the new signature".to_owned(),
    };
    let evidence = Evidence { source, content };
    match made_by(signatory, kind, artifact, &evidence) {
        Ok(seen) => Ok((seen, evidence.content)),
        Err(reason) => Err(Error::NotVerified {
            what: what.to_owned(),
            reason,
            hint: match signatory.has_witnesses() {
                true => {
                    ". The trusted root may be of another instance than the services (--trusted-root)"
                }
                false => ". The private and the public key may not belong together",
            },
        }),
    }
}

/// Whether the evidence is a good signature of the artifact by `signatory`, and who else has seen it; if not, why.
pub(crate) fn made_by(
    signatory: &Signatory,
    kind: Kind,
    artifact: &Artifact<'_>,
    evidence: &Evidence,
) -> Result<Vec<Sighting>, String> {
    let policy = signatory.policy(kind);
    let evidence = core::slice::from_ref(evidence);
    let now = Timestamp::now().as_second();
    let report = sealmark_verify::verify(artifact, evidence, signatory.trust(), &policy, now);
    match report.verdict {
        Verdict::Verified => {
            let accepted = report.accepted().next();
            Ok(accepted.map(|it| it.seen.clone()).unwrap_or_default())
        }
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
