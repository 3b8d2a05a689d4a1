//! Secrets that a symmetric key wraps: [`Encrypt`](https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html)
//! and [`Decrypt`](https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html), with an encryption context.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::calls::Client;
use super::{Error, Key};
use crate::Options;
use crate::wrap::{Context, Made};

/// What symmetric keys do.
const ALGORITHM: &str = "SYMMETRIC_DEFAULT";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypted {
    ciphertext_blob: String,
    key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypted {
    plaintext: Zeroizing<String>,
    key_id: String,
}

/// It stands in CloudTrail, and conditions of policies can ask for it (`kms:EncryptionContext:sealmark-instance`).
fn encryption_context(context: Context<'_>) -> Value {
    json!({ "sealmark": Context::PURPOSE, "sealmark-instance": context.instance })
}

/// Wraps.
pub(crate) async fn wrap(
    key: &Key,
    secret: &[u8],
    context: Context<'_>,
    options: &Options,
) -> Result<Made, Error> {
    options.tell(format!("key {key}"));
    let client = Client::new(key, options).await?;
    let request = json!({
        "KeyId": key.id.to_string(),
        "Plaintext": *Zeroizing::new(STANDARD.encode(secret)),
        "EncryptionContext": encryption_context(context),
        "EncryptionAlgorithm": ALGORITHM,
    });
    let made: Encrypted = client.call("Encrypt", request).await?;
    // The answer names the key itself, also if an alias was asked for, which may lead elsewhere tomorrow.
    let pinned = Key::parse(&made.key_id).map_err(|reason| Error::Answer {
        action: "kms:Encrypt".to_owned(),
        host: client.host(),
        reason,
    })?;
    let pinned = Key {
        endpoint: key.endpoint.clone(),
        ..pinned
    };
    options.tell(format!("AWS key {pinned} wraps the password"));
    Ok(Made {
        key: pinned.to_string(),
        algorithm: ALGORITHM.to_owned(),
        ciphertext: made.ciphertext_blob,
    })
}

/// Unwraps.
pub(crate) async fn unwrap(
    key: &Key,
    ciphertext: &str,
    context: Context<'_>,
    options: &Options,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let client = Client::new(key, options).await?;
    let id = key.id.to_string();
    let request = json!({
        "KeyId": id,
        "CiphertextBlob": ciphertext,
        "EncryptionContext": encryption_context(context),
        "EncryptionAlgorithm": ALGORITHM,
    });
    let opened: Decrypted = client.call("Decrypt", request).await?;
    let answer = |reason: &str| Error::Answer {
        action: "kms:Decrypt".to_owned(),
        host: client.host(),
        reason: reason.to_owned(),
    };
    if Key::parse(&opened.key_id)
        .ok()
        .map(|found| found.id.to_string())
        != Some(id)
    {
        return Err(answer("it is about another key"));
    }
    options.tell(format!("AWS key {key} has unwrapped the password"));
    let secret = STANDARD.decode(opened.plaintext.as_bytes());
    secret
        .map(Zeroizing::new)
        .map_err(|_| answer("the plaintext is not base64"))
}
