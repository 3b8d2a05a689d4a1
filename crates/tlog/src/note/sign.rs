//! Signing notes: the signature lines that logs and witnesses write.

use core::fmt;

use sealmark_keys::{KeyType, PrivateKey, PublicKey};

use super::{KeyKind, Note, NoteSignature, VerifierKey, is_key_name};
use crate::{Checkpoint, Error, cosignature};

/// A private key with the name it has in notes.
#[derive(Clone)]
pub struct NoteSigner {
    name: String,
    kind: KeyKind,
    key: PrivateKey,
}

impl NoteSigner {
    /// A log's key: Ed25519 as type 0x01, ECDSA named by the hash of the public key alone. The name of a Rekor v1 is
    /// its host, without the tree that its origin ends with; of any other log, its origin.
    ///
    /// # Errors
    /// [`Error::Sign`] if the name cannot be one.
    pub fn log(name: &str, key: PrivateKey) -> Result<Self, Error> {
        let kind = match key.key_type() {
            KeyType::Ed25519 => KeyKind::Ed25519,
            KeyType::Rsa { .. } => KeyKind::Rsa,
            _ => KeyKind::Spki,
        };
        Self::new(name, kind, key)
    }

    /// A witness' key, which must be Ed25519.
    ///
    /// # Errors
    /// [`Error::Sign`] if the name cannot be one, or the key is of another type.
    pub fn witness(name: &str, key: PrivateKey) -> Result<Self, Error> {
        Self::new(name, KeyKind::CosignatureV1, key)
    }

    /// A key that signs in the way `kind` says.
    ///
    /// # Errors
    /// [`Error::Sign`] if the name cannot be one, or a key of this type cannot sign so.
    pub fn new(name: &str, kind: KeyKind, key: PrivateKey) -> Result<Self, Error> {
        let error = |reason: String| Error::Sign {
            name: name.chars().take(120).collect(),
            reason,
        };
        if !is_key_name(name) {
            let rule = "a name must not be empty, nor have a space, a plus or a control character";
            return Err(error(rule.to_owned()));
        }
        if !KeyKind::of(key.public_key()).contains(&kind) {
            let key = key.key_type();
            return Err(error(format!(
                "a key of the type {key} does not sign notes as {kind:?}"
            )));
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
        self.key.public_key()
    }

    /// The key that checks what this one signs, for others to be told.
    ///
    /// # Errors
    /// [`Error::VerifierKey`] if keys of its form have no such text, see [`VerifierKey::new`].
    pub fn verifier_key(&self) -> Result<VerifierKey, Error> {
        VerifierKey::new(&self.name, self.kind, self.public_key().clone())
    }

    /// The signature line for a text. `timestamp`, in seconds since 1970, is part of a cosignature and of nothing else.
    ///
    /// # Errors
    /// [`Error::Sign`] if the key's engine fails.
    pub fn sign(&self, text: &str, timestamp: u64) -> Result<NoteSignature, Error> {
        let sign = |message: &[u8]| {
            self.key.sign(message).map_err(|error| Error::Sign {
                name: self.name.clone(),
                reason: error.to_string(),
            })
        };
        let signature = if self.kind == KeyKind::CosignatureV1 {
            let mut bytes = timestamp.to_be_bytes().to_vec();
            bytes.extend(sign(cosignature::message(timestamp, text).as_bytes())?);
            bytes
        } else {
            sign(text.as_bytes())?
        };
        let [a, b, c, d, ..] = *self.kind.key_hash(&self.name, self.public_key()).bytes();
        Ok(NoteSignature {
            name: self.name.clone(),
            key_hash: [a, b, c, d],
            signature,
        })
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteSigner")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Note {
    /// A note with one line by each signer.
    ///
    /// # Errors
    /// [`Error::Note`] if the text cannot be that of a note; [`Error::Sign`].
    pub fn sign(text: &str, timestamp: u64, signers: &[NoteSigner]) -> Result<Self, Error> {
        let signatures = signers.iter().map(|signer| signer.sign(text, timestamp));
        let note = Self {
            text: text.to_owned(),
            signatures: signatures.collect::<Result<_, _>>()?,
        };
        // Whatever its readers refuse must not get a signature that leaves this function.
        Self::parse(&note.to_string())
    }
}

impl Checkpoint {
    /// This checkpoint as a note with one line by each signer; `timestamp` as in [`NoteSigner::sign`].
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the origin or an extension line could not be read again; as [`Note::sign`].
    pub fn sign(&self, timestamp: u64, signers: &[NoteSigner]) -> Result<Note, Error> {
        let text = self.to_string();
        if Self::parse(&text)? != *self {
            let reason = "the origin or an extension contains the end of a line";
            return Err(Error::Checkpoint(reason.to_owned()));
        }
        Note::sign(&text, timestamp, signers)
    }
}
