//! The predicate of a revocation: whose signatures count no more, which of them, and why.
//!
//! Invariant: a [`Revocation`] that was parsed can be applied. Its scope has what it needs, and its times are times.
//! The JSON schema is `docs/revocation.schema.json`; what a verifier makes of it is in `docs/revocation.md`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::encoding::ParseError;

/// The predicate type.
pub const REVOCATION_V1: &str = "https://sealmark.dev/revocation/v1";

/// Logs that a window names, and statements that one takes back.
const MAX_LISTED: usize = 64;
/// The text for people, in bytes.
pub const MAX_TEXT: usize = 4096;
const FORMAT: &str = "revocation";

/// A revocation.
///
/// ```
/// use sealmark_formats::revocation::{Reason, Revocation, Scope};
/// let revocation = Revocation::parse(br#"{
///     "scope": {"artifact": {"digest": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}},
///     "signer": {"identity": "ci@example.com", "issuer": "https://accounts.example.com"},
///     "reason": "buildCompromise",
///     "text": "the runner was taken over"
/// }"#).unwrap();
/// assert!(matches!(revocation.scope, Scope::Artifact { .. }));
/// assert_eq!(revocation.reason, Reason::BuildCompromise);
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    /// Which signatures.
    pub scope: Scope,
    /// Whose. Only [`Scope::Signature`] and [`Scope::Nothing`] can do without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<SignerName>,
    /// Why.
    pub reason: Reason,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// SHA-256 of the statements (the envelopes' payloads) of the same authority that this one takes the place of. It
    /// cannot have been made before them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supersedes: Vec<Digest>,
}

/// Which signatures.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// One signature of an artifact: by the SHA-256 of the signature's bytes, or by its entry in a log.
    Signature {
        /// What it signs.
        artifact: Digest,
        /// SHA-256 of the signature's bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<Digest>,
        /// Its entry in a log.
        #[serde(rename = "logEntry", default, skip_serializing_if = "Option::is_none")]
        log_entry: Option<LogPosition>,
    },
    /// Every signature of an artifact by the signer.
    Artifact {
        /// The artifact.
        digest: Digest,
    },
    /// Every signature by the signer that was made within the window.
    Window(Window),
    /// None: what it supersedes is taken back.
    Nothing {},
}

/// An entry of a log.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogPosition {
    /// The log's id in hex, as a trusted root has it in base64: SHA-256 of its key (SPKI), or, for a key of Ed25519, of its
    /// origin and its key.
    pub log_id: String,
    /// The index.
    pub log_index: u64,
}

/// When signatures were made. Both ends belong to it; one that is missing is open.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// For what a log has that is listed here, its position decides alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<LogRange>,
    /// For the rest, trusted time: RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// Positions in a log. Both ends belong to it; one that is missing is open.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogRange {
    /// As in [`LogPosition`].
    pub log_id: String,
    /// The first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// The last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
}

/// Whose signatures.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum SignerName {
    /// The holder of a key.
    Key {
        /// SHA-256 of the SPKI.
        key: Digest,
    },
    /// The holder of certificates for an identity.
    Identity {
        /// The subject alternative name.
        identity: String,
        /// The identity provider.
        issuer: String,
    },
}

/// Why.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// Somebody else had the key.
    KeyCompromise,
    /// Somebody else could act as the identity.
    IdentityCompromise,
    /// The build was tampered with.
    BuildCompromise,
    /// What was signed is bad: it is vulnerable or broken.
    BadArtifact,
    /// It was signed by mistake.
    Mistake,
    /// The signer does not sign any more.
    CessationOfOperation,
    /// Something newer takes its place.
    Superseded,
    /// Another reason, which the text tells.
    Unspecified,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::KeyCompromise,
        Self::IdentityCompromise,
        Self::BuildCompromise,
        Self::BadArtifact,
        Self::Mistake,
        Self::CessationOfOperation,
        Self::Superseded,
        Self::Unspecified,
    ];

    /// The name in the predicate.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeyCompromise => "keyCompromise",
            Self::IdentityCompromise => "identityCompromise",
            Self::BuildCompromise => "buildCompromise",
            Self::BadArtifact => "badArtifact",
            Self::Mistake => "mistake",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::Superseded => "superseded",
            Self::Unspecified => "unspecified",
        }
    }
}

impl SignerName {
    /// What a statement about this signer, and no artifact, has for a subject: SHA-256 of the key, or of
    /// `ISSUER\nIDENTITY`.
    #[must_use]
    pub fn subject(&self) -> Digest {
        match self {
            Self::Key { key } => key.clone(),
            Self::Identity { identity, issuer } => {
                Digest::sha256(format!("{issuer}\n{identity}").as_bytes())
            }
        }
    }
}

