//! The write-ahead log of a directory: files of records, each chained to the one before by its digest.
//!
//! A record is committed when it is synced, and only then is the next one written; so only the very last record can be
//! torn by a crash, and a torn record was never committed. To tell it from a committed one that was damaged later, the
//! number of the last committed record is noted in the file `committed`: not synced, for that would double the cost of
//! a commit, but in the kernel's hands before anybody hears of the commit. So after a kill it is exact, and after a
//! loss of power it is at most some seconds old.
//!
//! File: `SEALMARK-WAL-1\n`, 0, the number of the first record (8), the digest before it (32). Record: length of the
//! body (4), number (8), digest (32) of the digest before, number and body; body.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealmark_formats::{HashAlgorithm, Hasher};

use super::disk::{Disk, DiskFile};
use super::{CommitError, EachRecord};
use crate::Error;
use crate::codec::{Put, Take};

const MAGIC: [u8; 16] = *b"SEALMARK-WAL-1\n\0";
const FILE_HEADER: usize = 56;
const RECORD_HEADER: usize = 44;
/// A new file is begun when one has this many bytes; whole files are forgotten. Tests want to see that often.
const FILE_BYTES: u64 = if cfg!(test) { 4096 } else { 8 << 20 };
/// The largest record, in bytes: a batch is far smaller, and a length that is damaged is found sooner.
pub(crate) const MAX_RECORD: usize = 256 << 20;
/// The note of what is committed: two slots of number (8), digest of that record (32) and a check (24), written in
/// turns, so that a torn one leaves the other.
const COMMITTED: &str = "committed";
/// What it is called while it is made.
const COMMITTED_NEW: &str = "committed.new";
const SLOT: usize = 64;

type Digest = [u8; 32];

/// The open end of a write-ahead log.
pub(crate) struct Wal {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    /// The file that is written, and how much of it is good.
    file: Box<dyn DiskFile>,
    offset: u64,
    committed: Box<dyn DiskFile>,
    /// The number and the digest of the last record.
    last: u64,
    digest: Digest,
    /// Why nothing is written any more.
    broken: Option<Error>,
}

struct Segment {
    first: u64,
    path: PathBuf,
}

fn digest(before: &Digest, number: u64, body: &[u8]) -> Digest {
    let mut hasher = Hasher::new(HashAlgorithm::Sha256);
    hasher.update(before);
    hasher.update(&number.to_be_bytes());
    hasher.update(body);
    let mut digest = [0; 32];
    digest.copy_from_slice(hasher.finish().bytes());
    digest
}

fn segment_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.wal"))
}

fn header(first: u64, before: &Digest) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.put_u64(first);
    bytes.extend_from_slice(before);
    bytes
}

