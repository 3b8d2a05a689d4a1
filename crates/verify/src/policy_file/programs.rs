//! Policies in other languages, as a policy file names them, with the line that each stands in.
//!
//! This crate knows none of the languages: [`Program`] is what the caller has to compile.

use core::fmt;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::wire::AttestationWanted;

/// A value, and the line of the file that it stands in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// The line, from 1; `None` where no file was read.
    pub line: Option<u64>,
}

impl<T> From<T> for Located<T> {
    fn from(value: T) -> Self {
        Self { value, line: None }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<T>::deserialize(deserializer)?;
        Ok(Self {
            line: Some(spanned.referenced.line()).filter(|line| *line > 0),
            value: spanned.value,
        })
    }
}

impl<T: Serialize> Serialize for Located<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

/// A condition in CEL.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(
    untagged,
    expecting = "an expression in CEL, which is a text (in quotes if it has a colon), or {file: FILE}"
)]
pub enum CelText {
    /// The expression itself.
    Expression(String),
    /// A file that has it.
    File(CelFile),
}

/// A file with a condition in CEL.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CelFile {
    /// The file, relative to the policy file.
    pub file: String,
}

impl From<&str> for CelText {
    fn from(expression: &str) -> Self {
        Self::Expression(expression.to_owned())
    }
}

impl CelText {
    /// The expression that is in a file.
    pub fn file(name: impl Into<String>) -> Self {
        Self::File(CelFile { file: name.into() })
    }
}

/// Something to compile before a rule can be used.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Program {
    /// Files in Rego, one program.
    Rego(Vec<String>),
    /// An expression in CEL.
    Cel(String),
    /// A file with an expression in CEL.
    CelFile(String),
}

impl Program {
    /// The field that it stands in.
    pub fn language(&self) -> &'static str {
        match self {
            Self::Rego(_) => "rego",
            Self::Cel(_) | Self::CelFile(_) => "cel",
        }
    }

    /// A text that is not there usually is a variable of a template that was not set.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Rego(files) => files.iter().any(String::is_empty),
            Self::Cel(text) | Self::CelFile(text) => text.trim().is_empty(),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rego(files) => write!(f, "the policy in Rego {}", files.join(", ")),
            Self::Cel(text) => write!(f, "the expression in CEL {text:?}"),
            Self::CelFile(file) => write!(f, "the policy in CEL {file}"),
        }
    }
}

impl AttestationWanted {
    /// What has to be compiled for it, each with the line that it stands in.
    pub(super) fn programs(&self) -> Vec<(Program, Option<u64>)> {
        let mut programs = Vec::new();
        if let Some(first) = self.rego.first() {
            let files = self.rego.iter().map(|file| file.value.clone());
            programs.push((Program::Rego(files.collect()), first.line));
        }
        programs.extend(self.cel.iter().map(|it| {
            let program = match &it.value {
                CelText::Expression(text) => Program::Cel(text.clone()),
                CelText::File(CelFile { file }) => Program::CelFile(file.clone()),
            };
            (program, it.line)
        }));
        programs
    }
}

/// Where rules and what they ask of attestations stand.
#[derive(Deserialize)]
struct Places {
    rules: Vec<Located<RulePlaces>>,
}

#[derive(Deserialize)]
struct RulePlaces {
    #[serde(default)]
    attestations: Vec<Located<IgnoredAny>>,
}

/// What is wrong with a rule of a file that was read, with the line of the rule, or of what it asks of attestations.
pub(super) fn located(yaml: &str, index: usize, problem: &str) -> String {
    let place = format!("rules[{index}]: {problem}");
    let Some(rule) = serde_saphyr::from_str::<Places>(yaml)
        .ok()
        .and_then(|places| places.rules.into_iter().nth(index))
    else {
        return place;
    };
    let nth = problem
        .strip_prefix("attestations[")
        .and_then(|rest| rest.split(']').next()?.parse::<usize>().ok());
    let attestation = nth.and_then(|nth| rule.value.attestations.get(nth)?.line);
    match attestation.or(rule.line) {
        Some(line) => format!("line {line}: {place}"),
        None => place,
    }
}
