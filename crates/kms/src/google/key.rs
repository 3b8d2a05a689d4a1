//! A version of a key of Google Cloud KMS, as any key in a provider.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::HashAlgorithm;
use sealmark_http::{Answer, Service, is_loopback};
use sealmark_keys::{Algorithm, PublicKey, Scheme};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::Url;

use super::crc32c::crc32c;
use super::credentials::variable;
use super::exchange::{Identity, base64, identity};
use super::reference::Reference;
use super::refusal::{Attempt, explain};
use crate::{Error, Input, KeyService, Options, Pending, RemoteKey};

const ENDPOINT: &str = "https://cloudkms.googleapis.com/";
/// Another endpoint, as gcloud has it.
const OVERRIDE: &str = "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS";
/// Pages of versions that are read; each has 1000.
const MAX_PAGES: usize = 10;
/// Tokens are valid for an hour; one that is older than this is not used any more.
const MAX_AGE: Duration = Duration::from_secs(45 * 60);
/// The most that is signed as it is, not as a digest: what KMS takes.
const MAX_DATA: usize = 64 << 10;

/// The interface, and who asks.
pub(super) struct Client {
    service: Service,
    options: Options,
    identity: Mutex<(Arc<Identity>, Instant)>,
}

struct KeyVersion {
    client: Client,
    name: String,
    resource: String,
}

impl fmt::Debug for KeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyVersion")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

const READ: (&str, &str) = (
    "cloudkms.cryptoKeyVersions.viewPublicKey",
    "roles/cloudkms.publicKeyViewer",
);
const LIST: (&str, &str) = ("cloudkms.cryptoKeyVersions.list", "roles/cloudkms.viewer");
const SIGN: (&str, &str) = (
    "cloudkms.cryptoKeyVersions.useToSign",
    "roles/cloudkms.signer",
);
const MAKE: (&str, &str) = ("cloudkms.cryptoKeys.create", "roles/cloudkms.admin");

pub(super) fn failed(
    key: &impl fmt::Display,
    what: &'static str,
    reason: impl Into<String>,
) -> Error {
    Error::Provider {
        key: key.to_string(),
        what,
        reason: reason.into(),
    }
}

impl Client {
    pub(super) async fn new(reference: &Reference, options: &Options) -> Result<Self, Error> {
        let endpoint = variable(OVERRIDE).unwrap_or_else(|| ENDPOINT.to_owned());
        let url = Url::parse(&endpoint).ok();
        let safe = url.as_ref().is_some_and(|url| {
            url.scheme() == "https" || is_loopback(url.host_str().unwrap_or_default())
        });
        if !safe {
            let reason = format!("{OVERRIDE} is not https: a token would go there");
            return Err(failed(reference, "cannot be used", reason));
        }
        let service = Service::new("Google Cloud KMS", &endpoint, &options.http())?;
        let client = Self {
            service,
            options: options.clone(),
            identity: Mutex::new((log_in(reference, options).await?, Instant::now())),
        };
        Ok(client)
    }

    /// Who asks, with a token that is still good.
    async fn identity(&self, key: &impl fmt::Display) -> Result<Arc<Identity>, Error> {
        let mut held = self.identity.lock().await;
        if held.1.elapsed() > MAX_AGE {
            *held = (log_in(key, &self.options).await?, Instant::now());
        }
        Ok(Arc::clone(&held.0))
    }

    /// The JSON of a good answer.
    pub(super) async fn ask(
        &self,
        key: &impl fmt::Display,
        what: &'static str,
        (permission, role): (&'static str, &'static str),
        url: &Url,
        body: Option<&Value>,
    ) -> Result<(Answer, Value), Error> {
        let identity = self.identity(key).await?;
        let text = body.map(ToString::to_string);
        let build = |request: reqwest::RequestBuilder| {
            let request = request.bearer_auth(identity.token.as_str());
            match &text {
                Some(text) => request
                    .header("content-type", "application/json")
                    .body(text.clone()),
                None => request,
            }
        };
        let answer = match body {
            Some(_) => self.service.post(url, build).await?,
            None => self.service.get(url, build).await?,
        };
        if answer.status != 200 {
            let who = format!("{} (credentials from {})", identity.who, identity.origin);
            let attempt = Attempt {
                key: &key.to_string(),
                what,
                permission,
                role,
                who: &who,
            };
            return Err(explain(&answer, &attempt));
        }
        let json = answer.json()?;
        Ok((answer, json))
    }

    pub(super) fn at(&self, resource: &str) -> Url {
        self.service.at(&format!("v1/{resource}"))
    }

