//! Certificates (RFC 5280, section 4.1), element by element.

use der::Encode;
use der::Tag;
use der::asn1::{GeneralizedTime, UtcTime};
use sealmark_keys::Scheme;

use super::{Extension, IssueError, IssuingKey, Name, algorithm, date_time, positive, sequence};
use crate::Certificate;
use crate::element::{constructed, encode};

/// The longest serial number, in bytes (RFC 5280, section 4.1.2.2).
const MAX_SERIAL: usize = 20;
/// The last year of a `UTCTime` (section 4.1.2.5).
const LAST_UTC_YEAR: u16 = 2049;
const WHAT: &str = "a certificate";

/// Everything in a certificate but the signature.
///
/// A precertificate and the certificate that follows must be the same but for the CT extensions: clone the template,
/// and put [`Extension::ct_poison`] resp. [`Extension::sct_list`] last.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateTemplate {
    /// The serial number, big-endian: larger than zero, at most 20 bytes, and not to be guessed.
    pub serial: Vec<u8>,
    /// Who signs.
    pub issuer: Name,
    /// Who has the key. Fulcio leaves it empty, as the name is in the subject alternative name.
    pub subject: Name,
    /// The first second of validity, counted from 1970.
    pub not_before: u64,
    /// The last second of validity, counted from 1970.
    pub not_after: u64,
    /// The subject's key: `SubjectPublicKeyInfo`, DER.
    pub public_key: Vec<u8>,
    /// The extensions, in the order in which they are written.
    pub extensions: Vec<Extension>,
}

impl CertificateTemplate {
    /// The bytes that the issuer signs with this scheme (`TBSCertificate`).
    ///
    /// # Errors
    /// If the serial number is out of bounds, a time after the year 9999, or certificates have no name for the scheme.
    pub fn to_be_signed(&self, scheme: Scheme) -> Result<Vec<u8>, IssueError> {
        self.written(scheme)?.to_be_signed(None)
    }

    /// What a precertificate and its certificate have in common, written once.
    ///
    /// # Errors
    /// As [`to_be_signed`](Self::to_be_signed).
    pub fn written(&self, scheme: Scheme) -> Result<WrittenTemplate, IssueError> {
        let validity = sequence(&[&time(self.not_before)?, &time(self.not_after)?])?;
        let fields = [
            encode(constructed(0), &[2, 1, 2])?, // version 3
            positive("the serial number", &self.serial, MAX_SERIAL)?,
            algorithm::signature(WHAT, scheme)?,
            self.issuer.der().to_vec(),
            validity,
            self.subject.der().to_vec(),
            self.public_key.clone(),
        ];
        let mut extensions = Vec::new();
        for extension in &self.extensions {
            extensions.extend(extension.to_der()?);
        }
        Ok(WrittenTemplate {
            scheme,
            fields: fields.concat(),
            extensions,
        })
    }

    /// Issues the certificate.
    ///
    /// # Errors
    /// As [`to_be_signed`](Self::to_be_signed) and [`signed_certificate`], and if the key does not sign.
    pub fn sign(&self, key: &impl IssuingKey) -> Result<Certificate, IssueError> {
        let tbs = self.to_be_signed(key.scheme())?;
        let signature = key.sign(&tbs).map_err(IssueError::Key)?;
        signed_certificate(&tbs, key.scheme(), &signature)
    }
}

/// A template in its bytes, to which one more extension may be added.
#[derive(Clone, Debug)]
pub struct WrittenTemplate {
    scheme: Scheme,
    /// What comes before the extensions.
    fields: Vec<u8>,
    extensions: Vec<u8>,
}

impl WrittenTemplate {
    fn to_be_signed(&self, last: Option<&Extension>) -> Result<Vec<u8>, IssueError> {
        let mut tbs = self.fields.clone();
        let mut extensions = self.extensions.clone();
        if let Some(last) = last {
            extensions.extend(last.to_der()?);
        }
        // "SEQUENCE SIZE (1..MAX)": without extensions there is no list.
        if !extensions.is_empty() {
            tbs.extend(encode(
                constructed(3),
                &encode(Tag::Sequence, &extensions)?,
            )?);
        }
        Ok(encode(Tag::Sequence, &tbs)?)
    }

    /// The DER of the certificate with this extension as its last.
    ///
    /// # Errors
    /// If the key is not of the scheme that it was written for, or does not sign.
    pub fn sign(
        &self,
        last: Option<&Extension>,
        key: &impl IssuingKey,
    ) -> Result<Vec<u8>, IssueError> {
        if key.scheme() != self.scheme {
            let scheme = key.scheme();
            return Err(IssueError::Scheme { what: WHAT, scheme });
        }
        let tbs = self.to_be_signed(last)?;
        let signature = key.sign(&tbs).map_err(IssueError::Key)?;
        signed_der(&tbs, self.scheme, &signature)
    }
}

/// The certificate with this `TBSCertificate` and a signature over it.
///
/// # Errors
/// If certificates have no name for the scheme, or what comes out is none that this crate reads.
pub fn signed_certificate(
    tbs: &[u8],
    scheme: Scheme,
    signature: &[u8],
) -> Result<Certificate, IssueError> {
    let der = signed_der(tbs, scheme, signature)?;
    Certificate::from_der(&der).map_err(|error| IssueError::unwritable(WHAT, error))
}

fn signed_der(tbs: &[u8], scheme: Scheme, signature: &[u8]) -> Result<Vec<u8>, IssueError> {
    // A BIT STRING says first how many bits of the last byte are unused.
    let bits = [&[0], signature].concat();
    Ok(sequence(&[
        tbs,
        &algorithm::signature(WHAT, scheme)?,
        &encode(Tag::BitString, &bits)?,
    ])?)
}

/// `UTCTime` through 2049, `GeneralizedTime` after (section 4.1.2.5).
fn time(unix_seconds: u64) -> Result<Vec<u8>, IssueError> {
    let time = date_time("a time of validity", unix_seconds)?;
    Ok(if time.year() <= LAST_UTC_YEAR {
        UtcTime::from_date_time(time)?.to_der()?
    } else {
        GeneralizedTime::from_date_time(time).to_der()?
    })
}
