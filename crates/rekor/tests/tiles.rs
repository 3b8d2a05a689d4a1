//! Logs of tiles, larger than one tile, from servers of several habits.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_rekor::tiles::Reader;
use sealmark_rekor::{Error, Http, Options};
use sealmark_testkit::{FaultyServer, Reply, Request};
use sealmark_tlog::merkle::{self, MemoryTree, leaf_hash, verify_inclusion};
use sealmark_tlog::tile::{Bundle, LengthPrefix, WIDTH, bundle};
use sealmark_tlog::{Checkpoint, Hash, NoteSigner, Tile};

const ORIGIN: &str = "log.example/tiles";

/// A log with so many entries; entry `n` is its number in text.
struct Log {
    size: u64,
    leaves: Vec<Hash>,
    note: String,
    key: PrivateKey,
}

impl Log {
    fn new(size: u64) -> Self {
        Self::signed_by(
            size,
            PrivateKey::generate(Algorithm::Ed25519).expect("a key can be made"),
        )
    }

    fn signed_by(size: u64, key: PrivateKey) -> Self {
        let leaves: Vec<Hash> = (0..size).map(|n| leaf_hash(&entry(n))).collect();
        let mut tree = MemoryTree::new();
        for leaf in &leaves {
            tree.push(*leaf);
        }
        let checkpoint = Checkpoint {
            origin: ORIGIN.to_owned(),
            size,
            root: tree.root(),
            extensions: Vec::new(),
        };
        let signer = NoteSigner::log(ORIGIN, key.clone()).expect("an Ed25519 key signs notes");
        let note = checkpoint
            .sign(0, &[signer])
            .expect("a checkpoint is a note");
        Self {
            size,
            leaves,
            note: note.to_string(),
            key,
        }
    }

    /// The hashes of a level of tiles.
    fn level(&self, level: u8) -> Vec<Hash> {
        let mut hashes = self.leaves.clone();
        for _ in 0..level {
            let full = hashes.chunks_exact(WIDTH);
            hashes = full.map(merkle_root).collect();
        }
        hashes
    }

    fn answer(&self, path: &str) -> Option<Vec<u8>> {
        let path = path.trim_start_matches('/');
        if path == "checkpoint" {
            return Some(self.note.clone().into_bytes());
        }
        if let Some(wanted) = Bundle::parse(path) {
            if !wanted.is_in(self.size) {
                return None;
            }
            let first = wanted.index() * WIDTH as u64;
            let mut bytes = Vec::new();
            for n in first..first + wanted.width() as u64 {
                bundle::encode(&mut bytes, &entry(n), LengthPrefix::Two)
                    .expect("entries are short");
            }
            return Some(bytes);
        }
        let tile = Tile::parse(path)?;
        let hashes = self.level(tile.level());
        let first = usize::try_from(tile.index()).ok()? * WIDTH;
        let hashes = hashes.get(first..first + tile.width())?;
        Some(Tile::encode(hashes))
    }

    fn reader(&self, server: &FaultyServer) -> Reader {
        let url = format!("http://{}", server.address());
        let options = Options {
            retries: 0,
            ..Options::default()
        };
        let http = Http::new(&url, options).expect("the URL is one");
        Reader::new(http, ORIGIN, self.key.public_key().clone())
    }
}

fn entry(n: u64) -> Vec<u8> {
    n.to_string().into_bytes()
}

/// The root of a full tile.
fn merkle_root(hashes: &[Hash]) -> Hash {
    let mut hashes = hashes.to_vec();
    while hashes.len() > 1 {
        let pairs = hashes.chunks_exact(2);
        hashes = pairs
            .map(|pair| merkle::node_hash(&pair[0], &pair[1]))
            .collect();
    }
    hashes[0]
}

fn reply(found: Option<Vec<u8>>) -> Reply {
    match found {
        Some(bytes) => Reply::status(200).body(bytes),
        None => Reply::status(404),
    }
}

