//! The standard extensions of RFC 5280 that Sigstore's verifiers look at, and a note of every other one.

use core::fmt;

use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetString};
use der::{Decode, Tag, Tagged};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{self, AuthorityKeyIdentifier};

use crate::fulcio::Extensions as FulcioExtensions;
use crate::{Error, FulcioExtension, SignedCertificateTimestamp, SubjectAltName};

/// More extensions than this are refused; certificates of Fulcio have about 30.
const MAX_EXTENSIONS: usize = 128;

pub(crate) const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.5.29.14");
pub(crate) const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
pub(crate) const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
pub(crate) const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
pub(crate) const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.5.29.35");
pub(crate) const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
/// RFC 6962, section 3.3.
pub(crate) const SCT_LIST: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");
/// RFC 6962, section 3.1.
pub(crate) const CT_POISON: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.3");

/// What the key may be used for (section 4.2.1.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyUsage(pkix::KeyUsage);

impl KeyUsage {
    /// Whether the key may sign other things than certificates and CRLs.
    pub fn digital_signature(self) -> bool {
        self.0.digital_signature()
    }

    /// Whether the key may sign what its owner shall not be able to deny (`nonRepudiation`).
    pub fn non_repudiation(self) -> bool {
        self.0.non_repudiation()
    }

    /// Whether the key may sign certificates.
    pub fn key_cert_sign(self) -> bool {
        self.0.key_cert_sign()
    }

    /// The names of the usages, as the RFC has them.
    pub fn names(self) -> Vec<&'static str> {
        let usage = self.0;
        [
            (usage.digital_signature(), "digitalSignature"),
            (usage.non_repudiation(), "nonRepudiation"),
            (usage.key_encipherment(), "keyEncipherment"),
            (usage.data_encipherment(), "dataEncipherment"),
            (usage.key_agreement(), "keyAgreement"),
            (usage.key_cert_sign(), "keyCertSign"),
            (usage.crl_sign(), "cRLSign"),
            (usage.encipher_only(), "encipherOnly"),
            (usage.decipher_only(), "decipherOnly"),
        ]
        .into_iter()
        .filter_map(|(set, name)| set.then_some(name))
        .collect()
    }
}

/// A purpose of the key (section 4.2.1.12).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ExtendedKeyUsage {
    /// Any purpose.
    Any,
    /// TLS servers.
    ServerAuth,
    /// TLS clients.
    ClientAuth,
    /// Code, and whatever else Sigstore signs.
    CodeSigning,
    /// Mail.
    EmailProtection,
    /// RFC 3161 timestamps.
    TimeStamping,
    /// OCSP answers.
    OcspSigning,
    /// Another one, as an object identifier in dots.
    Other(String),
}

impl From<&ObjectIdentifier> for ExtendedKeyUsage {
    fn from(oid: &ObjectIdentifier) -> Self {
        const NAMED: [ExtendedKeyUsage; 7] = [
            ExtendedKeyUsage::Any,
            ExtendedKeyUsage::ServerAuth,
            ExtendedKeyUsage::ClientAuth,
            ExtendedKeyUsage::CodeSigning,
            ExtendedKeyUsage::EmailProtection,
            ExtendedKeyUsage::TimeStamping,
            ExtendedKeyUsage::OcspSigning,
        ];
        let text = oid.to_string();
        let named = NAMED.into_iter().find(|named| named.oid() == text);
        named.unwrap_or(Self::Other(text))
    }
}

impl ExtendedKeyUsage {
    /// The object identifier, in dots.
    pub fn oid(&self) -> &str {
        match self {
            Self::Any => "2.5.29.37.0",
            Self::ServerAuth => "1.3.6.1.5.5.7.3.1",
            Self::ClientAuth => "1.3.6.1.5.5.7.3.2",
            Self::CodeSigning => "1.3.6.1.5.5.7.3.3",
            Self::EmailProtection => "1.3.6.1.5.5.7.3.4",
            Self::TimeStamping => "1.3.6.1.5.5.7.3.8",
            Self::OcspSigning => "1.3.6.1.5.5.7.3.9",
            Self::Other(oid) => oid,
        }
    }
}

impl fmt::Display for ExtendedKeyUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "anyExtendedKeyUsage",
            Self::ServerAuth => "serverAuth",
            Self::ClientAuth => "clientAuth",
            Self::CodeSigning => "codeSigning",
            Self::EmailProtection => "emailProtection",
            Self::TimeStamping => "timeStamping",
            Self::OcspSigning => "OCSPSigning",
            Self::Other(oid) => oid,
        })
    }
}

/// Whether the subject is a CA (section 4.2.1.9).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BasicConstraints {
    /// Whether it is.
    pub ca: bool,
    /// How many CAs may follow below it.
    pub path_len: Option<u8>,
}

