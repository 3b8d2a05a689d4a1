//! Installed Python packages: `METADATA` of a `.dist-info`, `PKG-INFO` of an `.egg-info` or `EGG-INFO`, or a file
//! `NAME.egg-info` alone.
//!
//! <https://packaging.python.org/en/latest/specifications/core-metadata/>

use super::input;
use crate::file::{Content, File, Reader};
use crate::package::{Ecosystem, Package, Purl};

/// Characters of a licence's name. The field `License` may hold a licence's whole text, which is not its name.
const MAX_LICENCE: usize = 100;

/// The classifiers that name one licence; the others (`BSD License`) name several.
/// <https://pypi.org/classifiers/>
const CLASSIFIERS: &[(&str, &str)] = &[
    ("Apache Software License", "Apache-2.0"),
    ("GNU Affero General Public License v3", "AGPL-3.0-only"),
    ("GNU General Public License v2 (GPLv2)", "GPL-2.0-only"),
    (
        "GNU General Public License v2 or later (GPLv2+)",
        "GPL-2.0-or-later",
    ),
    ("GNU General Public License v3 (GPLv3)", "GPL-3.0-only"),
    (
        "GNU General Public License v3 or later (GPLv3+)",
        "GPL-3.0-or-later",
    ),
    (
        "GNU Lesser General Public License v2 or later (LGPLv2+)",
        "LGPL-2.0-or-later",
    ),
    (
        "GNU Lesser General Public License v3 (LGPLv3)",
        "LGPL-3.0-only",
    ),
    (
        "GNU Lesser General Public License v3 or later (LGPLv3+)",
        "LGPL-3.0-or-later",
    ),
    ("ISC License (ISCL)", "ISC"),
    ("MIT License", "MIT"),
    ("MIT No Attribution License (MIT-0)", "MIT-0"),
    ("Mozilla Public License 2.0 (MPL 2.0)", "MPL-2.0"),
    ("Python Software Foundation License", "PSF-2.0"),
    ("The Unlicense (Unlicense)", "Unlicense"),
    ("Zope Public License", "ZPL-2.1"),
    ("zlib/libpng License", "Zlib"),
];

/// The reader of a package's metadata.
pub(super) fn installed(file: &File<'_>) -> Option<Reader> {
    let path = file.path.to_ascii_lowercase();
    let endings = [
        ".dist-info/metadata",
        ".egg-info/pkg-info",
        "/egg-info/pkg-info",
        ".egg-info",
    ];
    endings
        .iter()
        .any(|ending| path.ends_with(ending))
        .then_some(read as Reader)
}

fn read(_: &File<'_>, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let text = input::text(content, input::MAX_DESCRIPTION)?;
    let fields = Fields::read(&text);
    let name = fields.first("Name").and_then(input::name);
    let name = name.ok_or("there is no Name in it")?;
    let mut package = package(name, fields.first("Version").and_then(input::name));
    package.licences = licences(&fields);
    package.supplier = ["Author", "Author-email", "Maintainer", "Maintainer-email"]
        .iter()
        .find_map(|key| fields.first(key).and_then(input::name))
        .map(str::to_owned);
    package.depends_on = needs(fields.all("Requires-Dist"));
    Ok(vec![package])
}

/// A package of Python, by the name that every tool compares.
pub(super) fn package(name: &str, version: Option<&str>) -> Package {
    let name = normalised(name);
    let purl = Purl::new("pypi", None, &name, version);
    Package::new(Ecosystem::Python, &name, version, purl)
}

/// The name in lower case, with one hyphen for each run of separators.
/// <https://packaging.python.org/en/latest/specifications/name-normalization/>
pub(super) fn normalised(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            other => normal.push(other.to_ascii_lowercase()),
        }
    }
    normal
}

/// The names in lines like `name[extra] (>=1); python_version < "3"`, but for those that only an extra needs.
fn needs<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = lines
        .filter(|line| {
            let marker = line.split_once(';').map_or("", |(_, marker)| marker);
            !marker.contains("extra")
        })
        .filter_map(|line| requirement(line).map(normalised))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The name at the front of a requirement.
/// <https://packaging.python.org/en/latest/specifications/dependency-specifiers/>
pub(super) fn requirement(line: &str) -> Option<&str> {
    let line = line.trim();
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let end = line.bytes().position(|byte| !part(byte));
    input::name(&line[..end.unwrap_or(line.len())])
}

