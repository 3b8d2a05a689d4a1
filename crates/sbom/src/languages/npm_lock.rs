//! What npm and pnpm pin: `package-lock.json` and `npm-shrinkwrap.json` of all three versions, `pnpm-lock.yaml`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::input;
use super::npm::package;
use super::yarn;
use crate::file::{Content, File, Reader};
use crate::package::Package;

/// How deep dependencies of dependencies may stand in a lock of version 1. Deeper ones are left out; `serde_json`
/// refuses documents that are deeper than four times that.
const MAX_DEPTH: usize = 32;

/// The reader of a lock file.
pub(super) fn reader(file: &File<'_>) -> Option<Reader> {
    match file.name() {
        "package-lock.json" | "npm-shrinkwrap.json" => Some(npm),
        "pnpm-lock.yaml" => Some(pnpm),
        "yarn.lock" => Some(yarn::read),
        _ => None,
    }
}

/// <https://docs.npmjs.com/cli/v11/configuring-npm/package-lock-json>
#[derive(Deserialize)]
struct Lock {
    name: Option<String>,
    version: Option<String>,
    packages: Option<BTreeMap<String, Locked>>,
    dependencies: Option<BTreeMap<String, Nested>>,
}

/// A package by the folder where it is installed: versions 2 and 3.
#[derive(Deserialize)]
struct Locked {
    name: Option<String>,
    version: Option<String>,
    #[serde(default)]
    link: bool,
    license: Option<serde_json::Value>,
    dependencies: Option<BTreeMap<String, IgnoredAny>>,
}

/// A package by its name, with those that only it has: version 1.
#[derive(Deserialize)]
struct Nested {
    version: Option<String>,
    requires: Option<serde_json::Value>,
    dependencies: Option<BTreeMap<String, Self>>,
}

fn npm(_: &File<'_>, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let lock: Lock = input::json(content, input::MAX_LOCK)?;
    let Some(locked) = lock.packages else {
        let own = lock.name.as_deref().and_then(input::name);
        let version = lock.version.as_deref().and_then(input::name);
        let mut packages: Vec<Package> =
            own.map(|name| package(name, version)).into_iter().collect();
        nested(lock.dependencies.unwrap_or_default(), 0, &mut packages);
        return Ok(packages);
    };
    let read = |(folder, locked): (String, Locked)| {
        // A link stands beside the folder that it leads to, which is listed too.
        let named = match locked.name.as_deref() {
            Some(name) => Some(name),
            None if folder.is_empty() => lock.name.as_deref(),
            None => folder.rsplit("node_modules/").next(),
        };
        let name = named.filter(|_| !locked.link).and_then(input::name)?;
        let mut package = package(name, locked.version.as_deref().and_then(input::name));
        let licence = locked.license.as_ref().and_then(|value| value.as_str());
        package.licences = licence
            .and_then(input::name)
            .map(str::to_owned)
            .into_iter()
            .collect();
        package.depends_on = input::names(locked.dependencies.unwrap_or_default().into_keys());
        Some(package)
    };
    Ok(locked.into_iter().filter_map(read).collect())
}

fn nested(dependencies: BTreeMap<String, Nested>, depth: usize, packages: &mut Vec<Package>) {
    for (name, entry) in dependencies {
        let version = entry.version.as_deref().and_then(input::name);
        // An alias, `npm:NAME@VERSION`, is another package under this name.
        let (name, version) = match version.and_then(|version| version.strip_prefix("npm:")) {
            Some(alias) => {
                split(alias).map_or((alias, None), |(name, version)| (name, Some(version)))
            }
            None => (&*name, version),
        };
        if let Some(name) = input::name(name) {
            let mut package = package(name, version);
            if let Some(requires) = entry.requires.as_ref().and_then(|value| value.as_object()) {
                package.depends_on = input::names(requires.keys());
            }
            packages.push(package);
        }
        if depth < MAX_DEPTH {
            nested(entry.dependencies.unwrap_or_default(), depth + 1, packages);
        }
    }
}

/// `NAME@VERSION`, of which the name may begin with another at sign.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let at = text.char_indices().skip(1).find(|(_, c)| *c == '@')?.0;
    Some((&text[..at], &text[at + 1..]))
}

/// <https://github.com/pnpm/spec/tree/master/lockfile>
#[derive(Deserialize)]
struct PnpmLock {
    #[serde(default)]
    packages: Option<BTreeMap<String, Option<PnpmEntry>>>,
}

#[derive(Deserialize)]
struct PnpmEntry {
    name: Option<String>,
    version: Option<String>,
    dependencies: Option<BTreeMap<String, IgnoredAny>>,
}

fn pnpm(_: &File<'_>, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let text = input::text(content, input::MAX_LOCK)?;
    let lock: PnpmLock =
        serde_saphyr::from_str(&text).map_err(|error| input::wrong("YAML", error))?;
    let read = |(key, entry): (String, Option<PnpmEntry>)| {
        let entry = entry.as_ref();
        let (by_key, version_by_key) = pnpm_key(&key).unwrap_or((&key, ""));
        let name = entry.and_then(|entry| entry.name.as_deref());
        let version = entry.and_then(|entry| entry.version.as_deref());
        let version = input::name(version.unwrap_or(version_by_key));
        let mut package = package(input::name(name.unwrap_or(by_key))?, version);
        let needs = entry.and_then(|entry| entry.dependencies.as_ref());
        package.depends_on = needs.map_or_else(Vec::new, |map| input::names(map.keys()));
        Some(package)
    };
    let mut packages: Vec<Package> = lock
        .packages
        .unwrap_or_default()
        .into_iter()
        .filter_map(read)
        .collect();
    // One version with several sets of peers is there several times.
    packages.dedup_by(|one, other| one.purl == other.purl);
    Ok(packages)
}

