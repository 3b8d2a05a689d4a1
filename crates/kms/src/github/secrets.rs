//! The secrets: made and replaced.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::HeaderValue;
use sealmark_http::{Answer, Service};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::reference::Reference;
use crate::stored::KeyPair;
use crate::{Error, Options};

const PRIVATE: &str = "COSIGN_PRIVATE_KEY";
const PUBLIC: &str = "COSIGN_PUBLIC_KEY";
const PASSWORD: &str = "COSIGN_PASSWORD";
/// The interface of github.com.
const API: &str = "https://api.github.com";
/// The version of it that this is written for.
const VERSION: &str = "2022-11-28";

/// What secrets of the repository are sealed for.
#[derive(Deserialize)]
struct PublicKey {
    key_id: String,
    key: String,
}

struct Repository<'a> {
    reference: &'a Reference,
    service: Service,
    token: HeaderValue,
    /// Which variable it came from.
    origin: &'static str,
}

/// Puts a pair there. Gives what was done, in words.
pub(crate) async fn store(
    reference: &Reference,
    pair: &KeyPair,
    replace: bool,
    options: &Options,
) -> Result<String, Error> {
    let repository = Repository::open(reference, options)?;
    let answer = repository.ask(Method::GET, "public-key", None).await?;
    if answer.status != 200 {
        return Err(repository.refused("read the public key for secrets", &answer));
    }
    let recipient: PublicKey = answer.json()?;
    let bytes = STANDARD
        .decode(&recipient.key)
        .ok()
        .and_then(|key| <[u8; 32]>::try_from(key).ok());
    let bytes =
        bytes.ok_or_else(|| answer.malformed("the public key for secrets is not one of X25519"))?;
    for name in [PASSWORD, PRIVATE, PUBLIC] {
        let answer = repository.ask(Method::GET, name, None).await?;
        match answer.status {
            404 => {}
            200 if replace => {}
            200 => {
                return Err(Error::PairThere {
                    key: reference.to_string(),
                });
            }
            _ => return Err(repository.refused("look for its secrets", &answer)),
        }
    }
    let values = [
        (PASSWORD, pair.password.as_slice()),
        (PRIVATE, pair.private.as_bytes()),
        (PUBLIC, pair.public.as_bytes()),
    ];
    for (name, value) in values {
        let sealed = sealmark_keys::seal_for(&bytes, value).map_err(|cause| {
            repository.failed(format!("the repository's key cannot be used: {cause}"))
        })?;
        let body = json!({"encrypted_value": STANDARD.encode(sealed), "key_id": recipient.key_id});
        let answer = repository.ask(Method::PUT, name, Some(&body)).await?;
        if !matches!(answer.status, 201 | 204) {
            return Err(repository.refused("write its secrets", &answer));
        }
    }
    Ok(format!(
        "{PASSWORD}, {PRIVATE} and {PUBLIC} are secrets of {reference} ({}) now; only its workflows can read them: \
         ${{{{ secrets.{PRIVATE} }}}}",
        repository.host()
    ))
}

impl<'a> Repository<'a> {
    fn open(reference: &'a Reference, options: &Options) -> Result<Self, Error> {
        let failed = |reason: &str| Error::Provider {
            key: reference.to_string(),
            what: "cannot be written",
            reason: reason.to_owned(),
        };
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let token = ["GITHUB_TOKEN", "GH_TOKEN"]
            .into_iter()
            .find_map(|name| Some((Zeroizing::new(variable(name)?), name)));
        let (token, origin) = token.ok_or_else(|| {
            failed(
                "GITHUB_TOKEN is not set: a token that may write secrets of the repository (fine-grained: Secrets, read and \
                 write; classic: repo); that of a workflow may not",
            )
        })?;
        let address = match variable("GITHUB_HOST") {
            None => API.to_owned(),
            Some(host) => {
                let host = match host.contains("://") {
                    true => host,
                    false => format!("https://{host}"),
                };
                let host = host.trim_end_matches('/').to_owned();
                // As cosign's client: what is not api.… is an Enterprise server, whose interface is below a path.
                match host {
                    host if host == "https://github.com" => API.to_owned(),
                    host if host.ends_with("/api/v3") || host.contains("://api.") => host,
                    host => format!("{host}/api/v3"),
                }
            }
        };
        let mut http = options.http();
        http.tries = 1;
        let service = Service::new("GitHub", &address, &http)?;
        let url = service.url();
        if url.scheme() == "http" && !sealmark_http::is_loopback(url.host_str().unwrap_or_default())
        {
            return Err(failed(
                "GITHUB_HOST is http://, over which anyone on the way could read the token; use https://",
            ));
        }
        let mut token = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
            .map_err(|_| failed("the token has characters that no token has"))?;
        token.set_sensitive(true);
        options.tell(format!(
            "GitHub at {} with the token of {origin}",
            service.url()
        ));
        Ok(Self {
            reference,
            service,
            token,
            origin,
        })
    }

    fn host(&self) -> String {
        let url = self.service.url();
        let host = url.host_str().unwrap_or_default();
        url.port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    async fn ask(&self, method: Method, name: &str, body: Option<&Value>) -> Result<Answer, Error> {
        let Reference { owner, repository } = self.reference;
        let url = self.service.at(&format!(
            "repos/{owner}/{repository}/actions/secrets/{name}"
        ));
        let answer = self.service.request(method, &url, |request| {
            let request = request
                .header("authorization", self.token.clone())
                .header("accept", "application/vnd.github+json")
                .header("x-github-api-version", VERSION);
            match body {
                Some(body) => request
                    .header("content-type", "application/json")
                    .body(body.to_string()),
                None => request,
            }
        });
        Ok(answer.await?)
    }

    fn failed(&self, reason: String) -> Error {
        Error::Provider {
            key: self.reference.to_string(),
            what: "cannot be written",
            reason,
        }
    }

    fn refused(&self, action: &str, answer: &Answer) -> Error {
        let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let said = match json
            .get("message")
            .and_then(Value::as_str)
            .map(sealmark_http::sanitise)
        {
            Some(text) if !text.is_empty() => format!(" ({text})"),
            _ => String::new(),
        };
        let (host, origin) = (self.host(), self.origin);
        let Reference { owner, repository } = self.reference;
        self.failed(match answer.status {
            401 => format!("{host} does not accept the token of {origin}{said}: it has expired, was revoked, or is of another host (GITHUB_HOST)"),
            403 | 404 => format!(
                "{host} has no repository {owner}/{repository}, or does not let the token of {origin} {action}{said}: it needs \
                 the permission Secrets (read and write) there, or as a classic token the scope repo"
            ),
            code => format!("{host} answered {code}{said} when asked to {action}"),
        })
    }
}
