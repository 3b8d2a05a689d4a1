//! Credentials of the machine that this runs on: of a container (ECS, EKS), or of an EC2 instance.
//!
//! - <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>
//! - <https://docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html>

use std::time::Duration;

use reqwest::Method;
use sealmark_http::{Options, Service};
use serde::Deserialize;
use url::{Host, Url};

use super::{Credentials, Document, Missing, Search, failed};
use crate::aws::config::read;

/// Where containers on ECS ask.
const CONTAINER_HOST: &str = "http://169.254.170.2";
/// Where instances ask.
const INSTANCE_HOST: &str = "http://169.254.169.254";
/// It is on the same machine, or there is none; AWS's own tools wait as long.
const INSTANCE_TIMEOUT: Duration = Duration::from_secs(1);
/// The token for the metadata service is needed for two requests.
const TOKEN_SECONDS: &str = "60";

const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfInstance {
    code: Option<String>,
    message: Option<String>,
}

impl Search<'_> {
    /// Those of the container.
    pub(super) async fn container(&self) -> Result<Credentials, Missing> {
        let variable = |name| self.config.variable(name);
        let (url, by) = match (variable(RELATIVE), variable(FULL)) {
            (Some(path), _) => (
                format!("{CONTAINER_HOST}/{}", path.trim_start_matches('/')),
                RELATIVE,
            ),
            (None, Some(url)) => (url, FULL),
            (None, None) => {
                let reason = format!("container: {RELATIVE} and {FULL} are not set");
                return Err(Missing::Unset(reason));
            }
        };
        let source = format!("the container ({by})");
        let wrong = |reason: String| Missing::Failed(failed(&*source, reason));
        let parsed = Url::parse(&url).map_err(|error| wrong(error.to_string()))?;
        if !may_ask(&parsed) {
            return Err(wrong(format!(
                "http is for loopback and the addresses of ECS and EKS only, and {url} is another"
            )));
        }
        let file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        let token = match file {
            Some(file) => {
                let token = read(file.as_ref()).await?;
                let token = token.ok_or_else(|| wrong(format!("there is no file {file}")))?;
                Some(token.trim().to_owned())
            }
            None => variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        };
        let service = Service::new("container credentials", &url, self.http)
            .map_err(|error| wrong(error.to_string()))?;
        let answer = service
            .get(&parsed, |request| match &token {
                Some(token) => request.header("authorization", token),
                None => request,
            })
            .await
            .and_then(sealmark_http::Answer::good)
            .map_err(|error| wrong(error.to_string()))?;
        let document: Document = answer.json().map_err(|error| wrong(error.to_string()))?;
        document.credentials(source.clone()).map_err(wrong)
    }

    /// Those of the instance, by version 2 of its metadata service.
    pub(super) async fn instance(&self) -> Result<Credentials, Missing> {
        if self.config.is_on("AWS_EC2_METADATA_DISABLED", "") {
            return Err(Missing::Unset(
                "EC2 instance: AWS_EC2_METADATA_DISABLED is true".to_owned(),
            ));
        }
        let named = self.config.setting(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            "ec2_metadata_service_endpoint",
        );
        let base = named.unwrap_or_else(|| INSTANCE_HOST.to_owned());
        let options = Options {
            timeout: self.http.timeout.min(INSTANCE_TIMEOUT),
            tries: 1,
            ..self.http.clone()
        };
        let service = Service::new("EC2 metadata", &base, &options)
            .map_err(|error| failed("the EC2 instance", error))?;
        let none = |reason: String| Missing::Unset(format!("EC2 instance: {reason}"));
        let token = service
            .request(Method::PUT, &service.at("latest/api/token"), |request| {
                request
                    .header("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS)
                    .header("content-length", "0")
            })
            .await
            .and_then(sealmark_http::Answer::good)
            .map_err(|error| none(error.to_string()))?;
        let token = zeroize::Zeroizing::new(String::from_utf8_lossy(&token.body).trim().to_owned());
        let get = async |path: &str| {
            let url = service.at(path);
            let answer = service.get(&url, |request| {
                request.header("x-aws-ec2-metadata-token", token.as_str())
            });
            answer.await.map_err(|error| none(error.to_string()))
        };
        let roles = "latest/meta-data/iam/security-credentials/";
        let answer = get(roles).await?;
        if answer.status == 404 {
            return Err(none("no role is attached to it".to_owned()));
        }
        let answer = answer.good().map_err(|error| none(error.to_string()))?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let role = sealmark_http::sanitise(text.lines().next().unwrap_or_default());
        if role.is_empty() || role.contains(['/', '?', '#', '%']) {
            return Err(none("no role is attached to it".to_owned()));
        }
        let source = format!("the EC2 instance (role {role})");
        let wrong = |reason: String| Missing::Failed(failed(&*source, reason));
        let answer = get(&format!("{roles}{role}")).await?;
        let answer = answer.good().map_err(|error| wrong(error.to_string()))?;
        let state: OfInstance = answer.json().map_err(|error| wrong(error.to_string()))?;
        if let Some(code) = state.code.filter(|code| code != "Success") {
            let message = state.message.unwrap_or_default();
            return Err(wrong(sealmark_http::sanitise(&format!(
                "{code}: {message}"
            ))));
        }
        let document: Document = answer.json().map_err(|error| wrong(error.to_string()))?;
        document.credentials(source.clone()).map_err(wrong)
    }
}

/// The addresses to which a token may go in the clear, as AWS's documentation lists them.
fn may_ask(url: &Url) -> bool {
    let known = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Domain(name))) => name == "localhost",
        ("http", Some(Host::Ipv4(address))) => {
            address.is_loopback() || known.contains(&address.to_string().as_str())
        }
        ("http", Some(Host::Ipv6(address))) => {
            address.is_loopback() || known.contains(&address.to_string().as_str())
        }
        _ => false,
    }
}
