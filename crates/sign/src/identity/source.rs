//! Where the identity of a run comes from, and comes from again when the run takes longer than a token lives.

use std::fmt;
use std::sync::Arc;

use super::IdentityToken;
use super::ambient::{self, Place, Variable};
use super::login::{self, Client, Person};
use crate::Error;
use crate::signatory::Progress;
use sealmark_http::Options;

/// How somebody logs in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flow {
    /// A person in a browser.
    Browser,
    /// A person on another device.
    Device,
    /// Nobody: the token is given, or the place offers it.
    Token,
    /// This program, with the client's secret.
    ClientCredentials,
}

/// All that says where a token is from.
pub struct Source {
    /// A token, or the name of a file with one.
    pub given: Option<String>,
    /// The one provider of [`ambient::PROVIDERS`] to ask.
    pub provider: Option<String>,
    /// Whether the place where this runs is asked.
    pub ambient: bool,
    /// Whether nothing but that place counts. Otherwise `SIGSTORE_ID_TOKEN` comes before it.
    pub only_ambient: bool,
    /// How somebody logs in if no other token is found; `None` for a person in a browser, if one can be reached.
    pub flow: Option<Flow>,
    /// Whom the identity provider knows this program as; its id is the audience of tokens.
    pub client: Client,
    /// The identity provider that people log in at.
    pub issuer: Option<String>,
    /// The person who may log in; without one nobody is asked, unless [`flow`](Self::flow) says so.
    pub person: Arc<dyn Person>,
    /// Whether there is a person who can be asked.
    pub is_interactive: bool,
    /// The variables of the environment.
    pub variable: Arc<Variable>,
    /// How services are reached.
    pub options: Options,
    /// Tells people what to do.
    pub progress: Progress,
}

impl Source {
    /// From now on only the place where this runs is asked: its provider of this name, or all.
    pub fn take_only_from(&mut self, provider: Option<String>) {
        self.given = None;
        self.ambient = true;
        self.provider = provider;
        self.flow = Some(Flow::Token);
        self.only_ambient = true;
    }

    /// A token: what was given, what the place offers, or of whoever logs in.
    ///
    /// # Errors
    /// Why the first source that is there gives none; if none is there, what was looked for.
    pub async fn token(&self) -> Result<IdentityToken, Error> {
        if let Some(token) = &self.given {
            return IdentityToken::given(token, "--identity-token");
        }
        let variable: &Variable = &*self.variable;
        let in_environment = variable("SIGSTORE_ID_TOKEN").filter(|token| !token.is_empty());
        if let (Some(token), None, false) = (in_environment, &self.provider, self.only_ambient) {
            return IdentityToken::given(&token, "SIGSTORE_ID_TOKEN");
        }
        let place = Place::new(variable);
        let mut looked = ambient::Looked::default();
        if self.ambient || self.provider.is_some() {
            let (provider, audience) = (self.provider.as_deref(), self.client.id.as_str());
            looked = ambient::token(&place, provider, audience, &self.options).await?;
            if let Some(token) = looked.token.take() {
                if let Some(note) = &self.options.on_request {
                    note(&format!("identity token from {}", token.origin()));
                }
                return Ok(token);
            }
        }
        let flow = match self.flow {
            Some(Flow::Token) => None,
            None if self.is_interactive => Some(Flow::Browser),
            flow => flow,
        };
        match (flow, self.issuer.as_deref()) {
            (Some(flow), Some(issuer)) => self.log_in(flow, issuer).await,
            (Some(_), None) => Err(Error::Identity(
                "nobody says who signs, and no identity provider is named to log in at: give --oidc-issuer, or a token \
                 with --identity-token"
                    .to_owned(),
            )),
            (None, _) => {
                let advice = ambient::advice(&place).map(|text| format!("; {text}"));
                Err(Error::Identity(format!(
                    "nobody says who signs: give an identity token with --identity-token or in SIGSTORE_ID_TOKEN, or \
                     log in on another device with --fulcio-auth-flow device{}{}",
                    advice.unwrap_or_default(),
                    looked.lines()
                )))
            }
        }
    }

    async fn log_in(&self, flow: Flow, issuer: &str) -> Result<IdentityToken, Error> {
        let (client, options, progress) = (&self.client, &self.options, &self.progress);
        match flow {
            Flow::Device => login::on_device(issuer, client, options, progress).await,
            Flow::ClientCredentials => login::with_secret(issuer, client, options).await,
            Flow::Browser | Flow::Token => {
                let person = Arc::clone(&self.person);
                login::in_browser(issuer, client, options, progress, person).await
            }
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token may be in `given`.
        f.debug_struct("Source")
            .field("provider", &self.provider)
            .field("ambient", &self.ambient)
            .field("flow", &self.flow)
            .field("client", &self.client)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}
