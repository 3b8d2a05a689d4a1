//! The policy file: for which artifact who must have signed what, as people write it (YAML).
//!
//! This module reads and writes text and turns a rule into a [`Policy`]; it opens no file and asks no key service: the
//! caller loads the keys that [`Rule::keys`] names. What the command line's flags ask for is such a file too.
//!
//! ```
//! use sealmark_verify::policy_file::{Artifact, PolicyFile};
//! let file = PolicyFile::parse(r#"
//! version: 1
//! signers:
//!   release:
//!     key: release.pub
//!   ci:
//!     issuer: https://token.actions.githubusercontent.com
//!     subject: https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main
//! rules:
//!   - images: ["registry.example.com/acme/**"]
//!     signature:
//!       signers: [release, ci]
//!       threshold: 2
//!     attestations:
//!       - type: slsaprovenance1
//!         signers: [ci]
//!         predicate:
//!           - path: /runDetails/builder/id
//!             matches: ^https://github.com/acme/
//! "#).unwrap();
//! let rule = file.rule(Artifact::Image("registry.example.com/acme/app")).unwrap();
//! assert_eq!(rule.keys(&file).unwrap(), ["release.pub"]);
//! assert!(file.rule(Artifact::Image("registry.example.com/other")).is_none());
//! ```

mod pattern;
mod programs;
mod provenance;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sealmark_formats::predicate_type::PredicateType;
use sealmark_keys::PublicKey;

pub use self::wire::{
    AttestationWanted, CelFile, CelText, ConditionText, GithubWorkflow, Located, LogWanted, Number,
    OneOrMore, PolicyFile, Program, Rule, SignatureWanted, SignerRef, SignerText, SlsaText,
    WitnessText, Word,
};
use crate::policy::{
    Attestation, Condition, Demand, Identity, Kind, Match, Policy, PredicateCheck, Requirement,
    Signer, Test, Witnesses,
};
use crate::predicate::check_path;

/// A policy file is not larger than this, in bytes.
pub const MAX_POLICY_FILE: usize = 1 << 20;
/// The version of the format that this program reads and writes.
pub const VERSION: u32 = 1;

