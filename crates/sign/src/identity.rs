//! Who signs: an identity token (OpenID Connect), and where it comes from.
//!
//! Order, as cosign has it ([`Source`]): a token that was given; what the place where this runs offers ([`ambient`]);
//! a person or a program that logs in ([`login`]).
//!
//! Invariant: a token is a secret. It is in no error, no log and no `Debug`, and goes to the certificate authority
//! alone.

use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use sealmark_formats::excerpt;
use sealmark_identity::{MAX_TOKEN, Token};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::Error;
use sealmark_http::sanitise;

pub mod ambient;
pub mod examine;
pub mod login;
mod source;

pub use source::{Flow, Source};

/// The audience that Sigstore's authorities expect, and the client that people log in with.
pub const AUDIENCE: &str = "sigstore";

/// Names of files are shown up to this length, in bytes.
const MAX_NAME: usize = 200;

/// An identity token.
#[derive(Clone)]
pub struct IdentityToken {
    secret: Zeroizing<String>,
    token: Token,
    origin: String,
}

impl IdentityToken {
    /// Reads a token. `origin` says where it is from, for people.
    ///
    /// # Errors
    /// [`Error::Identity`] if it is none, is out of date, or does not say whose it is.
    pub fn new(secret: &str, origin: impl Into<String>) -> Result<Self, Error> {
        Self::parse(secret, origin)?.usable()
    }

    /// Reads a token that may be of no use to anybody any more.
    ///
    /// # Errors
    /// [`Error::Identity`] if it is none.
    pub fn parse(secret: &str, origin: impl Into<String>) -> Result<Self, Error> {
        let (origin, secret) = (origin.into(), Zeroizing::new(secret.trim().to_owned()));
        let token = Token::parse(&secret).map_err(|error| wrong(&origin, &error.to_string()))?;
        Ok(Self {
            secret,
            token,
            origin,
        })
    }

    /// The token, if it says whose it is and has not expired.
    fn usable(self) -> Result<Self, Error> {
        if self.claim("iss").is_none() || self.claim("sub").is_none() {
            let reason = "it does not say who vouches for whom (iss, sub)";
            return Err(wrong(&self.origin, reason));
        }
        let now = Timestamp::now().as_second();
        if let Some(ago) = self.expires().map(|end| now - end).filter(|ago| *ago >= 0) {
            let reason = format!("it expired {ago} s ago; get a new one");
            return Err(wrong(&self.origin, &reason));
        }
        Ok(self)
    }

    /// Reads a token that was given: itself, or the name of a file with it.
    ///
    /// # Errors
    /// As [`new`](Self::new), or if the file cannot be read.
    pub fn given(text: &str, flag: &str) -> Result<Self, Error> {
        Self::read(text, flag)?.usable()
    }

    /// As [`given`](Self::given), but the token may be of no use to anybody any more.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), or if the file cannot be read.
    pub fn read(text: &str, flag: &str) -> Result<Self, Error> {
        // No file is called like a token, whatever its algorithm; and what is not a token is not repeated.
        if text.starts_with("eyJ") && text.matches('.').count() == 2 {
            return Self::parse(text, flag);
        }
        Self::in_file(Path::new(text), flag)
    }

    /// Reads the token in a file.
    ///
    /// # Errors
    /// As [`given`](Self::given).
    pub fn from_file(path: &Path, why: &str) -> Result<Self, Error> {
        Self::in_file(path, why)?.usable()
    }

