//! The search index of a Rekor v1.
//!
//! Nothing proves what it finds: that an entry is there is for [`Client::get_all`] to prove, that there are no more of
//! them for nobody.

use std::collections::HashSet;

use super::Client;
use crate::search::{MAX_PAGES, Query};
use crate::{Entry, EntryId, Error};

/// The largest answer: 100,000 ids, which is more than anyone looks through.
const MAX_ANSWER: usize = 100_000 * 84;

/// What the index has found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The entries' ids, without doubles, in the server's order.
    pub ids: Vec<EntryId>,
    /// The server says that it has more than it gives.
    pub is_cut: bool,
}

impl Client {
    /// Looks into the index, page after page where the server has pages. A Rekor gives all at once.
    ///
    /// # Errors
    /// Of the network; [`Error::Malformed`] if what is found are not ids.
    pub async fn search(&self, query: &Query) -> Result<Found, Error> {
        let mut found = Found {
            ids: Vec::new(),
            is_cut: false,
        };
        let (mut seen, mut from) = (HashSet::new(), None);
        for _ in 0..MAX_PAGES {
            let body = query.json(from).to_string().into_bytes();
            let path = "api/v1/index/retrieve";
            let answer = self.http.post(path, body, MAX_ANSWER).await?.good()?;
            let names: Vec<String> = answer.json()?;
            for name in names {
                let id = name.parse().map_err(|reason| answer.malformed(reason))?;
                // The index of a Rekor has doubles.
                if seen.insert(id) {
                    found.ids.push(id);
                }
            }
            found.is_cut = answer.header("x-more-entries").is_some();
            let next = answer.header("x-next-entry");
            let next: Option<u64> = next.and_then(|text| text.parse().ok());
            // A page that does not lead on would be the last one for ever.
            match next.filter(|next| Some(*next) > from) {
                Some(next) if found.is_cut => from = Some(next),
                _ => break,
            }
        }
        Ok(found)
    }

    /// Several entries at once, those that the log has: up to ten.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_all(&self, ids: &[EntryId]) -> Result<Vec<Entry>, Error> {
        let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let found = self
            .retrieve(&serde_json::json!({ "entryUUIDs": names }))
            .await?;
        for entry in &found {
            let is_wanted = ids.iter().any(|id| id.leaf == entry.id.leaf);
            if !is_wanted {
                let what = format!("entry {}", entry.id);
                return Err(self.unproven(&what, "it was not asked for"));
            }
        }
        Ok(found)
    }
}
