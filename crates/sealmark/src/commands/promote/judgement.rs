//! What is verified: the source, by what the flags or the policy ask; then the destination, by the own key alone.

use sealmark_formats::Digest;
use sealmark_formats::promotion::{PROMOTION_V1, Seen, Verified};
use sealmark_formats::revocation::SignerName;
use sealmark_oci::manifest::Platform;
use sealmark_oci::{Descriptor, Want};
use sealmark_sign::Signatory;
use sealmark_verify::evidence::Evidence;
use sealmark_verify::policy::{Attestation, PredicateType};
use sealmark_verify::report::{Attachment, Signer, Verdict};
use sealmark_verify::{Artifact, Demand, Kind, Policy, Report, Revocations};

use super::Arguments;
use super::ends::{From, To};
use crate::asking::Asking;
use crate::commands::verify_images::{self, Image};
use crate::error::{Error, VerificationExit};
use crate::flags::Format;
use crate::policy_flags::Wanted;
use crate::report;
use crate::terminal::Terminal;
use crate::trust_flags;

/// What was found out about the source.
pub(super) struct Judgement {
    /// Everything that is attached to it.
    pub(super) evidence: Vec<Evidence>,
    pub(super) report: Report,
    /// What met the policy.
    pub(super) verified: Vec<Verified>,
    pub(super) policy_digest: Digest,
    /// What the policy asks of signatures, for more of the same.
    pub(super) like: Demand,
    revokers: Vec<sealmark_verify::Signer>,
    pub(super) asking: Asking,
}

impl Judgement {
    /// Verifies the source, and fails as `verify` does.
    pub(super) async fn of(
        arguments: &Arguments,
        from: &From,
        terminal: &mut Terminal,
    ) -> Result<Self, Error> {
        let required = required(&arguments.require)?;
        let asked = &arguments.asked;
        let wanted = Wanted::ImageSignature {
            annotations: Default::default(),
        };
        let mut asking = asked.policy.asking(&asked.trust, wanted, terminal).await?;
        if asked.policy.explain && arguments.output == Format::Text {
            terminal.line(asking.describe())?;
        }
        let artifact = sealmark_verify::policy_file::Artifact::Image(&from.repository);
        let policy = asking.policy(artifact, terminal).await?;
        let evidence = sealmark_oci::gather(&from.source, &from.digest, Want::ALL).await?;
        let image = Image {
            name: &from.reference,
            pinned: from.pinned.clone(),
            digest: from.digest.clone(),
            local: from.local,
        };
        let judged = verify_images::judge(image, evidence, &policy, &asking, terminal).await?;
        if let Some(failure) = judged.failure() {
            return Err(failure);
        }
        let like = policy.demands.first().cloned().ok_or_else(|| {
            Error::Usage("the policy asks for nothing, so nothing could be promoted".to_owned())
        })?;
        let mut judgement = Self {
            verified: facts(&judged.report, None)?,
            evidence: judged.evidence,
            report: judged.report,
            policy_digest: asking.policy_digest(),
            like,
            revokers: policy.revokers,
            asking,
        };
        for types in required {
            let more = judgement.attestations(from, types, terminal).await?;
            judgement.verified.extend(more);
        }
        // In an order that follows from what there is, so that a repetition says the same.
        judgement.verified.sort_by(|one, other| {
            let key = |it: &Verified| (it.signature.to_string(), it.kind.clone());
            key(one).cmp(&key(other))
        });
        judgement.verified.dedup();
        Ok(judgement)
    }

    /// The same as is asked of signatures, of attestations.
    pub(super) fn policy_for(&self, types: Vec<PredicateType>) -> Policy {
        let wanted = Attestation {
            types,
            ..Attestation::default()
        };
        Policy {
            demands: vec![Demand {
                kind: Kind::Attestation(wanted),
                annotations: Default::default(),
                ..self.like.clone()
            }],
            revokers: self.revokers.clone(),
        }
    }

