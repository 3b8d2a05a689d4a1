//! The search index of a tree: from leaf hashes and keys to entries.
//!
//! It holds pairs of a 64-bit fingerprint and an entry's index, so it gives candidates: the caller looks at each entry
//! to be exact. New pairs are in memory; when there are enough, they are written to a sorted file, a run, and runs are
//! merged into larger ones, so that a lookup reads one block in each of few files, and memory stays bounded. The index
//! is complete up to [`through`](Index::through), which follows every commit at once.
//!
//! Nothing here is needed to be right: each run carries the root of the tree it was made from, and what does not fit is
//! thrown away and made again from the entries.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sealmark_formats::digest::sha256;
use sealmark_tlog::Hash;

use crate::Error;
use run::{Run, Writer};
pub(crate) use run::{RunSum, Sum, sums};

mod run;

/// Runs of about the same size, at most, before they become one.
const FAN_IN: usize = 8;

/// So many times the postings that are written at once may be in memory while writing fails.
const MOST_FLUSHES: usize = 8;

/// A fingerprint and the index of an entry.
pub(crate) type Posting = (u64, u64);

/// The fingerprint of a leaf.
pub(crate) fn leaf_fingerprint(leaf: &Hash) -> u64 {
    first_eight(leaf.bytes())
}

/// The fingerprint of a key.
pub(crate) fn key_fingerprint(key: &str) -> u64 {
    first_eight(&sha256(key.as_bytes()))
}

fn first_eight(bytes: &[u8; 32]) -> u64 {
    let (first, _) = bytes.split_first_chunk().expect("32 bytes are more than 8");
    u64::from_be_bytes(*first)
}

/// The index of one tree.
pub(crate) struct Index {
    folder: PathBuf,
    inner: RwLock<Inner>,
    /// Pairs in memory before they are written.
    max_in_memory: usize,
}

/// Invariant: runs, `flushing` and `memory` cover the entries from 0 to `through` without gap or overlap, in this
/// order.
#[derive(Default)]
struct Inner {
    runs: Vec<Arc<Run>>,
    flushing: Option<Arc<Memory>>,
    memory: Memory,
    through: u64,
}

#[derive(Default)]
struct Memory {
    from: u64,
    postings: BTreeSet<Posting>,
}