    /// The newest version that is enabled.
    async fn newest(&self, reference: &Reference) -> Result<u64, Error> {
        const WHAT: &str = "cannot be read";
        let mut newest = None;
        let mut states = Vec::new();
        let mut page = String::new();
        for _ in 0..MAX_PAGES {
            let mut url = self.at(&format!("{}/cryptoKeyVersions", reference.key));
            url.query_pairs_mut().append_pair("pageSize", "1000");
            if !page.is_empty() {
                url.query_pairs_mut().append_pair("pageToken", &page);
            }
            let (_, json) = self.ask(reference, WHAT, LIST, &url, None).await?;
            let versions = json.get("cryptoKeyVersions").and_then(Value::as_array);
            for version in versions.into_iter().flatten() {
                let text = |name: &str| {
                    version
                        .get(name)
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                };
                let number: Option<u64> = text("name")
                    .rsplit('/')
                    .next()
                    .and_then(|id| id.parse().ok());
                let Some(number) = number else { continue };
                match text("state") {
                    "ENABLED" => newest = newest.max(Some(number)),
                    state => states.push(format!("{number} is {}", sealmark_http::sanitise(state))),
                }
            }
            page = json
                .get("nextPageToken")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            if page.is_empty() {
                break;
            }
        }
        states.truncate(10);
        newest.ok_or_else(|| {
            let there = match states.is_empty() {
                true => "it has none".to_owned(),
                false => states.join(", "),
            };
            failed(
                reference,
                WHAT,
                format!("no version of it is enabled ({there})"),
            )
        })
    }
}

async fn log_in(key: &impl fmt::Display, options: &Options) -> Result<Arc<Identity>, Error> {
    let identity = identity(options)
        .await
        .map_err(|failure| failure.of(&key.to_string()))?;
    options.tell(format_args!(
        "Google credentials from {}: {}; the token expires {}",
        identity.origin, identity.who, identity.expires
    ));
    Ok(Arc::new(identity))
}

/// Finds the key, and the version of it.
pub(crate) async fn open(reference: &Reference, options: &Options) -> Result<RemoteKey, Error> {
    let client = Client::new(reference, options).await?;
    let version = match reference.version {
        Some(version) => version,
        None => client.newest(reference).await?,
    };
    found(client, reference, version, options).await
}

async fn found(
    client: Client,
    reference: &Reference,
    version: u64,
    options: &Options,
) -> Result<RemoteKey, Error> {
    let resource = reference.version_name(version);
    let name = Reference {
        version: Some(version),
        ..reference.clone()
    }
    .to_string();
    let url = client.at(&format!("{resource}/publicKey"));
    let (answer, json) = client
        .ask(&name, "cannot be read", READ, &url, None)
        .await?;
    let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("name") != resource {
        return Err(answer.malformed("it is about another key").into());
    }
    guarded(&answer, &json, "pemCrc32c", text("pem").as_bytes())?;
    let scheme =
        scheme(text("algorithm")).map_err(|reason| failed(&name, "cannot be used", reason))?;
    let public = PublicKey::from_pem(text("pem").as_bytes()).map_err(|cause| Error::Key {
        key: name.clone(),
        cause,
    })?;
    if !scheme.fits(public.key_type()) {
        return Err(answer
            .malformed("its public key is not of the algorithm that it names")
            .into());
    }
    options.tell(format_args!(
        "key {name}: {}, protection {}",
        scheme.describe(public.key_type()),
        sealmark_http::sanitise(text("protectionLevel"))
    ));
    Ok(RemoteKey {
        name: name.clone(),
        public,
        scheme,
        service: Arc::new(KeyVersion {
            client,
            name,
            resource,
        }),
    })
}

/// Whether the bytes are those that were sent.
pub(super) fn guarded(
    answer: &Answer,
    json: &Value,
    name: &str,
    bytes: &[u8],
) -> Result<(), Error> {
    // JSON of Google's has 64 bits as a text.
    let sum = match json.get(name) {
        Some(Value::String(text)) => text.parse().ok(),
        Some(Value::Number(number)) => number.as_u64(),
        _ => None,
    };
    match sum == Some(u64::from(crc32c(bytes))) {
        true => Ok(()),
        false => Err(answer
            .malformed(format!(
                "what came does not match its {name}: it was damaged on the way"
            ))
            .into()),
    }
}

/// What a version signs like; the key's algorithm says it all.
fn scheme(algorithm: &str) -> Result<Scheme, String> {
    Ok(match algorithm {
        "EC_SIGN_P256_SHA256" => Scheme::EcdsaSha256,
        "EC_SIGN_P384_SHA384" => Scheme::EcdsaSha384,
        "EC_SIGN_ED25519" => Scheme::Ed25519,
        "RSA_SIGN_PKCS1_2048_SHA256"
        | "RSA_SIGN_PKCS1_3072_SHA256"
        | "RSA_SIGN_PKCS1_4096_SHA256" => Scheme::RsaPkcs1Sha256,
        "RSA_SIGN_PKCS1_4096_SHA512" => Scheme::RsaPkcs1Sha512,
        "RSA_SIGN_PSS_2048_SHA256" | "RSA_SIGN_PSS_3072_SHA256" | "RSA_SIGN_PSS_4096_SHA256" => {
            Scheme::RsaPssSha256
        }
        "RSA_SIGN_PSS_4096_SHA512" => Scheme::RsaPssSha512,
        other => {
            return Err(format!(
                "its algorithm {} is none that Sigstore's formats have, or does not sign",
                sealmark_http::sanitise(other)
            ));
        }
    })
}

