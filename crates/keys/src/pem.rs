//! PEM (RFC 7468), read as tolerantly as other tools do and written as strictly as they all accept.
//!
//! Text before the block, CRLF, blank lines and lines of any length are accepted. The first block counts;
//! `EC PARAMETERS`, which openssl writes before an EC key, is passed over.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::{Error, MAX_KEY_FILE};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
/// RFC 7468, section 2: "generators MUST wrap the base64-encoded lines so that each line consists of exactly 64
/// characters except for the final line".
const LINE: usize = 64;
/// No label in use is longer; a longer one is noise that should not be printed.
const MAX_LABEL: usize = 64;

/// One PEM block.
pub(crate) struct Block {
    pub(crate) label: String,
    /// Zeroized, as it may be a private key.
    pub(crate) content: Zeroizing<Vec<u8>>,
}

/// The first block of a key file.
pub(crate) fn decode(file: &[u8]) -> Result<Block, Error> {
    if file.len() > MAX_KEY_FILE {
        return Err(Error::TooLarge);
    }
    if file.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::Empty);
    }
    let mut lines = file.split(|&b| b == b'\n');
    loop {
        let label = loop {
            let line = lines.next().ok_or_else(|| Error::NotPem(guess(file)))?;
            if let Some(label) = label_of(line, BEGIN) {
                break label;
            }
        };
        let block = body(&label, &mut lines)?;
        if label != "EC PARAMETERS" {
            return Ok(Block {
                label,
                content: block,
            });
        }
    }
}

/// The label if the line is an encapsulation boundary.
fn label_of(line: &[u8], kind: &str) -> Option<String> {
    let line = core::str::from_utf8(line).ok()?.trim();
    let label = line.strip_prefix(kind)?.strip_suffix(DASHES)?;
    let legal = label.len() <= MAX_LABEL
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"  -.#/+".contains(&b));
    legal.then(|| label.to_owned())
}

fn body<'a>(
    label: &str,
    lines: &mut impl Iterator<Item = &'a [u8]>,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut base64 = Zeroizing::new(Vec::with_capacity(MAX_KEY_FILE));
    for line in lines {
        if let Some(end) = label_of(line, END) {
            if end != label {
                return Err(Error::NotPem(format!(
                    "-----BEGIN {label}----- ends with {end}"
                )));
            }
            return STANDARD
                .decode(base64.as_slice())
                .map(Zeroizing::new)
                .map_err(|_| Error::NotPem(format!("the {label} block is not base64")));
        }
        // RFC 1421 headers, in OpenSSL's old files only; ':' is not in the base64 alphabet.
        if line.contains(&b':') {
            if line.starts_with(b"Proc-Type:") && line.windows(9).any(|w| w == b"ENCRYPTED") {
                return Err(Error::UnsupportedEncryption(
                    "OpenSSL's old PEM encryption".into(),
                ));
            }
            if base64.is_empty() {
                continue;
            }
        }
        base64.extend(line.iter().filter(|b| !b.is_ascii_whitespace()));
    }
    Err(Error::NotPem(format!(
        "the file is cut off: there is no -----END {label}----- line"
    )))
}

/// What a file without any block seems to be.
fn guess(file: &[u8]) -> String {
    let text = file.trim_ascii_start();
    if file.starts_with(&[0x30, 0x82]) || file.starts_with(&[0x30, 0x81]) || file[0] == 0x30 {
        "it looks like DER; convert it: openssl pkey -inform DER -in KEY -out KEY.pem \
         (with -pubin for a public key)"
            .into()
    } else if text.starts_with(b"{") {
        "it looks like JSON, perhaps a JWK; convert it to PEM".into()
    } else if text.starts_with(b"ssh-") || text.starts_with(b"ecdsa-sha2-") {
        "it looks like an SSH public key; convert it: ssh-keygen -e -m PKCS8 -f KEY.pub".into()
    } else {
        "there is no -----BEGIN …----- line".into()
    }
}

/// A block with this label, ending in a newline.
pub(crate) fn encode(label: &str, content: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(STANDARD.encode(content));
    let mut pem = Zeroizing::new(String::with_capacity(base64.len() * 66 / LINE + 256));
    pem.push_str(&format!("{BEGIN}{label}{DASHES}\n"));
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = next;
    }
    pem.push_str(&format!("{END}{label}{DASHES}\n"));
    pem
}

/// What is [expected](wrong_kind) of a private key file.
pub(crate) const PRIVATE: &str = "a private key";

