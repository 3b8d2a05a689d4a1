//! Reads many entries of a tree, as fast as the log sends them.
//!
//! Bundles are asked for ahead of need. Each is hashed and looked at on a thread of its own, and given in order once
//! it is proven: the hashes of 256 entries make one node of the tree, which the tiles from level 1 on lead to the root,
//! so that of every 256 entries nothing but the bundle is fetched. Memory is bounded by [`AHEAD`] bundles.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt as _};
use sealmark_tlog::Hash;
use sealmark_tlog::merkle::{NodeId, TileNodes, leaf_hash};
use sealmark_tlog::tile::{Bundle, LengthPrefix, WIDTH};

use super::{Reader, Tree};
use crate::Error;

/// Bundles that are asked for before they are needed.
const AHEAD: usize = 16;

/// Looks at an entry, given its index, the hash of its leaf, and its bytes, and says what is worth telling of it. The
/// entry is not proven yet, what was said of it is dropped if it cannot be.
pub type LookAt<T> = Arc<dyn Fn(u64, &Hash, &[u8]) -> Option<T> + Send + Sync>;

/// Entries that were read, one after the other, and are proven.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scanned<T> {
    /// Their indices.
    pub range: Range<u64>,
    /// What is worth telling of them, in their order.
    pub found: Vec<T>,
}

/// Reads the entries of a tree in order.
pub struct Scan<'a, T> {
    tree: &'a mut Tree,
    bundles: Pin<Box<dyn Stream<Item = Result<Hashed<T>, Error>> + Send>>,
}

impl<T> std::fmt::Debug for Scan<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan")
            .field("tree", &self.tree)
            .finish_non_exhaustive()
    }
}

/// A bundle whose entries were hashed and looked at.
struct Hashed<T> {
    bundle: Bundle,
    hashes: Hashes,
    scanned: Scanned<T>,
}

/// What stands for the entries of a bundle.
enum Hashes {
    /// The node above all 256.
    Root(Hash),
    Leaves(Vec<Hash>),
}

impl Tree {
    /// Reads the entries from one index to another, as far as the tree has them.
    pub fn scan<T: Send + 'static>(&mut self, range: Range<u64>, look: LookAt<T>) -> Scan<'_, T> {
        let size = self.size();
        let range = range.start.min(size)..range.end.min(size);
        let width = WIDTH as u64;
        let bundles = match range.is_empty() {
            true => 0..0,
            false => range.start / width..range.end.div_ceil(width),
        };
        let reader = self.reader.clone();
        let bundles = stream::iter(bundles).map(move |index| {
            let in_tree = size.saturating_sub(index * width).min(width);
            let bundle = Bundle::new(index, in_tree as usize);
            let (reader, range, look) = (reader.clone(), range.clone(), look.clone());
            async move {
                let bundle = bundle.ok_or_else(|| {
                    reader.unproven(format!("bundle {index}"), "no tree can have it")
                })?;
                reader.hashed(bundle, range, look).await
            }
        });
        Scan {
            bundles: Box::pin(bundles.buffered(AHEAD)),
            tree: self,
        }
    }

    /// Checks that entries are those of the tree.
    async fn check_hashes(&mut self, bundle: Bundle, hashes: &Hashes) -> Result<(), Error> {
        let (index, what) = (bundle.index(), bundle.to_string());
        let wrong = match hashes {
            Hashes::Root(root) => {
                let node = NodeId { height: 8, index };
                let expected = self.ask(&what, |tiles| tiles.node(node)).await?;
                (expected != *root).then(|| "one of its entries".to_owned())
            }
            Hashes::Leaves(leaves) => {
                let expected = self
                    .ask(&what, |tiles| tiles.leaves(index).map(<[Hash]>::to_vec))
                    .await?;
                let same = leaves.iter().zip(&expected).take_while(|(a, b)| a == b);
                let same = same.count();
                (same < expected.len() || leaves.len() != expected.len())
                    .then(|| format!("entry {}", index * WIDTH as u64 + same as u64))
            }
        };
        match wrong {
            None => Ok(()),
            Some(entry) => {
                let reason = format!("{entry} is not the one that the tree has");
                Err(self.reader.unproven(what, reason))
            }
        }
    }
}

impl<T> Scan<'_, T> {
    /// The next entries; `None` when all were read. What was fetched ahead is lost if the future is dropped before it
    /// is done, and nothing else.
    ///
    /// # Errors
    /// Of the network; [`Error::Unproven`] if an entry is not the one the tree has.
    pub async fn next(&mut self) -> Option<Result<Scanned<T>, Error>> {
        let hashed = match self.bundles.next().await? {
            Ok(hashed) => hashed,
            Err(error) => return Some(Err(error)),
        };
        let checked = self.tree.check_hashes(hashed.bundle, &hashed.hashes).await;
        Some(checked.map(|()| hashed.scanned))
    }
}

impl Reader {
    /// Fetches a bundle, hashes its entries, and looks at those in the range.
    async fn hashed<T: Send + 'static>(
        self,
        bundle: Bundle,
        range: Range<u64>,
        look: LookAt<T>,
    ) -> Result<Hashed<T>, Error> {
        let (found, answer) = self.bundle_file(bundle).await?;
        let work = tokio::task::spawn_blocking(move || {
            let bytes = super::inflated(&answer)?;
            let entries = found
                .decode(&bytes, LengthPrefix::Two)
                .map_err(|error| answer.malformed(error))?;
            let first = bundle.index() * WIDTH as u64;
            let entries = entries.into_iter().take(bundle.width());
            let (mut leaves, mut found) = (Vec::with_capacity(WIDTH), Vec::new());
            for (index, entry) in (first..).zip(entries) {
                let leaf = leaf_hash(entry);
                if range.contains(&index) {
                    found.extend(look(index, &leaf, entry));
                }
                leaves.push(leaf);
            }
            let end = first + leaves.len() as u64;
            let hashes = match TileNodes::from_hashes(&leaves) {
                (_, Some(root)) => Hashes::Root(root),
                (_, None) => Hashes::Leaves(leaves),
            };
            Ok(Hashed {
                bundle,
                hashes,
                scanned: Scanned {
                    range: first.max(range.start)..end.min(range.end),
                    found,
                },
            })
        });
        // It is not cancelled; if it panicked, so may this.
        work.await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}
