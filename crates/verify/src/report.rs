//! The result of a verification: every check of every attachment, and the verdict that follows from them.

use std::collections::{BTreeMap, BTreeSet};

use sealmark_formats::Digest;
use sealmark_keys::PublicKey;
use sealmark_x509::Certificate;
use serde::Serialize;
use serde_json::Value;

use crate::evidence::Layout;
use crate::policy::{Demand, Kind};

/// The result.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Digest of the artifact.
    pub digest: Digest,
    /// What follows from the demands.
    pub verdict: Verdict,
    /// Each demand of the policy, in its order.
    pub demands: Vec<DemandReport>,
    /// Revocations that were found and do not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignored_revocations: Vec<IgnoredRevocation>,
    /// Where revocations were looked for.
    pub revocation_sources: Vec<RevocationSource>,
}

/// Where revocations were looked for.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RevocationSource {
    /// `attached`, `file` or `feed`.
    pub kind: &'static str,
    /// Which file or feed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// How many it has, believed or not, about whatever.
    pub revocations: usize,
    /// Until when it is complete (RFC 3339), if it says so in a way that can be verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

/// What came of one demand.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DemandReport {
    /// What kind of attachment was asked for.
    pub kind: String,
    /// What follows from the attachments.
    pub verdict: Verdict,
    /// How many of the signers were needed.
    pub threshold: usize,
    /// Who may sign, and who did.
    pub signers: Vec<SignerReport>,
    /// Every attachment that was considered, in the order in which it was found.
    pub attachments: Vec<Attachment>,
}

/// One of a demand's signers.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignerReport {
    /// The signer, for people.
    pub signer: String,
    /// Whether there is an accepted attachment by this signer.
    pub signed: bool,
}

/// What follows from the attachments of an artifact, the best first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As many attachments as were asked for passed every check.
    Verified,
    /// There is no attachment of the kind that was asked for.
    NoSignatures,
    /// There are attachments of the kind that was asked for, and none passed every check.
    NoMatchingSignatures,
}

/// One attachment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// In which form it was kept.
    #[serde(serialize_with = "layout_name")]
    pub layout: Layout,
    /// Where it was found.
    pub location: String,
    /// Digest of the manifest that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest_digest: Option<Digest>,
    /// Whether it passed every check.
    pub accepted: bool,
    /// Which of the demand's signers may have made it, and the id of the key, if it is accepted.
    #[serde(skip)]
    pub(crate) satisfies: Option<(Vec<usize>, Digest)>,
    /// Who made the signature; only if the attachment is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<Signer>,
    /// Whom an attachment that is not accepted names as its signer. The signature is that key's, and a check after it
    /// failed: nobody trusted may have vouched for the identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed_signer: Option<Signer>,
    /// What is signed; only if the signature was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<Claims>,
    /// Where trusted logs and timestamp authorities have seen the signature, and when.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<Sighting>,
    /// When the certificate was issued, if there is one.
    #[serde(skip)]
    pub(crate) certified: Option<i64>,
    /// SHA-256 of the signature's bytes, if it could be read.
    #[serde(skip)]
    pub signature_digest: Option<Digest>,
    /// The location of an earlier attachment that has the same signature over the same content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<String>,
    /// Every check, in the order in which it was made.
    pub checks: Vec<Check>,
}

fn layout_name<S: serde::Serializer>(layout: &Layout, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(layout.name())
}

/// Who made a verified signature. Whether to believe in that identity or key is what the other checks say.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Signer {
    /// `sha256:` and the SHA-256 of the key's SPKI in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Subject alternative names of the certificate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
    /// The identity provider that the certificate names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The signature scheme.
    pub algorithm: String,
}

impl Signer {
    pub(crate) fn key(key: &PublicKey, algorithm: String) -> Self {
        Self {
            key_id: Some(key.id().to_string()),
            subjects: Vec::new(),
            issuer: None,
            algorithm,
        }
    }

    pub(crate) fn certificate(leaf: &Certificate, algorithm: String) -> Self {
        Self {
            key_id: None,
            subjects: leaf
                .subject_alt_names()
                .iter()
                .map(|name| name.value().to_string())
                .collect(),
            issuer: leaf.fulcio().issuer().map(str::to_owned),
            algorithm,
        }
    }
}