/// What a rule may be for.
#[derive(Clone, Copy, Debug)]
pub enum Artifact<'a> {
    /// An image, by registry and repository: `docker.io/library/alpine`.
    Image(&'a str),
    /// A file, by the path that the user gave.
    File(&'a str),
}

/// A policy file that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct PolicyFileError(String);

/// What the file says is quoted in part.
fn error(text: impl Into<String>) -> PolicyFileError {
    PolicyFileError(sealmark_formats::excerpt(text.into()))
}

impl PolicyFile {
    /// Reads a policy file and checks everything that can be told without the keys.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn parse(yaml: &str) -> Result<Self, PolicyFileError> {
        if yaml.len() > MAX_POLICY_FILE {
            return Err(error(format!(
                "it has {} bytes, at most {MAX_POLICY_FILE} are allowed",
                yaml.len()
            )));
        }
        let file: Self = serde_saphyr::from_str(yaml).map_err(|cause| error(cause.to_string()))?;
        if file.version != VERSION {
            return Err(error(format!(
                "version is {}, and this program reads version {VERSION}",
                file.version
            )));
        }
        for (name, signer) in &file.signers {
            signer
                .check()
                .map_err(|cause| error(format!("signers.{name}: {cause}")))?;
        }
        file.revokers(&mut |_| None)?;
        file.fresh_revocations()?;
        for (index, rule) in file.rules.iter().enumerate() {
            file.check(rule)
                .map_err(|cause| error(programs::located(yaml, index, &cause.to_string())))?;
        }
        Ok(file)
    }

    /// How old a feed of revocations may be, in seconds, if one is demanded.
    ///
    /// # Errors
    /// If it is no duration.
    pub fn fresh_revocations(&self) -> Result<Option<i64>, PolicyFileError> {
        let text = self.require_fresh_revocations.as_deref();
        let seconds = text.map(|text| duration("requireFreshRevocations", text));
        seconds.transpose().map_err(error)
    }

    /// The file as YAML.
    pub fn to_yaml(&self) -> String {
        serde_saphyr::to_string(self).expect("texts, numbers and lists of them are YAML")
    }

    /// The first rule that is for this artifact.
    pub fn rule(&self, artifact: Artifact<'_>) -> Option<&Rule> {
        let (image, path) = match artifact {
            Artifact::Image(name) => (Some(pattern::canonical(name)), String::new()),
            Artifact::File(path) => (None, pattern::plain_path(path)),
        };
        let path = path.as_str();
        self.rules.iter().find(|rule| match &image {
            Some(name) => rule
                .images
                .iter()
                .any(|p| pattern::fits(&pattern::canonical(p), name)),
            None => rule.files.iter().any(|p| {
                let name = match p.contains('/') {
                    true => path,
                    false => path.rsplit('/').next().unwrap_or(path),
                };
                pattern::fits(p, name)
            }),
        })
    }

    /// Whether anybody but the holders of keys is to be believed: identities, logs, timestamp authorities.
    pub fn needs_trust(&self) -> bool {
        let ignored = |number: &Number| matches!(number, Number::Word(Word::Ignored));
        self.names_identities()
            || self.rules.iter().any(|rule| {
                let log = !matches!(&rule.log, LogWanted::Simple(number) if ignored(number));
                let timestamp = !ignored(&rule.timestamp)
                    && !matches!(rule.timestamp, Number::Word(Word::IfPresent));
                log || timestamp
            })
    }

    fn names_identities(&self) -> bool {
        let signers = self.rules.iter().flat_map(|rule| {
            let signature = rule.signature.iter().flat_map(|wanted| &wanted.signers);
            signature.chain(rule.attestations.iter().flat_map(|wanted| &wanted.signers))
        });
        signers
            .filter_map(|signer| self.signer(signer).ok())
            .any(|signer| signer.key.is_none())
    }

    fn check(&self, rule: &Rule) -> Result<(), PolicyFileError> {
        if rule.images.is_empty() && rule.files.is_empty() {
            return Err(error("it is for nothing: give images or files"));
        }
        if !rule.images.is_empty() && !rule.files.is_empty() {
            return Err(error("it is for images and files: make two rules of it"));
        }
        for text in &rule.images {
            pattern::check_image(text).map_err(error)?;
        }
        if rule.signature.is_none() && rule.attestations.is_empty() {
            return Err(error("it asks for nothing: give signature or attestations"));
        }
        // Everything but the keys: any key will do to see whether the rest is right.
        let mut stand_in = |_: &str| -> Option<PublicKey> { None };
        rule.demands(self, &mut stand_in).map(|_| ())
    }

    /// Who may revoke what others signed. A key that `load` does not have leaves its holder out.
    fn revokers(
        &self,
        load: &mut dyn FnMut(&str) -> Option<PublicKey>,
    ) -> Result<Vec<Signer>, PolicyFileError> {
        match self.revokers.as_slice() {
            [] => Ok(Vec::new()),
            list => {
                signers(self, list, 1, load).map_err(|cause| error(format!("revokers: {cause}")))
            }
        }
    }

    fn signer<'a>(&'a self, signer: &'a SignerRef) -> Result<&'a SignerText, PolicyFileError> {
        match signer {
            SignerRef::Here(signer) => Ok(signer),
            SignerRef::Named(name) => self.signers.get(name).ok_or_else(|| {
                let known: Vec<_> = self.signers.keys().map(String::as_str).collect();
                error(format!(
                    "there is no signer {name:?}; signers has {}",
                    match known.is_empty() {
                        true => "none".to_owned(),
                        false => known.join(", "),
                    }
                ))
            }),
        }
    }
}

/// Whether a pattern, as it stands in `images`, can be the name of a repository.
///
/// # Errors
/// Why not.
pub fn check_repository_pattern(text: &str) -> Result<(), String> {
    pattern::check_image(text)
}