/// The name and the version in a key: `/name/1.0.0_peers` until version 5, `/name@1.0.0(peers)` in 6, without the slash
/// from 9 on.
fn pnpm_key(key: &str) -> Option<(&str, &str)> {
    let key = key.split('(').next()?;
    let bare = key.strip_prefix('/').unwrap_or(key);
    if let Some((name, version)) = split(bare)
        && !name.trim_start_matches('@').contains("//")
        && name.matches('/').count() <= usize::from(name.starts_with('@'))
    {
        return Some((name, version));
    }
    let (name, version) = bare.rsplit_once('/')?;
    Some((name, version.split('_').next()?))
}

#[cfg(test)]
mod tests {
    use super::super::Scan::Directory;
    use super::super::tests::{read, told};
    use super::*;

    #[test]
    fn a_lock_of_each_version_is_read() {
        let v1 = br#"{"name":"app","version":"0.1.0","lockfileVersion":1,"dependencies":{
            "a":{"version":"1.0.0","requires":{"@s/b":"^2"},"dependencies":{"@s/b":{"version":"2.0.0"}}},
            "alias":{"version":"npm:@s/real@3.0.0"}}}"#;
        assert_eq!(
            told("package-lock.json", Directory, v1),
            [
                "app 0.1.0 pkg:npm/app@0.1.0",
                "a 1.0.0 pkg:npm/a@1.0.0",
                "@s/b 2.0.0 pkg:npm/%40s/b@2.0.0",
                "@s/real 3.0.0 pkg:npm/%40s/real@3.0.0",
            ]
        );
        let v3 = br#"{"name":"app","lockfileVersion":3,"packages":{
            "":{"name":"app","version":"0.1.0","dependencies":{"a":"^1"}},
            "node_modules/a":{"version":"1.0.0","license":"MIT","dependencies":{"@s/b":"^2"}},
            "node_modules/a/node_modules/@s/b":{"version":"2.0.0","dev":true,"inBundle":true},
            "node_modules/alias":{"name":"real","version":"3.0.0"},
            "node_modules/work":{"resolved":"packages/work","link":true},
            "packages/work":{"name":"work","version":"4.0.0"}},
            "dependencies":{"a":{"version":"1.0.0"}}}"#;
        assert_eq!(
            told("app/npm-shrinkwrap.json", Directory, v3),
            [
                "app 0.1.0 pkg:npm/app@0.1.0",
                "a 1.0.0 pkg:npm/a@1.0.0",
                "@s/b 2.0.0 pkg:npm/%40s/b@2.0.0",
                "real 3.0.0 pkg:npm/real@3.0.0",
                "work 4.0.0 pkg:npm/work@4.0.0",
            ]
        );
    }

    #[test]
    fn a_lock_of_pnpm_of_each_age_is_read() {
        for keys in [
            ["/a/1.0.0_b@2.0.0", "/@s/b/2.0.0"],
            ["/a@1.0.0(@s/b@2.0.0)", "/@s/b@2.0.0"],
            ["a@1.0.0", "'@s/b@2.0.0'"],
        ] {
            let text = format!(
                "lockfileVersion: '9.0'\n\nimporters:\n  .: {{}}\n\npackages:\n\n  {}:\n    resolution: {{integrity: sha512-x}}\n    \
                 dependencies:\n      '@s/b': 2.0.0\n\n  {}:\n    engines: {{node: '>=6'}}\n",
                keys[0], keys[1]
            );
            let mut packages = told("pnpm-lock.yaml", Directory, text.as_bytes());
            packages.sort();
            assert_eq!(
                packages,
                ["@s/b 2.0.0 pkg:npm/%40s/b@2.0.0", "a 1.0.0 pkg:npm/a@1.0.0"]
            );
        }
        assert!(told("pnpm-lock.yaml", Directory, b"lockfileVersion: 5.4\n").is_empty());
    }

    #[test]
    fn names_with_a_scope_are_told_from_versions() {
        assert_eq!(split("@a/b@1"), Some(("@a/b", "1")));
        assert_eq!(split("a@npm:^1"), Some(("a", "npm:^1")));
        for none in ["", "@", "@a/b", "a"] {
            assert_eq!(split(none), None);
        }
    }

    #[test]
    fn depth_is_bounded() {
        let mut text = String::new();
        for _ in 0..60 {
            text.push_str(r#"{"dependencies":{"a":"#);
        }
        let deep = format!("{text}{{}}{}", "}}".repeat(60));
        let error = read("package-lock.json", Directory, deep.as_bytes());
        let packages = error.expect("serde_json reads 120 levels");
        assert_eq!(packages.len(), MAX_DEPTH + 1);
        let deeper = format!("{text}{text}{{}}{}", "}}".repeat(120));
        read("package-lock.json", Directory, deeper.as_bytes()).expect_err("too deep");
        for (path, content) in [
            ("pnpm-lock.yaml", &b"a: [\n"[..]),
            ("pnpm-lock.yaml", b"- a"),
            ("package-lock.json", b"7"),
        ] {
            read(path, Directory, content).expect_err("it is wrong");
        }
    }
}
