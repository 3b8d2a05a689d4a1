//! The list of crates that a program is made of, in its section `.dep-v0`: any scanner that knows cargo-auditable reads it.
//!
//! <https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md>

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde_json::{Value, json};

use crate::process::{self, Outcome, cargo};

/// What the section has: JSON, packed.
pub(super) fn section(checkout: &Path, target: &str) -> Outcome<Vec<u8>> {
    let mut metadata = cargo(checkout);
    metadata.args(["metadata", "--locked", "--format-version", "1"]);
    let text = process::succeed(metadata.args(["--filter-platform", target]))?;
    let metadata: Value = serde_json::from_str(&text)
        .map_err(|error| format!("cargo metadata is no JSON: {error}"))?;
    let list = list(&metadata).ok_or("cargo metadata does not have what it should")?;
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    packed
        .write_all(list.to_string().as_bytes())
        .and_then(|()| packed.finish())
        .map_err(|error| format!("cannot pack the list of crates: {error}").into())
}

/// The crates that `sealmark` leads to, sorted by name and version; tests' are left out.
fn list(metadata: &Value) -> Option<Value> {
    let packages: BTreeMap<&str, &Value> = metadata["packages"]
        .as_array()?
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()?
        .iter()
        .filter_map(|node| Some((node["id"].as_str()?, node)))
        .collect();
    let (root, _) = packages
        .iter()
        .find(|(_, package)| package["name"] == "sealmark")?;
    let needs = |id: &str, kind: &Value| -> Vec<&str> {
        let all = nodes.get(id).and_then(|node| node["deps"].as_array());
        let has = |needed: &&Value| {
            let kinds = needed["dep_kinds"].as_array();
            kinds.is_some_and(|kinds| kinds.iter().any(|one| &one["kind"] == kind))
        };
        let all = all.into_iter().flatten().filter(has);
        all.filter_map(|needed| needed["pkg"].as_str()).collect()
    };
    let (normal, build) = (Value::Null, Value::from("build"));
    let reach = |from: Vec<&str>, kinds: &[&Value]| {
        let mut reached = BTreeSet::new();
        let mut next: Vec<String> = from.into_iter().map(str::to_owned).collect();
        while let Some(id) = next.pop() {
            if reached.contains(&id) {
                continue;
            }
            for kind in kinds {
                next.extend(needs(&id, kind).into_iter().map(str::to_owned));
            }
            reached.insert(id);
        }
        reached
    };
    let inside = reach(vec![root], &[&normal]);
    let all = reach(vec![root], &[&normal, &build]);
    let mut sorted: Vec<(&str, &str, &str)> = all
        .iter()
        .filter_map(|id| {
            let (id, package) = packages.get_key_value(id.as_str())?;
            Some((package["name"].as_str()?, package["version"].as_str()?, *id))
        })
        .collect();
    sorted.sort_unstable();
    let place = |id: &str| sorted.iter().position(|(_, _, other)| *other == id);
    let entries: Vec<Value> = sorted
        .iter()
        .map(|(name, version, id)| {
            let mut needed: Vec<usize> = needs(id, &normal)
                .into_iter()
                .chain(needs(id, &build))
                .filter_map(place)
                .collect();
            needed.sort_unstable();
            needed.dedup();
            let source = match packages[id]["source"].as_str() {
                Some(source) if source.starts_with("registry+") => "crates.io",
                Some(_) => "git",
                None => "local",
            };
            let mut entry = json!({"name": name, "version": version, "source": source});
            if !inside.contains(*id) {
                entry["kind"] = build.clone();
            }
            if !needed.is_empty() {
                entry["dependencies"] = needed.into();
            }
            if id == root {
                entry["root"] = true.into();
            }
            entry
        })
        .collect();
    Some(json!({"packages": entries}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_builds_is_marked_and_what_only_tests_is_left_out() {
        let dep = |id: &str, kind: Value| json!({"pkg": id, "dep_kinds": [{"kind": kind}]});
        let package = |id: &str, source: Value| json!({"id": id, "name": id, "version": "1.0.0", "source": source});
        let registry = Value::from("registry+https://example.test");
        let metadata = json!({
            "packages": [
                package("sealmark", Value::Null), package("lib", registry.clone()),
                package("cc", registry.clone()), package("deep", registry.clone()), package("proptest", registry),
            ],
            "resolve": {"nodes": [
                {"id": "sealmark", "deps": [dep("lib", Value::Null), dep("proptest", "dev".into())]},
                {"id": "lib", "deps": [dep("cc", "build".into())]},
                {"id": "cc", "deps": [dep("deep", Value::Null)]},
                {"id": "deep", "deps": []}, {"id": "proptest", "deps": []},
            ]},
        });
        let expected = json!({"packages": [
            {"name": "cc", "version": "1.0.0", "source": "crates.io", "kind": "build", "dependencies": [1]},
            {"name": "deep", "version": "1.0.0", "source": "crates.io", "kind": "build"},
            {"name": "lib", "version": "1.0.0", "source": "crates.io", "dependencies": [0]},
            {"name": "sealmark", "version": "1.0.0", "source": "local", "dependencies": [2], "root": true},
        ]});
        assert_eq!(list(&metadata).unwrap(), expected);
    }
}
