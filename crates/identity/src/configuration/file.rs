//! The file of a configuration, as it stands there: every name and value with its line.
//!
//! Invariant: nothing is decided here but what the file says. A member that nobody knows, or that is there twice, is
//! kept as such, so that all that is wrong with a file can be told at once.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::Spanned;
use serde_saphyr::options::DuplicateKeyPolicy;

/// A value, and its line, counted from 1; 0 if it is not known.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) line: u64,
}

impl<T> From<Spanned<T>> for At<T> {
    fn from(spanned: Spanned<T>) -> Self {
        Self {
            line: spanned.referenced.line(),
            value: spanned.value,
        }
    }
}

/// What a member's value is.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Flag,
    Texts,
    Pairs,
    /// Nobody reads it.
    Any,
}

/// Name in YAML, name in JSON, and what it is.
type Row = (&'static str, &'static str, Kind);

const ISSUER: &[Row] = &[
    ("issuer-url", "IssuerURL", Kind::Text),
    ("client-id", "ClientID", Kind::Text),
    ("type", "Type", Kind::Text),
    ("ci-provider", "CIProvider", Kind::Text),
    ("issuer-claim", "IssuerClaim", Kind::Text),
    ("subject-domain", "SubjectDomain", Kind::Text),
    ("spiffe-trust-domain", "SPIFFETrustDomain", Kind::Text),
    ("challenge-claim", "ChallengeClaim", Kind::Text),
    ("ca-cert", "CACert", Kind::Text),
    (
        "skip-email-verification",
        "SkipEmailVerification",
        Kind::Flag,
    ),
    ("allow", "allow", Kind::Texts),
    ("single-use-tokens", "single-use-tokens", Kind::Flag),
    ("description", "Description", Kind::Any),
    ("contact", "Contact", Kind::Any),
    ("environment", "Environment", Kind::Any),
];
const PROVIDER: &[Row] = &[
    (
        "default-template-values",
        "DefaultTemplateValues",
        Kind::Pairs,
    ),
    ("extension-templates", "ExtensionTemplates", Kind::Pairs),
    (
        "subject-alternative-name-template",
        "SubjectAlternativeNameTemplate",
        Kind::Text,
    ),
];
/// `define` is where Fulcio's own file keeps its anchors.
const TOP: [(&str, &str); 4] = [
    ("oidc-issuers", "OIDCIssuers"),
    ("meta-issuers", "MetaIssuers"),
    ("ci-issuer-metadata", "CIIssuerMetadata"),
    ("define", "define"),
];

/// Names that are wrong, and what would be right.
#[derive(Debug)]
pub(super) struct Stranger {
    pub(super) name: At<String>,
    pub(super) known: Vec<&'static str>,
    /// Whether it is known, and was there before.
    pub(super) is_second: bool,
}

/// What an issuer or a provider has.
#[derive(Debug, Default)]
pub(super) struct Members {
    texts: BTreeMap<&'static str, At<String>>,
    flags: BTreeMap<&'static str, At<bool>>,
    lists: BTreeMap<&'static str, Vec<At<String>>>,
    pairs: BTreeMap<&'static str, Named<At<String>>>,
    pub(super) strangers: Vec<Stranger>,
}

impl Members {
    /// A text; empty if it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        let found = self.texts.get(name);
        found.map_or("", |text| text.value.as_str())
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.flags.get(name).is_some_and(|flag| flag.value)
    }

    pub(super) fn texts(&self, name: &str) -> &[At<String>] {
        self.lists.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn pairs(&self, name: &str) -> &[(At<String>, At<String>)] {
        self.pairs.get(name).map_or(&[], Vec::as_slice)
    }

    /// The line of a member, if it is there.
    pub(super) fn line(&self, name: &str) -> Option<u64> {
        let text = self.texts.get(name).map(|text| text.line);
        text.or_else(|| self.flags.get(name).map(|flag| flag.line))
    }
}

#[derive(Debug, Default)]
pub(super) struct IssuerMembers(pub(super) Members);

#[derive(Debug, Default)]
pub(super) struct ProviderMembers(pub(super) Members);

type Named<T> = Vec<(At<String>, T)>;

/// The whole file.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) issuers: Named<IssuerMembers>,
    pub(super) meta_issuers: Named<IssuerMembers>,
    pub(super) providers: Named<ProviderMembers>,
    pub(super) strangers: Vec<Stranger>,
}

/// Reads a file; what is wrong with it, and its line, if it cannot be.
pub(super) fn read(text: &str) -> Result<File, At<String>> {
    let text = text.trim_start_matches('\u{feff}');
    if !text.trim_start().starts_with('{') {
        return yaml(text);
    }
    // JSON is YAML, but its own parser says better what is wrong with it.
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| At {
        line: error.line() as u64,
        value: error.to_string(),
    })?;
    // Only that tabs are no indentation in YAML.
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            let inside = line.trim_start();
            format!("{}{inside}", " ".repeat(line.len() - inside.len()))
        })
        .collect();
    yaml(&lines.join("\n")).or_else(|trouble| {
        // And that some escapes are JSON's alone. Without them, the lines are not those of the file.
        match yaml(&json.to_string()) {
            Ok(file) => Ok(file),
            Err(_) => Err(trouble),
        }
    })
}

