//! What logs hold, once it is proven.

use std::fmt;
use std::str::FromStr;

use sealmark_formats::bundle::LogEntry;
use sealmark_tlog::{Checkpoint, Hash};

/// An entry of a log, proven to be in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The entry with its proof, as bundles carry it.
    pub log_entry: LogEntry,
    /// What the entry is called: the leaf's hash, with the tree's id in Rekor v1.
    pub id: EntryId,
    /// The checkpoint that the proof leads to, whose signature was checked.
    pub checkpoint: Checkpoint,
    /// What Rekor v1 stores beside its tree; nothing proves that it belongs to the entry.
    pub attestation: Option<Vec<u8>>,
}

/// What came of sending an entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Uploaded {
    /// The entry as the log has it.
    pub entry: Entry,
    /// The log had it before. Sending an entry twice is no failure.
    pub is_duplicate: bool,
}

/// A checkpoint whose signature was checked, with the note that it is from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedCheckpoint {
    /// The note, byte for byte.
    pub note: String,
    /// What it says.
    pub checkpoint: Checkpoint,
}

/// The name of an entry: the hash of its leaf (64 hex digits), in Rekor v1 often with the tree's id before it (16 more).
///
/// ```
/// use sealmark_rekor::EntryId;
/// let id: EntryId = format!("108e9186e8c5677a{}", "ab".repeat(32)).parse()?;
/// assert_eq!(id.tree, Some(1193050959916656506));
/// assert!(id.to_string().starts_with("108e9186e8c5677aabab"));
/// assert!("ab".repeat(31).parse::<EntryId>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct EntryId {
    /// The tree (shard), if it is known.
    pub tree: Option<u64>,
    /// The hash of the leaf.
    pub leaf: Hash,
}

impl FromStr for EntryId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let shown: String = text.chars().take(100).collect();
            format!(
                "{shown:?} is not the UUID of an entry: that is 64 hex digits, or 80 with the tree's id before them"
            )
        };
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (tree, leaf) = match text.len() {
            64 if is_hex => (None, text),
            80 if is_hex => {
                let (tree, leaf) = text.split_at(16);
                let tree = u64::from_str_radix(tree, 16).map_err(|_| wrong())?;
                (Some(tree), leaf)
            }
            _ => return Err(wrong()),
        };
        let leaf = leaf.parse().map_err(|_| wrong())?;
        Ok(Self { tree, leaf })
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tree) = self.tree {
            write!(f, "{tree:016x}")?;
        }
        write!(f, "{}", self.leaf)
    }
}
