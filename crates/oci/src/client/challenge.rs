//! What a registry asks for in `WWW-Authenticate`, and which rights we ask for in turn.
//!
//! Invariant: parsing never fails, since other challenges may stand beside one that is not understood; a challenge that
//! cannot be answered is passed over.
//!
//! RFC 9110 section 11.6.1, <https://distribution.github.io/distribution/spec/auth/scope/>

use std::collections::{BTreeSet, HashMap};

use url::Url;

/// A right on a repository.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Scope {
    pub(super) repository: String,
    /// In the order in which docker's client writes them.
    pub(super) actions: &'static [&'static str],
}

impl Scope {
    pub(super) fn pull(repository: &str) -> Self {
        Self {
            repository: repository.to_owned(),
            actions: &["pull"],
        }
    }

    pub(super) fn push(repository: &str) -> Self {
        Self {
            repository: repository.to_owned(),
            actions: &["pull", "push"],
        }
    }

    pub(super) fn delete(repository: &str) -> Self {
        Self {
            repository: repository.to_owned(),
            actions: &["delete", "pull", "push"],
        }
    }

    pub(super) fn text(&self) -> String {
        format!("repository:{}:{}", self.repository, self.actions.join(","))
    }
}

/// One challenge of a `WWW-Authenticate` header. Scheme and names are in lower case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Challenge {
    scheme: String,
    parameters: HashMap<String, String>,
}

/// How a registry wants to be asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Demand {
    Basic,
    Bearer {
        realm: Url,
        service: Option<String>,
        extra_scope: Option<String>,
    },
}

/// Chooses among challenges: a token if there is one, since its rights are narrower than a password's.
pub(super) fn demand(headers: &[&str], scopes: &[Scope]) -> Option<Demand> {
    let challenges: Vec<Challenge> = headers
        .iter()
        .flat_map(|header| parse_challenges(header))
        .collect();
    let bearer = challenges
        .iter()
        .filter(|challenge| challenge.scheme == "bearer");
    for challenge in bearer {
        let realm = challenge
            .parameters
            .get("realm")
            .and_then(|realm| Url::parse(realm).ok());
        let Some(realm) = realm.filter(|realm| matches!(realm.scheme(), "http" | "https")) else {
            continue;
        };
        // Most registries name the scope that is asked for anyway; some need one of their own form.
        let extra_scope = challenge.parameters.get("scope").filter(|scope| {
            !scope.is_empty() && !scopes.iter().any(|ours| covers(&ours.text(), scope))
        });
        return Some(Demand::Bearer {
            realm,
            service: challenge.parameters.get("service").cloned(),
            extra_scope: extra_scope.cloned(),
        });
    }
    challenges
        .iter()
        .any(|challenge| challenge.scheme == "basic")
        .then_some(Demand::Basic)
}

/// A token for `have` is good for `want`.
pub(super) fn covers(have: &str, want: &str) -> bool {
    let (Some((have, more)), Some((want, less))) = (have.rsplit_once(':'), want.rsplit_once(':'))
    else {
        return have == want;
    };
    let more: BTreeSet<&str> = more.split(',').collect();
    have == want && less.split(',').all(|action| more.contains(action))
}

/// Longest header that is looked at.
const MAX_CHALLENGE: usize = 8192;

/// Several challenges may stand in one header, separated by the same comma as their parameters: a word without `=`
/// starts a new one.
fn parse_challenges(header: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    if header.len() > MAX_CHALLENGE {
        return challenges;
    }
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        let end = rest.find(['=', ' ', ',', '\t']).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        if word.is_empty() {
            // A stray `=`, or the end.
            match rest.strip_prefix('=') {
                Some(tail) => rest = tail,
                None => return challenges,
            }
            continue;
        }
        let after = tail.trim_start_matches([' ', '\t']);
        match after.strip_prefix('=') {
            Some(value) => {
                let (value, tail) = parameter_value(value.trim_start_matches([' ', '\t']));
                if let Some(challenge) = challenges.last_mut() {
                    challenge
                        .parameters
                        .entry(word.to_ascii_lowercase())
                        .or_insert(value);
                }
                rest = tail;
            }
            None => {
                let scheme = word.to_ascii_lowercase();
                challenges.push(Challenge {
                    scheme,
                    parameters: HashMap::new(),
                });
                rest = tail;
            }
        }
    }
}

fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        let (value, tail) = text.split_at(end);
        return (value.to_owned(), tail);
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, &quoted[at + 1..]),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_header_is_read(header in "[ -~]{0,80}", word in "(Bearer |Basic |realm=|\"|,|=|\\\\| |x){0,20}") {
            parse_challenges(&header);
            for challenge in parse_challenges(&word) {
                prop_assert!(!challenge.scheme.is_empty());
            }
        }
    }

    fn bearer(realm: &str, service: Option<&str>, extra: Option<&str>) -> Option<Demand> {
        Some(Demand::Bearer {
            realm: Url::parse(realm).unwrap(),
            service: service.map(str::to_owned),
            extra_scope: extra.map(str::to_owned),
        })
    }

    #[test]
    fn challenges_as_registries_write_them() {
        let scopes = [Scope::pull("a/b")];
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull""#;
        let hub_demand = bearer(
            "https://auth.docker.io/token",
            Some("registry.docker.io"),
            None,
        );
        for (headers, expected) in [
            (vec![hub], hub_demand.clone()),
            (vec![r#"Basic realm="Registry Realm""#], Some(Demand::Basic)),
            // Several headers, and several challenges in one.
            (vec![r#"Basic realm="x""#, hub], hub_demand.clone()),
            (
                vec![r#"Basic realm="x, y=z", Bearer realm="https://r/t""#],
                bearer("https://r/t", None, None),
            ),
            (vec![r#"Negotiate, Basic realm=x"#], Some(Demand::Basic)),
            (
                vec![r#"bearer REALM = "https://r/t" , Service=s"#],
                bearer("https://r/t", Some("s"), None),
            ),
            (
                vec![r#"Bearer realm="https://r/t",scope="registry:catalog:*""#],
                bearer("https://r/t", None, Some("registry:catalog:*")),
            ),
            // A realm that is no URL, or none of HTTP.
            (
                vec![r#"Bearer realm="file:///etc/passwd", Basic realm="x""#],
                Some(Demand::Basic),
            ),
            (vec![r#"Bearer realm="/token""#], None),
            (vec!["Bearer"], None),
            (vec![r#"Digest realm="x""#], None),
            (vec![""], None),
            (
                vec![r#"Bearer realm="https://r/t\"x"#],
                bearer("https://r/t%22x", None, None),
            ),
            (vec![",=,=="], None),
        ] {
            assert_eq!(demand(&headers, &scopes), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_wider_token_covers_a_narrower_wish() {
        for (have, want, expected) in [
            ("repository:a:pull,push", "repository:a:pull", true),
            (
                "repository:a:delete,pull,push",
                "repository:a:pull,push",
                true,
            ),
            ("repository:a:pull", "repository:a:pull,push", false),
            ("repository:a:pull", "repository:b:pull", false),
            ("repository:h:5/a:pull", "repository:h:5/a:pull", true),
        ] {
            assert_eq!(covers(have, want), expected, "{have} {want}");
        }
    }
}
