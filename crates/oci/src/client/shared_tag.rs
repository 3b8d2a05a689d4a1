//! Adding to a tag that others write, too: the fallback index of referrers, and cosign's `.sig` and `.att` images.
//!
//! The protocol offers no compare-and-swap on tags. Two writers that both read version 1 and both write lose one of
//! the two additions, and both have seen their PUT succeed. What is done about it:
//!
//! 1. Writers of one process take turns (a lock per tag), so that they cannot race at all.
//! 2. Where the registry gives an `ETag`, the PUT is conditional (`If-Match`, `If-None-Match: *` for a new tag). A
//!    registry that honours it answers 412, and the writer starts over from a fresh read. Most ignore the header.
//! 3. Each writer remembers every entry that it has seen in any read, and every PUT holds the union of the fresh
//!    read, what was seen, and its own entry. So an entry that one writer has seen survives all of that writer's PUTs.
//! 4. A PUT that comes long after its read is likelier to overwrite something unseen. So nothing slow happens between
//!    the two: a legacy image's configuration is pushed first, and then the tag must still be what it was.
//! 5. After its PUT, a writer waits and reads again, [`SETTLED_READS`] times. It is done only when its entry, and
//!    every entry it has seen, is there each time; else it merges and writes again after a random pause. The wait is
//!    a few times as long as its own read-to-write window took, since a rival that had read before our PUT will
//!    write within a window like ours.
//!
//! Why that converges: a writer returns only after its entry stayed for several windows. A rival that could still
//! erase it must have read before our PUT and not have written for that long. Each rival that did see it carries it
//! on by 3. In a crowd the last PUT of a round holds the union of all that its writer saw, the losers read it, and
//! their next PUT holds that and their own; the sets only grow, and when they are equal nobody writes any more.
//!
//! What cannot be guaranteed: a rival that stalls for longer than our waits between its read and its PUT (a
//! suspended laptop) still erases entries, and so does one that follows no such rule, such as cosign 3.1. The
//! attachment's manifest itself is never lost, only its listing; attaching again brings it back. A registry with the
//! referrers API has none of this.
//!
//! An entry that vanished between two reads may also have been deleted on purpose. Where the entry is a manifest of
//! its own, it is listed again only if the manifest still exists.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{HeaderValue, IF_MATCH, IF_NONE_MATCH};
use sealmark_formats::Digest;

use super::manifests::Put;
use super::send::jitter;
use super::{Client, Manifest, lock};
use crate::error::Error;
use crate::manifest::{Descriptor, Index, OCI_INDEX, legacy_image};
use crate::reference::{Repository, attachment_tag};

/// Writes before giving up. A crowd of a dozen needs about four.
const MAX_WRITES: u32 = 40;
/// Good reads in a row after which a write counts as settled.
const SETTLED_READS: u32 = 2;
/// The least time before each of them.
const MIN_SETTLE: Duration = Duration::from_millis(100);
/// The most.
const MAX_SETTLE: Duration = Duration::from_secs(3);
/// How many read-to-write windows of our own are waited: a rival may be slower than we are.
const WINDOWS: u32 = 3;
/// Writes after which an error of the server is believed to be lasting.
const SERVER_TRIES: u32 = 3;
/// How often a read is repeated that met a write.
const READ_TRIES: u32 = 5;
/// All the time that one addition may take.
const MAX_TOTAL: Duration = Duration::from_secs(120);

/// Which layers of a legacy image a new one takes the place of.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Replace {
    /// None: the new layer is added.
    #[default]
    Nothing,
    /// Every layer.
    Everything,
    /// Those with these blobs.
    Blobs(Vec<Digest>),
}

impl Replace {
    fn drops(&self, layer: &Descriptor) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Blobs(blobs) => blobs.contains(&layer.digest),
        }
    }
}

/// What the tag holds.
enum Kind {
    /// An index of referrers: entries are manifests.
    Index,
    /// A legacy image: entries are layers.
    Legacy { docker: bool, replace: Replace },
}

