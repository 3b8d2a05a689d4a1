//! Timestamp: which snapshot is the newest. <https://theupdateframework.github.io/specification/latest/#update-timestamp>

use serde::Deserialize;

use super::metadata::{MetaFile, Metadata, Role, not_older};
use crate::Error;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct TimestampBody {
    meta: Described,
    /// When it was signed, where the repository says so: one of ours.
    #[serde(rename = "x-sealmark-signed", default)]
    signed: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Described {
    #[serde(rename = "snapshot.json")]
    snapshot: MetaFile,
}

impl Role for TimestampBody {
    const NAME: &'static str = "timestamp";
}

/// How offered metadata stands to what is trusted.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Offer {
    Newer,
    /// The same version: to be discarded, whatever it says, and nothing wrong with that.
    Same,
}

impl Metadata<TimestampBody> {
    /// When it was signed, if it says so.
    pub(super) fn signed_at(&self) -> Option<jiff::Timestamp> {
        self.body.signed.as_ref()?.parse().ok()
    }

    pub(super) fn snapshot(&self) -> &MetaFile {
        &self.body.meta.snapshot
    }

    /// 5.4.3: neither this nor the snapshot that it describes goes back.
    pub(super) fn compare(&self, offered: &Self) -> Result<Offer, Error> {
        not_older("timestamp", self.version, offered.version)?;
        if offered.version == self.version {
            return Ok(Offer::Same);
        }
        let of = |timestamp: &Self| timestamp.snapshot().version.get();
        not_older("snapshot", of(self), of(offered))?;
        Ok(Offer::Newer)
    }
}