#[tokio::test]
async fn every_entry_of_a_log_is_proven() {
    for size in [1, 255, 256, 257, 700] {
        let log = Arc::new(Log::new(size));
        let served = Arc::clone(&log);
        let server =
            FaultyServer::start(move |request: &Request| reply(served.answer(&request.path)));
        let reader = log.reader(&server);
        let signed = reader.checkpoint().await.unwrap();
        let mut tree = reader.tree(&signed.checkpoint).await.unwrap();
        let bundles = tree.bundles(0..u64::MAX).await.unwrap();
        let entries: Vec<Vec<u8>> = bundles.into_iter().flatten().collect();
        assert_eq!(entries.len() as u64, size);
        for index in [0, size / 2, size - 1] {
            assert_eq!(tree.entry(index).await.unwrap(), Some(entry(index)));
            let proof = tree.inclusion_proof(index).await.unwrap();
            let leaf = leaf_hash(&entry(index));
            verify_inclusion(index, size, &leaf, &proof, &signed.checkpoint.root).unwrap();
        }
        assert_eq!(tree.entry(size).await.unwrap(), None);
        assert!(tree.inclusion_proof(size).await.is_err());
        for before in [1, size.div_ceil(3), size] {
            let root = tree.root_at(before).await.unwrap();
            assert_eq!(root, Log::new(before).reader_root());
            let proof = tree.consistency_proof(before, size).await.unwrap();
            merkle::verify_consistency(before, size, &root, &signed.checkpoint.root, &proof)
                .unwrap();
        }
    }
}

impl Log {
    fn reader_root(&self) -> Hash {
        let note = sealmark_tlog::Note::parse(&self.note).expect("it was signed");
        Checkpoint::parse(&note.text).expect("it was signed").root
    }
}

/// A log on a file server keeps no partial files once the full ones are there, and may compress bundles unasked.
#[tokio::test]
async fn partial_files_may_be_gone_and_bundles_compressed() {
    let key = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    let before = Log::signed_by(300, key.clone());
    let now = Log::signed_by(600, key);
    let note = before.note.clone();
    let server = FaultyServer::start(move |request| match request.path.as_str() {
        "/checkpoint" => Reply::status(200).body(note.clone()),
        path if path.contains(".p/") && !path.contains("/tile/1/") && !path.contains("/002.p") => {
            Reply::status(404)
        }
        path if path.contains("/entries/") => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&now.answer(path).expect("it is full"))
                .unwrap();
            Reply::status(200)
                .with("content-encoding", "gzip")
                .body(gzip.finish().unwrap())
        }
        path => reply(now.answer(path)),
    });
    let reader = before.reader(&server);
    let signed = reader.checkpoint().await.unwrap();
    assert_eq!(signed.checkpoint.size, 300);
    let mut tree = reader.tree(&signed.checkpoint).await.unwrap();
    let bundles = tree.bundles(0..2).await.unwrap();
    let lengths: Vec<usize> = bundles.iter().map(Vec::len).collect();
    assert_eq!(lengths, [256, 44]);
    assert_eq!(tree.entry(299).await.unwrap(), Some(entry(299)));
}

#[tokio::test]
async fn compressed_bundles_do_not_grow_without_end() {
    let log = Arc::new(Log::new(3));
    let served = Arc::clone(&log);
    let server = FaultyServer::start(move |request| match request.path.contains("/entries/") {
        true => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            let zeros = vec![0; 1 << 20];
            (0..20).for_each(|_| gzip.write_all(&zeros).expect("memory takes it"));
            Reply::status(200)
                .with("content-encoding", "gzip")
                .body(gzip.finish().expect("memory takes it"))
        }
        false => reply(served.answer(&request.path)),
    });
    let reader = log.reader(&server);
    let signed = reader.checkpoint().await.unwrap();
    let mut tree = reader.tree(&signed.checkpoint).await.unwrap();
    let error = tree.entry(0).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

/// Each full tile is checked by the one above it, however late it is read.
#[tokio::test]
async fn a_tile_that_is_changed_is_found_wherever_it_is() {
    for changed in [
        "/tile/0/000",
        "/tile/0/001",
        "/tile/1/000.p/2",
        "/tile/0/002.p/188",
    ] {
        let log = Arc::new(Log::new(700));
        let (served, lies) = (Arc::clone(&log), Arc::new(AtomicBool::new(true)));
        let lying = Arc::clone(&lies);
        let server = FaultyServer::start(move |request| {
            let mut found = served.answer(&request.path);
            if let Some(bytes) = &mut found
                && request.path == changed
                && lying.load(Ordering::SeqCst)
            {
                bytes[40] ^= 1;
            }
            reply(found)
        });
        let reader = log.reader(&server);
        let signed = reader.checkpoint().await.unwrap();
        let read = async || {
            let mut tree = reader.tree(&signed.checkpoint).await?;
            tree.inclusion_proof(10).await?;
            tree.entry(300).await
        };
        let error = read().await.unwrap_err();
        assert!(
            matches!(error, Error::Unproven { .. }),
            "{changed}: {error}"
        );
        lies.store(false, Ordering::SeqCst);
        assert_eq!(read().await.unwrap(), Some(entry(300)));
    }
}
