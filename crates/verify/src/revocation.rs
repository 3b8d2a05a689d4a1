//! Revocations: has somebody who may do so said that a signature counts no more?
//!
//! Invariant: a revocation can only take away, and only one that is itself verified, by the same trusted material and
//! proofs as the signatures, does. What cannot be applied is told, with the reason.
//!
//! Who may revoke: whoever made the signature, and the revokers of the policy. When a signature was made is what logs,
//! timestamp authorities and certificate authorities prove, never what a signer says. Where nothing proves it, the
//! signature is within every window.

use std::collections::BTreeSet;

use sealmark_formats::Digest;
use sealmark_formats::revocation::{REVOCATION_V1, Revocation, Scope, SignerName, Window};
use sealmark_formats::statement::{self, Statement};

use crate::artifact::Artifact;
use crate::checks::{self, Context};
use crate::evidence::{Content, Evidence};
use crate::policy::{Attestation, Demand, Identity, Kind, Match, PredicateType, Signer};
use crate::report::{self, Attachment, Check, Outcome, RevocationSource};
use crate::signed::{Payload, Signed, Statements};

/// Revocations that are checked, of all that were found. Everyone who may write to a registry can attach some.
pub const MAX_REVOCATIONS: usize = 256;
/// Signers that are not the policy's own, and may revoke what they signed themselves.
const MAX_SIGNERS: usize = 64;

/// What a verification knows of revocations, beside those attached to the artifact.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    /// Revocations from elsewhere.
    pub evidence: Vec<Evidence>,
    /// Why nothing can be accepted: what the policy wants to know of revocations cannot be known.
    pub stale: Option<String>,
    /// Where the evidence is from, for the report.
    pub sources: Vec<RevocationSource>,
}

/// Whether an attachment is a revocation, believed or not.
pub fn is_revocation(evidence: &Evidence) -> bool {
    head(&evidence.content).is_some_and(|statement| statement.predicate_type == REVOCATION_V1)
}

fn head(content: &Content) -> Option<Statement> {
    use sealmark_formats::{bundle, dsse};
    match content {
        Content::Bundle(bundle) => match &bundle.content {
            bundle::Content::Dsse(envelope) => Statement::parse_head(&envelope.payload).ok(),
            bundle::Content::MessageSignature(_) => None,
        },
        Content::Envelope(detached) => dsse::Envelope::parse(&detached.payload)
            .ok()
            .and_then(|envelope| Statement::parse_head(&envelope.payload).ok()),
        _ => None,
    }
}

/// A revocation whose signature, and whatever proves it, is good.
struct Believed {
    location: String,
    /// SHA-256 of the statement.
    digest: Digest,
    /// Who says so.
    authority: Authority,
    revocation: Result<Revocation, String>,
    /// What the statement is about.
    subjects: Vec<String>,
}

/// Who says so.
#[derive(Debug)]
struct Authority {
    /// Which of the policy's revokers.
    revokers: Vec<usize>,
    /// Who that is.
    signer: report::Signer,
}

impl Authority {
    fn is(&self, other: &Self) -> bool {
        self.revokers
            .iter()
            .any(|index| other.revokers.contains(index))
            || same(&self.signer, &other.signer)
    }
}

/// Whether two signatures are by one signer: the same key, or the same identity as the same provider knows it.
fn same(one: &report::Signer, other: &report::Signer) -> bool {
    match (&one.key_id, &other.key_id) {
        (Some(one), Some(other)) => one == other,
        (None, None) => {
            one.issuer.is_some()
                && one.issuer == other.issuer
                && one
                    .subjects
                    .iter()
                    .any(|subject| other.subjects.contains(subject))
        }
        _ => false,
    }
}

fn is_named(signer: &report::Signer, name: &SignerName) -> bool {
    match name {
        SignerName::Key { key } => signer.key_id.as_deref() == Some(&key.to_string()),
        SignerName::Identity { identity, issuer } => {
            signer.key_id.is_none()
                && signer.issuer.as_ref() == Some(issuer)
                && signer.subjects.contains(identity)
        }
    }
}

