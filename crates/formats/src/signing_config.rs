//! The signing configuration: which services a signer uses, and how many of them.
//!
//! Format: `SigningConfig` of `sigstore_trustroot.proto` in <https://github.com/sigstore/protobuf-specs>, version 0.2 (0.1
//! is read too), in protobuf JSON. A service of these types has a URL and an API version, and a range that does not end before it
//! begins. [`select`] decides which services are used.

use jiff::Timestamp;

use crate::encoding::ParseError;
use crate::trusted_root::TimeRange;

mod json;

/// Media type of signing configurations version 0.2.
pub const MEDIA_TYPE_V0_2: &str = "application/vnd.dev.sigstore.signingconfig.v0.2+json";
/// Media type of signing configurations version 0.1, which the public TUF repository still has for old clients.
pub const MEDIA_TYPE_V0_1: &str = "application/vnd.dev.sigstore.signingconfig.v0.1+json";
/// Media types that are read. Only 0.2 is written.
pub const MEDIA_TYPES: [&str; 2] = [MEDIA_TYPE_V0_2, MEDIA_TYPE_V0_1];
/// A larger document is refused; the public one has 1 kB.
pub const MAX_SIZE: usize = 1 << 20;
/// More services of one kind are refused: with ALL every one of them would be asked for each signature.
pub const MAX_SERVICES: usize = 256;

/// Which services a signer uses.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SigningConfig {
    /// Certificate authorities (Fulcio).
    pub ca_urls: Vec<Service>,
    /// OpenID providers; only one is used.
    pub oidc_urls: Vec<Service>,
    /// Transparency logs (Rekor).
    pub rekor_tlog_urls: Vec<Service>,
    /// How many logs; absent if nothing was said, which is an error only where there are logs.
    pub rekor_tlog_config: Option<Selector>,
    /// Timestamp authorities, with the path.
    pub tsa_urls: Vec<Service>,
    /// How many timestamp authorities; absent if nothing was said.
    pub tsa_config: Option<Selector>,
}

/// A service (`Service`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Service {
    /// Where it is. Logs and authorities: the base; timestamp authorities: with the path.
    pub url: String,
    /// The major version of its API.
    pub major_api_version: u32,
    /// When it may be used.
    pub valid_for: TimeRange,
    /// Who runs it; services of one operator count as one.
    pub operator: String,
}

/// How many services of a kind are used (`ServiceConfiguration`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Selector {
    /// One of them.
    Any,
    /// Every one.
    All,
    /// This many.
    Exact(u32),
}

impl core::fmt::Display for Selector {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Any => f.write_str("ANY"),
            Self::All => f.write_str("ALL"),
            Self::Exact(count) => write!(f, "EXACT:{count}"),
        }
    }
}

impl core::str::FromStr for Selector {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "ANY" => Ok(Self::Any),
            "ALL" => Ok(Self::All),
            _ => text
                .strip_prefix("EXACT:")
                .and_then(|count| count.parse().ok())
                .filter(|count| *count > 0)
                .map(Self::Exact)
                .ok_or_else(|| {
                    let shown: String = text.chars().take(60).collect();
                    ParseError::new(
                        "service selector",
                        format!("{shown:?} is none of ANY, ALL, EXACT:n with n of at least 1"),
                    )
                }),
        }
    }
}

/// Why no service can be chosen.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SelectError {
    /// None may be used now, in a version that is spoken here.
    #[error(
        "the signing configuration has no {kind} that may be used at {now} with API version {}: of {given} none is \
         both valid then and of such a version",
        versions(supported)
    )]
    None {
        /// What was looked for.
        kind: &'static str,
        /// When.
        now: Timestamp,
        /// The versions that are spoken.
        supported: Vec<u32>,
        /// How many services the configuration has.
        given: usize,
    },
    /// Fewer than the selector demands.
    #[error(
        "the signing configuration demands {wanted} {kind}s of different operators, and {found} may be used"
    )]
    TooFew {
        /// What was looked for.
        kind: &'static str,
        /// How many are demanded.
        wanted: u32,
        /// How many there are.
        found: usize,
    },
    /// There are services, and no word on how many to use.
    #[error(
        "the signing configuration names a {kind} and not how many to use (selector ANY, ALL or EXACT)"
    )]
    NoSelector {
        /// What was looked for.
        kind: &'static str,
    },
}

fn versions(supported: &[u32]) -> String {
    let list: Vec<String> = supported.iter().map(ToString::to_string).collect();
    list.join(" or ")
}

