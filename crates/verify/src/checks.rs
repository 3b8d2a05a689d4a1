//! The checks of one attachment, in order. A check that fails ends them: what comes after it is not reached.

use std::collections::BTreeMap;

use sealmark_formats::bundle::{self, MessageSignature};
use sealmark_formats::simple_signing::SimpleSigning;
use sealmark_formats::statement::{self, Statement};
use sealmark_formats::{Digest, dsse};
use sealmark_keys::PublicKey;
use serde_json::Value;

use crate::artifact::Artifact;
use crate::evidence::{Content, Evidence};
use crate::policy::{Kind, Policy, Requirement};
use crate::report::{Attachment, Check, CheckName, Claims, Outcome, Signer};

const ORDER: [CheckName; 7] = [
    CheckName::Format,
    CheckName::Kind,
    CheckName::Signature,
    CheckName::Digest,
    CheckName::Annotations,
    CheckName::TransparencyLog,
    CheckName::Timestamp,
];

/// An attachment's signed content, read but not believed.
enum Signed<'a> {
    /// Bytes that carry the claims themselves, and the signature over them.
    Payload {
        bytes: Vec<u8>,
        signature: &'a [u8],
        claims: ClaimsAbout,
    },
    /// A signature over the artifact's own bytes.
    Artifact {
        signature: &'a [u8],
        digest: Option<&'a Digest>,
    },
}

/// What a signed payload says of which artifacts.
enum ClaimsAbout {
    SimpleSigning(SimpleSigning),
    Statement(Statement),
}

/// Why a check failed.
struct Failure {
    expected: String,
    found: String,
    remedy: Option<String>,
}

impl Failure {
    fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            found: found.into(),
            remedy: None,
        }
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

type CheckResult<T> = Result<(T, Outcome), Failure>;

fn passed(evidence: impl Into<String>) -> Outcome {
    Outcome::Passed {
        evidence: evidence.into(),
    }
}

/// Runs the checks.
pub(crate) fn run(artifact: &Artifact<'_>, evidence: &Evidence, policy: &Policy) -> Attachment {
    let mut attachment = Attachment {
        layout: evidence.source.layout,
        location: evidence.source.location.clone(),
        manifest_digest: evidence.source.manifest.clone(),
        accepted: false,
        signer: None,
        claims: None,
        duplicate_of: None,
        checks: Vec::new(),
    };
    let failure = in_order(artifact, evidence, policy, &mut attachment).err();
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
            name: ORDER[attachment.checks.len()],
            outcome,
        });
    }
    for name in &ORDER[attachment.checks.len()..] {
        attachment.checks.push(Check {
            name: *name,
            outcome: Outcome::NotReached,
        });
    }
    attachment
}

fn in_order(
    artifact: &Artifact<'_>,
    evidence: &Evidence,
    policy: &Policy,
    attachment: &mut Attachment,
) -> Result<(), Failure> {
    let checks = &mut attachment.checks;
    let mut done = |outcome| {
        checks.push(Check {
            name: ORDER[checks.len()],
            outcome,
        })
    };

    let (signed, outcome) = format(&evidence.content)?;
    done(outcome);
    done(kind(&signed, policy.kind)?);
    let (signer, outcome) = signature(artifact, &signed, &evidence.content, &policy.signers)?;
    attachment.signer = Some(signer);
    done(outcome);
    attachment.claims = signed.claims();
    done(digest(artifact, &signed, policy)?);
    done(annotations(&signed, &artifact.digest, &policy.annotations)?);
    done(log(&evidence.content, &policy.log)?);
    done(timestamp(&evidence.content, &policy.timestamp)?);
    Ok(())
}

