//! `cose` 0.0.1: a COSE_Sign1 message (RFC 9052, section 4.2), of which the log keeps the hashes.

use std::collections::BTreeSet;

use sealmark_formats::{Digest, jcs};
use sealmark_keys::{Curve, KeyType, Scheme};
use serde_json::json;

use super::dsse::{hash_json, statement_keys};
use crate::cbor::{Item, Reader, head};
use crate::field::Field;
use crate::verifier::Verifier;
use crate::{Error, Proposed};

/// The tag 18, COSE_Sign1, and an array of four.
const PREFIX: [u8; 2] = [0xd2, 0x84];
/// More header parameters than this are refused; messages have two to six, and each label is compared with the others.
const MAX_PARAMETERS: u64 = 256;

/// RFC 9053, section 2.1, and RFC 8230, section 2.
const ES256: i128 = -7;
const PS256: i128 = -37;

pub(crate) fn read(spec: &Field<'_>) -> Result<Proposed, Error> {
    let pem = spec.get("publicKey")?;
    let verifier = Verifier::from_pem(&pem.bytes()?).map_err(|reason| pem.refuse(reason))?;
    let field = spec.get("message")?;
    let bytes = field.bytes()?;
    let aad = match spec.get("data")?.find("aad") {
        Some(aad) if aad.value.as_str() != Some("") => aad.bytes()?,
        _ => Vec::new(),
    };
    let message = Sign1::parse(&bytes).map_err(|reason| field.refuse(reason))?;
    message
        .verify(&verifier, &aad)
        .map_err(|reason| field.refuse(reason))?;
    let (envelope, payload) = (Digest::sha256(&bytes), Digest::sha256(message.payload));
    let leaf = jcs::to_vec(&json!({
        "apiVersion": "0.0.1",
        "kind": "cose",
        "spec": {
            "data": {"envelopeHash": hash_json(&envelope), "payloadHash": hash_json(&payload)},
            "publicKey": verifier.base64(),
        },
    }))
    .map_err(Error::entry)?;
    let mut keys = verifier.keys();
    keys.extend([envelope.to_string(), payload.to_string()]);
    if let Some(content_type) = message.protected.content_type {
        keys.extend(statement_keys(content_type, message.payload));
    }
    // Of this kind Rekor keeps the whole message.
    Ok(Proposed::new(leaf, keys).with_attestation(bytes))
}

/// A message: well formed, and not yet verified.
struct Sign1<'a> {
    /// The protected header as it was signed.
    protected_bytes: &'a [u8],
    protected: Header<'a>,
    payload: &'a [u8],
    signature: &'a [u8],
}

/// What is looked at in a header.
#[derive(Default)]
struct Header<'a> {
    algorithm: Option<i128>,
    content_type: Option<&'a str>,
    has_iv: bool,
    has_partial_iv: bool,
}

impl<'a> Sign1<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        if !bytes.starts_with(&PREFIX) {
            return Err("it is not a COSE_Sign1 message with its tag".to_owned());
        }
        let mut reader = Reader::new(&bytes[PREFIX.len()..]);
        let Item::Bytes(protected_bytes) = reader.item()? else {
            return Err("the protected header is no byte string".to_owned());
        };
        let protected = match protected_bytes {
            [] => Header::default(),
            bytes => {
                let mut inner = Reader::new(bytes);
                let header = Header::parse(&mut inner, true)
                    .map_err(|reason| format!("protected header: {reason}"))?;
                inner.finish()?;
                header
            }
        };
        let unprotected = Header::parse(&mut reader, false)
            .map_err(|reason| format!("unprotected header: {reason}"))?;
        if protected.has_iv && unprotected.has_partial_iv
            || protected.has_partial_iv && unprotected.has_iv
        {
            return Err(TWO_IVS.to_owned());
        }
        let payload = match reader.item()? {
            Item::Bytes(payload) => payload,
            Item::Null => return Err("missing payload".to_owned()),
            _ => return Err("the payload is no byte string".to_owned()),
        };
        let Item::Bytes(signature) = reader.item()? else {
            return Err("the signature is no byte string".to_owned());
        };
        reader.finish()?;
        if signature.is_empty() {
            return Err("empty signature".to_owned());
        }
        Ok(Self {
            protected_bytes,
            protected,
            payload,
            signature,
        })
    }

    /// Checks the signature in the one scheme that Rekor takes for such a key.
    fn verify(&self, verifier: &Verifier, aad: &[u8]) -> Result<(), String> {
        let (algorithm, name) = match verifier.key.key_type() {
            KeyType::Ecdsa(Curve::P256) => (ES256, "ES256"),
            KeyType::Rsa { .. } => (PS256, "PS256"),
            other => {
                return Err(format!(
                    "not supported: COSE messages that are signed with a key of the type {other}; this log takes \
                     ES256 with P-256, and PS256"
                ));
            }
        };
        match self.protected.algorithm {
            Some(named) if named != algorithm => {
                return Err(format!(
                    "algorithm mismatch: the key is for {name}, which is {algorithm}, and the header has {named}"
                ));
            }
            // RFC 9052, section 4.4: there must be one, unless the application says it otherwise, in the external data.
            None if aad.is_empty() => return Err("algorithm not found".to_owned()),
            _ => {}
        }
        let signed = self.to_be_signed(aad);
        let checked = match algorithm {
            ES256 => der_of_pair(self.signature).is_some_and(|der| {
                let key = &verifier.key;
                key.verify_scheme(Scheme::EcdsaSha256, &signed, &der)
                    .is_ok()
            }),
            _ => {
                let key = &verifier.key;
                key.verify_scheme(Scheme::RsaPssSha256, &signed, self.signature)
                    .is_ok()
            }
        };
        match checked {
            true => Ok(()),
            false => Err(format!(
                "verification error: publicKey did not make this signature with {name}, or data.aad is not what it signed"
            )),
        }
    }

    /// `Sig_structure` (RFC 9052, section 4.4), in deterministic encoding.
    fn to_be_signed(&self, aad: &[u8]) -> Vec<u8> {
        const CONTEXT: &[u8] = b"Signature1";
        let mut out = vec![0x84];
        head(&mut out, 3, CONTEXT.len());
        out.extend_from_slice(CONTEXT);
        for bytes in [self.protected_bytes, aad, self.payload] {
            head(&mut out, 2, bytes.len());
            out.extend_from_slice(bytes);
        }
        out
    }
}

