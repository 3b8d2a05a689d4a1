//! The first key and certificates of a CA: a root that signs one intermediate, which signs certificates.

use sealmark_keys::{PrivateKey, PublicKey};
use sealmark_x509::issue::{CertificateTemplate, Extension, IssueError, Name, Usage, key_id};
use sealmark_x509::{BasicConstraints, Certificate, ExtendedKeyUsage};

use crate::Error;
use crate::serial::serial;

/// How long roots are valid, in seconds: ten years, as the public instance's.
const ROOT_LIFETIME: u64 = 10 * 365 * 86_400;

/// A key with its certificate.
#[derive(Clone, Debug)]
pub struct Authority {
    /// The key.
    pub key: PrivateKey,
    /// Its certificate.
    pub certificate: Certificate,
}

impl Authority {
    /// A root with this key, valid for ten years from `now`, in seconds since 1970.
    ///
    /// # Errors
    /// If the key does not sign, or the name cannot be written.
    pub fn root(key: PrivateKey, organization: &str, name: &str, now: u64) -> Result<Self, Error> {
        let subject = Name::organization(organization, name).map_err(failed)?;
        let template = CertificateTemplate {
            issuer: subject.clone(),
            ..ca(subject, key.public_key(), now, ROOT_LIFETIME, None, None).map_err(failed)?
        };
        let certificate = template.sign(&key).map_err(failed)?;
        Ok(Self { key, certificate })
    }

    /// An intermediate below this one, for certificates of this purpose, valid as long as this one.
    ///
    /// # Errors
    /// As [`root`](Self::root).
    pub fn intermediate(
        &self,
        key: PrivateKey,
        organization: &str,
        name: &str,
        purpose: ExtendedKeyUsage,
        now: u64,
    ) -> Result<Self, Error> {
        let subject = Name::organization(organization, name).map_err(failed)?;
        let above = Some(&self.certificate);
        let left = self.certificate.validity().not_after.unix_seconds();
        let lifetime = left.saturating_sub(now);
        let template = ca(
            subject,
            key.public_key(),
            now,
            lifetime,
            Some(purpose),
            above,
        )
        .map_err(failed)?;
        let certificate = template.sign(&self.key).map_err(failed)?;
        Ok(Self { key, certificate })
    }

    /// The certificate of a timestamp authority below this one (RFC 3161, section 2.3), valid as long as this one.
    ///
    /// # Errors
    /// As [`root`](Self::root).
    pub fn timestamper(
        &self,
        key: PrivateKey,
        organization: &str,
        name: &str,
        now: u64,
    ) -> Result<Self, Error> {
        let write = || -> Result<Certificate, IssueError> {
            let purpose = [ExtendedKeyUsage::TimeStamping];
            let template = CertificateTemplate {
                serial: serial()?,
                issuer: Name::subject_of(&self.certificate),
                subject: Name::organization(organization, name)?,
                not_before: now,
                not_after: self.certificate.validity().not_after.unix_seconds(),
                public_key: key.public_key().spki_der().to_vec(),
                extensions: vec![
                    Extension::key_usage(&[Usage::DigitalSignature])?,
                    Extension::extended_key_usage(&purpose, true)?,
                    Extension::subject_key_id(&key_id(key.public_key().spki_der())?)?,
                    Extension::authority_key_id(&key_id(self.certificate.spki_der())?)?,
                ],
            };
            template.sign(&self.key)
        };
        let certificate = write().map_err(failed)?;
        Ok(Self { key, certificate })
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Authority(error.to_string())
}

fn ca(
    subject: Name,
    key: &PublicKey,
    now: u64,
    lifetime: u64,
    purpose: Option<ExtendedKeyUsage>,
    above: Option<&Certificate>,
) -> Result<CertificateTemplate, IssueError> {
    let path_len = above.map(|_| 0).or(Some(1));
    let mut extensions = vec![
        Extension::key_usage(&[Usage::KeyCertSign, Usage::CrlSign])?,
        Extension::basic_constraints(BasicConstraints { ca: true, path_len })?,
        Extension::subject_key_id(&key_id(key.spki_der())?)?,
    ];
    if let Some(above) = above {
        extensions.push(Extension::authority_key_id(&key_id(above.spki_der())?)?);
    }
    if let Some(purpose) = purpose {
        extensions.push(Extension::extended_key_usage(&[purpose], false)?);
    }
    Ok(CertificateTemplate {
        serial: serial()?,
        issuer: above.map_or_else(Name::empty, Name::subject_of),
        subject,
        not_before: now,
        not_after: now.saturating_add(lifetime),
        public_key: key.spki_der().to_vec(),
        extensions,
    })
}
