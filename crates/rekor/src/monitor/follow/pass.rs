//! Reading the trees of a log, once their checkpoints are proven, and reporting what is in them.
//!
//! Invariant: the state advances over an entry when what it has was reported, and reaches the disk after what was
//! reported has left this process.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::super::Error;
use super::super::event::{Contradiction, Event, Match, Place, Progress, Unreadable};
use super::super::reading::{Batch, Finding, Head, Log, Pages, Reading, Stopped, look_at};
use super::super::watch::Look;
use super::{Monitor, Reporter, Summary};
use crate::tiles::Tree;
use crate::v1;

/// How often the state is written while entries are read. After a crash, what was reported since is reported again.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Where a tree's entries are read.
pub(super) enum Source<'a> {
    Tiles(&'a mut Tree),
    RekorV1(&'a v1::Client),
}

/// Reading all trees of a log, once.
pub(super) struct Pass<'a, R> {
    monitor: &'a mut Monitor,
    reporter: &'a mut R,
    summary: Summary,
    done: bool,
    saved: Instant,
    /// By origin, what was remembered before this pass.
    sizes: HashMap<String, u64>,
}

impl<'a, R: Reporter> Pass<'a, R> {
    pub(super) fn new(
        monitor: &'a mut Monitor,
        reporter: &'a mut R,
        sizes: HashMap<String, u64>,
    ) -> Self {
        Self {
            monitor,
            reporter,
            summary: Summary::default(),
            done: false,
            saved: Instant::now(),
            sizes,
        }
    }

    pub(super) fn summary(&self) -> Summary {
        Summary {
            done: self.done,
            ..self.summary
        }
    }

    pub(super) async fn read(&mut self, head: &Head, source: Source<'_>) -> Result<(), Error> {
        if self.summary.stopped {
            return Ok(());
        }
        let url = self.monitor.url().to_owned();
        let mut progress = Progress {
            log: head.origin().to_owned(),
            url: url.clone(),
            size: head.size(),
            root: head.signed.checkpoint.root.to_string(),
            consistent_with: self.sizes.get(head.origin()).copied(),
            ..Progress::default()
        };
        let next = self.monitor.state.log(head.origin()).map(|log| log.next);
        progress.next = next.unwrap_or_default();
        let mut end = head.size();
        if let Some(until) = self.monitor.range.until {
            let last = until.saturating_add(1).saturating_sub(head.first_index);
            self.done |= last <= end;
            end = end.min(last);
        }
        // Who looks for nothing needs no entries.
        let watch = self.monitor.watch.clone();
        if watch.is_empty() {
            progress.next = end.max(progress.next);
        }
        let range = progress.next..end;
        if !range.is_empty() {
            let reading = match source {
                Source::Tiles(tree) => Reading::Tiles(tree.scan(range, look_at(watch, head, &url))),
                Source::RekorV1(client) => {
                    Reading::RekorV1(Box::new(Pages::new(client, head, range, watch)))
                }
            };
            self.follow(head, reading, &mut progress).await?;
        }
        self.advance(&progress)?;
        self.save()?;
        let event = Event::Checkpoint(progress);
        self.tell(&event, || "the checkpoint".to_owned()).await
    }

    /// Reads to the end, or until it is stopped.
    async fn follow(
        &mut self,
        head: &Head,
        mut reading: Reading<'_>,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let mut stop = self.monitor.stop.clone();
        loop {
            let batch = tokio::select! {
                biased;
                // An error says that nobody can ask for a stop any more.
                Ok(_) = stop.wait_for(|stop| *stop) => {
                    self.summary.stopped = true;
                    return Ok(());
                }
                batch = reading.next() => batch,
            };
            let result = match batch {
                None => return Ok(()),
                Some(Ok(batch)) => self.report(batch, progress).await,
                Some(Err(stopped)) => Err(self.stopped(head, stopped).await),
            };
            let is_time = self.saved.elapsed() >= SAVE_EVERY;
            if result.is_err() || is_time {
                self.advance(progress)?;
                self.save()?;
            }
            result?;
        }
    }

    async fn stopped(&mut self, head: &Head, stopped: Stopped) -> Error {
        match stopped {
            Stopped::Error(error) => error.into(),
            Stopped::Contradiction(after, reason) => {
                let keys = match &self.monitor.log {
                    Log::RekorV1(client) => client.keys_pem(),
                    Log::Tiles(reader) => reader.key().to_pem(),
                };
                let what = Contradiction::Fork;
                self.monitor
                    .alarm(&head.signed, &after, what, reason, keys, self.reporter)
                    .await
            }
        }
    }

    async fn report(&mut self, batch: Batch, progress: &mut Progress) -> Result<(), Error> {
        for finding in batch.found {
            let index = finding.place.tree_index.unwrap_or(finding.place.index);
            let what = format!("entry {}", finding.place.index);
            let is_match = matches!(finding.look, Look::Found(_));
            let Some(event) = event(finding) else {
                continue;
            };
            // Those before it were told.
            let read = index.saturating_sub(progress.next);
            progress.next += read;
            progress.read += read;
            self.summary.read += read;
            self.tell(&event, || what).await?;
            match is_match {
                true => {
                    (progress.matches, self.summary.matches) =
                        (progress.matches + 1, self.summary.matches + 1)
                }
                false => {
                    (progress.unreadable, self.summary.unreadable) =
                        (progress.unreadable + 1, self.summary.unreadable + 1)
                }
            }
        }
        let read = batch.range.end.saturating_sub(progress.next);
        progress.next += read;
        progress.read += read;
        self.summary.read += read;
        self.reporter.progress(progress);
        Ok(())
    }

    async fn tell(&mut self, event: &Event, what: impl FnOnce() -> String) -> Result<(), Error> {
        let told = self.reporter.report(event).await;
        told.map_err(|reason| Error::NotTold {
            what: what(),
            reason,
        })
    }

    /// Remembers what was read, in memory.
    fn advance(&mut self, progress: &Progress) -> Result<(), Error> {
        let Some(mut log) = self.monitor.state.log(&progress.log).cloned() else {
            return Err(self.monitor.state_error("it has lost the log".to_owned()));
        };
        log.next = log.next.max(progress.next);
        self.monitor.state.set(&progress.log, log);
        Ok(())
    }

    /// What is remembered on disk was told before.
    fn save(&mut self) -> Result<(), Error> {
        self.reporter.flush().map_err(|reason| Error::NotTold {
            what: "what was found".to_owned(),
            reason,
        })?;
        self.saved = Instant::now();
        self.monitor.state.save()
    }
}

fn event(finding: Finding) -> Option<Event> {
    let place: Place = finding.place;
    match finding.look {
        Look::Nothing => None,
        Look::Unreadable(reason) => Some(Event::Unreadable(Unreadable { place, reason })),
        Look::Found(found) => Some(Event::Match(Box::new(Match {
            place,
            kind: found.kind,
            version: found.version,
            matched: found.reasons,
            digests: found.digests.iter().map(ToString::to_string).collect(),
            signers: found.signers,
        }))),
    }
}
