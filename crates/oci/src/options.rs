//! How a registry is reached: the registry flags of the command line, as one value.

use core::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long one step of a request may take: connecting, waiting for the first byte, or for the next one.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a request is repeated that failed for a reason that passes: 429, 502–504, a reset connection.
pub const DEFAULT_RETRIES: u32 = 3;

/// A password or token. It is never printed.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One request, as `--verbose` shows it.
#[derive(Clone, Debug)]
pub struct RequestLog {
    /// `GET`.
    pub method: String,
    /// The URL; the query's values are left out, since redirects and uploads carry signatures and state there.
    pub url: String,
    /// The answer's status; `None` if there was no answer.
    pub status: Option<u16>,
    /// Until the answer's head had arrived.
    pub millis: u64,
}

/// Called for each request.
pub type RequestCallback = Arc<dyn Fn(&RequestLog) + Send + Sync>;

/// How a registry is reached.
#[derive(Clone)]
pub struct Options {
    /// Accept any TLS certificate.
    pub allow_insecure: bool,
    /// Speak plain HTTP with hosts other than this machine.
    pub allow_http: bool,
    /// User name, instead of any stored one.
    pub username: Option<String>,
    /// Password for [`username`](Self::username).
    pub password: Option<Secret>,
    /// A bearer token to send as it is, instead of any stored credential.
    pub token: Option<Secret>,
    /// PEM file: trust these certificate authorities, and no others.
    pub cacert: Option<PathBuf>,
    /// PEM file: the client's certificate.
    pub client_cert: Option<PathBuf>,
    /// PEM file: the client certificate's key.
    pub client_key: Option<PathBuf>,
    /// The DNS name that the registry's certificate must have, if it is not the registry's own.
    pub server_name: Option<String>,
    /// How long one step of a request may take: connecting, waiting for the first byte, or for the next one.
    pub timeout: Duration,
    /// How often a request is repeated that failed for a reason that passes.
    pub retries: u32,
    /// Directory with `config.json`, instead of `$DOCKER_CONFIG` or `~/.docker`.
    pub docker_config: Option<PathBuf>,
    /// Where credentials are looked for; `None` is the process's own environment.
    pub environment: Option<crate::credentials::Environment>,
    /// Called for each request.
    pub on_request: Option<RequestCallback>,
    /// What stands before the tags of legacy attachments.
    pub tag_prefix: String,
    /// The largest attachment that is read, in bytes, after decompression.
    pub max_attachment: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            allow_insecure: false,
            allow_http: false,
            username: None,
            password: None,
            token: None,
            cacert: None,
            client_cert: None,
            client_key: None,
            server_name: None,
            timeout: DEFAULT_TIMEOUT,
            retries: DEFAULT_RETRIES,
            docker_config: None,
            environment: None,
            on_request: None,
            tag_prefix: String::new(),
            max_attachment: crate::attachments::MAX_ATTACHMENT,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("allow_insecure", &self.allow_insecure)
            .field("allow_http", &self.allow_http)
            .field("username", &self.username)
            .field("password", &self.password)
            .field("token", &self.token)
            .field("cacert", &self.cacert)
            .field("client_cert", &self.client_cert)
            .field("client_key", &self.client_key)
            .field("server_name", &self.server_name)
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .field("docker_config", &self.docker_config)
            .field("tag_prefix", &self.tag_prefix)
            .field("max_attachment", &self.max_attachment)
            .finish_non_exhaustive()
    }
}
