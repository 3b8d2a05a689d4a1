//! Repository names, tags, digests and the paths made of them, as the distribution specification writes them.
//!
//! Invariant: a [`Name`] or [`Tag`] that exists matches the specification's grammar, so it has no empty, `.` or
//! `..` component and may be used in a file path.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>

use std::fmt;

use percent_encoding::percent_decode_str;
use sealmark_formats::{Digest, HashAlgorithm};

/// Bytes of a repository name; the specification recommends it, because clients count the host name in.
pub(super) const MAX_NAME: usize = 255;
/// Bytes of a tag, from the specification's grammar.
pub(super) const MAX_TAG: usize = 128;

/// A repository name: `library/alpine`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Name(String);

impl Name {
    /// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= MAX_NAME && text.split('/').all(is_component);
        fits.then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_component(component: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends_well = component.starts_with(alphanumeric) && component.ends_with(alphanumeric);
    ends_well
        && component
            .split(alphanumeric)
            .all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|byte| byte == b'-'))
}

/// A tag: `v1.2`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Tag(String);

impl Tag {
    /// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
    pub(super) fn parse(text: &str) -> Option<Self> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let fits = text.len() <= MAX_TAG
            && text.bytes().next().is_some_and(word)
            && text
                .bytes()
                .all(|byte| word(byte) || byte == b'.' || byte == b'-');
        fits.then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the tag's file, distinct also where the file system ignores case: the tag in lower case, and, if
    /// that changed it, `=` and a bit mask of the letters to raise, in hex, lowest bit first letter.
    pub(super) fn file_name(&self) -> String {
        let upper = |byte: &u8| byte.is_ascii_uppercase();
        let mask = self
            .0
            .as_bytes()
            .iter()
            .enumerate()
            .filter(|(_, byte)| upper(byte));
        match mask.fold(0u128, |mask, (index, _)| mask | 1 << index) {
            0 => self.0.clone(),
            mask => format!("{}={mask:x}", self.0.to_ascii_lowercase()),
        }
    }

    /// The tag whose file has this name; `None` for other files.
    pub(super) fn from_file_name(name: &str) -> Option<Self> {
        let (lower, mask) = name.split_once('=').unwrap_or((name, "0"));
        let mask = u128::from_str_radix(mask, 16).ok()?;
        let raise = |(index, c): (usize, char)| match index < 128 && mask >> index & 1 == 1 {
            true => c.to_ascii_uppercase(),
            false => c,
        };
        Self::parse(&lower.chars().enumerate().map(raise).collect::<String>())
    }

    /// What the specification sorts tags by: "lexical order (i.e. case-insensitive alphanumeric order)"; tags that
    /// differ only in case follow each other in byte order.
    pub(super) fn sort_key(text: &str) -> (String, &str) {
        (text.to_ascii_lowercase(), text)
    }
}

/// A digest that this registry stores content under: sha256 or sha512, the two that OCI registers.
pub(super) fn parse_digest(text: &str) -> Result<Digest, String> {
    let digest: Digest = text.parse().map_err(|error| format!("{error}"))?;
    match digest.algorithm() {
        HashAlgorithm::Sha256 | HashAlgorithm::Sha512 => Ok(digest),
        other => Err(format!(
            "{text:?} uses {other}; this registry has sha256 and sha512"
        )),
    }
}

/// What a manifest is asked for by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Reference {
    /// By digest.
    Digest(Digest),
    /// By tag.
    Tag(Tag),
}

impl Reference {
    /// A text with a colon is a digest: tags have none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.contains(':') {
            return parse_digest(text).map(Self::Digest);
        }
        Tag::parse(text).map(Self::Tag).ok_or_else(|| {
            format!("{text:?} is not a tag: 1 to {MAX_TAG} of a-z A-Z 0-9 _ . -, not starting with . or -")
        })
    }
}

/// An endpoint of the specification, with the texts of the path; only their separation is decided.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Endpoint {
    /// `/v2/` (end-1)
    Base,
    /// `/v2/_catalog` (not in the specification, but in every registry)
    Catalog,
    /// `/v2/<name>/blobs/<digest>` (end-2, end-10)
    Blob(String, String),
    /// `/v2/<name>/manifests/<reference>` (end-3, end-7, end-9)
    Manifest(String, String),
    /// `/v2/<name>/blobs/uploads/` (end-4, end-11)
    Uploads(String),
    /// `/v2/<name>/blobs/uploads/<session>` (end-5, end-6, end-13)
    Upload(String, String),
    /// `/v2/<name>/tags/list` (end-8)
    Tags(String),
    /// `/v2/<name>/referrers/<digest>` (end-12)
    Referrers(String, String),
}

