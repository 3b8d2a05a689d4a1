//! A log that is open: appending, and what stands around it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use sealmark_tlog::Hash;
use sealmark_tlog::merkle::leaf_hash;
use sealmark_tlog::tile::LengthPrefix;
use tokio::sync::oneshot;

use crate::engine::draft::{Batch, CLOCK_TOLERANCE};
use crate::engine::load::{self, LoadedTree};
use crate::engine::queue::{Append, Bell, Job, Queue, Sequenced};
use crate::engine::tree::{SignedCheckpoint, Tree};
use crate::engine::{Engine, Position, indexer, lock, read, sequencer, writer};
use crate::entry::{MakeLeaf, identity_key};
use crate::index::Index;
use crate::statistics::Counter;
use crate::storage::{Directory, Storage};
use crate::{
    CheckpointSigner, Entry, Error, LateEntry, Settings, Statistics, TreeStatistics, TreeView,
};

/// Several trees on one journal.
///
/// ```
/// use sealmark_keys::{Algorithm, PrivateKey};
/// use sealmark_log::{Appended, Entry, Log, LocalSigner, Settings};
/// use sealmark_tlog::NoteSigner;
///
/// # let directory = tempfile::tempdir()?;
/// # let directory = directory.path();
/// let key = PrivateKey::generate(Algorithm::Ed25519)?;
/// let log = Log::open_directory(directory, Settings::default())?;
/// let signer = LocalSigner::new("log.example", NoteSigner::log("log.example", key)?, Vec::new());
/// let tree = log.create_tree("main", sealmark_tlog::tile::LengthPrefix::Two, signer)?;
///
/// let entry = Entry { leaf: b"first".to_vec(), keys: vec!["email:jane@example.org".to_owned()], extra: Vec::new() };
/// let Appended::New(first) = log.append_blocking("main", entry)? else { panic!("it is the first") };
/// assert_eq!(first.checkpoint.checkpoint.size, 1);
/// assert_eq!(tree.search("email:jane@example.org", 0, 10)?.entries, [0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Log {
    engine: Arc<Engine>,
    threads: Vec<JoinHandle<()>>,
}

/// What became of an entry that was sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Appended {
    /// It is in the log.
    New(Box<Integrated>),
    /// The tree had this leaf already; what was sent was not kept.
    Duplicate {
        /// Its index.
        index: u64,
    },
}

/// What became of an entry whose leaf says where it is: nobody waits for a proof.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Placed {
    /// It is in the log, and durable.
    New {
        /// Its index.
        index: u64,
        /// When it was integrated, in milliseconds since 1970.
        integrated_ms: u64,
    },
    /// The tree had it already; what was sent was not kept.
    Duplicate {
        /// Its index.
        index: u64,
    },
}

/// An entry that was integrated, with all that proves it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Integrated {
    /// Its index in its tree.
    pub index: u64,
    /// When, in milliseconds since 1970.
    pub integrated_ms: u64,
    /// Its leaf hash.
    pub leaf_hash: Hash,
    /// A checkpoint of a tree that has it. It is durable.
    pub checkpoint: Arc<SignedCheckpoint>,
    /// The proof that it is in that tree.
    pub proof: Vec<Hash>,
}

impl Log {
    /// Opens a log, or makes an empty one in an empty storage. `index` is a folder for the search index, which is made
    /// again if it is not there.
    ///
    /// # Errors
    /// [`Error::Damaged`] if anything that the log would build on is not as it was written; [`Error::ClockSetBack`];
    /// [`Error::Io`].
    pub fn open(storage: impl Storage, index: &Path, settings: Settings) -> Result<Self, Error> {
        let loaded = load::load(&storage)?;
        let mut trees = Vec::new();
        for tree in loaded.trees {
            let signer = settings.signers.get(&tree.name).cloned();
            check_clock(&settings, &tree)?;
            trees.push(Arc::new(open_tree(
                &storage, tree, signer, index, &settings,
            )?));
        }
        let engine = Arc::new(Engine {
            storage: Box::new(storage),
            clock: settings.clock,
            limits: settings.limits,
            trees: RwLock::new(trees),
            queue: Queue::default(),
            bell: Bell::default(),
            index_bell: Bell::default(),
            position: Mutex::new(Position {
                record: loaded.record,
                since_snapshot: loaded.since_snapshot,
            }),
            stopped: OnceLock::new(),
            trouble: Mutex::default(),
            index_trouble: Mutex::default(),
            commits: Counter::default(),
            commit_micros: Counter::default(),
        });
        let spawn = |name: &str, work: Box<dyn FnOnce(&Engine) + Send>| {
            let engine = engine.clone();
            let thread = std::thread::Builder::new().name(name.to_owned());
            thread
                .spawn(move || work(&engine))
                .map_err(|error| Error::io("start", Path::new("a thread"), error))
        };
        let folder: PathBuf = index.to_owned();
        let sequence = spawn(
            "log-sequencer",
            Box::new(move |engine| sequencer::run(engine, &folder)),
        )?;
        let write = spawn("log-writer", Box::new(writer::run))?;
        let index = spawn("log-indexer", Box::new(indexer::run))?;
        Ok(Self {
            engine,
            threads: vec![sequence, write, index],
        })
    }

