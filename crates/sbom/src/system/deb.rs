//! dpkg's account of what is installed, and the licences in `copyright` files.
//!
//! <https://www.debian.org/doc/debian-policy/ch-controlfields.html>,
//! <https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/>

use std::collections::BTreeSet;

use super::{Installed, value};

/// Characters of a licence's name.
const MAX_LICENCE: usize = 200;

/// The packages in `var/lib/dpkg/status`, or in a file of `status.d`.
pub(crate) fn status(text: &str) -> Vec<Installed> {
    text.split("\n\n").filter_map(package).collect()
}

fn package(stanza: &str) -> Option<Installed> {
    let field = |key: &str| {
        let mut lines = stanza.lines();
        lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
    };
    // Of what was removed, settings may be left. What is half installed has its files there. Images without dpkg write
    // no state.
    let state = field("Status").unwrap_or(" install ok installed");
    if let Some("not-installed" | "config-files") | None = state.split_whitespace().nth(2) {
        return None;
    }
    let name = value(field("Package")?)?;
    let source = field("Source").and_then(value).unwrap_or_default();
    let upstream = match source.split_once(" (") {
        Some((source, version)) => format!("{source}@{}", version.trim_end_matches(')')),
        None => source,
    };
    let relation = |key: &str| field(key).map(names).unwrap_or_default();
    let mut needs = relation("Pre-Depends");
    needs.extend(relation("Depends"));
    Some(Installed {
        version: value(field("Version")?)?,
        architecture: field("Architecture").and_then(value).unwrap_or_default(),
        upstream: Some(upstream).filter(|it| *it != name).unwrap_or_default(),
        epoch: None,
        supplier: field("Maintainer").and_then(value),
        licences: Vec::new(),
        needs,
        provides: relation("Provides"),
        name,
    })
}

/// `libc6 (>= 2.36), debconf (>= 0.5) | debconf-2.0, python3:any`: all the names.
fn names(relation: &str) -> Vec<String> {
    relation
        .split([',', '|'])
        .filter_map(|one| value(one.trim().split([' ', '(', ':']).next()?))
        .collect()
}

/// The licences that a `copyright` file names: its `License` fields, and the texts in `common-licenses` it refers to.
pub(crate) fn copyright(text: &str) -> Vec<String> {
    const COMMON: &str = "/usr/share/common-licenses/";
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("License:").and_then(value)
            && name.len() <= MAX_LICENCE
        {
            found.insert(spdx_name(&name));
        }
        for (at, _) in line.match_indices(COMMON) {
            let rest = &line[at + COMMON.len()..];
            let plain = |c: char| c.is_ascii_alphanumeric() || ['-', '.', '+'].contains(&c);
            let name = rest.split(|c| !plain(c)).next().unwrap_or_default();
            found.extend(value(name.trim_end_matches('.')));
        }
    }
    found.into_iter().collect()
}

/// The name that SPDX has for a licence, where Debian's differs and means the same: `GPL-2+`, `Expat`.
fn spdx_name(name: &str) -> String {
    let gnu = || {
        let (family, version) = name.split_once('-')?;
        let known = ["AGPL", "GFDL", "GPL", "LGPL"].contains(&family);
        let (version, which) = match version.strip_suffix('+') {
            Some(version) => (version, "or-later"),
            None => (version, "only"),
        };
        let plain = !version.is_empty() && version.chars().all(|c| c.is_ascii_digit() || c == '.');
        let minor = if version.contains('.') { "" } else { ".0" };
        (known && plain).then(|| format!("{family}-{version}{minor}-{which}"))
    };
    match name {
        "Expat" => "MIT".to_owned(),
        name => gnu().unwrap_or_else(|| name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::Ecosystem;
    use crate::system::OsRelease;

    const STATUS: &str = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nSource: bash (5.2.15-2)\n\
        Version: 5.2.15-2+b13\nPre-Depends: libc6 (>= 2.36)\nDepends: base-files (>= 2.1.12), debconf | debconf-2.0\n\
        Description: a shell\n of many words\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
        Package: bsdutils\nEssential: yes\nArchitecture: amd64\nSource: util-linux (2.38.1-5)\nVersion: 1:2.38.1-5\n\n\
        Package: zlib1g\nSource: zlib\nVersion: 1:1.2\nArchitecture: amd64\n";

    #[test]
    fn packages_of_debian_are_named_as_debian_names_them() {
        let os = OsRelease::read("ID=debian\nVERSION_ID=\"12\"").unwrap();
        let found = status(STATUS);
        let purls: Vec<String> = found
            .iter()
            .map(|it| it.package(Ecosystem::Deb, Some(&os)).purl.to_string())
            .collect();
        assert_eq!(
            purls,
            [
                "pkg:deb/debian/bash@5.2.15-2%2Bb13?arch=amd64&distro=debian-12&upstream=bash%405.2.15-2",
                "pkg:deb/debian/bsdutils@1:2.38.1-5?arch=amd64&distro=debian-12&upstream=util-linux%402.38.1-5",
                "pkg:deb/debian/zlib1g@1:1.2?arch=amd64&distro=debian-12&upstream=zlib",
            ]
        );
        assert_eq!(
            found[0].needs,
            ["libc6", "base-files", "debconf", "debconf-2.0"]
        );
    }

    #[test]
    fn licences_are_those_that_a_copyright_file_names() {
        let text = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n\
                    License: GPL-2+\n Text.\n\nLicense: Expat\n see /usr/share/common-licenses/GPL-2.\n";
        assert_eq!(copyright(text), ["GPL-2", "GPL-2.0-or-later", "MIT"]);
        assert!(copyright("nothing").is_empty());
    }

    #[test]
    fn what_is_half_installed_is_there() {
        let state = |state: &str| format!("Package: a\nStatus: install ok {state}\nVersion: 1\n\n");
        for there in [
            "installed",
            "unpacked",
            "half-configured",
            "half-installed",
            "triggers-pending",
        ] {
            assert_eq!(status(&state(there)).len(), 1, "{there}");
        }
        for gone in ["not-installed", "config-files"] {
            assert_eq!(status(&state(gone)).len(), 0, "{gone}");
        }
    }
}
