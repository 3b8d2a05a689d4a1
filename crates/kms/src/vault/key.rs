//! A key of a transit engine, as any key in a provider.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sealmark_http::Answer;
use sealmark_keys::{Algorithm, PublicKey, Scheme};
use serde::Deserialize;
use serde_json::{Value, json};

use super::connection::{Connection, version_of};
use super::reference::Reference;
use super::refusal::{Attempt, explain};
use crate::{Error, Input, KeyService, Options, Pending, RemoteKey, encode};

/// What the engine says of a key.
#[derive(Deserialize)]
struct Described {
    #[serde(rename = "type")]
    kind: String,
    /// For keys that sign, objects with a public key; for others, times.
    keys: BTreeMap<u64, Value>,
    latest_version: u64,
    #[serde(default)]
    min_available_version: u64,
    #[serde(default)]
    derived: bool,
}

#[derive(Deserialize)]
pub(super) struct Data<T> {
    pub(super) data: T,
}

/// A version of a key.
struct TransitKey {
    connection: Connection,
    /// With the engine and the version.
    reference: Reference,
    version: u64,
}

impl fmt::Debug for TransitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransitKey")
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}

/// Finds the key, and the version of it.
pub(crate) async fn open(reference: &Reference, options: &Options) -> Result<RemoteKey, Error> {
    let connection = connect(reference, options).await?;
    let path = format!("{}/keys/{}", connection.mount, reference.key);
    let answer = connection.get(&path).await?;
    if answer.status != 200 {
        let attempt = Attempt {
            what: "cannot be read",
            path: &path,
            capability: "read",
        };
        return Err(explain(reference, &connection, &answer, &attempt).await);
    }
    found(reference, connection, &answer, options)
}

/// Makes a key.
pub(crate) async fn create(
    reference: &Reference,
    algorithm: Algorithm,
    options: &Options,
) -> Result<RemoteKey, Error> {
    let connection = connect(reference, options).await?;
    let path = format!("{}/keys/{}", connection.mount, reference.key);
    let attempt = |capability| Attempt {
        what: "cannot be made",
        path: &path,
        capability,
    };
    let failed = |reason: &str| Error::Provider {
        key: reference.to_string(),
        what: "cannot be made",
        reason: reason.to_owned(),
    };
    if reference.version.is_some() {
        return Err(failed("a new key has version 1: leave the version out"));
    }
    // The engine answers "done" for a key that is there, whatever its type.
    match connection.get(&path).await? {
        answer if answer.status == 200 => {
            return Err(failed(
                "it is there already: nothing was made. A new version of it is made with bao write -f ENGINE/keys/KEY/rotate",
            ));
        }
        answer if answer.status == 404 => {}
        answer => return Err(explain(reference, &connection, &answer, &attempt("read")).await),
    }
    let kind = match algorithm {
        Algorithm::EcdsaP256 => "ecdsa-p256",
        Algorithm::EcdsaP384 => "ecdsa-p384",
        Algorithm::EcdsaP521 => "ecdsa-p521",
        Algorithm::Ed25519 => "ed25519",
        Algorithm::Rsa2048 => "rsa-2048",
        Algorithm::Rsa3072 => "rsa-3072",
        Algorithm::Rsa4096 => "rsa-4096",
    };
    let answer = connection.post(&path, &json!({ "type": kind })).await?;
    if !matches!(answer.status, 200..=299) {
        return Err(explain(reference, &connection, &answer, &attempt("create")).await);
    }
    let answer = connection.get(&path).await?;
    if answer.status != 200 {
        return Err(explain(reference, &connection, &answer, &attempt("read")).await);
    }
    found(reference, connection, &answer, options)
}

pub(super) async fn connect(reference: &Reference, options: &Options) -> Result<Connection, Error> {
    let connection = Connection::open(reference, options).await?;
    options.tell(format_args!("token from {}", connection.origin));
    // Only to be told, so not asked for in vain.
    if options.note.is_some() {
        let whose = connection.whose().await;
        let whose = whose.unwrap_or_else(|| "somebody whom the server does not name".to_owned());
        options.tell(format_args!("the token is that of {whose}"));
    }
    Ok(connection)
}

fn found(
    reference: &Reference,
    connection: Connection,
    answer: &Answer,
    options: &Options,
) -> Result<RemoteKey, Error> {
    let Data { data: described } = answer.json::<Data<Described>>()?;
    let failed = |reason: String| Error::Provider {
        key: reference.to_string(),
        what: "cannot be used",
        reason,
    };
    let version = reference
        .version
        .or(connection.version)
        .unwrap_or(described.latest_version);
    if described.derived {
        return Err(failed(
            "it is a derived key, which signs only with a context; those are not supported"
                .to_owned(),
        ));
    }
    let Some(entry) = described.keys.get(&version) else {
        let there: Vec<String> = described.keys.keys().map(u64::to_string).collect();
        let trimmed = match described.min_available_version {
            0 | 1 => String::new(),
            first => format!("; those before {first} were trimmed"),
        };
        return Err(failed(format!(
            "it has no version {version}; there is {}{trimmed}",
            there.join(", ")
        )));
    };
    let public = entry
        .get("public_key")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let public = public_key(&described.kind, public).map_err(failed)?;
    let scheme = public.key_type().schemes()[0];
    let reference = Reference {
        mount: Some(connection.mount.clone()),
        version: Some(version),
        ..reference.clone()
    };
    options.tell(format_args!(
        "key {reference}: {}",
        scheme.describe(public.key_type())
    ));
    Ok(RemoteKey {
        name: reference.to_string(),
        public,
        scheme,
        service: Arc::new(TransitKey {
            connection,
            reference,
            version,
        }),
    })
}

