//! PKCS #7 signatures of content that is elsewhere, as JAR files have them: `SignedData` of RFC 2315 and RFC 5652.
//!
//! Reading and deciding are apart: a [`DetachedSignature`] that exists is well formed, and [`verify`] says whether a
//! certificate in it signed some content. Whether that certificate is to be trusted is nobody's question here.
//!
//! [`verify`]: DetachedSignature::verify

use der::Tag;
use der::asn1::ObjectIdentifier;
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::{Scheme, VerifyError};

use crate::element::{Element, Elements, constructed, encode};
use crate::timestamp::cms::{MESSAGE_DIGEST, SIGNED_DATA, SignerId, hash_of, scheme_of};
use crate::{Certificate, Error, TimestampError, TimestampToken};

/// The largest signature that is read, in bytes. With a chain and a timestamp they have about 10 KiB; Rekor bounds what
/// is signed about a JAR file to 1 MiB.
pub const MAX_DETACHED_SIGNATURE: usize = 1024 * 1024;
/// More certificates than this in one signature are refused; chains have 2 to 4.
const MAX_CERTIFICATES: usize = 32;
/// More attributes than this are refused; signatures have 3 to 5.
const MAX_ATTRIBUTES: usize = 32;

/// RFC 3161, appendix A.
const TIMESTAMP_TOKEN: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.14");
/// RFC 2985, section 5.3.6; and what Authenticode has for a timestamp token.
const OTHER_TIMESTAMPS: [ObjectIdentifier; 2] = [
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.6"),
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.3.3.1"),
];

