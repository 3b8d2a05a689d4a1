//! Transparency logs: Rekor v1 with promises, indexes across shards and times; Rekor v2 with proofs only.

use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::bundle::{InclusionProof, LogEntry};
use sealmark_formats::log_entry::{EntryBody, set_payload};
use sealmark_formats::trusted_root::{LogInstance, TimeRange};
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::{Algorithm, KeyType, PrivateKey};
use sealmark_tlog::note::KeyKind;
use sealmark_tlog::{Checkpoint, Hash, Note, NoteSignature, cosignature};

use crate::authority::generate;
use crate::clock::unsigned;
use crate::{Clock, START, Tree, YEAR, ct, seconds};

const SIGNS: &str = "a key in memory signs";
const UNPOISONED: &str = "no test panics while a log appends";

/// A Rekor v1.
#[derive(Debug)]
pub struct RekorV1 {
    /// Its key; ECDSA, as clients check promises with no other.
    pub key: PrivateKey,
    /// Its host name.
    pub host: String,
    /// The id of its shard.
    pub tree_id: u64,
    /// How many entries older shards have.
    pub older: u64,
    /// When a trusted root believes in its key.
    pub valid_for: TimeRange,
    /// The clock.
    pub clock: Clock,
    tree: Mutex<Tree>,
}

impl RekorV1 {
    /// A log with a few entries in it, and older shards.
    pub fn new(clock: &Clock) -> Self {
        Self::with_key(clock, generate(Algorithm::EcdsaP256))
    }

    /// A log with this key.
    pub fn with_key(clock: &Clock, key: PrivateKey) -> Self {
        Self {
            key,
            host: "rekor.virtual.example".to_owned(),
            tree_id: 1_193_050_959_916_656_506,
            older: 4_163_431,
            valid_for: seconds(START - YEAR, START + 9 * YEAR),
            clock: clock.clone(),
            tree: Mutex::new(some_entries()),
        }
    }

    /// The log's id: the SHA-256 of its key.
    pub fn id(&self) -> Vec<u8> {
        self.key.public_key().id().bytes().to_vec()
    }

    /// Appends an entry, now.
    ///
    /// # Panics
    /// If the body is not that of an entry.
    pub fn append(&self, body: Vec<u8>) -> LogEntry {
        let parsed = EntryBody::parse(&body).expect("the test's body is one");
        let mut tree = self.tree.lock().expect(UNPOISONED);
        let index = tree.append(&body);
        let mut entry = LogEntry {
            log_index: self.older + index,
            log_id: self.id(),
            kind: parsed.kind().to_owned(),
            kind_version: parsed.version().to_owned(),
            integrated_time: self.clock.now(),
            inclusion_promise: None,
            inclusion_proof: None,
            canonicalized_body: body,
        };
        let checkpoint = self.checkpoint(tree.size(), tree.root());
        entry.inclusion_proof = Some(proof(&tree, index, checkpoint));
        entry.inclusion_promise = Some(self.promise(&entry));
        entry
    }

    /// The signed entry timestamp for what the entry says, true or not.
    pub fn promise(&self, entry: &LogEntry) -> Vec<u8> {
        let id = Digest::from_bytes(HashAlgorithm::Sha256, &entry.log_id);
        let id = id.expect("ids of logs have 32 bytes").hex();
        let body = STANDARD.encode(&entry.canonicalized_body);
        let payload = set_payload(&body, entry.integrated_time, &id, entry.log_index);
        self.key.sign(&payload).expect(SIGNS)
    }

    /// A signed checkpoint of a tree, the log's or not.
    pub fn checkpoint(&self, size: u64, root: Hash) -> String {
        let checkpoint = Checkpoint {
            origin: format!("{} - {}", self.host, self.tree_id),
            size,
            root,
            extensions: Vec::new(),
        };
        let text = checkpoint.to_string();
        let line = note_signature(&self.host, &self.key, KeyKind::Spki, &text);
        note(text, vec![line])
    }

    /// The entry of a trusted root.
    pub fn trusted(&self) -> LogInstance {
        let url = format!("https://{}", self.host);
        ct::trusted(&url, &self.key, self.id(), self.valid_for)
    }
}

/// Someone who cosigns checkpoints.
#[derive(Clone, Debug)]
pub struct Witness {
    /// Its name in notes.
    pub name: String,
    /// Its key, Ed25519.
    pub key: PrivateKey,
}

impl Witness {
    /// A witness.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            key: generate(Algorithm::Ed25519),
        }
    }

    fn cosign(&self, text: &str, unix_seconds: u64) -> NoteSignature {
        let message = cosignature::message(unix_seconds, text);
        let signature = self.key.sign(message.as_bytes()).expect(SIGNS);
        let hash = KeyKind::CosignatureV1.key_hash(&self.name, self.key.public_key());
        NoteSignature {
            name: self.name.clone(),
            key_hash: first_four(&hash),
            signature: [&unix_seconds.to_be_bytes()[..], &signature].concat(),
        }
    }
}

