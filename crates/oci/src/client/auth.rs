//! Authentication: what a registry asks for, and what it gets.
//!
//! Invariant: a credential is sent only after the registry asked for one, only to the registry itself or to the
//! token endpoint it names, and never in plain HTTP over a network unless the user allows that.
//!
//! <https://distribution.github.io/distribution/spec/auth/token/>, RFC 9110 section 11.6.1

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use url::Url;

use super::answer::Answer;
use super::challenge::{Demand, Scope, covers, demand};
use super::send::{Body, Outgoing};
use super::transport::{Scheme, authority, is_loopback};
use super::{Client, lock};
use crate::credentials::{self, Credential, Kind};
use crate::error::{Attempt, Error};
use crate::options::Secret;

/// Largest answer of a token endpoint. Real ones are a few kilobytes.
const MAX_TOKEN_ANSWER: u64 = 1 << 20;
/// Lifetime of a token that does not say: the specification's default.
const DEFAULT_LIFETIME: u64 = 60;
/// A token is renewed this long before it ends, or after half of a shorter life.
const MARGIN: u64 = 10;
/// Longest that a token is kept, whatever it says.
const MAX_LIFETIME: u64 = 24 * 60 * 60;

struct Token {
    value: Secret,
    ends: Instant,
}

type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;
type Found = Arc<tokio::sync::OnceCell<Option<Credential>>>;

#[derive(Default)]
pub(super) struct Tokens {
    demands: Mutex<HashMap<String, Demand>>,
    /// By registry and repository, since a repository may have its own. Looked up once: it may start a program.
    credentials: Mutex<HashMap<(String, String), Found>>,
    /// By registry and scopes. The inner lock is held while a token is fetched, so that it is fetched once.
    tokens: Mutex<HashMap<(String, Vec<String>), Slot>>,
}

/// What goes into the request, and what to say about it.
pub(super) struct Presented {
    pub(super) header: Option<HeaderValue>,
    /// The credential's source, for errors.
    pub(super) source: String,
    /// It was not fetched just now, and may have ended meanwhile.
    pub(super) cached: bool,
    slot: Option<Slot>,
}

impl Presented {
    fn nothing(source: impl Into<String>) -> Self {
        Self {
            header: None,
            source: source.into(),
            cached: false,
            slot: None,
        }
    }

    /// The registry refused it: it is not used again.
    pub(super) async fn discard(&self) {
        if let Some(slot) = &self.slot {
            let mut token = slot.lock().await;
            let same = token.as_ref().is_some_and(|token| {
                bearer(&token.value).is_ok_and(|header| Some(&header) == self.header.as_ref())
            });
            if same {
                *token = None;
            }
        }
    }
}

impl Client {
    /// What to present to a registry that has already said what it wants; nothing to one that has not.
    pub(super) async fn authorization(
        &self,
        attempt: &Attempt,
        registry: &str,
        scopes: &[Scope],
    ) -> Result<Presented, Error> {
        let demand = lock(&self.inner.auth.demands).get(registry).cloned();
        let Some(demand) = demand else {
            return Ok(Presented::nothing("nothing"));
        };
        let repository = scopes.first().map_or("", |scope| scope.repository.as_str());
        let credential = self.credential(registry, repository).await?;
        let source = credential.as_ref().map_or_else(
            || "nothing, since no credentials were found".to_owned(),
            |credential| credential.source.clone(),
        );
        if let Some(Credential {
            kind: Kind::RegistryToken(token),
            ..
        }) = &credential
        {
            let header = Some(bearer(token)?);
            return Ok(Presented {
                header,
                source,
                cached: false,
                slot: None,
            });
        }
        match demand {
            Demand::Basic => {
                let header = match credential.map(|credential| credential.kind) {
                    Some(Kind::Basic { username, password }) => Some(basic(&username, &password)?),
                    Some(Kind::IdentityToken(token)) => Some(basic(IDENTITY_USER, &token)?),
                    Some(Kind::RegistryToken(_)) | None => None,
                };
                Ok(Presented {
                    header,
                    source,
                    cached: false,
                    slot: None,
                })
            }
            Demand::Bearer {
                realm,
                service,
                extra_scope,
            } => {
                let mut wanted: Vec<String> = scopes.iter().map(Scope::text).collect();
                wanted.extend(extra_scope);
                let slot = self.inner.auth.slot(registry, &wanted);
                let mut token = slot.lock().await;
                let cached = token
                    .as_ref()
                    .is_some_and(|token| Instant::now() < token.ends);
                if !cached {
                    let exchange = Exchange {
                        attempt,
                        registry,
                        realm,
                        service,
                        scopes: &wanted,
                    };
                    *token = Some(
                        self.exchange(exchange, credential.as_ref(), &source)
                            .await?,
                    );
                }
                let header = token
                    .as_ref()
                    .map(|token| bearer(&token.value))
                    .transpose()?;
                Ok(Presented {
                    header,
                    source,
                    cached,
                    slot: Some(slot.clone()),
                })
            }
        }
    }

