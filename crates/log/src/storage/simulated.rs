//! A disk that fails as disks do, and what the log makes of it.
//!
//! The model: what is not synced may be lost, kept, or kept in part by a loss of power, each file by itself; a name
//! that is not synced may be the old or the new one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_tlog::tile::LengthPrefix;
use sealmark_tlog::{Checkpoint, NoteSigner};

use super::Directory;
use super::contract;
use super::disk::{Disk, DiskFile};
use crate::{Appended, Entry, Error, Limits, LocalSigner, Log, Settings};

/// How one operation goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    /// It fails and has done nothing.
    NotDone,
    /// It fails and has done its work all the same.
    Done,
    /// Half of the bytes are written; what is no write does nothing.
    Short,
    /// There is no space from here on, until the log is opened again.
    Full,
    /// The power is gone: nothing works any more.
    PowerLoss,
}

#[derive(Clone, Default)]
struct Simulated(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    files: HashMap<u64, Node>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    folders: HashSet<PathBuf>,
    next: u64,
    operations: u64,
    plan: Option<(u64, Fault)>,
    /// What the fault hit.
    hit: Option<String>,
}

#[derive(Clone, Default)]
struct Node {
    current: Vec<u8>,
    durable: Vec<u8>,
}

struct Handle {
    disk: Simulated,
    file: u64,
    name: String,
}

fn no_space() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "no space left on device")
}

impl State {
    /// What goes wrong with this operation.
    fn fault(&mut self, what: &str) -> Option<Fault> {
        let number = self.operations;
        self.operations += 1;
        let (at, fault) = self.plan?;
        let lasts = matches!(fault, Fault::Full | Fault::PowerLoss);
        if number != at && !(lasts && number > at) {
            return None;
        }
        self.hit.get_or_insert_with(|| what.to_owned());
        Some(fault)
    }

    /// Does something that is done or not.
    fn attempt(
        &mut self,
        what: &str,
        needs_space: bool,
        done: impl FnOnce(&mut Self),
    ) -> io::Result<()> {
        let failed = || io::Error::other(format!("simulated: {what}"));
        match self.fault(what) {
            None => {}
            Some(Fault::Full) if needs_space => return Err(no_space()),
            Some(Fault::Full) => {}
            Some(Fault::Done) => {
                done(self);
                return Err(failed());
            }
            Some(Fault::NotDone | Fault::Short | Fault::PowerLoss) => return Err(failed()),
        }
        done(self);
        Ok(())
    }
}

impl Simulated {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What a loss of power leaves, by the digits of `chance`.
    fn crash(&self, mut chance: u64) {
        let mut coin = |sides: u64| {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            chance % sides
        };
        let mut state = self.state();
        if coin(2) == 0 {
            state.names = state.durable_names.clone();
        }
        for node in state.files.values_mut() {
            match coin(3) {
                0 => node.current = node.durable.clone(),
                1 if node.current.len() > node.durable.len() => {
                    let more = node.current.len() - node.durable.len();
                    let length = node.durable.len() + coin(more as u64) as usize;
                    // A write in place is older than one at the end.
                    node.current.truncate(length);
                }
                _ => {}
            }
            node.durable = node.current.clone();
        }
        state.durable_names = state.names.clone();
        (state.plan, state.hit) = (None, None);
    }
}

