//! What can go wrong, by what the caller can do about it.
//!
//! Invariant: the `Display` of an error is complete: what was attempted on what, the true cause, and what to do next.
//! Nothing in it comes from outside unsanitised, and no secret is in it.

use std::path::PathBuf;
use std::time::Duration;

use sealmark_formats::Digest;

pub use crate::reference::ReferenceError;

/// What was attempted, and on what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// The host that was asked.
    pub host: String,
    /// As it stands in a sentence: `reading the manifest`.
    pub operation: &'static str,
    /// The image, repository or blob: `ghcr.io/team/app:v1`.
    pub target: String,
}

impl core::fmt::Display for Attempt {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} {}", self.operation, self.target)
    }
}

/// Why there was no connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConnectCause {
    /// Nothing listens there.
    Refused,
    /// The name does not resolve.
    Dns,
    /// The TLS handshake failed.
    Tls,
    /// The connection broke.
    Broken,
    /// Something else; the text says what.
    Other,
}

impl ConnectCause {
    fn next_step(self) -> &'static str {
        match self {
            Self::Refused => "is the registry running, and is the port right?",
            Self::Dns => "is the registry's name right, and does DNS work here?",
            Self::Tls => {
                "give the authority's certificate with --registry-cacert, or, for a registry that \
                 speaks plain HTTP, --allow-http-registry"
            }
            Self::Broken | Self::Other => "try again; if it stays, look at the network in between",
        }
    }
}

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text does not name an image.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The registry says that it does not have it.
    #[error(
        "{}: {}{}",
        if *.repository_unknown { "repository not found" } else { "not found" },
        .attempt.target,
        because(.detail)
    )]
    NotFound {
        /// What was attempted.
        attempt: Attempt,
        /// The registry said that the whole repository is unknown.
        repository_unknown: bool,
        /// The registry's own words.
        detail: String,
    },
    /// 401.
    #[error(
        "{attempt}: {} asks for credentials{}; used: {credential}. Log in with `sealmark login {}`, or check the \
         credentials", .attempt.host, because(.detail), .attempt.host
    )]
    Unauthorized {
        /// What was attempted.
        attempt: Attempt,
        /// Which credential was sent, by its source.
        credential: String,
        /// The registry's own words.
        detail: String,
    },
    /// 403.
    #[error(
        "{attempt}: {} denies access{}; used: {credential}. Ask for the permission, or use another account",
        .attempt.host, because(.detail)
    )]
    Forbidden {
        /// What was attempted.
        attempt: Attempt,
        /// Which credential was sent, by its source.
        credential: String,
        /// The registry's own words.
        detail: String,
    },
    /// 429, still after the retries.
    #[error(
        "{attempt}: {} limits the rate of requests (429, after {tries} tries){}; {}", .attempt.host,
        because(.detail),
        match .retry_after {
            Some(wait) => format!("it asks to wait {} s", wait.as_secs()),
            None => "wait, or log in for a higher limit".to_owned(),
        }
    )]
    RateLimited {
        /// What was attempted.
        attempt: Attempt,
        /// How often.
        tries: u32,
        /// What the registry asked to wait, the last time.
        retry_after: Option<Duration>,
        /// The registry's own words.
        detail: String,
    },
    /// 5xx.
    #[error(
        "{attempt}: {} failed with status {status}{}; this is the registry's fault, try later", .attempt.host,
        because(.detail)
    )]
    Server {
        /// What was attempted.
        attempt: Attempt,
        /// The status.
        status: u16,
        /// The registry's own words.
        detail: String,
    },
    /// Any other refusal.
    #[error("{attempt}: {} refused with status {status}{}{}", .attempt.host, because(.detail), hint(*.status))]
    Rejected {
        /// What was attempted.
        attempt: Attempt,
        /// The status.
        status: u16,
        /// The registry's own words.
        detail: String,
    },
    /// Something took too long.
    #[error(
        "{attempt}: no answer from {} within {} while {phase}; try again, or allow more time", .attempt.host,
        seconds(*.after)
    )]
    Timeout {
        /// What was attempted.
        attempt: Attempt,
        /// As it stands in a sentence: `connecting`.
        phase: &'static str,
        /// The bound that was reached.
        after: Duration,
    },
    /// There was no connection, or it broke.
    #[error("{attempt}: cannot connect to {}: {text}; {}", .attempt.host, .cause.next_step())]
    Connect {
        /// What was attempted.
        attempt: Attempt,
        /// The kind of failure.
        cause: ConnectCause,
        /// The system's words.
        text: String,
    },
    /// What answered does not speak the registry protocol.
    #[error(
        "{attempt}: {} does not answer like a registry: expected JSON, got {content_type:?} starting {start:?}; is \
         there a proxy or login page in between?", .attempt.host
    )]
    NotRegistry {
        /// What was attempted.
        attempt: Attempt,
        /// The answer's content type.
        content_type: String,
        /// How the answer starts, made printable.
        start: String,
    },
    /// A redirect that is not followed.
    #[error("{attempt}: {} redirects, and that is not followed: {reason}", .attempt.host)]
    Redirect {
        /// What was attempted.
        attempt: Attempt,
        /// Why not.
        reason: String,
    },
    /// Bytes are not those that were asked for.
    #[error(
        "{what}: expected digest {expected}, found {found}; the content was altered or damaged, do not use it"
    )]
    DigestMismatch {
        /// Which bytes.
        what: String,
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// Something is larger than its bound.
    #[error("{what} is larger than {limit} bytes; it is not read further")]
    TooLarge {
        /// Which thing.
        what: String,
        /// The bound.
        limit: u64,
    },
    /// There are more things than the bound.
    #[error("{what}: more than {limit}; it is not read further")]
    TooMany {
        /// Which things.
        what: String,
        /// The bound.
        limit: usize,
    },
    /// Something does not have the form that it must have.
    #[error("{what} is malformed: {reason}")]
    Malformed {
        /// Which thing.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// The tag at which referrers are listed, where a registry has no API for them, is something else.
    #[error(
        "the tag {tag} should be an index of referrers, and is {found}; what it listed is not found until it is an \
         index again, or is deleted"
    )]
    NotReferrers {
        /// The tag, with its repository.
        tag: String,
        /// The manifest that is there.
        digest: Digest,
        /// What that is.
        found: String,
    },
    /// A credential could not be found out, although there should be one.
    #[error("credentials for {registry}: {reason}")]
    Credentials {
        /// The registry.
        registry: String,
        /// What is wrong, with the source and what to do.
        reason: String,
    },
    /// An option cannot be used.
    #[error("{option}: {reason}")]
    Option {
        /// The flag.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Others kept writing the same tag.
    #[error(
        "{target}: other writers changed it during each of {tries} tries to add to it; the attachment itself is \
         stored, sign again when they are done"
    )]
    Contended {
        /// The tag.
        target: String,
        /// How often.
        tries: u32,
    },
    /// The registry took an attachment, and does not show it.
    #[error(
        "{target}: {host} accepted the attachment {digest}, but its referrers API does not list it; others will not \
         find it. Try again, or use the legacy layout"
    )]
    NotListed {
        /// The subject.
        target: String,
        /// The host.
        host: String,
        /// The attachment.
        digest: Digest,
    },
    /// A tag that would be moved.
    #[error(
        "{target} is there already and is another image, {digest}; --force moves it, or choose another tag"
    )]
    Exists {
        /// The tag, with its repository.
        target: String,
        /// What it is now.
        digest: Digest,
    },
    /// A file could not be read or written.
    #[error("{operation} {}: {source}", .path.display())]
    Io {
        /// As it stands in a sentence: `reading`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

impl Error {
    /// The registry or layout answered properly that it does not have the thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    pub(crate) fn malformed(what: impl Into<String>, reason: impl core::fmt::Display) -> Self {
        Self::Malformed {
            what: what.into(),
            reason: sanitise(&reason.to_string()),
        }
    }

    pub(crate) fn io(
        operation: &'static str,
        path: impl Into<PathBuf>,
        source: std::io::Error,
    ) -> Self {
        Self::Io {
            operation,
            path: path.into(),
            source,
        }
    }
}

fn because(detail: &str) -> String {
    if detail.is_empty() {
        String::new()
    } else {
        format!(" ({detail})")
    }
}

fn hint(status: u16) -> &'static str {
    match status {
        405 => "; the registry does not support this operation",
        409 | 412 => "; the tag may be immutable or locked",
        413 => "; it is larger than the registry allows",
        _ => "",
    }
}

fn seconds(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

pub(crate) use sealmark_http::sanitise;
