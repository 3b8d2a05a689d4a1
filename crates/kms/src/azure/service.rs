//! Keys in a vault, as any other key that stays where it is: found, made, used.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealmark_keys::{Algorithm, Curve, KeyType, Scheme};
use serde::Deserialize;
use serde_json::json;

use super::environment::Environment;
use super::error::Error;
use super::key::{Bundle, Found, padded, scalar_length, two_numbers};
use super::reference::Key;
use super::refusal::{CREATE, READ, SIGN, VERIFY};
use super::vault::{Vault, now};
use crate::{Input, KeyService, Options, Pending, RemoteKey, encode};

/// Finds a key. The newest version, if the reference names none, is resolved here, once.
///
/// # Errors
/// Why it cannot be had.
pub async fn open(key: &Key, options: &Options) -> Result<RemoteKey, Error> {
    let vault = Vault::new(key, Environment::of_process(), options)?;
    let path = key
        .version
        .as_ref()
        .map_or_else(|| "/".to_owned(), |version| format!("/{version}"));
    let answer = vault.call(READ, &path, None).await?;
    let found = answer
        .json::<Bundle>()?
        .read(key, now())
        .map_err(|reason| unusable(key, reason))?;
    Ok(remote(vault, key, found, options))
}

/// Makes a key that signs. One that is there already stays as it is.
///
/// # Errors
/// If there is one, or why it cannot be made.
pub async fn create(
    key: &Key,
    algorithm: Algorithm,
    options: &Options,
) -> Result<RemoteKey, Error> {
    if key.version.is_some() {
        let reason = "the vault chooses the version of a new key; leave it out";
        return Err(unusable(key, reason.into()));
    }
    let (kty, members) = match algorithm.key_type() {
        KeyType::Ecdsa(curve) => ("EC", json!({"crv": jose_curve(curve)})),
        KeyType::Rsa { bits } => ("RSA", json!({"key_size": bits})),
        KeyType::Ed25519 => {
            let reason = "Key Vault makes no Ed25519 keys; take ecdsa-p256, ecdsa-p384, ecdsa-p521 or rsa-2048 to rsa-4096";
            return Err(unusable(key, reason.into()));
        }
    };
    let vault = Vault::new(key, Environment::of_process(), options)?;
    match vault.call(READ, "/", None).await {
        Ok(_) => {
            let reason = format!(
                "there is a key of this name already, and a new version of it would sign where the old one was meant; take \
                 another name, or make the version with `az keyvault key rotate --vault-name {} --name {}`",
                key.vault(),
                key.name
            );
            return Err(unusable(key, reason));
        }
        // Only whoever may read keys is told that there is none; who may only create gets a new key, or a refusal.
        Err(Error::Refused { .. }) => {}
        Err(other) => return Err(other),
    }
    let mut body = members;
    let hsm = if key.is_hsm() { "-HSM" } else { "" };
    body["kty"] = format!("{kty}{hsm}").into();
    body["key_ops"] = json!(["sign", "verify"]);
    let answer = vault.call(CREATE, "/create", Some(&body)).await?;
    let found = answer
        .json::<Bundle>()?
        .read(key, now())
        .map_err(|reason| unusable(key, reason))?;
    Ok(remote(vault, key, found, options))
}

fn unusable(key: &Key, reason: String) -> Error {
    Error::Unusable {
        key: key.to_string(),
        reason,
    }
}

fn remote(vault: Vault, key: &Key, found: Found, options: &Options) -> RemoteKey {
    let chosen = match key.version {
        Some(_) => "as the reference says",
        None => "the newest",
    };
    let key = key.clone().at(&found.version);
    options.tell(format!(
        "Azure key {key} (version {}, {chosen}): {}",
        found.version,
        found.scheme.describe(found.public.key_type())
    ));
    RemoteKey {
        name: key.to_string(),
        public: found.public.clone(),
        scheme: found.scheme,
        service: Arc::new(Service { vault, key, found }),
    }
}

/// One version of a key.
#[derive(Debug)]
struct Service {
    vault: Vault,
    key: Key,
    found: Found,
}

impl KeyService for Service {
    fn sign<'a>(&'a self, scheme: Scheme, input: Input<'a>) -> Pending<'a, Vec<u8>> {
        Box::pin(async move { Ok(self.sign(scheme, input).await?) })
    }

    fn verify<'a>(
        &'a self,
        scheme: Scheme,
        input: Input<'a>,
        signature: &'a [u8],
    ) -> Pending<'a, bool> {
        Box::pin(async move { Ok(self.verify(scheme, input, signature).await?) })
    }
}

