//! What depends on what, as `cargo metadata` tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::process::{self, Outcome};

/// A crate in `crates/`.
pub(super) struct Member {
    /// The folder's name, which is the package's without `sealmark-`.
    pub(super) name: String,
    pub(super) folder: PathBuf,
    /// Packages that it names, as normal or build dependency.
    pub(super) uses: Vec<String>,
    /// All packages that these lead to.
    pub(super) leads_to: BTreeSet<String>,
}

/// The workspace's crates and what they depend on.
pub(super) struct Graph {
    pub(super) crates: Vec<Member>,
}

impl Graph {
    pub(super) fn read(checkout: &Path) -> Outcome<Self> {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .args(["metadata", "--format-version", "1", "--quiet"])
            .current_dir(checkout);
        let text = process::succeed(&mut command)?;
        let metadata: Value = serde_json::from_str(&text)
            .map_err(|error| format!("cargo metadata did not print JSON: {error}"))?;
        Ok(Self::new(checkout, &metadata))
    }

    pub(super) fn new(checkout: &Path, metadata: &Value) -> Self {
        let mut names = BTreeMap::new();
        let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for package in array(&metadata["packages"]) {
            names.insert(text(&package["id"]), text(&package["name"]));
        }
        for node in array(&metadata["resolve"]["nodes"]) {
            let normal = array(&node["deps"]).iter().filter(|dependency| {
                array(&dependency["dep_kinds"])
                    .iter()
                    .any(|kind| kind["kind"].is_null())
            });
            edges.insert(
                text(&node["id"]),
                normal.map(|dependency| text(&dependency["pkg"])).collect(),
            );
        }
        let folder = checkout.join("crates");
        let mut crates = Vec::new();
        for package in array(&metadata["packages"]) {
            let Some(parent) = Path::new(text(&package["manifest_path"])).parent() else {
                continue;
            };
            if parent.parent() != Some(folder.as_path()) {
                continue;
            }
            let name = text(&package["name"]);
            let uses = array(&package["dependencies"])
                .iter()
                .filter(|dependency| dependency["kind"] != "dev")
                .map(|dependency| text(&dependency["name"]).to_owned());
            crates.push(Member {
                name: short(name).to_owned(),
                folder: parent.to_path_buf(),
                uses: uses.collect(),
                leads_to: reachable(text(&package["id"]), &names, &edges),
            });
        }
        Self { crates }
    }
}

fn reachable(
    start: &str,
    names: &BTreeMap<&str, &str>,
    edges: &BTreeMap<&str, Vec<&str>>,
) -> BTreeSet<String> {
    let mut seen = BTreeSet::from([start]);
    let mut open = vec![start];
    while let Some(id) = open.pop() {
        for next in edges.get(id).map_or(&[][..], Vec::as_slice) {
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    seen.remove(start);
    seen.iter()
        .filter_map(|id| names.get(id))
        .map(|name| (*name).to_owned())
        .collect()
}

/// `formats` for `sealmark-formats`; the roof is `sealmark` itself.
pub(super) fn short(package: &str) -> &str {
    package.strip_prefix("sealmark-").unwrap_or(package)
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
