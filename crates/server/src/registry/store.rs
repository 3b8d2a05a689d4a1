//! Repositories in a directory: which blobs, manifests, tags and referrers each one has.
//!
//! Invariant: content is in place before a repository has it, a repository has a manifest before a tag names it,
//! and a tag is gone before its manifest is. So whatever a reader finds, at any time and after any crash, is whole.
//! Everything that changes memberships holds the lock of [`Counts`] while it does; readers need none, because
//! files appear and disappear at once. All functions block.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sealmark_formats::{Digest, Hasher};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::durable;
use super::grammar::{Name, Tag};
use super::layout::{self, Layout};
use super::manifest::Descriptor;
use crate::Error;

/// A repository's blob or manifest, as far as it is not in the content.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    /// Bytes of the content, so that a file cut short is noticed.
    pub(super) size: u64,
    /// What the manifest was pushed as; empty for a blob.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) media_type: String,
}

/// A manifest on its way into a repository.
#[derive(Debug)]
pub(super) struct NewManifest {
    pub(super) digest: Digest,
    pub(super) media_type: String,
    pub(super) content: bytes::Bytes,
    pub(super) tags: Vec<Tag>,
    /// The subject, and the descriptor to list among its referrers.
    pub(super) referrer: Option<(Digest, Descriptor)>,
}

/// The directory, opened.
#[derive(Debug)]
pub(super) struct Store {
    layout: Layout,
    counts: Mutex<Counts>,
    /// Held, never used: see [`layout::Opened::lock`].
    _lock: File,
}

/// What would be slow to find in the files. Its lock is the lock of all memberships.
#[derive(Debug)]
struct Counts {
    references: HashMap<Digest, u64>,
    repositories: BTreeSet<Name>,
}

impl Store {
    pub(super) fn open(root: &Path) -> Result<Self, Error> {
        let opened = layout::open(root)?;
        let repositories = opened.repositories.into_iter().collect();
        let counts = Mutex::new(Counts {
            references: opened.references,
            repositories,
        });
        Ok(Self {
            layout: opened.layout,
            counts,
            _lock: opened.lock,
        })
    }

    /// A panic elsewhere leaves the counts as they were before or after a whole change, so they stay usable.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty file in the same file system.
    pub(super) fn scratch_file(&self) -> Result<NamedTempFile, Error> {
        let directory = self.layout.uploads();
        NamedTempFile::new_in(&directory).map_err(Error::io("create a file in", directory))
    }

    pub(super) fn knows(&self, name: &Name) -> bool {
        self.counts().repositories.contains(name)
    }

    pub(super) fn repositories(&self) -> Vec<String> {
        self.counts()
            .repositories
            .iter()
            .map(Name::to_string)
            .collect()
    }

    pub(super) fn blob(&self, name: &Name, digest: &Digest) -> Result<Option<Entry>, Error> {
        read_json(&self.layout.blob(name, digest))
    }

    pub(super) fn manifest(&self, name: &Name, digest: &Digest) -> Result<Option<Entry>, Error> {
        read_json(&self.layout.manifest(name, digest))
    }

    pub(super) fn tag(&self, name: &Name, tag: &Tag) -> Result<Option<Digest>, Error> {
        let path = self.layout.tag(name, tag);
        let Some(text) = durable::read(&path)? else {
            return Ok(None);
        };
        let digest = String::from_utf8_lossy(&text).trim_end().parse::<Digest>();
        digest.map(Some).map_err(|error| Error::Damaged {
            path,
            problem: error.to_string(),
        })
    }

    /// All tags, sorted as the specification wants them.
    pub(super) fn tags(&self, name: &Name) -> Result<Vec<String>, Error> {
        let files = durable::list(&self.layout.tags(name))?;
        let tags = files.iter().filter_map(|file| Tag::from_file_name(file));
        let mut tags: Vec<_> = tags.map(|tag| tag.as_str().to_owned()).collect();
        tags.sort_by(|a, b| Tag::sort_key(a).cmp(&Tag::sort_key(b)));
        Ok(tags)
    }

