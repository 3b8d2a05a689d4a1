//! From what a file says of an issuer or a CI provider to what it means, or to what is wrong with it.

use std::collections::BTreeMap;

use sealmark_x509::Certificate;
use url::Url;

use super::file::{At, Members};
use super::finding::Findings;
use crate::issuer::{CiProvider, Issuer, IssuerType};
use crate::principal::is_spiffe_trust_domain;
use crate::providers;
use crate::rule::Rule;
use crate::template::Template;

/// Names that nobody knows, and those that are there twice.
pub(super) fn strangers(what: &str, members: &Members, findings: &mut Findings) {
    for stranger in &members.strangers {
        let name = &stranger.name.value;
        findings.fault(
            stranger.name.line,
            match stranger.is_second {
                true => format!("{what}: {name} is there twice: keep one"),
                false => format!(
                    "{what}: unknown field {name:?}; there are {}",
                    stranger.known.join(", ")
                ),
            },
        );
    }
}

/// A CI provider; `None` if something is wrong with it.
pub(super) fn provider(
    name: &At<String>,
    members: &Members,
    findings: &mut Findings,
) -> Option<CiProvider> {
    let what = format!("the CI provider {}", name.value);
    strangers(&what, members, findings);
    let mut read = |line: u64, key: &str, text: &str| {
        let template = Template::parse(text);
        template
            .map_err(|problem| {
                findings.fault(line, format!("{what}: the template of {key}: {problem}"));
            })
            .ok()
    };
    const SUBJECT: &str = "subject-alternative-name-template";
    let subject = members.text(SUBJECT).trim();
    let subject_line = members.line(SUBJECT).unwrap_or(name.line);
    let subject = match subject.is_empty() {
        true => Err(format!("{what}: {SUBJECT} is missing")),
        false => Ok(read(subject_line, SUBJECT, subject)),
    };
    let mut extensions = Vec::new();
    let mut unknown = Vec::new();
    for (key, text) in members.pairs("extension-templates") {
        // Fulcio writes the issuer itself, whatever stands here.
        if text.value.trim().is_empty() || key.value.eq_ignore_ascii_case("issuer") {
            continue;
        }
        match providers::extension(&kebab(&key.value)) {
            Some(extension) => {
                let template = read(text.line, &key.value, &text.value);
                extensions.extend(template.map(|template| (extension, template)));
            }
            None => unknown.push(key),
        }
    }
    for key in unknown {
        let key_name = &key.value;
        findings.fault(
            key.line,
            format!(
                "{what}: {key_name:?} is not an extension; they are called build-signer-uri, source-repository-digest and so on, as in Fulcio's oid-info"
            ),
        );
    }
    let subject = subject.map_err(|message| findings.fault(name.line, message));
    let defaults = members.pairs("default-template-values").iter();
    Some(CiProvider {
        name: name.value.clone(),
        defaults: defaults
            .map(|(name, value)| (name.value.clone(), value.value.clone()))
            .collect(),
        subject: subject.ok()??,
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

/// The providers of a file. One that is there, and wrong, is not missing besides.
pub(super) type Providers = BTreeMap<String, Option<CiProvider>>;

/// An issuer; `None` if something is wrong with it.
pub(super) fn issuer(
    key: &At<String>,
    members: &Members,
    providers: &Providers,
    meta: bool,
    findings: &mut Findings,
) -> Option<Issuer> {
    let what = format!("the issuer {}", key.value);
    strangers(&what, members, findings);
    let mut reader = Reader {
        key,
        members,
        providers,
        meta,
        findings,
        good: members.strangers.is_empty(),
    };
    let issuer = reader.read();
    issuer.filter(|_| reader.good)
}

struct Reader<'a> {
    key: &'a At<String>,
    members: &'a Members,
    providers: &'a Providers,
    meta: bool,
    findings: &'a mut Findings,
    good: bool,
}

impl Reader<'_> {
    /// Something is wrong with a member, or with the issuer if it has not that.
    fn wrong(&mut self, member: &str, problem: impl std::fmt::Display) {
        let line = self.members.line(member).unwrap_or(self.key.line);
        self.wrong_at(line, problem);
    }

    fn wrong_at(&mut self, line: u64, problem: impl std::fmt::Display) {
        let issuer = sealmark_formats::excerpt(self.key.value.clone());
        self.findings
            .fault(line, format!("the issuer {issuer}: {problem}"));
        self.good = false;
    }

    fn missing(&mut self, member: &str) {
        self.wrong("", format!("{member} is missing, which its type needs"));
    }

    fn read(&mut self) -> Option<Issuer> {
        let members = self.members;
        let key = self.key.value.as_str();
        let named = members.text("issuer-url");
        if !named.is_empty() && named != key {
            let problem = format!("issuer-url says {named}; it must be the same");
            self.wrong("issuer-url", problem);
        }
        match (self.meta, key.contains('*')) {
            (false, true) => self.wrong("", "it has a *: put it under meta-issuers"),
            (true, false) => self.wrong("", "it has no *: put it under oidc-issuers"),
            _ => {}
        }
        if members.text("client-id").is_empty() {
            let problem = "client-id is missing: what its tokens have as audience, which clients of Sigstore ask for as \"sigstore\"";
            self.wrong("client-id", problem);
        }
        let url = Url::parse(&key.replace('*', "x")).ok();
        let url =
            url.filter(|url| matches!(url.scheme(), "https" | "http") && url.host_str().is_some());
        if url.is_none() {
            self.wrong("", "it is not an http or https URL");
        }
        let kind = url.as_ref().and_then(|url| self.kind(url));
        let issuer_claim = self.issuer_claim(kind.as_ref());
        let challenge_claim = match members.text("challenge-claim") {
            "" => None,
            claim @ ("email" | "sub") => Some(claim.to_owned()),
            other => {
                let problem = format!("challenge-claim {other:?} is neither email nor sub");
                self.wrong("challenge-claim", problem);
                None
            }
        };
        let ca_cert = Some(members.text("ca-cert").to_owned()).filter(|pem| !pem.is_empty());
        if let Some(pem) = &ca_cert
            && let Err(error) = Certificate::chain_from_pem(pem.as_bytes())
        {
            self.wrong("ca-cert", format!("ca-cert cannot be used: {error}"));
        }
        let mut allow = Vec::new();
        for rule in members.texts("allow") {
            match Rule::parse(&rule.value) {
                Ok(rule) => allow.push(rule),
                Err(error) => self.wrong_at(rule.line, error),
            }
        }
        Some(Issuer {
            url: key.to_owned(),
            client_id: members.text("client-id").to_owned(),
            kind: kind?,
            issuer_claim,
            challenge_claim,
            skip_email_verification: members.flag("skip-email-verification"),
            ca_cert,
            allow,
            single_use: members.flag("single-use-tokens"),
        })
    }

    fn kind(&mut self, url: &Url) -> Option<IssuerType> {
        let (members, key) = (self.members, self.key.value.as_str());
        let host = url.host_str().unwrap_or_default();
        match members.text("type") {
            "email" => Some(IssuerType::Email),
            "username" => {
                let domain = members.text("subject-domain");
                if domain.is_empty() {
                    self.missing("subject-domain");
                } else if domain.contains("://") {
                    let problem = "subject-domain must be a host, without a scheme";
                    self.wrong("subject-domain", problem);
                } else if let Err(problem) = check_domain(domain, host) {
                    self.wrong("subject-domain", problem);
                }
                let domain = domain.to_owned();
                Some(IssuerType::Username { domain })
            }
            "uri" => {
                let text = members.text("subject-domain");
                let domain = Url::parse(text).ok();
                match domain.filter(|domain| domain.host_str().is_some()) {
                    _ if text.is_empty() => self.missing("subject-domain"),
                    None => {
                        let problem = "subject-domain must have a scheme and a host";
                        self.wrong("subject-domain", problem);
                    }
                    Some(domain) if domain.scheme() != url.scheme() => {
                        let problem = format!(
                            "subject-domain is {}, the issuer {}: they must be the same",
                            domain.scheme(),
                            url.scheme()
                        );
                        self.wrong("subject-domain", problem);
                    }
                    Some(domain) => {
                        let domain = domain.host_str().unwrap_or_default();
                        if let Err(problem) = check_domain(domain, host) {
                            self.wrong("subject-domain", problem);
                        }
                    }
                }
                let domain = text.to_owned();
                Some(IssuerType::Uri { domain })
            }
            "spiffe" => {
                if self.meta {
                    self.wrong("type", "SPIFFE issuers cannot be under meta-issuers");
                }
                let domain = members.text("spiffe-trust-domain");
                let domain = domain.strip_prefix("spiffe://").unwrap_or(domain);
                if domain.is_empty() {
                    self.missing("spiffe-trust-domain");
                } else if !is_spiffe_trust_domain(domain) {
                    let problem = "spiffe-trust-domain is not one: lower case letters, digits, and -._, as prod.example.com";
                    self.wrong("spiffe-trust-domain", problem);
                }
                let trust_domain = domain.to_owned();
                Some(IssuerType::Spiffe { trust_domain })
            }
            "kubernetes" => Some(IssuerType::Kubernetes),
            "chainguard-identity" => Some(IssuerType::ChainguardIdentity),
            "ci-provider" => {
                let name = members.text("ci-provider");
                if name.is_empty() {
                    self.missing("ci-provider");
                    return None;
                }
                let found = match self.providers.get(name) {
                    // It was told already what is wrong with that one.
                    Some(None) => {
                        self.good = false;
                        return None;
                    }
                    Some(Some(provider)) => Some(provider.clone()),
                    None => providers::by_type(name, key),
                };
                if found.is_none() {
                    let known: Vec<&str> = self.providers.keys().map(String::as_str).collect();
                    let problem = match known.is_empty() {
                        true => format!("ci-issuer-metadata has no {name:?}"),
                        false => format!(
                            "ci-issuer-metadata has no {name:?}, but {}",
                            known.join(", ")
                        ),
                    };
                    self.wrong("ci-provider", problem);
                }
                found.map(|provider| IssuerType::CiProvider(Box::new(provider)))
            }
            "" => {
                self.wrong("type", "type is missing");
                None
            }
            other => {
                let provider = providers::by_type(other, key);
                if provider.is_none() {
                    let problem = format!(
                        "{other:?} is not a type; there are email, username, uri, spiffe, kubernetes, ci-provider, chainguard-identity"
                    );
                    self.wrong("type", problem);
                }
                provider.map(|provider| IssuerType::CiProvider(Box::new(provider)))
            }
        }
    }

    fn issuer_claim(&mut self, kind: Option<&IssuerType>) -> Option<Vec<String>> {
        let path = self.members.text("issuer-claim");
        if path.is_empty() {
            return None;
        }
        if kind.is_some_and(|kind| *kind != IssuerType::Email) {
            self.wrong("issuer-claim", "issuer-claim is for the type email only");
            return None;
        }
        let found = claim_path(path);
        if found.is_none() {
            let problem =
                format!("issuer-claim {path:?} is not supported; write $.name or $.name.name");
            self.wrong("issuer-claim", problem);
        }
        found
    }
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
