//! Flags of the commands that sign about whom else to ask: logs, timestamp authorities, a certificate authority.
//!
//! cosign sends every signature to the public instance unless it is told not to. Here a key signs with nothing but the
//! registry, and services come into play when some are named: in a signing configuration, by their URLs, or by the
//! instance that `initialize` chose. Without a key they are needed: then it is the public instance, as for cosign.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use sealmark_formats::SigningConfig;
use sealmark_sign::http::Options;
use sealmark_sign::services::LogService;
use sealmark_sign::{Progress, Services};
use sealmark_trust::TrustedMaterial;

use crate::error::Error;
use crate::terminal::{self, Terminal};
use crate::trust_flags::{TrustFlags, Trusted};

/// Flags of the commands that sign.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Service options")]
pub(crate) struct ServiceFlags {
    /// Signing configuration: which logs, timestamp authorities and certificate authority to use
    #[arg(long, value_name = "FILE")]
    signing_config: Option<PathBuf>,
    /// Trusted root that proves what the services say; every signature is verified with it before it is published
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,
    /// Transparency log to send the signature to, instead of a signing configuration's
    #[arg(long, value_name = "URL")]
    rekor_url: Option<String>,
    /// Timestamp authority, with its path, instead of a signing configuration's
    #[arg(long, value_name = "URL")]
    timestamp_server_url: Option<String>,
    /// Certificate authority, instead of a signing configuration's
    #[arg(long, value_name = "URL")]
    fulcio_url: Option<String>,
    /// Identity provider to log in at, instead of a signing configuration's
    #[arg(long, value_name = "URL")]
    oidc_issuer: Option<String>,
    /// =false: do not send the signature to a log
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    tlog_upload: Option<bool>,
    /// =false: use no signing configuration that was not named
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    use_signing_config: Option<bool>,
    /// Use what was fetched of the TUF repository before, if it has not expired
    #[arg(long)]
    offline: bool,
}

/// The services, and whom to believe about what they say.
pub(crate) struct Chosen {
    pub(crate) services: Services,
    pub(crate) trust: sealmark_verify::TrustedMaterial,
    /// Whether this is the public instance, whose log everybody reads for ever.
    pub(crate) is_public: bool,
}

impl ServiceFlags {
    /// Whom to believe, as the flags of signing say it.
    pub(crate) fn trust_flags(&self) -> TrustFlags {
        TrustFlags::for_signing(self.trusted_root.clone(), self.offline)
    }

    /// Has what a TUF repository says from files, where the user names none: nothing is read of its cache then.
    pub(crate) fn take_from(&mut self, root: PathBuf, signing_config: Option<PathBuf>) {
        if self.signing_config.is_none()
            && self.use_signing_config != Some(false)
            && self.named().is_ok_and(|named| named.is_none())
        {
            self.signing_config = signing_config;
        }
        self.trusted_root = Some(root);
    }

    /// The signing configuration that the user names.
    pub(crate) fn named_config(&self) -> Option<PathBuf> {
        self.signing_config.clone()
    }

    /// The trusted root that the user names.
    pub(crate) fn named_root(&self) -> Option<PathBuf> {
        self.trusted_root.clone()
    }

    /// The services to sign with.
    pub(crate) async fn choose(&self, keyless: bool, terminal: &Terminal) -> Result<Chosen, Error> {
        let (mut services, origin) = match (self.named()?, self.signing_config.as_deref()) {
            (Some(services), None) => (services, "the flags".to_owned()),
            (None, Some(path)) => {
                let config = sealmark_trust::material::signing_config_from_file(path)?;
                (self.of(&config)?, path.display().to_string())
            }
            (None, None) => match self.configured(keyless).await? {
                Some(found) => found,
                None => return Ok(self.nobody(terminal)),
            },
            (Some(_), Some(_)) => {
                return Err(Error::Usage(
                    "--signing-config names the services, so no URL of one goes with it".to_owned(),
                ));
            }
        };
        if self.tlog_upload == Some(false) {
            services.logs.clear();
        }
        if !keyless && !services.have_witnesses() {
            return Ok(self.nobody(terminal));
        }
        let flags = self.trust_flags();
        let Trusted { material, .. } = flags.trusted(None, true, terminal).await?;
        let is_public = services.logs.iter().any(|log| is_public(&log.url));
        terminal.detail(format!("services from {origin}: {services:?}"));
        Ok(Chosen {
            services,
            trust: material,
            is_public,
        })
    }