impl Kind {
    fn entries(&self, manifest: &Manifest) -> Result<Vec<Descriptor>, Error> {
        match self {
            Self::Index => Ok(manifest.index()?.manifests),
            Self::Legacy { .. } => Ok(manifest.image()?.layers),
        }
    }

    /// Two entries that are the same thing. Two signatures over one payload are layers of one digest, and differ in
    /// their annotations.
    fn same(&self, a: &Descriptor, b: &Descriptor) -> bool {
        match self {
            Self::Index => a.digest == b.digest,
            Self::Legacy { .. } => a.digest == b.digest && a.annotations == b.annotations,
        }
    }

    /// Each of `own` is in `entries` as it should be. An entry of an index is repaired if its type is wrong.
    fn has(&self, entries: &[Descriptor], own: &[Descriptor]) -> bool {
        own.iter().all(|entry| {
            entries.iter().any(|have| {
                self.same(have, entry)
                    && match self {
                        Self::Index => {
                            have.artifact_type == entry.artifact_type
                                && have.annotations == entry.annotations
                        }
                        Self::Legacy { .. } => true,
                    }
            })
        })
    }

    fn drops(&self, entry: &Descriptor) -> bool {
        match self {
            Self::Index => false,
            Self::Legacy { replace, .. } => replace.drops(entry),
        }
    }
}

