//! What ends a command without success, with the exit code that scripts may rely on.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A failure. Its `Display` is the whole message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The arguments do not make sense together.
    #[error("{0}")]
    Usage(String),
    /// The thing exists elsewhere and not here.
    #[error("not supported: {0}")]
    NotSupported(String),
    /// A key could not be had.
    #[error("{cause}{source}", cause = .0, source = password_source(.0))]
    Key(#[from] sealmark_kms::Error),
    /// A key is not usable.
    #[error("{0}")]
    KeyMaterial(#[from] sealmark_keys::Error),
    /// A registry or a layout did not do what was asked.
    #[error("{0}")]
    Oci(#[from] sealmark_oci::Error),
    /// What is in an image or directory could not be found out.
    #[error("{0}")]
    Sbom(#[from] sealmark_sbom::Error),
    /// Trusted material could not be had.
    #[error("{0}")]
    Trust(#[from] sealmark_trust::Error),
    /// A transparency log did not do what was asked, or could not prove what it said.
    #[error("{0}")]
    Rekor(#[from] sealmark_rekor::Error),
    /// A transparency log has not what was asked for.
    #[error("{0}")]
    Log(String),
    /// Following a transparency log failed, or the log has contradicted itself.
    #[error("{0}")]
    Monitor(#[from] sealmark_rekor::monitor::Error),
    /// What was looked for in a log was found, and that was to be a failure.
    #[error("found {0} entries that were looked for")]
    Matched(u64),
    /// Signing failed.
    #[error("{0}")]
    Sign(#[from] sealmark_sign::Error),
    /// An identity token is not one that certificates are given for.
    #[error("a certificate authority would refuse this token: {0}")]
    Token(String),
    /// A service that this program runs failed.
    #[error("{0}")]
    Server(#[from] sealmark_server::Error),
    /// Evidence was looked at and did not suffice.
    #[error("{message}")]
    Verification {
        /// Which of the documented exit codes.
        exit: VerificationExit,
        /// What is missing.
        message: String,
    },
    /// Everything of a promotion is done but the last step.
    #[error(
        "the tag {tag} was not moved, and is what it was: {cause}. The image, its signatures and the promotion are at \
         {pinned}; if tags of this registry cannot be changed, promote to one that does not exist"
    )]
    TagNotMoved {
        /// The tag.
        tag: String,
        /// The image by digest.
        pinned: String,
        /// Why.
        cause: Box<sealmark_oci::Error>,
    },
    /// What a service keeps contradicts itself.
    #[error(
        "{} is damaged: {count} finding{}; restore it from a backup",
        path.display(),
        if *count == 1 { "" } else { "s" }
    )]
    Unsound {
        /// Where.
        path: PathBuf,
        /// How many things are wrong.
        count: usize,
    },
    /// The doctor has found something.
    #[error("{failed} of {all} checks failed; each says what to do")]
    Unwell {
        /// How many failed.
        failed: usize,
        /// How many were made.
        all: usize,
    },
    /// A step of the demo did not do as it must.
    #[error("the demo failed: {0}")]
    Demo(String),
    /// A file could not be read or written.
    #[error("cannot {action} {}: {cause}", path.display())]
    File {
        /// `read`, `write` or the like.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Standard input, standard output or the terminal failed.
    #[error("cannot {action}: {cause}")]
    Stream {
        /// `read standard input` or the like.
        action: &'static str,
        /// Why.
        cause: io::Error,
    },
    /// The runtime could not be started.
    #[error("cannot start: {cause}")]
    Runtime {
        /// Why.
        cause: io::Error,
    },
    /// `--timeout` was over.
    #[error(
        "gave up after {after:?}{}; allow more time with --timeout",
        .last_request.as_deref().map(|last| format!(", the last request was {last}")).unwrap_or_default()
    )]
    Timeout {
        /// The bound.
        after: Duration,
        /// What was last asked of a registry, and its answer.
        last_request: Option<String>,
    },
}

/// A password that is wrong may come from another place than the user thinks.
fn password_source(error: &sealmark_kms::Error) -> String {
    match error {
        sealmark_kms::Error::Key {
            cause: sealmark_keys::Error::WrongPassword,
            ..
        } => format!("; {}", crate::password::source()),
        _ => String::new(),
    }
}

/// The exit codes of failed verifications, as cosign has them, the same for every layout.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum VerificationExit {
    /// The artifact has no signature.
    Unsigned = 10,
    /// The image does not exist.
    ImageMissing = 11,
    /// There are signatures, and none is good.
    NoMatch = 12,
    /// There are signatures, and none has the certificate that was asked for.
    CertificateMissing = 13,
}

/// Exit code: a transparency log has contradicted itself.
const INCONSISTENT: u8 = 20;
/// Exit code: with `--fail-on-match`, an entry was found that was looked for.
const MATCHED: u8 = 21;

impl Error {
    /// 0 is success, 10 to 13 are [`VerificationExit`], 20 and 21 those of a monitor, everything else is 1.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Verification { exit, .. } => *exit as u8,
            Self::Monitor(sealmark_rekor::monitor::Error::Inconsistent(_)) => INCONSISTENT,
            Self::Matched(_) => MATCHED,
            _ => 1,
        }
    }

    /// A failed file operation.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>, cause: io::Error) -> Self {
        Self::File {
            action,
            path: path.into(),
            cause,
        }
    }
}
