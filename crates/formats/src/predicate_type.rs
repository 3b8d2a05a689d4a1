//! Predicate types: the URIs that say what a predicate means, and the short names by which people call them.

use core::fmt;

use crate::promotion::PROMOTION_V1;

/// What people write for predicate types, what is meant, and whether tools put a version behind the URI.
///
/// The names of cosign stand first; the others are what its users try.
const NAMES: &[(&str, &[PredicateName])] = &[
    ("custom", &[exact(CUSTOM), exact(CUSTOM_V1)]),
    (
        "slsaprovenance",
        &[exact("https://slsa.dev/provenance/v0.2")],
    ),
    (
        "slsaprovenance02",
        &[exact("https://slsa.dev/provenance/v0.2")],
    ),
    (
        "slsaprovenance1",
        &[exact("https://slsa.dev/provenance/v1")],
    ),
    ("link", &[exact("https://in-toto.io/Link/v1")]),
    ("spdx", &[SPDX]),
    ("spdxjson", &[SPDX]),
    ("cyclonedx", &[CYCLONEDX]),
    (
        "vuln",
        &[exact("https://cosign.sigstore.dev/attestation/vuln/v1")],
    ),
    ("openvex", &[OPENVEX]),
    ("slsa", &[any_version("https://slsa.dev/provenance")]),
    ("provenance", &[any_version("https://slsa.dev/provenance")]),
    ("spdx-json", &[SPDX]),
    ("cyclonedx-json", &[CYCLONEDX]),
    ("sbom", &[SPDX, CYCLONEDX]),
    ("vex", &[OPENVEX]),
    ("promotion", &[exact(PROMOTION_V1)]),
];

/// What `custom` means.
pub const CUSTOM: &str = "https://cosign.sigstore.dev/attestation/v1";
/// What `custom` meant in cosign 1: no URI, and in use.
pub const CUSTOM_V1: &str = "cosign.sigstore.dev/attestation/v1";

const SPDX: PredicateName = any_version("https://spdx.dev/Document");
const CYCLONEDX: PredicateName = any_version("https://cyclonedx.org/bom");
const OPENVEX: PredicateName = any_version("https://openvex.dev/ns");

struct PredicateName {
    uri: &'static str,
    any_version: bool,
}

const fn exact(uri: &'static str) -> PredicateName {
    PredicateName {
        uri,
        any_version: false,
    }
}

const fn any_version(uri: &'static str) -> PredicateName {
    PredicateName {
        uri,
        any_version: true,
    }
}

/// A predicate type that counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PredicateType {
    /// Exactly this URI.
    Exact(String),
    /// This URI, or this URI with a version after it: `https://spdx.dev/Document` and
    /// `https://spdx.dev/Document/v2.3`. Tools differ in which of them they write.
    AnyVersion(String),
}

impl PredicateType {
    /// The types that a name stands for, or the URI as it is.
    ///
    /// ```
    /// use sealmark_formats::predicate_type::PredicateType;
    /// let spdx = &PredicateType::named("spdxjson").unwrap()[0];
    /// assert!(spdx.matches("https://spdx.dev/Document/v2.3"));
    /// let own = &PredicateType::named("https://example.com/review/v1").unwrap()[0];
    /// assert!(own.matches("https://example.com/review/v1"));
    /// assert_eq!(
    ///     PredicateType::named("slsaprovnance").unwrap_err().to_string(),
    ///     "\"slsaprovnance\" is no predicate type: did you mean slsaprovenance? Known are custom, slsaprovenance, \
    ///      slsaprovenance02, slsaprovenance1, link, spdx, spdxjson, cyclonedx, vuln, openvex, slsa, provenance, \
    ///      spdx-json, cyclonedx-json, sbom, vex, promotion, and every URI",
    /// );
    /// ```
    ///
    /// # Errors
    /// If it is neither: the names that are known, and the nearest of them.
    pub fn named(text: &str) -> Result<Vec<Self>, UnknownPredicateType> {
        let lower = text.to_ascii_lowercase();
        if let Some((_, types)) = NAMES.iter().find(|(name, _)| *name == lower) {
            return Ok(types
                .iter()
                .map(|name| match name.any_version {
                    true => Self::AnyVersion(name.uri.to_owned()),
                    false => Self::Exact(name.uri.to_owned()),
                })
                .collect());
        }
        let scheme = text.split_once(':').is_some_and(|(scheme, rest)| {
            scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
                && !rest.is_empty()
        });
        match scheme || text == CUSTOM_V1 {
            true => Ok(vec![Self::Exact(text.to_owned())]),
            false => Err(UnknownPredicateType(text.to_owned())),
        }
    }

    /// Whether the type of an attestation is this one.
    ///
    /// ```
    /// use sealmark_formats::predicate_type::PredicateType;
    /// let spdx = PredicateType::AnyVersion("https://spdx.dev/Document".to_owned());
    /// assert!(spdx.matches("https://spdx.dev/Document"));
    /// assert!(spdx.matches("https://spdx.dev/Document/v2.3"));
    /// assert!(!spdx.matches("https://spdx.dev/Documents"));
    /// assert!(!spdx.matches("https://spdx.dev/Document/v2/x"));
    /// ```
    pub fn matches(&self, uri: &str) -> bool {
        match self {
            Self::Exact(expected) => expected == uri,
            Self::AnyVersion(base) => match uri.strip_prefix(base.as_str()) {
                Some("") => true,
                Some(rest) => rest.strip_prefix("/v").is_some_and(|version| {
                    !version.is_empty()
                        && version
                            .bytes()
                            .all(|byte| byte.is_ascii_digit() || byte == b'.')
                }),
                None => false,
            },
        }
    }
}

impl fmt::Display for PredicateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(uri) | Self::AnyVersion(uri) => f.write_str(uri),
        }
    }
}

/// A text that names no predicate type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownPredicateType(String);

impl core::error::Error for UnknownPredicateType {}

impl fmt::Display for UnknownPredicateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no predicate type: ", self.0)?;
        let nearest = NAMES
            .iter()
            .map(|(name, _)| (distance(&self.0.to_ascii_lowercase(), name), name))
            .min();
        if let Some((distance, name)) = nearest
            && distance <= 3
        {
            write!(f, "did you mean {name}? ")?;
        }
        let known: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
        write!(f, "Known are {}, and every URI", known.join(", "))
    }
}

/// Letters to insert, delete or change (Levenshtein); long texts are far from everything.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 64;
    if a.len() > LONGEST {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = core::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
