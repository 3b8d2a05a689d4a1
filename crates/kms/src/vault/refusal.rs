//! What a refusal of the server means.

use sealmark_http::Answer;
use serde_json::Value;

use super::connection::Connection;
use super::reference::Reference;
use crate::Error;

/// What was asked for, and what it takes.
pub(super) struct Attempt<'a> {
    /// What failed, in words.
    pub(super) what: &'static str,
    /// The path below `/v1/`, as a policy names it.
    pub(super) path: &'a str,
    /// The capability that a policy must give.
    pub(super) capability: &'static str,
}

/// The error that an answer is.
pub(super) async fn explain(
    reference: &Reference,
    connection: &Connection,
    answer: &Answer,
    attempt: &Attempt<'_>,
) -> Error {
    let words = words(answer);
    let mount = &connection.mount;
    let reason = match answer.status {
        403 => denied(connection, attempt, &words).await,
        404 if words.contains("no handler for route") => format!(
            "there is no secrets engine at {mount:?}: enable one with bao secrets enable -path={mount} transit, or say \
             where it is: hashivault://ENGINE/KEY or TRANSIT_SECRET_ENGINE_PATH"
        ),
        404 => format!("the engine {mount:?} has no key {:?}{}", reference.key, said(&words)),
        400 if words.contains("signing key not found") => {
            format!("the engine {mount:?} has no key {:?}", reference.key)
        }
        503 if words.contains("sealed") => {
            "the server is sealed: somebody who has its unseal keys must unseal it (bao operator unseal)".to_owned()
        }
        301..=308 | 472 | 473 | 503 if answer.status != 503 || words.contains("standby") || words.contains("not active") => {
            let active = answer.headers.get("location").and_then(|url| url.to_str().ok());
            format!(
                "the server is a standby node, which serves nothing itself: give the address of the active one{}",
                active.map(|url| format!(" ({})", sealmark_http::sanitise(url))).unwrap_or_default()
            )
        }
        status => format!("the server answered {status}{}", said(&words)),
    };
    Error::Provider {
        key: reference.to_string(),
        what: attempt.what,
        reason,
    }
}

async fn denied(connection: &Connection, attempt: &Attempt<'_>, words: &str) -> String {
    let origin = &connection.origin;
    match connection.whose().await {
        Some(identity) => format!(
            "permission denied: a policy of the token must allow {:?} on {:?}; the token ({origin}) is that of {identity}",
            attempt.capability, attempt.path
        ),
        // A token may be forbidden to look at itself, but the default policy allows it.
        None => format!(
            "permission denied{}: the token ({origin}) has expired, was revoked, or is of another server or namespace; log \
             in again. If it is good, a policy of it must allow {:?} on {:?}",
            match words {
                "permission denied" | "" => String::new(),
                other => format!(" ({other})"),
            },
            attempt.capability,
            attempt.path
        ),
    }
}

fn said(words: &str) -> String {
    match words.is_empty() {
        true => String::new(),
        false => format!(": {words}"),
    }
}

/// The server's own words: `{"errors": ["…"]}`.
fn words(answer: &Answer) -> String {
    let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let errors = json
        .as_ref()
        .and_then(|json| json.get("errors")?.as_array());
    let texts: Vec<&str> = errors
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    sealmark_http::sanitise(&texts.join("; "))
}
