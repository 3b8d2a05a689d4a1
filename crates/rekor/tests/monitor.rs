//! A monitor before a log of tiles that lies, in every way in which one can.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use sealmark_keys::{Algorithm, PrivateKey, PublicKey};
use sealmark_rekor::monitor::{
    Condition, Contradiction, Error, Event, Log, Monitor, Progress, Range, Reporter, Start, State,
    Watch,
};
use sealmark_rekor::tiles::Reader;
use sealmark_rekor::{Http, Options};
use sealmark_testkit::{FaultyServer, Reply};
use sealmark_tlog::merkle::{MemoryTree, leaf_hash};
use sealmark_tlog::tile::bundle::encode;
use sealmark_tlog::tile::{Bundle, LengthPrefix};
use sealmark_tlog::{Checkpoint, Hash, Note, NoteSigner, Tile};
use sealmark_verify::policy::Match;
use tokio::sync::watch;

const NAME: &str = "log.example";

/// A log in memory, and what it pretends.
struct Liar {
    entries: Vec<Vec<u8>>,
    signer: NoteSigner,
    /// Instead of what is true, by path.
    lies: BTreeMap<String, Reply>,
    gzip: bool,
    /// Says that files which are not full are gone.
    without_partials: bool,
}

impl Liar {
    fn tree(&self) -> MemoryTree {
        let mut tree = MemoryTree::new();
        self.entries.iter().for_each(|e| tree.push(leaf_hash(e)));
        tree
    }

    fn checkpoint(&self, size: u64, root: Hash) -> String {
        let checkpoint = Checkpoint {
            origin: NAME.to_owned(),
            size,
            root,
            extensions: Vec::new(),
        };
        let text = checkpoint.to_string();
        let signatures = vec![self.signer.sign(&text, 0).unwrap()];
        Note { text, signatures }.to_string()
    }

    fn answer(&self, path: &str) -> Reply {
        let path = path.trim_start_matches('/');
        if let Some(lie) = self.lies.get(path) {
            return lie.clone();
        }
        if self.without_partials && path.contains(".p/") {
            return Reply::status(404);
        }
        if path == "checkpoint" {
            let tree = self.tree();
            return Reply::status(200).body(self.checkpoint(tree.size(), tree.root()));
        }
        match (Bundle::parse(path), Tile::parse(path)) {
            (Some(bundle), _) if bundle.is_in(self.entries.len() as u64) => self.bundle(bundle),
            (None, Some(tile)) if tile.is_in(self.entries.len() as u64) => {
                Reply::status(200).body(self.tile(tile))
            }
            _ => Reply::status(404),
        }
    }

    fn bundle_bytes(&self, bundle: Bundle) -> Vec<u8> {
        let first = bundle.index() as usize * 256;
        let mut bytes = Vec::new();
        for entry in &self.entries[first..first + bundle.width()] {
            encode(&mut bytes, entry, LengthPrefix::Two).unwrap();
        }
        bytes
    }

    fn bundle(&self, bundle: Bundle) -> Reply {
        let bytes = self.bundle_bytes(bundle);
        if !self.gzip {
            return Reply::status(200).body(bytes);
        }
        let mut packed = Vec::new();
        let mut encoder =
            flate2::read::GzEncoder::new(bytes.as_slice(), flate2::Compression::fast());
        std::io::Read::read_to_end(&mut encoder, &mut packed).unwrap();
        Reply::status(200)
            .with("content-encoding", "gzip")
            .body(packed)
    }

    fn tile(&self, tile: Tile) -> Vec<u8> {
        let leaves: Vec<Hash> = self.entries.iter().map(|e| leaf_hash(e)).collect();
        let span = 256usize.pow(u32::from(tile.level()));
        let first = tile.index() as usize * 256;
        let hashes: Vec<Hash> = (first..first + tile.width())
            .map(|n| {
                let mut tree = MemoryTree::new();
                leaves[n * span..(n + 1) * span]
                    .iter()
                    .for_each(|h| tree.push(*h));
                tree.root()
            })
            .collect();
        Tile::encode(&hashes)
    }
}

/// The liar, who serves, and a place for the state.
struct World {
    liar: Arc<Mutex<Liar>>,
    server: FaultyServer,
    key: PublicKey,
    folder: tempfile::TempDir,
}

