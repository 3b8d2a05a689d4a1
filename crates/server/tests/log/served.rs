//! A log that is served while a test runs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Response};
use sealmark_formats::log_entry::set_payload;
use sealmark_keys::PublicKey;
use sealmark_server::log::{Interface, Options, TransparencyLog};
use sealmark_tlog::merkle::{leaf_hash, verify_inclusion};
use sealmark_tlog::{Checkpoint, Hash, Origin};
use serde_json::Value;
use tokio::net::TcpListener;

pub(crate) struct Served {
    pub(crate) url: String,
    pub(crate) client: Client,
    /// The trees of v1, oldest first, with their keys.
    pub(crate) trees: Vec<(u64, PublicKey)>,
    pub(crate) tree: u64,
    stop: tokio::sync::oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

impl Served {
    pub(crate) async fn open(directory: &std::path::Path) -> Self {
        Self::open_with(directory, Options::new("127.0.0.1")).await
    }

    pub(crate) async fn open_with(directory: &std::path::Path, options: Options) -> Self {
        let log = TransparencyLog::open(directory, options)
            .expect("the log and its answers are as documented");
        let trees = log.shards(Interface::V1).into_iter().map(|shard| {
            let pem = std::fs::read(shard.public_key);
            let key = PublicKey::from_pem(&pem.expect("the key is there"));
            (
                shard.tree_id.expect("it is of v1"),
                key.expect("the key is one"),
            )
        });
        let trees = trees.collect();
        let tree = log.tree_id();
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("the log and its answers are as documented");
        let url = format!(
            "http://{}",
            listener
                .local_addr()
                .expect("the log and its answers are as documented")
        );
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let served = tokio::spawn(log.serve(listener, async {
            let _ = stopped.await;
        }));
        Self {
            url,
            client: Client::new(),
            trees,
            tree,
            stop,
            served,
        }
    }

    pub(crate) async fn close(self) {
        drop(self.client);
        let _ = self.stop.send(());
        self.served
            .await
            .expect("the log and its answers are as documented");
    }

    pub(crate) async fn post(&self, path: &str, json: &Value) -> Response {
        let request = self.client.post(format!("{}{path}", self.url)).json(json);
        request
            .send()
            .await
            .expect("the log and its answers are as documented")
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        let request = self.client.get(format!("{}{path}", self.url));
        request
            .send()
            .await
            .expect("the log and its answers are as documented")
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.expect("the answer is JSON")
    }

    pub(crate) async fn create(&self, entry: &Value) -> (String, Value) {
        let response = self.post("/api/v1/log/entries", entry).await;
        let status = response.status();
        let etag = response.headers().get("etag").cloned();
        let body: Value = response
            .json()
            .await
            .expect("the log and its answers are as documented");
        assert_eq!(status, 201, "{body}");
        let id = etag
            .expect("the log and its answers are as documented")
            .to_str()
            .expect("the log and its answers are as documented")
            .to_owned();
        let entry = body[&id].clone();
        self.prove(&id, &entry);
        (id, entry)
    }

    pub(crate) async fn search(&self, query: Value) -> Vec<String> {
        let response = self.post("/api/v1/index/retrieve", &query).await;
        assert_eq!(response.status(), 200);
        response
            .json()
            .await
            .expect("the log and its answers are as documented")
    }

    /// All that a client checks.
    pub(crate) fn prove(&self, id: &str, entry: &Value) {
        let body = STANDARD
            .decode(
                entry["body"]
                    .as_str()
                    .expect("the log and its answers are as documented"),
            )
            .expect("the log and its answers are as documented");
        let leaf = leaf_hash(&body);
        let (tree, key) = self
            .trees
            .iter()
            .find(|(tree, _)| id == format!("{tree:016x}{leaf}"))
            .expect("the entry is of one of the trees");
        let log_id = key.id().digest().hex();
        assert_eq!(entry["logID"], log_id);
        let index = entry["logIndex"]
            .as_u64()
            .expect("the log and its answers are as documented");
        let promise = set_payload(
            entry["body"]
                .as_str()
                .expect("the log and its answers are as documented"),
            entry["integratedTime"]
                .as_i64()
                .expect("the log and its answers are as documented"),
            &log_id,
            index,
        );
        let set = entry["verification"]["signedEntryTimestamp"].as_str();
        let set = STANDARD
            .decode(set.expect("the log and its answers are as documented"))
            .expect("the log and its answers are as documented");
        key.verify(&promise, &set)
            .expect("the log and its answers are as documented");
        let proof = &entry["verification"]["inclusionProof"];
        let note = proof["checkpoint"]
            .as_str()
            .expect("the log and its answers are as documented");
        assert!(note.starts_with(&format!("127.0.0.1 - {tree}\n")));
        assert_eq!(note.matches('\u{2014}').count(), 1, "one signature");
        let checkpoint = Checkpoint::open(note, Origin::RekorV1, key)
            .expect("the log and its answers are as documented");
        let hashes: Vec<Hash> = proof["hashes"]
            .as_array()
            .expect("the log and its answers are as documented")
            .iter()
            .map(hex)
            .collect();
        assert_eq!(hex(&proof["rootHash"]), checkpoint.root);
        let size = proof["treeSize"]
            .as_u64()
            .expect("the log and its answers are as documented");
        let index = proof["logIndex"]
            .as_u64()
            .expect("the log and its answers are as documented");
        verify_inclusion(index, size, &leaf, &hashes, &checkpoint.root)
            .expect("the log and its answers are as documented");
    }
}

pub(crate) fn hex(value: &Value) -> Hash {
    value
        .as_str()
        .expect("the log and its answers are as documented")
        .parse()
        .expect("the log and its answers are as documented")
}
