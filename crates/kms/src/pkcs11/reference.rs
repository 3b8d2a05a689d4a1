//! PKCS#11 URIs ([RFC 7512](https://www.rfc-editor.org/rfc/rfc7512)): which key, on which token, of which module.
//!
//! Invariant: the PIN that a URI may carry is in no text that this module makes.

use core::fmt;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use zeroize::Zeroizing;

/// Attributes of a token, a slot or a module that a URI may name, by what the token says of itself.
pub(crate) const PLACE: [&str; 9] = [
    "token",
    "manufacturer",
    "model",
    "serial",
    "slot-description",
    "slot-manufacturer",
    "library-description",
    "library-manufacturer",
    "library-version",
];

/// Not encoded in what is printed: RFC 7512's `pk11-path-char`, as far as it reads well.
const PRINTED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'+')
    .remove(b'@')
    .remove(b',');
/// In the query, paths stay readable.
const PRINTED_QUERY: &AsciiSet = &PRINTED.remove(b'/');

/// A key on a token.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct Reference {
    /// Each attribute of [`PLACE`] that is given, in that order.
    pub(crate) place: Vec<(&'static str, String)>,
    /// `slot-id`: which changes when tokens are plugged in, so nobody should need it.
    pub(crate) slot: Option<u64>,
    /// `object`, the label of the key.
    pub(crate) label: Option<String>,
    /// `id`, the bytes that a key, its public key and its certificate share.
    pub(crate) id: Option<Vec<u8>>,
    /// `module-path`: the shared library, or a folder with it.
    pub(crate) module_path: Option<PathBuf>,
    /// `module-name`: the library's name without `lib` and `.so`.
    pub(crate) module_name: Option<String>,
    pin: Option<Pin>,
}

/// Where the URI says that the PIN is.
#[derive(Clone, Eq, PartialEq)]
pub(crate) enum Pin {
    /// `pin-value`.
    Value(Zeroizing<String>),
    /// `pin-source`, a file.
    File(PathBuf),
}

impl Hash for Pin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Equal ones are equal here; a secret is better kept out of a hash table's seeds.
        if let Self::File(path) = self {
            path.hash(state);
        }
    }
}

impl Reference {
    /// Understands what follows `pkcs11:`. The error is a reason, without the PIN.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("//") {
            return Err("a PKCS#11 URI has no slashes: pkcs11:token=NAME;object=NAME".into());
        }
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, query),
            None => (text, ""),
        };
        let mut reference = Self::default();
        let mut seen = Vec::new();
        for attribute in path.split(';').filter(|text| !text.is_empty()) {
            let (name, value) = named(attribute, &mut seen)?;
            reference.path_attribute(name, value)?;
        }
        for attribute in query.split('&').filter(|text| !text.is_empty()) {
            let (name, value) = named(attribute, &mut seen)?;
            reference.query_attribute(name, value)?;
        }
        reference
            .place
            .sort_by_key(|(name, _)| PLACE.iter().position(|known| known == name));
        if seen.contains(&"pin-value") && seen.contains(&"pin-source") {
            return Err("it has pin-value and pin-source: give one of them".into());
        }
        Ok(reference)
    }

    fn path_attribute(&mut self, name: &str, value: &str) -> Result<(), String> {
        if let Some(query) = QUERY
            .iter()
            .find(|query| value.contains(&format!("&{query}=")))
        {
            return Err(format!("{query} comes after a question mark: …?{query}=…"));
        }
        if let Some(known) = PLACE.iter().find(|known| **known == name) {
            self.place.push((known, text(name, value)?));
            return Ok(());
        }
        match name {
            "object" => self.label = Some(text(name, value)?),
            "id" => self.id = Some(percent_decode_str(percent(name, value)?).collect()),
            "slot-id" => {
                let number = value.parse();
                self.slot = Some(number.map_err(|_| "slot-id is not a number".to_owned())?);
            }
            // All that make up a key lead to it: what tools list is often the public key or the certificate.
            "type" if matches!(value, "private" | "public" | "cert") => {}
            "type" => {
                return Err(format!(
                    "type={} is not a key to sign or verify with: give type=private, or leave it out",
                    sealmark_http::sanitise(value)
                ));
            }
            _ if QUERY.contains(&name) => {
                return Err(format!("{name} comes after a question mark: …?{name}=…"));
            }
            _ => {
                return Err(unknown(
                    name,
                    "before the question mark",
                    &[PLACE.as_slice(), &["object", "id", "slot-id", "type"]].concat(),
                ));
            }
        }
        Ok(())
    }

    fn query_attribute(&mut self, name: &str, value: &str) -> Result<(), String> {
        if let Some(next) = QUERY
            .iter()
            .find(|next| value.contains(&format!(";{next}=")))
        {
            return Err(format!(
                "after the question mark, attributes are parted by &: …&{next}=…"
            ));
        }
        match name {
            "module-path" => self.module_path = Some(text(name, value)?.into()),
            "module-name" => {
                let module = text(name, value)?;
                if module.contains('/') {
                    return Err("module-name is not a path: give module-path".into());
                }
                self.module_name = Some(module);
            }
            "pin-value" => self.pin = Some(Pin::Value(Zeroizing::new(text(name, value)?))),
            "pin-source" => self.pin = Some(Pin::File(pin_file(&text(name, value)?)?)),
            // RFC 7512, 2.4: others have their own attributes, which may be ignored.
            _ if name.starts_with("x-") => {}
            _ if PLACE.contains(&name) || matches!(name, "object" | "id" | "slot-id" | "type") => {
                return Err(format!(
                    "{name} comes before the question mark, parted from others by ;"
                ));
            }
            _ => return Err(unknown(name, "after the question mark", &QUERY)),
        }
        Ok(())
    }

    pub(crate) fn pin(&self) -> Option<&Pin> {
        self.pin.as_ref()
    }

    /// The attributes of the key alone, for a message about what is on a token.
    pub(crate) fn describe_key(&self) -> String {
        key_attributes(self.label.as_deref(), self.id.as_deref()).join(";")
    }

    /// The URI that leads to this very key: by the token's label and serial number, the key's label and id.
    pub(crate) fn of_key(
        &self,
        token: &str,
        serial: &str,
        label: Option<&str>,
        id: Option<&[u8]>,
    ) -> Self {
        let mut place = Vec::new();
        for (name, value) in [("token", token), ("serial", serial)] {
            if !value.is_empty() {
                place.push((name, value.to_owned()));
            }
        }
        Self {
            place,
            slot: None,
            label: label.filter(|label| !label.is_empty()).map(str::to_owned),
            id: id.filter(|id| !id.is_empty()).map(<[u8]>::to_vec),
            module_path: self.module_path.clone(),
            module_name: self.module_name.clone(),
            pin: None,
        }
    }
}

