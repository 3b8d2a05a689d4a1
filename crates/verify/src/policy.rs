//! What is asked of an artifact's evidence.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use sealmark_keys::PublicKey;
use sealmark_x509::FulcioExtension;

pub use sealmark_formats::predicate_type::PredicateType;

pub use crate::predicate::{Condition, Test};

/// A compiled pattern is not larger than this, in bytes.
const MAX_PATTERN: usize = 1 << 20;

/// What is asked of an artifact: it is verified if every demand is met.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The demands; at least one.
    pub demands: Vec<Demand>,
    /// Who may revoke signatures, beside those who made them.
    pub revokers: Vec<Signer>,
}

impl From<Demand> for Policy {
    fn from(demand: Demand) -> Self {
        Self {
            demands: vec![demand],
            revokers: Vec::new(),
        }
    }
}

/// Attachments of one kind, by so many of these signers, that meet every condition.
#[derive(Clone, Debug)]
pub struct Demand {
    /// What kind of attachment speaks for the artifact.
    pub kind: Kind,
    /// Who may have signed.
    pub signers: Vec<Signer>,
    /// How many different ones of [`signers`](Self::signers) must have signed; at least 1.
    pub threshold: usize,
    /// Annotations that the signed claims must have, with exactly these values.
    pub annotations: BTreeMap<String, String>,
    /// Whether the signed claims must name this artifact; `false` only on the user's demand.
    pub check_claims: bool,
    /// Whether a bundle of version 0.3 may carry its issuers' certificates too, against its format: cosign writes such
    /// bundles for certificates of one's own CA.
    pub allow_certificate_chain: bool,
    /// Whether transparency logs must prove the signature.
    pub log: Requirement,
    /// Witnesses that must have seen the log.
    pub witnesses: Option<Witnesses>,
    /// Whether timestamp authorities must prove the time of the signature.
    pub timestamp: Requirement,
    /// Whether CT logs must have promised to log the signer's certificate.
    pub sct: Requirement,
}

impl Demand {
    /// The strictest demand that any signature can meet: one of these signers, proven by a log, and, if it is by a
    /// certificate, that one promised to a CT log. Timestamps are checked where there are some.
    pub fn new(kind: Kind, signers: Vec<Signer>) -> Self {
        Self {
            kind,
            signers,
            threshold: 1,
            annotations: BTreeMap::new(),
            check_claims: true,
            allow_certificate_chain: false,
            log: Requirement::AtLeast(1),
            witnesses: None,
            timestamp: Requirement::IfPresent,
            sct: Requirement::AtLeast(1),
        }
    }
}

/// What kind of attachment speaks for the artifact.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A signature of an image. An attestation is not one, whatever it says.
    ImageSignature,
    /// A signature over a file's own bytes.
    BlobSignature,
    /// A signature over a file's own bytes, or a statement that has the file as a subject.
    BlobSignatureOrStatement,
    /// An attestation: a statement that has the artifact as a subject.
    Attestation(Attestation),
}

/// Which attestations speak for the artifact.
#[derive(Clone, Debug, Default)]
pub struct Attestation {
    /// The predicate types that count; with none of them, every type but that of an image signature.
    pub types: Vec<PredicateType>,
    /// What the predicate must say.
    pub predicate: Vec<Condition>,
    /// Every attestation of these types that is otherwise good must say so: one that does not makes the demand fail,
    /// whatever the others say.
    pub every: bool,
    /// What it must say as SLSA provenance, of either version.
    pub slsa: Option<Box<crate::slsa::Expected>>,
    /// Judgements of the statement that are made elsewhere; every one must be a yes.
    pub checks: Vec<Arc<dyn PredicateCheck>>,
}

/// A judgement of a statement by rules that this crate does not know, such as those of a policy language. It is pure:
/// the same statement always gets the same answer.
pub trait PredicateCheck: fmt::Debug + Send + Sync {
    /// What the rules are called, for reports.
    fn name(&self) -> String;
    /// What they ask, as it follows "expected …".
    fn asks(&self) -> String;
    /// Judges the statement, which is JSON; an error says what was found instead.
    fn check(&self, statement: &str) -> Result<(), String>;
}

/// Witnesses of a log's checkpoints (<https://c2sp.org/tlog-cosignature>).
#[derive(Clone, Debug)]
pub struct Witnesses {
    /// Names and Ed25519 keys.
    pub witnesses: Vec<(String, PublicKey)>,
    /// How many of them must have cosigned the checkpoint that an entry is proven by; at least 1.
    pub threshold: usize,
}

/// Who may have signed.
#[derive(Clone, Debug)]
pub enum Signer {
    /// The holder of this key.
    Key(PublicKey),
    /// The holder of a certificate for this identity.
    Identity(Identity),
}

/// An identity as a certificate attests it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The identity provider that vouched for it.
    pub issuer: Match,
    /// The subject alternative name; one of those in the certificate must match.
    pub subject: Match,
    /// Further extensions of Fulcio that must have exactly these values.
    pub extensions: Vec<(FulcioExtension, String)>,
}

/// How a text is compared.
#[derive(Clone, Debug)]
pub enum Match {
    /// It must be the same.
    Exact(String),
    /// The pattern must be found in it; `^` and `$` tie it to the ends.
    Pattern(Regex),
}

impl Match {
    /// A pattern in the syntax of RE2, as Go and Rust have it.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn pattern(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty, and would be found in everything".to_owned());
        }
        RegexBuilder::new(text)
            .size_limit(MAX_PATTERN)
            .build()
            .map(Self::Pattern)
            .map_err(|error| error.to_string())
    }

    /// Whether the text is as it must be.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(expected) => expected == text,
            Self::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => write!(f, "{text:?}"),
            Self::Pattern(pattern) => write!(f, "/{pattern}/"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImageSignature => f.write_str("image signature"),
            Self::BlobSignature => f.write_str("signature over the file"),
            Self::BlobSignatureOrStatement => {
                f.write_str("signature over the file, or statement about it")
            }
            Self::Attestation(wanted) if wanted.types.is_empty() => f.write_str("attestation"),
            Self::Attestation(wanted) => {
                let types: Vec<_> = wanted.types.iter().map(ToString::to_string).collect();
                write!(f, "attestation of type {}", types.join(" or "))
            }
        }
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "key {} ({})", key.id(), key.algorithm_name()),
            Self::Identity(identity) => {
                write!(
                    f,
                    "identity {} of issuer {}",
                    identity.subject, identity.issuer
                )?;
                for (extension, value) in &identity.extensions {
                    write!(f, " with {} {value:?}", extension.label())?;
                }
                Ok(())
            }
        }
    }
}

/// Whether a kind of proof is demanded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Requirement {
    /// An attachment with fewer, each from another log or authority, is not accepted. At least 1.
    AtLeast(usize),
    /// It is checked where it is there and can be, and counts only if it is good.
    IfPresent,
    /// It is not looked at, for this reason.
    NotChecked {
        /// Why not, for people: `no trusted root`.
        reason: String,
    },
}

impl Requirement {
    /// Not looked at, for this reason.
    pub fn not_checked(reason: impl Into<String>) -> Self {
        Self::NotChecked {
            reason: reason.into(),
        }
    }

    /// How many proofs are demanded.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::AtLeast(count) => (*count).max(1),
            Self::IfPresent | Self::NotChecked { .. } => 0,
        }
    }
}
