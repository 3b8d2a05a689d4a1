//! Entries by their indices, ten at a time, whatever is in them.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::json;

use super::{Client, MAX_ANSWER, wire};
use crate::{Entry, EntryId, Error};

/// As many as a Rekor gives at once.
pub const MAX_AT_ONCE: u64 = 10;

impl Client {
    /// The entries with these indices, which count across shards, in order: up to [`MAX_AT_ONCE`]. Their bodies may be
    /// anything; kind and version are not read.
    ///
    /// # Errors
    /// Of the network; [`Error::Unproven`] if an entry is missing, or is not proven to be where it was asked for.
    pub async fn entries_at(&self, indices: Range<u64>) -> Result<Vec<Entry>, Error> {
        let wanted: Vec<u64> = indices.clone().take(MAX_AT_ONCE as usize).collect();
        let body = json!({ "logIndexes": wanted }).to_string().into_bytes();
        let path = "api/v1/log/entries/retrieve";
        let limit = MAX_AT_ONCE as usize * MAX_ANSWER;
        let answer = self.http.post(path, body, limit).await?.good()?;
        let found: Vec<wire::Entries> = answer.json()?;
        let mut entries = BTreeMap::new();
        for (name, raw) in found.into_iter().flatten() {
            let id: EntryId = name.parse().map_err(|reason| answer.malformed(reason))?;
            let (log_entry, attestation) = raw
                .read_unparsed()
                .map_err(|reason| answer.malformed(reason))?;
            let entry = self.proven(&id, log_entry, attestation)?;
            entries.insert(entry.log_entry.log_index, entry);
        }
        // A Rekor leaves out what it does not find, and says nothing about it.
        let missing = wanted.iter().find(|index| !entries.contains_key(index));
        if let Some(missing) = missing {
            let reason = "it is missing, though a checkpoint of the log commits to it";
            return Err(self.unproven(&format!("entry {missing}"), reason));
        }
        Ok(wanted
            .iter()
            .filter_map(|index| entries.remove(index))
            .collect())
    }
}
