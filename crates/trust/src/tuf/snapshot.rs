//! Snapshot: which versions of all targets metadata belong together.
//! <https://theupdateframework.github.io/specification/latest/#update-snapshot>

use std::collections::BTreeMap;

use serde::Deserialize;

use super::metadata::{MetaFile, Metadata, Role, not_older, shown};
use crate::Error;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct SnapshotBody {
    meta: BTreeMap<String, MetaFile>,
}

impl Role for SnapshotBody {
    const NAME: &'static str = "snapshot";
}

impl Metadata<SnapshotBody> {
    /// What it says of the targets role of this name.
    pub(super) fn describes(&self, role: &str) -> Result<&MetaFile, Error> {
        let meta = self.body.meta.get(&format!("{role}.json"));
        meta.ok_or_else(|| Error::Malformed {
            role: "snapshot".to_owned(),
            reason: format!("it does not describe {}, which must be known", shown(role)),
        })
    }

    /// 5.5.5: nothing that was listed is older in `offered`, or gone from it.
    pub(super) fn compare(&self, offered: &Self) -> Result<(), Error> {
        for (name, trusted) in &self.body.meta {
            let Some(offered) = offered.body.meta.get(name) else {
                return Err(Error::Unlisted { what: shown(name) });
            };
            not_older(&shown(name), trusted.version.get(), offered.version.get())?;
        }
        Ok(())
    }
}
