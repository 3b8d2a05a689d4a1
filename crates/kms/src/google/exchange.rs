//! Access tokens for credentials.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sealmark_http::{Answer, Service, is_loopback};
use sealmark_keys::PrivateKey;
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::credentials::{File, Found, find, read, variable};
use crate::{Error, Options};

const SCOPE: &str = "https://www.googleapis.com/auth/cloudkms";
/// The token for an impersonation must reach the IAM credentials service.
const WIDE_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
const STS: &str = "https://sts.googleapis.com/v1/token";
/// How long an assertion is valid, in seconds; the longest that Google takes.
const ASSERTION: u64 = 3600;
/// Impersonations one after the other.
const MAX_SOURCES: usize = 4;

/// A token, and whose it is.
pub(super) struct Identity {
    pub(super) token: Zeroizing<String>,
    /// `service account ci@…`, for people.
    pub(super) who: String,
    /// Where the credentials came from.
    pub(super) origin: String,
    /// When the token expires, if that is known, in words.
    pub(super) expires: String,
}

/// Gets a token; failures are reasons, or errors of the service that was asked.
pub(super) async fn identity(options: &Options) -> Result<Identity, Failure> {
    match find().await.map_err(Failure::Reason)? {
        Found::Token(token, name) => Ok(Identity {
            token,
            who: "whoever the token was made for".to_owned(),
            origin: name.to_owned(),
            expires: "unknown".to_owned(),
        }),
        Found::File(file, origin) => {
            let (token, who, expires) = of_file(&file, options).await?;
            Ok(Identity {
                token,
                who,
                origin,
                expires,
            })
        }
        Found::Metadata => metadata(options).await,
    }
}

/// Why there is no token.
pub(super) enum Failure {
    Reason(String),
    Service(sealmark_http::Error),
}

impl From<sealmark_http::Error> for Failure {
    fn from(error: sealmark_http::Error) -> Self {
        Self::Service(error)
    }
}

impl Failure {
    pub(super) fn of(self, key: &str) -> Error {
        match self {
            Self::Reason(reason) => Error::Provider {
                key: key.to_owned(),
                what: "cannot be used",
                reason,
            },
            Self::Service(error) => Error::Service(error),
        }
    }
}

fn reason<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Reason(text.into()))
}

type Token = (Zeroizing<String>, String, String);

async fn of_file(file: &File, options: &Options) -> Result<Token, Failure> {
    let mut impersonations = Vec::new();
    let mut source = file;
    while source.kind == "impersonated_service_account" {
        impersonations.push(source);
        let Some(next) = source.source_credentials.as_deref() else {
            return reason("the credentials name an account to impersonate, but not who does");
        };
        if impersonations.len() > MAX_SOURCES {
            return reason(format!(
                "the credentials impersonate more than {MAX_SOURCES} accounts one after the other"
            ));
        }
        source = next;
    }
    let external =
        source.kind == "external_account" && !source.service_account_impersonation_url.is_empty();
    let scope = match impersonations.is_empty() && !external {
        true => SCOPE,
        false => WIDE_SCOPE,
    };
    let mut token = match source.kind.as_str() {
        "service_account" => service_account(source, scope, options).await?,
        "authorized_user" => authorised_user(source, options).await?,
        "external_account" => external_account(source, scope, options).await?,
        "gdch_service_account" | "external_account_authorized_user" | "" => {
            return reason(format!(
                "credentials of the type {:?} are not supported",
                source.kind
            ));
        }
        other => {
            return reason(format!(
                "credentials of the type {:?} are not known",
                sealmark_http::sanitise(other)
            ));
        }
    };
    if external {
        token = impersonate(source, token, options).await?;
    }
    for file in impersonations.into_iter().rev() {
        token = impersonate(file, token, options).await?;
    }
    Ok(token)
}

/// A service that the credentials name; a token or an assertion goes there.
fn service(url: &str, options: &Options) -> Result<(Service, Url), Failure> {
    let parsed = Url::parse(url).ok();
    let safe = parsed.as_ref().is_some_and(|url| {
        url.scheme() == "https" || is_loopback(url.host_str().unwrap_or_default())
    });
    match parsed {
        Some(parsed) if safe => Ok((Service::new("Google", url, &options.http())?, parsed)),
        _ => reason(format!(
            "the credentials name {:?} to ask for a token, which is not https",
            sealmark_http::sanitise(url)
        )),
    }
}