const QUERY: [&str; 4] = ["module-path", "module-name", "pin-value", "pin-source"];

fn named<'a>(attribute: &'a str, seen: &mut Vec<&'a str>) -> Result<(&'a str, &'a str), String> {
    let Some((name, value)) = attribute.split_once('=') else {
        return Err("each attribute is NAME=VALUE: pkcs11:token=NAME;object=NAME".into());
    };
    if seen.contains(&name) {
        return Err(format!("{} is given twice", sealmark_http::sanitise(name)));
    }
    seen.push(name);
    Ok((name, value))
}

/// A value whose percent signs all begin a byte.
fn percent<'a>(name: &str, value: &'a str) -> Result<&'a str, String> {
    let whole = value
        .split('%')
        .skip(1)
        .all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|digit| digit.is_ascii_hexdigit()));
    whole.then_some(value).ok_or_else(|| {
        format!("{name} has a % without two hex digits: write %25 for a percent sign")
    })
}

fn text(name: &str, value: &str) -> Result<String, String> {
    let bytes = percent_decode_str(percent(name, value)?);
    let text = bytes
        .decode_utf8()
        .map_err(|_| format!("{name} is not UTF-8"))?;
    Ok(text.into_owned())
}

fn pin_file(source: &str) -> Result<PathBuf, String> {
    if source.starts_with('|') {
        return Err("pin-source names a program, which is not supported: give a file".into());
    }
    let path = source.strip_prefix("file:").unwrap_or(source);
    let path = path.strip_prefix("//").unwrap_or(path);
    match path.starts_with('/') {
        true => Ok(path.into()),
        false => Err("pin-source is not an absolute path: pin-source=file:/PATH".into()),
    }
}

fn unknown(name: &str, place: &str, known: &[&str]) -> String {
    format!(
        "{} is no attribute {place}: known are {}",
        sealmark_http::sanitise(name),
        known.join(", ")
    )
}

pub(crate) fn key_attributes(label: Option<&str>, id: Option<&[u8]>) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(label) = label.filter(|label| !label.is_empty()) {
        parts.push(format!("object={}", utf8_percent_encode(label, PRINTED)));
    }
    if let Some(id) = id.filter(|id| !id.is_empty()) {
        let bytes: String = id.iter().map(|byte| format!("%{byte:02x}")).collect();
        parts.push(format!("id={bytes}"));
    }
    parts
}

