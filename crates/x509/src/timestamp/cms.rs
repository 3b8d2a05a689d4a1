//! `SignedData` of RFC 5652, as far as RFC 3161 uses it: one content, one signer, signed attributes.

use der::Tag;
use der::asn1::ObjectIdentifier;
use sealmark_formats::HashAlgorithm;
use sealmark_keys::Scheme;

use super::TimestampError;
use crate::Certificate;
use crate::element::{Element, constructed, encode, primitive};

/// More certificates than this in one token are refused; chains have 2 to 4.
const MAX_CERTIFICATES: usize = 16;
/// More signed attributes than this are refused; tokens have 4 or 5.
const MAX_ATTRIBUTES: usize = 32;

pub(crate) const SIGNED_DATA: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
pub(crate) const CONTENT_TYPE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
pub(crate) const MESSAGE_DIGEST: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// RFC 2634, section 5.4, with SHA-1.
const SIGNING_CERTIFICATE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
/// RFC 5035, section 3.
const SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

/// What was signed, by whom.
#[derive(Clone, Debug)]
pub(super) struct SignedData {
    /// The DER of the `TSTInfo`.
    pub(super) content: Vec<u8>,
    pub(super) certificates: Vec<Certificate>,
    pub(super) signer: SignerInfo,
}

/// Who signed what, and how.
#[derive(Clone, Debug)]
pub(super) struct SignerInfo {
    pub(super) id: SignerId,
    /// The hash of the content.
    pub(super) hash: HashAlgorithm,
    /// The digest of the content, as it was signed.
    pub(super) message_digest: Vec<u8>,
    /// The signer's certificate, as it was signed: all of them must match.
    pub(super) bound_to: Vec<CertificateHash>,
    /// The signed attributes in the form that is signed (RFC 5652, section 5.4): with the tag of a SET.
    pub(super) signed: Vec<u8>,
    pub(super) scheme: Scheme,
    pub(super) signature: Vec<u8>,
}

/// `SignerIdentifier`.
#[derive(Clone, Debug)]
pub(crate) enum SignerId {
    /// The DER of the issuer's name, and the content of the serial number.
    IssuerAndSerial {
        issuer: Vec<u8>,
        serial: Vec<u8>,
    },
    SubjectKeyId(Vec<u8>),
}

/// The first `ESSCertID` or `ESSCertIDv2` of an attribute, which is the signer's.
#[derive(Clone, Debug)]
pub(super) struct CertificateHash {
    /// `None` is SHA-1.
    pub(super) hash: Option<HashAlgorithm>,
    pub(super) value: Vec<u8>,
}

impl SignedData {
    /// Reads a `ContentInfo`.
    pub(super) fn parse(content_info: &Element<'_>) -> Result<Self, TimestampError> {
        let malformed = |error: der::Error| TimestampError::malformed("CMS structure", error);
        let mut fields = content_info.elements().map_err(malformed)?;
        let kind: ObjectIdentifier = fields
            .next()
            .and_then(|it| it.decode())
            .map_err(malformed)?;
        expect(
            kind == SIGNED_DATA,
            "CMS structure",
            "it is not signed data",
        )?;
        let explicit = fields.expect(constructed(0)).map_err(malformed)?;
        fields.finish().map_err(malformed)?;
        let signed_data = Element::only(explicit.content).map_err(malformed)?;
        signed_data
            .tag
            .assert_eq(Tag::Sequence)
            .map_err(malformed)?;
        let mut fields = signed_data.elements().map_err(malformed)?;

        let version: u8 = fields
            .next()
            .and_then(|it| it.decode())
            .map_err(malformed)?;
        // Section 5.1: 3, as the content is not plain data, and there are no attribute certificates.
        expect(version == 3, "CMS structure", "its version is not 3")?;
        fields.expect(Tag::Set).map_err(malformed)?; // digestAlgorithms: a hint for streams
        let content = content(&fields.expect(Tag::Sequence).map_err(malformed)?)?;
        let certificates = match fields.optional(constructed(0)).map_err(malformed)? {
            Some(set) => certificates(&set)?,
            None => Vec::new(),
        };
        fields.optional(constructed(1)).map_err(malformed)?; // crls
        let signers = fields.expect(Tag::Set).map_err(malformed)?;
        fields.finish().map_err(malformed)?;
        let mut signers = signers.elements().map_err(malformed)?;
        let one = "it does not have exactly one signer";
        let signer = signers
            .expect(Tag::Sequence)
            .map_err(|_| TimestampError::malformed("CMS structure", one))?;
        expect(signers.is_finished(), "CMS structure", one)?;
        Ok(Self {
            content,
            certificates,
            signer: SignerInfo::parse(&signer)?,
        })
    }
}

