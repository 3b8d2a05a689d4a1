//! What can go wrong between a client and a log.

use std::path::PathBuf;
use std::time::Duration;

/// A failure. Its `Display` is the whole message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not the URL of a log.
    #[error("{url:?} is not the URL of a log: {reason}")]
    Url {
        /// The text.
        url: String,
        /// Why not.
        reason: String,
    },
    /// TLS could not be set up.
    #[error("{reason}")]
    Tls {
        /// What, and why.
        reason: String,
    },
    /// No answer came.
    #[error("{request}: {reason}")]
    Connect {
        /// Method and URL.
        request: String,
        /// What the network said.
        reason: String,
    },
    /// The answer did not come in time.
    #[error("{request}: no complete answer within {}; allow more time with --timeout", seconds(.after))]
    Timeout {
        /// Method and URL.
        request: String,
        /// The bound.
        after: Duration,
    },
    /// The answer is larger than anything of its kind.
    #[error("{request}: the answer is larger than {limit} bytes, which no such answer is")]
    TooLarge {
        /// Method and URL.
        request: String,
        /// The bound.
        limit: usize,
    },
    /// The server leads elsewhere.
    #[error("{request}: {reason}")]
    Redirect {
        /// Method and URL.
        request: String,
        /// Where to, and why that way is not taken.
        reason: String,
    },
    /// The server refused.
    #[error("{request}: the server answered {status}{}{}", words(.message), hint(*.status))]
    Refused {
        /// Method and URL.
        request: String,
        /// The status code.
        status: u16,
        /// The server's own words, cut; there may be none.
        message: String,
    },
    /// What answers is no log.
    #[error("{request}: what answers there is no transparency log: {reason}")]
    NotALog {
        /// Method and URL.
        request: String,
        /// What came instead.
        reason: String,
    },
    /// The answer is not of the form that the interface has.
    #[error("{request}: the answer is not as a log answers: {reason}")]
    Malformed {
        /// Method and URL.
        request: String,
        /// What is wrong.
        reason: String,
    },
    /// The log's answer is not what its keys and hashes prove.
    #[error("do not trust this answer of {host}: {what}: {reason}")]
    Unproven {
        /// Who answered.
        host: String,
        /// What it said.
        what: String,
        /// Why that is not proven.
        reason: String,
    },
    /// The log's key is not known.
    #[error("{0}")]
    UnknownKey(String),
    /// An entry cannot be made of the files that are there.
    #[error("the entry cannot be made: {0}")]
    Proposal(String),
    /// The entry is none that a log takes; it was not sent.
    #[error("the entry was not sent: {0}")]
    Entry(#[from] sealmark_entries::Error),
    /// What is remembered of logs cannot be read or written.
    #[error("cannot {action} {}: {reason}", path.display())]
    State {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Error {
    /// Something that the log said and that is not proven.
    pub(crate) fn unproven(
        host: &str,
        what: impl Into<String>,
        reason: impl std::fmt::Display,
    ) -> Self {
        Self::Unproven {
            host: host.to_owned(),
            what: what.into(),
            reason: sealmark_http::sanitise(&reason.to_string()),
        }
    }

    /// The status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

fn words(message: &str) -> String {
    match message {
        "" => String::new(),
        message => format!(": {message}"),
    }
}

/// What to do next.
fn hint(status: u16) -> &'static str {
    match status {
        405 => "; the log may be frozen, or speak another version of the interface (--log-version)",
        413 => "; the log takes no entries of this size",
        429 | 502..=504 => "; try again later",
        _ => "",
    }
}

fn seconds(duration: &Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
