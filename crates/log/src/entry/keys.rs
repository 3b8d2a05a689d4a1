//! An entry's keys as bytes. Most end in a digest in hex, and often two in the same one, so digits are packed, and what
//! is as in the first key is not repeated: for an entry of half a kilobyte that is a fifth of its size.
//!
//! Count (4), then for each key: length of its head (2), head, length of its tail (1), tail. A tail is two lower-case hex
//! digits a byte; the length 255 stands for the tail of the first key.

use super::MAX_KEYS;
use crate::codec::{Put, Take};

/// Bytes of a tail at most.
const MAX_TAIL: usize = 254;
const AS_FIRST: u8 = 255;

/// Head and tail of a key.
fn split(key: &str) -> (&str, &str) {
    let digits = key.bytes().rev();
    let digits = digits.take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let count = digits.take(2 * MAX_TAIL).count() / 2 * 2;
    key.split_at(key.len() - count)
}

/// Keys have at most [`super::MAX_KEY`] bytes each.
pub(super) fn encode(keys: &[String], out: &mut Vec<u8>) {
    out.put_u32(keys.len() as u32);
    let first = keys.first().map_or("", |key| split(key).1);
    for (at, key) in keys.iter().enumerate() {
        let (head, tail) = split(key);
        out.extend_from_slice(&(head.len() as u16).to_be_bytes());
        out.extend_from_slice(head.as_bytes());
        if at > 0 && !first.is_empty() && tail == first {
            out.put_u8(AS_FIRST);
            continue;
        }
        out.put_u8((tail.len() / 2) as u8);
        let pairs = tail.as_bytes().chunks_exact(2);
        out.extend(pairs.map(|pair| value(pair[0]) << 4 | value(pair[1])));
    }
}

fn value(digit: u8) -> u8 {
    match digit {
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit & 15,
    }
}

pub(super) fn decode(from: &mut Take<'_>) -> Option<Vec<String>> {
    let count = from.u32()? as usize;
    let mut keys = Vec::new();
    let mut first: &[u8] = &[];
    for at in 0..count.min(MAX_KEYS + 1) {
        let (head, tail) = take(from)?;
        if at == 0 {
            first = tail?;
        }
        let tail = tail.unwrap_or(first);
        let mut key = String::with_capacity(head.len() + 2 * tail.len());
        key.push_str(std::str::from_utf8(head).ok()?);
        for byte in tail {
            key.extend(
                [byte >> 4, byte & 15]
                    .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])),
            );
        }
        keys.push(key);
    }
    Some(keys)
}

/// Passes over keys.
pub(super) fn skip(from: &mut Take<'_>) -> Option<()> {
    for _ in 0..from.u32()? {
        take(from)?;
    }
    Some(())
}

/// Head and tail; without a tail, it is that of the first key.
fn take<'a>(from: &mut Take<'a>) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let length = from.array().map(u16::from_be_bytes)?;
    let head = from.slice(usize::from(length))?;
    let tail = match from.u8()? {
        AS_FIRST => None,
        length => Some(from.slice(usize::from(length))?),
    };
    Some((head, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(keys: &[&str]) -> usize {
        let keys: Vec<String> = keys.iter().copied().map(str::to_owned).collect();
        let mut out = Vec::new();
        encode(&keys, &mut out);
        let mut from = Take(&out);
        assert_eq!(decode(&mut from).unwrap(), keys);
        assert!(from.0.is_empty());
        let mut from = Take(&out);
        skip(&mut from).unwrap();
        assert!(from.0.is_empty());
        out.len()
    }

    #[test]
    fn digests_are_packed_and_not_repeated() {
        let (one, two) = ("0123456789abcdef".repeat(4), "fe".repeat(32));
        let (one_named, two_named) = (format!("sha256:{one}"), format!("sha256:{two}"));
        let keys = [one.as_str(), &one_named, &two_named];
        assert_eq!(
            bytes(&keys),
            4 + (2 + 1 + 32) + (2 + 7 + 1) + (2 + 7 + 1 + 32)
        );
        assert_eq!(bytes(&[&one_named]), 4 + 2 + 7 + 1 + 32);
    }

    #[test]
    fn every_text_comes_back() {
        let long = "a".repeat(1024);
        for key in [
            "",
            "a",
            "ab",
            "abc",
            "0",
            "AB",
            "é1f",
            "ÿ",
            "jane@example.org",
            "\u{1F511}00",
            &long,
        ] {
            bytes(&[key]);
            bytes(&[key, key, "sha256:ab", key]);
        }
        bytes(&[]);
        bytes(&["", "ab", ""]);
    }

    #[test]
    fn a_first_key_with_the_tail_of_the_first_is_none() {
        assert_eq!(decode(&mut Take(&[0, 0, 0, 1, 0, 0, 255])), None);
    }
}
