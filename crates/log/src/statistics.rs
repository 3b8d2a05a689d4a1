//! What a log did since it was opened, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a log did since it was opened, and how it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Statistics {
    /// Each tree, oldest first.
    pub trees: Vec<TreeStatistics>,
    /// Entries that wait to be sequenced.
    pub waiting: usize,
    /// Entries that were refused because too many waited.
    pub overloaded: u64,
    /// Records that were written to the journal.
    pub commits: u64,
    /// Time that it took to make them durable, in all.
    pub commit_time: Duration,
    /// Whether it takes entries, and writes what it took; [`Log::health`](crate::Log::health) says why not.
    pub healthy: bool,
}

/// What one tree did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TreeStatistics {
    /// Its name.
    pub name: String,
    /// All of its entries.
    pub size: u64,
    /// When the newest was integrated, in milliseconds since 1970; 0 if there is none.
    pub newest_ms: u64,
    /// New entries.
    pub appended: u64,
    /// Entries that it had already.
    pub duplicates: u64,
}

/// A number that only grows. It orders nothing: it is read for people.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
