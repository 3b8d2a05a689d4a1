//! Where a browser is sent with a code: to a program on its own machine (RFC 8252, section 7.3), or nowhere.
//!
//! Invariant: a [`Redirect`] is one of the few forms below, in the spelling that a browser understands in one way only.

use url::{Host, Url};

/// The code is shown, for the user to copy.
const OUT_OF_BAND: &str = "urn:ietf:wg:oauth:2.0:oob";
/// Where Sigstore's clients listen.
const CALLBACK: &str = "/auth/callback";
/// The longest.
const MAX: usize = 512;

/// Where a code goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Redirect {
    /// Onto the page.
    Shown,
    /// To this URL.
    To(String),
}

impl Redirect {
    /// The redirect that a client asks for, if it may; `configured` are those that the operator allows besides.
    pub(super) fn parse(text: &str, configured: &[String]) -> Option<Self> {
        if text == OUT_OF_BAND {
            return Some(Self::Shown);
        }
        let allowed = configured.iter().any(|it| it == text) || is_loopback(text);
        allowed.then(|| Self::To(text.to_owned()))
    }

    /// As the client wrote it.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Shown => OUT_OF_BAND,
            Self::To(url) => url,
        }
    }

    /// What a Content Security Policy calls the place; it has no form for addresses of IPv6.
    pub(super) fn source(&self) -> Option<String> {
        let Self::To(url) = self else { return None };
        let url = Url::parse(url).ok()?;
        match url.host()? {
            Host::Ipv6(_) => Some(format!("{}:", url.scheme())),
            _ => Some(url.origin().ascii_serialization()),
        }
    }
}

fn is_loopback(text: &str) -> bool {
    let Some(url) = plain(text).filter(|url| url.scheme() == "http") else {
        return false;
    };
    match url.host() {
        Some(Host::Domain("localhost")) => url.path() == CALLBACK,
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        _ => false,
    }
}

/// A URL without user, query and fragment, spelled as browsers spell it.
fn plain(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|_| text.len() <= MAX)?;
    let bare = url.username().is_empty() && url.password().is_none();
    let bare = bare && url.query().is_none() && url.fragment().is_none();
    // A URL without a path may be written without its slash.
    let same = url.as_str() == text || url.as_str().strip_suffix('/') == Some(text);
    (bare && same).then_some(url)
}

/// Whether an operator may allow a redirect.
pub(super) fn check_configured(text: &str) -> Result<(), String> {
    match plain(text) {
        Some(url) if matches!(url.scheme(), "http" | "https") => Ok(()),
        _ => Err(format!(
            "{text:?} cannot be a redirect: it must be an http or https URL without user, query and fragment"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stay_on_the_machine() {
        let configured = ["https://app.example/callback".to_owned()];
        for good in [
            "http://localhost:41234/auth/callback",
            "http://localhost/auth/callback",
            "http://127.0.0.1:8080/callback",
            "http://127.0.0.1:8080",
            "http://127.0.0.1:8080/",
            "http://[::1]:8080/auth/callback",
            "https://app.example/callback",
            "urn:ietf:wg:oauth:2.0:oob",
        ] {
            let redirect = Redirect::parse(good, &configured);
            assert_eq!(redirect.as_ref().map(Redirect::as_str), Some(good));
        }
        for bad in [
            "",
            "/auth/callback",
            "http://localhost:41234/",
            "http://localhost:41234/auth/callback/",
            "http://localhost:41234/auth/callback?x=1",
            "http://localhost:41234/auth/callback#x",
            "http://localhost:41234/x/../auth/callback",
            "http://localhost.evil.example/auth/callback",
            "http://evil.example/auth/callback",
            "http://evil.example@localhost/auth/callback",
            "http://localhost@evil.example/auth/callback",
            "http://localhost:1\\@evil.example/auth/callback",
            "http://LOCALHOST/auth/callback",
            "http://127.1/callback",
            "http://2130706433/callback",
            "http://127.0.0.1.evil.example/callback",
            "http://0.0.0.0/callback",
            "https://localhost:41234/auth/callback",
            "https://app.example/callback/",
            "https://app.example/callback2",
            "javascript:alert(1)",
            "data:text/html,x",
            "urn:ietf:wg:oauth:2.0:oob:auto",
        ] {
            assert_eq!(Redirect::parse(bad, &configured), None, "{bad}");
        }
        let long = format!("http://127.0.0.1/{}", "x".repeat(MAX));
        assert_eq!(Redirect::parse(&long, &configured), None);
    }

    #[test]
    fn an_operator_allows_whole_urls() {
        assert!(check_configured("https://app.example/callback").is_ok());
        for bad in ["app.example", "https://*.example/#", "javascript:x"] {
            assert!(check_configured(bad).is_err(), "{bad}");
        }
    }
}