/// Whether the name of a repository fits a pattern, as it stands in `images`.
#[must_use]
pub fn repository_fits(text: &str, repository: &str) -> bool {
    pattern::fits(&pattern::canonical(text), &pattern::canonical(repository))
}

impl Rule {
    /// The keys that the caller has to load: files relative to the policy file, or references of any other kind.
    ///
    /// # Errors
    /// If a signer is named that the file does not have.
    pub fn keys<'a>(&'a self, file: &'a PolicyFile) -> Result<Vec<&'a str>, PolicyFileError> {
        let mut keys = BTreeSet::new();
        let signature = self.signature.iter().flat_map(|wanted| &wanted.signers);
        let attestations = self.attestations.iter().flat_map(|wanted| &wanted.signers);
        for signer in signature.chain(attestations).chain(&file.revokers) {
            keys.extend(file.signer(signer)?.key.as_deref());
        }
        Ok(keys.into_iter().collect())
    }

    /// The programs that the caller has to compile, each with the line that it stands in.
    pub fn programs(&self) -> Vec<(Program, Option<u64>)> {
        let each = self.attestations.iter();
        each.flat_map(AttestationWanted::programs).collect()
    }

    /// The policy of this rule, with the keys that were loaded and the programs that were compiled.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn policy(
        &self,
        file: &PolicyFile,
        keys: &BTreeMap<String, PublicKey>,
        programs: &BTreeMap<Program, Arc<dyn PredicateCheck>>,
    ) -> Result<Policy, PolicyFileError> {
        let mut missing = None;
        let mut load = |name: &str| {
            let key = keys.get(name).cloned();
            if key.is_none() {
                missing = Some(name.to_owned());
            }
            key
        };
        let mut demands = self.demands(file, &mut load)?;
        let revokers = file.revokers(&mut load)?;
        let wanted = demands
            .iter_mut()
            .filter_map(|demand| match &mut demand.kind {
                Kind::Attestation(wanted) => Some(wanted),
                _ => None,
            });
        // There is one demand for each of them, in their order.
        for (wanted, text) in wanted.zip(&self.attestations) {
            for (program, _) in text.programs() {
                let check = programs
                    .get(&program)
                    .ok_or_else(|| error(format!("{program} was not compiled")))?;
                wanted.checks.push(Arc::clone(check));
            }
        }
        match missing {
            Some(name) => Err(error(format!("the key {name} was not loaded"))),
            None => Ok(Policy { demands, revokers }),
        }
    }

    /// A key that `load` does not have leaves its signer out.
    fn demands(
        &self,
        file: &PolicyFile,
        load: &mut dyn FnMut(&str) -> Option<PublicKey>,
    ) -> Result<Vec<Demand>, PolicyFileError> {
        let mut demands = Vec::new();
        if let Some(wanted) = &self.signature {
            let kind = match self.images.is_empty() {
                true => Kind::BlobSignature,
                false => Kind::ImageSignature,
            };
            let at = |cause| error(format!("signature: {cause}"));
            let signers = signers(file, &wanted.signers, wanted.threshold, load).map_err(at)?;
            demands.push(Demand {
                threshold: wanted.threshold,
                annotations: wanted.annotations.clone(),
                ..self.demand(kind, signers)?
            });
        }
        for (index, wanted) in self.attestations.iter().enumerate() {
            let at = |cause| error(format!("attestations[{index}]: {cause}"));
            let signers = signers(file, &wanted.signers, wanted.threshold, load).map_err(at)?;
            let kind = Kind::Attestation(wanted.attestation().map_err(at)?);
            demands.push(Demand {
                threshold: wanted.threshold,
                ..self.demand(kind, signers)?
            });
        }
        Ok(demands)
    }

    fn demand(&self, kind: Kind, signers: Vec<Signer>) -> Result<Demand, PolicyFileError> {
        let (log, witnesses) = match &self.log {
            LogWanted::Simple(number) => (number, None),
            LogWanted::Witnessed(log) => {
                let at = |cause| error(format!("log: {cause}"));
                if let Number::Word(Word::Ignored | Word::IfPresent) = log.at_least {
                    return Err(at(error(
                        "witnesses need a log: atLeast is required or a number",
                    )));
                }
                (&log.at_least, Some(log.witnesses().map_err(at)?))
            }
        };
        Ok(Demand {
            log: log.requirement("log")?,
            witnesses,
            timestamp: self.timestamp.requirement("timestamp")?,
            sct: self.sct.requirement("sct")?,
            ..Demand::new(kind, signers)
        })
    }
}

