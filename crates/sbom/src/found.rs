//! What one file tells, and who reads it.

use std::io::{self, Cursor, Read, Seek as _, SeekFrom, Write as _};

use crate::file::{Content, File, HEAD, Reader};
use crate::languages::{self, Scan};
use crate::package::Package;
use crate::system::{self, Installed, OsRelease};

/// Bytes of a file that are kept in memory.
const MAX_IN_MEMORY: u64 = 32 << 20;
/// Bytes of a file that is read at all; the others are spooled to a file without a name. Programs come close to it.
const MAX_READ: u64 = 1 << 30;
/// Bytes of a text that a package manager keeps its account in. That of a full desktop has 10 MiB.
const MAX_DATABASE: u64 = 32 << 20;

/// What a file tells.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Packages(Vec<Package>),
    Dpkg(Vec<Installed>),
    Apk(Vec<Installed>),
    Rpm(Vec<Installed>),
    /// Licences of the package whose documentation it is.
    Copyright(Vec<String>),
    /// The documentation of a package is that of another.
    SameDocumentation(String),
    OsRelease(OsRelease),
    /// It may tell of packages, and could not be read, or not without doubt.
    Unread(String),
}

impl Found {
    /// How much there is to keep: packages, and names that they give and need.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Packages(packages) => {
                let names = packages.iter().map(|package| package.depends_on.len());
                packages.len() + names.sum::<usize>()
            }
            Self::Dpkg(list) | Self::Apk(list) | Self::Rpm(list) => {
                let names = list.iter().map(|one| one.needs.len() + one.provides.len());
                list.len() + names.sum::<usize>()
            }
            _ => 0,
        }
    }
}

/// Who reads a file.
#[derive(Clone, Copy)]
enum Wanted {
    Dpkg,
    Apk,
    Copyright,
    OsRelease,
    Rpm,
    Language(Reader),
}

fn wanted(file: &File<'_>, scan: Scan) -> Option<Wanted> {
    let status_of_one = |path: &str| {
        let name = path.strip_prefix("var/lib/dpkg/status.d/");
        name.is_some_and(|name| !name.ends_with(".md5sums") && !name.contains('/'))
    };
    match file.path {
        "var/lib/dpkg/status" => Some(Wanted::Dpkg),
        "lib/apk/db/installed" | "usr/lib/apk/db/installed" => Some(Wanted::Apk),
        "etc/os-release" | "usr/lib/os-release" => Some(Wanted::OsRelease),
        path if documentation_of(path).is_some_and(|(_, rest)| rest == "copyright") => {
            Some(Wanted::Copyright)
        }
        path if status_of_one(path) => Some(Wanted::Dpkg),
        path if is_rpm_database(path) => Some(Wanted::Rpm),
        _ => languages::reader(file, scan).map(Wanted::Language),
    }
}

fn is_rpm_database(path: &str) -> bool {
    let folders = ["var/lib/rpm/", "usr/lib/sysimage/rpm/", "usr/share/rpm/"];
    let name = folders.iter().find_map(|folder| path.strip_prefix(folder));
    matches!(name, Some("rpmdb.sqlite" | "Packages.db" | "Packages"))
}

/// The package whose documentation is at a path, and what of it.
pub(crate) fn documentation_of(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix("usr/share/doc/")?;
    Some(path.split_once('/').unwrap_or((path, "")))
}

/// What a file tells; `None` if nobody wants it.
///
/// # Errors
/// The stream cannot be read any further.
pub(crate) fn look(
    path: &str,
    size: u64,
    executable: bool,
    scan: Scan,
    stream: &mut impl Read,
) -> io::Result<Option<Found>> {
    let mut head = Vec::new();
    stream.take(HEAD as u64).read_to_end(&mut head)?;
    let file = File {
        path,
        size,
        executable,
        head: &head,
    };
    let Some(wanted) = wanted(&file, scan) else {
        return Ok(None);
    };
    let max = match wanted {
        Wanted::Language(_) | Wanted::Rpm => MAX_READ,
        _ => MAX_DATABASE,
    };
    if size > max {
        let problem = format!("not supported: more than {max} bytes");
        return Ok(Some(Found::Unread(problem)));
    }
    let mut content = spool(head.clone(), size, stream)?;
    Ok(read(wanted, &file, &mut *content).unwrap_or_else(|problem| Some(Found::Unread(problem))))
}

/// The rest of a file, so that it can be read in any order.
fn spool(mut bytes: Vec<u8>, size: u64, stream: &mut impl Read) -> io::Result<Box<dyn Content>> {
    if size <= MAX_IN_MEMORY {
        stream.take(MAX_IN_MEMORY).read_to_end(&mut bytes)?;
        return Ok(Box::new(Cursor::new(bytes)));
    }
    let mut file = tempfile::tempfile()?;
    file.write_all(&bytes)?;
    io::copy(&mut stream.take(MAX_READ), &mut file)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(Box::new(file))
}

fn read(
    wanted: Wanted,
    file: &File<'_>,
    content: &mut dyn Content,
) -> Result<Option<Found>, String> {
    if let Wanted::Language(reader) = wanted {
        let packages = reader(file, content)?;
        return Ok((!packages.is_empty()).then_some(Found::Packages(packages)));
    }
    if matches!(wanted, Wanted::Rpm) {
        return system::rpm(content).map(Found::Rpm).map(Some);
    }
    let mut bytes = Vec::new();
    content
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    let text = match text.contains('\r') {
        true => text.replace("\r\n", "\n"),
        false => text.into_owned(),
    };
    Ok(match wanted {
        Wanted::Dpkg => Some(Found::Dpkg(system::dpkg(&text))),
        Wanted::Apk => Some(Found::Apk(system::apk(&text))),
        Wanted::Copyright => Some(Found::Copyright(system::copyright(&text))),
        Wanted::OsRelease => OsRelease::read(&text).map(Found::OsRelease),
        Wanted::Rpm | Wanted::Language(_) => None,
    })
}
