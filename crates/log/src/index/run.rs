//! Runs: sorted files of postings.
//!
//! Blocks of 4096 bytes: up to 292 postings of a fingerprint (8) and an entry's index (6), and a CRC-32 of them in the
//! last 4 bytes. Then the first fingerprint of every block (8), and 80 bytes: magic (8), first entry and end (8 + 8),
//! number of postings (8), root of the tree at that end (32), their CRC-32 with that of the fingerprints (4), zeros.
//! In memory is the first fingerprint of every block: 8 bytes for 292 postings.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealmark_tlog::Hash;

use super::Posting;
use crate::Error;
use crate::codec::{Put, Take};

const MAGIC: [u8; 8] = *b"SMINDEX1";
const BLOCK: usize = 4096;
const POSTING: usize = 14;
const IN_BLOCK: usize = (BLOCK - 4) / POSTING;
const FOOTER: usize = 80;

/// A run that is open.
pub(crate) struct Run {
    path: PathBuf,
    file: File,
    from: u64,
    to: u64,
    root: Hash,
    count: u64,
    /// The first fingerprint of every block.
    firsts: Vec<u64>,
}

fn file_name(from: u64, to: u64) -> String {
    format!("{from:015}-{to:015}.run")
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> Error {
    move |error| Error::io("read", path, error)
}

impl Run {
    fn open(path: &Path) -> Result<Self, Error> {
        let io = io_error(path);
        let broken = || Error::damaged(path.display(), "it is not a whole run of the index");
        let file = File::open(path).map_err(&io)?;
        let length = file.metadata().map_err(&io)?.len();
        let mut footer = [0; FOOTER];
        let at = length.checked_sub(FOOTER as u64).ok_or_else(broken)?;
        file.read_exact_at(&mut footer, at).map_err(&io)?;
        let mut fields = Take(&footer);
        let magic = fields.array::<8>();
        let mut field = || fields.u64().unwrap_or(0);
        let (from, to, count) = (field(), field(), field());
        let root = Hash::from(fields.array::<32>().unwrap_or_default());
        let check = fields.u32();
        let blocks = count.div_ceil(IN_BLOCK as u64);
        let expected = blocks.checked_mul(BLOCK as u64 + 8);
        if magic != Some(MAGIC) || expected != Some(at) {
            return Err(broken());
        }
        let mut firsts = vec![0; 8 * blocks as usize];
        file.read_exact_at(&mut firsts, blocks * BLOCK as u64)
            .map_err(&io)?;
        if Some(footer_check(&firsts, &footer)) != check {
            return Err(broken());
        }
        let firsts = firsts
            .as_chunks()
            .0
            .iter()
            .map(|first| u64::from_be_bytes(*first));
        Ok(Self {
            path: path.to_owned(),
            file,
            from,
            to,
            root,
            count,
            firsts: firsts.collect(),
        })
    }

    pub(crate) fn to(&self) -> u64 {
        self.to
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Adds the entries with this fingerprint from entry `from` on, at most `limit`.
    pub(crate) fn find(
        &self,
        fingerprint: u64,
        from: u64,
        limit: usize,
        found: &mut Vec<u64>,
    ) -> Result<(), Error> {
        // The block before the first that starts with it may end with it.
        let start = self.firsts.partition_point(|first| *first < fingerprint);
        let mut left = limit;
        for block in start.saturating_sub(1)..self.firsts.len() {
            if self.firsts[block] > fingerprint {
                break;
            }
            let bytes = self.block(block)?;
            let postings = self.postings(block, &bytes);
            // Big-endian: their bytes are in the order of the postings.
            let start = encode((fingerprint, from));
            let first = postings.partition_point(|posting| *posting < start);
            for (other, index) in postings[first..].iter().map(decode) {
                if other != fingerprint || left == 0 {
                    return Ok(());
                }
                found.push(index);
                left -= 1;
            }
        }
        Ok(())
    }

    fn block(&self, block: usize) -> Result<[u8; BLOCK], Error> {
        let mut bytes = [0; BLOCK];
        self.file
            .read_exact_at(&mut bytes, (block * BLOCK) as u64)
            .map_err(io_error(&self.path))?;
        let (postings, check) = bytes.split_at(BLOCK - 4);
        if crc32fast::hash(postings).to_be_bytes() != *check {
            let reason = format!(
                "block {block} is damaged: stop the log and remove the folder it is in, the index is made again"
            );
            return Err(Error::damaged(self.path.display(), reason));
        }
        Ok(bytes)
    }

    /// The postings in the bytes of a block, of which the last one may not be full.
    fn postings<'a>(&self, block: usize, bytes: &'a [u8; BLOCK]) -> &'a [[u8; POSTING]] {
        let count = (self.count - (block * IN_BLOCK) as u64).min(IN_BLOCK as u64) as usize;
        &bytes[..BLOCK - 4].as_chunks().0[..count]
    }

    /// Removes the file; who has the run open can still read it.
    pub(crate) fn remove(&self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(file = %self.path.display(), %error, "could not remove a run that was merged");
        }
    }
}

