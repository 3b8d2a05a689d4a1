//! JSON Canonicalization Scheme, RFC 8785: the one way to write a JSON value, so that it can be hashed and signed.
//!
//! Input is I-JSON (RFC 7493), which the scheme demands: a member that occurs twice is refused, because readers differ
//! on which of the two counts. Numbers are IEEE doubles, also where JSON was given an integer beyond 2⁵³.

use core::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::encoding::ParseError;

/// The canonical form of a JSON text.
///
/// ```
/// let canonical = sealmark_formats::jcs::canonicalize(br#"{ "b": 1e1, "a": "\u20ac" }"#)?;
/// assert_eq!(canonical, r#"{"a":"€","b":10}"#.as_bytes());
/// # Ok::<(), sealmark_formats::ParseError>(())
/// ```
///
/// # Errors
/// If it is not JSON, is nested deeper than 128 levels, or has a member twice in one object.
pub fn canonicalize(json: &[u8]) -> Result<Vec<u8>, ParseError> {
    let value = parse("JSON", json)?;
    to_vec(&value)
}

/// The canonical form of a value.
///
/// # Errors
/// If it cannot be written as JSON, e.g. a map whose keys are not strings.
pub fn to_vec<T: Serialize>(value: &T) -> Result<Vec<u8>, ParseError> {
    serde_json_canonicalizer::to_vec(value)
        .map_err(|error| ParseError::new("JSON", error.to_string()))
}

/// The canonical form of what has no more to be brought into it: its members are declared in the order of the scheme,
/// and it has no numbers beyond 2⁵³ and no fractions. Strings are written alike by the scheme and by any other writer
/// that escapes no more than it must. A log writes thousands of these in a second, and sorting would cost it more than
/// writing; where assertions are checked, this one is.
///
/// # Errors
/// As [`to_vec`].
pub(crate) fn in_order_to_vec<T: Serialize>(value: &T) -> Result<Vec<u8>, ParseError> {
    let json =
        serde_json::to_vec(value).map_err(|error| ParseError::new("JSON", error.to_string()))?;
    debug_assert_eq!(
        to_vec(value).ok(),
        Some(json.clone()),
        "it is not in the order of RFC 8785"
    );
    Ok(json)
}

/// Parses I-JSON. `format` is what the text should be, for the error.
pub(crate) fn parse(format: &'static str, json: &[u8]) -> Result<Value, ParseError> {
    serde_json::from_slice::<Unique>(json)
        .map(|unique| unique.0)
        .map_err(|error| ParseError::new(format, error.to_string()))
}

/// A JSON value in which no object has a member twice.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number is out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unique(value))) = members.next_entry::<String, Unique>()? {
            if object.contains_key(&name) {
                let name: String = name.chars().take(60).collect();
                return Err(serde::de::Error::custom(format_args!(
                    "the member {name:?} occurs twice"
                )));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}
