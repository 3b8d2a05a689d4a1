//! OpenPGP (RFC 4880, RFC 9580): keyrings, detached signatures and cleartext messages, as transparency logs take them.
//!
//! A log's entry holds a keyring in the canonical form that Rekor gives it, which is what Go's
//! `golang.org/x/crypto/openpgp` reads of it and writes again. So it is read here as there: a key that that package
//! passes over is not in the canonical form, and a keyring that it takes but whose signatures cannot be checked here
//! (DSA, RSA of less than 2048 bits) is refused as a whole, never shortened. Only where Go finds no key at all, those
//! with Ed25519 and X25519 are read too, in the same way.
//!
//! As in Rekor, no time is judged: an expired key signs, because a log says when something was there, not whether it is
//! good. Revoked keys do not sign. A signature over data by SHA-1 is refused; what binds a key's own parts may be one.
//!
//! ```
//! use sealmark_keys::openpgp::KeyRing;
//! let error = KeyRing::parse(b"-----BEGIN PGP").unwrap_err();
//! assert_eq!(error.to_string(), "not a valid OpenPGP key: there is no whole armored block");
//! ```

mod armor;
mod check;
mod cleartext;
mod detached;
mod key;
mod keyring;
mod packet;
mod signature;
mod user_id;

pub use cleartext::Cleartext;
pub use detached::Detached;
pub use keyring::KeyRing;
pub use user_id::is_email;

use crate::Error;

/// Bytes of a keyring or of a file with signatures. Keys with dozens of certifications take some 100 KiB; those with
/// thousands were made to choke programs that read them.
pub const MAX_FILE: usize = 1 << 20;
/// Packets of one file, for the same reason.
const MAX_PACKETS: usize = 4096;
/// Signatures that are checked for one keyring: each may cost as much as a log's whole answer.
const MAX_CHECKS: usize = 256;

/// What is read: as Go does, or more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Dialect {
    /// What `golang.org/x/crypto/openpgp` reads.
    Go,
    /// Ed25519 and X25519, too.
    Curve25519,
}

/// Why a packet or a key is not taken, and what becomes of the others.
#[derive(Debug)]
enum Fault {
    /// Go knows no such thing, and reads on at the next key.
    Unsupported(Error),
    /// Go finds it wrong, and reads on at the next key.
    Structural(Error),
    /// The whole is refused.
    Fatal(Error),
}

impl Fault {
    fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(Error::NotSupported(what.into()))
    }

    fn structural(reason: impl Into<String>) -> Self {
        Self::Structural(malformed("OpenPGP key", reason))
    }

    fn fatal(reason: impl Into<String>) -> Self {
        Self::Fatal(malformed("OpenPGP packet", reason))
    }

    /// It is right, but cannot be checked here.
    fn not_here(what: impl Into<String>) -> Self {
        Self::Fatal(Error::NotSupported(what.into()))
    }

    fn error(self) -> Error {
        match self {
            Self::Unsupported(error) | Self::Structural(error) | Self::Fatal(error) => error,
        }
    }
}

fn malformed(what: &'static str, reason: impl Into<String>) -> Error {
    Error::Malformed {
        what,
        reason: reason.into(),
    }
}