/// `EncapsulatedContentInfo`: the octets of the content.
fn content(element: &Element<'_>) -> Result<Vec<u8>, TimestampError> {
    let malformed = |error: der::Error| TimestampError::malformed("CMS structure", error);
    let mut fields = element.elements().map_err(malformed)?;
    let kind: ObjectIdentifier = fields
        .next()
        .and_then(|it| it.decode())
        .map_err(malformed)?;
    expect(
        kind == TST_INFO,
        "CMS structure",
        "it is not about a TSTInfo",
    )?;
    let explicit = fields.expect(constructed(0)).map_err(malformed)?;
    fields.finish().map_err(malformed)?;
    let octets = Element::only(explicit.content).map_err(malformed)?;
    octets.tag.assert_eq(Tag::OctetString).map_err(malformed)?;
    Ok(octets.content.to_vec())
}

/// `CertificateSet`. Nothing protects it, so what cannot be read in it is as good as not there.
fn certificates(set: &Element<'_>) -> Result<Vec<Certificate>, TimestampError> {
    let malformed = |error: der::Error| TimestampError::malformed("set of certificates", error);
    let mut certificates = Vec::new();
    let mut each = set.elements().map_err(malformed)?;
    let mut count = 0;
    while !each.is_finished() {
        count += 1;
        if count > MAX_CERTIFICATES {
            return Err(TimestampError::malformed(
                "set of certificates",
                format_args!("it has more than {MAX_CERTIFICATES}"),
            ));
        }
        let element = each.next().map_err(malformed)?;
        certificates.extend(Certificate::from_der(element.der));
    }
    Ok(certificates)
}

impl SignerInfo {
    /// Section 5.3.
    fn parse(element: &Element<'_>) -> Result<Self, TimestampError> {
        const PART: &str = "signer";
        let malformed = |error: der::Error| TimestampError::malformed(PART, error);
        let mut fields = element.elements().map_err(malformed)?;
        let version: u8 = fields
            .next()
            .and_then(|it| it.decode())
            .map_err(malformed)?;
        let id = fields.next().map_err(malformed)?;
        let id = if version == 1 && id.tag == Tag::Sequence {
            let mut fields = id.elements().map_err(malformed)?;
            let issuer = fields.expect(Tag::Sequence).map_err(malformed)?;
            let serial = fields.expect(Tag::Integer).map_err(malformed)?;
            fields.finish().map_err(malformed)?;
            SignerId::IssuerAndSerial {
                issuer: issuer.der.to_vec(),
                serial: serial.content.to_vec(),
            }
        } else if version == 3 && id.tag == primitive(0) {
            SignerId::SubjectKeyId(id.content.to_vec())
        } else {
            let reason = format!(
                "version {version} does not go with the identifier {}",
                id.tag
            );
            return Err(TimestampError::malformed(PART, reason));
        };
        let hash = hash_algorithm("signer", &fields.next().map_err(malformed)?)?;
        let attributes = fields
            .optional(constructed(0))
            .map_err(malformed)?
            .ok_or_else(|| TimestampError::malformed(PART, "it has no signed attributes"))?;
        let scheme = scheme(&fields.expect(Tag::Sequence).map_err(malformed)?, hash)?;
        let signature = fields.expect(Tag::OctetString).map_err(malformed)?;
        fields.optional(constructed(1)).map_err(malformed)?; // unsignedAttrs
        fields.finish().map_err(malformed)?;

        let read = Attributes::parse(&attributes)?;
        Ok(Self {
            id,
            hash,
            message_digest: read.message_digest,
            bound_to: read.bound_to,
            signed: encode(Tag::Set, attributes.content).map_err(malformed)?,
            scheme,
            signature: signature.content.to_vec(),
        })
    }
}

/// What a verifier must look at among the signed attributes (section 11, and RFC 3161, section 2.4.2).
struct Attributes {
    message_digest: Vec<u8>,
    bound_to: Vec<CertificateHash>,
}

impl Attributes {
    fn parse(set: &Element<'_>) -> Result<Self, TimestampError> {
        const PART: &str = "signed attributes";
        let malformed = |error: der::Error| TimestampError::malformed(PART, error);
        let mut content_type = None;
        let mut message_digest = None;
        let mut bound_to = Vec::new();
        let mut seen: Vec<ObjectIdentifier> = Vec::new();
        let mut each = set.elements().map_err(malformed)?;
        while !each.is_finished() {
            let attribute = each.expect(Tag::Sequence).map_err(malformed)?;
            let mut fields = attribute.elements().map_err(malformed)?;
            let oid: ObjectIdentifier = fields
                .next()
                .and_then(|it| it.decode())
                .map_err(malformed)?;
            let values = fields.expect(Tag::Set).map_err(malformed)?;
            fields.finish().map_err(malformed)?;
            expect(seen.len() < MAX_ATTRIBUTES, PART, "there are too many")?;
            expect(!seen.contains(&oid), PART, "one is there twice")?;
            seen.push(oid);
            let value = || Element::only(values.content).map_err(malformed);
            match oid {
                CONTENT_TYPE => {
                    content_type = Some(value()?.decode::<ObjectIdentifier>().map_err(malformed)?);
                }
                MESSAGE_DIGEST => {
                    let value = value()?;
                    expect(
                        value.tag == Tag::OctetString,
                        PART,
                        "a digest is no OCTET STRING",
                    )?;
                    message_digest = Some(value.content.to_vec());
                }
                SIGNING_CERTIFICATE | SIGNING_CERTIFICATE_V2 => {
                    let v2 = oid == SIGNING_CERTIFICATE_V2;
                    bound_to.push(certificate_hash(&value()?, v2)?);
                }
                _ => {}
            }
        }
        expect(
            content_type == Some(TST_INFO),
            PART,
            "they are not about a TSTInfo",
        )?;
        expect(
            !bound_to.is_empty(),
            PART,
            "they do not say which certificate the signer's is",
        )?;
        Ok(Self {
            message_digest: message_digest.ok_or_else(|| {
                TimestampError::malformed(PART, "the digest of the content is missing")
            })?,
            bound_to,
        })
    }
}

