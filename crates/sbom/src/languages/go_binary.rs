//! What Go's linker writes into a program: the version of Go, and the modules that it was made of.
//!
//! <https://go.dev/src/debug/buildinfo/buildinfo.go>

use std::sync::LazyLock;

use regex::Regex;

use super::go::{is_folder, package, standard_library};
use super::input::{self, range};
use super::object::{Fields, Object, Range};
use crate::file::Content;
use crate::package::Package;

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// The magic stands at multiples of this.
const ALIGN: usize = 16;
const HEADER: usize = 32;
/// The strings follow the header; before Go 1.18, it had pointers to them.
const INLINE: u8 = 2;
const BIG_ENDIAN: u8 = 1;
/// Bytes of variables in which the magic is looked for where no section is named for it. The linker puts it first, and
/// Go itself looked through 64 KiB for years.
const MAX_SEARCH: u64 = 1 << 20;
/// Bytes of the text about modules: 100 000 of them.
const MAX_TEXT: u64 = 16 << 20;
/// What stands before and after that text.
const MARK: usize = 16;
/// Modules of one program. The largest known have a tenth.
const MAX_MODULES: usize = 20_000;
/// The version of a program that was not built from a released module.
const DEVELOPMENT: &str = "(devel)";

/// The flags with which programs are told their version: `-X main.version=1.2.3`.
static VERSION_FLAG: LazyLock<[Regex; 2]> = LazyLock::new(|| {
    [
        r"\.(?:[gG]it)?(?:[bB]uild)?[vV]er(?:sion)?=(?:\S+/)*v?(\d+\.\d+\.\d+[-\w]*)",
        r"\.[tT]ag=(?:\S+/)*v?(\d+\.\d+\.\d+[-\w]*)",
    ]
    .map(|pattern| Regex::new(pattern).expect("a pattern of this file"))
});

/// The modules of a program, its own first, and Go's own library last; empty if it is none of Go's.
pub(super) fn packages(object: &Object, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let places = ["__go_buildinfo", ".go.buildinfo"]
        .iter()
        .find_map(|name| object.section(name))
        .or_else(|| object.segments.iter().find(|segment| segment.data));
    match places {
        Some(place) => Ok(match find(object, place, content)? {
            Some((go, modules)) => listed(&go, &modules),
            None => Vec::new(),
        }),
        None => Ok(Vec::new()),
    }
}

/// The version of Go, and the text about modules.
fn find(
    object: &Object,
    place: &Range,
    content: &mut dyn Content,
) -> Result<Option<(String, String)>, String> {
    let bytes = range(content, place.offset, place.size.min(MAX_SEARCH))?;
    let mut starts = (0..bytes.len()).step_by(ALIGN);
    let Some(start) = starts.find(|start| bytes[*start..].starts_with(MAGIC)) else {
        return Ok(None);
    };
    let header = bytes
        .get(start..start + HEADER)
        .ok_or("the build information is cut")?;
    let (word, flags) = (header[14], header[15]);
    let (go, modules) = if flags & INLINE != 0 {
        let offset = place.offset + (start + HEADER) as u64;
        let (go, after) = inline(content, offset)?;
        (go, inline(content, after)?.0)
    } else {
        let fields = match flags & BIG_ENDIAN {
            0 => Fields::little(header),
            _ => Fields::big(header),
        };
        let string = |at, content: &mut dyn Content| {
            let address = fields.word(at, word == 8).ok_or("its header is cut")?;
            pointed(object, content, address, flags, word)
        };
        let go = string(16, content)?;
        (go, string(16 + usize::from(word.min(8)), content)?)
    };
    let go = String::from_utf8_lossy(&go).into_owned();
    let inner = modules.len().checked_sub(MARK).and_then(|end| {
        let marked = modules.get(end.checked_sub(1)?) == Some(&b'\n');
        modules.get(MARK..end).filter(|_| marked)
    });
    let modules = String::from_utf8_lossy(inner.unwrap_or_default()).into_owned();
    Ok(Some((go, modules)))
}

/// A string behind its length, and where it ends.
fn inline(content: &mut dyn Content, offset: u64) -> Result<(Vec<u8>, u64), String> {
    let front = range(content, offset, 10)?;
    let mut length = 0_u64;
    let size = front.iter().position(|byte| byte & 0x80 == 0);
    let size = size.ok_or("the build information has a length without end")?;
    for byte in front[..=size].iter().rev() {
        length = length.checked_shl(7).unwrap_or(0) | u64::from(byte & 0x7f);
    }
    let start = offset + size as u64 + 1;
    let bytes = text(length, |length| input::exactly(content, start, length))?;
    Ok((bytes, start.saturating_add(length)))
}

/// A string behind a pointer to its own pointer and length.
fn pointed(
    object: &Object,
    content: &mut dyn Content,
    address: u64,
    flags: u8,
    word: u8,
) -> Result<Vec<u8>, String> {
    let wide = word == 8;
    if address == 0 {
        return Ok(Vec::new());
    }
    let header = object.memory(content, address, if wide { 16 } else { 8 })?;
    let fields = match flags & BIG_ENDIAN {
        0 => Fields::little(&header),
        _ => Fields::big(&header),
    };
    let (start, length) = (
        fields.word(0, wide),
        fields.word(if wide { 8 } else { 4 }, wide),
    );
    match (start, length) {
        (Some(start), Some(length)) => text(length, |length| object.memory(content, start, length)),
        _ => Err("its header is cut".to_owned()),
    }
}

