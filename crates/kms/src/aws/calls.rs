//! Calls of KMS's interface: JSON there and back, signed, tried again while KMS is busy.
//!
//! <https://docs.aws.amazon.com/kms/latest/APIReference/Welcome.html>

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sealmark_http::{Answer, Service};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;

use super::config::Config;
use super::credentials::{self, Credentials, Search};
use super::endpoint::{self, Place};
use super::error::Refusal;
use super::refused::Said;
use super::sigv4::{self, Unsigned};
use super::{Error, Key};
use crate::Options;

/// The name of the interface in requests.
const TARGET: &str = "TrentService";
const JSON: &str = "application/x-amz-json-1.1";
/// How often a call is made while KMS says that it is busy.
const TRIES: u32 = 4;
/// The first wait between them; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Who the credentials belong to is told with `--verbose` only, so nobody waits long for it.
const CALLER_TIMEOUT: Duration = Duration::from_secs(5);

/// KMS in one region, and who asks it.
#[derive(Debug)]
pub(super) struct Client {
    service: Service,
    pub(super) place: Place,
    /// The key as it is shown.
    pub(super) key: String,
    config: Config,
    http: sealmark_http::Options,
    credentials: Mutex<Option<Credentials>>,
    options: Options,
}

impl Client {
    /// Finds out where the key is, and whose credentials there are.
    pub(super) async fn new(key: &Key, options: &Options) -> Result<Arc<Self>, Error> {
        let config = Config::load(Arc::new(|name| std::env::var(name).ok())).await?;
        let place = endpoint::kms(key, &config)?;
        options.tell(format!(
            "AWS KMS at {} (by {}), region {}",
            place.url, place.origin, place.region
        ));
        let mut http = options.http();
        http.authorities = config.authorities().await?;
        let wrong = |error: sealmark_http::Error| Error::Setting {
            what: place.origin.clone(),
            reason: error.to_string(),
        };
        let service = Service::new("AWS KMS", &place.url, &http).map_err(wrong)?;
        let client = Self {
            service,
            place,
            key: key.to_string(),
            config,
            http,
            credentials: Mutex::new(None),
            options: options.clone(),
        };
        client.credentials().await?;
        Ok(Arc::new(client))
    }

    /// The credentials, anew if they are about to end.
    async fn credentials(&self) -> Result<Credentials, Error> {
        let mut kept = self.credentials.lock().await;
        if let Some(credentials) = kept.as_ref().filter(|credentials| credentials.last()) {
            return Ok(credentials.clone());
        }
        let search = self.search(&self.http);
        let found = search.run().await?;
        if self.options.note.is_some() {
            self.options
                .tell(format!("AWS credentials from {}", found.describe()));
            let http = sealmark_http::Options {
                timeout: self.http.timeout.min(CALLER_TIMEOUT),
                tries: 1,
                ..self.http.clone()
            };
            match credentials::caller(&self.search(&http), &found).await {
                Ok(arn) => self.options.tell(format!("AWS identity {arn}")),
                Err(reason) => self
                    .options
                    .tell(format!("AWS identity not known: {reason}")),
            }
        }
        Ok(kept.insert(found).clone())
    }

    fn search<'a>(&'a self, http: &'a sealmark_http::Options) -> Search<'a> {
        Search {
            config: &self.config,
            region: &self.place.region,
            http,
        }
    }

    /// Where KMS is, for people.
    pub(super) fn host(&self) -> String {
        let url = self.service.url();
        match url.port() {
            Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
            None => url.host_str().unwrap_or_default().to_owned(),
        }
    }

    /// One call, and what KMS answers.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        action: &'static str,
        body: Value,
    ) -> Result<T, Error> {
        match self.try_call(action, &body).await? {
            Ok(answer) => Ok(answer),
            Err(said) => Err(self.refused(action, said)),
        }
    }

    /// One call; KMS's refusal is apart, for those who know what to make of it.
    pub(super) async fn try_call<T: DeserializeOwned>(
        &self,
        action: &'static str,
        body: &Value,
    ) -> Result<Result<T, Said>, Error> {
        let answer = match self.exchange(action, body).await? {
            Ok(answer) => answer,
            Err(said) => return Ok(Err(said)),
        };
        let parsed = answer.json().map_err(|error| Error::Answer {
            action: format!("kms:{action}"),
            host: self.host(),
            reason: error.to_string(),
        });
        parsed.map(Ok)
    }

    /// As [`Client::try_call`], where KMS answers with nothing.
    pub(super) async fn try_call_empty(
        &self,
        action: &'static str,
        body: &Value,
    ) -> Result<Result<(), Said>, Error> {
        Ok(self.exchange(action, body).await?.map(drop))
    }

    async fn exchange(&self, action: &str, body: &Value) -> Result<Result<Answer, Said>, Error> {
        let body = body.to_string().into_bytes();
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = self.send(action, &body).await?;
            if answer.status == 200 {
                return Ok(Ok(answer));
            }
            let said = Said::of(answer.status, &answer.body);
            if tries >= TRIES || !said.passes() {
                return Ok(Err(said));
            }
            let wait = FIRST_WAIT * (1 << (tries - 1));
            self.options.tell(format!(
                "AWS KMS says {}; trying again in {} s",
                said.code,
                wait.as_secs_f32()
            ));
            tokio::time::sleep(wait).await;
        }
    }

    async fn send(&self, action: &str, body: &[u8]) -> Result<Answer, Error> {
        let credentials = self.credentials().await?;
        let target = format!("{TARGET}.{action}");
        let url = self.service.at("");
        let answer = self.service.post(&url, |request| {
            let unsigned = Unsigned {
                method: "POST",
                url: &url,
                headers: &[("content-type", JSON), ("x-amz-target", &target)],
                body,
            };
            let region = &self.place.region;
            let added = sigv4::sign(&unsigned, &credentials, region, "kms", Timestamp::now());
            let request = request
                .header("content-type", JSON)
                .header("x-amz-target", &target)
                .body(body.to_vec());
            added.into_iter().fold(request, |request, (name, value)| {
                request.header(name, value)
            })
        });
        answer.await.map_err(|cause| self.unreachable(cause))
    }

    fn unreachable(&self, cause: sealmark_http::Error) -> Error {
        let Place { region, origin, .. } = &self.place;
        let advice = match &cause {
            sealmark_http::Error::Connect {
                unknown_host: true, ..
            } => format!(
                "; the name comes from {origin}: is it, and the region {region}, spelled as AWS spells it?"
            ),
            sealmark_http::Error::Connect { .. } => {
                format!("; the address comes from {origin} (key {})", self.key)
            }
            _ => String::new(),
        };
        Error::Unreachable { cause, advice }
    }

    /// The error that a refusal is.
    pub(super) fn refused(&self, action: &str, said: Said) -> Error {
        let action = format!("kms:{action}");
        let advice = said.advice(&action, &self.key, &self.place.region);
        Error::Refused(Box::new(Refusal {
            action,
            key: self.key.clone(),
            host: self.host(),
            region: self.place.region.clone(),
            code: said.code,
            message: said.message,
            advice,
        }))
    }
}
