//! A TUF repository that is made here, and a server that may misbehave. The signing is the tests' own, so that a fault
//! in the program's canonical form cannot hide itself.

#![allow(dead_code, reason = "every test file uses another part")]
#![allow(clippy::unwrap_used, reason = "only tests call this")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sealmark_formats::Digest;
use sealmark_keys::{Algorithm, KeyType, PrivateKey};
use serde_json::{Value, json};

pub(crate) const NOW: &str = "2026-06-01T00:00:00Z";
pub(crate) const LATER: &str = "2026-07-01T00:00:00Z";
pub(crate) const BEFORE: &str = "2026-05-01T00:00:00Z";
pub(crate) const TRUSTED_ROOT: &[u8] = include_bytes!("../../embedded/trusted_root.json");

pub(crate) fn key() -> PrivateKey {
    PrivateKey::generate(Algorithm::EcdsaP256).unwrap()
}

/// A name for a key: the program must take it as given, whatever it is.
pub(crate) fn key_id(key: &PrivateKey) -> String {
    key.public_key().id().digest().hex()
}

fn key_json(key: &PrivateKey) -> Value {
    let public = key.public_key();
    match public.key_type() {
        KeyType::Ed25519 => {
            let spki = public.spki_der();
            let raw = hex::encode(&spki[spki.len() - 32..]);
            json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": raw}})
        }
        // As Sigstore's own roots have it, with a field that is not part of the key.
        _ => json!({
            "keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": public.to_pem()},
            "x-tuf-on-ci-keyowner": "@someone",
        }),
    }
}

/// Signs; serde_json's map is sorted, and line feeds are the only characters here that canonical JSON leaves bare.
pub(crate) fn sign(signed: &Value, keys: &[&PrivateKey]) -> Vec<u8> {
    let message = signed.to_string().replace("\\n", "\n");
    let signatures: Vec<Value> = keys
        .iter()
        .map(|key| {
            let sig = hex::encode(key.sign(message.as_bytes()).unwrap());
            json!({"keyid": key_id(key), "sig": sig})
        })
        .collect();
    json!({"signatures": signatures, "signed": signed})
        .to_string()
        .into_bytes()
}

pub(crate) struct RootSpec<'a> {
    pub(crate) version: u64,
    pub(crate) keys: &'a [&'a PrivateKey],
    pub(crate) threshold: u64,
    pub(crate) online: &'a PrivateKey,
    pub(crate) expires: &'a str,
}

impl RootSpec<'_> {
    pub(crate) fn signed_by(&self, signers: &[&PrivateKey]) -> Vec<u8> {
        let mut keys = serde_json::Map::new();
        for key in self.keys.iter().chain([&self.online]) {
            keys.insert(key_id(key), key_json(key));
        }
        let ids: Vec<String> = self.keys.iter().map(|key| key_id(key)).collect();
        let online = json!({"keyids": [key_id(self.online)], "threshold": 1});
        let signed = json!({
            "_type": "root", "spec_version": "1.0.31", "version": self.version, "expires": self.expires,
            "consistent_snapshot": true, "keys": keys,
            "roles": {
                "root": {"keyids": ids, "threshold": self.threshold},
                "timestamp": online, "snapshot": online, "targets": online,
            },
        });
        sign(&signed, signers)
    }
}

