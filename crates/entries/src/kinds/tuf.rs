//! `tuf` 0.0.1: metadata of a TUF repository, and the root that says who signs it; the log keeps both.
//! <https://theupdateframework.github.io/specification/latest/>
//!
//! Enough keys of the root must have signed the root itself and the metadata. Two canonical forms are at work: TUF's own
//! is what was signed, RFC 8785 is what is logged. Rekor also refuses what has expired, also when it reads its own log:
//! here there is no clock, and metadata is taken at any time, as its expiry is in it for whoever reads the log.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::{Digest, canonical_json, jcs};
use sealmark_keys::{PublicKey, Scheme};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::field::Field;
use crate::{Error, Proposed};

/// More signatures than this are refused: each may have to be checked. The public root has had ten at most.
const MAX_SIGNATURES: usize = 128;
/// More keys than this are refused: each is read, and a point on a curve is checked. The public root has had ten at most.
const MAX_KEYS: usize = 512;
/// The roles that a root can speak of.
const ROLES: [&str; 4] = ["root", "targets", "snapshot", "timestamp"];

pub(crate) fn read(spec: &Field<'_>) -> Result<Proposed, Error> {
    let content = spec.get("metadata")?.get("content")?;
    let metadata = Document::read(&content)?;
    let root_content = spec.get("root")?.get("content")?;
    let root = Document::read(&root_content)?;

    let keys = Root::read(&root).map_err(|reason| root_content.refuse(reason))?;
    keys.verify(&root, "root")
        .map_err(|reason| root_content.refuse(reason))?;
    let role = metadata.head.kind.as_str();
    keys.verify(&metadata, role)
        .map_err(|reason| content.refuse(reason))?;

    let mut kept = json!({
        "metadata": {"content": STANDARD.encode(&metadata.canonical)},
        "root": {"content": STANDARD.encode(&root.canonical)},
    });
    if !root.head.spec_version.is_empty() {
        kept["spec_version"] = Value::from(root.head.spec_version.as_str());
    }
    let leaf = jcs::to_vec(&json!({"apiVersion": "0.0.1", "kind": "tuf", "spec": kept}))
        .map_err(Error::entry)?;
    let mut found_by = vec![role.to_owned(), metadata.head.version.to_string()];
    for document in [&metadata, &root] {
        // Rekor has them without the algorithm, and its client asks for them with it.
        let digest = Digest::sha256(&document.canonical);
        found_by.extend([digest.hex(), digest.to_string()]);
    }
    Ok(Proposed::new(leaf, found_by))
}

/// A signed document. Nobody has checked the signatures.
struct Document {
    head: Head,
    signed: Value,
    /// By key id.
    signatures: Vec<(String, Vec<u8>)>,
    /// What the signatures are over.
    message: Vec<u8>,
    /// What is logged.
    canonical: Vec<u8>,
}

/// What all metadata begins with.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(default)]
    spec_version: String,
    version: i64,
    expires: String,
}

#[derive(Deserialize)]
struct Envelope {
    signed: Value,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    keyid: String,
    sig: String,
}

impl Document {
    /// The content is an object, or the base64 of one.
    fn read(content: &Field<'_>) -> Result<Self, Error> {
        let value = match content.value {
            Value::Object(_) => content.value.clone(),
            Value::String(_) => {
                // It refuses a member that is there twice, which the request's own parser has done for an object.
                let canonical = jcs::canonicalize(&content.bytes()?);
                let canonical = canonical.map_err(|error| content.refuse(error))?;
                serde_json::from_slice(&canonical).map_err(|error| content.refuse(error))?
            }
            _ => return Err(content.of_type("object")),
        };
        Self::parse(value).map_err(|reason| content.refuse(reason))
    }

    fn parse(value: Value) -> Result<Self, String> {
        let Envelope { signed, signatures } =
            Envelope::deserialize(value).map_err(|error| error.to_string())?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(format!("it has more than {MAX_SIGNATURES} signatures"));
        }
        let head = Head::deserialize(&signed).map_err(|error| error.to_string())?;
        if !is_rfc3339(&head.expires) {
            return Err("expires is no time of RFC 3339".to_owned());
        }
        let signatures = signatures.into_iter().map(|one| {
            let signature = hex::decode(&one.sig).map_err(|_| "a signature is not hex")?;
            Ok((one.keyid, signature))
        });
        let signatures: Vec<_> = signatures.collect::<Result<_, &str>>()?;
        let kept: Vec<Value> = signatures
            .iter()
            .map(|(keyid, signature)| json!({"keyid": keyid, "sig": hex::encode(signature)}))
            .collect();
        let canonical = jcs::to_vec(&json!({"signatures": kept, "signed": &signed}))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            head,
            message: canonical_json::to_vec(&signed)?,
            signed,
            signatures,
            canonical,
        })
    }
}

