//! The variables: read, made and replaced.

use reqwest::Method;
use reqwest::header::HeaderValue;
use sealmark_http::{Answer, Service};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::reference::Reference;
use crate::stored::{Files, KeyPair, Purpose, Wanted};
use crate::{Error, Options};

const PRIVATE: &str = "COSIGN_PRIVATE_KEY";
const PUBLIC: &str = "COSIGN_PUBLIC_KEY";
const PASSWORD: &str = "COSIGN_PASSWORD";
/// The host where nobody says another.
const HOST: &str = "https://gitlab.com";

#[derive(Deserialize)]
struct Variable {
    value: Option<Zeroizing<String>>,
}

struct Project<'a> {
    reference: &'a Reference,
    service: Service,
    token: HeaderValue,
    what: &'static str,
    kind: Kind,
}

/// What has the variables.
#[derive(Clone, Copy)]
enum Kind {
    Project,
    Group,
}

/// What is wanted of the pair: a request for each variable.
pub(crate) async fn read(
    reference: &Reference,
    wanted: Wanted,
    options: &Options,
) -> Result<Files, Error> {
    let project = Project::find(reference, Purpose::Read, options).await?;
    let (private, public, password) = match wanted {
        Wanted::Public => match project.get(PUBLIC).await? {
            Some(public) => (None, Some(public), None),
            None => (
                project.get(PRIVATE).await?,
                None,
                project.get(PASSWORD).await?,
            ),
        },
        Wanted::Private => (
            project.get(PRIVATE).await?,
            None,
            project.get(PASSWORD).await?,
        ),
    };
    Ok(Files {
        place: format!("the {} at {}", project.kind(), project.host()),
        private,
        private_name: PRIVATE,
        public,
        public_name: PUBLIC,
        password,
        password_name: PASSWORD,
    })
}

/// Puts a pair there. Gives what was done, in words.
pub(crate) async fn store(
    reference: &Reference,
    pair: &KeyPair,
    replace: bool,
    options: &Options,
) -> Result<String, Error> {
    let project = Project::find(reference, Purpose::Write, options).await?;
    let password = std::str::from_utf8(&pair.password).map_err(|_| {
        project.failed("a password that is not UTF-8 is no value of a variable".to_owned())
    })?;
    let mut there = Vec::new();
    // What is there is known before anything is written.
    for name in [PASSWORD, PRIVATE, PUBLIC] {
        there.push(project.look(name).await?.is_some());
    }
    if there.contains(&true) && !replace {
        return Err(Error::PairThere {
            key: reference.to_string(),
        });
    }
    let values = [
        (PASSWORD, password),
        (PRIVATE, &pair.private),
        (PUBLIC, &pair.public),
    ];
    for ((name, value), there) in values.into_iter().zip(there) {
        project.put(name, value, there).await?;
    }
    Ok(format!(
        "{PASSWORD}, {PRIVATE} and {PUBLIC} are variables of {reference} ({}) now",
        project.host()
    ))
}

impl<'a> Project<'a> {
    fn open(reference: &'a Reference, purpose: Purpose, options: &Options) -> Result<Self, Error> {
        let what = purpose.failed();
        let failed = |reason: String| Error::Provider {
            key: reference.to_string(),
            what,
            reason,
        };
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let token = variable("GITLAB_TOKEN").map(Zeroizing::new).ok_or_else(|| {
            failed(
                "GITLAB_TOKEN is not set: a personal, group or project access token with the scope api, of somebody who is a \
                 maintainer there; in a job of the project, its variables are in the environment: env://COSIGN_PRIVATE_KEY, \
                 env://COSIGN_PUBLIC_KEY"
                    .to_owned(),
            )
        })?;
        let address = variable("GITLAB_HOST").unwrap_or_else(|| HOST.to_owned());
        let address = match address.contains("://") {
            true => address,
            false => format!("https://{address}"),
        };
        let mut address = address.trim_end_matches('/').to_owned();
        // As cosign's client: with the path of the interface or without.
        if !address.ends_with("/api/v4") {
            address += "/api/v4";
        }
        let mut http = options.http();
        if purpose == Purpose::Write {
            http.tries = 1;
        }
        let service = Service::new("GitLab", &address, &http)?;
        let url: &Url = service.url();
        if url.scheme() == "http" && !sealmark_http::is_loopback(url.host_str().unwrap_or_default())
        {
            return Err(failed(
                "GITLAB_HOST is http://, over which anyone on the way could read the token and the key; use https://"
                    .to_owned(),
            ));
        }
        let mut token = HeaderValue::from_str(token.trim())
            .map_err(|_| failed("GITLAB_TOKEN has characters that no token has".to_owned()))?;
        token.set_sensitive(true);
        options.tell(format!(
            "GitLab at {} with the token of GITLAB_TOKEN",
            service.url()
        ));
        Ok(Self {
            reference,
            service,
            token,
            what,
            kind: Kind::Project,
        })
    }

