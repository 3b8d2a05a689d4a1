//! Key pairs in CI/CD variables of a GitLab project, as cosign keeps them: `COSIGN_PRIVATE_KEY`, `COSIGN_PUBLIC_KEY` and
//! `COSIGN_PASSWORD` ([the interface](https://docs.gitlab.com/api/project_level_variables/)).
//!
//! Invariant: the token goes to the host of `GITLAB_HOST` alone, and is in no message.

pub(crate) mod reference;
#[cfg(feature = "gitlab")]
mod variables;

pub use reference::Reference;
#[cfg(feature = "gitlab")]
pub(crate) use variables::{read, store};
