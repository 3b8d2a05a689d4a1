//! A place in a JSON document that knows its path, so that every error names the field it is about.

use serde_json::Value;

use crate::digest::{Digest, HashAlgorithm};
use crate::encoding::{ParseError, decode_base64};

/// What the errors call a body.
pub(super) const FORMAT: &str = "log entry";

/// A value and its path from the root, `spec.data.hash`.
pub(super) struct Field<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Field<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self {
            value,
            path: String::new(),
        }
    }

    pub(super) fn error(&self, reason: impl core::fmt::Display) -> ParseError {
        match self.path.as_str() {
            "" => ParseError::new(FORMAT, format!("it {reason}")),
            path => ParseError::new(FORMAT, format!("{path} {reason}")),
        }
    }

    /// The member `name`, or an error if it is missing.
    pub(super) fn get(&self, name: &str) -> Result<Self, ParseError> {
        if !self.value.is_object() {
            return Err(self.error("is not an object"));
        }
        self.find(name).ok_or_else(|| {
            let path = self.path_of(name);
            ParseError::new(FORMAT, format!("{path} is missing"))
        })
    }

    /// The member `name`, if there is one; `null` is none, as in protobuf JSON.
    pub(super) fn find(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Self {
            value,
            path: self.path_of(name),
        })
    }

    /// The items of an array of 1 to `limit`.
    pub(super) fn items(&self, limit: usize) -> Result<Vec<Self>, ParseError> {
        let items = self
            .value
            .as_array()
            .ok_or_else(|| self.error("is not an array"))?;
        match items.len() {
            0 => return Err(self.error("is empty")),
            count if count > limit => {
                return Err(self.error(format_args!(
                    "has {count} items, at most {limit} are allowed"
                )));
            }
            _ => {}
        }
        let field = |(index, value)| Self {
            value,
            path: format!("{}[{index}]", self.path),
        };
        Ok(items.iter().enumerate().map(field).collect())
    }

    /// A string that is not empty.
    pub(super) fn text(&self) -> Result<&'a str, ParseError> {
        match self.value.as_str() {
            None => Err(self.error("is not a string")),
            Some("") => Err(self.error("is empty")),
            Some(text) => Ok(text),
        }
    }

    /// Bytes in base64, at least one.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, ParseError> {
        decode_base64(self.text()?)
            .ok()
            .filter(|bytes| !bytes.is_empty())
            .ok_or_else(|| self.error("is not base64"))
    }

    /// `{"algorithm": "sha256", "value": HEX}` of Rekor v1. The log keeps the case of the hex digits as it was sent.
    pub(super) fn hex_digest(&self) -> Result<Digest, ParseError> {
        let algorithm = self.get("algorithm")?;
        let known = HashAlgorithm::from_name(algorithm.text()?)
            .ok_or_else(|| algorithm.error("is none of sha256, sha384, sha512"))?;
        let value = self.get("value")?;
        let bytes = hex::decode(value.text()?).map_err(|_| value.error("is not hex"))?;
        Digest::from_bytes(known, &bytes)
            .ok_or_else(|| value.error(format_args!("is not as long as a {known} digest")))
    }

    /// `{"algorithm": "SHA2_256", "digest": BASE64}` of Rekor v2.
    pub(super) fn base64_digest(&self) -> Result<Digest, ParseError> {
        let algorithm = self.get("algorithm")?;
        let known = HashAlgorithm::from_protobuf_name(algorithm.text()?)
            .ok_or_else(|| algorithm.error("is none of SHA2_256, SHA2_384, SHA2_512"))?;
        let digest = self.get("digest")?;
        Digest::from_bytes(known, &digest.bytes()?)
            .ok_or_else(|| digest.error(format_args!("is not as long as a {known} digest")))
    }

    fn path_of(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }
}
