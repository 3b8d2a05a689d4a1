//! CI systems: GitHub Actions, GitLab CI, Buildkite and CircleCI.

use serde::Deserialize;
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use super::program::{self, Program};
use super::{Found, Place, given};
use crate::Error;
use crate::identity::IdentityToken;
use sealmark_http::{Options, Service};

#[derive(Deserialize)]
struct GitHub {
    value: String,
}

#[derive(Deserialize)]
struct Buildkite {
    token: String,
}

/// <https://docs.github.com/en/actions/reference/security/oidc>
pub(super) async fn github(
    place: &Place<'_>,
    audience: &str,
    options: &Options,
) -> Result<Found, Error> {
    let (url, secret) = (
        "ACTIONS_ID_TOKEN_REQUEST_URL",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    );
    let (Some(url), Some(secret)) = (place.get(url), place.get(secret).map(Zeroizing::new)) else {
        return Ok(place.without(&[url, secret]));
    };
    let service = Service::new("GitHub Actions' identity provider", &url, options)?;
    let mut url = service.url().clone();
    url.query_pairs_mut().append_pair("audience", audience);
    let get = service.get(&url, |request| request.bearer_auth(secret.as_str()));
    let answer: GitHub = get.await?.good()?.json()?;
    given(&Zeroizing::new(answer.value), "GitHub Actions")
}

/// GitLab makes the tokens that a job declares before it starts, and calls them as the job says; `AUDIENCE_ID_TOKEN` is
/// what programs agree on. <https://docs.gitlab.com/ci/secrets/id_token_authentication/>
pub(super) fn gitlab(place: &Place<'_>, audience: &str) -> Result<Found, Error> {
    if !place.has("GITLAB_CI") {
        return Ok(place.without(&["GITLAB_CI"]));
    }
    let allowed = |c: char| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_uppercase(),
        false => '_',
    };
    let prefix: String = audience.chars().map(allowed).collect();
    let name = format!("{prefix}_ID_TOKEN");
    match place.get(&name).map(Zeroizing::new) {
        Some(secret) => given(&secret, format_args!("GitLab CI ({name})")),
        None => Ok(Found::Absent(format!(
            "this is a job of GitLab CI, but {name} is not set"
        ))),
    }
}

/// The agent's own interface if its access token is there, which jobs can be denied, else its program.
/// <https://buildkite.com/docs/agent/cli/reference/oidc>
pub(super) async fn buildkite(
    place: &Place<'_>,
    audience: &str,
    options: &Options,
) -> Result<Found, Error> {
    let secret = place.get("BUILDKITE_AGENT_ACCESS_TOKEN");
    let (Some(secret), Some(job)) = (secret.map(Zeroizing::new), place.get("BUILDKITE_JOB_ID"))
    else {
        if !place.has("BUILDKITE") {
            return Ok(place.without(&["BUILDKITE"]));
        }
        let Some(agent) = Program::find(place, "buildkite-agent") else {
            return Ok(Found::Absent(
                "this is a job of Buildkite, but it has no BUILDKITE_AGENT_ACCESS_TOKEN and no program buildkite-agent"
                    .to_owned(),
            ));
        };
        let words = ["oidc", "request-token", "--audience", audience];
        let secret = program::output(&agent, &words, options).await?;
        return given(&secret, "buildkite-agent");
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
    given(&Zeroizing::new(answer.token), "Buildkite")
}

/// The tokens in CircleCI's variables are for the organisation; for another audience its program is asked.
/// <https://circleci.com/docs/guides/permissions-authentication/oidc-tokens-with-custom-claims/>
pub(super) async fn circleci(
    place: &Place<'_>,
    audience: &str,
    options: &Options,
) -> Result<Found, Error> {
    if !place.has("CIRCLECI") {
        return Ok(place.without(&["CIRCLECI"]));
    }
    let variable = "CIRCLE_OIDC_TOKEN_V2";
    if let Some(secret) = place.get(variable).map(Zeroizing::new)
        && let Ok(token) = IdentityToken::new(&secret, format!("CircleCI ({variable})"))
        && token.is_for(audience)
    {
        return Ok(Found::Token(token));
    }
    let Some(program) = Program::find(place, "circleci") else {
        let why = match place.has(variable) {
            true => format!("{variable} is not for the audience {audience:?}"),
            false => format!("{variable} is not set"),
        };
        return Ok(Found::Absent(format!(
            "this is a job of CircleCI, but {why}, and there is no program circleci"
        )));
    };
    let claims = json!({"aud": audience}).to_string();
    let words = ["run", "oidc", "get", "--claims", &claims];
    given(
        &program::output(&program, &words, options).await?,
        "circleci run oidc get",
    )
}
