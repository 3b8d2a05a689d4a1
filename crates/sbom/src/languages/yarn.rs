//! `yarn.lock` of Yarn 1, which looks like YAML, and of the later ones, which is YAML that looks like it.
//!
//! Both are lines: a key of requirements, and below it, indented, what they came to. Read so, both need one reader.

use super::input;
use super::npm::package;
use super::npm_lock::split;
use crate::file::{Content, File};
use crate::package::Package;

/// The version of a package that is the project's own.
const OWN: &str = "0.0.0-use.local";

/// What is known of an entry so far.
#[derive(Default)]
struct Entry<'a> {
    name: Option<&'a str>,
    version: Option<&'a str>,
    needs: Vec<String>,
    in_dependencies: bool,
}

/// Reads a lock file.
pub(super) fn read(_: &File<'_>, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let text = input::text(content, input::MAX_LOCK)?;
    let (mut packages, mut entry) = (Vec::new(), Entry::default());
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let line = line.trim();
        match indent {
            0 if line.starts_with('#') => {}
            0 => {
                packages.extend(std::mem::take(&mut entry).package());
                entry.name = required(line);
            }
            1..=3 => entry.line(line),
            _ if entry.in_dependencies => entry
                .needs
                .extend(pair(line).map(|(name, _)| name.to_owned())),
            _ => {}
        }
    }
    packages.extend(entry.package());
    Ok(packages)
}

impl<'a> Entry<'a> {
    fn line(&mut self, line: &'a str) {
        self.in_dependencies = line == "dependencies:";
        match pair(line) {
            Some(("version", version)) => self.version = Some(version),
            // The package that an alias stands for.
            Some(("resolution", resolution)) => {
                self.name = split(resolution).map(|(name, _)| name).or(self.name);
            }
            _ => {}
        }
    }

    fn package(self) -> Option<Package> {
        let version = self.version.and_then(input::name)?;
        if version == OWN {
            return None;
        }
        let mut package = package(self.name.and_then(input::name)?, Some(version));
        package.depends_on = input::names(self.needs);
        Some(package)
    }
}

/// The name in `"a@^1", a@^2:`; of an alias, `b@npm:a@^1`, the package that it stands for.
fn required(line: &str) -> Option<&str> {
    let first = line
        .trim_end_matches(':')
        .split(", ")
        .next()?
        .trim_matches('"');
    let (name, range) = split(first)?;
    let alias = range.strip_prefix("npm:").and_then(split);
    Some(alias.map_or(name, |(name, _)| name))
}

/// `key value` or `key: value`, each perhaps in quotation marks.
fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(' ')?;
    let bare = |text| str::trim_matches(text, ['"', '\'']);
    Some((bare(key.trim_end_matches(':')), bare(value.trim())))
}

#[cfg(test)]
mod tests {
    use super::super::Scan::Directory;
    use super::super::tests::{read, told};

    #[test]
    fn a_lock_of_yarn_1_is_read() {
        let lock = b"# yarn lockfile v1\n\n\n\"@s/b@^2.0.0\", \"@s/b@^2.1.0\":\n  version \"2.1.3\"\n  resolved \"https://example.com/b.tgz#0\"\n  \
            integrity sha512-x\n\na@^1:\n  version \"1.0.0\"\n  dependencies:\n    \"@s/b\" \"^2\"\n    c \"~3\"\n  optionalDependencies:\n    d \"1\"\n\n\
            alias@npm:real@^4:\n  version \"4.0.0\"\n";
        assert_eq!(
            told("yarn.lock", Directory, lock),
            [
                "@s/b 2.1.3 pkg:npm/%40s/b@2.1.3",
                "a 1.0.0 pkg:npm/a@1.0.0",
                "real 4.0.0 pkg:npm/real@4.0.0",
            ]
        );
        let packages = read("yarn.lock", Directory, lock).expect("it can be read");
        assert_eq!(packages[1].depends_on, ["@s/b", "c"]);
    }

    #[test]
    fn a_lock_of_a_later_yarn_is_read() {
        let lock = b"__metadata:\n  version: 8\n  cacheKey: 10c0\n\n\"@s/b@npm:^2.0.0, @s/b@npm:^2.1.0\":\n  version: 2.1.3\n  \
            resolution: \"@s/b@npm:2.1.3\"\n  dependencies:\n    c: \"npm:~3\"\n  checksum: 10c0/00\n  languageName: node\n\n\
            \"alias@npm:real@^4\":\n  version: 4.0.0\n  resolution: \"real@npm:4.0.0\"\n\n\
            \"app@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"app@workspace:.\"\n";
        assert_eq!(
            told("yarn.lock", Directory, lock),
            [
                "@s/b 2.1.3 pkg:npm/%40s/b@2.1.3",
                "real 4.0.0 pkg:npm/real@4.0.0",
            ]
        );
    }

    #[test]
    fn what_is_no_lock_file_has_no_packages() {
        for content in [
            &b""[..],
            b"\xff\n version\n",
            b"a@:\n  version\n  version \"\"\n",
            b"  version 1\n",
        ] {
            assert!(told("yarn.lock", Directory, content).is_empty());
        }
    }
}
