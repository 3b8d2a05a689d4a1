//! Reading a log's entries in order, each proven, from tiles or from the interface of Rekor v1.

use std::collections::HashMap;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt as _};
use sealmark_tlog::Hash;

use super::event::Place;
use super::watch::{Look, Watch};
use crate::tiles::{self, LookAt, Scan};
use crate::v1::{self, MAX_AT_ONCE};
use crate::{Entry, SignedCheckpoint};

/// Requests that are sent before their answers are needed, to a Rekor v1, of [`MAX_AT_ONCE`] entries each. The public one
/// limits how many come from one address.
const AHEAD: usize = 4;
/// Checkpoints of a busy Rekor v1 that are known to be consistent, at most.
const MAX_KNOWN: usize = 1024;

/// A log that can be followed.
#[derive(Clone, Debug)]
pub enum Log {
    /// A Rekor v2, or any other log of tiles.
    Tiles(tiles::Reader),
    /// A Rekor v1.
    RekorV1(v1::Client),
}

/// A tree of a log as its newest checkpoint has it.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) signed: SignedCheckpoint,
    /// The index, across shards, of the first entry.
    pub(super) first_index: u64,
    /// Whether the log has several trees.
    pub(super) is_shard: bool,
}

impl Head {
    pub(super) fn size(&self) -> u64 {
        self.signed.checkpoint.size
    }

    pub(super) fn origin(&self) -> &str {
        &self.signed.checkpoint.origin
    }
}

/// An entry that is worth telling of.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) place: Place,
    pub(super) look: Look,
}

/// Entries that were read, by their indices in the tree.
pub(super) struct Batch {
    pub(super) range: Range<u64>,
    pub(super) found: Vec<Finding>,
}

/// Why reading stopped.
pub(super) enum Stopped {
    Error(crate::Error),
    /// An entry came with a checkpoint that contradicts the one that is read from.
    Contradiction(Box<SignedCheckpoint>, String),
}

impl From<crate::Error> for Stopped {
    fn from(error: crate::Error) -> Self {
        Self::Error(error)
    }
}

/// Entries of one tree, in order.
pub(super) enum Reading<'a> {
    Tiles(Scan<'a, Finding>),
    RekorV1(Box<Pages<'a>>),
}

impl Reading<'_> {
    pub(super) async fn next(&mut self) -> Option<Result<Batch, Stopped>> {
        match self {
            Self::Tiles(scan) => {
                let scanned = scan.next().await?;
                Some(scanned.map_err(Stopped::Error).map(|scanned| Batch {
                    range: scanned.range,
                    found: scanned.found,
                }))
            }
            Self::RekorV1(pages) => pages.next().await,
        }
    }
}

/// Looks at each entry of a log of tiles.
pub(super) fn look_at(watch: Arc<Watch>, head: &Head, url: &str) -> LookAt<Finding> {
    let (log, url) = (head.origin().to_owned(), url.to_owned());
    Arc::new(move |index, leaf: &Hash, body| {
        let look = watch.look(body);
        (look != Look::Nothing).then(|| Finding {
            place: Place {
                log: log.clone(),
                url: url.clone(),
                index,
                tree_index: None,
                uuid: leaf.to_string(),
                time: None,
            },
            look,
        })
    })
}

/// Entries of one tree of a Rekor v1.
pub(super) struct Pages<'a> {
    client: &'a v1::Client,
    head: &'a Head,
    watch: Arc<Watch>,
    tree: u64,
    pages: Pin<Box<dyn Stream<Item = Result<Vec<Entry>, crate::Error>> + Send + 'a>>,
    /// Roots by size that are consistent with the head.
    known: HashMap<u64, Hash>,
}

