//! Why a certificate authority takes a token, or does not: what it says, who signed it, and who believes that issuer.
//!
//! Invariant: nothing here believes the token. What is asked of its issuer goes only to `https`, or to this machine.

use jiff::Timestamp;
use sealmark_identity::{Expected, KeySet, SigningAlgorithm, Token, TokenError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::IdentityToken;
use crate::Error;
use sealmark_http::{Options, Service, sanitise};

const ISSUER: &str = "identity provider";
const AUTHORITY: &str = "certificate authority";
/// How far `nbf` may be in the future, in seconds, as for Fulcio.
const NOT_BEFORE_LEEWAY: i64 = 300;
/// Issuers of an authority that are named to whoever has another one.
const MAX_NAMED: usize = 20;

/// What became of a check.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is as it must be.
    Passed,
    /// An authority refuses the token for this.
    Failed,
    /// Nobody looked.
    Skipped,
}

/// One check of a token.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The claim, or what else was looked at.
    pub what: &'static str,
    /// What became of it.
    pub outcome: Outcome,
    /// What was found, and what to do.
    pub reason: String,
}

impl Finding {
    fn new(what: &'static str, passed: bool, reason: impl Into<String>) -> Self {
        let outcome = match passed {
            true => Outcome::Passed,
            false => Outcome::Failed,
        };
        let reason = reason.into();
        Self {
            what,
            outcome,
            reason,
        }
    }

    /// A check that was not made.
    pub fn skipped(what: &'static str, reason: impl Into<String>) -> Self {
        let (outcome, reason) = (Outcome::Skipped, reason.into());
        Self {
            what,
            outcome,
            reason,
        }
    }
}

/// A time in a claim, in seconds since 1970.
pub fn seconds(token: &Token, claim: &str) -> Option<i64> {
    let value = token.unverified_claim(claim)?;
    value
        .as_i64()
        .or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64))
}

/// A time as people read it.
pub fn shown(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds);
    time.map_or_else(
        |_| format!("{seconds} s after 1970"),
        |time| time.to_string(),
    )
}

/// What the token says, as an authority looks at it that wants this audience.
pub fn claims(token: &IdentityToken, audience: &str, now: i64) -> Vec<Finding> {
    let inner = token.unverified();
    let known = SigningAlgorithm::from_name(inner.algorithm()).is_some();
    let key = inner.key_id().map_or_else(
        || "it does not say with which key".to_owned(),
        |kid| format!("key {:?}", sanitise(kid)),
    );
    let algorithm = sanitise(inner.algorithm());
    let mut findings = vec![match known {
        true => Finding::new("alg", true, format!("{algorithm}, {key}")),
        false => {
            let names = SigningAlgorithm::ALL.map(SigningAlgorithm::name).join(", ");
            Finding::new(
                "alg",
                false,
                format!("{algorithm:?}, and an issuer must sign with {names}"),
            )
        }
    }];
    for name in ["iss", "sub"] {
        findings.push(match token.claim(name) {
            Some(text) => Finding::new(name, true, sanitise(text)),
            None => Finding::new(name, false, "it is missing"),
        });
    }
    let aud = inner.unverified_claim("aud").unwrap_or(&Value::Null);
    let aud = sanitise(&aud.to_string());
    findings.push(match token.is_for(audience) {
        true => Finding::new("aud", true, aud),
        false => Finding::new(
            "aud",
            false,
            format!("it is {aud}, not {audience:?}; ask the identity provider for a token with that audience"),
        ),
    });
    findings.push(match seconds(inner, "exp") {
        None => Finding::new("exp", false, "it is missing"),
        Some(end) if end <= now => {
            let ago = now.saturating_sub(end);
            Finding::new(
                "exp",
                false,
                format!("it expired {ago} s ago, at {}; get a new one", shown(end)),
            )
        }
        Some(end) => Finding::new(
            "exp",
            true,
            format!("in {} s, at {}", end.saturating_sub(now), shown(end)),
        ),
    });
    if let Some(start) = seconds(inner, "nbf") {
        let ahead = start.saturating_sub(now);
        findings.push(match ahead > NOT_BEFORE_LEEWAY {
            true => {
                let reason = format!(
                    "it is valid only in {ahead} s, at {}: one of the clocks is wrong",
                    shown(start)
                );
                Finding::new("nbf", false, reason)
            }
            false => Finding::new("nbf", true, format!("since {}", shown(start))),
        });
    }
    if let Some(email) = token.claim("email") {
        let email = sanitise(email);
        findings.push(match inner.unverified_claim("email_verified") {
            Some(Value::Bool(true)) => Finding::new("email_verified", true, format!("{email} is verified")),
            _ => Finding::new(
                "email_verified",
                false,
                format!("the issuer does not say that {email} is verified, which authorities demand of an issuer of people"),
            ),
        });
    }
    findings
}

