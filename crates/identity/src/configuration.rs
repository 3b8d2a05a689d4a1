//! The configuration of a CA: which issuers of identity tokens it believes, and how.
//!
//! Fulcio's own file is read as it is, YAML or JSON; each member has a name in either.
//! <https://github.com/sigstore/fulcio/blob/main/docs/oidc.md>. What Fulcio lacks are the members `allow` and
//! `single-use-tokens` of an issuer.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use url::Url;

use crate::issuer::{CiProvider, Issuer, IssuerType};
use crate::principal::is_spiffe_trust_domain;
use crate::providers;
use crate::rule::Rule;
use crate::template::Template;

/// The longest file, in bytes.
const MAX_FILE: usize = 1 << 20;
/// Issuers in it.
const MAX_ISSUERS: usize = 1000;

/// Why a configuration is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConfigurationError {
    /// It cannot be read.
    #[error("not a configuration of a certificate authority: {0}")]
    Malformed(String),
    /// Something about one issuer.
    #[error("the issuer {issuer}: {problem}")]
    Issuer {
        /// Which.
        issuer: String,
        /// What is wrong.
        problem: String,
    },
    /// Something about one CI provider.
    #[error("the CI provider {provider}: {problem}")]
    Provider {
        /// Which.
        provider: String,
        /// What is wrong.
        problem: String,
    },
}

/// The issuers that a CA believes.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    issuers: Vec<Issuer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "oidc-issuers", alias = "OIDCIssuers", default)]
    issuers: BTreeMap<String, Entry>,
    #[serde(rename = "meta-issuers", alias = "MetaIssuers", default)]
    meta_issuers: BTreeMap<String, Entry>,
    #[serde(rename = "ci-issuer-metadata", alias = "CIIssuerMetadata", default)]
    providers: BTreeMap<String, Provider>,
    /// Where Fulcio's own file keeps its anchors.
    #[serde(rename = "define", default)]
    _define: IgnoredAny,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Entry {
    #[serde(alias = "IssuerURL")]
    issuer_url: String,
    #[serde(alias = "ClientID")]
    client_id: String,
    #[serde(rename = "type", alias = "Type")]
    kind: String,
    #[serde(alias = "CIProvider")]
    ci_provider: String,
    #[serde(alias = "IssuerClaim")]
    issuer_claim: String,
    #[serde(alias = "SubjectDomain")]
    subject_domain: String,
    #[serde(alias = "SPIFFETrustDomain")]
    spiffe_trust_domain: String,
    #[serde(alias = "ChallengeClaim")]
    challenge_claim: String,
    #[serde(alias = "CACert")]
    ca_cert: String,
    #[serde(alias = "SkipEmailVerification")]
    skip_email_verification: bool,
    #[serde(rename = "description", alias = "Description")]
    _description: IgnoredAny,
    #[serde(rename = "contact", alias = "Contact")]
    _contact: IgnoredAny,
    #[serde(rename = "environment", alias = "Environment")]
    _environment: IgnoredAny,
    allow: Vec<String>,
    single_use_tokens: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Provider {
    #[serde(alias = "DefaultTemplateValues")]
    default_template_values: BTreeMap<String, String>,
    #[serde(alias = "ExtensionTemplates")]
    extension_templates: BTreeMap<String, String>,
    #[serde(alias = "SubjectAlternativeNameTemplate")]
    subject_alternative_name_template: String,
}

impl Configuration {
    /// Reads a configuration.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, ConfigurationError> {
        let malformed =
            |reason: String| ConfigurationError::Malformed(sealmark_formats::excerpt(reason));
        if text.len() > MAX_FILE {
            let length = text.len();
            return Err(malformed(format!(
                "it has {length} bytes, at most {MAX_FILE} are read"
            )));
        }
        // JSON is YAML, but its own parser says better what is wrong with it.
        let file: File = match text.trim_start().starts_with('{') {
            true => serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?,
            false => serde_saphyr::from_str(text).map_err(|error| malformed(error.to_string()))?,
        };
        let count = file.issuers.len() + file.meta_issuers.len();
        if count > MAX_ISSUERS {
            return Err(malformed(format!(
                "it has {count} issuers, at most {MAX_ISSUERS} are read"
            )));
        }
        let mut providers = BTreeMap::new();
        for (name, provider) in &file.providers {
            providers.insert(name.as_str(), read_provider(name, provider)?);
        }
        // Exact ones first: they are more than what a wildcard says.
        let mut issuers = Vec::with_capacity(count);
        for (url, entry) in &file.issuers {
            issuers.push(read_issuer(url, entry, &providers, false)?);
        }
        for (url, entry) in &file.meta_issuers {
            issuers.push(read_issuer(url, entry, &providers, true)?);
        }
        Ok(Self { issuers })
    }

    /// These issuers.
    pub fn of(issuers: Vec<Issuer>) -> Self {
        Self { issuers }
    }

    /// All issuers.
    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    /// The issuer that a token names.
    pub fn find(&self, url: &str) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| issuer.is(url))
    }
}

