//! Who signs, with what, and who else is to see it.
//!
//! One [`Signatory`] serves all artifacts of a run: a key of the user's, or a key that is made for this run with a
//! certificate for an identity. Every signature is shown to each timestamp authority and then to each log of the
//! [`Services`], and nothing counts that the trusted material does not prove.
//!
//! A certificate is good for minutes, and a run may take longer: whoever makes a signature takes
//! [`Signatory::current`] just before others see it, whose certificate is good then. The key stays the same, and so
//! does the identity: a new certificate for anybody else is refused.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use sealmark_formats::bundle::{LogEntry, Material};
use sealmark_keys::KeyType;
use sealmark_kms::Signer;
use sealmark_verify::policy::{self, Match};
use sealmark_verify::{Demand, Kind, Policy, Requirement, TrustedMaterial};
use tokio::sync::Mutex;

use crate::fulcio::{self, Issued};
use crate::identity::{IdentityToken, Source};
use crate::log::{self, Signed};
use crate::services::Services;
use crate::{Error, timestamp};
use sealmark_http::Options;

/// A certificate that is good for less than this, in seconds, is not used any more: a log that is busy may take as long.
/// Of one that was short-lived from the start, it is a fourth of its life.
const LEAST_LEFT: u64 = 60;

/// Called with a line for people about what is being done.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// Who signs, and who else is to see it.
#[derive(Clone)]
pub struct Signatory {
    signer: Signer,
    issued: Option<Issued>,
    renewal: Option<Arc<Renewal>>,
    services: Services,
    trust: Arc<TrustedMaterial>,
    options: Options,
    progress: Progress,
}

/// Where further certificates come from. All copies of a [`Signatory`] share it.
struct Renewal {
    source: Source,
    /// The newest certificate. Locked while another one is asked for: one is enough for all.
    newest: Mutex<Issued>,
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
            renewal: None,
            services: Services::default(),
            trust: Arc::default(),
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
        self.trust = Arc::new(trust);
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
        self.issued = Some(self.certify(token).await?);
        Ok(self)
    }

    /// Has the certificate renewed with a token of `source` when it is about to expire.
    #[must_use]
    pub fn renewing_from(mut self, source: Source) -> Self {
        self.renewal = self.issued.clone().map(|issued| {
            let newest = Mutex::new(issued);
            Arc::new(Renewal { source, newest })
        });
        self
    }

    async fn certify(&self, token: &IdentityToken) -> Result<Issued, Error> {
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
        Ok(issued)
    }

    /// The same signatory with a certificate that is good for long enough to show a signature to everybody.
    ///
    /// # Errors
    /// [`Error::Renewal`] if the certificate is about to expire, and no other one for the same identity can be had.
    pub async fn current(&self) -> Result<Self, Error> {
        let mut current = self.clone();
        let Some(renewal) = &self.renewal else {
            return Ok(current);
        };
        let mut newest = renewal.newest.lock().await;
        if is_about_to_expire(&newest, now()) {
            *newest = self.renew(renewal, &newest).await?;
        }
        current.issued = Some(newest.clone());
        Ok(current)
    }

    async fn renew(&self, renewal: &Renewal, old: &Issued) -> Result<Issued, Error> {
        let until = old.certificate.validity().not_after.to_string();
        (self.progress)(&format!(
            "the certificate is good only until {until}, so another one is asked for"
        ));
        let failed = |cause: Error| Error::Renewal {
            until: until.clone(),
            cause: Box::new(cause),
        };
        let token = renewal.source.token().await.map_err(failed)?;
        let new = self.certify(&token).await.map_err(failed)?;
        let who = |issued: &Issued| format!("{} of {}", issued.subject(), issued.issuer());
        match who(&new) == who(old) {
            true => Ok(new),
            false => Err(failed(Error::Identity(format!(
                "the new one is for {}, and what was signed before is by {}",
                who(&new),
                who(old)
            )))),
        }
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

    /// Says, before anything is signed, if a statement of so many bytes may be too large for logs to take its envelope.
    ///
    /// # Errors
    /// [`Error::Services`] if they cannot take its digest either.
    pub(crate) fn check_size_for_logs(&self, statement: usize) -> Result<(), Error> {
        // Logs of version 2 take digests only, whatever the size.
        let mut takes_whole = self
            .services
            .logs
            .iter()
            .filter(|log| log.version != Some(2));
        let size = log::envelope_size(statement);
        if size <= log::SURELY_TAKEN || takes_whole.next().is_none() {
            return Ok(());
        }
        let (shown, tried) = (size >> 20, log::TRIED >> 20);
        let is_ed25519 = self.signer.public_key().key_type() == KeyType::Ed25519;
        let instead = "the digest of what is signed is logged instead (hashedrekord), which cosign reads of a log of version 2 only";
        match (size > log::TRIED, is_ed25519) {
            (true, true) => Err(Error::Services(format!(
                "the envelope of {shown} MiB is larger than is sent to logs of version 1 ({tried} MiB), and of a signature by \
                 an Ed25519 key they cannot take the digest: sign with another key, or without a log (--tlog-upload=false)"
            ))),
            (true, false) => {
                (self.progress)(&format!(
                    "the envelope of {shown} MiB is larger than is sent to logs of version 1 ({tried} MiB): {instead}"
                ));
                Ok(())
            }
            (false, true) => Ok(()),
            (false, false) => {
                (self.progress)(&format!(
                    "the envelope of {shown} MiB may be larger than the log takes: if it is refused, {instead}"
                ));
                Ok(())
            }
        }
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
    pub fn policy(&self, kind: Kind) -> Policy {
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

    /// Whom to believe about what others say of a signature.
    pub fn trust(&self) -> &TrustedMaterial {
        &self.trust
    }
}

fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

fn is_about_to_expire(issued: &Issued, now: u64) -> bool {
    let validity = issued.certificate.validity();
    let (from, to) = (
        validity.not_before.unix_seconds(),
        validity.not_after.unix_seconds(),
    );
    let least = LEAST_LEFT.min(to.saturating_sub(from) / 4);
    to.saturating_sub(now) <= least
}
