//! Identity tokens, and who a certificate may be issued to for one.
//!
//! Pure functions of bytes: no I/O, no clock; times are seconds since 1970 that the caller passes in. Parsing and
//! deciding are apart: a [`Token`] is what somebody sent, [`Claims`] are what an issuer signed, and an [`Identity`] is
//! what a CA's [`Configuration`] makes of them.

mod claims;
mod configuration;
mod issuer;
mod jwk;
mod principal;
mod providers;
mod rule;
mod template;
mod token;

pub use claims::Claims;
pub use configuration::{Changes, Checked, Configuration, ConfigurationError, Finding};
pub use issuer::{Issuer, IssuerType};
pub use jwk::{Jwk, JwkError, KeySet, MAX_KEYS};
pub use principal::{Identity, Refusal};
pub use rule::{Rule, RuleError};
pub use token::{Expected, MAX_TOKEN, SigningAlgorithm, Token, TokenError};