impl<'a> Pages<'a> {
    /// `range` counts in the tree.
    pub(super) fn new(
        client: &'a v1::Client,
        head: &'a Head,
        range: Range<u64>,
        watch: Arc<Watch>,
    ) -> Self {
        let first = head.first_index;
        let starts = range.clone().step_by(MAX_AT_ONCE as usize);
        let pages = stream::iter(starts).map(move |start| {
            let end = range.end.min(start + MAX_AT_ONCE);
            client.entries_at(first + start..first + end)
        });
        let checkpoint = &head.signed.checkpoint;
        Self {
            client,
            head,
            watch,
            tree: checkpoint.rekor_v1_tree().map_or(0, |(_, tree)| tree),
            pages: Box::pin(pages.buffered(AHEAD)),
            known: HashMap::from([(checkpoint.size, checkpoint.root)]),
        }
    }

    async fn next(&mut self) -> Option<Result<Batch, Stopped>> {
        let page = match self.pages.next().await? {
            Ok(page) => page,
            Err(error) => return Some(Err(error.into())),
        };
        Some(self.check(page).await)
    }

    /// Every entry was proven by a checkpoint of its own, of a tree that may have grown since the head was signed.
    async fn check(&mut self, page: Vec<Entry>) -> Result<Batch, Stopped> {
        let (mut range, mut found) = (None, Vec::new());
        for entry in page {
            let index = self.check_entry(&entry).await?;
            let start = range.map_or(index, |range: Range<u64>| range.start);
            range = Some(start..index + 1);
            let body = &entry.log_entry.canonicalized_body;
            let look = self.watch.look(body);
            if look == Look::Nothing {
                continue;
            }
            let time = jiff::Timestamp::from_second(entry.log_entry.integrated_time).ok();
            found.push(Finding {
                place: Place {
                    log: self.head.origin().to_owned(),
                    url: self.client.http().shown().to_owned(),
                    index: entry.log_entry.log_index,
                    tree_index: self.head.is_shard.then_some(index),
                    uuid: entry.id.to_string(),
                    time: time.map(|time| time.to_string()),
                },
                look,
            });
        }
        let range = range.unwrap_or_default();
        Ok(Batch { range, found })
    }

    /// The index of the entry in the tree.
    async fn check_entry(&mut self, entry: &Entry) -> Result<u64, Stopped> {
        let index = entry.log_entry.log_index;
        let what = format!("entry {index}");
        let unproven = |reason: String| {
            let host = self.client.http().authority();
            Stopped::Error(crate::Error::unproven(&host, what.clone(), reason))
        };
        let expected = index.checked_sub(self.head.first_index);
        let proof = entry.log_entry.inclusion_proof.as_ref();
        let local = proof.map(|proof| proof.log_index);
        if entry.checkpoint.origin != self.head.origin() {
            let found = &entry.checkpoint.origin;
            return Err(unproven(format!("it is of the tree {found:?}")));
        }
        let Some(local) = local.filter(|_| local == expected) else {
            return Err(unproven("its proof is of another index".to_owned()));
        };
        let (size, root) = (entry.checkpoint.size, entry.checkpoint.root);
        if self.known.get(&size) == Some(&root) {
            return Ok(local);
        }
        let head = &self.head.signed.checkpoint;
        let (first, last) = match size <= head.size {
            true => ((size, &root), (head.size, &head.root)),
            false => ((head.size, &head.root), (size, &root)),
        };
        match self.client.verify_growth(self.tree, first, last).await {
            Ok(()) => {
                if self.known.len() >= MAX_KNOWN {
                    self.known.clear();
                }
                self.known.insert(size, root);
                Ok(local)
            }
            Err(crate::Error::Unproven { what, reason, .. }) => {
                let note = proof.map(|proof| proof.checkpoint.clone());
                let signed = SignedCheckpoint {
                    note: note.unwrap_or_default(),
                    checkpoint: entry.checkpoint.clone(),
                };
                let reason = format!("{what}: {reason}");
                Err(Stopped::Contradiction(Box::new(signed), reason))
            }
            Err(error) => Err(error.into()),
        }
    }
}
