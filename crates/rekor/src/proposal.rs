//! Entries to propose, made of the files that users have: what rekor-cli sends for the same flags.
//!
//! Nothing is checked here but that the files a kind needs are there; `sealmark-entries` checks the rest, for kinds that
//! it knows, and computes what the log must hold.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_entries::{RequestV2, SentVerifier, Verifier, check_v1};
use sealmark_formats::dsse::Envelope;
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_x509::Certificate;
use serde_json::{Value, json};

use crate::Error;
use crate::search::KeyFormat;

/// The files of an entry.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// The artifact: data, an envelope, a package.
    pub artifact: Option<Vec<u8>>,
    /// Its digest, which is enough for `hashedrekord`.
    pub digest: Option<Digest>,
    /// A signature that is in a file of its own; base64 of one is one, too.
    pub signature: Option<Vec<u8>>,
    /// Keys or certificates.
    pub public_keys: Vec<Vec<u8>>,
    /// Their format; without it, that which they begin like.
    pub key_format: Option<KeyFormat>,
    /// Additional authenticated data of a COSE message.
    pub aad: Option<Vec<u8>>,
}

/// A kind of entry and its version: `KIND` or `KIND:VERSION`.
///
/// ```
/// use sealmark_rekor::proposal::Kind;
/// let kind: Kind = "intoto".parse()?;
/// assert_eq!((kind.name.as_str(), kind.version.as_str()), ("intoto", "0.0.2"));
/// assert!("nothing".parse::<Kind>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kind {
    /// `hashedrekord`, …
    pub name: String,
    /// `0.0.1`, …
    pub version: String,
}

/// Kinds with the version that rekor-cli takes if none is named.
const KINDS: [(&str, &str); 11] = [
    ("hashedrekord", "0.0.1"),
    ("dsse", "0.0.1"),
    ("intoto", "0.0.2"),
    ("rekord", "0.0.1"),
    ("helm", "0.0.1"),
    ("rpm", "0.0.1"),
    ("alpine", "0.0.1"),
    ("jar", "0.0.1"),
    ("tuf", "0.0.1"),
    ("cose", "0.0.1"),
    ("rfc3161", "0.0.1"),
];

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, version) = match text.split_once(':') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let known = KINDS.iter().find(|(kind, _)| *kind == name);
        let (_, newest) = known.ok_or_else(|| {
            let kinds: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
            let shown: String = name.chars().take(60).collect();
            format!("{shown:?} is none of {}", kinds.join(", "))
        })?;
        Ok(Self {
            name: name.to_owned(),
            version: version.unwrap_or(newest).to_owned(),
        })
    }
}

/// The hash that signatures by this key or certificate are over, in entries of artifacts.
///
/// # Errors
/// [`Error::Proposal`] if it cannot be read.
pub fn artifact_hash(public_key: &[u8]) -> Result<HashAlgorithm, Error> {
    let verifier = Verifier::from_pem(public_key).map_err(missing)?;
    Ok(verifier.key.hash())
}

