//! The checks of one attachment, in order. A check that fails ends them: what comes after it is not reached.
//!
//! What can be told without trusted material comes first, so that the reader learns the plainest reason: the kind, the
//! signature, whose it claims to be, what it is over. None of it counts unless every check after it passes too.

use std::collections::BTreeMap;

use sealmark_formats::Digest;
use sealmark_formats::statement::{self, Statement};
use sealmark_keys::{KeyType, PublicKey, Scheme};
use sealmark_x509::Certificate;
use serde_json::Value;

use crate::artifact::Artifact;
use crate::evidence::Evidence;
use crate::policy::{Kind, Policy, Requirement, Signer};
use crate::report::{self, Attachment, Check, CheckName, Outcome};
use crate::signed::{By, Payload, Signed, Statements};
use crate::trust::TrustedMaterial;
use crate::{certificate, log, timestamp};

/// Texts from an attachment have no length of their own that could be relied on.
const MAX_TEXT: usize = 600;

fn short(text: String) -> String {
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

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

fn passed(evidence: impl Into<String>) -> Outcome {
    Outcome::Passed {
        evidence: evidence.into(),
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
    pub(crate) policy: &'a Policy,
    /// Seconds since 1970.
    pub(crate) now: i64,
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
        claims: None,
        duplicate_of: None,
        checks: Vec::new(),
    };
    let failure = in_order(context, evidence, &mut attachment).err();
    attachment.accepted = failure.is_none();
    if let Some(Failure {
        expected,
        found,
        remedy,
    }) = failure
    {
        let outcome = Outcome::Failed {
            expected,
            found,
            remedy,
        };
        attachment.checks.push(Check {
            name: CheckName::ALL[attachment.checks.len()],
            outcome,
        });
    }
    for name in &CheckName::ALL[attachment.checks.len()..] {
        attachment.checks.push(Check {
            name: *name,
            outcome: Outcome::NotReached,
        });
    }
    attachment
}

fn in_order(
    context: &Context<'_>,
    evidence: &Evidence,
    attachment: &mut Attachment,
) -> Result<(), Failure> {
    let Context {
        artifact,
        trust,
        policy,
        now,
    } = context;
    let checks = &mut attachment.checks;
    let mut done = |outcome| {
        checks.push(Check {
            name: CheckName::ALL[checks.len()],
            outcome,
        })
    };

    let signed = Signed::read(&evidence.content)?;
    done(passed(&signed.format));
    done(kind(&signed.payload, policy.kind)?);
    let (key, scheme, by_key) = signature(artifact, &signed, &policy.signers)?;
    let algorithm = scheme.describe(key.key_type());
    let (satisfies, who) = match &signed.by {
        By::Certificate { leaf, .. } => {
            done(passed(format!("{algorithm} by the certificate's key")));
            let (index, who) = certificate::identity(leaf, &policy.signers)?;
            done(passed(&who));
            (index, report::Signer::certificate(leaf, algorithm))
        }
        By::Key(_) => {
            done(passed(format!("{algorithm} by key {}", key.id())));
            done(not_applicable("signed with a key"));
            (by_key, report::Signer::key(key, algorithm))
        }
    };
    attachment.signer = Some(who);
    attachment.claims = signed.claims();
    done(digest(artifact, &signed.payload, policy)?);
    done(annotations(&signed, &artifact.digest, &policy.annotations)?);
    let stamped = match policy.timestamp {
        Requirement::NotChecked { .. } => timestamp::Proven::default(),
        _ => timestamp::check(&signed, trust),
    };
    let mut times = stamped.times.clone();
    done(log_check(
        &signed,
        key,
        context,
        &stamped.times,
        &mut times,
    )?);
    done(timestamp_check(&stamped, &policy.timestamp)?);
    match &signed.by {
        By::Key(_) => {
            done(not_applicable("signed with a key"));
            done(not_applicable("signed with a key"));
        }
        By::Certificate { leaf, others } => {
            certificate_checks(leaf, others, &times, policy, trust, *now, &mut done)?;
        }
    }
    attachment.satisfies = Some(satisfies);
    Ok(())
}

fn certificate_checks(
    leaf: &Certificate,
    others: &[Certificate],
    times: &[i64],
    policy: &Policy,
    trust: &TrustedMaterial,
    now: i64,
    done: &mut impl FnMut(Outcome),
) -> Result<(), Failure> {
    // Only a user who asked for neither log nor timestamp gets by with the present.
    let no_proof_asked = matches!(policy.log, Requirement::NotChecked { .. })
        && policy.timestamp != Requirement::Required;
    let present = [now];
    let times = match times {
        [] if no_proof_asked => &present[..],
        times => times,
    };
    let issuer = certificate::chain(leaf, others, times, trust)?;
    let at: Vec<_> = times.iter().map(|time| log::time_text(*time)).collect();
    done(passed(format!(
        "by {}, valid at {}",
        issuer.subject(),
        at.join(" and ")
    )));
    done(match &policy.sct {
        Requirement::NotChecked { reason } => Outcome::Skipped {
            reason: format!("not checked, {reason}"),
        },
        Requirement::Required => passed(certificate::sct(leaf, &issuer, trust)?),
        Requirement::IfPresent if leaf.signed_certificate_timestamps().is_empty() => {
            Outcome::Skipped {
                reason: "the certificate has none".to_owned(),
            }
        }
        Requirement::IfPresent => passed(certificate::sct(leaf, &issuer, trust)?),
    });
    Ok(())
}

fn kind(payload: &Payload, wanted: Kind) -> Result<Outcome, Failure> {
    match (wanted, payload) {
        (
            Kind::ImageSignature,
            Payload::Claims {
                claims: Statements::SimpleSigning(payload),
                ..
            },
        ) => Ok(passed(format!(
            "image signature, {:?}",
            payload.critical.kind
        ))),
        (
            Kind::ImageSignature,
            Payload::Claims {
                claims: Statements::InToto(s),
                ..
            },
        ) => {
            if s.predicate_type == statement::COSIGN_SIGN_V1 {
                return Ok(passed(format!("image signature, {}", s.predicate_type)));
            }
            Err(Failure::new(
                "an image signature",
                format!(
                    "an attestation of type {:?}, which approves nothing by itself",
                    s.predicate_type
                ),
            ))
        }
        (Kind::ImageSignature, Payload::Artifact { .. }) => Err(Failure::new(
            "an image signature",
            "a signature over a file (made with sign-blob)",
        )),
        (Kind::BlobSignature | Kind::BlobSignatureOrStatement, Payload::Artifact { .. }) => {
            Ok(passed("signature over the file"))
        }
        (
            Kind::BlobSignatureOrStatement,
            Payload::Claims {
                claims: Statements::InToto(statement),
                ..
            },
        ) => Ok(passed(format!(
            "statement of type {:?}",
            statement.predicate_type
        ))),
        (
            Kind::BlobSignature,
            Payload::Claims {
                claims: Statements::InToto(s),
                ..
            },
        ) => Err(Failure::new(
            "a signature over the file itself",
            format!("an attestation of type {:?}", s.predicate_type),
        )),
        (
            _,
            Payload::Claims {
                claims: Statements::SimpleSigning(_),
                ..
            },
        ) => Err(Failure::new(
            "a signature over the file itself",
            "an image signature",
        )),
    }
}

/// The key that made the signature, the scheme, and which of the signers it is, if one of the keys.
fn signature<'a>(
    artifact: &Artifact<'_>,
    signed: &'a Signed,
    signers: &'a [Signer],
) -> Result<(&'a PublicKey, Scheme, usize), Failure> {
    let expected = || {
        let names: Vec<_> = signers.iter().map(ToString::to_string).collect();
        format!("a signature by {}", names.join(" or "))
    };
    let mut found = None;
    match &signed.by {
        By::Certificate { leaf, .. } => {
            if !signers
                .iter()
                .any(|signer| matches!(signer, Signer::Identity(_)))
            {
                return Err(Failure::new(
                    expected(),
                    "a signature with a certificate (keyless signing)",
                )
                .remedy("name the signer's identity and issuer, if it is to be trusted"));
            }
            let key = leaf.public_key().map_err(|error| {
                Failure::new("a certificate with a usable key", error.to_string())
            })?;
            match made_by(key, artifact, signed) {
                Ok(scheme) => return Ok((key, scheme, 0)),
                Err(reason) => {
                    return Err(Failure::new("a signature by the certificate's key", reason));
                }
            }
        }
        By::Key(hint) => {
            let keys = signers
                .iter()
                .enumerate()
                .filter_map(|(index, signer)| match signer {
                    Signer::Key(key) => Some((index, key)),
                    Signer::Identity(_) => None,
                });
            let mut named = false;
            for (index, key) in keys {
                match made_by(key, artifact, signed) {
                    Ok(scheme) => return Ok((key, scheme, index)),
                    Err(reason) => found = found.or(Some(reason)),
                }
                named |= hint.as_ref() == Some(key.id().digest());
            }
            if let Some(hint) = hint
                && !named
            {
                found = Some(format!("a signature that names another key: {hint}"));
            }
        }
    }
    let found = found.unwrap_or_else(|| "a signature with a key".to_owned());
    Err(Failure::new(expected(), found)
        .remedy("give the public key of the signer with --key, if it is to be trusted"))
}

