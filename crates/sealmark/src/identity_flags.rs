//! Flags of the commands that sign about who signs: a key, or an identity.

use std::path::PathBuf;

use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_kms::{KeyRef, Signer};
use sealmark_sign::Signatory;
use sealmark_sign::http::Options;
use sealmark_sign::identity::ambient::{self, Place};
use sealmark_sign::identity::{AUDIENCE, IdentityToken, login};
use url::Url;
use zeroize::Zeroizing;

use crate::confirm;
use crate::error::Error;
use crate::password::Password;
use crate::service_flags::{self, Chosen, ServiceFlags};
use crate::terminal::Terminal;

/// Who signs without a key.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Identity options (without --key)")]
pub(crate) struct IdentityFlags {
    /// Identity token, or a file with it; better in SIGSTORE_ID_TOKEN than on the command line
    #[arg(long, value_name = "TOKEN", hide_env_values = true)]
    identity_token: Option<String>,
    /// How an identity is proven: normal, device or token
    #[arg(long, value_enum, value_name = "FLOW")]
    fulcio_auth_flow: Option<Flow>,
    /// Audience of the token, which is the client that people log in with
    #[arg(long, value_name = "ID", default_value = AUDIENCE, hide_default_value = true)]
    oidc_client_id: String,
    /// File with the secret of the client that people log in with
    #[arg(long, value_name = "FILE")]
    oidc_client_secret_file: Option<PathBuf>,
    /// Where the browser brings the answer: http://localhost:PORT/PATH
    #[arg(long, value_name = "URL")]
    oidc_redirect_url: Option<String>,
    /// Take the token from this place alone: github-actions, buildkite-agent, envvar, filesystem, …
    #[arg(long, value_name = "NAME")]
    oidc_provider: Option<String>,
    /// Do not look for a token in the place where this runs
    #[arg(long)]
    oidc_disable_ambient_providers: bool,
    /// Algorithm of the key that is made for this run
    #[arg(
        long,
        value_enum,
        default_value = "ecdsa-sha2-256-nistp256",
        hide_default_value = true,
        value_name = "NAME"
    )]
    signing_algorithm: SigningAlgorithm,
}

/// How an identity is proven.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Flow {
    /// In a browser
    Normal,
    /// In a browser on another device
    Device,
    /// With a token that was given, or that the place offers
    Token,
}

/// The algorithms that cosign makes keys of for one run.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SigningAlgorithm {
    #[value(name = "ecdsa-sha2-256-nistp256")]
    P256,
    #[value(name = "ecdsa-sha2-384-nistp384")]
    P384,
    #[value(name = "ecdsa-sha2-512-nistp521")]
    P521,
    #[value(name = "rsa-sign-pkcs1-2048-sha256")]
    Rsa2048,
    #[value(name = "rsa-sign-pkcs1-3072-sha256")]
    Rsa3072,
    #[value(name = "rsa-sign-pkcs1-4096-sha256")]
    Rsa4096,
}

impl IdentityFlags {
    /// Whoever signs: with the key, or, without one, for the identity.
    pub(crate) async fn signatory(
        &self,
        key: Option<&str>,
        password: Password,
        services: &ServiceFlags,
        yes: bool,
        terminal: &Terminal,
    ) -> Result<Signatory, Error> {
        let options = service_flags::options(terminal);
        let progress = service_flags::progress();
        if let Some(key) = key {
            if self.identity_token.is_some() {
                return Err(Error::Usage(
                    "--key and --identity-token: sign with a key, or for an identity".to_owned(),
                ));
            }
            let key = KeyRef::parse(key)?;
            let signer =
                sealmark_kms::load_signer(&key, password, &service_flags::key_options(terminal))
                    .await?;
            let chosen = services.choose(false, terminal).await?;
            let signatory = Signatory::from(signer);
            return Ok(signatory.witnessed_by(chosen.services, chosen.trust, options, progress));
        }
        let chosen = services.choose(true, terminal).await?;
        chosen.services.for_certificates()?;
        let token = self.token(&chosen, terminal).await?;
        consent(&token, &chosen, yes, terminal)?;
        let signer = Signer::from(PrivateKey::generate(self.signing_algorithm.into())?);
        let signatory = Signatory::from(signer);
        let signatory = signatory.witnessed_by(chosen.services, chosen.trust, options, progress);
        Ok(signatory.certified_for(&token).await?)
    }

