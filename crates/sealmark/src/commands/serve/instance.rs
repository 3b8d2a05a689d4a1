//! A whole private Sigstore in `serve`: certificate authority, CT log, transparency log, timestamp authority.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sealmark_identity::Configuration;
use sealmark_server::elsewhere::Places;
use sealmark_server::instance::{Instance, Options, Part, TUF_PATH};
use sealmark_server::{log, oidc, reload};

use super::super::client_files::publish_instance;
use super::super::operations::OperationFlags;
use super::reloading::users_file;
use super::{Only, blocking, host, rotate};
use crate::error::Error;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Certificate authority")]
pub(super) struct InstanceFlags {
    /// Whose identity tokens the certificate authority believes: a file as Fulcio has it, in YAML or JSON
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Be an identity provider, too, for development: whoever reaches it can be anybody, unless --dev-users names users
    #[arg(long)]
    dev_issuer: bool,
    /// Who may log in at the issuer for development, with hashes of their passwords (serve hash-password), in YAML
    #[arg(long, value_name = "FILE")]
    pub(super) dev_users: Option<PathBuf>,
    /// Let whoever reaches the issuer for development from other machines be anybody
    #[arg(long, conflicts_with = "dev_users")]
    dev_issuer_open_to_all: bool,
    /// Keep the root key of the TUF repository in this file, not in --dir; if it is there, it signs the root when due
    #[arg(long, value_name = "FILE")]
    tuf_root_key: Option<PathBuf>,
}

impl InstanceFlags {
    /// Checks that the flags go together.
    pub(super) fn check(&self, only: &Only) -> Result<(), Error> {
        let usage = |message: &str| Err(Error::Usage(message.to_owned()));
        let (ca, issuer) = match only {
            Only::Everything => (true, self.dev_issuer),
            Only::Log | Only::Witness => (false, false),
            Only::Parts(parts) => (parts.contains(&Part::Ca), parts.contains(&Part::Oidc)),
        };
        if !issuer && (self.dev_users.is_some() || self.dev_issuer_open_to_all) {
            return usage(
                "--dev-users and --dev-issuer-open-to-all are for the issuer for development: add --dev-issuer, or oidc to --only",
            );
        }
        match only {
            Only::Everything if self.config.is_none() && !self.dev_issuer => usage(
                "nobody could get a certificate: say with --config FILE whose identity tokens are believed (as Fulcio's configuration does), try it out with --dev-issuer, or run the log alone with --only log",
            ),
            Only::Parts(_) if self.dev_issuer && !issuer => usage(
                "--dev-issuer is for a whole instance: with --only, name oidc, as in --only ca,ct,oidc",
            ),
            Only::Log | Only::Witness if self.dev_issuer => {
                usage("--dev-issuer is for the certificate authority, which --only leaves out")
            }
            _ if self.tuf_root_key.is_some() && !matches!(only, Only::Everything) => usage(
                "--tuf-root-key is for a whole instance; of a TUF repository alone, take the key with serve rotate tuf --export-root-key",
            ),
            _ if self.config.is_some() && !ca => {
                usage("--config is for the certificate authority, which --only leaves out")
            }
            _ => Ok(()),
        }
    }

    /// Refuses an issuer that gives everybody every identity where others than this machine may ask it. `folder` is the
    /// issuer's.
    pub(super) fn check_reach(
        &self,
        only: &Only,
        folder: &Path,
        url: &str,
        address: SocketAddr,
    ) -> Result<(), Error> {
        let has_issuer = match only {
            Only::Everything => self.dev_issuer,
            Only::Log | Only::Witness => false,
            Only::Parts(parts) => parts.contains(&Part::Oidc),
        };
        let is_here = |host: &str| {
            let address: Result<std::net::IpAddr, _> = host.parse();
            host == "localhost" || address.is_ok_and(|address| address.is_loopback())
        };
        let is_far = !address.ip().is_loopback() || !is_here(host(url)?);
        let anybody = users_file(self.dev_users.as_deref(), folder).is_none();
        if has_issuer && is_far && anybody && !self.dev_issuer_open_to_all {
            return Err(Error::Usage(format!(
                "the issuer for development would give whoever reaches {url} every identity they type: name users with --dev-users FILE (sealmark serve hash-password writes its lines), listen on 127.0.0.1, or, if that is really meant, add --dev-issuer-open-to-all"
            )));
        }
        Ok(())
    }

    /// How the issuer for development is opened.
    pub(super) fn dev_issuer_options(&self, url: &str, log: &log::Options) -> oidc::Options {
        oidc::Options {
            password: log.password.clone(),
            users: self.dev_users.clone(),
            ..oidc::Options::new(format!("{url}{}", oidc::PATH))
        }
    }

