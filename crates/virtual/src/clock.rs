//! The time, which only the test changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// 2026-01-01T00:00:00Z, in seconds since 1970: where the clock starts.
pub const START: i64 = 1_767_225_600;
/// Seconds.
pub const MINUTE: i64 = 60;
/// Seconds.
pub const HOUR: i64 = 60 * MINUTE;
/// Seconds.
pub const DAY: i64 = 24 * HOUR;
/// Seconds.
pub const YEAR: i64 = 365 * DAY;

/// A clock that stands still until it is set. Clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    /// A clock that shows this time, in seconds since 1970.
    pub fn at(unix_seconds: i64) -> Self {
        Self(Arc::new(AtomicI64::new(unix_seconds)))
    }

    /// The time, in seconds since 1970.
    pub fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Sets the time, forwards or backwards.
    pub fn set(&self, unix_seconds: i64) {
        self.0.store(unix_seconds, Ordering::SeqCst);
    }

    /// Lets time pass.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The time as certificates count it.
    pub(crate) fn unsigned(&self) -> u64 {
        unsigned(self.now())
    }
}

pub(crate) fn unsigned(unix_seconds: i64) -> u64 {
    u64::try_from(unix_seconds).expect("tests take place after 1970")
}
