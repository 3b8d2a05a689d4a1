//! Identity that the place offers where this runs: a CI system, a cloud, a cluster.
//!
//! Which providers there are, and what shows that one is there, is as in cosign. What is there and cannot be used says
//! why; what is not there says nothing.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use super::IdentityToken;
use crate::Error;
use sealmark_http::{Options, Service};

/// Where a pod finds the token that Kubernetes projects for Sigstore.
const TOKEN_FILE: &str = "/var/run/sigstore/cosign/oidc-token";
/// Says that this is a machine of Google's.
const PRODUCT_NAME: &str = "/sys/class/dmi/id/product_name";

/// The providers in the order in which they are asked, with cosign's names.
pub const PROVIDERS: [&str; 7] = [
    "github-actions",
    "buildkite-agent",
    "envvar",
    "filesystem",
    "google-workload-identity",
    "google-impersonate",
    "spiffe",
];

/// What a provider finds out about the place.
pub struct Place<'a> {
    /// Looks up a variable of the environment.
    pub variable: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// The projected token, elsewhere than usual in tests.
    pub token_file: PathBuf,
    /// Where Linux says what machine this is.
    pub product_name: PathBuf,
}

impl<'a> Place<'a> {
    /// This machine, with these variables.
    pub fn new(variable: &'a (dyn Fn(&str) -> Option<String> + Sync)) -> Self {
        Self {
            variable,
            token_file: PathBuf::from(TOKEN_FILE),
            product_name: PathBuf::from(PRODUCT_NAME),
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn is_google(&self) -> bool {
        let product = std::fs::read_to_string(&self.product_name).unwrap_or_default();
        self.has("GCE_METADATA_HOST") || product.trim().starts_with("Google")
    }
}

#[derive(Deserialize)]
struct GitHub {
    value: String,
}

#[derive(Deserialize)]
struct Buildkite {
    token: String,
}

/// The token that the place offers, for this audience: by the provider with this name, or by the first that is there.
/// `None` if none is.
///
/// # Errors
/// If the provider that is there gives none, or the one that was named is not there or not known.
pub async fn token(
    place: &Place<'_>,
    provider: Option<&str>,
    audience: &str,
    options: &Options,
) -> Result<Option<IdentityToken>, Error> {
    if let Some(name) = provider {
        if !PROVIDERS.contains(&name) {
            return Err(Error::Identity(format!(
                "--oidc-provider {name}: there is none of this name, but {}",
                PROVIDERS.join(", ")
            )));
        }
        let token = one(name, place, audience, options).await?;
        return token.map(Some).ok_or_else(|| {
            Error::Identity(format!(
                "--oidc-provider {name}: nothing shows that it is here{}",
                advice(place)
                    .map(|text| format!("; {text}"))
                    .unwrap_or_default()
            ))
        });
    }
    for name in PROVIDERS {
        if let Some(token) = one(name, place, audience, options).await? {
            return Ok(Some(token));
        }
    }
    Ok(None)
}

/// What to do in CI systems that offer an identity only to those who ask for it.
pub fn advice(place: &Place<'_>) -> Option<&'static str> {
    if place.has("GITLAB_CI") {
        return Some(
            "in GitLab CI, let the job declare `id_tokens: SIGSTORE_ID_TOKEN: aud: sigstore`",
        );
    }
    if place.has("GITHUB_ACTIONS") {
        return Some("in GitHub Actions, give the job the permission `id-token: write`");
    }
    place.has("CIRCLECI").then_some(
        "in CircleCI, get a token with `circleci run oidc get --claims '{\"aud\":\"sigstore\"}'` and give it in \
         SIGSTORE_ID_TOKEN",
    )
}

async fn one(
    name: &str,
    place: &Place<'_>,
    audience: &str,
    options: &Options,
) -> Result<Option<IdentityToken>, Error> {
    match name {
        "github-actions" => github(place, audience, options).await,
        "buildkite-agent" => buildkite(place, audience, options).await,
        "envvar" => match place.get("SIGSTORE_ID_TOKEN") {
            Some(token) => IdentityToken::new(&token, "SIGSTORE_ID_TOKEN").map(Some),
            None => Ok(None),
        },
        "filesystem" => file(&place.token_file),
        "google-workload-identity" if !place.has("GOOGLE_SERVICE_ACCOUNT_NAME") => {
            google(place, audience, options).await
        }
        "google-impersonate" if place.has("GOOGLE_SERVICE_ACCOUNT_NAME") => Err(Error::Identity(
            "GOOGLE_SERVICE_ACCOUNT_NAME is set, and signing as another account of Google's is not supported: get a \
             token with `gcloud auth print-identity-token --audiences=sigstore --impersonate-service-account=…` and \
             give it in SIGSTORE_ID_TOKEN"
                .to_owned(),
        )),
        "spiffe" if place.has("SPIFFE_ENDPOINT_SOCKET") => Err(Error::Identity(
            "SPIFFE_ENDPOINT_SOCKET is set, and SPIFFE's workload API (gRPC over a socket) is not supported: get a \
             token with `spire-agent api fetch jwt -audience sigstore` and give it in SIGSTORE_ID_TOKEN"
                .to_owned(),
        )),
        _ => Ok(None),
    }
}

async fn github(
    place: &Place<'_>,
    audience: &str,
    options: &Options,
) -> Result<Option<IdentityToken>, Error> {
    let (Some(url), Some(secret)) = (
        place.get("ACTIONS_ID_TOKEN_REQUEST_URL"),
        place
            .get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
            .map(Zeroizing::new),
    ) else {
        return Ok(None);
    };
    let service = Service::new("GitHub Actions' identity provider", &url, options)?;
    let mut url = service.url().clone();
    url.query_pairs_mut().append_pair("audience", audience);
    let get = service.get(&url, |request| request.bearer_auth(secret.as_str()));
    let answer: GitHub = get.await?.good()?.json()?;
    IdentityToken::new(&Zeroizing::new(answer.value), "GitHub Actions").map(Some)
}

async fn buildkite(
    place: &Place<'_>,
    audience: &str,
    options: &Options,
) -> Result<Option<IdentityToken>, Error> {
    let (Some(secret), Some(job)) = (
        place
            .get("BUILDKITE_AGENT_ACCESS_TOKEN")
            .map(Zeroizing::new),
        place.get("BUILDKITE_JOB_ID"),
    ) else {
        return Ok(None);
    };
    let base = place.get("BUILDKITE_AGENT_ENDPOINT");
    let base = base.unwrap_or_else(|| "https://agent.buildkite.com/v3".to_owned());
    let service = Service::new("Buildkite's identity provider", &base, options)?;
    let mut url: Url = service.url().clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["jobs", &job, "oidc", "tokens"]);
    }
    let body = json!({"audience": audience}).to_string();
    let post = service.post(&url, |request| {
        request
            .header("authorization", format!("Token {}", secret.as_str()))
            .header("content-type", "application/json")
            .body(body.clone())
    });
    let answer: Buildkite = post.await?.good()?.json()?;
    IdentityToken::new(&Zeroizing::new(answer.token), "Buildkite").map(Some)
}

fn file(path: &Path) -> Result<Option<IdentityToken>, Error> {
    match path.exists() {
        true => IdentityToken::from_file(path, "the token that is projected here").map(Some),
        false => Ok(None),
    }
}

async fn google(
    place: &Place<'_>,
    audience: &str,
    options: &Options,
) -> Result<Option<IdentityToken>, Error> {
    if !place.is_google() {
        return Ok(None);
    }
    let host = place.get("GCE_METADATA_HOST");
    let host = host.unwrap_or_else(|| "metadata.google.internal".to_owned());
    let base =
        format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/identity");
    let service = Service::new("Google's metadata server", &base, options)?;
    let mut url = service.url().clone();
    url.query_pairs_mut()
        .append_pair("audience", audience)
        .append_pair("format", "full");
    let get = service.get(&url, |request| request.header("Metadata-Flavor", "Google"));
    let answer = get.await?.good()?;
    let token = Zeroizing::new(String::from_utf8_lossy(&answer.body).into_owned());
    IdentityToken::new(&token, "Google's metadata server").map(Some)
}
