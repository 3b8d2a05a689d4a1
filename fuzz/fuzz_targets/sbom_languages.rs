//! Files that tell of packages of programming languages: whatever is in them, every name is short and of one line, and
//! an error is too. The first byte says as what file the rest is read.
#![no_main]

use std::io::Cursor;

use sealmark_sbom::File;
use sealmark_sbom::file::HEAD;
use sealmark_sbom::languages::{Scan, reader};

/// A path for each reader.
const PATHS: [&str; 19] = [
    "a-1.dist-info/METADATA",
    "requirements.txt",
    "poetry.lock",
    "Pipfile.lock",
    "node_modules/a/package.json",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "go.mod",
    "Cargo.lock",
    "a-1.jar",
    "pom.xml",
    "specifications/a-1.gemspec",
    "Gemfile.lock",
    "vendor/composer/installed.json",
    "composer.lock",
    "usr/bin/a",
    "usr/bin/a.exe",
    "usr/bin/a.dylib",
];

/// Characters of a name, a version, or a word of an error.
const MAX: usize = 600;

const SEEDS: [&[u8]; 17] = [
    b"\x00Name: a\nVersion: 1\nRequires-Dist: b; extra == 'c'\nClassifier: License :: OSI Approved :: MIT License\n",
    b"\x01a[b]==1 ; python_version > '3'\n",
    b"\x02[[package]]\nname = \"a\"\nversion = \"1\"\n[package.dependencies]\nb = {version = \"2\"}\n",
    b"\x03{\"default\":{\"a\":{\"version\":\"==1\"}}}",
    b"\x04{\"name\":\"@a/b\",\"version\":\"1\",\"licenses\":[{\"type\":\"MIT\"}],\"dependencies\":{\"c\":\"1\"}}",
    b"\x05{\"packages\":{\"\":{\"name\":\"a\"},\"node_modules/b\":{\"version\":\"1\",\"dependencies\":{\"c\":\"1\"}}}}",
    b"\x05{\"dependencies\":{\"a\":{\"version\":\"npm:b@1\",\"requires\":{\"c\":\"1\"},\"dependencies\":{\"d\":{}}}}}",
    b"\x06\"a@^1\", a@^2:\n  version \"1\"\n  dependencies:\n    b \"1\"\n",
    b"\x07packages:\n  /a@1.0.0(b@2.0.0):\n    dependencies:\n      b: 2.0.0\n",
    b"\x08module a\nrequire (\n\tb.c/d/e/f v1\n)\nreplace b.c/d/e/f => g v2\n",
    b"\x09[[package]]\nname = \"a\"\nversion = \"1\"\ndependencies = [\"b 1\"]\n",
    b"\x0b<project><parent><groupId>a</groupId></parent><artifactId>b</artifactId><version>${c}</version><properties><c>1</c></properties></project>",
    b"\x0cs.name = \"a\".freeze\ns.version = %q<1>\n",
    b"\x0dGEM\n  specs:\n    a (1)\n      b\n",
    b"\x0e{\"packages\":[{\"name\":\"a/b\",\"version\":\"1\",\"license\":[\"MIT\"],\"require\":{\"c/d\":\"1\"}}]}",
    b"\x0f{\"packages\":[],\"packages-dev\":[{\"name\":\"a/b\"}]}",
    b"\x10\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0\0\0\x40\0\0\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\x38\0\x01\0\x40\0\0\0\0\0\x01\0\0\0\x06\0\0\0\x78\0\0\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0\x40\0\0\0\0\0\x60\0\0\0\0\0\0\0\x60\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\xff Go buildinf:\x08\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x06go1.26\x27mmmmmmmmmmmmmmmmmod\ta\tv1\n mmmmmmmmmmmmmmmm",
];

sealmark_fuzz::target!(only SEEDS, |data| {
    let Some((kind, content)) = data.split_first() else {
        return false;
    };
    let path = PATHS[usize::from(*kind) % PATHS.len()];
    let file = File {
        path,
        size: content.len() as u64,
        executable: true,
        head: &content[..content.len().min(HEAD)],
    };
    let mut accepted = false;
    for scan in [Scan::Image, Scan::Directory] {
        let Some(reader) = reader(&file, scan) else {
            continue;
        };
        let Some(packages) = sealmark_fuzz::read(reader(&file, &mut Cursor::new(content))) else {
            continue;
        };
        accepted = true;
        for package in packages {
            let texts = [Some(&package.name), package.version.as_ref(), package.supplier.as_ref()];
            let texts = texts.into_iter().flatten().chain(&package.licences);
            for text in texts.chain(&package.depends_on) {
                assert!(!text.is_empty() && text.chars().count() <= MAX, "{text:?}");
                assert!(!text.contains(char::is_control), "{text:?}");
            }
        }
    }
    accepted
});
