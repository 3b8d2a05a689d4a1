//! A layer's bytes, unpacked.
//!
//! Invariant: nobody is given more bytes than [`Budget`] allows to all layers together, nor many more than came in.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

/// Entries of all layers together. The largest known images have less than a million.
const MAX_ENTRIES: u64 = 4_000_000;
/// Packages of all files together, and the names that they give and need; large images have 300,000.
const MAX_PACKAGES: u64 = 4_000_000;
/// Bytes of all layers together, unpacked. The largest known images (machine learning) have half of it.
const MAX_UNPACKED: u64 = 64 << 30;
/// From here on, the ratio counts: gzip makes the start of every file of zeros small.
const RATIO_FROM: u64 = 256 << 20;
/// Bytes unpacked for one that came in. Programs and texts have 2 to 10; only a bomb comes near gzip's bound of 1032.
const MAX_RATIO: u64 = 200;

/// What is left of the bounds that the parts of an image share.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    entries: AtomicU64,
    packages: AtomicU64,
    unpacked: AtomicU64,
}

impl Budget {
    pub(crate) fn entry(&self) -> Result<(), String> {
        spend(&self.entries, 1, MAX_ENTRIES, "files")
    }

    pub(crate) fn packages(&self, count: usize) -> Result<(), String> {
        spend(
            &self.packages,
            count as u64,
            MAX_PACKAGES,
            "packages and what they need",
        )
    }

    fn unpacked(&self, count: usize) -> Result<(), String> {
        spend(
            &self.unpacked,
            count as u64,
            MAX_UNPACKED,
            "bytes, unpacked",
        )
    }
}

fn spend(counter: &AtomicU64, count: u64, max: u64, what: &str) -> Result<(), String> {
    let spent = counter.fetch_add(count, Ordering::Relaxed);
    match spent.saturating_add(count) > max {
        true => Err(format!("not supported: more than {max} {what}")),
        false => Ok(()),
    }
}

/// The tar archive in a layer: gzip or nothing around it, by its first bytes.
pub(crate) fn open<'a>(
    mut packed: impl Read + 'a,
    budget: &'a Budget,
) -> Result<impl Read + 'a, String> {
    let mut magic = Vec::new();
    packed
        .by_ref()
        .take(4)
        .read_to_end(&mut magic)
        .map_err(|error| error.to_string())?;
    let came_in = Arc::new(AtomicU64::new(magic.len() as u64));
    let is_gzip = magic.starts_with(&[0x1f, 0x8b]);
    if magic == [0x28, 0xb5, 0x2f, 0xfd] {
        return Err(
            "not supported: layers packed with zstd; push the image with gzip layers, or scan it unpacked as a directory"
                .to_owned(),
        );
    }
    let packed = Counted {
        inner: io::Cursor::new(magic).chain(packed),
        came_in: Arc::clone(&came_in),
    };
    let stream: Box<dyn Read + 'a> = match is_gzip {
        true => Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(
            64 << 10,
            packed,
        ))),
        false => Box::new(packed),
    };
    Ok(Bounded {
        stream,
        came_in,
        went_out: 0,
        budget,
    })
}

struct Counted<R> {
    inner: R,
    came_in: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.came_in.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

struct Bounded<'a> {
    stream: Box<dyn Read + 'a>,
    came_in: Arc<AtomicU64>,
    went_out: u64,
    budget: &'a Budget,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        self.went_out += read as u64;
        self.budget.unpacked(read).map_err(io::Error::other)?;
        let most = self
            .came_in
            .load(Ordering::Relaxed)
            .saturating_mul(MAX_RATIO);
        match self.went_out > RATIO_FROM && self.went_out > most {
            true => Err(io::Error::other(format!(
                "not supported: it unpacks to more than {MAX_RATIO} times its size"
            ))),
            false => Ok(read),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_layers_have_together_is_bounded() {
        let budget = Budget {
            entries: AtomicU64::new(MAX_ENTRIES - 1),
            packages: AtomicU64::new(MAX_PACKAGES - 1),
            unpacked: AtomicU64::new(MAX_UNPACKED - 10),
        };
        budget.entry().unwrap();
        let too_many = budget.entry().unwrap_err();
        assert_eq!(too_many, "not supported: more than 4000000 files");
        budget.packages(2).unwrap_err();
        let packed: &[u8] = &[0; 11];
        let mut all = Vec::new();
        let read = open(packed, &budget).unwrap().read_to_end(&mut all);
        let too_much = read.unwrap_err().to_string();
        assert!(too_much.ends_with("bytes, unpacked"), "{too_much}");
    }
}
