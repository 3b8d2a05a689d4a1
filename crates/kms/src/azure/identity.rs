//! Whose a token is, as its claims say. The token is not checked here: the vault does that.
//! <https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use zeroize::Zeroizing;

/// The Azure CLI as an application: in the story, the user looked for its id in vain.
const AZURE_CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
/// Seconds before its end at which a token is not used any more.
const MARGIN: i64 = 120;
/// How long a token is taken to live that does not say so: as short as any.
const DEFAULT_LIFE: i64 = 300;

/// A token to send.
pub(crate) struct Token {
    /// What is sent. It is never printed.
    pub(crate) secret: Zeroizing<String>,
    /// Whose it is.
    pub(crate) identity: Identity,
}

/// Whose a token is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Identity {
    /// Which source of credentials it came from.
    pub(crate) source: &'static str,
    /// The application that asked, by its client id.
    pub(crate) application: Option<String>,
    /// The object that has the permissions: a user, a service principal, a managed identity.
    pub(crate) object: Option<String>,
    /// A user's name.
    pub(crate) user: Option<String>,
    /// The tenant that issued it.
    pub(crate) tenant: Option<String>,
    /// When it expires, in seconds since 1970.
    pub(crate) expires: i64,
    /// What was looked for before, and why it was not used.
    pub(crate) passed_over: Vec<String>,
}

impl Token {
    /// A token from a source, read at `now`.
    pub(crate) fn new(source: &'static str, secret: String, now: i64) -> Self {
        let claims = claims(&secret).unwrap_or_default();
        let text = |names: &[&str]| {
            let found = names.iter().find_map(|name| claims.get(name)?.as_str());
            found.map(sealmark_http::sanitise)
        };
        let identity = Identity {
            source,
            application: text(&["appid", "azp"]),
            object: text(&["oid"]),
            user: text(&["upn", "unique_name", "preferred_username"]),
            tenant: text(&["tid"]),
            expires: claims
                .get("exp")
                .and_then(Value::as_i64)
                .unwrap_or_else(|| now.saturating_add(DEFAULT_LIFE)),
            passed_over: Vec::new(),
        };
        Self {
            secret: Zeroizing::new(secret),
            identity,
        }
    }

    /// Whether it can still be sent.
    pub(crate) fn is_fresh(&self, now: i64) -> bool {
        now.saturating_add(MARGIN) < self.identity.expires
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.identity)
    }
}

fn claims(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok()
}

impl Identity {
    /// When it expires, for people.
    pub(crate) fn expiry(&self) -> String {
        jiff::Timestamp::from_second(self.expires)
            .map_or_else(|_| "never".to_owned(), |time| time.to_string())
    }
}

impl Identity {
    /// `user alice@example.com (object …, tenant …)`.
    pub(crate) fn subject(&self) -> String {
        let name = match (&self.user, &self.application) {
            (Some(user), _) => format!("user {user}"),
            (None, Some(application)) => format!("application {application}"),
            (None, None) => "an identity that its token does not name".to_owned(),
        };
        let parts: Vec<String> = [("object", &self.object), ("tenant", &self.tenant)]
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name} {}", value.as_deref()?)))
            .collect();
        match parts.is_empty() {
            true => name,
            false => format!("{name} ({})", parts.join(", ")),
        }
    }
}

/// With the source: `user alice@example.com (object …, tenant …), from the Azure CLI (az), whose own application id is …`.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, from {}", self.subject(), self.source)?;
        match (&self.user, self.application.as_deref()) {
            (Some(_), Some(AZURE_CLI)) => write!(f, ", whose own application id is {AZURE_CLI}"),
            (Some(_), Some(other)) => write!(f, ", through application {other}"),
            _ => Ok(()),
        }
    }
}
