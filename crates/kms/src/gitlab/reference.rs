//! `gitlab://PROJECT`, by path or by id.

use core::fmt;

const FORM: &str = "gitlab://GROUP/PROJECT or gitlab://PROJECT-ID";
/// The longest path: twenty nested groups with names of GitLab's longest.
const MAX: usize = 2048;

/// A project, or a group.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Reference {
    /// `group/project`, an id, or `group`.
    path: String,
}

impl Reference {
    /// What follows the scheme.
    pub(crate) fn parse(rest: &str) -> Result<Self, String> {
        let path = rest.trim_end_matches('/');
        if path.is_empty() {
            return Err(format!("the project is missing: {FORM}"));
        }
        let legal = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+');
        for part in path.split('/') {
            let dots = part.chars().all(|c| c == '.');
            if dots || !part.chars().all(legal) || path.len() > MAX {
                return Err(format!(
                    "{part:?} cannot be the name of a group or a project; the form is {FORM}"
                ));
            }
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// As one part of a URL's path.
    #[cfg_attr(not(feature = "gitlab"), allow(dead_code, reason = "it is not asked"))]
    pub(super) fn encoded(&self) -> String {
        percent_encoding::utf8_percent_encode(&self.path, percent_encoding::NON_ALPHANUMERIC)
            .to_string()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gitlab://{}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_text_is_taken_for() {
        for (text, name, encoded) in [
            ("acme/app", "gitlab://acme/app", "acme%2Fapp"),
            (
                "acme/team/app.x/",
                "gitlab://acme/team/app.x",
                "acme%2Fteam%2Fapp%2Ex",
            ),
            ("4711", "gitlab://4711", "4711"),
            ("acme", "gitlab://acme", "acme"),
        ] {
            let found = Reference::parse(text).unwrap();
            assert_eq!(
                (found.to_string().as_str(), found.encoded().as_str()),
                (name, encoded)
            );
        }
        for (text, message) in [
            (
                "",
                "the project is missing: gitlab://GROUP/PROJECT or gitlab://PROJECT-ID",
            ),
            (
                "/acme/app",
                "\"\" cannot be the name of a group or a project; the form is gitlab://GROUP/PROJECT or gitlab://PROJECT-ID",
            ),
            (
                "acme/..",
                "\"..\" cannot be the name of a group or a project; the form is gitlab://GROUP/PROJECT or gitlab://PROJECT-ID",
            ),
            (
                "acme/app?x",
                "\"app?x\" cannot be the name of a group or a project; the form is gitlab://GROUP/PROJECT or gitlab://PROJECT-ID",
            ),
        ] {
            assert_eq!(Reference::parse(text).unwrap_err(), message);
        }
    }
}
