//! The writer: the thread that derives files from what is committed.
//!
//! Full tiles and bundles go to the storage once, then a snapshot lets the journal forget, and `checkpoint` is
//! published. All of it may fail and be tried again: what is not written stays in memory and in the
//! journal, and when that is too much, the queue refuses more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sealmark_tlog::Tile;
use sealmark_tlog::merkle::TileNodes;
use sealmark_tlog::tile::{Bundle, WIDTH, bundle};

use super::change::{Snapshot, TreeSnapshot};
use super::tree::Tree;
use super::{Engine, lock, read};
use crate::Error;
use crate::entry::{Record, encode_sides};
use crate::storage::Object;

/// Bundles that are written together: their syncs share the disk's work.
const BUNDLES_AT_ONCE: u64 = 64;
/// How long to wait after a failure.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Writes until the log is closed, and then once more.
pub(crate) fn run(engine: &Engine) {
    let mut published = Published::default();
    loop {
        let wait = match (published.is_behind(engine), lock(&engine.trouble).is_some()) {
            (_, true) => Some(RETRY_AFTER),
            (true, _) => Some(published.due_in(engine.limits.publish_interval)),
            (false, _) => None,
        };
        let rung = engine.bell.wait(wait);
        let result = write(engine, &mut published, rung.closed);
        if let Err(error) = &result {
            tracing::error!(%error, "could not write what is committed; it is tried again");
            if matches!(error, Error::Damaged { .. }) {
                engine.stop(error.clone());
            }
        }
        *lock(&engine.trouble) = result.err();
        if rung.closed {
            return;
        }
        // A failing disk is not asked without pause, however often the bell rings.
        if lock(&engine.trouble).is_some() {
            engine.bell.pause(RETRY_AFTER);
        }
    }
}

/// The notes of the checkpoints that are published, by the number of their tree.
struct Published {
    notes: Vec<String>,
    last: Instant,
}

impl Default for Published {
    fn default() -> Self {
        Self {
            notes: Vec::new(),
            last: Instant::now(),
        }
    }
}

impl Published {
    fn is_behind(&self, engine: &Engine) -> bool {
        let trees = engine.all_trees();
        let current = |(number, tree): (usize, &Arc<Tree>)| {
            self.notes.get(number) == Some(&tree.state().checkpoint.note)
        };
        !trees.iter().enumerate().all(current)
    }

    fn due_in(&self, interval: Duration) -> Duration {
        interval.saturating_sub(self.last.elapsed())
    }
}

fn write(engine: &Engine, published: &mut Published, closing: bool) -> Result<(), Error> {
    let trees = engine.all_trees();
    for tree in &trees {
        // What is published is never ahead of the tiles.
        while write_bundles(engine, tree)? {}
    }
    let since = engine.position().since_snapshot;
    if since > engine.limits.snapshot_bytes || closing && since > 0 {
        snapshot(engine)?;
    }
    let due = published.due_in(engine.limits.publish_interval).is_zero();
    if (due || closing) && published.is_behind(engine) {
        for (number, tree) in trees.iter().enumerate() {
            publish(engine, tree, number, published)?;
        }
        published.last = Instant::now();
    }
    Ok(())
}

fn publish(
    engine: &Engine,
    tree: &Tree,
    number: usize,
    published: &mut Published,
) -> Result<(), Error> {
    let (note, frozen, size) = {
        let state = tree.state();
        (state.checkpoint.note.clone(), state.frozen, state.size())
    };
    if published.notes.get(number) == Some(&note) {
        return Ok(());
    }
    if frozen {
        write_partial(engine, tree, size)?;
    }
    engine.storage.replace(&Object {
        name: tree.checkpoint_name(),
        bytes: note.clone().into_bytes(),
    })?;
    published
        .notes
        .resize(number.max(published.notes.len()), String::new());
    match published.notes.get_mut(number) {
        Some(old) => *old = note,
        None => published.notes.push(note),
    }
    Ok(())
}