const TWO_IVS: &str = "IV and Partial IV must not both be present";

/// What a label says that its value must be (RFC 9052, section 3.1).
impl<'a> Header<'a> {
    fn parse(reader: &mut Reader<'a>, protected: bool) -> Result<Self, String> {
        let Item::Map(pairs) = reader.item()? else {
            return Err("it is no map".to_owned());
        };
        if pairs > MAX_PARAMETERS {
            return Err(format!("it has more than {MAX_PARAMETERS} parameters"));
        }
        let mut header = Self::default();
        let (mut seen, mut critical) = (BTreeSet::new(), Vec::new());
        for _ in 0..pairs {
            let label = Label::read(reader)?;
            if !seen.insert(label) {
                return Err(format!("the label {label:?} is there twice"));
            }
            match label {
                Label::Number(2) if protected => critical = labels(&mut reader.clone())?,
                Label::Number(2 | 7 | 9 | 11 | 12) if protected => {
                    return Err(format!("the label {label:?} is not allowed there"));
                }
                Label::Number(2) => return Err("crit is not allowed there".to_owned()),
                Label::Number(number) => header.check(number, &mut reader.clone())?,
                Label::Text(_) => {}
            }
            reader.skip()?;
        }
        if header.has_iv && header.has_partial_iv {
            return Err(TWO_IVS.to_owned());
        }
        match critical.iter().find(|label| !seen.contains(label)) {
            None => Ok(header),
            Some(label) => Err(format!("missing critical header: {label:?}")),
        }
    }

    fn check(&mut self, label: i128, reader: &mut Reader<'a>) -> Result<(), String> {
        let value = reader.item()?;
        match (label, value) {
            (1, Item::Integer(number)) => self.algorithm = Some(number),
            (1, Item::Text(_)) => {
                return Err("not supported: algorithms that are named by text".to_owned());
            }
            (1, _) => return Err("alg is neither an integer nor text".to_owned()),
            (3, Item::Text(text)) => {
                media_type(text)?;
                self.content_type = Some(text);
            }
            (16, Item::Text(text)) => media_type(text)?,
            (3 | 16, Item::Integer(0..)) => {}
            (3 | 16, _) => return Err("a content type is neither text nor a number".to_owned()),
            (5, Item::Bytes(_)) => self.has_iv = true,
            (6, Item::Bytes(_)) => self.has_partial_iv = true,
            (4, Item::Bytes(_)) => {}
            (4..=6, _) => return Err("kid or an IV is no byte string".to_owned()),
            _ => {}
        }
        Ok(())
    }
}

/// `int / tstr` (RFC 9052, section 1.5).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Label<'a> {
    Number(i128),
    Text(&'a str),
}

impl<'a> Label<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, String> {
        match reader.item()? {
            Item::Integer(number) => Ok(Self::Number(number)),
            Item::Text(text) => Ok(Self::Text(text)),
            _ => Err("a label is neither an integer nor text".to_owned()),
        }
    }
}

/// The value of `crit`.
fn labels<'a>(reader: &mut Reader<'a>) -> Result<Vec<Label<'a>>, String> {
    match reader.item()? {
        Item::Array(items @ 1..=MAX_PARAMETERS) => {
            (0..items).map(|_| Label::read(reader)).collect()
        }
        _ => Err("crit is no array of labels".to_owned()),
    }
}

fn media_type(text: &str) -> Result<(), String> {
    let trimmed = !text.starts_with(' ') && !text.ends_with(' ');
    match trimmed && text.matches('/').count() == 1 {
        true => Ok(()),
        false => Err("a content type is not of the form type/subtype".to_owned()),
    }
}

/// `r || s` (RFC 9053, section 2.1) as X.509 writes it, `SEQUENCE { INTEGER, INTEGER }`.
fn der_of_pair(pair: &[u8]) -> Option<Vec<u8>> {
    /// The length of a number on P-256, in bytes.
    const LENGTH: usize = 32;
    if pair.len() != 2 * LENGTH {
        return None;
    }
    let mut numbers = Vec::new();
    for number in pair.chunks(LENGTH) {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let digits = &number[zeros.min(LENGTH - 1)..];
        // An integer with its highest bit set would be negative.
        let sign = usize::from(digits[0] >= 0x80);
        numbers.extend([2, (digits.len() + sign) as u8]);
        numbers.extend(std::iter::repeat_n(0, sign));
        numbers.extend_from_slice(digits);
    }
    Some([&[0x30, numbers.len() as u8], &*numbers].concat())
}
