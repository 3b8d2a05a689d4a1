//! PEM (RFC 7468) with certificates in it, read as tolerantly as other tools do: text around the blocks, CRLF, blank
//! lines, lines of any length, and blocks of other kinds, which are passed over.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Error, MAX_CHAIN, MAX_PEM};

/// `CERTIFICATE`, and two older labels that openssl writes or reads for the same thing.
const LABELS: [&str; 2] = ["CERTIFICATE", "X509 CERTIFICATE"];

/// A block, in lines of 64 characters, ending in a newline. The label is ASCII.
pub(crate) fn encode(label: &'static str, der: &[u8]) -> String {
    // It fails for labels that are not ASCII, and when the length of the text overflows.
    der::pem::encode_string(label, der::pem::LineEnding::LF, der)
        .expect("the label is ASCII, and certificates and signatures are far from filling memory")
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
