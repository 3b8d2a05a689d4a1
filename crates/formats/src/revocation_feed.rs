//! A feed of revocations: the bundles that an instance publishes as a target of its TUF repository.
//!
//! Invariant: a [`Feed`] that was parsed has no more and no larger bundles than its bounds say. Nothing is said about
//! whether they are good: each is verified like one that is attached.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::encoding::ParseError;

/// The name of the target.
pub const FEED_TARGET: &str = "revocations.v1.json";
/// Of the whole feed, in bytes: half of what TUF clients take for a target.
pub const MAX_FEED: usize = 4 << 20;
/// Bundles in a feed: each is read for every artifact that is verified.
pub const MAX_FEED_BUNDLES: usize = 4096;
const FORMAT: &str = "feed of revocations";
const VERSION: u32 = 1;

/// Bundles of revocations, the oldest first.
///
/// ```
/// use sealmark_formats::revocation_feed::Feed;
/// let feed = Feed::parse(br#"{"version":1,"revocations":[{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}]}"#).unwrap();
/// assert_eq!(feed.bundles().count(), 1);
/// assert_eq!(Feed::default().to_json(), b"{\"version\":1,\"revocations\":[]}\n");
/// ```
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Feed {
    version: u32,
    revocations: Vec<Box<RawValue>>,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            version: VERSION,
            revocations: Vec::new(),
        }
    }
}

impl Feed {
    /// Parses a feed.
    ///
    /// # Errors
    /// What is wrong with it, if it is over a bound, or of a version that is not known.
    pub fn parse(json: &[u8]) -> Result<Self, ParseError> {
        let error = |text: String| ParseError::new(FORMAT, text);
        if json.len() > MAX_FEED {
            return Err(error(format!("it is larger than {MAX_FEED} bytes")));
        }
        let feed: Self = serde_json::from_slice(json).map_err(|cause| error(cause.to_string()))?;
        if feed.version != VERSION {
            let version = feed.version;
            return Err(error(format!(
                "its version is {version}, and {VERSION} is known"
            )));
        }
        match feed.revocations.len() {
            0..=MAX_FEED_BUNDLES => Ok(feed),
            count => Err(error(format!(
                "it has {count} revocations, at most {MAX_FEED_BUNDLES} are read"
            ))),
        }
    }

    /// Of these bundles, each of them JSON.
    ///
    /// # Errors
    /// If one is no JSON, or all are over a bound.
    pub fn of<B: AsRef<[u8]>>(bundles: impl IntoIterator<Item = B>) -> Result<Self, ParseError> {
        let bundle = |json: B| serde_json::from_slice(json.as_ref());
        let revocations: Result<_, _> = bundles.into_iter().map(bundle).collect();
        let feed = Self {
            version: VERSION,
            revocations: revocations.map_err(|cause| ParseError::new(FORMAT, cause.to_string()))?,
        };
        Self::parse(&feed.to_json())
    }

    /// The bundles, as they are.
    pub fn bundles(&self) -> impl Iterator<Item = &[u8]> {
        self.revocations.iter().map(|raw| raw.get().as_bytes())
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec(self).expect("it consists of JSON");
        json.push(b'\n');
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_a_bound_or_of_another_version_is_refused() {
        let many = vec!["{}"; MAX_FEED_BUNDLES + 1];
        assert!(Feed::of(many).is_err());
        let large = format!("\"{}\"", "x".repeat(MAX_FEED));
        assert!(Feed::of([large]).is_err());
        for json in [
            &br#"{"version":2,"revocations":[]}"#[..],
            b"[]",
            b"",
            br#"{"version":1}"#,
        ] {
            assert!(Feed::parse(json).is_err());
        }
        let feed = Feed::of(["{\"a\": 1}"]).map(|feed| feed.to_json());
        assert!(feed.is_ok_and(|json| json == b"{\"version\":1,\"revocations\":[{\"a\": 1}]}\n"));
    }
}
