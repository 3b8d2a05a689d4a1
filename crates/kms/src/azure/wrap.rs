//! Secrets that an RSA key wraps: [`wrapkey`](https://learn.microsoft.com/rest/api/keyvault/keys/wrap-key/wrap-key) and
//! `unwrapkey` with RSA-OAEP-256, which binds no data of its own: the digest of what the secret is for goes in with it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::KeyType;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::environment::Environment;
use super::error::Error;
use super::key::Bundle;
use super::reference::Key;
use super::refusal::{READ, UNWRAP, WRAP};
use super::vault::{Vault, now};
use crate::Options;
use crate::wrap::{Context, Made};

const ALGORITHM: &str = "RSA-OAEP-256";

#[derive(Deserialize)]
struct Operated {
    value: Zeroizing<String>,
}

fn bound(context: Context<'_>) -> Digest {
    Digest::of(HashAlgorithm::Sha256, &context.bytes())
}

fn unusable(key: &Key, reason: String) -> Error {
    Error::Unusable {
        key: key.to_string(),
        reason,
    }
}

/// Wraps. The newest version, if the reference names none, is resolved here, once, as only it can unwrap.
pub(crate) async fn wrap(
    key: &Key,
    secret: &[u8],
    context: Context<'_>,
    options: &Options,
) -> Result<Made, Error> {
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
    let KeyType::Rsa { .. } = found.public.key_type() else {
        let reason = format!(
            "it is a {} key, and a password is wrapped by an RSA key: az keyvault key create --kty RSA --ops wrapKey \
             unwrapKey --vault-name {} --name NAME",
            found.public.key_type(),
            key.vault()
        );
        return Err(unusable(key, reason));
    };
    let key = key.clone().at(&found.version);
    let plain = Zeroizing::new([secret, bound(context).bytes()].concat());
    let body = json!({
        "alg": ALGORITHM,
        "value": *Zeroizing::new(URL_SAFE_NO_PAD.encode(&*plain)),
    });
    let path = format!("/{}/wrapkey", found.version);
    let answer = vault.call(WRAP, &path, Some(&body)).await?;
    let Operated { value } = answer.json()?;
    options.tell(format!("Azure key {key} wraps the password"));
    Ok(Made {
        key: key.to_string(),
        algorithm: ALGORITHM.to_owned(),
        ciphertext: value.trim_end_matches('=').to_owned(),
    })
}

/// Unwraps.
pub(crate) async fn unwrap(
    key: &Key,
    ciphertext: &str,
    context: Context<'_>,
    options: &Options,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let Some(version) = &key.version else {
        let reason = "the version that wrapped the password is not named";
        return Err(unusable(key, reason.to_owned()));
    };
    let vault = Vault::new(key, Environment::of_process(), options)?;
    let body = json!({ "alg": ALGORITHM, "value": ciphertext });
    let path = format!("/{version}/unwrapkey");
    let answer = vault.call(UNWRAP, &path, Some(&body)).await?;
    let Operated { value } = answer.json()?;
    let plain = URL_SAFE_NO_PAD
        .decode(value.trim_end_matches('='))
        .map(Zeroizing::new)
        .map_err(|_| answer.malformed("the secret is not base64url"))?;
    options.tell(format!("Azure key {key} has unwrapped the password"));
    match plain.strip_suffix(bound(context).bytes()) {
        Some(secret) => Ok(Zeroizing::new(secret.to_vec())),
        None => {
            let reason = "what it unwraps was wrapped for another instance, or for something else";
            Err(unusable(key, reason.to_owned()))
        }
    }
}
