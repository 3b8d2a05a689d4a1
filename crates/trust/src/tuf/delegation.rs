//! Delegations: which roles may speak of which targets, and by whose signature.
//! <https://theupdateframework.github.io/specification/latest/#file-formats-targets>; bins that a number of bits
//! describes: <https://github.com/theupdateframework/taps/blob/master/tap15.md>.

use std::collections::BTreeSet;

use sealmark_formats::Digest;
use serde::Deserialize;

use super::keys::{KeysJson, RoleKeys, Signers};
use super::metadata::shown;

/// Names that only root delegates to.
const TOP_LEVEL: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Delegations {
    #[serde(default)]
    keys: KeysJson,
    roles: Option<Vec<DelegatedRole>>,
    succinct_roles: Option<SuccinctRoles>,
}

#[derive(Clone, Debug, Deserialize)]
struct DelegatedRole {
    name: String,
    #[serde(flatten)]
    keys: RoleKeys,
    #[serde(default)]
    terminating: bool,
    paths: Option<Vec<String>>,
    path_hash_prefixes: Option<Vec<String>>,
}

#[derive(Clone, Debug, Deserialize)]
struct SuccinctRoles {
    #[serde(flatten)]
    keys: RoleKeys,
    bit_length: u32,
    name_prefix: String,
}

/// A role that may speak of a target.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Delegate {
    pub(super) name: String,
    /// Whether no other role is to be asked after it.
    pub(super) terminating: bool,
}

impl Delegations {
    /// Whether they can be followed, or why not.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.roles.is_some() && self.succinct_roles.is_some() {
            return Err("it delegates both to roles and to succinct_roles".to_owned());
        }
        let mut names = BTreeSet::new();
        for role in self.roles.iter().flatten() {
            let wrong = |reason: &str| format!("the delegation to {}: {reason}", shown(&role.name));
            if role.name.is_empty() || TOP_LEVEL.contains(&role.name.as_str()) {
                return Err(wrong("only root may name such a role"));
            }
            if !names.insert(&role.name) {
                return Err(wrong("there are two of this name"));
            }
            if role.paths.is_some() && role.path_hash_prefixes.is_some() {
                return Err(wrong("it has both paths and path_hash_prefixes"));
            }
            role.keys.check().map_err(|reason| wrong(&reason))?;
        }
        if let Some(bins) = &self.succinct_roles {
            let wrong = |reason: String| format!("succinct_roles: {reason}");
            if !(1..=32).contains(&bins.bit_length) {
                let reason = format!("bit_length {} is not 1 to 32", bins.bit_length);
                return Err(wrong(reason));
            }
            bins.keys.check().map_err(wrong)?;
        }
        Ok(())
    }

    /// The roles that may speak of `target`, the most trusted first.
    pub(super) fn of_target(&self, target: &str) -> Vec<Delegate> {
        let roles = self.roles.iter().flatten();
        let mut delegates: Vec<Delegate> = roles
            .filter(|role| role.may_speak_of(target))
            .map(|role| Delegate {
                name: role.name.clone(),
                terminating: role.terminating,
            })
            .collect();
        if let Some(bins) = &self.succinct_roles {
            delegates.push(Delegate {
                name: bins.bin_of(target),
                terminating: true,
            });
        }
        delegates
    }

    /// Whose signatures count for the delegated role `name`; `by` says who delegates.
    pub(super) fn signers(&self, name: &str, by: String) -> Option<Signers<'_>> {
        let mut roles = self.roles.iter().flatten();
        let role = match &self.succinct_roles {
            // Only names that `of_target` made are asked for.
            Some(bins) => &bins.keys,
            None => &roles.find(|role| role.name == name)?.keys,
        };
        Some(Signers {
            keys: &self.keys,
            role,
            by,
        })
    }
}

impl DelegatedRole {
    fn may_speak_of(&self, target: &str) -> bool {
        if let Some(prefixes) = &self.path_hash_prefixes {
            let hash = Digest::sha256(target.as_bytes()).hex();
            return prefixes.iter().any(|prefix| hash.starts_with(prefix));
        }
        let paths = self.paths.iter().flatten();
        paths.into_iter().any(|pattern| is_match(pattern, target))
    }
}

