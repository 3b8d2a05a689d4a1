//! Tiles: how a log's tree and entries are cut into files that never change.
//!
//! Format: <https://c2sp.org/tlog-tiles>. A tile has 256 hashes of one level, and stands for eight levels of the tree:
//! hash `i` of tile `n` of level `l` is the root of the `256^l` leaves from `(256 n + i) 256^l` on. Only the last tile
//! of a level may have fewer hashes; it is called partial. An entry bundle has the entries of a tile of level 0.

use core::fmt;

use crate::merkle::NodeId;
use crate::{Error, Hash};

pub mod bundle;
mod verified;

pub use bundle::{Bundle, LengthPrefix};
pub use verified::VerifiedTiles;

/// The number of levels of the tree that a tile stands for.
pub const HEIGHT: usize = 8;
/// The number of hashes in a full tile, and of entries in a full bundle.
pub const WIDTH: usize = 1 << HEIGHT;
/// The bytes of a full tile.
pub const FULL_TILE: usize = WIDTH * 32;
/// Levels of tiles in the largest tree, of 2⁶⁴ − 1 leaves.
const MAX_LEVELS: u8 = 8;

/// Which tile, and how many of its hashes. It is displayed as its path, `tile/0/x001/067.p/12`.
///
/// ```
/// use sealmark_tlog::Tile;
/// let tile = Tile::parse("tile/0/x001/x234/067").unwrap();
/// assert_eq!((tile.level(), tile.index(), tile.width()), (0, 1_234_067, 256));
/// assert_eq!(tile.to_string(), "tile/0/x001/x234/067");
///
/// // The tiles of a tree with 70,000 leaves that are not full.
/// let partial: Vec<String> = (0..3).filter_map(|level| Tile::partial(level, 70_000)).map(|t| t.to_string()).collect();
/// assert_eq!(partial, ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tile {
    level: u8,
    index: u64,
    /// 1 to 256.
    width: u16,
}

impl Tile {
    /// The tile with this number of hashes, 1 to 256; `None` if no tree can have it.
    pub fn new(level: u8, index: u64, width: usize) -> Option<Self> {
        if level >= MAX_LEVELS || width == 0 || width > WIDTH {
            return None;
        }
        let end = index.checked_mul(WIDTH as u64)?.checked_add(width as u64)?;
        let bits = HEIGHT as u32 * u32::from(level);
        // Every hash is that of 256^level leaves, and a tree has at most 2⁶⁴ − 1.
        (end <= u64::MAX >> bits).then_some(Self {
            level,
            index,
            width: width as u16,
        })
    }

    /// The full tile; `None` if no tree can have it.
    pub fn full(level: u8, index: u64) -> Option<Self> {
        Self::new(level, index, WIDTH)
    }

    /// How many levels of tiles the tree with `size` leaves has.
    pub fn levels(size: u64) -> u8 {
        (u64::BITS - size.leading_zeros()).div_ceil(HEIGHT as u32) as u8
    }

    /// How many full tiles the tree with `size` leaves has on this level.
    pub fn full_tiles(level: u8, size: u64) -> u64 {
        size.checked_shr(HEIGHT as u32 * (u32::from(level) + 1))
            .unwrap_or(0)
    }

    /// The tile of this level that is not full in the tree with `size` leaves; `None` if all are, or there is none.
    pub fn partial(level: u8, size: u64) -> Option<Self> {
        let hashes = size.checked_shr(HEIGHT as u32 * u32::from(level))?;
        let width = (hashes % WIDTH as u64) as usize;
        Self::new(level, hashes / WIDTH as u64, width)
    }

    /// This tile as the tree with `size` leaves has it: full or not; `None` if it has no hash of it.
    pub fn in_tree(level: u8, index: u64, size: u64) -> Option<Self> {
        if index < Self::full_tiles(level, size) {
            return Self::full(level, index);
        }
        Self::partial(level, size).filter(|tile| tile.index == index)
    }

    /// The level, 0 for the leaves.
    pub fn level(self) -> u8 {
        self.level
    }

