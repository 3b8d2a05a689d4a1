//! The log's side of witnesses: each new checkpoint of v2 is sent to those of the policy, and the newest one that enough
//! of them have cosigned is what clients get.
//!
//! It happens behind the commits, in rounds: a round takes the newest checkpoint that there is, and whatever was
//! committed meanwhile waits for the next. So the witnesses see as many checkpoints as they can answer, and not one for
//! each batch. A witness that has not answered when the quorum is reached is not waited for, and asked again when it has.
//! Readers never see a smaller checkpoint after a larger one.
//!
//! Invariants: nothing that a witness does keeps an entry out of the log, or an answer back for longer than
//! [`MAX_WAIT`]; a line is passed on only if it is a cosignature by the witness' key. Checkpoints of v1 never get any:
//! its clients refuse them.

mod client;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::HeaderName;
use sealmark_log::{Integrated, SignedCheckpoint, TreeView};
use sealmark_tlog::policy::Policy;
use sealmark_tlog::{Note, NoteSignature};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use self::client::Client;
use super::Inner;
use super::dispatch::blocking;
use super::refusal::Refusal;
use super::shards::Interface;
use super::state::Shard;
use crate::Error;

/// How long the answer to a write waits for the quorum: the rest of the round that was under way, and the next one,
/// with two requests in each.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// After a round without a quorum, until the same checkpoint is tried again; a new one is tried at once.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The pause grows up to this.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// A checkpoint that stays the newest is cosigned again after this time, so that readers see that the witnesses still do.
const REFRESH: Duration = Duration::from_secs(600);

/// How far the witnesses are.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// The newest checkpoint that has its quorum, with the cosignatures.
    cosigned: Option<Arc<SignedCheckpoint>>,
    /// The size of the newest checkpoint that was tried and did not get it.
    failed: u64,
}

/// What asks the witnesses, until it is dropped.
pub(super) struct Witnesses {
    progress: watch::Receiver<Progress>,
    required: bool,
    /// The last one that readers got without a quorum, before there was any with one.
    shown: Mutex<Option<Arc<SignedCheckpoint>>>,
    rounds: AbortHandle,
}

impl Witnesses {
    /// Begins to ask. Without `required`, what has no quorum in time is shown without cosignatures.
    pub(super) fn ask(tree: TreeView, policy: Policy, required: bool) -> Result<Self, Error> {
        let clients = policy.witnesses.iter().map(|witness| {
            let client = Client::new(witness)?;
            Ok(client.map(Arc::new))
        });
        let clients = clients.collect::<Result<Vec<_>, Error>>()?;
        let (sender, progress) = watch::channel(Progress::default());
        let rounds = Rounds {
            tree,
            policy,
            known: vec![0; clients.len()],
            busy: vec![false; clients.len()],
            clients,
            asked: JoinSet::new(),
            round: 0,
        };
        Ok(Self {
            progress,
            required,
            shown: Mutex::default(),
            rounds: tokio::spawn(rounds.run(sender)).abort_handle(),
        })
    }

    /// What readers are to see: the newest checkpoint that has its quorum, unless they saw a larger one before there was
    /// any; `None` if they must not see one without.
    fn public(&self, newest: Arc<SignedCheckpoint>) -> Option<Arc<SignedCheckpoint>> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let size = |signed: &SignedCheckpoint| signed.checkpoint.size;
        match (self.progress.borrow().cosigned.clone(), &*shown) {
            (Some(cosigned), Some(shown)) if size(&cosigned) < size(shown) => Some(shown.clone()),
            (Some(cosigned), _) => Some(cosigned),
            (None, _) if self.required => None,
            (None, _) => Some(shown.insert(newest).clone()),
        }
    }

    /// A checkpoint with a quorum that has this entry; `None` if there is none in time.
    async fn covering(&self, index: u64) -> Option<Arc<SignedCheckpoint>> {
        let mut progress = self.progress.clone();
        let covers = |progress: &Progress| {
            let cosigned = progress.cosigned.as_ref();
            cosigned.is_some_and(|cosigned| cosigned.checkpoint.size > index)
        };
        let decided = progress.wait_for(|progress| covers(progress) || progress.failed > index);
        let decided = tokio::time::timeout(MAX_WAIT, decided).await.ok()?.ok()?;
        covers(&decided).then(|| decided.cosigned.clone())?
    }
}

impl Drop for Witnesses {
    fn drop(&mut self) {
        self.rounds.abort();
    }
}

impl Inner {
    /// Those who cosign this tree.
    fn witnesses_of(&self, shard: &Shard) -> Option<&Witnesses> {
        let current = &self.state.current(Interface::V2).record.tree;
        self.witnesses
            .get()
            .filter(|_| shard.record.tree == *current)
    }

