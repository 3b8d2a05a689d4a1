//! Entry bundles: the entries of a tile of level 0, each after its length.
//!
//! Format: <https://c2sp.org/tlog-tiles#log-entries>, a length of two bytes. Rekor v1 has entries that are too long
//! for it, so a log may keep its bundles in the same form with four bytes; such ones are not for public readers.

use core::fmt;

use super::{WIDTH, parse_position, write_position};
use crate::Error;

/// The longest entry in a public bundle, in bytes.
pub const MAX_ENTRY: usize = u16::MAX as usize;

/// How many bytes the length before an entry has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LengthPrefix {
    /// Two, as in the format.
    Two,
    /// Four.
    Four,
}

/// Which bundle, and how many of its entries. It is displayed as its path, `tile/entries/x001/067.p/12`.
///
/// ```
/// use sealmark_tlog::tile::Bundle;
/// assert_eq!(Bundle::parse("tile/entries/000.p/3"), Bundle::new(0, 3));
/// assert_eq!(Bundle::new(1000, 256).unwrap().to_string(), "tile/entries/x001/000");
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Bundle {
    index: u64,
    /// 1 to 256.
    width: u16,
}

impl Bundle {
    /// The bundle with this number of entries, 1 to 256; `None` if no tree can have it.
    pub fn new(index: u64, width: usize) -> Option<Self> {
        let tile = super::Tile::new(0, index, width)?;
        Some(Self {
            index: tile.index,
            width: tile.width,
        })
    }

    /// The position, from 0: the first entry is `256 * index`.
    pub fn index(self) -> u64 {
        self.index
    }

    /// The number of entries, 1 to 256.
    pub fn width(self) -> usize {
        usize::from(self.width)
    }

    /// Whether the tree with `size` leaves has all its entries.
    pub fn is_in(self, size: u64) -> bool {
        self.index * WIDTH as u64 + u64::from(self.width) <= size
    }

    /// Parses a path, `tile/entries/INDEX[.p/WIDTH]`; `None` if it is not one that a log of tiles has.
    pub fn parse(path: &str) -> Option<Self> {
        let (index, width) = parse_position(path.strip_prefix("tile/entries/")?)?;
        Self::new(index, width)
    }

    /// The entries in the bytes of this bundle's file.
    ///
    /// # Errors
    /// [`Error::Tile`] if they are not as many as they should be, or the bytes end elsewhere.
    pub fn decode(self, bytes: &[u8], prefix: LengthPrefix) -> Result<Vec<&[u8]>, Error> {
        let mut rest = bytes;
        let mut entries = Vec::with_capacity(self.width());
        while entries.len() < self.width() {
            let Some((entry, after)) = split_entry(rest, prefix) else {
                return Err(Error::Tile(format!(
                    "{self} ends inside of entry {} of {}",
                    entries.len(),
                    self.width
                )));
            };
            entries.push(entry);
            rest = after;
        }
        if !rest.is_empty() {
            let count = rest.len();
            return Err(Error::Tile(format!(
                "{self} has {count} bytes after its last entry"
            )));
        }
        Ok(entries)
    }
}

impl fmt::Display for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tile/entries/")?;
        write_position(f, self.index, self.width())
    }
}

/// Adds an entry to the bytes of a bundle.
///
/// # Errors
/// [`Error::Tile`] if it is too long for its length to be written.
pub fn encode(bundle: &mut Vec<u8>, entry: &[u8], prefix: LengthPrefix) -> Result<(), Error> {
    let length = entry.len();
    let too_long = |_| {
        Error::Tile(format!(
            "an entry of {length} bytes is too long for a bundle"
        ))
    };
    match prefix {
        LengthPrefix::Two => {
            let length = u16::try_from(length).map_err(too_long)?;
            bundle.extend_from_slice(&length.to_be_bytes());
        }
        LengthPrefix::Four => {
            let length = u32::try_from(length).map_err(too_long)?;
            bundle.extend_from_slice(&length.to_be_bytes());
        }
    }
    bundle.extend_from_slice(entry);
    Ok(())
}

fn split_entry(bytes: &[u8], prefix: LengthPrefix) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match prefix {
        LengthPrefix::Two => {
            let (length, rest) = bytes.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        LengthPrefix::Four => {
            let (length, rest) = bytes.split_first_chunk::<4>()?;
            (u32::from_be_bytes(*length) as usize, rest)
        }
    };
    rest.split_at_checked(length)
}
