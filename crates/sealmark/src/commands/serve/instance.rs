//! A whole private Sigstore in `serve`: certificate authority, CT log, transparency log, timestamp authority.

use std::path::{Path, PathBuf};

use sealmark_identity::Configuration;
use sealmark_server::instance::{Instance, Options, TUF_PATH};
use sealmark_server::{log, oidc};

use super::super::client_files::publish_instance;
use super::super::operations::OperationFlags;
use super::{Which, blocking, host, rotate};
use crate::error::Error;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Certificate authority")]
pub(super) struct InstanceFlags {
    /// Whose identity tokens the certificate authority believes: a file as Fulcio has it, in YAML or JSON
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Be an identity provider, too, for development: whoever reaches it can be anybody, unless --dev-users names users
    #[arg(long)]
    dev_issuer: bool,
    /// Who may log in at the issuer for development, with hashes of their passwords, in YAML
    #[arg(long, value_name = "FILE", requires = "dev_issuer")]
    dev_users: Option<PathBuf>,
    /// Keep the root key of the TUF repository in this file, not in --dir; if it is there, it signs the root when due
    #[arg(long, value_name = "FILE")]
    tuf_root_key: Option<PathBuf>,
}

impl InstanceFlags {
    /// Checks that the flags go together.
    pub(super) fn check(&self, only: Option<Which>) -> Result<(), Error> {
        let has_issuer = self.config.is_some() || self.dev_issuer;
        match (only, has_issuer) {
            (None, false) => Err(Error::Usage(
                "nobody could get a certificate: say with --config FILE whose identity tokens are believed (as Fulcio's configuration does), try it out with --dev-issuer, or run the log alone with --only log".to_owned(),
            )),
            (Some(_), true) if self.dev_issuer => Err(Error::Usage(
                "--dev-issuer is for the certificate authority, which --only leaves out".to_owned(),
            )),
            (Some(_), false) if self.tuf_root_key.is_some() => Err(Error::Usage(
                "--tuf-root-key is for the TUF repository, which --only leaves out".to_owned(),
            )),
            (Some(_), true) => Err(Error::Usage(
                "--config is for the certificate authority, which --only leaves out".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// Opens the instance, and tells how clients use it.
    pub(super) async fn open(
        &self,
        directory: &Path,
        url: &str,
        log: log::Options,
        operation: &OperationFlags,
        terminal: &mut Terminal,
    ) -> Result<Instance, Error> {
        let options = Options {
            url: url.to_owned(),
            host: host(url)?.to_owned(),
            password: log.password.clone(),
            issuers: self.issuers()?,
            dev_issuer: self.dev_issuer.then(|| oidc::Options {
                password: log.password.clone(),
                users: self.dev_users.clone(),
                ..oidc::Options::new(format!("{url}{}", oidc::PATH))
            }),
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
            if !issuer.asks_for_passwords() {
                operation.warn(
                    terminal,
                    format!("{url} asks nobody for a password: whoever reaches it gets certificates in any name. Believe nothing that is signed so, or name users with --dev-users"),
                );
            }
            operation.note(terminal, format!("identities for development at {url}"));
        }
        Ok(instance)
    }

    fn issuers(&self) -> Result<Configuration, Error> {
        let Some(path) = &self.config else {
            return Ok(Configuration::default());
        };
        let text =
            std::fs::read_to_string(path).map_err(|cause| Error::file("read", path, cause))?;
        Configuration::parse(&text)
            .map_err(|error| Error::Usage(format!("{}: {error}", path.display())))
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
