//! What the issuer says of itself, and of who has a token.
//! <https://openid.net/specs/openid-connect-discovery-1_0.html>

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode, header};
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::{Inner, page};

pub(super) fn document(inner: &Inner) -> Response<Body> {
    let url = inner.signer.url();
    let json = json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "device_authorization_endpoint": format!("{url}/device/code"),
        "jwks_uri": format!("{url}/keys"),
        "userinfo_endpoint": format!("{url}/userinfo"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "email"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
        "claims_supported": ["iss", "sub", "aud", "iat", "exp", "email", "email_verified", "nonce", "at_hash"],
        "authorization_response_iss_parameter_supported": true,
        "request_uri_parameter_supported": false,
    });
    page::json(StatusCode::OK, &json)
}

pub(super) fn keys(inner: &Inner) -> Response<Body> {
    page::json(StatusCode::OK, inner.signer.keys_json())
}

/// Who has the token of the request (OpenID Connect Core, section 5.3).
pub(super) fn user_info(inner: &Inner, headers: &HeaderMap) -> Result<Response<Body>, Refusal> {
    let refused = |description: String| Refusal::Program {
        status: StatusCode::UNAUTHORIZED,
        error: "invalid_token",
        description,
        challenge: Some("Bearer error=\"invalid_token\""),
    };
    let given = headers.get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.to_str().ok()?.split_once(' '));
    let token = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"));
    let Some((_, token)) = token else {
        return Err(refused("send the access token as Bearer".to_owned()));
    };
    let claims = inner.signer.read(token.trim(), inner.now());
    let claims = claims.map_err(|error| refused(error.to_string()))?;
    let of = |name: &str| claims.get(name).cloned().unwrap_or(Value::Null);
    let json =
        json!({"sub": of("sub"), "email": of("email"), "email_verified": of("email_verified")});
    Ok(page::json(StatusCode::OK, &json))
}
