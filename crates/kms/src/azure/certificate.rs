//! A certificate as the proof of who an application is: an assertion signed with its key.
//! <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sealmark_formats::digest::sha1_for_legacy_use_only;
use sealmark_keys::{KeyType, PrivateKey};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// How long an assertion is good, in seconds.
const LIFE: i64 = 600;

/// The assertion of an application, made at `now` for the URL that gives tokens, with the certificate and the key in the
/// PEM file at `path`.
pub(super) fn assertion(
    path: &str,
    client: &str,
    audience: &str,
    now: i64,
) -> Result<Zeroizing<String>, String> {
    let file = super::login::read(path)?;
    if file.first() == Some(&0x30) {
        return Err(format!(
            "{path} is no PEM file; a PKCS#12 file is not supported: openssl pkcs12 -in {path} -nodes -out client.pem"
        ));
    }
    let text = String::from_utf8_lossy(&file);
    let der = block(&text, "CERTIFICATE")
        .and_then(|body| STANDARD.decode(body).ok())
        .ok_or_else(|| format!("{path} has no certificate (BEGIN CERTIFICATE)"))?;
    let pem = ["PRIVATE KEY", "RSA PRIVATE KEY"]
        .iter()
        .find_map(|label| {
            let start = text.find(&format!("-----BEGIN {label}-----"))?;
            let end = format!("-----END {label}-----");
            let length = text[start..].find(&end)? + end.len();
            Some(&text[start..start + length])
        })
        .ok_or_else(|| match text.contains("ENCRYPTED") {
            true => format!(
                "the key in {path} is encrypted, which is not supported; write it without a password: openssl pkey"
            ),
            false => format!("{path} has no private key (BEGIN PRIVATE KEY)"),
        })?;
    let no_password = || Err(sealmark_keys::Error::WrongPassword);
    let key = PrivateKey::from_pem::<sealmark_keys::Error>(pem.as_bytes(), no_password)
        .map_err(|error| format!("{path}: {error}"))?;
    if !matches!(key.key_type(), KeyType::Rsa { .. }) {
        return Err(format!(
            "the key in {path} is {}, and Entra takes RSA certificates only",
            key.key_type()
        ));
    }
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let thumbprint = URL_SAFE_NO_PAD.encode(sha1_for_legacy_use_only(&der));
    let header = json!({"alg": "RS256", "typ": "JWT", "x5t": thumbprint});
    let unique = sealmark_formats::Digest::sha256(
        format!("{:?} {}", std::time::SystemTime::now(), std::process::id()).as_bytes(),
    );
    let claims = json!({
        "aud": audience, "iss": client, "sub": client, "jti": unique.hex()[..32],
        "nbf": now, "iat": now, "exp": now + LIFE,
    });
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let signature = key.sign(signed.as_bytes()).map_err(|e| e.to_string())?;
    Ok(Zeroizing::new(format!(
        "{signed}.{}",
        URL_SAFE_NO_PAD.encode(signature)
    )))
}

/// The body of a PEM block, on one line.
fn block(text: &str, label: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    Some(body.split_whitespace().collect())
}
