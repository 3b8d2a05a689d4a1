//! A certificate, and its parts.

use core::fmt;
use core::ops::Range;
use std::sync::Arc;

use der::{Decode, Encode, Tag};
use sealmark_formats::Digest;
use sealmark_keys::PublicKey;

use crate::element::{Element, Elements, constructed};
use crate::extensions::CT_POISON;
use crate::extensions::Extensions;
use crate::fulcio::Extensions as FulcioExtensions;
use crate::{
    BasicConstraints, Error, ExtendedKeyUsage, KeyUsage, MAX_CERTIFICATE,
    SignedCertificateTimestamp, SubjectAltName, Unread, Validity, pem,
};

/// The longest serial number, in octets.
const MAX_SERIAL: usize = 20;

/// A certificate that is well formed. Nothing says that it is to be trusted.
///
/// Two are equal if and only if their bytes are. A clone shares what was read.
#[derive(Clone)]
pub struct Certificate(Arc<Parts>);

struct Parts {
    der: Vec<u8>,
    fields: Fields,
    parsed: x509_cert::Certificate,
    validity: Validity,
    public_key: Result<PublicKey, sealmark_keys::Error>,
    extensions: Extensions,
}

impl Certificate {
    /// Reads a certificate in DER (RFC 5280).
    ///
    /// # Errors
    /// If it is larger than [`MAX_CERTIFICATE`], not DER, followed by other bytes, or an extension that this crate
    /// reads is malformed or there twice. A public key that cannot be used is no error here but of
    /// [`public_key`](Self::public_key).
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_CERTIFICATE {
            return Err(Error::TooLarge(bytes.len()));
        }
        let malformed = |reason: der::Error| Error::Malformed(reason.to_string());
        let parsed = x509_cert::Certificate::from_der(bytes).map_err(malformed)?;
        let fields = Fields::find(bytes).map_err(malformed)?;
        check_serial(&bytes[fields.serial.clone()])?;
        let certificate = parsed.tbs_certificate();
        let spki = certificate
            .subject_public_key_info()
            .to_der()
            .map_err(malformed)?;
        Ok(Self(Arc::new(Parts {
            der: bytes.to_vec(),
            fields,
            validity: Validity {
                not_before: certificate.validity().not_before.into(),
                not_after: certificate.validity().not_after.into(),
            },
            public_key: PublicKey::from_spki_der(&spki),
            extensions: Extensions::parse(certificate.extensions().map_or(&[], Vec::as_slice))?,
            parsed,
        })))
    }

    /// Reads PEM with exactly one certificate.
    ///
    /// # Errors
    /// As [`from_der`](Self::from_der), and if there is none or more than one.
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        let mut chain = Self::chain_from_pem(text)?;
        match (chain.pop(), chain.len()) {
            (Some(certificate), 0) => Ok(certificate),
            (_, others) => Err(Error::NotOne(others + 1)),
        }
    }

    /// Reads PEM with one certificate or more, up to [`MAX_CHAIN`](crate::MAX_CHAIN), in the order of the text. Blocks
    /// of other kinds are passed over.
    ///
    /// # Errors
    /// As [`from_der`](Self::from_der), and if there is none or too many.
    pub fn chain_from_pem(text: &[u8]) -> Result<Vec<Self>, Error> {
        pem::certificates(text)?
            .iter()
            .map(|bytes| Self::from_der(bytes))
            .collect()
    }

    /// The certificate in PEM, as Go and so every part of Sigstore writes it: 64 characters a line.
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE", self.der())
    }

    /// The certificate in DER, as it was read.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The part that the issuer signed (`TBSCertificate`), as it was read.
    pub fn tbs_der(&self) -> &[u8] {
        &self.0.der[self.0.fields.tbs.clone()]
    }

    /// The issuer's signature over [`tbs_der`](Self::tbs_der).
    pub fn signature(&self) -> &[u8] {
        self.0.parsed.signature().raw_bytes()
    }

    /// The object identifier of the signature's algorithm, in dots.
    pub fn signature_algorithm(&self) -> String {
        self.0.parsed.signature_algorithm().oid.to_string()
    }

    /// The serial number.
    pub fn serial(&self) -> Serial<'_> {
        Serial(self.0.parsed.tbs_certificate().serial_number().as_bytes())
    }

    /// The subject as in RFC 4514: `CN=sigstore,O=sigstore.dev`; empty in Fulcio's leaf certificates.
    pub fn subject(&self) -> String {
        self.0.parsed.tbs_certificate().subject().to_string()
    }

    /// The issuer as in RFC 4514.
    pub fn issuer(&self) -> String {
        self.0.parsed.tbs_certificate().issuer().to_string()
    }

    /// Whether subject and issuer are the same name, as in a root.
    pub fn is_self_issued(&self) -> bool {
        let certificate = self.0.parsed.tbs_certificate();
        certificate.subject() == certificate.issuer()
    }

    /// When it is valid.
    pub fn validity(&self) -> Validity {
        self.0.validity
    }

    /// The subject's key.
    ///
    /// # Errors
    /// If it is of a kind that is not supported, too weak, or malformed.
    pub fn public_key(&self) -> Result<&PublicKey, Error> {
        self.0
            .public_key
            .as_ref()
            .map_err(|error| Error::Key(error.clone()))
    }

    /// Who the certificate is for, in the order of the certificate.
    pub fn subject_alt_names(&self) -> &[SubjectAltName] {
        &self.0.extensions.subject_alt_names
    }

    /// Fulcio's own extensions.
    pub fn fulcio(&self) -> &FulcioExtensions {
        &self.0.extensions.fulcio
    }

    /// The promises of CT logs embedded in the certificate.
    pub fn signed_certificate_timestamps(&self) -> &[SignedCertificateTimestamp] {
        &self.0.extensions.timestamps
    }

    /// What the key may be used for; `None` if nothing is said.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.extensions.key_usage
    }

    /// The purposes of the key; empty if nothing is said.
    pub fn extended_key_usage(&self) -> &[ExtendedKeyUsage] {
        &self.0.extensions.extended_key_usage
    }

    /// Whether a verifier that does not know the extension with the purposes must refuse the certificate, as RFC 3161
    /// wants it of timestamp authorities.
    pub fn extended_key_usage_is_critical(&self) -> bool {
        self.0.extensions.extended_key_usage_critical
    }

    /// Whether the subject is a CA; `None` if nothing is said, which means that it is not.
    pub fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.0.extensions.basic_constraints
    }

    /// Whether the subject is a CA.
    pub fn is_ca(&self) -> bool {
        self.0
            .extensions
            .basic_constraints
            .is_some_and(|constraints| constraints.ca)
    }

    /// The id of the subject's key, as the issuer chose it.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.subject_key_id.as_deref()
    }

    /// The id of the issuer's key.
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.authority_key_id.as_deref()
    }

    /// The extensions that this crate does not read, in the order of the certificate.
    pub fn unread_extensions(&self) -> &[Unread] {
        &self.0.extensions.unread
    }

    /// Whether it has the poison of a precertificate (RFC 6962, section 3.1), which makes it good for nothing but a CT log.
    pub fn is_precertificate(&self) -> bool {
        let poison = CT_POISON.to_string();
        let mut unread = self.0.extensions.unread.iter();
        unread.any(|extension| extension.critical && extension.oid == poison)
    }

    /// Whether the other certificate's key signed this one, and its subject is this one's issuer. Nothing else is looked
    /// at: not the times, and not what the other one may be used for. [`verify_chain`](crate::verify_chain) decides
    /// that.
    pub fn is_signed_by(&self, issuer: &Self) -> bool {
        let key = issuer.public_key();
        self.issuer_der() == issuer.subject_der()
            && key.is_ok_and(|key| key.verify(self.tbs_der(), self.signature()).is_ok())
    }

    /// The subject's key as it stands in the certificate: SubjectPublicKeyInfo in DER, of whatever kind it is.
    pub fn spki_der(&self) -> &[u8] {
        &self.0.der[self.0.fields.spki.clone()]
    }

    /// The subject's name as it stands in the certificate.
    pub(crate) fn subject_der(&self) -> &[u8] {
        &self.der()[self.0.fields.subject.clone()]
    }

    /// The issuer's name as it stands in the certificate.
    pub(crate) fn issuer_der(&self) -> &[u8] {
        &self.0.der[self.0.fields.issuer.clone()]
    }

    /// The serial number's content as it stands in the certificate.
    pub(crate) fn serial_der(&self) -> &[u8] {
        &self.0.der[self.0.fields.serial.clone()]
    }

    /// SHA-256 over the DER.
    pub fn fingerprint(&self) -> Digest {
        Digest::sha256(&self.0.der)
    }
}

