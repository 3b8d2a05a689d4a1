//! Why something could not be signed.

use std::time::Duration;

use sealmark_formats::signing_config::SelectError;

/// A failure; its `Display` is the whole message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry did not do what was asked.
    #[error(transparent)]
    Oci(#[from] sealmark_oci::Error),
    /// The key did not sign.
    #[error(transparent)]
    Key(#[from] sealmark_kms::Error),
    /// A key of one run could not be made.
    #[error("no key for this signature can be made: {0}")]
    Ephemeral(sealmark_keys::Error),
    /// The transparency log did not take the entry, or did not prove that it did.
    #[error("the signature is in no transparency log, and nothing was published: {0}")]
    Log(#[from] sealmark_rekor::Error),
    /// The fresh signature does not verify; nothing was published.
    #[error(
        "the signature just made over {what} does not verify: {reason}; nothing was published{hint}"
    )]
    NotVerified {
        /// What was signed.
        what: String,
        /// The check that failed.
        reason: String,
        /// What may be the matter.
        hint: &'static str,
    },
    /// The certificate is not by an authority that is believed; nothing was published.
    #[error(
        "the certificate that {ca} issued is not by an authority that is trusted here: {reason}; nothing was signed or \
         published. Give the trusted root of the same instance with --trusted-root"
    )]
    Untrusted {
        /// The authority that was asked.
        ca: String,
        /// What is wrong.
        reason: String,
    },
    /// The services to sign with do not suffice, or are none.
    #[error("{0}")]
    Services(String),
    /// No service can be chosen.
    #[error("{0}")]
    Select(#[from] SelectError),
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
    /// The certificate expired before everything was signed.
    #[error(
        "the certificate of this run was good until {until}, and there is no other one: {cause}. What was signed before \
         is complete; sign the rest in another run"
    )]
    Renewal {
        /// When it expired.
        until: String,
        /// Why there is no other one.
        cause: Box<Self>,
    },
    /// Nobody says who signs.
    #[error("{0}")]
    Identity(String),
}

/// What to do next.
fn hint(status: u16) -> &'static str {
    match status {
        429 | 502..=504 => "; try again later",
        301..=308 => "; redirects are not followed with an identity: give the URL that it leads to",
        _ => "",
    }
}
