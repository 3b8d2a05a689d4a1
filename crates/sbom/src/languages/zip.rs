//! ZIP archives as a reader of packages needs them: some entries of perhaps many, from a file that is not in memory.
//!
//! <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>
//!
//! `sealmark-entries` has a reader that refuses what contradicts itself, because a signature depends on it. This one
//! takes what Java would start: nothing depends on it but a list.

use std::io::{Read, SeekFrom};

use flate2::read::DeflateDecoder;

use super::input::{self, exactly, range};
use super::object::Fields;
use crate::file::Content;

/// Bytes of an archive's directory: some 400 000 entries.
const MAX_DIRECTORY: u64 = 32 << 20;
/// Entries that are wanted. The largest known programs have some thousand libraries.
const MAX_WANTED: usize = 20_000;
/// Bytes that an entry may come to for each that it has packed, beside [`MIN_UNPACKED`]. Text comes to ten or less.
const MAX_RATIO: u64 = 32;
const MIN_UNPACKED: u64 = 1 << 20;

const END: &[u8] = b"PK\x05\x06";
const END_LEN: usize = 22;
const CENTRAL: &[u8] = b"PK\x01\x02";
const CENTRAL_LEN: usize = 46;
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_LEN: u64 = 30;
const ENCRYPTED: u16 = 1;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// What a number of the old format is that says "see the ZIP64 extension".
const ZIP64: u32 = u32::MAX;

/// An entry.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The path.
    pub(super) name: String,
    /// The bytes that it has packed.
    pub(super) packed: u64,
    method: u16,
    offset: u64,
}

