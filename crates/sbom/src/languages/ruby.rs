//! Ruby: installed gems, each with its specification, and `Gemfile.lock`.
//!
//! A specification is a program. The ones of installed gems are written by RubyGems, a value in each line, and only
//! such lines are read. <https://guides.rubygems.org/specification-reference/>

use super::input;
use crate::file::{Content, File, Reader};
use crate::package::{Ecosystem, Package, Purl};

/// The reader of an installed gem's specification.
pub(super) fn installed(file: &File<'_>) -> Option<Reader> {
    let gem = file.path.ends_with(".gemspec");
    let installed = file
        .path
        .split('/')
        .rev()
        .skip(1)
        .any(|part| part == "specifications");
    (gem && installed).then_some(read as Reader)
}

/// The reader of what a project pins.
pub(super) fn lock_file(file: &File<'_>) -> Option<Reader> {
    matches!(file.name(), "Gemfile.lock" | "gems.locked").then_some(read_lock as Reader)
}

fn package(name: &str, version: Option<&str>) -> Package {
    let purl = Purl::new("gem", None, name, version);
    Package::new(Ecosystem::Gem, name, version, purl)
}

fn read(_: &File<'_>, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let text = input::text(content, input::MAX_DESCRIPTION)?;
    let (mut name, mut version) = (None, None);
    let (mut licences, mut authors, mut needs) = (Vec::new(), Vec::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        let Some((variable, rest)) = line.split_once('.') else {
            continue;
        };
        if !matches!(variable, "s" | "spec" | "gem") {
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (field, value) = rest.split_at(end.unwrap_or(rest.len()));
        let assigned = value.trim_start().starts_with('=');
        match field {
            "name" if assigned => name = strings(value).into_iter().next(),
            "version" if assigned => version = strings(value).into_iter().next(),
            "license" | "licenses" if assigned => licences = strings(value),
            "author" | "authors" if assigned => authors = strings(value),
            "add_dependency" | "add_runtime_dependency" => {
                needs.extend(strings(value).into_iter().next());
            }
            _ => {}
        }
    }
    let name = name.and_then(input::name).ok_or("there is no name in it")?;
    let mut package = package(name, version.and_then(input::name));
    let named = |texts: Vec<&str>| -> Vec<String> {
        let names = texts.into_iter().filter_map(input::name);
        names.map(str::to_owned).collect()
    };
    package.licences = named(licences);
    package.supplier = named(authors).into_iter().next();
    package.depends_on = named(needs);
    // RubyGems writes each three times, for its own versions of all ages.
    package.depends_on.sort();
    package.depends_on.dedup();
    Ok(vec![package])
}

/// The strings in a line: `"…"`, `'…'`, `%q<…>`.
fn strings(line: &str) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), line);
    while let Some(at) = rest.find(['"', '\'', '%', '#']) {
        let (inside, end) = match rest.as_bytes()[at] {
            b'#' => break,
            b'%' if rest[at..].starts_with("%q<") => (&rest[at + 3..], '>'),
            b'%' => {
                rest = &rest[at + 1..];
                continue;
            }
            quote => (&rest[at + 1..], char::from(quote)),
        };
        let Some((string, after)) = inside.split_once(end) else {
            break;
        };
        found.push(string);
        rest = after;
    }
    found
}

/// <https://bundler.io/man/bundle-lock.1.html>: below `specs:`, gems have four spaces before them, and what they need has
/// six.
fn read_lock(_: &File<'_>, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let text = input::text(content, input::MAX_LOCK)?;
    let (mut packages, mut inside): (Vec<Package>, bool) = (Vec::new(), false);
    for line in text.lines() {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let (name, rest) = match line.trim().split_once(' ') {
            Some(both) => both,
            None => (line.trim(), ""),
        };
        match indent {
            2 => inside = name == "specs:",
            4 if inside => {
                let version = rest.trim_start_matches('(').trim_end_matches(')');
                packages.extend(input::name(name).map(|name| package(name, input::name(version))));
            }
            6 if inside => {
                if let Some(last) = packages.last_mut() {
                    let need = input::name(name.trim_end_matches('!'));
                    last.depends_on.extend(need.map(str::to_owned));
                }
            }
            0 => inside = false,
            _ => {}
        }
    }
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::super::Scan::{Directory, Image};
    use super::super::tests::{read, told};

    const PATH: &str = "usr/lib/ruby/gems/3.3.0/specifications/default/some-1.2.gemspec";

    #[test]
    fn an_installed_gem_is_read() {
        let content = b"# -*- encoding: utf-8 -*-\n# stub: some 1.2.3 ruby lib\n\nGem::Specification.new do |s|\n\
            \x20 s.name = \"some_gem\".freeze\n  s.version = \"1.2.3\"\n\n\
            \x20 s.required_rubygems_version = Gem::Requirement.new(\">= 0\".freeze) if s.respond_to? :required_rubygems_version=\n\
            \x20 s.authors = [\"Ann\".freeze, 'Bob']\n  s.licenses = [\"MIT\".freeze, \"Ruby\".freeze]\n\
            \x20 s.add_runtime_dependency(%q<rack>.freeze, [\"~> 3.0\".freeze])\n  s.add_dependency(\"rack\", \"1\")\n\
            \x20 s.add_development_dependency(%q<rake>.freeze, [\">= 0\"])\nend\n";
        let packages = read(PATH, Image, content).expect("it can be read");
        let [package] = &packages[..] else {
            panic!("{packages:?}")
        };
        assert_eq!(package.purl.to_string(), "pkg:gem/some_gem@1.2.3");
        assert_eq!(package.licences, ["MIT", "Ruby"]);
        assert_eq!(package.supplier.as_deref(), Some("Ann"));
        assert_eq!(package.depends_on, ["rack"]);
    }

    #[test]
    fn what_has_no_name_is_an_error() {
        for content in [
            "",
            "s.name",
            "s.name = ",
            "s.name = \"",
            "s.name = NAME # \"a\"",
            "s.names = 'a'",
            "s.name = %q<a",
        ] {
            assert_eq!(
                read(PATH, Image, content.as_bytes()),
                Err("there is no name in it".to_owned()),
                "{content}"
            );
        }
        assert_eq!(
            told(PATH, Image, b"s.name = 'a'\ns.version = V\n"),
            ["a - pkg:gem/a"]
        );
    }

    #[test]
    fn a_lock_file_is_read() {
        let lock = b"GIT\n  remote: https://example.com/a.git\n  revision: 00\n  specs:\n    a (0.1.0)\n      rack (>= 2)\n      own!\n\n\
            GEM\n  remote: https://example.com/\n  specs:\n    nokogiri (1.16.0-x86_64-linux)\n    rack (3.0.8)\n\n\
            PLATFORMS\n  x86_64-linux\n\nDEPENDENCIES\n  a!\n  rack\n\nBUNDLED WITH\n   2.5.3\n";
        assert_eq!(
            told("Gemfile.lock", Directory, lock),
            [
                "a 0.1.0 pkg:gem/a@0.1.0",
                "nokogiri 1.16.0-x86_64-linux pkg:gem/nokogiri@1.16.0-x86_64-linux",
                "rack 3.0.8 pkg:gem/rack@3.0.8",
            ]
        );
        let packages = read("Gemfile.lock", Directory, lock).expect("it can be read");
        assert_eq!(packages[0].depends_on, ["rack", "own"]);
        assert!(told("Gemfile.lock", Directory, b"\xff\n      a\n    b\n").is_empty());
    }
}