/// A trusted log or timestamp authority has seen the signature.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sighting {
    /// Its URL.
    pub by: String,
    /// Which entry of the log; `None` for a timestamp.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_index: Option<u64>,
    /// When, RFC 3339; a Rekor v2 gives no time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The log's id as a trusted root has it, in hex.
    #[serde(skip)]
    pub log_id: Option<String>,
    /// The time, in seconds since 1970.
    #[serde(skip)]
    pub seconds: Option<i64>,
}

/// A revocation that was found and does not count.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct IgnoredRevocation {
    /// Where it was found.
    pub location: String,
    /// Why it does not count.
    pub reason: String,
}

/// What a verified signature says.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// The predicate type of a statement, or the `critical.type` of a simple signing payload.
    #[serde(rename = "type")]
    pub claim_type: String,
    /// Where the signer saw the image; signed, yet not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_reference: Option<String>,
    /// The first digests that are signed for, `ALGORITHM:HEX`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub digests: Vec<String>,
    /// The signer's annotations.
    pub annotations: BTreeMap<String, Value>,
}

/// One check of one attachment.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Check {
    /// Which check.
    #[serde(rename = "check")]
    pub name: CheckName,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The checks, in the order in which they are made.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckName {
    /// The attachment is of a known, well-formed format.
    Format,
    /// It is of the kind that the policy asks for.
    Kind,
    /// A key made the signature: one of the policy, or the certificate's.
    Signature,
    /// The certificate is for an identity of the policy.
    Identity,
    /// The signed claims name this artifact.
    Digest,
    /// The signed claims have the annotations of the policy.
    Annotations,
    /// A transparency log has the signature.
    TransparencyLog,
    /// A timestamp authority saw the signature.
    Timestamp,
    /// The certificate is by a trusted authority and was valid when the signature was made.
    Certificate,
    /// A CT log promised to log the certificate.
    Sct,
    /// The predicate says what the policy asks for.
    Predicate,
    /// Nobody who may has revoked it.
    Revocation,
}

impl CheckName {
    /// Every check, in order.
    pub const ALL: [Self; 12] = [
        Self::Format,
        Self::Kind,
        Self::Signature,
        Self::Identity,
        Self::Digest,
        Self::Annotations,
        Self::TransparencyLog,
        Self::Timestamp,
        Self::Certificate,
        Self::Sct,
        Self::Predicate,
        Self::Revocation,
    ];

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Kind => "kind",
            Self::Signature => "signature",
            Self::Identity => "identity",
            Self::Digest => "digest",
            Self::Annotations => "annotations",
            Self::TransparencyLog => "transparency log",
            Self::Timestamp => "timestamp",
            Self::Certificate => "certificate",
            Self::Sct => "certificate transparency",
            Self::Predicate => "predicate",
            Self::Revocation => "revocation",
        }
    }
}

/// What came of a check.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It holds.
    Passed {
        /// What shows it.
        evidence: String,
    },
    /// It does not hold: the attachment is not accepted.
    Failed {
        /// What would have passed.
        expected: String,
        /// What was there.
        found: String,
        /// What makes it pass, if there is something that the reader can do.
        #[serde(skip_serializing_if = "Option::is_none")]
        remedy: Option<String>,
    },
    /// It was not made, and the attachment can be accepted all the same.
    Skipped {
        /// Why.
        reason: String,
    },
    /// There is nothing to check, e.g. no certificate where a key signed.
    NotApplicable {
        /// Why.
        reason: String,
    },
    /// It was not made since an earlier check failed.
    NotReached,
}

impl Report {
    pub(crate) fn new(
        digest: Digest,
        demands: Vec<DemandReport>,
        ignored_revocations: Vec<IgnoredRevocation>,
        revocation_sources: Vec<RevocationSource>,
    ) -> Self {
        Self {
            digest,
            verdict: demands
                .iter()
                .map(|demand| demand.verdict)
                .max()
                .unwrap_or(Verdict::NoSignatures),
            demands,
            ignored_revocations,
            revocation_sources,
        }
    }

