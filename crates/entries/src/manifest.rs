//! Manifests of JAR files, and the signature files beside them: which digests they have for what.
//! <https://docs.oracle.com/en/java/javase/21/docs/specs/jar/jar.html>
//!
//! They are cut and read as relic does it, which Rekor uses.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::{HashAlgorithm, Hasher};

use crate::zip::shown;

/// Attributes, their names in lower case. The last of one name counts.
pub(crate) type Attributes = BTreeMap<String, Vec<u8>>;

/// A manifest, or a signature file.
pub(crate) struct Manifest<'a> {
    /// The main section.
    pub(crate) main: Attributes,
    /// The bytes of the main section.
    pub(crate) main_bytes: &'a [u8],
    /// The other sections, by their names, and the bytes of each.
    pub(crate) sections: BTreeMap<Vec<u8>, (Attributes, &'a [u8])>,
}

impl<'a> Manifest<'a> {
    pub(crate) fn parse(mut bytes: &'a [u8]) -> Result<Self, String> {
        let (mut main, mut sections) = (None, BTreeMap::new());
        // Looked for until it is not there any more: a manifest without it can have very many sections.
        let mut crlf = true;
        while !bytes.is_empty() {
            let at = match crlf {
                true => find(bytes, b"\r\n\r\n"),
                false => None,
            };
            crlf = at.is_some();
            let end = match at {
                Some(at) => at + 4,
                None => find(bytes, b"\n\n").ok_or("trailing bytes after last newline")? + 2,
            };
            let (section, rest) = bytes.split_at(end);
            bytes = rest;
            let attributes = attributes(section)?;
            if main.is_none() {
                main = Some((attributes, section));
                continue;
            }
            let name = attributes.get("name").filter(|name| !name.is_empty());
            let name = name
                .ok_or("manifest has section with no \"Name\" attribute")?
                .clone();
            if sections.contains_key(&name) {
                return Err(format!("the manifest has {} twice", shown(&name)));
            }
            sections.insert(name, (attributes, section));
        }
        let (main, main_bytes) = main.ok_or("it is empty")?;
        Ok(Self {
            main,
            main_bytes,
            sections,
        })
    }
}

fn attributes(section: &[u8]) -> Result<Attributes, String> {
    let section = replace(&replace(section, b"\r\n", b"\n"), b"\n ", b"");
    let mut attributes = Attributes::new();
    for line in section.split(|byte| *byte == b'\n') {
        if line.is_empty() {
            continue;
        }
        let colon = find(line, b":").ok_or("jar manifest is malformed")?;
        let name = String::from_utf8_lossy(&line[..colon]);
        let value = line[colon + 1..].trim_ascii();
        attributes.insert(name.trim().to_ascii_lowercase(), value.to_vec());
    }
    Ok(attributes)
}

/// Digests that something must have: all of them.
pub(crate) struct Digests<'a>(Vec<(HashAlgorithm, &'a [u8], Hasher)>);

impl<'a> Digests<'a> {
    /// The digests among the attributes, `NAME-Digest` and `suffix`; `None` if there are none.
    ///
    /// Those that are too weak are left out, as Java leaves them out; if there are no others, that is an error.
    pub(crate) fn find(attributes: &'a Attributes, suffix: &str) -> Result<Option<Self>, String> {
        let suffix = format!("-digest{suffix}");
        let (mut digests, mut weak) = (Vec::new(), None);
        for (name, value) in attributes {
            let Some(algorithm) = name.strip_suffix(&suffix) else {
                continue;
            };
            let hash = match algorithm.replacen('-', "", 1).as_str() {
                "sha256" => HashAlgorithm::Sha256,
                "sha384" => HashAlgorithm::Sha384,
                "sha512" => HashAlgorithm::Sha512,
                "md5" | "sha1" | "sha224" => {
                    weak = Some(algorithm);
                    continue;
                }
                _ => {
                    let algorithm = shown(algorithm.as_bytes());
                    return Err(format!("unknown digest key in manifest: {algorithm}"));
                }
            };
            digests.push((hash, value.as_slice(), Hasher::new(hash)));
        }
        match (digests.is_empty(), weak) {
            (false, _) => Ok(Some(Self(digests))),
            (true, None) => Ok(None),
            (true, Some(weak)) => Err(format!(
                "not supported: {} digests, which are too weak; sign with SHA-256",
                weak.to_uppercase()
            )),
        }
    }

    pub(crate) fn update(&mut self, piece: &[u8]) {
        for (_, _, hasher) in &mut self.0 {
            hasher.update(piece);
        }
    }

    /// An error if one of them is another.
    pub(crate) fn finish(self) -> Result<(), String> {
        for (hash, expected, hasher) in self.0 {
            let calculated = STANDARD.encode(hasher.finish().bytes());
            if calculated.as_bytes() != expected {
                let expected = shown(expected);
                return Err(format!(
                    "{hash} mismatch: manifest {expected} != calculated {calculated:?}"
                ));
            }
        }
        Ok(())
    }

    /// [`update`](Self::update) with all of `bytes`, and [`finish`](Self::finish).
    pub(crate) fn check(mut self, bytes: &[u8]) -> Result<(), String> {
        self.update(bytes);
        self.finish()
    }
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|at| at == needle)
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    while let Some(at) = find(rest, from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}