/// The entries that are wanted, in the order of the directory.
pub(super) fn entries(
    content: &mut dyn Content,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Entry>, String> {
    let length = content
        .seek(SeekFrom::End(0))
        .map_err(|error| error.to_string())?;
    // The record that ends an archive, and a comment behind it of 64 KiB.
    let start = length.saturating_sub(END_LEN as u64 + u64::from(u16::MAX));
    let tail = range(content, start, length - start)?;
    let last = tail.len().checked_sub(END_LEN);
    let end = last.and_then(|last| (0..=last).rev().find(|at| tail[*at..].starts_with(END)));
    let end = end.ok_or("not a ZIP archive")?;
    let read = || {
        let fields = Fields::little(&tail[end..]);
        Some((fields.u32(12)?, fields.u32(16)?))
    };
    let (size, offset) = read().ok_or("not a ZIP archive")?;
    if size == ZIP64 || offset == ZIP64 {
        return Err("not supported: ZIP64 archives".to_owned());
    }
    let (size, end) = (u64::from(size), start + end as u64);
    if size > MAX_DIRECTORY {
        return Err(format!("not supported: a directory of {size} bytes"));
    }
    // A program may stand in front of an archive, and no offset counts it.
    let start = end.checked_sub(size);
    let base = start.and_then(|start| start.checked_sub(u64::from(offset)));
    let (Some(start), Some(base)) = (start, base) else {
        return Err("the archive's directory is not there".to_owned());
    };
    let directory = exactly(content, start, size)?;
    let (mut entries, mut rest) = (Vec::new(), &directory[..]);
    while rest.starts_with(CENTRAL) && entries.len() < MAX_WANTED {
        let (entry, after) = Entry::read(rest, base).ok_or("the archive's directory is cut")?;
        entries.extend(entry.filter(|entry| wanted(&entry.name)));
        rest = after;
    }
    Ok(entries)
}

impl Entry {
    /// A line from the front of the directory, and what follows it; no entry if it cannot be unpacked anyhow.
    fn read(directory: &[u8], base: u64) -> Option<(Option<Self>, &[u8])> {
        let fields = Fields::little(directory);
        let name_end = CENTRAL_LEN + usize::from(fields.u16(28)?);
        let end = name_end + usize::from(fields.u16(30)?) + usize::from(fields.u16(32)?);
        let name = directory.get(CENTRAL_LEN..name_end)?;
        let (packed, offset) = (fields.u32(20)?, fields.u32(42)?);
        let rest = directory.get(end..)?;
        let readable = fields.u16(8)? & ENCRYPTED == 0 && packed != ZIP64 && offset != ZIP64;
        let entry = Self {
            name: String::from_utf8_lossy(name).into_owned(),
            packed: u64::from(packed),
            method: fields.u16(10)?,
            offset: base + u64::from(offset),
        };
        Some((readable.then_some(entry), rest))
    }

    /// What it comes to.
    pub(super) fn unpack(&self, content: &mut dyn Content, max: u64) -> Result<Vec<u8>, String> {
        let name = || input::shown(&self.name);
        let header = exactly(content, self.offset, LOCAL_LEN)?;
        let fields = Fields::little(&header);
        let (Some(name_length), Some(extra), true) =
            (fields.u16(26), fields.u16(28), header.starts_with(LOCAL))
        else {
            return Err(format!("{}: it is not where the directory says", name()));
        };
        let start = self.offset + LOCAL_LEN + u64::from(name_length) + u64::from(extra);
        let max = max.min(MIN_UNPACKED + MAX_RATIO * self.packed);
        content
            .seek(SeekFrom::Start(start))
            .map_err(|error| error.to_string())?;
        let packed = <&mut dyn Content as Read>::take(content, self.packed);
        let mut bytes = Vec::new();
        let read = match self.method {
            STORED => packed.take(max + 1).read_to_end(&mut bytes),
            DEFLATED => DeflateDecoder::new(packed)
                .take(max + 1)
                .read_to_end(&mut bytes),
            other => {
                return Err(format!(
                    "{}: not supported: the compression method {other}",
                    name()
                ));
            }
        };
        read.map_err(|error| format!("{}: {error}", name()))?;
        match bytes.len() as u64 > max {
            true => Err(format!("{}: not supported: more than {max} bytes", name())),
            false => Ok(bytes),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::{Cursor, Write};

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;

    /// An archive of packed files.
    pub(in super::super) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for (name, content) in files {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(content).expect("memory can be written");
            let packed = encoder.finish().expect("memory can be written");
            let offset = bytes.len() as u32;
            let mut common = vec![20, 0, 0, 0, DEFLATED as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            common.extend((packed.len() as u32).to_le_bytes());
            common.extend((content.len() as u32).to_le_bytes());
            common.extend((name.len() as u16).to_le_bytes());
            common.extend([0, 0]);
            bytes.extend([LOCAL, &common, name.as_bytes(), &packed].concat());
            directory.extend([CENTRAL, &[20, 0], &common, &[0; 10]].concat());
            directory.extend(offset.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let start = bytes.len() as u32;
        bytes.extend(&directory);
        let count = files.len() as u16;
        bytes.extend([END, &[0; 4], &count.to_le_bytes(), &count.to_le_bytes()].concat());
        bytes.extend((directory.len() as u32).to_le_bytes());
        bytes.extend(start.to_le_bytes());
        bytes.extend([0, 0]);
        bytes
    }

    fn unpack_all(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let mut content = Cursor::new(bytes);
        let entries = entries(&mut content, |name| name != "c")?;
        entries
            .iter()
            .map(|entry| entry.unpack(&mut content, 2 << 20))
            .collect()
    }

    #[test]
    fn what_is_wanted_is_unpacked() {
        let bytes = archive(&[("a", b"one"), ("c", b"three"), ("b", b"")]);
        assert_eq!(unpack_all(&bytes), Ok(vec![b"one".to_vec(), Vec::new()]));
        let program = [b"#!/bin/sh\n", &bytes[..]].concat();
        assert_eq!(unpack_all(&program), unpack_all(&bytes));
    }

    #[test]
    fn bombs_and_broken_archives_are_errors() {
        let zeros = vec![0; 3 << 20];
        let error = unpack_all(&archive(&[("a", &zeros)])).expect_err("it is a bomb");
        assert!(error.contains("not supported: more than"), "{error}");
        let bytes = archive(&[("a", b"one")]);
        for at in 0..bytes.len() {
            let _ = unpack_all(&bytes[..at]);
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = bytes.clone();
                changed[at] = value;
                let _ = unpack_all(&changed);
            }
        }
        assert_eq!(unpack_all(b""), Err("not a ZIP archive".to_owned()));
    }
}
