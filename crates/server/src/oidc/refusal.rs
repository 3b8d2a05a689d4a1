//! Refusals: in JSON for programs (RFC 6749, section 5.2), on a page for people.

use axum::body::Body;
use axum::http::header::{self, HeaderValue};
use axum::http::{Response, StatusCode};
use serde_json::json;

use super::{dispatch, grants, page};
use crate::{Error, ops};

/// Why a request is not answered.
pub(super) enum Refusal {
    /// To a program.
    Program {
        status: StatusCode,
        /// One of the specification's names.
        error: &'static str,
        description: String,
        /// `WWW-Authenticate`, where the status demands it.
        challenge: Option<&'static str>,
    },
    /// To somebody with a browser.
    Person {
        status: StatusCode,
        message: String,
        /// When to come again, in seconds.
        retry_after: Option<u64>,
    },
}

impl Refusal {
    pub(super) fn program(error: &'static str, description: impl Into<String>) -> Self {
        Self::Program {
            status: StatusCode::BAD_REQUEST,
            error,
            description: description.into(),
            challenge: None,
        }
    }

    pub(super) fn unknown_client() -> Self {
        Self::Program {
            status: StatusCode::UNAUTHORIZED,
            error: "invalid_client",
            description: format!(
                "the one client here is {:?}, without a secret",
                super::CLIENT
            ),
            challenge: Some("Basic realm=\"sealmark\""),
        }
    }

    pub(super) fn person(status: StatusCode, message: impl Into<String>) -> Self {
        Self::Person {
            status,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(super) fn fault(error: &Error) -> Self {
        tracing::error!("the development issuer could not answer: {error}");
        Self::Program {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            error: "server_error",
            description: "the server could not do its part; its log says why".to_owned(),
            challenge: None,
        }
    }

    pub(super) fn response(self) -> Response<Body> {
        match self {
            Self::Program {
                status,
                error,
                description,
                challenge,
            } => {
                let json = json!({"error": error, "error_description": description});
                let mut response = page::json(status, &json);
                if let Some(challenge) = challenge {
                    let value = HeaderValue::from_static(challenge);
                    response
                        .headers_mut()
                        .insert(header::WWW_AUTHENTICATE, value);
                }
                response
            }
            Self::Person {
                status,
                message,
                retry_after,
            } => {
                let mut response = page::message(status, "That did not work", &message);
                if let Some(seconds) = retry_after {
                    let headers = response.headers_mut();
                    headers.insert(header::RETRY_AFTER, seconds.into());
                }
                response
            }
        }
    }
}

/// How the server refuses what did not come here.
pub(super) fn refused(path: &str, refused: ops::Refused) -> Response<Body> {
    let refusal = match dispatch::is_page(path) {
        true => Refusal::person(refused.status, refused.message),
        false => Refusal::Program {
            status: refused.status,
            error: "temporarily_unavailable",
            description: refused.message,
            challenge: None,
        },
    };
    refusal.response()
}

/// There is no new code.
impl From<grants::Refused> for Refusal {
    fn from(refused: grants::Refused) -> Self {
        match refused {
            grants::Refused::Fault(error) => Self::fault(&error),
            grants::Refused::Full => Self::Program {
                status: StatusCode::SERVICE_UNAVAILABLE,
                error: "temporarily_unavailable",
                description: "too many logins are under way; come again in a minute".to_owned(),
                challenge: None,
            },
        }
    }
}
