//! A monitor before a Rekor v1 with several shards, which tells the truth or does not.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::log_entry::set_payload;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_rekor::monitor::{
    Condition, Contradiction, Error, Event, Log, Monitor, Range, Reporter, Start, State, Watch,
};
use sealmark_rekor::{Http, LogKey, Options, v1};
use sealmark_testkit::{FaultyServer, Reply};
use sealmark_tlog::merkle::{MemoryTree, leaf_hash};
use sealmark_tlog::{Checkpoint, Note, NoteSigner};
use sealmark_verify::policy::Match;
use serde_json::{Value, json};
use tokio::sync::watch;

const HOST: &str = "rekor.example";

/// Changes the answer to a path.
type Lie = Box<dyn Fn(&str, &mut Value) + Send>;

/// A Rekor v1 in memory.
struct Rekor {
    key: PrivateKey,
    /// Oldest first: the tree's id and its entries.
    shards: Vec<(u64, Vec<Vec<u8>>)>,
    /// Others write while entries are read.
    is_busy: bool,
    lie: Option<Lie>,
    page: bool,
}

impl Rekor {
    fn checkpoint(&self, (id, entries): &(u64, Vec<Vec<u8>>)) -> String {
        let tree = tree(entries);
        let checkpoint = Checkpoint {
            origin: format!("{HOST} - {id}"),
            size: tree.size(),
            root: tree.root(),
            extensions: Vec::new(),
        };
        let text = checkpoint.to_string();
        let signer = NoteSigner::log(HOST, self.key.clone()).unwrap();
        let signatures = vec![signer.sign(&text, 0).unwrap()];
        Note { text, signatures }.to_string()
    }

    fn shard(&self, shard: &(u64, Vec<Vec<u8>>)) -> Value {
        let tree = tree(&shard.1);
        json!({
            "rootHash": tree.root().to_string(), "treeSize": tree.size(), "treeID": shard.0.to_string(),
            "signedTreeHead": self.checkpoint(shard),
        })
    }

    fn info(&self) -> Value {
        let (active, inactive) = self.shards.split_last().unwrap();
        let mut info = self.shard(active);
        info["inactiveShards"] = inactive.iter().map(|shard| self.shard(shard)).collect();
        info
    }

    /// `{ID: ENTRY}`; nothing if there is none, as Rekor leaves it out.
    fn entry(&self, index: u64) -> Option<Value> {
        let mut first = 0;
        for shard in &self.shards {
            let (id, entries) = shard;
            let size = entries.len() as u64;
            if index >= first + size {
                first += size;
                continue;
            }
            let local = index - first;
            let body = &entries[local as usize];
            let tree = tree(entries);
            let proof = tree.inclusion_proof(local, size).unwrap();
            let proof: Vec<String> = proof.iter().map(ToString::to_string).collect();
            let log_id = hex::encode(self.key.public_key().id().bytes());
            let encoded = STANDARD.encode(body);
            let time = 1_700_000_000 + index as i64;
            let promise = set_payload(&encoded, time, &log_id, index);
            let promise = STANDARD.encode(self.key.sign(&promise).unwrap());
            let name = format!("{id:016x}{}", leaf_hash(body));
            return Some(json!({ name: {
                "body": encoded, "integratedTime": time, "logID": log_id, "logIndex": index,
                "verification": {
                    "signedEntryTimestamp": promise,
                    "inclusionProof": {
                        "logIndex": local, "treeSize": size, "rootHash": tree.root().to_string(),
                        "hashes": proof, "checkpoint": self.checkpoint(shard),
                    },
                },
            }}));
        }
        None
    }