impl Issuer {
    /// An issuer of people with e-mail addresses, without anything special.
    pub fn email(url: &str, client_id: &str) -> Self {
        Self {
            url: url.to_owned(),
            client_id: client_id.to_owned(),
            kind: IssuerType::Email,
            issuer_claim: None,
            challenge_claim: None,
            skip_email_verification: false,
            ca_cert: None,
            allow: Vec::new(),
            single_use: false,
        }
    }
}

fn read_provider(name: &str, provider: &Provider) -> Result<CiProvider, ConfigurationError> {
    let wrong = |problem: String| ConfigurationError::Provider {
        provider: name.to_owned(),
        problem,
    };
    let template = |what: &str, text: &str| {
        Template::parse(text).map_err(|problem| wrong(format!("the template of {what}: {problem}")))
    };
    let subject = provider.subject_alternative_name_template.trim();
    if subject.is_empty() {
        return Err(wrong(
            "subject-alternative-name-template is missing".to_owned(),
        ));
    }
    let mut extensions = Vec::new();
    for (key, text) in &provider.extension_templates {
        // Fulcio writes the issuer itself, whatever stands here.
        if text.trim().is_empty() || key.eq_ignore_ascii_case("issuer") {
            continue;
        }
        let extension = providers::extension(&kebab(key))
            .ok_or_else(|| wrong(format!("{key:?} is not an extension")))?;
        extensions.push((extension, template(key, text)?));
    }
    Ok(CiProvider {
        name: name.to_owned(),
        defaults: provider.default_template_values.clone(),
        subject: template("subject-alternative-name-template", subject)?,
        extensions,
    })
}

