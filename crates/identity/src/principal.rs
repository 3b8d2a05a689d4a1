//! From verified claims to what a certificate says of somebody.
//!
//! Invariant: the name in a certificate is what the issuer's type says, out of claims that the issuer signed, and
//! nothing else decides over it. A claim that is missing is a refusal, never an empty name.

use sealmark_x509::{FulcioExtension, SubjectAltName};
use serde_json::Value;
use url::Url;

use crate::Claims;
use crate::issuer::{Issuer, IssuerType};

/// The longest name, in bytes.
const MAX_NAME: usize = 2048;

/// What a certificate says of somebody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The subject alternative name.
    pub name: SubjectAltName,
    /// Fulcio's extensions, in the order of their numbers.
    pub extensions: Vec<(FulcioExtension, String)>,
    /// What a caller may sign to prove that it has the key: the values of the claims that clients are known to sign.
    pub challenges: Vec<String>,
}

/// Why claims that are true make no identity.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// A claim is not what it has to be.
    #[error("the claim {claim:?} of the token {problem}")]
    Claim {
        /// Which.
        claim: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A certificate's name or extension could not be made.
    #[error("the token makes no {what}: {problem}")]
    Template {
        /// What was to be made.
        what: String,
        /// Why not.
        problem: String,
    },
    /// No rule of the operator allows it.
    #[error(
        "the tokens of {issuer} are restricted, and this one meets none of the rules: {}",
        rules.join("; ")
    )]
    NotAllowed {
        /// The issuer.
        issuer: String,
        /// The rules.
        rules: Vec<String>,
    },
}

impl Issuer {
    /// Who a token with these claims is of. They were verified, and are of this issuer.
    ///
    /// # Errors
    /// What is missing, or that no rule allows it.
    pub fn identify(&self, claims: &Claims) -> Result<Identity, Refusal> {
        if !self.allow.is_empty() && !self.allow.iter().any(|rule| rule.holds(claims)) {
            return Err(Refusal::NotAllowed {
                issuer: self.url.clone(),
                rules: self.allow.iter().map(ToString::to_string).collect(),
            });
        }
        let subject = text(claims, "sub")?;
        let mut extensions = Vec::new();
        let name = match &self.kind {
            IssuerType::Email => SubjectAltName::Email(self.verified_email(claims)?.to_owned()),
            IssuerType::Username { domain } => {
                if subject.contains('!') || is_email(subject) {
                    return Err(wrong(
                        "sub",
                        "must be a user name, without ! and no e-mail address",
                    ));
                }
                SubjectAltName::Username(format!("{subject}!{domain}"))
            }
            IssuerType::Uri { domain } => {
                let (uri, domain) = (parse("sub", subject)?, Url::parse(domain).ok());
                let same = domain.is_some_and(|domain| {
                    (uri.scheme(), uri.host_str()) == (domain.scheme(), domain.host_str())
                });
                if !same {
                    let problem = format!("is not a URI below {}", self.domain());
                    return Err(wrong("sub", &problem));
                }
                SubjectAltName::Uri(subject.to_owned())
            }
            IssuerType::Spiffe { trust_domain } => {
                if spiffe_trust_domain(subject) != Some(trust_domain) {
                    let problem = format!("is not a SPIFFE ID of the trust domain {trust_domain}");
                    return Err(wrong("sub", &problem));
                }
                SubjectAltName::Uri(subject.to_owned())
            }
            IssuerType::Kubernetes => {
                let part = |path: &[&str]| {
                    let path: Vec<String> = path.iter().map(|it| (*it).to_owned()).collect();
                    let value = claims.at(&path).and_then(Value::as_str);
                    let value = value.filter(|value| is_kubernetes_name(value));
                    value.ok_or_else(|| wrong(&path.join("."), "is missing, or is no name"))
                };
                let namespace = part(&["kubernetes.io", "namespace"])?;
                let account = part(&["kubernetes.io", "serviceaccount", "name"])?;
                SubjectAltName::Uri(format!(
                    "https://kubernetes.io/namespaces/{namespace}/serviceaccounts/{account}"
                ))
            }
            IssuerType::ChainguardIdentity => {
                let issuer = claims.issuer().trim_end_matches('/');
                SubjectAltName::Uri(format!("{issuer}/{subject}"))
            }
            IssuerType::CiProvider(provider) => {
                let mut data = provider.defaults.clone();
                data.extend(claims.texts());
                let fill = |what: &dyn Fn() -> String, template: &crate::template::Template| {
                    let result = template.fill(&data);
                    result.map_err(|problem| Refusal::Template {
                        what: format!("{} by the rules of {}", what(), provider.name),
                        problem,
                    })
                };
                for (extension, template) in &provider.extensions {
                    let value = fill(&|| extension.label().to_owned(), template)?;
                    extensions.push((*extension, value));
                }
                let name = fill(&|| "name".to_owned(), &provider.subject)?;
                parse("sub", &name).map_err(|_| Refusal::Template {
                    what: "name".to_owned(),
                    problem: "what its claims make is not a URI".to_owned(),
                })?;
                SubjectAltName::Uri(name)
            }
        };
        if name.value().len() > MAX_NAME {
            return Err(wrong(
                "sub",
                &format!("makes a name of more than {MAX_NAME} bytes"),
            ));
        }
        let issuer = self.issuer_of(claims)?;
        extensions.push((FulcioExtension::IssuerV1, issuer.clone()));
        extensions.push((FulcioExtension::Issuer, issuer));
        extensions.push((FulcioExtension::TokenSubject, subject.to_owned()));
        extensions.retain(|(_, value)| !value.is_empty());
        extensions.sort_by_key(|(extension, _)| extension.number());
        Ok(Identity {
            name,
            extensions,
            challenges: self.challenges(claims, subject),
        })
    }

