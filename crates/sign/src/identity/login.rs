//! Logging in at an identity provider: a person in a browser here (RFC 8252, with PKCE, RFC 7636), in one elsewhere that
//! shows a code to copy, or on another device (RFC 8628); a program with a secret (RFC 6749, section 4.4).
//!
//! Invariants: the token is for this login, as its nonce says where the provider was sent one; the answer of the browser
//! is to this question, as its state says; all waiting ends.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealmark_formats::Digest;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::IdentityToken;
use crate::Error;
use crate::signatory::Progress;
use sealmark_http::{Options, Service, sanitise};

mod listener;

use self::listener::{answer_of, listen};

const KIND: &str = "identity provider";
const SCOPE: &str = "openid email";
/// How long a person has to log in, as for cosign.
const PATIENCE: Duration = Duration::from_secs(120);
/// The shortest time between two questions to a provider whether the person has logged in.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// The time between them if the provider does not say (RFC 8628, section 3.2).
const INTERVAL: u64 = 5;
/// Where the browser is sent if nobody here can be: the provider shows a code. As cosign and Google have it.
const OUT_OF_BAND: &str = "urn:ietf:wg:oauth:2.0:oob";
/// The longest code that is typed or pasted, in bytes.
const MAX_CODE: usize = 4 << 10;

/// A client that people log in with.
#[derive(Clone)]
pub struct Client {
    /// Its name at the provider.
    pub id: String,
    /// Its secret, which programs for people have not.
    pub secret: Option<Zeroizing<String>>,
    /// Where the browser brings the answer, if not to any free port: `http://localhost:PORT/PATH`, or
    /// `urn:ietf:wg:oauth:2.0:oob` for a code that is shown there and asked for here.
    pub redirect: Option<Url>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id)
            .field("redirect", &self.redirect)
            .finish_non_exhaustive()
    }
}

/// The person who logs in, as far as a program can reach one.
pub trait Person: Send + Sync {
    /// Whether there may be a browser here.
    fn has_browser(&self) -> bool;

    /// Opens a browser at the URL; `false` if that turns out not to work. May take some time to say so.
    fn open(&self, url: &Url) -> bool;

    /// Asks for the code that the provider showed.
    ///
    /// # Errors
    /// Why nobody can be asked.
    fn code(&self) -> Result<Zeroizing<String>, String>;
}

/// What is needed of the provider's metadata (OpenID Connect Discovery, section 3).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: String,
    device_authorization_endpoint: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

