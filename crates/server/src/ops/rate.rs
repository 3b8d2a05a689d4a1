//! How many requests one caller may make.
//!
//! Invariant: the memory of it is bounded, whoever calls: beyond [`MAX_CALLERS`] newcomers share one bucket.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Callers that are told apart. Each costs some 60 bytes, as long as it has not been quiet for one interval.
const MAX_CALLERS: usize = 65_536;
/// The bucket of those who come when there are more.
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
/// How often the table is searched for callers that need not be remembered, at most.
const SWEEP: Duration = Duration::from_secs(1);
/// The largest number of requests in a rate.
const MAX_RATE: u32 = 1_000_000;

/// So many requests in so much time: `100/s`, `600/m`, `1000/h`. As many may come at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    requests: u32,
    per: Duration,
}

/// A text that is no [`Rate`].
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a rate is a number of requests from 1 to {MAX_RATE}, a slash, and s, m or h: 100/s")]
pub struct InvalidRate;

impl Rate {
    /// So many requests a second, at least one.
    pub const fn per_second(requests: u32) -> Self {
        Self {
            requests: if requests == 0 { 1 } else { requests },
            per: Duration::from_secs(1),
        }
    }

    fn each_second(self) -> f64 {
        f64::from(self.requests) / self.per.as_secs_f64()
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let (requests, per) = text.split_once('/').ok_or(InvalidRate)?;
        let per = match per {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(InvalidRate),
        };
        let requests = requests.parse().map_err(|_| InvalidRate)?;
        if !(1..=MAX_RATE).contains(&requests) {
            return Err(InvalidRate);
        }
        Ok(Self {
            requests,
            per: Duration::from_secs(per),
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per.as_secs() {
            1 => "s",
            60 => "m",
            _ => "h",
        };
        write!(f, "{}/{unit}", self.requests)
    }
}

/// What each caller has left.
#[derive(Debug)]
pub(super) struct Buckets {
    rate: Rate,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    callers: HashMap<IpAddr, Bucket>,
    /// When those who need not be remembered were last dropped.
    swept: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Buckets {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            table: Mutex::default(),
        }
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes one request from what the caller has; if there is none, how many seconds until there is.
    pub(super) fn take(&self, caller: IpAddr, now: Instant) -> Result<(), u64> {
        let full = f64::from(self.rate.requests);
        let refilled = |bucket: &Bucket| {
            let since = now.saturating_duration_since(bucket.at).as_secs_f64();
            (bucket.left + since * self.rate.each_second()).min(full)
        };
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Table { callers, swept } = &mut *table;
        let mut key = network(caller);
        if callers.len() >= MAX_CALLERS && !callers.contains_key(&key) {
            // Who has all it may have need not be remembered. Looking for them takes a millisecond.
            if swept.is_none_or(|last| now.saturating_duration_since(last) >= SWEEP) {
                callers.retain(|_, bucket| refilled(bucket) < full);
                *swept = Some(now);
            }
            if callers.len() >= MAX_CALLERS {
                key = OTHERS;
            }
        }
        let new = Bucket {
            left: full,
            at: now,
        };
        let bucket = callers.entry(key).or_insert(new);
        let left = refilled(bucket);
        if left < 1.0 {
            return Err(((1.0 - left) / self.rate.each_second()).ceil().max(1.0) as u64);
        }
        *bucket = Bucket {
            left: left - 1.0,
            at: now,
        };
        Ok(())
    }
}

/// Who is taken for one caller: an address of IPv4, the network that one subscriber has of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn a_bucket_empties_and_refills() {
        let buckets = Buckets::new("2/s".parse().unwrap());
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let taken = [0, 0, 0, 400, 500, 500, 1500, 1500, 1500]
            .map(|millis| buckets.take(address(1), after(millis)));
        let expected = [
            Ok(()),
            Ok(()),
            Err(1),
            Err(1),
            Ok(()),
            Err(1),
            Ok(()),
            Ok(()),
            Err(1),
        ];
        assert_eq!(taken, expected);
        assert_eq!(buckets.take(address(2), after(1500)), Ok(()), "another's");
    }

    #[test]
    fn who_must_wait_is_told_how_long() {
        let buckets = Buckets::new("6/m".parse().unwrap());
        let now = Instant::now();
        for _ in 0..6 {
            buckets.take(address(1), now).unwrap();
        }
        assert_eq!(buckets.take(address(1), now), Err(10));
    }

    #[test]
    fn a_network_of_ipv6_is_one_caller() {
        let buckets = Buckets::new("1/s".parse().unwrap());
        let now = Instant::now();
        let take = |text: &str| buckets.take(text.parse().unwrap(), now);
        assert_eq!(take("2001:db8:1:1::1"), Ok(()));
        assert_eq!(take("2001:db8:1:1:ffff::2"), Err(1));
        assert_eq!(take("2001:db8:1:2::1"), Ok(()));
        assert_eq!(take("192.0.2.1"), Ok(()));
        assert_eq!(take("::ffff:192.0.2.1"), Err(1));
    }

    #[test]
    fn the_table_is_bounded_and_recovers() {
        let buckets = Buckets::new("1/s".parse().unwrap());
        let start = Instant::now();
        let refused = (0..MAX_CALLERS as u32 + 1000)
            .filter(|&number| buckets.take(address(number), start).is_err())
            .count();
        assert_eq!(refused, 999, "newcomers share one");
        assert!(buckets.table.lock().unwrap().callers.len() <= MAX_CALLERS + 1);
        let later = start + Duration::from_secs(2);
        assert_eq!(buckets.take(address(u32::MAX), later), Ok(()));
        assert!(buckets.table.lock().unwrap().callers.len() <= 2);
    }

    #[test]
    fn rates_are_written_with_their_unit() {
        for text in ["100/s", "600/m", "1/h", "1000000/s"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "100",
            "0/s",
            "-1/s",
            "1.5/s",
            "100/",
            "100/d",
            "1000001/s",
        ] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