/// An extension that this crate does not read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unread {
    /// Its object identifier, in dots.
    pub oid: String,
    /// Whether a verifier that does not know it must refuse the certificate.
    pub critical: bool,
    /// What the extension holds, mostly DER.
    pub value: Vec<u8>,
}

impl Unread {
    /// The text, if the value is one in DER: a UTF8String, PrintableString or IA5String.
    pub fn text(&self) -> Option<&str> {
        let value = AnyRef::from_der(&self.value).ok()?;
        let is_text = matches!(
            value.tag(),
            Tag::Utf8String | Tag::PrintableString | Tag::Ia5String
        );
        core::str::from_utf8(value.value()).ok().filter(|_| is_text)
    }
}

/// Everything that the extensions of a certificate say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Extensions {
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) extended_key_usage: Vec<ExtendedKeyUsage>,
    pub(crate) extended_key_usage_critical: bool,
    pub(crate) basic_constraints: Option<BasicConstraints>,
    pub(crate) subject_key_id: Option<Vec<u8>>,
    pub(crate) authority_key_id: Option<Vec<u8>>,
    pub(crate) subject_alt_names: Vec<SubjectAltName>,
    pub(crate) fulcio: FulcioExtensions,
    pub(crate) timestamps: Vec<SignedCertificateTimestamp>,
    pub(crate) unread: Vec<Unread>,
}

impl Extensions {
    pub(crate) fn parse(list: &[Extension]) -> Result<Self, Error> {
        if list.len() > MAX_EXTENSIONS {
            return Err(Error::Malformed(format!(
                "it has more than {MAX_EXTENSIONS} extensions"
            )));
        }
        let mut read = Self::default();
        for (index, extension) in list.iter().enumerate() {
            let oid = extension.extn_id;
            // "A certificate MUST NOT include more than one instance of a particular extension" (section 4.2):
            // otherwise two readers can see two different certificates.
            if list[..index].iter().any(|earlier| earlier.extn_id == oid) {
                return Err(Error::extension(oid.to_string(), "it is there twice"));
            }
            read.add(extension)?;
        }
        Ok(read)
    }

    fn add(&mut self, extension: &Extension) -> Result<(), Error> {
        let bytes = extension.extn_value.as_bytes();
        match extension.extn_id {
            KEY_USAGE => {
                let bits: BitStringRef<'_> = decode("keyUsage", bytes)?;
                let unused = (1_u16 << bits.unused_bits()) - 1;
                if bits
                    .raw_bytes()
                    .last()
                    .is_some_and(|last| u16::from(*last) & unused != 0)
                {
                    return Err(Error::extension("keyUsage", "unused bits are set"));
                }
                self.key_usage = Some(KeyUsage(decode("keyUsage", bytes)?));
            }
            EXTENDED_KEY_USAGE => {
                let usages: pkix::ExtendedKeyUsage = decode("extKeyUsage", bytes)?;
                self.extended_key_usage = usages.0.iter().map(Into::into).collect();
                self.extended_key_usage_critical = extension.critical;
            }
            BASIC_CONSTRAINTS => {
                let constraints: pkix::BasicConstraints = decode("basicConstraints", bytes)?;
                self.basic_constraints = Some(BasicConstraints {
                    ca: constraints.ca,
                    path_len: constraints.path_len_constraint,
                });
            }
            SUBJECT_KEY_IDENTIFIER => {
                let id: OctetString = decode("subjectKeyIdentifier", bytes)?;
                self.subject_key_id = Some(id.into_bytes().into());
            }
            AUTHORITY_KEY_IDENTIFIER => {
                let id: AuthorityKeyIdentifier = decode("authorityKeyIdentifier", bytes)?;
                self.authority_key_id = id.key_identifier.map(|id| id.into_bytes().into());
            }
            SUBJECT_ALT_NAME => self.subject_alt_names = SubjectAltName::parse_all(bytes)?,
            SCT_LIST => {
                let list: OctetString = decode("SCT list", bytes)?;
                self.timestamps = SignedCertificateTimestamp::parse_list(list.as_bytes())?;
            }
            oid => match FulcioExtension::from_oid(&oid) {
                Some(fulcio) => self.fulcio.0.push((fulcio, fulcio.parse(bytes)?)),
                None => {
                    self.unread.push(Unread {
                        oid: oid.to_string(),
                        critical: extension.critical,
                        value: bytes.to_vec(),
                    });
                }
            },
        }
        Ok(())
    }
}

fn decode<'a, T: Decode<'a, Error = der::Error>>(name: &str, bytes: &'a [u8]) -> Result<T, Error> {
    T::from_der(bytes).map_err(|reason| Error::extension(name, reason))
}