impl Disk for Simulated {
    fn open(&self, path: &Path, new: bool) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        if new {
            state.attempt(&format!("create {}", path.display()), true, |state| {
                let id = state.next;
                match state.names.get(path).copied() {
                    Some(old) => {
                        // Emptied, as O_TRUNC does.
                        state.files.entry(old).or_default().current.clear();
                    }
                    None => {
                        state.files.insert(id, Node::default());
                        state.names.insert(path.to_owned(), id);
                        state.next += 1;
                    }
                }
            })?;
        }
        let file = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        let (disk, name) = (self.clone(), path.display().to_string());
        Ok(Box::new(Handle { disk, file, name }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state();
        let id = state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.files[id].current.clone())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let paths = state.names.keys().chain(&state.folders);
        let inside = paths.filter(|path| path.parent() == Some(folder));
        Ok(inside
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect())
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let what = format!("create the folder {}", path.display());
        self.state().attempt(&what, true, |state| {
            state.folders.insert(path.to_owned());
        })
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let what = format!("sync the folder {}", path.display());
        self.state().attempt(&what, false, |state| {
            let names = std::mem::take(&mut state.durable_names).into_iter();
            let mut durable: BTreeMap<PathBuf, u64> = names
                .filter(|(name, _)| name.parent() != Some(path))
                .collect();
            let inside = state
                .names
                .iter()
                .filter(|(name, _)| name.parent() == Some(path));
            durable.extend(inside.map(|(name, id)| (name.clone(), *id)));
            state.durable_names = durable;
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let what = format!("rename to {}", to.display());
        self.state().attempt(&what, true, |state| {
            if let Some(id) = state.names.remove(from) {
                state.names.insert(to.to_owned(), id);
            }
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let what = format!("remove {}", path.display());
        self.state().attempt(&what, false, |state| {
            state.names.remove(path);
        })
    }
}

impl DiskFile for Handle {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let write = |state: &mut State, bytes: &[u8]| {
            let node = state.files.entry(self.file).or_default();
            let end = offset as usize + bytes.len();
            if node.current.len() < end {
                node.current.resize(end, 0);
            }
            node.current[offset as usize..end].copy_from_slice(bytes);
        };
        let half = &bytes[..bytes.len() / 2];
        match state.fault(&format!("write {}", self.name)) {
            None => {}
            Some(Fault::Full) => {
                let grows = state.files[&self.file].current.len() < offset as usize + bytes.len();
                if grows {
                    write(&mut state, half);
                    return Err(no_space());
                }
            }
            Some(Fault::Done) => {
                write(&mut state, bytes);
                return Err(io::Error::other("simulated: write"));
            }
            Some(Fault::Short) => {
                write(&mut state, half);
                return Err(io::Error::other("simulated: short write"));
            }
            Some(Fault::NotDone | Fault::PowerLoss) => {
                return Err(io::Error::other("simulated: write"));
            }
        }
        write(&mut state, bytes);
        Ok(())
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        let what = format!("cut {}", self.name);
        self.disk.state().attempt(&what, false, |state| {
            let node = state.files.entry(self.file).or_default();
            node.current.resize(length as usize, 0);
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        let what = format!("sync {}", self.name);
        self.disk.state().attempt(&what, false, |state| {
            let node = state.files.entry(self.file).or_default();
            node.durable = node.current.clone();
        })
    }
}

fn open_storage(disk: &Simulated) -> Result<Directory, Error> {
    Directory::on(Arc::new(disk.clone()), Path::new("/log"), None)
}

struct Stage {
    disk: Simulated,
    key: PrivateKey,
    index: tempfile::TempDir,
}

/// What a client remembers.
#[derive(Default)]
struct Memory {
    acknowledged: Vec<(u64, u64)>,
    checkpoints: Vec<Checkpoint>,
    failed: Vec<(u64, Error)>,
}

impl Stage {
    fn new() -> Self {
        Self {
            disk: Simulated::default(),
            key: PrivateKey::generate(Algorithm::Ed25519).unwrap(),
            index: tempfile::tempdir().unwrap(),
        }
    }

    fn signer(&self) -> LocalSigner {
        let signer = NoteSigner::log("log.example", self.key.clone()).unwrap();
        LocalSigner::new("log.example", signer, Vec::new())
    }

    fn open(&self) -> Result<Log, Error> {
        let settings = Settings {
            limits: Limits {
                snapshot_bytes: 5_000,
                publish_interval: std::time::Duration::from_millis(1),
                ..Limits::default()
            },
            ..Settings::with_signer("main", self.signer())
        };
        let log = Log::open(open_storage(&self.disk)?, self.index.path(), settings)?;
        if log.tree("main").is_err() {
            log.create_tree("main", LengthPrefix::Two, self.signer())?;
        }
        Ok(log)
    }

    fn append(&self, log: &Log, numbers: std::ops::Range<u64>, memory: &mut Memory) {
        for number in numbers {
            match log.append_blocking("main", entry(number)) {
                Ok(Appended::New(new)) => {
                    memory.acknowledged.push((number, new.index));
                    memory.checkpoints.push(new.checkpoint.checkpoint.clone());
                }
                Ok(Appended::Duplicate { index }) => panic!("{number} is there as {index}"),
                Err(error) => memory.failed.push((number, error)),
            }
        }
    }

    /// After a restart, all that was acknowledged is there, and no checkpoint was of another tree.
    fn check(&self, log: &Log, memory: &Memory) -> Result<(), String> {
        let tree = log.tree("main").map_err(|error| error.to_string())?;
        for (number, index) in &memory.acknowledged {
            let stored = tree.entry(*index).map_err(|error| error.to_string())?;
            if stored.is_none_or(|stored| stored.entry != entry(*number)) {
                return Err(format!("entry {number}, acknowledged as {index}, is lost"));
            }
        }
        for checkpoint in &memory.checkpoints {
            let root = tree
                .root_at(checkpoint.size)
                .map_err(|error| error.to_string())?;
            if root != checkpoint.root {
                return Err(format!("fork: two trees of {} entries", checkpoint.size));
            }
        }
        Ok(())
    }
}

fn entry(number: u64) -> Entry {
    Entry {
        leaf: format!("entry {number}").into_bytes(),
        keys: vec![format!("key {}", number % 3)],
        extra: Vec::new(),
    }
}

#[test]
fn the_simulated_disk_keeps_the_contract() {
    struct OnDisk(Simulated);
    impl contract::Reopen for OnDisk {
        type Storage = Directory;
        fn open(&mut self) -> Directory {
            open_storage(&self.0).unwrap()
        }
    }
    contract::check(&mut OnDisk(Simulated::default()));
}

/// A log in which operation `at` fails; then the power is lost, and it is opened on a disk that works again.
fn run(at: u64, fault: Fault) -> Result<Option<String>, String> {
    let stage = Stage::new();
    let mut memory = Memory::default();
    if let Ok(log) = stage.open() {
        stage.append(&log, 0..40, &mut memory);
    }
    // From here on; what comes before is the same for all.
    {
        let mut state = stage.disk.state();
        state.plan = Some((state.operations + at, fault));
    }
    if let Ok(log) = stage.open() {
        stage.append(&log, 40..300, &mut memory);
    }
    let hit = stage.disk.state().hit.clone();
    let context = |what: String| format!("operation {at} {fault:?}, {hit:?}: {what}");
    let explained = memory.failed.iter().all(|(_, error)| {
        matches!(
            error,
            Error::Stopped { .. } | Error::NotWritten(_) | Error::Closed
        )
    });
    if !explained {
        return Err(context(format!("{:?}", memory.failed[0])));
    }
    stage.disk.crash(at.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let log = stage.open().map_err(|error| context(error.to_string()))?;
    stage.check(&log, &memory).map_err(context)?;
    // What was not acknowledged is there or not, but the log takes it up from either.
    for (number, _) in memory.failed.iter().take(20) {
        log.append_blocking("main", entry(*number))
            .map_err(|error| context(error.to_string()))?;
    }
    drop(log);
    let log = stage.open().map_err(|error| context(error.to_string()))?;
    stage.check(&log, &memory).map_err(context)?;
    Ok(hit)
}

#[test]
fn no_fault_of_the_disk_loses_or_forks() {
    let faults = [
        Fault::NotDone,
        Fault::Done,
        Fault::Short,
        Fault::Full,
        Fault::PowerLoss,
    ];
    let hits = Mutex::new(HashMap::new());
    let runs = &|fault: Fault| {
        // Every step of the first commits, then every so often up to bundles, snapshots and new journal files.
        for at in (0..24).chain((24..1300).step_by(53)) {
            let hit = run(at, fault).unwrap();
            for what in [
                "write",
                "sync",
                "rename",
                "create",
                "remove",
                "sync the folder",
            ] {
                if hit.as_ref().is_some_and(|hit| hit.starts_with(what)) {
                    let mut hits = hits.lock().unwrap();
                    *hits.entry((what, format!("{fault:?}"))).or_insert(0) += 1;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for fault in faults {
            scope.spawn(move || runs(fault));
        }
    });
    let hits = hits.into_inner().unwrap();
    // The table of steps and faults is not empty where it matters.
    for fault in faults {
        for what in ["write", "sync"] {
            let count = hits.get(&(what, format!("{fault:?}")));
            assert!(count.is_some(), "no {what} was hit by {fault:?}: {hits:?}");
        }
    }
}

#[test]
fn each_step_of_a_commit_fails_as_the_table_says() {
    /// Whether the log goes on by itself.
    #[derive(Debug, PartialEq)]
    enum Then {
        GoesOn,
        Stops,
    }
    // A commit writes the record, syncs it, and notes that; a failed write is cut off and synced.
    for (step, fault, then) in [
        (0, Fault::NotDone, Then::GoesOn),
        (0, Fault::Done, Then::GoesOn),
        (0, Fault::Short, Then::GoesOn),
        (0, Fault::Full, Then::GoesOn),
        (0, Fault::PowerLoss, Then::Stops),
        (1, Fault::NotDone, Then::Stops),
        (1, Fault::Done, Then::Stops),
        (1, Fault::PowerLoss, Then::Stops),
    ] {
        let stage = Stage::new();
        let mut memory = Memory::default();
        let log = stage.open().unwrap();
        stage.append(&log, 0..3, &mut memory);
        // Until the writer has published what there is, it shares the disk.
        while stage
            .disk
            .read(Path::new("/log/public/main/checkpoint"))
            .is_err()
        {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        {
            let mut state = stage.disk.state();
            state.plan = Some((state.operations + step, fault));
        }
        stage.append(&log, 3..4, &mut memory);
        assert_eq!(memory.failed.len(), 1, "{step} {fault:?}");
        stage.disk.state().plan = None;
        stage.append(&log, 4..5, &mut memory);
        let went_on = memory.failed.len() == 1;
        assert_eq!(
            went_on,
            then == Then::GoesOn,
            "{step} {fault:?}: {:?}",
            memory.failed
        );
        assert_eq!(log.health().is_err(), !went_on);
        drop(log);
        let log = stage.open().unwrap();
        stage.check(&log, &memory).unwrap();
        let resent = log.append_blocking("main", entry(3)).unwrap();
        let was_done = step == 1;
        // Without a loss of power, what was written is there even if its sync failed.
        assert_eq!(
            matches!(resent, Appended::Duplicate { .. }),
            was_done,
            "{step} {fault:?}"
        );
    }
}
