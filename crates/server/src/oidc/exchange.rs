//! The token endpoint (RFC 6749, section 3.2): tokens for codes.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sealmark_formats::digest::sha256;
use serde_json::json;

use super::grants::Poll;
use super::parameters::Parameters;
use super::refusal::Refusal;
use super::{CLIENT, Inner, LIFETIME, page};

const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Answers with tokens.
pub(super) fn exchange(
    inner: &Inner,
    headers: &HeaderMap,
    sent: &Parameters,
) -> Result<Response<Body>, Refusal> {
    let is_named = is_client(headers, sent)?;
    match sent.get("grant_type") {
        Some("authorization_code") if is_named => for_code(inner, sent),
        Some("authorization_code") => Err(Refusal::unknown_client()),
        // cosign does not name itself here. The device code was given to the one client that there is.
        Some(DEVICE) => for_device(inner, sent),
        Some(other) => Err(Refusal::program(
            "unsupported_grant_type",
            format!(
                "grant_type must be authorization_code or {DEVICE}, not {:?}",
                sealmark_formats::excerpt(other.to_owned())
            ),
        )),
        None => Err(Refusal::program("invalid_request", "grant_type is missing")),
    }
}

fn for_code(inner: &Inner, sent: &Parameters) -> Result<Response<Body>, Refusal> {
    let missing = |name: &str| Refusal::program("invalid_request", format!("{name} is missing"));
    let code = sent.get("code").ok_or_else(|| missing("code"))?;
    let redirect = sent.get("redirect_uri");
    let redirect = redirect.ok_or_else(|| missing("redirect_uri"))?;
    let verifier = sent.get("code_verifier");
    let verifier = verifier.ok_or_else(|| missing("code_verifier"))?;
    let invalid = |description: &str| Refusal::program("invalid_grant", description);
    // People copy it with spaces.
    let grant = inner.codes.take(code.trim(), inner.now());
    let grant = grant.ok_or_else(|| invalid("the code is unknown, was used, or has expired"))?;
    if grant.redirect != redirect {
        return Err(invalid(
            "redirect_uri is not the one that the code was given for",
        ));
    }
    if !answers(verifier, &grant.challenge) {
        return Err(invalid("code_verifier is not what code_challenge is of"));
    }
    tokens(inner, &grant.email, grant.nonce.as_deref())
}

fn for_device(inner: &Inner, sent: &Parameters) -> Result<Response<Body>, Refusal> {
    let code = sent.get("device_code");
    let code = code.ok_or_else(|| Refusal::program("invalid_request", "device_code is missing"))?;
    match inner.devices.poll(code, inner.clock.now_ms()) {
        Poll::Pending => Err(Refusal::program(
            "authorization_pending",
            "nobody has logged in yet",
        )),
        Poll::SlowDown => Err(Refusal::program(
            "slow_down",
            "ask less often: wait 5 s more each time",
        )),
        Poll::Denied => Err(Refusal::program("access_denied", "the user refused")),
        Poll::Expired => Err(Refusal::program(
            "expired_token",
            "nobody has logged in in time; start again",
        )),
        Poll::Unknown => Err(Refusal::program(
            "invalid_grant",
            "the device code is unknown, was used, or has expired",
        )),
        Poll::Granted { email, challenge } => {
            let verifier = sent.get("code_verifier");
            let right = match (&challenge, verifier) {
                (Some(challenge), Some(verifier)) => answers(verifier, challenge),
                (None, None) => true,
                _ => false,
            };
            if !right {
                return Err(Refusal::program(
                    "invalid_grant",
                    "code_verifier is not what code_challenge is of",
                ));
            }
            tokens(inner, &email, None)
        }
    }
}

/// Whether a verifier is the one of a challenge (RFC 7636, section 4.6).
fn answers(verifier: &str, challenge: &str) -> bool {
    let well_formed = (43..=128).contains(&verifier.len())
        && verifier
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"-._~".contains(&c));
    let found = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()));
    well_formed && verify_slices_are_equal(found.as_bytes(), challenge.as_bytes()).is_ok()
}

fn tokens(inner: &Inner, email: &str, nonce: Option<&str>) -> Result<Response<Body>, Refusal> {
    let pair = inner.signer.pair(email, nonce, inner.now());
    let pair = pair.map_err(|error| Refusal::fault(&error))?;
    let json = json!({
        "access_token": pair.access_token,
        "id_token": pair.id_token,
        "token_type": "Bearer",
        "expires_in": LIFETIME.as_secs(),
        "scope": "openid email",
    });
    Ok(page::json(StatusCode::OK, &json))
}

/// Whether a request names the client, in its body or by Basic authentication with an empty secret. An error, if it
/// names another one.
pub(super) fn is_client(headers: &HeaderMap, sent: &Parameters) -> Result<bool, Refusal> {
    let mut is_named = false;
    if let Some(given) = headers.get(header::AUTHORIZATION) {
        let client = given.to_str().ok().and_then(basic);
        if client.as_deref() != Some(CLIENT) {
            return Err(Refusal::unknown_client());
        }
        is_named = true;
    }
    match sent.get("client_id") {
        Some(CLIENT) => is_named = true,
        Some(_) => return Err(Refusal::unknown_client()),
        None => {}
    }
    match sent.get("client_secret") {
        Some(_) => Err(Refusal::unknown_client()),
        None => Ok(is_named),
    }
}

/// The name in Basic authentication with an empty secret (RFC 6749, section 2.3.1).
fn basic(header: &str) -> Option<String> {
    let (scheme, credentials) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") || credentials.len() > 256 {
        return None;
    }
    let credentials = STANDARD.decode(credentials.trim()).ok()?;
    let credentials = String::from_utf8(credentials).ok()?;
    credentials.strip_suffix(':').map(str::to_owned)
}