/// A tree that will not grow gets its partial tiles and its partial bundle as files too, so that any web server can
/// serve all of it.
fn write_partial(engine: &Engine, tree: &Tree, size: u64) -> Result<(), Error> {
    let mut objects = Vec::new();
    for level in 0..Tile::levels(size) {
        if let Some(tile) = Tile::partial(level, size) {
            objects.extend(
                read::tile(&*engine.storage, tree, tile)?.map(|bytes| Object {
                    name: tree.tile_name(tile),
                    bytes,
                }),
            );
        }
    }
    let width = (size % WIDTH as u64) as usize;
    if let Some(bundle) = Bundle::new(size / WIDTH as u64, width) {
        let bytes = read::bundle(&*engine.storage, tree, bundle)?;
        objects.extend(bytes.map(|bytes| Object {
            name: tree.bundle_name(bundle),
            bytes,
        }));
    }
    engine.storage.put(&objects)
}

/// Writes the next full bundles, with all that belongs to them; whether there may be more.
fn write_bundles(engine: &Engine, tree: &Tree) -> Result<bool, Error> {
    let width = WIDTH as u64;
    let (first, records, tiles) = {
        let state = tree.state();
        let first = state.written / width;
        let ready = state.size() / width - first;
        let count = (ready.min(BUNDLES_AT_ONCE) * width) as usize;
        let records: Vec<Arc<Record>> = state.tail.range(..count).cloned().collect();
        let end = state.written + count as u64;
        let tiles: Vec<(Tile, Arc<TileNodes>)> = state
            .full
            .iter()
            .filter_map(|((level, index), nodes)| {
                let tile = Tile::full(*level, *index)?;
                tile.is_in(end).then(|| (tile, nodes.clone()))
            })
            .collect();
        (first, records, tiles)
    };
    if records.is_empty() {
        return Ok(false);
    }
    let mut objects: Vec<Object> = tiles
        .iter()
        .map(|(tile, nodes)| Object {
            name: tree.tile_name(*tile),
            bytes: Tile::encode(nodes.hashes()),
        })
        .collect();
    for (index, records) in (first..).zip(records.chunks(WIDTH)) {
        let full = Bundle::new(index, WIDTH)
            .ok_or_else(|| Error::damaged(&tree.name, "it has too many entries"))?;
        objects.push(Object {
            name: tree.bundle_name(full),
            bytes: encode_bundle(tree, records)?,
        });
        objects.push(Object {
            name: tree.side_name(full),
            bytes: encode_sides(records),
        });
    }
    engine.storage.put(&objects)?;
    let mut state = tree.state_mut();
    state.tail.drain(..records.len());
    state.written += records.len() as u64;
    for (tile, _) in &tiles {
        state.full.remove(&(tile.level(), tile.index()));
    }
    drop(state);
    let weight = records.iter().map(|record| record.entry.weight()).sum();
    engine.queue.written(weight);
    Ok(true)
}

pub(crate) fn encode_bundle(tree: &Tree, records: &[Arc<Record>]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    for record in records {
        bundle::encode(&mut bytes, &record.entry.leaf, tree.prefix)?;
    }
    Ok(bytes)
}

/// Keeps the state of all trees after one record, and lets the journal forget what is before.
fn snapshot(engine: &Engine) -> Result<(), Error> {
    let (record, bytes, trees) = {
        let position = engine.position();
        let trees = engine.all_trees();
        let trees = trees.iter().map(|tree| {
            let state = tree.state();
            TreeSnapshot {
                name: tree.name.clone(),
                origin: tree.origin.clone(),
                prefix: tree.prefix,
                frozen: state.frozen,
                last_time: state.last_time,
                written: state.written,
                checkpoint: state.checkpoint.note.clone(),
                tail: state.tail.iter().cloned().collect(),
            }
        });
        (position.record, position.since_snapshot, trees.collect())
    };
    let snapshot = Snapshot { record, trees };
    engine.storage.replace(&Object {
        name: crate::SNAPSHOT.to_owned(),
        bytes: snapshot.encode(),
    })?;
    engine.position().since_snapshot -= bytes;
    engine.storage.forget(record + 1)
}