    /// The position on its level, from 0.
    pub fn index(self) -> u64 {
        self.index
    }

    /// The number of hashes, 1 to 256.
    pub fn width(self) -> usize {
        usize::from(self.width)
    }

    /// Whether it has all its 256 hashes, and so will never change.
    pub fn is_full(self) -> bool {
        self.width() == WIDTH
    }

    /// Whether the tree with `size` leaves has all hashes of this tile.
    pub fn is_in(self, size: u64) -> bool {
        let hashes = size.checked_shr(HEIGHT as u32 * u32::from(self.level));
        hashes.is_some_and(|hashes| self.index * WIDTH as u64 + u64::from(self.width) <= hashes)
    }

    /// Where a node is: level and index of its tile, and height (0 to 7) and position inside of it.
    pub fn of_node(node: NodeId) -> (u8, u64, usize, usize) {
        let level = node.height / HEIGHT as u8;
        let height = usize::from(node.height) % HEIGHT;
        let inside = HEIGHT - height;
        let position = (node.index & ((1 << inside) - 1)) as usize;
        (level, node.index >> inside, height, position)
    }

    /// Parses a path, `tile/LEVEL/INDEX[.p/WIDTH]`; `None` if it is not one that a log of tiles has.
    pub fn parse(path: &str) -> Option<Self> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let (index, width) = parse_position(rest)?;
        Self::new(parse_small(level, 63)? as u8, index, width)
    }

    /// The bytes of the tile's file.
    pub fn encode(hashes: &[Hash]) -> Vec<u8> {
        hashes.iter().flat_map(|hash| *hash.bytes()).collect()
    }

    /// The hashes in the bytes of this tile's file.
    ///
    /// # Errors
    /// [`Error::Tile`] if the length is not that of its hashes.
    pub fn decode(self, bytes: &[u8]) -> Result<Vec<Hash>, Error> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        if hashes.len() != self.width() || !rest.is_empty() {
            return Err(Error::Tile(format!(
                "{self} has {} bytes, not 32 for each of its {} hashes",
                bytes.len(),
                self.width
            )));
        }
        Ok(hashes.iter().map(|hash| Hash::from(*hash)).collect())
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        write_position(f, self.index, self.width())
    }
}

/// Groups of three digits, all but the last with an `x` before them, and `.p/WIDTH` unless it is full.
fn write_position(f: &mut fmt::Formatter<'_>, index: u64, width: usize) -> fmt::Result {
    let digits = index.to_string();
    let digits = format!("{}{digits}", "0".repeat((3 - digits.len() % 3) % 3));
    let groups = digits.len() / 3;
    for group in 0..groups {
        let mark = if group + 1 == groups { "" } else { "x" };
        let end = if group + 1 == groups { "" } else { "/" };
        write!(f, "{mark}{}{end}", &digits[3 * group..3 * group + 3])?;
    }
    match width {
        WIDTH => Ok(()),
        _ => write!(f, ".p/{width}"),
    }
}

/// Index and width of a path's end.
fn parse_position(text: &str) -> Option<(u64, usize)> {
    let (position, width) = match text.split_once(".p/") {
        Some((position, width)) => (position, parse_small(width, WIDTH as u64 - 1)? as usize),
        None => (text, WIDTH),
    };
    let groups: Vec<&str> = position.split('/').collect();
    let mut index = 0u64;
    for (at, group) in groups.iter().enumerate() {
        let is_last = at + 1 == groups.len();
        let digits = if is_last {
            group
        } else {
            group.strip_prefix('x')?
        };
        let is_number = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
        // A number has one path only.
        let superfluous = at == 0 && !is_last && digits == "000";
        if !is_number || superfluous {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    (width > 0).then_some((index, width))
}

/// A decimal number without leading zeros, at most `max`.
fn parse_small(text: &str, max: u64) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
    let canonical = text == "0" || !text.starts_with('0');
    let number = text.parse().ok().filter(|_| digits && canonical)?;
    (number <= max).then_some(number)
}