fn format(content: &Content) -> CheckResult<Signed<'_>> {
    let malformed = |reason: String| Failure::new("a well-formed signature or attestation", reason);
    let simple_signing = |payload: &[u8]| {
        SimpleSigning::parse(payload)
            .map(ClaimsAbout::SimpleSigning)
            .map_err(|error| malformed(error.to_string()))
    };
    match content {
        Content::Unreadable(reason) => Err(malformed(reason.clone())),
        Content::Bundle(bundle) => match &bundle.content {
            bundle::Content::Dsse(envelope) => Ok((
                in_envelope(envelope)?,
                passed(format!(
                    "Sigstore bundle with a DSSE envelope, {}",
                    bundle.media_type
                )),
            )),
            bundle::Content::MessageSignature(MessageSignature { digest, signature }) => Ok((
                Signed::Artifact {
                    signature,
                    digest: digest.as_ref(),
                },
                passed(format!(
                    "Sigstore bundle with a message signature, {}",
                    bundle.media_type
                )),
            )),
        },
        Content::SimpleSigning(detached) => Ok((
            Signed::Payload {
                claims: simple_signing(&detached.payload)?,
                bytes: detached.payload.clone(),
                signature: &detached.signature,
            },
            passed("simple signing payload with a signature"),
        )),
        Content::Envelope(_) => Ok((
            // Only the kind of it matters so far: legacy attestations are never signatures.
            Signed::Payload {
                bytes: Vec::new(),
                signature: &[],
                claims: legacy_statement(content).map_err(malformed)?,
            },
            passed("DSSE envelope"),
        )),
        Content::Blob(detached) => Ok((
            Signed::Artifact {
                signature: &detached.signature,
                digest: None,
            },
            passed("a signature of its own"),
        )),
    }
}

fn legacy_statement(content: &Content) -> Result<ClaimsAbout, String> {
    let Content::Envelope(detached) = content else {
        return Err("not an envelope".to_owned());
    };
    let envelope = dsse::Envelope::parse(&detached.payload).map_err(|error| error.to_string())?;
    Statement::parse(&envelope.payload)
        .map(ClaimsAbout::Statement)
        .map_err(|error| error.to_string())
}

fn in_envelope(envelope: &dsse::Envelope) -> Result<Signed<'_>, Failure> {
    if envelope.payload_type != dsse::IN_TOTO_PAYLOAD_TYPE {
        return Err(Failure::new(
            format!("payloadType {:?}", dsse::IN_TOTO_PAYLOAD_TYPE),
            format!("payloadType {:?}", envelope.payload_type),
        ));
    }
    let statement = Statement::parse(&envelope.payload)
        .map_err(|error| Failure::new("an in-toto statement", error.to_string()))?;
    let [signature] = envelope.signatures.as_slice() else {
        return Err(Failure::new(
            "exactly one signature in the envelope",
            format!("{}", envelope.signatures.len()),
        ));
    };
    Ok(Signed::Payload {
        bytes: envelope.pae(),
        signature: &signature.sig,
        claims: ClaimsAbout::Statement(statement),
    })
}

fn kind(signed: &Signed<'_>, wanted: Kind) -> Result<Outcome, Failure> {
    let statement_type = |statement: &Statement| statement.predicate_type.clone();
    match (wanted, signed) {
        (
            Kind::ImageSignature,
            Signed::Payload {
                claims: ClaimsAbout::SimpleSigning(payload),
                ..
            },
        ) => Ok(passed(format!(
            "image signature, {:?}",
            payload.critical.kind
        ))),
        (
            Kind::ImageSignature,
            Signed::Payload {
                claims: ClaimsAbout::Statement(s),
                ..
            },
        ) => {
            if s.predicate_type == statement::COSIGN_SIGN_V1 {
                Ok(passed(format!("image signature, {}", s.predicate_type)))
            } else {
                Err(Failure::new(
                    "an image signature",
                    format!(
                        "an attestation of type {:?}, which approves nothing by itself",
                        statement_type(s)
                    ),
                ))
            }
        }
        (Kind::ImageSignature, Signed::Artifact { .. }) => Err(Failure::new(
            "an image signature",
            "a signature over a file (made with sign-blob)",
        )),
        (Kind::BlobSignature, Signed::Artifact { .. }) => Ok(passed("signature over the file")),
        (Kind::BlobSignature, Signed::Payload { claims, .. }) => Err(Failure::new(
            "a signature over the file itself",
            match claims {
                ClaimsAbout::Statement(s) => {
                    format!("an attestation of type {:?}", statement_type(s))
                }
                ClaimsAbout::SimpleSigning(_) => "an image signature".to_owned(),
            },
        )),
    }
}