    /// What the URLs say, if there is one.
    fn named(&self) -> Result<Option<Services>, Error> {
        let urls = [
            &self.rekor_url,
            &self.timestamp_server_url,
            &self.fulcio_url,
            &self.oidc_issuer,
        ];
        if urls.iter().all(|url| url.is_none()) {
            return Ok(None);
        }
        if self.rekor_url.is_some() && self.tlog_upload == Some(false) {
            return Err(Error::Usage(
                "--rekor-url names a log, and --tlog-upload=false wants none".to_owned(),
            ));
        }
        let log = self
            .rekor_url
            .clone()
            .map(|url| LogService { url, version: None });
        Ok(Some(Services {
            ca: self.fulcio_url.clone(),
            issuer: self.oidc_issuer.clone(),
            logs: log.into_iter().collect(),
            timestamp_authorities: self.timestamp_server_url.clone().into_iter().collect(),
        }))
    }

    /// The configuration that `initialize` chose; without a key else that of the public instance.
    async fn configured(&self, keyless: bool) -> Result<Option<(Services, String)>, Error> {
        let wanted = self.use_signing_config != Some(false);
        // Whoever signs with a key and wants no log asks nobody anything.
        let initialised = match wanted && (keyless || self.tlog_upload != Some(false)) {
            true => self.initialised()?,
            false => None,
        };
        let material = match initialised {
            Some(options) => TrustedMaterial::from_tuf(&options).await?,
            None if keyless && wanted => TrustedMaterial::embedded_public_good(),
            None if self.tlog_upload == Some(true) => {
                return Err(Error::Usage(
                    "--tlog-upload asks for a log, and none is named: give --signing-config or --rekor-url, or run \
                     `sealmark initialize`"
                        .to_owned(),
                ));
            }
            None if keyless => {
                return Err(Error::Usage(
                    "without --key services are needed, and none are named: give --signing-config, or --fulcio-url with \
                     --rekor-url or --timestamp-server-url"
                        .to_owned(),
                ));
            }
            None => return Ok(None),
        };
        let origin = format!("the signing configuration of {}", material.origin);
        match &material.signing_config {
            Some(config) => Ok(Some((self.of(config)?, origin))),
            None if keyless => Err(Error::Usage(format!(
                "{} has no signing configuration, so it does not say which services to sign with: give \
                 --signing-config, or --fulcio-url with --rekor-url or --timestamp-server-url",
                material.origin
            ))),
            None => Ok(None),
        }
    }

    fn of(&self, config: &SigningConfig) -> Result<Services, Error> {
        Ok(Services::from_config(config, Timestamp::now())?)
    }

    fn initialised(&self) -> Result<Option<sealmark_trust::tuf::Options>, Error> {
        TrustFlags::for_signing(None, self.offline).initialised()
    }

    /// Says in one line that no log is used, unless the user said that none is to be.
    fn nobody(&self, terminal: &Terminal) -> Chosen {
        if self.tlog_upload != Some(false) {
            terminal.note("transparency log: not used, no signing configuration names one");
        }
        Chosen {
            services: Services::default(),
            trust: sealmark_verify::TrustedMaterial::default(),
            is_public: false,
        }
    }
}

/// How services are reached.
pub(crate) fn options(terminal: &Terminal) -> Options {
    let mut options = Options::default();
    if let Some(timeout) = terminal.timeout() {
        options.timeout = options.timeout.min(timeout);
    }
    if terminal.is_verbose() {
        options.on_request = Some(Arc::new(|line: &str| terminal::note(line)));
    }
    options
}

/// How keys in providers are reached.
pub(crate) fn key_options(terminal: &Terminal) -> sealmark_kms::Options {
    let Options {
        timeout,
        on_request,
        ..
    } = options(terminal);
    sealmark_kms::Options {
        timeout,
        on_request,
        note: terminal
            .is_verbose()
            .then(|| Arc::new(|line: &str| terminal::note(line)) as sealmark_kms::OnNote),
        ask: terminal
            .is_interactive()
            .then(|| Arc::new(crate::password::secret) as sealmark_kms::Ask),
    }
}

/// Tells the user what is being done.
pub(crate) fn progress() -> Progress {
    Arc::new(|line: &str| terminal::note(line))
}

/// A log of the public instance.
fn is_public(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or_default();
    let host = host.split(['/', ':']).next().unwrap_or_default();
    host == "sigstore.dev" || host.ends_with(".sigstore.dev")
}