/// `SigningCertificate` and `SigningCertificateV2`.
fn certificate_hash(element: &Element<'_>, v2: bool) -> Result<CertificateHash, TimestampError> {
    const PART: &str = "signing certificate";
    let malformed = |error: der::Error| TimestampError::malformed(PART, error);
    let mut fields = element.elements().map_err(malformed)?;
    let list = fields.expect(Tag::Sequence).map_err(malformed)?;
    let first = list
        .elements()
        .and_then(|mut each| each.expect(Tag::Sequence));
    let mut fields = first
        .and_then(|first| first.elements())
        .map_err(malformed)?;
    let hash = match (v2, fields.optional(Tag::Sequence).map_err(malformed)?) {
        (false, _) => None,
        (true, None) => Some(HashAlgorithm::Sha256),
        (true, Some(algorithm)) => Some(hash_algorithm(PART, &algorithm)?),
    };
    let value = fields.expect(Tag::OctetString).map_err(malformed)?;
    Ok(CertificateHash {
        hash,
        value: value.content.to_vec(),
    })
}

/// The hash of an `AlgorithmIdentifier`. SHA-1 and its elders are not good enough.
pub(super) fn hash_algorithm(
    part: &'static str,
    identifier: &Element<'_>,
) -> Result<HashAlgorithm, TimestampError> {
    let oid = algorithm(part, identifier)?.to_string();
    hash_of(&oid).ok_or(TimestampError::UnsupportedAlgorithm { part, oid })
}

/// The hash with this object identifier, of those that are good enough.
pub(crate) fn hash_of(oid: &str) -> Option<HashAlgorithm> {
    Some(match oid {
        "2.16.840.1.101.3.4.2.1" => HashAlgorithm::Sha256,
        "2.16.840.1.101.3.4.2.2" => HashAlgorithm::Sha384,
        "2.16.840.1.101.3.4.2.3" => HashAlgorithm::Sha512,
        _ => return None,
    })
}

fn algorithm(
    part: &'static str,
    identifier: &Element<'_>,
) -> Result<ObjectIdentifier, TimestampError> {
    let read = || {
        identifier.tag.assert_eq(Tag::Sequence)?;
        identifier.elements()?.next()?.decode()
    };
    read().map_err(|error: der::Error| TimestampError::malformed(part, error))
}

fn scheme(identifier: &Element<'_>, hash: HashAlgorithm) -> Result<Scheme, TimestampError> {
    const PART: &str = "signature";
    let oid = algorithm(PART, identifier)?.to_string();
    scheme_of(&oid, hash).ok_or(TimestampError::UnsupportedAlgorithm { part: PART, oid })
}

/// How a signature was made: by `signatureAlgorithm`, which for some algorithms leaves the hash to `digestAlgorithm`.
pub(crate) fn scheme_of(oid: &str, hash: HashAlgorithm) -> Option<Scheme> {
    use HashAlgorithm::{Sha256, Sha384, Sha512};
    Some(match (oid, hash) {
        ("1.2.840.10045.4.3.2", _) | ("1.2.840.10045.2.1", Sha256) => Scheme::EcdsaSha256,
        ("1.2.840.10045.4.3.3", _) | ("1.2.840.10045.2.1", Sha384) => Scheme::EcdsaSha384,
        ("1.2.840.10045.4.3.4", _) | ("1.2.840.10045.2.1", Sha512) => Scheme::EcdsaSha512,
        ("1.2.840.113549.1.1.11", _) | ("1.2.840.113549.1.1.1", Sha256) => Scheme::RsaPkcs1Sha256,
        ("1.2.840.113549.1.1.12", _) | ("1.2.840.113549.1.1.1", Sha384) => Scheme::RsaPkcs1Sha384,
        ("1.2.840.113549.1.1.13", _) | ("1.2.840.113549.1.1.1", Sha512) => Scheme::RsaPkcs1Sha512,
        // RFC 4056, section 3: the hash of the parameters is that of the content.
        ("1.2.840.113549.1.1.10", Sha256) => Scheme::RsaPssSha256,
        ("1.2.840.113549.1.1.10", Sha384) => Scheme::RsaPssSha384,
        ("1.2.840.113549.1.1.10", Sha512) => Scheme::RsaPssSha512,
        ("1.3.101.112", _) => Scheme::Ed25519,
        _ => return None,
    })
}

fn expect(holds: bool, part: &'static str, otherwise: &str) -> Result<(), TimestampError> {
    if holds {
        return Ok(());
    }
    Err(TimestampError::malformed(part, otherwise))
}
