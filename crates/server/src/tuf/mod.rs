//! The TUF repository of a private Sigstore instance: how clients come to trust its keys.
//! <https://theupdateframework.github.io/specification/latest/>
//!
//! [`publish`](Repository::publish) gives it the files to hand out (`trusted_root.json`, `signing_config.v0.2.json`),
//! [`keep_fresh`](Repository::keep_fresh) signs everything anew long before it expires. A root key signs who signs the
//! rest, an online key signs the rest; both can be exchanged, and the root key can be kept elsewhere.
//!
//! Invariants: a version that was signed is not signed again with other content, and none goes back; files come into
//! being in the order targets, snapshot, timestamp, each durable before the next, so that a client finds a whole
//! repository at every moment, also after a crash; nothing is signed that had expired by a time which is known to have
//! been.
//!
//! Not supported: thresholds above one, and delegations.

mod disk;
mod error;
mod folder;
mod keys;
mod look;
mod metadata;
mod rotation;
mod serve;
mod state;

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sealmark_formats::Digest;
use sealmark_keys::PrivateKey;
use sealmark_log::Clock;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use self::disk::Disk;
pub use self::error::Error;
pub use self::look::{Seen, look};
pub use self::metadata::Role;
use self::metadata::{Document, time};
use self::state::{Current, State};

/// How often it is looked whether something is to be signed anew.
const TICK: Duration = Duration::from_secs(600);
/// As much as clients take (sealmark's own: 8 MiB).
const MAX_TARGET: usize = 8 << 20;
/// A repository of Sigstore's has about ten.
const MAX_TARGETS: usize = 64;
const MAX_NAME: usize = 128;

/// What a repository needs besides its directory.
pub struct Options {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Of the keys. With none, new keys are not encrypted.
    pub password: Option<Zeroizing<Vec<u8>>>,
}

/// When the metadata of a role ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Status {
    /// Which role.
    pub role: Role,
    /// The newest version.
    pub version: u64,
    /// In seconds since 1970.
    pub expires: i64,
    /// Whole days until then; negative if it has passed.
    pub days_left: i64,
    /// Whether its key is here, so that it is signed anew in time; `false` for a root key that was exported.
    pub key_here: bool,
}

/// A TUF repository. Clones are the same repository.
///
/// All but the answers to clients, which are in memory, writes files and waits until they are durable: not for threads
/// of an async runtime.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use sealmark_server::tuf::{Options, Repository};
/// let directory = tempfile::tempdir()?;
/// let clock = Arc::new(sealmark_log::SystemClock);
/// let repository = Repository::open(directory.path(), Options { clock, password: None })?;
/// assert!(repository.publish(&[("trusted_root.json", "{}")])?);
/// assert!(!repository.publish(&[("trusted_root.json", "{}")])?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Repository(Arc<Inner>);

struct Inner {
    disk: Disk,
    clock: Arc<dyn Clock>,
    password: Option<Zeroizing<Vec<u8>>>,
    clock_is_right: AtomicBool,
    /// Locked by who signs.
    state: Mutex<State>,
}

impl Repository {
    /// Opens the repository in `directory`, which is made if it is missing, with new keys. What has expired, or soon
    /// will, is signed anew.
    ///
    /// # Errors
    /// If another process has it open, if the directory holds something else, was damaged, or cannot be read or
    /// written; if the password is not that of the keys, or the clock was set back.
    pub fn open(directory: &Path, options: Options) -> Result<Self, crate::Error> {
        Self::open_with(directory, options, None)
    }

    /// As [`open`](Self::open), with the online key where a reference says: that of a new repository, or the one that
    /// there is.
    ///
    /// # Errors
    /// As [`open`](Self::open); if that key is another one, cannot be reached, or is none for TUF.
    pub fn open_with(
        directory: &Path,
        options: Options,
        online_key: Option<&str>,
    ) -> Result<Self, crate::Error> {
        let (disk, is_made) = Disk::open(directory)?;
        let now = seconds(&*options.clock);
        if !is_made {
            state::make(&disk, options.password.as_ref(), online_key, now)?;
        }
        let state = state::read(&disk, options.password.as_ref(), online_key)?;
        let repository = Self(Arc::new(Inner {
            disk,
            clock: options.clock,
            password: options.password,
            clock_is_right: AtomicBool::new(false),
            state: Mutex::new(state),
        }));
        repository.refresh()?;
        // What a crash has left of an exchange of keys.
        keys::forget(&repository.0.disk.directory, &repository.0.lock().root)?;
        Ok(repository)
    }

