//! Credentials for AWS: the places where they are looked for, in the order of AWS's own tools.
//!
//! Invariant: a place that the user has chosen, by a variable or in a profile, gives the credentials or ends the search
//! with its reason. Nobody's credentials are used because those that were meant could not be had.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>

mod metadata;
mod process;
mod profile;
mod sso;
mod sts;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::Error;
use super::config::Config;

pub(super) use sts::caller;

/// Credentials that end sooner are fetched anew.
const RENEW_BEFORE: Duration = Duration::from_secs(120);

/// What requests are signed with.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: Zeroizing<String>,
    pub(super) session_token: Option<Zeroizing<String>>,
    pub(super) expires: Option<Timestamp>,
    /// Where they are from, for people.
    pub(super) source: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("source", &self.source)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Whether they will do for a request now.
    pub(super) fn last(&self) -> bool {
        self.expires
            .is_none_or(|expires| expires > Timestamp::now() + RENEW_BEFORE)
    }

    /// For people: where they are from and when they end.
    pub(super) fn describe(&self) -> String {
        match self.expires {
            Some(expires) => format!("{}, valid until {expires:.0}", self.source),
            None => format!("{}, without an end", self.source),
        }
    }
}

/// Credentials as programs and metadata services give them: the same names, but for that of the token.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
    #[serde(alias = "Token")]
    session_token: Option<Zeroizing<String>>,
    expiration: Option<String>,
}

impl Document {
    fn credentials(self, source: String) -> Result<Credentials, String> {
        let expires = match self.expiration.filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => Some(
                text.parse::<Timestamp>()
                    .map_err(|_| "the time when they end is none".to_owned())?,
            ),
        };
        if expires.is_some_and(|expires| expires <= Timestamp::now()) {
            return Err("they have expired".to_owned());
        }
        Ok(Credentials {
            access_key_id: self.access_key_id,
            secret_access_key: self.secret_access_key,
            session_token: self.session_token.filter(|token| !token.is_empty()),
            expires,
            source,
        })
    }
}

/// What all places need.
#[derive(Debug)]
pub(super) struct Search<'a> {
    pub(super) config: &'a Config,
    /// The region of the key, in which roles are assumed.
    pub(super) region: &'a str,
    pub(super) http: &'a sealmark_http::Options,
}

/// Why there are no credentials in a place.
enum Missing {
    /// Nobody has set anything there.
    Unset(String),
    /// It was meant to have some.
    Failed(Error),
}

impl From<Error> for Missing {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Search<'_> {
    /// The credentials of the first place that has some.
    pub(super) async fn run(&self) -> Result<Credentials, Error> {
        let mut tried = Vec::new();
        let mut found = |result: Result<Credentials, Missing>| match result {
            Ok(credentials) => Some(Ok(credentials)),
            Err(Missing::Failed(error)) => Some(Err(error)),
            Err(Missing::Unset(reason)) => {
                tried.push(reason);
                None
            }
        };
        if let Some(result) = found(self.environment()) {
            return result;
        }
        if let Some(result) = found(self.web_identity().await) {
            return result;
        }
        if let Some(result) = found(self.profile().await) {
            return result;
        }
        if let Some(result) = found(self.container().await) {
            return result;
        }
        if let Some(result) = found(self.instance().await) {
            return result;
        }
        Err(Error::NoCredentials { tried })
    }

    fn environment(&self) -> Result<Credentials, Missing> {
        self.named_environment().ok_or_else(|| {
            let variable = |name| self.config.variable(name).is_some();
            match (variable(ID), variable(SECRET)) {
                (false, false) => {
                    Missing::Unset(format!("environment: {ID} and {SECRET} are not set"))
                }
                (there, _) => {
                    let (there, missing) = if there { (ID, SECRET) } else { (SECRET, ID) };
                    Missing::Failed(failed(
                        "the environment",
                        format!("{there} is set, and {missing} is not"),
                    ))
                }
            }
        })
    }

    /// The three variables.
    fn named_environment(&self) -> Option<Credentials> {
        let variable = |name| self.config.variable(name);
        let mut source = format!("the environment ({ID})");
        if let Some(other) = self.config.chosen_by {
            source.push_str(&format!(
                "; it wins over the profile {} that {other} names",
                self.config.profile
            ));
        }
        Some(Credentials {
            access_key_id: variable(ID)?,
            secret_access_key: variable(SECRET)?.into(),
            session_token: variable("AWS_SESSION_TOKEN").map(Into::into),
            expires: variable("AWS_CREDENTIAL_EXPIRATION").and_then(|text| text.parse().ok()),
            source,
        })
    }

    async fn web_identity(&self) -> Result<Credentials, Missing> {
        const FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
        let variable = |name| self.config.variable(name);
        let Some(file) = variable(FILE) else {
            return Err(Missing::Unset(format!("web identity: {FILE} is not set")));
        };
        let Some(role) = variable("AWS_ROLE_ARN") else {
            let reason = format!("{FILE} is set, and AWS_ROLE_ARN is not");
            return Err(failed("the environment's web identity", reason).into());
        };
        let session = variable("AWS_ROLE_SESSION_NAME");
        let assumed = self
            .assume_with_web_identity(&role, &file, session, "environment's")
            .await;
        Ok(assumed?)
    }
}

const ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";

/// A place that should have credentials has none.
fn failed(source: impl Into<String>, reason: impl fmt::Display) -> Error {
    Error::Credentials {
        source_name: source.into(),
        reason: reason.to_string(),
    }
}
