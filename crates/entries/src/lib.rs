//! Log entries as clients propose them: checked, and brought into canonical form.
//!
//! Servers decide with it what they log, clients what they are about to send and whether what was logged is that.
//! Pure functions of bytes. Invariant: nothing comes out whose signature did not verify, and the same proposal always
//! gives the same leaf, byte for byte that of Rekor.
//!
//! ```
//! let error = sealmark_entries::read_v1(br#"{"kind":"hashedrekord","apiVersion":"0.0.1","spec":{}}"#).unwrap_err();
//! assert_eq!(error.to_string(), "spec.signature in body is required");
//! ```

mod cbor;
mod error;
mod field;
mod foreign;
mod ini;
mod kinds;
mod manifest;
mod tar;
mod v2;
mod verifier;
mod zip;

use serde_json::Value;

pub use error::{Error, Violation};
pub use field::Field;
pub use foreign::{ForeignKey, Format};
pub use v2::{NO_DSSE, RequestV2, SentVerifier};
pub use verifier::{Message, Verifier, allowed, issuer_key};

/// An entry that may be logged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proposed {
    /// The canonical body.
    pub leaf: Vec<u8>,
    /// What it is found by, in lower case.
    pub keys: Vec<String>,
    /// What the leaf has only the hash of, and a log may be asked to keep beside it; empty if there is none. Rekor keeps
    /// the payloads of `intoto`, and of `cose`.
    pub attestation: Vec<u8>,
}

impl Proposed {
    pub(crate) fn new(leaf: Vec<u8>, mut keys: Vec<String>) -> Self {
        keys.sort_unstable();
        keys.dedup();
        Self {
            leaf,
            keys,
            attestation: Vec::new(),
        }
    }

    pub(crate) fn with_attestation(self, attestation: Vec<u8>) -> Self {
        Self {
            attestation,
            ..self
        }
    }
}

/// Reads the body of a request to a log of version 1.
///
/// # Errors
/// [`Error::Malformed`] if it is no JSON.
pub fn parse_v1(json: &[u8]) -> Result<Value, Error> {
    // Rekor answers 500 to what is no JSON; but it is the client's error, and should not be sent again.
    serde_json::from_slice(json).map_err(|error| {
        let reason = sealmark_formats::excerpt(error.to_string());
        Error::Malformed(format!("the body is not JSON: {reason}"))
    })
}

/// Checks a `ProposedEntry` of Rekor v1.
/// <https://github.com/sigstore/rekor/blob/main/openapi.yaml>
///
/// # Errors
/// [`Error::Invalid`] if a field is not as its kind has it; [`Error::Refused`] if a signature does not verify, or the
/// kind is not supported.
pub fn check_v1(entry: &Value) -> Result<Proposed, Error> {
    kinds::read(entry)
}

/// [`parse_v1`] and [`check_v1`].
///
/// # Errors
/// As these.
pub fn read_v1(json: &[u8]) -> Result<Proposed, Error> {
    check_v1(&parse_v1(json)?)
}

/// Decodes base64 as protobuf JSON allows it: either alphabet, with or without padding.
pub fn decode_any_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    let text = text
        .trim_end_matches('=')
        .replace('-', "+")
        .replace('_', "/");
    let padding = "=".repeat((4 - text.len() % 4) % 4);
    base64::engine::general_purpose::STANDARD
        .decode(text + &padding)
        .ok()
}