/// What is wrong with a signature.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Pkcs7Error {
    /// It is longer than any signature.
    #[error("the PKCS #7 signature has {0} bytes, at most {MAX_DETACHED_SIGNATURE} are read")]
    TooLarge(usize),
    /// It is not what RFC 5652 says.
    #[error("not a valid PKCS #7 signature: its {part} is malformed: {reason}")]
    Malformed {
        /// Which part.
        part: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// It is something that is not read.
    #[error("not supported: {0}")]
    NotSupported(&'static str),
    /// It uses an algorithm that is too weak, or not known.
    #[error("not supported: the PKCS #7 signature's {part} uses the algorithm {oid}")]
    UnsupportedAlgorithm {
        /// For what.
        part: &'static str,
        /// The algorithm's object identifier.
        oid: String,
    },
    /// It does not contain the certificate of its signer.
    #[error("the PKCS #7 signature was made with {0}, which is not in it")]
    NoCertificate(String),
    /// The signature is over other content.
    #[error("the content is not what was signed: its digest is another")]
    OtherContent,
    /// The signature is not good.
    #[error("the PKCS #7 signature is not good: {0}")]
    Signature(VerifyError),
    /// A certificate cannot be read, or its key cannot be used.
    #[error("the PKCS #7 signature cannot be checked: {0}")]
    Certificate(#[from] Error),
    /// The timestamp on it is not good, or not for it.
    #[error("the timestamp on the PKCS #7 signature: {0}")]
    Timestamp(#[from] TimestampError),
    /// The timestamp is for another signature.
    #[error("the timestamp on the PKCS #7 signature is for another signature")]
    OtherTimestamp,
}

impl Pkcs7Error {
    fn malformed(part: &'static str, reason: impl ToString) -> Self {
        let reason = reason.to_string();
        Self::Malformed { part, reason }
    }
}

/// A signature with one signer.
#[derive(Clone, Debug)]
pub struct DetachedSignature {
    der: Vec<u8>,
    /// What was signed, if it is in the signature itself.
    content: Option<Vec<u8>>,
    certificates: Vec<Certificate>,
    signer: Signer,
}

/// `SignerInfo`.
#[derive(Clone, Debug)]
struct Signer {
    id: SignerId,
    hash: HashAlgorithm,
    /// The digest among the signed attributes, and these as they are signed. Without them, the content itself is.
    attributes: Option<(Vec<u8>, Vec<u8>)>,
    scheme: Scheme,
    signature: Vec<u8>,
    timestamp: Option<TimestampToken>,
}

impl DetachedSignature {
    /// Reads a `ContentInfo` in DER. Zero bytes after it are padding.
    ///
    /// # Errors
    /// If it is too long, malformed, signed by any other number than one signer, or made with algorithms that are not
    /// supported.
    pub fn parse(bytes: &[u8]) -> Result<Self, Pkcs7Error> {
        const PART: &str = "structure";
        let malformed = |error: der::Error| Pkcs7Error::malformed(PART, error);
        if bytes.len() > MAX_DETACHED_SIGNATURE {
            return Err(Pkcs7Error::TooLarge(bytes.len()));
        }
        let outer = Elements::new(bytes)
            .and_then(|mut all| all.expect(Tag::Sequence))
            .map_err(malformed)?;
        if bytes[outer.der.len()..].iter().any(|byte| *byte != 0) {
            return Err(Pkcs7Error::malformed(PART, "other bytes follow it"));
        }
        let mut fields = outer.elements().map_err(malformed)?;
        let kind = fields.expect(Tag::ObjectIdentifier).map_err(malformed)?;
        if kind.decode::<ObjectIdentifier>().map_err(malformed)? != SIGNED_DATA {
            return Err(Pkcs7Error::malformed(PART, "it is not signed data"));
        }
        let explicit = fields.expect(constructed(0)).map_err(malformed)?;
        fields.finish().map_err(malformed)?;
        let signed_data = Element::only(explicit.content).map_err(malformed)?;
        let mut fields = signed_data.elements().map_err(malformed)?;

        let version = fields.expect(Tag::Integer).map_err(malformed)?;
        let digests = fields.expect(Tag::Set).map_err(malformed)?;
        let info = fields.expect(Tag::Sequence).map_err(malformed)?;
        let certificates = fields.optional(constructed(0)).map_err(malformed)?;
        let crls = fields.optional(constructed(1)).map_err(malformed)?;
        let signers = fields.expect(Tag::Set).map_err(malformed)?;
        fields.finish().map_err(malformed)?;

        let (content_type, content) = encapsulated(&info)?;
        let Ok(signer) = Element::only(signers.content) else {
            let reason = "PKCS #7 signatures with any other number than one signer";
            return Err(Pkcs7Error::NotSupported(reason));
        };
        // As it is without the content, which is what detaching it means: nothing else of it changes.
        let write = || {
            let info = encode(Tag::Sequence, content_type.der)?;
            let kept = [
                version.der,
                &sorted(&digests)?,
                &info,
                certificates.map_or(&[], |it| it.der),
                crls.map_or(&[], |it| it.der),
                signers.der,
            ];
            let signed_data = encode(Tag::Sequence, &kept.concat())?;
            let explicit = encode(constructed(0), &signed_data)?;
            encode(Tag::Sequence, &[kind.der, &explicit].concat())
        };
        Ok(Self {
            der: write().map_err(malformed)?,
            content: content.map(<[u8]>::to_vec),
            certificates: match certificates {
                Some(set) => read_certificates(&set)?,
                None => Vec::new(),
            },
            signer: Signer::parse(&signer)?,
        })
    }

    /// The signature in DER, without the content if that was in it.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The same in PEM, as Go writes it.
    pub fn to_pem(&self) -> String {
        crate::pem::encode("PKCS7", &self.der)
    }

    /// The certificates in the signature, in its order. None of them is to be trusted.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// Checks that one of the certificates in it signed `content`, and gives that one. A timestamp on the signature must
    /// be whole and for it.
    ///
    /// # Errors
    /// If the content is another, or the signature or its timestamp is not good.
    pub fn verify(&self, content: &[u8]) -> Result<&Certificate, Pkcs7Error> {
        if self.content.as_ref().is_some_and(|own| own != content) {
            return Err(Pkcs7Error::OtherContent);
        }
        let signer = &self.signer;
        let certificate = self
            .certificates
            .iter()
            .find(|it| signer.id.names(it))
            .ok_or_else(|| Pkcs7Error::NoCertificate(signer.id.describe()))?;
        let message = match &signer.attributes {
            Some((digest, signed)) => {
                if Digest::of(signer.hash, content).bytes() != digest {
                    return Err(Pkcs7Error::OtherContent);
                }
                signed
            }
            None => content,
        };
        certificate
            .public_key()?
            .verify_scheme(signer.scheme, message, &signer.signature)
            .map_err(Pkcs7Error::Signature)?;
        if let Some(token) = &signer.timestamp {
            let imprint = token.imprint();
            if Digest::of(imprint.algorithm(), &signer.signature) != *imprint {
                return Err(Pkcs7Error::OtherTimestamp);
            }
            token.verify_integrity(&self.certificates)?;
        }
        Ok(certificate)
    }
}

/// `EncapsulatedContentInfo`: the type, and the content if it is there.
fn encapsulated<'a>(info: &Element<'a>) -> Result<(Element<'a>, Option<&'a [u8]>), Pkcs7Error> {
    let malformed = |error: der::Error| Pkcs7Error::malformed("content", error);
    let mut fields = info.elements().map_err(malformed)?;
    let kind = fields.expect(Tag::ObjectIdentifier).map_err(malformed)?;
    let explicit = fields.optional(constructed(0)).map_err(malformed)?;
    fields.finish().map_err(malformed)?;
    let content = match explicit {
        Some(explicit) => Some(Element::only(explicit.content).map_err(malformed)?.content),
        None => None,
    };
    Ok((kind, content))
}

/// A SET OF as DER orders it (X.690, section 11.6).
fn sorted(set: &Element<'_>) -> der::Result<Vec<u8>> {
    let mut members = Vec::new();
    let mut each = set.elements()?;
    while !each.is_finished() {
        members.push(each.next()?.der);
    }
    members.sort_unstable();
    encode(Tag::Set, &members.concat())
}

fn read_certificates(set: &Element<'_>) -> Result<Vec<Certificate>, Pkcs7Error> {
    const PART: &str = "set of certificates";
    let malformed = |error: der::Error| Pkcs7Error::malformed(PART, error);
    let mut certificates = Vec::new();
    let mut each = set.elements().map_err(malformed)?;
    while !each.is_finished() {
        if certificates.len() == MAX_CERTIFICATES {
            let reason = format_args!("it has more than {MAX_CERTIFICATES}");
            return Err(Pkcs7Error::malformed(PART, reason));
        }
        let element = each.next().map_err(malformed)?;
        certificates.push(Certificate::from_der(element.der)?);
    }
    Ok(certificates)
}

impl Signer {
    /// RFC 2315, section 9.2: the signer is named by issuer and serial number.
    fn parse(element: &Element<'_>) -> Result<Self, Pkcs7Error> {
        const PART: &str = "signer";
        let malformed = |error: der::Error| Pkcs7Error::malformed(PART, error);
        let mut fields = element.elements().map_err(malformed)?;
        fields.expect(Tag::Integer).map_err(malformed)?; // version
        let id = fields.next().map_err(malformed)?;
        if id.tag != Tag::Sequence {
            let reason = "signers that are named by a key identifier";
            return Err(Pkcs7Error::NotSupported(reason));
        }
        let mut names = id.elements().map_err(malformed)?;
        let issuer = names.expect(Tag::Sequence).map_err(malformed)?;
        let serial = names.expect(Tag::Integer).map_err(malformed)?;
        names.finish().map_err(malformed)?;
        let digest_algorithm = algorithm(&fields.expect(Tag::Sequence).map_err(malformed)?)?;
        let attributes = fields.optional(constructed(0)).map_err(malformed)?;
        let signature_algorithm = algorithm(&fields.expect(Tag::Sequence).map_err(malformed)?)?;
        let signature = fields.expect(Tag::OctetString).map_err(malformed)?;
        let unsigned = fields.optional(constructed(1)).map_err(malformed)?;
        fields.finish().map_err(malformed)?;

        let unsupported = |part, oid| Pkcs7Error::UnsupportedAlgorithm { part, oid };
        let hash =
            hash_of(&digest_algorithm).ok_or_else(|| unsupported("digest", digest_algorithm))?;
        // JAR files can be signed with Ed25519; that Rekor cannot check them is why others could not, either.
        let scheme = scheme_of(&signature_algorithm, hash)
            .filter(|scheme| *scheme != Scheme::Ed25519)
            .ok_or_else(|| unsupported("signature", signature_algorithm))?;
        Ok(Self {
            id: SignerId::IssuerAndSerial {
                issuer: issuer.der.to_vec(),
                serial: serial.content.to_vec(),
            },
            hash,
            attributes: match attributes {
                Some(set) => Some(signed_attributes(&set)?),
                None => None,
            },
            scheme,
            signature: signature.content.to_vec(),
            timestamp: match unsigned {
                Some(set) => timestamp(&set)?,
                None => None,
            },
        })
    }
}

fn algorithm(identifier: &Element<'_>) -> Result<String, Pkcs7Error> {
    let oid = identifier
        .elements()
        .and_then(|mut fields| fields.next()?.decode::<ObjectIdentifier>());
    oid.map(|oid| oid.to_string())
        .map_err(|error| Pkcs7Error::malformed("algorithm", error))
}

/// The digest among them, and the attributes in the form that is signed (RFC 5652, section 5.4): with the tag of a SET.
fn signed_attributes(set: &Element<'_>) -> Result<(Vec<u8>, Vec<u8>), Pkcs7Error> {
    const PART: &str = "signed attributes";
    let malformed = |error: der::Error| Pkcs7Error::malformed(PART, error);
    let mut digest = None;
    for (oid, values) in attributes(set)? {
        if oid != MESSAGE_DIGEST {
            continue;
        }
        let value = Element::only(values.content).map_err(malformed)?;
        value.tag.assert_eq(Tag::OctetString).map_err(malformed)?;
        if digest.replace(value.content.to_vec()).is_some() {
            return Err(Pkcs7Error::malformed(PART, "the digest is there twice"));
        }
    }
    let digest = digest
        .ok_or_else(|| Pkcs7Error::malformed(PART, "the digest of the content is missing"))?;
    let signed = encode(Tag::Set, set.content).map_err(malformed)?;
    Ok((digest, signed))
}

/// The timestamp among the attributes that are not signed.
fn timestamp(set: &Element<'_>) -> Result<Option<TimestampToken>, Pkcs7Error> {
    let mut token = None;
    for (oid, values) in attributes(set)? {
        if OTHER_TIMESTAMPS.contains(&oid) {
            let reason = "countersignatures other than RFC 3161 timestamps";
            return Err(Pkcs7Error::NotSupported(reason));
        }
        if oid != TIMESTAMP_TOKEN {
            continue;
        }
        if token
            .replace(TimestampToken::parse(values.content)?)
            .is_some()
        {
            let reason = "PKCS #7 signatures with several timestamps";
            return Err(Pkcs7Error::NotSupported(reason));
        }
    }
    Ok(token)
}

/// Types and values.
fn attributes<'a>(set: &Element<'a>) -> Result<Vec<(ObjectIdentifier, Element<'a>)>, Pkcs7Error> {
    const PART: &str = "attributes";
    let malformed = |error: der::Error| Pkcs7Error::malformed(PART, error);
    let mut attributes = Vec::new();
    let mut each = set.elements().map_err(malformed)?;
    while !each.is_finished() {
        if attributes.len() == MAX_ATTRIBUTES {
            return Err(Pkcs7Error::malformed(PART, "there are too many"));
        }
        let attribute = each.expect(Tag::Sequence).map_err(malformed)?;
        let mut fields = attribute.elements().map_err(malformed)?;
        let oid = fields
            .next()
            .and_then(|it| it.decode())
            .map_err(malformed)?;
        let values = fields.expect(Tag::Set).map_err(malformed)?;
        fields.finish().map_err(malformed)?;
        attributes.push((oid, values));
    }
    Ok(attributes)
}