pub(crate) type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Puts timestamp, snapshot and targets of this version there, with a trusted root and a note as targets.
pub(crate) fn publish(files: &Files, online: &PrivateKey, version: u64, expires: &str) {
    let note = format!("note {version}");
    let mut targets = serde_json::Map::new();
    let mut files = files.lock().unwrap();
    for (name, content) in [
        ("trusted_root.json", TRUSTED_ROOT),
        ("note.txt", note.as_bytes()),
    ] {
        let hash = Digest::sha256(content).hex();
        files.insert(format!("targets/{hash}.{name}"), content.to_vec());
        targets.insert(
            name.to_owned(),
            json!({"length": content.len(), "hashes": {"sha256": hash}}),
        );
    }
    let targets = sign(
        &json!({
            "_type": "targets", "spec_version": "1.0.31", "version": version, "expires": expires, "targets": targets,
        }),
        &[online],
    );
    let snapshot = sign(
        &json!({
            "_type": "snapshot", "spec_version": "1.0.31", "version": version, "expires": expires,
            "meta": {"targets.json": {"version": version}},
        }),
        &[online],
    );
    let timestamp = sign(
        &json!({
            "_type": "timestamp", "spec_version": "1.0.31", "version": version, "expires": expires,
            "meta": {"snapshot.json": {
                "version": version, "length": snapshot.len(),
                "hashes": {"sha256": Digest::sha256(&snapshot).hex()},
            }},
        }),
        &[online],
    );
    files.insert(format!("{version}.targets.json"), targets);
    files.insert(format!("{version}.snapshot.json"), snapshot);
    files.insert("timestamp.json".to_owned(), timestamp);
}

/// As [`publish`], with one target more, which is of the role `name` by the word of targets.
pub(crate) fn publish_delegated(
    files: &Files,
    online: &PrivateKey,
    delegate: &PrivateKey,
    name: &str,
    version: u64,
) {
    publish(files, online, version, LATER);
    let mut files = files.lock().unwrap();
    let content = format!("delegated {version}");
    let hash = Digest::sha256(content.as_bytes()).hex();
    let head = |kind: &str| json!({"_type": kind, "spec_version": "1.0.31", "version": version, "expires": LATER});
    let mut role = head("targets");
    role["targets"] =
        json!({"delegated.txt": {"length": content.len(), "hashes": {"sha256": hash}}});
    let role = sign(&role, &[delegate]);
    let original: Value =
        serde_json::from_slice(&files[&format!("{version}.targets.json")]).unwrap();
    let mut targets = original["signed"].clone();
    targets["delegations"] = json!({
        "keys": {key_id(delegate): key_json(delegate)},
        "roles": [{
            "name": name, "keyids": [key_id(delegate)], "threshold": 1, "terminating": false,
            "paths": ["*.txt"],
        }],
    });
    let mut snapshot = head("snapshot");
    snapshot["meta"] =
        json!({"targets.json": {"version": version}, format!("{name}.json"): {"version": version}});
    let mut timestamp = head("timestamp");
    timestamp["meta"] = json!({"snapshot.json": {"version": version}});
    files.insert(
        format!("targets/{hash}.delegated.txt"),
        content.into_bytes(),
    );
    files.insert(format!("{version}.{name}.json"), role);
    files.insert(format!("{version}.targets.json"), sign(&targets, &[online]));
    files.insert(
        format!("{version}.snapshot.json"),
        sign(&snapshot, &[online]),
    );
    files.insert("timestamp.json".to_owned(), sign(&timestamp, &[online]));
}

/// A content that never ends.
pub(crate) const ENDLESS: &[u8] = b"endless";

/// Serves `files` on loopback for as long as the test runs.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) files: Files,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start(files: Files) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (served, log) = (Arc::clone(&files), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (files, log) = (Arc::clone(&served), Arc::clone(&log));
                std::thread::spawn(move || answer(stream, &files, &log));
            }
        });
        Self { url, files, asked }
    }
}

fn answer(stream: TcpStream, files: &Files, log: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > 2 {
        line.clear();
    }
    let path = first.split(' ').nth(1)?.trim_start_matches('/').to_owned();
    log.lock().unwrap().push(path.clone());
    let content = files.lock().unwrap().get(&path).cloned();
    match content {
        None => stream
            .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .ok(),
        Some(content) if content == ENDLESS => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                .ok()?;
            while stream.write_all(&[b' '; 65536]).is_ok() {}
            Some(())
        }
        Some(content) => {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                content.len()
            );
            stream.write_all(head.as_bytes()).ok()?;
            stream.write_all(&content).ok()
        }
    }
}
