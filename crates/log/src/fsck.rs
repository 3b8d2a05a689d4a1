//! `fsck`: reads a whole log and says where it contradicts itself.
//!
//! Tiles are compared with entries, upper tiles with lower ones, the tree with its checkpoints, and the index with the
//! entries. Memory does not grow with the log. What an open checks, [`load`] checks here too.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use sealmark_tlog::merkle::{RightEdge, leaf_hash};
use sealmark_tlog::tile::{Bundle, LengthPrefix, WIDTH};
use sealmark_tlog::{Hash, Tile};

use crate::engine::change::Snapshot;
use crate::engine::load::{self, LoadedTree};
use crate::engine::read;
use crate::engine::tree::{bundle_name, postings, read_object, side_name, tile_name};
use crate::entry::{Record, decode_sides};
use crate::index::{RunSum, Sum, sums};
use crate::log::scratch;
use crate::storage::{Directory, Storage};
use crate::{CheckpointSigner, Error, SNAPSHOT};

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The trees: name and number of entries that were read.
    pub trees: Vec<(String, u64)>,
    /// What is not as it must be; nothing, if the log is sound.
    pub findings: Vec<Finding>,
}

/// Something that is not as it must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Where: a file, or a record of the journal.
    pub place: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Report {
    fn add(&mut self, place: impl ToString, reason: impl ToString) {
        self.findings.push(Finding {
            place: place.to_string(),
            reason: reason.to_string(),
        });
    }

    fn add_error(&mut self, error: Error) {
        match error {
            Error::Damaged { place, reason } => self.add(place, reason),
            other => self.add("log", other),
        }
    }
}