    fn in_file(path: &Path, why: &str) -> Result<Self, Error> {
        use std::io::Read as _;
        let mut text = Zeroizing::new(String::new());
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_TOKEN as u64 + 1).read_to_string(&mut text))
            .map_err(|cause| {
                // What begins as a token does may be one, with a mistake in it.
                let name = path.display().to_string();
                let is_secret = name.starts_with("eyJ") || name.len() > MAX_NAME;
                let name = match is_secret {
                    true => "what was given".to_owned(),
                    false => sanitise(&name),
                };
                Error::Identity(format!(
                    "cannot read the identity token ({why}): {name} is neither a token nor a file that can be read: {}",
                    cause.kind()
                ))
            })?;
        Self::parse(&text, path.display().to_string())
    }

    /// The token itself. For the certificate authority alone.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// Where it is from.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What a certificate authority wants to see signed: the email address if the token has one, else the subject.
    pub(crate) fn challenge(&self) -> &str {
        let denied = self.token.unverified_claim("email_verified") == Some(&false.into());
        let email = self.claim("email").filter(|_| !denied);
        email.or_else(|| self.claim("sub")).unwrap_or_default()
    }

    /// Whose it is, as far as it says so itself.
    pub fn subject(&self) -> String {
        sanitise(self.challenge())
    }

    /// Who issued it, as far as it says so itself.
    pub fn issuer(&self) -> String {
        sanitise(self.claim("iss").unwrap_or_default())
    }

    /// Whether it names a person by an email address.
    pub fn is_personal(&self) -> bool {
        self.challenge().contains('@') && self.claim("email").is_some()
    }

    /// What it says, and what nobody has checked yet.
    pub fn unverified(&self) -> &Token {
        &self.token
    }

    /// Whether it is for this audience, as far as it says so itself.
    pub fn is_for(&self, audience: &str) -> bool {
        match self.token.unverified_claim("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one == audience),
            _ => false,
        }
    }

    /// The token itself, for whoever asked for nothing else.
    pub fn reveal(&self) -> &str {
        &self.secret
    }

    pub(crate) fn claim(&self, name: &str) -> Option<&str> {
        let claim = self.token.unverified_claim(name)?.as_str();
        claim.filter(|text| !text.is_empty())
    }

    fn expires(&self) -> Option<i64> {
        let exp = self.token.unverified_claim("exp")?;
        exp.as_i64()
            .or_else(|| exp.as_f64().map(|seconds| seconds as i64))
    }
}

fn wrong(origin: &str, reason: &str) -> Error {
    Error::Identity(format!("the identity token from {origin}: {reason}"))
}

/// What the token says, but not what it is.
impl fmt::Display for IdentityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let audience = self.token.unverified_claim("aud");
        let audience = audience.map_or_else(|| "nobody".to_owned(), |aud| excerpt(aud.to_string()));
        write!(
            f,
            "{:?} of {} for the audience {}, from {}",
            self.subject(),
            self.issuer(),
            sanitise(&audience),
            self.origin
        )?;
        match self
            .expires()
            .and_then(|end| Timestamp::from_second(end).ok())
        {
            Some(end) => write!(f, ", and expires at {end}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for IdentityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityToken({self})")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;

    pub(crate) fn token(claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!(
            "{}.{}.c2lnbmF0dXJl",
            part(&json!({"alg": "ES256"})),
            part(claims)
        )
    }

    fn claims(email: &str, verified: bool) -> Value {
        json!({
            "iss": "https://issuer.example", "sub": "s1", "aud": "sigstore", "email": email,
            "email_verified": verified, "exp": Timestamp::now().as_second() + 60,
        })
    }

    #[test]
    fn what_is_signed_is_the_email_address_or_else_the_subject() {
        for (claims, challenge) in [
            (claims("jane@example.org", true), "jane@example.org"),
            (claims("jane@example.org", false), "s1"),
            (claims("", true), "s1"),
        ] {
            let token = IdentityToken::new(&token(&claims), "a test").unwrap();
            assert_eq!(token.challenge(), challenge);
        }
    }

    #[test]
    fn a_token_is_given_as_it_is_or_in_a_file_and_never_repeated() {
        let text = token(&claims("jane@example.org", true));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token.jwt");
        std::fs::write(&file, format!("{text}\n")).unwrap();
        for given in [text.as_str(), file.to_str().unwrap()] {
            let token = IdentityToken::given(given, "--identity-token").unwrap();
            assert_eq!(token.secret(), text);
            assert!(!format!("{token:?} {token}").contains(&text[..40]));
            assert!(format!("{token}").contains("jane@example.org"));
        }
        let secret = text.split('.').next().unwrap();
        for broken in [
            format!("{text}.x"),
            text.replace('.', ""),
            "eyJ.eyJ.x".to_owned(),
        ] {
            let error = IdentityToken::given(&broken, "--identity-token").unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains("identity token") && !error.contains(&secret[3..]),
                "{error}"
            );
        }
    }

    #[test]
    fn an_old_token_is_refused_before_anyone_is_asked() {
        let mut old = claims("jane@example.org", true);
        old["exp"] = json!(Timestamp::now().as_second() - 7);
        let error = IdentityToken::new(&token(&old), "a test").unwrap_err();
        assert!(error.to_string().contains("expired"), "{error}");
        let mut nobody = claims("", true);
        nobody["sub"] = json!("");
        assert!(IdentityToken::new(&token(&nobody), "a test").is_err());
    }
}
