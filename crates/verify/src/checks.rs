//! The checks of one attachment, in order. A check that fails ends them: what comes after it is not reached.
//!
//! What can be told without trusted material comes first, so that the reader learns the plainest reason: the kind, the
//! signature, whose it claims to be, what it is over. None of it counts unless every check after it passes too. What the
//! predicate says comes last, for it is worth what its signer is.

mod content;
mod proofs;
mod signature;

use sealmark_formats::Digest;
use sealmark_keys::PublicKey;
use sealmark_x509::Certificate;

use crate::artifact::Artifact;
use crate::certificate;
use crate::evidence::Evidence;
use crate::policy::Demand;
use crate::report::{self, Attachment, Check, CheckName, Outcome};
use crate::signed::{By, Signed};
use crate::trust::TrustedMaterial;

/// Texts from an attachment have no length of their own that could be relied on.
const MAX_TEXT: usize = 600;

pub(crate) fn short(text: String) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Why a check failed.
#[derive(Debug)]
pub(crate) struct Failure {
    expected: String,
    found: String,
    remedy: Option<String>,
}

impl Failure {
    pub(crate) fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            expected: short(expected.into()),
            found: short(found.into()),
            remedy: None,
        }
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

fn passed(evidence: impl Into<String>) -> Outcome {
    Outcome::Passed {
        evidence: short(evidence.into()),
    }
}

fn not_applicable(reason: impl Into<String>) -> Outcome {
    Outcome::NotApplicable {
        reason: reason.into(),
    }
}

/// What the checks are made with.
pub(crate) struct Context<'a> {
    pub(crate) artifact: &'a Artifact<'a>,
    pub(crate) trust: &'a TrustedMaterial,
    pub(crate) demand: &'a Demand,
    /// Seconds since 1970.
    pub(crate) now: i64,
    /// Nobody is asked for: tell whose signature it is, and go on after a failure. Nothing is accepted so.
    pub(crate) explain: bool,
}

/// The checks made so far.
struct Run {
    checks: Vec<Check>,
    go_on: bool,
}

/// A check failed, and the next ones would have nothing to stand on.
struct Stop;

impl Run {
    fn done(&mut self, outcome: Result<Outcome, Failure>) -> Result<(), Stop> {
        let (outcome, failed) = match outcome {
            Ok(outcome) => (outcome, false),
            Err(Failure {
                expected,
                found,
                remedy,
            }) => {
                let outcome = Outcome::Failed {
                    expected,
                    found,
                    remedy,
                };
                (outcome, true)
            }
        };
        self.checks.push(Check {
            name: CheckName::ALL[self.checks.len()],
            outcome,
        });
        match failed && !self.go_on {
            true => Err(Stop),
            false => Ok(()),
        }
    }

    /// The value is what the next checks need: without it there is no going on.
    fn need<T>(&mut self, result: Result<T, Failure>) -> Result<T, Stop> {
        result.map_err(|failure| {
            let _ = self.done(Err(failure));
            Stop
        })
    }
}

/// Runs the checks.
pub(crate) fn run(context: &Context<'_>, evidence: &Evidence) -> Attachment {
    let mut attachment = Attachment {
        layout: evidence.source.layout,
        location: evidence.source.location.clone(),
        manifest_digest: evidence.source.manifest.clone(),
        accepted: false,
        satisfies: None,
        signer: None,
        claimed_signer: None,
        claims: None,
        seen: Vec::new(),
        certified: None,
        signature_digest: None,
        duplicate_of: None,
        checks: Vec::new(),
    };
    let mut run = Run {
        checks: Vec::new(),
        go_on: context.explain,
    };
    let _ = in_order(context, evidence, &mut attachment, &mut run);
    for name in &CheckName::ALL[run.checks.len()..] {
        run.checks.push(Check {
            name: *name,
            outcome: Outcome::NotReached,
        });
    }
    attachment.checks = run.checks;
    attachment.accepted = attachment.satisfies.is_some() && attachment.failure().is_none();
    if !attachment.accepted {
        attachment.satisfies = None;
        attachment.claimed_signer = attachment.signer.take();
    }
    attachment
}