fn licences(fields: &Fields<'_>) -> Vec<String> {
    let short = |text: &str| text.chars().count() <= MAX_LICENCE;
    let stated = ["License-Expression", "License"]
        .iter()
        .filter_map(|key| fields.first(key).and_then(input::name))
        .find(|text| short(text) && *text != "UNKNOWN");
    if let Some(stated) = stated {
        return input::names([stated]);
    }
    let mut licences: Vec<String> = fields
        .all("Classifier")
        .filter_map(|line| line.strip_prefix("License :: "))
        .filter_map(|line| line.rsplit(" :: ").next())
        .filter(|name| short(name) && *name != "OSI Approved")
        .map(|name| {
            let known = CLASSIFIERS.iter().find(|(words, _)| *words == name);
            known.map_or(name, |(_, id)| id).to_owned()
        })
        .collect();
    licences.dedup();
    input::names(licences)
}

/// The fields before the first empty line. A field of several lines has its first alone, and a mark that it has more:
/// none that is read here may have several.
struct Fields<'a>(Vec<(&'a str, &'a str, bool)>);

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Self {
        let mut fields: Vec<(&str, &str, bool)> = Vec::new();
        for line in text.lines().take_while(|line| !line.trim_end().is_empty()) {
            if line.starts_with([' ', '\t']) {
                if let Some((_, _, more)) = fields.last_mut() {
                    *more = true;
                }
            } else if let Some((key, value)) = line.split_once(':') {
                fields.push((key, value.trim(), false));
            }
        }
        Self(fields)
    }

    fn all(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(name, _, more)| name.eq_ignore_ascii_case(key) && !more)
            .map(|(_, value, _)| *value)
    }

    fn first(&self, key: &str) -> Option<&'a str> {
        self.all(key).find(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scan;
    use super::super::tests::{read, told};

    const PATH: &str = "usr/lib/python3/dist-packages/Some.Thing-1.2.dist-info/METADATA";

    #[test]
    fn an_installed_package_is_read() {
        let metadata = b"Metadata-Version: 2.4\r\nName: Some.Thing__More\r\nVersion: 1.2.post1+local\r\n\
            Author-email: Ann <ann@example.com>\r\nLicense-Expression: MIT OR Apache-2.0\r\nLicense-File: LICENSE\r\n\
            Classifier: License :: OSI Approved :: BSD License\r\n\
            Requires-Dist: Charset_Normalizer<4,>=2\r\nRequires-Dist: PySocks!=1.5.7,>=1.5.6; extra == \"socks\"\r\n\
            Requires-Dist: importlib-metadata (>=3.6) ; python_version < \"3.10\"\r\n\r\nName: not me\r\n";
        let packages = read(PATH, Scan::Image, metadata).expect("it can be read");
        let [package] = &packages[..] else {
            panic!("{packages:?}")
        };
        assert_eq!(package.name, "some-thing-more");
        assert_eq!(
            package.purl.to_string(),
            "pkg:pypi/some-thing-more@1.2.post1%2Blocal"
        );
        assert_eq!(package.licences, ["MIT OR Apache-2.0"]);
        assert_eq!(package.supplier.as_deref(), Some("Ann <ann@example.com>"));
        assert_eq!(
            package.depends_on,
            ["charset-normalizer", "importlib-metadata"]
        );
    }

    #[test]
    fn licences_are_names_and_no_texts() {
        for (fields, licences) in [
            ("License: Apache 2.0", &["Apache 2.0"][..]),
            ("License: Apache\u{8} 2.0", &[]),
            ("Classifier: License :: OSI Approved :: a\u{7}b", &[]),
            ("License: UNKNOWN", &[]),
            (
                "License: Permission is hereby granted,\n        free of charge",
                &[],
            ),
            (
                "License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n\
                 Classifier: License :: OSI Approved :: BSD License\nClassifier: Topic :: Software",
                &["MIT", "BSD License"],
            ),
            ("Classifier: License :: OSI Approved", &[]),
            ("Classifier: License :: Public Domain", &["Public Domain"]),
        ] {
            let text = format!("Name: a\nVersion: 1\n{fields}\n");
            let packages = read(PATH, Scan::Image, text.as_bytes()).expect("it can be read");
            assert_eq!(packages[0].licences, licences, "{fields}");
        }
    }

    #[test]
    fn what_names_nothing_is_an_error_and_a_version_may_be_missing() {
        assert_eq!(
            told("a.egg-info", Scan::Image, b"Name: a\n"),
            ["a - pkg:pypi/a"]
        );
        for content in [&b""[..], b"\n\nName: a", b"Name:\nVersion: 1", b"\xff\xfe"] {
            assert_eq!(
                read(PATH, Scan::Image, content),
                Err("there is no Name in it".to_owned())
            );
        }
    }
}
