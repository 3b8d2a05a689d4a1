//! The predicate of a promotion: an image was brought from one registry into another, by whom and after which checks.
//!
//! Invariant: a [`Promotion`] that was parsed says where the image comes from and at least one signature that was verified
//! there, and is bounded. The JSON schema is `docs/promotion.schema.json`; what it is worth is in `docs/promotion.md`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::encoding::ParseError;
use crate::revocation::SignerName;

/// The predicate type.
pub const PROMOTION_V1: &str = "https://sealmark.dev/promotion/v1";

/// Signatures that one promotion lists; an image has a handful.
pub const MAX_VERIFIED: usize = 256;
/// Logs and timestamp authorities for one signature, and kinds of attestations that were required.
const MAX_LISTED: usize = 64;
/// A name, in bytes: registries allow 255 for a repository, and identities are URLs.
const MAX_TEXT: usize = 4096;
const FORMAT: &str = "promotion";

/// A promotion.
///
/// ```
/// use sealmark_formats::promotion::Promotion;
/// let promotion = Promotion::parse(br#"{
///     "source": {
///         "repository": "ghcr.io/acme/app", "reference": "ghcr.io/acme/app:v1",
///         "digest": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
///     },
///     "destination": "registry.example.com/acme/app",
///     "promotedAt": "2026-11-23T08:00:00Z",
///     "policy": {"digest": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
///     "verified": [{
///         "type": "https://sigstore.dev/cosign/sign/v1",
///         "signature": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
///         "signer": {"identity": "ci@example.com", "issuer": "https://accounts.example.com"}
///     }]
/// }"#).unwrap();
/// assert_eq!(promotion.source.repository, "ghcr.io/acme/app");
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Promotion {
    /// Where the image was.
    pub source: Origin,
    /// The repository that it was brought into.
    pub destination: String,
    /// When whoever promoted had verified it; their word.
    pub promoted_at: Timestamp,
    /// What was asked of it.
    pub policy: PolicyUsed,
    /// The signatures and attestations that met it, in order of their digests.
    pub verified: Vec<Verified>,
}

/// Where an image was.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// Registry and repository, or the layout that it was saved in.
    pub repository: String,
    /// As it was named: by tag or digest.
    pub reference: String,
    /// What that was, and is.
    pub digest: Digest,
}

/// What was asked of the image.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyUsed {
    /// SHA-256 of the policy file; of the one that flags stand for, if there was none.
    pub digest: Digest,
    /// Kinds of attestations that had to be there besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
}

/// A signature or attestation that met the policy.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// What it is: a predicate type, or that of a simple signing payload.
    #[serde(rename = "type")]
    pub kind: String,
    /// SHA-256 of the signature's bytes.
    pub signature: Digest,
    /// Who made it.
    pub signer: SignerName,
    /// Of which image in an index it is, if it is not of what was promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Digest>,
    /// Who else had seen it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<Seen>,
}

/// A trusted log or timestamp authority that has seen a signature.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// Its URL.
    pub by: String,
    /// The log's id in hex, as a trusted root has it in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_id: Option<String>,
    /// The position in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_index: Option<u64>,
    /// When, RFC 3339; a Rekor v2 gives no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

