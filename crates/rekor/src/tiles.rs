//! Logs that are read as tiles: Rekor v2, and every other log of <https://c2sp.org/tlog-tiles>.
//!
//! Invariant: a [`Tree`] gives only what leads to the root of the checkpoint that it was opened with, however the tiles
//! came here.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read as _;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::try_join_all;
use sealmark_keys::PublicKey;
use sealmark_tlog::merkle::leaf_hash;
use sealmark_tlog::note::MAX_NOTE;
use sealmark_tlog::tile::bundle::MAX_ENTRY;
use sealmark_tlog::tile::{Bundle, FULL_TILE, LengthPrefix, VerifiedTiles, WIDTH};
use sealmark_tlog::{Checkpoint, Hash, Origin, Tile};

use crate::http::Answer;
use crate::{Error, Http, SignedCheckpoint};

mod scan;

pub use scan::{LookAt, Scan, Scanned};

/// The largest bundle: as many entries as it can have, each as long as it can be.
const MAX_BUNDLE: usize = WIDTH * (2 + MAX_ENTRY);
/// Files that are asked for at the same time.
pub const PARALLEL: usize = 16;

/// Reads a log of tiles.
#[derive(Clone, Debug)]
pub struct Reader {
    http: Http,
    prefix: &'static str,
    origin: String,
    key: PublicKey,
}

impl Reader {
    /// A log whose tiles are below its URL.
    pub fn new(http: Http, origin: impl Into<String>, key: PublicKey) -> Self {
        Self {
            http,
            prefix: "",
            origin: origin.into(),
            key,
        }
    }

    /// A Rekor v2, whose tiles are below `api/v2/`.
    pub fn rekor_v2(http: Http, origin: impl Into<String>, key: PublicKey) -> Self {
        Self {
            prefix: "api/v2/",
            ..Self::new(http, origin, key)
        }
    }

    /// The way to the log.
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// The name of the log in its checkpoints.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The log's key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The newest checkpoint, its signature checked.
    ///
    /// # Errors
    /// Of the network; [`Error::Unproven`] if it is not by the log's key.
    pub async fn checkpoint(&self) -> Result<SignedCheckpoint, Error> {
        let path = format!("{}checkpoint", self.prefix);
        let answer = self.http.get(&path, MAX_NOTE).await?.good()?;
        self.open(answer.text()?)
    }

    /// Checks a checkpoint of this log, from wherever it is.
    ///
    /// # Errors
    /// [`Error::Unproven`].
    pub fn open(&self, note: &str) -> Result<SignedCheckpoint, Error> {
        let checkpoint = Checkpoint::open(note, Origin::Named(&self.origin), &self.key)
            .map_err(|error| self.unproven("its checkpoint", error))?;
        Ok(SignedCheckpoint {
            note: note.to_owned(),
            checkpoint,
        })
    }

    /// The tree of a checkpoint. Its tiles at the right edge are read and checked.
    ///
    /// # Errors
    /// Of the network; [`Error::Unproven`] if the tiles do not lead to the checkpoint's root.
    pub async fn tree(&self, checkpoint: &Checkpoint) -> Result<Tree, Error> {
        let (size, root) = (checkpoint.size, checkpoint.root);
        let files = Files::default();
        let edge = (0..Tile::levels(size)).filter_map(|level| Tile::partial(level, size));
        self.fetch(edge, &files).await?;
        let source = files.clone();
        let read: ReadTile = Box::new(move |tile| source.get(tile));
        let verified = VerifiedTiles::open(size, &root, read).map_err(|missing| match missing {
            Missing::Tile(tile) => self.unproven(tile.to_string(), "it was not read"),
            Missing::Wrong(error) => self.unproven(format!("its tree of {size} entries"), error),
        })?;
        files.clear();
        Ok(Tree {
            reader: self.clone(),
            verified,
            files,
        })
    }

    async fn fetch(
        &self,
        tiles: impl IntoIterator<Item = Tile>,
        files: &Files,
    ) -> Result<(), Error> {
        let tiles: Vec<Tile> = tiles.into_iter().filter(|tile| !files.has(*tile)).collect();
        for tiles in tiles.chunks(PARALLEL) {
            let read = tiles.iter().map(|tile| self.tile(*tile));
            let read = try_join_all(read).await?;
            for (tile, bytes) in tiles.iter().zip(read) {
                files.put(*tile, bytes);
            }
        }
        Ok(())
    }

