//! Java: archives with everything in them, and `pom.xml` of a project.
//!
//! An archive built by Maven says what it is, and so do those that were poured into it. What was built otherwise is
//! known by its manifest, and by the name of its file.

use std::collections::BTreeMap;
use std::io::Cursor;

use super::input;
use super::manifest::Manifest;
use super::pom::{Coordinates, Pom};
use super::zip::{self, Entry};
use crate::file::{Content, File, Reader};
use crate::package::{Ecosystem, Package, Purl};

/// What an archive may be called.
const ENDINGS: [&str; 8] = [
    ".jar", ".war", ".ear", ".par", ".sar", ".nar", ".jpi", ".hpi",
];
/// Archives in archives: a library in a web application in an enterprise application, and one to spare.
const MAX_DEPTH: usize = 4;
/// Bytes of an archive in an archive, which is in memory while it is read.
const MAX_NESTED: u64 = 128 << 20;
/// Bytes that are unpacked of one file for archives in it, all together: some seconds' work.
const MAX_UNPACKED: u64 = 1 << 30;
/// Bytes of a manifest, `pom.properties` or `pom.xml`. Manifests with a checksum of every file have some MiB.
const MAX_FILE: u64 = input::MAX_DESCRIPTION;

/// The reader of an archive.
pub(super) fn archive(file: &File<'_>) -> Option<Reader> {
    let zip = file.head.starts_with(b"PK") || file.head.starts_with(b"#!");
    let name = file.name().to_ascii_lowercase();
    let called = ENDINGS.iter().any(|ending| name.ends_with(ending));
    (called && zip).then_some(read as Reader)
}

/// The reader of a project.
pub(super) fn project(file: &File<'_>) -> Option<Reader> {
    (file.name() == "pom.xml").then_some(read_project as Reader)
}

fn package(coordinates: &Coordinates) -> Option<Package> {
    let name = input::name(&coordinates.artifact)?;
    let version = input::name(&coordinates.version);
    // Where no group is known, other tools take the name for it: Maven has no packages without one.
    let group = input::name(&coordinates.group).unwrap_or(name);
    let purl = Purl::new("maven", Some(group), name, version);
    Some(Package::new(Ecosystem::Maven, name, version, purl))
}

fn read(file: &File<'_>, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let mut packages = Vec::new();
    let mut left = MAX_UNPACKED;
    unpack(file.name(), content, 0, &mut left, &mut packages)?;
    Ok(packages)
}

/// What the names of an archive's entries say of them.
fn is_archive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn is_pom(name: &str, file: &str) -> bool {
    let inside = name.strip_prefix("META-INF/maven/");
    inside
        .and_then(|path| path.strip_suffix(file))
        .is_some_and(|path| path.matches('/').count() == 2)
}

fn unpack(
    name: &str,
    content: &mut dyn Content,
    depth: usize,
    left: &mut u64,
    packages: &mut Vec<Package>,
) -> Result<(), String> {
    const MANIFEST: &str = "META-INF/MANIFEST.MF";
    let entries = zip::entries(content, |name| {
        name.eq_ignore_ascii_case(MANIFEST)
            || is_pom(name, "pom.properties")
            || is_pom(name, "pom.xml")
            || is_archive(name)
    })?;
    let mut text = |entry: &Entry| {
        let bytes = entry.unpack(content, MAX_FILE)?;
        Ok::<_, String>(String::from_utf8_lossy(&bytes).into_owned())
    };
    // By the folder, of which each has one file or both.
    let mut projects: BTreeMap<&str, (Coordinates, Vec<String>)> = BTreeMap::new();
    let mut manifest = None;
    for entry in &entries {
        if entry.name.eq_ignore_ascii_case(MANIFEST) {
            manifest = Some(Manifest::read(&text(entry)?));
        } else if let Some(folder) = entry.name.strip_suffix("pom.properties") {
            projects.entry(folder).or_default().0 = properties(&text(entry)?);
        } else if let Some(folder) = entry.name.strip_suffix("pom.xml") {
            let pom = Pom::read(&text(entry)?);
            let project = projects.entry(folder).or_default();
            project.1 = pom.licences;
            if project.0.artifact.is_empty() {
                project.0 = pom.own;
            }
        }
    }
    let projects: Vec<_> = projects.into_values().collect();
    packages.extend(own(name, manifest.as_ref(), &projects));
    packages.extend(projects.iter().filter_map(|(coordinates, licences)| {
        let mut package = package(coordinates)?;
        package.licences = licences
            .iter()
            .filter_map(|text| input::name(text))
            .map(str::to_owned)
            .collect();
        Some(package)
    }));
    for entry in entries.iter().filter(|entry| is_archive(&entry.name)) {
        if depth == MAX_DEPTH {
            return Err(format!(
                "not supported: archives {MAX_DEPTH} deep in others"
            ));
        }
        let bytes = entry.unpack(content, MAX_NESTED.min(*left))?;
        *left -= bytes.len() as u64;
        let inner = entry.name.rsplit('/').next().unwrap_or_default();
        // One broken library in a program costs no other.
        if let Err(error) = unpack(inner, &mut Cursor::new(bytes), depth + 1, left, packages)
            && *left == 0
        {
            return Err(error);
        }
    }
    Ok(())
}

