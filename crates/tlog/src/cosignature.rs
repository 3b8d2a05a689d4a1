//! Cosignatures: a witness says that it saw a checkpoint, and when.
//!
//! Format: <https://c2sp.org/tlog-cosignature>, `cosignature/v1` with Ed25519. A witness signs only checkpoints that
//! are consistent with all it has signed before of that log, so enough of them rule out a second view of the log.

use sealmark_keys::PublicKey;

use crate::note::{KeyKind, Note, VerifiedSignature, VerifierKey};
use crate::{Checkpoint, Error};

/// Letters of a key that a message shows.
const MAX_SHOWN: usize = 100;

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

/// Reads the verifier key of a witness, `NAME+HASH+BASE64` (<https://c2sp.org/signed-note#verifier-keys>), with an Ed25519
/// key of type 0x04 (cosignatures) or 0x01.
///
/// # Errors
/// [`Error::VerifierKey`] if it is not of that form, or its hash is not that of name and key.
pub fn witness_key(text: &str) -> Result<(String, PublicKey), Error> {
    let key: VerifierKey = text.parse()?;
    match key.kind() {
        KeyKind::CosignatureV1 | KeyKind::Ed25519 => {
            Ok((key.name().to_owned(), key.public_key().clone()))
        }
        KeyKind::Rsa | KeyKind::Spki => Err(Error::VerifierKey {
            key: text.chars().take(MAX_SHOWN).collect(),
            reason: "it is not of type 4 (cosignatures) or 1 (Ed25519)",
        }),
    }
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