fn footer_check(firsts: &[u8], footer: &[u8; FOOTER]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(firsts);
    hasher.update(&footer[..64]);
    hasher.finalize()
}

fn encode((fingerprint, index): Posting) -> [u8; POSTING] {
    let mut bytes = [0; POSTING];
    bytes[..8].copy_from_slice(&fingerprint.to_be_bytes());
    bytes[8..].copy_from_slice(&index.to_be_bytes()[2..]);
    bytes
}

fn decode(bytes: &[u8; POSTING]) -> Posting {
    let mut index = [0; 8];
    index[2..].copy_from_slice(&bytes[8..]);
    let mut fingerprint = [0; 8];
    fingerprint.copy_from_slice(&bytes[..8]);
    (u64::from_be_bytes(fingerprint), u64::from_be_bytes(index))
}

/// Writes a run, from postings in their order.
pub(crate) struct Writer {
    folder: PathBuf,
    unfinished: PathBuf,
    file: BufWriter<File>,
    from: u64,
    to: u64,
    root: Hash,
    block: Vec<u8>,
    firsts: Vec<u8>,
    count: u64,
}

impl Writer {
    pub(crate) fn create(folder: &Path, from: u64, to: u64, root: Hash) -> Result<Self, Error> {
        let unfinished = folder.join(format!("{}.unfinished", file_name(from, to)));
        let file =
            File::create(&unfinished).map_err(|error| Error::io("create", &unfinished, error))?;
        Ok(Self {
            folder: folder.to_owned(),
            unfinished,
            file: BufWriter::with_capacity(1 << 18, file),
            from,
            to,
            root,
            block: Vec::with_capacity(BLOCK),
            firsts: Vec::new(),
            count: 0,
        })
    }

    pub(crate) fn push(&mut self, posting: Posting) -> Result<(), Error> {
        if self.block.is_empty() {
            self.firsts.put_u64(posting.0);
        }
        self.block.extend_from_slice(&encode(posting));
        self.count += 1;
        match self.block.len() == IN_BLOCK * POSTING {
            true => self.end_block(),
            false => Ok(()),
        }
    }

    fn end_block(&mut self) -> Result<(), Error> {
        self.block.resize(BLOCK - 4, 0);
        let check = crc32fast::hash(&self.block);
        self.block.put_u32(check);
        let written = self.file.write_all(&self.block);
        self.block.clear();
        written.map_err(|error| Error::io("write", &self.unfinished, error))
    }