/// The issuer's metadata (OpenID Connect Discovery, section 3).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
    #[serde(default)]
    id_token_signing_alg_values_supported: Vec<String>,
}

/// Whether a key signed the token that the issuer publishes; the issuer is asked.
pub async fn signature(token: &IdentityToken, now: i64, options: &Options) -> Finding {
    match published(token, options).await {
        Err(error) => Finding::new("signature", false, error.to_string()),
        Ok((keys, algorithms)) => {
            let issuer = token.claim("iss").unwrap_or_default();
            let expected = Expected {
                issuer,
                audience: None,
                algorithms: &algorithms,
            };
            match token.unverified().verify(&keys, &expected, now) {
                // These are looked at once the signature is known to be good.
                Ok(_)
                | Err(
                    TokenError::Expired { .. } | TokenError::NotYet { .. } | TokenError::Missing(_),
                ) => Finding::new(
                    "signature",
                    true,
                    format!("by a key that {} publishes", sanitise(issuer)),
                ),
                Err(error) => Finding::new("signature", false, error.to_string()),
            }
        }
    }
}

async fn published(
    token: &IdentityToken,
    options: &Options,
) -> Result<(KeySet, Vec<SigningAlgorithm>), Error> {
    let issuer = token.claim("iss").unwrap_or_default();
    let service = Service::new(ISSUER, &only_protected(issuer)?, options)?;
    let url = service.at(".well-known/openid-configuration");
    let answer = service.get(&url, |request| request).await?.good()?;
    let metadata: Metadata = answer.json()?;
    if metadata.issuer != issuer {
        let found = sanitise(&metadata.issuer);
        let reason = format_args!("it is the metadata of {found:?}, letter by letter");
        return Err(answer.malformed(reason).into());
    }
    let keys = Service::new(ISSUER, &only_protected(&metadata.jwks_uri)?, options)?;
    let url = keys.url().clone();
    let answer = keys.get(&url, |request| request).await?.good()?;
    let set = KeySet::parse(&answer.body).map_err(|error| answer.malformed(error))?;
    let names = metadata.id_token_signing_alg_values_supported.iter();
    let mut algorithms: Vec<_> = names
        .filter_map(|name| SigningAlgorithm::from_name(name))
        .collect();
    if algorithms.is_empty() {
        // OpenID Connect Core, section 2: what everybody signs with who does not say.
        algorithms.push(SigningAlgorithm::Rs256);
    }
    Ok((set, algorithms))
}

/// The URL, if it is one that an unknown token may send this program to.
fn only_protected(text: &str) -> Result<String, Error> {
    let url = Url::parse(text).ok();
    let fine = url.is_some_and(|url| {
        let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        url.scheme() == "https" || (url.scheme() == "http" && here)
    });
    match fine {
        true => Ok(text.to_owned()),
        false => Err(Error::Service(sealmark_http::Error::Url {
            kind: ISSUER,
            url: sanitise(text),
            reason: "it is not https".to_owned(),
        })),
    }
}

/// An issuer that an authority believes (`/api/v2/configuration`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Believed {
    issuer_url: String,
    wildcard_issuer_url: String,
    audience: String,
    issuer_type: String,
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    issuers: Vec<Believed>,
}

