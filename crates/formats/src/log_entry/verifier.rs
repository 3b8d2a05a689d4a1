//! The key or certificate that a log checked a signature with.

use super::field::Field;
use crate::encoding::{ParseError, decode_base64};

/// A format of keys that is neither X.509 nor PKIX. Nothing in this program checks signatures by such keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyFormat {
    /// An OpenPGP key ring, armoured.
    Pgp,
    /// A minisign key: base64 of algorithm, key id and key.
    Minisign,
    /// An OpenSSH key: a line of `authorized_keys`.
    Ssh,
    /// The root of a TUF repository: JSON with the keys of its roles.
    TufRoot,
}

impl KeyFormat {
    /// By the name that an entry of kind `rekord` has for it.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "pgp" => Some(Self::Pgp),
            "minisign" => Some(Self::Minisign),
            "ssh" => Some(Self::Ssh),
            _ => None,
        }
    }
}

impl core::fmt::Display for KeyFormat {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Pgp => "an OpenPGP key",
            Self::Minisign => "a minisign key",
            Self::Ssh => "an OpenSSH key",
            Self::TufRoot => "a TUF root",
        })
    }
}

/// A key or certificate in a log entry: nothing but the armour around it was parsed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verifier {
    /// SubjectPublicKeyInfo, DER.
    PublicKey(Vec<u8>),
    /// The signer's certificate, DER. Issuers that Rekor v1 may keep behind it are left out.
    Certificate(Vec<u8>),
    /// A key in another format.
    Other {
        /// Which format.
        format: KeyFormat,
        /// The key as the log has recorded it, armour included.
        content: Vec<u8>,
    },
}

impl Verifier {
    /// Reads Rekor v1's form: PEM in base64.
    pub(super) fn from_pem_field(field: &Field<'_>) -> Result<Self, ParseError> {
        let pem = field.bytes()?;
        let text = core::str::from_utf8(&pem).map_err(|_| field.error("is not PEM"))?;
        let (label, der) = first_block(text).ok_or_else(|| field.error("is not PEM"))?;
        match label {
            "PUBLIC KEY" => Ok(Self::PublicKey(der)),
            "CERTIFICATE" => Ok(Self::Certificate(der)),
            other => {
                let other: String = other.chars().take(40).collect();
                Err(field.error(format_args!(
                    "is PEM of a {other:?}, not of a PUBLIC KEY or a CERTIFICATE"
                )))
            }
        }
    }

    /// Reads a key that is no PEM of PKIX: the text of its format in base64.
    pub(super) fn other(format: KeyFormat, field: &Field<'_>) -> Result<Self, ParseError> {
        let content = field.bytes()?;
        Ok(Self::Other { format, content })
    }

    /// Reads Rekor v2's form: exactly one of `publicKey` and `x509Certificate`, with `rawBytes`.
    pub(super) fn from_field(field: &Field<'_>) -> Result<Self, ParseError> {
        let der = |field: Field<'_>| field.get("rawBytes")?.bytes();
        match (field.find("publicKey"), field.find("x509Certificate")) {
            (Some(key), None) => der(key).map(Self::PublicKey),
            (None, Some(certificate)) => der(certificate).map(Self::Certificate),
            _ => Err(field.error("must have exactly one of publicKey, x509Certificate")),
        }
    }
}

/// Label and content of the first block of a PEM text (RFC 7468), whatever stands around it and however it is
/// wrapped: Rekor keeps what a client sent in the entries of `intoto`.
fn first_block(text: &str) -> Option<(&str, Vec<u8>)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (content, rest) = rest.split_once("-----END ")?;
    let end = rest.strip_prefix(label)?;
    if !end.starts_with("-----") {
        return None;
    }
    let base64: String = content.split_ascii_whitespace().collect();
    let der = decode_base64(&base64).ok()?;
    (!der.is_empty()).then_some((label, der))
}
