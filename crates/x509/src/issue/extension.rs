//! Extensions of certificates: those of RFC 5280 that Sigstore's certificates have, Fulcio's own, and those of
//! certificate transparency (RFC 6962, sections 3.1 and 3.3).

use core::net::IpAddr;

use der::asn1::ObjectIdentifier;
use der::{Encode, Tag};
use sealmark_formats::Digest;
use spki::SubjectPublicKeyInfoRef;

use super::{IssueError, object_identifier, sequence};
use crate::element::{constructed, encode, primitive};
use crate::extensions::{
    AUTHORITY_KEY_IDENTIFIER, BASIC_CONSTRAINTS, CT_POISON, EXTENDED_KEY_USAGE, KEY_USAGE,
    SCT_LIST, SUBJECT_ALT_NAME, SUBJECT_KEY_IDENTIFIER,
};
use crate::san::FULCIO_USERNAME;
use crate::{
    BasicConstraints, ExtendedKeyUsage, FulcioExtension, SignedCertificateTimestamp, SubjectAltName,
};

const TRUE: &[u8] = &[1, 1, 0xff];
/// Length of the id of a key, in bytes: the leftmost 160 bits of a hash (RFC 7093, section 2, method 1).
const KEY_ID: usize = 20;

/// What a key may be used for (RFC 5280, section 4.2.1.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Usage {
    /// Signatures over anything but certificates and revocation lists.
    DigitalSignature = 0,
    /// Encryption of keys, of which Sigstore has none; for certificates of others.
    KeyEncipherment = 2,
    /// Signatures over certificates.
    KeyCertSign = 5,
    /// Signatures over revocation lists.
    CrlSign = 6,
}

/// An extension.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Extension {
    /// Its object identifier, in dots.
    pub oid: String,
    /// Whether who does not know it must refuse the certificate.
    pub critical: bool,
    /// The DER inside of it.
    pub value: Vec<u8>,
}

impl Extension {
    /// Any extension.
    pub fn new(oid: &str, critical: bool, value: Vec<u8>) -> Self {
        Self {
            oid: oid.to_owned(),
            critical,
            value,
        }
    }

    fn known(oid: ObjectIdentifier, critical: bool, value: Vec<u8>) -> Self {
        Self::new(&oid.to_string(), critical, value)
    }

    /// `keyUsage`, critical.
    ///
    /// # Errors
    /// If there is no usage: "at least one of the bits MUST be set".
    pub fn key_usage(usages: &[Usage]) -> Result<Self, IssueError> {
        let bits = usages
            .iter()
            .fold(0_u8, |bits, usage| bits | 0x80 >> *usage as u8);
        if bits == 0 {
            return Err(IssueError::unwritable("a key usage", "it is empty"));
        }
        // A named bit list ends with its last bit (X.690, section 11.2.2).
        let unused = bits.trailing_zeros().to_le_bytes()[0];
        let value = encode(Tag::BitString, &[unused, bits])?;
        Ok(Self::known(KEY_USAGE, true, value))
    }

    /// `extKeyUsage`: critical for timestamp authorities (RFC 3161, section 2.3), and not for code signing.
    ///
    /// # Errors
    /// If there is no purpose, or one is no object identifier.
    pub fn extended_key_usage(
        purposes: &[ExtendedKeyUsage],
        critical: bool,
    ) -> Result<Self, IssueError> {
        const WHAT: &str = "an extended key usage";
        if purposes.is_empty() {
            return Err(IssueError::unwritable(WHAT, "it is empty"));
        }
        let mut list = Vec::new();
        for purpose in purposes {
            list.extend(object_identifier(WHAT, purpose.oid())?);
        }
        let value = encode(Tag::Sequence, &list)?;
        Ok(Self::known(EXTENDED_KEY_USAGE, critical, value))
    }

    /// `basicConstraints`, critical.
    ///
    /// # Errors
    /// If what is no CA has a path length.
    pub fn basic_constraints(constraints: BasicConstraints) -> Result<Self, IssueError> {
        if constraints.path_len.is_some() && !constraints.ca {
            let reason = "only a CA has a path length";
            return Err(IssueError::unwritable("basic constraints", reason));
        }
        let mut fields = Vec::new();
        if constraints.ca {
            fields.extend(TRUE);
        }
        if let Some(length) = constraints.path_len {
            let length = match length {
                0x80.. => vec![0, length],
                _ => vec![length],
            };
            fields.extend(encode(Tag::Integer, &length)?);
        }
        let value = encode(Tag::Sequence, &fields)?;
        Ok(Self::known(BASIC_CONSTRAINTS, true, value))
    }

    /// `subjectKeyIdentifier`.
    ///
    /// # Errors
    /// If it is empty.
    pub fn subject_key_id(id: &[u8]) -> Result<Self, IssueError> {
        if id.is_empty() {
            return Err(IssueError::unwritable(
                "a subject key identifier",
                "it is empty",
            ));
        }
        let value = encode(Tag::OctetString, id)?;
        Ok(Self::known(SUBJECT_KEY_IDENTIFIER, false, value))
    }

    /// `authorityKeyIdentifier`, with the id of the issuer's key.
    ///
    /// # Errors
    /// If it is empty.
    pub fn authority_key_id(id: &[u8]) -> Result<Self, IssueError> {
        if id.is_empty() {
            return Err(IssueError::unwritable(
                "an authority key identifier",
                "it is empty",
            ));
        }
        let value = encode(Tag::Sequence, &encode(primitive(0), id)?)?;
        Ok(Self::known(AUTHORITY_KEY_IDENTIFIER, false, value))
    }

