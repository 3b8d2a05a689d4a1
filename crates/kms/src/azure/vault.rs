//! Requests to one vault, with the token that it asks for.
//! <https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses>

use sealmark_http::{Answer, Service};
use serde_json::Value;
use tokio::sync::Mutex;

use super::chain::{self, Ask};
use super::challenge::Challenge;
use super::environment::Environment;
use super::error::Error;
use super::identity::{Identity, Token};
use super::login;
use super::reference::Key;
use super::refusal;
use crate::Options;

/// The version of the interface: the first that every cloud and every emulator has with all that is used here.
const API_VERSION: &str = "7.4";

/// A vault.
#[derive(Debug)]
pub(crate) struct Vault {
    service: Service,
    key: Key,
    environment: Environment,
    options: Options,
    /// Held while a token is fetched, so that it is fetched once.
    session: Mutex<Option<Session>>,
}

#[derive(Debug)]
struct Session {
    challenge: Challenge,
    token: Token,
}

impl Vault {
    /// The vault of a key. Nothing is asked yet.
    pub(crate) fn new(
        key: &Key,
        environment: Environment,
        options: &Options,
    ) -> Result<Self, Error> {
        let service = Service::new(
            "Azure Key Vault",
            &format!("https://{}", key.host),
            &options.http(),
        )?;
        Ok(Self {
            service,
            key: key.clone(),
            environment,
            options: options.clone(),
            session: Mutex::new(None),
        })
    }

    /// `GET`, or `POST` with a body, below `/keys/NAME`; `action` says to people what for.
    pub(crate) async fn call(
        &self,
        action: &'static str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let mut session = self.session.lock().await;
        let now = now();
        if session
            .as_ref()
            .is_none_or(|session| !session.token.is_fresh(now))
        {
            let challenge = match session.take() {
                Some(old) => old.challenge,
                None => {
                    // What is asked for is not told before it is known whom one speaks to.
                    let answer = self.send(path, body.map(|_| &Value::Null), None).await?;
                    if answer.status != 401 {
                        return Err(self.refused(action, &answer, None));
                    }
                    Challenge::read(&answer.headers, &self.key.host)?
                }
            };
            let token = self.token(&challenge, now).await?;
            *session = Some(Session { challenge, token });
        }
        let (secret, identity) = match session.as_ref() {
            Some(session) => (session.token.secret.clone(), session.token.identity.clone()),
            None => return Err(self.no_session()),
        };
        drop(session);
        let answer = self.send(path, body, Some(&secret)).await?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        if answer.status == 401 {
            // It may have been withdrawn: the next call logs in again.
            self.session.lock().await.take();
        }
        Err(self.refused(action, &answer, Some(&identity)))
    }

    async fn token(&self, challenge: &Challenge, now: i64) -> Result<Token, Error> {
        let ask = Ask {
            vault: &self.key.host,
            authority: login::authority(&self.key.host, &self.environment)?,
            tenant: &challenge.tenant,
            resource: &challenge.resource,
            now,
            environment: &self.environment,
            options: &self.options,
        };
        chain::token(&ask).await
    }

    async fn send(
        &self,
        path: &str,
        body: Option<&Value>,
        token: Option<&str>,
    ) -> Result<Answer, Error> {
        let mut url = self.service.at(&format!("keys/{}{path}", self.key.name));
        url.query_pairs_mut()
            .append_pair("api-version", API_VERSION);
        let build = |request: reqwest::RequestBuilder| {
            let request = match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            };
            match body {
                None => request,
                Some(Value::Null) => request.header(reqwest::header::CONTENT_LENGTH, 0),
                Some(body) => request
                    .header(reqwest::header::CONTENT_TYPE, "application/json")
                    .body(body.to_string()),
            }
        };
        let sent = match body {
            None => self.service.get(&url, build).await,
            Some(_) => self.service.post(&url, build).await,
        };
        sent.map_err(|error| match error {
            sealmark_http::Error::Connect {
                unknown_host: true,
                reason,
                ..
            } if !reason.contains("emporary failure") => self.unknown(reason),
            // A resolver that does not answer says nothing about the name.
            other => other.into(),
        })
    }

    fn unknown(&self, reason: String) -> Error {
        let hint = match self.key.completed {
            true => format!(
                "; {:?} was completed to a vault of the cloud that AZURE_ENVIRONMENT names (the public one if it names none); \
                 a managed HSM is written in full, {}.managedhsm.azure.net",
                self.key.vault(),
                self.key.vault()
            ),
            false => String::new(),
        };
        Error::UnknownVault {
            key: self.key.to_string(),
            host: self.key.host.clone(),
            reason,
            hint,
        }
    }

    fn refused(&self, action: &'static str, answer: &Answer, who: Option<&Identity>) -> Error {
        Error::Refused {
            key: self.key.to_string(),
            action,
            reason: refusal::reason(answer, &self.key, action, who),
        }
    }

    fn no_session(&self) -> Error {
        Error::Refused {
            key: self.key.to_string(),
            action: "log in",
            reason: "there is no token".into(),
        }
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
