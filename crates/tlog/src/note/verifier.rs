//! Verifier keys: a public key with the name and the form in which it signs notes, as one line of text.
//!
//! Format: <https://c2sp.org/signed-note#verifier-keys>, `NAME+HASH+BASE64`.

use core::fmt;
use core::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_keys::{KeyType, PublicKey};

use super::{KeyKind, Note, VerifiedSignature, is_key_name, signer};
use crate::Error;

/// What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410, section 4).
const ED25519_SPKI: &[u8] = &[
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// The byte for ECDSA keys, which [`KeyKind`] does not need: their hash does not depend on it.
const ECDSA: u8 = 0x02;
/// Letters of a key that a message shows.
const MAX_SHOWN: usize = 100;

/// A public key as notes name it.
///
/// ```
/// use sealmark_tlog::note::VerifierKey;
/// let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
/// let key: VerifierKey = text.parse()?;
/// assert_eq!(key.name(), "PeterNeumann");
/// assert_eq!(key.to_string(), text);
/// # Ok::<(), sealmark_tlog::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    key: PublicKey,
}

impl VerifierKey {
    /// A key that signs in the way `kind` says.
    ///
    /// # Errors
    /// [`Error::VerifierKey`] if the name cannot be one, a key of this type does not sign so, or the form has no text:
    /// that of RSA keys, and of keys other than ECDSA that are named by their hash alone.
    pub fn new(name: &str, kind: KeyKind, key: PublicKey) -> Result<Self, Error> {
        let wrong = |reason| wrong(name, reason);
        if !is_key_name(name) {
            return Err(wrong("its name is not one that a key may have"));
        }
        let ecdsa = matches!(key.key_type(), KeyType::Ecdsa(_));
        let written = match kind {
            KeyKind::Ed25519 | KeyKind::CosignatureV1 => KeyKind::of(&key).contains(&kind),
            KeyKind::Spki => ecdsa,
            KeyKind::Rsa => false,
        };
        if !written {
            return Err(wrong("it is of a type that has no such verifier key"));
        }
        Ok(Self {
            name: name.to_owned(),
            kind,
            key,
        })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the key signs.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// What names the key in signature lines, beside its name.
    pub fn key_hash(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = *self.kind.key_hash(&self.name, &self.key).bytes();
        [a, b, c, d]
    }

    /// Checks that the note has a signature by this key, in its form. Every line that names the key must be right.
    ///
    /// # Errors
    /// As [`Note::verify_by`].
    pub fn verify(&self, note: &Note) -> Result<VerifiedSignature, Error> {
        note.verify_as(&[self.kind], Some(&self.name), &self.key)
    }
}

impl FromStr for VerifierKey {
    type Err = Error;

    /// Ed25519 for notes (type 0x01) and for cosignatures (0x04), and ECDSA (0x02).
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |reason| wrong(text, reason);
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(hash), Some(encoded)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong("it is not NAME+HASH+BASE64"));
        };
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|_| wrong("its key is not base64"))?;
        let (kind, spki) = match bytes.split_first() {
            Some((0x01, raw)) => (KeyKind::Ed25519, [ED25519_SPKI, raw].concat()),
            Some((0x04, raw)) => (KeyKind::CosignatureV1, [ED25519_SPKI, raw].concat()),
            Some((&ECDSA, der)) => (KeyKind::Spki, der.to_vec()),
            _ => {
                return Err(wrong(
                    "it is not of type 1 (Ed25519), 2 (ECDSA) or 4 (cosignatures)",
                ));
            }
        };
        let key = PublicKey::from_spki_der(&spki)
            .map_err(|_| wrong("it has no public key of its type"))?;
        let parsed = Self::new(name, kind, key)?;
        match hash.eq_ignore_ascii_case(&hex::encode(parsed.key_hash())) {
            true => Ok(parsed),
            false => Err(wrong("its hash is not that of name and key")),
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spki = self.key.spki_der();
        let (kind, key) = match self.kind {
            KeyKind::Ed25519 => (0x01, signer::raw_ed25519(spki)),
            KeyKind::CosignatureV1 => (0x04, signer::raw_ed25519(spki)),
            KeyKind::Rsa | KeyKind::Spki => (ECDSA, spki),
        };
        let key = STANDARD.encode([&[kind], key].concat());
        write!(f, "{}+{}+{key}", self.name, hex::encode(self.key_hash()))
    }
}

fn wrong(key: &str, reason: &'static str) -> Error {
    Error::VerifierKey {
        key: key.chars().take(MAX_SHOWN).collect(),
        reason,
    }
}