    /// Every attachment of every demand.
    pub fn attachments(&self) -> impl Iterator<Item = &Attachment> {
        self.demands.iter().flat_map(|demand| &demand.attachments)
    }

    /// The attachments that passed every check.
    pub fn accepted(&self) -> impl Iterator<Item = &Attachment> {
        self.attachments().filter(|attachment| attachment.accepted)
    }
}

impl DemandReport {
    pub(crate) fn new(demand: &Demand, attachments: Vec<Attachment>) -> Self {
        let signed_by = |index| {
            attachments.iter().any(
                |attachment| matches!(&attachment.satisfies, Some((by, _)) if by.contains(&index)),
            )
        };
        Self {
            kind: demand.kind.to_string(),
            verdict: verdict(demand, &attachments),
            threshold: demand.threshold,
            signers: demand
                .signers
                .iter()
                .enumerate()
                .map(|(index, signer)| SignerReport {
                    signer: signer.to_string(),
                    signed: signed_by(index),
                })
                .collect(),
            attachments,
        }
    }
}

impl Attachment {
    /// The check that failed, if one did.
    pub fn failure(&self) -> Option<&Check> {
        self.checks
            .iter()
            .find(|check| matches!(check.outcome, Outcome::Failed { .. }))
    }

    /// Makes the last check, and says what follows from it.
    pub(crate) fn end_with(&mut self, outcome: Outcome) {
        let failed = matches!(outcome, Outcome::Failed { .. });
        if let Some(last) = self.checks.last_mut() {
            last.outcome = outcome;
        }
        if failed && self.accepted {
            self.accepted = false;
            self.satisfies = None;
            self.claimed_signer = self.signer.take();
        }
    }

    fn failed_at(&self, name: CheckName) -> bool {
        self.failure().is_some_and(|check| check.name == name)
    }
}

/// The verdict that follows from the attachments alone.
fn verdict(demand: &Demand, attachments: &[Attachment]) -> Verdict {
    let every = matches!(&demand.kind, Kind::Attestation(wanted) if wanted.every);
    let one_says_otherwise = every
        && attachments
            .iter()
            .any(|attachment| attachment.failed_at(CheckName::Predicate));
    if !one_says_otherwise && signers(attachments) >= demand.threshold.max(1) {
        return Verdict::Verified;
    }
    // Something unreadable may have been a signature: it is a failure, not an absence.
    if attachments
        .iter()
        .all(|attachment| attachment.failed_at(CheckName::Kind))
    {
        Verdict::NoSignatures
    } else {
        Verdict::NoMatchingSignatures
    }
}

/// How many signers there are such that each has a key of its own: whoever is named twice, by key and by identity, is
/// one signer all the same.
fn signers(attachments: &[Attachment]) -> usize {
    let mut keys_of: BTreeMap<usize, BTreeSet<&Digest>> = BTreeMap::new();
    for (signers, key) in attachments
        .iter()
        .filter(|attachment| attachment.accepted)
        .filter_map(|attachment| attachment.satisfies.as_ref())
    {
        for signer in signers {
            keys_of.entry(*signer).or_default().insert(key);
        }
    }
    let mut signer_of: BTreeMap<&Digest, usize> = BTreeMap::new();
    let signers: Vec<usize> = keys_of.keys().copied().collect();
    signers
        .into_iter()
        .filter(|signer| assign(*signer, &keys_of, &mut signer_of, &mut BTreeSet::new()))
        .count()
}

/// Gives the signer a key of its own, if need be by giving others another of theirs (Kuhn's bipartite matching).
fn assign<'a>(
    signer: usize,
    keys_of: &BTreeMap<usize, BTreeSet<&'a Digest>>,
    signer_of: &mut BTreeMap<&'a Digest, usize>,
    tried: &mut BTreeSet<&'a Digest>,
) -> bool {
    for key in &keys_of[&signer] {
        if !tried.insert(key) {
            continue;
        }
        let free = match signer_of.get(key).copied() {
            None => true,
            Some(other) => assign(other, keys_of, signer_of, tried),
        };
        if free {
            signer_of.insert(key, signer);
            return true;
        }
    }
    false
}
