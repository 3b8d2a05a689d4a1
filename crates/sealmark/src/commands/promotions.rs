//! Where an image has been: the promotions that are attached to it, in the order in which they say they were made.

use jiff::Timestamp;
use sealmark_formats::Digest;
use sealmark_verify::evidence::Evidence;
use sealmark_verify::report::Attachment;
use serde::Serialize;

use super::promote::read_promotion;
use crate::error::Error;
use crate::printable::printable;
use crate::terminal::Terminal;

/// One promotion, as its signer says it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Step {
    from: String,
    digest: Digest,
    to: String,
    at: Timestamp,
    by: String,
    /// Whether every check of it that can be made passes.
    sound: bool,
    /// How many signatures and attestations were verified at the source.
    verified: usize,
}

/// Every promotion among the attachments, the first first.
pub(super) fn steps(attachments: &[Attachment], evidence: &[Evidence]) -> Vec<Step> {
    let mut steps: Vec<Step> = attachments
        .iter()
        .zip(evidence)
        .filter(|(attachment, _)| attachment.duplicate_of.is_none())
        .filter_map(|(attachment, evidence)| {
            let promotion = read_promotion(evidence)?;
            let signer = attachment
                .signer
                .as_ref()
                .or(attachment.claimed_signer.as_ref());
            let by = signer.map(|signer| match (&signer.key_id, signer.subjects.first()) {
                (Some(key), _) => format!("key {key}"),
                (None, subject) => subject.cloned().unwrap_or_default(),
            });
            Some(Step {
                from: promotion.source.reference,
                digest: promotion.source.digest,
                to: promotion.destination,
                at: promotion.promoted_at,
                by: by.unwrap_or_else(|| "a key that is not known here".to_owned()),
                sound: attachment.failure().is_none(),
                verified: promotion.verified.len(),
            })
        })
        .collect();
    steps.sort_by(|one, other| (one.at, &one.from).cmp(&(other.at, &other.from)));
    steps.dedup_by(|one, other| {
        one.from == other.from && one.to == other.to && one.at == other.at && one.by == other.by
    });
    steps
}

/// The chain for people; nothing if the image was never promoted.
pub(super) fn print(steps: &[Step], terminal: &mut Terminal) -> Result<(), Error> {
    if steps.is_empty() {
        return Ok(());
    }
    terminal.line("")?;
    terminal.line("promoted, as those who did it say:")?;
    for step in steps {
        let sound = match step.sound {
            true => "every check that can be made passes",
            false => "a check FAILS, see above",
        };
        terminal.line(format!(
            "  {} from {}\n    to {}, after {} met the policy\n    by {}: {sound}",
            step.at,
            printable(&step.from),
            printable(&step.to),
            counted(step.verified),
            printable(&step.by)
        ))?;
    }
    Ok(())
}

/// Signatures and attestations, for people.
pub(super) fn counted(verified: usize) -> String {
    match verified {
        1 => "1 signature or attestation".to_owned(),
        several => format!("{several} signatures and attestations"),
    }
}
