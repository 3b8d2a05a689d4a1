//! A batch of one tree, before it is decided: everything that can fail without harm happens here.

use std::collections::HashMap;
use std::sync::Arc;

use sealmark_tlog::merkle::{CompletedTile, RightEdge, leaf_hash};
use sealmark_tlog::{Checkpoint, Hash};
use tokio::sync::oneshot;

use super::Engine;
use super::change::Change;
use super::queue::{Append, Sequenced};
use super::read;
use super::tree::{SignedCheckpoint, Tree, postings};
use crate::Error;
use crate::entry::Record;

/// How much the clock may lag behind the newest entry, in milliseconds: a step of NTP. The log waits at the time of
/// that entry; what lags more was set back.
pub(crate) const CLOCK_TOLERANCE: u64 = 5_000;

/// A batch that is in the tree, as those who wait for it need it to build their proofs.
pub(crate) struct Batch {
    pub(crate) edge: Arc<RightEdge>,
    pub(crate) completed: Vec<CompletedTile>,
    pub(crate) checkpoint: Arc<SignedCheckpoint>,
    /// The times and leaf hashes of its entries, of which the first has this index.
    pub(crate) first: u64,
    pub(crate) placed: Vec<(u64, Hash)>,
}

type Reply = oneshot::Sender<Result<Sequenced, Error>>;

/// New leaves for one tree.
pub(crate) struct Draft {
    number: usize,
    tree: Arc<Tree>,
    edge: RightEdge,
    completed: Vec<CompletedTile>,
    records: Vec<Arc<Record>>,
    /// The entries of this batch, by what tells them apart.
    new: HashMap<Hash, u64>,
    last_time: u64,
    frozen: bool,
    replies: Vec<(Reply, u64)>,
    /// Who sent a leaf that another one of this batch has sent first.
    repeated: Vec<(Reply, u64)>,
    checkpoint: Option<Arc<SignedCheckpoint>>,
}

impl Draft {
    pub(crate) fn new(number: usize, tree: Arc<Tree>) -> Self {
        let (edge, last_time, frozen) = {
            let state = tree.state();
            (RightEdge::clone(&state.edge), state.last_time, state.frozen)
        };
        Self {
            number,
            tree,
            edge,
            completed: Vec::new(),
            records: Vec::new(),
            new: HashMap::new(),
            last_time,
            frozen,
            replies: Vec::new(),
            repeated: Vec::new(),
            checkpoint: None,
        }
    }

    /// Gives an entry its index and time, unless it is in the log already.
    pub(crate) fn add(&mut self, engine: &Engine, append: Append) {
        match self.place(engine, &append) {
            Err(error) => drop(append.reply.send(Err(error))),
            Ok(Place::Known(index)) => {
                self.tree.duplicates.add(1);
                drop(append.reply.send(Ok(Sequenced::Duplicate { index })));
            }
            Ok(Place::InBatch(index)) => self.repeated.push((append.reply, index)),
            Ok(Place::New(time)) => {
                let index = self.edge.size();
                let mut entry = append.entry;
                let leaf_hash = match append.make {
                    None => append.identity,
                    Some(make) => {
                        entry.leaf = make(index, time);
                        leaf_hash(&entry.leaf)
                    }
                };
                self.completed.extend(self.edge.push(leaf_hash));
                self.new.insert(append.identity, index);
                self.last_time = time;
                self.records.push(Arc::new(Record {
                    entry,
                    leaf_hash,
                    time,
                }));
                self.replies.push((append.reply, index));
            }
        }
    }

    fn place(&self, engine: &Engine, append: &Append) -> Result<Place, Error> {
        if self.frozen {
            return Err(Error::Frozen(self.tree.name.clone()));
        }
        if let Some(index) = self.new.get(&append.identity) {
            return Ok(Place::InBatch(*index));
        }
        let found = read::duplicate(
            &*engine.storage,
            &self.tree,
            &append.identity,
            append.make.is_some(),
            |fingerprint| self.tree.index.find_since(fingerprint, append.checked),
        )?;
        if let Some(index) = found {
            return Ok(Place::Known(index));
        }
        let now = append.time.unwrap_or_else(|| engine.clock.now_ms());
        if now.saturating_add(CLOCK_TOLERANCE) < self.last_time {
            return Err(Error::ClockSetBack {
                now,
                last: self.last_time,
                tree: self.tree.name.clone(),
            });
        }
        Ok(Place::New(now.max(self.last_time)))
    }

