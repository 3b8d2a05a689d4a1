//! When a certificate is valid: two instants, in whole seconds, both inclusive (RFC 5280, section 4.1.2.5).

use core::fmt;
use core::time::Duration;

use x509_cert::time::Time;

/// A point in time in UTC, as certificates have it. Displayed as in RFC 3339: `2024-05-01T12:00:00Z`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Instant(der::DateTime);

impl Instant {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn unix_seconds(self) -> u64 {
        self.0.unix_duration().as_secs()
    }
}

impl From<Time> for Instant {
    fn from(time: Time) -> Self {
        Self(time.to_date_time())
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A second, counted from 1970-01-01T00:00:00Z. Displayed as in RFC 3339.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UnixSeconds(pub u64);

impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match der::DateTime::from_unix_duration(Duration::from_secs(self.0)) {
            Ok(time) => time.fmt(f),
            // After the year 9999.
            Err(_) => write!(f, "{} seconds after 1970", self.0),
        }
    }
}

/// When a certificate is valid. The end may be before the start: then it never is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// The first second.
    pub not_before: Instant,
    /// The last second.
    pub not_after: Instant,
}

impl Validity {
    /// Whether this second, counted from 1970, is inside.
    pub fn contains(&self, unix_seconds: u64) -> bool {
        (self.not_before.unix_seconds()..=self.not_after.unix_seconds()).contains(&unix_seconds)
    }

    /// Seconds from the start to the end; 0 if the end is before the start.
    pub fn seconds(&self) -> u64 {
        self.not_after
            .unix_seconds()
            .saturating_sub(self.not_before.unix_seconds())
    }
}
