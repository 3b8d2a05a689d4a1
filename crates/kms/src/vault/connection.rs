//! The way to the server: where it is, and who asks.

use std::path::{Path, PathBuf};

use reqwest::Certificate;
use reqwest::header::HeaderValue;
use sealmark_http::{Answer, Service, is_loopback};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::reference::{Product, Reference};
use crate::{Error, Options};

/// The engine's path where nobody says another.
const MOUNT: &str = "transit";
/// The file in which the command lines of both products keep the token of a login.
const TOKEN_FILE: &str = ".vault-token";
/// The largest file with a token or with certificate authorities.
const MAX_FILE: u64 = 1 << 20;

/// A server, and a token for it.
pub(super) struct Connection {
    service: Service,
    token: HeaderValue,
    namespace: Option<HeaderValue>,
    /// The engine's path.
    pub(super) mount: String,
    /// Where the token came from.
    pub(super) origin: String,
    /// The version that `VAULT_KEY_PREFIX` asks for.
    pub(super) version: Option<u64>,
}

fn failed(reference: &Reference, reason: impl Into<String>) -> Error {
    Error::Provider {
        key: reference.to_string(),
        what: "cannot be used",
        reason: reason.into(),
    }
}

impl Connection {
    /// As the reference and the environment say.
    pub(super) async fn open(reference: &Reference, options: &Options) -> Result<Self, Error> {
        let failed = |reason: String| failed(reference, reason);
        let setting = |name: &str| setting(reference.product, name);
        let (address, from) = setting("ADDR").ok_or_else(|| {
            failed("where is the server? Set VAULT_ADDR or BAO_ADDR: https://HOST:8200".to_owned())
        })?;
        let url = Url::parse(&address).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        if url.as_ref().is_some_and(|url| url.scheme() == "http") && !is_loopback(host) {
            return Err(failed(format!(
                "{from} is http://, which is allowed to this machine only, as anyone on the way could read the token and \
                 exchange the key; use https://"
            )));
        }
        let mut http = options.http();
        if let Some((path, from)) = setting("CACERT") {
            let pem = read(Path::new(&path)).await.map_err(|reason| {
                failed(format!(
                    "the certificate authorities of {from} cannot be read from {path}: {reason}"
                ))
            })?;
            let found = Certificate::from_pem_bundle(pem.as_bytes());
            let found =
                found.map_err(|_| failed(format!("{path} ({from}) has no certificates in PEM")))?;
            if found.is_empty() {
                return Err(failed(format!(
                    "{path} ({from}) has no certificates in PEM"
                )));
            }
            http.authorities = found;
        }
        let kind = match reference.product {
            Product::Vault => "Vault",
            Product::OpenBao => "OpenBao",
        };
        let service = Service::new(kind, &address, &http)?;
        let (token, origin) = token(reference.product).await.map_err(failed)?;
        let mut token = HeaderValue::from_str(token.trim()).map_err(|_| {
            failed(format!(
                "the token ({origin}) has characters that no token has"
            ))
        })?;
        token.set_sensitive(true);
        let namespace = reference.namespace.clone();
        let namespace = namespace.or_else(|| Some(setting("NAMESPACE")?.0));
        let namespace = namespace
            .map(|name| HeaderValue::from_str(&name))
            .transpose()
            .map_err(|_| failed("the namespace has characters that none has".to_owned()))?;
        let mount = match &reference.mount {
            Some(mount) => mount.clone(),
            None => variable("TRANSIT_SECRET_ENGINE_PATH").unwrap_or_else(|| MOUNT.to_owned()),
        };
        Ok(Self {
            service,
            token,
            namespace,
            mount: mount.trim_matches('/').to_owned(),
            origin,
            version: variable("VAULT_KEY_PREFIX").and_then(|prefix| version_of(&prefix)),
        })
    }

    /// `GET`.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, Error> {
        let url = self.service.at(&format!("v1/{path}"));
        let answer = self.service.get(&url, |request| self.authorised(request));
        Ok(answer.await?)
    }

    /// `POST` of JSON.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Answer, Error> {
        let url = self.service.at(&format!("v1/{path}"));
        let body = body.to_string();
        let answer = self.service.post(&url, |request| {
            self.authorised(request)
                .header("content-type", "application/json")
                .body(body.clone())
        });
        Ok(answer.await?)
    }

    fn authorised(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        // Without this header, a listener may be set up to refuse: it keeps web pages from sending requests.
        let request = request
            .header("x-vault-request", "true")
            .header("x-vault-token", self.token.clone());
        match &self.namespace {
            Some(namespace) => request.header("x-vault-namespace", namespace.clone()),
            None => request,
        }
    }

    /// Whose token it is, if the server says so; `None` if it does not know the token.
    pub(super) async fn whose(&self) -> Option<String> {
        let answer = self.get("auth/token/lookup-self").await.ok()?.good().ok()?;
        let json: Value = answer.json().ok()?;
        let data = json.get("data")?;
        let text = |name: &str| {
            data.get(name)
                .and_then(Value::as_str)
                .map(sealmark_http::sanitise)
        };
        let policies: Vec<String> = ["policies", "identity_policies"]
            .into_iter()
            .filter_map(|name| data.get(name)?.as_array())
            .flatten()
            .filter_map(|policy| Some(sealmark_http::sanitise(policy.as_str()?)))
            .collect();
        let expiry = text("expire_time").unwrap_or_else(|| "never".to_owned());
        Some(format!(
            "{} (policies {}; expires {expiry})",
            text("display_name").unwrap_or_else(|| "a token without a name".to_owned()),
            policies.join(", "),
        ))
    }
}

/// The version of `vault:v3:`.
pub(super) fn version_of(prefix: &str) -> Option<u64> {
    prefix
        .strip_prefix("vault:v")?
        .trim_end_matches(':')
        .parse()
        .ok()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A setting and the name of its variable: of the one product first, then of the other.
fn setting(product: Product, name: &str) -> Option<(String, String)> {
    let prefixes = match product {
        Product::Vault => ["VAULT", "BAO"],
        Product::OpenBao => ["BAO", "VAULT"],
    };
    prefixes.into_iter().find_map(|prefix| {
        let name = format!("{prefix}_{name}");
        Some((variable(&name)?, name))
    })
}

async fn token(product: Product) -> Result<(Zeroizing<String>, String), String> {
    if let Some((token, from)) = setting(product, "TOKEN") {
        return Ok((Zeroizing::new(token), from));
    }
    let none = "no token: set VAULT_TOKEN or BAO_TOKEN, or log in with bao login or vault login, which leaves one in \
                ~/.vault-token";
    let Some(home) = variable("HOME") else {
        return Err(none.to_owned());
    };
    let path = PathBuf::from(home).join(TOKEN_FILE);
    match read(&path).await {
        Ok(token) if !token.trim().is_empty() => Ok((token, path.display().to_string())),
        Ok(_) => Err(none.to_owned()),
        Err(_) if !path.exists() => Err(none.to_owned()),
        Err(reason) => Err(format!(
            "the token cannot be read from {}: {reason}",
            path.display()
        )),
    }
}

async fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    use tokio::io::AsyncReadExt;
    let file = tokio::fs::File::open(path)
        .await
        .map_err(|error| error.to_string())?;
    let mut text = Zeroizing::new(String::new());
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text).await;
    read.map_err(|error| error.to_string())?;
    match text.len() as u64 > MAX_FILE {
        true => Err("it is too large".to_owned()),
        false => Ok(text),
    }
}
