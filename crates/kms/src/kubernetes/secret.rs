//! The secret: read, made and replaced, as cosign does.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use sealmark_http::Answer;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::connection::Connection;
use super::reference::Reference;
use crate::stored::{Files, KeyPair, Purpose};
use crate::{Error, Options};

const PRIVATE: &str = "cosign.key";
const PUBLIC: &str = "cosign.pub";
const PASSWORD: &str = "cosign.password";

/// As much of a secret as is needed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Secret {
    metadata: Metadata,
    #[serde(default)]
    immutable: Option<bool>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    data: Option<BTreeMap<String, Zeroizing<String>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    resource_version: Option<String>,
    #[serde(default)]
    labels: Option<Value>,
    #[serde(default)]
    annotations: Option<Value>,
}

/// Why the server says no: `Status` of its interface.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    message: String,
    reason: String,
    details: Option<Details>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    kind: String,
}

/// What is done, for messages.
struct Attempt<'a> {
    reference: &'a Reference,
    what: &'static str,
    verb: &'static str,
}

/// The files in the secret.
pub(crate) async fn read(reference: &Reference, options: &Options) -> Result<Files, Error> {
    let attempt = Attempt {
        reference,
        what: Purpose::Read.failed(),
        verb: "get",
    };
    let connection = Connection::open(reference, Purpose::Read, options).await?;
    let answer = connection
        .ask(Method::GET, reference, Some(&reference.name), None)
        .await?;
    if answer.status != 200 {
        return Err(attempt.refused(&connection, &answer));
    }
    let secret: Secret = answer.json()?;
    let member = |name: &str| -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let Some(text) = secret.data.as_ref().and_then(|data| data.get(name)) else {
            return Ok(None);
        };
        let bytes = STANDARD
            .decode(text.as_bytes())
            .map_err(|_| answer.malformed(format!("{name} is not Base64")))?;
        Ok(Some(Zeroizing::new(bytes)))
    };
    Ok(Files {
        place: format!(
            "the secret {:?} in the namespace {:?}",
            reference.name, reference.namespace
        ),
        private: member(PRIVATE)?,
        private_name: PRIVATE,
        public: member(PUBLIC)?,
        public_name: PUBLIC,
        password: member(PASSWORD)?,
        password_name: PASSWORD,
    })
}

/// Puts a pair into the secret, which is made if it is not there; what else is in it stays. Gives what was done, in words.
pub(crate) async fn store(
    reference: &Reference,
    pair: &KeyPair,
    replace: bool,
    options: &Options,
) -> Result<String, Error> {
    let what = Purpose::Write.failed();
    let connection = Connection::open(reference, Purpose::Write, options).await?;
    let attempt = |verb| Attempt {
        reference,
        what,
        verb,
    };
    let found = connection
        .ask(Method::GET, reference, Some(&reference.name), None)
        .await?;
    let old: Option<Secret> = match found.status {
        200 => Some(found.json()?),
        404 if Status::of(&found).is_about("secrets") => None,
        _ => return Err(attempt("get").refused(&connection, &found)),
    };
    let mut data = BTreeMap::new();
    let mut metadata = json!({"name": reference.name, "namespace": reference.namespace});
    let mut kind = "Opaque".to_owned();
    let existed = old.is_some();
    if let Some(old) = old {
        let has_key = old
            .data
            .as_ref()
            .is_some_and(|data| data.contains_key(PRIVATE) || data.contains_key(PUBLIC));
        if old.immutable == Some(true) {
            let Reference { namespace, name } = reference;
            return Err(attempt("update").failed(format!(
                "the secret {name:?} is immutable, so what is in it stays{}; take another name, or delete it first: kubectl \
                 --namespace {namespace} delete secret {name}",
                match has_key {
                    true => " (a key pair)",
                    false => "",
                }
            )));
        }
        if has_key && !replace {
            return Err(Error::PairThere {
                key: reference.to_string(),
            });
        }
        data = old.data.unwrap_or_default();
        kind = old.kind.unwrap_or(kind);
        for (name, value) in [
            ("labels", old.metadata.labels),
            ("annotations", old.metadata.annotations),
        ] {
            if let Some(value) = value {
                metadata[name] = value;
            }
        }
        // The server refuses if the secret is another by now.
        metadata["resourceVersion"] = json!(old.metadata.resource_version);
    }
    let packed = |bytes: &[u8]| Zeroizing::new(STANDARD.encode(bytes));
    data.insert(PRIVATE.to_owned(), packed(pair.private.as_bytes()));
    data.insert(PUBLIC.to_owned(), packed(pair.public.as_bytes()));
    data.insert(PASSWORD.to_owned(), packed(&pair.password));
    let data: serde_json::Map<String, Value> = data
        .iter()
        .map(|(name, value)| (name.clone(), json!(value.as_str())))
        .collect();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata, "data": data, "immutable": true,
    });
    let (method, name, verb, done) = match existed {
        true => (
            Method::PUT,
            Some(reference.name.as_str()),
            "update",
            "updated",
        ),
        false => (Method::POST, None, "create", "created"),
    };
    let answer = connection
        .ask(method, reference, name, Some(&secret))
        .await?;
    match answer.status {
        200 | 201 => Ok(format!(
            "Successfully {done} secret {} in namespace {}",
            reference.name, reference.namespace
        )),
        _ => Err(attempt(verb).refused(&connection, &answer)),
    }
}