/// Checks the log in a directory, which no process may have open: check a [`backup`](crate::backup) of one that must
/// not stop. The signers are for the checkpoints; without one, a tree's checkpoint is not checked against a key.
///
/// Nothing is changed, but that a record at the end of the journal which a crash has torn is cut off, as any start does.
///
/// # Errors
/// [`Error::Locked`]; [`Error::Io`] if the directory cannot be read. What is wrong with the log is in the report.
pub fn fsck(
    directory: &Path,
    signers: &HashMap<String, Arc<dyn CheckpointSigner>>,
) -> Result<Report, Error> {
    let mut report = Report::default();
    let storage = match Directory::open(directory) {
        Ok(storage) => storage,
        Err(error @ Error::Damaged { .. }) => {
            report.add_error(error);
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    let trees = match load::load(&storage) {
        Ok(loaded) => loaded.trees.into_iter().map(Extent::loaded).collect(),
        Err(error) => {
            report.add_error(error);
            // The tiles up to the snapshot can be checked all the same, and may say more.
            let snapshot = storage.get(SNAPSHOT)?;
            let snapshot = snapshot.and_then(|bytes| Snapshot::decode(&bytes));
            let trees = snapshot.map(|snapshot| snapshot.trees).unwrap_or_default();
            let trees = trees.into_iter().map(|tree| Extent {
                name: tree.name,
                prefix: tree.prefix,
                written: tree.written,
                loaded: None,
            });
            trees.collect::<Vec<_>>()
        }
    };
    for tree in trees {
        let runs = sums(&directory.join("index").join(&tree.name))?;
        check_tree(&storage, &tree, runs, &mut report)?;
        if let Some(loaded) = &tree.loaded {
            let signer = signers.get(&tree.name).map(AsRef::as_ref);
            let scratch = scratch(loaded);
            let checked = load::check_checkpoints(&storage, loaded, signer, |size| {
                read::root_at(&storage, &scratch, size)
            });
            checked.unwrap_or_else(|error| report.add_error(error));
        }
    }
    Ok(report)
}

/// A tree, as far as it is known.
struct Extent {
    name: String,
    prefix: LengthPrefix,
    written: u64,
    loaded: Option<LoadedTree>,
}

impl Extent {
    fn loaded(tree: LoadedTree) -> Self {
        Self {
            name: tree.name.clone(),
            prefix: tree.prefix,
            written: tree.state.written,
            loaded: Some(tree),
        }
    }
}

fn check_tree(
    storage: &dyn Storage,
    tree: &Extent,
    runs: Vec<RunSum>,
    report: &mut Report,
) -> Result<(), Error> {
    let mut index = IndexCheck::new(runs);
    let mut edge = RightEdge::new();
    let mut upper_differs = false;
    for bundle in 0..tree.written / WIDTH as u64 {
        let leaves = check_bundle(storage, tree, bundle, &mut index, report)?;
        for leaf in leaves {
            for full in edge.push(leaf) {
                if full.tile.level() > 0 && !upper_differs {
                    let expected = Tile::encode(full.nodes.hashes());
                    let name = tile_name(&tree.name, full.tile);
                    match storage.get(&name)? {
                        Some(found) if found == expected => {}
                        Some(_) => {
                            // What is above would only say the same again.
                            upper_differs = true;
                            let reason = "its hashes are not those of the tiles below it";
                            report.add(storage.place(&name), reason);
                        }
                        None => report.add(storage.place(&name), "it is missing"),
                    }
                }
            }
        }
    }
    if let Some(loaded) = &tree.loaded {
        for (n, record) in (tree.written..).zip(&loaded.state.tail) {
            edge.push(record.leaf_hash);
            index.add(n, record);
        }
        let checkpoint = &loaded.state.checkpoint.checkpoint;
        if (edge.size(), edge.root()) != (checkpoint.size, checkpoint.root) {
            let reason = format!(
                "its entries make the root {}, its checkpoint of {} entries says {}",
                edge.root(),
                checkpoint.size,
                checkpoint.root
            );
            report.add(format!("tree {:?}", tree.name), reason);
        }
    }
    index.finish(edge.size(), report);
    report.trees.push((tree.name.clone(), edge.size()));
    Ok(())
}

/// Checks bundle, side file and tile of 256 entries; gives their leaves, as the tile has them if it can be read.
fn check_bundle(
    storage: &dyn Storage,
    tree: &Extent,
    number: u64,
    index: &mut IndexCheck,
    report: &mut Report,
) -> Result<Vec<Hash>, Error> {
    let (Some(bundle), Some(tile)) = (Bundle::new(number, WIDTH), Tile::full(0, number)) else {
        return Err(Error::damaged(
            &tree.name,
            format!("bundle {number} cannot be"),
        ));
    };
    let mut read = |name: &str| match read_object(storage, name) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            report.add_error(error);
            None
        }
    };
    let bundle_name = bundle_name(&tree.name, tree.prefix, bundle);
    let (side_name, tile_name) = (side_name(&tree.name, bundle), tile_name(&tree.name, tile));
    let (entries, side) = (read(&bundle_name), read(&side_name));
    let hashes = read(&tile_name);
    let entries = entries.as_ref().and_then(|bytes| {
        let decoded = bundle.decode(bytes, tree.prefix);
        decoded
            .map_err(|error| report.add(storage.place(&bundle_name), error))
            .ok()
    });
    let hashes = hashes.and_then(|bytes| {
        tile.decode(&bytes)
            .map_err(|error| report.add(storage.place(&tile_name), error))
            .ok()
    });
    let own: Option<Vec<Hash>> =
        entries.map(|entries| entries.iter().map(|leaf| leaf_hash(leaf)).collect());
    if let (Some(own), Some(hashes)) = (&own, &hashes)
        && let Some(at) = own.iter().zip(hashes).position(|(own, hash)| own != hash)
    {
        let entry = number * WIDTH as u64 + at as u64;
        let tile = storage.place(&tile_name);
        let reason = format!("entry {entry} is not the leaf that {tile} has");
        report.add(storage.place(&bundle_name), reason);
    }
    let leaves = hashes.or(own).unwrap_or_default();
    match side {
        None => index.skip(number * WIDTH as u64),
        Some(bytes) => match decode_sides(&bytes, WIDTH, 0..WIDTH) {
            None => {
                report.add(storage.place(&side_name), "it is not what was written");
                index.skip(number * WIDTH as u64);
            }
            Some(sides) => {
                for ((n, leaf), (_, keys, _)) in (number * WIDTH as u64..).zip(&leaves).zip(&sides)
                {
                    index.add_keys(n, leaf, keys);
                }
            }
        },
    }
    Ok(leaves)
}

/// The runs of the index beside what they should be.
struct IndexCheck(Vec<(RunSum, Sum)>);

impl IndexCheck {
    fn new(runs: Vec<RunSum>) -> Self {
        Self(runs.into_iter().map(|run| (run, Sum::default())).collect())
    }

    fn add(&mut self, index: u64, record: &Record) {
        self.add_keys(index, &record.leaf_hash, &record.entry.keys);
    }

    fn add_keys(&mut self, index: u64, leaf: &Hash, keys: &[String]) {
        for (run, sum) in &mut self.0 {
            if (run.from..run.to).contains(&index) {
                let distinct: std::collections::BTreeSet<_> = postings(index, leaf, keys).collect();
                distinct.into_iter().for_each(|posting| sum.add(posting));
            }
        }
    }

    /// The keys of this entry are not known, so nothing can be said about the runs that have it.
    fn skip(&mut self, index: u64) {
        self.0
            .retain(|(run, _)| !(run.from..run.to).contains(&index));
    }

    fn finish(self, size: u64, report: &mut Report) {
        for (run, expected) in self.0 {
            let place = run.path.display();
            match run.sum {
                Err(error) => report.add_error(error),
                Ok(_) if run.to > size => report.add(
                    place,
                    format!("it ends at entry {}, the tree has {size}", run.to),
                ),
                Ok(sum) if sum != expected => report.add(
                    place,
                    "it is not the index of its entries: remove the folder it is in, the index is made again",
                ),
                Ok(_) => {}
            }
        }
    }
}