/// Ends the checks of each attachment with the one for revocations; gives what was not applied, and why.
pub(crate) fn judge(
    context: &Context<'_>,
    attached: &[Evidence],
    revocations: &Revocations,
    revokers: &[Signer],
    attachments: &mut [Attachment],
) -> Vec<report::IgnoredRevocation> {
    let mut ignored = Vec::new();
    let (candidates, too_many) = candidates(
        context.artifact,
        attached,
        revocations,
        attachments,
        &mut ignored,
    );
    let found = candidates.len();
    let believed = believed(context, candidates, revokers, attachments, &mut ignored);
    for (attachment, evidence) in attachments.iter_mut().zip(attached) {
        let reached = context.explain || attachment.accepted;
        if !reached {
            continue;
        }
        if is_revocation(evidence) {
            attachment.end_with(Outcome::NotApplicable {
                reason: "it is a revocation itself, which only a later one takes back".to_owned(),
            });
            continue;
        }
        let outcome = match (&revocations.stale, too_many) {
            (Some(why), _) => failed("what is revoked is known", why.clone()),
            (None, true) => failed(
                &format!("at most {MAX_REVOCATIONS} revocations"),
                "more, and not all of them were looked at".to_owned(),
            ),
            (None, false) => outcome(context.artifact, attachment, &believed, found),
        };
        attachment.end_with(outcome);
    }
    ignored
}

fn failed(expected: &str, found: String) -> Outcome {
    Outcome::Failed {
        expected: expected.to_owned(),
        found: checks::short(found),
        remedy: None,
    }
}

/// A revocation that was found, read and not believed.
struct Candidate<'a> {
    evidence: &'a Evidence,
    /// SHA-256 of the statement.
    digest: Digest,
    revocation: Result<Revocation, String>,
    /// What the statement is about.
    subjects: Vec<String>,
    /// It could change what is thought of one of the attachments.
    matters: bool,
}

/// Each revocation once, as far as it could matter here, and whether there were more than are looked at. What is
/// attached to this artifact and is about another one is told.
fn candidates<'a>(
    artifact: &Artifact<'_>,
    attached: &'a [Evidence],
    revocations: &'a Revocations,
    attachments: &[Attachment],
    ignored: &mut Vec<report::IgnoredRevocation>,
) -> (Vec<Candidate<'a>>, bool) {
    let mut seen = BTreeSet::new();
    let all = attached.iter().chain(&revocations.evidence);
    let mut all: Vec<Candidate<'_>> = all
        .filter(|evidence| is_revocation(evidence))
        .filter_map(|evidence| {
            let (digest, statement, predicate) = read(&evidence.content)?;
            let new = seen.insert(evidence.content.identity()?);
            let subjects = statement.subject.iter().flat_map(|subject| &subject.digest);
            new.then(|| Candidate {
                evidence,
                digest,
                revocation: Revocation::parse(predicate.as_bytes())
                    .map_err(|error| error.to_string()),
                subjects: subjects
                    .map(|(name, hex)| format!("{name}:{hex}"))
                    .collect(),
                matters: false,
            })
        })
        .collect();
    for candidate in &mut all {
        candidate.matters = match &candidate.revocation {
            Ok(revocation) => attachments
                .iter()
                .any(|attachment| reaches(revocation, artifact, attachment).is_some()),
            Err(_) => artifact
                .digests()
                .any(|digest| candidate.subjects.contains(&digest.to_string())),
        };
    }
    // What takes the place of one that matters does, too.
    let mut replaceable: BTreeSet<Digest> = BTreeSet::new();
    loop {
        let known = replaceable.len();
        replaceable.extend(
            all.iter()
                .filter(|one| one.matters)
                .map(|one| one.digest.clone()),
        );
        if replaceable.len() == known {
            break;
        }
        for candidate in &mut all {
            candidate.matters |= candidate.revocation.as_ref().is_ok_and(|it| {
                it.supersedes
                    .iter()
                    .any(|digest| replaceable.contains(digest))
            });
        }
    }
    for candidate in all.iter().filter(|one| !one.matters).take(MAX_REVOCATIONS) {
        let here = attached
            .iter()
            .any(|evidence| core::ptr::eq(evidence, candidate.evidence));
        if here {
            ignored.push(report::IgnoredRevocation {
                location: candidate.evidence.source.location.clone(),
                reason: "it is about none of these signatures".to_owned(),
            });
        }
    }
    all.retain(|one| one.matters);
    let too_many = all.len() > MAX_REVOCATIONS;
    all.truncate(MAX_REVOCATIONS);
    (all, too_many)
}

