//! Manifests of JAR files, and the signature files beside them: which digests they have for what.
//! <https://docs.oracle.com/en/java/javase/21/docs/specs/jar/jar.html>
//!
//! They are cut and read as relic does it, which Rekor uses.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::{HashAlgorithm, Hasher};

use crate::zip::shown;

/// More sections than this are refused: each takes memory, many times of what it takes in an archive. With a name and a
/// digest in each, no more fit into a manifest of the size that is read.
const MAX_SECTIONS: usize = 16 << 10;
/// More attributes than this in one section are refused; there are some twenty at most.
const MAX_ATTRIBUTES: usize = 256;

/// Attributes, their names in lower case. The last of one name counts.
pub(crate) struct Attributes(Vec<(String, Vec<u8>)>);

impl Attributes {
    /// The value of an attribute, if there is one that is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        let found = self.0.iter().find(|(own, _)| own == name);
        let value = found.map(|(_, value)| value.as_slice());
        value.filter(|value| !value.is_empty())
    }

    fn set(&mut self, name: String, value: &[u8]) -> Result<(), String> {
        match self.0.iter().position(|(own, _)| *own == name) {
            Some(at) => self.0[at].1 = value.to_vec(),
            None if self.0.len() == MAX_ATTRIBUTES => {
                return Err(format!(
                    "a section has more than {MAX_ATTRIBUTES} attributes"
                ));
            }
            None => self.0.push((name, value.to_vec())),
        }
        Ok(())
    }
}

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
            let name = attributes.get("name");
            let name = name
                .ok_or("manifest has section with no \"Name\" attribute")?
                .to_vec();
            if sections.len() == MAX_SECTIONS {
                return Err(format!("it has more than {MAX_SECTIONS} sections"));
            }
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
    let mut attributes = Attributes(Vec::new());
    for line in section.split(|byte| *byte == b'\n') {
        if line.is_empty() {
            continue;
        }
        let colon = find(line, b":").ok_or("jar manifest is malformed")?;
        let name = String::from_utf8_lossy(&line[..colon]);
        let value = line[colon + 1..].trim_ascii();
        attributes.set(name.trim().to_ascii_lowercase(), value)?;
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
        for (name, value) in &attributes.0 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_continued_and_the_last_of_one_name_counts() {
        let text = b"Manifest-Version: 1.0\r\nA: 1\r\na:  2 \r\n\r\nName: a very\r\n  long na\r\n me\r\nX: y\r\n\r\n";
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!(manifest.main.get("a"), Some(&b"2"[..]));
        assert_eq!(manifest.main_bytes.len(), 39);
        let (attributes, bytes) = &manifest.sections[&b"a very long name"[..]];
        assert_eq!(attributes.get("x"), Some(&b"y"[..]));
        assert!(bytes.starts_with(b"Name: a very\r\n"));
        for (text, reason) in [
            (&b""[..], "it is empty"),
            (b"A: 1\n", "trailing bytes after last newline"),
            (b"A\n\n", "jar manifest is malformed"),
            (b"A: 1\n\nB: 2\n\n", "no \"Name\" attribute"),
            (b"A: 1\n\nName: x\n\nName: x\n\n", "has \"x\" twice"),
        ] {
            let error = Manifest::parse(text).err().unwrap_or_default();
            assert!(error.contains(reason), "{error}");
        }
    }

    /// In a time that grows with its length, whatever ends its lines.
    #[test]
    fn a_manifest_of_many_sections_is_bounded() {
        let section = |number: usize| format!("Name: {number}\n\n");
        let most: String = (0..=MAX_SECTIONS).map(section).collect();
        assert_eq!(
            Manifest::parse(most.as_bytes()).unwrap().sections.len(),
            MAX_SECTIONS
        );
        let more = most + &section(MAX_SECTIONS + 1);
        let error = Manifest::parse(more.as_bytes()).err().unwrap_or_default();
        assert_eq!(error, "it has more than 16384 sections");
        let many: String = (0..400).map(|number| format!("A{number}: 1\n")).collect();
        assert!(Manifest::parse((many + "\n").as_bytes()).is_err());
    }

    #[test]
    fn weak_digests_are_not_enough() {
        let attributes = |names: &[&str]| {
            let mut attributes = Attributes(Vec::new());
            for name in names {
                attributes
                    .set(
                        (*name).to_owned(),
                        b"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
                    )
                    .unwrap();
            }
            attributes
        };
        let find = |names: &[&str]| {
            let attributes = attributes(names);
            Digests::find(&attributes, "").map(|it| it.map(|it| it.check(b"abc")))
        };
        assert_eq!(find(&["name"]), Ok(None));
        assert_eq!(find(&["sha-256-digest"]), Ok(Some(Ok(()))));
        assert_eq!(find(&["sha256-digest", "sha1-digest"]), Ok(Some(Ok(()))));
        assert!(find(&["sha1-digest"]).is_err());
        assert!(find(&["md5-digest", "name"]).is_err());
        assert!(find(&["crc-digest", "sha-256-digest"]).is_err());
        assert!(matches!(
            find(&["sha-256-digest", "sha-512-digest"]),
            Ok(Some(Err(_)))
        ));
    }
}