impl SuccinctRoles {
    /// The bin whose number is the first bits of the hash of the target's path.
    fn bin_of(&self, target: &str) -> String {
        let digest = Digest::sha256(target.as_bytes());
        let first = digest.bytes().iter().take(4);
        let first = first.fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let number = first >> (32 - self.bit_length);
        let digits = (self.bit_length as usize).div_ceil(4);
        format!("{}-{number:0digits$x}", self.name_prefix)
    }
}

/// A shell's pattern: `*`, `?`, `[seq]` and `[!seq]`, none of which is a `/`.
fn is_match(pattern: &str, target: &str) -> bool {
    let mut patterns = pattern.split('/');
    let mut parts = target.split('/');
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) => {
                let pattern: Vec<char> = pattern.chars().collect();
                let part: Vec<char> = part.chars().collect();
                if !is_part_match(&pattern, &part) {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// Goes back to the last `*` only, so that time is bounded by the product of the lengths.
fn is_part_match(pattern: &[char], part: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < part.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p + 1, t));
            p += 1;
            continue;
        }
        match one(&pattern[p..], part[t]) {
            Some(length) => {
                p += length;
                t += 1;
            }
            None => match &mut star {
                Some((after, from)) => {
                    *from += 1;
                    (p, t) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// How long the piece of the pattern is that matches this character, if it does.
fn one(pattern: &[char], character: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match class(pattern) {
            Some((length, matches)) => matches(character).then_some(length),
            None => (character == '[').then_some(1),
        },
        literal => (*literal == character).then_some(1),
    }
}

/// The class that `pattern` begins with: its length, and what it matches. A bracket that is never closed is none.
fn class(pattern: &[char]) -> Option<(usize, impl Fn(char) -> bool)> {
    let negated = pattern.get(1) == Some(&'!');
    let start = 1 + usize::from(negated);
    // A bracket that comes first is one of the characters.
    let end = (start + 1..pattern.len()).find(|at| pattern[*at] == ']')?;
    let characters = &pattern[start..end];
    let matches = move |character: char| {
        let mut rest = characters;
        let mut found = false;
        while let [first, after @ ..] = rest {
            if let ['-', last, beyond @ ..] = after {
                found |= (*first..=*last).contains(&character);
                rest = beyond;
            } else {
                found |= *first == character;
                rest = after;
            }
        }
        found != negated
    };
    Some((end + 1, matches))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, target, expected) in [
            ("targets/*.tgz", "targets/foo.tgz", true),
            ("targets/*.tgz", "targets/foo.txt", false),
            ("foo-version-?.tgz", "foo-version-2.tgz", true),
            ("foo-version-?.tgz", "foo-version-alpha.tgz", false),
            ("*.tgz", "foo.tgz", true),
            ("*.tgz", "targets/foo.tgz", false),
            ("foo.tgz", "foo.tgz", true),
            ("foo.tgz", "Foo.tgz", false),
            ("*", "", true),
            ("**", "ab", true),
            ("*/*", "a/b", true),
            ("*/*", "a", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "é", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[!a-c]x", "dx", true),
            ("[]]", "]", true),
            ("[a", "[a", true),
            ("[a/b]", "a/b", false),
            ("*[0-9].txt", "file12.txt", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(is_match(pattern, target), expected, "{pattern} {target}");
        }
    }

    #[test]
    fn a_pattern_of_stars_ends_soon() {
        let pattern = "*a".repeat(1000) + "b";
        assert!(!is_match(&pattern, &"a".repeat(4000)));
    }

    #[test]
    fn bins_are_numbered_by_the_first_bits() {
        // SHA-256 of "file": 3b9c358f…
        for (bits, expected) in [
            (1, "bin-0"),
            (2, "bin-0"),
            (4, "bin-3"),
            (5, "bin-07"),
            (10, "bin-0ee"),
            (16, "bin-3b9c"),
            (32, "bin-3b9c358f"),
        ] {
            let bins = SuccinctRoles {
                keys: RoleKeys {
                    keyids: Vec::new(),
                    threshold: 1,
                },
                bit_length: bits,
                name_prefix: "bin".to_owned(),
            };
            assert_eq!(bins.bin_of("file"), expected);
        }
    }
}
