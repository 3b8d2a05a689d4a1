//! Logging in at Microsoft Entra as an application: with a secret, a certificate or a federated token.
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>

use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::certificate;
use super::chain::{Ask, Attempt};
use super::challenge::is_tenant;
use super::cloud::Cloud;
use super::environment::Environment;
use super::error::Error;
use super::identity::Token;

pub(crate) const ENVIRONMENT: &str = "the variables AZURE_CLIENT_ID and AZURE_CLIENT_SECRET";
pub(crate) const CERTIFICATE: &str =
    "the variables AZURE_CLIENT_ID and AZURE_CLIENT_CERTIFICATE_PATH";
pub(crate) const WORKLOAD: &str = "workload identity (AZURE_FEDERATED_TOKEN_FILE)";

/// The largest file with a certificate or a token.
const MAX_FILE: u64 = 256 << 10;

/// Where one logs in for a vault.
pub(crate) fn authority(host: &str, environment: &Environment) -> Result<String, Error> {
    const VARIABLE: &str = "AZURE_AUTHORITY_HOST";
    let Some(text) = environment.get(VARIABLE) else {
        return Ok(match Cloud::of(host) {
            Some((cloud, _)) => cloud.authority.to_owned(),
            None => super::cloud::CLOUDS[0].authority.to_owned(),
        });
    };
    // Some of Azure's own tools set it without a scheme.
    let whole = match text.contains("://") {
        true => text,
        false => format!("https://{text}"),
    };
    let wrong = |reason: &str| Error::Variable {
        variable: VARIABLE,
        reason: reason.to_owned(),
    };
    let url = Url::parse(&whole).map_err(|_| wrong("it is no URL; write https://HOST"))?;
    let host = url.host_str().ok_or_else(|| wrong("it names no host"))?;
    let here = sealmark_http::is_loopback(host);
    if url.scheme() != "https" && !(url.scheme() == "http" && here) {
        return Err(wrong(
            "secrets are sent there, so it must begin with https:// (http:// is allowed to this machine only)",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it must have no user name or password"));
    }
    Ok(url.origin().ascii_serialization())
}

/// An application with a secret or a certificate, as the environment names it.
pub(crate) async fn environment(ask: &Ask<'_>) -> Attempt {
    let get = |name: &str| ask.environment.get(name);
    if let Some(missing) = ask
        .environment
        .missing(&["AZURE_TENANT_ID", "AZURE_CLIENT_ID"])
    {
        return Attempt::Absent(format!("{missing} is not set"));
    }
    let client = get("AZURE_CLIENT_ID").unwrap_or_default();
    if let Some(secret) = get("AZURE_CLIENT_SECRET") {
        let proof = Proof::Secret(Zeroizing::new(secret));
        return application(ask, ENVIRONMENT, &client, proof).await;
    }
    if let Some(path) = get("AZURE_CLIENT_CERTIFICATE_PATH") {
        let tenant = match tenant(ask, CERTIFICATE) {
            Ok(tenant) => tenant,
            Err(error) => return Attempt::Failed(error),
        };
        let audience = format!("{}/{tenant}/oauth2/v2.0/token", ask.authority);
        return match certificate::assertion(&path, &client, &audience, ask.now) {
            Ok(assertion) => {
                application(ask, CERTIFICATE, &client, Proof::Assertion(assertion)).await
            }
            Err(reason) => Attempt::Failed(Error::Variable {
                variable: "AZURE_CLIENT_CERTIFICATE_PATH",
                reason,
            }),
        };
    }
    let reason = match get("AZURE_USERNAME") {
        Some(_) => {
            "logging in with a user's password (AZURE_USERNAME) is not supported: Entra refuses it where a second \
                    factor is asked for; use `az login`"
        }
        None => "neither AZURE_CLIENT_SECRET nor AZURE_CLIENT_CERTIFICATE_PATH is set",
    };
    Attempt::Absent(reason.into())
}

/// The token of a Kubernetes service account, exchanged.
pub(crate) async fn workload(ask: &Ask<'_>) -> Attempt {
    let names = [
        "AZURE_FEDERATED_TOKEN_FILE",
        "AZURE_TENANT_ID",
        "AZURE_CLIENT_ID",
    ];
    if let Some(missing) = ask.environment.missing(&names) {
        return Attempt::Absent(format!("{missing} is not set"));
    }
    let [path, _, client] = names.map(|name| ask.environment.get(name).unwrap_or_default());
    match read(&path) {
        Ok(token) => {
            let assertion = String::from_utf8_lossy(&token).trim().to_owned();
            let proof = Proof::Assertion(Zeroizing::new(assertion));
            application(ask, WORKLOAD, &client, proof).await
        }
        Err(reason) => Attempt::Failed(Error::Variable {
            variable: "AZURE_FEDERATED_TOKEN_FILE",
            reason,
        }),
    }
}

/// What proves who an application is.
enum Proof {
    Secret(Zeroizing<String>),
    Assertion(Zeroizing<String>),
}

async fn application(ask: &Ask<'_>, origin: &'static str, client: &str, proof: Proof) -> Attempt {
    match exchange(ask, origin, client, &proof).await {
        Ok(token) => Attempt::Token(token),
        Err(error) => Attempt::Failed(error),
    }
}

/// The tenant to log in to: that of the environment, which must be the one that the vault trusts.
fn tenant(ask: &Ask<'_>, origin: &'static str) -> Result<String, Error> {
    let own = ask
        .environment
        .get("AZURE_TENANT_ID")
        .unwrap_or_else(|| ask.tenant.to_owned());
    if !is_tenant(&own) {
        return Err(Error::Variable {
            variable: "AZURE_TENANT_ID",
            reason: "a tenant is a GUID or a domain".into(),
        });
    }
    let is_guid = |text: &str| text.len() == 36 && !text.contains('.');
    // A domain may be any tenant; then the vault has the word.
    if own.eq_ignore_ascii_case(ask.tenant) || !is_guid(&own) || !is_guid(ask.tenant) {
        return Ok(own);
    }
    let more = ask
        .environment
        .get("AZURE_ADDITIONALLY_ALLOWED_TENANTS")
        .unwrap_or_default();
    let allowed = more
        .split([';', ','])
        .any(|tenant| tenant.trim() == "*" || tenant.trim().eq_ignore_ascii_case(ask.tenant));
    if allowed {
        return Ok(ask.tenant.to_owned());
    }
    Err(Error::Login {
        origin,
        reason: format!(
            "{} trusts the tenant {}, and AZURE_TENANT_ID is {own}; set AZURE_TENANT_ID={}, or, for an application that is \
             in both, AZURE_ADDITIONALLY_ALLOWED_TENANTS={}",
            ask.vault, ask.tenant, ask.tenant, ask.tenant
        ),
    })
}

/// The request for a token.
fn form(ask: &Ask<'_>, client: &str, proof: &Proof) -> Zeroizing<String> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials")
        .append_pair("client_id", client)
        .append_pair("scope", &format!("{}/.default", ask.resource));
    match proof {
        Proof::Secret(secret) => form.append_pair("client_secret", secret),
        Proof::Assertion(assertion) => form
            .append_pair(
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            )
            .append_pair("client_assertion", assertion),
    };
    Zeroizing::new(form.finish())
}

async fn exchange(
    ask: &Ask<'_>,
    origin: &'static str,
    client: &str,
    proof: &Proof,
) -> Result<Token, Error> {
    #[derive(Deserialize)]
    struct Granted {
        access_token: String,
    }
    let tenant = tenant(ask, origin)?;
    let body = form(ask, client, proof);
    let service =
        sealmark_http::Service::new("Microsoft Entra", &ask.authority, &ask.options.http())?;
    let url = service.at(&format!("{tenant}/oauth2/v2.0/token"));
    let answer = service
        .post(&url, |request| {
            request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(body.to_string())
        })
        .await?;
    if answer.status == 200 {
        let granted: Granted = answer.json()?;
        return Ok(Token::new(origin, granted.access_token, ask.now));
    }
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match reason(&said, client, &tenant) {
        Some(reason) => Err(Error::Login { origin, reason }),
        None => Err(answer.refused("").into()),
    }
}

/// Entra's refusal in words. <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>
fn reason(said: &Value, client: &str, tenant: &str) -> Option<String> {
    let description = said.get("error_description")?.as_str()?;
    let code = said
        .get("error_codes")
        .and_then(|codes| codes.get(0)?.as_u64())
        .or_else(|| {
            let digits = description.strip_prefix("AADSTS")?;
            digits
                .split(|c: char| !c.is_ascii_digit())
                .next()?
                .parse()
                .ok()
        })?;
    let words = match code {
        7_000_215 => format!(
            "AZURE_CLIENT_SECRET is not a secret of application {client}: give the secret's value, not its id; make one \
             with `az ad app credential reset --append --id {client}`"
        ),
        7_000_222 => format!(
            "the secret of application {client} has expired; make one with `az ad app credential reset --append --id {client}`"
        ),
        700_016 | 7_000_229 => format!(
            "there is no application {client} in tenant {tenant}: check AZURE_CLIENT_ID and AZURE_TENANT_ID, and that the \
             application has a service principal there (`az ad sp create --id {client}`)"
        ),
        90_002 | 900_021 | 900_023 => format!(
            "there is no tenant {tenant} in this cloud; check AZURE_TENANT_ID, and AZURE_AUTHORITY_HOST if it is another \
             cloud's"
        ),
        700_027 => format!(
            "the certificate is not one of application {client}, or has expired; upload its public part there"
        ),
        70_021 | 700_211 | 700_212 | 700_213 => format!(
            "application {client} trusts no federated token like this one: add a federated credential with the token's \
             issuer, subject and audience"
        ),
        _ => {
            let first = description.split(" Trace ID:").next().unwrap_or_default();
            return Some(sealmark_http::sanitise(first));
        }
    };
    Some(format!("{words} (AADSTS{code})"))
}

pub(super) fn read(path: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let failed = |error: std::io::Error| format!("cannot read {path}: {error}");
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_FILE {
        return Err(format!("{path} is larger than {} KiB", MAX_FILE >> 10));
    }
    std::fs::read(path).map(Zeroizing::new).map_err(failed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_go_to_https_only() {
        let of = |host: &str, value: &str| {
            authority(host, &Environment::of(&[("AZURE_AUTHORITY_HOST", value)]))
                .map_err(|error| error.to_string())
        };
        for (host, value, expected) in [
            ("v.vault.azure.net", "", "https://login.microsoftonline.com"),
            (
                "v.vault.usgovcloudapi.net",
                "",
                "https://login.microsoftonline.us",
            ),
            (
                "v.managedhsm.azure.cn",
                "",
                "https://login.chinacloudapi.cn",
            ),
            (
                "v.vault.azure.net",
                "https://login.example.com/",
                "https://login.example.com",
            ),
            (
                "v.vault.azure.net",
                "login.example.com",
                "https://login.example.com",
            ),
            (
                "localhost:1",
                "http://127.0.0.1:8080",
                "http://127.0.0.1:8080",
            ),
        ] {
            assert_eq!(of(host, value).as_deref(), Ok(expected), "{value}");
        }
        for (value, part) in [
            ("http://login.example.com", "must begin with https://"),
            ("ftp://127.0.0.1", "must begin with https://"),
            ("https://u:p@login.example.com", "no user name or password"),
            ("https://", "no URL"),
        ] {
            let error = of("v.vault.azure.net", value).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    /// The texts are those that Entra gives.
    #[test]
    fn the_codes_of_entra_are_said_in_words() {
        for (code, text, part) in [
            (
                7000215,
                "AADSTS7000215: Invalid client secret provided. Trace ID: x",
                "not its id; make one",
            ),
            (
                7000222,
                "AADSTS7000222: The provided client secret keys are expired. Trace ID: x",
                "has expired",
            ),
            (
                700016,
                "AADSTS700016: Application with identifier 'c' was not found. Trace ID: x",
                "no application c in tenant t",
            ),
            (
                90002,
                "AADSTS90002: Tenant 't' not found. Trace ID: x",
                "no tenant t",
            ),
            (
                50034,
                "AADSTS50034: The user account does not exist. Trace ID: x",
                "AADSTS50034: The user account does not exist.",
            ),
        ] {
            for said in [
                json!({"error_description": text, "error_codes": [code]}),
                json!({"error_description": text}),
            ] {
                let words = reason(&said, "c", "t").unwrap();
                assert!(
                    words.contains(part) && words.contains(&format!("AADSTS{code}")),
                    "{words}"
                );
                assert!(!words.contains("Trace ID"), "{words}");
            }
        }
        assert_eq!(reason(&json!({"error": "x"}), "c", "t"), None);
    }
}
