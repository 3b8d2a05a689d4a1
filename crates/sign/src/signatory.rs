//! Who signs, with what, and who else is to see it.
//!
//! One [`Signatory`] serves all artifacts of a run: a key of the user's, or a key that is made for this run with a
//! certificate for an identity. Every signature is shown to each timestamp authority and then to each log of the
//! [`Services`], and nothing counts that the trusted material does not prove.

use std::fmt;
use std::sync::Arc;

use sealmark_formats::bundle::{LogEntry, Material};
use sealmark_kms::Signer;
use sealmark_verify::policy::{self, Match};
use sealmark_verify::{Demand, Kind, Policy, Requirement, TrustedMaterial};

use crate::fulcio::{self, Issued};
use crate::identity::IdentityToken;
use crate::log::{self, Signed};
use crate::services::Services;
use crate::{Error, timestamp};
use sealmark_http::Options;

/// Called with a line for people about what is being done.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// Who signs, and who else is to see it.
#[derive(Clone)]
pub struct Signatory {
    signer: Signer,
    issued: Option<Issued>,
    services: Services,
    trust: TrustedMaterial,
    options: Options,
    progress: Progress,
}

/// What others said about a signature.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witnessed {
    pub(crate) timestamps: Vec<Vec<u8>>,
    pub(crate) log_entries: Vec<LogEntry>,
}

impl From<Signer> for Signatory {
    /// Signs with a key, and asks nobody.
    fn from(signer: Signer) -> Self {
        Self {
            signer,
            issued: None,
            services: Services::default(),
            trust: TrustedMaterial::default(),
            options: Options::default(),
            progress: Arc::new(|_| {}),
        }
    }
}

impl fmt::Debug for Signatory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signatory")
            .field("signer", &self.signer)
            .field("issued", &self.issued)
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

impl Signatory {
    /// Has every signature seen by the logs and timestamp authorities of `services`, whose keys are in `trust`.
    #[must_use]
    pub fn witnessed_by(
        mut self,
        services: Services,
        trust: TrustedMaterial,
        options: Options,
        progress: Progress,
    ) -> Self {
        self.services = services;
        self.trust = trust;
        self.options = options;
        self.progress = progress;
        self
    }

    /// Has the authority of the services certify the key for the identity that the token proves.
    ///
    /// # Errors
    /// [`Error::Services`] if the services do not suffice for such a certificate; what [`fulcio::certificate`] says;
    /// [`Error::Untrusted`].
    pub async fn certified_for(mut self, token: &IdentityToken) -> Result<Self, Error> {
        let ca = self.services.for_certificates()?.to_owned();
        (self.progress)(&format!(
            "asking {ca} for a certificate for {} of {}",
            token.subject(),
            token.issuer()
        ));
        let issued = fulcio::certificate(&ca, &self.signer, token, &self.options).await?;
        let checked = issued.check(&self.trust);
        checked.map_err(|reason| Error::Untrusted { ca, reason })?;
        (self.progress)(&format!(
            "certificate for {} of {}, valid until {}",
            issued.subject(),
            issued.issuer(),
            issued.certificate.validity().not_after
        ));
        self.issued = Some(issued);
        Ok(self)
    }

    /// Signs.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The certificate, if the signer has one.
    pub fn issued(&self) -> Option<&Issued> {
        self.issued.as_ref()
    }

    /// Who signed, as bundles say it.
    pub(crate) fn material(&self) -> Material {
        match &self.issued {
            Some(issued) => Material::Certificate(issued.certificate.der().to_vec()),
            None => Material::PublicKey {
                hint: self.signer.public_key().id().hint(),
            },
        }
    }

    /// The certificate or the public key, PEM, as logs want it.
    pub fn verifier_pem(&self) -> String {
        match &self.issued {
            Some(issued) => issued.certificate.to_pem(),
            None => self.signer.public_key().to_pem(),
        }
    }

    /// Whether anybody else is to see the signatures.
    pub(crate) fn has_witnesses(&self) -> bool {
        self.services.have_witnesses()
    }

    /// Shows the signature to everybody who is to see it.
    pub(crate) async fn witness(&self, signed: Signed<'_>) -> Result<Witnessed, Error> {
        let mut witnessed = Witnessed::default();
        for url in &self.services.timestamp_authorities {
            (self.progress)(&format!("asking {url} for a timestamp"));
            let reply = timestamp::stamp(url, signed.signature(), &self.options).await?;
            witnessed.timestamps.push(reply);
        }
        for log in &self.services.logs {
            (self.progress)(&format!("sending the signature to the log {}", log.url));
            let verifier = self.verifier_pem();
            let entry = log::upload(log, signed, &verifier, &self.trust, &self.options).await?;
            witnessed.log_entries.push(entry);
        }
        Ok(witnessed)
    }

    /// What a signature of this signatory's must meet.
    pub(crate) fn policy(&self, kind: Kind) -> Policy {
        let not_made = || Requirement::not_checked("it was just made");
        let at_least = |count: usize| match count {
            0 => not_made(),
            count => Requirement::AtLeast(count),
        };
        let (signer, sct) = match &self.issued {
            Some(issued) => {
                let identity = policy::Identity {
                    issuer: Match::Exact(issued.issuer().to_owned()),
                    subject: Match::Exact(issued.subject()),
                    extensions: Vec::new(),
                };
                let sct = match self.trust.ct_logs.is_empty() {
                    true => Requirement::not_checked("the trusted root names no CT log"),
                    false => Requirement::AtLeast(1),
                };
                (policy::Signer::Identity(identity), sct)
            }
            None => (
                policy::Signer::Key(self.signer.public_key().clone()),
                not_made(),
            ),
        };
        Policy::from(Demand {
            log: at_least(self.services.logs.len()),
            timestamp: at_least(self.services.timestamp_authorities.len()),
            sct,
            ..Demand::new(kind, vec![signer])
        })
    }

    pub(crate) fn trust(&self) -> &TrustedMaterial {
        &self.trust
    }
}
