//! The configuration of a CA: which issuers of identity tokens it believes, and how.
//!
//! Fulcio's own file is read as it is, YAML or JSON; each member has a name in either.
//! <https://github.com/sigstore/fulcio/blob/main/docs/oidc.md>. What Fulcio lacks are the members `allow` and
//! `single-use-tokens` of an issuer.
//!
//! Invariant: a configuration with a fault is none; all faults of a file are found at once, each with its line.

mod file;
mod finding;
mod issuers;
mod suspicious;

use std::collections::BTreeMap;

use self::file::At;
use self::finding::Findings;
pub use self::finding::{ConfigurationError, Finding};
use crate::issuer::{Issuer, IssuerType};

/// The longest file, in bytes.
const MAX_FILE: usize = 1 << 20;
/// Issuers in it.
const MAX_ISSUERS: usize = 1000;

/// The issuers that a CA believes.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    issuers: Vec<Issuer>,
}

/// What came of a look at a file.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The configuration, if there is no fault.
    pub configuration: Option<Configuration>,
    /// Faults, and what is allowed and seldom meant so, in the order of the file.
    pub findings: Vec<Finding>,
    /// The lines of the issuers, by their URLs.
    pub lines: BTreeMap<String, u64>,
}

/// What one configuration has and another has not.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Issuers that are new.
    pub added: Vec<Issuer>,
    /// Issuers that are gone.
    pub removed: Vec<Issuer>,
    /// Issuers that are there as before, and of which something is said otherwise; as they were.
    pub changed: Vec<Issuer>,
}

impl Changes {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

impl std::fmt::Display for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut said = Vec::new();
        for (what, issuers) in [
            ("added", &self.added),
            ("removed", &self.removed),
            ("changed", &self.changed),
        ] {
            if !issuers.is_empty() {
                let urls: Vec<_> = issuers.iter().map(|issuer| issuer.url.as_str()).collect();
                said.push(format!("{what} {}", urls.join(", ")));
            }
        }
        match said.is_empty() {
            true => f.write_str("no issuer is another"),
            false => f.write_str(&said.join("; ")),
        }
    }
}

impl Configuration {
    /// Reads a configuration.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, ConfigurationError> {
        let checked = Self::check(text);
        checked.configuration.ok_or_else(|| ConfigurationError {
            faults: checked
                .findings
                .into_iter()
                .filter(|finding| finding.is_fault)
                .collect(),
        })
    }

    /// Reads a configuration, and tells all that is wrong or odd about it.
    ///
    /// ```
    /// use sealmark_identity::Configuration;
    /// let checked = Configuration::check("oidc-issuers:\n  https://a.example:\n    typ: email\n");
    /// let lines: Vec<_> = checked.findings.iter().map(|finding| finding.line).collect();
    /// assert_eq!(lines, [Some(2), Some(2), Some(3)]); // no client-id, no type, and "typ"
    /// assert!(checked.configuration.is_none());
    /// ```
    pub fn check(text: &str) -> Checked {
        let mut findings = Findings::default();
        let mut lines = BTreeMap::new();
        let issuers = check(text, &mut findings, &mut lines);
        Checked {
            configuration: (!findings.has_faults()).then_some(Self { issuers }),
            findings: findings.into_sorted(),
            lines,
        }
    }

    /// These issuers.
    pub fn of(issuers: Vec<Issuer>) -> Self {
        Self { issuers }
    }

    /// All issuers.
    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    /// What is other than it was `before`.
    pub fn changes_from(&self, before: &Self) -> Changes {
        let mut changes = Changes::default();
        let named = |all: &Self, url: &str| {
            let mut issuers = all.issuers.iter();
            issuers.find(|issuer| issuer.url == url).cloned()
        };
        for issuer in &self.issuers {
            match named(before, &issuer.url) {
                None => changes.added.push(issuer.clone()),
                // Rules have no equality but that of what they are written as.
                Some(old) if format!("{old:?}") != format!("{issuer:?}") => {
                    changes.changed.push(old);
                }
                Some(_) => {}
            }
        }
        for old in &before.issuers {
            if named(self, &old.url).is_none() {
                changes.removed.push(old.clone());
            }
        }
        changes
    }

    /// The issuer that a token names.
    pub fn find(&self, url: &str) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| issuer.is(url))
    }
}

fn check(text: &str, findings: &mut Findings, lines: &mut BTreeMap<String, u64>) -> Vec<Issuer> {
    let malformed =
        |reason: String| format!("not a configuration of a certificate authority: {reason}");
    if text.len() > MAX_FILE {
        let length = text.len();
        let reason = format!("it has {length} bytes, at most {MAX_FILE} are read");
        findings.fault(0, malformed(reason));
        return Vec::new();
    }
    let file = match file::read(text) {
        Ok(file) => file,
        Err(At { line, value }) => {
            findings.fault(line, malformed(value));
            return Vec::new();
        }
    };
    let count = file.issuers.len() + file.meta_issuers.len();
    if count > MAX_ISSUERS {
        let reason = format!("it has {count} issuers, at most {MAX_ISSUERS} are read");
        findings.fault(0, malformed(reason));
        return Vec::new();
    }
    for stranger in &file.strangers {
        let name = &stranger.name.value;
        let message = match stranger.is_second {
            true => format!("{name} is there twice: put all under one"),
            false => format!(
                "unknown field {name:?}; there are {}",
                stranger.known.join(", ")
            ),
        };
        findings.fault(stranger.name.line, message);
    }
    let mut providers = BTreeMap::new();
    for (name, members) in &file.providers {
        let provider = issuers::provider(name, &members.0, findings);
        if providers.insert(name.value.clone(), provider).is_some() {
            let message = format!("the CI provider {} is there twice: keep one", name.value);
            findings.fault(name.line, message);
        }
    }
    // Exact ones first: they are more than what a wildcard says.
    let mut read: Vec<(&At<String>, Issuer)> = Vec::with_capacity(count);
    let exact = file.issuers.iter().map(|entry| (entry, false));
    let wild = file.meta_issuers.iter().map(|entry| (entry, true));
    for ((key, members), meta) in exact.chain(wild) {
        if let Some(line) = lines.insert(key.value.clone(), key.line) {
            let message = format!(
                "the issuer {} is there already, in line {line}: keep one",
                key.value
            );
            findings.fault(key.line, message);
        }
        if let Some(issuer) = issuers::issuer(key, &members.0, &providers, meta, findings) {
            suspicious::issuer(key, &members.0, &issuer, findings);
            read.push((key, issuer));
        }
    }
    let known: Vec<_> = read.iter().map(|(key, issuer)| (*key, issuer)).collect();
    let made: Vec<_> = file
        .providers
        .iter()
        .filter_map(|(name, members)| {
            let provider = providers.get(&name.value)?.as_ref()?;
            Some((name, &members.0, provider))
        })
        .collect();
    suspicious::all(&known, &made, findings);
    if count == 0 {
        findings.warn(
            0,
            "it has no issuers, so nobody gets a certificate; they are under oidc-issuers",
        );
    }
    read.into_iter().map(|(_, issuer)| issuer).collect()
}

impl Issuer {
    /// An issuer of people with e-mail addresses, without anything special.
    pub fn email(url: &str, client_id: &str) -> Self {
        Self {
            url: url.to_owned(),
            client_id: client_id.to_owned(),
            kind: IssuerType::Email,
            issuer_claim: None,
            challenge_claim: None,
            skip_email_verification: false,
            ca_cert: None,
            allow: Vec::new(),
            single_use: false,
        }
    }
}