/// The `ProposedEntry` of a Rekor v1.
///
/// # Errors
/// [`Error::Proposal`] if a file is missing that the kind needs, or is not what it must be.
pub fn v1(kind: &Kind, files: &Files) -> Result<Value, Error> {
    let spec = match kind.name.as_str() {
        "hashedrekord" => {
            let digest = files.digest()?;
            json!({
                "data": {"hash": {"algorithm": digest.algorithm().name(), "value": digest.hex()}},
                "signature": {
                    "content": base64(&files.signature()?),
                    "publicKey": {"content": base64(files.public_key()?)},
                },
            })
        }
        "rekord" => {
            let key = files.public_key()?;
            let format = files.key_format.unwrap_or_else(|| KeyFormat::of(key));
            let signature = match format {
                KeyFormat::X509 => files.signature()?,
                _ => files.raw_signature()?.to_vec(),
            };
            json!({
                "data": content_and_hash(files.artifact()?),
                "signature": {
                    "format": format.name(),
                    "content": base64(&signature),
                    "publicKey": {"content": base64(key)},
                },
            })
        }
        "dsse" => {
            let verifiers: Vec<String> = files.public_keys.iter().map(base64).collect();
            files.public_key()?;
            json!({"proposedContent": {"envelope": files.text()?, "verifiers": verifiers}})
        }
        "intoto" if kind.version == "0.0.1" => json!({
            "content": {"envelope": files.text()?, "hash": sha256(files.text()?.as_bytes())},
            "publicKey": base64(files.public_key()?),
        }),
        "intoto" => intoto(files)?,
        "helm" => json!({
            "chart": {"provenance": {"content": base64(files.artifact()?)}},
            "publicKey": {"content": base64(files.public_key()?)},
        }),
        "rpm" | "alpine" => json!({
            "package": content_and_hash(files.artifact()?),
            "publicKey": {"content": base64(files.public_key()?)},
        }),
        "jar" => json!({"archive": content_and_hash(files.artifact()?)}),
        "rfc3161" => json!({"tsr": {"content": base64(files.artifact()?)}}),
        "tuf" => {
            let document = |what: &str, bytes: &[u8]| {
                serde_json::from_slice::<Value>(bytes)
                    .map_err(|error| missing(format!("{what} is not TUF metadata: {error}")))
            };
            let metadata = document("the artifact", files.artifact()?)?;
            let root = document("the public key, the TUF root,", files.public_key()?)?;
            json!({"metadata": {"content": metadata}, "root": {"content": root}})
        }
        "cose" => {
            let mut spec = json!({
                "message": base64(files.artifact()?),
                "publicKey": base64(files.public_key()?),
                "data": {},
            });
            if let Some(aad) = &files.aad {
                spec["data"] = json!({"aad": base64(aad)});
            }
            spec
        }
        other => return Err(missing(format!("no entries of kind {other} are made here"))),
    };
    Ok(json!({"apiVersion": kind.version, "kind": kind.name, "spec": spec}))
}

/// `intoto` 0.0.2 wants the envelope in parts, each in base64 of base64, and the hash of the whole.
fn intoto(files: &Files) -> Result<Value, Error> {
    let text = files.text()?;
    let envelope = files.envelope()?;
    let twice = |bytes: &[u8]| base64(base64(bytes).as_bytes());
    let keys = &files.public_keys;
    files.public_key()?;
    if keys.len() != 1 && keys.len() != envelope.signatures.len() {
        return Err(missing(
            "give one --public-key, or one for each signature of the envelope, in their order",
        ));
    }
    let mut signatures = Vec::with_capacity(envelope.signatures.len());
    for (at, signature) in envelope.signatures.iter().enumerate() {
        let key = keys.get(at).unwrap_or(&keys[0]);
        let mut shown = json!({"sig": twice(&signature.sig), "publicKey": base64(key)});
        if let Some(keyid) = signature.keyid.as_deref().filter(|id| !id.is_empty()) {
            shown["keyid"] = Value::from(keyid);
        }
        signatures.push(shown);
    }
    Ok(json!({"content": {
        "envelope": {
            "payloadType": envelope.payload_type,
            "payload": twice(&envelope.payload),
            "signatures": signatures,
        },
        "hash": sha256(text.as_bytes()),
    }}))
}

