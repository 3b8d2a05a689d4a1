//! What Python projects pin: `requirements.txt`, `poetry.lock`, `pdm.lock`, `uv.lock`, `Pipfile.lock`.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Value;

use super::input;
use super::python::{normalised, package, requirement};
use crate::file::{Content, File, Reader};
use crate::package::Package;

/// The reader of a lock file.
pub(super) fn reader(file: &File<'_>) -> Option<Reader> {
    match file.name() {
        "poetry.lock" | "pdm.lock" | "uv.lock" => Some(packages),
        "Pipfile.lock" => Some(pipfile),
        name if name.contains("requirements") && name.ends_with(".txt") => Some(requirements),
        _ => None,
    }
}

/// `NAME==VERSION` of each line; what is not pinned has no version that could be told.
/// <https://pip.pypa.io/en/stable/reference/requirements-file-format/>
fn requirements(_: &File<'_>, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let text = input::text(content, input::MAX_LOCK)?;
    let pinned = |line: &str| {
        let line = line.split(" #").next()?.split(" --").next()?;
        let line = line.split(';').next()?.trim().trim_end_matches('\\');
        let (front, version) = line.split_once("==")?;
        let version = input::name(version.trim_start_matches('='))?;
        let name = requirement(front)?;
        let rest = front.trim()[name.len()..].trim();
        let extras = rest.is_empty() || (rest.starts_with('[') && rest.ends_with(']'));
        let exact = !version.contains(['*', ',', ' ']);
        (extras && exact).then(|| package(name, Some(version)))
    };
    Ok(text
        .lines()
        .filter(|line| !line.trim_start().starts_with(['#', '-']))
        .filter_map(pinned)
        .collect())
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: Option<String>,
    dependencies: Option<Value>,
}

/// What Poetry, PDM and uv write: `[[package]]` with a name and a version.
fn packages(_: &File<'_>, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let lock: Lock = input::toml(content, input::MAX_LOCK)?;
    let read = |locked: Locked| {
        let version = locked.version.as_deref().and_then(input::name);
        let mut package = package(input::name(&locked.name)?, version);
        package.depends_on = needs(locked.dependencies.as_ref());
        Some(package)
    };
    Ok(lock.package.into_iter().filter_map(read).collect())
}

/// Poetry has a table by name, PDM a list of requirements, uv a list of tables.
fn needs(dependencies: Option<&Value>) -> Vec<String> {
    let mut names: Vec<String> = match dependencies {
        Some(Value::Table(table)) => table.keys().map(|name| normalised(name)).collect(),
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(|item| match item {
                Value::String(line) => requirement(line),
                other => other.get("name")?.as_str(),
            })
            .map(normalised)
            .collect(),
        _ => Vec::new(),
    };
    names.sort();
    names.dedup();
    input::names(names)
}

#[derive(Deserialize)]
struct Pipfile {
    #[serde(default)]
    default: BTreeMap<String, Pinned>,
    #[serde(default)]
    develop: BTreeMap<String, Pinned>,
}

#[derive(Deserialize)]
struct Pinned {
    version: Option<String>,
}

fn pipfile(_: &File<'_>, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let lock: Pipfile = input::json(content, input::MAX_LOCK)?;
    let read = |(name, pinned): (String, Pinned)| {
        let version = pinned.version.as_deref();
        let version = version.and_then(|version| input::name(version.trim_start_matches('=')));
        Some(package(input::name(&name)?, version))
    };
    let both = lock.default.into_iter().chain(lock.develop);
    Ok(both.filter_map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Scan::Directory;
    use super::super::tests::{read, told};

    #[test]
    fn pinned_requirements_are_packages() {
        let text = b"# comment\n-r other.txt\n--hash=a==1\nFlask[async] == 3.0.3 ; python_version > '3' # why\n\
            click===8.1.7 --hash=sha256:00 \\\n    --hash=sha256:01\nany\nrange>=1,==2.*\nstar==2.*\n\
            zope.interface==6.4\\\n  --hash=sha256:02\ngit+https://example.com/a==b@1\n";
        assert_eq!(
            told("app/requirements-dev.txt", Directory, text),
            [
                "flask 3.0.3 pkg:pypi/flask@3.0.3",
                "click 8.1.7 pkg:pypi/click@8.1.7",
                "zope-interface 6.4 pkg:pypi/zope-interface@6.4",
            ]
        );
    }

    #[test]
    fn each_tool_has_its_own_way_to_write_what_is_needed() {
        for (path, dependencies) in [
            (
                "poetry.lock",
                "[package.dependencies]\nMarkup_Safe = \">=2.0\"\nbabel = {version = \">=2\"}",
            ),
            (
                "pdm.lock",
                "dependencies = [\"babel>=2\", \"MarkupSafe.. ; python_version > '3'\", \"markup-safe\"]",
            ),
            (
                "uv.lock",
                "dependencies = [{ name = \"babel\" }, { name = \"markup-safe\", marker = \"x\" }]",
            ),
        ] {
            let text = format!(
                "version = 1\n[[package]]\nname = \"Jinja2\"\nversion = \"3.1.4\"\n{dependencies}\n"
            );
            let packages = read(path, Directory, text.as_bytes()).expect("it can be read");
            assert_eq!(packages.len(), 1);
            assert_eq!(packages[0].purl.to_string(), "pkg:pypi/jinja2@3.1.4");
            assert_eq!(packages[0].depends_on[0], "babel", "{path}");
            assert!(
                packages[0].depends_on.contains(&"markup-safe".to_owned()),
                "{path}"
            );
        }
        let pipfile = br#"{"_meta":{},"default":{"six":{"hashes":[],"version":"==1.16.0"},"local":{"path":"."}},
            "develop":{"pytest":{"version":"==8.0.0"}}}"#;
        assert_eq!(
            told("Pipfile.lock", Directory, pipfile),
            [
                "local - pkg:pypi/local",
                "six 1.16.0 pkg:pypi/six@1.16.0",
                "pytest 8.0.0 pkg:pypi/pytest@8.0.0"
            ]
        );
    }

    #[test]
    fn what_is_no_lock_file_is_told_in_a_line() {
        for (path, content) in [
            ("poetry.lock", &b"[["[..]),
            ("uv.lock", b"package = 1"),
            ("Pipfile.lock", b"7"),
        ] {
            let error = read(path, Directory, content).expect_err("it is wrong");
            assert!(
                error.starts_with("not the ") && !error.contains('\n'),
                "{error}"
            );
        }
    }
}
