//! What a configuration may say, and hardly anybody means.

use std::collections::BTreeSet;

use url::{Host, Url};

use super::file::{At, Members};
use super::finding::Findings;
use crate::issuer::{CiProvider, Issuer, IssuerType};

/// Claims that every token may have (RFC 7519, section 4.1).
const REGISTERED: &[&str] = &["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];
/// <https://docs.github.com/en/actions/reference/security/oidc>
const GITHUB: &[&str] = &[
    "actor",
    "actor_id",
    "base_ref",
    "check_run_id",
    "enterprise",
    "enterprise_id",
    "environment",
    "environment_node_id",
    "event_name",
    "head_ref",
    "issuer_scope",
    "job_workflow_ref",
    "job_workflow_sha",
    "ref",
    "ref_protected",
    "ref_type",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "repository_visibility",
    "run_attempt",
    "run_id",
    "run_number",
    "runner_environment",
    "sha",
    "workflow",
    "workflow_ref",
    "workflow_sha",
];
/// <https://docs.gitlab.com/ci/secrets/id_token_authentication/>
const GITLAB: &[&str] = &[
    "ci_config_ref_uri",
    "ci_config_sha",
    "deployment_tier",
    "environment",
    "environment_action",
    "environment_protected",
    "groups_direct",
    "job_id",
    "job_namespace_id",
    "job_namespace_path",
    "job_project_id",
    "job_project_path",
    "job_source",
    "namespace_id",
    "namespace_path",
    "pipeline_id",
    "pipeline_source",
    "project_id",
    "project_path",
    "project_visibility",
    "ref",
    "ref_path",
    "ref_protected",
    "ref_type",
    "runner_environment",
    "runner_id",
    "sha",
    "user_access_level",
    "user_email",
    "user_id",
    "user_identities",
    "user_login",
];
/// What only jobs have, and people and machines never.
const OF_JOBS: &[&str] = &[
    "job_workflow_ref",
    "workflow_ref",
    "repository",
    "repository_owner",
    "repository_owner_id",
    "event_name",
    "ci_config_ref_uri",
    "project_path",
    "namespace_path",
    "pipeline_source",
    "pipeline_slug",
    "kubernetes.io",
];
/// What only people have.
const OF_PEOPLE: &[&str] = &["email", "email_verified", "preferred_username"];

/// Which members are for which types only.
const FOR_TYPES: &[(&str, &[&str])] = &[
    ("subject-domain", &["username", "uri"]),
    ("spiffe-trust-domain", &["spiffe"]),
    ("ci-provider", &["ci-provider"]),
    ("skip-email-verification", &["email"]),
];

/// Looks at one issuer that can be used.
pub(super) fn issuer(
    key: &At<String>,
    members: &Members,
    issuer: &Issuer,
    findings: &mut Findings,
) {
    let line_of = |member: &str| members.line(member).unwrap_or(key.line);
    let mut warn = |line: u64, message: String| {
        findings.warn(line, format!("the issuer {}: {message}", key.value));
    };
    let url = Url::parse(&key.value.replace('*', "x")).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    if key.value.starts_with("http://") && !url.as_ref().is_some_and(is_loopback) {
        warn(
            key.line,
            "http: whoever is between it and this CA can exchange its keys, and so be anybody; use https".to_owned(),
        );
    }
    if members.line("ca-cert").is_some() && key.value.starts_with("http://") {
        warn(
            line_of("ca-cert"),
            "ca-cert has no effect on http".to_owned(),
        );
    }
    for (member, types) in FOR_TYPES {
        let is_there = !members.text(member).is_empty() || members.flag(member);
        if is_there && !types.contains(&issuer.kind.name()) {
            let kind = issuer.kind.name();
            warn(
                line_of(member),
                format!("{member} has no effect on the type {kind}"),
            );
        }
    }
    if issuer.skip_email_verification && issuer.kind == IssuerType::Email {
        warn(
            line_of("skip-email-verification"),
            "whoever may write an address there gets certificates in its name; leave it to issuers where only their owner writes addresses".to_owned(),
        );
    }
    let ours = Tokens::of(issuer, host);
    if issuer.allow.is_empty() && ours.public {
        warn(
            key.line,
            format!(
                "without allow, every job of every user of {} gets certificates; say whose, e.g. allow: ['{}']",
                ours.whose, ours.example
            ),
        );
    } else if issuer.allow.is_empty() && issuer.is_wildcard() {
        warn(
            key.line,
            "whoever can have an issuer at such a URL gets certificates with whatever name it says; say which with allow".to_owned(),
        );
    }
    if let Some(star) = wide_star(&key.value) {
        warn(key.line, star.to_owned());
    }
    for (rule, at) in issuer.allow.iter().zip(members.texts("allow")) {
        for claim in rule.claims() {
            if let Some(whose) = ours.never_has(&claim) {
                warn(
                    at.line,
                    format!("the rule {rule} is about {claim:?}, {whose}: it never holds for that"),
                );
            }
        }
    }
    if let IssuerType::CiProvider(provider) = &issuer.kind {
        let mut missing: BTreeSet<&str> = provider.claims().into_iter().collect();
        missing.retain(|claim| {
            !provider.defaults.contains_key(*claim) && ours.never_has(claim).is_some()
        });
        for claim in missing {
            warn(
                line_of("ci-provider"),
                format!(
                    "the templates of {} are about {claim:?}, which is neither a default value nor a claim of {}: no certificate can be made",
                    provider.name, ours.whose
                ),
            );
        }
    }
}

/// Looks at all issuers together, and at the providers.
pub(super) fn all(
    issuers: &[(&At<String>, &Issuer)],
    providers: &[(&At<String>, &Members, &CiProvider)],
    findings: &mut Findings,
) {
    let plain = |url: &str| url.trim_end_matches('/').to_ascii_lowercase();
    for (index, (key, _)) in issuers.iter().enumerate() {
        let before = &issuers[..index];
        if let Some((other, _)) = before
            .iter()
            .find(|(other, _)| other.value != key.value && plain(&other.value) == plain(&key.value))
        {
            findings.warn(
                key.line,
                format!(
                    "the issuer {} is that of line {} but for its spelling: tokens have one of them, letter for letter",
                    key.value, other.line
                ),
            );
        }
    }
    for (name, members, provider) in providers {
        let used = issuers.iter().any(|(_, issuer)| {
            matches!(&issuer.kind, IssuerType::CiProvider(its) if its.name == provider.name)
        });
        if !used {
            let name_text = &name.value;
            let message = format!("the CI provider {name_text}: no issuer has it as ci-provider");
            findings.warn(name.line, message);
        }
        let claims = provider.claims();
        for (default, _) in members.pairs("default-template-values") {
            if !claims.contains(&default.value.as_str()) {
                findings.warn(
                    default.line,
                    format!(
                        "the CI provider {}: no template has the default value {:?}",
                        name.value, default.value
                    ),
                );
            }
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A star where names are sold.
fn wide_star(url: &str) -> Option<&'static str> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', ':']).next().unwrap_or_default();
    let in_the_end = host.rsplit('.').take(2).any(|label| label.contains('*'));
    in_the_end.then_some(
        "its * is in the part of the name that anybody can register: whoever does is believed",
    )
}

/// What is known of the tokens of an issuer.
struct Tokens {
    whose: &'static str,
    known: Known,
    /// Whether everybody may have such tokens.
    public: bool,
    example: &'static str,
}

/// Which claims tokens may have.
#[derive(Clone, Copy)]
enum Known {
    Anything,
    /// These, and those that begin so.
    Only(&'static [&'static str], &'static [&'static str]),
    OfPeople,
    OfServiceAccounts,
}

