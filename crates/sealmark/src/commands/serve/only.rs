//! `--only`: which services are served.

use std::collections::BTreeSet;

use sealmark_server::instance::Part;

use crate::error::Error;

/// A service.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(super) enum Which {
    /// The transparency log
    Log,
    /// The certificate authority
    Ca,
    /// The CT log, which has what the certificate authority issues
    Ct,
    /// The timestamp authority
    Tsa,
    /// The TUF repository, which hands out trusted roots
    Tuf,
    /// The issuer of identities for development
    Oidc,
    /// A witness: cosigns the checkpoints of logs
    Witness,
}

/// What is served.
pub(super) enum Only {
    Everything,
    /// A log, in a directory that has nothing else.
    Log,
    Witness,
    Parts(BTreeSet<Part>),
}

impl Only {
    /// What these services are together; nothing named is everything.
    pub(super) fn of(which: &[Which]) -> Result<Self, Error> {
        match which {
            [] => Ok(Self::Everything),
            [Which::Log] => Ok(Self::Log),
            [Which::Witness] => Ok(Self::Witness),
            several => {
                let part = |which: &Which| match which {
                    Which::Log => Some(Part::Log),
                    Which::Ca => Some(Part::Ca),
                    Which::Ct => Some(Part::Ct),
                    Which::Tsa => Some(Part::Tsa),
                    Which::Tuf => Some(Part::Tuf),
                    Which::Oidc => Some(Part::Oidc),
                    Which::Witness => None,
                };
                let parts: Option<BTreeSet<_>> = several.iter().map(part).collect();
                parts.map(Self::Parts).ok_or_else(|| {
                    let message =
                        "--only witness goes alone; a log is also a witness with --witness";
                    Error::Usage(message.to_owned())
                })
            }
        }
    }

    /// The services, if they are some of an instance.
    pub(super) fn parts(&self) -> Option<&BTreeSet<Part>> {
        match self {
            Self::Parts(parts) => Some(parts),
            _ => None,
        }
    }
}