impl Endpoint {
    /// Reads a path from its end, because names have slashes. The path is percent-decoded once, before it is
    /// split: the grammars of names, tags and digests then see everything that a file system would see.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let path = percent_decode_str(path).decode_utf8().ok()?;
        let path = path.strip_prefix("/v2")?;
        if path.is_empty() || path == "/" {
            return Some(Self::Base);
        }
        let path = path.strip_prefix('/')?;
        if path == "_catalog" {
            return Some(Self::Catalog);
        }
        let (front, last) = path.rsplit_once('/')?;
        let owned = str::to_owned;
        if let Some(name) = front.strip_suffix("/blobs/uploads") {
            return Some(match last {
                "" => Self::Uploads(owned(name)),
                session => Self::Upload(owned(name), owned(session)),
            });
        }
        let (name, kind) = front.rsplit_once('/')?;
        match (kind, last) {
            ("blobs", "uploads") => Some(Self::Uploads(owned(name))),
            ("blobs", digest) => Some(Self::Blob(owned(name), owned(digest))),
            ("manifests", reference) => Some(Self::Manifest(owned(name), owned(reference))),
            ("referrers", digest) => Some(Self::Referrers(owned(name), owned(digest))),
            ("tags", "list") => Some(Self::Tags(owned(name))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_specification() {
        for good in [
            "a",
            "library/alpine",
            "a.b_c__d-e---f/0",
            "x/y/z",
            &"a".repeat(255),
        ] {
            assert!(Name::parse(good).is_some(), "{good}");
        }
        let bad = [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "a/B",
            ".",
            "..",
            "a/../b",
            "../a",
            "a/.",
            "_a",
            "a_",
            "a___b",
            "a..b",
            "a._b",
            "a-.b",
            "-a",
            "a-",
            "a b",
            "a%2fb",
            "a\\b",
            "a\0",
            "ä",
            "_blobs",
            "a/_tags",
            &"a".repeat(256),
        ];
        for bad in bad {
            assert!(Name::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn tags_follow_the_specification_and_survive_as_file_names() {
        for good in [
            "a",
            "latest",
            "V1",
            "_x",
            "1.0-RC.1",
            &"Aa".repeat(64),
            &"Z".repeat(128),
        ] {
            let tag = Tag::parse(good).expect(good);
            assert_eq!(tag.file_name(), tag.file_name().to_lowercase());
            assert!(tag.file_name().len() < 255);
            assert_eq!(Tag::from_file_name(&tag.file_name()), Some(tag));
        }
        for bad in [
            "",
            ".",
            "..",
            ".a",
            "-a",
            "a/b",
            "a:b",
            "a b",
            "ä",
            "a\0",
            &"a".repeat(129),
        ] {
            assert!(Tag::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn paths_are_read_from_the_end() {
        let owned = str::to_owned;
        let table = [
            ("/v2", Some(Endpoint::Base)),
            ("/v2/", Some(Endpoint::Base)),
            ("/v2/_catalog", Some(Endpoint::Catalog)),
            (
                "/v2/a/b/manifests/x",
                Some(Endpoint::Manifest(owned("a/b"), owned("x"))),
            ),
            (
                "/v2/a/manifests/manifests/x",
                Some(Endpoint::Manifest(owned("a/manifests"), owned("x"))),
            ),
            (
                "/v2/a/blobs/sha256%3Aab",
                Some(Endpoint::Blob(owned("a"), owned("sha256:ab"))),
            ),
            ("/v2/a/blobs/uploads", Some(Endpoint::Uploads(owned("a")))),
            ("/v2/a/blobs/uploads/", Some(Endpoint::Uploads(owned("a")))),
            (
                "/v2/a/blobs/uploads/7",
                Some(Endpoint::Upload(owned("a"), owned("7"))),
            ),
            ("/v2/a/tags/list", Some(Endpoint::Tags(owned("a")))),
            (
                "/v2/a/referrers/d",
                Some(Endpoint::Referrers(owned("a"), owned("d"))),
            ),
            (
                "/v2/%2e%2e/manifests/x",
                Some(Endpoint::Manifest(owned(".."), owned("x"))),
            ),
            (
                "/v2/a%2f..%2fb/manifests/x",
                Some(Endpoint::Manifest(owned("a/../b"), owned("x"))),
            ),
            ("/v2/a", None),
            ("/v2/manifests/x", None),
            ("/v2/a/%ff/manifests/x", None),
            ("/v3/", None),
            ("/v2x/a/tags/list", None),
        ];
        for (path, endpoint) in table {
            assert_eq!(Endpoint::parse(path), endpoint, "{path}");
        }
    }
}