impl Client {
    /// Adds `layer` (with its blob) to the legacy image of `subject`: suffix `sig` or `att`. What others add at the
    /// same time stays. A layer that is there already is not added twice. The digest is the image's.
    ///
    /// # Errors
    /// [`Error::Contended`] if others keep overwriting; any other failure as what it is.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one part of what is written where"
    )]
    pub async fn append_legacy(
        &self,
        repository: &Repository,
        subject: &Digest,
        suffix: &str,
        layer: Descriptor,
        blob: Bytes,
        replace: Replace,
        docker_media_types: bool,
    ) -> Result<Digest, Error> {
        let tag = attachment_tag(&self.options().tag_prefix, subject, suffix);
        self.push_blob(repository, blob).await?;
        let kind = Kind::Legacy {
            docker: docker_media_types,
            replace,
        };
        self.add_to_tag(repository, &tag, &kind, &[layer]).await
    }

    /// Adds layers, whose blobs the repository has, to the legacy image at `tag`. What is there stays.
    pub(crate) async fn merge_legacy(
        &self,
        repository: &Repository,
        tag: &str,
        layers: &[Descriptor],
        docker_media_types: bool,
    ) -> Result<Digest, Error> {
        let kind = Kind::Legacy {
            docker: docker_media_types,
            replace: Replace::Nothing,
        };
        self.add_to_tag(repository, tag, &kind, layers).await
    }

    /// Lists `entries` in the fallback index of `subject`.
    pub(super) async fn add_to_fallback_index(
        &self,
        repository: &Repository,
        subject: &Digest,
        entries: &[Descriptor],
    ) -> Result<(), Error> {
        let tag = attachment_tag("", subject, "");
        self.add_to_tag(repository, &tag, &Kind::Index, entries)
            .await
            .map(|_| ())
    }

    async fn add_to_tag(
        &self,
        repository: &Repository,
        tag: &str,
        kind: &Kind,
        own: &[Descriptor],
    ) -> Result<Digest, Error> {
        let is_own = |entry: &Descriptor| own.iter().any(|own| kind.same(entry, own));
        let turn = lock(&self.inner.turns)
            .entry((repository.clone(), tag.to_owned()))
            .or_default()
            .clone();
        let _turn = turn.lock().await;
        let started = Instant::now();
        let contended = |tries| Error::Contended {
            target: repository.at(tag),
            tries,
        };
        // What must be there in the end: our own entries, and everything that was there in any read.
        let mut seen: Vec<Descriptor> = Vec::new();
        let mut writes = 0;
        // What is being replaced is only what was there before us: a rival's new entry of the same kind stays.
        let mut replaced: Option<Vec<Descriptor>> = None;
        loop {
            let read_at = Instant::now();
            let current = self.read_tag(repository, tag, kind).await?;
            let replaced = replaced.get_or_insert_with(|| {
                let old = current.entries.iter().filter(|entry| kind.drops(entry));
                old.filter(|entry| !is_own(entry)).cloned().collect()
            });
            let outdated = |entry: &Descriptor| replaced.iter().any(|old| kind.same(old, entry));
            let lost = self
                .lost(repository, kind, &current.entries, &mut seen)
                .await?;
            let good = kind.has(&current.entries, own)
                && lost.is_empty()
                && !current.entries.iter().any(outdated);
            if let (true, Some(digest)) = (good, &current.digest) {
                let window = read_at.elapsed();
                if writes == 0
                    || self
                        .settled(repository, tag, kind, own, &mut seen, window)
                        .await?
                {
                    return Ok(digest.clone());
                }
            }
            if writes >= MAX_WRITES || started.elapsed() > MAX_TOTAL {
                return Err(contended(writes));
            }
            if good {
                continue;
            }
            let mut entries: Vec<Descriptor> = Vec::new();
            for entry in current.entries.iter().chain(&lost) {
                let known = entries.iter().any(|have| kind.same(have, entry));
                if !known && !outdated(entry) && !is_own(entry) {
                    entries.push(entry.clone());
                }
            }
            for own in own {
                let place = current
                    .entries
                    .iter()
                    .position(|entry| kind.same(entry, own));
                entries.insert(
                    place.unwrap_or(entries.len()).min(entries.len()),
                    own.clone(),
                );
            }
            writes += 1;
            match self
                .write_tag(
                    repository,
                    tag,
                    kind,
                    entries,
                    &current,
                    writes > SERVER_TRIES,
                )
                .await?
            {
                Written::Stored(digest) => {
                    let window = read_at.elapsed();
                    if self
                        .settled(repository, tag, kind, own, &mut seen, window)
                        .await?
                    {
                        return Ok(digest);
                    }
                }
                Written::Precondition(answer) => {
                    // A 412 without a rival is not about the condition: the tag is immutable.
                    let now = self.read_tag(repository, tag, kind).await?;
                    if now.etag == current.etag && now.digest == current.digest {
                        return Err(answer.refused().await);
                    }
                }
                Written::Stale => {}
            }
            tokio::time::sleep(jitter(MIN_SETTLE * (1 << writes.min(4)))).await;
        }
    }

    /// The entries that were seen and are not in `entries`, after adding `entries` to `seen`. Those that were deleted
    /// on purpose are forgotten.
    async fn lost(
        &self,
        repository: &Repository,
        kind: &Kind,
        entries: &[Descriptor],
        seen: &mut Vec<Descriptor>,
    ) -> Result<Vec<Descriptor>, Error> {
        let mut lost = Vec::new();
        let mut kept = Vec::new();
        for entry in seen.drain(..) {
            if entries.iter().any(|have| kind.same(have, &entry)) {
                continue;
            }
            let exists = match kind {
                Kind::Index => self
                    .manifest_if_exists(repository, &entry.digest.to_string())
                    .await?
                    .is_some(),
                Kind::Legacy {
                    replace: Replace::Nothing,
                    ..
                } => true,
                // While one replaces, one cannot tell a rival's replacement from a rival's overwriting.
                Kind::Legacy { .. } => !kind.drops(&entry),
            };
            if exists {
                lost.push(entry.clone());
                kept.push(entry);
            }
        }
        kept.extend(entries.iter().cloned());
        *seen = kept;
        Ok(lost)
    }

    /// Waits and reads, until rivals that had read before our write must have written.
    async fn settled(
        &self,
        repository: &Repository,
        tag: &str,
        kind: &Kind,
        own: &[Descriptor],
        seen: &mut Vec<Descriptor>,
        window: Duration,
    ) -> Result<bool, Error> {
        let wait = (window * WINDOWS).clamp(MIN_SETTLE, MAX_SETTLE);
        for _ in 0..SETTLED_READS {
            // Between one and two waits.
            tokio::time::sleep(jitter(wait * 2)).await;
            let now = self.read_tag(repository, tag, kind).await?;
            let lost = self.lost(repository, kind, &now.entries, seen).await?;
            if !lost.is_empty() || !kind.has(&now.entries, own) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The manifest at a tag that signers rewrite; `None` if there is none. While a tag is being written, docker's
    /// registry answers to readers with 500 for a moment.
    pub(crate) async fn attachments_at(
        &self,
        repository: &Repository,
        tag: &str,
    ) -> Result<Option<(Manifest, Option<HeaderValue>)>, Error> {
        let mut tries = 0;
        loop {
            match self.manifest_and_etag(repository, tag).await {
                Ok(found) => return Ok(Some(found)),
                Err(error) if error.is_not_found() => return Ok(None),
                Err(Error::Server { status: 500, .. }) if tries < READ_TRIES => {
                    tokio::time::sleep(jitter(Duration::from_millis(20) * (1 << tries))).await;
                    tries += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn read_tag(
        &self,
        repository: &Repository,
        tag: &str,
        kind: &Kind,
    ) -> Result<Current, Error> {
        Ok(match self.attachments_at(repository, tag).await? {
            Some((manifest, etag)) => Current {
                entries: kind.entries(&manifest)?,
                digest: Some(manifest.digest.clone()),
                manifest: Some(manifest),
                etag,
            },
            None => Current {
                entries: Vec::new(),
                digest: None,
                manifest: None,
                etag: None,
            },
        })
    }

    async fn write_tag(
        &self,
        repository: &Repository,
        tag: &str,
        kind: &Kind,
        entries: Vec<Descriptor>,
        current: &Current,
        last: bool,
    ) -> Result<Written, Error> {
        let (media_type, bytes) = match kind {
            Kind::Index => {
                let mut index = match &current.manifest {
                    Some(manifest) => manifest.index()?,
                    None => Index::of(Vec::new()),
                };
                index.manifests = entries;
                (OCI_INDEX.to_owned(), index.to_json())
            }
            Kind::Legacy { docker, .. } => {
                let (mut image, config) = legacy_image(entries, *docker);
                if let Some(manifest) = &current.manifest {
                    let old = manifest.image()?;
                    image.annotations = old.annotations;
                    image.subject = old.subject;
                    image.artifact_type = old.artifact_type;
                }
                self.push_blob(repository, config.into()).await?;
                if self.read_tag(repository, tag, kind).await?.digest != current.digest {
                    return Ok(Written::Stale);
                }
                (
                    image.media_type.clone().unwrap_or_default(),
                    image.to_json(),
                )
            }
        };
        let condition = match (&current.etag, &current.manifest) {
            (Some(etag), _) => vec![(IF_MATCH, etag.clone())],
            (None, None) => vec![(IF_NONE_MATCH, HeaderValue::from_static("*"))],
            (None, Some(_)) => Vec::new(),
        };
        let put = self.put_manifest(repository, Some(tag), &media_type, bytes.into(), condition);
        match put.await {
            Ok(Put::Stored(pushed)) => Ok(Written::Stored(pushed.digest)),
            Ok(Put::Precondition(answer)) => Ok(Written::Precondition(answer)),
            // It met another write, and may or may not have been done.
            Err(Error::Server { status: 500, .. }) if !last => Ok(Written::Stale),
            Err(error) => Err(error),
        }
    }
}

/// What a tag held at one moment.
struct Current {
    manifest: Option<Manifest>,
    digest: Option<Digest>,
    entries: Vec<Descriptor>,
    etag: Option<HeaderValue>,
}

enum Written {
    Stored(Digest),
    Precondition(Box<super::answer::Answer>),
    /// The tag changed before the write.
    Stale,
}
