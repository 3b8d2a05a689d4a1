//! The cleartext signature framework (RFC 4880, section 7), read as Go's `openpgp/clearsign` does.
//!
//! Invariant: [`Cleartext::text`] has the lines that [`Cleartext::signed`] has, so nobody reads what was not signed.

use super::armor::{self, Block};
use super::malformed;
use crate::Error;

const START: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
const END: &[u8] = b"\n-----END PGP SIGNATURE-----";

/// A message with its signature.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cleartext {
    /// The lines, each with LF: without dashes before dashes, and without blanks at the end.
    pub text: Vec<u8>,
    /// What is signed: the lines with CR LF between them.
    pub signed: Vec<u8>,
    /// The signature's packets.
    pub signature: Vec<u8>,
}

impl Cleartext {
    /// Reads the first message in a file; what is before and after it is nobody's.
    ///
    /// # Errors
    /// [`Error::Malformed`]
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        const WHAT: &str = "OpenPGP cleartext message";
        let wrong = |reason: &str| malformed(WHAT, reason);
        let start = match file.starts_with(START) {
            true => START.len(),
            false => {
                let at = find(file, &[b"\n", START].concat());
                at.ok_or_else(|| wrong("there is no -----BEGIN PGP SIGNED MESSAGE----- line"))?
                    + 1
                    + START.len()
            }
        };
        let (suffix, mut rest) = line_of(&file[start..]);
        if !suffix.is_empty() {
            return Err(wrong("there is more on the line that begins it"));
        }
        loop {
            if rest.is_empty() {
                return Err(wrong("it ends in the headers"));
            }
            let line;
            (line, rest) = line_of(rest);
            if line.is_empty() {
                break;
            }
            let key = line.split(|byte| *byte == b':').next().unwrap_or_default();
            if !line.iter().all(|byte| (0x20..0x7f).contains(byte))
                || !line.contains(&b':')
                || key.trim_ascii() != b"Hash"
            {
                return Err(wrong("it has a header that is not Hash"));
            }
        }
        let (mut text, mut signed) = (Vec::new(), Vec::new());
        let mut is_first = true;
        loop {
            let (line, after) = line_of(rest);
            if line.is_empty() && after.is_empty() {
                return Err(wrong("it has no signature"));
            }
            if line == SIGNATURE {
                break;
            }
            rest = after;
            if !is_first {
                signed.extend_from_slice(b"\r\n");
            }
            is_first = false;
            let line = line.strip_prefix(b"- ").unwrap_or(line);
            let blanks = line.iter().rev().take_while(|byte| b" \t".contains(byte));
            let line = &line[..line.len() - blanks.count()];
            signed.extend_from_slice(line);
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        let end = find(rest, END).ok_or_else(|| wrong("the signature does not end"))? + END.len();
        let block = Block::find(&rest[..end]).ok_or_else(|| wrong("it has no signature"))?;
        if block.kind != armor::SIGNATURE.as_bytes() {
            return Err(wrong("it has no signature"));
        }
        Ok(Self {
            text,
            signed,
            signature: block.bytes()?,
        })
    }
}

/// A line without its end, and what follows.
fn line_of(text: &[u8]) -> (&[u8], &[u8]) {
    armor::take_line(text).unwrap_or((&[], &[]))
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: &str =
        "-----BEGIN PGP SIGNATURE-----\n\nAQID\n=x6AP\n-----END PGP SIGNATURE-----\n";

    fn message(headers: &str, lines: &str) -> Vec<u8> {
        let signed = SIGNED.replace("\n=x6AP", "");
        format!("-----BEGIN PGP SIGNED MESSAGE-----\n{headers}\n{lines}{signed}").into_bytes()
    }

    #[test]
    fn dashes_blanks_and_line_ends_are_as_signed() {
        for (lines, text, signed) in [
            ("a\n", "a\n", "a"),
            ("a  \t\nb\n", "a\nb\n", "a\r\nb"),
            ("- -dash\n- \n- - x\n", "-dash\n\n- x\n", "-dash\r\n\r\n- x"),
            ("a\r\n\r\nb\r\n", "a\n\nb\n", "a\r\n\r\nb"),
            ("", "", ""),
        ] {
            let read = Cleartext::parse(&message("Hash: SHA256\n", lines)).unwrap();
            assert_eq!(read.text, text.as_bytes(), "{lines:?}");
            assert_eq!(read.signed, signed.as_bytes(), "{lines:?}");
            assert_eq!(read.signature, [1, 2, 3]);
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let good = String::from_utf8(message("", "a\n")).unwrap();
        for bad in [
            String::new(),
            good.replace("MESSAGE-----\n", "MESSAGE-----x\n"),
            good.replace("MESSAGE-----\n", "MESSAGE-----\nComment: x\n"),
            good.replace("MESSAGE-----\n", "MESSAGE-----\nHash\n"),
            good.replace("MESSAGE-----\n", "MESSAGE-----\nHash: \u{e9}\n"),
            good.replace("BEGIN PGP SIGNATURE", "BEGIN PGP SOMETHING"),
            good.replace("END PGP SIGNATURE", "END PGP SOMETHING"),
            good.replace("AQID", "AQ"),
            format!("x {good}"),
            "-----BEGIN PGP SIGNED MESSAGE-----\n".to_owned(),
        ] {
            assert!(Cleartext::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Cleartext::parse(format!("x\n{good}\nx").as_bytes()).is_ok());
    }
}
