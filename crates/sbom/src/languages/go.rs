//! Modules of Go: what one is as a package, and `go.mod`.
//!
//! <https://go.dev/ref/mod#go-mod-file>

use std::collections::BTreeMap;

use super::input;
use crate::file::{Content, File, Reader};
use crate::package::{Ecosystem, Package, Purl};

/// The reader of a project's own file.
pub(super) fn reader(file: &File<'_>) -> Option<Reader> {
    (file.name() == "go.mod").then_some(read as Reader)
}

/// A module. Its package URL has two parts as namespace, one as name, and the rest as a path below.
/// <https://github.com/package-url/purl-spec/blob/main/types-doc/golang-definition.md>
pub(super) fn package(path: &str, version: Option<&str>) -> Package {
    let mut parts = path.splitn(4, '/');
    let (first, second, third) = (parts.next(), parts.next(), parts.next());
    let namespace = match (first, second, third) {
        (Some(first), Some(second), Some(_)) => Some(format!("{first}/{second}")),
        (Some(first), Some(_), None) => Some(first.to_owned()),
        _ => None,
    };
    let name = third.or(second).or(first).unwrap_or(path);
    let purl = Purl::new("golang", namespace.as_deref(), name, version);
    let purl = purl.below(parts.next().unwrap_or_default());
    Package::new(Ecosystem::Go, path, version, purl)
}

/// Go's own library, of the version that Go has: `go1.26.5`.
pub(super) fn standard_library(version: &str) -> Package {
    let bare = version.strip_prefix("go").unwrap_or(version);
    let purl = Purl::new("golang", None, "stdlib", Some(bare));
    let mut package = Package::new(Ecosystem::Go, "stdlib", Some(version), purl);
    package.licences = vec!["BSD-3-Clause".to_owned()];
    package
}

/// Whether a replacement is a folder, and so no module that anybody else could name.
pub(super) fn is_folder(path: &str) -> bool {
    path.starts_with(['.', '/'])
}

fn read(_: &File<'_>, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let text = input::text(content, input::MAX_LOCK)?;
    let mut required: BTreeMap<(&str, &str), (&str, &str)> = BTreeMap::new();
    let mut replaced = Vec::new();
    let mut block = None;
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default();
        let words: Vec<&str> = line
            .split_whitespace()
            .map(|word| word.trim_matches(['"', '`']))
            .collect();
        let (verb, words) = match (&words[..], block) {
            ([")"], _) => {
                block = None;
                continue;
            }
            ([verb, "("], _) => {
                block = Some(*verb);
                continue;
            }
            (words, Some(verb)) => (verb, words),
            ([verb, words @ ..], None) => (*verb, words),
            ([], None) => continue,
        };
        match (verb, words) {
            ("require", [path, version]) => {
                required.insert((path, version), (path, version));
            }
            ("replace", [path, "=>", to @ ..]) => replaced.push((*path, None, to.to_vec())),
            ("replace", [path, version, "=>", to @ ..]) => {
                replaced.push((*path, Some(*version), to.to_vec()));
            }
            _ => {}
        }
    }
    for (path, version, to) in &replaced {
        let [to, to_version] = to[..] else { continue };
        for (_, meant) in required
            .iter_mut()
            .filter(|((of, at), _)| of == path && version.is_none_or(|version| version == *at))
        {
            *meant = (to, to_version);
        }
    }
    let read = |(path, version)| Some(package(input::name(path)?, input::name(version)));
    Ok(required.into_values().filter_map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Scan::Directory;
    use super::super::tests::told;
    use super::*;

    #[test]
    fn what_a_project_requires_is_read() {
        let text = b"module example.com/app\n\ngo 1.24.0\n\nrequire example.com/one v1.0.0 // indirect\n\nrequire (\n\
            \tgithub.com/Some/mod/v2 v2.1.0+incompatible\n\t\"gopkg.in/yaml.v3\" v3.0.1\n\t// nothing\n)\n\n\
            replace example.com/one => example.com/fork/deep/er v1.0.1\nreplace (\n\tgopkg.in/yaml.v3 v3.0.1 => ../yaml\n)\n";
        assert_eq!(
            told("app/go.mod", Directory, text),
            [
                "example.com/fork/deep/er v1.0.1 pkg:golang/example.com/fork/deep@v1.0.1#er",
                "github.com/Some/mod/v2 v2.1.0+incompatible pkg:golang/github.com/Some/mod@v2.1.0%2Bincompatible#v2",
                "gopkg.in/yaml.v3 v3.0.1 pkg:golang/gopkg.in/yaml.v3@v3.0.1",
            ]
        );
        assert!(
            told(
                "app/go.mod",
                Directory,
                b"require (\n)\n)\nrequire\nreplace =>\n\xff"
            )
            .is_empty()
        );
    }

    #[test]
    fn go_itself_is_a_package() {
        let package = standard_library("go1.26.5");
        assert_eq!(package.version.as_deref(), Some("go1.26.5"));
        assert_eq!(package.purl.to_string(), "pkg:golang/stdlib@1.26.5");
        assert_eq!(
            super::package("one", None).purl.to_string(),
            "pkg:golang/one"
        );
    }
}
