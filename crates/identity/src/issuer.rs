//! Issuers of identity tokens that a CA believes.

use sealmark_x509::FulcioExtension;

use crate::rule::Rule;
use crate::template::Template;

/// An issuer, as the configuration has it.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// What its tokens say in `iss`; with `*` for one part of it, if there are many such issuers.
    pub url: String,
    /// What its tokens must say in `aud`.
    pub client_id: String,
    /// What its tokens say of somebody.
    pub kind: IssuerType,
    /// Where to find the issuer that is behind this one: a path of member names. Only for [`IssuerType::Email`].
    pub(crate) issuer_claim: Option<Vec<String>>,
    /// What a caller must sign to prove that it has the key, as clients are told: `email` or `sub`.
    pub challenge_claim: Option<String>,
    /// Whether `email_verified` is not asked for.
    pub skip_email_verification: bool,
    /// The certificate, in PEM, of the CA that its HTTPS server has its own from.
    pub ca_cert: Option<String>,
    /// Conditions on claims, one of which must hold; all tokens are good if there is none.
    pub allow: Vec<Rule>,
    /// Whether each token is good for one certificate only.
    pub single_use: bool,
}

/// What the tokens of an issuer say of somebody, and so how a certificate names them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum IssuerType {
    /// A person with an e-mail address.
    Email,
    /// A user of a domain.
    Username {
        /// The domain.
        domain: String,
    },
    /// A URI below another.
    Uri {
        /// Scheme and host that it must have.
        domain: String,
    },
    /// A workload of a SPIFFE trust domain.
    Spiffe {
        /// The trust domain.
        trust_domain: String,
    },
    /// A service account of a Kubernetes cluster.
    Kubernetes,
    /// A CI job.
    CiProvider(Box<CiProvider>),
    /// An identity of Chainguard.
    ChainguardIdentity,
}

/// How the claims of a CI provider become a name and extensions.
#[derive(Clone, Debug, PartialEq)]
pub struct CiProvider {
    /// What it is called in the configuration.
    pub(crate) name: String,
    pub(crate) defaults: std::collections::BTreeMap<String, String>,
    pub(crate) subject: Template,
    pub(crate) extensions: Vec<(FulcioExtension, Template)>,
}

impl CiProvider {
    /// The names of the claims that its templates are about.
    pub(crate) fn claims(&self) -> Vec<&str> {
        let mut claims = Vec::new();
        self.subject.claims(&mut claims);
        for (_, template) in &self.extensions {
            template.claims(&mut claims);
        }
        claims
    }
}

impl IssuerType {
    /// The name that Fulcio's configuration has for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Username { .. } => "username",
            Self::Uri { .. } => "uri",
            Self::Spiffe { .. } => "spiffe",
            Self::Kubernetes => "kubernetes",
            Self::CiProvider(_) => "ci-provider",
            Self::ChainguardIdentity => "chainguard-identity",
        }
    }
}

impl Issuer {
    /// Whether this is the issuer that a token names.
    pub fn is(&self, url: &str) -> bool {
        is_like(&self.url, url)
    }

    /// Whether it stands for many issuers.
    pub fn is_wildcard(&self) -> bool {
        self.url.contains('*')
    }

    /// What a caller must sign: what the configuration says, or `email` for people and `sub` for everybody else.
    pub fn challenge(&self) -> &str {
        let default = match self.kind {
            IssuerType::Email => "email",
            _ => "sub",
        };
        self.challenge_claim.as_deref().unwrap_or(default)
    }
}

/// Whether `text` is as `pattern` says, where `*` stands for one or more of `-_a-zA-Z0-9`.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(before) else {
        return false;
    };
    // What the star takes ends where something else begins, and patterns go on with something else.
    let taken = rest
        .bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        .count();
    if taken == 0 {
        return false;
    }
    (1..=taken)
        .rev()
        .any(|length| is_like(after, &rest[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_part() {
        for (pattern, text, like) in [
            ("https://a.example", "https://a.example", true),
            ("https://a.example", "https://a.example/", false),
            ("https://a.example/*", "https://a.example/x-1_Y", true),
            ("https://a.example/*", "https://a.example/", false),
            ("https://a.example/*", "https://a.example/x/y", false),
            (
                "https://a.example/*",
                "https://a.example/x?https://a.example/x",
                false,
            ),
            ("https://a.example/*", "evil https://a.example/x", false),
            (
                "https://oidc.*.amazonaws.com/id/*",
                "https://oidc.eu-west-1.amazonaws.com/id/AB",
                true,
            ),
            (
                "https://oidc.*.amazonaws.com/id/*",
                "https://oidc.evil.com/.amazonaws.com/id/AB",
                false,
            ),
            ("https://*-x.example", "https://a-x.example", true),
        ] {
            assert_eq!(is_like(pattern, text), like, "{pattern} {text}");
        }
    }
}