/// The name in YAML of a member that JSON calls `BuildSignerURI`.
fn kebab(name: &str) -> String {
    if name.contains('-') {
        return name.to_owned();
    }
    let name = name.replace("URI", "Uri").replace("SHA", "Sha");
    let mut out = String::new();
    for (at, c) in name.char_indices() {
        if c.is_ascii_uppercase() && at > 0 {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn read_issuer(
    key: &str,
    entry: &Entry,
    providers: &BTreeMap<&str, CiProvider>,
    meta: bool,
) -> Result<Issuer, ConfigurationError> {
    let wrong = |problem: String| ConfigurationError::Issuer {
        issuer: sealmark_formats::excerpt(key.to_owned()),
        problem,
    };
    let missing = |name: &str| wrong(format!("{name} is missing, which its type needs"));
    if !entry.issuer_url.is_empty() && entry.issuer_url != key {
        return Err(wrong(format!(
            "issuer-url says {}; it must be the same",
            entry.issuer_url
        )));
    }
    let url = Url::parse(&key.replace('*', "x"))
        .ok()
        .filter(|url| matches!(url.scheme(), "https" | "http") && url.host_str().is_some())
        .ok_or_else(|| wrong("it is not an http or https URL".to_owned()))?;
    match (meta, key.contains('*')) {
        (false, true) => {
            return Err(wrong("it has a *: put it under meta-issuers".to_owned()));
        }
        (true, false) => return Err(wrong("it has no *: put it under oidc-issuers".to_owned())),
        _ => {}
    }
    if entry.client_id.is_empty() {
        return Err(wrong("client-id is missing".to_owned()));
    }
    let host = url.host_str().unwrap_or_default();
    let kind = match entry.kind.as_str() {
        "email" => IssuerType::Email,
        "username" => {
            let domain = entry.subject_domain.as_str();
            if domain.is_empty() {
                return Err(missing("subject-domain"));
            }
            if domain.contains("://") {
                return Err(wrong(
                    "subject-domain must be a host, without a scheme".to_owned(),
                ));
            }
            check_domain(domain, host).map_err(wrong)?;
            IssuerType::Username {
                domain: domain.to_owned(),
            }
        }
        "uri" => {
            if entry.subject_domain.is_empty() {
                return Err(missing("subject-domain"));
            }
            let domain = Url::parse(&entry.subject_domain).ok();
            let domain = domain.filter(|domain| domain.host_str().is_some());
            let domain = domain
                .ok_or_else(|| wrong("subject-domain must have a scheme and a host".to_owned()))?;
            if domain.scheme() != url.scheme() {
                return Err(wrong(format!(
                    "subject-domain is {}, the issuer {}: they must be the same",
                    domain.scheme(),
                    url.scheme()
                )));
            }
            check_domain(domain.host_str().unwrap_or_default(), host).map_err(wrong)?;
            IssuerType::Uri {
                domain: entry.subject_domain.clone(),
            }
        }
        "spiffe" => {
            if meta {
                return Err(wrong(
                    "SPIFFE issuers cannot be under meta-issuers".to_owned(),
                ));
            }
            let domain = entry.spiffe_trust_domain.as_str();
            let domain = domain.strip_prefix("spiffe://").unwrap_or(domain);
            if domain.is_empty() {
                return Err(missing("spiffe-trust-domain"));
            }
            if !is_spiffe_trust_domain(domain) {
                return Err(wrong("spiffe-trust-domain is not one".to_owned()));
            }
            IssuerType::Spiffe {
                trust_domain: domain.to_owned(),
            }
        }
        "kubernetes" => IssuerType::Kubernetes,
        "chainguard-identity" => IssuerType::ChainguardIdentity,
        "ci-provider" => {
            let name = entry.ci_provider.as_str();
            if name.is_empty() {
                return Err(missing("ci-provider"));
            }
            let provider = providers.get(name).cloned();
            let provider = provider.or_else(|| providers::by_type(name, key));
            IssuerType::CiProvider(Box::new(
                provider.ok_or_else(|| wrong(format!("ci-issuer-metadata has no {name:?}")))?,
            ))
        }
        "" => return Err(wrong("type is missing".to_owned())),
        other => match providers::by_type(other, key) {
            Some(provider) => IssuerType::CiProvider(Box::new(provider)),
            None => {
                return Err(wrong(format!(
                    "{other:?} is not a type; there are email, username, uri, spiffe, kubernetes, ci-provider, chainguard-identity"
                )));
            }
        },
    };
    let issuer_claim = match entry.issuer_claim.as_str() {
        "" => None,
        _ if kind != IssuerType::Email => {
            return Err(wrong("issuer-claim is for the type email only".to_owned()));
        }
        path => Some(claim_path(path).ok_or_else(|| {
            wrong(format!(
                "issuer-claim {path:?} is not supported; write $.name or $.name.name"
            ))
        })?),
    };
    let challenge_claim = match entry.challenge_claim.as_str() {
        "" => None,
        claim @ ("email" | "sub") => Some(claim.to_owned()),
        other => {
            return Err(wrong(format!(
                "challenge-claim {other:?} is neither email nor sub"
            )));
        }
    };
    let allow = entry.allow.iter().map(|rule| Rule::parse(rule));
    let allow: Result<Vec<_>, _> = allow.collect();
    Ok(Issuer {
        url: key.to_owned(),
        client_id: entry.client_id.clone(),
        kind,
        issuer_claim,
        challenge_claim,
        skip_email_verification: entry.skip_email_verification,
        ca_cert: Some(entry.ca_cert.clone()).filter(|pem| !pem.is_empty()),
        allow: allow.map_err(|error| wrong(error.to_string()))?,
        single_use: entry.single_use_tokens,
    })
}

/// `$.federated_claims.connector_id`
fn claim_path(path: &str) -> Option<Vec<String>> {
    let names: Vec<String> = path
        .strip_prefix("$.")?
        .split('.')
        .map(str::to_owned)
        .collect();
    let plain = |name: &String| {
        !name.is_empty()
            && name
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || b"_-".contains(&c))
    };
    names.iter().all(plain).then_some(names)
}

/// Whose users an issuer vouches for must be of the same owner: the last two parts of both hosts are the same.
fn check_domain(domain: &str, issuer: &str) -> Result<(), String> {
    if domain == issuer {
        return Ok(());
    }
    let owner = |host: &str| {
        let parts: Vec<&str> = host.rsplit('.').take(2).collect();
        (parts.len() == 2).then(|| parts.join("."))
    };
    match (owner(domain), owner(issuer)) {
        (Some(a), Some(b)) if a == b => Ok(()),
        _ => Err(format!(
            "subject-domain {domain} and the issuer's host {issuer} have not the same owner: their last two parts differ"
        )),
    }
}
