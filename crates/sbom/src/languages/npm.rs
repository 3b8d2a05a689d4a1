//! Installed packages of npm, each with its `package.json`.
//!
//! <https://docs.npmjs.com/cli/v11/configuring-npm/package-json>

use serde::Deserialize;
use serde_json::{Map, Value};

use super::input;
use crate::file::{Content, File, Reader};
use crate::package::{Ecosystem, Package, Purl};

/// The reader of a package's own description.
pub(super) fn installed(file: &File<'_>) -> Option<Reader> {
    (file.name() == "package.json").then_some(read as Reader)
}

/// A package of npm; `@scope/name` has its scope as namespace.
pub(super) fn package(name: &str, version: Option<&str>) -> Package {
    let (scope, bare) = match name.split_once('/') {
        Some((scope, bare)) if scope.starts_with('@') => (Some(scope), bare),
        _ => (None, name),
    };
    let purl = Purl::new("npm", scope, bare, version);
    Package::new(Ecosystem::Npm, name, version, purl)
}

/// Everything may be of another type than its name says: nobody checks it.
#[derive(Deserialize)]
struct Description {
    #[serde(default)]
    name: Value,
    #[serde(default)]
    version: Value,
    #[serde(default)]
    license: Value,
    #[serde(default)]
    licenses: Value,
    #[serde(default)]
    author: Value,
    #[serde(default)]
    dependencies: Value,
}

fn read(_: &File<'_>, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let description: Description = input::json(content, input::MAX_DESCRIPTION)?;
    let stated = |value: &Value| value.as_str().and_then(input::name).map(str::to_owned);
    // Without a name it is no package: a folder says with it how its scripts are to be loaded.
    let Some(name) = stated(&description.name) else {
        return Ok(Vec::new());
    };
    let version = stated(&description.version);
    let mut package = package(&name, version.as_deref());
    let licences = match &description.license {
        Value::Null => &description.licenses,
        license => license,
    };
    package.licences = match licences {
        Value::Array(list) => list.iter().filter_map(|item| named(item, "type")).collect(),
        one => named(one, "type").into_iter().collect(),
    };
    package.supplier = named(&description.author, "name");
    package.depends_on = description
        .dependencies
        .as_object()
        .map_or_else(Vec::new, keys);
    Ok(vec![package])
}

/// A string, or what an object has under `key`.
fn named(value: &Value, key: &str) -> Option<String> {
    let text = value.as_str().or_else(|| value.get(key)?.as_str());
    text.and_then(input::name).map(str::to_owned)
}

/// The names that an object of dependencies has.
fn keys(dependencies: &Map<String, Value>) -> Vec<String> {
    let names = dependencies.keys().filter_map(|name| input::name(name));
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Scan::Image;
    use super::super::tests::{read, told};

    const PATH: &str = "app/node_modules/@scope/name/package.json";

    #[test]
    fn an_installed_package_is_read() {
        let content = br#"{"name":"@scope/name","version":"1.0.0-rc.1+b","license":"(MIT OR Apache-2.0)",
            "author":{"name":"Ann","email":"ann@example.com"},"dependencies":{"b":"^1","@c/d":"*"},"devDependencies":{"e":"1"}}"#;
        let packages = read(PATH, Image, content).expect("it can be read");
        let [package] = &packages[..] else {
            panic!("{packages:?}")
        };
        assert_eq!(package.name, "@scope/name");
        assert_eq!(
            package.purl.to_string(),
            "pkg:npm/%40scope/name@1.0.0-rc.1%2Bb"
        );
        assert_eq!(package.licences, ["(MIT OR Apache-2.0)"]);
        assert_eq!(package.supplier.as_deref(), Some("Ann"));
        assert_eq!(package.depends_on, ["@c/d", "b"]);
    }

    #[test]
    fn descriptions_of_all_ages_are_read() {
        for (fields, licences) in [
            (r#""license":{"type":"MIT","url":"x"}"#, &["MIT"][..]),
            (r#""licenses":[{"type":"MIT"},"ISC",7]"#, &["MIT", "ISC"]),
            (r#""licenses":{"type":"BSD"}"#, &["BSD"]),
            (r#""license":7,"author":["x"],"dependencies":[]"#, &[]),
        ] {
            let text = format!("\u{feff}{{\"name\":\"a\",\"version\":\"1\",{fields}}}");
            let packages = read(PATH, Image, text.as_bytes()).expect("it can be read");
            assert_eq!(packages[0].licences, licences, "{fields}");
        }
    }

    #[test]
    fn a_folder_that_only_says_how_it_is_loaded_is_no_package() {
        for content in ["{\"type\":\"module\"}", "{\"name\":1,\"version\":2}"] {
            assert!(told(PATH, Image, content.as_bytes()).is_empty());
        }
        let private = br#"{"name":"app","private":true}"#;
        assert_eq!(told(PATH, Image, private), ["app - pkg:npm/app"]);
        let error = read(PATH, Image, b"{").expect_err("it is cut");
        assert!(error.starts_with("not the JSON expected"), "{error}");
    }
}