impl Revocation {
    /// Parses a predicate and checks that it can be applied.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Self, ParseError> {
        let error = |text: String| ParseError::new(FORMAT, text);
        let revocation: Self =
            serde_json::from_slice(json).map_err(|cause| error(cause.to_string()))?;
        revocation.check().map_err(|text| error(text.to_owned()))?;
        Ok(revocation)
    }

    /// What a statement with this predicate has for a subject; what is taken back has its own.
    #[must_use]
    pub fn subject(&self) -> Option<Digest> {
        match &self.scope {
            Scope::Signature { artifact, .. } => Some(artifact.clone()),
            Scope::Artifact { digest } => Some(digest.clone()),
            Scope::Window(_) => self.signer.as_ref().map(SignerName::subject),
            Scope::Nothing {} => None,
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.text.len() > MAX_TEXT {
            return Err("its text is longer than 4096 bytes");
        }
        if self.supersedes.len() > MAX_LISTED {
            return Err("it supersedes more than 64 others");
        }
        match (&self.scope, &self.signer) {
            (
                Scope::Signature {
                    signature: None,
                    log_entry: None,
                    ..
                },
                _,
            ) => {
                return Err("scope.signature has neither signature nor logEntry");
            }
            (Scope::Signature { log_entry, .. }, _) => {
                let id = log_entry.iter().map(|entry| &entry.log_id);
                check_ids(id)?;
            }
            (Scope::Artifact { .. } | Scope::Window(_), None) => {
                return Err("signer is missing, and the scope is that of a signer");
            }
            (Scope::Window(window), Some(_)) => {
                if window.logs.len() > MAX_LISTED {
                    return Err("scope.window has more than 64 logs");
                }
                check_ids(window.logs.iter().map(|range| &range.log_id))?;
                let backwards = |from: Option<u64>, to: Option<u64>| matches!((from, to), (Some(from), Some(to)) if from > to);
                if window
                    .logs
                    .iter()
                    .any(|range| backwards(range.from, range.to))
                    || matches!((window.from, window.to), (Some(from), Some(to)) if from > to)
                {
                    return Err("scope.window ends before it begins");
                }
            }
            (Scope::Nothing {}, _) if self.supersedes.is_empty() => {
                return Err("its scope is nothing, and it supersedes nothing");
            }
            _ => {}
        }
        match &self.signer {
            Some(SignerName::Identity { identity, issuer })
                if identity.is_empty() || issuer.is_empty() =>
            {
                Err("signer has an identity or issuer without letters")
            }
            _ => Ok(()),
        }
    }
}

fn check_ids<'a>(ids: impl Iterator<Item = &'a String>) -> Result<(), &'static str> {
    let is_id =
        |id: &String| id.len() == 64 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    for id in ids {
        if !is_id(id) {
            return Err("a logId is not 64 digits of hex in small letters");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn what_is_written_is_read() {
        let signer = Some(SignerName::Key {
            key: EMPTY.parse().unwrap(),
        });
        let id = "ab".repeat(32);
        for scope in [
            Scope::Signature {
                artifact: EMPTY.parse().unwrap(),
                signature: None,
                log_entry: Some(LogPosition {
                    log_id: id.clone(),
                    log_index: 7,
                }),
            },
            Scope::Artifact {
                digest: EMPTY.parse().unwrap(),
            },
            Scope::Window(Window {
                logs: vec![LogRange {
                    log_id: id,
                    from: Some(1),
                    to: None,
                }],
                from: "2026-01-01T00:00:00Z".parse().ok(),
                to: None,
            }),
            Scope::Nothing {},
        ] {
            let revocation = Revocation {
                scope,
                signer: signer.clone(),
                reason: Reason::KeyCompromise,
                text: "é".to_owned(),
                supersedes: vec![EMPTY.parse().unwrap()],
            };
            let json = serde_json::to_vec(&revocation).unwrap();
            assert_eq!(Revocation::parse(&json).unwrap(), revocation);
        }
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
    }

    #[test]
    fn what_cannot_be_applied_is_refused() {
        let table = [
            (
                format!(
                    r#"{{"scope":{{"signature":{{"artifact":"{EMPTY}"}}}},"reason":"mistake"}}"#
                ),
                "neither",
            ),
            (
                format!(r#"{{"scope":{{"artifact":{{"digest":"{EMPTY}"}}}},"reason":"mistake"}}"#),
                "signer is missing",
            ),
            (
                format!(
                    r#"{{"scope":{{"window":{{"from":"2026-02-01T00:00:00Z","to":"2026-01-01T00:00:00Z"}}}},"signer":{{"key":"{EMPTY}"}},"reason":"mistake"}}"#
                ),
                "ends before",
            ),
            (
                format!(
                    r#"{{"scope":{{"window":{{"logs":[{{"logId":"AB"}}]}}}},"signer":{{"key":"{EMPTY}"}},"reason":"mistake"}}"#
                ),
                "64 digits",
            ),
            (
                r#"{"scope":{"nothing":{}},"reason":"mistake"}"#.to_owned(),
                "supersedes nothing",
            ),
            (
                r#"{"scope":{"everything":{}},"reason":"mistake"}"#.to_owned(),
                "everything",
            ),
            (
                format!(
                    r#"{{"scope":{{"artifact":{{"digest":"{EMPTY}"}}}},"signer":{{"identity":"","issuer":"x"}},"reason":"mistake"}}"#
                ),
                "without letters",
            ),
            (
                format!(
                    r#"{{"scope":{{"artifact":{{"digest":"{EMPTY}"}}}},"signer":{{"key":"{EMPTY}"}},"reason":"whim"}}"#
                ),
                "whim",
            ),
        ];
        for (json, cause) in table {
            let error = Revocation::parse(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(cause), "{json}: {error}");
        }
    }
}