/// The archive itself, unless one of the projects in it is what it was built from.
fn own(
    name: &str,
    manifest: Option<&Manifest>,
    projects: &[(Coordinates, Vec<String>)],
) -> Option<Package> {
    let (stem, version) = file_name(name);
    // Beside it stand those that were poured into it.
    let built = |(project, _): &(Coordinates, _)| project.artifact == stem;
    if projects.iter().any(built) {
        return None;
    }
    let says = |keys: &[&str]| manifest.and_then(|manifest| manifest.first(keys));
    let version = version.or_else(|| {
        says(&[
            "Implementation-Version",
            "Bundle-Version",
            "Specification-Version",
            "Plugin-Version",
        ])
    });
    // Without a manifest and a version, it is an archive of whatever.
    if manifest.is_none() && version.is_none() {
        return None;
    }
    let bundle =
        says(&["Bundle-SymbolicName", "Automatic-Module-Name"]).filter(|name| name.contains('.'));
    let group = says(&["Implementation-Vendor-Id"]).or_else(|| {
        let bundle = bundle?;
        let without = bundle
            .strip_suffix(stem)
            .and_then(|front| front.strip_suffix('.'));
        Some(without.unwrap_or(bundle))
    });
    let mut package = package(&Coordinates {
        group: group.unwrap_or_default().to_owned(),
        artifact: stem.to_owned(),
        version: version.unwrap_or_default().to_owned(),
    })?;
    package.licences = says(&["Bundle-License"])
        .map(str::to_owned)
        .into_iter()
        .collect();
    package.supplier = says(&["Implementation-Vendor", "Bundle-Vendor"]).map(str::to_owned);
    Some(package)
}

/// The name and the version in `name-1.2.3.jar`.
fn file_name(name: &str) -> (&str, Option<&str>) {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let digit = |at: &usize| stem[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    match stem.match_indices('-').map(|(at, _)| at).find(digit) {
        Some(at) => (&stem[..at], Some(&stem[at + 1..])),
        None => (stem, None),
    }
}

/// `pom.properties`: lines of `key=value`.
fn properties(text: &str) -> Coordinates {
    let mut coordinates = Coordinates::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        coordinates.set(key.trim(), value.trim().to_owned());
    }
    coordinates
}

