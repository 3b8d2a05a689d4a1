//! The payload of a legacy image signature ("simple signing"), as cosign writes it.
//!
//! Format: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#simple-signing>, which takes it from
//! <https://github.com/containers/image/blob/main/docs/containers-signature.5.md>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::encoding::ParseError;

/// `critical.type` that cosign writes.
pub const COSIGN_TYPE: &str = "cosign container image signature";
/// `critical.type` of the atomic signatures that the format comes from.
pub const ATOMIC_TYPE: &str = "atomic container signature";

/// Larger payloads are refused, in bytes: a real one has some hundred.
pub const MAX_PAYLOAD: usize = 1 << 20;

/// A payload.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct SimpleSigning {
    /// What must be understood.
    pub critical: Critical,
    /// Annotations; `None` is written as `null`.
    #[serde(default)]
    pub optional: Option<BTreeMap<String, Value>>,
}

/// The part that must be understood.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Critical {
    /// Where the signer saw the image; never verified.
    pub identity: Identity,
    /// The image.
    pub image: Image,
    /// [`COSIGN_TYPE`] or [`ATOMIC_TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
}

/// Where the signer saw the image.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Identity {
    /// A repository, or what `--sign-container-identity` said.
    #[serde(rename = "docker-reference")]
    pub docker_reference: String,
}

/// The image, by digest.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Image {
    /// Digest of the manifest or index.
    #[serde(rename = "docker-manifest-digest")]
    pub docker_manifest_digest: Digest,
}

impl SimpleSigning {
    /// The payload that signs `digest`, found in repository `reference`.
    pub fn new(reference: &str, digest: &Digest, annotations: &BTreeMap<String, String>) -> Self {
        let optional = (!annotations.is_empty()).then(|| {
            annotations
                .iter()
                .map(|(key, value)| (key.clone(), value.clone().into()))
                .collect()
        });
        Self {
            critical: Critical {
                identity: Identity {
                    docker_reference: reference.to_owned(),
                },
                image: Image {
                    docker_manifest_digest: digest.clone(),
                },
                kind: COSIGN_TYPE.to_owned(),
            },
            optional,
        }
    }

    /// Parses a payload.
    ///
    /// # Errors
    /// If it is not JSON of this shape, or `critical.type` is neither of the two known ones.
    pub fn parse(json: &[u8]) -> Result<Self, ParseError> {
        let format = "simple signing payload";
        if json.len() > MAX_PAYLOAD {
            let reason = format!("it is larger than {MAX_PAYLOAD} bytes");
            return Err(ParseError::new(format, reason));
        }
        let payload: Self = serde_json::from_slice(json)
            .map_err(|error| ParseError::new(format, error.to_string()))?;
        if ![COSIGN_TYPE, ATOMIC_TYPE].contains(&payload.critical.kind.as_str()) {
            return Err(ParseError::new(
                format,
                format!(
                    "critical.type is {:?}, expected {COSIGN_TYPE:?}",
                    payload.critical.kind
                ),
            ));
        }
        Ok(payload)
    }

    /// The JSON bytes as Go's `encoding/json` writes them: compact, `<`, `>`, `&` and U+2028, U+2029 escaped.
    ///
    /// ```
    /// use sealmark_formats::{Digest, simple_signing::SimpleSigning};
    /// let payload = SimpleSigning::new("localhost:5000/app", &Digest::sha256(b""), &Default::default());
    /// assert_eq!(String::from_utf8(payload.to_json()).unwrap(), concat!(
    ///     r#"{"critical":{"identity":{"docker-reference":"localhost:5000/app"},"#,
    ///     r#""image":{"docker-manifest-digest":"#,
    ///     r#""sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"#,
    ///     r#""type":"cosign container image signature"},"optional":null}"#,
    /// ));
    /// ```
    pub fn to_json(&self) -> Vec<u8> {
        let json = serde_json::to_string(self).expect("strings and maps serialise");
        json.replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026")
            .replace('\u{2028}', "\\u2028")
            .replace('\u{2029}', "\\u2029")
            .into_bytes()
    }
}
