//! Who must sign: keys, and the threshold of them.
//!
//! Metadata names the keys of the roles below it, root those of the four top-level roles and targets those of its
//! delegations. Key ids are names that the naming document gives; they are taken as given and never computed again,
//! because fields that are added to a key later would change them (Sigstore's root 11 has such a key, as has
//! GitHub's). What counts are keys: one that goes by two ids counts once.

use std::collections::{BTreeMap, BTreeSet};

use sealmark_keys::{PublicKey, Scheme};
use serde::Deserialize;
use serde_json::Value;

use super::metadata::{Metadata, Role, Unverified};
use crate::Error;

/// More keys of one role than this are refused: each may have to check a signature.
const MAX_KEYS: usize = 128;

/// Keys by their ids, unread: what kind they are matters only when one has signed.
pub(super) type KeysJson = BTreeMap<String, Value>;

/// The keys of a role, by their ids, and how many of them must sign.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct RoleKeys {
    pub(super) keyids: Vec<String>,
    pub(super) threshold: u64,
}

impl RoleKeys {
    /// Whether the role can be signed at all, or why not.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.threshold == 0 {
            return Err("its threshold is 0".to_owned());
        }
        if self.keyids.len() > MAX_KEYS {
            return Err(format!("it has more than {MAX_KEYS} keys"));
        }
        let unique: BTreeSet<&String> = self.keyids.iter().collect();
        if unique.len() < self.keyids.len() {
            return Err("a key id is listed twice".to_owned());
        }
        Ok(())
    }
}

/// Whose signatures count for a role.
pub(super) struct Signers<'a> {
    pub(super) keys: &'a KeysJson,
    pub(super) role: &'a RoleKeys,
    /// Who says so, for people: `root version 3`.
    pub(super) by: String,
}

impl Signers<'_> {
    /// Metadata of the role called `name`, which enough of these keys sign.
    pub(super) fn verify<T: Role>(&self, name: &str, json: &[u8]) -> Result<Metadata<T>, Error> {
        let document = Unverified::parse(name, json)?;
        let metadata: Metadata<T> = document.claims(name)?;
        self.check::<T>(name, &document, metadata.version)?;
        Ok(metadata)
    }

    /// Whether enough of these keys sign `document`.
    pub(super) fn check<T: Role>(
        &self,
        name: &str,
        document: &Unverified,
        version: u64,
    ) -> Result<(), Error> {
        let mut signed_by: Vec<PublicKey> = Vec::new();
        for signature in &document.signatures {
            if !self.role.keyids.contains(&signature.keyid) {
                continue;
            }
            let Some(key) = self.keys.get(&signature.keyid).and_then(Key::read) else {
                continue;
            };
            let Ok(bytes) = hex::decode(&signature.sig) else {
                continue;
            };
            let checked = key
                .public
                .verify_scheme(key.scheme, &document.message, &bytes);
            if checked.is_ok() && !signed_by.contains(&key.public) {
                signed_by.push(key.public);
            }
        }
        if signed_by.len() as u64 >= self.role.threshold {
            return Ok(());
        }
        Err(Error::Threshold {
            role: T::NAME,
            name: name.to_owned(),
            version,
            valid: signed_by.len(),
            threshold: self.role.threshold,
            by: self.by.clone(),
        })
    }
}

#[derive(Deserialize)]
struct KeyJson {
    keytype: String,
    scheme: String,
    keyval: KeyValue,
}

#[derive(Deserialize)]
struct KeyValue {
    public: String,
}

/// A key that signatures can be checked with.
struct Key {
    scheme: Scheme,
    public: PublicKey,
}

impl Key {
    /// `None` for keys of kinds that are not known: they count for nothing, and harm nothing.
    fn read(json: &Value) -> Option<Self> {
        let json = KeyJson::deserialize(json).ok()?;
        let (public, scheme) =
            PublicKey::from_tuf(&json.keytype, &json.scheme, &json.keyval.public)?;
        Some(Self { scheme, public })
    }
}

/// What makes a key the same key in another document, whatever fields were added to it.
pub(super) fn identity(key: &Value) -> (Option<&Value>, Option<&Value>) {
    (key.get("scheme"), key.get("keyval"))
}
