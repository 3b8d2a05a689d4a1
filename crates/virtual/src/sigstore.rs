//! All parts together, under one clock.

use sealmark_formats::TrustedRoot;

use crate::{CertificateAuthority, Clock, CtLog, RekorV1, RekorV2, START, TimestampAuthority};

/// A Sigstore in memory.
#[derive(Debug)]
pub struct VirtualSigstore {
    /// The clock of every part.
    pub clock: Clock,
    /// The CA.
    pub ca: CertificateAuthority,
    /// The CT log that the CA asks.
    pub ct: CtLog,
    /// A log of version 1.
    pub rekor_v1: RekorV1,
    /// A log of version 2.
    pub rekor_v2: RekorV2,
    /// A timestamp authority.
    pub tsa: TimestampAuthority,
}

impl VirtualSigstore {
    /// A Sigstore, at [`START`].
    pub fn new() -> Self {
        Self::at(START)
    }

    /// A Sigstore, at this time in seconds since 1970. Its authorities are valid from a year before [`START`] to nine
    /// years after it, whatever the time.
    pub fn at(unix_seconds: i64) -> Self {
        let clock = Clock::at(unix_seconds);
        Self {
            ca: CertificateAuthority::new(&clock),
            ct: CtLog::new(&clock),
            rekor_v1: RekorV1::new(&clock),
            rekor_v2: RekorV2::new(&clock),
            tsa: TimestampAuthority::new(&clock),
            clock,
        }
    }

    /// What a verifier must trust to believe what is made here.
    pub fn trusted_root(&self) -> TrustedRoot {
        TrustedRoot {
            tlogs: vec![self.rekor_v1.trusted(), self.rekor_v2.trusted()],
            certificate_authorities: vec![self.ca.trusted()],
            ctlogs: vec![self.ct.trusted()],
            timestamp_authorities: vec![self.tsa.trusted()],
            ..TrustedRoot::empty()
        }
    }
}

impl Default for VirtualSigstore {
    fn default() -> Self {
        Self::new()
    }
}
