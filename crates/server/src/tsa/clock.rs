//! Whether the clock can be believed: a timestamp with a wrong time is worse than none.
//!
//! The system's clock is compared with the monotonic one, which nobody sets: when they drift apart, somebody has set
//! the clock, and nothing is stamped until they agree again or the service is started anew. And no timestamp is earlier
//! than the one before it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sealmark_log::Clock;

/// How far both clocks may be apart, in milliseconds. Slewing, as NTP does it, is at most half a second in a quarter of
/// an hour; the comparison starts anew each [`WINDOW`].
const MOST_APART: u64 = 2_000;
/// How long one comparison goes on, in milliseconds.
const WINDOW: u64 = 15 * 60 * 1000;

/// Why nothing is stamped.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Doubt {
    #[error(
        "this machine's clock was set by {0} ms; timestamps are refused until it is right, or the service is started anew"
    )]
    Jumped(i64),
    #[error(
        "this machine's clock is {0} s before the last timestamp; timestamps are refused until it is not"
    )]
    Behind(u64),
}

/// The clock, watched.
pub(super) struct WatchedClock {
    clock: Arc<dyn Clock>,
    monotonic: Box<dyn Fn() -> u64 + Send + Sync>,
    /// When both were read for the comparison: the clock, the monotonic clock.
    compared: Mutex<(u64, u64)>,
    /// The second of the last timestamp.
    last: AtomicU64,
}

impl WatchedClock {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let start = Instant::now();
        Self::with(clock, move || {
            u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
        })
    }

    fn with(clock: Arc<dyn Clock>, monotonic: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        let compared = Mutex::new((clock.now_ms(), monotonic()));
        Self {
            clock,
            monotonic: Box::new(monotonic),
            compared,
            last: AtomicU64::new(0),
        }
    }

    /// The time in seconds since 1970, if it can be believed.
    pub(super) fn seconds(&self) -> Result<u64, Doubt> {
        let (now, monotonic) = (self.clock.now_ms(), (self.monotonic)());
        {
            let mut compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
            let (then, monotonic_then) = *compared;
            let passed = monotonic.saturating_sub(monotonic_then);
            let expected = then.saturating_add(passed);
            if now.abs_diff(expected) > MOST_APART {
                let apart = i64::try_from(now.abs_diff(expected)).unwrap_or(i64::MAX);
                return Err(Doubt::Jumped(if now < expected { -apart } else { apart }));
            }
            if passed > WINDOW {
                *compared = (now, monotonic);
            }
        }
        let seconds = now / 1000;
        let last = self.last.fetch_max(seconds, Ordering::SeqCst);
        match seconds < last {
            true => Err(Doubt::Behind(last - seconds)),
            false => Ok(seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Set(Arc<AtomicU64>);
    impl Clock for Set {
        fn now_ms(&self) -> u64 {
            self.0.load(Ordering::SeqCst)
        }
    }

    #[test]
    fn a_clock_that_was_set_is_not_believed() {
        let (wall, monotonic) = (
            Arc::new(AtomicU64::new(1_000_000_000)),
            Arc::new(AtomicU64::new(0)),
        );
        let watched = {
            let monotonic = monotonic.clone();
            let read = move || monotonic.load(Ordering::SeqCst);
            WatchedClock::with(Arc::new(Set(wall.clone())), read)
        };
        let pass = |wall_ms: i64, monotonic_ms: u64| {
            wall.store(
                wall.load(Ordering::SeqCst).wrapping_add_signed(wall_ms),
                Ordering::SeqCst,
            );
            monotonic.fetch_add(monotonic_ms, Ordering::SeqCst);
            watched.seconds()
        };
        assert_eq!(pass(0, 0), Ok(1_000_000));
        assert_eq!(pass(60_000, 60_000), Ok(1_000_060));
        // An hour ahead, and back again.
        assert_eq!(pass(3_600_000, 0), Err(Doubt::Jumped(3_600_000)));
        assert_eq!(pass(-3_600_000, 0), Ok(1_000_060));
        assert_eq!(pass(-10_000, 0), Err(Doubt::Jumped(-10_000)));
        assert_eq!(pass(10_000, 0), Ok(1_000_060));
        // A step that is small, but backwards.
        assert_eq!(pass(-1_500, 0), Err(Doubt::Behind(2)));
        assert_eq!(pass(1_500, 0), Ok(1_000_060));
        // Slewing by half a second in a quarter of an hour, day by day, is no jump.
        for _ in 0..1000 {
            assert!(pass(900_500, 900_001).is_ok());
        }
    }
}