/// Whether the authority at `url` believes the token's issuer; it is asked, and is not shown the token.
pub async fn authority(url: &str, token: &IdentityToken, options: &Options) -> Finding {
    let what = "issuer believed";
    let configuration = async {
        let service = Service::new(AUTHORITY, url, options)?;
        let url = service.at("api/v2/configuration");
        let answer = service.get(&url, |request| request).await?.good()?;
        answer.json::<Configuration>()
    };
    let issuers = match configuration.await {
        Ok(configuration) => configuration.issuers,
        Err(error) => return Finding::new(what, false, error.to_string()),
    };
    let issuer = token.claim("iss").unwrap_or_default();
    let is_meant =
        |it: &&Believed| it.issuer_url == issuer || is_like(&it.wildcard_issuer_url, issuer);
    let Some(found) = issuers.iter().find(is_meant) else {
        let name =
            |it: &Believed| sanitise(&format!("{}{}", it.issuer_url, it.wildcard_issuer_url));
        let mut names: Vec<String> = issuers.iter().map(name).take(MAX_NAMED).collect();
        names.sort();
        let names = names.join(", ");
        return Finding::new(
            what,
            false,
            format!(
                "{} believes no tokens of {}, but of: {names}",
                sanitise(url),
                sanitise(issuer)
            ),
        );
    };
    let (audience, kind) = (sanitise(&found.audience), sanitise(&found.issuer_type));
    match token.is_for(&found.audience) {
        true => Finding::new(
            what,
            true,
            format!("by {}, as one of type {kind}", sanitise(url)),
        ),
        false => Finding::new(
            what,
            false,
            format!("{} wants the audience {audience:?} of it", sanitise(url)),
        ),
    }
}

/// Whether `text` is as `pattern` says, where `*` stands for a part of a host or path, as in Fulcio.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return false;
    };
    let middle = text
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after));
    let of_a_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    middle.is_some_and(|middle| !middle.is_empty() && middle.chars().all(of_a_part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::identity::tests::token;

    const NOW: i64 = 1_800_000_000;

    fn failed(changes: Value) -> Vec<&'static str> {
        let mut all = json!({
            "iss": "https://issuer.example", "sub": "s1", "aud": ["other", "sigstore"], "email": "jane@example.org",
            "email_verified": true, "exp": NOW + 60, "nbf": NOW - 1,
        });
        for (name, value) in changes.as_object().unwrap() {
            all[name] = value.clone();
        }
        let token = IdentityToken::parse(&token(&all), "a test").unwrap();
        let findings = claims(&token, "sigstore", NOW);
        let failed = findings.iter().filter(|it| it.outcome == Outcome::Failed);
        failed.map(|it| it.what).collect()
    }

    #[test]
    fn each_claim_that_an_authority_refuses_is_named() {
        for (changes, expected) in [
            (json!({}), &[][..]),
            (json!({"aud": "else"}), &["aud"]),
            (json!({"aud": null}), &["aud"]),
            (json!({"exp": NOW}), &["exp"]),
            (json!({"exp": "soon"}), &["exp"]),
            (json!({"nbf": NOW + 301}), &["nbf"]),
            (json!({"email_verified": "true"}), &["email_verified"]),
            (json!({"email": null, "email_verified": null}), &[]),
            (json!({"iss": null, "sub": ""}), &["iss", "sub"]),
        ] {
            assert_eq!(failed(changes.clone()), expected, "{changes}");
        }
    }

    #[test]
    fn an_unknown_token_sends_nobody_anywhere() {
        assert!(only_protected("https://issuer.example").is_ok());
        assert!(only_protected("http://127.0.0.1:1/oidc").is_ok());
        for url in ["http://169.254.169.254", "file:///etc/passwd", "x", ""] {
            assert!(only_protected(url).is_err(), "{url}");
        }
        assert!(is_like(
            "https://oidc.eks.*.amazonaws.com",
            "https://oidc.eks.eu-1.amazonaws.com"
        ));
        assert!(!is_like("https://*", "https://evil.example/x"));
    }
}
