//! An OpenID Connect issuer for development: who wants to try certificates needs no identity provider.
//! <https://openid.net/specs/openid-connect-core-1_0.html>, RFC 6749, RFC 7636 (PKCE), RFC 8628 (devices)
//!
//! It has one client, `sigstore`, and the flows that Sigstore's clients use: the browser with a loopback redirect,
//! the browser with a code to copy, and a device. Access tokens are identity tokens as well, as sigstore-python takes
//! those for its identity; all are signed with RS256, as cosign reads no others from its command line.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use sealmark_server::oidc::{DevIssuer, Options};
//! let directory = tempfile::tempdir()?;
//! let issuer = DevIssuer::open(directory.path(), Options::new("http://127.0.0.1:3000/oidc"))?;
//! assert!(!issuer.asks_for_passwords());
//! let token = issuer.mint("jane@example.org", Duration::from_secs(60))?;
//! assert_eq!(token.split('.').count(), 3);
//! # Ok(())
//! # }
//! ```
//!
//! Invariants: a token is signed only for who typed an address (and its password, where there are users) into a form of
//! this server, or for the operator ([`DevIssuer::mint`]); it goes to a loopback address, to who started the flow, or
//! to where the operator said, never elsewhere; codes are good once and for minutes; every table and every input is
//! bounded; no password, code or token is logged.
//!
//! Not supported: other response types than `code`, refresh tokens, client secrets, sessions (every login asks),
//! revocation: a token that was given for a code that is tried again stays good until it expires.

mod authorize;
mod device;
mod discovery;
mod dispatch;
mod exchange;
mod grants;
mod guesses;
mod login;
mod page;
mod parameters;
mod redirect;
mod refusal;
mod tokens;
mod users;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::Router;
use axum::extract::Request;
use sealmark_identity::{Issuer, KeySet, SigningAlgorithm};
use sealmark_keys::Algorithm;
use sealmark_log::{Clock, SystemClock};
use zeroize::Zeroizing;

use self::grants::{Codes, Devices};
use self::guesses::Guesses;
use self::tokens::Signer;
use self::users::Users;
pub use self::users::password_hash;
use crate::{Error, keyring, locks, ops};

/// Where the issuer is on its server. The router is not to be nested: it sees, and needs, whole paths.
pub const PATH: &str = "/oidc";
/// The one client, which is public: what Sigstore's clients call themselves, and the audience that CAs expect.
pub const CLIENT: &str = "sigstore";
/// How long tokens from a login are good. Their certificate is asked for at once.
pub const LIFETIME: Duration = Duration::from_secs(120);
/// The longest that a token may be good.
pub const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// The name of the key's files.
const KEY: &str = "issuer";
/// The users, in the issuer's directory, unless the options name another file.
pub const USERS: &str = "users.yaml";

/// How an issuer is opened.
#[derive(Clone)]
pub struct Options {
    /// The issuer's URL, as it stands in tokens: that of the server, and [`PATH`].
    pub url: String,
    /// For the private key. Without one it is kept as it is, protected by the mode of its file alone.
    pub password: Option<Zeroizing<Vec<u8>>>,
    /// A file with the users, in YAML; without one, `users.yaml` in the directory. Without that, anybody may be
    /// anybody:
    ///
    /// ```yaml
    /// users:
    ///   - email: jane@example.org
    ///     password: $scrypt$ln=15,r=8,p=1$…$…     # as `password_hash` makes it
    /// ```
    pub users: Option<PathBuf>,
    /// Where a browser may be sent with a code, besides to programs on its own machine: whole URLs.
    pub redirects: Vec<String>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Options {
    /// An issuer with this URL, and nothing else said.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            password: None,
            users: None,
            redirects: Vec::new(),
            clock: Arc::new(SystemClock),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Written out for the sake of one field: the password is not shown.
        f.debug_struct("Options")
            .field("url", &self.url)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("users", &self.users)
            .field("redirects", &self.redirects)
            .finish_non_exhaustive()
    }
}

/// An issuer for development.
#[derive(Clone)]
pub struct DevIssuer(Arc<Inner>);

struct Inner {
    signer: Signer,
    users: RwLock<Arc<Users>>,
    redirects: Vec<String>,
    codes: Codes,
    devices: Devices,
    /// Of passwords.
    guesses: Guesses,
    /// Of the codes that devices show.
    device_guesses: Guesses,
    /// Ties forms to the browser that they were shown in.
    forms: hmac::Key,
    clock: Arc<dyn Clock>,
}

