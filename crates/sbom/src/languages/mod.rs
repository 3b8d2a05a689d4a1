//! What package managers of programming languages leave behind: installed packages, lock files, and what compilers and
//! linkers write into programs.
//!
//! Invariant: a reader is chosen by a file's path and its first bytes alone, reads a bounded part of it, and gives
//! packages or one short line; it never panics, whatever the file holds.

mod cargo;
mod elf;
mod go;
mod go_binary;
mod input;
mod java;
mod macho;
mod manifest;
mod npm;
mod npm_lock;
mod object;
mod pe;
mod php;
mod pom;
mod python;
mod python_lock;
mod ruby;
mod yarn;
mod zip;

use crate::file::{Content, File, Reader};
use crate::package::Package;

/// What is looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scan {
    /// An image: what is installed counts, and what a lock file only asks for does not.
    Image,
    /// A directory with a project's source: lock files count, as nothing need be installed yet.
    Directory,
}

/// The reader for a file; none if it is no file that tells of packages.
#[must_use]
pub fn reader(file: &File<'_>, scan: Scan) -> Option<Reader> {
    let everywhere = python::installed(file)
        .or_else(|| java::archive(file))
        .or_else(|| object::is_program(file.head).then_some(program as Reader));
    everywhere.or_else(|| match scan {
        Scan::Image => npm::installed(file)
            .or_else(|| ruby::installed(file))
            .or_else(|| php::installed(file)),
        Scan::Directory => python_lock::reader(file)
            .or_else(|| npm_lock::reader(file))
            .or_else(|| go::reader(file))
            .or_else(|| cargo::lock_file(file))
            .or_else(|| java::project(file))
            .or_else(|| ruby::lock_file(file))
            .or_else(|| php::lock_file(file)),
    })
}

/// A program, a library, or an object file: what Go's linker and cargo-auditable wrote into it.
fn program(_: &File<'_>, content: &mut dyn Content) -> Result<Vec<Package>, String> {
    let mut packages = Vec::new();
    for object in object::Object::open_all(content)? {
        packages.extend(go_binary::packages(&object, content)?);
        packages.extend(cargo::audited(&object, content)?);
    }
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// `NAME VERSION PURL` of every package that a file tells of.
    pub(super) fn told(path: &str, scan: Scan, content: &[u8]) -> Vec<String> {
        let packages = read(path, scan, content).expect("the file can be read");
        packages
            .iter()
            .map(|package| {
                let version = package.version.as_deref().unwrap_or("-");
                format!("{} {version} {}", package.name, package.purl)
            })
            .collect()
    }

    /// What the chosen reader gives.
    pub(super) fn read(path: &str, scan: Scan, content: &[u8]) -> Result<Vec<Package>, String> {
        let file = File {
            path,
            size: content.len() as u64,
            executable: false,
            head: &content[..content.len().min(crate::file::HEAD)],
        };
        let reader = reader(&file, scan).ok_or("no reader takes it")?;
        reader(&file, &mut Cursor::new(content))
    }

    #[test]
    fn lock_files_count_in_directories_and_installed_packages_in_images() {
        use Scan::{Directory, Image};
        for (path, image, directory) in [
            (
                "usr/lib/python3/dist-packages/a-1.dist-info/METADATA",
                true,
                true,
            ),
            (
                "usr/lib/python3/dist-packages/a.egg-info/PKG-INFO",
                true,
                true,
            ),
            ("usr/lib/python3/dist-packages/a-1.egg-info", true, true),
            ("opt/a-1.egg/EGG-INFO/PKG-INFO", true, true),
            ("a-1.0/PKG-INFO", false, false),
            ("app/requirements.txt", false, true),
            ("app/requirements-dev.txt", false, true),
            ("app/poetry.lock", false, true),
            ("app/uv.lock", false, true),
            ("app/Pipfile.lock", false, true),
            ("app/node_modules/a/package.json", true, false),
            ("app/package-lock.json", false, true),
            ("app/yarn.lock", false, true),
            ("app/pnpm-lock.yaml", false, true),
            ("app/go.mod", false, true),
            ("app/Cargo.lock", false, true),
            ("app/lib/a-1.0.jar", false, false),
            ("app/pom.xml", false, true),
            ("usr/share/gems/specifications/a-1.gemspec", true, false),
            ("app/a.gemspec", false, false),
            ("app/Gemfile.lock", false, true),
            ("app/vendor/composer/installed.json", true, false),
            ("app/composer.lock", false, true),
            ("etc/passwd", false, false),
            ("", false, false),
        ] {
            let file = File {
                path,
                size: 9,
                executable: false,
                head: b"something",
            };
            assert_eq!(reader(&file, Image).is_some(), image, "{path} in an image");
            assert_eq!(reader(&file, Directory).is_some(), directory, "{path}");
        }
    }
}