fn made_by(key: &PublicKey, artifact: &Artifact<'_>, signed: &Signed) -> Result<Scheme, String> {
    match &signed.payload {
        Payload::Claims { signed: bytes, .. } => key
            .verify(bytes, &signed.signature)
            .map_err(|error| error.to_string()),
        Payload::Artifact { .. } => over_artifact(key, artifact, &signed.signature),
    }
}

/// Checks a signature over the artifact's bytes: from a digest where the scheme allows, else from the bytes.
fn over_artifact(
    key: &PublicKey,
    artifact: &Artifact<'_>,
    signature: &[u8],
) -> Result<Scheme, String> {
    let mut reason = None;
    for digest in artifact.digests() {
        match key.verify_digest(digest, signature) {
            Ok(scheme) => return Ok(scheme),
            Err(error) => reason = Some(error.to_string()),
        }
    }
    if let (KeyType::Ed25519, Some(bytes)) = (key.key_type(), artifact.bytes) {
        let mut verifier = key.stream_verifier(signature, None);
        bytes.read(&mut |piece| verifier.update(piece))?;
        return verifier
            .finish()
            .map(|(scheme, _)| scheme)
            .map_err(|error| error.to_string());
    }
    Err(reason.unwrap_or_else(|| "the artifact has no digest".to_owned()))
}