fn yaml(text: &str) -> Result<File, At<String>> {
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::PassThrough };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| At {
        line: error.location().map_or(0, |location| location.line()),
        value: first_line(&error.without_snippet().to_string()),
    })
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FileVisitor)
    }
}

struct FileVisitor;

impl<'de> Visitor<'de> for FileVisitor {
    type Value = File;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping with oidc-issuers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<File, A::Error> {
        let mut file = File::default();
        let mut seen = Vec::new();
        while let Some(name) = map.next_key::<Spanned<String>>()? {
            let name = At::from(name);
            let known = TOP
                .iter()
                .find(|(yaml, json)| [yaml, json].contains(&&name.value.as_str()));
            let again = known.is_some_and(|(known, _)| seen.contains(known));
            match known.filter(|_| !again) {
                Some(("oidc-issuers", _)) => file.issuers = map.next_value::<Entries<_>>()?.0,
                Some(("meta-issuers", _)) => file.meta_issuers = map.next_value::<Entries<_>>()?.0,
                Some(("ci-issuer-metadata", _)) => {
                    file.providers = map.next_value::<Entries<_>>()?.0;
                }
                Some(_) => {
                    map.next_value::<IgnoredAny>()?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                    file.strangers.push(Stranger {
                        name,
                        known: TOP.iter().map(|(yaml, _)| *yaml).collect(),
                        is_second: again,
                    });
                }
            }
            seen.extend(known.map(|(known, _)| *known));
        }
        Ok(file)
    }

    fn visit_unit<E>(self) -> Result<File, E> {
        Ok(File::default())
    }
}

/// A mapping of names to things, in the order of the file, with names that are there twice.
struct Entries<T>(Named<T>);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for EntriesVisitor<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<Spanned<String>>()? {
                    let value: Option<T> = map.next_value()?;
                    entries.push((At::from(name), value.unwrap_or_default()));
                }
                Ok(Entries(entries))
            }

            fn visit_none<E>(self) -> Result<Entries<T>, E> {
                Ok(Entries(Vec::new()))
            }

            fn visit_unit<E>(self) -> Result<Entries<T>, E> {
                Ok(Entries(Vec::new()))
            }

            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Entries<T>, D::Error> {
                inner.deserialize_map(self)
            }
        }

        deserializer.deserialize_option(EntriesVisitor(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for IssuerMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = deserializer.deserialize_map(MembersVisitor(ISSUER));
        members.map(Self)
    }
}

impl<'de> Deserialize<'de> for ProviderMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = deserializer.deserialize_map(MembersVisitor(PROVIDER));
        members.map(Self)
    }
}

struct MembersVisitor(&'static [Row]);

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|(name, ..)| *name).collect();
        write!(f, "a mapping with {}", names.join(", "))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Members::default();
        let mut seen = Vec::new();
        while let Some(name) = map.next_key::<Spanned<String>>()? {
            let name = At::from(name);
            let known = self
                .0
                .iter()
                .find(|(yaml, json, _)| [yaml, json].contains(&&name.value.as_str()));
            let again = known.is_some_and(|(known, ..)| seen.contains(known));
            let Some((known, _, kind)) = known.filter(|_| !again) else {
                map.next_value::<IgnoredAny>()?;
                members.strangers.push(Stranger {
                    name,
                    known: self.0.iter().map(|(yaml, ..)| *yaml).collect(),
                    is_second: again,
                });
                continue;
            };
            seen.push(*known);
            match kind {
                Kind::Text => {
                    members.texts.insert(known, text(map.next_value()?));
                }
                Kind::Flag => {
                    let flag: Spanned<bool> = map.next_value()?;
                    members.flags.insert(known, flag.into());
                }
                Kind::Texts => {
                    let texts: Option<Vec<Spanned<String>>> = map.next_value()?;
                    let texts = texts.unwrap_or_default().into_iter().map(At::from);
                    members.lists.insert(known, texts.collect());
                }
                Kind::Pairs => {
                    let pairs: Entries<PairValue> = map.next_value()?;
                    let pairs = pairs.0.into_iter().map(|(name, value)| (name, value.0));
                    members.pairs.insert(known, pairs.collect());
                }
                Kind::Any => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(members)
    }
}

struct PairValue(At<String>);

impl Default for PairValue {
    fn default() -> Self {
        let value = String::new();
        Self(At { value, line: 0 })
    }
}

impl<'de> Deserialize<'de> for PairValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value: Spanned<String> = Spanned::deserialize(deserializer)?;
        Ok(Self(value.into()))
    }
}

/// Nothing is an empty text, as for Go's reader.
fn text(value: Spanned<Option<String>>) -> At<String> {
    At {
        line: value.referenced.line(),
        value: value.value.unwrap_or_default(),
    }
}
