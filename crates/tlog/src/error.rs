//! What can be wrong with a proof, a note or a checkpoint.

use sealmark_keys::VerifyError;

use crate::{Hash, Tile};

/// Why a proof or a signed note was not accepted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text is not a verifier key.
    #[error("{key:?} is not a verifier key: {reason}")]
    VerifierKey {
        /// The text.
        key: String,
        /// Why not.
        reason: &'static str,
    },
    /// A witness policy is not one.
    #[error("{}{reason}", place(*line))]
    Policy {
        /// Which line, from 1; 0 for the whole.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A request to a witness is not one.
    #[error("not a request to a witness: {0}")]
    AddCheckpoint(&'static str),
    /// The numbers of a proof name nothing that exists.
    #[error("the {proof} proof makes no sense: {reason}")]
    Range {
        /// `inclusion`, `consistency`, `subtree inclusion` or `subtree consistency`.
        proof: &'static str,
        /// Which number is wrong, with the numbers.
        reason: String,
    },
    /// The number of hashes does not fit the index and the sizes.
    #[error(
        "the {proof} proof has {found} hashes, but {expected} belong to these indices and sizes"
    )]
    ProofLength {
        /// As in [`Error::Range`].
        proof: &'static str,
        /// How many there are.
        found: usize,
        /// How many there must be.
        expected: usize,
    },
    /// The hashes lead to another root.
    #[error("the {proof} proof leads to the root {calculated}, not to {expected}")]
    RootMismatch {
        /// As in [`Error::Range`].
        proof: &'static str,
        /// Where the hashes lead.
        calculated: Hash,
        /// Where they should lead.
        expected: Hash,
    },
    /// A tile or an entry bundle is not what it must be.
    #[error("{0}")]
    Tile(String),
    /// The hashes of a tile are not those that the checkpoint stands for.
    #[error("{tile} is damaged or of another log: its hashes do not lead to {expected}")]
    TileMismatch {
        /// Which tile.
        tile: Tile,
        /// Its root, by the tile above.
        expected: Hash,
    },
    /// A note could not be signed.
    #[error("cannot sign as {name:?}: {reason}")]
    Sign {
        /// The name of the key.
        name: String,
        /// What is wrong with the key, its name, or the text.
        reason: String,
    },
    /// The text is not a signed note.
    #[error("not a signed note: {0}")]
    Note(String),
    /// The text of a note is not a checkpoint.
    #[error("not a checkpoint: {0}")]
    Checkpoint(String),
    /// The checkpoint is of another log.
    #[error("the checkpoint is of the log {found:?}, not of {expected}")]
    Origin {
        /// The origin line.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// The proof beside a checkpoint is about another tree.
    #[error(
        "the proof is for a tree with {claimed_size} leaves and the root {claimed_root}, but the checkpoint is of one \
         with {size} leaves and the root {root}"
    )]
    OtherTree {
        /// Size of the checkpoint's tree.
        size: u64,
        /// Root of the checkpoint's tree.
        root: Hash,
        /// Size of the proof's tree.
        claimed_size: u64,
        /// Root of the proof's tree, in hex.
        claimed_root: String,
    },
    /// No signature line is by the key.
    #[error(
        "no signature on the note is by {expected}; signed by: {}",
        found.join(", ")
    )]
    NotSigned {
        /// The key, and the name it should sign with.
        expected: String,
        /// Name and key id of every signature line.
        found: Vec<String>,
    },
    /// A signature line names the key but was not made with it over this text.
    #[error("the note's signature by {signer} is wrong: {cause}")]
    Signature {
        /// Name and key id of the line.
        signer: String,
        /// What the check said.
        cause: VerifyError,
    },
    /// A signature line names the key, but its bytes cannot be such a signature.
    #[error("the note's signature by {signer} is wrong: {reason}")]
    SignatureForm {
        /// Name and key id of the line.
        signer: String,
        /// What is wrong with the bytes.
        reason: &'static str,
    },
}

fn place(line: usize) -> String {
    match line {
        0 => "the policy: ".to_owned(),
        line => format!("line {line} of the policy: "),
    }
}
