//! Public keys, in lines of `authorized_keys`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Strings;
use crate::asn1::{self, Family};
use crate::{Curve, Error, KeyType, MAX_KEY_FILE, PublicKey as Key};

const WHAT: &str = "SSH public key";

/// A public key, and what its line says of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicKey {
    pub(super) key: Key,
    /// As in signatures.
    pub(super) blob: Vec<u8>,
    comment: String,
}

impl PublicKey {
    /// Reads the first key in the lines of an `authorized_keys` file: of `TYPE BASE64 COMMENT`, with or without options
    /// before it.
    ///
    /// # Errors
    /// [`Error::Malformed`], or [`Error::NotSupported`] for DSA keys, certificates, and keys on a security key.
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        if file.len() > MAX_KEY_FILE {
            return Err(Error::TooLarge);
        }
        for line in file.split(|byte| *byte == b'\n') {
            let line = line.split(|byte| *byte == b'\r').next().unwrap_or_default();
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            for start in [Some(line), after_options(line)].into_iter().flatten() {
                let Some(at) = start.iter().position(|byte| b" \t".contains(byte)) else {
                    continue;
                };
                if let Some(key) = Self::after_type(&start[at..])? {
                    return Ok(key);
                }
            }
        }
        Err(Error::Malformed {
            what: WHAT,
            reason: "there is no line with the type of a key and its base64".to_owned(),
        })
    }

    /// What follows the type. `None` if Go finds no key there either, and goes on to the next line.
    fn after_type(rest: &[u8]) -> Result<Option<Self>, Error> {
        let rest = rest.trim_ascii();
        let end = rest.iter().position(|byte| b" \t".contains(byte));
        let (base64, comment) = rest.split_at(end.unwrap_or(rest.len()));
        let Ok(blob) = STANDARD.decode(base64) else {
            return Ok(None);
        };
        let Some(key) = Self::from_blob(&blob)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            key,
            blob,
            comment: String::from_utf8_lossy(comment.trim_ascii()).into_owned(),
        }))
    }

    /// `None` if it is of no type that Go knows, or is not as its type has it.
    pub(super) fn from_blob(blob: &[u8]) -> Result<Option<Key>, Error> {
        let mut strings = Strings::of(blob, WHAT);
        let Ok(kind) = strings.string() else {
            return Ok(None);
        };
        let curve = match kind {
            b"ssh-ed25519" => None,
            b"ssh-rsa" => {
                let (e, n) = (strings.mpint()?, strings.mpint()?);
                strings.end()?;
                return Key::from_rsa_numbers(n, e).map(Some);
            }
            b"ecdsa-sha2-nistp256" => Some(Curve::P256),
            b"ecdsa-sha2-nistp384" => Some(Curve::P384),
            b"ecdsa-sha2-nistp521" => Some(Curve::P521),
            b"ssh-dss" => return Err(not_supported("DSA")),
            _ if kind.starts_with(b"sk-") => return Err(not_supported("security key")),
            _ if kind.ends_with(b"-cert-v01@openssh.com") => {
                return Err(not_supported("certificate"));
            }
            _ => return Ok(None),
        };
        let family = match curve {
            None => Family::Ed25519,
            Some(curve) => {
                if strings.string()? != curve_name(curve).as_bytes() {
                    return Err(strings.malformed("the curve is not that of its type"));
                }
                Family::Ec(curve)
            }
        };
        let key = strings.string()?;
        strings.end()?;
        Key::from_raw(asn1::public(family, key)?).map(Some)
    }

    /// The canonical form: a line without options and comment.
    pub fn canonical(&self) -> String {
        format!("{} {}\n", self.type_name(), STANDARD.encode(&self.blob))
    }

    /// What stands after the key.
    pub fn comment(&self) -> &str {
        &self.comment
    }

    pub(super) fn type_name(&self) -> String {
        match self.key.key_type() {
            KeyType::Ed25519 => "ssh-ed25519".to_owned(),
            KeyType::Rsa { .. } => "ssh-rsa".to_owned(),
            KeyType::Ecdsa(curve) => format!("ecdsa-sha2-{}", curve_name(curve)),
        }
    }
}

fn curve_name(curve: Curve) -> &'static str {
    match curve {
        Curve::P256 => "nistp256",
        Curve::P384 => "nistp384",
        Curve::P521 => "nistp521",
    }
}

fn not_supported(kind: &str) -> Error {
    Error::NotSupported(format!(
        "SSH keys of the kind {kind}; use ssh-ed25519, ecdsa-sha2-nistp256, -384 or -521, or RSA"
    ))
}

/// The line after its options, which end with the first blank that is not in quotes.
fn after_options(line: &[u8]) -> Option<&[u8]> {
    let (mut in_quotes, mut before) = (false, 0);
    let end = line.iter().position(|byte| {
        let is_end = !in_quotes && b" \t".contains(byte);
        if *byte == b'"' && before != b'\\' {
            in_quotes = !in_quotes;
        }
        before = *byte;
        is_end
    });
    end.map(|end| line[end..].trim_ascii_start())
}
