//! `k8s://NAMESPACE/SECRET`.

use core::fmt;

/// The form, for messages.
const FORM: &str = "k8s://NAMESPACE/SECRET";
/// The longest name of a namespace: a label of DNS (RFC 1123).
const MAX_LABEL: usize = 63;
/// The longest name of a secret: a name of DNS.
const MAX_NAME: usize = 253;

/// A secret.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Reference {
    /// The namespace it is in.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Reference {
    /// What follows the scheme.
    pub(crate) fn parse(rest: &str) -> Result<Self, String> {
        let parts: Vec<&str> = rest.split('/').collect();
        let (namespace, name) = match parts[..] {
            [namespace, name] => (namespace, name),
            [name] if !name.is_empty() => {
                return Err(format!("the namespace or the secret is missing: {FORM}"));
            }
            [""] => return Err(format!("the form is {FORM}")),
            ["", ..] => return Err(format!("there is a slash too many: {FORM}")),
            [_, _, "secrets" | "secret", _] | [_, "secrets" | "secret", _] => {
                return Err(format!("the word secrets is left out: {FORM}"));
            }
            _ => {
                return Err(format!(
                    "it has {} parts, and the form is {FORM}",
                    parts.len()
                ));
            }
        };
        if !is_label(namespace) || namespace.len() > MAX_LABEL {
            return Err(format!(
                "{namespace:?} cannot be the name of a namespace; the form is {FORM}"
            ));
        }
        if !name.split('.').all(is_label) || name.len() > MAX_NAME {
            return Err(format!(
                "{name:?} cannot be the name of a secret; the form is {FORM}"
            ));
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

/// Small letters, digits, and hyphens inside.
fn is_label(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(legal) && !text.starts_with('-') && !text.ends_with('-')
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "k8s://{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_text_is_taken_for() {
        for (text, expected) in [
            ("demo/release", Ok("k8s://demo/release")),
            ("kube-system/a.b-c.d", Ok("k8s://kube-system/a.b-c.d")),
            (
                "release",
                Err("the namespace or the secret is missing: k8s://NAMESPACE/SECRET"),
            ),
            (
                "/demo/release",
                Err("there is a slash too many: k8s://NAMESPACE/SECRET"),
            ),
            ("", Err("the form is k8s://NAMESPACE/SECRET")),
            (
                "demo/secrets/release",
                Err("the word secrets is left out: k8s://NAMESPACE/SECRET"),
            ),
            (
                "a/b/c/d/e",
                Err("it has 5 parts, and the form is k8s://NAMESPACE/SECRET"),
            ),
            (
                "Demo/release",
                Err(
                    "\"Demo\" cannot be the name of a namespace; the form is k8s://NAMESPACE/SECRET",
                ),
            ),
            (
                "demo/",
                Err("\"\" cannot be the name of a secret; the form is k8s://NAMESPACE/SECRET"),
            ),
            (
                "demo/a..b",
                Err("\"a..b\" cannot be the name of a secret; the form is k8s://NAMESPACE/SECRET"),
            ),
            (
                "demo/..",
                Err("\"..\" cannot be the name of a secret; the form is k8s://NAMESPACE/SECRET"),
            ),
            (
                "demo/a?b",
                Err("\"a?b\" cannot be the name of a secret; the form is k8s://NAMESPACE/SECRET"),
            ),
        ] {
            let found = Reference::parse(text).map(|reference| reference.to_string());
            assert_eq!(
                found,
                expected.map(str::to_owned).map_err(str::to_owned),
                "{text}"
            );
        }
    }
}