fn in_order(
    context: &Context<'_>,
    evidence: &Evidence,
    attachment: &mut Attachment,
    run: &mut Run,
) -> Result<(), Stop> {
    let Context {
        artifact,
        demand,
        now,
        explain,
        ..
    } = context;
    let signed = run.need(Signed::read(
        &evidence.content,
        demand.allow_certificate_chain || *explain,
    ))?;
    run.done(Ok(passed(&signed.format)))?;
    attachment.signature_digest = Some(Digest::sha256(&signed.signature));
    if let By::Certificate { leaf, .. } = &signed.by {
        attachment.certified = i64::try_from(leaf.validity().not_before.unix_seconds()).ok();
    }
    run.done(match explain {
        true => Ok(passed(content::describe(&signed.payload))),
        false => content::kind(&signed.payload, &demand.kind),
    })?;
    let made = run.need(match explain {
        true => signature::by_anyone(artifact, &signed, &demand.signers),
        false => signature::by_whom(artifact, &signed, demand),
    })?;
    let key = &made.key;
    let algorithm = made.scheme.describe(key.key_type());
    // A certificate is looked at where it is what tells who signed.
    let certificate = match (&signed.by, made.signer) {
        (By::Certificate { leaf, others }, None) => Some((leaf, others)),
        _ => None,
    };
    let satisfies = match certificate {
        Some((leaf, _)) => {
            run.done(Ok(passed(format!("{algorithm} by the certificate's key"))))?;
            attachment.signer = Some(report::Signer::certificate(leaf, algorithm));
            match explain {
                true => {
                    run.done(Ok(passed(certificate::describe(leaf))))?;
                    None
                }
                false => {
                    let (indexes, who) = run.need(certificate::identity(leaf, &demand.signers))?;
                    run.done(Ok(passed(who)))?;
                    Some(indexes)
                }
            }
        }
        None => {
            run.done(Ok(passed(format!("{algorithm} by key {}", key.id()))))?;
            attachment.signer = Some(report::Signer::key(key, algorithm));
            run.done(Ok(not_applicable("signed with a key")))?;
            made.signer.map(|index| vec![index])
        }
    };
    attachment.claims = signed.claims();
    run.done(content::digest(
        artifact,
        &signed.payload,
        demand.check_claims,
    ))?;
    run.done(content::annotations(
        &signed,
        &artifact.digest,
        &demand.annotations,
    ))?;
    let times = proofs::times(&signed, key, context, &mut attachment.seen, run)?;
    match certificate {
        None => {
            run.done(Ok(not_applicable("signed with a key")))?;
            run.done(Ok(not_applicable("signed with a key")))?;
        }
        Some((leaf, others)) => certificate_checks(leaf, others, &signed, &times, context, run)?,
    }
    run.done(content::predicate(&signed, &demand.kind, *now))?;
    if !explain {
        attachment.satisfies = satisfies.map(|indexes| (indexes, key_digest(key)));
    }
    Ok(())
}

fn key_digest(key: &PublicKey) -> Digest {
    key.id().digest().clone()
}

fn certificate_checks(
    leaf: &Certificate,
    others: &[Certificate],
    signed: &Signed<'_>,
    times: &[i64],
    context: &Context<'_>,
    run: &mut Run,
) -> Result<(), Stop> {
    let present = [context.now];
    let times = match times {
        [] if proofs::none_asked(context.demand) => &present[..],
        times => times,
    };
    let issuer = certificate::chain(leaf, others, times, context.trust).map_err(|failure| {
        match times == present && proofs::none_asked(context.demand) {
            true => failure.remedy(
                "if it has expired: a log or a timestamp tells when it was used, and neither was looked at",
            ),
            false => failure,
        }
    });
    let issuer = run.need(issuer)?;
    let at: Vec<_> = times
        .iter()
        .map(|time| crate::log::time_text(*time))
        .collect();
    run.done(Ok(passed(format!(
        "by {}, valid at {}",
        issuer.subject(),
        at.join(" and ")
    ))))?;
    run.done(proofs::sct(leaf, &issuer, signed, context))
}
