//! One pass over a log: from what is remembered to the newest checkpoint.

mod pass;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sealmark_tlog::Checkpoint;
use tokio::sync::watch::Receiver;

use self::pass::{Pass, Source};
use super::Error;
use super::event::{Contradiction, Event, Inconsistent, Progress};
use super::reading::{Head, Log};
use super::state::{LogState, State};
use super::watch::Watch;
use crate::SignedCheckpoint;
use crate::tiles::Tree;
use crate::v1;

/// How often a smaller checkpoint than the last is asked for again before it is an alarm: a cache may be a moment old.
const ASK_AGAIN: u32 = 2;
/// Between these questions.
const A_MOMENT: Duration = Duration::from_millis(700);

/// Where to begin with a log that is not remembered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Start {
    /// With the entries that come after now.
    #[default]
    Now,
    /// With this index; in a Rekor v1 counted over all shards.
    Index(u64),
}

/// Which entries to read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Range {
    /// The first, in the first run.
    pub start: Start,
    /// The last, if there is one; in a Rekor v1 counted over all shards.
    pub until: Option<u64>,
}

/// Tells people and programs what is found.
pub trait Reporter: Send {
    /// Tells of an event. When it returns `Ok`, that need not be told again.
    fn report(&mut self, event: &Event) -> impl Future<Output = Result<(), String>> + Send;

    /// Makes sure that everything that was told has left this process.
    ///
    /// # Errors
    /// Why it has not.
    fn flush(&mut self) -> Result<(), String>;

    /// Warns the user.
    fn warn(&mut self, text: &str);

    /// Shows how far reading is; called often.
    fn progress(&mut self, _so_far: &Progress) {}
}

/// What came of a pass.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// Entries that were read.
    pub read: u64,
    /// Those that were looked for.
    pub matches: u64,
    /// Those that could not be read.
    pub unreadable: u64,
    /// Whether the pass was stopped before its end.
    pub stopped: bool,
    /// Whether the last index was read that is to be.
    pub done: bool,
}

/// Follows one log.
#[derive(Debug)]
pub struct Monitor {
    log: Log,
    watch: Arc<Watch>,
    state: State,
    range: Range,
    stop: Receiver<bool>,
}

impl Monitor {
    /// Follows `log` from where `state` remembers it. A pass ends early when `stop` becomes true.
    pub fn new(log: Log, watch: Watch, state: State, range: Range, stop: Receiver<bool>) -> Self {
        Self {
            log,
            watch: Arc::new(watch),
            state,
            range,
            stop,
        }
    }

    /// What is remembered.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Where the log is.
    pub fn url(&self) -> &str {
        match &self.log {
            Log::Tiles(reader) => reader.http().shown(),
            Log::RekorV1(client) => client.http().shown(),
        }
    }

    /// Reads the log up to its newest checkpoint, once that is proven to be consistent with the last one.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] if the log has contradicted itself: the state is as before, and the evidence beside it.
    /// [`Error::Log`]; [`Error::NotTold`]; of files. What was reported before is remembered.
    pub async fn pass(&mut self, reporter: &mut impl Reporter) -> Result<Summary, Error> {
        match self.log.clone() {
            Log::Tiles(reader) => {
                let (head, mut tree) = self.tiles_head(&reader, reporter).await?;
                let sizes = self.begin(std::slice::from_ref(&head), reporter)?;
                let mut pass = Pass::new(self, reporter, sizes);
                pass.read(&head, Source::Tiles(&mut tree)).await?;
                Ok(pass.summary())
            }
            Log::RekorV1(client) => {
                let heads = self.v1_heads(&client, reporter).await?;
                let sizes = self.begin(&heads, reporter)?;
                let mut pass = Pass::new(self, reporter, sizes);
                for head in &heads {
                    pass.read(head, Source::RekorV1(&client)).await?;
                }
                Ok(pass.summary())
            }
        }
    }

