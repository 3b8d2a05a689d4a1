//! Signed notes: a text, and signatures over it by named keys.
//!
//! Format: <https://c2sp.org/signed-note>. A [`Note`] that was parsed is well formed; [`Note::verify_by`] says whether
//! a key signed it. Lines by keys that nobody asked about are ignored, so that a log can add witnesses or new keys
//! without breaking those who know only the old one.

use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_keys::PublicKey;

use crate::Error;

// The engine for WebAssembly makes no signatures.
#[cfg(not(target_arch = "wasm32"))]
mod sign;
mod signer;
mod verifier;

#[cfg(not(target_arch = "wasm32"))]
pub use sign::NoteSigner;
pub use signer::{KeyKind, VerifiedSignature};
pub use verifier::VerifierKey;

/// Larger notes are refused, in bytes: enough for [`MAX_SIGNATURES`] lines with ML-DSA signatures of 3.3 KiB each.
pub const MAX_NOTE: usize = 256 * 1024;
/// Notes with more lines of text are refused. A checkpoint has three lines, and few extensions if any.
pub const MAX_LINES: usize = 256;
/// Notes with more signatures are refused. The format demands that 16 be accepted.
pub const MAX_SIGNATURES: usize = 64;

/// What a signature line starts with: an em dash and a space.
const SIGNATURE_MARK: &str = "\u{2014} ";

/// A signed note. It is displayed in its format.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// The signed text, with the newline at its end.
    pub text: String,
    /// The signature lines, in their order.
    pub signatures: Vec<NoteSignature>,
}

/// A signature line of a note.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoteSignature {
    /// The name of the key: a URL without scheme, for logs their origin or host name. Not signed.
    pub name: String,
    /// The first four bytes of a hash that depends on the kind of key, see [`KeyKind::key_hash`].
    pub key_hash: [u8; 4],
    /// The rest of the line's bytes; what they are depends on the kind of key.
    pub signature: Vec<u8>,
}

impl Note {
    /// Parses a note.
    ///
    /// # Errors
    /// [`Error::Note`] if it is not of the format, has no signature, or is over a bound.
    pub fn parse(note: &str) -> Result<Self, Error> {
        let error = |reason: String| Err(Error::Note(reason));
        if note.len() > MAX_NOTE {
            return error(format!(
                "it has {} bytes, at most {MAX_NOTE} are allowed",
                note.len()
            ));
        }
        if let Some(control) = note.chars().find(|c| *c < ' ' && *c != '\n') {
            return error(format!("it contains the control character {control:?}"));
        }
        // The text may contain empty lines, the signatures never do.
        let Some(end) = note.rfind("\n\n") else {
            return error("there is no empty line between text and signatures".to_owned());
        };
        let (text, signatures) = (&note[..=end], &note[end + 2..]);
        let lines = text.bytes().filter(|byte| *byte == b'\n').count();
        if lines > MAX_LINES {
            return error(format!(
                "its text has {lines} lines, at most {MAX_LINES} are allowed"
            ));
        }
        let Some(signatures) = signatures.strip_suffix('\n') else {
            return error(match signatures {
                "" => "it has no signature".to_owned(),
                _ => "its last line does not end".to_owned(),
            });
        };
        let count = signatures.split('\n').count();
        if count > MAX_SIGNATURES {
            return error(format!(
                "it has {count} signatures, at most {MAX_SIGNATURES} are allowed"
            ));
        }
        Ok(Self {
            text: text.to_owned(),
            signatures: signatures
                .split('\n')
                .map(NoteSignature::parse)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures
            .iter()
            .try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl NoteSignature {
    /// Parses one line, without its newline.
    ///
    /// # Errors
    /// [`Error::Note`] if it is not `— NAME BASE64` with more than four bytes.
    pub fn parse(line: &str) -> Result<Self, Error> {
        let error = |reason| {
            let line: String = line.chars().take(80).collect();
            Error::Note(format!("the signature line {line:?} {reason}"))
        };
        let rest = line
            .strip_prefix(SIGNATURE_MARK)
            .ok_or_else(|| error("does not start with an em dash and a space"))?;
        let (name, base64) = rest
            .split_once(' ')
            .ok_or_else(|| error("has no name, or no signature after it"))?;
        if !is_key_name(name) {
            return Err(error(
                "has a name that is empty or contains a space or a plus",
            ));
        }
        let bytes = STANDARD
            .decode(base64)
            .map_err(|_| error("is not base64 after the name"))?;
        match bytes.split_first_chunk::<4>() {
            Some((key_hash, signature)) if !signature.is_empty() => Ok(Self {
                name: name.to_owned(),
                key_hash: *key_hash,
                signature: signature.to_vec(),
            }),
            _ => Err(error("is too short for a key hash and a signature")),
        }
    }

    /// Name and key hash, for messages: `rekor.sigstore.dev (c0d23d6a)`.
    fn signer(&self) -> String {
        let name: String = self.name.chars().take(120).collect();
        format!("{} ({})", name.escape_debug(), hex::encode(self.key_hash))
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.key_hash.to_vec();
        bytes.extend_from_slice(&self.signature);
        write!(
            f,
            "{SIGNATURE_MARK}{} {}",
            self.name,
            STANDARD.encode(bytes)
        )
    }
}

/// Whether keys can have this name: not empty, no white space of Unicode, no `+`, no control characters.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+' || c < ' ')
}

impl Note {
    /// Checks that `key` signed this note, in any form that a key of its type has in notes (see [`KeyKind::of`]).
    ///
    /// With a `name`, only lines with that name count. Every line that names the key must be right: one that does not
    /// verify makes the note invalid even if another line does.
    ///
    /// # Errors
    /// [`Error::NotSigned`] if no line names the key, [`Error::Signature`] or [`Error::SignatureForm`] if one does and
    /// is wrong.
    pub fn verify_by(
        &self,
        name: Option<&str>,
        key: &PublicKey,
    ) -> Result<VerifiedSignature, Error> {
        self.verify_as(KeyKind::of(key), name, key)
    }

    /// As [`verify_by`](Self::verify_by), for some of the kinds only. If several lines are right, the first is given.
    pub(crate) fn verify_as(
        &self,
        kinds: &[KeyKind],
        name: Option<&str>,
        key: &PublicKey,
    ) -> Result<VerifiedSignature, Error> {
        let mut verified = None;
        for (line, signature) in self.signatures.iter().enumerate() {
            if name.is_some_and(|name| name != signature.name) {
                continue;
            }
            let claims = |kind: &&KeyKind| {
                kind.key_hash(&signature.name, key).bytes()[..4] == signature.key_hash
            };
            let Some(kind) = kinds.iter().find(claims) else {
                continue;
            };
            let timestamp = kind.verify(&self.text, signature, key)?;
            verified.get_or_insert_with(|| VerifiedSignature {
                line,
                name: signature.name.clone(),
                kind: *kind,
                timestamp,
            });
        }
        verified.ok_or_else(|| Error::NotSigned {
            expected: signer::describe(name, key),
            found: self.signatures.iter().map(NoteSignature::signer).collect(),
        })
    }
}