#[derive(Deserialize)]
struct Device {
    device_code: String,
    user_code: String,
    verification_uri: String,
    #[serde(default)]
    verification_uri_complete: Option<String>,
    #[serde(default)]
    interval: Option<u64>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// The secret of one login, and what the provider is told of it.
struct Proof {
    verifier: Zeroizing<String>,
    challenge: String,
}

impl Proof {
    fn new() -> Result<Self, Error> {
        let verifier = Zeroizing::new(random()?);
        let challenge = URL_SAFE_NO_PAD.encode(Digest::sha256(verifier.as_bytes()).bytes());
        Ok(Self {
            verifier,
            challenge,
        })
    }
}

fn random() -> Result<String, Error> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes)
        .map_err(|_| Error::Identity("the system gives no randomness".to_owned()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

async fn discover(service: &Service) -> Result<Metadata, Error> {
    let url = service.at(".well-known/openid-configuration");
    let answer = service.get(&url, |request| request).await?.good()?;
    let metadata: Metadata = answer.json()?;
    let (found, asked) = (
        metadata.issuer.trim_end_matches('/'),
        service.url().as_str(),
    );
    if found != asked.trim_end_matches('/') {
        let reason = format!("it is the metadata of {found:?}");
        return Err(answer.malformed(reason).into());
    }
    Ok(metadata)
}

/// Logs a person in on another device, who is told where by `progress`.
///
/// # Errors
/// Of the network; if the provider or the person refuses, or nobody logs in in time.
pub async fn on_device(
    issuer: &str,
    client: &Client,
    options: &Options,
    progress: &Progress,
) -> Result<IdentityToken, Error> {
    let service = Service::new(KIND, issuer, options)?;
    let metadata = discover(&service).await?;
    let Some(place) = metadata.device_authorization_endpoint else {
        return Err(Error::Identity(format!(
            "the identity provider {issuer} lets nobody log in on another device; give a token with --identity-token"
        )));
    };
    let proof = Proof::new()?;
    let mut form = client.form();
    form.push(("scope", SCOPE));
    form.push(("code_challenge", &proof.challenge));
    form.push(("code_challenge_method", "S256"));
    let tokens = endpoint(&service, &metadata.token_endpoint)?;
    let place = endpoint(&service, &place)?;
    let device: Device = post(&service, &place, &form).await?.good()?.json()?;
    let place = device.verification_uri_complete.as_ref();
    progress(&format!(
        "to log in, open {} in a browser on any device and enter the code {}",
        sanitise(place.unwrap_or(&device.verification_uri)),
        sanitise(&device.user_code)
    ));
    let mut interval = Duration::from_secs(device.interval.unwrap_or(INTERVAL)).max(MIN_INTERVAL);
    let mut form = client.form();
    form.push(("grant_type", "urn:ietf:params:oauth:grant-type:device_code"));
    form.push(("device_code", &device.device_code));
    form.push(("code_verifier", &proof.verifier));
    let asking = async {
        loop {
            tokio::time::sleep(interval).await;
            let answer = post(&service, &tokens, &form).await?;
            if answer.status == 200 {
                let tokens: Tokens = answer.json()?;
                return IdentityToken::new(&Zeroizing::new(tokens.id_token), issuer);
            }
            match answer
                .json::<Refusal>()
                .map(|refusal| refusal.error)
                .as_deref()
            {
                Ok("authorization_pending") => {}
                Ok("slow_down") => interval += Duration::from_secs(INTERVAL),
                _ => return Err(answer.refused("").into()),
            }
        }
    };
    in_time(issuer, asking).await
}

/// Logs a person in in a browser on this machine, or, where there is none, in one elsewhere that shows a code; `progress`
/// tells where.
///
/// # Errors
/// As [`on_device`]; if nobody can listen for the browser's answer, or there is no code.
pub async fn in_browser(
    issuer: &str,
    client: &Client,
    options: &Options,
    progress: &Progress,
    person: Arc<dyn Person>,
) -> Result<IdentityToken, Error> {
    let service = Service::new(KIND, issuer, options)?;
    let metadata = discover(&service).await?;
    let Some(place) = &metadata.authorization_endpoint else {
        return Err(Error::Identity(format!(
            "the identity provider {issuer} lets nobody log in in a browser; give a token with --identity-token"
        )));
    };
    let tokens = endpoint(&service, &metadata.token_endpoint)?;
    let place = endpoint(&service, place)?;
    let (proof, state, nonce) = (Proof::new()?, random()?, random()?);
    let question = |redirect: &str| {
        let mut url = place.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &client.id)
            .append_pair("redirect_uri", redirect)
            .append_pair("scope", SCOPE)
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("access_type", "online")
            .append_pair("code_challenge", &proof.challenge)
            .append_pair("code_challenge_method", "S256");
        url
    };
    let is_out_of_band = |url: &Url| url.as_str() == OUT_OF_BAND;
    let there = client.redirect.as_ref().is_some_and(is_out_of_band) || !person.has_browser();
    let here = match there {
        true => None,
        false => {
            let (listener, redirect) = listen(client.redirect.as_ref()).await?;
            let url = question(redirect.as_str());
            progress(&format!(
                "to log in, a browser opens; if it does not, open {url}"
            ));
            let browser = Arc::clone(&person);
            let mut opened = in_a_thread(move || browser.open(&url));
            let answer = in_time(issuer, answer_of(&listener, redirect.path(), &state));
            let code = tokio::select! {
                biased;
                code = answer => Some(code?),
                Ok(false) = &mut opened => None,
            };
            code.map(|code| (code, redirect.to_string()))
        }
    };
    let (code, redirect) = match here {
        Some(answer) => answer,
        None => {
            let url = question(OUT_OF_BAND);
            progress(&format!(
                "no browser can be opened here. To log in, open this in a browser anywhere, and enter the code that it \
                 shows:\n  {url}"
            ));
            let code = in_time(issuer, code_of(person)).await?;
            (code, OUT_OF_BAND.to_owned())
        }
    };
    let mut form = client.form();
    form.push(("grant_type", "authorization_code"));
    form.push(("code", &code));
    form.push(("redirect_uri", &redirect));
    form.push(("code_verifier", &proof.verifier));
    let answer = post(&service, &tokens, &form).await?.good()?;
    let tokens: Tokens = answer.json()?;
    let token = IdentityToken::new(&Zeroizing::new(tokens.id_token), issuer)?;
    match token.claim("nonce") {
        Some(found) if found == nonce => Ok(token),
        _ => Err(answer
            .malformed("its token is of another login: it has not the nonce that was sent")
            .into()),
    }
}

/// Logs this program in with the client's secret: no person is there.
///
/// # Errors
/// Of the network; if the client has no secret, or the provider refuses or gives no identity token.
pub async fn with_secret(
    issuer: &str,
    client: &Client,
    options: &Options,
) -> Result<IdentityToken, Error> {
    let Some(secret) = &client.secret else {
        return Err(Error::Identity(
            "the flow client_credentials needs the client's secret: give --oidc-client-secret-file"
                .to_owned(),
        ));
    };
    let service = Service::new(KIND, issuer, options)?;
    let metadata = discover(&service).await?;
    let tokens = endpoint(&service, &metadata.token_endpoint)?;
    let grant = [("grant_type", "client_credentials"), ("scope", SCOPE)];
    let form = [client.form(), grant.to_vec()].concat();
    let mut answer = post(&service, &tokens, &form).await?;
    if matches!(answer.status, 400 | 401) {
        // Providers know one way or the other to bring the secret (RFC 6749, section 2.3.1).
        let body = encoded(&grant);
        let encode = |text: &str| -> String {
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
        };
        let (id, secret) = (encode(&client.id), Zeroizing::new(encode(secret)));
        let basic = service.post(&tokens, |request| {
            let request = request.header("content-type", "application/x-www-form-urlencoded");
            let request = request.basic_auth(&id, Some(secret.as_str()));
            request.body(body.as_bytes().to_vec())
        });
        answer = basic.await?;
    }
    let answer = answer.good()?;
    let tokens: Result<Tokens, _> = answer.json();
    let tokens = tokens.map_err(|_| {
        answer.malformed("it has no id_token: this provider gives programs no identity tokens")
    })?;
    IdentityToken::new(&Zeroizing::new(tokens.id_token), issuer)
}

/// Does what waits for a person. The thread may be left behind: a read from a terminal cannot be called off.
fn in_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> tokio::sync::oneshot::Receiver<T> {
    let (send, receive) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // Whoever waited may have given up.
        let _ = send.send(work());
    });
    receive
}