impl Index {
    /// Opens the index in a folder, as far as it is of this tree: `root_at` gives the tree's root at a size, `None` if
    /// it was never so large. The caller then adds the entries from [`through`](Self::through) on.
    pub(crate) fn open(
        folder: &Path,
        max_in_memory: usize,
        root_at: impl FnMut(u64) -> Result<Option<Hash>, Error>,
    ) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
        let runs = run::open_all(folder, root_at)?;
        let through = runs.last().map_or(0, |run| run.to());
        let memory = Memory {
            from: through,
            ..Memory::default()
        };
        let inner = Inner {
            runs: runs.into_iter().map(Arc::new).collect(),
            flushing: None,
            memory,
            through,
        };
        Ok(Self {
            folder: folder.to_owned(),
            inner: RwLock::new(inner),
            max_in_memory,
        })
    }

    /// The index of nothing, in no folder.
    pub(crate) fn empty() -> Self {
        Self {
            folder: PathBuf::new(),
            inner: RwLock::default(),
            max_in_memory: usize::MAX,
        }
    }

    /// Whether it waits in vain for its folder to be written, and should not get more.
    pub(crate) fn is_full(&self) -> bool {
        self.read().memory.postings.len() / MOST_FLUSHES >= self.max_in_memory
    }

    /// All entries before this one are in the index.
    pub(crate) fn through(&self) -> u64 {
        self.read().through
    }

    /// Adds the postings of the entries up to `through`.
    pub(crate) fn add(&self, postings: impl IntoIterator<Item = Posting>, through: u64) {
        let mut inner = self.write();
        inner.memory.postings.extend(postings);
        inner.through = through;
    }

    /// The entries with this fingerprint, from entry `from` on, in their order, at most `limit`.
    pub(crate) fn find(
        &self,
        fingerprint: u64,
        from: u64,
        limit: usize,
    ) -> Result<Vec<u64>, Error> {
        let (runs, flushing, in_memory) = {
            let inner = self.read();
            let memory = inner.memory.find(fingerprint, from, limit);
            (inner.runs.clone(), inner.flushing.clone(), memory)
        };
        let mut found = Vec::new();
        for run in runs.iter().filter(|run| run.to() > from) {
            if found.len() < limit {
                run.find(fingerprint, from, limit - found.len(), &mut found)?;
            }
        }
        if let Some(flushing) = flushing {
            found.extend(flushing.find(fingerprint, from, limit));
        }
        found.extend(in_memory);
        found.truncate(limit);
        Ok(found)
    }

    /// As [`find`](Self::find), for somebody who has looked up all entries before `checked` already: nothing is read if
    /// all later ones are in memory.
    pub(crate) fn find_since(&self, fingerprint: u64, checked: u64) -> Result<Vec<u64>, Error> {
        {
            let inner = self.read();
            if inner.memory.from <= checked {
                return Ok(inner.memory.find(fingerprint, checked, usize::MAX));
            }
        }
        self.find(fingerprint, checked, usize::MAX)
    }

    /// Writes what is in memory to a run if it is enough, and merges runs. `root_at` as in [`open`](Self::open).
    pub(crate) fn tidy(
        &self,
        root_at: impl FnOnce(u64) -> Result<Option<Hash>, Error>,
    ) -> Result<(), Error> {
        if self.read().memory.postings.len() >= self.max_in_memory {
            self.flush(root_at)?;
        }
        while let Some(runs) = self.to_merge() {
            self.merge(&runs)?;
        }
        Ok(())
    }

    fn flush(&self, root_at: impl FnOnce(u64) -> Result<Option<Hash>, Error>) -> Result<(), Error> {
        let (memory, to) = {
            let mut inner = self.write();
            // A flush that failed is tried again, before anything newer.
            if inner.flushing.is_none() {
                let next = Memory {
                    from: inner.through,
                    ..Memory::default()
                };
                inner.flushing = Some(Arc::new(std::mem::replace(&mut inner.memory, next)));
            }
            let to = inner.memory.from;
            (inner.flushing.clone(), to)
        };
        let Some(memory) = memory else {
            return Ok(());
        };
        let root = root_at(to)?.ok_or_else(|| {
            let reason = format!("it is ahead of the tree: it has entry {to}");
            Error::damaged(self.folder.display(), reason)
        })?;
        let mut writer = Writer::create(&self.folder, memory.from, to, root)?;
        for posting in &memory.postings {
            writer.push(*posting)?;
        }
        let run = writer.finish()?;
        let mut inner = self.write();
        inner.runs.push(Arc::new(run));
        inner.flushing = None;
        Ok(())
    }

    /// The newest runs, if there are enough of about the same size.
    fn to_merge(&self) -> Option<Vec<Arc<Run>>> {
        let inner = self.read();
        let start = inner.runs.len().checked_sub(FAN_IN)?;
        let newest = &inner.runs[start..];
        let tier = |run: &Run| {
            (run.count() / self.max_in_memory.max(1) as u64)
                .max(1)
                .ilog(FAN_IN as u64)
        };
        let same = newest.iter().all(|run| tier(run) == tier(&newest[0]));
        same.then(|| newest.to_vec())
    }

    fn merge(&self, runs: &[Arc<Run>]) -> Result<(), Error> {
        let merged = run::merge(&self.folder, runs)?;
        let mut inner = self.write();
        let start = inner.runs.len() - runs.len();
        inner.runs.truncate(start);
        inner.runs.push(Arc::new(merged));
        drop(inner);
        for run in runs {
            run.remove();
        }
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Memory {
    fn find(&self, fingerprint: u64, from: u64, limit: usize) -> Vec<u64> {
        let range = (fingerprint, from)..=(fingerprint, u64::MAX);
        let found = self.postings.range(range).map(|(_, index)| *index);
        found.take(limit).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// A root for each size, so that a run of another tree is told apart.
    fn root(size: u64, tree: u8) -> Hash {
        let mut bytes = [tree; 32];
        bytes[..8].copy_from_slice(&size.to_be_bytes());
        Hash::from(bytes)
    }

    fn open(folder: &Path, size: u64, tree: u8) -> Index {
        let known = |at| Ok((at <= size).then(|| root(at, tree)));
        Index::open(folder, 50, known).unwrap()
    }

    fn fill(index: &Index, to: u64, tree: u8, fingerprint: impl Fn(u64) -> u64) {
        for entry in index.through()..to {
            let postings = [
                (fingerprint(entry), entry),
                (entry.wrapping_mul(7919), entry),
            ];
            index.add(postings, entry + 1);
            index.tidy(|at| Ok(Some(root(at, tree)))).unwrap();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_index_finds_what_a_map_finds(
            size in 1u64..1200,
            modulus in 1u64..40,
            from in 0u64..1200,
            limit in 1usize..50,
            restart in 0u64..1200,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let fingerprint = |entry: u64| (entry % modulus) << 60;
            let index = open(folder.path(), size, 1);
            fill(&index, restart.min(size), 1, fingerprint);
            drop(index);
            let index = open(folder.path(), size, 1);
            fill(&index, size, 1, fingerprint);
            let mut map: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
            for entry in 0..size {
                map.entry(fingerprint(entry)).or_default().push(entry);
                let other = entry.wrapping_mul(7919);
                let entries = map.entry(other).or_default();
                if entries.last() != Some(&entry) {
                    entries.push(entry);
                }
            }
            for (fingerprint, entries) in map {
                let mut entries: Vec<u64> = entries.into_iter().filter(|entry| *entry >= from).collect();
                entries.sort_unstable();
                prop_assert_eq!(index.find_since(fingerprint, from).unwrap(), entries.clone());
                entries.truncate(limit);
                prop_assert_eq!(index.find(fingerprint, from, limit).unwrap(), entries);
            }
            prop_assert!(index.find(u64::MAX, 0, 10).unwrap().is_empty());
            // Few files, however many were written.
            prop_assert!(std::fs::read_dir(folder.path()).unwrap().count() < 16);
        }

        #[test]
        fn no_file_makes_it_panic(bytes: Vec<u8>) {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("000000000000000-000000000000009.run"), bytes).unwrap();
            prop_assert_eq!(open(folder.path(), 100, 1).through(), 0);
        }
    }

    #[test]
    fn runs_of_another_tree_or_of_a_longer_one_are_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        fill(&open(folder.path(), 0, 1), 500, 1, |entry| entry);
        assert!(open(folder.path(), 500, 1).through() >= 450);
        let through = open(folder.path(), 100, 1).through();
        assert!(through <= 100, "{through}");
        fill(&open(folder.path(), 0, 1), 500, 1, |entry| entry);
        assert_eq!(open(folder.path(), 500, 2).through(), 0);
    }
}
