//! A root that is trusted, and what it makes trusted.
//!
//! A [`Root`] exists only for the pinned document and for roots that the one before it and they themselves sign.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::keys::{KeysJson, RoleKeys, Signers, identity};
use super::metadata::{Metadata, Role, Unverified};
use crate::Error;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct RootBody {
    #[serde(default)]
    consistent_snapshot: Option<bool>,
    keys: KeysJson,
    roles: BTreeMap<String, RoleKeys>,
}

impl Role for RootBody {
    const NAME: &'static str = "root";

    fn check(&self) -> Result<(), String> {
        for role in ["root", "timestamp", "snapshot", "targets"] {
            let keys = self
                .roles
                .get(role)
                .ok_or_else(|| format!("the role {role} is missing"))?;
            keys.check()
                .map_err(|reason| format!("the role {role}: {reason}"))?;
        }
        Ok(())
    }
}

/// A trusted root.
#[derive(Clone, Debug)]
pub(super) struct Root {
    metadata: Metadata<RootBody>,
}

impl Root {
    /// The pinned root: trusted because it was given, and yet it must sign itself.
    pub(super) fn pinned(json: &[u8]) -> Result<Self, Error> {
        let (document, root) = Self::claimed("the pinned root", json)?;
        root.check(&document, &root)?;
        Ok(root)
    }

    /// The next root: signed as this one demands and as it demands itself, and numbered one higher (5.3.4, 5.3.5).
    pub(super) fn next(&self, json: &[u8]) -> Result<Self, Error> {
        let (document, next) = Self::claimed("root", json)?;
        self.check(&document, &next)?;
        next.check(&document, &next)?;
        if next.version() != self.version().saturating_add(1) {
            return Err(Error::Mismatch {
                what: format!("{}.root.json", self.version().saturating_add(1)),
                by: "its name",
                reason: format!("it is version {}", next.version()),
            });
        }
        Ok(next)
    }

    fn claimed(what: &str, json: &[u8]) -> Result<(Unverified, Self), Error> {
        let document = Unverified::parse(what, json)?;
        let metadata = document.claims("root")?;
        Ok((document, Self { metadata }))
    }

    /// Whether the keys of this root sign `document`, which is `other`.
    fn check(&self, document: &Unverified, other: &Self) -> Result<(), Error> {
        self.signers("root")?
            .check::<RootBody>("root", document, other.version())
    }

    pub(super) fn version(&self) -> u64 {
        self.metadata.version
    }

    pub(super) fn expires(&self) -> jiff::Timestamp {
        self.metadata.expires
    }

    pub(super) fn consistent_snapshot(&self) -> bool {
        self.metadata.body.consistent_snapshot.unwrap_or(false)
    }

    /// Whether a key of timestamp or snapshot is not one of the role's in `next` any more (5.3.11): whoever had it
    /// may have raised the versions as far as they go.
    pub(super) fn is_rotated_by(&self, next: &Self) -> bool {
        ["timestamp", "snapshot"].into_iter().any(|role| {
            let remaining: Vec<_> = next.keys_of(role).collect();
            self.keys_of(role).any(|key| !remaining.contains(&key))
        })
    }

    fn keys_of(
        &self,
        role: &str,
    ) -> impl Iterator<Item = (Option<&serde_json::Value>, Option<&serde_json::Value>)> {
        let body = &self.metadata.body;
        let ids = body.roles.get(role).map(|role| role.keyids.as_slice());
        ids.unwrap_or_default()
            .iter()
            .filter_map(|id| body.keys.get(id))
            .map(identity)
    }

    /// Whose signatures count for a top-level role.
    pub(super) fn signers(&self, role: &str) -> Result<Signers<'_>, Error> {
        let body = &self.metadata.body;
        let keys = body.roles.get(role).ok_or_else(|| Error::Malformed {
            role: "root".to_owned(),
            reason: format!("the role {role} is missing"),
        })?;
        Ok(Signers {
            keys: &body.keys,
            role: keys,
            by: format!("root version {}", self.version()),
        })
    }

    /// Metadata of a top-level role that enough of its keys sign.
    pub(super) fn verify<T: Role>(&self, json: &[u8]) -> Result<Metadata<T>, Error> {
        self.signers(T::NAME)?.verify(T::NAME, json)
    }
}