fn signature(
    artifact: &Artifact<'_>,
    signed: &Signed<'_>,
    content: &Content,
    signers: &[PublicKey],
) -> CheckResult<Signer> {
    let expected = || match signers {
        [key] => format!("a signature by key {} ({})", key.id(), key.algorithm_name()),
        keys => format!("a signature by one of {} keys", keys.len()),
    };
    let mut reasons = Vec::new();
    for key in signers {
        let verified = match signed {
            Signed::Payload {
                bytes, signature, ..
            } => key
                .verify(bytes, signature)
                .map_err(|error| error.to_string()),
            Signed::Artifact { signature, .. } => over_artifact(key, artifact, signature),
        };
        match verified {
            Ok(scheme) => {
                let signer = Signer {
                    key_id: key.id().to_string(),
                    algorithm: scheme.describe(key.key_type()),
                };
                let outcome = passed(format!("{} by key {}", signer.algorithm, signer.key_id));
                return Ok((signer, outcome));
            }
            Err(reason) => reasons.push(reason),
        }
    }
    let hint = claimed_signer(content);
    let is_hinted = |key: &PublicKey| hint.as_ref() == Some(&key.id().to_string());
    let found = match &hint {
        Some(hint) if !signers.iter().any(is_hinted) => {
            format!("a signature that names another signer: {hint}")
        }
        _ => reasons
            .first()
            .cloned()
            .unwrap_or_else(|| "no key to check it with".to_owned()),
    };
    Err(Failure::new(expected(), found)
        .remedy("give the public key of the signer with --key, if it is to be trusted"))
}

/// Checks a signature over the artifact's bytes: from a digest where the scheme allows, else from the bytes.
fn over_artifact(
    key: &PublicKey,
    artifact: &Artifact<'_>,
    signature: &[u8],
) -> Result<sealmark_keys::Scheme, String> {
    let mut reason = None;
    for digest in artifact.digests() {
        match key.verify_digest(digest, signature) {
            Ok(scheme) => return Ok(scheme),
            Err(error) => reason = Some(error.to_string()),
        }
    }
    if let (sealmark_keys::KeyType::Ed25519, Some(bytes)) = (key.key_type(), artifact.bytes) {
        let mut verifier = key.stream_verifier(signature, None);
        bytes.read(&mut |piece| verifier.update(piece))?;
        return verifier
            .finish()
            .map(|(scheme, _)| scheme)
            .map_err(|error| error.to_string());
    }
    Err(reason.unwrap_or_else(|| "the artifact has no digest".to_owned()))
}

/// The signer that an attachment names for itself. It is no reason to trust it; it only explains a failure.
fn claimed_signer(content: &Content) -> Option<String> {
    match content {
        Content::Bundle(bundle) => match &bundle.material {
            material @ bundle::Material::PublicKey { .. } => {
                material.key_digest().map(|digest| digest.to_string())
            }
            _ => Some("a certificate (keyless signing)".to_owned()),
        },
        Content::SimpleSigning(d) | Content::Envelope(d) | Content::Blob(d) => d
            .certificate
            .as_ref()
            .map(|_| "a certificate (keyless signing)".to_owned()),
        Content::Unreadable(_) => None,
    }
}