/// What a project depends on, where it says which version.
fn read_project(_: &File<'_>, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let pom = Pom::read(&input::text(content, MAX_FILE)?);
    let mut packages: Vec<Package> = pom.dependencies.iter().filter_map(package).collect();
    if let Some(mut own) = package(&pom.own) {
        own.licences = pom.licences;
        own.depends_on = packages
            .iter()
            .map(|package| package.name.clone())
            .collect();
        packages.insert(0, own);
    }
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::super::Scan::{Directory, Image};
    use super::super::tests::{read, told};
    use super::super::zip::tests::archive;
    use super::*;

    const PROPERTIES: &[u8] = b"#Generated by Maven\n#Mon Jan 05 2026\r\nversion=2.0.1\r\ngroupId=org.example\r\nartifactId=one\r\n";

    #[test]
    fn an_archive_is_known_by_what_maven_put_into_it() {
        let pom = b"<project><groupId>g</groupId><artifactId>a</artifactId><version>1</version><licenses><license><name>MIT</name></license></licenses></project>";
        let jar = archive(&[
            (
                "META-INF/MANIFEST.MF",
                b"Manifest-Version: 1.0\r\nImplementation-Version: 9\r\n",
            ),
            ("META-INF/maven/org.example/one/pom.properties", PROPERTIES),
            ("META-INF/maven/org.example/one/pom.xml", pom),
        ]);
        let packages = read("lib/one-2.0.1.jar", Image, &jar).expect("it can be read");
        assert_eq!(packages.len(), 1);
        assert_eq!(
            packages[0].purl.to_string(),
            "pkg:maven/org.example/one@2.0.1"
        );
        assert_eq!(packages[0].licences, ["MIT"]);
        let xml = archive(&[("META-INF/maven/g/a/pom.xml", pom)]);
        assert_eq!(told("x.jar", Image, &xml), ["a 1 pkg:maven/g/a@1"]);
        assert_eq!(
            told("x-2.jar", Image, &xml),
            ["x 2 pkg:maven/x/x@2", "a 1 pkg:maven/g/a@1"]
        );
    }

    #[test]
    fn an_archive_that_maven_did_not_build_is_known_by_its_manifest_and_its_name() {
        for (name, manifest, package) in [
            (
                "some-lib-1.2-rc1.jar",
                "",
                "some-lib 1.2-rc1 pkg:maven/some-lib/some-lib@1.2-rc1",
            ),
            (
                "plain.jar",
                "Specification-Version: 3\n\nImplementation-Version: 4\n",
                "plain 3 pkg:maven/plain/plain@3",
            ),
            (
                "lang3-3.jar",
                "Bundle-SymbolicName: org.apache.com\n mons.lang3;singleton:=true\n",
                "lang3 3 pkg:maven/org.apache.commons/lang3@3",
            ),
            (
                "bare.war",
                "Implementation-Vendor-Id: org.example\n",
                "bare - pkg:maven/org.example/bare",
            ),
        ] {
            let jar = archive(&[("META-INF/MANIFEST.MF", manifest.as_bytes())]);
            assert_eq!(told(name, Directory, &jar), [package]);
        }
        assert!(told("whatever.jar", Image, &archive(&[("a.class", b"")])).is_empty());
    }

    #[test]
    fn libraries_in_programs_are_found_and_no_deeper_than_bounded() {
        let library = archive(&[("META-INF/maven/org.example/one/pom.properties", PROPERTIES)]);
        let program = archive(&[
            ("META-INF/MANIFEST.MF", b"Implementation-Version: 7\n"),
            ("BOOT-INF/lib/one-2.0.1.jar", &library),
            ("BOOT-INF/lib/broken-1.jar", b"PK"),
            ("BOOT-INF/lib/two-3.jar", &archive(&[])),
        ]);
        assert_eq!(
            told("app.jar", Image, &program),
            [
                "app 7 pkg:maven/app/app@7",
                "one 2.0.1 pkg:maven/org.example/one@2.0.1",
                "two 3 pkg:maven/two/two@3",
            ]
        );
        let mut deep = library;
        for _ in 0..MAX_DEPTH + 3 {
            deep = archive(&[("inner.jar", &deep)]);
        }
        assert!(told("deep.jar", Image, &deep).is_empty());
    }

    #[test]
    fn a_project_is_read() {
        let pom = b"<project><groupId>g</groupId><artifactId>a</artifactId><version>1</version><dependencies>\
            <dependency><groupId>h</groupId><artifactId>b</artifactId><version>2</version></dependency></dependencies></project>";
        assert_eq!(
            told("pom.xml", Directory, pom),
            ["a 1 pkg:maven/g/a@1", "b 2 pkg:maven/h/b@2"]
        );
    }
}
