//! ZIP archives (APPNOTE.TXT 6.3.10) as JAR files are: enough of them to read what a signature covers.
//!
//! <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>
//!
//! Programs differ on what is in an archive that contradicts itself, so such archives are refused: two entries of one
//! name, two places for the central directory, a local header with another name than the directory's. Nothing is
//! written anywhere, and what is unpacked of one archive is counted: a small archive can claim to have terabytes in it.

use std::collections::BTreeSet;
use std::io::Read;

use flate2::Crc;
use flate2::read::DeflateDecoder;

/// Bytes that are unpacked of one archive, at most: a second's work. Those that a log's request can carry, some
/// megabytes, have a tenth of it.
const MAX_UNPACKED: u64 = 128 << 20;

const END: &[u8] = b"PK\x05\x06";
const END_LEN: usize = 22;
const CENTRAL: &[u8] = b"PK\x01\x02";
const CENTRAL_LEN: usize = 46;
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_LEN: usize = 30;
/// The fields of the old format that say "see the ZIP64 extension" have these values.
const ZIP64: u32 = 0xffff_ffff;

const ENCRYPTED: u16 = 1;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// An archive whose directory was read.
pub(crate) struct Archive<'a> {
    bytes: &'a [u8],
    /// Where its offsets are counted from: programs may stand before an archive.
    base: usize,
    /// What the directory lists.
    pub(crate) entries: Vec<Entry<'a>>,
    unpacked: u64,
}

/// One line of the directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// The path, in whatever encoding.
    pub(crate) name: &'a [u8],
    /// The size that it claims to have unpacked.
    pub(crate) size: u32,
    packed: u32,
    crc: u32,
    method: u16,
    offset: u32,
}

impl<'a> Archive<'a> {
    /// Reads the directory.
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let end = end_of_directory(bytes).ok_or("not a valid zip file")?;
        let tail = Fields(&bytes[end..end + END_LEN]);
        let (disks, count, total) = (tail.u32(4), tail.u16(8), tail.u16(10));
        let (size, offset) = (tail.u32(12), tail.u32(16));
        if count == u16::MAX || size == ZIP64 || offset == ZIP64 {
            return Err("not supported: ZIP64 archives".to_owned());
        }
        if disks != 0 || count != total {
            return Err("not supported: archives in several parts".to_owned());
        }
        let start = end.checked_sub(size as usize);
        let base = start.and_then(|start| start.checked_sub(offset as usize));
        let (Some(start), Some(base)) = (start, base) else {
            return Err("not a valid zip file: its directory is not there".to_owned());
        };
        if base > 0 && bytes[offset as usize..].starts_with(CENTRAL) {
            return Err("the archive could have its directory in two places".to_owned());
        }
        let mut rest = &bytes[start..end];
        let (mut entries, mut names) = (Vec::new(), BTreeSet::new());
        for _ in 0..count {
            let (entry, after) = Entry::read(rest)?;
            if !names.insert(entry.name) {
                return Err(format!("{} is there twice", shown(entry.name)));
            }
            entries.push(entry);
            rest = after;
        }
        if !rest.is_empty() {
            return Err("the archive's directory has more entries than it says".to_owned());
        }
        Ok(Self {
            bytes,
            base,
            entries,
            unpacked: 0,
        })
    }

    /// Unpacks an entry into `sink`, piece by piece.
    pub(crate) fn unpack(
        &mut self,
        entry: &Entry<'_>,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<(), String> {
        let name = || shown(entry.name);
        self.unpacked += u64::from(entry.size);
        if self.unpacked > MAX_UNPACKED {
            return Err(format!(
                "not supported: archives with more than {MAX_UNPACKED} bytes in them"
            ));
        }
        let packed = self
            .packed(entry)
            .ok_or_else(|| format!("{}: it is not where the directory says", name()))?;
        // One byte more than it claims shows that the claim is false.
        let limit = u64::from(entry.size) + 1;
        let mut reader: Box<dyn Read + '_> = match entry.method {
            STORED => Box::new(packed.take(limit)),
            DEFLATED => Box::new(DeflateDecoder::new(packed).take(limit)),
            other => {
                return Err(format!(
                    "{}: not supported: the compression method {other}",
                    name()
                ));
            }
        };
        let (mut crc, mut buffer) = (Crc::new(), [0; 16 << 10]);
        let mut size = 0_u64;
        loop {
            let read = reader
                .read(&mut buffer)
                .map_err(|error| format!("{}: {error}", name()))?;
            if read == 0 {
                break;
            }
            size += read as u64;
            crc.update(&buffer[..read]);
            sink(&buffer[..read]);
        }
        match size == u64::from(entry.size) && crc.sum() == entry.crc {
            true => Ok(()),
            false => Err(format!(
                "{}: its size or its checksum is not what the directory says",
                name()
            )),
        }
    }

    /// Unpacks an entry into memory. The caller has looked at its size.
    pub(crate) fn content(&mut self, entry: &Entry<'_>) -> Result<Vec<u8>, String> {
        let mut content = Vec::new();
        self.unpack(entry, |piece| content.extend_from_slice(piece))?;
        Ok(content)
    }

    /// The bytes of an entry, as they are packed.
    fn packed(&self, entry: &Entry<'_>) -> Option<&'a [u8]> {
        let start = self.base.checked_add(entry.offset as usize)?;
        let local = self.bytes.get(start..)?;
        let header = Fields(local.get(..LOCAL_LEN)?);
        let name = header.u16(26) as usize;
        let data = LOCAL_LEN + name + header.u16(28) as usize;
        let same = local.starts_with(LOCAL)
            && header.u16(8) == entry.method
            && local.get(LOCAL_LEN..LOCAL_LEN + name)? == entry.name;
        if !same {
            return None;
        }
        local.get(data..data.checked_add(entry.packed as usize)?)
    }
}

