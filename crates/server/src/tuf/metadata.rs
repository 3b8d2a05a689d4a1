//! The metadata of the four roles, signed and read again: <https://theupdateframework.github.io/specification/latest/>.
//!
//! What clients accept is in `sealmark_trust::tuf`; this is the one form of it that is written here: one key signs root,
//! one (two, while it is exchanged) everything else, and one signature is enough.
//!
//! Invariant: a [`Document`] is what its bytes say, whoever signed them.

use std::fmt;

use jiff::Timestamp;
use sealmark_formats::{Digest, canonical_json};
use sealmark_keys::{PrivateKey, PublicKey};
use serde_json::{Value, json};

use super::Error;

/// The version of the specification that is followed.
const SPECIFICATION: &str = "1.0.34";
const DAY: i64 = 24 * 60 * 60;

/// A role of TUF.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Which keys sign.
    Root,
    /// What files there are.
    Targets,
    /// Which targets metadata belongs together.
    Snapshot,
    /// Which snapshot is the newest.
    Timestamp,
}

impl Role {
    /// All, the most trusted first.
    pub const ALL: [Self; 4] = [Self::Root, Self::Targets, Self::Snapshot, Self::Timestamp];

    /// As metadata calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Snapshot => "snapshot",
            Self::Timestamp => "timestamp",
        }
    }

    /// For how long it is signed, in seconds.
    pub(super) fn life(self) -> i64 {
        match self {
            Self::Root => 365 * DAY,
            Self::Targets => 90 * DAY,
            Self::Snapshot => 10 * DAY,
            Self::Timestamp => 2 * DAY,
        }
    }

    /// It is signed anew when less than this is left, in seconds.
    pub(super) fn renewal(self) -> i64 {
        match self {
            Self::Root => 60 * DAY,
            Self::Targets => 45 * DAY,
            Self::Snapshot => 5 * DAY,
            // Twelve hours old.
            Self::Timestamp => 3 * DAY / 2,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A time in seconds since 1970, as metadata has it.
pub(super) fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .map_or_else(|_| format!("second {seconds}"), |it| it.to_string())
}

/// A public key, and what metadata calls it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    /// The SHA-256 of its canonical form, as some clients demand.
    pub(super) id: String,
    json: Value,
    public: PublicKey,
}

impl Key {
    /// `None` for keys that TUF has no one scheme for.
    pub(super) fn of(public: &PublicKey) -> Option<Self> {
        let (keytype, scheme, text) = public.to_tuf()?;
        let json = json!({"keytype": keytype, "scheme": scheme, "keyval": {"public": text}});
        let canonical = canonical_json::to_vec(&json).ok()?;
        Some(Self {
            id: Digest::sha256(&canonical).hex(),
            json,
            public: public.clone(),
        })
    }

    fn read(id: &str, json: &Value) -> Result<Self, String> {
        let text = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_default();
        let (keytype, scheme) = (text(&json["keytype"]), text(&json["scheme"]));
        let public = PublicKey::from_tuf(&keytype, &scheme, &text(&json["keyval"]["public"]));
        let key = public.and_then(|(public, _)| Self::of(&public));
        key.filter(|key| key.id == id)
            .ok_or_else(|| format!("its key {id} is none that this program made"))
    }
}

/// Metadata of one role.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) role: Role,
    pub(super) version: u64,
    /// In seconds since 1970.
    pub(super) expires: i64,
    pub(super) signed: Value,
    /// The whole file.
    pub(super) bytes: Vec<u8>,
    message: Vec<u8>,
    /// Key ids and signatures.
    signatures: Vec<(String, Vec<u8>)>,
}

impl Document {
    /// Signs `content`, an object without the fields that all roles have.
    pub(super) fn sign(
        role: Role,
        version: u64,
        expires: i64,
        content: Value,
        keys: &[&PrivateKey],
    ) -> Result<Self, Error> {
        let trouble = |problem: String| Error::Sign {
            role,
            version,
            problem,
        };
        let mut signed = content;
        signed["_type"] = json!(role.name());
        signed["spec_version"] = json!(SPECIFICATION);
        signed["version"] = json!(version);
        signed["expires"] = json!(time(expires));
        if role == Role::Timestamp {
            // A field of our own, as the specification allows: how fresh the repository's word is.
            signed["x-sealmark-signed"] = json!(time(expires - role.life()));
        }
        let message =
            canonical_json::to_vec(&signed).map_err(|problem| trouble(problem.to_owned()))?;
        let mut signatures = Vec::new();
        for key in keys {
            let signature = key
                .sign(&message)
                .map_err(|error| trouble(error.to_string()))?;
            let id = Key::of(key.public_key()).map(|key| key.id);
            let id = id.ok_or_else(|| {
                trouble(format!("TUF has no scheme for a {} key", key.key_type()))
            })?;
            signatures.push((id, signature));
        }
        let list: Vec<_> = signatures
            .iter()
            .map(|(id, signature)| json!({"keyid": id, "sig": hex::encode(signature)}))
            .collect();
        let envelope = json!({"signatures": list, "signed": signed});
        let bytes =
            serde_json::to_vec_pretty(&envelope).map_err(|error| trouble(error.to_string()))?;
        Ok(Self {
            role,
            version,
            expires,
            signed,
            bytes,
            message,
            signatures,
        })
    }