fn digest(artifact: &Artifact<'_>, payload: &Payload, policy: &Policy) -> Result<Outcome, Failure> {
    match payload {
        Payload::Artifact {
            digest: Some(claimed),
        } => {
            match artifact
                .digests()
                .find(|d| d.algorithm() == claimed.algorithm())
            {
                Some(digest) if digest == claimed => {
                    Ok(passed(format!("the signature is over the file, {claimed}")))
                }
                Some(digest) => Err(Failure::new(
                    digest.to_string(),
                    format!("messageDigest {claimed} in the bundle"),
                )),
                None => Ok(passed("the signature is over the file")),
            }
        }
        Payload::Artifact { digest: None } => Ok(passed("the signature is over the file")),
        Payload::Claims { .. } if !policy.check_claims => Ok(Outcome::Skipped {
            reason: "--check-claims=false was given".to_owned(),
        }),
        Payload::Claims {
            claims: Statements::SimpleSigning(payload),
            ..
        } => {
            let claimed = &payload.critical.image.docker_manifest_digest;
            if *claimed == artifact.digest {
                Ok(passed(claimed.to_string()))
            } else {
                Err(Failure::new(
                    format!("a signature of {}", artifact.digest),
                    format!("a signature of another image, {claimed}"),
                ))
            }
        }
        Payload::Claims {
            claims: Statements::InToto(statement),
            ..
        } => subject(statement, artifact),
    }
}