    /// Attestations of these types, which there must be: on the image, or on each image of an index.
    async fn attestations(
        &self,
        from: &From,
        types: Vec<PredicateType>,
        terminal: &Terminal,
    ) -> Result<Vec<Verified>, Error> {
        let policy = self.policy_for(types);
        let mut failure = None;
        let own = Image {
            name: &from.reference,
            pinned: from.pinned.clone(),
            digest: from.digest.clone(),
            local: from.local,
        };
        let evidence = self.evidence.clone();
        let judged = verify_images::judge(own, evidence, &policy, &self.asking, terminal).await?;
        match judged.failure() {
            None => return facts(&judged.report, None),
            Some(error) => failure = failure.or(Some(error)),
        }
        let mut verified = Vec::new();
        let images = images(from).await?;
        for image in &images {
            let name = format!("{}, its image {}", from.reference, image.digest);
            let evidence = sealmark_oci::gather(&from.source, &image.digest, Want::ALL).await?;
            let image = Image {
                name: &name,
                pinned: name.clone(),
                digest: image.digest.clone(),
                local: from.local,
            };
            let judged =
                verify_images::judge(image, evidence, &policy, &self.asking, terminal).await?;
            if let Some(error) = judged.failure() {
                return Err(error);
            }
            verified.extend(facts(&judged.report, Some(&judged.report.digest))?);
        }
        match failure {
            Some(failure) if images.is_empty() => Err(failure),
            _ => Ok(verified),
        }
    }
}

/// The images of an index that run somewhere; none if it is an image itself.
pub(super) async fn images(from: &From) -> Result<Vec<Descriptor>, Error> {
    if !from.descriptor.is_index() {
        return Ok(Vec::new());
    }
    let all = from.source.with_children(from.descriptor.clone()).await?;
    // BuildKit lists attestations as images for no platform.
    let runs = |platform: &Platform| platform.os != "unknown";
    Ok(all
        .into_iter()
        .filter(|image| !image.is_index())
        .filter(|image| image.platform.as_ref().is_none_or(runs))
        .collect())
}

/// The predicate types of each requirement.
fn required(names: &[String]) -> Result<Vec<Vec<PredicateType>>, Error> {
    let types = names.iter().map(|name| {
        PredicateType::named(name)
            .map_err(|cause| Error::Usage(format!("--require {name}: {cause}")))
    });
    types.collect()
}

/// What was accepted, as a promotion says it.
fn facts(report: &Report, image: Option<&Digest>) -> Result<Vec<Verified>, Error> {
    let accepted = report
        .accepted()
        .filter(|attachment| attachment.duplicate_of.is_none());
    accepted
        .map(|attachment| fact(attachment, image))
        .collect::<Option<_>>()
        .ok_or_else(|| {
            Error::Usage("a signature was accepted whose bytes or signer are not known".to_owned())
        })
}

fn fact(attachment: &Attachment, image: Option<&Digest>) -> Option<Verified> {
    let seen = attachment.seen.iter().map(|seen| Seen {
        by: seen.by.clone(),
        log_id: seen.log_id.clone(),
        log_index: seen.log_index,
        time: seen.time.clone(),
    });
    Some(Verified {
        kind: attachment.claims.as_ref()?.claim_type.clone(),
        signature: attachment.signature_digest.clone()?,
        signer: name(attachment.signer.as_ref()?)?,
        image: image.cloned(),
        seen: seen.collect(),
    })
}

fn name(signer: &Signer) -> Option<SignerName> {
    match &signer.key_id {
        Some(key) => Some(SignerName::Key {
            key: key.parse().ok()?,
        }),
        None => Some(SignerName::Identity {
            identity: signer.subjects.first()?.clone(),
            issuer: signer.issuer.clone()?,
        }),
    }
}

/// Whether what is at the destination is good by the own key alone: a signature, and the promotion if there is to be one.
pub(super) fn own(
    to: &To,
    digest: &Digest,
    evidence: &[Evidence],
    stated: bool,
    signatory: &Signatory,
    judgement: &Judgement,
) -> Result<(), Error> {
    let mut policy = signatory.policy(Kind::ImageSignature);
    if stated {
        policy.demands.extend(signatory.policy(promotion()).demands);
    }
    let report = verify_own(
        evidence,
        digest,
        &policy,
        signatory,
        &judgement.asking.revocations,
    );
    match report.verdict {
        Verdict::Verified => Ok(()),
        _ => Err(Error::Verification {
            exit: VerificationExit::NoMatch,
            message: format!(
                "what was read back from the destination is not good by the own key, and the tag was not moved: {}",
                report::no_match(&to.pinned(digest), &report)
            ),
        }),
    }
}

/// A promotion, as a kind of attestation.
pub(super) fn promotion() -> Kind {
    Kind::Attestation(Attestation {
        types: vec![PredicateType::Exact(PROMOTION_V1.to_owned())],
        ..Attestation::default()
    })
}

/// What evidence is worth for the own key.
pub(super) fn verify_own(
    evidence: &[Evidence],
    digest: &Digest,
    policy: &Policy,
    signatory: &Signatory,
    revocations: &Revocations,
) -> Report {
    sealmark_verify::verify_unless_revoked(
        &Artifact::by_digest(digest.clone()),
        evidence,
        signatory.trust(),
        policy,
        revocations,
        trust_flags::now(),
    )
}
