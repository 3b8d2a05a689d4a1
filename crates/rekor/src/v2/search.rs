//! The search index that some logs of version 2 have; Rekor's own have none.

use serde::Deserialize;

use super::Client;
use crate::Error;
use crate::search::{MAX_PAGES, Query};

/// The largest answer: a page has 10,000 indices.
const MAX_ANSWER: usize = 1 << 20;

/// What the index has found. Nothing proves that there is no more.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FoundIndices {
    /// The entries' indices, ascending.
    pub indices: Vec<u64>,
    /// The server has more than was asked for.
    pub is_cut: bool,
}

#[derive(Deserialize)]
struct Page {
    entries: Vec<Place>,
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    log_index: String,
}

impl Client {
    /// Looks into the log's index; `None` if it has none.
    ///
    /// # Errors
    /// Of the network; [`Error::Malformed`].
    pub async fn search(&self, query: &Query) -> Result<Option<FoundIndices>, Error> {
        let mut found = FoundIndices::default();
        let mut from = None;
        for _ in 0..MAX_PAGES {
            let body = query.json(from).to_string().into_bytes();
            let http = self.reader.http();
            let answer = http.post("api/v2/index/retrieve", body, MAX_ANSWER).await?;
            // What a static host, a Rekor v2 and a proxy say of what they do not have.
            if matches!(answer.status, 403 | 404 | 405 | 501) {
                return Ok(None);
            }
            let answer = answer.good()?;
            let page: Page = answer.json()?;
            let number = |text: &str| {
                text.parse::<u64>()
                    .map_err(|_| answer.malformed("an index is not a number"))
            };
            for place in &page.entries {
                found.indices.push(number(&place.log_index)?);
            }
            let next = page.next.as_deref().map(number).transpose()?;
            found.is_cut = next.is_some();
            match next.filter(|next| Some(*next) > from) {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        found.indices.sort_unstable();
        found.indices.dedup();
        Ok(Some(found))
    }
}
