//! Parameters of a query or a form (RFC 6749, section 3.1 and appendix B).

use axum::http::{HeaderMap, header};

/// Bytes of a query or a form. Those of clients have some 600.
pub(super) const MAX: usize = 16 << 10;
/// Parameters in it.
const MAX_COUNT: usize = 64;
/// What cosign sends twice where the specification has one text.
const LISTED: &str = "scope";

/// Parameters, each at most once.
#[derive(Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads them; what is wrong is for the client's eyes.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        if text.len() > MAX {
            return Err(format!("more than {MAX} bytes of parameters"));
        }
        let mut read: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(text) {
            if read.len() == MAX_COUNT {
                return Err(format!("more than {MAX_COUNT} parameters"));
            }
            let twice = read.iter().any(|(other, _)| *other == name);
            if twice && name != LISTED {
                let name = sealmark_formats::excerpt(name.into_owned());
                return Err(format!("the parameter {name:?} is there twice"));
            }
            read.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(read))
    }

    /// Whether a body is said to be of this form.
    pub(super) fn are_in(headers: &HeaderMap) -> bool {
        let kind = headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }

    /// The value of one; without a value it is as if it were not there.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|it| !it.is_empty())
    }

    /// As [`get`](Self::get), if it is not longer than `most` bytes.
    pub(super) fn bounded(&self, name: &str, most: usize) -> Result<Option<&str>, String> {
        match self.get(name) {
            Some(value) if value.len() > most => Err(format!("{name} has more than {most} bytes")),
            found => Ok(found),
        }
    }

    /// Whether the scope has `openid`.
    pub(super) fn wants_identity(&self) -> bool {
        let scopes = self.0.iter().filter(|(name, _)| name == LISTED);
        let mut words = scopes.flat_map(|(_, scope)| scope.split(' '));
        words.any(|word| word == "openid")
    }
}

/// A code challenge (RFC 7636, section 4.2) by S256, the only method.
pub(super) fn challenge(parameters: &Parameters) -> Result<Option<String>, String> {
    let method = parameters.get("code_challenge_method");
    match (parameters.get("code_challenge"), method) {
        (None, None) => Ok(None),
        (Some(challenge), Some("S256")) => {
            // SHA-256 in base64url.
            let good = challenge.len() == 43
                && challenge
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c));
            match good {
                true => Ok(Some(challenge.to_owned())),
                false => Err("code_challenge is not SHA-256 in base64url".to_owned()),
            }
        }
        _ => Err("code_challenge must come with code_challenge_method=S256".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_there_once() {
        let read = Parameters::parse(b"a=1&b=&c=x%20y+z&scope=openid&scope=email").unwrap();
        assert_eq!(read.get("a"), Some("1"));
        assert_eq!(read.get("b"), None);
        assert_eq!(read.get("c"), Some("x y z"));
        assert!(read.wants_identity());
        assert!(!Parameters::parse(b"scope=email").unwrap().wants_identity());
        let problem = |text: &[u8]| Parameters::parse(text).err().unwrap();
        assert_eq!(problem(b"a=1&a=1"), "the parameter \"a\" is there twice");
        let many: String = (0..65).map(|at| format!("p{at}=x&")).collect();
        assert_eq!(problem(many.as_bytes()), "more than 64 parameters");
        assert_eq!(
            problem(&[b'x'; MAX + 1]),
            "more than 16384 bytes of parameters"
        );
    }
}