    fn answer(&mut self, path: &str, body: &[u8]) -> Reply {
        if self.page {
            return Reply::status(200)
                .with("content-type", "text/html")
                .body("<html>Sign in to the network</html>");
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let number = |name: &str| -> u64 {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let value = pairs.find(|(key, _)| *key == name).unwrap().1;
            value.parse().unwrap()
        };
        let mut answer = match path {
            "/api/v1/log" => self.info(),
            "/api/v1/log/proof" => {
                let id = number("treeID");
                let (_, entries) = self.shards.iter().find(|shard| shard.0 == id).unwrap();
                let (first, last) = (number("firstSize"), number("lastSize"));
                let Ok(proof) = tree(entries).consistency_proof(first, last) else {
                    return Reply::status(400);
                };
                let hashes: Vec<String> = proof.iter().map(ToString::to_string).collect();
                json!({"rootHash": tree(entries).root().to_string(), "hashes": hashes})
            }
            "/api/v1/log/entries/retrieve" => {
                if self.is_busy {
                    let (_, entries) = self.shards.last_mut().unwrap();
                    entries.push(entry(9000 + entries.len() as u64));
                }
                let query: Value = serde_json::from_slice(body).unwrap();
                let wanted = query["logIndexes"].as_array().unwrap();
                assert!(wanted.len() <= 10);
                let wanted = wanted.iter().map(|index| index.as_u64().unwrap());
                // In no order that anybody promised.
                wanted.rev().filter_map(|index| self.entry(index)).collect()
            }
            _ => return Reply::status(404),
        };
        if let Some(lie) = &self.lie {
            lie(path, &mut answer);
        }
        Reply::status(200)
            .with("content-type", "application/json")
            .body(answer.to_string())
    }
}

fn tree(entries: &[Vec<u8>]) -> MemoryTree {
    let mut tree = MemoryTree::new();
    entries.iter().for_each(|entry| tree.push(leaf_hash(entry)));
    tree
}

/// Nobody can read it, so that every entry is told of.
fn entry(number: u64) -> Vec<u8> {
    format!("entry {number}").into_bytes()
}

fn entries(range: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    range.map(entry).collect()
}

struct World {
    rekor: Arc<Mutex<Rekor>>,
    server: FaultyServer,
    folder: tempfile::TempDir,
}

#[derive(Default)]
struct Told {
    indices: Vec<u64>,
    inconsistent: Vec<Contradiction>,
}

impl Reporter for Told {
    async fn report(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Match(found) => self.indices.push(found.place.index),
            Event::Unreadable(entry) => {
                assert!(entry.place.time.is_some());
                self.indices.push(entry.place.index);
            }
            Event::Checkpoint(_) => {}
            Event::Inconsistent(what) => self.inconsistent.push(what.what),
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn warn(&mut self, _text: &str) {}
}

impl World {
    fn new(sizes: &[u64]) -> Self {
        let mut first = 0;
        let shards = sizes.iter().enumerate().map(|(number, size)| {
            first += size;
            (1000 + number as u64, entries(first - size..first))
        });
        let rekor = Arc::new(Mutex::new(Rekor {
            key: PrivateKey::generate(Algorithm::EcdsaP256).unwrap(),
            shards: shards.collect(),
            is_busy: false,
            lie: None,
            page: false,
        }));
        let serving = rekor.clone();
        let server = FaultyServer::start(move |request| {
            let mut rekor = serving.lock().unwrap();
            rekor.answer(&request.path, &request.body)
        });
        Self {
            rekor,
            server,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn pass(&self, start: Start) -> (Result<u64, Error>, Told) {
        let options = Options {
            retries: 0,
            ..Options::default()
        };
        let http = Http::new(&format!("http://{}", self.server.address()), options).unwrap();
        let key = self.rekor.lock().unwrap().key.public_key().clone();
        let client = v1::Client::new(http, vec![LogKey::from(key)]);
        let condition = Condition::Subject(Match::pattern("x").unwrap());
        let watch = Watch::new(vec![condition]).unwrap();
        let state = State::open(&self.folder.path().join("state.json")).unwrap();
        let range = Range { start, until: None };
        let (_, stop) = watch::channel(false);
        let mut monitor = Monitor::new(Log::RekorV1(client), watch, state, range, stop);
        let mut told = Told::default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let result = runtime.block_on(monitor.pass(&mut told));
        (result.map(|summary| summary.read), told)
    }

    fn remembers(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("state.json")).unwrap_or_default()
    }

    fn caught(&self, what: Contradiction) {
        let before = self.remembers();
        let (result, told) = self.pass(Start::Now);
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Inconsistent(_)), "{error}");
        assert_eq!(told.inconsistent, [what], "{error}");
        assert_eq!(self.remembers(), before);
    }
}

fn range(range: std::ops::Range<u64>) -> Vec<u64> {
    range.collect()
}

#[test]
fn all_shards_are_read_once_and_new_ones_from_their_beginning() {
    let world = World::new(&[7, 1, 23]);
    let mut read = Vec::new();
    let run = |read: &mut Vec<u64>| {
        let (result, told) = world.pass(Start::Index(0));
        result.unwrap();
        read.extend(told.indices);
    };
    run(&mut read);
    assert_eq!(read, range(0..31));
    world.rekor.lock().unwrap().shards[2]
        .1
        .extend(entries(31..40));
    run(&mut read);
    // The operator begins another tree.
    world.rekor.lock().unwrap().shards[2]
        .1
        .extend(entries(40..42));
    world
        .rekor
        .lock()
        .unwrap()
        .shards
        .push((1003, entries(42..45)));
    run(&mut read);
    assert_eq!(read, range(0..45));
    run(&mut read);
    assert_eq!(read, range(0..45));
}

#[test]
fn a_first_run_begins_now_or_at_an_index_of_whatever_shard() {
    let world = World::new(&[7, 5]);
    assert_eq!(world.pass(Start::Now).0.unwrap(), 0);
    world.rekor.lock().unwrap().shards[1]
        .1
        .extend(entries(12..14));
    assert_eq!(world.pass(Start::Index(0)).1.indices, [12, 13]);
    for (start, expected) in [(0, 0..12), (3, 3..12), (7, 7..12), (9, 9..12), (99, 12..12)] {
        let world = World::new(&[7, 5]);
        assert_eq!(world.pass(Start::Index(start)).1.indices, range(expected));
    }
}

#[test]
fn a_log_that_grows_while_it_is_read_is_proven_to_do_only_that() {
    let world = World::new(&[3, 50]);
    world.rekor.lock().unwrap().is_busy = true;
    let (result, told) = world.pass(Start::Index(0));
    result.unwrap();
    assert_eq!(told.indices, range(0..53));
}

#[test]
fn what_is_not_proven_is_not_reported() {
    let in_entry = |change: fn(&mut Value)| -> Lie {
        Box::new(move |path, answer| {
            if !path.ends_with("retrieve") {
                return;
            }
            for entries in answer.as_array_mut().unwrap() {
                for (_, entry) in entries.as_object_mut().unwrap() {
                    if entry["logIndex"] == 15 {
                        change(entry);
                    }
                }
            }
        })
    };
    let lies: Vec<(&str, Lie)> = vec![
        (
            "another body",
            in_entry(|entry| entry["body"] = STANDARD.encode("another").into()),
        ),
        (
            "another time",
            in_entry(|entry| entry["integratedTime"] = 1_700_000_000.into()),
        ),
        (
            "another index",
            in_entry(|entry| entry["logIndex"] = 16.into()),
        ),
        (
            "a proof of another index",
            in_entry(|entry| entry["verification"]["inclusionProof"]["logIndex"] = 1.into()),
        ),
        (
            "a changed proof",
            in_entry(|entry| {
                entry["verification"]["inclusionProof"]["hashes"][0] = "00".repeat(32).into();
            }),
        ),
        (
            "no proof",
            in_entry(|entry| entry["verification"] = json!({})),
        ),
        (
            "no promise",
            in_entry(|entry| entry["verification"]["signedEntryTimestamp"] = Value::Null),
        ),
        (
            "an entry left out",
            Box::new(|path, answer| {
                if path.ends_with("retrieve") {
                    let all = answer.as_array_mut().unwrap();
                    let is_it = |entry: &Value| entry["logIndex"] == 15;
                    all.retain(|entries| !entries.as_object().unwrap().values().any(is_it));
                }
            }),
        ),
        (
            "nothing at all",
            Box::new(|path, answer| {
                if path.ends_with("retrieve") {
                    *answer = json!([]);
                }
            }),
        ),
        (
            "a root that is not the checkpoint's",
            Box::new(|path, answer| {
                if path == "/api/v1/log" {
                    answer["rootHash"] = "00".repeat(32).into();
                }
            }),
        ),
        (
            "the checkpoint of another tree",
            Box::new(|path, answer| {
                if path == "/api/v1/log" {
                    answer["signedTreeHead"] =
                        answer["inactiveShards"][0]["signedTreeHead"].clone();
                }
            }),
        ),
    ];
    for (what, lie) in lies {
        let world = World::new(&[7, 23]);
        world.rekor.lock().unwrap().lie = Some(lie);
        let (result, told) = world.pass(Start::Index(0));
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Log(_)), "{what}: {error}");
        let proven = told.indices.len() as u64;
        assert!(proven <= 15 && told.indices == range(0..proven), "{what}");
        world.rekor.lock().unwrap().lie = None;
        let (result, rest) = world.pass(Start::Index(0));
        result.unwrap();
        let all: Vec<u64> = told.indices.into_iter().chain(rest.indices).collect();
        assert_eq!(all, range(0..30), "{what}");
    }
    let world = World::new(&[3]);
    world.rekor.lock().unwrap().page = true;
    let error = world.pass(Start::Now).0.unwrap_err().to_string();
    assert!(
        error.contains("no transparency log") && error.lines().count() == 1,
        "{error}"
    );
}

