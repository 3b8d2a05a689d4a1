//! How far a copy has come, on a terminal.
//!
//! Invariant: nothing is drawn where standard error is no terminal, nor in the first second, and what was drawn is gone
//! when the bar is.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sealmark_oci::Progress;

/// What is done sooner needs no bar.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the bar is drawn.
const PERIOD: Duration = Duration::from_millis(100);
/// Width of the bar itself, in characters.
const WIDTH: u64 = 30;

/// A bar for bytes on standard error.
#[derive(Debug)]
pub(crate) struct Bar {
    what: &'static str,
    expected: AtomicU64,
    done: AtomicU64,
    started: Instant,
    drawn: Mutex<Option<Instant>>,
    visible: AtomicBool,
}

impl Bar {
    /// What follows a copy: a bar on a terminal, nothing elsewhere.
    pub(crate) fn over(what: &'static str) -> Arc<dyn Progress> {
        if !io::stderr().is_terminal() {
            return Arc::new(());
        }
        Arc::new(Self {
            what,
            expected: AtomicU64::new(0),
            done: AtomicU64::new(0),
            started: Instant::now(),
            drawn: Mutex::new(None),
            visible: AtomicBool::new(false),
        })
    }

    fn draw(&self) {
        let elapsed = self.started.elapsed();
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if elapsed < PATIENCE || drawn.is_some_and(|last| last.elapsed() < PERIOD) {
            return;
        }
        *drawn = Some(Instant::now());
        self.visible.store(true, Relaxed);
        let line = line(
            self.what,
            self.done.load(Relaxed),
            self.expected.load(Relaxed),
            elapsed,
        );
        // A closed standard error is no reason to fail.
        let _ = write!(io::stderr(), "\r{line}\x1b[K");
    }
}

impl Progress for Bar {
    fn expect(&self, bytes: u64) {
        self.expected.fetch_add(bytes, Relaxed);
    }

    fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Relaxed);
        self.draw();
    }

    fn retract(&self, bytes: u64) {
        self.done.fetch_sub(bytes, Relaxed);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.visible.load(Relaxed) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// `Copying [=====>    ] 12.3 MB of 40.0 MB, 8.1 MB/s`.
fn line(what: &str, done: u64, expected: u64, elapsed: Duration) -> String {
    let filled = u128::from(done.min(expected)) * u128::from(WIDTH) / u128::from(expected.max(1));
    let filled = usize::try_from(filled).unwrap_or(0);
    let empty = usize::try_from(WIDTH).unwrap_or(0) - filled;
    let rate = u128::from(done) * 1000 / elapsed.as_millis().max(1);
    format!(
        "{what} [{}{}] {} of {}, {}/s",
        "=".repeat(filled),
        " ".repeat(empty),
        bytes(done),
        bytes(expected),
        bytes(u64::try_from(rate).unwrap_or(u64::MAX)),
    )
}

/// A number of bytes for people: `512 B`, `12.3 MB`.
pub(crate) fn bytes(count: u64) -> String {
    for (unit, name) in [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")] {
        if count >= unit {
            return format!("{}.{} {name}", count / unit, count % unit * 10 / unit);
        }
    }
    format!("{count} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_the_unit_that_fits() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (48_250_000, "48.2 MB"),
            (1_999_999_999, "1.9 GB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn the_bar_says_how_much_of_how_much() {
        assert_eq!(
            line("Copying", 5_000_000, 10_000_000, Duration::from_secs(2)),
            "Copying [===============               ] 5.0 MB of 10.0 MB, 2.5 MB/s"
        );
        // A source may give more than it said, and nothing may be expected.
        assert!(line("Copying", 7, 0, Duration::ZERO).contains("7 B of 0 B"));
    }
}
