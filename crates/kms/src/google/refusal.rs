//! What a refusal of Google's means.

use sealmark_http::Answer;
use serde_json::Value;

use crate::Error;

/// What was asked for, and what it takes.
pub(super) struct Attempt<'a> {
    /// The reference, for people.
    pub(super) key: &'a str,
    /// What failed, in words.
    pub(super) what: &'static str,
    /// The IAM permission.
    pub(super) permission: &'static str,
    /// A role that has it and little else.
    pub(super) role: &'static str,
    /// Whose token was sent, and where it came from.
    pub(super) who: &'a str,
}

/// The error that an answer is.
pub(super) fn explain(answer: &Answer, attempt: &Attempt<'_>) -> Error {
    let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let error = json.as_ref().and_then(|json| json.get("error"));
    let text = |name: &str| {
        error
            .and_then(|error| error.get(name)?.as_str())
            .unwrap_or_default()
    };
    let (status, message) = (text("status"), sealmark_http::sanitise(text("message")));
    let said = match message.is_empty() {
        true => String::new(),
        false => format!(": {message}"),
    };
    let Attempt {
        permission,
        role,
        who,
        ..
    } = attempt;
    let disabled = json_mentions(error, "SERVICE_DISABLED");
    let reason = match (answer.status, status) {
        (403, _) if disabled => format!("the project has not enabled the Cloud KMS API{said}"),
        (403, _) => format!(
            "permission denied: {who} lacks {permission} there (the role {role} has it){said}"
        ),
        (401, _) => format!("Google does not accept the token of {who}: log in again{said}"),
        (404, _) => format!("there is no such key or version, or {who} may not know of it{said}"),
        (400, "FAILED_PRECONDITION")
            if message.contains("not enabled") || message.contains("DISABLED") =>
        {
            format!("the version is disabled: enable it, or use another{said}")
        }
        (400, "FAILED_PRECONDITION") if message.contains("DESTROY") => {
            format!("the version is destroyed, or about to be: use another{said}")
        }
        (409, _) => format!("it is there already: nothing was made{said}"),
        (429, _) => format!("the project's quota is used up for now{said}"),
        (code, _) => format!("Google answered {code}{said}"),
    };
    Error::Provider {
        key: attempt.key.to_owned(),
        what: attempt.what,
        reason,
    }
}

fn json_mentions(error: Option<&Value>, reason: &str) -> bool {
    let details = error.and_then(|error| error.get("details")?.as_array());
    let mut details = details.into_iter().flatten();
    details.any(|detail| detail.get("reason").and_then(Value::as_str) == Some(reason))
}