fn text(length: u64, read: impl FnOnce(u64) -> Result<Vec<u8>, String>) -> Result<Vec<u8>, String> {
    match length {
        0 => Ok(Vec::new()),
        1..=MAX_TEXT => read(length),
        _ => Err(format!(
            "not supported: build information of {length} bytes"
        )),
    }
}

/// The packages in the text about modules: a line each, of words between tabs.
fn listed(go: &str, text: &str) -> Vec<Package> {
    let mut own: Option<(&str, &str)> = None;
    let mut modules: Vec<(&str, &str)> = Vec::new();
    let (mut revision, mut time, mut flags) = (None, None, String::new());
    // What was built without modules, as distributions do, has the path of its main package alone.
    let mut main = None;
    for line in text.lines() {
        let mut words = line.split('\t');
        let mut word = || words.next().unwrap_or_default();
        match (word(), word(), word()) {
            ("path", path, _) => main = Some((path, DEVELOPMENT)),
            ("mod", path, version) => own = Some((path, version)),
            ("dep", path, version) if modules.len() < MAX_MODULES => modules.push((path, version)),
            ("=>", path, version) if !is_folder(path) => {
                if let Some(replaced) = modules.last_mut().or(own.as_mut()) {
                    *replaced = (path, version);
                }
            }
            ("build", setting, _) => match setting.split_once('=') {
                Some(("vcs.revision", value)) => revision = Some(value),
                Some(("vcs.time", value)) => time = Some(value),
                Some(("-ldflags" | "\"-ldflags\"", value)) => flags = value.replace('\\', ""),
                _ => {}
            },
            _ => {}
        }
    }
    let mut packages: Vec<Package> = modules
        .into_iter()
        .filter_map(|(path, version)| Some(package(input::name(path)?, input::name(version))))
        .collect();
    // `go1.26.5 X:boringcrypto`: what follows names experiments.
    if let Some(go) = go.split_whitespace().next().and_then(input::name) {
        packages.push(standard_library(go));
    }
    if let Some((path, version)) = own.or(main)
        && let Some(path) = input::name(path)
    {
        let found = match version {
            "" | DEVELOPMENT => version_of(&flags, revision, time),
            _ => None,
        };
        let version = found.as_deref().or_else(|| input::name(version));
        let mut program = package(path, version);
        program.depends_on = packages
            .iter()
            .map(|package| package.name.clone())
            .collect();
        packages.insert(0, program);
    }
    packages
}

/// The version of a program that its module does not state: what it was told while it was linked, or as Go names a
/// revision. <https://go.dev/ref/mod#pseudo-versions>
fn version_of(flags: &str, revision: Option<&str>, time: Option<&str>) -> Option<String> {
    let told = VERSION_FLAG
        .iter()
        .find_map(|pattern| pattern.captures(flags));
    if let Some(version) = told
        .as_ref()
        .and_then(|captures| input::name(captures.get(1)?.as_str()))
    {
        return Some(format!("v{version}"));
    }
    let (revision, time) = (revision?, time?);
    let time: String = time.chars().filter(char::is_ascii_digit).take(14).collect();
    let revision: String = revision
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(12)
        .collect();
    let whole = time.len() == 14 && !revision.is_empty();
    whole.then(|| format!("v0.0.0-{time}-{revision}"))
}

#[cfg(test)]
mod tests {
    use super::super::Scan::Image;
    use super::super::tests::{read, told};
    use super::super::{elf, macho, pe};
    use super::*;

    const MODULES: &str = "path\texample.com/app/cmd/app\nmod\texample.com/app\tv1.2.3\th1:x=\n\
        dep\tgithub.com/a/b/v2\tv2.0.0\th1:y=\ndep\texample.com/old\tv0.1.0\n=>\texample.com/new\tv0.2.0\th1:z=\n\
        dep\texample.com/near\tv0.3.0\n=>\t./near\t\nbuild\t-compiler=gc\n";

    const READ: [&str; 5] = [
        "example.com/app v1.2.3 pkg:golang/example.com/app@v1.2.3",
        "github.com/a/b/v2 v2.0.0 pkg:golang/github.com/a/b@v2.0.0#v2",
        "example.com/new v0.2.0 pkg:golang/example.com/new@v0.2.0",
        "example.com/near v0.3.0 pkg:golang/example.com/near@v0.3.0",
        "stdlib go1.26.5 pkg:golang/stdlib@1.26.5",
    ];

    fn marked(modules: &str) -> Vec<u8> {
        [&[b'm'; MARK], modules.as_bytes(), &[b'm'; MARK]].concat()
    }

