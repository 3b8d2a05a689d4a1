//! The checks of what an attachment says: is it of the kind that is asked for, about this artifact, with these annotations
//! and this predicate?

use std::collections::BTreeMap;

use sealmark_formats::Digest;
use sealmark_formats::revocation::REVOCATION_V1;
use sealmark_formats::statement::{self, Statement};
use serde_json::Value;

use super::{Failure, not_applicable, passed};
use crate::artifact::Artifact;
use crate::policy::Kind;
use crate::report::Outcome;
use crate::signed::{By, Payload, Signed, Statements};

/// Whether the attachment is of the kind that is asked for.
pub(super) fn kind(payload: &Payload<'_>, wanted: &Kind) -> Result<Outcome, Failure> {
    let is = describe(payload);
    let fits = match (wanted, payload) {
        (Kind::ImageSignature, Payload::Claims { claims, .. }) => match claims {
            Statements::SimpleSigning(_) => true,
            Statements::InToto(s) => s.predicate_type == statement::COSIGN_SIGN_V1,
        },
        (Kind::BlobSignature | Kind::BlobSignatureOrStatement, Payload::Artifact { .. }) => true,
        (
            Kind::BlobSignatureOrStatement | Kind::Attestation(_),
            Payload::Claims {
                claims: Statements::InToto(s),
                ..
            },
        ) => match wanted {
            Kind::Attestation(wanted) if wanted.types.is_empty() => {
                ![statement::COSIGN_SIGN_V1, REVOCATION_V1].contains(&s.predicate_type.as_str())
            }
            Kind::Attestation(wanted) => wanted.types.iter().any(|t| t.matches(&s.predicate_type)),
            _ => s.predicate_type != REVOCATION_V1,
        },
        _ => false,
    };
    if fits {
        return Ok(passed(is));
    }
    Err(Failure::new(
        with_article(&wanted.to_string()),
        with_article(&is),
    ))
}

/// What a payload is, for people.
pub(super) fn describe(payload: &Payload<'_>) -> String {
    match payload {
        Payload::Claims {
            claims: Statements::SimpleSigning(payload),
            ..
        } => format!("image signature, {:?}", payload.critical.kind),
        Payload::Claims {
            claims: Statements::InToto(s),
            ..
        } if s.predicate_type == statement::COSIGN_SIGN_V1 => {
            format!("image signature, {}", s.predicate_type)
        }
        Payload::Claims {
            claims: Statements::InToto(s),
            ..
        } => format!("attestation of type {:?}", s.predicate_type),
        Payload::Artifact { .. } => "signature over the file".to_owned(),
    }
}

fn with_article(text: &str) -> String {
    match text.starts_with(['a', 'i']) {
        true => format!("an {text}"),
        false => format!("a {text}"),
    }
}

/// Whether the signature is of this artifact.
pub(super) fn digest(
    artifact: &Artifact<'_>,
    payload: &Payload<'_>,
    check_claims: bool,
) -> Result<Outcome, Failure> {
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
        Payload::Claims { .. } if !check_claims => Ok(Outcome::Skipped {
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

/// Whether the signed claims have these annotations.
pub(super) fn annotations(
    signed: &Signed<'_>,
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

/// Whether the predicate says what is asked for.
pub(super) fn predicate(signed: &Signed<'_>, wanted: &Kind, now: i64) -> Result<Outcome, Failure> {
    let Kind::Attestation(wanted) = wanted else {
        return Ok(not_applicable("no attestation was asked for"));
    };
    if wanted.predicate.is_empty() && wanted.slsa.is_none() && wanted.checks.is_empty() {
        return Ok(Outcome::Skipped {
            reason: "nothing was asked of it".to_owned(),
        });
    }
    let Payload::Claims {
        claims: Statements::InToto(statement),
        signed: bytes,
        ..
    } = &signed.payload
    else {
        return Err(Failure::new("a predicate", "none"));
    };
    let text = statement::predicate_of(&bytes.payload).map_or("null", |raw| raw.get());
    let value: Value = serde_json::from_str(text)
        .map_err(|error| Failure::new("a predicate that is JSON", error.to_string()))?;
    for condition in &wanted.predicate {
        condition
            .check(&value, now)
            .map_err(|found| Failure::new(condition.to_string(), found))?;
    }
    let mut list: Vec<_> = wanted.predicate.iter().map(ToString::to_string).collect();
    if let Some(expected) = &wanted.slsa {
        let identities: Vec<String> = match &signed.by {
            By::Certificate { leaf, .. } => {
                let names = leaf.subject_alt_names().iter();
                names.map(|name| name.value()).collect()
            }
            By::Key(_) => Vec::new(),
        };
        let said = expected
            .check(&statement.predicate_type, &value, &identities)
            .map_err(|mismatch| Failure::new(mismatch.expected, mismatch.found))?;
        list.push(said);
    }
    if !wanted.checks.is_empty() {
        let written = core::str::from_utf8(&bytes.payload)
            .map_err(|_| Failure::new("a statement that is JSON", "one that is not"))?;
        for check in &wanted.checks {
            let name = check.name();
            check
                .check(written)
                .map_err(|found| Failure::new(format!("{name}: {}", check.asks()), found))?;
            list.push(format!("{name}: yes"));
        }
    }
    Ok(passed(list.join(", ")))
}