    /// The newest checkpoint of a log of tiles, consistent with the one that is remembered.
    async fn tiles_head(
        &mut self,
        reader: &crate::tiles::Reader,
        reporter: &mut impl Reporter,
    ) -> Result<(Head, Tree), Error> {
        let before = self.remembered(reader.origin(), |note| {
            reader.open(note).map_err(|error| error.to_string())
        })?;
        let mut signed = reader.checkpoint().await?;
        for _ in 0..ASK_AGAIN {
            if !is_smaller(&before, &signed) {
                break;
            }
            tokio::time::sleep(A_MOMENT).await;
            signed = reader.checkpoint().await?;
        }
        let head = Head {
            signed,
            first_index: 0,
            is_shard: false,
        };
        let mut found = before
            .as_ref()
            .and_then(|before| contradiction(&before.checkpoint, &head.signed.checkpoint));
        let mut tree = None;
        if found.is_none() {
            let now = &head.signed.checkpoint;
            let mut opened = reader.tree(now).await?;
            if let Some(before) = before.as_ref().filter(|before| before.checkpoint.size > 0) {
                let before = &before.checkpoint;
                let root = opened.root_at(before.size).await?;
                if root != before.root {
                    let reason = format!(
                        "its first {} entries are not those that it had, whose root was {}: in the tree of {} entries \
                         it is {root}",
                        before.size, before.root, now.size
                    );
                    found = Some((Contradiction::Fork, reason));
                }
            }
            tree = Some(opened);
        }
        match (before, found, tree) {
            (_, None, Some(tree)) => Ok((head, tree)),
            (Some(before), Some((what, reason)), _) => {
                let key = reader.key().to_pem();
                let after = &head.signed;
                Err(self
                    .alarm(&before, after, what, reason, key, reporter)
                    .await)
            }
            // A contradiction needs a checkpoint from before, and without one there is a tree.
            (None, Some((_, reason)), _) => Err(self.state_error(reason)),
            (_, None, None) => Err(self.state_error("no tree was opened".to_owned())),
        }
    }

    /// The newest checkpoints of all trees of a Rekor v1, oldest tree first, consistent with those that are remembered.
    async fn v1_heads(
        &mut self,
        client: &v1::Client,
        reporter: &mut impl Reporter,
    ) -> Result<Vec<Head>, Error> {
        let mut info = client.info().await?;
        for _ in 0..ASK_AGAIN {
            let mut shrunk = false;
            for shard in info.shards() {
                let before =
                    self.remembered(&shard.signed.checkpoint.origin, |note| client.open(note))?;
                shrunk |= is_smaller(&before, &shard.signed);
            }
            if !shrunk {
                break;
            }
            tokio::time::sleep(A_MOMENT).await;
            info = client.info().await?;
        }
        let is_shard = !info.inactive.is_empty();
        let mut heads = Vec::new();
        for shard in info.shards() {
            let now = &shard.signed.checkpoint;
            let before = self.remembered(&now.origin, |note| client.open(note))?;
            if let Some(before) = before {
                let then = &before.checkpoint;
                let mut found = contradiction(then, now);
                if found.is_none() {
                    let (first, last) = ((then.size, &then.root), (now.size, &now.root));
                    match client.verify_growth(shard.tree, first, last).await {
                        Err(crate::Error::Unproven { what, reason, .. }) => {
                            found = Some((Contradiction::Fork, format!("{what}: {reason}")));
                        }
                        other => other?,
                    }
                }
                if let Some((what, reason)) = found {
                    let keys = client.keys_pem();
                    let after = &shard.signed;
                    return Err(self
                        .alarm(&before, after, what, reason, keys, reporter)
                        .await);
                }
            }
            heads.push(Head {
                signed: shard.signed.clone(),
                first_index: shard.first_index,
                is_shard,
            });
        }
        let shown = |origin: &str| heads.iter().any(|head| head.origin() == origin);
        let gone = self.state.trees_at(self.url()).find(|o| !shown(o));
        if let Some(origin) = gone.map(str::to_owned)
            && let Some(before) = self.remembered(&origin, |note| client.open(note))?
        {
            let reason = format!(
                "it had a tree {origin:?} with {} entries, and no longer shows it",
                before.checkpoint.size
            );
            let (what, keys) = (Contradiction::Rollback, client.keys_pem());
            let after = &info.active.signed;
            return Err(self
                .alarm(&before, after, what, reason, keys, reporter)
                .await);
        }
        Ok(heads)
    }

    /// The checkpoint that is remembered. It is signed, or the state is of another log.
    fn remembered(
        &self,
        origin: &str,
        open: impl FnOnce(&str) -> Result<SignedCheckpoint, String>,
    ) -> Result<Option<SignedCheckpoint>, Error> {
        let Some(log) = self.state.log(origin) else {
            return Ok(None);
        };
        open(&log.checkpoint).map(Some).map_err(|reason| {
            self.state_error(format!(
                "what it has of {origin:?} is not by the key that is believed now: {reason}"
            ))
        })
    }

