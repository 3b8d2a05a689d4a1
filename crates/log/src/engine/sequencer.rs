//! The sequencer: the one thread that decides what is in the log.
//!
//! While one batch is synced, others gather in the queue, and are the next batch: the more come, the larger it is. It waits
//! for no timer but one: after a batch of several entries, a moment for as many again (see `queue`).
//!
//! The crash rule, in the order of [`commit`]: nobody hears of an index or of a checkpoint before the record that has
//! both is durable; a record that is certainly not there is as if it had never been; a record that may be there or not
//! stops the log, and the next start reads the journal to find out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sealmark_tlog::Checkpoint;
use sealmark_tlog::merkle::{RightEdge, empty_root};

use super::Engine;
use super::change::{self, Change};
use super::draft::{Draft, sign};
use super::queue::{Append, Job, Round};
use super::tree::{State, Tree, check_name};
use crate::index::Index;
use crate::storage::CommitError;
use crate::{CheckpointSigner, Error};

/// Does what is in the queue until it is closed and empty, or the log has stopped.
pub(crate) fn run(engine: &Engine, index_folder: &Path) {
    // Should this thread end in any other way, nobody must wait for it.
    let _stop = StopOnPanic(engine);
    while let Some(round) = engine.queue.take(&engine.limits) {
        if let Some(stopped) = engine.stopped.get() {
            refuse(round, stopped);
            continue;
        }
        match round {
            Round::Entries(entries) => append(engine, entries),
            Round::Other(Job::Append(append_one)) => append(engine, vec![append_one]),
            Round::Other(Job::Create {
                name,
                prefix,
                signer,
                reply,
            }) => {
                let created = create(engine, index_folder, &name, prefix, signer);
                drop(reply.send(created));
            }
            Round::Other(Job::Freeze {
                tree,
                extension,
                reply,
            }) => drop(reply.send(freeze(engine, tree, extension))),
        }
    }
}

struct StopOnPanic<'a>(&'a Engine);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0
                .stop(Error::damaged("sequencer", "its thread panicked"));
            self.0.queue.close();
            while let Some(round) = self.0.queue.take(&self.0.limits) {
                refuse(round, &Error::Closed);
            }
        }
    }
}

fn refuse(round: Round, error: &Error) {
    match round {
        Round::Entries(entries) => entries
            .into_iter()
            .for_each(|append| drop(append.reply.send(Err(error.clone())))),
        Round::Other(job) => job.refuse(error.clone()),
    }
}

fn append(engine: &Engine, entries: Vec<Append>) {
    let mut drafts: BTreeMap<usize, Draft> = BTreeMap::new();
    for entry in entries {
        let (number, tree) = (entry.number, entry.tree.clone());
        drafts
            .entry(number)
            .or_insert_with(|| Draft::new(number, tree))
            .add(engine, entry);
    }
    drafts.values_mut().for_each(Draft::sign);
    let changes: Vec<Change> = drafts.values().filter_map(Draft::change).collect();
    if changes.is_empty() {
        return;
    }
    let installed = commit(engine, &changes, || {
        let drafts = std::mem::take(&mut drafts).into_values();
        drafts
            .map(|draft| draft.install(engine))
            .collect::<Vec<_>>()
    });
    match installed {
        Ok(replies) => replies.into_iter().for_each(|replies| replies.send()),
        Err(error) => drafts.values_mut().for_each(|draft| draft.refuse(&error)),
    }
    engine.bell.ring();
    engine.index_bell.ring();
}

/// Commits a record of these changes, then makes them to the trees.
fn commit<T>(engine: &Engine, changes: &[Change], install: impl FnOnce() -> T) -> Result<T, Error> {
    let record = change::encode(changes);
    let number = engine.position().record + 1;
    let began = Instant::now();
    match engine.storage.commit(number, &record) {
        Ok(()) => {
            engine.commits.add(1);
            engine.commit_micros.add(began.elapsed().as_micros() as u64);
        }
        Err(CommitError::NotWritten(cause)) => {
            tracing::error!(%cause, "a batch was not written; the log goes on");
            return Err(Error::NotWritten(Arc::new(cause)));
        }
        Err(CommitError::Unknown(cause)) => {
            engine.stop(cause);
            return Err(engine.stopped.get().cloned().unwrap_or(Error::Closed));
        }
    }
    let mut position = engine.position();
    let installed = install();
    position.record = number;
    position.since_snapshot += record.len();
    Ok(installed)
}

fn create(
    engine: &Engine,
    index_folder: &Path,
    name: &str,
    prefix: sealmark_tlog::tile::LengthPrefix,
    signer: Arc<dyn CheckpointSigner>,
) -> Result<(), Error> {
    check_name(name)?;
    if engine.tree(name).is_ok() {
        return Err(Error::Exists(name.to_owned()));
    }
    let origin = signer.origin().to_owned();
    let checkpoint = Checkpoint {
        origin: origin.clone(),
        size: 0,
        root: empty_root(),
        extensions: Vec::new(),
    };
    let index = Index::open(
        &index_folder.join(name),
        engine.limits.index_in_memory,
        |_| Ok(None),
    )?;
    let now = engine.clock.now_ms();
    let note = signer
        .sign(&checkpoint, now)
        .map_err(|reason| Error::Signer {
            tree: name.to_owned(),
            reason,
        })?;
    let change = Change::Create {
        name: name.to_owned(),
        origin: origin.clone(),
        prefix,
        checkpoint: note.clone(),
    };
    let signed = super::tree::SignedCheckpoint { checkpoint, note };
    let state = State {
        checkpoint: Arc::new(signed),
        edge: Arc::new(RightEdge::new()),
        frozen: false,
        last_time: 0,
        written: 0,
        tail: Default::default(),
        full: Default::default(),
    };
    let tree = Tree::new(name.to_owned(), origin, prefix, Some(signer), index, state);
    commit(engine, &[change], || {
        let mut trees = engine
            .trees
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        trees.push(Arc::new(tree));
    })?;
    engine.bell.ring();
    Ok(())
}

fn freeze(engine: &Engine, number: usize, extension: Option<String>) -> Result<(), Error> {
    let trees = engine.all_trees();
    let tree = trees
        .get(number)
        .ok_or_else(|| Error::UnknownTree(number.to_string()))?;
    let state = tree.state().clone();
    if state.frozen {
        return Err(Error::Frozen(tree.name.clone()));
    }
    let mut checkpoint = state.checkpoint.checkpoint.clone();
    checkpoint.extensions.extend(extension);
    let signed = sign(tree, checkpoint, state.last_time)?;
    let change = Change::Freeze {
        tree: number as u32,
        checkpoint: signed.note.clone(),
    };
    commit(engine, &[change], || {
        let mut state = tree.state_mut();
        state.frozen = true;
        state.checkpoint = Arc::new(signed);
    })?;
    engine.bell.ring();
    Ok(())
}