    /// Signs the checkpoint of the tree with the new leaves. If that fails, everybody who waits is told, and the draft
    /// is empty.
    pub(crate) fn sign(&mut self) {
        if self.records.is_empty() {
            return;
        }
        let checkpoint = Checkpoint {
            origin: self.tree.origin.clone(),
            size: self.edge.size(),
            root: self.edge.root(),
            extensions: Vec::new(),
        };
        match sign(&self.tree, checkpoint, self.last_time) {
            Ok(signed) => self.checkpoint = Some(Arc::new(signed)),
            Err(error) => {
                self.records.clear();
                self.refuse(&error);
            }
        }
    }

    /// What the journal is to say; `None` if there is nothing new.
    pub(crate) fn change(&self) -> Option<Change> {
        let checkpoint = self.checkpoint.as_ref()?;
        Some(Change::Append {
            tree: self.number as u32,
            first: self.edge.size() - self.records.len() as u64,
            checkpoint: checkpoint.note.clone(),
            records: self.records.clone(),
        })
    }

    /// The change is durable: makes it to the tree, and tells everybody who waits.
    pub(crate) fn install(self, engine: &Engine) -> Replies {
        let Some(checkpoint) = self.checkpoint else {
            return Replies::default();
        };
        let first = self.edge.size() - self.records.len() as u64;
        let edge = Arc::new(self.edge);
        let weight = self.records.iter().map(|r| r.entry.weight()).sum();
        let new: Vec<_> = (first..)
            .zip(&self.records)
            .flat_map(|(index, record)| postings(index, &record.leaf_hash, &record.entry.keys))
            .collect();
        self.tree.appended.add(self.records.len() as u64);
        self.tree.duplicates.add(self.repeated.len() as u64);
        let placed = self.records.iter();
        let placed = placed
            .map(|record| (record.time, record.leaf_hash))
            .collect();
        self.tree.state_mut().extend(
            self.records,
            edge.clone(),
            &self.completed,
            checkpoint.clone(),
        );
        self.tree.index.add(new, edge.size());
        self.tree.size.send_replace(edge.size());
        engine.queue.unwritten(weight);
        let batch = Arc::new(Batch {
            edge,
            completed: self.completed,
            checkpoint,
            first,
            placed,
        });
        Replies {
            new: self.replies,
            repeated: self.repeated,
            batch: Some(batch),
        }
    }

    /// Nothing is in the log, or nobody knows: tells everybody who waits.
    pub(crate) fn refuse(&mut self, error: &Error) {
        for (reply, _) in self.replies.drain(..).chain(self.repeated.drain(..)) {
            drop(reply.send(Err(error.clone())));
        }
    }
}

enum Place {
    /// In the tree, at this index.
    Known(u64),
    /// Earlier in this batch.
    InBatch(u64),
    /// Nowhere; this is its time.
    New(u64),
}

/// Who is to be told that a batch is in the log. Sent when all trees of the record have it.
#[derive(Default)]
pub(crate) struct Replies {
    new: Vec<(Reply, u64)>,
    repeated: Vec<(Reply, u64)>,
    batch: Option<Arc<Batch>>,
}

impl Replies {
    pub(crate) fn send(self) {
        let Some(batch) = self.batch else {
            return;
        };
        // Who has gone away does not hear of it; the entry is in the log all the same.
        for (reply, index) in self.new {
            let batch = batch.clone();
            drop(reply.send(Ok(Sequenced::New { index, batch })));
        }
        for (reply, index) in self.repeated {
            drop(reply.send(Ok(Sequenced::Duplicate { index })));
        }
    }
}

/// Signs a checkpoint of a tree.
pub(crate) fn sign(
    tree: &Tree,
    checkpoint: Checkpoint,
    time: u64,
) -> Result<SignedCheckpoint, Error> {
    let signer = tree.signer.as_ref();
    let signer = signer.ok_or_else(|| Error::NoSigner(tree.name.clone()))?;
    let note = signer
        .sign(&checkpoint, time)
        .map_err(|reason| Error::Signer {
            tree: tree.name.clone(),
            reason,
        })?;
    Ok(SignedCheckpoint { checkpoint, note })
}
