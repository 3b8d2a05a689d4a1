//! rpm's databases: SQLite (`rpmdb.sqlite`) and rpm's own (`Packages.db`). In each of them, a package is the header of
//! the file that it was installed from.
//!
//! <https://rpm-software-management.github.io/rpm/manual/format_header.html>
//!
//! Invariant: what a header says of places and counts is checked against the bytes that are there.

use std::io::{Read as _, SeekFrom};

use super::sqlite::{Column, Database, MAGIC};
use super::{Installed, value};
use crate::file::Content;

/// Names that a package may need or provide; the largest known have a tenth of it.
const MAX_NAMES: usize = 100_000;
/// How rpm's own database begins, and a package in it.
const OWN_MAGIC: &[u8] = b"RpmP";
const SLOT_MAGIC: &[u8] = b"Slot";
const BLOB_MAGIC: &[u8] = b"BlbS";
/// Places for packages in rpm's own database: a hundred times as many as large systems have.
const MAX_SLOTS: u64 = 1_000_000;
/// Bytes of all headers. A damaged database may name the same bytes again and again.
const MAX_HEADERS: u64 = 1 << 30;

const WRONG: &str = "the header of a package in it is damaged";

/// The packages in a database.
pub(crate) fn installed(content: &mut dyn Content) -> Result<Vec<Installed>, String> {
    let start = read(content, 0, 32)?;
    let mut found = Vec::new();
    if start.starts_with(MAGIC) {
        Database::open(content)?.rows("Packages", &mut |row| {
            if let [_, Column::Bytes(header)] = row.as_slice() {
                found.extend(package(header)?);
            }
            Ok(())
        })?;
        return Ok(found);
    }
    if !start.starts_with(OWN_MAGIC) {
        return Err(
            "not supported: databases of rpm in Berkeley DB's format; `rpm --rebuilddb` of a current rpm makes it an SQLite one"
                .to_owned(),
        );
    }
    let word = |bytes: &[u8], at: usize| -> Result<u64, String> {
        let word = bytes.get(at..).and_then(<[u8]>::first_chunk);
        Ok(u64::from(u32::from_le_bytes(*word.ok_or(WRONG)?)))
    };
    // The first two places have the database's own header.
    let slots = word(&start, 12)? * 4096 / 16;
    if slots > MAX_SLOTS {
        return Err(format!("not supported: more than {MAX_SLOTS} packages"));
    }
    let slots = read(content, 32, slots.saturating_sub(2) * 16)?;
    let mut left = MAX_HEADERS;
    for slot in slots.as_chunks::<16>().0 {
        if !slot.starts_with(SLOT_MAGIC) {
            return Err(WRONG.to_owned());
        }
        if word(slot, 4)? == 0 {
            continue;
        }
        let place = word(slot, 8)? * 16;
        let head = read(content, place, 16)?;
        let length = word(&head, 12)?;
        if !head.starts_with(BLOB_MAGIC) {
            return Err(WRONG.to_owned());
        }
        let rest = left.checked_sub(length);
        left = rest.ok_or_else(|| format!("not supported: more than {MAX_HEADERS} bytes"))?;
        found.extend(package(&read(content, place + 16, length)?)?);
    }
    Ok(found)
}

fn read(content: &mut dyn Content, start: u64, length: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    content
        .seek(SeekFrom::Start(start))
        .and_then(|_| content.take(length).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err("the database ends too early".to_owned()),
    }
}

fn package(bytes: &[u8]) -> Result<Option<Installed>, String> {
    let header = Header::read(bytes)?;
    let one = |tag| header.texts(tag, 1).first().and_then(|text| value(text));
    let many = |tag| -> Vec<String> {
        let texts = header.texts(tag, MAX_NAMES);
        texts.iter().filter_map(|text| value(text)).collect()
    };
    let (Some(name), Some(version)) = (one(tag::NAME), one(tag::VERSION)) else {
        return Err(WRONG.to_owned());
    };
    // A key that packages are verified with is kept like a package, and is none.
    if name == "gpg-pubkey" {
        return Ok(None);
    }
    let version = match one(tag::RELEASE) {
        Some(release) => format!("{version}-{release}"),
        None => version,
    };
    Ok(Some(Installed {
        version,
        architecture: one(tag::ARCHITECTURE).unwrap_or_default(),
        upstream: one(tag::SOURCE).unwrap_or_default(),
        epoch: header.number(tag::EPOCH),
        supplier: one(tag::VENDOR),
        licences: one(tag::LICENCE).into_iter().collect(),
        needs: many(tag::NEEDS),
        provides: many(tag::PROVIDES),
        name,
    }))
}

/// <https://rpm-software-management.github.io/rpm/manual/tags.html>
mod tag {
    pub(super) const NAME: u32 = 1000;
    pub(super) const VERSION: u32 = 1001;
    pub(super) const RELEASE: u32 = 1002;
    pub(super) const EPOCH: u32 = 1003;
    pub(super) const VENDOR: u32 = 1011;
    pub(super) const LICENCE: u32 = 1014;
    pub(super) const ARCHITECTURE: u32 = 1022;
    pub(super) const SOURCE: u32 = 1044;
    pub(super) const PROVIDES: u32 = 1047;
    pub(super) const NEEDS: u32 = 1049;
}

