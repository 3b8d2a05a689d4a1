//! Cosignatures: a witness says that it saw a checkpoint, and when.
//!
//! Format: <https://c2sp.org/tlog-cosignature>, `cosignature/v1` with Ed25519. A witness signs only checkpoints that
//! are consistent with all it has signed before of that log, so enough of them rule out a second view of the log.

use base64::Engine as _;
use sealmark_keys::PublicKey;

use crate::note::{KeyKind, Note, VerifiedSignature, is_key_name};
use crate::{Checkpoint, Error};

/// What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410, section 4).
const ED25519_SPKI: &[u8] = &[
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
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
    let wrong = |reason: &'static str| Error::VerifierKey {
        key: text.chars().take(MAX_SHOWN).collect(),
        reason,
    };
    let mut parts = text.trim().splitn(3, '+');
    let (Some(name), Some(hash), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong("it is not NAME+HASH+BASE64"));
    };
    if !is_key_name(name) {
        return Err(wrong("its name is not one that a key may have"));
    }
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .map_err(|_| wrong("its key is not base64"))?;
    let (kind, raw) = match bytes.split_first() {
        Some((0x04, raw)) => (KeyKind::CosignatureV1, raw),
        Some((0x01, raw)) => (KeyKind::Ed25519, raw),
        _ => return Err(wrong("it is not of type 4 (cosignatures) or 1 (Ed25519)")),
    };
    let spki = [ED25519_SPKI, raw].concat();
    let key = PublicKey::from_spki_der(&spki).map_err(|_| wrong("it has no Ed25519 key"))?;
    match hash.eq_ignore_ascii_case(&hex(&kind.key_hash(name, &key).bytes()[..4])) {
        true => Ok((name.to_owned(), key)),
        false => Err(wrong("its hash is not that of name and key")),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
