//! How often somebody may be wrong.
//!
//! Invariants: the memory is the same whatever is guessed; whether a name exists does not show in how it is refused,
//! as names share their allowances by a hash that only this process knows.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};

/// Allowances that names share.
const SHARED: usize = 1024;

/// How often one name, and all together, may be guessed.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    one: Limit,
    all: Limit,
}

#[derive(Clone, Copy)]
struct Limit {
    /// At once.
    burst: f64,
    /// Then one in so many seconds.
    every: f64,
}

/// Of passwords: each costs 30 MiB and a tenth of a second, so that all together are bounded as well.
pub(super) const PASSWORDS: Limits = Limits {
    one: Limit {
        burst: 5.0,
        every: 10.0,
    },
    all: Limit {
        burst: 40.0,
        every: 1.0,
    },
};
/// Of the codes that devices show: 34 bits, of which at most a thousand are in use (RFC 8628, section 5.1).
pub(super) const DEVICES: Limits = Limits {
    one: Limit {
        burst: 60.0,
        every: 1.0,
    },
    all: Limit {
        burst: 60.0,
        every: 1.0,
    },
};

pub(super) struct Guesses {
    limits: Limits,
    hash: RandomState,
    table: Mutex<Table>,
}

struct Table {
    shared: Vec<Bucket>,
    all: Bucket,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    /// In milliseconds.
    at: u64,
}

impl Bucket {
    fn refill(&mut self, limit: Limit, now_ms: u64) {
        let since = now_ms.saturating_sub(self.at) as f64 / 1000.0;
        self.left = (self.left + since / limit.every).min(limit.burst);
        self.at = now_ms;
    }

    /// Seconds until there is one.
    fn wait(&self, limit: Limit) -> u64 {
        ((1.0 - self.left).max(0.0) * limit.every).ceil() as u64
    }
}

impl Guesses {
    pub(super) fn new(limits: Limits) -> Self {
        let full = |limit: Limit| Bucket {
            left: limit.burst,
            at: 0,
        };
        Self {
            limits,
            hash: RandomState::new(),
            table: Mutex::new(Table {
                shared: vec![full(limits.one); SHARED],
                all: full(limits.all),
            }),
        }
    }

    /// Takes a guess of `name`; if there is none left, how many seconds until there is. It counts unless it is
    /// [given back](Self::right): who guesses many at once must not have them all.
    pub(super) fn take(&self, name: &str, now_ms: u64) -> Result<(), u64> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Table { shared, all } = &mut *table;
        let one = &mut shared[self.place(name)];
        one.refill(self.limits.one, now_ms);
        all.refill(self.limits.all, now_ms);
        let wait = one.wait(self.limits.one).max(all.wait(self.limits.all));
        if wait > 0 {
            return Err(wait);
        }
        one.left -= 1.0;
        all.left -= 1.0;
        Ok(())
    }

    /// It was no guess: the name was known.
    pub(super) fn right(&self, name: &str) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Table { shared, all } = &mut *table;
        let one = &mut shared[self.place(name)];
        one.left = (one.left + 1.0).min(self.limits.one.burst);
        all.left = (all.left + 1.0).min(self.limits.all.burst);
    }

    fn place(&self, name: &str) -> usize {
        (self.hash.hash_one(name) % SHARED as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_wrong_too_often_waits() {
        let guesses = Guesses::new(PASSWORDS);
        for _ in 0..5 {
            assert_eq!(guesses.take("jane", 0), Ok(()));
        }
        assert_eq!(guesses.take("jane", 0), Err(10));
        assert_eq!(guesses.take("jane", 4_000), Err(6));
        assert_eq!(guesses.take("jane", 10_000), Ok(()));
        assert_eq!(guesses.take("jane", 10_000), Err(10));
        guesses.right("jane");
        assert_eq!(guesses.take("jane", 10_000), Ok(()));
    }

    #[test]
    fn who_guesses_many_names_waits_as_well() {
        let guesses = Guesses::new(PASSWORDS);
        let taken = (0..1000).filter(|at| guesses.take(&format!("user{at}"), 0).is_ok());
        assert_eq!(taken.count(), 40);
    }
}