/// RFC 5280, section 4.1.2.2: positive, and at most 20 octets. Zero is taken, which old roots have, and an octet more
/// where it is only the sign's.
fn check_serial(content: &[u8]) -> Result<(), Error> {
    if content.first().is_some_and(|first| first & 0x80 != 0) {
        return Err(Error::Malformed("its serial number is negative".to_owned()));
    }
    if content.strip_prefix(&[0]).unwrap_or(content).len() > MAX_SERIAL {
        return Err(Error::Malformed(format!(
            "its serial number has more than {MAX_SERIAL} octets"
        )));
    }
    Ok(())
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.fingerprint())
    }
}

/// Where those parts of a certificate are whose very bytes matter.
struct Fields {
    /// `TBSCertificate`: what the issuer signed.
    tbs: Range<usize>,
    /// The content of `serialNumber`.
    serial: Range<usize>,
    /// `issuer`.
    issuer: Range<usize>,
    /// `subject`.
    subject: Range<usize>,
    /// `subjectPublicKeyInfo`.
    spki: Range<usize>,
}

impl Fields {
    /// RFC 5280, section 4.1.
    fn find(certificate: &[u8]) -> der::Result<Self> {
        let outer = Element::only(certificate)?;
        let tbs = Elements::new(outer.content)?.next()?;
        let mut fields = Elements::new(tbs.content)?;
        fields.optional(constructed(0))?; // version
        let serial = fields.expect(Tag::Integer)?;
        fields.next()?; // signature
        let issuer = fields.next()?;
        fields.next()?; // validity
        let subject = fields.next()?;
        let spki = fields.next()?;
        // All of them are parts of `certificate`.
        let range = |part: &[u8]| {
            let start = part.as_ptr().addr() - certificate.as_ptr().addr();
            start..start + part.len()
        };
        Ok(Self {
            tbs: range(tbs.der),
            serial: range(serial.content),
            issuer: range(issuer.der),
            subject: range(subject.der),
            spki: range(spki.der),
        })
    }
}

/// A serial number: a positive integer, displayed in hex as the certificate tools do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Serial<'a>(&'a [u8]);

impl Serial<'_> {
    /// The number, big-endian.
    pub fn bytes(&self) -> &[u8] {
        self.0
    }
}

impl fmt::Display for Serial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}
