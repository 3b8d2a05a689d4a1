//! The statement: where the image was, what was verified there, and when.
//!
//! It follows from the source alone but for the time, and the time is that of the first one: a repetition says the same.

use jiff::Timestamp;
use sealmark_formats::Digest;
use sealmark_formats::promotion::{MAX_VERIFIED, Origin, PROMOTION_V1, PolicyUsed, Promotion};
use sealmark_formats::statement::Statement;
use sealmark_sign::Signatory;
use sealmark_verify::Revocations;
use sealmark_verify::evidence::Evidence;
use sealmark_verify::report::Verdict;

use super::ends::{From, To};
use super::judgement::{self, Judgement};
use crate::commands::cosign_output;
use crate::error::Error;

/// What is to be said.
pub(super) fn of(
    from: &From,
    to: &To,
    judgement: &Judgement,
    required: &[String],
) -> Result<Promotion, Error> {
    let count = judgement.verified.len();
    if count > MAX_VERIFIED {
        return Err(Error::NotSupported(format!(
            "promoting an image with {count} good signatures: a statement has at most {MAX_VERIFIED}; ask for fewer \
             signers"
        )));
    }
    let mut required = required.to_vec();
    required.sort();
    required.dedup();
    let seconds = Timestamp::now().as_second();
    Ok(Promotion {
        source: Origin {
            repository: from.repository.clone(),
            reference: from.reference.clone(),
            digest: from.digest.clone(),
        },
        destination: to.repository.to_string(),
        promoted_at: Timestamp::from_second(seconds)
            .map_err(|error| Error::Usage(error.to_string()))?,
        policy: PolicyUsed {
            digest: judgement.policy_digest.clone(),
            required,
        },
        verified: judgement.verified.clone(),
    })
}

/// When this signer has said the same before.
pub(super) fn earlier(
    there: &[Evidence],
    signatory: &Signatory,
    digest: &Digest,
    wanted: &Promotion,
) -> Option<Timestamp> {
    let policy = signatory.policy(judgement::promotion());
    there
        .iter()
        .filter_map(|evidence| Some((evidence, read(evidence)?)))
        .filter(|(_, promotion)| promotion.says_the_same(wanted))
        // Anybody can attach what looks the same, with a time that suits them.
        .filter(|(evidence, _)| {
            let one = std::slice::from_ref(*evidence);
            let none = Revocations::default();
            let report = judgement::verify_own(one, digest, &policy, signatory, &none);
            report.verdict == Verdict::Verified
        })
        .map(|(_, promotion)| promotion.promoted_at)
        .min()
}

/// The promotion that an attachment says; nobody has verified it.
pub(crate) fn read(evidence: &Evidence) -> Option<Promotion> {
    let envelope = cosign_output::envelope(&evidence.content)?;
    let statement = Statement::parse(&envelope.payload).ok()?;
    if statement.predicate_type != PROMOTION_V1 {
        return None;
    }
    Promotion::parse(statement.predicate?.get().as_bytes()).ok()
}
