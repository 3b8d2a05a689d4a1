//! What can go wrong with a request.

use std::time::Duration;

/// A failure; its `Display` is the whole message, and has nothing of what was sent.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not the URL of a service.
    #[error("{url:?} is not the URL of a {kind}: {reason}")]
    Url {
        /// Which service.
        kind: &'static str,
        /// The text.
        url: String,
        /// Why not.
        reason: String,
    },
    /// TLS could not be set up.
    #[error("TLS cannot be set up: {reason}; install the system's CA certificates")]
    Tls {
        /// Why.
        reason: String,
    },
    /// No answer came.
    #[error("{kind}: {request}: {reason}")]
    Connect {
        /// Which service.
        kind: &'static str,
        /// Method and URL.
        request: String,
        /// What the network said.
        reason: String,
        /// The name of the host is not known.
        unknown_host: bool,
    },
    /// The answer did not come in time.
    #[error("{kind}: {request}: no complete answer within {} s; try again, or allow more time with --timeout", .after.as_secs_f64())]
    Timeout {
        /// Which service.
        kind: &'static str,
        /// Method and URL.
        request: String,
        /// The bound.
        after: Duration,
    },
    /// The service refused.
    #[error("{kind}: {request}: the server answered {status}{message}{}", hint(*.status))]
    Refused {
        /// Which service.
        kind: &'static str,
        /// Method and URL.
        request: String,
        /// The status code.
        status: u16,
        /// The service's own words, cut; there may be none.
        message: String,
    },
    /// The answer is not what was asked for.
    #[error("{kind}: {request}: do not trust the answer: {reason}")]
    Answer {
        /// Which service.
        kind: &'static str,
        /// Method and URL.
        request: String,
        /// What is wrong.
        reason: String,
    },
}

/// What to do next.
fn hint(status: u16) -> &'static str {
    match status {
        429 | 502..=504 => "; try again later",
        301..=308 => "; redirects are not followed with an identity: give the URL that it leads to",
        _ => "",
    }
}