    /// A tile's file. A partial one may be gone once the full one is there, whose beginning it is.
    async fn tile(&self, tile: Tile) -> Result<Vec<u8>, Error> {
        let answer = self.file(&tile.to_string(), FULL_TILE).await?;
        if answer.status == 404
            && let Some(full) = Tile::full(tile.level(), tile.index()).filter(|_| !tile.is_full())
        {
            let full = self.file(&full.to_string(), FULL_TILE).await?;
            if full.status == 200 {
                let mut bytes = full.body;
                bytes.truncate(tile.width() * 32);
                return Ok(bytes);
            }
        }
        Ok(answer.good()?.body)
    }

    /// The entries of a bundle, unchecked.
    async fn bundle(&self, bundle: Bundle) -> Result<Vec<Vec<u8>>, Error> {
        let (found, answer) = self.bundle_file(bundle).await?;
        let bytes = inflated(&answer)?;
        let entries = found
            .decode(&bytes, LengthPrefix::Two)
            .map_err(|error| answer.malformed(error))?;
        let entries = entries.into_iter().take(bundle.width());
        Ok(entries.map(<[u8]>::to_vec).collect())
    }

    /// A bundle's file, which may be compressed. A partial one may be gone once the full one is there, whose beginning
    /// it is.
    async fn bundle_file(&self, bundle: Bundle) -> Result<(Bundle, Answer), Error> {
        let answer = self.file(&bundle.to_string(), MAX_BUNDLE).await?;
        if answer.status == 404
            && let Some(full) = Bundle::new(bundle.index(), WIDTH).filter(|full| *full != bundle)
        {
            let whole = self.file(&full.to_string(), MAX_BUNDLE).await?;
            if whole.status == 200 {
                return Ok((full, whole));
            }
        }
        Ok((bundle, answer.good()?))
    }

    async fn file(&self, path: &str, limit: usize) -> Result<Answer, Error> {
        let path = format!("{}{path}", self.prefix);
        self.http.get(&path, limit).await
    }

    fn unproven(&self, what: impl Into<String>, reason: impl std::fmt::Display) -> Error {
        Error::unproven(&self.http.authority(), what, reason)
    }
}

/// The content. Logs may send bundles compressed, whether asked or not.
fn inflated(answer: &Answer) -> Result<Cow<'_, [u8]>, Error> {
    if answer.header("content-encoding") != Some("gzip") {
        return Ok(Cow::Borrowed(&answer.body));
    }
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(answer.body.as_slice())
        .take(MAX_BUNDLE as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| answer.malformed(format_args!("it is not gzip: {error}")))?;
    match bytes.len() {
        0..=MAX_BUNDLE => Ok(Cow::Owned(bytes)),
        _ => Err(Error::TooLarge {
            request: answer.request.clone(),
            limit: MAX_BUNDLE,
        }),
    }
}

/// Tiles that were read and not yet checked.
#[derive(Clone, Debug, Default)]
struct Files(Arc<Mutex<HashMap<Tile, Vec<u8>>>>);

impl Files {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<Tile, Vec<u8>>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn has(&self, tile: Tile) -> bool {
        self.with(|files| files.contains_key(&tile))
    }

    fn put(&self, tile: Tile, bytes: Vec<u8>) {
        self.with(|files| files.insert(tile, bytes));
    }

    fn get(&self, tile: Tile) -> Result<Vec<u8>, Missing> {
        self.with(|files| files.get(&tile).cloned())
            .ok_or(Missing::Tile(tile))
    }

    fn clear(&self) {
        self.with(HashMap::clear);
    }
}

/// Why a node is not there: its tile must be read first, or is wrong.
enum Missing {
    Tile(Tile),
    Wrong(sealmark_tlog::Error),
}

impl From<sealmark_tlog::Error> for Missing {
    fn from(error: sealmark_tlog::Error) -> Self {
        Self::Wrong(error)
    }
}

type ReadTile = Box<dyn FnMut(Tile) -> Result<Vec<u8>, Missing> + Send>;

/// The tree of one checkpoint. Everything that it gives is proven by that checkpoint.
pub struct Tree {
    reader: Reader,
    verified: VerifiedTiles<ReadTile>,
    files: Files,
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tree")
            .field("origin", &self.reader.origin)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

impl Tree {
    /// The number of entries.
    pub fn size(&self) -> u64 {
        self.verified.size()
    }

    /// The proof that entry `index` is in this tree.
    ///
    /// # Errors
    /// Of the network; [`Error::Unproven`] if there is no such entry, or a tile is not the one the tree has.
    pub async fn inclusion_proof(&mut self, index: u64) -> Result<Vec<Hash>, Error> {
        let path = self.path_of(index / WIDTH as u64);
        self.reader.fetch(path, &self.files).await?;
        self.ask(&format!("entry {index}"), |tiles| {
            tiles.inclusion_proof(index)
        })
        .await
    }