fn public_key(kind: &str, text: &str) -> Result<PublicKey, String> {
    let bad = |error: sealmark_keys::Error| format!("its public key cannot be used: {error}");
    match kind {
        "ed25519" => {
            let bytes = BASE64.decode(text.trim());
            let bytes = bytes.map_err(|_| "its public key is not base64".to_owned())?;
            encode::ed25519_key(&bytes).map_err(bad)
        }
        _ if kind.starts_with("ecdsa-") || kind.starts_with("rsa-") => {
            PublicKey::from_pem(text.as_bytes()).map_err(bad)
        }
        _ => Err(format!(
            "it is of the type {}, which does not sign; those that do are ecdsa-p256, ecdsa-p384, ecdsa-p521, ed25519, \
             rsa-2048, rsa-3072 and rsa-4096",
            sealmark_http::sanitise(kind)
        )),
    }
}

/// The last part of the path, and what is sent.
fn request(scheme: Scheme, input: Input<'_>) -> Result<(&'static str, Value), String> {
    let (bytes, prehashed) = match input {
        Input::Digest(digest) => (digest.bytes(), true),
        Input::Message(message) => (message, false),
    };
    let hash = match scheme {
        Scheme::EcdsaSha256 | Scheme::RsaPkcs1Sha256 | Scheme::RsaPssSha256 => "sha2-256",
        Scheme::EcdsaSha384 | Scheme::RsaPkcs1Sha384 | Scheme::RsaPssSha384 => "sha2-384",
        Scheme::EcdsaSha512 | Scheme::RsaPkcs1Sha512 | Scheme::RsaPssSha512 | Scheme::Ed25519 => {
            "sha2-512"
        }
        Scheme::Ed25519ph => return Err("Ed25519ph is not supported by transit engines".to_owned()),
    };
    let padding = match scheme {
        Scheme::RsaPssSha256 | Scheme::RsaPssSha384 | Scheme::RsaPssSha512 => "pss",
        _ => "pkcs1v15",
    };
    Ok((
        hash,
        json!({
            "input": BASE64.encode(bytes),
            "prehashed": prehashed,
            "marshaling_algorithm": "asn1",
            "signature_algorithm": padding,
            // The salt that verifiers of Sigstore expect.
            "salt_length": "hash",
        }),
    ))
}

impl TransitKey {
    fn failed(&self, what: &'static str, reason: String) -> Error {
        Error::Provider {
            key: self.reference.to_string(),
            what,
            reason,
        }
    }

    /// `sign` or `verify`.
    async fn ask(
        &self,
        verb: &'static str,
        what: &'static str,
        hash: &str,
        body: &Value,
    ) -> Result<Answer, Error> {
        let path = format!(
            "{}/{verb}/{}/{hash}",
            self.connection.mount, self.reference.key
        );
        let answer = self.connection.post(&path, body).await?;
        if answer.status == 200 {
            return Ok(answer);
        }
        let attempt = Attempt {
            what,
            path: &path,
            capability: "update",
        };
        Err(explain(&self.reference, &self.connection, &answer, &attempt).await)
    }
}

impl KeyService for TransitKey {
    fn sign<'a>(&'a self, scheme: Scheme, input: Input<'a>) -> Pending<'a, Vec<u8>> {
        const WHAT: &str = "cannot sign";
        Box::pin(async move {
            let (hash, mut body) =
                request(scheme, input).map_err(|reason| self.failed(WHAT, reason))?;
            body["key_version"] = self.version.into();
            let answer = self.ask("sign", WHAT, hash, &body).await?;
            let Data { data } = answer.json::<Data<Value>>()?;
            let text = data
                .get("signature")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let (prefix, signature) = text.rsplit_once(':').unwrap_or_default();
            if version_of(prefix) != Some(self.version) {
                return Err(answer
                    .malformed("its signature is not of the version of the key that was asked for")
                    .into());
            }
            let signature = BASE64.decode(signature);
            signature.map_err(|_| answer.malformed("its signature is not base64").into())
        })
    }

    fn verify<'a>(
        &'a self,
        scheme: Scheme,
        input: Input<'a>,
        signature: &'a [u8],
    ) -> Pending<'a, bool> {
        const WHAT: &str = "cannot verify";
        Box::pin(async move {
            let (hash, mut body) =
                request(scheme, input).map_err(|reason| self.failed(WHAT, reason))?;
            body["signature"] =
                format!("vault:v{}:{}", self.version, BASE64.encode(signature)).into();
            let answer = self.ask("verify", WHAT, hash, &body).await?;
            let Data { data } = answer.json::<Data<Value>>()?;
            let valid = data.get("valid").and_then(Value::as_bool);
            valid.ok_or_else(|| {
                answer
                    .malformed("it does not say whether the signature is valid")
                    .into()
            })
        })
    }
}
