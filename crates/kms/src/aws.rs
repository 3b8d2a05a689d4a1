//! Keys in AWS KMS.
//!
//! A reference ([`Key`]) is understood in every build; the rest, from settings over credentials to calls, is the
//! feature `aws`. Why it is not AWS's own library: `docs/decisions/0005-aws-kms.md`.

mod reference;

#[cfg(feature = "aws")]
mod calls;
#[cfg(feature = "aws")]
mod config;
#[cfg(feature = "aws")]
mod credentials;
#[cfg(feature = "aws")]
mod endpoint;
#[cfg(feature = "aws")]
mod error;
#[cfg(feature = "aws")]
mod key;
#[cfg(feature = "aws")]
mod refused;
#[cfg(feature = "aws")]
mod sigv4;
#[cfg(feature = "aws")]
mod wrap;

pub use reference::{Arn, Id, Key};

#[cfg(feature = "aws")]
pub use error::{Error, Refusal};
#[cfg(feature = "aws")]
pub(crate) use key::{create, load};
#[cfg(feature = "aws")]
pub(crate) use wrap::{unwrap, wrap};