impl Service {
    async fn sign(&self, scheme: Scheme, input: Input<'_>) -> Result<Vec<u8>, Error> {
        #[derive(Deserialize)]
        struct Signed {
            value: String,
        }
        if let Some(reason) = &self.found.mute {
            return Err(unusable(&self.key, reason.clone()));
        }
        let (algorithm, digest) = self.algorithm(scheme, input)?;
        let body = json!({"alg": algorithm, "value": URL_SAFE_NO_PAD.encode(digest)});
        let answer = self
            .vault
            .call(SIGN, &self.path("sign"), Some(&body))
            .await?;
        let signed: Signed = answer.json()?;
        let raw = URL_SAFE_NO_PAD
            .decode(signed.value.trim_end_matches('='))
            .map_err(|_| answer.malformed("the signature is not base64url"))?;
        let KeyType::Ecdsa(curve) = self.found.public.key_type() else {
            return Ok(raw);
        };
        if raw.len() != 2 * scalar_length(curve) {
            let reason = format!("{} bytes are no signature of this key", raw.len());
            return Err(answer.malformed(reason).into());
        }
        encode::ecdsa_signature(&raw)
            .ok_or_else(|| answer.malformed("the signature is empty").into())
    }

    async fn verify(
        &self,
        scheme: Scheme,
        input: Input<'_>,
        signature: &[u8],
    ) -> Result<bool, Error> {
        #[derive(Deserialize)]
        struct Verdict {
            value: bool,
        }
        let (algorithm, digest) = self.algorithm(scheme, input)?;
        let signature = match self.found.public.key_type() {
            KeyType::Ecdsa(curve) => match two_numbers(signature, scalar_length(curve)) {
                Some(numbers) => numbers,
                // It is none, so nobody need be asked.
                None => return Ok(false),
            },
            KeyType::Rsa { bits } => match padded(signature, bits.div_ceil(8)) {
                Ok(signature) => signature,
                Err(_) => return Ok(false),
            },
            KeyType::Ed25519 => return Ok(false),
        };
        let body = json!({
            "alg": algorithm,
            "digest": URL_SAFE_NO_PAD.encode(digest),
            "value": URL_SAFE_NO_PAD.encode(signature),
        });
        let answer = self
            .vault
            .call(VERIFY, &self.path("verify"), Some(&body))
            .await?;
        Ok(answer.json::<Verdict>()?.value)
    }

    fn path(&self, operation: &str) -> String {
        format!("/{}/{operation}", self.found.version)
    }

    /// The algorithm by its name in JSON Web Algorithms, and the digest that it signs. With a curve goes one hash only.
    fn algorithm<'a>(
        &self,
        scheme: Scheme,
        input: Input<'a>,
    ) -> Result<(&'static str, &'a [u8]), Error> {
        let key_type = self.found.public.key_type();
        let name = match (key_type, scheme) {
            (KeyType::Ecdsa(Curve::P256), Scheme::EcdsaSha256) => "ES256",
            (KeyType::Ecdsa(Curve::P384), Scheme::EcdsaSha384) => "ES384",
            (KeyType::Ecdsa(Curve::P521), Scheme::EcdsaSha512) => "ES512",
            (KeyType::Rsa { .. }, Scheme::RsaPkcs1Sha256) => "RS256",
            (KeyType::Rsa { .. }, Scheme::RsaPkcs1Sha384) => "RS384",
            (KeyType::Rsa { .. }, Scheme::RsaPkcs1Sha512) => "RS512",
            (KeyType::Rsa { .. }, Scheme::RsaPssSha256) => "PS256",
            (KeyType::Rsa { .. }, Scheme::RsaPssSha384) => "PS384",
            (KeyType::Rsa { .. }, Scheme::RsaPssSha512) => "PS512",
            _ => {
                let reason = format!(
                    "Key Vault has no algorithm for {}; with this key goes {}",
                    scheme.describe(key_type),
                    self.found.scheme.describe(key_type)
                );
                return Err(unusable(&self.key, reason));
            }
        };
        match input {
            Input::Digest(digest) if Some(digest.algorithm()) == scheme.hash() => {
                Ok((name, digest.bytes()))
            }
            Input::Digest(digest) => Err(unusable(
                &self.key,
                format!(
                    "a {} digest cannot be signed with {}",
                    digest.algorithm(),
                    scheme.describe(key_type)
                ),
            )),
            Input::Message(_) => Err(unusable(
                &self.key,
                "the vault signs digests only".to_owned(),
            )),
        }
    }
}

fn jose_curve(curve: Curve) -> &'static str {
    match curve {
        Curve::P256 => "P-256",
        Curve::P384 => "P-384",
        Curve::P521 => "P-521",
    }
}