    /// Opens the log in a directory of this machine.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process has it open; as [`open`](Self::open).
    pub fn open_directory(directory: &Path, settings: Settings) -> Result<Self, Error> {
        let storage = Directory::open(directory)?;
        Self::open(storage, &directory.join("index"), settings)
    }

    /// Makes a new, empty tree. Its name is a folder: 1 to 64 of `a-z 0-9 - _ .`; its entries are public bundles with
    /// [`LengthPrefix::Two`], or may be longer than 65,535 bytes and are not public with [`LengthPrefix::Four`].
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::Refused`] for a name that cannot be one; [`Error::Signer`]; [`Error::NotWritten`];
    /// [`Error::Stopped`].
    pub fn create_tree(
        &self,
        name: &str,
        prefix: LengthPrefix,
        signer: impl CheckpointSigner,
    ) -> Result<TreeView, Error> {
        self.ask(|reply| Job::Create {
            name: name.to_owned(),
            prefix,
            signer: Arc::new(signer),
            reply,
        })?;
        self.tree(name)
    }

    /// Ends a tree: it takes no entries any more, and its partial tiles are written too. `extension` is a line that its
    /// last checkpoint gets, which is then signed anew.
    ///
    /// # Errors
    /// [`Error::UnknownTree`]; [`Error::Frozen`] if it is frozen already; as [`create_tree`](Self::create_tree).
    pub fn freeze(&self, tree: &str, extension: Option<&str>) -> Result<(), Error> {
        let (number, _) = self.engine.tree(tree)?;
        self.ask(|reply| Job::Freeze {
            tree: number,
            extension: extension.map(str::to_owned),
            reply,
        })
    }

    /// A tree, to be read.
    ///
    /// # Errors
    /// [`Error::UnknownTree`].
    pub fn tree(&self, name: &str) -> Result<TreeView, Error> {
        let (_, tree) = self.engine.tree(name)?;
        Ok(TreeView::new(self.engine.clone(), tree))
    }

    /// All trees, oldest first.
    pub fn trees(&self) -> Vec<TreeView> {
        let trees = self.engine.all_trees().into_iter();
        trees
            .map(|tree| TreeView::new(self.engine.clone(), tree))
            .collect()
    }

    /// Puts an entry into a tree. It returns when the entry, its index and a checkpoint that covers it are durable.
    ///
    /// Hashing the leaf and looking for a duplicate happens on the calling thread and takes some ten microseconds for
    /// an entry of some kilobytes; a service that takes entries of megabytes calls
    /// [`append_blocking`](Self::append_blocking) where blocking is allowed. If the future is dropped, the entry may
    /// still get into the log.
    ///
    /// # Errors
    /// None of these leave the entry in the log, but for [`Error::Stopped`], after which nobody knows until the log is
    /// opened again: [`Error::UnknownTree`], [`Error::Frozen`], [`Error::NoSigner`], [`Error::Refused`] over a bound,
    /// [`Error::Overloaded`], [`Error::Closed`], [`Error::ClockSetBack`], [`Error::Signer`], [`Error::NotWritten`].
    pub async fn append(&self, tree: &str, entry: Entry) -> Result<Appended, Error> {
        match self.send(tree, entry, None)? {
            Sent::Duplicate(index) => Ok(Appended::Duplicate { index }),
            Sent::Waits(answer) => finish(answer.await),
        }
    }

    /// As [`append`](Self::append), for threads that may block; panics on the threads of an async runtime.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_blocking(&self, tree: &str, entry: Entry) -> Result<Appended, Error> {
        self.append_at(tree, entry, None)
    }

    /// With the time of an entry that was integrated elsewhere.
    pub(crate) fn append_at(
        &self,
        tree: &str,
        entry: Entry,
        time: Option<u64>,
    ) -> Result<Appended, Error> {
        match self.send(tree, entry, time)? {
            Sent::Duplicate(index) => Ok(Appended::Duplicate { index }),
            Sent::Waits(answer) => finish(answer.blocking_recv()),
        }
    }

    /// As [`append`](Self::append), for an entry whose leaf says where and when it is in the log.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub async fn append_late(&self, tree: &str, late: LateEntry) -> Result<Placed, Error> {
        let identity = leaf_hash(&late.identity);
        let mut keys = late.keys;
        keys.push(identity_key(&identity));
        // Its length is known, its bytes are not; what is counted against bounds is the length.
        let entry = Entry {
            leaf: vec![0; late.length],
            keys,
            extra: late.extra,
        };
        match self.send_as(tree, entry, identity, Some(late.make), None)? {
            Sent::Duplicate(index) => Ok(Placed::Duplicate { index }),
            Sent::Waits(answer) => match answer.await.map_err(|_gone| Error::Closed)?? {
                Sequenced::Duplicate { index } => Ok(Placed::Duplicate { index }),
                Sequenced::New { index, batch } => Ok(Placed::New {
                    index,
                    integrated_ms: placed(index, &batch)?.0,
                }),
            },
        }
    }

    pub(crate) fn send(&self, tree: &str, entry: Entry, time: Option<u64>) -> Result<Sent, Error> {
        let identity = leaf_hash(&entry.leaf);
        self.send_as(tree, entry, identity, None, time)
    }

    fn send_as(
        &self,
        tree: &str,
        entry: Entry,
        identity: Hash,
        make: Option<MakeLeaf>,
        time: Option<u64>,
    ) -> Result<Sent, Error> {
        if let Some(stopped) = self.engine.stopped.get() {
            return Err(stopped.clone());
        }
        let (number, tree) = self.engine.tree(tree)?;
        if tree.state().frozen {
            return Err(Error::Frozen(tree.name.clone()));
        }
        if tree.signer.is_none() {
            return Err(Error::NoSigner(tree.name.clone()));
        }
        entry.check(tree.max_leaf(self.engine.limits.max_leaf))?;
        // First how far the index goes, then the look into it: what comes after is for the sequencer to look for.
        let checked = tree.index.through();
        let storage = &*self.engine.storage;
        let found = read::duplicate(storage, &tree, &identity, make.is_some(), |fingerprint| {
            tree.index.find(fingerprint, 0, usize::MAX)
        })?;
        if let Some(index) = found {
            tree.duplicates.add(1);
            return Ok(Sent::Duplicate(index));
        }
        let (reply, answer) = oneshot::channel();
        if tree.index.is_full() {
            return Err(self.engine.queue.overloaded());
        }
        let job = Job::Append(Append {
            number,
            tree,
            entry,
            identity,
            make,
            checked,
            time,
            reply,
        });
        self.engine.queue.push(job, &self.engine.limits)?;
        Ok(Sent::Waits(answer))
    }

    /// Whether the log takes entries; if not, why.
    ///
    /// # Errors
    /// [`Error::Stopped`], or what keeps the log from writing what is committed.
    pub fn health(&self) -> Result<(), Error> {
        if let Some(stopped) = self.engine.stopped.get() {
            return Err(stopped.clone());
        }
        let trouble = lock(&self.engine.trouble).clone();
        let trouble = trouble.or_else(|| lock(&self.engine.index_trouble).clone());
        trouble.map_or(Ok(()), Err)
    }

    /// What it did since it was opened.
    pub fn statistics(&self) -> Statistics {
        let trees = self.engine.all_trees().into_iter().map(|tree| {
            let state = tree.state();
            TreeStatistics {
                name: tree.name.clone(),
                size: state.size(),
                newest_ms: state.last_time,
                appended: tree.appended.get(),
                duplicates: tree.duplicates.get(),
            }
        });
        Statistics {
            trees: trees.collect(),
            waiting: self.waiting(),
            overloaded: self.engine.queue.refused.get(),
            commits: self.engine.commits.get(),
            commit_time: Duration::from_micros(self.engine.commit_micros.get()),
            healthy: self.health().is_ok(),
        }
    }

    /// How many entries wait to be sequenced.
    pub fn waiting(&self) -> usize {
        self.engine.queue.waiting()
    }

    /// Answers everybody who waits, writes what is to be written, and ends. Dropping a log does the same. A directory
    /// stays locked until the last [`TreeView`] is dropped too.
    pub fn close(self) {}

    fn ask(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<(), Error>>) -> Job,
    ) -> Result<(), Error> {
        if let Some(stopped) = self.engine.stopped.get() {
            return Err(stopped.clone());
        }
        let (reply, mut answer) = oneshot::channel();
        self.engine.queue.push(job(reply), &self.engine.limits)?;
        // Rare, and done within a commit or two; it may be called on any thread.
        loop {
            match answer.try_recv() {
                Ok(result) => return result,
                Err(oneshot::error::TryRecvError::Closed) => return Err(Error::Closed),
                Err(oneshot::error::TryRecvError::Empty) => {
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.engine.queue.close();
        let mut threads = std::mem::take(&mut self.threads).into_iter();
        // The sequencer first: it answers all that wait. A thread that panicked has said so.
        if let Some(sequencer) = threads.next() {
            let _ = sequencer.join();
        }
        self.engine.bell.close();
        self.engine.index_bell.close();
        threads.for_each(|thread| drop(thread.join()));
    }
}

/// An entry on its way.
pub(crate) enum Sent {
    Duplicate(u64),
    Waits(oneshot::Receiver<Result<Sequenced, Error>>),
}

type Answer = Result<Result<Sequenced, Error>, oneshot::error::RecvError>;

/// Builds the proof, on the thread of who asked.
pub(crate) fn finish(answer: Answer) -> Result<Appended, Error> {
    match answer {
        Err(_gone) => Err(Error::Closed),
        Ok(Err(error)) => Err(error),
        Ok(Ok(Sequenced::Duplicate { index })) => Ok(Appended::Duplicate { index }),
        Ok(Ok(Sequenced::New { index, batch })) => integrated(index, &batch),
    }
}

/// Time and leaf hash of an entry of a batch.
fn placed(index: u64, batch: &Batch) -> Result<(u64, Hash), Error> {
    let at = (index - batch.first) as usize;
    let placed = batch.placed.get(at).copied();
    placed.ok_or_else(|| Error::damaged("sequencer", "a batch lacks one of its entries"))
}

fn integrated(index: u64, batch: &Batch) -> Result<Appended, Error> {
    let proof = batch.edge.inclusion_proof(index, &batch.completed)?;
    let (integrated_ms, leaf_hash) = placed(index, batch)?;
    Ok(Appended::New(Box::new(Integrated {
        index,
        integrated_ms,
        leaf_hash,
        checkpoint: batch.checkpoint.clone(),
        proof,
    })))
}

fn check_clock(settings: &Settings, tree: &LoadedTree) -> Result<(), Error> {
    let (now, last) = (settings.clock.now_ms(), tree.state.last_time);
    if now.saturating_add(CLOCK_TOLERANCE) < last {
        let tree = tree.name.clone();
        return Err(Error::ClockSetBack { now, last, tree });
    }
    Ok(())
}

/// A tree that was read, with its index brought up to it.
fn open_tree(
    storage: &dyn Storage,
    loaded: LoadedTree,
    signer: Option<Arc<dyn CheckpointSigner>>,
    index: &Path,
    settings: &Settings,
) -> Result<Tree, Error> {
    let folder = index.join(&loaded.name);
    let most = settings.limits.index_in_memory;
    // The roots that the index asks for are had from the tree, which has no index yet.
    let scratch = scratch(&loaded);
    load::check_checkpoints(storage, &loaded, signer.as_deref(), |size| {
        read::root_at(storage, &scratch, size)
    })?;
    let size = loaded.state.size();
    let index = Index::open(&folder, most, |at| {
        if at > size {
            return Ok(None);
        }
        read::root_at(storage, &scratch, at).map(Some)
    })?;
    let tree = Tree::new(
        loaded.name,
        loaded.origin,
        loaded.prefix,
        signer,
        index,
        loaded.state,
    );
    fill_index(storage, &tree, size)?;
    Ok(tree)
}

/// A tree that was read, without its index: enough for proofs and roots.
pub(crate) fn scratch(loaded: &LoadedTree) -> Tree {
    Tree::new(
        loaded.name.clone(),
        loaded.origin.clone(),
        loaded.prefix,
        None,
        Index::empty(),
        loaded.state.clone(),
    )
}

/// Adds the entries that the index has not.
fn fill_index(storage: &dyn Storage, tree: &Tree, size: u64) -> Result<(), Error> {
    loop {
        let start = tree.index.through();
        if start >= size {
            return Ok(());
        }
        let (postings, end) = read::postings_from(storage, tree, start)?;
        tree.index.add(postings, end);
        let root = |size| read::root_at(storage, tree, size).map(Some);
        tree.index.tidy(root)?;
    }
}