fn or<'a>(text: &'a str, default: &'a str) -> &'a str {
    if text.is_empty() { default } else { text }
}

async fn form(url: &str, fields: &[(&str, &str)], options: &Options) -> Result<Answer, Failure> {
    let (service, url) = service(url, options)?;
    let encode = || {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields).finish()
    };
    let body = Zeroizing::new(encode());
    let answer = service.post(&url, |request| {
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.to_string())
    });
    Ok(answer.await?.good()?)
}

/// The token of an OAuth answer, and when it expires.
fn granted(answer: &Answer) -> Result<(Zeroizing<String>, String), Failure> {
    let json: Value = answer.json()?;
    let token = json.get("access_token").and_then(Value::as_str);
    let Some(token) = token.filter(|token| !token.is_empty()) else {
        return Err(answer.malformed("it has no access token").into());
    };
    let expires = match json.get("expires_in").and_then(Value::as_u64) {
        Some(seconds) => format!("in {seconds} s"),
        None => "unknown".to_owned(),
    };
    Ok((Zeroizing::new(token.to_owned()), expires))
}

/// RFC 7523: an assertion signed with the account's key.
async fn service_account(file: &File, scope: &str, options: &Options) -> Result<Token, Failure> {
    let token_uri = or(&file.token_uri, TOKEN_URI);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": file.private_key_id });
    let claims = json!({
        "iss": file.client_email, "scope": scope, "aud": token_uri, "iat": now, "exp": now + ASSERTION,
    });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let pem = Zeroizing::new(file.private_key.as_bytes().to_vec());
    let message = signed.clone();
    let sign = move || {
        let key = PrivateKey::from_pem::<sealmark_keys::Error>(&pem, || {
            Err(sealmark_keys::Error::WrongPassword)
        })?;
        key.sign(message.as_bytes())
    };
    let signature = tokio::task::spawn_blocking(sign).await;
    let signature = match signature {
        Ok(Ok(signature)) => signature,
        Ok(Err(error)) => {
            return reason(format!(
                "the private key in the credentials cannot be used: {error}"
            ));
        }
        Err(error) => return reason(error.to_string()),
    };
    let assertion = Zeroizing::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)));
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", assertion.as_str()),
    ];
    let (token, expires) = granted(&form(token_uri, &fields, options).await?)?;
    let who = format!(
        "the service account {}",
        sealmark_http::sanitise(&file.client_email)
    );
    Ok((token, who, expires))
}

/// What `gcloud auth application-default login` leaves.
async fn authorised_user(file: &File, options: &Options) -> Result<Token, Failure> {
    let fields = [
        ("grant_type", "refresh_token"),
        ("client_id", file.client_id.as_str()),
        ("client_secret", file.client_secret.as_str()),
        ("refresh_token", file.refresh_token.as_str()),
    ];
    let answer = form(or(&file.token_uri, TOKEN_URI), &fields, options).await?;
    let (token, expires) = granted(&answer)?;
    let json: Value = answer.json()?;
    // The identity token beside it is Google's own word, over the very connection.
    let email = json
        .get("id_token")
        .and_then(Value::as_str)
        .and_then(|token| {
            let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
            let claims: Value = serde_json::from_slice(&claims).ok()?;
            Some(claims.get("email")?.as_str()?.to_owned())
        });
    let account =
        email.or_else(|| Some(file.account.clone()).filter(|account| !account.is_empty()));
    let who = match account {
        Some(account) => format!("the user {}", sealmark_http::sanitise(&account)),
        None => "the user of gcloud auth application-default login".to_owned(),
    };
    Ok((token, who, expires))
}

