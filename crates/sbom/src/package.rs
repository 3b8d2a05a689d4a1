//! A package: what it is called, where it was found, and how the world names it.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sealmark_formats::Digest;

/// What installs a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Ecosystem {
    /// Debian and what is made from it.
    Deb,
    /// Alpine and what is made from it.
    Apk,
    /// Red Hat, SUSE and others.
    Rpm,
    /// Python.
    Python,
    /// JavaScript.
    Npm,
    /// Modules of Go.
    Go,
    /// Crates of Rust.
    Cargo,
    /// Java, as Maven names it.
    Maven,
    /// Ruby.
    Gem,
    /// PHP.
    Composer,
}

/// Where something is told of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// The path from the root of the image, with a leading slash.
    pub path: String,
    /// The layer, by the digest that its descriptor has; none for a directory.
    pub layer: Option<Digest>,
}

/// A package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Who installs it.
    pub ecosystem: Ecosystem,
    /// The name, as its ecosystem writes it.
    pub name: String,
    /// The version; some packages have none.
    pub version: Option<String>,
    /// The package URL.
    pub purl: Purl,
    /// Licences as the package states them: SPDX expressions where it has such, else its own words.
    pub licences: Vec<String>,
    /// Who made it, as it says itself.
    pub supplier: Option<String>,
    /// Names of packages in the same ecosystem that it says it needs.
    pub depends_on: Vec<String>,
    /// Files that belong to it, from the root of the image with a leading slash.
    pub files: Vec<String>,
    /// Where it is told of. A reader leaves this empty; who called it knows.
    pub locations: Vec<Location>,
}

impl Package {
    /// A package of which nothing is known but its name and version.
    #[must_use]
    pub fn new(ecosystem: Ecosystem, name: &str, version: Option<&str>, purl: Purl) -> Self {
        Self {
            ecosystem,
            name: name.to_owned(),
            version: version.map(str::to_owned),
            purl,
            licences: Vec::new(),
            supplier: None,
            depends_on: Vec::new(),
            files: Vec::new(),
            locations: Vec::new(),
        }
    }
}

/// A package URL: `pkg:TYPE/NAMESPACE/NAME@VERSION?KEY=VALUE#SUBPATH`.
///
/// <https://github.com/package-url/purl-spec/blob/main/PURL-SPECIFICATION.rst>
///
/// ```
/// use sealmark_sbom::Purl;
/// let purl = Purl::new("npm", Some("@types"), "node", Some("20.1.0")).with("vcs_url", "a b");
/// assert_eq!(purl.to_string(), "pkg:npm/%40types/node@20.1.0?vcs_url=a%20b");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Purl {
    kind: &'static str,
    namespace: Option<String>,
    name: String,
    version: Option<String>,
    qualifiers: Vec<(&'static str, String)>,
    subpath: Option<String>,
}

/// What a part of a package URL has without percent signs.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'.')
    .remove(b'-')
    .remove(b'_')
    .remove(b'~')
    .remove(b':');

impl Purl {
    /// A package URL without qualifiers. A namespace of several parts has them with slashes between.
    #[must_use]
    pub fn new(
        kind: &'static str,
        namespace: Option<&str>,
        name: &str,
        version: Option<&str>,
    ) -> Self {
        Self {
            kind,
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            version: version.map(str::to_owned),
            qualifiers: Vec::new(),
            subpath: None,
        }
    }

    /// What comes first: `deb`, `npm`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// With a path inside of what the rest of it names, slashes between its parts.
    #[must_use]
    pub fn below(mut self, subpath: &str) -> Self {
        self.subpath = (!subpath.is_empty()).then(|| subpath.to_owned());
        self
    }

    /// With a qualifier. An empty value is none; they stand in the order of their keys.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: &str) -> Self {
        if !value.is_empty() {
            self.qualifiers.push((key, value.to_owned()));
            self.qualifiers.sort();
        }
        self
    }
}

impl fmt::Display for Purl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pkg:{}/", self.kind)?;
        let parts = self
            .namespace
            .iter()
            .flat_map(|namespace| namespace.split('/'));
        for part in parts.filter(|part| !part.is_empty()) {
            write!(f, "{}/", utf8_percent_encode(part, PLAIN))?;
        }
        write!(f, "{}", utf8_percent_encode(&self.name, PLAIN))?;
        if let Some(version) = &self.version {
            write!(f, "@{}", utf8_percent_encode(version, PLAIN))?;
        }
        for (number, (key, value)) in self.qualifiers.iter().enumerate() {
            let mark = if number == 0 { '?' } else { '&' };
            write!(f, "{mark}{key}={}", utf8_percent_encode(value, PLAIN))?;
        }
        let below = self.subpath.iter().flat_map(|path| path.split('/'));
        for (number, part) in below.filter(|part| !part.is_empty()).enumerate() {
            let mark = if number == 0 { '#' } else { '/' };
            write!(f, "{mark}{}", utf8_percent_encode(part, PLAIN))?;
        }
        Ok(())
    }
}