fn subject(statement: &Statement, artifact: &Artifact<'_>) -> Result<Outcome, Failure> {
    let named = artifact
        .digests()
        .find(|digest| statement.subjects_with(digest).next().is_some());
    if let Some(digest) = named {
        return Ok(passed(digest.to_string()));
    }
    let subjects: Vec<_> = statement
        .subject
        .iter()
        .flat_map(|s| s.digest.iter().map(|(name, hex)| format!("{name}:{hex}")))
        .take(3)
        .collect();
    Err(Failure::new(
        format!("a signature of {}", artifact.digest),
        if subjects.is_empty() {
            "a statement without a subject".to_owned()
        } else {
            format!("a signature of another artifact, {}", subjects.join(", "))
        },
    ))
}

fn annotations(
    signed: &Signed,
    digest: &Digest,
    wanted: &BTreeMap<String, String>,
) -> Result<Outcome, Failure> {
    if wanted.is_empty() {
        return Ok(Outcome::Skipped {
            reason: "none were asked for".to_owned(),
        });
    }
    let candidates = signed.annotations(digest);
    let value = |key: &str| {
        candidates
            .iter()
            .find_map(|annotations| annotations.get(key))
            .map(|value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
    };
    for (key, expected) in wanted {
        let found = match value(key) {
            Some(found) if found == *expected => continue,
            Some(found) => format!("annotation {key}={found}"),
            None => format!("no annotation {key}"),
        };
        return Err(Failure::new(format!("annotation {key}={expected}"), found));
    }
    let list: Vec<_> = wanted
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    Ok(passed(list.join(", ")))
}

fn log_check(
    signed: &Signed,
    signer: &PublicKey,
    context: &Context<'_>,
    stamped: &[i64],
    times: &mut Vec<i64>,
) -> Result<Outcome, Failure> {
    if let Requirement::NotChecked { reason } = &context.policy.log {
        return Ok(Outcome::Skipped {
            reason: format!("not checked, {reason}"),
        });
    }
    let proven = log::check(signed, signer, context.artifact, context.trust, stamped)?;
    times.extend(&proven.times);
    if !proven.evidence.is_empty() {
        return Ok(passed(proven.evidence.join(", ")));
    }
    let found = match proven.rejected.as_slice() {
        [] => "no log entry".to_owned(),
        reasons => reasons.join("; "),
    };
    match context.policy.log {
        Requirement::IfPresent if signed.log_entries.is_empty() => {
            Ok(Outcome::Skipped { reason: found })
        }
        _ => Err(
            Failure::new("an entry in a trusted transparency log", found)
                .remedy("--insecure-ignore-tlog accepts signatures without a look at the log"),
        ),
    }
}

fn timestamp_check(
    proven: &timestamp::Proven,
    requirement: &Requirement,
) -> Result<Outcome, Failure> {
    if let Requirement::NotChecked { reason } = requirement {
        return Ok(Outcome::Skipped {
            reason: format!("not checked, {reason}"),
        });
    }
    if !proven.evidence.is_empty() {
        return Ok(passed(proven.evidence.join(", ")));
    }
    let found = match proven.rejected.as_slice() {
        [] => "no timestamp".to_owned(),
        reasons => reasons.join("; "),
    };
    match requirement {
        // A timestamp that does not count leaves the signature as if it had none.
        Requirement::IfPresent => Ok(Outcome::Skipped { reason: found }),
        _ => Err(Failure::new("a timestamp by a trusted authority", found)),
    }
}
