//! Which version of Rekor's interface a server speaks.

use sealmark_tlog::Note;
use sealmark_tlog::note::MAX_NOTE;
use serde_json::Value;

use crate::{Error, Http};

/// The largest answer about a log that is looked at.
const MAX_INFO: usize = 1 << 20;

/// The version of the log at `http`: 1 if the server speaks it, else 2.
///
/// # Errors
/// Of the network; [`Error::NotALog`] if it speaks neither.
pub async fn version_of(http: &Http) -> Result<u32, Error> {
    let first = http.get("api/v1/log", MAX_INFO).await?;
    if first.status == 200 && first.json::<Value>()?.get("treeSize").is_some() {
        return Ok(1);
    }
    let second = http.get("api/v2/checkpoint", MAX_NOTE).await?;
    if second.status == 200 && second.text().is_ok_and(|text| Note::parse(text).is_ok()) {
        return Ok(2);
    }
    // A log that is away is a log nevertheless.
    if matches!(second.status, 429 | 500..=599) {
        return Err(second.refused());
    }
    if matches!(first.status, 429 | 500..=599) {
        return Err(first.refused());
    }
    Err(Error::NotALog {
        request: format!("GET {}", http.shown()),
        reason: format!(
            "/api/v1/log is answered with {}, and /api/v2/checkpoint with {}",
            first.status, second.status
        ),
    })
}