impl DevIssuer {
    /// Opens the issuer whose key is in `directory`, which is made if it is missing: `keys/issuer.pem`. Making the
    /// first key takes a moment.
    ///
    /// # Errors
    /// If the URL cannot be an issuer's, the users cannot be read, or the key cannot be read or made.
    pub fn open(directory: &Path, options: Options) -> Result<Self, Error> {
        let url = check_url(&options.url)?;
        for redirect in &options.redirects {
            redirect::check_configured(redirect).map_err(Error::Issuer)?;
        }
        let users = match &options.users {
            Some(file) => Some(Users::read(file)?),
            None => Users::read_if_there(&directory.join(USERS))?,
        };
        let users = users.unwrap_or(Users::Anybody);
        let password = options.password.as_ref();
        let key = keyring::key(directory, KEY, Algorithm::Rsa2048, password)?;
        Ok(Self(Arc::new(Inner {
            signer: Signer::new(url, key)?,
            users: RwLock::new(Arc::new(users)),
            redirects: options.redirects,
            codes: Codes::default(),
            devices: Devices::default(),
            guesses: Guesses::new(guesses::PASSWORDS),
            device_guesses: Guesses::new(guesses::DEVICES),
            forms: hmac::Key::new(hmac::HMAC_SHA256, &random()?),
            clock: options.clock,
        })))
    }

    /// The issuer's URL.
    pub fn url(&self) -> &str {
        self.0.signer.url()
    }

    /// The keys that its tokens are signed with, for a CA in the same process.
    pub fn key_set(&self) -> KeySet {
        self.0.signer.keys().clone()
    }

    /// The algorithms of its tokens.
    pub fn algorithms(&self) -> Vec<SigningAlgorithm> {
        vec![SigningAlgorithm::Rs256]
    }

    /// What the configuration of a CA that believes it has.
    pub fn issuer(&self) -> Issuer {
        Issuer::email(self.url(), CLIENT)
    }

    /// Whether who logs in has to prove anything. If not, who reaches the server gets a token for any address: the
    /// operator is to be told.
    pub fn asks_for_passwords(&self) -> bool {
        !matches!(*self.0.users(), Users::Anybody)
    }

    /// From now on those log in whom this file has. How many they are.
    ///
    /// # Errors
    /// What is wrong with the file; then it is as before.
    pub fn read_users(&self, file: &Path) -> Result<usize, Error> {
        let users = Users::read(file)?;
        let count = users.count();
        *locks::write(&self.0.users) = Arc::new(users);
        Ok(count)
    }

    /// A token for an address, without a login: for whoever has the key file anyway.
    ///
    /// # Errors
    /// If `email` is no address, or `lifetime` is nothing or more than [`MAX_LIFETIME`].
    pub fn mint(&self, email: &str, lifetime: Duration) -> Result<String, Error> {
        let email = users::address(email).ok_or_else(|| {
            Error::Issuer(format!(
                "{email:?} is no e-mail address to make a token for"
            ))
        })?;
        if lifetime.as_secs() == 0 || lifetime > MAX_LIFETIME {
            return Err(Error::Issuer(format!(
                "a token is good for 1 to {} s, not for {} s",
                MAX_LIFETIME.as_secs(),
                lifetime.as_secs()
            )));
        }
        let signer = &self.0.signer;
        signer.token(email, lifetime.as_secs(), None, None, self.0.now())
    }

    /// All endpoints, by their whole paths.
    pub fn router(&self) -> Router {
        let inner = self.0.clone();
        Router::new().fallback(move |request: Request| dispatch::serve(inner.clone(), request))
    }

    /// All endpoints, with what a server needs to count them.
    pub fn service(&self) -> ops::Service {
        ops::Service::new("oidc", self.router(), dispatch::endpoint).refusing(refusal::refused)
    }
}

impl fmt::Debug for DevIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevIssuer")
            .field("url", &self.url())
            .field("asks_for_passwords", &self.asks_for_passwords())
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn users(&self) -> Arc<Users> {
        locks::read(&self.users).clone()
    }

    /// Seconds since 1970.
    fn now(&self) -> u64 {
        self.clock.now_ms() / 1000
    }
}

/// Whether a text is an e-mail address that somebody may log in with.
pub fn is_address(text: &str) -> bool {
    users::address(text).is_some()
}

/// How many users a file has.
///
/// # Errors
/// What is wrong with it.
pub fn check_users(file: &Path) -> Result<usize, Error> {
    Users::read(file).map(|users| users.count())
}

fn check_url(text: &str) -> Result<String, Error> {
    let wrong = |reason: &str| {
        Error::Issuer(format!(
            "{text:?} cannot be its URL: {reason}; it is the URL of the server and {PATH}, e.g. http://127.0.0.1:3000{PATH}"
        ))
    };
    let url = url::Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it is neither http nor https"));
    }
    let extra = url.query().is_some() || url.fragment().is_some() || !url.username().is_empty();
    if extra || url.password().is_some() {
        return Err(wrong("it has more than a host and a path"));
    }
    if url.path() != PATH {
        return Err(wrong("its path is another one"));
    }
    // Clients compare it letter by letter with what they were told.
    if url.as_str() != text {
        return Err(wrong(&format!("it is to be written as {url}")));
    }
    Ok(text.to_owned())
}

/// 256 bits that nobody can guess.
fn random() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::Issuer("the system gave no randomness".to_owned()))?;
    Ok(bytes)
}
