//! Secrets that a key of a transit engine wraps:
//! [`encrypt` and `decrypt`](https://openbao.org/api-docs/secret/transit/#encrypt-data), with associated data.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sealmark_http::Answer;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::connection::Connection;
use super::key::{Data, connect};
use super::reference::Reference;
use super::refusal::{Attempt, explain};
use crate::wrap::{Context, Made, UNWRAP, WRAP};
use crate::{Error, Options};

/// The kinds of key that encrypt with associated data; the last one is OpenBao's alone.
const KINDS: [&str; 4] = [
    "aes256-gcm96",
    "aes128-gcm96",
    "chacha20-poly1305",
    "xchacha20-poly1305",
];

#[derive(Deserialize)]
struct Described {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    derived: bool,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: String,
}

fn failed(reference: &Reference, what: &'static str, reason: String) -> Error {
    Error::Provider {
        key: reference.to_string(),
        what,
        reason,
    }
}

/// Wraps.
pub(crate) async fn wrap(
    reference: &Reference,
    secret: &[u8],
    context: Context<'_>,
    options: &Options,
) -> Result<Made, Error> {
    if reference.version.is_some() {
        let reason =
            "leave the version out: the newest wraps, and the server finds the one that unwraps";
        return Err(failed(reference, WRAP, reason.to_owned()));
    }
    let connection = connect(reference, options).await?;
    let kind = kind(reference, &connection).await?;
    let body = json!({
        "plaintext": *Zeroizing::new(BASE64.encode(secret)),
        "associated_data": BASE64.encode(context.bytes()),
    });
    let answer = ask(reference, &connection, "encrypt", WRAP, &body).await?;
    let Data { data } = answer.json::<Data<Encrypted>>()?;
    let pinned = Reference {
        mount: Some(connection.mount.clone()),
        ..reference.clone()
    };
    options.tell(format_args!("key {pinned} wraps the password"));
    Ok(Made {
        key: pinned.to_string(),
        algorithm: kind.unwrap_or_else(|| "transit".to_owned()),
        ciphertext: data.ciphertext,
    })
}

/// The kind of the key, if the token may read it. The engine makes a key that it is asked to encrypt with and has not, if
/// the token may: one that was misspelt shall not come into being.
async fn kind(reference: &Reference, connection: &Connection) -> Result<Option<String>, Error> {
    let path = format!("{}/keys/{}", connection.mount, reference.key);
    let answer = connection.get(&path).await?;
    match answer.status {
        200 => {}
        403 => return Ok(None),
        _ => {
            let attempt = Attempt {
                what: WRAP,
                path: &path,
                capability: "read",
            };
            return Err(explain(reference, connection, &answer, &attempt).await);
        }
    }
    let Data { data } = answer.json::<Data<Described>>()?;
    if data.derived {
        let reason = "it is a derived key, which is not supported".to_owned();
        return Err(failed(reference, WRAP, reason));
    }
    if !KINDS.contains(&data.kind.as_str()) {
        return Err(failed(
            reference,
            WRAP,
            format!(
                "it is of the type {}, and those that wrap are {}: make one with bao write -f {path}-wrap type=aes256-gcm96",
                sealmark_http::sanitise(&data.kind),
                KINDS.join(", "),
            ),
        ));
    }
    Ok(Some(data.kind))
}

/// Unwraps.
pub(crate) async fn unwrap(
    reference: &Reference,
    ciphertext: &str,
    context: Context<'_>,
    options: &Options,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let connection = connect(reference, options).await?;
    let body = json!({
        "ciphertext": ciphertext,
        "associated_data": BASE64.encode(context.bytes()),
    });
    let answer = ask(reference, &connection, "decrypt", UNWRAP, &body).await?;
    let Data { mut data } = answer.json::<Data<Value>>()?;
    let text = match data.get_mut("plaintext").map(Value::take) {
        Some(Value::String(text)) => Zeroizing::new(text),
        _ => return Err(answer.malformed("it has no plaintext").into()),
    };
    options.tell(format_args!("key {reference} has unwrapped the password"));
    BASE64
        .decode(text.as_bytes())
        .map(Zeroizing::new)
        .map_err(|_| answer.malformed("its plaintext is not base64").into())
}

/// `encrypt` or `decrypt`.
async fn ask(
    reference: &Reference,
    connection: &Connection,
    verb: &str,
    what: &'static str,
    body: &Value,
) -> Result<Answer, Error> {
    let path = format!("{}/{verb}/{}", connection.mount, reference.key);
    let answer = connection.post(&path, body).await?;
    if answer.status == 200 {
        return Ok(answer);
    }
    let attempt = Attempt {
        what,
        path: &path,
        capability: "update",
    };
    Err(explain(reference, connection, &answer, &attempt).await)
}