/// The request for a Rekor v2, which has `hashedrekord` only: a DSSE envelope is logged by the digest of what its
/// signature is over.
///
/// # Errors
/// As [`v1`].
pub fn v2(kind: &Kind, files: &Files) -> Result<RequestV2, Error> {
    let key = files.public_key()?;
    let verifier = Verifier::from_pem(key).map_err(missing)?;
    let (digest, signature) = match kind.name.as_str() {
        "hashedrekord" => (files.digest()?.clone(), files.signature()?),
        "dsse" => {
            let envelope = files.envelope()?;
            let [signature] = envelope.signatures.as_slice() else {
                return Err(missing(format!(
                    "the envelope has {} signatures, and an entry of version 2 has one",
                    envelope.signatures.len()
                )));
            };
            let digest = Digest::of(verifier.key.hash(), &envelope.pae());
            (digest, signature.sig.clone())
        }
        other => {
            return Err(missing(format!(
                "a log of version 2 has no entries of kind {other}, but hashedrekord (and dsse, as such)"
            )));
        }
    };
    let text = String::from_utf8_lossy(key);
    let sent = match text.contains("-----BEGIN CERTIFICATE-----") {
        true => {
            let chain =
                Certificate::chain_from_pem(key).map_err(|error| missing(error.to_string()))?;
            let leaf = chain
                .first()
                .ok_or_else(|| missing("there is no certificate"))?;
            SentVerifier::Certificate(leaf.der().to_vec())
        }
        false => SentVerifier::PublicKey(verifier.key.spki_der().to_vec()),
    };
    let key_details = RequestV2::key_details_of(verifier.key.key_type(), digest.algorithm())
        .ok_or_else(|| {
            missing(format!(
                "a log of version 2 takes no {} signatures over {} digests",
                verifier.key.algorithm_name(),
                digest.algorithm()
            ))
        })?;
    Ok(RequestV2 {
        digest: digest.bytes().to_vec(),
        signature,
        verifier: Some(sent),
        key_details,
    })
}

/// The body that the log must have for a proposed entry, whose signatures are checked; `None` if entries of this kind
/// are not known here, so that nobody can say.
///
/// # Errors
/// [`Error::Entry`] if the log would not take the entry.
pub fn leaf_of(proposed: &Value) -> Result<Option<Vec<u8>>, Error> {
    match check_v1(proposed) {
        Ok(entry) => Ok(Some(entry.leaf)),
        Err(error) => {
            // Of a known kind the first thing to be missed is a field; an unknown one is refused as a whole.
            let mut empty = proposed.clone();
            empty["spec"] = json!({});
            match check_v1(&empty) {
                Err(sealmark_entries::Error::Refused(_)) => Ok(None),
                _ => Err(Error::Entry(error)),
            }
        }
    }
}

impl Files {
    fn artifact(&self) -> Result<&[u8], Error> {
        self.artifact
            .as_deref()
            .ok_or_else(|| missing("give the --artifact"))
    }

    fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(self.artifact()?)
            .map_err(|_| missing("the artifact is not a DSSE envelope, but not even text"))
    }

    fn envelope(&self) -> Result<Envelope, Error> {
        Envelope::parse(self.artifact()?).map_err(|error| missing(error.to_string()))
    }

    fn digest(&self) -> Result<&Digest, Error> {
        self.digest
            .as_ref()
            .ok_or_else(|| missing("give the --artifact, or its --artifact-hash"))
    }

    fn public_key(&self) -> Result<&[u8], Error> {
        self.public_keys
            .first()
            .map(Vec::as_slice)
            .ok_or_else(|| missing("give the --public-key: a key or a certificate"))
    }

    fn raw_signature(&self) -> Result<&[u8], Error> {
        self.signature
            .as_deref()
            .ok_or_else(|| missing("give the --signature"))
    }

    /// cosign writes signatures in base64. What is meant to be a signature itself is never all letters and digits.
    fn signature(&self) -> Result<Vec<u8>, Error> {
        let raw = self.raw_signature()?;
        let text = raw.trim_ascii();
        let decoded = STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty());
        Ok(decoded.unwrap_or_else(|| raw.to_vec()))
    }
}

fn content_and_hash(bytes: &[u8]) -> Value {
    json!({"content": base64(bytes), "hash": sha256(bytes)})
}

fn sha256(bytes: &[u8]) -> Value {
    json!({"algorithm": "sha256", "value": Digest::sha256(bytes).hex()})
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn missing(reason: impl Into<String>) -> Error {
    Error::Proposal(sealmark_http::sanitise(&reason.into()))
}