    fn state_error(&self, reason: String) -> Error {
        Error::State {
            path: self.state.path().to_owned(),
            reason,
        }
    }

    /// Remembers the checkpoints, which are proven, and with new logs where to begin. Gives the sizes that are proven to
    /// be the beginnings.
    fn begin(
        &mut self,
        heads: &[Head],
        reporter: &mut impl Reporter,
    ) -> Result<HashMap<String, u64>, Error> {
        let url = self.url().to_owned();
        // A tree that a known log has begun since is read from its beginning.
        let has_trees = matches!(self.log, Log::RekorV1(_))
            && (heads.iter()).any(|head| self.state.log(head.origin()).is_some());
        let looking_for = self.watch.summary();
        let (mut sizes, mut has_changed) = (HashMap::new(), false);
        for head in heads {
            let before = self.state.log(head.origin());
            let next = match (before, self.range.start) {
                (Some(log), _) => log.next.min(head.size()),
                (None, _) if has_trees => 0,
                (None, Start::Now) => head.size(),
                (None, Start::Index(index)) => {
                    index.saturating_sub(head.first_index).min(head.size())
                }
            };
            if let Some(before) = before {
                has_changed |= next > 0 && before.looking_for != looking_for;
                let text = before.checkpoint.split('\n').nth(1);
                let size = text.and_then(|size| size.parse().ok());
                sizes.extend(size.map(|size| (head.origin().to_owned(), size)));
            }
            self.state.set(
                head.origin(),
                LogState {
                    url: url.clone(),
                    checkpoint: head.signed.note.clone(),
                    next,
                    looking_for: looking_for.clone(),
                },
            );
        }
        if has_changed {
            reporter.warn(&format!(
                "something else is looked for than in the last run, and entries that were read are not read again; two \
                 monitors need two files: {} is this one's",
                self.state.path().display()
            ));
        }
        self.state.save()?;
        Ok(sizes)
    }

    /// Keeps the evidence, then tells.
    async fn alarm(
        &mut self,
        before: &SignedCheckpoint,
        after: &SignedCheckpoint,
        what: Contradiction,
        reason: String,
        public_key: String,
        reporter: &mut impl Reporter,
    ) -> Error {
        let mut inconsistent = Inconsistent {
            log: before.checkpoint.origin.clone(),
            url: self.url().to_owned(),
            what,
            reason,
            before: before.note.clone(),
            after: after.note.clone(),
            public_key,
            evidence: None,
        };
        let json = serde_json::to_vec_pretty(&inconsistent).unwrap_or_default();
        // What cannot be kept is told all the same.
        let kept = self.state.save_evidence(&json);
        inconsistent.evidence = kept.as_ref().ok().map(|path| path.display().to_string());
        if let Err(error) = kept {
            inconsistent.reason =
                format!("{}; the evidence is not kept: {error}", inconsistent.reason);
        }
        let event = Event::Inconsistent(inconsistent.clone());
        if let Err(error) = reporter.report(&event).await {
            inconsistent.reason = format!("{}; it was not reported: {error}", inconsistent.reason);
        }
        // Whether or not this is told, the error is.
        let _ = reporter.flush();
        Error::Inconsistent(Box::new(inconsistent))
    }
}

fn is_smaller(before: &Option<SignedCheckpoint>, now: &SignedCheckpoint) -> bool {
    before
        .as_ref()
        .is_some_and(|before| now.checkpoint.size < before.checkpoint.size)
}

/// What two checkpoints say against each other, without any proof.
fn contradiction(before: &Checkpoint, now: &Checkpoint) -> Option<(Contradiction, String)> {
    if now.size < before.size {
        let reason = format!(
            "it had {} entries and now has {}; a cache may serve an old checkpoint, a log must not",
            before.size, now.size
        );
        return Some((Contradiction::Rollback, reason));
    }
    (now.size == before.size && now.root != before.root).then(|| {
        let reason = format!(
            "it has signed two trees with {} entries, with the roots {} and {}",
            now.size, before.root, now.root
        );
        (Contradiction::Fork, reason)
    })
}
