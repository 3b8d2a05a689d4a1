//! Secrets that a symmetric key wraps:
//! [`encrypt` and `decrypt`](https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys),
//! with additional authenticated data.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::crc32c::crc32c;
use super::exchange::base64;
use super::key::{Client, failed, guarded};
use super::reference::Reference;
use crate::wrap::{Context, Made, UNWRAP, WRAP};
use crate::{Error, Options};

const ENCRYPT: (&str, &str) = (
    "cloudkms.cryptoKeyVersions.useToEncrypt",
    "roles/cloudkms.cryptoKeyEncrypterDecrypter",
);
const DECRYPT: (&str, &str) = (
    "cloudkms.cryptoKeyVersions.useToDecrypt",
    "roles/cloudkms.cryptoKeyDecrypter",
);
/// What a symmetric key does.
const ALGORITHM: &str = "GOOGLE_SYMMETRIC_ENCRYPTION";

/// Wraps, with the primary version of the key.
pub(crate) async fn wrap(
    reference: &Reference,
    secret: &[u8],
    context: Context<'_>,
    options: &Options,
) -> Result<Made, Error> {
    if reference.version.is_some() {
        let reason = "leave the version out: the key's primary version wraps, and Google finds the one that unwraps";
        return Err(failed(reference, WRAP, reason));
    }
    let client = Client::new(reference, options).await?;
    let bound = context.bytes();
    let body = json!({
        "plaintext": *Zeroizing::new(STANDARD.encode(secret)),
        "plaintextCrc32c": crc32c(secret).to_string(),
        "additionalAuthenticatedData": STANDARD.encode(&bound),
        "additionalAuthenticatedDataCrc32c": crc32c(&bound).to_string(),
    });
    let url = client.at(&format!("{}:encrypt", reference.key));
    let (answer, json) = client
        .ask(reference, WRAP, ENCRYPT, &url, Some(&body))
        .await?;
    let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
    // It names the version.
    let of_version = text("name").strip_prefix(reference.key.as_str());
    if !of_version.is_some_and(|rest| rest.starts_with("/cryptoKeyVersions/")) {
        return Err(answer.malformed("it is about another key").into());
    }
    for verified in [
        "verifiedPlaintextCrc32c",
        "verifiedAdditionalAuthenticatedDataCrc32c",
    ] {
        if json.get(verified).and_then(Value::as_bool) != Some(true) {
            return Err(answer
                .malformed("what was sent was damaged on the way")
                .into());
        }
    }
    let ciphertext = base64(text("ciphertext"));
    let ciphertext = ciphertext.ok_or_else(|| answer.malformed("it has no ciphertext"))?;
    guarded(&answer, &json, "ciphertextCrc32c", &ciphertext)?;
    options.tell(format_args!("key {reference} wraps the password"));
    Ok(Made {
        key: reference.to_string(),
        algorithm: ALGORITHM.to_owned(),
        ciphertext: STANDARD.encode(ciphertext),
    })
}

/// Unwraps.
pub(crate) async fn unwrap(
    reference: &Reference,
    ciphertext: &str,
    context: Context<'_>,
    options: &Options,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let Some(bytes) = base64(ciphertext) else {
        return Err(failed(reference, UNWRAP, "the ciphertext is not base64"));
    };
    let client = Client::new(reference, options).await?;
    let bound = context.bytes();
    let body = json!({
        "ciphertext": ciphertext,
        "ciphertextCrc32c": crc32c(&bytes).to_string(),
        "additionalAuthenticatedData": STANDARD.encode(&bound),
        "additionalAuthenticatedDataCrc32c": crc32c(&bound).to_string(),
    });
    let url = client.at(&format!("{}:decrypt", reference.key));
    let (answer, mut json) = client
        .ask(reference, UNWRAP, DECRYPT, &url, Some(&body))
        .await?;
    let text = match json.get_mut("plaintext").map(Value::take) {
        Some(Value::String(text)) => Zeroizing::new(text),
        _ => return Err(answer.malformed("it has no plaintext").into()),
    };
    let secret = base64(&text).map(Zeroizing::new);
    let secret = secret.ok_or_else(|| answer.malformed("its plaintext is not base64"))?;
    guarded(&answer, &json, "plaintextCrc32c", &secret)?;
    options.tell(format_args!("key {reference} has unwrapped the password"));
    Ok(secret)
}