impl Number {
    fn requirement(&self, field: &str) -> Result<Requirement, PolicyFileError> {
        match self {
            Self::AtLeast(0) => Err(error(format!("{field}: 0 is asked for; write ignored"))),
            Self::AtLeast(count) => Ok(Requirement::AtLeast(*count)),
            Self::Word(Word::Required) => Ok(Requirement::AtLeast(1)),
            Self::Word(Word::IfPresent) => Ok(Requirement::IfPresent),
            Self::Word(Word::Ignored) => Ok(Requirement::not_checked("the policy says so")),
        }
    }
}

fn signers(
    file: &PolicyFile,
    list: &[SignerRef],
    threshold: usize,
    load: &mut dyn FnMut(&str) -> Option<PublicKey>,
) -> Result<Vec<Signer>, PolicyFileError> {
    if list.is_empty() {
        return Err(error("signers is empty: nobody could sign"));
    }
    if threshold == 0 || threshold > list.len() {
        return Err(error(format!(
            "threshold {threshold}: of {} signers between 1 and {} can be asked for",
            list.len(),
            list.len()
        )));
    }
    let mut signers = Vec::new();
    for signer in list {
        let text = file.signer(signer)?;
        text.check()?;
        match &text.key {
            Some(name) => {
                let Some(key) = load(name) else { continue };
                if signers
                    .iter()
                    .any(|known| matches!(known, Signer::Key(other) if *other == key))
                {
                    return Err(error(format!(
                        "key {name} is there twice: that is one signer"
                    )));
                }
                signers.push(Signer::Key(key));
            }
            None => signers.push(Signer::Identity(text.identity()?)),
        }
    }
    Ok(signers)
}

impl SignerText {
    fn check(&self) -> Result<(), PolicyFileError> {
        let identity = self.issuer.is_some()
            || self.issuer_pattern.is_some()
            || self.subject.is_some()
            || self.subject_pattern.is_some()
            || self.github_workflow.is_some();
        match (&self.key, identity) {
            (Some(key), false) if !key.is_empty() => Ok(()),
            (Some(_), false) => Err(error("the key is empty")),
            (Some(_), true) => Err(error("a signer is a key or an identity, not both")),
            (None, true) => self.identity().map(|_| ()),
            (None, false) => Err(error(
                "a signer is a key, or an identity with issuer and subject",
            )),
        }
    }

    fn identity(&self) -> Result<Identity, PolicyFileError> {
        let text = |name: &str, exact: &Option<String>, pattern: &Option<String>| match (
            exact.as_deref(),
            pattern.as_deref(),
        ) {
            (Some(""), None) => Err(error(format!("{name} is empty"))),
            (Some(text), None) => Ok(Match::Exact(text.to_owned())),
            (None, Some(text)) => Match::pattern(text)
                .map_err(|cause| error(format!("{name}Pattern {text:?}: {cause}"))),
            (Some(_), Some(_)) => Err(error(format!("give {name} or {name}Pattern, not both"))),
            (None, None) => Err(error(format!(
                "an identity needs {name} or {name}Pattern: it is worth what its identity provider is"
            ))),
        };
        Ok(Identity {
            issuer: text("issuer", &self.issuer, &self.issuer_pattern)?,
            subject: text("subject", &self.subject, &self.subject_pattern)?,
            extensions: self
                .github_workflow
                .as_ref()
                .map(GithubWorkflow::extensions)
                .unwrap_or_default(),
        })
    }
}

