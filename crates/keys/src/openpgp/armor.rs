//! ASCII armor (RFC 4880, section 6), read as Go's `openpgp/armor` does: text before a block is passed over, a missing
//! checksum is no error, a wrong one is. What is written is always the same for the same bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::malformed;
use crate::Error;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: usize = 5;
/// Longer lines are no base64 of an armor, and none of a longer line begins one, in Go.
const MAX_LINE: usize = 96;
const MAX_FIRST_LINE: usize = 100;
/// Characters of base64 on a written line.
const COLUMNS: usize = 64;

/// What an armor says it holds.
pub(super) const PUBLIC_KEY: &str = "PGP PUBLIC KEY BLOCK";
pub(super) const PRIVATE_KEY: &str = "PGP PRIVATE KEY BLOCK";
pub(super) const SIGNATURE: &str = "PGP SIGNATURE";

/// The first block of a text.
pub(super) struct Block<'a> {
    pub(super) kind: &'a [u8],
    /// From the line after the headers on.
    body: &'a [u8],
}

impl<'a> Block<'a> {
    /// `None` if there is no block.
    pub(super) fn find(text: &'a [u8]) -> Option<Self> {
        let mut rest = text;
        'blocks: loop {
            let kind = loop {
                let line;
                (line, rest) = take_line(rest)?;
                let line = line.trim_ascii();
                if line.len() < MAX_FIRST_LINE
                    && line.len() > BEGIN.len() + DASHES
                    && line.starts_with(BEGIN)
                {
                    break &line[BEGIN.len()..line.len() - DASHES];
                }
            };
            loop {
                let line;
                (line, rest) = take_line(rest)?;
                let line = line.trim_ascii();
                if line.is_empty() {
                    return Some(Self { kind, body: rest });
                }
                if !line.windows(2).any(|pair| pair == b": ") {
                    continue 'blocks;
                }
            }
        }
    }

    /// What is in it.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, Error> {
        let corrupt = |reason: &str| malformed("OpenPGP armor", reason);
        let (mut base64, mut checksum) = (Vec::new(), None);
        let mut rest = self.body;
        while let Some((line, after)) = take_line(rest) {
            rest = after;
            if line.starts_with(END) {
                break;
            }
            if line.len() == 5 && line[0] == b'=' {
                let bytes = STANDARD
                    .decode(&line[1..])
                    .map_err(|_| corrupt("the checksum is not base64"))?;
                checksum = Some(bytes);
                match take_line(rest) {
                    Some((line, _)) if !line.starts_with(END) => {
                        return Err(corrupt("there is more after the checksum"));
                    }
                    _ => break,
                }
            }
            if line.len() > MAX_LINE {
                return Err(corrupt("a line is longer than 96 characters"));
            }
            base64.extend_from_slice(line);
        }
        let bytes = STANDARD
            .decode(&base64)
            .map_err(|_| corrupt("it is not base64"))?;
        match checksum {
            Some(found) if found != crc24(&bytes) => Err(corrupt("the checksum is another")),
            _ => Ok(bytes),
        }
    }
}

/// A line without its end, and what follows it. `None` at the end of the text.
pub(super) fn take_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if text.is_empty() {
        return None;
    }
    let (line, rest) = match text.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => return Some((text, &[])),
    };
    Some((line.strip_suffix(b"\r").unwrap_or(line), rest))
}

/// As Go writes it: without headers, and without a line end after the last line.
pub(super) fn encode(kind: &str, bytes: &[u8]) -> String {
    let mut text = format!("-----BEGIN {kind}-----\n");
    for (index, character) in STANDARD.encode(bytes).chars().enumerate() {
        if index % COLUMNS == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    let checksum = STANDARD.encode(crc24(bytes));
    text + &format!("\n={checksum}\n-----END {kind}-----")
}

/// RFC 4880, section 6.1.
fn crc24(bytes: &[u8]) -> [u8; 3] {
    let mut crc: u32 = 0x00b7_04ce;
    for byte in bytes {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4cfb;
            }
        }
    }
    let [_, rest @ ..] = crc.to_be_bytes();
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 1, 47, 48, 49, 96, 200] {
            let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let text = encode(SIGNATURE, &bytes);
            let block = Block::find(text.as_bytes()).unwrap();
            assert_eq!(block.kind, SIGNATURE.as_bytes());
            assert_eq!(block.bytes().unwrap(), bytes, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_armor_is_said() {
        let good = encode(SIGNATURE, b"some bytes that are signed");
        let cases = [
            (good.replace("=", "-"), "it is not base64"),
            (good.replace("\nc", "\nd"), "the checksum is another"),
            (
                good.replace("-----END", "x\n-----END"),
                "there is more after the checksum",
            ),
            (
                good.replace("\nc", &format!("\n{}c", "A".repeat(96))),
                "a line is longer than 96 characters",
            ),
        ];
        for (text, reason) in cases {
            let error = Block::find(text.as_bytes()).unwrap().bytes().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("not a valid OpenPGP armor: {reason}")
            );
        }
        for text in [
            "",
            "-----BEGIN X-----",
            "-----BEGIN X-----\nno header\n\n",
            "hello",
        ] {
            assert!(Block::find(text.as_bytes()).is_none(), "{text}");
        }
    }
}