/// The error for a block of another kind than is needed, saying what to do with what was found.
pub(crate) fn wrong_kind(expected: &'static str, found: &str) -> Error {
    let private = found.ends_with("PRIVATE KEY");
    let wants_private = expected == PRIVATE;
    let advice = match found {
        "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" if wants_private => {
            "give the private key that belongs to it"
        }
        "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" => {
            "take its key out: openssl x509 -in CERT -noout -pubkey"
        }
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
            "take the key out: openssl req -in REQUEST -noout -pubkey"
        }
        "OPENSSH PRIVATE KEY" => "convert it: ssh-keygen -p -m PKCS8 -f KEY",
        "SSH2 PUBLIC KEY" => {
            "convert it: ssh-keygen -i -f KEY | ssh-keygen -e -m PKCS8 -f /dev/stdin"
        }
        "PGP PUBLIC KEY BLOCK" | "PGP PRIVATE KEY BLOCK" | "PGP MESSAGE" | "PGP SIGNATURE" => {
            "OpenPGP keys are not supported"
        }
        "DSA PRIVATE KEY" => "DSA keys are not supported",
        "PUBLIC KEY" | "RSA PUBLIC KEY" => "give the private key that belongs to it",
        _ if private => "take the public key out: sealmark public-key --key KEY",
        _ => "is it the right file?",
    };
    let article = if found.starts_with(['E', 'O', 'A', 'I', 'R', 'X', 'S']) {
        "an"
    } else {
        "a"
    };
    Error::WrongKind {
        expected,
        found: format!("{article} {found}"),
        advice: advice.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(file: &str) -> String {
        match decode(file.as_bytes()) {
            Ok(block) => panic!("accepted as {}", block.label),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn reads_what_tools_and_editors_make_of_pem() {
        let files = [
            "-----BEGIN PUBLIC KEY-----\nAQID\n-----END PUBLIC KEY-----\n",
            "-----BEGIN PUBLIC KEY-----\r\nAQ\r\nID\r\n-----END PUBLIC KEY-----",
            "my key: \n\n-----BEGIN PUBLIC KEY-----  \n\nAQ ID\n-----END PUBLIC KEY-----\ntrailing",
            "-----BEGIN EC PARAMETERS-----\nAAAA\n-----END EC PARAMETERS-----\n\
             -----BEGIN PUBLIC KEY-----\nComment: x\n\nAQID\n-----END PUBLIC KEY-----",
        ];
        for file in files {
            let block = decode(file.as_bytes()).unwrap();
            assert_eq!(
                (block.label.as_str(), block.content.as_slice()),
                ("PUBLIC KEY", &[1, 2, 3][..])
            );
        }
    }

    #[test]
    fn writes_64_columns() {
        let pem = encode("X", &[7; 100]);
        let lengths: Vec<usize> = pem.lines().map(str::len).collect();
        assert_eq!(lengths, [17, 64, 64, 8, 15]);
        assert_eq!(*decode(pem.as_bytes()).unwrap().content, vec![7; 100]);
    }

    #[test]
    fn says_why_a_file_is_not_pem() {
        assert_eq!(error(""), "the key file is empty");
        assert_eq!(error(" \n"), "the key file is empty");
        assert_eq!(
            error("hello"),
            "the key file is not PEM: there is no -----BEGIN …----- line"
        );
        assert_eq!(
            error("-----BEGIN PUBLIC KEY-----\nAQID\n"),
            "the key file is not PEM: the file is cut off: there is no -----END PUBLIC KEY----- line"
        );
        assert_eq!(
            error("-----BEGIN PUBLIC KEY-----\nA!\n-----END PUBLIC KEY-----"),
            "the key file is not PEM: the PUBLIC KEY block is not base64"
        );
        assert_eq!(
            error("-----BEGIN A-----\nAQID\n-----END B-----"),
            "the key file is not PEM: -----BEGIN A----- ends with B"
        );
        assert!(error("0\u{1}\u{2}").contains("looks like DER"));
        assert!(error("{\"kty\":\"EC\"}").contains("JWK"));
        assert!(error("ssh-ed25519 AAAA").contains("ssh-keygen"));
        assert_eq!(
            error(&" ".repeat(MAX_KEY_FILE + 1)),
            "the key file is larger than 64 KiB, which no key is; is it the right file?"
        );
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES\n\nAQID\n\
                   -----END RSA PRIVATE KEY-----";
        assert!(error(old).contains("OpenSSL's old PEM encryption, which is not supported"));
    }
}