impl Status {
    fn of(answer: &Answer) -> Self {
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    fn is_about(&self, kind: &str) -> bool {
        self.details
            .as_ref()
            .is_some_and(|details| details.kind == kind)
    }
}

impl Attempt<'_> {
    fn failed(&self, reason: String) -> Error {
        Error::Provider {
            key: self.reference.to_string(),
            what: self.what,
            reason,
        }
    }

    /// The error that an answer is.
    fn refused(&self, connection: &Connection, answer: &Answer) -> Error {
        let Reference { namespace, name } = self.reference;
        let status = Status::of(answer);
        let said = match sealmark_http::sanitise(&status.message) {
            text if text.is_empty() => String::new(),
            text => format!(": {text}"),
        };
        let (host, verb) = (connection.host(), self.verb);
        let credentials = &connection.credentials;
        let action = format!("{verb} secrets in namespace {namespace:?}");
        self.failed(match answer.status {
            401 => format!(
                "{host} does not know who asks to {action}{said}; it was shown {credentials}: log in again, or choose \
                 another context (kubectl config use-context)"
            ),
            403 => format!(
                "{host} does not let {} {action}{said}; it was shown {credentials}; who may grant it does so with: kubectl \
                 --namespace {namespace} create role NAME --verb={verb} --resource=secrets, and a rolebinding",
                whose(&status.message)
            ),
            404 if status.is_about("secrets") => format!(
                "{host} has no secret {name:?} in the namespace {namespace:?}; sealmark generate-key-pair {} makes one",
                self.reference
            ),
            404 if status.is_about("namespaces") => {
                format!("{host} has no namespace {namespace:?}; kubectl create namespace {namespace} makes it")
            }
            404 => format!("{host} does not know how to {action}{said}; is it the API server of a cluster?"),
            409 => format!("the secret was changed by somebody else at the same time{said}; nothing was written, try again"),
            code => format!(
                "{host} answered {code} ({}) when asked to {action}{said}",
                match sealmark_http::sanitise(&status.reason) {
                    text if text.is_empty() => "no reason".to_owned(),
                    text => text,
                }
            ),
        })
    }
}

/// The identity of `… is forbidden: User "NAME" cannot …`.
fn whose(message: &str) -> String {
    let name = message
        .split_once("User \"")
        .and_then(|(_, rest)| rest.split_once('"'));
    name.map_or_else(
        || "whoever asks".to_owned(),
        |(name, _)| format!("{:?}", sealmark_http::sanitise(name)),
    )
}
