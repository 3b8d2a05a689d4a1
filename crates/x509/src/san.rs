//! Subject alternative names (RFC 5280, section 4.2.1.6): who a certificate is for.
//!
//! Every name is kept, also of the kinds that Sigstore has no use for, so that nothing that a CA signed is hidden.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use der::asn1::{Any, AnyRef, ObjectIdentifier, Utf8StringRef};
use der::{Decode, Encode, Tag, Tagged};
use x509_cert::ext::pkix::name::OtherName;
use x509_cert::name::Name;

use crate::Error;

/// More names than this in one certificate are refused: each is compared with the identity that is looked for.
pub(crate) const MAX_NAMES: usize = 1024;
/// The type of the `otherName` with which Fulcio names users of issuers that know only user names.
/// See <https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md>.
pub(crate) const FULCIO_USERNAME: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");
const EXTENSION: &str = "subjectAltName";

/// A name of a certificate's subject.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SubjectAltName {
    /// An address: `person@example.com`.
    Email(String),
    /// A URI, e.g. of a workflow.
    Uri(String),
    /// A host name.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
    /// A user name at an issuer, as Fulcio writes it (`otherName` 1.3.6.1.4.1.57264.1.7): `user!example.com`.
    Username(String),
    /// A directory name, as in RFC 4514.
    Directory(String),
    /// Any other kind of name.
    Other {
        /// The kind: a type id for `otherName`, else the number of the choice.
        kind: String,
        /// Its DER.
        der: Vec<u8>,
    },
}

impl SubjectAltName {
    /// What kind of name it is, in the words of the certificate tools: `email`, `URI`, `DNS`, `IP`, …
    pub fn kind(&self) -> &str {
        match self {
            Self::Email(_) => "email",
            Self::Uri(_) => "URI",
            Self::Dns(_) => "DNS",
            Self::Ip(_) => "IP",
            Self::Username(_) => "username",
            Self::Directory(_) => "directory name",
            Self::Other { kind, .. } => kind,
        }
    }

    /// The value alone; hex for names of other kinds.
    pub fn value(&self) -> String {
        match self {
            Self::Email(text)
            | Self::Uri(text)
            | Self::Dns(text)
            | Self::Username(text)
            | Self::Directory(text) => text.clone(),
            Self::Ip(address) => address.to_string(),
            Self::Other { der, .. } => format!("#{}", hex::encode(der)),
        }
    }

    pub(crate) fn parse_all(extension: &[u8]) -> Result<Vec<Self>, Error> {
        let malformed = |reason: der::Error| Error::extension(EXTENSION, reason);
        let names = Vec::<Any>::from_der(extension).map_err(malformed)?;
        if names.is_empty() {
            return Err(Error::extension(EXTENSION, "it has no name"));
        }
        if names.len() > MAX_NAMES {
            return Err(Error::extension(
                EXTENSION,
                format_args!("it has more than {MAX_NAMES} names"),
            ));
        }
        names.iter().map(Self::parse).collect()
    }

    fn parse(name: &Any) -> Result<Self, Error> {
        let Tag::ContextSpecific { number, .. } = name.tag() else {
            return Err(Error::extension(
                EXTENSION,
                format_args!("a name has the tag {}", name.tag()),
            ));
        };
        let malformed = |reason: der::Error| Error::extension(EXTENSION, reason);
        Ok(match number.value() {
            0 => Self::parse_other(name).map_err(malformed)?,
            1 => Self::Email(ia5(name)?),
            2 => Self::Dns(ia5(name)?),
            // A choice is tagged explicitly: the name is inside.
            4 => Self::Directory(Name::from_der(name.value()).map_err(malformed)?.to_string()),
            6 => Self::Uri(ia5(name)?),
            7 => Self::Ip(ip(name.value())?),
            number => Self::Other {
                kind: format!("name [{number}]"),
                der: name.to_der().map_err(malformed)?,
            },
        })
    }

    fn parse_other(name: &Any) -> der::Result<Self> {
        // Implicitly tagged: what is inside [0] are the fields of the sequence.
        let sequence = AnyRef::new(Tag::Sequence, name.value())?.to_der()?;
        let other = OtherName::from_der(&sequence)?;
        if other.type_id == FULCIO_USERNAME {
            let text: Utf8StringRef<'_> = (&other.value).try_into()?;
            return Ok(Self::Username(text.as_str().to_owned()));
        }
        Ok(Self::Other {
            kind: format!("otherName {}", other.type_id),
            der: other.value.to_der()?,
        })
    }
}

impl fmt::Display for SubjectAltName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind(), self.value())
    }
}

/// An IA5String is ASCII. No address, URI or host name has a control character; one that stops at a NUL for one
/// program and goes on for another would be two names.
fn ia5(name: &Any) -> Result<String, Error> {
    let text = core::str::from_utf8(name.value())
        .ok()
        .filter(|text| text.is_ascii())
        .ok_or_else(|| Error::extension(EXTENSION, "a name is not ASCII"))?;
    if text.contains(|c: char| c.is_ascii_control()) {
        return Err(Error::extension(
            EXTENSION,
            "a name has a control character",
        ));
    }
    Ok(text.to_owned())
}

fn ip(bytes: &[u8]) -> Result<IpAddr, Error> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Ok(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(bytes)
        .map(|sixteen| Ipv6Addr::from(sixteen).into())
        .map_err(|_| {
            Error::extension(
                EXTENSION,
                format_args!("an IP address has {} bytes", bytes.len()),
            )
        })
}
