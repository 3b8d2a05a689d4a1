//! What is asked of an artifact's evidence.

use std::collections::BTreeMap;

use sealmark_keys::PublicKey;

/// Every condition that one attachment must meet to be accepted.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What kind of attachment speaks for the artifact.
    pub kind: Kind,
    /// Who must have signed: any one of these.
    pub signers: Vec<PublicKey>,
    /// Annotations that the signed claims must have, with exactly these values.
    pub annotations: BTreeMap<String, String>,
    /// Whether the signed claims must name this artifact; `false` only on the user's demand.
    pub check_claims: bool,
    /// Whether a transparency log must prove the signature.
    pub log: Requirement,
    /// Whether a timestamp authority must prove the time of the signature.
    pub timestamp: Requirement,
}

/// What kind of attachment speaks for the artifact.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A signature of an image. An attestation is not one, whatever it says.
    ImageSignature,
    /// A signature over a file's own bytes.
    BlobSignature,
}

/// Whether a kind of proof is demanded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Requirement {
    /// An attachment without it is not accepted.
    Required,
    /// It is not looked at, for this reason.
    NotChecked {
        /// Why not, for people: `no trusted root`.
        reason: String,
    },
}