/// A Rekor v2.
#[derive(Debug)]
pub struct RekorV2 {
    /// Its key; Ed25519 or ECDSA.
    pub key: PrivateKey,
    /// Its host name, which is the origin of its checkpoints.
    pub host: String,
    /// Who cosigns its checkpoints.
    pub witnesses: Vec<Witness>,
    /// When a trusted root believes in its key.
    pub valid_for: TimeRange,
    /// The clock, which only witnesses look at.
    pub clock: Clock,
    tree: Mutex<Tree>,
}

impl RekorV2 {
    /// A log with a few entries in it, and no witness.
    pub fn new(clock: &Clock) -> Self {
        Self::with_key(clock, generate(Algorithm::Ed25519))
    }

    /// A log with this key.
    pub fn with_key(clock: &Clock, key: PrivateKey) -> Self {
        Self {
            key,
            host: "log2026-1.rekor.virtual.example".to_owned(),
            witnesses: Vec::new(),
            valid_for: seconds(START - YEAR, START + 9 * YEAR),
            clock: clock.clone(),
            tree: Mutex::new(some_entries()),
        }
    }

    fn kind(&self) -> KeyKind {
        match self.key.key_type() {
            KeyType::Ed25519 => KeyKind::Ed25519,
            KeyType::Rsa { .. } => KeyKind::Rsa,
            KeyType::Ecdsa(_) => KeyKind::Spki,
        }
    }

    /// The log's id: the hash that names its key in checkpoints, all of it.
    pub fn id(&self) -> Vec<u8> {
        let hash = self.kind().key_hash(&self.host, self.key.public_key());
        hash.bytes().to_vec()
    }

    /// Appends an entry.
    ///
    /// # Panics
    /// If the body is not that of an entry.
    pub fn append(&self, body: Vec<u8>) -> LogEntry {
        let parsed = EntryBody::parse(&body).expect("the test's body is one");
        let mut tree = self.tree.lock().expect(UNPOISONED);
        let index = tree.append(&body);
        let checkpoint = self.checkpoint(tree.size(), tree.root());
        LogEntry {
            log_index: index,
            log_id: self.id(),
            kind: parsed.kind().to_owned(),
            kind_version: parsed.version().to_owned(),
            integrated_time: 0,
            inclusion_promise: None,
            inclusion_proof: Some(proof(&tree, index, checkpoint)),
            canonicalized_body: body,
        }
    }

    /// A signed checkpoint of a tree, the log's or not, with the cosignatures of all witnesses.
    pub fn checkpoint(&self, size: u64, root: Hash) -> String {
        let checkpoint = Checkpoint {
            origin: self.host.clone(),
            size,
            root,
            extensions: Vec::new(),
        };
        let text = checkpoint.to_string();
        let mut lines = vec![note_signature(&self.host, &self.key, self.kind(), &text)];
        let now = unsigned(self.clock.now());
        lines.extend(self.witnesses.iter().map(|it| it.cosign(&text, now)));
        note(text, lines)
    }

    /// The entry of a trusted root.
    pub fn trusted(&self) -> LogInstance {
        let url = format!("https://{}", self.host);
        ct::trusted(&url, &self.key, self.id(), self.valid_for)
    }
}

/// Five leaves of others, so that proofs are not empty.
fn some_entries() -> Tree {
    let mut tree = Tree::default();
    for number in 0..5_u8 {
        tree.append(&[number]);
    }
    tree
}

fn proof(tree: &Tree, index: u64, checkpoint: String) -> InclusionProof {
    InclusionProof {
        log_index: index,
        root_hash: tree.root().bytes().to_vec(),
        tree_size: tree.size(),
        hashes: tree
            .inclusion_proof(index)
            .iter()
            .map(|hash| hash.bytes().to_vec())
            .collect(),
        checkpoint,
    }
}

fn note_signature(name: &str, key: &PrivateKey, kind: KeyKind, text: &str) -> NoteSignature {
    NoteSignature {
        name: name.to_owned(),
        key_hash: first_four(&kind.key_hash(name, key.public_key())),
        signature: key.sign(text.as_bytes()).expect(SIGNS),
    }
}

fn first_four(hash: &Hash) -> [u8; 4] {
    let [a, b, c, d, ..] = *hash.bytes();
    [a, b, c, d]
}

fn note(text: String, signatures: Vec<NoteSignature>) -> String {
    Note { text, signatures }.to_string()
}