impl<'a> Entry<'a> {
    /// One line from the front of the directory (section 4.3.12), and what follows it.
    fn read(directory: &'a [u8]) -> Result<(Self, &'a [u8]), String> {
        const CUT: &str = "not a valid zip file: its directory is cut";
        let header = directory.get(..CENTRAL_LEN).ok_or(CUT)?;
        if !header.starts_with(CENTRAL) {
            return Err("not a valid zip file: its directory is no directory".to_owned());
        }
        let fields = Fields(header);
        let name_end = CENTRAL_LEN + fields.u16(28) as usize;
        let end = name_end + fields.u16(30) as usize + fields.u16(32) as usize;
        let name = directory.get(CENTRAL_LEN..name_end).ok_or(CUT)?;
        let rest = directory.get(end..).ok_or(CUT)?;
        if fields.u16(8) & ENCRYPTED != 0 {
            return Err(format!("{}: not supported: encrypted entries", shown(name)));
        }
        let entry = Self {
            name,
            method: fields.u16(10),
            crc: fields.u32(16),
            packed: fields.u32(20),
            size: fields.u32(24),
            offset: fields.u32(42),
        };
        if [entry.packed, entry.size, entry.offset].contains(&ZIP64) {
            return Err("not supported: ZIP64 archives".to_owned());
        }
        Ok((entry, rest))
    }
}

/// Where the record is that ends the archive: the last one, and nothing but its own comment may follow it.
fn end_of_directory(bytes: &[u8]) -> Option<usize> {
    let last = bytes.len().checked_sub(END_LEN)?;
    let first = last.saturating_sub(u16::MAX as usize);
    let end = (first..=last)
        .rev()
        .find(|at| bytes[*at..].starts_with(END))?;
    let comment = Fields(&bytes[end..]).u16(20) as usize;
    (end + END_LEN + comment == bytes.len()).then_some(end)
}

/// Little-endian numbers at places in a record whose length was checked.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]])
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from(self.u16(at)) | u32::from(self.u16(at + 2)) << 16
    }
}

