//! The key or certificate that a log checked a signature with.

use super::field::Field;
use crate::encoding::{ParseError, decode_base64};

/// A key or certificate in a log entry, as raw DER: nothing but the armour around it was parsed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verifier {
    /// SubjectPublicKeyInfo, DER.
    PublicKey(Vec<u8>),
    /// The signer's certificate, DER. Issuers that Rekor v1 may keep behind it are left out.
    Certificate(Vec<u8>),
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
