//! What a monitor reports: the lines of `--output json`.

use serde::Serialize;

use super::signer::Signed;
use super::watch::Reason;

/// Something to report. As JSON, its `type` is `match`, `unreadable`, `checkpoint` or `inconsistent`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Event {
    /// An entry has what is looked for. It is proven to be in the log.
    Match(Box<Match>),
    /// An entry may have what is looked for, and cannot be read. It is proven to be in the log.
    Unreadable(Unreadable),
    /// A log was read up to a checkpoint that is consistent with the one before.
    Checkpoint(Progress),
    /// A log has contradicted itself.
    Inconsistent(Inconsistent),
}

/// Where an entry is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The log: the origin of its checkpoints.
    pub log: String,
    /// Where it was read.
    pub url: String,
    /// The index; in a Rekor v1 counted over all shards.
    pub index: u64,
    /// In a Rekor v1 with several shards, the index in the tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree_index: Option<u64>,
    /// The hash of the leaf, in hex; in a Rekor v1 with the id of the tree before it.
    pub uuid: String,
    /// When a Rekor v1 has promised to include it, as RFC 3339. A Rekor v2 does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// An entry that was looked for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// `hashedrekord`, `dsse`, …
    pub kind: String,
    /// The version of the kind.
    pub version: String,
    /// Why it is reported.
    pub matched: Vec<Reason>,
    /// The digests that it names: of the artifact, the payload, the envelope.
    pub digests: Vec<String>,
    /// Who signed.
    pub signers: Vec<Signed>,
}

/// An entry that cannot be read.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unreadable {
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// Why it cannot be read.
    pub reason: String,
}

/// How far a log was read.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The origin of its checkpoints.
    pub log: String,
    /// Where it was read.
    pub url: String,
    /// The number of entries that the checkpoint commits to.
    pub size: u64,
    /// The root that the checkpoint commits to, in hex.
    pub root: String,
    /// The size that was proven to be its beginning; none in the first run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consistent_with: Option<u64>,
    /// Entries that were read since the last such line.
    pub read: u64,
    /// Those that were looked for.
    pub matches: u64,
    /// Those that could not be read.
    pub unreadable: u64,
    /// The next index to read, in the tree.
    pub next: u64,
}

/// Two checkpoints of one log, both signed by it, that cannot both be true.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inconsistent {
    /// The origin of both.
    pub log: String,
    /// Where the later one was read.
    pub url: String,
    /// `rollback`, if the log has become smaller; `fork`, if it has other entries than before.
    pub what: Contradiction,
    /// What was found, in words.
    pub reason: String,
    /// The checkpoint that was proven before, as it was signed.
    pub before: String,
    /// The checkpoint that contradicts it, as it was signed.
    pub after: String,
    /// The key that has signed both, as PEM.
    pub public_key: String,
    /// The file with all this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// How a log contradicts itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Contradiction {
    /// It has become smaller.
    Rollback,
    /// It has other entries than it had.
    Fork,
}
