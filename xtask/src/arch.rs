//! `cargo xtask arch`: the architecture's rules, as far as a machine can check them.
//!
//! Invariant: the rules are the tables at the top of this module and of [`text`]; the functions only apply them.

mod graph;
mod text;

use std::path::Path;

use crate::process::Outcome;
use graph::{Graph, Member, short};

/// The floors, lowest first. A crate may use crates on its own floor and below.
const FLOORS: [&[&str]; 4] = [
    &[
        "entries", "formats", "identity", "keys", "tlog", "verify", "x509",
    ],
    &["http", "kms", "oci", "rekor", "sbom", "sign", "trust"],
    &["log", "server"],
    &["conformance", "sealmark"],
];

/// Crates that no other crate may use but for its tests.
const TESTS_ONLY: &[&str] = &["testkit", "virtual"];

/// What no ground crate may lead to, over however many crates: I/O, an async runtime, HTTP.
const NOT_ON_THE_GROUND: &[&str] = &[
    "async-std",
    "axum",
    "h2",
    "hyper",
    "mio",
    "reqwest",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "ureq",
];

/// What only some crates may name as a dependency; a trailing `*` stands for any ending.
const RESERVED: &[(&str, &[&str])] = &[
    ("aws-sdk-kms", &["kms"]),
    ("azure_*", &["kms"]),
    ("cryptoki", &["kms"]),
    ("google-cloud-*", &["kms"]),
    ("vaultrs", &["kms"]),
    ("oci-client", &["oci"]),
    ("oci-distribution", &["oci"]),
];

/// What some crates may not name as a dependency.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("sealmark", &["axum", "hyper", "reqwest"]),
    (
        "log",
        &["axum", "http", "http-body", "hyper", "reqwest", "tower"],
    ),
];

/// Checks every rule; the error lists what breaks one.
pub(crate) fn check(checkout: &Path) -> Outcome<()> {
    let findings = findings(checkout)?;
    for note in &findings.notes {
        println!("note: {note}");
    }
    if findings.broken.is_empty() {
        println!("architecture: {} crates keep every rule", findings.crates);
        return Ok(());
    }
    let count = findings.broken.len();
    Err(format!(
        "the architecture's rules, broken {count} times:\n  {}",
        findings.broken.join("\n  ")
    )
    .into())
}

#[derive(Default)]
struct Findings {
    crates: usize,
    broken: Vec<String>,
    notes: Vec<String>,
}

fn findings(checkout: &Path) -> Outcome<Findings> {
    let graph = Graph::read(checkout)?;
    let mut findings = Findings {
        crates: graph.crates.len(),
        ..Findings::default()
    };
    for member in &graph.crates {
        dependencies(member, &graph, &mut findings);
        text::sources(member, &mut findings)?;
    }
    text::described(checkout, &graph, &mut findings)?;
    text::unwanted_text(checkout, &mut findings)?;
    Ok(findings)
}

fn dependencies(member: &Member, graph: &Graph, findings: &mut Findings) {
    let name = &member.name;
    let Some(floor) = floor(name) else {
        if !TESTS_ONLY.contains(&name.as_str()) {
            let rule = "has no floor: say in xtask/src/arch.rs where it belongs";
            findings.broken.push(format!("crates/{name} {rule}"));
        }
        return;
    };
    for used in &member.uses {
        let inner = graph.crates.iter().find(|other| other.name == short(used));
        if inner.is_some() {
            if TESTS_ONLY.contains(&short(used)) {
                findings
                    .broken
                    .push(format!("{name} depends on {used}, which is for tests only"));
            }
            if self::floor(short(used)).is_some_and(|other| other > floor) {
                findings.broken.push(format!(
                    "{name} depends on {used}, which is on a floor above"
                ));
            }
        }
        for (reserved, owners) in RESERVED {
            if matches(reserved, used) && !owners.contains(&name.as_str()) {
                let owners = owners.join(", ");
                findings.broken.push(format!(
                    "{name} depends on {used}, which only {owners} may use"
                ));
            }
        }
        if forbidden(name).contains(&used.as_str()) {
            findings
                .broken
                .push(format!("{name} depends on {used}, which it must not"));
        }
    }
    if floor == 0 {
        for bad in NOT_ON_THE_GROUND
            .iter()
            .filter(|bad| member.leads_to.contains(**bad))
        {
            let rule = "the ground floor does no I/O";
            findings.broken.push(format!(
                "{name} leads to {bad}: {rule} (cargo tree -i {bad})"
            ));
        }
    }
}

fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&name))
}

fn forbidden(name: &str) -> &'static [&'static str] {
    FORBIDDEN
        .iter()
        .find(|(owner, _)| *owner == name)
        .map_or(&[], |(_, list)| list)
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// A workspace of one crate with these dependencies, beside a `tokio` that `hidden` leads to.
    fn broken_by(name: &str, uses: &[&str]) -> Vec<String> {
        let package = |name: &str, uses: &[&str]| {
            let uses: Vec<Value> = uses
                .iter()
                .map(|used| serde_json::json!({"name": used, "kind": null}))
                .chain([serde_json::json!({"name": "sealmark-testkit", "kind": "dev"})])
                .collect();
            let path = format!("/checkout/crates/{}/Cargo.toml", short(name));
            serde_json::json!({"id": name, "name": name, "manifest_path": path, "dependencies": uses})
        };
        let node = |name: &str, uses: &[&str]| {
            let uses: Vec<Value> = uses
                .iter()
                .map(|used| serde_json::json!({"pkg": used, "dep_kinds": [{"kind": null}]}))
                .collect();
            serde_json::json!({"id": name, "deps": uses})
        };
        let outside = |name: &str| {
            let path = format!("/cargo/{name}/Cargo.toml");
            serde_json::json!({"id": name, "name": name, "manifest_path": path, "dependencies": []})
        };
        let mut packages = vec![package(name, uses), outside("tokio"), outside("hidden")];
        for other in [
            "sealmark-oci",
            "sealmark-formats",
            "sealmark-server",
            "sealmark-testkit",
        ] {
            packages.push(package(other, &[]));
        }
        let nodes = [node(name, uses), node("hidden", &["tokio"])];
        let metadata = serde_json::json!({"packages": packages, "resolve": {"nodes": nodes}});
        let graph = Graph::new(Path::new("/checkout"), &metadata);
        let mut findings = Findings::default();
        dependencies(&graph.crates[0], &graph, &mut findings);
        findings.broken
    }

    #[test]
    fn each_forbidden_dependency_is_found() {
        for (name, used, rule) in [
            ("sealmark-verify", "sealmark-oci", "on a floor above"),
            ("sealmark-oci", "sealmark-server", "on a floor above"),
            ("sealmark-verify", "tokio", "leads to tokio"),
            ("sealmark-tlog", "hidden", "leads to tokio"),
            ("sealmark-oci", "sealmark-testkit", "for tests only"),
            ("sealmark-sign", "azure_identity", "only kms may use"),
            ("sealmark-sign", "aws-sdk-kms", "only kms may use"),
            ("sealmark", "reqwest", "must not"),
            ("sealmark-log", "http", "must not"),
            ("sealmark-unheard", "serde", "has no floor"),
        ] {
            let broken = broken_by(name, &[used]);
            assert!(
                matches!(&broken[..], [one] if one.contains(rule)),
                "{name} {used}: {broken:?}"
            );
        }
    }

    #[test]
    fn each_allowed_dependency_passes() {
        for (name, used) in [
            ("sealmark-verify", "sealmark-formats"),
            ("sealmark-sign", "sealmark-oci"),
            ("sealmark-oci", "reqwest"),
            ("sealmark-kms", "azure_identity"),
            ("sealmark-oci", "hidden"),
            ("sealmark", "sealmark-server"),
        ] {
            assert_eq!(broken_by(name, &[used]), [""; 0], "{name} {used}");
        }
    }

    #[test]
    fn this_checkout_keeps_the_rules() {
        let findings = findings(&crate::checkout()).unwrap();
        assert_eq!(findings.broken, [""; 0], "see `cargo xtask arch`");
    }
}
