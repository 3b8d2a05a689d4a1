//! Cosignatures: a witness says that it saw a checkpoint, and when.
//!
//! Format: <https://c2sp.org/tlog-cosignature>, `cosignature/v1` with Ed25519. A witness signs only checkpoints that
//! are consistent with all it has signed before of that log, so enough of them rule out a second view of the log.

use sealmark_keys::PublicKey;

use crate::note::{KeyKind, Note, VerifiedSignature};
use crate::{Checkpoint, Error};

/// A checkpoint that a witness has seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cosignature {
    /// The name of the witness. It is part of what was checked.
    pub witness: String,
    /// When the witness saw the checkpoint, in seconds since 1970; 0 if it does not say.
    pub timestamp: u64,
}

/// Checks that the witness with this name and Ed25519 key has cosigned the note, which must be a checkpoint.
///
/// # Errors
/// [`Error::Checkpoint`] if the note is not one, [`Error::NotSigned`] if no line names the witness' key (no other type
/// of key makes such cosignatures), [`Error::Signature`] or [`Error::SignatureForm`] if one does and is wrong.
pub fn verify(note: &Note, witness: &str, key: &PublicKey) -> Result<Cosignature, Error> {
    Checkpoint::parse(&note.text)?;
    let kinds: Vec<KeyKind> = KeyKind::of(key)
        .iter()
        .copied()
        .filter(|kind| *kind == KeyKind::CosignatureV1)
        .collect();
    let VerifiedSignature {
        name, timestamp, ..
    } = note.verify_as(&kinds, Some(witness), key)?;
    Ok(Cosignature {
        witness: name,
        timestamp: timestamp.unwrap_or(0),
    })
}

/// What a witness signs: the time, and the whole text of the note.
pub fn message(timestamp: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {timestamp}\n{text}")
}

/// The time and the signature in the bytes of a line, if they can be that.
pub(crate) fn split(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (timestamp, signature) = bytes.split_first_chunk::<8>()?;
    (signature.len() == 64).then(|| (u64::from_be_bytes(*timestamp), signature))
}