    /// As Go writes it since 1.18.
    fn inlined(go: &str, modules: &str) -> Vec<u8> {
        let mut bytes = [MAGIC, &[0, INLINE], &[0; 16]].concat();
        for text in [go.as_bytes(), &marked(modules)] {
            let mut length = text.len();
            while length >= 0x80 {
                bytes.push(length as u8 | 0x80);
                length >>= 7;
            }
            bytes.push(length as u8);
            bytes.extend(text);
        }
        bytes
    }

    #[test]
    fn the_modules_of_a_program_of_each_system_are_read() {
        let info = inlined("go1.26.5 X:boringcrypto", MODULES);
        let data = [&[0; 64], &info[..]].concat();
        for (system, program) in [
            (
                "Linux",
                elf::tests::object(&[(".text", b"code"), (".go.buildinfo", &info)]),
            ),
            ("Linux, without names", elf::tests::object(&[("", &data)])),
            ("macOS", macho::tests::universal("__go_buildinfo", &info)),
            ("Windows", pe::tests::program(".data", &data)),
        ] {
            assert_eq!(told("bin/app", Image, &program), READ, "{system}");
        }
        let packages =
            read("app", Image, &elf::tests::object(&[("", &info)])).expect("it can be read");
        assert_eq!(packages[0].depends_on.len(), 4);
        assert_eq!(packages[4].licences, ["BSD-3-Clause"]);
    }

    /// The header points to two strings, each a pointer and a length.
    #[test]
    fn a_program_of_an_old_go_is_read() {
        let (go, modules) = (b"go1.26.5", marked(MODULES));
        let at = |offset: usize| elf::tests::ADDRESS + offset as u64;
        let mut info = [MAGIC, &[8, 0]].concat();
        for number in [
            at(32),
            at(48),
            at(64),
            go.len() as u64,
            at(72),
            modules.len() as u64,
        ] {
            info.extend(number.to_le_bytes());
        }
        info.extend(go);
        info.extend(modules);
        let program = elf::tests::object(&[(".go.buildinfo", &info)]);
        assert_eq!(told("bin/app", Image, &program), READ);
        for at in 0..80 {
            let mut changed = info.clone();
            changed[at] = 0xff;
            let _ = read(
                "app",
                Image,
                &elf::tests::object(&[(".go.buildinfo", &changed)]),
            );
        }
    }

    #[test]
    fn a_program_without_a_version_has_that_of_its_flags_or_its_revision() {
        let vcs =
            "build\tvcs.revision=0123456789abcdef0123\nbuild\tvcs.time=2026-03-04T05:06:07Z\n";
        for (settings, version) in [
            ("", "(devel)"),
            (vcs, "v0.0.0-20260304050607-0123456789ab"),
            (
                "build\tvcs.revision=0123\nbuild\tvcs.time=yesterday\n",
                "(devel)",
            ),
            (
                "build\t-ldflags=\"-s -X example.com/app.Version=v1.2.3-rc1 -w\"\n",
                "v1.2.3-rc1",
            ),
            (
                "build\t-ldflags=\"-X \\\"main.buildVersion=1.2.3\\\"\"\n",
                "v1.2.3",
            ),
            ("build\t-ldflags=-X=main.gitTag=1.2\n", "(devel)"),
            ("build\t-ldflags=-X=main.tag=release/4.5.6\n", "v4.5.6"),
        ] {
            let modules = format!("mod\texample.com/app\t(devel)\t\n{settings}{vcs}");
            let modules = if version == "(devel)" {
                modules.replace(vcs, settings)
            } else {
                modules
            };
            let info = inlined("go1.26.5", &modules);
            let packages = read("app", Image, &elf::tests::object(&[("", &info)]));
            let packages = packages.expect("it can be read");
            assert_eq!(packages[0].version.as_deref(), Some(version), "{settings}");
        }
    }

    #[test]
    fn a_program_that_was_built_without_modules_is_its_main_package() {
        let info = inlined(
            "go1.26.5",
            "path\texample.com/app/cmd/app\nbuild\t-compiler=gc\n",
        );
        assert_eq!(
            told("bin/app", Image, &elf::tests::object(&[("", &info)])),
            [
                "example.com/app/cmd/app (devel) pkg:golang/example.com/app/cmd@%28devel%29#app",
                "stdlib go1.26.5 pkg:golang/stdlib@1.26.5",
            ]
        );
    }

    #[test]
    fn lengths_that_lie_are_errors() {
        for tail in [
            &[0xff; 10][..],
            &[0x80, 0x80, 0x80, 0x80, 0x10],
            &[9, 1],
            &[],
        ] {
            let info = [MAGIC, &[0, INLINE], &[0; 16], tail].concat();
            // Nothing may follow it that could be taken for it.
            let mut program = elf::tests::object(&[("", b"")]);
            let length = (program.len() as u64).to_le_bytes();
            program[64 + 8..64 + 16].copy_from_slice(&length);
            program[64 + 32..64 + 40].copy_from_slice(&length);
            program.extend(info);
            read("app", Image, &program).expect_err("its length is wrong");
        }
        assert!(
            told(
                "app",
                Image,
                &elf::tests::object(&[(".go.buildinfo", b"no")])
            )
            .is_empty()
        );
        assert!(told("lib.so", Image, &elf::tests::object(&[])).is_empty());
    }
}
