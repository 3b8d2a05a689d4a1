//! Managed identities: App Service and Functions, and the instance metadata service of virtual machines.
//! <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>

use std::net::IpAddr;
use std::time::Duration;

use sealmark_http::Service;
use serde_json::Value;
use url::Url;

use super::chain::{Ask, Attempt};
use super::error::Error;
use super::identity::Token;

pub(crate) const NAME: &str = "managed identity";

/// The metadata service's address in every virtual machine.
const METADATA: &str = "http://169.254.169.254";
/// How long the metadata service may take to be there: elsewhere nobody answers at this address, or never.
const PROBE: Duration = Duration::from_secs(1);

/// A token of the machine's identity. `only` if no other source is to be asked.
pub(crate) async fn token(ask: &Ask<'_>, only: bool) -> Attempt {
    let result = match ask.environment.get("IDENTITY_ENDPOINT") {
        Some(endpoint) => app_service(ask, &endpoint).await,
        None => metadata(ask, only).await,
    };
    match result {
        Ok(token) => Attempt::Token(token),
        Err(Missing::Absent(reason)) => Attempt::Absent(reason),
        Err(Missing::Failed(error)) => Attempt::Failed(error),
    }
}

enum Missing {
    Absent(String),
    Failed(Error),
}

impl From<sealmark_http::Error> for Missing {
    fn from(error: sealmark_http::Error) -> Self {
        Self::Absent(error.to_string())
    }
}

/// <https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference>
async fn app_service(ask: &Ask<'_>, endpoint: &str) -> Result<Token, Missing> {
    let Some(secret) = ask.environment.get("IDENTITY_HEADER") else {
        return Err(Missing::Absent(
            "IDENTITY_ENDPOINT is set without IDENTITY_HEADER, as by Azure Arc, which is not supported: its key is in a \
             file of root"
                .into(),
        ));
    };
    if ask.environment.get("IDENTITY_SERVER_THUMBPRINT").is_some() {
        return Err(Missing::Absent(
            "Service Fabric (IDENTITY_SERVER_THUMBPRINT) is not supported: its certificate is in no chain".into(),
        ));
    }
    let service = local(ask, "IDENTITY_ENDPOINT", endpoint)?;
    let mut url = service.url().clone();
    url.query_pairs_mut()
        .append_pair("api-version", "2019-08-01")
        .append_pair("resource", ask.resource);
    if let Some(client) = ask.environment.get("AZURE_CLIENT_ID") {
        url.query_pairs_mut().append_pair("client_id", &client);
    }
    let answer = service
        .get(&url, |request| request.header("X-IDENTITY-HEADER", &secret))
        .await?;
    read(&answer, ask)
}

async fn metadata(ask: &Ask<'_>, only: bool) -> Result<Token, Missing> {
    // The variable of Azure's SDKs for another address.
    let variable = ask.environment.get("AZURE_POD_IDENTITY_AUTHORITY_HOST");
    let base = variable.as_deref().unwrap_or(METADATA);
    let service = local(ask, "AZURE_POD_IDENTITY_AUTHORITY_HOST", base)?;
    let host = service.url().host_str().unwrap_or_default();
    let port = service.url().port_or_known_default().unwrap_or(80);
    let probe = tokio::net::TcpStream::connect((host.trim_matches(['[', ']']), port));
    let wait = match only {
        true => ask.options.timeout,
        false => PROBE,
    };
    match tokio::time::timeout(wait, probe).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            return Err(Missing::Absent(format!(
                "no metadata service of Azure at {host}: {error}"
            )));
        }
        Err(_) => {
            return Err(Missing::Absent(format!(
                "no metadata service of Azure at {host} within {} s",
                wait.as_secs_f64()
            )));
        }
    }
    let mut url = service.at("metadata/identity/oauth2/token");
    url.query_pairs_mut()
        .append_pair("api-version", "2018-02-01")
        .append_pair("resource", ask.resource);
    if let Some(client) = ask.environment.get("AZURE_CLIENT_ID") {
        url.query_pairs_mut().append_pair("client_id", &client);
    }
    let answer = service
        .get(&url, |request| request.header("Metadata", "true"))
        .await?;
    read(&answer, ask)
}

/// The service at an address of this machine or its network: it is told a secret, or who asks.
fn local(ask: &Ask<'_>, variable: &'static str, text: &str) -> Result<Service, Missing> {
    let wrong = |reason: &str| {
        Missing::Failed(Error::Variable {
            variable,
            reason: reason.to_owned(),
        })
    };
    let url = Url::parse(text).map_err(|_| wrong("it is no URL"))?;
    let host = url.host_str().unwrap_or_default();
    if url.scheme() != "https" && !is_near(host) {
        return Err(wrong(
            "http:// is allowed to addresses of this machine and its own network only",
        ));
    }
    Ok(Service::new("managed identity", text, &ask.options.http())?)
}

/// An address that leads no further than this machine or the host's network.
fn is_near(host: &str) -> bool {
    sealmark_http::is_loopback(host)
        || match host.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => address.is_link_local() || address.is_private(),
            _ => false,
        }
}

fn read(answer: &sealmark_http::Answer, ask: &Ask<'_>) -> Result<Token, Missing> {
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let token = said.get("access_token").and_then(Value::as_str);
    if let (200, Some(token)) = (answer.status, token) {
        return Ok(Token::new(NAME, token.to_owned(), ask.now));
    }
    let words = ["error_description", "message", "error"]
        .iter()
        .find_map(|name| said.get(name)?.as_str())
        .map(sealmark_http::sanitise)
        .unwrap_or_default();
    let advice = match (answer.status, ask.environment.get("AZURE_CLIENT_ID")) {
        (400, Some(client)) => format!(
            " (AZURE_CLIENT_ID asks for the identity {client}; is it assigned to this machine?)"
        ),
        _ => String::new(),
    };
    Err(Missing::Absent(format!(
        "it answered {}{}{words}{advice}",
        answer.status,
        if words.is_empty() { "" } else { ": " }
    )))
}