impl World {
    fn new(entries: usize) -> Self {
        let key = PrivateKey::generate(Algorithm::Ed25519).unwrap();
        let public = key.public_key().clone();
        let liar = Arc::new(Mutex::new(Liar {
            entries: (0..entries).map(entry).collect(),
            signer: NoteSigner::log(NAME, key).unwrap(),
            lies: BTreeMap::new(),
            gzip: false,
            without_partials: false,
        }));
        let serving = liar.clone();
        let server =
            FaultyServer::start(move |request| serving.lock().unwrap().answer(&request.path));
        Self {
            liar,
            server,
            key: public,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn grow(&self, to: usize) {
        let mut liar = self.liar.lock().unwrap();
        let from = liar.entries.len();
        liar.entries.extend((from..to).map(entry));
    }

    fn lie(&self, path: impl ToString, reply: Reply) {
        self.liar
            .lock()
            .unwrap()
            .lies
            .insert(path.to_string(), reply);
    }

    fn monitor(&self, start: Start) -> Monitor {
        let http = Http::new(
            &format!("http://{}", self.server.address()),
            Options {
                retries: 0,
                ..Options::default()
            },
        )
        .unwrap();
        let reader = Reader::new(http, NAME, self.key.clone());
        let condition = Condition::Subject(Match::pattern("x").unwrap());
        let watch = Watch::new(vec![condition]).unwrap();
        let state = State::open(&self.state()).unwrap();
        let range = Range { start, until: None };
        // Nobody asks for a stop.
        let (_, stop) = watch::channel(false);
        Monitor::new(Log::Tiles(reader), watch, state, range, stop)
    }

    fn state(&self) -> std::path::PathBuf {
        self.folder.path().join("state.json")
    }

    /// One run.
    fn pass(&self, start: Start) -> (Result<u64, Error>, Told) {
        let mut told = Told::default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let result = runtime.block_on(self.monitor(start).pass(&mut told));
        (result.map(|summary| summary.read), told)
    }

    fn remembers(&self) -> serde_json::Value {
        let state = std::fs::read(self.state()).unwrap();
        serde_json::from_slice::<serde_json::Value>(&state).unwrap()["logs"][NAME].clone()
    }
}

/// Entries that nobody can read: each is told of, so that a test sees which were read.
fn entry(number: usize) -> Vec<u8> {
    format!("entry {number}").into_bytes()
}

#[derive(Default)]
struct Told {
    indices: Vec<u64>,
    inconsistent: Vec<Contradiction>,
    checkpoints: Vec<Progress>,
    /// Refuses to be told of this one.
    refuses: Option<u64>,
}

impl Reporter for Told {
    async fn report(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Match(found) => self.indices.push(found.place.index),
            Event::Unreadable(entry) if self.refuses == Some(entry.place.index) => {
                return Err("not now".to_owned());
            }
            Event::Unreadable(entry) => self.indices.push(entry.place.index),
            Event::Checkpoint(progress) => self.checkpoints.push(progress.clone()),
            Event::Inconsistent(what) => self.inconsistent.push(what.what),
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn warn(&mut self, _text: &str) {}
}

fn range(range: std::ops::Range<u64>) -> Vec<u64> {
    range.collect()
}

#[test]
fn every_entry_is_read_once_over_many_runs() {
    for gzip in [false, true] {
        let world = World::new(3);
        world.liar.lock().unwrap().gzip = gzip;
        let mut read = Vec::new();
        for size in [3, 3, 100, 256, 257, 700, 1024, 1300] {
            world.grow(size);
            let (result, told) = world.pass(Start::Index(0));
            result.unwrap();
            assert_eq!(told.checkpoints[0].size, size as u64);
            read.extend(told.indices);
        }
        assert_eq!(read, range(0..1300));
    }
}

#[test]
fn a_first_run_begins_now_or_where_it_is_told() {
    let world = World::new(700);
    let (result, told) = world.pass(Start::Now);
    assert_eq!((result.unwrap(), told.indices), (0, vec![]));
    world.grow(703);
    let (_, told) = world.pass(Start::Index(0));
    assert_eq!(told.indices, [700, 701, 702]);
    assert_eq!(told.checkpoints[0].consistent_with, Some(700));

    let world = World::new(700);
    let (_, told) = world.pass(Start::Index(690));
    assert_eq!(told.indices, range(690..700));
    let world = World::new(5);
    let (result, _) = world.pass(Start::Index(1000));
    assert_eq!(result.unwrap(), 0);
}

#[test]
fn a_log_without_entries_is_followed() {
    let world = World::new(0);
    assert_eq!(world.pass(Start::Index(0)).0.unwrap(), 0);
    world.grow(2);
    assert_eq!(world.pass(Start::Now).1.indices, [0, 1]);
}

/// C2SP tlog-tiles lets a log delete partial files once the full ones are there.
#[test]
fn files_that_are_gone_are_cut_from_the_full_ones() {
    let world = World::new(600);
    let tree = world.liar.lock().unwrap().tree();
    let note = world.liar.lock().unwrap().checkpoint(600, tree.root());
    // A checkpoint that is a little old, as caches have them.
    world.lie("checkpoint", Reply::status(200).body(note));
    world.grow(1024);
    world.liar.lock().unwrap().without_partials = true;
    // The tile above is partial in every tree of this size, so it is served.
    let upper = Tile::partial(1, 600).unwrap();
    let bytes = world.liar.lock().unwrap().tile(upper);
    world.lie(upper, Reply::status(200).body(bytes));
    let (result, told) = world.pass(Start::Index(0));
    result.unwrap();
    assert_eq!(told.indices, range(0..600));
}

#[test]
fn what_was_not_told_is_told_in_the_next_run() {
    let world = World::new(600);
    let mut told = Told {
        refuses: Some(300),
        ..Told::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let error = runtime
        .block_on(world.monitor(Start::Index(0)).pass(&mut told))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("entry 300 was not reported: not now"),
        "{error}"
    );
    assert_eq!(told.indices, range(0..300));
    assert_eq!(world.remembers()["next"], 300);
    let (_, told) = world.pass(Start::Now);
    assert_eq!(told.indices, range(300..600));
}

/// A run after some lie: what comes of it, and that nothing was remembered.
fn caught(world: &World, what: Contradiction) {
    let before = world.remembers();
    let (result, told) = world.pass(Start::Now);
    let error = result.unwrap_err();
    let Error::Inconsistent(found) = &error else {
        panic!("{error}");
    };
    assert_eq!((found.what, &told.inconsistent[..]), (what, &[what][..]));
    assert!(told.indices.is_empty());
    assert_eq!(world.remembers(), before);
    // Whoever gets the evidence can check it alone.
    let path = found.evidence.as_ref().unwrap();
    let evidence: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let key = PublicKey::from_pem(evidence["publicKey"].as_str().unwrap().as_bytes()).unwrap();
    for note in ["before", "after"] {
        let note = evidence[note].as_str().unwrap();
        Checkpoint::open(note, sealmark_tlog::Origin::Named(NAME), &key).unwrap();
    }
    assert_ne!(evidence["before"], evidence["after"]);
}

#[test]
fn a_fork_is_an_alarm_with_evidence() {
    for (size, changed, later) in [
        (3, 1, 3),
        (3, 1, 10),
        (300, 5, 700),
        (700, 699, 1000),
        (512, 0, 513),
    ] {
        let world = World::new(size);
        world.pass(Start::Index(0)).0.unwrap();
        world.liar.lock().unwrap().entries[changed] = b"another entry".to_vec();
        world.grow(later);
        caught(&world, Contradiction::Fork);
        // It stays one.
        caught(&world, Contradiction::Fork);
        // And when the log tells the truth again, reading goes on.
        world.liar.lock().unwrap().entries[changed] = entry(changed);
        let (_, told) = world.pass(Start::Now);
        assert_eq!(told.indices, range(size as u64..later as u64));
    }
}

#[test]
fn a_rollback_is_an_alarm_with_evidence() {
    let world = World::new(300);
    world.pass(Start::Index(0)).0.unwrap();
    world.liar.lock().unwrap().entries.truncate(299);
    caught(&world, Contradiction::Rollback);
    world.liar.lock().unwrap().entries.clear();
    caught(&world, Contradiction::Rollback);
}

/// Answers that prove nothing: no alarm, since nothing the log signed is contradicted, but nothing is believed either.
#[test]
fn what_is_not_proven_is_not_reported() {
    let changed = |world: &World, bundle: Bundle, at: usize| {
        let mut bytes = world.liar.lock().unwrap().bundle_bytes(bundle);
        bytes[at] ^= 1;
        bytes
    };
    let full = Bundle::new(1, 256).unwrap();
    let last = Bundle::new(2, 188).unwrap();
    let page = "<!DOCTYPE html><html><body>Welcome to the hotel Wi-Fi</body></html>";
    type Lie = Box<dyn Fn(&World)>;
    let lies: Vec<(&str, Lie)> = vec![
        (
            "a changed entry in a full bundle",
            Box::new(move |world| {
                let bytes = changed(world, full, 700);
                world.lie(full, Reply::status(200).body(bytes));
            }),
        ),
        (
            "a changed entry in the last bundle",
            Box::new(move |world| {
                let bytes = changed(world, last, 30);
                world.lie(last, Reply::status(200).body(bytes));
            }),
        ),
        (
            "a changed length in a bundle",
            Box::new(move |world| {
                let bytes = changed(world, full, 0);
                world.lie(full, Reply::status(200).body(bytes));
            }),
        ),
        (
            "a cut bundle",
            Box::new(move |world| {
                let mut bytes = world.liar.lock().unwrap().bundle_bytes(full);
                bytes.truncate(1000);
                world.lie(full, Reply::status(200).body(bytes));
            }),
        ),
        (
            "another bundle",
            Box::new(move |world| {
                let other = Bundle::new(0, 256).unwrap();
                let bytes = world.liar.lock().unwrap().bundle_bytes(other);
                world.lie(full, Reply::status(200).body(bytes));
            }),
        ),
        (
            "a changed tile",
            Box::new(|world| {
                let tile = Tile::partial(1, 700).unwrap();
                let mut bytes = world.liar.lock().unwrap().tile(tile);
                bytes[0] ^= 1;
                world.lie(tile, Reply::status(200).body(bytes));
            }),
        ),
        (
            "a changed tile at the edge",
            Box::new(|world| {
                let tile = Tile::partial(0, 700).unwrap();
                let mut bytes = world.liar.lock().unwrap().tile(tile);
                bytes[100] ^= 1;
                world.lie(tile, Reply::status(200).body(bytes));
            }),
        ),
        (
            "a page for people instead of a bundle",
            Box::new(move |world| {
                world.lie(
                    full,
                    Reply::status(200)
                        .with("content-type", "text/html")
                        .body(page),
                );
            }),
        ),
        (
            "a page for people instead of a checkpoint",
            Box::new(move |world| {
                let page = Reply::status(200)
                    .with("content-type", "text/html")
                    .body(page);
                world.lie("checkpoint", page);
            }),
        ),
        (
            "a bundle that is not gzip",
            Box::new(move |world| {
                let reply = Reply::status(200).with("content-encoding", "gzip");
                world.lie(full, reply.body("not gzip"));
            }),
        ),
        (
            "a missing bundle",
            Box::new(move |world| world.lie(full, Reply::status(404))),
        ),
        (
            "a broken connection",
            Box::new(move |world| world.lie(full, Reply::Close)),
        ),
        (
            "a checkpoint by another key",
            Box::new(|world| {
                let key = PrivateKey::generate(Algorithm::Ed25519).unwrap();
                let mut liar = world.liar.lock().unwrap();
                liar.signer = NoteSigner::log(NAME, key).unwrap();
            }),
        ),
        (
            "a checkpoint of more entries than there are",
            Box::new(|world| {
                let tree = world.liar.lock().unwrap().tree();
                let note = world.liar.lock().unwrap().checkpoint(800, tree.root());
                world.lie("checkpoint", Reply::status(200).body(note));
            }),
        ),
    ];
    for (what, lie) in lies {
        let world = World::new(700);
        world.pass(Start::Index(100)).0.unwrap();
        let world = World::new(700);
        lie(&world);
        let (result, told) = world.pass(Start::Index(0));
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Log(_)), "{what}: {error}");
        assert!(told.inconsistent.is_empty(), "{what}");
        // What came before the lie was proven, and nothing after it is told.
        let proven = told.indices.len() as u64;
        assert!(proven <= 512 && told.indices == range(0..proven), "{what}");
        let text = error.to_string();
        assert!(
            !text.contains("hotel") && text.lines().count() == 1,
            "{what}: {text}"
        );
        // When it stops lying, all the rest is found.
        world.liar.lock().unwrap().lies.clear();
        if what.contains("another key") {
            continue;
        }
        let (result, rest) = world.pass(Start::Index(0));
        result.unwrap();
        let all: Vec<u64> = told.indices.into_iter().chain(rest.indices).collect();
        assert_eq!(all, range(0..700), "{what}");
    }
}

#[test]
fn a_state_of_another_log_is_not_taken() {
    let world = World::new(5);
    world.pass(Start::Now).0.unwrap();
    let key = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    let other = World {
        key: key.public_key().clone(),
        ..world
    };
    other.liar.lock().unwrap().signer = NoteSigner::log(NAME, key).unwrap();
    let error = other.pass(Start::Now).0.unwrap_err().to_string();
    assert!(
        error.contains("is not by the key that is believed now"),
        "{error}"
    );

    for damage in ["", "{}", "{\"version\":2,\"logs\":{}}", "\0\0\0"] {
        std::fs::write(other.state(), damage).unwrap();
        let Err(error) = State::open(&other.state()) else {
            panic!("{damage:?} was taken");
        };
        let error = error.to_string();
        assert!(error.contains("give another file with --state"), "{error}");
    }
}

#[test]
fn two_monitors_do_not_share_a_state() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/state.json");
    let first = State::open(&path).unwrap();
    let error = State::open(&path).unwrap_err().to_string();
    assert!(error.contains("is used by another process"), "{error}");
    drop(first);
    State::open(&path).unwrap();
}
