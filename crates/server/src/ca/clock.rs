//! The time that certificates and tokens are judged by.
//!
//! Invariant: no certificate is issued at a time before that of another one: a clock that was set back would make
//! expired tokens good again, and certificates that claim to be older than they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sealmark_log::Clock;

/// How much the clock may lag behind the last certificate, in milliseconds: a step of NTP. As the CT log allows.
const TOLERANCE: u64 = 5_000;

/// The clock was set back.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the clock of this CA stands {behind} s before the last certificate: no other is issued until it has caught up or was set right"
)]
pub(super) struct SetBack {
    behind: u64,
}

/// A clock that does not go back.
pub(super) struct ForwardClock {
    clock: Arc<dyn Clock>,
    /// When the last certificate was issued, in milliseconds.
    last: AtomicU64,
}

impl ForwardClock {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            last: AtomicU64::new(0),
        }
    }

    /// Seconds since 1970.
    pub(super) fn seconds(&self) -> Result<u64, SetBack> {
        let now = self.clock.now_ms();
        let last = self.last.load(Ordering::SeqCst);
        match now.saturating_add(TOLERANCE) < last {
            true => Err(SetBack {
                behind: (last - now).div_ceil(1000),
            }),
            false => Ok(now / 1000),
        }
    }

    /// A certificate was issued at this second.
    pub(super) fn issued(&self, seconds: u64) {
        self.last
            .fetch_max(seconds.saturating_mul(1000), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_issued_holds_the_clock() {
        let time = Arc::new(AtomicU64::new(1_000_000));
        let read = time.clone();
        let clock = ForwardClock::new(Arc::new(move || read.load(Ordering::SeqCst)));
        let at = |ms: u64| {
            time.store(ms, Ordering::SeqCst);
            clock.seconds()
        };
        assert_eq!(at(1_000_000), Ok(1000));
        // It was an hour ahead, and nobody got a certificate then.
        assert_eq!(at(4_600_000), Ok(4600));
        assert_eq!(at(1_000_000), Ok(1000));
        clock.issued(1000);
        assert_eq!(at(995_000), Ok(995));
        assert_eq!(at(994_999), Err(SetBack { behind: 6 }));
        clock.issued(990);
        assert_eq!(at(994_999), Err(SetBack { behind: 6 }));
        assert_eq!(at(1_000_001), Ok(1000));
    }
}