impl Tokens {
    fn of(issuer: &Issuer, host: &str) -> Self {
        let provider = match &issuer.kind {
            IssuerType::CiProvider(provider) => Some(provider.name.as_str()),
            _ => None,
        };
        match (provider, host) {
            (Some(_), "token.actions.githubusercontent.com") | (Some("github-workflow"), _) => {
                Self {
                    whose: "GitHub",
                    known: Known::Only(GITHUB, &["repo_property_"]),
                    public: host == "token.actions.githubusercontent.com",
                    example: "repository_owner == \"acme\"",
                }
            }
            (Some(_), "gitlab.com") | (Some("gitlab-pipeline"), _) => Self {
                whose: "GitLab",
                known: Known::Only(GITLAB, &["job_", "user_"]),
                public: host == "gitlab.com",
                example: "namespace_path == \"acme\"",
            },
            _ => Self {
                whose: host_name(host),
                known: match issuer.kind {
                    IssuerType::Email | IssuerType::Username { .. } => Known::OfPeople,
                    IssuerType::Kubernetes => Known::OfServiceAccounts,
                    _ => Known::Anything,
                },
                public: provider.is_some() && host == "agent.buildkite.com",
                example: "organization_slug == \"acme\"",
            },
        }
    }

    /// Why the tokens cannot have a claim, if that is known.
    fn never_has(&self, claim: &str) -> Option<&'static str> {
        if REGISTERED.contains(&claim) {
            return None;
        }
        match self.known {
            Known::Anything => None,
            Known::Only(claims, prefixes) => {
                let begins = prefixes.iter().any(|prefix| claim.starts_with(prefix));
                let has = claims.contains(&claim) || begins;
                (!has).then_some("which tokens of this issuer do not have")
            }
            Known::OfPeople => OF_JOBS
                .contains(&claim)
                .then_some("which people's tokens do not have"),
            Known::OfServiceAccounts => {
                let of_others = OF_PEOPLE.contains(&claim) || OF_JOBS.contains(&claim);
                (of_others && claim != "kubernetes.io")
                    .then_some("which tokens of service accounts do not have")
            }
        }
    }
}

/// Whose jobs they are that everybody may have, as people call them.
fn host_name(host: &str) -> &'static str {
    match host {
        "agent.buildkite.com" => "Buildkite",
        _ => "this issuer",
    }
}
