//! What a predicate is: found from its content, made into JSON, and checked against the shape that its type has.
//!
//! The shape is what the format's schema demands: which members there are, which must be there, and of which kind they
//! are. It is judged in one pass over the text, whatever its size. What needs the whole document at once is not judged:
//! that elements of a list differ, and that what is referred to is there.

mod detect;
mod lexical;
mod shape;
mod table;

use core::fmt;

use serde_json::value::RawValue;

pub use shape::Fault;

/// What a document is, as far as its content tells.
#[derive(Clone, Copy)]
pub struct Format {
    /// The name, for people: `SPDX 2 in JSON`.
    pub name: &'static str,
    /// The predicate type that it is attested as.
    pub predicate_type: &'static str,
    /// `None` for a text, which is attested as one JSON string, as cosign does.
    shape: Option<&'static table::Table>,
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Format").field(&self.name).finish()
    }
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

    /// Whether the document is JSON.
    pub fn is_json(&self) -> bool {
        self.shape.is_some()
    }

    /// Checks that the document is as its format's schema demands.
    ///
    /// ```
    /// use sealmark_formats::predicate::Format;
    /// let document = br#"{"spdxVersion":"SPDX-2.3","name":7}"#;
    /// let fault = Format::of(document).unwrap().check(document).unwrap_err();
    /// assert_eq!(fault.to_string(), "$.name must be a text, and is the number 7");
    /// ```
    ///
    /// # Errors
    /// The first fault, with its place.
    pub fn check(&self, document: &[u8]) -> Result<(), Fault> {
        match self.shape {
            Some(table) => shape::check(document, table.shape()),
            None => Ok(()),
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

/// The predicate that a document becomes: JSON as the text it is, any other text as one JSON string. A large document is
/// not copied.
///
/// # Errors
/// If it is neither: where the JSON is wrong, or that it is not text.
pub fn predicate(document: Vec<u8>) -> Result<Box<RawValue>, String> {
    let is_json = Format::of(&document).is_none_or(Format::is_json);
    let mut text = String::from_utf8(document).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        format!("it is no text: byte {place} is not UTF-8")
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    let json = match is_json {
        true => {
            text.truncate(text.trim_end().len());
            let blank = text.len() - text.trim_start().len();
            text.drain(..blank);
            text
        }
        false => serde_json::to_string(&text).map_err(|error| error.to_string())?,
    };
    RawValue::from_string(json).map_err(|error| error.to_string())
}
