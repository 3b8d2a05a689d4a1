//! PHP: what Composer installed, `vendor/composer/installed.json`, and what a project pins, `composer.lock`.
//!
//! <https://getcomposer.org/doc/04-schema.md>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::input;
use crate::file::{Content, File, Reader};
use crate::package::{Ecosystem, Package, Purl};

/// The reader of what was installed.
pub(super) fn installed(file: &File<'_>) -> Option<Reader> {
    let path = file.path;
    (path == "composer/installed.json" || path.ends_with("/composer/installed.json"))
        .then_some(read_installed as Reader)
}

/// The reader of what a project pins.
pub(super) fn lock_file(file: &File<'_>) -> Option<Reader> {
    (file.name() == "composer.lock").then_some(read_lock as Reader)
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    version: Option<String>,
    license: Option<Licences>,
    authors: Option<Vec<Author>>,
    /// By name; if it is empty, PHP writes a list.
    require: Option<Needs>,
}

#[derive(Deserialize)]
struct Author {
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Licences {
    All(Vec<String>),
    One(String),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Needs {
    Names(BTreeMap<String, IgnoredAny>),
    Other(IgnoredAny),
}

/// Composer 1 writes a list, Composer 2 an object with one in it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Installed {
    Second { packages: Vec<Entry> },
    First(Vec<Entry>),
}

#[derive(Deserialize)]
struct Lock {
    packages: Option<Vec<Entry>>,
    #[serde(rename = "packages-dev")]
    development: Option<Vec<Entry>>,
}

fn read_installed(_: &File<'_>, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let entries = match input::json(content, input::MAX_LOCK)? {
        Installed::Second { packages } | Installed::First(packages) => packages,
    };
    Ok(entries.into_iter().filter_map(package).collect())
}

fn read_lock(_: &File<'_>, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let lock: Lock = input::json(content, input::MAX_LOCK)?;
    let all = [lock.packages, lock.development]
        .into_iter()
        .flatten()
        .flatten();
    Ok(all.filter_map(package).collect())
}

fn package(entry: Entry) -> Option<Package> {
    let name = input::name(&entry.name)?;
    let version = entry.version.as_deref().and_then(input::name);
    let (vendor, bare) = match name.split_once('/') {
        Some((vendor, bare)) => (Some(vendor), bare),
        None => (None, name),
    };
    let purl = Purl::new("composer", vendor, bare, version);
    let mut package = Package::new(Ecosystem::Composer, name, version, purl);
    let licences = match entry.license {
        Some(Licences::All(all)) => all,
        Some(Licences::One(one)) => vec![one],
        Some(Licences::Other(_)) | None => Vec::new(),
    };
    let named = |text: &String| input::name(text).map(str::to_owned);
    package.licences = licences.iter().filter_map(named).collect();
    let mut authors = entry.authors.into_iter().flatten();
    package.supplier = authors
        .find_map(|author| author.name)
        .as_ref()
        .and_then(named);
    // `php` and `ext-json` are no packages, but have no vendor either.
    if let Some(Needs::Names(needs)) = entry.require {
        package.depends_on = input::names(needs.into_keys().filter(|name| name.contains('/')));
    }
    Some(package)
}

#[cfg(test)]
mod tests {
    use super::super::Scan::{Directory, Image};
    use super::super::tests::{read, told};

    const ENTRY: &str = r#"{"name":"psr/log","version":"3.0.0","license":["MIT"],"authors":[{"name":"FIG"}],
        "require":{"php":">=8","ext-json":"*","psr/other":"^1"},"type":"library"}"#;
    const BARE: &str = r#"{"name":"bare","version":"dev-main","license":"BSD","require":[]}"#;

    #[test]
    fn what_is_installed_is_read_as_both_composers_write_it() {
        for content in [
            format!("[{ENTRY},{BARE}]"),
            format!("{{\"packages\":[{ENTRY},{BARE}],\"dev\":true}}"),
        ] {
            let path = "srv/vendor/composer/installed.json";
            assert_eq!(
                told(path, Image, content.as_bytes()),
                [
                    "psr/log 3.0.0 pkg:composer/psr/log@3.0.0",
                    "bare dev-main pkg:composer/bare@dev-main",
                ]
            );
            let packages = read(path, Image, content.as_bytes()).expect("it can be read");
            assert_eq!(packages[0].licences, ["MIT"]);
            assert_eq!(packages[0].supplier.as_deref(), Some("FIG"));
            assert_eq!(packages[0].depends_on, ["psr/other"]);
            assert_eq!(packages[1].licences, ["BSD"]);
        }
    }

    #[test]
    fn what_is_pinned_is_read() {
        let lock = format!("{{\"packages\":[{ENTRY}],\"packages-dev\":[{BARE}]}}");
        assert_eq!(told("composer.lock", Directory, lock.as_bytes()).len(), 2);
        assert!(told("composer.lock", Directory, b"{\"packages-dev\":null}").is_empty());
        for wrong in ["7", "{\"packages\":7}", ""] {
            read("composer.lock", Directory, wrong.as_bytes()).expect_err(wrong);
        }
    }
}
