//! The search for a target: pre-order, depth first, each role once (5.6.7 of the specification).
//!
//! Pure: it says which role is to be asked next, and is told what that role says. An entry is kept with the
//! delegations that it comes from, because they say who must sign it.

use std::collections::BTreeSet;

use super::delegation::Delegations;
use super::keys::Signers;
use super::metadata::shown;
use super::targets::{TargetFile, TargetsBody};

/// More delegations than this are not followed, as in the reference client: each costs a file.
const MAX_DELEGATIONS: usize = 32;

/// A search that is under way.
pub(super) struct Search<'a> {
    target: &'a str,
    visited: BTreeSet<String>,
    /// The next one is the last.
    to_visit: Vec<Candidate>,
    /// Of the roles that were visited.
    delegations: Vec<(String, Delegations)>,
}

/// A role that may know the target.
pub(super) struct Candidate {
    pub(super) name: String,
    /// Whose delegation leads here.
    from: usize,
}

impl<'a> Search<'a> {
    /// A search that begins after the top-level role, which must be told first.
    pub(super) fn new(target: &'a str) -> Self {
        Self {
            target,
            visited: BTreeSet::new(),
            to_visit: Vec::new(),
            delegations: Vec::new(),
        }
    }

    /// What the role `name` says: the target, or whom to ask.
    pub(super) fn tell<'b>(&mut self, name: &str, says: &'b TargetsBody) -> Option<&'b TargetFile> {
        if let Some(found) = says.targets.get(self.target) {
            return Some(found);
        }
        self.visited.insert(name.to_owned());
        if let Some(delegations) = &says.delegations {
            let from = self.delegations.len();
            let mut children = Vec::new();
            for delegate in delegations.of_target(self.target) {
                children.push(Candidate {
                    name: delegate.name,
                    from,
                });
                if delegate.terminating {
                    // What was to come after is not asked any more.
                    self.to_visit.clear();
                    break;
                }
            }
            self.to_visit.extend(children.into_iter().rev());
            self.delegations
                .push((name.to_owned(), delegations.clone()));
        }
        None
    }

    /// The role to ask next.
    pub(super) fn next(&mut self) -> Option<Candidate> {
        while self.visited.len() <= MAX_DELEGATIONS {
            let next = self.to_visit.pop()?;
            // A cycle, or a second way to the same role.
            if !self.visited.contains(&next.name) {
                return Some(next);
            }
        }
        None
    }

    /// Whose signatures count for a role that is to be asked.
    pub(super) fn signers(&self, candidate: &Candidate) -> Option<Signers<'_>> {
        let (name, delegations) = self.delegations.get(candidate.from)?;
        let by = format!("the targets role {}", shown(name));
        delegations.signers(&candidate.name, by)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    type Delegated<'a> = (&'a str, &'a [(&'a str, &'a str, bool)]);

    /// Roles, and to whom they delegate what and whether finally; the order in which they are asked for a target.
    fn order(graph: &[Delegated<'_>], target: &str) -> Vec<String> {
        let graph: BTreeMap<&str, Value> = graph
            .iter()
            .map(|(name, delegates)| {
                let roles: Vec<Value> = delegates
                    .iter()
                    .map(|(name, path, terminating)| {
                        json!({
                            "name": name, "keyids": [], "threshold": 1,
                            "paths": [path], "terminating": terminating,
                        })
                    })
                    .collect();
                (*name, json!({"delegations": {"keys": {}, "roles": roles}}))
            })
            .collect();
        let body = |name: &str| -> TargetsBody {
            let json = graph.get(name).cloned().unwrap_or_else(|| json!({}));
            serde_json::from_value(json).unwrap()
        };
        let mut search = Search::new(target);
        let mut asked = Vec::new();
        search.tell("targets", &body("targets"));
        while let Some(next) = search.next() {
            search.tell(&next.name, &body(&next.name));
            asked.push(next.name);
        }
        asked
    }

    #[test]
    fn roles_are_asked_in_the_order_of_trust() {
        let any = |name| (name, "*", false);
        for (what, graph, expected) in [
            ("nobody", &[][..], &[][..]),
            ("one", &[("targets", &[any("A")][..])], &["A"]),
            (
                "depth before breadth",
                &[
                    ("targets", &[any("A"), any("B")]),
                    ("A", &[any("C"), any("D")]),
                    ("B", &[any("E")]),
                ],
                &["A", "C", "D", "B", "E"],
            ),
            (
                "a cycle",
                &[
                    ("targets", &[any("A")]),
                    ("A", &[any("B")]),
                    ("B", &[any("A"), any("targets"), any("B")]),
                ],
                &["A", "B"],
            ),
            (
                "two ways to one",
                &[
                    ("targets", &[any("A"), any("B")]),
                    ("A", &[any("C")]),
                    ("B", &[any("C")]),
                ],
                &["A", "C", "B"],
            ),
            (
                "an end among brothers",
                &[
                    ("targets", &[any("A"), ("B", "*", true), any("C")]),
                    ("B", &[any("D")]),
                ],
                &["A", "B", "D"],
            ),
            (
                "an end below ends all",
                &[
                    ("targets", &[any("A"), any("B")]),
                    ("A", &[("C", "*", true), any("D")]),
                ],
                &["A", "C"],
            ),
            (
                "an end for other targets is none",
                &[("targets", &[("A", "other/*", true), any("B")])],
                &["B"],
            ),
        ] {
            assert_eq!(order(graph, "file"), expected, "{what}");
        }
    }

    #[test]
    fn a_chain_without_end_ends() {
        let names: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let next: Vec<[(&str, &str, bool); 1]> = names
            .iter()
            .map(|name| [(name.as_str(), "*", false)])
            .collect();
        let mut graph: Vec<Delegated<'_>> = vec![("targets", &next[0])];
        for (at, name) in names.iter().enumerate().take(99) {
            graph.push((name, &next[at + 1]));
        }
        assert_eq!(order(&graph, "file").len(), MAX_DELEGATIONS);
    }
}
