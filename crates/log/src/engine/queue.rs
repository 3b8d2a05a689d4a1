//! Where entries wait for the sequencer, and the bell that wakes the writer.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sealmark_tlog::Hash;
use sealmark_tlog::tile::LengthPrefix;
use tokio::sync::oneshot;

use super::draft::Batch;
use super::tree::Tree;
use crate::entry::{Entry, MakeLeaf};
use crate::statistics::Counter;
use crate::{CheckpointSigner, Error, Limits};

/// When it is worth to try again after an overload.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long the sequencer waits for as many entries as it had the last time. A batch costs the machine a sync of the
/// disk, a signature, and some changes of threads, whatever its size: without this, many clients at once would be served
/// in batches of two or three. Who is alone never waits.
const GATHER: Duration = Duration::from_micros(1500);

/// What the sequencer is to do.
pub(crate) enum Job {
    Append(Append),
    Create {
        name: String,
        prefix: LengthPrefix,
        signer: Arc<dyn CheckpointSigner>,
        reply: oneshot::Sender<Result<(), Error>>,
    },
    Freeze {
        tree: usize,
        extension: Option<String>,
        reply: oneshot::Sender<Result<(), Error>>,
    },
}

/// An entry that waits.
pub(crate) struct Append {
    pub(crate) number: usize,
    pub(crate) tree: Arc<Tree>,
    pub(crate) entry: Entry,
    /// What tells it from others: the hash of its leaf, or of what a leaf that is made later is made from.
    pub(crate) identity: Hash,
    /// Makes the leaf, if it says where it is.
    pub(crate) make: Option<MakeLeaf>,
    /// The leaf is not among the entries before this one.
    pub(crate) checked: u64,
    /// Only of an import: when it was integrated.
    pub(crate) time: Option<u64>,
    pub(crate) reply: oneshot::Sender<Result<Sequenced, Error>>,
}

/// What became of an entry.
pub(crate) enum Sequenced {
    New { index: u64, batch: Arc<Batch> },
    Duplicate { index: u64 },
}

impl Job {
    fn weight(&self) -> usize {
        match self {
            Self::Append(append) => append.entry.weight(),
            _ => 0,
        }
    }

    pub(crate) fn refuse(self, error: Error) {
        // Who asked may have gone away.
        let _ = match self {
            Self::Append(append) => append.reply.send(Err(error)).is_ok(),
            Self::Create { reply, .. } | Self::Freeze { reply, .. } => {
                reply.send(Err(error)).is_ok()
            }
        };
    }
}

/// What the sequencer takes at once.
pub(crate) enum Round {
    /// Entries of any trees.
    Entries(Vec<Append>),
    /// A job that stands alone.
    Other(Job),
}

/// Jobs in their order, as many as the limits allow.
#[derive(Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    arrived: Condvar,
    /// How often there was too much.
    pub(crate) refused: Counter,
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// Bytes of entries that are in the trees and not in bundles yet.
    unwritten: usize,
    closed: bool,
    /// Entries in the last batch: those who had sent them have their answers by now, and most may send again.
    last: usize,
    /// The sequencer waits until there are so many jobs.
    wanted: usize,
}

impl Queue {
    /// Adds a job, if it is not too much.
    pub(crate) fn push(&self, job: Job, limits: &Limits) -> Result<(), Error> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(Error::Closed);
        }
        let weight = job.weight();
        let full = inner.jobs.len() >= limits.max_waiting
            || inner.bytes + weight > limits.max_waiting_bytes
            || inner.unwritten > limits.max_unwritten_bytes;
        if full {
            drop(inner);
            return Err(self.overloaded());
        }
        inner.bytes += weight;
        let waits_for_more = matches!(job, Job::Append(_)) && inner.jobs.len() + 1 < inner.wanted;
        inner.jobs.push_back(job);
        drop(inner);
        if !waits_for_more {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// What is answered when there is too much of anything.
    pub(crate) fn overloaded(&self) -> Error {
        self.refused.add(1);
        Error::Overloaded {
            waiting: self.waiting(),
            retry_after: RETRY_AFTER,
        }
    }

    /// Waits for jobs; `None` once the queue is closed and empty.
    pub(crate) fn take(&self, limits: &Limits) -> Option<Round> {
        let mut inner = self.lock();
        while inner.jobs.is_empty() {
            if inner.closed {
                return None;
            }
            inner = self
                .arrived
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
        inner = self.gather(inner);
        let mut entries = Vec::new();
        let mut bytes = 0;
        while let Some(job) = inner.jobs.pop_front() {
            let weight = job.weight();
            match job {
                Job::Append(append) => {
                    let fits = entries.len() < limits.max_batch
                        && bytes + weight <= limits.max_batch_bytes;
                    if !fits && !entries.is_empty() {
                        inner.jobs.push_front(Job::Append(append));
                        break;
                    }
                    bytes += weight;
                    inner.bytes -= weight;
                    entries.push(append);
                }
                other if entries.is_empty() => return Some(Round::Other(other)),
                other => {
                    inner.jobs.push_front(other);
                    break;
                }
            }
        }
        inner.last = entries.len();
        Some(Round::Entries(entries))
    }

    /// Waits a little if the last batch had several entries, and there are fewer now.
    fn gather<'a>(&self, mut inner: MutexGuard<'a, Inner>) -> MutexGuard<'a, Inner> {
        if inner.last <= 1 || inner.jobs.len() >= inner.last {
            return inner;
        }
        inner.wanted = inner.last;
        let fewer = |inner: &mut Inner| {
            let entries = matches!(inner.jobs.back(), Some(Job::Append(_)));
            !inner.closed && entries && inner.jobs.len() < inner.wanted
        };
        let waited = self.arrived.wait_timeout_while(inner, GATHER, fewer);
        inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        inner.wanted = 0;
        inner
    }

    /// Takes no more jobs; those that wait are still done.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Entries of so many bytes went into the trees.
    pub(crate) fn unwritten(&self, bytes: usize) {
        self.lock().unwritten += bytes;
    }

    /// Entries of so many bytes went into bundles.
    pub(crate) fn written(&self, bytes: usize) {
        let mut inner = self.lock();
        inner.unwritten = inner.unwritten.saturating_sub(bytes);
    }

    /// How many jobs wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().jobs.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes a thread; a ring while it is awake is not lost.
#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<Rung>,
    rang: Condvar,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Rung {
    pub(crate) rung: bool,
    pub(crate) closed: bool,
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.lock().rung = true;
        self.rang.notify_one();
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.rang.notify_one();
    }

    /// Waits for a ring, but not longer than this if it is given; gives whether it was rung or closed.
    pub(crate) fn wait(&self, longest: Option<Duration>) -> Rung {
        let mut state = self.lock();
        if !state.rung && !state.closed {
            state = match longest {
                Some(longest) => {
                    let waited = self.rang.wait_timeout(state, longest);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self
                    .rang
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
        let seen = *state;
        state.rung = false;
        seen
    }

    /// Waits so long, whatever rings, but not once it is closed.
    pub(crate) fn pause(&self, time: Duration) {
        let state = self.lock();
        let paused = self
            .rang
            .wait_timeout_while(state, time, |state| !state.closed);
        drop(paused.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
