//! Identity that the place offers where this runs: a CI system, a cloud, a cluster.
//!
//! Providers are asked in the order of [`PROVIDERS`], which is cosign's with GitLab and CircleCI beside the other CI
//! systems. The first that is there decides: if it gives no token, that is the error, and no other identity is taken
//! instead. What is not there says how that was seen, for whoever wonders why nobody was found.

mod ci;
mod google;
mod program;
mod spiffe;

use std::fmt;
use std::path::{Path, PathBuf};

use super::IdentityToken;
use crate::Error;
use sealmark_http::{Options, sanitise};

/// Where a pod finds the token that Kubernetes projects for Sigstore.
const TOKEN_FILE: &str = "/var/run/sigstore/cosign/oidc-token";
/// Says that this is a machine of Google's.
const PRODUCT_NAME: &str = "/sys/class/dmi/id/product_name";
/// Where SPIRE's agent listens unless it is told otherwise.
const SPIRE_SOCKET: &str = "/tmp/spire-agent/public/api.sock";

/// The providers in the order in which they are asked, with cosign's names for those that it has.
pub const PROVIDERS: [&str; 9] = [
    "github-actions",
    "gitlab-ci",
    "buildkite-agent",
    "circleci",
    "envvar",
    "filesystem",
    "google-workload-identity",
    "google-impersonate",
    "spiffe",
];

/// Looks up a variable of the environment.
pub type Variable = dyn Fn(&str) -> Option<String> + Send + Sync;

/// What a provider finds out about the place.
pub struct Place<'a> {
    /// Looks up a variable of the environment.
    pub variable: &'a Variable,
    /// The projected token, elsewhere than usual in tests.
    pub token_file: PathBuf,
    /// Where Linux says what machine this is.
    pub product_name: PathBuf,
    /// Where SPIRE's agent listens if no variable says so.
    pub spire_socket: PathBuf,
}

/// What became of the search.
#[derive(Debug, Default)]
pub struct Looked {
    /// The token of the first provider that is there.
    pub token: Option<IdentityToken>,
    /// Those that were asked before, and what shows that they are not here.
    pub absent: Vec<(&'static str, String)>,
}

/// What one provider says.
enum Found {
    Token(IdentityToken),
    /// It is not here, which shows by this.
    Absent(String),
}

impl<'a> Place<'a> {
    /// This machine, with these variables.
    pub fn new(variable: &'a Variable) -> Self {
        Self {
            variable,
            token_file: PathBuf::from(TOKEN_FILE),
            product_name: PathBuf::from(PRODUCT_NAME),
            spire_socket: PathBuf::from(SPIRE_SOCKET),
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The variables of these names that are not set.
    fn without(&self, names: &[&str]) -> Found {
        let missing = names.iter().filter(|name| !self.has(name));
        let missing: Vec<&str> = missing.copied().collect();
        Found::Absent(match missing.as_slice() {
            [one] => format!("{one} is not set"),
            several => format!("{} are not set", several.join(" and ")),
        })
    }
}

impl Looked {
    /// What was looked for, a line each, for an error; nothing if nothing was.
    pub fn lines(&self) -> String {
        let lines = self.absent.iter();
        let lines: String = lines
            .map(|(name, reason)| format!("\n  {name}: {reason}"))
            .collect();
        match lines.is_empty() {
            true => lines,
            false => format!("\nlooked for, in this order:{lines}"),
        }
    }
}

/// The token that the place offers, for this audience: by the provider with this name, or by the first that is there.
///
/// # Errors
/// If the provider that is there gives none, or the one that was named is not there or not known.
pub async fn token(
    place: &Place<'_>,
    provider: Option<&str>,
    audience: &str,
    options: &Options,
) -> Result<Looked, Error> {
    let mut looked = Looked::default();
    // The short names are those of cosign's help.
    let named = |name: &&str| match provider {
        None => true,
        Some("github") => *name == "github-actions",
        Some("google") => name.starts_with("google-"),
        Some(wanted) => wanted == *name,
    };
    let wanted: Vec<&'static str> = PROVIDERS.into_iter().filter(|name| named(name)).collect();
    for name in wanted {
        match one(name, place, audience, options).await? {
            Found::Token(token) => {
                looked.token = Some(token);
                return Ok(looked);
            }
            Found::Absent(reason) => looked.absent.push((name, reason)),
        }
    }
    let Some(provider) = provider else {
        return Ok(looked);
    };
    Err(Error::Identity(match looked.absent.first() {
        Some((name, reason)) => format!(
            "--oidc-provider {name}: nothing shows that it is here: {reason}{}",
            advice(place)
                .map(|text| format!("; {text}"))
                .unwrap_or_default()
        ),
        None => format!(
            "--oidc-provider {}: there is none of this name, but {}",
            sanitise(provider),
            PROVIDERS.join(", ")
        ),
    }))
}

/// What to do in CI systems that offer an identity only to those who ask for it.
pub fn advice(place: &Place<'_>) -> Option<&'static str> {
    let all = [
        (
            "GITLAB_CI",
            "in GitLab CI, let the job declare `id_tokens: SIGSTORE_ID_TOKEN: aud: sigstore`",
        ),
        (
            "GITHUB_ACTIONS",
            "in GitHub Actions, give the job the permission `id-token: write`",
        ),
        (
            "CIRCLECI",
            "in CircleCI, use an image with the program `circleci`, or get a token with `circleci run oidc get --claims \
             '{\"aud\":\"sigstore\"}'` and give it in SIGSTORE_ID_TOKEN",
        ),
        (
            "KUBERNETES_SERVICE_HOST",
            "in Kubernetes, project a service account token with `audience: sigstore` to \
             /var/run/sigstore/cosign/oidc-token",
        ),
    ];
    let here = all.into_iter().find(|(variable, _)| place.has(variable));
    here.map(|(_, advice)| advice)
}

async fn one(
    name: &str,
    place: &Place<'_>,
    audience: &str,
    options: &Options,
) -> Result<Found, Error> {
    match name {
        "github-actions" => ci::github(place, audience, options).await,
        "gitlab-ci" => ci::gitlab(place, audience),
        "buildkite-agent" => ci::buildkite(place, audience, options).await,
        "circleci" => ci::circleci(place, audience, options).await,
        "envvar" => match place.get("SIGSTORE_ID_TOKEN") {
            Some(token) => IdentityToken::new(&token, "SIGSTORE_ID_TOKEN").map(Found::Token),
            None => Ok(place.without(&["SIGSTORE_ID_TOKEN"])),
        },
        "filesystem" => file(&place.token_file),
        "google-workload-identity" => google::workload_identity(place, audience, options).await,
        "google-impersonate" => google::impersonate(place, audience, options).await,
        _ => spiffe::token(place, audience, options).await,
    }
}

fn file(path: &Path) -> Result<Found, Error> {
    match path.exists() {
        true => {
            IdentityToken::from_file(path, "the token that is projected here").map(Found::Token)
        }
        false => Ok(Found::Absent(format!("there is no {}", path.display()))),
    }
}

/// The token that a provider gave.
fn given(secret: &str, origin: impl fmt::Display) -> Result<Found, Error> {
    IdentityToken::new(secret, origin.to_string()).map(Found::Token)
}