fn digest(
    artifact: &Artifact<'_>,
    signed: &Signed<'_>,
    policy: &Policy,
) -> Result<Outcome, Failure> {
    match signed {
        Signed::Artifact {
            digest: Some(claimed),
            ..
        } => {
            match artifact
                .digests()
                .find(|d| d.algorithm() == claimed.algorithm())
            {
                Some(digest) if digest == *claimed => {
                    Ok(passed(format!("the signature is over the file, {claimed}")))
                }
                Some(digest) => Err(Failure::new(
                    digest.to_string(),
                    format!("messageDigest {claimed} in the bundle"),
                )),
                None => Ok(passed("the signature is over the file")),
            }
        }
        Signed::Artifact { digest: None, .. } => Ok(passed("the signature is over the file")),
        Signed::Payload { .. } if !policy.check_claims => Ok(Outcome::Skipped {
            reason: "--check-claims=false was given".to_owned(),
        }),
        Signed::Payload {
            claims: ClaimsAbout::SimpleSigning(payload),
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
        Signed::Payload {
            claims: ClaimsAbout::Statement(statement),
            ..
        } => {
            if statement.subjects_with(&artifact.digest).next().is_some() {
                return Ok(passed(artifact.digest.to_string()));
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
    }
}

impl Signed<'_> {
    fn claims(&self) -> Option<Claims> {
        match self {
            Self::Artifact { .. } => None,
            Self::Payload {
                claims: ClaimsAbout::SimpleSigning(payload),
                ..
            } => Some(Claims {
                claim_type: payload.critical.kind.clone(),
                docker_reference: Some(payload.critical.identity.docker_reference.clone()),
                annotations: payload.optional.clone().unwrap_or_default(),
            }),
            Self::Payload {
                claims: ClaimsAbout::Statement(statement),
                ..
            } => Some(Claims {
                claim_type: statement.predicate_type.clone(),
                docker_reference: None,
                annotations: match statement.subject.as_slice() {
                    [subject] => subject.annotations.clone(),
                    _ => BTreeMap::new(),
                },
            }),
        }
    }

    /// The annotations that speak for the artifact with this digest.
    fn annotations<'a>(&'a self, digest: &'a Digest) -> Vec<&'a BTreeMap<String, Value>> {
        match self {
            Self::Artifact { .. } => Vec::new(),
            Self::Payload {
                claims: ClaimsAbout::SimpleSigning(payload),
                ..
            } => payload.optional.iter().collect(),
            Self::Payload {
                claims: ClaimsAbout::Statement(statement),
                ..
            } => statement
                .subjects_with(digest)
                .map(|subject| &subject.annotations)
                .collect(),
        }
    }
}

fn annotations(
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
        match value(key) {
            Some(found) if found == *expected => {}
            Some(found) => {
                return Err(Failure::new(
                    format!("annotation {key}={expected}"),
                    format!("annotation {key}={found}"),
                ));
            }
            None => {
                return Err(Failure::new(
                    format!("annotation {key}={expected}"),
                    format!("no annotation {key}"),
                ));
            }
        }
    }
    let list: Vec<_> = wanted
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    Ok(passed(list.join(", ")))
}

fn log(content: &Content, requirement: &Requirement) -> Result<Outcome, Failure> {
    let entries = match content {
        Content::Bundle(bundle) => bundle.log_entries.len(),
        Content::SimpleSigning(d) | Content::Envelope(d) | Content::Blob(d) => {
            usize::from(d.log_entry.is_some())
        }
        Content::Unreadable(_) => 0,
    };
    match requirement {
        Requirement::NotChecked { reason } => Ok(Outcome::Skipped {
            reason: format!("not checked, {reason}"),
        }),
        Requirement::Required if entries == 0 => Err(Failure::new(
            "an entry in a transparency log of the trusted root",
            "no log entry",
        )
        .remedy("--insecure-ignore-tlog accepts signatures that are in no log")),
        Requirement::Required => Err(Failure::new(
            "an entry in a transparency log of the trusted root",
            format!("{entries} log entries, and checking them is not supported by this version"),
        )
        .remedy("--insecure-ignore-tlog accepts signatures without a look at the log")),
    }
}

fn timestamp(content: &Content, requirement: &Requirement) -> Result<Outcome, Failure> {
    let timestamps = match content {
        Content::Bundle(bundle) => bundle.timestamps.len(),
        Content::SimpleSigning(d) | Content::Envelope(d) | Content::Blob(d) => d.timestamps.len(),
        Content::Unreadable(_) => 0,
    };
    match requirement {
        Requirement::NotChecked { reason } => Ok(Outcome::Skipped {
            reason: format!("not checked, {reason}"),
        }),
        Requirement::Required => Err(Failure::new(
            "a timestamp by an authority of the trusted root",
            if timestamps == 0 {
                "no timestamp".to_owned()
            } else {
                format!("{timestamps} timestamps, and checking them is not supported yet")
            },
        )),
    }
}
