//! Tokens that are good for one certificate, and were used.
//!
//! Kept in memory until they expire: identity tokens live for minutes.

use std::collections::HashMap;
use std::sync::Mutex;

use sealmark_formats::digest::sha256;

use crate::locks::lock;

/// Tokens that are remembered. When there are more, no further one is accepted until some have expired: forgetting one
/// would make it good again.
const MAX_REMEMBERED: usize = 1_000_000;

/// Digests of used tokens, with the time when they expire.
#[derive(Default)]
pub(super) struct UsedTokens(Mutex<HashMap<[u8; 32], i64>>);

/// Why a token is not taken.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Unusable {
    /// It was used.
    Used,
    /// There is no room to remember it.
    Full,
}

impl UsedTokens {
    /// Uses a token, if it was not used before; `token` is what its issuer signed.
    pub(super) fn use_up(&self, token: &str, expires: i64, now: i64) -> Result<(), Unusable> {
        let mut used = lock(&self.0);
        if used.len() >= MAX_REMEMBERED {
            used.retain(|_, expires| *expires > now);
            if used.len() >= MAX_REMEMBERED {
                return Err(Unusable::Full);
            }
        }
        match used.insert(sha256(token.as_bytes()), expires) {
            None => Ok(()),
            Some(_) => Err(Unusable::Used),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_used_once() {
        let used = UsedTokens::default();
        assert_eq!(used.use_up("a", 100, 0), Ok(()));
        assert_eq!(used.use_up("a", 100, 0), Err(Unusable::Used));
        assert_eq!(used.use_up("b", 100, 0), Ok(()));
    }
}
