//! What a vault answers who comes without a token: where to log in, and what the token is to be for.
//! <https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses>

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use url::Url;

use super::cloud::below;
use super::error::Error;

/// The challenge, checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Challenge {
    /// The tenant that the vault trusts.
    pub(crate) tenant: String,
    /// What the token is for: `https://vault.azure.net`.
    pub(crate) resource: String,
}

impl Challenge {
    /// Reads the challenge of a vault, and refuses one that would have a token made for somebody else.
    pub(crate) fn read(headers: &HeaderMap, vault: &str) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Challenge {
            vault: vault.to_owned(),
            reason,
        };
        let text = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .find_map(|value| value.trim().strip_prefix("Bearer "))
            .ok_or_else(|| refuse("its answer 401 has no challenge for a bearer token".into()))?;
        let authorization = parameter(text, "authorization")
            .or_else(|| parameter(text, "authorization_uri"))
            .ok_or_else(|| refuse("its challenge does not say where to log in".into()))?;
        let tenant = Url::parse(authorization)
            .ok()
            .and_then(|url| Some(url.path_segments()?.next()?.to_owned()))
            .filter(|tenant| is_tenant(tenant))
            .ok_or_else(|| refuse("its challenge does not name a tenant".into()))?;
        let resource = parameter(text, "resource")
            .or_else(|| parameter(text, "scope").map(|scope| scope.trim_end_matches("/.default")))
            .ok_or_else(|| {
                refuse("its challenge does not say what the token is to be for".into())
            })?;
        let resource = resource.trim_end_matches('/');
        let host = Url::parse(resource)
            .ok()
            .filter(|url| url.scheme() == "https")
            .and_then(|url| url.host_str().map(str::to_owned))
            .ok_or_else(|| {
                refuse(format!(
                    "a token for {resource:?}, which is no https:// URL"
                ))
            })?;
        // An emulator on this machine says what the real ones say.
        let name = vault.split(':').next().unwrap_or_default();
        let own = host == name || below(name, &host).is_some();
        if !own && !sealmark_http::is_loopback(name.trim_matches(['[', ']'])) {
            return Err(refuse(format!(
                "it wants a token for {host}, of which it is no part; whoever got such a token could use it there"
            )));
        }
        Ok(Self {
            tenant,
            resource: resource.to_owned(),
        })
    }
}

/// A GUID or a domain: nothing that could lead elsewhere when it is a part of a URL.
pub(crate) fn is_tenant(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
        && !text.starts_with('.')
}

/// The value of a parameter, with or without quotes.
fn parameter<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split([',', ' ']).find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name)
            .then(|| value.trim_matches('"'))
            .filter(|value| !value.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vault: &str, challenge: &str) -> Result<Challenge, String> {
        let mut headers = HeaderMap::new();
        headers.insert(WWW_AUTHENTICATE, challenge.parse().unwrap());
        Challenge::read(&headers, vault).map_err(|error| error.to_string())
    }

    /// The forms are those of Microsoft's page, and of the recordings in its SDKs' tests.
    #[test]
    fn a_token_is_made_for_the_vaults_own_domain_only() {
        let expected = Challenge {
            tenant: "08c1c649-bfdd-439e-8e5b-5ff31c72ce4e".into(),
            resource: "https://vault.azure.net".into(),
        };
        for text in [
            r#"Bearer authorization="https://login.microsoftonline.com/08c1c649-bfdd-439e-8e5b-5ff31c72ce4e", resource="https://vault.azure.net""#,
            r#"Bearer authorization="https://login.windows.net/08c1c649-bfdd-439e-8e5b-5ff31c72ce4e", resource="https://vault.azure.net/""#,
            r#"Bearer authorization_uri="https://login.microsoftonline.com/08c1c649-bfdd-439e-8e5b-5ff31c72ce4e" scope="https://vault.azure.net/.default""#,
        ] {
            assert_eq!(
                read("v.vault.azure.net", text),
                Ok(expected.clone()),
                "{text}"
            );
            assert!(read("localhost:8443", text).is_ok(), "an emulator");
        }
        let of = |resource: &str| {
            format!(
                "Bearer authorization=\"https://login.microsoftonline.com/t\", resource=\"{resource}\""
            )
        };
        for (text, part) in [
            (of("https://graph.microsoft.com"), "it wants a token for graph.microsoft.com, of which it is no part"),
            (of("https://azure.net.example.com"), "of which it is no part"),
            (of("https://ault.azure.net"), "of which it is no part"),
            (of("http://vault.azure.net"), "no https:// URL"),
            ("Bearer realm=\"x\"".to_owned(), "does not say where to log in"),
            ("Basic realm=\"x\"".to_owned(), "no challenge for a bearer token"),
            ("Bearer authorization=\"https://login.microsoftonline.com/\", resource=\"https://vault.azure.net\"".to_owned(), "does not name a tenant"),
            ("Bearer authorization=\"https://login.microsoftonline.com/t\"".to_owned(), "what the token is to be for"),
        ] {
            let error = read("v.vault.azure.net", &text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