/// The services to use at `now`, newest first. `kind` is for messages, e.g. `transparency log`.
///
/// Services that are not valid at `now` do not count. Of the versions in `supported` the highest that a valid service
/// has is used, and only services of that version. They are ordered by the start of their validity, newest first (as in
/// the document where equal), and of each operator the first remains. `ANY` takes the first of these, `EXACT:n` the
/// first n, `ALL` all: the choice is the same on every run, so that a failure can be repeated.
///
/// # Errors
/// If none remains, or fewer than the selector demands. An empty list is no error: nothing is to be used.
pub fn select<'a>(
    kind: &'static str,
    services: &'a [Service],
    selector: Selector,
    now: Timestamp,
    supported: &[u32],
) -> Result<Vec<&'a Service>, SelectError> {
    if services.is_empty() {
        return Ok(Vec::new());
    }
    let mut usable: Vec<&Service> = services
        .iter()
        .filter(|service| {
            service.valid_for.contains(now) && supported.contains(&service.major_api_version)
        })
        .collect();
    let newest = usable.iter().map(|service| service.major_api_version).max();
    usable.retain(|service| Some(service.major_api_version) == newest);
    // A stable sort: the document's order decides between equals.
    usable.sort_by_key(|service| core::cmp::Reverse(service.valid_for.start));
    let mut chosen: Vec<&Service> = Vec::new();
    for service in usable {
        if !chosen
            .iter()
            .any(|other| other.operator == service.operator)
        {
            chosen.push(service);
        }
    }
    if chosen.is_empty() {
        return Err(SelectError::None {
            kind,
            now,
            supported: supported.to_vec(),
            given: services.len(),
        });
    }
    match selector {
        Selector::Any => chosen.truncate(1),
        Selector::All => {}
        Selector::Exact(wanted) => {
            let count = usize::try_from(wanted).unwrap_or(usize::MAX);
            if count > chosen.len() {
                return Err(SelectError::TooFew {
                    kind,
                    wanted,
                    found: chosen.len(),
                });
            }
            chosen.truncate(count);
        }
    }
    Ok(chosen)
}

impl SigningConfig {
    /// The certificate authority to use, if there is one. Fulcio's API is version 1 here, whatever its paths say.
    ///
    /// # Errors
    /// See [`select`].
    pub fn ca(&self, now: Timestamp, supported: &[u32]) -> Result<Option<&Service>, SelectError> {
        let kind = "certificate authority";
        select(kind, &self.ca_urls, Selector::Any, now, supported).map(first)
    }

    /// The OpenID provider to use, if there is one.
    ///
    /// # Errors
    /// See [`select`].
    pub fn oidc(&self, now: Timestamp, supported: &[u32]) -> Result<Option<&Service>, SelectError> {
        let kind = "OpenID provider";
        select(kind, &self.oidc_urls, Selector::Any, now, supported).map(first)
    }

    /// The transparency logs to use.
    ///
    /// # Errors
    /// See [`select`]; also if there are logs and no selector.
    pub fn rekor(&self, now: Timestamp, supported: &[u32]) -> Result<Vec<&Service>, SelectError> {
        let kind = "transparency log";
        let selector = demanded(kind, &self.rekor_tlog_urls, self.rekor_tlog_config)?;
        select(kind, &self.rekor_tlog_urls, selector, now, supported)
    }

    /// The timestamp authorities to use.
    ///
    /// # Errors
    /// See [`select`]; also if there are authorities and no selector.
    pub fn tsa(&self, now: Timestamp, supported: &[u32]) -> Result<Vec<&Service>, SelectError> {
        let kind = "timestamp authority";
        let selector = demanded(kind, &self.tsa_urls, self.tsa_config)?;
        select(kind, &self.tsa_urls, selector, now, supported)
    }

    /// Parses a signing configuration, version 0.2 or 0.1. A version 0.1 has one certificate authority and one provider,
    /// and says neither API versions (1 then) nor how many services are used (one).
    ///
    /// # Errors
    /// If it is not JSON of this shape, its media type is another, a service has no URL or version, a range ends before
    /// it begins, a selector is unknown, or it is over a bound.
    pub fn parse(json: &[u8]) -> Result<Self, ParseError> {
        json::parse(json)
    }

    /// The compact protobuf JSON form, with the fields in the order of the specification.
    pub fn to_json(&self) -> Vec<u8> {
        json::write(self)
    }
}

fn first(chosen: Vec<&Service>) -> Option<&Service> {
    chosen.into_iter().next()
}

fn demanded(
    kind: &'static str,
    services: &[Service],
    selector: Option<Selector>,
) -> Result<Selector, SelectError> {
    match selector {
        Some(selector) => Ok(selector),
        None if services.is_empty() => Ok(Selector::Any),
        None => Err(SelectError::NoSelector { kind }),
    }
}