    /// Takes note of what a 401 asks for. False if it asks for nothing that is known here.
    pub(super) fn challenged(
        &self,
        registry: &str,
        scopes: &[Scope],
        headers: &reqwest::header::HeaderMap,
    ) -> bool {
        let texts: Vec<&str> = headers
            .get_all(reqwest::header::WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        let Some(demand) = demand(&texts, scopes) else {
            return false;
        };
        lock(&self.inner.auth.demands).insert(registry.to_owned(), demand);
        true
    }

    async fn credential(
        &self,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Credential>, Error> {
        let key = (registry.to_owned(), repository.to_owned());
        let cell = lock(&self.inner.auth.credentials)
            .entry(key)
            .or_default()
            .clone();
        cell.get_or_try_init(|| credentials::lookup(registry, repository, &self.inner.options))
            .await
            .cloned()
    }

    async fn exchange(
        &self,
        exchange: Exchange<'_>,
        credential: Option<&Credential>,
        source: &str,
    ) -> Result<Token, Error> {
        let realm = &exchange.realm;
        let host = authority(realm);
        let safe = realm.scheme() == "https"
            || realm.scheme() == "http" && (is_loopback(&host) || self.inner.options.allow_http);
        if !safe {
            return Err(Error::Credentials {
                registry: exchange.registry.to_owned(),
                reason: format!(
                    "the registry wants them sent to {} without TLS; that is only done with --allow-http-registry",
                    crate::error::sanitise(&host)
                ),
            });
        }
        let attempt = Attempt {
            host,
            operation: "getting a token for",
            target: exchange.attempt.target.clone(),
        };
        let mut answer = match credential.map(|credential| &credential.kind) {
            Some(Kind::IdentityToken(token)) => {
                let posted = self.send(exchange.refresh(&attempt, token)).await?;
                match posted.status() {
                    404 | 405 => self.send(exchange.get(&attempt, Some((IDENTITY_USER, token)))?),
                    _ => return self.token(posted, source).await,
                }
                .await?
            }
            Some(Kind::Basic { username, password }) => {
                self.send(exchange.get(&attempt, Some((username, password)))?)
                    .await?
            }
            Some(Kind::RegistryToken(_)) | None => self.send(exchange.get(&attempt, None)?).await?,
        };
        answer.credential = source.to_owned();
        self.token(answer, source).await
    }

    async fn token(&self, mut answer: Answer, source: &str) -> Result<Token, Error> {
        #[derive(Deserialize)]
        struct Json {
            #[serde(default)]
            token: Option<String>,
            #[serde(default)]
            access_token: Option<String>,
            #[serde(default)]
            expires_in: Option<u64>,
        }
        answer.credential = source.to_owned();
        if answer.status() != 200 {
            return Err(answer.refused().await);
        }
        let json: Json = answer
            .json("the token endpoint's answer", MAX_TOKEN_ANSWER)
            .await?;
        let value = [json.token, json.access_token]
            .into_iter()
            .flatten()
            .find(|token| !token.is_empty())
            .ok_or_else(|| {
                Error::malformed(
                    "the token endpoint's answer",
                    "it has neither `token` nor `access_token`",
                )
            })?;
        let lifetime = json
            .expires_in
            .unwrap_or(DEFAULT_LIFETIME)
            .min(MAX_LIFETIME);
        let lifetime = if lifetime > 2 * MARGIN {
            lifetime - MARGIN
        } else {
            lifetime / 2
        };
        Ok(Token {
            value: value.into(),
            ends: Instant::now() + Duration::from_secs(lifetime),
        })
    }
}

impl Tokens {
    /// Where the token for these scopes is kept. A token that can more serves, too: after a push, reading needs no
    /// second one.
    fn slot(&self, registry: &str, scopes: &[String]) -> Slot {
        let mut tokens = lock(&self.tokens);
        // A login asks for no right at all, and is about the password.
        let covering = tokens.iter().find(|((at, have), slot)| {
            at == registry
                && !scopes.is_empty()
                && scopes
                    .iter()
                    .all(|want| have.iter().any(|have| covers(have, want)))
                && slot.try_lock().is_ok_and(|token| {
                    token
                        .as_ref()
                        .is_some_and(|token| Instant::now() < token.ends)
                })
        });
        if let Some((_, slot)) = covering {
            return slot.clone();
        }
        tokens
            .entry((registry.to_owned(), scopes.to_vec()))
            .or_default()
            .clone()
    }
}

/// Docker's user name for an identity token where only a password fits.
const IDENTITY_USER: &str = "<token>";

struct Exchange<'a> {
    attempt: &'a Attempt,
    registry: &'a str,
    realm: Url,
    service: Option<String>,
    scopes: &'a [String],
}

impl Exchange<'_> {
    fn get(
        &self,
        attempt: &Attempt,
        credential: Option<(&str, &Secret)>,
    ) -> Result<Outgoing, Error> {
        let mut url = self.realm.clone();
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = &self.service {
                query.append_pair("service", service);
            }
            for scope in self.scopes {
                query.append_pair("scope", scope);
            }
            if let Some((username, _)) = credential {
                query.append_pair("account", username);
            }
            query.append_pair("client_id", "sealmark");
        }
        let mut outgoing = self.outgoing(attempt, Method::GET, url);
        if let Some((username, password)) = credential {
            outgoing
                .headers
                .push((AUTHORIZATION, basic(username, password)?));
        }
        Ok(outgoing)
    }

    /// OAuth 2: <https://distribution.github.io/distribution/spec/auth/oauth/>
    fn refresh(&self, attempt: &Attempt, token: &Secret) -> Outgoing {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token");
        form.append_pair("client_id", "sealmark");
        if let Some(service) = &self.service {
            form.append_pair("service", service);
        }
        if !self.scopes.is_empty() {
            form.append_pair("scope", &self.scopes.join(" "));
        }
        form.append_pair("refresh_token", token.expose());
        let mut outgoing = self.outgoing(attempt, Method::POST, self.realm.clone());
        outgoing.headers.push((
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        ));
        outgoing.body = Body::Bytes(Bytes::from(form.finish()));
        outgoing
    }

    fn outgoing(&self, attempt: &Attempt, method: Method, url: Url) -> Outgoing {
        let scheme = if url.scheme() == "http" {
            Scheme::Http
        } else {
            Scheme::Https
        };
        Outgoing {
            method,
            scheme,
            url,
            headers: Vec::new(),
            body: Body::Empty,
            attempt: attempt.clone(),
            repeatable: true,
            probing: false,
            registry: false,
        }
    }
}

fn basic(username: &str, password: &Secret) -> Result<HeaderValue, Error> {
    sensitive(format!(
        "Basic {}",
        BASE64.encode(format!("{username}:{}", password.expose()))
    ))
}

fn bearer(token: &Secret) -> Result<HeaderValue, Error> {
    sensitive(format!("Bearer {}", token.expose()))
}

fn sensitive(text: String) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| Error::malformed("the token", "it has characters that cannot be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}
