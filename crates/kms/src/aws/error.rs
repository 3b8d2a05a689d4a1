//! What can go wrong with AWS: what was asked of which host, for which key, in which region, what is missing.

/// Why a key in AWS KMS could not be used. No variant carries a secret.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing says which region the key is in.
    #[error(
        "{key}: in which region of AWS is it? Give the key's ARN, or set AWS_REGION; neither AWS_REGION nor \
         AWS_DEFAULT_REGION is set, and there is no region in the profile {profile} ({places})"
    )]
    NoRegion {
        /// The normalised reference.
        key: String,
        /// The profile that was looked at.
        profile: String,
        /// The files that were looked at.
        places: String,
    },
    /// Something that the user has set for AWS cannot be.
    #[error("cannot use {what}: {reason}")]
    Setting {
        /// What was set.
        what: String,
        /// Why not.
        reason: String,
    },
    /// Nobody has credentials.
    #[error(
        "no credentials for AWS, in any of these places:{}\n  set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or choose a profile with AWS_PROFILE",
        .tried.iter().map(|line| format!("\n  - {line}")).collect::<String>()
    )]
    NoCredentials {
        /// Each place, and why there are none.
        tried: Vec<String>,
    },
    /// A place that should have credentials has none; no other is asked then.
    #[error("no credentials for AWS from {source_name}, which is chosen: {reason}")]
    Credentials {
        /// The place.
        source_name: String,
        /// Why not.
        reason: String,
    },
    /// KMS was not reached.
    #[error("{cause}{advice}")]
    Unreachable {
        /// What the network said, with the host.
        cause: sealmark_http::Error,
        /// What to look at.
        advice: String,
    },
    /// KMS refused.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The key is not one that signs here.
    #[error("{key} cannot sign: {reason}")]
    Unsuitable {
        /// The normalised reference.
        key: String,
        /// Why not.
        reason: String,
    },
    /// The key cannot be made.
    #[error("cannot make a key in AWS KMS as {key}: {reason}")]
    Create {
        /// The normalised reference.
        key: String,
        /// Why not.
        reason: String,
    },
    /// The answer is not what was asked for.
    #[error("do not trust what AWS KMS at {host} answered to {action}: {reason}")]
    Answer {
        /// The permission that the call needs.
        action: String,
        /// Where it was asked.
        host: String,
        /// What is wrong.
        reason: String,
    },
}

/// What KMS refused, and why.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The permission that the call needs: `kms:Sign`.
    pub action: String,
    /// The normalised reference.
    pub key: String,
    /// Where it was asked.
    pub host: String,
    /// The region.
    pub region: String,
    /// AWS's name for the error.
    pub code: String,
    /// AWS's own words.
    pub message: String,
    /// What to do, after a semicolon.
    pub advice: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            action,
            key,
            host,
            region,
            code,
            message,
            advice,
        } = self;
        write!(
            f,
            "AWS KMS refused {action} with {key} ({host}, region {region}): {code}: {message}{advice}"
        )
    }
}
