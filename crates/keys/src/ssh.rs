//! Keys and signatures of OpenSSH, as transparency logs take them: lines of `authorized_keys` files (sshd(8)) and what
//! `ssh-keygen -Y sign -n file` writes (SSHSIG).
//! <https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig>
//!
//! Invariant: a key or signature that is taken is in the one encoding that Go gives it, so that the canonical form is
//! that of Rekor.

mod key;
mod signature;

pub use key::PublicKey;
pub use signature::Signature;

use crate::Error;

/// The strings of a message (RFC 4251, section 5), one after the other.
struct Strings<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Strings<'a> {
    fn of(rest: &'a [u8], what: &'static str) -> Self {
        Self { rest, what }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| self.malformed("it is cut off"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, Error> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))
    }

    fn string(&mut self) -> Result<&'a [u8], Error> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    /// A positive number in its only encoding: Go would write another one otherwise.
    fn mpint(&mut self) -> Result<&'a [u8], Error> {
        match self.string()? {
            [0, rest @ ..] if rest.first().is_some_and(|byte| *byte >= 0x80) => Ok(rest),
            number @ [1..0x80, ..] => Ok(number),
            _ => Err(self.malformed("a number is negative, zero, or longer than it must be")),
        }
    }

    fn end(&self) -> Result<(), Error> {
        match self.rest {
            [] => Ok(()),
            _ => Err(self.malformed("there is more in it than belongs there")),
        }
    }

    fn malformed(&self, reason: &str) -> Error {
        Error::Malformed {
            what: self.what,
            reason: reason.to_owned(),
        }
    }
}

fn put(string: &[u8], to: &mut Vec<u8>) {
    // Files are bounded to 64 KiB.
    to.extend((string.len() as u32).to_be_bytes());
    to.extend_from_slice(string);
}
