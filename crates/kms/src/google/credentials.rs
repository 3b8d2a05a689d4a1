//! Who asks: Google's application default credentials, in their order
//! ([as Google describes it](https://cloud.google.com/docs/authentication/application-default-credentials)).
//!
//! Invariant: an identity is named from what the credentials say of themselves; secrets are in no message.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use zeroize::Zeroizing;

/// The largest file with credentials or a token.
const MAX_FILE: u64 = 256 << 10;

/// Credentials, as a file has them; only what is used is read.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct File {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) client_email: String,
    pub(super) private_key: Zeroizing<String>,
    pub(super) private_key_id: String,
    pub(super) token_uri: String,
    pub(super) client_id: String,
    pub(super) client_secret: Zeroizing<String>,
    pub(super) refresh_token: Zeroizing<String>,
    pub(super) account: String,
    pub(super) audience: String,
    pub(super) subject_token_type: String,
    pub(super) token_url: String,
    pub(super) service_account_impersonation_url: String,
    pub(super) credential_source: Source,
    pub(super) source_credentials: Option<Box<Self>>,
    pub(super) delegates: Vec<String>,
}

/// Where the token of another identity provider is.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Source {
    pub(super) file: String,
    pub(super) url: String,
    pub(super) headers: std::collections::BTreeMap<String, String>,
    pub(super) format: Format,
    pub(super) environment_id: String,
    pub(super) executable: Option<serde_json::Value>,
}

/// What is at that place.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Format {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) subject_token_field_name: String,
}

/// What was found first.
pub(super) enum Found {
    /// A token, from this variable.
    Token(Zeroizing<String>, &'static str),
    /// A file with credentials.
    File(Box<File>, String),
    /// Nothing but, perhaps, the machine's own service account.
    Metadata,
}

pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Looks in Google's order.
pub(super) async fn find() -> Result<Found, String> {
    for name in ["GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN"] {
        if let Some(token) = variable(name) {
            return Ok(Found::Token(Zeroizing::new(token), name));
        }
    }
    if let Some(path) = variable("GOOGLE_APPLICATION_CREDENTIALS") {
        let file = parse(Path::new(&path)).await;
        let file = file.map_err(|reason| {
            format!("the credentials of GOOGLE_APPLICATION_CREDENTIALS ({path}) cannot be used: {reason}")
        })?;
        return Ok(Found::File(
            Box::new(file),
            format!("GOOGLE_APPLICATION_CREDENTIALS ({path})"),
        ));
    }
    let folder = variable("CLOUDSDK_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config/gcloud")));
    if let Some(path) = folder.map(|folder| folder.join("application_default_credentials.json"))
        && path.exists()
    {
        let file = parse(&path).await;
        let file = file.map_err(|reason| {
            format!(
                "the credentials in {} cannot be used: {reason}; make new ones with gcloud auth application-default login",
                path.display()
            )
        })?;
        return Ok(Found::File(Box::new(file), path.display().to_string()));
    }
    Ok(Found::Metadata)
}

async fn parse(path: &Path) -> Result<File, String> {
    let text = read(path).await?;
    // The parser's own words may quote a secret.
    serde_json::from_str(&text)
        .map_err(|error| format!("line {} is not the JSON of credentials", error.line()))
}

/// A small file.
pub(super) async fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    use tokio::io::AsyncReadExt;
    let file = tokio::fs::File::open(path)
        .await
        .map_err(|error| error.to_string())?;
    let mut text = Zeroizing::new(String::new());
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text).await;
    read.map_err(|error| error.to_string())?;
    match text.len() as u64 > MAX_FILE {
        true => Err("it is too large".to_owned()),
        false => Ok(text),
    }
}