/// As RFC 7512 has it, without the PIN.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path: Vec<String> = Vec::new();
        for (name, value) in &self.place {
            path.push(format!("{name}={}", utf8_percent_encode(value, PRINTED)));
        }
        if let Some(slot) = self.slot {
            path.push(format!("slot-id={slot}"));
        }
        path.extend(key_attributes(self.label.as_deref(), self.id.as_deref()));
        write!(f, "pkcs11:{}", path.join(";"))?;
        let mut query = Vec::new();
        let shown = |text: &str| utf8_percent_encode(text, PRINTED_QUERY).to_string();
        if let Some(path) = &self.module_path {
            query.push(format!("module-path={}", shown(&path.to_string_lossy())));
        }
        if let Some(name) = &self.module_name {
            query.push(format!("module-name={}", shown(name)));
        }
        if let Some(Pin::File(path)) = &self.pin {
            query.push(format!(
                "pin-source=file:{}",
                shown(&path.to_string_lossy())
            ));
        }
        if !query.is_empty() {
            write!(f, "?{}", query.join("&"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_uri_is_taken_for() {
        let table = [
            ("", "pkcs11:"),
            (
                "token=story;object=release",
                "pkcs11:token=story;object=release",
            ),
            // The order is the standard's, whatever it was.
            (
                "object=my%20key;serial=01;token=My%20Token;type=private",
                "pkcs11:token=My%20Token;serial=01;object=my%20key",
            ),
            ("slot-id=3;id=%01%ab%FF", "pkcs11:slot-id=3;id=%01%ab%ff"),
            // An id is bytes: what is not encoded stands for itself.
            ("id=A%42", "pkcs11:id=%41%42"),
            (
                "token=a?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-value=hunter2",
                "pkcs11:token=a?module-path=/usr/lib/softhsm/libsofthsm2.so",
            ),
            (
                "object=a?pin-source=file:///run/pin&module-name=softhsm2",
                "pkcs11:object=a?module-name=softhsm2&pin-source=file:/run/pin",
            ),
            (
                "object=a?pin-source=file:/run/pin",
                "pkcs11:object=a?pin-source=file:/run/pin",
            ),
            (
                "object=a?pin-source=/run/pin",
                "pkcs11:object=a?pin-source=file:/run/pin",
            ),
            ("object=a?x-vendor=b", "pkcs11:object=a"),
            (
                "manufacturer=piv_II;type=cert",
                "pkcs11:manufacturer=piv_II",
            ),
            ("object=%c3%a9", "pkcs11:object=%C3%A9"),
        ];
        for (uri, expected) in table {
            let parsed = Reference::parse(uri).unwrap_or_else(|error| panic!("{uri}: {error}"));
            assert_eq!(parsed.to_string(), expected, "{uri}");
            let again = expected.strip_prefix("pkcs11:").unwrap();
            let again = Reference::parse(again).unwrap();
            assert_eq!(again.to_string(), expected, "{uri}");
        }
        let with_pin = Reference::parse("token=a?pin-value=1%202").unwrap();
        assert!(matches!(with_pin.pin(), Some(Pin::Value(pin)) if pin.as_str() == "1 2"));
    }

    #[test]
    fn what_is_said_of_uris_that_cannot_be_right() {
        let table = [
            (
                "//token=a",
                "a PKCS#11 URI has no slashes: pkcs11:token=NAME;object=NAME",
            ),
            (
                "story",
                "each attribute is NAME=VALUE: pkcs11:token=NAME;object=NAME",
            ),
            ("token=a;token=b", "token is given twice"),
            (
                "label=a",
                "label is no attribute before the question mark: known are token, manufacturer, model, serial, slot-description, slot-manufacturer, library-description, library-manufacturer, library-version, object, id, slot-id, type",
            ),
            (
                "token=a;pin-value=hunter2",
                "pin-value comes after a question mark: …?pin-value=…",
            ),
            (
                "token=a&module-path=/x&pin-value=hunter2",
                "module-path comes after a question mark: …?module-path=…",
            ),
            (
                "token=a?module-path=/x;pin-value=hunter2",
                "after the question mark, attributes are parted by &: …&pin-value=…",
            ),
            (
                "token=a?object=b",
                "object comes before the question mark, parted from others by ;",
            ),
            (
                "token=a?pin=hunter2",
                "pin is no attribute after the question mark: known are module-path, module-name, pin-value, pin-source",
            ),
            (
                "token=a?pin-value=hunter2&pin-source=/f",
                "it has pin-value and pin-source: give one of them",
            ),
            ("slot-id=one", "slot-id is not a number"),
            (
                "id=%0",
                "id has a % without two hex digits: write %25 for a percent sign",
            ),
            (
                "id=%é",
                "id has a % without two hex digits: write %25 for a percent sign",
            ),
            ("object=%ff", "object is not UTF-8"),
            (
                "type=data;object=a",
                "type=data is not a key to sign or verify with: give type=private, or leave it out",
            ),
            (
                "object=a?pin-source=%7c/bin/ask",
                "pin-source names a program, which is not supported: give a file",
            ),
            (
                "object=a?pin-source=pin.txt",
                "pin-source is not an absolute path: pin-source=file:/PATH",
            ),
            (
                "object=a?module-name=/usr/lib/x.so",
                "module-name is not a path: give module-path",
            ),
        ];
        for (uri, expected) in table {
            match Reference::parse(uri) {
                Ok(parsed) => panic!("{uri} was taken for {parsed}"),
                Err(reason) => assert_eq!(reason, expected, "{uri}"),
            }
        }
    }
}