    pub(crate) fn finish(mut self) -> Result<Run, Error> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        let mut footer = MAGIC.to_vec();
        footer.put_u64(self.from);
        footer.put_u64(self.to);
        footer.put_u64(self.count);
        footer.extend_from_slice(self.root.bytes());
        let mut whole = [0; FOOTER];
        whole[..64].copy_from_slice(&footer);
        let check = footer_check(&self.firsts, &whole);
        whole[64..68].copy_from_slice(&check.to_be_bytes());
        let path = self.folder.join(file_name(self.from, self.to));
        let mut finish = || {
            self.file.write_all(&self.firsts)?;
            self.file.write_all(&whole)?;
            self.file.flush()?;
            self.file.get_ref().sync_data()?;
            fs::rename(&self.unfinished, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        finish().map_err(|error| Error::io("write", &self.unfinished, error))?;
        Run::open(&path)
    }
}

/// Opens the runs in a folder that follow on each other from entry 0 and are of the tree; removes everything else.
pub(super) fn open_all(
    folder: &Path,
    mut root_at: impl FnMut(u64) -> Result<Option<Hash>, Error>,
) -> Result<Vec<Run>, Error> {
    let io = io_error(folder);
    let mut runs = Vec::new();
    for entry in fs::read_dir(folder).map_err(&io)? {
        let path = entry.map_err(&io)?.path();
        match Run::open(&path) {
            Ok(run) => runs.push(run),
            // Unfinished, or damaged: it is made again.
            Err(_) => fs::remove_file(&path).map_err(|error| Error::io("remove", &path, error))?,
        }
    }
    // A crash during a merge leaves the new run beside the old ones: the longer one is taken.
    runs.sort_by_key(|run| (run.from, Reverse(run.to)));
    let mut good: Vec<Run> = Vec::new();
    for run in runs {
        let next = good.last().map_or(0, |run| run.to);
        if run.from == next && run.from < run.to && root_at(run.to)? == Some(run.root) {
            good.push(run);
        } else {
            run.remove();
        }
    }
    Ok(good)
}

/// Makes one run of several that follow on each other.
pub(super) fn merge(folder: &Path, runs: &[Arc<Run>]) -> Result<Run, Error> {
    let (first, last) = (&runs[0], &runs[runs.len() - 1]);
    let mut writer = Writer::create(folder, first.from, last.to, last.root)?;
    let mut cursors: Vec<Cursor<'_>> = runs.iter().map(|run| Cursor::new(run)).collect();
    let mut heap = BinaryHeap::new();
    for (at, cursor) in cursors.iter_mut().enumerate() {
        heap.extend(cursor.next()?.map(|posting| Reverse((posting, at))));
    }
    while let Some(Reverse((posting, at))) = heap.pop() {
        writer.push(posting)?;
        heap.extend(cursors[at].next()?.map(|posting| Reverse((posting, at))));
    }
    writer.finish()
}

/// Reads a run from its start, a block at a time.
struct Cursor<'a> {
    run: &'a Run,
    block: usize,
    postings: std::vec::IntoIter<Posting>,
}

impl<'a> Cursor<'a> {
    fn new(run: &'a Run) -> Self {
        Self {
            run,
            block: 0,
            postings: Vec::new().into_iter(),
        }
    }

    fn next(&mut self) -> Result<Option<Posting>, Error> {
        if let Some(posting) = self.postings.next() {
            return Ok(Some(posting));
        }
        if self.block == self.run.firsts.len() {
            return Ok(None);
        }
        let bytes = self.run.block(self.block)?;
        let postings = self.run.postings(self.block, &bytes).iter().map(decode);
        self.postings = postings.collect::<Vec<_>>().into_iter();
        self.block += 1;
        Ok(self.postings.next())
    }
}

/// A sum of postings that does not depend on their order: two sets with the same sum and number are taken to be the
/// same. Against accidents, not against an attacker.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Sum {
    count: u64,
    sum: u64,
}

impl Sum {
    pub(crate) fn add(&mut self, (fingerprint, index): Posting) {
        let mut mixed = fingerprint ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.count += 1;
        self.sum = self.sum.wrapping_add(mixed ^ (mixed >> 31));
    }
}

/// A run as `fsck` sees it: the file, first entry and end, and the sum of its postings, or why it cannot be read.
pub(crate) struct RunSum {
    pub(crate) path: PathBuf,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) sum: Result<Sum, Error>,
}

/// All runs in a folder, without changing anything.
pub(crate) fn sums(folder: &Path) -> Result<Vec<RunSum>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io_error(folder))?,
    };
    let mut sums = Vec::new();
    for entry in entries {
        let path = entry.map_err(io_error(folder))?.path();
        if path.extension().is_none_or(|extension| extension != "run") {
            continue;
        }
        sums.push(match Run::open(&path) {
            Ok(run) => RunSum {
                from: run.from,
                to: run.to,
                sum: sum(&run),
                path,
            },
            Err(error) => RunSum {
                path,
                from: 0,
                to: 0,
                sum: Err(error),
            },
        });
    }
    sums.sort_by_key(|run| (run.from, Reverse(run.to)));
    Ok(sums)
}

fn sum(run: &Run) -> Result<Sum, Error> {
    let mut cursor = Cursor::new(run);
    let mut sum = Sum::default();
    while let Some(posting) = cursor.next()? {
        sum.add(posting);
    }
    Ok(sum)
}
