//! What a predicate is: found from its content, made into JSON, and checked against the shape that its type has.
//!
//! The shape is what the format's specification requires of every document: the members that must be there and of which
//! kind they are. What else a document has is its own.

mod detect;
mod shape;

use core::fmt;

use serde_json::value::RawValue;

pub use shape::Fault;

/// What a document is, as far as its content tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Format {
    /// The name, for people: `SPDX 2 in JSON`.
    pub name: &'static str,
    /// The predicate type that it is attested as.
    pub predicate_type: &'static str,
    /// Whether the document is JSON; a text is attested as one JSON string, as cosign does.
    pub is_json: bool,
    shape: &'static [shape::Rule],
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Format {
    /// Finds out what a document is; `None` if it is nothing that is known.
    ///
    /// ```
    /// use sealmark_formats::predicate::Format;
    /// let found = |text: &str| Format::of(text.as_bytes()).map(|format| format.predicate_type);
    /// assert_eq!(found(r#"{"spdxVersion":"SPDX-2.3"}"#), Some("https://spdx.dev/Document"));
    /// assert_eq!(found("SPDXVersion: SPDX-2.3\n"), Some("https://spdx.dev/Document"));
    /// assert_eq!(found(r#"{"bomFormat":"CycloneDX"}"#), Some("https://cyclonedx.org/bom"));
    /// assert_eq!(found(r#"{"reviewer":"bob"}"#), None);
    /// ```
    pub fn of(document: &[u8]) -> Option<&'static Self> {
        detect::format(document)
    }

    /// Whether attestations of this type hold such a document.
    pub fn fits(&self, predicate_type: &str) -> bool {
        use crate::predicate_type::PredicateType;
        PredicateType::AnyVersion(self.predicate_type.to_owned()).matches(predicate_type)
    }

    /// Checks that the document has what its format requires.
    ///
    /// ```
    /// use sealmark_formats::predicate::Format;
    /// let document = br#"{"spdxVersion":"SPDX-2.3","name":7}"#;
    /// let fault = Format::of(document).unwrap().check(document).unwrap_err();
    /// assert_eq!(fault.to_string(), "$.SPDXID is missing");
    /// ```
    ///
    /// # Errors
    /// The first fault, with its place.
    pub fn check(&self, document: &[u8]) -> Result<(), Fault> {
        match self.is_json {
            true => shape::check(document, self.shape),
            false => Ok(()),
        }
    }

    /// The formats that attestations of a type hold.
    pub fn all_of(predicate_type: &str) -> Vec<&'static Self> {
        let formats = detect::FORMATS.iter().copied();
        formats
            .filter(|format| format.fits(predicate_type))
            .collect()
    }
}

/// The predicate that a document becomes: JSON as the text it is, any other text as one JSON string.
///
/// # Errors
/// If it is neither: where the JSON is wrong, or that it is not text.
pub fn predicate(document: &[u8]) -> Result<Box<RawValue>, String> {
    let text = core::str::from_utf8(document)
        .map_err(|error| format!("it is no text: byte {} is not UTF-8", error.valid_up_to()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_json = Format::of(document).is_none_or(|format| format.is_json);
    let json = match is_json {
        true => text.trim().to_owned(),
        false => serde_json::to_string(text).map_err(|error| error.to_string())?,
    };
    RawValue::from_string(json).map_err(|error| error.to_string())
}