impl Wal {
    /// Makes an empty one. The file `committed` is made last: where it is, there is a whole log.
    pub(crate) fn create(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self, Error> {
        for segment in segments(&*disk, folder)? {
            // A crash in here leaves a file without records.
            if segment.first != 1 || read(&*disk, &segment.path)?.len() > FILE_HEADER {
                let reason = "it has records, but the file \"committed\" beside it is missing";
                return Err(Error::damaged(segment.path.display(), reason));
            }
        }
        let start = [0; 32];
        new_segment(&*disk, folder, 1, &start)?;
        let path = folder.join(COMMITTED);
        // Whole before it has its name: a crash in here must leave nothing, not an empty file.
        let new = folder.join(COMMITTED_NEW);
        let write = || {
            let mut file = disk.open(&new, true)?;
            file.write_at(0, &[slot(0, &start), slot(0, &start)].concat())?;
            file.sync()?;
            disk.rename(&new, &path)?;
            disk.sync_folder(folder)
        };
        write().map_err(|error| Error::io("create", &path, error))?;
        Self::open(disk, folder)
    }

    /// Whether there is one in this folder.
    pub(crate) fn exists(disk: &dyn Disk, folder: &Path) -> Result<bool, Error> {
        let names = disk
            .list(folder)
            .map_err(|error| Error::io("list", folder, error))?;
        Ok(names.iter().any(|name| name == COMMITTED))
    }

    /// Opens one: checks every record, and cuts off the last one if it was torn.
    pub(crate) fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self, Error> {
        let committed_path = folder.join(COMMITTED);
        let (committed, committed_digest) = read_committed(&*disk, &committed_path)?;
        let (mut last, mut before, mut end) = (0, [0; 32], None);
        let segments = segments(&*disk, folder)?;
        let count = segments.len();
        for (at, segment) in segments.into_iter().enumerate() {
            let bytes = read(&*disk, &segment.path)?;
            let place = segment.path.display();
            let is_last = at + 1 == count;
            if at > 0 && segment.first != last + 1 {
                return Err(Error::damaged(
                    place,
                    format!(
                        "it starts at record {}, not {}: a file between is missing",
                        segment.first,
                        last + 1
                    ),
                ));
            }
            let Some(chained) = parse_header(&bytes, segment.first) else {
                // A crash while the file was made: nothing of it was committed.
                if is_last && segment.first > committed && at > 0 && bytes.len() <= FILE_HEADER {
                    remove(&*disk, &segment.path)?;
                    break;
                }
                return Err(Error::damaged(
                    place,
                    "its beginning is not that of such a file",
                ));
            };
            if at > 0 && chained != before {
                let reason = format!("it does not follow on record {last}");
                return Err(Error::damaged(place, reason));
            }
            if at == 0 {
                (last, before) = (segment.first - 1, chained);
            }
            let mut offset = FILE_HEADER;
            while offset < bytes.len() {
                let Some(record) = parse_record(&bytes[offset..], last + 1, &before) else {
                    let torn =
                        is_last && last + 1 > committed && !is_followed(&bytes[offset..], last + 1);
                    if !torn {
                        let reason = format!("record {} at byte {offset} is not whole", last + 1);
                        return Err(Error::damaged(place, reason));
                    }
                    break;
                };
                (last, before) = (last + 1, record.digest);
                offset += RECORD_HEADER + record.body.len();
                if last == committed && before != committed_digest {
                    let reason = format!("record {last} is not the one that was committed");
                    return Err(Error::damaged(place, reason));
                }
            }
            end = Some((segment.path, offset as u64, offset < bytes.len()));
        }
        if last < committed {
            return Err(Error::damaged(
                folder.display(),
                format!(
                    "record {committed} was committed, but the files end with record {last}: one is missing or was cut"
                ),
            ));
        }
        let Some((path, offset, torn)) = end else {
            return Err(Error::damaged(
                folder.display(),
                "all write-ahead files are missing",
            ));
        };
        let io = |error| Error::io("open", &path, error);
        let mut file = disk.open(&path, false).map_err(io)?;
        if torn {
            tracing::warn!(file = %path.display(), record = last + 1, "cut off a record that a crash had torn");
            file.set_len(offset).map_err(io)?;
            file.sync().map_err(io)?;
        }
        let committed = disk
            .open(&committed_path, false)
            .map_err(|error| Error::io("open", &committed_path, error))?;
        Ok(Self {
            disk,
            folder: folder.to_owned(),
            file,
            offset,
            committed,
            last,
            digest: before,
            broken: None,
        })
    }

    pub(crate) fn commit(&mut self, number: u64, body: &[u8]) -> Result<(), CommitError> {
        if let Some(error) = &self.broken {
            return Err(CommitError::Unknown(error.clone()));
        }
        if number != self.last + 1 {
            let reason = format!(
                "record {number} was to follow on {}: another process writes too",
                self.last
            );
            return self.give_up(Error::damaged(self.folder.display(), reason));
        }
        if body.len() > MAX_RECORD {
            let reason = format!("a record of {} bytes is too large", body.len());
            return Err(CommitError::NotWritten(Error::Refused(reason)));
        }
        if self.offset >= FILE_BYTES {
            self.file = new_segment(&*self.disk, &self.folder, number, &self.digest)
                .map_err(CommitError::NotWritten)?;
            self.offset = FILE_HEADER as u64;
        }
        let digest = digest(&self.digest, number, body);
        let mut record = Vec::with_capacity(RECORD_HEADER + body.len());
        record.put_u32(body.len() as u32);
        record.put_u64(number);
        record.extend_from_slice(&digest);
        record.extend_from_slice(body);
        if let Err(error) = self.file.write_at(self.offset, &record) {
            let error = Error::io("write", &self.folder, error);
            // What was written of it must be gone for sure before the next is tried.
            let undone = self
                .file
                .set_len(self.offset)
                .and_then(|()| self.file.sync());
            return match undone {
                Ok(()) => Err(CommitError::NotWritten(error)),
                Err(_) => self.give_up(error),
            };
        }
        if let Err(error) = self.file.sync() {
            return self.give_up(Error::io("sync", &self.folder, error));
        }
        self.offset += record.len() as u64;
        (self.last, self.digest) = (number, digest);
        let position = number % 2 * SLOT as u64;
        if let Err(error) = self.committed.write_at(position, &slot(number, &digest)) {
            // The record is durable all the same; only later damage to it could be taken for a crash.
            tracing::warn!(%error, record = number, "could not note what is committed");
        }
        Ok(())
    }

    fn give_up(&mut self, error: Error) -> Result<(), CommitError> {
        self.broken = Some(error.clone());
        Err(CommitError::Unknown(error))
    }

    /// Syncs the note of what is committed, for a clean end.
    pub(crate) fn sync_committed(&mut self) -> io::Result<()> {
        self.committed.sync()
    }
}

/// Gives the records from number `from` on.
pub(crate) fn replay(
    disk: &dyn Disk,
    folder: &Path,
    from: u64,
    each: &mut EachRecord<'_>,
) -> Result<(), Error> {
    let segments = segments(disk, folder)?;
    let oldest = segments.first().map_or(1, |segment| segment.first);
    if oldest > from {
        let reason = format!(
            "record {from} is needed, but the oldest file starts at record {oldest}: one is missing"
        );
        return Err(Error::damaged(folder.display(), reason));
    }
    let mut next = oldest;
    for (at, segment) in segments.iter().enumerate() {
        let end = segments.get(at + 1).map_or(u64::MAX, |next| next.first);
        if end <= from {
            next = end;
            continue;
        }
        let bytes = read(disk, &segment.path)?;
        let place = segment.path.display();
        let missing = || Error::damaged(place.to_string(), format!("record {next} is missing"));
        if segment.first != next {
            return Err(missing());
        }
        let mut before = parse_header(&bytes, next).ok_or_else(missing)?;
        let mut rest = &bytes[FILE_HEADER..];
        while !rest.is_empty() {
            let Some(record) = parse_record(rest, next, &before) else {
                // Opening has cut off what a crash had torn.
                let reason = format!("record {next} is not whole");
                return Err(Error::damaged(place, reason));
            };
            if next >= from {
                each(next, record.body)?;
            }
            (next, before) = (next + 1, record.digest);
            rest = &rest[RECORD_HEADER + record.body.len()..];
        }
    }
    if from > next {
        let reason = format!(
            "record {from} is to follow, but the files end before record {next}: one is missing or was cut"
        );
        return Err(Error::damaged(folder.display(), reason));
    }
    Ok(())
}

/// Removes the files that have only records before number `before`, oldest first, so that no gap can come to be.
pub(crate) fn forget(disk: &dyn Disk, folder: &Path, before: u64) -> Result<(), Error> {
    let segments = segments(disk, folder)?;
    for pair in segments.windows(2) {
        if pair[1].first > before {
            break;
        }
        remove(disk, &pair[0].path)?;
    }
    Ok(())
}

fn new_segment(
    disk: &dyn Disk,
    folder: &Path,
    first: u64,
    before: &Digest,
) -> Result<Box<dyn DiskFile>, Error> {
    let path = segment_path(folder, first);
    let create = || {
        let mut file = disk.open(&path, true)?;
        file.write_at(0, &header(first, before))?;
        file.sync()?;
        disk.sync_folder(folder)?;
        Ok(file)
    };
    create().map_err(|error| Error::io("create", &path, error))
}

fn segments(disk: &dyn Disk, folder: &Path) -> Result<Vec<Segment>, Error> {
    let names = disk
        .list(folder)
        .map_err(|error| Error::io("list", folder, error))?;
    let mut segments: Vec<Segment> = names
        .iter()
        .filter_map(|name| {
            let first = name.strip_suffix(".wal")?.parse().ok()?;
            let path = segment_path(folder, first);
            Some(Segment { first, path })
        })
        .collect();
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, Error> {
    disk.read(path)
        .map_err(|error| Error::io("read", path, error))
}

fn remove(disk: &dyn Disk, path: &Path) -> Result<(), Error> {
    disk.remove(path)
        .map_err(|error| Error::io("remove", path, error))
}

fn parse_header(bytes: &[u8], first: u64) -> Option<Digest> {
    let mut from = Take(bytes);
    (from.array()? == MAGIC && from.u64()? == first).then_some(())?;
    from.array()
}

struct Parsed<'a> {
    digest: Digest,
    body: &'a [u8],
}

/// The record at the front of the bytes, if it is whole, the right one, and follows on `before`.
fn parse_record<'a>(bytes: &'a [u8], number: u64, before: &Digest) -> Option<Parsed<'a>> {
    let mut from = Take(bytes);
    let length = from.u32()? as usize;
    if length > MAX_RECORD || from.u64()? != number {
        return None;
    }
    let stored = from.array()?;
    let body = from.0.get(..length)?;
    (digest(before, number, body) == stored).then_some(Parsed {
        digest: stored,
        body,
    })
}

