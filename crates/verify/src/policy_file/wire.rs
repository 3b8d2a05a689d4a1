//! The policy file as it is written.

use std::collections::BTreeMap;

use sealmark_x509::FulcioExtension;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use super::programs::{CelFile, CelText, Located, Program};
pub use super::provenance::SlsaText;

/// A policy file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyFile {
    /// The version of this format: 1.
    pub version: u32,
    /// The trusted root to believe in, a file relative to this one.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub trusted_root: Option<String>,
    /// Signers by name, for the rules.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub signers: BTreeMap<String, SignerText>,
    /// Who may revoke signatures, beside those who made them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revokers: Vec<SignerRef>,
    /// How fresh a feed of revocations must be for anything to be accepted: 90s, 15m, 24h, 7d.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub require_fresh_revocations: Option<String>,
    /// The first rule that is for an artifact decides; an artifact without a rule is refused.
    pub rules: Vec<Rule>,
}

/// A key or an identity.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignerText {
    /// A public key: a file relative to the policy file, or any other key reference.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub key: Option<String>,
    /// The identity provider, exactly.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub issuer: Option<String>,
    /// The identity provider: a pattern (RE2) that must be found in its URL.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub issuer_pattern: Option<String>,
    /// The identity, exactly.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub subject: Option<String>,
    /// The identity: a pattern (RE2) that must be found in it.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub subject_pattern: Option<String>,
    /// What else the certificate must say of a GitHub workflow.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub github_workflow: Option<GithubWorkflow>,
}

/// Fulcio's extensions for GitHub workflows; each that is given must be exactly so.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GithubWorkflow {
    /// The event that started it.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub trigger: Option<String>,
    /// The commit that it ran for.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub sha: Option<String>,
    /// Its name.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub name: Option<String>,
    /// The repository that it is in.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub repository: Option<String>,
    /// The Git reference that it ran for.
    #[serde(
        default,
        rename = "ref",
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub git_ref: Option<String>,
}

impl GithubWorkflow {
    /// The extensions that must be there.
    pub fn extensions(&self) -> Vec<(FulcioExtension, String)> {
        [
            (FulcioExtension::GithubWorkflowTrigger, &self.trigger),
            (FulcioExtension::GithubWorkflowSha, &self.sha),
            (FulcioExtension::GithubWorkflowName, &self.name),
            (FulcioExtension::GithubWorkflowRepository, &self.repository),
            (FulcioExtension::GithubWorkflowRef, &self.git_ref),
        ]
        .into_iter()
        .filter_map(|(extension, value)| Some((extension, value.clone()?)))
        .collect()
    }
}

/// What is asked of some artifacts.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Patterns of repositories: `registry.example.com/team/*`, `**`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Patterns of file names, or of paths if they have a slash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Who must have signed it.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub signature: Option<SignatureWanted>,
    /// Which attestations it must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attestations: Vec<AttestationWanted>,
    /// Whether transparency logs must prove each of them; required if it is not given.
    #[serde(default)]
    pub log: LogWanted,
    /// Whether timestamp authorities must; ifPresent if it is not given.
    #[serde(default = "Number::if_present")]
    pub timestamp: Number,
    /// Whether CT logs must have the certificates; required if it is not given.
    #[serde(default)]
    pub sct: Number,
}

/// Who must have signed.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignatureWanted {
    /// Who may have.
    pub signers: Vec<SignerRef>,
    /// How many of them must have.
    #[serde(default = "one")]
    pub threshold: usize,
    /// Annotations that the signed claims must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Which attestation there must be.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttestationWanted {
    /// Predicate types, by name or URI; any type if it is not given.
    #[serde(
        default,
        rename = "type",
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub types: Option<OneOrMore>,
    /// Who may have signed it.
    pub signers: Vec<SignerRef>,
    /// How many of them must have.
    #[serde(default = "one")]
    pub threshold: usize,
    /// What the predicate must say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predicate: Vec<ConditionText>,
    /// What it must say as SLSA provenance.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub slsa: Option<SlsaText>,
    /// Policies in Rego, files relative to this one, that together are one program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rego: Vec<Located<String>>,
    /// Conditions in CEL; each must be true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cel: Vec<Located<CelText>>,
    /// Whether every attestation of the type must say so, and not just one.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub every: bool,
}

/// A name from `signers`, or the signer itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(
    untagged,
    expecting = "a signer is a name from signers, {key: …}, or {issuer or issuerPattern: …, subject or subjectPattern: …, \
                 githubWorkflow: {trigger, sha, name, repository, ref: …}}"
)]
pub enum SignerRef {
    /// By name.
    Named(String),
    /// Here.
    Here(Box<SignerText>),
}

/// One text or several.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
pub enum OneOrMore {
    /// One.
    One(String),
    /// Several.
    More(Vec<String>),
}

impl OneOrMore {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &String> {
        match self {
            Self::One(text) => core::slice::from_ref(text).iter(),
            Self::More(list) => list.iter(),
        }
    }
}

/// What the predicate must say at one place; every test that is given must pass.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConditionText {
    /// A JSON pointer; `*` stands for each element or member.
    pub path: String,
    /// It is there, or is not.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub exists: Option<bool>,
    /// It is this value.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub equals: Option<Value>,
    /// It is one of these values.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub one_of: Option<Vec<Value>>,
    /// It is none of these values.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub none_of: Option<Vec<Value>>,
    /// It is a text in which this pattern (RE2) is found.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub matches: Option<String>,
    /// It is a number, and not smaller.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub at_least: Option<f64>,
    /// It is a number, and not larger.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub at_most: Option<f64>,
    /// It is a time (RFC 3339), not longer ago: 90s, 15m, 12h, 7d.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_age: Option<String>,
}

/// How many proofs are asked for.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(
    untagged,
    expecting = "this is required, ifPresent, ignored, or a number"
)]
pub enum Number {
    /// So many, each of another log or authority.
    AtLeast(usize),
    /// In a word.
    Word(Word),
}

/// How many proofs are asked for, in a word.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Word {
    /// At least one.
    Required,
    /// What is there must be good to count.
    IfPresent,
    /// It is not looked at.
    Ignored,
}

impl Default for Number {
    fn default() -> Self {
        Self::Word(Word::Required)
    }
}

impl Number {
    pub(super) fn if_present() -> Self {
        Self::Word(Word::IfPresent)
    }
}

/// What is asked of transparency logs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(
    untagged,
    expecting = "log is required, ifPresent, ignored, a number, or {atLeast: …, witnesses: [{name: …, key: …}], \
                 witnessThreshold: …}"
)]
pub enum LogWanted {
    /// How many.
    Simple(Number),
    /// How many, and who must have seen them.
    Witnessed(WitnessedLog),
}

impl Default for LogWanted {
    fn default() -> Self {
        Self::Simple(Number::default())
    }
}

/// Logs whose checkpoints witnesses have cosigned.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WitnessedLog {
    /// How many logs.
    #[serde(default)]
    pub at_least: Number,
    /// The witnesses.
    pub witnesses: Vec<WitnessText>,
    /// How many of the witnesses; all of them if it is not given.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub witness_threshold: Option<usize>,
}

/// A witness.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WitnessText {
    /// Its name, if the key is PEM.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub name: Option<String>,
    /// Its key: `NAME+HASH+BASE64` (<https://c2sp.org/signed-note>), or PEM beside the name.
    pub key: String,
}

/// A value that is there. A null usually is a variable of a template that was not set, and would ask for less than the
/// file seems to say.
pub(super) fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

fn one() -> usize {
    1
}