/// Workload identity federation: another provider's token is exchanged (RFC 8693).
async fn external_account(file: &File, scope: &str, options: &Options) -> Result<Token, Failure> {
    let subject = subject_token(file, options).await?;
    let fields = [
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        ("audience", file.audience.as_str()),
        ("scope", scope),
        (
            "requested_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
        ("subject_token_type", file.subject_token_type.as_str()),
        ("subject_token", subject.as_str()),
    ];
    let (token, expires) = granted(&form(or(&file.token_url, STS), &fields, options).await?)?;
    let who = format!(
        "the federated identity of {}",
        sealmark_http::sanitise(&file.audience)
    );
    Ok((token, who, expires))
}

async fn subject_token(file: &File, options: &Options) -> Result<Zeroizing<String>, Failure> {
    let source = &file.credential_source;
    if source.executable.is_some() {
        return reason(
            "credentials that run a program are not supported: use a file or a URL as credential_source",
        );
    }
    if source.environment_id.starts_with("aws") {
        return reason(
            "credentials that sign for AWS are not supported: use a file or a URL as credential_source",
        );
    }
    let text = if !source.file.is_empty() {
        let text = read(Path::new(&source.file)).await;
        text.map_err(|cause| {
            Failure::Reason(format!(
                "the token cannot be read from {}: {cause}",
                source.file
            ))
        })?
    } else if !source.url.is_empty() {
        let (service, url) = service(&source.url, options)?;
        let answer = service.get(&url, |mut request| {
            for (name, value) in &source.headers {
                request = request.header(name, value);
            }
            request
        });
        let body = answer.await?.good()?.body;
        Zeroizing::new(String::from_utf8_lossy(&body).into_owned())
    } else {
        return reason("the credentials do not say where the token is that is to be exchanged");
    };
    if source.format.kind != "json" {
        return Ok(Zeroizing::new(text.trim().to_owned()));
    }
    let json: Option<Value> = serde_json::from_str(&text).ok();
    let name = &source.format.subject_token_field_name;
    match json.as_ref().and_then(|json| json.get(name)?.as_str()) {
        Some(token) => Ok(Zeroizing::new(token.to_owned())),
        None => reason(format!(
            "there is no {name:?} in what should have the token that is to be exchanged"
        )),
    }
}

async fn impersonate(
    file: &File,
    (token, by, _): Token,
    options: &Options,
) -> Result<Token, Failure> {
    let (service, url) = service(&file.service_account_impersonation_url, options)?;
    let body = json!({ "scope": [WIDE_SCOPE], "delegates": file.delegates, "lifetime": "3600s" })
        .to_string();
    let answer = service.post(&url, |request| {
        request
            .bearer_auth(token.as_str())
            .header("content-type", "application/json")
            .body(body.clone())
    });
    let account = url.path().rsplit('/').next().unwrap_or_default();
    let account = account.split(':').next().unwrap_or_default();
    let answer = answer.await?;
    if answer.status == 403 {
        return reason(format!(
            "{by} may not act as {}: grant it iam.serviceAccounts.getAccessToken there (the role Service Account Token \
             Creator)",
            sealmark_http::sanitise(account)
        ));
    }
    let json: Value = answer.good()?.json()?;
    let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("accessToken").is_empty() {
        return reason("the IAM credentials service gave no access token");
    }
    let who = format!(
        "the service account {}, impersonated by {by}",
        sealmark_http::sanitise(account)
    );
    let expires = sealmark_http::sanitise(text("expireTime"));
    Ok((Zeroizing::new(text("accessToken").to_owned()), who, expires))
}

/// The service account of the machine.
async fn metadata(options: &Options) -> Result<Identity, Failure> {
    let host =
        variable("GCE_METADATA_HOST").unwrap_or_else(|| "metadata.google.internal".to_owned());
    let base = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default");
    let mut options = options.clone();
    // It is next door, or it is not there at all.
    options.timeout = options.timeout.min(std::time::Duration::from_secs(3));
    let service = Service::new("Google metadata server", &base, &options.http())?;
    let ask = async |path: &str| {
        let url = service.at(path);
        let answer = service.get(&url, |request| request.header("metadata-flavor", "Google"));
        answer.await?.good()
    };
    let Ok(answer) = ask("token").await else {
        return reason(
            "no credentials: log in with gcloud auth application-default login, give GOOGLE_APPLICATION_CREDENTIALS, \
                 or run where Google's metadata server answers",
        );
    };
    let (token, expires) = granted(&answer)?;
    let email = match ask("email").await {
        Ok(answer) => sealmark_http::sanitise(&String::from_utf8_lossy(&answer.body)),
        Err(_) => "of this machine".to_owned(),
    };
    Ok(Identity {
        token,
        who: format!("the service account {email}"),
        origin: "the metadata server".to_owned(),
        expires,
    })
}

/// For signatures and keys, which the interface has in base64.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