    fn domain(&self) -> &str {
        match &self.kind {
            IssuerType::Username { domain } | IssuerType::Uri { domain } => domain,
            IssuerType::Spiffe { trust_domain } => trust_domain,
            _ => "",
        }
    }

    fn verified_email<'a>(&self, claims: &'a Claims) -> Result<&'a str, Refusal> {
        let email = text(claims, "email")?;
        if !is_email(email) {
            return Err(wrong("email", "is not an e-mail address"));
        }
        // Some issuers write the boolean as a text.
        let verified = claims.get("email_verified");
        let verified = verified
            .is_some_and(|value| value == &Value::Bool(true) || value == "true" || value == "True");
        match verified || self.skip_email_verification {
            true => Ok(email),
            false => Err(wrong(
                "email_verified",
                "is not true: the issuer does not say that the address is the person's",
            )),
        }
    }

    /// The issuer that the certificate names: this one, or the one behind it.
    fn issuer_of(&self, claims: &Claims) -> Result<String, Refusal> {
        let Some(path) = &self.issuer_claim else {
            return Ok(claims.issuer().to_owned());
        };
        let value = claims.at(path).and_then(Value::as_str);
        let value = value.filter(|value| !value.is_empty());
        value
            .map(str::to_owned)
            .ok_or_else(|| wrong(&path.join("."), "is missing: it names the issuer"))
    }

    /// Clients sign `email` if the token has it, else `sub`, whatever the type of the issuer; Fulcio accepts only the
    /// one of its configuration. Both are of the same token, so both prove the same.
    fn challenges(&self, claims: &Claims, subject: &str) -> Vec<String> {
        let configured = self.challenge_claim.as_deref();
        let configured = configured.and_then(|claim| claims.text(claim));
        let mut challenges = vec![subject.to_owned()];
        for challenge in [claims.text("email"), configured].into_iter().flatten() {
            if !challenges.iter().any(|have| have == challenge) {
                challenges.push(challenge.to_owned());
            }
        }
        challenges
    }
}

fn text<'a>(claims: &'a Claims, name: &str) -> Result<&'a str, Refusal> {
    claims
        .text(name)
        .ok_or_else(|| wrong(name, "is missing, or empty"))
}

fn wrong(claim: &str, problem: &str) -> Refusal {
    Refusal::Claim {
        claim: claim.to_owned(),
        problem: problem.to_owned(),
    }
}

fn parse(claim: &str, uri: &str) -> Result<Url, Refusal> {
    let printable = !uri.chars().any(|c| c.is_control() || c.is_whitespace());
    Url::parse(uri)
        .ok()
        .filter(|_| printable)
        .ok_or_else(|| wrong(claim, "is not a URI"))
}

/// The trust domain of a SPIFFE ID.
/// <https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md>
fn spiffe_trust_domain(id: &str) -> Option<&str> {
    let rest = id.strip_prefix("spiffe://").filter(|_| id.len() <= 2048)?;
    let (domain, path) = match rest.split_once('/') {
        Some((domain, path)) => (domain, Some(path)),
        None => (rest, None),
    };
    let segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || b"-._".contains(&c))
    };
    let good =
        is_spiffe_trust_domain(domain) && path.is_none_or(|path| path.split('/').all(segment));
    good.then_some(domain)
}

pub(crate) fn is_spiffe_trust_domain(domain: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-._".contains(&c);
    !domain.is_empty() && domain.len() <= 255 && domain.bytes().all(allowed)
}

/// As Kubernetes names namespaces and service accounts (RFC 1123, with dots).
fn is_kubernetes_name(name: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-.".contains(&c);
    !name.is_empty() && name.len() <= 253 && name.bytes().all(allowed)
}

/// Whether it is an address as people have them (RFC 5321, section 4.1.2, without quotes and address literals).
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let local_good = local.split('.').all(|atom| {
        !atom.is_empty()
            && atom.chars().all(|c| {
                c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii()
            })
    });
    let domain_good = domain.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || !c.is_ascii())
    });
    text.len() <= 254
        && local_good
        && domain_good
        && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        for (text, good) in [
            ("jane@example.org", true),
            ("jane.doe+sign@mail.example.org", true),
            ("jane@localhost", true),
            ("jane", false),
            ("@example.org", false),
            ("jane@", false),
            ("jane@example.org\n", false),
            ("jane doe@example.org", false),
            ("jane@example..org", false),
            ("jane@-example.org", false),
            ("<jane@example.org>", false),
        ] {
            assert_eq!(is_email(text), good, "{text}");
        }
    }

    #[test]
    fn spiffe_ids_are_of_one_trust_domain() {
        for (id, domain) in [
            ("spiffe://example.org/service", Some("example.org")),
            ("spiffe://example.org", Some("example.org")),
            ("spiffe://example.org/", None),
            ("spiffe://example.org/a/../b", None),
            ("spiffe://example.org/a//b", None),
            ("spiffe://Example.org/a", None),
            ("spiffe://example.org:80/a", None),
            ("spiffe://me@example.org/a", None),
            ("spiffe://example.org/a?b", None),
            ("https://example.org/a", None),
        ] {
            assert_eq!(spiffe_trust_domain(id), domain, "{id}");
        }
    }
}