    /// The manifests whose subject this is, sorted by digest.
    pub(super) fn referrers(
        &self,
        name: &Name,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, Error> {
        let directory = self.layout.referrers(name, subject);
        let mut digests: Vec<_> = durable::list(&directory)?
            .iter()
            .filter_map(|file| layout::parse_file_name(file))
            .collect();
        digests.sort_by_key(Digest::to_string);
        let mut referrers = Vec::new();
        for digest in digests {
            // A push or a deletion that was interrupted may leave an entry without its manifest: it does not count.
            if self.manifest(name, &digest)?.is_some() {
                referrers.extend(read_json(&self.layout.referrer(name, subject, &digest))?);
            }
        }
        Ok(referrers)
    }

    /// The content with this digest, and its size, which is checked.
    pub(super) fn open_content(&self, digest: &Digest, entry: &Entry) -> Result<File, Error> {
        let path = self.layout.content(digest);
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        let size = file.metadata().map_err(Error::io("read", &path))?.len();
        if size != entry.size {
            let problem = format!("it has {size} bytes, {} were stored", entry.size);
            return Err(Error::Damaged { path, problem });
        }
        Ok(file)
    }

    /// The bytes of a manifest, checked against its digest.
    pub(super) fn read_manifest(&self, digest: &Digest, entry: &Entry) -> Result<Vec<u8>, Error> {
        let path = self.layout.content(digest);
        let mut content = Vec::new();
        let file = self.open_content(digest, entry)?;
        file.take(entry.size)
            .read_to_end(&mut content)
            .map_err(Error::io("read", &path))?;
        let found = Digest::of(digest.algorithm(), &content);
        self.check_read(digest, &found)?;
        Ok(content)
    }

    /// Compares what was read of stored content with what it is stored under.
    pub(super) fn check_read(&self, digest: &Digest, found: &Digest) -> Result<(), Error> {
        if digest == found {
            return Ok(());
        }
        let problem = format!("its content has the digest {found}");
        Err(Error::Damaged {
            path: self.layout.content(digest),
            problem,
        })
    }

    /// Gives `name` a blob whose digest has been checked. An earlier copy is replaced, which also repairs it.
    pub(super) fn put_blob(
        &self,
        name: &Name,
        digest: &Digest,
        file: NamedTempFile,
    ) -> Result<(), Error> {
        let path = self.layout.content(digest);
        let size = file
            .as_file()
            .metadata()
            .map_err(Error::io("read", file.path()))?
            .len();
        // The slow part of being durable, before the lock is taken.
        file.as_file()
            .sync_all()
            .map_err(Error::io("write", &path))?;
        let mut counts = self.counts();
        durable::place(file, &path)?;
        let entry = Entry {
            size,
            media_type: String::new(),
        };
        self.enter(
            &mut counts,
            name,
            digest,
            &self.layout.blob(name, digest),
            &entry,
        )
    }

    /// Gives `to` a blob that `from`, or any repository if that is not said, has; `false` if there is no such blob.
    pub(super) fn mount(
        &self,
        from: Option<&Name>,
        to: &Name,
        digest: &Digest,
    ) -> Result<bool, Error> {
        let mut counts = self.counts();
        let entry = match from {
            Some(from) => self.blob(from, digest)?,
            None if counts.references.contains_key(digest) => {
                let mut found = None;
                for name in &counts.repositories {
                    found = self.blob(name, digest)?;
                    if found.is_some() {
                        break;
                    }
                }
                found
            }
            None => None,
        };
        let Some(entry) = entry else { return Ok(false) };
        // Damaged content must not spread; an upload in its place repairs it.
        if let Err(error) = self.open_content(digest, &entry) {
            tracing::error!("registry: {error}");
            return Ok(false);
        }
        self.enter(
            &mut counts,
            to,
            digest,
            &self.layout.blob(to, digest),
            &entry,
        )?;
        Ok(true)
    }

    /// Gives `name` a manifest, and its tags; `condition` sees what the first tag names at that moment. Returns
    /// `false`, and does nothing, if it does not hold.
    pub(super) fn put_manifest(
        &self,
        name: &Name,
        manifest: &NewManifest,
        condition: impl FnOnce(Option<&Digest>) -> bool,
    ) -> Result<bool, Error> {
        let NewManifest {
            digest, content, ..
        } = manifest;
        let scratch = self.layout.uploads();
        let mut counts = self.counts();
        let current = match manifest.tags.first() {
            Some(tag) => self.tag(name, tag)?,
            None => self.manifest(name, digest)?.map(|_| digest.clone()),
        };
        if !condition(current.as_ref()) {
            return Ok(false);
        }
        durable::write(&self.layout.content(digest), content, &scratch)?;
        if let Some((subject, descriptor)) = &manifest.referrer {
            let path = self.layout.referrer(name, subject, digest);
            durable::write(&path, &to_json(descriptor, &path)?, &scratch)?;
        }
        let entry = Entry {
            size: content.len() as u64,
            media_type: manifest.media_type.clone(),
        };
        self.enter(
            &mut counts,
            name,
            digest,
            &self.layout.manifest(name, digest),
            &entry,
        )?;
        for tag in &manifest.tags {
            durable::write(
                &self.layout.tag(name, tag),
                format!("{digest}\n").as_bytes(),
                &scratch,
            )?;
        }
        Ok(true)
    }

    pub(super) fn delete_blob(&self, name: &Name, digest: &Digest) -> Result<bool, Error> {
        let mut counts = self.counts();
        self.leave(&mut counts, digest, &self.layout.blob(name, digest))
    }

    pub(super) fn delete_tag(&self, name: &Name, tag: &Tag) -> Result<bool, Error> {
        let _counts = self.counts();
        durable::remove(&self.layout.tag(name, tag))
    }

    /// Takes a manifest, the tags that name it, and its place among the referrers of `subject` from `name`.
    pub(super) fn delete_manifest(
        &self,
        name: &Name,
        digest: &Digest,
        subject: Option<&Digest>,
    ) -> Result<bool, Error> {
        let mut counts = self.counts();
        if self.manifest(name, digest)?.is_none() {
            return Ok(false);
        }
        for file in durable::list(&self.layout.tags(name))? {
            if let Some(tag) = Tag::from_file_name(&file)
                && self.tag(name, &tag)?.as_ref() == Some(digest)
            {
                durable::remove(&self.layout.tag(name, &tag))?;
            }
        }
        let deleted = self.leave(&mut counts, digest, &self.layout.manifest(name, digest))?;
        if let Some(subject) = subject {
            durable::remove(&self.layout.referrer(name, subject, digest))?;
        }
        Ok(deleted)
    }

    fn enter(
        &self,
        counts: &mut Counts,
        name: &Name,
        digest: &Digest,
        path: &Path,
        entry: &Entry,
    ) -> Result<(), Error> {
        let is_new = !path.exists();
        durable::write(path, &to_json(entry, path)?, &self.layout.uploads())?;
        if is_new {
            *counts.references.entry(digest.clone()).or_default() += 1;
        }
        counts.repositories.insert(name.clone());
        Ok(())
    }

    fn leave(&self, counts: &mut Counts, digest: &Digest, path: &Path) -> Result<bool, Error> {
        if !durable::remove(path)? {
            return Ok(false);
        }
        if let Some(count) = counts.references.get_mut(digest) {
            *count -= 1;
            if *count == 0 {
                counts.references.remove(digest);
                durable::remove(&self.layout.content(digest))?;
            }
        }
        Ok(true)
    }
}

/// The digest of a file's content, in constant memory.
pub(super) fn hash_file(mut file: File, path: &Path, mut hasher: Hasher) -> Result<Digest, Error> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(Error::io("read", path))? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let Some(text) = durable::read(path)? else {
        return Ok(None);
    };
    let value = serde_json::from_slice(&text);
    value.map(Some).map_err(|error| Error::Damaged {
        path: path.to_owned(),
        problem: error.to_string(),
    })
}

fn to_json(value: &impl Serialize, path: &Path) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::io("write", path)(error.into()))
}
