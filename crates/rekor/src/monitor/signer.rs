//! Who signed, as a log entry says it: the names and fingerprints of a key or a certificate.

use sealmark_formats::Digest;
use sealmark_formats::log_entry::{KeyFormat, Verifier};
use sealmark_verify::policy::Match;
use sealmark_x509::{Certificate, SubjectAltName};
use serde::Serialize;

use super::foreign;

/// A key or certificate of an entry, read as far as it can be.
pub(super) struct Signer {
    /// If it is one, and can be read.
    pub(super) certificate: Option<Certificate>,
    /// The names by which people look for it.
    names: Vec<String>,
    /// Of the key, and of the certificate, in the form of [`super::fingerprint`].
    pub(super) fingerprints: Vec<String>,
    /// Why it cannot be read.
    pub(super) problem: Option<String>,
}

/// Who signed, for a report.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Signed {
    /// The names in the certificate, or in the OpenPGP key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
    /// The identity provider, from Fulcio's extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// SHA-256 of the certificate in DER, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Fingerprint of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Signer {
    pub(super) fn read(verifier: &Verifier) -> Self {
        match verifier {
            Verifier::PublicKey(spki) => Self {
                certificate: None,
                names: Vec::new(),
                fingerprints: vec![Digest::sha256(spki).hex()],
                problem: None,
            },
            Verifier::Certificate(der) => Self::read_certificate(der),
            Verifier::Other { format, content } => {
                let read = match format {
                    KeyFormat::Pgp => foreign::pgp(content),
                    KeyFormat::Ssh => foreign::ssh(content),
                    KeyFormat::Minisign => foreign::minisign(content),
                    // Its keys are those of a repository; nobody looks for one by a name.
                    KeyFormat::TufRoot => Ok(foreign::Key::default()),
                };
                let (key, problem) = match read {
                    Ok(key) => (key, None),
                    Err(reason) => (
                        foreign::Key::default(),
                        Some(format!("its key, {format}, cannot be read: {reason}")),
                    ),
                };
                Self {
                    certificate: None,
                    names: key.names,
                    fingerprints: key.fingerprints,
                    problem,
                }
            }
        }
    }

    fn read_certificate(der: &[u8]) -> Self {
        let whole = Digest::sha256(der).hex();
        match Certificate::from_der(der) {
            Ok(certificate) => Self {
                names: certificate
                    .subject_alt_names()
                    .iter()
                    .map(SubjectAltName::value)
                    .collect(),
                fingerprints: vec![Digest::sha256(certificate.spki_der()).hex(), whole],
                certificate: Some(certificate),
                problem: None,
            },
            Err(error) => Self {
                certificate: None,
                names: Vec::new(),
                fingerprints: vec![whole],
                problem: Some(format!("its certificate cannot be read: {error}")),
            },
        }
    }

    /// The first name that fits.
    ///
    /// What is looked for literally is compared with the names that stand in the certificate as they are, and not with
    /// addresses of machines and the names of directories, which are displayed in a form of their own.
    pub(super) fn name_that_fits(&self, wanted: &Match) -> Option<&str> {
        let Some(certificate) = &self.certificate else {
            return self.first(wanted);
        };
        let literal = certificate.subject_alt_names().iter().map(|name| {
            matches!(
                name,
                SubjectAltName::Email(_)
                    | SubjectAltName::Uri(_)
                    | SubjectAltName::Dns(_)
                    | SubjectAltName::Username(_)
            )
        });
        match wanted {
            Match::Exact(_) => {
                let mut names = self.names.iter().zip(literal);
                let found = names.find(|(name, literal)| *literal && wanted.matches(name));
                found.map(|(name, _)| name.as_str())
            }
            Match::Pattern(_) => self.first(wanted),
        }
    }

    fn first(&self, wanted: &Match) -> Option<&str> {
        let mut names = self.names.iter();
        names.find(|name| wanted.matches(name)).map(String::as_str)
    }

    /// The text of an extension of the certificate.
    pub(super) fn extension(&self, oid: &str) -> Option<String> {
        let certificate = self.certificate.as_ref()?;
        let mut fulcio = certificate.fulcio().iter();
        if let Some((_, value)) = fulcio.find(|(extension, _)| extension.oid() == oid) {
            return Some(value.to_owned());
        }
        let mut others = certificate.unread_extensions().iter();
        let other = others.find(|extension| extension.oid == oid)?;
        other.text().map(str::to_owned)
    }

    /// What a report says of it.
    pub(super) fn shown(self) -> Signed {
        let issuer = self.certificate.as_ref().and_then(|c| c.fulcio().issuer());
        let mut fingerprints = self.fingerprints.into_iter();
        let (key, certificate) = match (&self.certificate, &self.problem) {
            (Some(_), _) => (fingerprints.next(), fingerprints.next()),
            (None, Some(_)) => (None, fingerprints.next()),
            (None, None) => (fingerprints.next(), None),
        };
        Signed {
            issuer: issuer.map(str::to_owned),
            subjects: self.names,
            certificate,
            key,
        }
    }
}