/// Whether a whole record follows on the one at the front, so that this one was committed whatever is wrong with it.
fn is_followed(bytes: &[u8], number: u64) -> bool {
    let next = || {
        let mut from = Take(bytes);
        let length = from.u32()? as usize;
        let _number = from.u64()?;
        let stored = from.array()?;
        parse_record(from.0.get(length..)?, number + 1, &stored).map(|_| ())
    };
    next().is_some()
}

fn slot(number: u64, digest: &Digest) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SLOT);
    bytes.put_u64(number);
    bytes.extend_from_slice(digest);
    let check = sealmark_formats::digest::sha256(&bytes);
    bytes.extend_from_slice(&check[..24]);
    bytes
}

fn read_committed(disk: &dyn Disk, path: &Path) -> Result<(u64, Digest), Error> {
    let bytes = read(disk, path)?;
    let slots = bytes.chunks(SLOT).filter_map(|bytes| {
        let mut from = Take(bytes);
        let (number, digest) = (from.u64()?, from.array()?);
        (slot(number, &digest) == bytes).then_some((number, digest))
    });
    let newest = slots.max_by_key(|(number, _)| *number);
    newest.ok_or_else(|| {
        let reason = "it does not say up to which record the log was committed";
        Error::damaged(path.display(), reason)
    })
}