    /// Makes these the targets, and no others. `false` if they were already, and nothing was due to be signed anew.
    ///
    /// # Errors
    /// If a name or a content cannot be a target's, if files cannot be written, or the clock was set back. What was
    /// published before stays, then.
    pub fn publish<N: AsRef<str>, B: AsRef<[u8]>>(
        &self,
        targets: &[(N, B)],
    ) -> Result<bool, crate::Error> {
        let targets: Vec<(&str, &[u8])> = targets
            .iter()
            .map(|(name, content)| (name.as_ref(), content.as_ref()))
            .collect();
        check_targets(&targets)?;
        let mut state = self.0.lock();
        let mut listed = Map::new();
        for (name, content) in targets {
            let (_, target) = self.0.put(name, content)?;
            listed.insert(name.to_owned(), target);
        }
        let changed = self.0.renew(&mut state, Some(listed.into()))?;
        if changed {
            self.0.disk.prune()?;
        }
        Ok(changed)
    }

    /// Makes this one of the targets, beside the others. `false` if it was already, and nothing was due to be signed anew.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub fn publish_also(&self, name: &str, content: &[u8]) -> Result<bool, crate::Error> {
        check_targets(&[(name, content)])?;
        let mut state = self.0.lock();
        let (hash, described) = self.0.put(name, content)?;
        let published = &state.current.targets.signed["targets"];
        if published[name]["hashes"]["sha256"] == hash.as_str() {
            return Ok(false);
        }
        let mut listed = published.as_object().cloned().unwrap_or_default();
        if listed.len() >= MAX_TARGETS && !listed.contains_key(name) {
            let problem = format!("a repository has at most {MAX_TARGETS} targets here");
            let name = name.to_owned();
            return Err(Error::Target { name, problem }.into());
        }
        listed.insert(name.to_owned(), described);
        let changed = self.0.renew(&mut state, Some(listed.into()))?;
        if changed {
            self.0.disk.prune()?;
        }
        Ok(changed)
    }

    /// Signs anew what soon expires. `false` if nothing does.
    ///
    /// # Errors
    /// If files cannot be written, or the clock was set back. That the root's key is elsewhere is none: see
    /// [`status`](Self::status).
    pub fn refresh(&self) -> Result<bool, crate::Error> {
        let mut state = self.0.lock();
        let mut changed = self.0.finish_interrupted(&mut state)?;
        let root = &state.root.document;
        let root_is_due = root.expires - self.0.now() < Role::Root.renewal();
        if let (true, Some(key)) = (root_is_due, state.root_key.clone()) {
            let (named, online) = (state.root.key.clone(), state.root.online.clone());
            self.0.write_root(&mut state, named, online, &[&key])?;
            changed = true;
        }
        if self.0.renew(&mut state, None)? {
            self.0.disk.prune()?;
            changed = true;
        }
        Ok(changed)
    }

    /// Signs anew what soon expires, until `shutdown`. What goes wrong is logged, and tried again.
    pub async fn keep_fresh(self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut warned = None;
        loop {
            let again = self.clone();
            let work = move || (again.refresh(), again.status()[0]);
            let done = match tokio::task::spawn_blocking(work).await {
                Ok((done, root)) => {
                    warn_of_root(root, &mut warned);
                    done.map_err(|error| error.to_string())
                }
                Err(error) => Err(error.to_string()),
            };
            match done {
                Ok(true) => tracing::info!("TUF repository: signed anew"),
                Ok(false) => {}
                Err(error) => tracing::error!("TUF repository: {error}"),
            }
            let tick = std::pin::pin!(tokio::time::sleep(TICK));
            if let futures_util::future::Either::Left(_) =
                futures_util::future::select(&mut shutdown, tick).await
            {
                return;
            }
        }
    }

    /// Believes the clock also if it is before what was signed: for when the clock was wrong before and is right now.
    pub fn believe_clock(&self) {
        self.0.clock_is_right.store(true, Ordering::SeqCst);
    }

    /// The newest root.
    pub fn root_json(&self) -> Vec<u8> {
        self.0.lock().root.document.bytes.clone()
    }

    /// The first root: what a client that knows nothing is given.
    pub fn first_root(&self) -> Vec<u8> {
        let first = self.0.disk.get("1.root.json");
        first.map(Vec::from).unwrap_or_default()
    }

    /// When each role ends, the root first.
    pub fn status(&self) -> [Status; 4] {
        let now = self.0.now();
        let state = self.0.lock();
        state.documents().map(|document| Status {
            role: document.role,
            version: document.version,
            expires: document.expires,
            days_left: (document.expires - now).div_euclid(24 * 60 * 60),
            key_here: document.role != Role::Root || state.root_key.is_some(),
        })
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository")
            .field("directory", &self.0.disk.directory)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").finish_non_exhaustive()
    }
}

impl Inner {
    /// Also after a panic of who had it: what it guards is replaced as a whole, when it is durable.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In seconds since 1970.
    fn now(&self) -> i64 {
        seconds(&*self.clock)
    }