fn believed(
    context: &Context<'_>,
    candidates: Vec<Candidate<'_>>,
    revokers: &[Signer],
    attachments: &[Attachment],
    ignored: &mut Vec<report::IgnoredRevocation>,
) -> Vec<Believed> {
    if candidates.is_empty() {
        return Vec::new();
    }
    let own = own(context, attachments);
    let signers: Vec<_> = revokers.iter().cloned().chain(own).collect();
    let kind = Kind::Attestation(Attestation {
        types: vec![PredicateType::Exact(REVOCATION_V1.to_owned())],
        ..Attestation::default()
    });
    let demand = Demand {
        kind,
        signers,
        threshold: 1,
        annotations: Default::default(),
        // What it is about is its scope's affair.
        check_claims: false,
        ..context.demand.clone()
    };
    let context = Context {
        artifact: context.artifact,
        trust: context.trust,
        demand: &demand,
        now: context.now,
        explain: false,
    };
    let mut believed = Vec::new();
    let mut tell = |location: &str, reason: String| {
        ignored.push(report::IgnoredRevocation {
            location: location.to_owned(),
            reason: checks::short(reason),
        });
    };
    for candidate in candidates {
        let location = &candidate.evidence.source.location;
        let checked = checks::run(&context, candidate.evidence);
        let (Some((satisfies, _)), Some(signer)) = (&checked.satisfies, checked.signer.clone())
        else {
            let reason = match checked.failure() {
                Some(Check {
                    name,
                    outcome: Outcome::Failed { found, .. },
                }) => format!("{}: {found}", name.title()),
                _ => "it is not by anyone who may revoke".to_owned(),
            };
            tell(location, reason);
            continue;
        };
        let revokers = satisfies
            .iter()
            .copied()
            .filter(|index| *index < revokers.len());
        believed.push(Believed {
            location: location.clone(),
            digest: candidate.digest,
            authority: Authority {
                revokers: revokers.collect(),
                signer,
            },
            revocation: candidate.revocation,
            subjects: candidate.subjects,
        });
    }
    let superseded: Vec<bool> = believed
        .iter()
        .map(|one| is_superseded(one, &believed))
        .collect();
    let mut kept = Vec::with_capacity(believed.len());
    for (one, superseded) in believed.into_iter().zip(superseded) {
        match superseded {
            true => tell(
                &one.location,
                "a later one of the same authority takes its place".to_owned(),
            ),
            false => kept.push(one),
        }
    }
    kept
}

/// One that names another by digest was made after it.
fn is_superseded(one: &Believed, all: &[Believed]) -> bool {
    all.iter().any(|other| {
        let names = |revocation: &Revocation| revocation.supersedes.contains(&one.digest);
        other.revocation.as_ref().is_ok_and(names) && other.authority.is(&one.authority)
    })
}

/// Who signed the attachments, exactly: they may revoke what is their own.
fn own(context: &Context<'_>, attachments: &[Attachment]) -> Vec<Signer> {
    let keys = context
        .demand
        .signers
        .iter()
        .filter(|signer| matches!(signer, Signer::Key(_)))
        .cloned();
    let mut seen = BTreeSet::new();
    let mut identities = Vec::new();
    for attachment in attachments {
        let Some(signer) = attachment
            .signer
            .as_ref()
            .or(attachment.claimed_signer.as_ref())
        else {
            continue;
        };
        let Some(issuer) = &signer.issuer else {
            continue;
        };
        for subject in &signer.subjects {
            if identities.len() < MAX_SIGNERS && seen.insert((issuer, subject)) {
                identities.push(Signer::Identity(Identity {
                    issuer: Match::Exact(issuer.clone()),
                    subject: Match::Exact(subject.clone()),
                    extensions: Vec::new(),
                }));
            }
        }
    }
    keys.chain(identities).collect()
}

/// The SHA-256 of a statement's bytes, its head and its predicate.
fn read(content: &Content) -> Option<(Digest, Statement, String)> {
    let payload = Signed::read(content, true).ok()?.payload;
    let bytes = payload.statement()?;
    let predicate = statement::predicate_of(bytes).map_or("null", |raw| raw.get());
    let (digest, predicate) = (Digest::sha256(bytes), predicate.to_owned());
    match payload {
        Payload::Claims {
            claims: Statements::InToto(statement),
            ..
        } => Some((digest, statement, predicate)),
        Payload::Claims { .. } | Payload::Artifact { .. } => None,
    }
}