    /// Reads what [`sign`](Self::sign) wrote; whose signatures are on it is not looked at.
    pub(super) fn read(role: Role, bytes: &[u8]) -> Result<Self, String> {
        let envelope: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let signed = envelope["signed"].clone();
        if signed["_type"] != role.name() {
            return Err(format!("it is no {role} metadata"));
        }
        let version = signed["version"].as_u64().filter(|version| *version > 0);
        let expires = signed["expires"]
            .as_str()
            .and_then(|it| it.parse::<Timestamp>().ok());
        let (Some(version), Some(expires)) = (version, expires) else {
            return Err("it has no version or does not say when it expires".to_owned());
        };
        let message = canonical_json::to_vec(&signed).map_err(str::to_owned)?;
        let mut signatures = Vec::new();
        for one in envelope["signatures"].as_array().into_iter().flatten() {
            if let (Some(id), Some(signature)) = (one["keyid"].as_str(), one["sig"].as_str()) {
                let signature = hex::decode(signature).map_err(|error| error.to_string())?;
                signatures.push((id.to_owned(), signature));
            }
        }
        Ok(Self {
            role,
            version,
            expires: expires.as_second(),
            signed,
            bytes: bytes.to_vec(),
            message,
            signatures,
        })
    }

    /// Whether this key signed it.
    pub(super) fn is_signed_by(&self, key: &Key) -> bool {
        let mut own = self.signatures.iter().filter(|(id, _)| *id == key.id);
        own.any(|(_, signature)| key.public.verify(&self.message, signature).is_ok())
    }

    /// When it was signed, in seconds since 1970.
    pub(super) fn signed_at(&self) -> i64 {
        self.expires - self.role.life()
    }

    /// The file of this version, at the mirror's root.
    pub(super) fn file(&self) -> String {
        match self.role {
            Role::Timestamp => "timestamp.json".to_owned(),
            role => format!("{}.{role}.json", self.version),
        }
    }

    /// What the role above says of it.
    pub(super) fn described(&self) -> Value {
        let hash = Digest::sha256(&self.bytes).hex();
        json!({"version": self.version, "length": self.bytes.len(), "hashes": {"sha256": hash}})
    }
}

/// A root, and whom it names.
#[derive(Clone, Debug)]
pub(super) struct Root {
    pub(super) document: Document,
    /// Who signs the next root.
    pub(super) key: Key,
    /// Who signs the other roles, the newest last.
    pub(super) online: Vec<Key>,
}

impl Root {
    /// What a root says, but for its version and its end.
    pub(super) fn content(key: &Key, online: &[Key]) -> Value {
        let mut keys = serde_json::Map::new();
        for key in online.iter().chain([key]) {
            keys.insert(key.id.clone(), key.json.clone());
        }
        let ids: Vec<&String> = online.iter().map(|key| &key.id).collect();
        let online = json!({"keyids": ids, "threshold": 1});
        json!({
            "consistent_snapshot": true,
            "keys": keys,
            "roles": {
                "root": {"keyids": [key.id], "threshold": 1},
                "targets": online,
                "snapshot": online,
                "timestamp": online,
            },
        })
    }

    /// Reads what a root names.
    pub(super) fn of(document: Document) -> Result<Self, String> {
        let keys = |role: &str| -> Result<Vec<Key>, String> {
            let ids = document.signed["roles"][role]["keyids"].as_array();
            let ids = ids.into_iter().flatten().filter_map(Value::as_str);
            ids.map(|id| Key::read(id, &document.signed["keys"][id]))
                .collect()
        };
        let (mut root, online) = (keys("root")?, keys("timestamp")?);
        let (Some(key), false) = (root.pop(), online.is_empty()) else {
            return Err("it names no keys".to_owned());
        };
        // A root that another program wrote could demand more than is done here.
        let own = Self::content(&key, &online);
        for field in ["consistent_snapshot", "keys", "roles"] {
            if document.signed[field] != own[field] {
                return Err(format!("its {field} are not as this program writes them"));
            }
        }
        Ok(Self {
            document,
            key,
            online,
        })
    }
}