    /// The checkpoint of a tree of v2 that clients are to see: with a policy, the newest that has its quorum. Only the tree
    /// that takes entries is shown to witnesses.
    pub(super) fn public_checkpoint(
        &self,
        shard: &Shard,
    ) -> Result<Arc<SignedCheckpoint>, Refusal> {
        let newest = shard.tree.checkpoint();
        let Some(witnesses) = self.witnesses_of(shard) else {
            return Ok(newest);
        };
        witnesses.public(newest).ok_or_else(|| {
            let message = "no checkpoint has the cosignatures that this log demands, yet: try again in a second";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message)
        })
    }

    /// What proves an entry of v2, by a cosigned checkpoint if the log has witnesses.
    pub(super) async fn cosigned(
        self: &Arc<Self>,
        shard: &Shard,
        mut new: Box<Integrated>,
    ) -> Result<Box<Integrated>, Refusal> {
        let Some(witnesses) = self.witnesses_of(shard) else {
            return Ok(new);
        };
        let Some(cosigned) = witnesses.covering(new.index).await else {
            if !witnesses.required {
                return Ok(new);
            }
            let message = format!(
                "the entry is in the log, with the index {}, but not enough witnesses have cosigned a checkpoint that has it; there is no need to send it again",
                new.index
            );
            let name = HeaderName::from_static("x-log-index");
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message)
                .with(name, new.index.to_string()));
        };
        // It is often larger than the batch of this entry, and the proof must be of its tree.
        let (tree, index, size) = (shard.tree.clone(), new.index, cosigned.checkpoint.size);
        new.proof = blocking(move || Ok(tree.inclusion_proof(index, size)?)).await?;
        new.checkpoint = cosigned;
        Ok(new)
    }
}

/// What a witness answered.
struct Answer {
    round: u64,
    witness: usize,
    /// The size that the witness has, as far as that is known.
    known: u64,
    line: Option<NoteSignature>,
}

/// The task that asks.
struct Rounds {
    tree: TreeView,
    policy: Policy,
    /// By their place in the policy; those without a URL are never asked.
    clients: Vec<Option<Arc<Client>>>,
    known: Vec<u64>,
    /// Which witness has not answered an earlier round yet.
    busy: Vec<bool>,
    asked: JoinSet<Answer>,
    round: u64,
}

impl Rounds {
    async fn run(mut self, progress: watch::Sender<Progress>) {
        let (mut size, mut pause) = (0, FIRST_PAUSE);
        let mut again = MAX_PAUSE;
        loop {
            let new = self.tree.wait_for_size(size + 1);
            // Whether it has grown or not: what follows is the same.
            let _ = tokio::time::timeout(again, new).await;
            let newest = self.tree.checkpoint();
            size = newest.checkpoint.size;
            if size == 0 {
                continue;
            }
            match self.round(&newest).await {
                Some(note) => {
                    (pause, again) = (FIRST_PAUSE, REFRESH);
                    let cosigned = SignedCheckpoint {
                        checkpoint: newest.checkpoint.clone(),
                        note: note.to_string(),
                    };
                    progress.send_modify(|progress| progress.cosigned = Some(Arc::new(cosigned)));
                }
                None => {
                    again = pause;
                    pause = (pause * 2).min(MAX_PAUSE);
                    progress.send_modify(|progress| progress.failed = size);
                }
            }
        }
    }

    /// Sends one checkpoint to all, to those who have not answered an earlier one as soon as they have; gives it with the
    /// cosignatures once they are enough.
    async fn round(&mut self, newest: &Arc<SignedCheckpoint>) -> Option<Note> {
        self.round += 1;
        while let Some(Ok(late)) = self.asked.try_join_next() {
            self.heard(&late);
        }
        let mut note = Note::parse(&newest.note).ok()?;
        for witness in 0..self.clients.len() {
            self.ask(witness, newest);
        }
        let mut have = vec![false; self.clients.len()];
        // A quorum of nobody is reached before anybody has answered.
        while !self.policy.is_satisfied(|witness| have[witness]) {
            // One that panicked stays busy, and is never asked again.
            let answer = match self.asked.join_next().await? {
                Ok(answer) => answer,
                Err(error) => {
                    tracing::error!("asking a witness failed: {error}");
                    continue;
                }
            };
            self.heard(&answer);
            match answer.line {
                _ if answer.round != self.round => self.ask(answer.witness, newest),
                Some(line) => {
                    have[answer.witness] = true;
                    note.signatures.push(line);
                }
                None => {}
            }
        }
        Some(note)
    }

    /// Sends the checkpoint of this round to a witness, unless it has yet to answer an earlier one.
    fn ask(&mut self, witness: usize, newest: &Arc<SignedCheckpoint>) {
        let client = self.clients[witness].clone();
        let Some(client) = client.filter(|_| !self.busy[witness]) else {
            return;
        };
        self.busy[witness] = true;
        let (tree, newest) = (self.tree.clone(), newest.clone());
        let (round, mut known) = (self.round, self.known[witness]);
        self.asked.spawn(async move {
            let line = client.ask(&tree, &newest, &mut known).await;
            Answer {
                round,
                witness,
                known,
                line,
            }
        });
    }

    fn heard(&mut self, answer: &Answer) {
        self.busy[answer.witness] = false;
        self.known[answer.witness] = answer.known;
    }
}