    /// Warns of an issuer that asks for no passwords.
    pub(super) fn warn_if_open(
        &self,
        issuer: &oidc::DevIssuer,
        operation: &OperationFlags,
        terminal: &Terminal,
    ) {
        if !issuer.asks_for_passwords() {
            let url = issuer.url();
            operation.warn(
                terminal,
                format!("{url} asks nobody for a password: whoever reaches it gets certificates in any name. Believe nothing that is signed so, or name users with --dev-users"),
            );
        }
    }

    /// Opens the instance, and tells how clients use it.
    pub(super) async fn open(
        &self,
        directory: &Path,
        url: &str,
        keys: Places,
        log: log::Options,
        operation: &OperationFlags,
        terminal: &mut Terminal,
    ) -> Result<Instance, Error> {
        let options = Options {
            url: url.to_owned(),
            host: host(url)?.to_owned(),
            password: log.password.clone(),
            keys,
            issuers: self.issuers()?,
            dev_issuer: self.dev_issuer.then(|| self.dev_issuer_options(url, &log)),
            log,
        };
        let issuers = options.issuers.issuers().iter();
        let issuer = issuers
            .filter(|issuer| !issuer.is_wildcard())
            .map(|issuer| issuer.url.clone())
            .next();
        let folder = directory.to_owned();
        let password = options.password.clone();
        let instance = blocking(move || Ok(Instance::open(&folder, options)?)).await?;
        let dev_issuer = instance.dev_issuer.as_ref();
        // Where people log in: there they can.
        let oidc = dev_issuer.map(|issuer| issuer.url().to_owned()).or(issuer);
        let (folder, place) = (directory.to_owned(), url.to_owned());
        let root_key = self.tuf_root_key.clone();
        let instance = blocking(move || {
            if let Some(file) = root_key {
                rotate::keep_elsewhere(&instance.tuf, &file, password.as_ref())?;
            }
            publish_instance(&folder, &place, &instance, oidc)?;
            Ok(instance)
        })
        .await?;
        let dev_issuer = instance.dev_issuer.as_ref();
        for line in lines(directory, url) {
            operation.note(terminal, line);
        }
        if let Some(issuer) = dev_issuer {
            let url = issuer.url();
            self.warn_if_open(issuer, operation, terminal);
            operation.note(terminal, format!("identities for development at {url}"));
        }
        Ok(instance)
    }

    /// Whom the CA is to believe.
    pub(super) fn issuers(&self) -> Result<Configuration, Error> {
        let Some(path) = &self.config else {
            return Ok(Configuration::default());
        };
        let text =
            std::fs::read_to_string(path).map_err(|cause| Error::file("read", path, cause))?;
        let checked = Configuration::check(&text);
        checked.configuration.ok_or_else(|| {
            let faults = reload::lines(path, &checked.findings);
            Error::Usage(format!("the configuration is no good:\n{faults}"))
        })
    }
}

/// What to type to use the instance.
fn lines(directory: &Path, url: &str) -> Vec<String> {
    let at = |name: &str| directory.join(name).display().to_string();
    let root_json = at("root.json");
    let (root, config, trust) = (
        at("trusted_root.json"),
        at("signing_config_rekor_v2.json"),
        at("trust_config.json"),
    );
    vec![
        format!(
            "Sigstore at {url}: certificate authority, CT log, transparency log, timestamp authority, TUF"
        ),
        format!("to trust it: sealmark initialize --mirror {url}{TUF_PATH} --root {root_json}"),
        format!("             cosign initialize --mirror {url}{TUF_PATH} --root {root_json}"),
        "or without TUF, to sign and verify, with an identity token in SIGSTORE_ID_TOKEN:"
            .to_owned(),
        format!(
            "  cosign 3:    cosign sign-blob --signing-config {config} --trusted-root {root} --bundle B FILE"
        ),
        format!(
            "               cosign verify-blob --trusted-root {root} --bundle B --certificate-identity WHO --certificate-oidc-issuer ISSUER FILE"
        ),
        format!(
            "  cosign 2:    SIGSTORE_ROOT_FILE={} SIGSTORE_CT_LOG_PUBLIC_KEY_FILE={} SIGSTORE_REKOR_PUBLIC_KEY={} \\\n               cosign sign-blob --fulcio-url {url} --rekor-url {url} --bundle B FILE",
            at("fulcio.pem"),
            at("ctfe.pub"),
            at("rekor.pub"),
        ),
        format!("  sigstore:    sigstore --trust-config {trust} sign FILE"),
        format!(
            "  sealmark:    sealmark verify-blob --trusted-root {root} --bundle B --certificate-identity WHO --certificate-oidc-issuer ISSUER FILE"
        ),
    ]
}
