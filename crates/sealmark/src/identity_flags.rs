//! Flags of the commands that sign about who signs: a key, or an identity.

use std::path::PathBuf;
use std::sync::Arc;

use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_kms::{KeyRef, Signer};
use sealmark_sign::Signatory;
use sealmark_sign::identity::{self, AUDIENCE, IdentityToken, Source, login};
use url::Url;
use zeroize::Zeroizing;

use crate::confirm;
use crate::error::Error;
use crate::password;
use crate::person::AtTerminal;
use crate::service_flags::{self, Chosen, ServiceFlags};
use crate::terminal::Terminal;

/// Who signs without a key.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Identity options (without --key)")]
pub(crate) struct IdentityFlags {
    #[command(flatten)]
    tokens: TokenFlags,
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

/// Where an identity token is from.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Identity options (without --key)")]
pub(crate) struct TokenFlags {
    /// Identity token, or a file with it; better in SIGSTORE_ID_TOKEN than on the command line
    #[arg(long, value_name = "TOKEN", hide_env_values = true)]
    pub(crate) identity_token: Option<String>,
    /// How an identity is proven: normal, device, token or client_credentials
    #[arg(long, value_enum, value_name = "FLOW")]
    fulcio_auth_flow: Option<Flow>,
    /// Audience of the token, which is the client that people log in with
    #[arg(long, value_name = "ID", default_value = AUDIENCE, hide_default_value = true)]
    pub(crate) oidc_client_id: String,
    /// File with the secret of the client that people log in with
    #[arg(long, value_name = "FILE")]
    oidc_client_secret_file: Option<PathBuf>,
    /// Where the browser brings the answer: http://localhost:PORT/PATH, or urn:ietf:wg:oauth:2.0:oob for a code to copy
    #[arg(long, value_name = "URL")]
    oidc_redirect_url: Option<String>,
    /// Take the token from this place alone: github-actions, buildkite-agent, envvar, filesystem, spiffe, …
    #[arg(long, value_name = "NAME")]
    pub(crate) oidc_provider: Option<String>,
    /// Do not look for a token in the place where this runs
    #[arg(long)]
    oidc_disable_ambient_providers: bool,
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
    /// With the secret of the client: for programs
    #[value(name = "client_credentials")]
    ClientCredentials,
}

impl From<Flow> for identity::Flow {
    fn from(flow: Flow) -> Self {
        match flow {
            Flow::Normal => Self::Browser,
            Flow::Device => Self::Device,
            Flow::Token => Self::Token,
            Flow::ClientCredentials => Self::ClientCredentials,
        }
    }
}

/// How the person at the terminal may be bothered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    /// Whether nobody is asked if an identity may become public.
    pub(crate) yes: bool,
    /// Whether standard input is something else than the person.
    pub(crate) input_is_taken: bool,
}

/// The algorithms that cosign makes keys of for one run, and Ed25519, by the names that Sigstore has for them.
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
    #[value(name = "ed25519")]
    Ed25519,
}

impl IdentityFlags {
    /// Whoever signs: with the key, or, without one, for the identity.
    pub(crate) async fn signatory(
        &self,
        key: Option<&str>,
        services: &ServiceFlags,
        manners: Manners,
        terminal: &Terminal,
    ) -> Result<Signatory, Error> {
        let options = service_flags::options(terminal);
        let progress = service_flags::progress();
        if let Some(key) = key {
            if self.tokens.identity_token.is_some() {
                return Err(Error::Usage(
                    "--key and --identity-token: sign with a key, or for an identity".to_owned(),
                ));
            }
            let key = KeyRef::parse(key)?;
            let password = match manners.input_is_taken {
                true => password::for_key_without_standard_input,
                false => password::for_key,
            };
            let signer =
                sealmark_kms::load_signer(&key, password, &service_flags::key_options(terminal))
                    .await?;
            let chosen = services.choose(false, terminal).await?;
            let signatory = Signatory::from(signer);
            return Ok(signatory.witnessed_by(chosen.services, chosen.trust, options, progress));
        }
        let chosen = services.choose(true, terminal).await?;
        chosen.services.for_certificates()?;
        let issuer = chosen.services.issuer.clone();
        let source = self
            .tokens
            .source(issuer, manners.input_is_taken, terminal)?;
        let token = source.token().await?;
        consent(&token, &chosen, manners.yes, terminal)?;
        let signer = Signer::from(PrivateKey::generate(self.signing_algorithm.into())?);
        let signatory = Signatory::from(signer);
        let signatory = signatory.witnessed_by(chosen.services, chosen.trust, options, progress);
        let certified = signatory.certified_for(&token).await?;
        Ok(certified.renewing_from(source))
    }
}

impl TokenFlags {
    /// Where the token is from; people log in at `issuer`.
    pub(crate) fn source(
        &self,
        issuer: Option<String>,
        input_is_taken: bool,
        terminal: &Terminal,
    ) -> Result<Source, Error> {
        let redirect = self.oidc_redirect_url.as_deref().map(Url::parse);
        let redirect = redirect
            .transpose()
            .map_err(|error| Error::Usage(format!("--oidc-redirect-url is not a URL: {error}")))?;
        let secret = match &self.oidc_client_secret_file {
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|cause| Error::file("read", path, cause))?;
                Some(Zeroizing::new(text.trim().to_owned()))
            }
            None => None,
        };
        Ok(Source {
            given: self.identity_token.clone(),
            provider: self.oidc_provider.clone(),
            ambient: !self.oidc_disable_ambient_providers,
            only_ambient: false,
            flow: self.fulcio_auth_flow.map(Into::into),
            client: login::Client {
                id: self.oidc_client_id.clone(),
                secret,
                redirect,
            },
            issuer,
            person: Arc::new(AtTerminal { input_is_taken }),
            is_interactive: terminal.is_interactive(),
            variable: Arc::new(|name: &str| std::env::var(name).ok()),
            options: service_flags::options(terminal),
            progress: service_flags::progress(),
        })
    }
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
            SigningAlgorithm::Ed25519 => Self::Ed25519,
        }
    }
}
