//! `github://OWNER/REPOSITORY`.

use core::fmt;

const FORM: &str = "github://OWNER/REPOSITORY";
/// The longest name of an owner or a repository: GitHub's is 100.
const MAX_NAME: usize = 100;

/// A repository.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Reference {
    /// The user or the organisation.
    pub owner: String,
    /// The repository's name.
    pub repository: String,
}

impl Reference {
    /// What follows the scheme.
    pub(crate) fn parse(rest: &str) -> Result<Self, String> {
        let Some((owner, repository)) = rest.trim_end_matches('/').split_once('/') else {
            return Err(format!(
                "the form is {FORM}; secrets of an organisation are not supported, gh secret set --org writes them"
            ));
        };
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        for name in [owner, repository] {
            let dots = name.chars().all(|c| c == '.');
            if dots || !name.chars().all(legal) || name.len() > MAX_NAME {
                return Err(format!(
                    "{name:?} cannot be the name of an owner or a repository; the form is {FORM}"
                ));
            }
        }
        Ok(Self {
            owner: owner.to_owned(),
            repository: repository.to_owned(),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "github://{}/{}", self.owner, self.repository)
    }
}