    /// Writes a target's file; gives its hash and its description.
    fn put(&self, name: &str, content: &[u8]) -> Result<(String, Value), crate::Error> {
        let hash = Digest::sha256(content).hex();
        let file = format!("targets/{hash}.{name}");
        if self.disk.get(&file).as_deref() != Some(content) {
            self.disk.write(&file, content)?;
        }
        let target = json!({"length": content.len(), "hashes": {"sha256": hash}});
        Ok((hash, target))
    }

    /// When what is signed now expires.
    fn expiry(&self, state: &State, role: Role, version: u64) -> Result<i64, Error> {
        let now = self.now();
        let expires = now.saturating_add(role.life());
        let signed = state.documents().map(Document::signed_at);
        let signed = signed.into_iter().fold(i64::MIN, i64::max);
        if expires <= signed && !self.clock_is_right.load(Ordering::SeqCst) {
            return Err(Error::Clock {
                role,
                version,
                now: time(now),
                expires: time(expires),
                signed: time(signed),
            });
        }
        Ok(expires)
    }

    /// Signs targets, snapshot and timestamp anew where it is due, or `wanted` are other targets than there are.
    fn renew(&self, state: &mut State, wanted: Option<Value>) -> Result<bool, crate::Error> {
        let now = self.now();
        let is_due = |document: &Document| {
            document.expires - now < document.role.renewal()
                || !state
                    .root
                    .online
                    .iter()
                    .all(|key| document.is_signed_by(key))
        };
        let keys: Vec<&PrivateKey> = state.online.iter().collect();
        let sign = |role: Role, last: u64, content: Value| {
            let version = last + 1;
            let expires = self.expiry(state, role, version)?;
            Document::sign(role, version, expires, content, &keys)
        };
        let newest = |role| self.disk.versions(role).last().copied().unwrap_or_default();
        let Current {
            targets,
            snapshot,
            timestamp,
        } = &state.current;
        // All are signed before the first is written: should one be refused, nothing has changed.
        let published = &targets.signed["targets"];
        let others = wanted.filter(|wanted| wanted != published);
        let targets = match others.is_some() || is_due(targets) {
            true => {
                let content = others.unwrap_or_else(|| published.clone());
                Some(sign(
                    Role::Targets,
                    newest(Role::Targets),
                    json!({"targets": content}),
                )?)
            }
            false => None,
        };
        let snapshot = match targets.is_some() || is_due(snapshot) {
            true => {
                let content = targets.as_ref().unwrap_or(&state.current.targets);
                let content = json!({"meta": {"targets.json": content.described()}});
                Some(sign(Role::Snapshot, newest(Role::Snapshot), content)?)
            }
            false => None,
        };
        if snapshot.is_none() && !is_due(timestamp) {
            return Ok(false);
        }
        let content = snapshot.as_ref().unwrap_or(&state.current.snapshot);
        let content = json!({"meta": {"snapshot.json": content.described()}});
        let timestamp = sign(Role::Timestamp, timestamp.version, content)?;
        for document in targets.iter().chain(&snapshot).chain([&timestamp]) {
            self.disk.write(&document.file(), &document.bytes)?;
        }
        let current = &mut state.current;
        current.timestamp = timestamp;
        current.snapshot = snapshot.unwrap_or_else(|| current.snapshot.clone());
        current.targets = targets.unwrap_or_else(|| current.targets.clone());
        Ok(true)
    }
}

/// Says once for each day that is left that nobody here can sign the root anew.
fn warn_of_root(root: Status, warned: &mut Option<i64>) {
    let soon = root.days_left * 24 * 60 * 60 < Role::Root.renewal();
    if soon && !root.key_here && *warned != Some(root.days_left) {
        tracing::warn!(
            "TUF repository: root version {} expires at {}, in {} days, and its key was exported: sign it anew with --root-key",
            root.version,
            time(root.expires),
            root.days_left
        );
        *warned = Some(root.days_left);
    }
}

fn seconds(clock: &dyn Clock) -> i64 {
    i64::try_from(clock.now_ms() / 1000).unwrap_or(i64::MAX)
}

fn check_targets(targets: &[(&str, &[u8])]) -> Result<(), Error> {
    for (index, (name, content)) in targets.iter().enumerate() {
        let is_known = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let problem = if index >= MAX_TARGETS {
            format!("a repository has at most {MAX_TARGETS} targets here")
        } else if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_known) {
            format!("a name here is 1 to {MAX_NAME} letters, digits, dots, hyphens and underscores")
        } else if content.len() > MAX_TARGET {
            format!(
                "clients read at most {MAX_TARGET} bytes, it has {}",
                content.len()
            )
        } else if targets[..index].iter().any(|(other, _)| other == name) {
            "it is given twice".to_owned()
        } else {
            continue;
        };
        return Err(Error::Target {
            name: sealmark_formats::excerpt((*name).to_owned()),
            problem,
        });
    }
    Ok(())
}
