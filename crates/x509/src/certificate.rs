//! A certificate, and its parts.

use core::fmt;

use der::{Decode, Encode};
use sealmark_formats::Digest;
use sealmark_keys::PublicKey;

use crate::extensions::Extensions;
use crate::fulcio::Extensions as FulcioExtensions;
use crate::{
    BasicConstraints, Error, ExtendedKeyUsage, KeyUsage, MAX_CERTIFICATE,
    SignedCertificateTimestamp, SubjectAltName, Unread, Validity, pem,
};

/// A certificate that is well formed. Nothing says that it is to be trusted.
///
/// Two are equal if and only if their bytes are.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    /// Where the signed part is in `der`.
    tbs: core::ops::Range<usize>,
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
        let tbs = signed_part(bytes).map_err(malformed)?;
        let certificate = parsed.tbs_certificate();
        let spki = certificate
            .subject_public_key_info()
            .to_der()
            .map_err(malformed)?;
        Ok(Self {
            der: bytes.to_vec(),
            tbs,
            validity: Validity {
                not_before: certificate.validity().not_before.into(),
                not_after: certificate.validity().not_after.into(),
            },
            public_key: PublicKey::from_spki_der(&spki),
            extensions: Extensions::parse(certificate.extensions().map_or(&[], Vec::as_slice))?,
            parsed,
        })
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

    /// The certificate in DER, as it was read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The part that the issuer signed (`TBSCertificate`), as it was read.
    pub fn tbs_der(&self) -> &[u8] {
        &self.der[self.tbs.clone()]
    }

    /// The issuer's signature over [`tbs_der`](Self::tbs_der).
    pub fn signature(&self) -> &[u8] {
        self.parsed.signature().raw_bytes()
    }

    /// The object identifier of the signature's algorithm, in dots.
    pub fn signature_algorithm(&self) -> String {
        self.parsed.signature_algorithm().oid.to_string()
    }

    /// The serial number.
    pub fn serial(&self) -> Serial<'_> {
        Serial(self.parsed.tbs_certificate().serial_number().as_bytes())
    }

    /// The subject as in RFC 4514: `CN=sigstore,O=sigstore.dev`; empty in Fulcio's leaf certificates.
    pub fn subject(&self) -> String {
        self.parsed.tbs_certificate().subject().to_string()
    }

    /// The issuer as in RFC 4514.
    pub fn issuer(&self) -> String {
        self.parsed.tbs_certificate().issuer().to_string()
    }

    /// Whether subject and issuer are the same name, as in a root.
    pub fn is_self_issued(&self) -> bool {
        let certificate = self.parsed.tbs_certificate();
        certificate.subject() == certificate.issuer()
    }

    /// When it is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// The subject's key.
    ///
    /// # Errors
    /// If it is of a kind that is not supported, too weak, or malformed.
    pub fn public_key(&self) -> Result<&PublicKey, Error> {
        self.public_key
            .as_ref()
            .map_err(|error| Error::Key(error.clone()))
    }

    /// Who the certificate is for, in the order of the certificate.
    pub fn subject_alt_names(&self) -> &[SubjectAltName] {
        &self.extensions.subject_alt_names
    }

    /// Fulcio's own extensions.
    pub fn fulcio(&self) -> &FulcioExtensions {
        &self.extensions.fulcio
    }

    /// The promises of CT logs embedded in the certificate.
    pub fn signed_certificate_timestamps(&self) -> &[SignedCertificateTimestamp] {
        &self.extensions.timestamps
    }

    /// What the key may be used for; `None` if nothing is said.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.extensions.key_usage
    }

    /// The purposes of the key; empty if nothing is said.
    pub fn extended_key_usage(&self) -> &[ExtendedKeyUsage] {
        &self.extensions.extended_key_usage
    }

    /// Whether the subject is a CA; `None` if nothing is said, which means that it is not.
    pub fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.extensions.basic_constraints
    }

    /// Whether the subject is a CA.
    pub fn is_ca(&self) -> bool {
        self.extensions
            .basic_constraints
            .is_some_and(|constraints| constraints.ca)
    }

    /// The id of the subject's key, as the issuer chose it.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.extensions.subject_key_id.as_deref()
    }

    /// The id of the issuer's key.
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.extensions.authority_key_id.as_deref()
    }

    /// The extensions that this crate does not read, in the order of the certificate.
    pub fn unread_extensions(&self) -> &[Unread] {
        &self.extensions.unread
    }

    /// SHA-256 over the DER.
    pub fn fingerprint(&self) -> Digest {
        Digest::sha256(&self.der)
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.fingerprint())
    }
}

/// Where `TBSCertificate`, the first element of the outer sequence, is.
fn signed_part(bytes: &[u8]) -> der::Result<core::ops::Range<usize>> {
    use der::{Reader, SliceReader};
    let mut reader = SliceReader::new(bytes)?;
    der::Header::decode(&mut reader)?;
    let start = usize::try_from(reader.position())?;
    reader.tlv_bytes()?;
    Ok(start..usize::try_from(reader.position())?)
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