    /// `subjectAltName`: "critical if the certificate's subject is empty" (section 4.2.1.6), as Fulcio's is.
    ///
    /// # Errors
    /// If there is no name, an address or URI is empty or not ASCII, or a name is of another kind than address, URI,
    /// host, IP address, and user name.
    pub fn subject_alt_names(names: &[SubjectAltName], critical: bool) -> Result<Self, IssueError> {
        if names.is_empty() {
            return Err(IssueError::unwritable(
                "a subject alternative name",
                "it is empty",
            ));
        }
        let mut list = Vec::new();
        for name in names {
            list.extend(general_name(name)?);
        }
        let value = encode(Tag::Sequence, &list)?;
        Ok(Self::known(SUBJECT_ALT_NAME, critical, value))
    }

    /// One of Fulcio's, in the encoding of its generation.
    ///
    /// # Errors
    /// If the text is empty: an extension that says nothing is left out.
    pub fn fulcio(extension: FulcioExtension, text: &str) -> Result<Self, IssueError> {
        if text.is_empty() {
            return Err(IssueError::unwritable(
                "an extension of Fulcio",
                "it is empty",
            ));
        }
        let value = match extension.is_first_generation() {
            true => text.as_bytes().to_vec(),
            false => encode(Tag::Utf8String, text.as_bytes())?,
        };
        Ok(Self::new(&extension.oid(), false, value))
    }

    /// What makes a precertificate unusable as a certificate (RFC 6962, section 3.1): critical, with NULL inside.
    pub fn ct_poison() -> Self {
        Self::known(CT_POISON, true, vec![5, 0])
    }

    /// The promises of CT logs (RFC 6962, section 3.3).
    ///
    /// # Errors
    /// If there is none, or they are longer than 65,535 bytes.
    pub fn sct_list(scts: &[SignedCertificateTimestamp]) -> Result<Self, IssueError> {
        const WHAT: &str = "a list of SCTs";
        if scts.is_empty() {
            return Err(IssueError::unwritable(WHAT, "it is empty"));
        }
        let mut list = Vec::new();
        for sct in scts {
            list.extend(opaque16(WHAT, &sct.to_tls()?)?);
        }
        let value = encode(Tag::OctetString, &opaque16(WHAT, &list)?)?;
        Ok(Self::known(SCT_LIST, false, value))
    }

    pub(super) fn to_der(&self) -> Result<Vec<u8>, IssueError> {
        let critical: &[u8] = match self.critical {
            true => TRUE,
            // DER leaves out what is the default.
            false => &[],
        };
        Ok(sequence(&[
            &object_identifier("an extension", &self.oid)?,
            critical,
            &encode(Tag::OctetString, &self.value)?,
        ])?)
    }
}

/// The id of a key, for `subjectKeyIdentifier` and `authorityKeyIdentifier`: the leftmost 160 bits of the SHA-256 of
/// its bits (RFC 7093, section 2, method 1).
///
/// # Errors
/// If it is no `SubjectPublicKeyInfo`.
pub fn key_id(spki_der: &[u8]) -> Result<Vec<u8>, IssueError> {
    let malformed = |error| IssueError::unwritable("the id of a key", error);
    let info = SubjectPublicKeyInfoRef::try_from(spki_der).map_err(malformed)?;
    let hash = Digest::sha256(info.subject_public_key.raw_bytes());
    Ok(hash.bytes()[..KEY_ID].to_vec())
}

/// A vector of TLS with two bytes of length.
pub(super) fn opaque16(what: &'static str, bytes: &[u8]) -> Result<Vec<u8>, IssueError> {
    let length = u16::try_from(bytes.len())
        .map_err(|_| IssueError::unwritable(what, "it is longer than 65,535 bytes"))?;
    Ok([&length.to_be_bytes(), bytes].concat())
}

/// `GeneralName` (RFC 5280, section 4.2.1.6).
fn general_name(name: &SubjectAltName) -> Result<Vec<u8>, IssueError> {
    const WHAT: &str = "a subject alternative name";
    let ia5 = |number: u32, text: &str| {
        if text.is_empty() || !text.is_ascii() {
            let reason = format_args!("{text:?} is empty or not ASCII");
            return Err(IssueError::unwritable(WHAT, reason));
        }
        Ok(encode(primitive(number), text.as_bytes())?)
    };
    match name {
        SubjectAltName::Email(text) => ia5(1, text),
        SubjectAltName::Dns(text) => ia5(2, text),
        SubjectAltName::Uri(text) => ia5(6, text),
        SubjectAltName::Ip(IpAddr::V4(address)) => Ok(encode(primitive(7), &address.octets())?),
        SubjectAltName::Ip(IpAddr::V6(address)) => Ok(encode(primitive(7), &address.octets())?),
        SubjectAltName::Username(text) => {
            if text.is_empty() {
                return Err(IssueError::unwritable(WHAT, "a user name is empty"));
            }
            let value = encode(constructed(0), &encode(Tag::Utf8String, text.as_bytes())?)?;
            let oid = FULCIO_USERNAME.to_der()?;
            Ok(encode(constructed(0), &[oid, value].concat())?)
        }
        SubjectAltName::Directory(_) | SubjectAltName::Other { .. } => {
            let reason = format_args!("a name of the kind {:?} is not supported", name.kind());
            Err(IssueError::unwritable(WHAT, reason))
        }
    }
}
