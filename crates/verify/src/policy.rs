//! What is asked of an artifact's evidence.

use core::fmt;
use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};
use sealmark_keys::PublicKey;
use sealmark_x509::FulcioExtension;

/// A compiled pattern is not larger than this, in bytes.
const MAX_PATTERN: usize = 1 << 20;

/// Every condition that attachments must meet to be accepted, and how many of them are needed.
#[derive(Clone, Debug)]
pub struct Policy {
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
    /// Whether a transparency log must prove the signature.
    pub log: Requirement,
    /// Whether a timestamp authority must prove the time of the signature.
    pub timestamp: Requirement,
    /// Whether a CT log must have promised to log the signer's certificate.
    pub sct: Requirement,
}

/// What kind of attachment speaks for the artifact.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A signature of an image. An attestation is not one, whatever it says.
    ImageSignature,
    /// A signature over a file's own bytes.
    BlobSignature,
    /// A signature over a file's own bytes, or a statement that has the file as a subject.
    BlobSignatureOrStatement,
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
    /// An attachment without it is not accepted.
    Required,
    /// It is checked where it is there and can be, and counts only if it is good.
    IfPresent,
    /// It is not looked at, for this reason.
    NotChecked {
        /// Why not, for people: `no trusted root`.
        reason: String,
    },
}