fn outcome(
    artifact: &Artifact<'_>,
    attachment: &Attachment,
    believed: &[Believed],
    found: usize,
) -> Outcome {
    let Some(signer) = attachment
        .signer
        .as_ref()
        .or(attachment.claimed_signer.as_ref())
    else {
        return Outcome::Skipped {
            reason: "whose signature it is, is not known".to_owned(),
        };
    };
    for one in believed {
        let by_revoker = !one.authority.revokers.is_empty();
        if !by_revoker && !same(&one.authority.signer, signer) {
            continue;
        }
        let why = match &one.revocation {
            Ok(revocation) => match one.applies(artifact, attachment) {
                Some(what) => {
                    let text = match revocation.text.is_empty() {
                        true => String::new(),
                        false => format!(": {}", revocation.text),
                    };
                    format!("{what} is revoked, {}{text}", revocation.reason.name())
                }
                None => continue,
            },
            // Somebody who may revoke says something about this artifact that only a newer program understands.
            Err(reason)
                if artifact
                    .digests()
                    .any(|d| one.subjects.contains(&d.to_string())) =>
            {
                format!("a revocation that cannot be read: {reason}")
            }
            Err(_) => continue,
        };
        let by = match by_revoker {
            true => "a revoker of the policy",
            false => "the signer",
        };
        return failed(
            "a signature that is not revoked",
            format!("{why} (by {by}, {})", one.location),
        );
    }
    match found {
        0 => Outcome::Skipped {
            reason: "no revocation was found".to_owned(),
        },
        1 => Outcome::Passed {
            evidence: "not by the one that was found".to_owned(),
        },
        several => Outcome::Passed {
            evidence: format!("not by any of the {several} that were found"),
        },
    }
}

impl Believed {
    /// What of the attachment is revoked, if it is.
    fn applies(&self, artifact: &Artifact<'_>, attachment: &Attachment) -> Option<String> {
        let revocation = self.revocation.as_ref().ok()?;
        // What it is said to be about, and what it is about, must be one thing.
        match revocation.subject() {
            Some(subject) if !self.subjects.contains(&subject.to_string()) => None,
            _ => reaches(revocation, artifact, attachment),
        }
    }
}

/// What of the attachment falls by this revocation, if something does. Who may make such a revocation is another
/// question, and whether the attachment is any good, too.
pub fn reaches(
    revocation: &Revocation,
    artifact: &Artifact<'_>,
    attachment: &Attachment,
) -> Option<String> {
    let signer = attachment
        .signer
        .as_ref()
        .or(attachment.claimed_signer.as_ref())?;
    if let Some(name) = &revocation.signer
        && !is_named(signer, name)
    {
        return None;
    }
    let is_this = |digest: &Digest| artifact.digests().any(|known| known == digest);
    match &revocation.scope {
        Scope::Signature {
            artifact,
            signature,
            log_entry,
        } => {
            let by_digest = signature.is_some() && attachment.signature_digest == *signature;
            let by_entry = log_entry.as_ref().is_some_and(|entry| {
                attachment.seen.iter().any(|sighting| {
                    sighting.log_id.as_ref() == Some(&entry.log_id)
                        && sighting.log_index == Some(entry.log_index)
                })
            });
            (is_this(artifact) && (by_digest || by_entry)).then(|| "this signature".to_owned())
        }
        Scope::Artifact { digest } => {
            is_this(digest).then(|| "every signature of this artifact by this signer".to_owned())
        }
        Scope::Window(window) => {
            within(window, attachment).map(|where_| format!("what this signer signed {where_}"))
        }
        Scope::Nothing {} => None,
    }
}

/// Whether the signature was made within the window, and how that is known. The earliest proof counts: what was seen
/// before the window was made before it. A certificate is used when it is issued, so that a signature by one that was
/// issued within the window belongs to it, whenever it was shown to somebody.
fn within(window: &Window, attachment: &Attachment) -> Option<String> {
    let mut by_position = None;
    for range in &window.logs {
        let position = attachment
            .seen
            .iter()
            .filter(|sighting| sighting.log_id.as_ref() == Some(&range.log_id))
            .filter_map(|sighting| sighting.log_index)
            .min();
        if let Some(index) = position {
            let inside = range.from.is_none_or(|from| index >= from)
                && range.to.is_none_or(|to| index <= to);
            by_position = Some((inside, index));
            if inside {
                return Some(format!("within the window: log position {index}"));
            }
        }
    }
    let contains = |time: i64| {
        window.from.is_none_or(|from| time >= from.as_second())
            && window.to.is_none_or(|to| time <= to.as_second())
    };
    let bounded = window.from.is_some() || window.to.is_some();
    if let Some(issued) = attachment.certified
        && bounded
        && contains(issued)
    {
        return Some(format!(
            "within the window: its certificate is of {}",
            crate::log::time_text(issued)
        ));
    }
    if by_position.is_some() {
        return None;
    }
    if !bounded && !window.logs.is_empty() {
        return Some("where no log of the window has it".to_owned());
    }
    let earliest = attachment
        .seen
        .iter()
        .filter_map(|sighting| sighting.seconds)
        .min();
    match earliest.or(attachment.certified) {
        Some(time) => contains(time).then(|| {
            format!(
                "within the window: it was seen at {}",
                crate::log::time_text(time)
            )
        }),
        None => Some("at a time that nothing proves".to_owned()),
    }
}