    /// Finds out whether the reference is of a project or of a group, as cosign does: a path and an id do not show it.
    async fn find(
        reference: &'a Reference,
        purpose: Purpose,
        options: &Options,
    ) -> Result<Self, Error> {
        let mut found = Self::open(reference, purpose, options)?;
        let project = found.ask(Method::GET, "", None).await?;
        match project.status {
            200 => return Ok(found),
            404 => {}
            _ => return Err(found.refused("look at", "", &project)),
        }
        found.kind = Kind::Group;
        let group = found.ask(Method::GET, "", None).await?;
        match group.status {
            200 => Ok(found),
            404 => {
                found.kind = Kind::Project;
                Err(found.refused("look at", "", &project))
            }
            _ => Err(found.refused("look at", "", &group)),
        }
    }

    fn kind(&self) -> String {
        let kind = match self.kind {
            Kind::Project => "project",
            Kind::Group => "group",
        };
        format!("{kind} {}", self.reference)
    }

    fn host(&self) -> String {
        let url = self.service.url();
        let host = url.host_str().unwrap_or_default();
        url.port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// A request about the project itself or what is below it.
    async fn ask(
        &self,
        method: Method,
        below: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let kind = match self.kind {
            Kind::Project => "projects",
            Kind::Group => "groups",
        };
        let path = format!("{kind}/{}{below}", self.reference.encoded());
        let url = self.service.at(&path);
        let body = body.map(|body| Zeroizing::new(body.to_string()));
        let answer = self.service.request(method, &url, |request| {
            let request = request.header("private-token", self.token.clone());
            match &body {
                Some(body) => request
                    .header("content-type", "application/json")
                    .body(body.to_string()),
                None => request,
            }
        });
        Ok(answer.await?)
    }

    /// The variable, if there is one of the name. That the project is not there is another matter.
    async fn look(&self, name: &str) -> Result<Option<Variable>, Error> {
        let answer = self
            .ask(Method::GET, &format!("/variables/{name}"), None)
            .await?;
        match answer.status {
            200 => Ok(Some(answer.json()?)),
            404 if words(&answer).to_ascii_lowercase().contains("variable") => Ok(None),
            _ => Err(self.refused("read", &format!("the variable {name} of "), &answer)),
        }
    }

    async fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let Some(variable) = self.look(name).await? else {
            return Ok(None);
        };
        match variable.value {
            Some(value) => Ok(Some(Zeroizing::new(value.as_bytes().to_vec()))),
            None => Err(self.failed(format!(
                "the variable {name} is hidden (masked_and_hidden): GitLab gives it to jobs alone, where it is env://{name}"
            ))),
        }
    }

    async fn put(&self, name: &str, value: &str, there: bool) -> Result<(), Error> {
        let answer = match there {
            // What else is set for it (protected, environments) stays.
            true => {
                self.ask(
                    Method::PUT,
                    &format!("/variables/{name}"),
                    Some(&json!({"value": value})),
                )
                .await?
            }
            false => {
                let variable = json!({
                    "key": name, "value": value, "variable_type": "env_var", "protected": false, "masked": false,
                    "environment_scope": "*",
                });
                self.ask(Method::POST, "/variables", Some(&variable))
                    .await?
            }
        };
        match answer.status {
            200 | 201 => Ok(()),
            _ => Err(self.refused("write", &format!("the variable {name} of "), &answer)),
        }
    }

    fn failed(&self, reason: String) -> Error {
        Error::Provider {
            key: self.reference.to_string(),
            what: self.what,
            reason,
        }
    }

    fn refused(&self, verb: &str, part: &str, answer: &Answer) -> Error {
        let words = words(answer);
        let said = match words.is_empty() {
            true => String::new(),
            false => format!(" ({words})"),
        };
        let (host, kind) = (self.host(), self.kind());
        self.failed(match answer.status {
            401 => format!("{host} does not accept the token of GITLAB_TOKEN{said}: it has expired, was revoked, or is of another host (GITLAB_HOST)"),
            403 => format!(
                "{host} does not let the token of GITLAB_TOKEN {verb} {part}the {kind}{said}: it needs the scope api, and \
                 its owner the role of a maintainer there"
            ),
            404 => format!(
                "{host} has no project or group {}, or the owner of the token of GITLAB_TOKEN may not see it{said}; for another host set \
                 GITLAB_HOST",
                self.reference
            ),
            code => format!("{host} answered {code}{said} when asked to {verb} {part}the {kind}"),
        })
    }
}

/// The server's own words: `message`, a text or lists of them by field, or `error_description`.
fn words(answer: &Answer) -> String {
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let said = ["message", "error_description", "error"]
        .iter()
        .find_map(|name| json.get(name));
    let text = match said {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(fields)) => fields
            .iter()
            .map(|(name, value)| format!("{name}: {value} "))
            .collect(),
        _ => String::new(),
    };
    sealmark_http::sanitise(&text)
}