    /// The proof that the tree with `size1` entries is the beginning of that with `size2`, neither larger than this.
    ///
    /// # Errors
    /// As [`inclusion_proof`](Self::inclusion_proof).
    pub async fn consistency_proof(&mut self, size1: u64, size2: u64) -> Result<Vec<Hash>, Error> {
        let what = format!("its growth from {size1} to {size2} entries");
        self.ask(&what, |tiles| tiles.consistency_proof(size1, size2))
            .await
    }

    /// The root that the tree had when it had `size` entries.
    ///
    /// # Errors
    /// As [`inclusion_proof`](Self::inclusion_proof).
    pub async fn root_at(&mut self, size: u64) -> Result<Hash, Error> {
        let what = format!("its tree of {size} entries");
        self.ask(&what, |tiles| tiles.root_at(size)).await
    }

    /// The entry `index`; `None` if the tree has none.
    ///
    /// # Errors
    /// As [`bundles`](Self::bundles).
    pub async fn entry(&mut self, index: u64) -> Result<Option<Vec<u8>>, Error> {
        if index >= self.size() {
            return Ok(None);
        }
        let bundle = index / WIDTH as u64;
        let mut bundles = self.bundles(bundle..bundle + 1).await?;
        let entries = bundles.pop().unwrap_or_default();
        Ok(entries.into_iter().nth((index % WIDTH as u64) as usize))
    }

    /// The entries of some bundles: bundle `n` has those from `256 n` on, up to 256. They are read [`PARALLEL`] at a
    /// time. Bundles beyond the tree's end are left out.
    ///
    /// # Errors
    /// Of the network; [`Error::Unproven`] if an entry is not the one the tree has.
    pub async fn bundles(&mut self, range: Range<u64>) -> Result<Vec<Vec<Vec<u8>>>, Error> {
        let size = self.size();
        let width = |index: u64| size.saturating_sub(index * WIDTH as u64).min(WIDTH as u64);
        let end = range.end.min(size.div_ceil(WIDTH as u64));
        let named: Vec<Bundle> = (range.start..end)
            .filter_map(|index| Bundle::new(index, width(index) as usize))
            .collect();
        let mut found = Vec::with_capacity(named.len());
        for named in named.chunks(PARALLEL) {
            let reader = self.reader.clone();
            let read = try_join_all(named.iter().map(|bundle| reader.bundle(*bundle)));
            let paths: Vec<Tile> = named
                .iter()
                .flat_map(|bundle| self.path_of(bundle.index()))
                .collect();
            let (read, ()) =
                futures_util::future::try_join(read, self.reader.fetch(paths, &self.files)).await?;
            for (bundle, entries) in named.iter().zip(read) {
                self.check_bundle(*bundle, &entries).await?;
                found.push(entries);
            }
        }
        Ok(found)
    }

    async fn check_bundle(&mut self, bundle: Bundle, entries: &[Vec<u8>]) -> Result<(), Error> {
        let what = bundle.to_string();
        let index = bundle.index();
        let leaves = self
            .ask(&what, |tiles| tiles.leaves(index).map(<[Hash]>::to_vec))
            .await?;
        for (at, (entry, leaf)) in entries.iter().zip(&leaves).enumerate() {
            if leaf_hash(entry) != *leaf {
                let index = index * WIDTH as u64 + at as u64;
                let reason = format!("entry {index} in it is not the one that the tree has");
                return Err(self.reader.unproven(what, reason));
            }
        }
        match entries.len() == leaves.len() {
            true => Ok(()),
            false => Err(self
                .reader
                .unproven(what, "it has another number of entries than the tree")),
        }
    }

    /// The full tiles on the way from a tile of level 0 to the root.
    fn path_of(&self, index: u64) -> Vec<Tile> {
        let size = self.size();
        let (mut path, mut index) = (Vec::new(), index);
        for level in 0..Tile::levels(size) {
            path.extend(Tile::full(level, index).filter(|tile| tile.is_in(size)));
            index /= WIDTH as u64;
        }
        path
    }

    /// Does what needs tiles, reading those that are missing as it finds out which.
    async fn ask<T>(
        &mut self,
        what: &str,
        mut work: impl FnMut(&mut VerifiedTiles<ReadTile>) -> Result<T, Missing>,
    ) -> Result<T, Error> {
        // It ends: each round reads a tile that was missing, and a tree has no more than so many that matter at once.
        const MAX_ROUNDS: usize = 1024;
        for _ in 0..MAX_ROUNDS {
            match work(&mut self.verified) {
                Ok(found) => {
                    self.files.clear();
                    return Ok(found);
                }
                Err(Missing::Tile(tile)) => self.reader.fetch([tile], &self.files).await?,
                Err(Missing::Wrong(error)) => return Err(self.reader.unproven(what, error)),
            }
        }
        Err(self
            .reader
            .unproven(what, "its tiles lead from one to the next without end"))
    }
}