/// Who signs what.
struct Root {
    keys: BTreeMap<String, (PublicKey, Scheme)>,
    roles: BTreeMap<String, Role>,
}

#[derive(Deserialize)]
struct RootJson {
    keys: BTreeMap<String, Key>,
    roles: BTreeMap<String, Role>,
}

#[derive(Deserialize)]
struct Role {
    keyids: Vec<String>,
    threshold: i64,
}

#[derive(Deserialize)]
struct Key {
    keytype: String,
    scheme: String,
    keyval: KeyValue,
}

#[derive(Deserialize)]
struct KeyValue {
    public: String,
}

impl Root {
    fn read(document: &Document) -> Result<Self, String> {
        let json = RootJson::deserialize(&document.signed).map_err(|error| error.to_string())?;
        if json.keys.len() > MAX_KEYS {
            return Err(format!("it has more than {MAX_KEYS} keys"));
        }
        let mut keys = BTreeMap::new();
        for (id, key) in json.keys {
            let known = PublicKey::from_tuf(&key.keytype, &key.scheme, &key.keyval.public);
            // Of what TUF has more, Rekor knows these.
            let known = known.filter(|(_, scheme)| {
                matches!(
                    scheme,
                    Scheme::Ed25519 | Scheme::EcdsaSha256 | Scheme::RsaPssSha256
                )
            });
            let Some(known) = known else {
                let [keytype, scheme] =
                    [key.keytype, key.scheme].map(|it| crate::zip::shown(it.as_bytes()));
                return Err(format!(
                    "not supported: a key of the type {keytype} and the scheme {scheme}, or it is no such key"
                ));
            };
            keys.insert(id, known);
        }
        match json.roles.values().any(|role| role.threshold < 1) {
            true => Err("invalid role threshold".to_owned()),
            false => Ok(Self {
                keys,
                roles: json.roles,
            }),
        }
    }

    /// Whether enough keys of a role signed. One that goes by two ids counts once.
    fn verify(&self, document: &Document, role: &str) -> Result<(), String> {
        let unknown = || format!("unknown role {}", crate::zip::shown(role.as_bytes()));
        if !ROLES.contains(&role) || document.head.kind != role {
            return Err(unknown());
        }
        let signers = self.roles.get(role).ok_or_else(unknown)?;
        let mut signed_by: Vec<&PublicKey> = Vec::new();
        for (id, signature) in &document.signatures {
            let Some((key, scheme)) = self.keys.get(id) else {
                continue;
            };
            if !signers.keyids.contains(id) || signed_by.contains(&key) {
                continue;
            }
            let checked = key.verify_scheme(*scheme, &document.message, signature);
            if checked.is_ok() {
                signed_by.push(key);
            }
        }
        let (found, threshold) = (signed_by.len(), signers.threshold);
        match i64::try_from(found).is_ok_and(|found| found >= threshold) {
            true => Ok(()),
            false => Err(format!(
                "valid signatures did not meet threshold: {found} of the keys of {role} signed, {threshold} must"
            )),
        }
    }
}

/// `2026-11-22T21:00:00Z`, also with a fraction or an offset. Which day there is in which month is not asked.
fn is_rfc3339(text: &str) -> bool {
    let shape = |text: &[u8], shape: &[u8]| {
        text.len() == shape.len()
            && text.iter().zip(shape).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                _ => byte == wanted,
            })
    };
    let Some((time, rest)) = text.as_bytes().split_at_checked(19) else {
        return false;
    };
    let zone = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit());
            match digits.count() {
                0 => return false,
                digits => &fraction[digits..],
            }
        }
        _ => rest,
    };
    shape(time, b"0000-00-00T00:00:00")
        && (zone == b"Z" || shape(zone, b"+00:00") || shape(zone, b"-00:00"))
}
