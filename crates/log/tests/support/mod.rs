//! What several tests need: keys, entries, and a client that believes nothing.

#![allow(dead_code, reason = "every test uses a part of it")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_log::{
    Appended, CheckpointSigner, Clock, Entry, Integrated, Limits, LocalSigner, Settings,
    SystemClock, TreeView,
};
use sealmark_tlog::merkle::{leaf_hash, verify_consistency, verify_inclusion};
use sealmark_tlog::{Checkpoint, NoteSigner};

/// A key that is the same in every run and every process: Ed25519 from a fixed seed.
pub(crate) fn key() -> PrivateKey {
    let mut der = vec![
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    der.extend([7; 32]);
    PrivateKey::from_pkcs8_der(&der).unwrap()
}

pub(crate) fn signer(origin: &str) -> LocalSigner {
    LocalSigner::new(origin, NoteSigner::log(origin, key()).unwrap(), Vec::new())
}

/// A signer as a Rekor v1 has it: ECDSA, one line, the origin ends with the tree.
pub(crate) fn rekor_v1_signer() -> LocalSigner {
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let signer = NoteSigner::log("rekor.example", key).unwrap();
    LocalSigner::new("rekor.example - 1193050959916656506", signer, Vec::new())
}

pub(crate) fn settings() -> Settings {
    Settings {
        limits: small(),
        ..Settings::with_signer("main", signer("log.example"))
    }
}

/// Limits so small that everything happens within a few hundred entries.
pub(crate) fn small() -> Limits {
    Limits {
        snapshot_bytes: 40_000,
        index_in_memory: 1000,
        ..Limits::default()
    }
}

/// A clock that a test sets.
#[derive(Clone)]
pub(crate) struct SetClock(pub(crate) Arc<AtomicU64>);

impl SetClock {
    pub(crate) fn at(ms: u64) -> Self {
        Self(Arc::new(AtomicU64::new(ms)))
    }

    pub(crate) fn set(&self, ms: u64) {
        self.0.store(ms, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) fn system_clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// The entry with this number: its leaf, one key of its own, and one that every tenth has.
pub(crate) fn entry(n: u64) -> Entry {
    Entry {
        leaf: format!("entry {n} {}", "x".repeat((n % 50) as usize)).into_bytes(),
        keys: vec![
            format!("sha256:{n}"),
            format!("email:{}@example.org", n % 10),
        ],
        extra: vec![n as u8; (n % 7) as usize],
    }
}

pub(crate) fn new(appended: Appended) -> Integrated {
    match appended {
        Appended::New(integrated) => *integrated,
        Appended::Duplicate { index } => panic!("a duplicate of {index}"),
    }
}

/// Checks all that a log said about an entry.
pub(crate) fn believe(integrated: &Integrated, entry: &Entry, signer: &impl CheckpointSigner) {
    let checkpoint = signer.open(&integrated.checkpoint.note).unwrap();
    assert_eq!(checkpoint, integrated.checkpoint.checkpoint);
    let leaf = leaf_hash(&entry.leaf);
    assert_eq!(leaf, integrated.leaf_hash);
    verify_inclusion(
        integrated.index,
        checkpoint.size,
        &leaf,
        &integrated.proof,
        &checkpoint.root,
    )
    .unwrap();
}

/// Every checkpoint that was ever returned is of the tree as it is now.
pub(crate) fn no_fork<'a>(tree: &TreeView, checkpoints: impl IntoIterator<Item = &'a Checkpoint>) {
    let now = tree.checkpoint().checkpoint.clone();
    for old in checkpoints {
        assert!(
            old.size <= now.size,
            "{} entries were promised, {} are there",
            old.size,
            now.size
        );
        assert_eq!(
            tree.root_at(old.size).unwrap(),
            old.root,
            "fork at {}",
            old.size
        );
        if old.size > 0 {
            let proof = tree.consistency_proof(old.size, now.size).unwrap();
            verify_consistency(old.size, now.size, &old.root, &now.root, &proof).unwrap();
        }
    }
}
