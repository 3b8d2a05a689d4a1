//! Content, as much of it as a reader asked for.
//!
//! Invariant: nothing is allocated for a length that a file claims before as many bytes were read.

use std::io::{Read, SeekFrom};

use crate::file::Content;

/// Bytes of a file that one tool writes for one package. The longest known descriptions have a tenth of it.
pub(super) const MAX_DESCRIPTION: u64 = 4 << 20;

/// Bytes of a lock file. Those of the largest known repositories, with tens of thousands of packages, have half of it.
pub(super) const MAX_LOCK: u64 = 32 << 20;

/// Characters of a name or a version: more is no name, and would be copied into every output.
const MAX_NAME: usize = 512;

/// The whole content.
pub(super) fn whole(content: &mut dyn Content, max: u64) -> Result<Vec<u8>, String> {
    let bytes = range(content, 0, max + 1)?;
    match bytes.len() as u64 > max {
        true => Err(format!("not supported: more than {max} bytes")),
        false => Ok(bytes),
    }
}

/// The whole content, as text; what is no UTF-8 in it is replaced, and a byte order mark left out.
pub(super) fn text(content: &mut dyn Content, max: u64) -> Result<String, String> {
    let bytes = whole(content, max)?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// The bytes from `offset` on, as many as there are, `max` at most.
pub(super) fn range(content: &mut dyn Content, offset: u64, max: u64) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| sealmark_formats::excerpt(error.to_string());
    content.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let mut bytes = Vec::new();
    <&mut dyn Content as Read>::take(content, max)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

/// Exactly `length` bytes from `offset` on.
pub(super) fn exactly(
    content: &mut dyn Content,
    offset: u64,
    length: u64,
) -> Result<Vec<u8>, String> {
    let bytes = range(content, offset, length)?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(format!(
            "it ends before byte {}",
            offset.saturating_add(length)
        )),
    }
}

/// A JSON document.
pub(super) fn json<T: serde::de::DeserializeOwned>(
    content: &mut dyn Content,
    max: u64,
) -> Result<T, String> {
    serde_json::from_str(&text(content, max)?).map_err(|error| wrong("JSON", &error))
}

/// A TOML document.
pub(super) fn toml<T: serde::de::DeserializeOwned>(
    content: &mut dyn Content,
    max: u64,
) -> Result<T, String> {
    toml::from_str(&text(content, max)?).map_err(|error| wrong("TOML", error.message()))
}

/// A line about a document that could not be read.
pub(super) fn wrong(format: &str, error: impl ToString) -> String {
    let line = error.to_string().replace(char::is_control, " ");
    format!(
        "not the {format} expected: {}",
        sealmark_formats::excerpt(line)
    )
}

/// A name or a version without the white space around it; none if it is empty, or is none.
pub(super) fn name(text: &str) -> Option<&str> {
    let text = text.trim();
    let plain = text.chars().count() <= MAX_NAME && !text.contains(char::is_control);
    (plain && !text.is_empty()).then_some(text)
}

/// Those that are names, in order.
pub(super) fn names<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Vec<String> {
    let texts = texts.into_iter();
    texts
        .filter_map(|text| name(text.as_ref()).map(str::to_owned))
        .collect()
}

/// A stranger's name, for people.
pub(super) fn shown(name: &str) -> String {
    let start: String = name.chars().take(100).collect();
    format!("{start:?}")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn no_more_is_read_than_asked_for() {
        let mut content = Cursor::new(b"\xef\xbb\xbf1234");
        assert_eq!(text(&mut content, 7).as_deref(), Ok("1234"));
        assert_eq!(
            whole(&mut content, 6),
            Err("not supported: more than 6 bytes".to_owned())
        );
        assert_eq!(exactly(&mut content, 5, 2), Ok(b"34".to_vec()));
        assert_eq!(
            exactly(&mut content, 5, u64::MAX),
            Err(format!("it ends before byte {}", u64::MAX))
        );
    }

    #[test]
    fn names_are_short_and_of_one_line() {
        assert_eq!(name(" a "), Some("a"));
        let long = "a".repeat(MAX_NAME + 1);
        for none in ["", " ", "a\nb", "a\0", &long] {
            assert_eq!(name(none), None);
        }
    }
}
