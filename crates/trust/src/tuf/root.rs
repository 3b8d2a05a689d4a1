//! A root that is trusted, and what it makes trusted.
//!
//! A [`Root`] exists only for the pinned document and for roots that the one before it and they themselves sign. Key
//! ids are names that the document gives; they are taken as given and never computed again, because fields that are
//! added to a key later would change them (Sigstore's root 11 has such a key, as has GitHub's).

use std::collections::BTreeMap;

use sealmark_keys::{PublicKey, Scheme};

use super::metadata::{KeyJson, Metadata, Role, RoleKeys, RootBody, Unverified};
use crate::Error;

/// More keys than this are refused: each may have to check a signature.
const MAX_KEYS: usize = 128;

/// A trusted root.
#[derive(Clone, Debug)]
pub(super) struct Root {
    metadata: Metadata<RootBody>,
    keys: BTreeMap<String, Key>,
}

#[derive(Clone, Debug)]
struct Key {
    scheme: Scheme,
    public: PublicKey,
}

impl Key {
    /// `None` for keys of kinds that are not known: they count for nothing.
    fn read(json: &KeyJson) -> Option<Self> {
        let scheme = match json.scheme.as_str() {
            "ecdsa-sha2-nistp256" => Scheme::EcdsaSha256,
            "ecdsa-sha2-nistp384" => Scheme::EcdsaSha384,
            "ed25519" => Scheme::Ed25519,
            "rsassa-pss-sha256" => Scheme::RsaPssSha256,
            _ => return None,
        };
        let text = json.keyval.public.as_str();
        let public = if text.trim_start().starts_with("-----BEGIN") {
            PublicKey::from_pem(text.as_bytes()).ok()?
        } else {
            PublicKey::from_spki_der(&spki_of_raw(scheme, text)?).ok()?
        };
        scheme
            .fits(public.key_type())
            .then_some(Self { scheme, public })
    }
}

/// Keys in hex: 32 bytes of Ed25519, or an uncompressed point on P-256 as Sigstore's roots 1 to 4 have it.
fn spki_of_raw(scheme: Scheme, text: &str) -> Option<Vec<u8>> {
    // The DER of a SubjectPublicKeyInfo up to the key, RFC 8410 and RFC 5480.
    const ED25519: &str = "302a300506032b6570032100";
    const P256: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
    let (prefix, length) = match scheme {
        Scheme::Ed25519 => (ED25519, 32),
        Scheme::EcdsaSha256 => (P256, 65),
        _ => return None,
    };
    let raw = hex::decode(text).ok().filter(|raw| raw.len() == length)?;
    Some([hex::decode(prefix).ok()?, raw].concat())
}

impl Root {
    /// The pinned root: trusted because it was given, and yet it must sign itself.
    pub(super) fn pinned(json: &[u8]) -> Result<Self, Error> {
        let document = Unverified::parse("the pinned root", json)?;
        let root = Self::claimed(&document)?;
        root.check::<RootBody>(&document, root.version())?;
        Ok(root)
    }

    /// The next root: signed as this one demands and as it demands itself, and numbered one higher.
    pub(super) fn next(&self, json: &[u8]) -> Result<Self, Error> {
        let document = Unverified::parse("root", json)?;
        let next = Self::claimed(&document)?;
        self.check::<RootBody>(&document, next.version())?;
        next.check::<RootBody>(&document, next.version())?;
        if next.version() != self.version().saturating_add(1) {
            return Err(Error::Mismatch {
                what: format!("{}.root.json", self.version().saturating_add(1)),
                by: "its name",
                reason: format!("it is version {}", next.version()),
            });
        }
        Ok(next)
    }

    fn claimed(document: &Unverified) -> Result<Self, Error> {
        let metadata: Metadata<RootBody> = document.claims()?;
        let malformed = |reason: String| Error::Malformed {
            role: "root".to_owned(),
            reason,
        };
        if metadata.body.keys.len() > MAX_KEYS {
            return Err(malformed(format!("more than {MAX_KEYS} keys")));
        }
        for role in ["root", "timestamp", "snapshot", "targets"] {
            let Some(keys) = metadata.body.roles.get(role) else {
                return Err(malformed(format!("the role {role} is missing")));
            };
            if keys.threshold == 0 || keys.keyids.len() > MAX_KEYS {
                return Err(malformed(format!(
                    "the role {role} has {} keys and a threshold of {}",
                    keys.keyids.len(),
                    keys.threshold
                )));
            }
        }
        let keys = metadata
            .body
            .keys
            .iter()
            .filter_map(|(id, json)| Key::read(json).map(|key| (id.clone(), key)))
            .collect();
        Ok(Self { metadata, keys })
    }

    pub(super) fn version(&self) -> u64 {
        self.metadata.version
    }

    pub(super) fn expires(&self) -> jiff::Timestamp {
        self.metadata.expires
    }

    pub(super) fn consistent_snapshot(&self) -> bool {
        self.metadata.body.consistent_snapshot
    }

    /// Whether a role has the same keys in another root.
    pub(super) fn same_keys(&self, other: &Self, role: &str) -> bool {
        let of = |root: &Self| -> Option<(RoleKeys, Vec<Option<KeyJson>>)> {
            let role = root.metadata.body.roles.get(role)?.clone();
            let mut ids = role.keyids.clone();
            ids.sort();
            let keys = ids
                .iter()
                .map(|id| root.metadata.body.keys.get(id).cloned())
                .collect();
            Some((
                RoleKeys {
                    keyids: ids,
                    ..role
                },
                keys,
            ))
        };
        of(self) == of(other)
    }

    /// Metadata that enough keys of its role sign.
    pub(super) fn verify<T: Role>(&self, json: &[u8]) -> Result<Metadata<T>, Error> {
        let document = Unverified::parse(T::NAME, json)?;
        let metadata: Metadata<T> = document.claims()?;
        self.check::<T>(&document, metadata.version)?;
        Ok(metadata)
    }

    fn check<T: Role>(&self, document: &Unverified, version: u64) -> Result<(), Error> {
        let role = self.metadata.body.roles.get(T::NAME);
        let Some(role) = role else {
            return Err(Error::Malformed {
                role: "root".to_owned(),
                reason: format!("the role {} is missing", T::NAME),
            });
        };
        // A key counts once, under however many ids.
        let mut signed_by: Vec<&PublicKey> = Vec::new();
        for signature in &document.signatures {
            let Some(key) = role
                .keyids
                .contains(&signature.keyid)
                .then(|| self.keys.get(&signature.keyid))
                .flatten()
            else {
                continue;
            };
            if signed_by.contains(&&key.public) {
                continue;
            }
            let Ok(bytes) = hex::decode(&signature.sig) else {
                continue;
            };
            if key
                .public
                .verify_scheme(key.scheme, &document.message, &bytes)
                .is_ok()
            {
                signed_by.push(&key.public);
            }
        }
        if (signed_by.len() as u64) < role.threshold {
            return Err(Error::Threshold {
                role: T::NAME,
                version,
                valid: signed_by.len(),
                threshold: role.threshold,
                by: format!("root version {}", self.version()),
            });
        }
        Ok(())
    }
}