#[test]
fn forks_and_rollbacks_are_alarms() {
    for shard in [0, 1] {
        for grown in [0, 3] {
            let world = World::new(&[7, 23]);
            world.pass(Start::Index(0)).0.unwrap();
            let mut rekor = world.rekor.lock().unwrap();
            rekor.shards[shard].1[2] = b"another".to_vec();
            rekor.shards[1].1.extend(entries(30..30 + grown));
            drop(rekor);
            world.caught(Contradiction::Fork);
        }
    }
    let world = World::new(&[7, 23]);
    world.pass(Start::Index(0)).0.unwrap();
    world.rekor.lock().unwrap().shards[1].1.pop();
    world.caught(Contradiction::Rollback);

    // A tree is gone, and another is in its place.
    let world = World::new(&[7, 23]);
    world.pass(Start::Index(0)).0.unwrap();
    world.rekor.lock().unwrap().shards[0].0 = 999;
    world.caught(Contradiction::Rollback);
}

/// The log shows one history in its checkpoint, and proves its entries by another.
#[test]
fn an_entry_of_another_history_is_an_alarm() {
    let world = World::new(&[30]);
    let other = World::new(&[30]);
    {
        let mut other = other.rekor.lock().unwrap();
        other.key = world.rekor.lock().unwrap().key.clone();
        other.shards[0].1[20] = b"another".to_vec();
    }
    let hidden = other.rekor.clone();
    world.rekor.lock().unwrap().lie = Some(Box::new(move |path, answer| {
        if path.ends_with("retrieve") {
            let other = hidden.lock().unwrap();
            let shown = answer.as_array().unwrap().iter();
            let index = |entries: &Value| {
                let mut entries = entries.as_object().unwrap().values();
                entries.next().unwrap()["logIndex"].as_u64().unwrap()
            };
            let forged: Option<Vec<Value>> = shown.map(|e| other.entry(index(e))).collect();
            *answer = forged.unwrap().into();
        }
    }));
    let (result, told) = world.pass(Start::Index(0));
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Inconsistent(_)), "{error}");
    assert_eq!(told.inconsistent, [Contradiction::Fork]);
    assert!(told.indices.is_empty());
}
