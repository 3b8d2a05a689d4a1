//! SBOMs beside Syft's: every package that it finds in an image of real packages is found, and the documents are valid by the
//! judges of both formats.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use sealmark_testkit::{Finished, Peer, Sandbox, images, require_or_skip};
use serde_json::Value;

const SEALMARK: &str = env!("CARGO_BIN_EXE_sealmark");

/// Kinds of packages, as package URLs name them, of which nothing may be missing.
const COMPLETE: [&str; 5] = ["deb", "apk", "pypi", "npm", "golang"];

const ALPINE: &str = "P:musl\nV:1.2.4-r4\nA:x86_64\nL:MIT\no:musl\np:so:libc.musl-x86_64.so.1=1\n\n\
    P:busybox\nV:1.36.1-r15\nA:x86_64\nL:GPL-2.0-only\no:busybox\nD:so:libc.musl-x86_64.so.1\n\n";

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    let status = Command::new("cp")
        .args(["-rL", "--"])
        .arg(from)
        .arg(to)
        .status();
    assert!(status.unwrap().success(), "{}", from.display());
}

/// The folder of a peer that is no single program.
fn folder(start: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(Peer::folder().join("..")).ok()?;
    let mut entries = entries.flatten().map(|entry| entry.path());
    entries.find(|path| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with(start)
    })
}

/// Package URLs by kind, without qualifiers: what a package is, and not how it came.
fn packages(cyclonedx: &str) -> BTreeMap<String, BTreeSet<String>> {
    let document: Value = serde_json::from_str(cyclonedx).unwrap();
    let components = document["components"].as_array().unwrap();
    let mut kinds: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for purl in components.iter().filter_map(|one| one["purl"].as_str()) {
        let name = purl.split(['?', '#']).next().unwrap();
        let name = name
            .replace("%2B", "+")
            .replace("%2b", "+")
            .replace("%3A", ":");
        let name = name.replace("%7E", "~").replace("%40", "@");
        // A program that was built out of its own checkout says neither its module nor a version; Syft guesses the
        // module from the package.
        if name.ends_with("@(devel)") {
            continue;
        }
        let kind = name.trim_start_matches("pkg:").split('/').next().unwrap();
        kinds.entry(kind.to_owned()).or_default().insert(name);
    }
    kinds
}

/// The image of the tests with real packages of other kinds in it, as a layout.
fn image(sandbox: &Sandbox) -> Option<()> {
    let umoci = require_or_skip!("umoci", None);
    require_or_skip!("oras", None);
    require_or_skip!("rekor-tiles", None);
    require_or_skip!("sigstore-python", None);
    require_or_skip!("node-sigstore", None);
    let source = images()?;
    copy(&source.layout, &sandbox.join("layout"));
    let site = "usr/lib/python3/dist-packages";
    copy(
        &folder("sigstore-python-")?,
        &sandbox.join("more").join(site),
    );
    let modules = folder("node-sigstore-")?.join("node_modules");
    copy(&modules, &sandbox.join("more/srv/app/node_modules"));
    for program in ["oras", "rekor-tiles"] {
        copy(
            &Peer::find(program)?,
            &sandbox.join("more/usr/local/bin").join(program),
        );
    }
    sandbox.write("more/lib/apk/db/installed", ALPINE);
    let insert = sandbox.command(&umoci).args(["insert", "--rootless"]);
    insert
        .args(["--image", "layout:v1", "--tag", "all", "more", "/"])
        .run()
        .success();
    // Syft takes a layout with one image alone.
    let skopeo = require_or_skip!("skopeo", None);
    let copy = sandbox.command(&skopeo).arg("copy");
    copy.args(["oci:layout:all", "oci:one:all"]).run().success();
    Some(())
}

#[test]
fn nothing_that_syft_finds_is_missing_and_the_documents_are_valid() {
    let syft = require_or_skip!("syft");
    let python = require_or_skip!("python-sbom");
    let sandbox = Sandbox::new();
    if image(&sandbox).is_none() {
        return;
    }
    let theirs = sandbox
        .command(&syft)
        .args(["scan", "--quiet", "--output", "cyclonedx-json"]);
    let theirs = theirs.env("SYFT_CHECK_FOR_APP_UPDATE", "false");
    let theirs = theirs.arg("oci-dir:one").run().success();
    let own = |format: &str| -> Finished {
        let sbom = sandbox.command(SEALMARK).args(["sbom", "one:all"]);
        sbom.args(["--output", format]).run().success()
    };
    let (cyclonedx, spdx) = (own("cyclonedx-json").stdout(), own("spdx-json").stdout());
    let (theirs, ours) = (packages(&theirs.stdout()), packages(&cyclonedx));
    let mut table = format!(
        "{:<10}{:>6}{:>6}{:>9}{:>11}\n",
        "KIND", "SYFT", "OURS", "RECALL", "PRECISION"
    );
    let none = BTreeSet::new();
    for (kind, their) in &theirs {
        let our = ours.get(kind).unwrap_or(&none);
        let both = their.intersection(our).count();
        let percent = |of: usize| 100.0 * both as f64 / of.max(1) as f64;
        table.push_str(&format!(
            "{kind:<10}{:>6}{:>6}{:>8.1}%{:>10.1}%\n",
            their.len(),
            our.len(),
            percent(their.len()),
            percent(our.len())
        ));
    }
    println!("{table}");
    for kind in COMPLETE {
        let their = theirs.get(kind).unwrap_or(&none);
        assert!(!their.is_empty(), "Syft finds nothing of {kind}:\n{table}");
        let our = ours.get(kind).unwrap_or(&none);
        let missing: Vec<_> = their.difference(our).collect();
        assert!(missing.is_empty(), "{kind} lacks {missing:?}\n{table}");
    }

    sandbox.write("own.cdx.json", cyclonedx);
    sandbox.write("own.spdx.json", spdx);
    let judge = "
import json, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
text = open('own.cdx.json').read()
version = SchemaVersion.from_version(json.loads(text)['specVersion'])
error = JsonStrictValidator(version).validate_str(text)
if error: sys.exit(f'CycloneDX: {error}')
errors = validate_full_spdx_document(parse_file('own.spdx.json'))
if errors: sys.exit('SPDX: ' + '\\n'.join(e.validation_message for e in errors[:5]))
print('valid')
";
    let judged = sandbox.command(&python).args(["-c", judge]).run().success();
    assert_eq!(judged.stdout().trim(), "valid");
}