struct Header<'a> {
    index: &'a [[u8; 16]],
    data: &'a [u8],
}

impl<'a> Header<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let (counts, rest) = bytes.split_at_checked(8).ok_or(WRONG)?;
        let count = word(counts, 0).and_then(|it| usize::try_from(it).ok());
        let count = count.and_then(|it| it.checked_mul(16)).ok_or(WRONG)?;
        let (index, data) = rest.split_at_checked(count).ok_or(WRONG)?;
        Ok(Self {
            index: index.as_chunks().0,
            data,
        })
    }

    /// Type, count and bytes of an entry.
    fn entry(&self, tag: u32) -> Option<(u32, u32, &'a [u8])> {
        let entry = self
            .index
            .iter()
            .find(|entry| word(*entry, 0) == Some(tag))?;
        let place = usize::try_from(word(entry, 8)?).ok()?;
        Some((word(entry, 4)?, word(entry, 12)?, self.data.get(place..)?))
    }

    fn number(&self, tag: u32) -> Option<u32> {
        let (4, 1.., bytes) = self.entry(tag)? else {
            return None;
        };
        word(bytes, 0)
    }

    fn texts(&self, tag: u32, max: usize) -> Vec<String> {
        let Some((6 | 8 | 9, count, bytes)) = self.entry(tag) else {
            return Vec::new();
        };
        let count = usize::try_from(count).unwrap_or(max).min(max);
        let texts = bytes.split(|byte| *byte == 0).take(count);
        texts
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect()
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::package::Ecosystem;
    use crate::system::OsRelease;

    /// A table of 40 packages with pages of 512 bytes, so that it has inner pages and rows over several; made by SQLite
    /// itself: `fixtures/rpmdb.py`.
    const DATABASE: &[u8] = include_bytes!("../../fixtures/rpmdb.sqlite");

    fn header(name: &str) -> Vec<u8> {
        let texts = [
            (1000, name),
            (1001, "1.2"),
            (1002, "3.el9"),
            (1022, "noarch"),
        ];
        let (mut index, mut data) = (Vec::new(), Vec::new());
        for (tag, text) in texts {
            for word in [tag, 6, u32::try_from(data.len()).unwrap(), 1_u32] {
                index.extend(word.to_be_bytes());
            }
            data.extend(text.bytes().chain([0]));
        }
        let counts = [4, u32::try_from(data.len()).unwrap()];
        let counts = counts.iter().flat_map(|count| count.to_be_bytes());
        counts.chain(index).chain(data).collect()
    }

    #[test]
    fn packages_in_sqlite_are_found() {
        let found = installed(&mut Cursor::new(DATABASE)).unwrap();
        assert_eq!(found.len(), 40);
        let os = OsRelease::read("ID=rhel\nVERSION_ID=9.4").unwrap();
        let package = found[7].package(Ecosystem::Rpm, Some(&os));
        assert_eq!(
            package.purl.to_string(),
            "pkg:rpm/redhat/pkg7@7.0-1.el9?arch=x86_64&distro=rhel-9.4&epoch=2&upstream=pkg7-7.0-1.el9.src.rpm"
        );
        assert_eq!(package.licences, ["MIT"]);
        assert_eq!(found[7].needs.len(), 60);
    }

    #[test]
    fn packages_in_rpms_own_database_are_found() {
        let blob = header("hello");
        let mut own = b"RpmP\0\0\0\0\x01\0\0\0\x01\0\0\0".to_vec();
        own.resize(32, 0);
        own.extend(b"Slot\x01\0\0\0\x00\x01\0\0\x02\0\0\0");
        while own.len() < 4096 {
            own.extend(b"Slot\0\0\0\0\0\0\0\0\0\0\0\0");
        }
        own.extend(b"BlbS\x01\0\0\0\x01\0\0\0");
        own.extend(u32::try_from(blob.len()).unwrap().to_le_bytes());
        own.extend(&blob);
        let found = installed(&mut Cursor::new(&own)).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (&*found[0].name, &*found[0].version),
            ("hello", "1.2-3.el9")
        );
        own.pop();
        installed(&mut Cursor::new(&own)).unwrap_err();
    }

    #[test]
    fn damaged_databases_are_errors_and_end() {
        assert_eq!(package(&header("gpg-pubkey")), Ok(None));
        for length in 0..header("a").len() {
            let _ = package(&header("a")[..length]);
        }
        for at in (0..DATABASE.len()).step_by(61) {
            let mut damaged = DATABASE.to_vec();
            damaged[at] ^= 0xff;
            let _ = installed(&mut Cursor::new(damaged));
            let _ = installed(&mut Cursor::new(&DATABASE[..at]));
        }
        let berkeley = installed(&mut Cursor::new(vec![0; 4096])).unwrap_err();
        assert!(berkeley.contains("Berkeley DB"), "{berkeley}");
    }
}