impl Promotion {
    /// Parses a predicate and checks its bounds.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Self, ParseError> {
        let error = |text: String| ParseError::new(FORMAT, text);
        let promotion: Self =
            serde_json::from_slice(json).map_err(|cause| error(cause.to_string()))?;
        promotion.check().map_err(error)?;
        Ok(promotion)
    }

    /// Whether both say the same, whenever they were said.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let at_one_time = Self {
            promoted_at: self.promoted_at,
            ..other.clone()
        };
        *self == at_one_time
    }

    fn check(&self) -> Result<(), String> {
        if self.verified.is_empty() {
            return Err("verified is empty: nothing was verified".to_owned());
        }
        if self.verified.len() > MAX_VERIFIED {
            return Err(format!("verified has more than {MAX_VERIFIED} entries"));
        }
        let seen = self.verified.iter().map(|one| one.seen.len());
        if seen
            .chain([self.policy.required.len()])
            .any(|n| n > MAX_LISTED)
        {
            return Err(format!("a list in it has more than {MAX_LISTED} entries"));
        }
        for (name, text) in [
            ("source.repository", &self.source.repository),
            ("source.reference", &self.source.reference),
            ("destination", &self.destination),
        ] {
            if text.is_empty() {
                return Err(format!("{name} is empty"));
            }
        }
        if self.texts().any(|text| text.len() > MAX_TEXT) {
            return Err(format!("a text in it is longer than {MAX_TEXT} bytes"));
        }
        Ok(())
    }

    fn texts(&self) -> impl Iterator<Item = &String> {
        let ends = [
            &self.source.repository,
            &self.source.reference,
            &self.destination,
        ];
        let verified = self.verified.iter().flat_map(|one| {
            let signer = match &one.signer {
                SignerName::Key { .. } => [None, None],
                SignerName::Identity { identity, issuer } => [Some(identity), Some(issuer)],
            };
            let seen = one.seen.iter().flat_map(|seen| {
                let ids = [Some(&seen.by), seen.log_id.as_ref(), seen.time.as_ref()];
                ids.into_iter().flatten()
            });
            signer.into_iter().flatten().chain([&one.kind]).chain(seen)
        });
        ends.into_iter()
            .chain(&self.policy.required)
            .chain(verified)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn promotion() -> Promotion {
        Promotion {
            source: Origin {
                repository: "ghcr.io/acme/app".to_owned(),
                reference: "ghcr.io/acme/app:v1".to_owned(),
                digest: EMPTY.parse().unwrap(),
            },
            destination: "registry.example.com/acme/app".to_owned(),
            promoted_at: "2026-11-23T08:00:00Z".parse().unwrap(),
            policy: PolicyUsed {
                digest: EMPTY.parse().unwrap(),
                required: vec!["sbom".to_owned()],
            },
            verified: vec![Verified {
                kind: "https://sigstore.dev/cosign/sign/v1".to_owned(),
                signature: EMPTY.parse().unwrap(),
                signer: SignerName::Key {
                    key: EMPTY.parse().unwrap(),
                },
                image: None,
                seen: vec![Seen {
                    by: "https://rekor.example.com".to_owned(),
                    log_id: Some("ab".repeat(32)),
                    log_index: Some(7),
                    time: Some("2026-11-23T07:00:00Z".to_owned()),
                }],
            }],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let json = serde_json::to_vec(&promotion()).unwrap();
        assert_eq!(Promotion::parse(&json).unwrap(), promotion());
    }

    #[test]
    fn only_the_time_may_differ() {
        let mut later = promotion();
        later.promoted_at = "2027-01-01T00:00:00Z".parse().unwrap();
        assert!(promotion().says_the_same(&later));
        later.destination.push('2');
        assert!(!promotion().says_the_same(&later));
    }

    #[test]
    fn what_says_nothing_or_too_much_is_refused() {
        let change = |change: &dyn Fn(&mut Promotion)| {
            let mut changed = promotion();
            change(&mut changed);
            let json = serde_json::to_vec(&changed).unwrap();
            Promotion::parse(&json).unwrap_err().to_string()
        };
        for (error, text) in [
            (change(&|p| p.verified.clear()), "nothing was verified"),
            (
                change(&|p| p.verified = vec![p.verified[0].clone(); 257]),
                "more than 256",
            ),
            (
                change(&|p| p.verified[0].seen = vec![p.verified[0].seen[0].clone(); 65]),
                "more than 64",
            ),
            (
                change(&|p| p.source.repository.clear()),
                "source.repository is empty",
            ),
            (
                change(&|p| p.destination = "a".repeat(4097)),
                "longer than 4096",
            ),
        ] {
            assert!(error.contains(text), "{error}");
        }
        assert!(Promotion::parse(b"{}").is_err());
    }
}
