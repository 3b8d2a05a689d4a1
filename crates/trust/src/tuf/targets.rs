//! Targets: what files there are, and who else may say so.
//! <https://theupdateframework.github.io/specification/latest/#file-formats-targets>

use std::collections::BTreeMap;

use serde::Deserialize;

use super::delegation::Delegations;
use super::metadata::{Hashes, Role};

#[derive(Clone, Debug, Deserialize)]
pub(super) struct TargetsBody {
    #[serde(default)]
    pub(super) targets: BTreeMap<String, TargetFile>,
    pub(super) delegations: Option<Delegations>,
}

/// A target, described.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct TargetFile {
    pub(super) length: u64,
    pub(super) hashes: Hashes,
}

impl Role for TargetsBody {
    const NAME: &'static str = "targets";

    fn check(&self) -> Result<(), String> {
        self.delegations.as_ref().map_or(Ok(()), Delegations::check)
    }
}