    async fn token(&self, chosen: &Chosen, terminal: &Terminal) -> Result<IdentityToken, Error> {
        let options = service_flags::options(terminal);
        if let Some(token) = &self.identity_token {
            return Ok(IdentityToken::given(token, "--identity-token")?);
        }
        let variable = |name: &str| std::env::var(name).ok();
        let given = variable("SIGSTORE_ID_TOKEN").filter(|token| !token.is_empty());
        if let (Some(token), None) = (given, &self.oidc_provider) {
            return Ok(IdentityToken::given(&token, "SIGSTORE_ID_TOKEN")?);
        }
        let place = Place::new(&variable);
        if !self.oidc_disable_ambient_providers {
            let provider = self.oidc_provider.as_deref();
            let audience = &self.oidc_client_id;
            if let Some(token) = ambient::token(&place, provider, audience, &options).await? {
                terminal.detail(format!("identity token from {}", token.origin()));
                return Ok(token);
            }
        }
        let interactive = terminal.is_interactive();
        let flow = match self.fulcio_auth_flow {
            Some(Flow::Token) => None,
            Some(flow) => Some(flow),
            None => interactive.then_some(Flow::Normal),
        };
        match (flow, chosen.services.issuer.as_deref()) {
            (Some(flow), Some(issuer)) => self.log_in(flow, issuer, &options).await,
            (Some(_), None) => Err(Error::Usage(
                "nobody says who signs, and no identity provider is named to log in at: give --oidc-issuer, or a token \
                 with --identity-token"
                    .to_owned(),
            )),
            (None, _) => {
                let advice = ambient::advice(&place).map(|text| format!("; {text}"));
                Err(Error::Usage(format!(
                    "nobody says who signs: give an identity token with --identity-token or in SIGSTORE_ID_TOKEN, or log \
                     in on another device with --fulcio-auth-flow device{}",
                    advice.unwrap_or_default()
                )))
            }
        }
    }

    async fn log_in(
        &self,
        flow: Flow,
        issuer: &str,
        options: &Options,
    ) -> Result<IdentityToken, Error> {
        let redirect = self
            .oidc_redirect_url
            .as_deref()
            .map(Url::parse)
            .transpose();
        let redirect = redirect
            .map_err(|error| Error::Usage(format!("--oidc-redirect-url is not a URL: {error}")))?;
        let secret = match &self.oidc_client_secret_file {
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|cause| Error::file("read", path, cause))?;
                Some(Zeroizing::new(text.trim().to_owned()))
            }
            None => None,
        };
        let client = login::Client {
            id: self.oidc_client_id.clone(),
            secret,
            redirect,
        };
        let progress = service_flags::progress();
        Ok(match flow {
            Flow::Device => login::on_device(issuer, &client, options, &progress).await?,
            _ => login::in_browser(issuer, &client, options, &progress, open_browser).await?,
        })
    }
}

/// Opens a browser; where that fails, the person has been told the URL.
fn open_browser(url: &Url) {
    let program = match cfg!(target_os = "macos") {
        true => "open",
        false => "xdg-open",
    };
    let mut command = std::process::Command::new(program);
    let quiet = std::process::Stdio::null;
    command
        .arg(url.as_str())
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet());
    // Whoever waits for it waits for the browser to be closed.
    let _ = command.spawn();
}

/// Tells, once, what will be public for ever, and asks whoever can be asked.
fn consent(
    token: &IdentityToken,
    chosen: &Chosen,
    yes: bool,
    terminal: &Terminal,
) -> Result<(), Error> {
    if yes || chosen.services.logs.is_empty() || !token.is_personal() {
        return Ok(());
    }
    let readers = match chosen.is_public {
        true => "everybody",
        false => "whoever can read this log",
    };
    terminal.note(format!(
        "the transparency log will keep {} beside this signature for ever, for {readers} to see; nobody can remove it \
         from there",
        token.subject()
    ));
    if terminal.is_interactive() && !confirm::confirm("Sign?")? {
        return Err(Error::Usage("not signed: you said no".to_owned()));
    }
    Ok(())
}

impl From<SigningAlgorithm> for Algorithm {
    fn from(algorithm: SigningAlgorithm) -> Self {
        match algorithm {
            SigningAlgorithm::P256 => Self::EcdsaP256,
            SigningAlgorithm::P384 => Self::EcdsaP384,
            SigningAlgorithm::P521 => Self::EcdsaP521,
            SigningAlgorithm::Rsa2048 => Self::Rsa2048,
            SigningAlgorithm::Rsa3072 => Self::Rsa3072,
            SigningAlgorithm::Rsa4096 => Self::Rsa4096,
        }
    }
}
