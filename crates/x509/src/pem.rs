//! PEM (RFC 7468) with certificates in it, read as tolerantly as other tools do: text around the blocks, CRLF, blank
//! lines, lines of any length, and blocks of other kinds, which are passed over.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Error, MAX_CHAIN, MAX_PEM};

/// `CERTIFICATE`, and two older labels that openssl writes or reads for the same thing.
const LABELS: [&str; 2] = ["CERTIFICATE", "X509 CERTIFICATE"];

/// Characters in a line.
const LINE: usize = 64;

/// A block, in lines of 64 characters, ending in a newline.
pub(crate) fn encode(label: &'static str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines = base64.len().div_ceil(LINE);
    let mut text = String::with_capacity(base64.len() + lines + 2 * label.len() + 32);
    for part in ["-----BEGIN ", label, "-----\n"] {
        text.push_str(part);
    }
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII: every byte is a character.
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    for part in ["-----END ", label, "-----\n"] {
        text.push_str(part);
    }
    text
}

/// The content of every block with a certificate, in the order of the text; at least one.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    if text.len() > MAX_PEM {
        return Err(Error::PemTooLarge(text.len()));
    }
    let mut found = Vec::new();
    let mut other = None;
    let mut lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    while let Some(line) = lines.next() {
        let Some(label) = boundary(line, "-----BEGIN ") else {
            continue;
        };
        if !LABELS.contains(&label) {
            other.get_or_insert_with(|| label.chars().take(64).collect::<String>());
            continue;
        }
        if found.len() == MAX_CHAIN {
            return Err(Error::TooMany);
        }
        let damaged = |reason| Error::Pem {
            number: found.len() + 1,
            reason,
        };
        let mut base64 = Vec::new();
        loop {
            let line = lines
                .next()
                .ok_or_else(|| damaged("it has no -----END CERTIFICATE----- line"))?;
            if boundary(line, "-----END ").is_some() {
                break;
            }
            base64.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
        }
        found.push(
            STANDARD
                .decode(base64)
                .map_err(|_| damaged("it is not base64"))?,
        );
    }
    match (found.is_empty(), other) {
        (false, _) => Ok(found),
        (true, Some(label)) => Err(Error::NoCertificate(format!(
            "the PEM block is a {label:?}"
        ))),
        (true, None) => Err(Error::NoCertificate(
            "there is no -----BEGIN CERTIFICATE----- line".to_owned(),
        )),
    }
}

/// The content of the one block with one of these labels.
pub(crate) fn labelled(text: &[u8], labels: &[&str]) -> Result<Vec<u8>, Error> {
    if text.len() > MAX_PEM {
        return Err(Error::PemTooLarge(text.len()));
    }
    let mut lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let begins = |line: &[u8]| boundary(line, "-----BEGIN ").is_some_and(|it| labels.contains(&it));
    let damaged = |reason: &str| Error::Request(format!("the PEM block {reason}"));
    if !lines.by_ref().any(begins) {
        return Err(damaged("is missing"));
    }
    let mut base64 = Vec::new();
    for line in lines {
        if boundary(line, "-----END ").is_some() {
            return STANDARD
                .decode(base64)
                .map_err(|_| damaged("is not base64"));
        }
        base64.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
    }
    Err(damaged("has no end"))
}

fn boundary<'a>(line: &'a [u8], start: &str) -> Option<&'a str> {
    core::str::from_utf8(line)
        .ok()?
        .strip_prefix(start)?
        .strip_suffix("-----")
}