/// Makes a key.
pub(crate) async fn create(
    reference: &Reference,
    algorithm: Algorithm,
    options: &Options,
) -> Result<RemoteKey, Error> {
    const WHAT: &str = "cannot be made";
    let name = match algorithm {
        Algorithm::EcdsaP256 => "EC_SIGN_P256_SHA256",
        Algorithm::EcdsaP384 => "EC_SIGN_P384_SHA384",
        Algorithm::Ed25519 => "EC_SIGN_ED25519",
        Algorithm::Rsa2048 => "RSA_SIGN_PKCS1_2048_SHA256",
        Algorithm::Rsa3072 => "RSA_SIGN_PKCS1_3072_SHA256",
        Algorithm::Rsa4096 => "RSA_SIGN_PKCS1_4096_SHA256",
        Algorithm::EcdsaP521 => {
            return Err(failed(reference, WHAT, "Google Cloud KMS has no P-521"));
        }
    };
    if reference.version.is_some() {
        return Err(failed(
            reference,
            WHAT,
            "a new key has version 1: leave the version out",
        ));
    }
    let client = Client::new(reference, options).await?;
    let (ring, id) = reference
        .key
        .rsplit_once("/cryptoKeys/")
        .unwrap_or_default();
    let mut url = client.at(&format!("{ring}/cryptoKeys"));
    url.query_pairs_mut().append_pair("cryptoKeyId", id);
    let body = json!({ "purpose": "ASYMMETRIC_SIGN", "versionTemplate": { "algorithm": name } });
    client.ask(reference, WHAT, MAKE, &url, Some(&body)).await?;
    // It is made behind the answer; an RSA key takes some seconds.
    let start = Instant::now();
    loop {
        match client.newest(reference).await {
            Ok(version) => return found(client, reference, version, options).await,
            Err(error) if start.elapsed() > options.timeout => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

impl KeyService for KeyVersion {
    fn sign<'a>(&'a self, _: Scheme, input: Input<'a>) -> Pending<'a, Vec<u8>> {
        const WHAT: &str = "cannot sign";
        Box::pin(async move {
            let (bytes, field, sum, verified) = match input {
                Input::Digest(digest) => (
                    digest.bytes(),
                    "digest",
                    "digestCrc32c",
                    "verifiedDigestCrc32c",
                ),
                Input::Message(data) => (data, "data", "dataCrc32c", "verifiedDataCrc32c"),
            };
            if field == "data" && bytes.len() > MAX_DATA {
                let reason = format!(
                    "Google Cloud KMS signs at most {} KiB with an Ed25519 key; use an ECDSA or RSA key, which signs a digest",
                    MAX_DATA >> 10
                );
                return Err(failed(&self.name, WHAT, reason));
            }
            let encoded = STANDARD.encode(bytes);
            let value = match input {
                Input::Digest(digest) => json!({ hash_name(digest.algorithm()): encoded }),
                Input::Message(_) => encoded.into(),
            };
            let body = json!({ field: value, sum: crc32c(bytes).to_string() });
            let url = self.client.at(&format!("{}:asymmetricSign", self.resource));
            let (answer, json) = self
                .client
                .ask(&self.name, WHAT, SIGN, &url, Some(&body))
                .await?;
            if json.get("name").and_then(Value::as_str) != Some(&self.resource) {
                return Err(answer.malformed("it is about another key").into());
            }
            if json.get(verified).and_then(Value::as_bool) != Some(true) {
                return Err(answer
                    .malformed("what was sent was damaged on the way")
                    .into());
            }
            let signature = json
                .get("signature")
                .and_then(Value::as_str)
                .and_then(base64);
            let signature = signature.ok_or_else(|| answer.malformed("it has no signature"))?;
            guarded(&answer, &json, "signatureCrc32c", &signature)?;
            Ok(signature)
        })
    }

    fn verify<'a>(&'a self, _: Scheme, _: Input<'a>, _: &'a [u8]) -> Pending<'a, bool> {
        let reason = "Google Cloud KMS does not verify signatures: they are verified here, with the public key";
        Box::pin(std::future::ready(Err(failed(
            &self.name,
            "cannot verify",
            reason,
        ))))
    }
}

fn hash_name(hash: HashAlgorithm) -> &'static str {
    match hash {
        HashAlgorithm::Sha256 => "sha256",
        HashAlgorithm::Sha384 => "sha384",
        HashAlgorithm::Sha512 => "sha512",
    }
}
