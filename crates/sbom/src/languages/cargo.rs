//! Crates of Rust: what cargo-auditable puts into a program, and `Cargo.lock`.
//!
//! <https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md>

use std::io::Read;

use flate2::read::ZlibDecoder;
use serde::Deserialize;

use super::input::{self, exactly};
use super::object::Object;
use crate::file::{Content, File, Reader};
use crate::package::{Ecosystem, Package, Purl};

/// The section that has the list, in every kind of object.
const SECTION: &str = ".dep-v0";
/// Bytes of that section. Lists of the largest known programs have some KiB.
const MAX_PACKED: u64 = 1 << 20;
/// Bytes of the list for each byte of the section, beside [`MIN_UNPACKED`]: lists of names come to a fifth, and what
/// comes to less than this is a bomb.
const MAX_RATIO: u64 = 32;
const MIN_UNPACKED: u64 = 64 << 10;

/// The reader of a project's lock file.
pub(super) fn lock_file(file: &File<'_>) -> Option<Reader> {
    (file.name() == "Cargo.lock").then_some(read_lock as Reader)
}

fn package(name: &str, version: &str) -> Option<Package> {
    let (name, version) = (input::name(name)?, input::name(version));
    let purl = Purl::new("cargo", None, name, version);
    Some(Package::new(Ecosystem::Cargo, name, version, purl))
}

#[derive(Deserialize)]
struct Audit {
    packages: Vec<Audited>,
}

#[derive(Deserialize)]
struct Audited {
    name: String,
    version: String,
    kind: Option<String>,
    #[serde(default)]
    dependencies: Vec<usize>,
}

impl Audited {
    /// What ran while the program was built only is not in it.
    fn is_inside(&self) -> bool {
        self.kind.as_deref() != Some("build")
    }
}

/// The crates in a program; empty if no list of them is in it.
pub(super) fn audited(object: &Object, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let Some(section) = object.section(SECTION) else {
        return Ok(Vec::new());
    };
    if section.size > MAX_PACKED {
        return Err(format!(
            "not supported: {SECTION} of {} bytes",
            section.size
        ));
    }
    let packed = exactly(content, section.offset, section.size)?;
    let max = MIN_UNPACKED + MAX_RATIO * section.size;
    let mut json = Vec::new();
    ZlibDecoder::new(&packed[..])
        .take(max + 1)
        .read_to_end(&mut json)
        .map_err(|error| format!("{SECTION} cannot be unpacked: {error}"))?;
    if json.len() as u64 > max {
        return Err(format!(
            "not supported: {SECTION} of more than {max} bytes unpacked"
        ));
    }
    let audit: Audit =
        serde_json::from_slice(&json).map_err(|error| input::wrong("JSON", error))?;
    let inside = |index: &usize| audit.packages.get(*index).filter(|entry| entry.is_inside());
    let read = |entry: &Audited| {
        let mut package = package(&entry.name, &entry.version)?;
        let needs = entry.dependencies.iter().filter_map(inside);
        package.depends_on = needs
            .filter_map(|entry| input::name(&entry.name))
            .map(str::to_owned)
            .collect();
        Some(package)
    };
    let entries = audit.packages.iter().filter(|entry| entry.is_inside());
    Ok(entries.filter_map(read).collect())
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    #[serde(default)]
    dependencies: Vec<String>,
}

fn read_lock(_: &File<'_>, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let lock: Lock = input::toml(content, input::MAX_LOCK)?;
    let read = |locked: Locked| {
        let mut package = package(&locked.name, &locked.version)?;
        // `name`, or `name version` where there are several of it.
        let needs = locked.dependencies.iter();
        package.depends_on = needs
            .filter_map(|line| line.split(' ').next().and_then(input::name))
            .map(str::to_owned)
            .collect();
        Some(package)
    };
    Ok(lock.package.into_iter().filter_map(read).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::super::Scan::{Directory, Image};
    use super::super::elf::tests::object;
    use super::super::tests::{read, told};
    use super::*;

    fn program(json: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(json).expect("memory can be written");
        object(&[(SECTION, &encoder.finish().expect("memory can be written"))])
    }

    #[test]
    fn the_crates_in_a_program_are_read() {
        let json = br#"{"packages":[{"name":"app","version":"0.1.0","source":"local","dependencies":[1,2,9],"root":true},
            {"name":"cc","version":"1.2.0","source":"crates.io","kind":"build"},
            {"name":"sha2","version":"0.10.9","source":"crates.io","kind":"runtime"}]}"#;
        let program = program(json);
        assert_eq!(
            told("usr/bin/app", Image, &program),
            [
                "app 0.1.0 pkg:cargo/app@0.1.0",
                "sha2 0.10.9 pkg:cargo/sha2@0.10.9"
            ]
        );
        assert_eq!(told("usr/bin/app", Directory, &program).len(), 2);
        let packages = read("app", Image, &program).expect("it can be read");
        assert_eq!(packages[0].depends_on, ["sha2"]);
    }

    #[test]
    fn a_list_that_cannot_be_is_an_error() {
        for (program, reason) in [
            (program(&[b' '; 1 << 20]), "bytes unpacked"),
            (program(b"[]"), "not the JSON"),
            (program(b"{\"packages\":[{}]}"), "not the JSON"),
            (object(&[(SECTION, b"none")]), "cannot be unpacked"),
            (
                object(&[(SECTION, &[0; MAX_PACKED as usize + 1])]),
                ".dep-v0 of 1048577 bytes",
            ),
        ] {
            let error = read("app", Image, &program).expect_err(reason);
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_lock_file_is_read() {
        let lock = b"version = 4\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\ndependencies = [\n \"rand 0.8.5\",\n \"itoa\",\n]\n\n\
            [[package]]\nname = \"itoa\"\nversion = \"1.0.18\"\nsource = \"registry+https://example.com/index\"\nchecksum = \"00\"\n\n\
            [metadata]\n\"checksum a\" = \"00\"\n";
        let packages = read("Cargo.lock", Directory, lock).expect("it can be read");
        assert_eq!(packages[0].depends_on, ["rand", "itoa"]);
        assert_eq!(
            told("Cargo.lock", Directory, lock)[1],
            "itoa 1.0.18 pkg:cargo/itoa@1.0.18"
        );
        read("Cargo.lock", Directory, b"[[package]]\nname = 1").expect_err("a name is text");
    }
}
