//! A person who logs in: in a browser here (RFC 8252, with PKCE, RFC 7636), or on another device (RFC 8628).
//!
//! Invariants: the token is for this login, as its nonce says where the provider was sent one; the answer of the browser
//! is to this question, as its state says; all waiting ends.

use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sealmark_formats::Digest;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;
use zeroize::Zeroizing;

use super::IdentityToken;
use crate::Error;
use crate::signatory::Progress;
use sealmark_http::{Options, Service, sanitise};

const KIND: &str = "identity provider";
const SCOPE: &str = "openid email";
/// How long a person has to log in, as for cosign.
const PATIENCE: Duration = Duration::from_secs(120);
/// The shortest time between two questions to a provider whether the person has logged in.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// The time between them if the provider does not say (RFC 8628, section 3.2).
const INTERVAL: u64 = 5;
/// The first line of what a browser sends, with a code and a state in it.
const MAX_REQUEST_LINE: usize = 8 << 10;
/// Where the browser brings its answer.
const CALLBACK: &str = "/auth/callback";

/// A client that people log in with.
#[derive(Clone)]
pub struct Client {
    /// Its name at the provider.
    pub id: String,
    /// Its secret, which programs for people have not.
    pub secret: Option<Zeroizing<String>>,
    /// Where the browser brings the answer, if not to any free port: `http://localhost:PORT/PATH`.
    pub redirect: Option<Url>,
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

/// Logs a person in in a browser on this machine, which `open` opens; `progress` tells where, should that fail.
///
/// # Errors
/// As [`on_device`]; if nobody can listen for the browser's answer.
pub async fn in_browser(
    issuer: &str,
    client: &Client,
    options: &Options,
    progress: &Progress,
    open: impl FnOnce(&Url),
) -> Result<IdentityToken, Error> {
    let service = Service::new(KIND, issuer, options)?;
    let metadata = discover(&service).await?;
    let Some(place) = metadata.authorization_endpoint else {
        return Err(Error::Identity(format!(
            "the identity provider {issuer} lets nobody log in in a browser; give a token with --identity-token"
        )));
    };
    let tokens = endpoint(&service, &metadata.token_endpoint)?;
    let mut place = endpoint(&service, &place)?;
    let (listener, redirect) = listen(client.redirect.as_ref()).await?;
    let (proof, state, nonce) = (Proof::new()?, random()?, random()?);
    place
        .query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &client.id)
        .append_pair("redirect_uri", redirect.as_str())
        .append_pair("scope", SCOPE)
        .append_pair("state", &state)
        .append_pair("nonce", &nonce)
        .append_pair("access_type", "online")
        .append_pair("code_challenge", &proof.challenge)
        .append_pair("code_challenge_method", "S256");
    progress(&format!(
        "to log in, a browser opens; if it does not, open {place}"
    ));
    open(&place);
    let code = in_time(issuer, answer_of(&listener, redirect.path(), &state)).await?;
    let mut form = client.form();
    form.push(("grant_type", "authorization_code"));
    form.push(("code", &code));
    form.push(("redirect_uri", redirect.as_str()));
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
    let body = Zeroizing::new(
        url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish(),
    );
    let post = service.post(url, |request| {
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(body.as_bytes().to_vec())
    });
    post.await
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

/// A port of this machine for the browser's answer, and the URL of it that providers expect: by name.
async fn listen(wanted: Option<&Url>) -> Result<(TcpListener, Url), Error> {
    let port = wanted.and_then(Url::port).unwrap_or(0);
    let is_here = |url: &Url| {
        url.scheme() == "http" && matches!(url.host_str(), Some("localhost" | "127.0.0.1"))
    };
    if let Some(url) = wanted.filter(|url| !is_here(url)) {
        return Err(Error::Identity(format!(
            "--oidc-redirect-url {url}: the browser must bring its answer here, to http://localhost:PORT/PATH"
        )));
    }
    let failed = |error: std::io::Error| {
        Error::Identity(format!(
            "cannot listen for the browser's answer on port {port}: {error}"
        ))
    };
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    let host = wanted.and_then(Url::host_str).unwrap_or("localhost");
    let path = wanted.map(Url::path).unwrap_or(CALLBACK);
    let text = format!("http://{host}:{port}{path}");
    let url = Url::parse(&text).map_err(|error| Error::Identity(format!("{text}: {error}")))?;
    Ok((listener, url))
}

/// Waits for the browser; others who knock are sent away.
async fn answer_of(
    listener: &TcpListener,
    path: &str,
    state: &str,
) -> Result<Zeroizing<String>, Error> {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            continue;
        };
        // One who says nothing must not keep the browser waiting.
        let read = tokio::time::timeout(Duration::from_secs(5), request_target(&mut stream)).await;
        let Ok(Some(target)) = read else { continue };
        let base = Url::parse("http://localhost").ok();
        let Some(url) = base.and_then(|base| base.join(&target).ok()) else {
            continue;
        };
        let parameter = |name: &str| {
            let mut pairs = url.query_pairs();
            pairs
                .find(|(found, _)| found == name)
                .map(|(_, value)| value.into_owned())
        };
        if url.path() != path || parameter("state").as_deref() != Some(state) {
            reply(
                &mut stream,
                "404 Not Found",
                "This is not the answer that sealmark waits for.",
            )
            .await;
            continue;
        }
        match parameter("code") {
            Some(code) => {
                reply(
                    &mut stream,
                    "200 OK",
                    "You are logged in. You can close this page.",
                )
                .await;
                return Ok(Zeroizing::new(code));
            }
            None => {
                reply(&mut stream, "200 OK", "You are not logged in.").await;
                let reason = parameter("error_description").or_else(|| parameter("error"));
                return Err(Error::Identity(format!(
                    "the identity provider did not log you in: {}",
                    sanitise(&reason.unwrap_or_else(|| "it does not say why".to_owned()))
                )));
            }
        }
    }
}

/// The target of `GET TARGET HTTP/1.1`.
async fn request_target(stream: &mut TcpStream) -> Option<String> {
    let mut line = Vec::new();
    while !line.contains(&b'\n') && line.len() < MAX_REQUEST_LINE {
        let mut piece = [0; 1024];
        match stream.read(&mut piece).await.ok()? {
            0 => return None,
            count => line.extend_from_slice(&piece[..count]),
        }
    }
    let text = String::from_utf8(line).ok()?;
    let target = text.strip_prefix("GET ")?.split(' ').next()?;
    Some(target.to_owned())
}

async fn reply(stream: &mut TcpStream, status: &str, text: &str) {
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\
         Cache-Control: no-store\r\n\r\n{text}",
        text.len()
    );
    // A browser that is gone needs no answer.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