impl AttestationWanted {
    fn attestation(&self) -> Result<Attestation, PolicyFileError> {
        if self
            .types
            .as_ref()
            .is_some_and(|types| types.iter().next().is_none())
        {
            return Err(error("type is an empty list: leave it out for every type"));
        }
        for (program, line) in self.programs() {
            if program.is_empty() {
                let line = line.map(|line| format!(", in line {line}"));
                return Err(error(format!(
                    "{} is empty{}",
                    program.language(),
                    line.unwrap_or_default()
                )));
            }
        }
        let mut types = Vec::new();
        for name in self.types.iter().flat_map(OneOrMore::iter) {
            types.extend(PredicateType::named(name).map_err(|cause| error(cause.to_string()))?);
        }
        let mut predicate = Vec::new();
        for (index, text) in self.predicate.iter().enumerate() {
            let at = |cause: String| error(format!("predicate[{index}]: {cause}"));
            predicate.extend(text.conditions().map_err(at)?);
        }
        Ok(Attestation {
            types,
            predicate,
            every: self.every,
            slsa: self.slsa.as_ref().map(|text| Box::new(text.into())),
            // The caller compiles them.
            checks: Vec::new(),
        })
    }
}

impl ConditionText {
    /// One condition for each test that is given.
    fn conditions(&self) -> Result<Vec<Condition>, String> {
        check_path(&self.path)?;
        let pattern = |text: &String| {
            Match::pattern(text)
                .map(Test::Matches)
                .map_err(|cause| format!("matches {text:?}: {cause}"))
        };
        let tests: Vec<Test> = [
            self.exists.map(Test::Exists),
            self.equals.clone().map(|value| Test::OneOf(vec![value])),
            self.one_of.clone().map(Test::OneOf),
            self.none_of.clone().map(Test::NoneOf),
            self.matches.as_ref().map(pattern).transpose()?,
            self.at_least.map(Test::AtLeast),
            self.at_most.map(Test::AtMost),
            self.max_age
                .as_ref()
                .map(|text| duration("maxAge", text).map(Test::MaxAge))
                .transpose()?,
        ]
        .into_iter()
        .flatten()
        .collect();
        if [&self.one_of, &self.none_of]
            .iter()
            .any(|list| list.as_ref().is_some_and(Vec::is_empty))
        {
            return Err(format!("an empty list is asked of {:?}", self.path));
        }
        if tests.is_empty() {
            return Err(format!(
                "nothing is asked of {:?}: give equals, oneOf, noneOf, matches, atLeast, atMost, maxAge or exists",
                self.path
            ));
        }
        Ok(tests
            .into_iter()
            .map(|test| Condition {
                path: self.path.clone(),
                test,
            })
            .collect())
    }
}

/// Seconds of `90s`, `15m`, `12h`, `7d`.
fn duration(field: &str, text: &str) -> Result<i64, String> {
    let wrong = || format!("{field} {text:?} is not like 90s, 15m, 12h or 7d");
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => return Err(wrong()),
    };
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let count: i64 = digits.parse().map_err(|_| wrong())?;
    count.checked_mul(unit).ok_or_else(wrong)
}

impl wire::WitnessedLog {
    fn witnesses(&self) -> Result<Witnesses, PolicyFileError> {
        let mut witnesses = Vec::new();
        for witness in &self.witnesses {
            let key = match (&witness.name, &witness.key) {
                (Some(name), pem) => (
                    name.clone(),
                    PublicKey::from_pem(pem.as_bytes())
                        .map_err(|cause| error(cause.to_string()))?,
                ),
                (None, text) => sealmark_tlog::cosignature::witness_key(text)
                    .map_err(|cause| error(cause.to_string()))?,
            };
            witnesses.push(key);
        }
        let threshold = self.witness_threshold.unwrap_or(witnesses.len());
        if threshold == 0 || threshold > witnesses.len() {
            return Err(error(format!(
                "witnessThreshold {threshold}: of {} witnesses between 1 and {} can be asked for",
                witnesses.len(),
                witnesses.len()
            )));
        }
        Ok(Witnesses {
            witnesses,
            threshold,
        })
    }
}