/// A stranger's name, for people.
pub(crate) fn shown(name: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(name).chars().take(100).collect();
    format!("{text:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of stored files, of which each may claim to be larger than it is.
    fn archive(files: &[(&str, &[u8], u32)]) -> Vec<u8> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for (name, content, size) in files {
            let mut crc = Crc::new();
            crc.update(content);
            let offset = bytes.len() as u32;
            let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            common.extend(crc.sum().to_le_bytes());
            common.extend((content.len() as u32).to_le_bytes());
            common.extend(size.to_le_bytes());
            common.extend((name.len() as u16).to_le_bytes());
            common.extend([0, 0]);
            bytes.extend([LOCAL, &common, name.as_bytes(), content].concat());
            directory.extend([CENTRAL, &[20, 0], &common, &[0; 10]].concat());
            directory.extend(offset.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let (count, start) = (files.len() as u16, bytes.len() as u32);
        bytes.extend(&directory);
        bytes.extend([END, &[0; 4]].concat());
        bytes.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
        bytes.extend((directory.len() as u32).to_le_bytes());
        bytes.extend(start.to_le_bytes());
        bytes.extend([0, 0]);
        bytes
    }

    fn unpack_all(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let mut archive = Archive::open(bytes)?;
        let entries = archive.entries.clone();
        entries.iter().map(|entry| archive.content(entry)).collect()
    }

    fn changed(at: usize, to: &[u8]) -> Vec<u8> {
        let mut bytes = archive(&[("a", b"one", 3)]);
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    }

    #[test]
    fn an_archive_is_unpacked() {
        let files = archive(&[("a", b"one", 3), ("b", b"", 0)]);
        assert_eq!(unpack_all(&files), Ok(vec![b"one".to_vec(), Vec::new()]));
        let program = [b"#!/bin/sh\n", &*files].concat();
        assert_eq!(unpack_all(&program), unpack_all(&files));
    }

    /// The local header has 30 bytes, the name one and the content three; the directory begins at 34, and its end at 81.
    #[test]
    fn an_archive_that_contradicts_itself_is_refused() {
        let directory = 34;
        let end = directory + 47;
        for (bytes, reason) in [
            (
                archive(&[("a", b"one", 3), ("a", b"two", 3)]),
                "\"a\" is there twice",
            ),
            (archive(&[("a", b"one", 4)]), "its size or its checksum"),
            (archive(&[("a", b"one", 2)]), "its size or its checksum"),
            (
                archive(&[("a", b"one", MAX_UNPACKED as u32 + 1)]),
                "more than 134217728 bytes",
            ),
            (changed(30, b"b"), "not where the directory says"),
            (changed(31, b"O"), "its size or its checksum"),
            (changed(8, &[8]), "not where the directory says"),
            (changed(directory + 8, &[1]), "encrypted entries"),
            (changed(directory + 24, &[0xff; 4]), "ZIP64"),
            (
                changed(directory + 42, &[9]),
                "not where the directory says",
            ),
            (changed(directory, b"X"), "its directory is no directory"),
            (changed(directory + 28, &[0xff]), "its directory is cut"),
            (changed(end + 4, &[1]), "several parts"),
            (changed(end + 8, &[0, 0, 0, 0]), "more entries than it says"),
            (changed(end + 8, &[2, 0, 2, 0]), "its directory is cut"),
            (
                changed(end + 16, &[0xff, 0xff]),
                "its directory is not there",
            ),
            (changed(end + 20, &[1]), "not a valid zip file"),
        ] {
            let error = unpack_all(&bytes).expect_err(reason);
            assert!(error.contains(reason), "{reason}: {error}");
        }
        // With bytes in front, the same number can be meant from the start of the file, or of the archive.
        let inner = archive(&[("a", b"one", 3)]);
        let mut two = [&inner[..], &inner].concat();
        assert!(unpack_all(&two).is_err());
        two.truncate(inner.len());
        assert!(unpack_all(&two).is_ok());
    }
}