async fn code_of(person: Arc<dyn Person>) -> Result<Zeroizing<String>, Error> {
    let code = in_a_thread(move || person.code()).await;
    let code = code.unwrap_or_else(|_| Err("nobody can be asked".to_owned()));
    let code = code.map_err(|reason| Error::Identity(format!("no code was entered: {reason}")))?;
    match code.trim() {
        "" => Err(Error::Identity("no code was entered".to_owned())),
        text if text.len() > MAX_CODE => Err(Error::Identity(
            "what was entered is too long for a code".to_owned(),
        )),
        text => Ok(Zeroizing::new(text.to_owned())),
    }
}

/// An endpoint of a provider, as protected as the provider itself.
fn endpoint(service: &Service, text: &str) -> Result<Url, Error> {
    let wrong = |reason: &str| sealmark_http::Error::Url {
        kind: KIND,
        url: sanitise(text),
        reason: format!("{reason}, but {} says so in its metadata", service.url()),
    };
    let url = Url::parse(text).map_err(|_| wrong("it is no URL"))?;
    match (service.url().scheme(), url.scheme()) {
        (_, "https") | ("http", "http") => Ok(url),
        _ => Err(wrong("it is not protected by TLS").into()),
    }
}

async fn in_time<T>(
    issuer: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| {
        Err(Error::Identity(format!(
            "nobody logged in at {issuer} within {} s; try again, or give a token with --identity-token",
            PATIENCE.as_secs()
        )))
    })
}

async fn post(
    service: &Service,
    url: &Url,
    form: &[(&str, &str)],
) -> Result<sealmark_http::Answer, sealmark_http::Error> {
    let body = encoded(form);
    let post = service.post(url, |request| {
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(body.as_bytes().to_vec())
    });
    post.await
}

fn encoded(form: &[(&str, &str)]) -> Zeroizing<String> {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    Zeroizing::new(text.extend_pairs(form).finish())
}

impl Client {
    fn form(&self) -> Vec<(&str, &str)> {
        let mut form = vec![("client_id", self.id.as_str())];
        if let Some(secret) = &self.secret {
            form.push(("client_secret", secret));
        }
        form
    }
}
