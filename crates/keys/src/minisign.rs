//! Keys and signatures of minisign and OpenBSD's signify, as transparency logs take them.
//! <https://jedisct1.github.io/minisign/#signature-format>
//!
//! As in Rekor, the key alone decides: key ids are not compared, and the trusted comment, which the log does not keep, is
//! not checked.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b512, Digest as _};

use crate::asn1::{self, Family};
use crate::{Error, PublicKey as Key, Scheme};

/// Bytes of a file: two comments, for which minisign takes 8 KiB, and two lines.
pub const MAX_FILE: usize = 32 * 1024;
/// Over the data.
const LEGACY: [u8; 2] = *b"Ed";
/// Over the data's BLAKE2b-512.
const PREHASHED: [u8; 2] = *b"ED";

/// A public key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicKey {
    id: [u8; 8],
    key: Key,
}

impl PublicKey {
    /// Reads a file with a comment and a key, the key's base64 alone, or its 32 bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`]
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        const WHAT: &str = "minisign public key";
        let text = text(file, WHAT)?;
        // A comment is no base64 of such a length, and the bytes of a key are hardly ever text.
        let after_comment = text.split_once('\n').map(|(_, rest)| rest);
        let mut places = [after_comment, Some(&*text)].into_iter().flatten();
        let bytes = places.find_map(decode::<42>);
        let (id, key) = match (&bytes, file) {
            (Some([b'E', b'd', rest @ ..]), _) => (&rest[..8], &rest[8..]),
            (Some(_), _) => {
                return Err(Error::NotSupported(
                    "minisign keys of another algorithm than Ed".to_owned(),
                ));
            }
            (None, raw) if raw.len() == 32 => (&[0; 8][..], raw),
            (None, _) => return Err(malformed(WHAT, "it has no line with 42 bytes in base64")),
        };
        let id = core::array::from_fn(|at| id[at]);
        let key = Key::from_raw(asn1::public(Family::Ed25519, key)?)?;
        Ok(Self { id, key })
    }

    /// The canonical form: base64, without a comment.
    pub fn canonical(&self) -> String {
        STANDARD.encode([&LEGACY[..], &self.id, self.key.raw()].concat())
    }
}

/// A signature.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signature {
    algorithm: [u8; 2],
    id: [u8; 8],
    signature: [u8; 64],
}

impl Signature {
    /// Reads a file of minisign, with its trusted comment, or one of signify, which has none.
    ///
    /// # Errors
    /// [`Error::Malformed`]
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        const WHAT: &str = "minisign signature";
        let text = text(file, WHAT)?;
        let lines: Vec<&str> = text.splitn(4, '\n').collect();
        let minisign = match lines.as_slice() {
            [_, signature, _, global] if decode::<64>(global).is_some() => decode::<74>(signature),
            _ => None,
        };
        let bytes = minisign.or_else(|| {
            let (_, signature) = text.trim_end_matches('\n').split_once('\n')?;
            decode::<74>(signature).filter(|_| !signature.contains('\n'))
        });
        let bytes =
            bytes.ok_or_else(|| malformed(WHAT, "it has not the lines of minisign or signify"))?;
        let algorithm = [bytes[0], bytes[1]];
        if algorithm != LEGACY && algorithm != PREHASHED {
            return Err(Error::NotSupported(
                "minisign signatures of another algorithm than Ed and ED".to_owned(),
            ));
        }
        Ok(Self {
            algorithm,
            id: core::array::from_fn(|at| bytes[2 + at]),
            signature: core::array::from_fn(|at| bytes[10 + at]),
        })
    }

    /// The canonical form, without the comments.
    pub fn canonical(&self) -> String {
        let bytes = [&self.algorithm[..], &self.id, &self.signature].concat();
        format!("untrusted comment:\n{}", STANDARD.encode(bytes))
    }

    /// Checks that the key made it over the data.
    ///
    /// # Errors
    /// [`Error::NotSigned`]
    pub fn verify(&self, key: &PublicKey, data: &[u8]) -> Result<(), Error> {
        let verify = |data: &[u8]| {
            key.key
                .verify_scheme(Scheme::Ed25519, data, &self.signature)
        };
        let result = match self.algorithm {
            PREHASHED => verify(&Blake2b512::digest(data)),
            _ => verify(data),
        };
        result.map_err(|_| {
            Error::NotSigned("it was made with another key, or over other data".to_owned())
        })
    }
}

fn malformed(what: &'static str, reason: &str) -> Error {
    Error::Malformed {
        what,
        reason: reason.to_owned(),
    }
}

/// Comments may be in any encoding.
fn text<'a>(file: &'a [u8], what: &'static str) -> Result<Cow<'a, str>, Error> {
    match file.len() > MAX_FILE {
        true => Err(malformed(what, "it is larger than 32 KiB")),
        false => Ok(String::from_utf8_lossy(file)),
    }
}

/// Base64 of so many bytes, in which line ends count for nothing, as in Go.
fn decode<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    let text = text.replace(['\r', '\n'], "");
    STANDARD.decode(text).ok()?.try_into().ok()
}
