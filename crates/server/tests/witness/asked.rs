//! A log whose checkpoints witnesses cosign, or do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::Digest;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_server::log::{Options, TransparencyLog};
use sealmark_server::witness;
use sealmark_testkit::{FaultyServer, Reply};
use sealmark_tlog::merkle::{leaf_hash, verify_inclusion};
use sealmark_tlog::note::VerifierKey;
use sealmark_tlog::policy::Policy;
use sealmark_tlog::witness::AddCheckpoint;
use sealmark_tlog::{Checkpoint, Hash, Note, NoteSigner};
use serde_json::{Value, json};

use super::running::Running;

/// A log that runs, and who its witnesses are.
struct Witnessed {
    running: Running,
    policy: Policy,
    log: VerifierKey,
    _directory: tempfile::TempDir,
}

fn open_log() -> (tempfile::TempDir, TransparencyLog) {
    let directory = tempfile::tempdir().unwrap();
    let log = TransparencyLog::open(directory.path(), Options::new("127.0.0.1")).unwrap();
    (directory, log)
}

/// A policy of these witnesses, with further lines.
fn policy(witnesses: &[(&VerifierKey, &str)], rest: &str) -> Policy {
    let mut text = String::new();
    for (number, (key, url)) in witnesses.iter().enumerate() {
        text += &format!("witness W{number} {key} {url}\n");
    }
    Policy::parse((text + rest).as_bytes()).unwrap()
}

impl Witnessed {
    async fn start(
        (directory, log): (tempfile::TempDir, TransparencyLog),
        policy: Policy,
        required: bool,
    ) -> Self {
        let key = log.verifier_key_v2().unwrap();
        log.ask_witnesses(policy.clone(), required).unwrap();
        Self {
            running: Running::start(log.router()).await,
            policy,
            log: key,
            _directory: directory,
        }
    }

    /// Logs something; the status and the body of the answer.
    async fn log(&self, content: &str) -> (u16, Value) {
        let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
        let digest = Digest::sha256(content.as_bytes());
        let request = json!({"hashedRekordRequestV002": {
            "digest": STANDARD.encode(digest.bytes()),
            "signature": {
                "content": STANDARD.encode(key.sign_digest(&digest).unwrap()),
                "verifier": {
                    "publicKey": {"rawBytes": STANDARD.encode(key.public_key().spki_der())},
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                },
            },
        }});
        let response = self
            .running
            .post("/api/v2/log/entries", request.to_string());
        let response = response.await;
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }

    /// Checks the proof of an entry, and says whether its checkpoint has the quorum.
    fn prove(&self, entry: &Value) -> bool {
        let proof = &entry["inclusionProof"];
        let note = proof["checkpoint"]["envelope"].as_str().unwrap();
        let note = Note::parse(note).unwrap();
        self.log.verify(&note).unwrap();
        let checkpoint = Checkpoint::parse(&note.text).unwrap();
        let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
        assert_eq!(number(&proof["treeSize"]), checkpoint.size);
        assert_eq!(proof["rootHash"], checkpoint.root.to_base64());
        let hashes = proof["hashes"].as_array().unwrap().iter();
        let hashes: Vec<Hash> = hashes
            .map(|hash| Hash::from_base64(hash.as_str().unwrap()).unwrap())
            .collect();
        let body = STANDARD.decode(entry["canonicalizedBody"].as_str().unwrap());
        let leaf = leaf_hash(&body.unwrap());
        let index = number(&proof["logIndex"]);
        verify_inclusion(index, checkpoint.size, &leaf, &hashes, &checkpoint.root).unwrap();
        self.policy.is_cosigned(&note)
    }

    async fn newest(&self) -> Note {
        let (status, note) = self.running.get("/api/v2/checkpoint").await;
        assert_eq!(status, 200, "{note}");
        Note::parse(&note).unwrap()
    }
}

/// A witness of this log, that runs.
async fn honest(log: &VerifierKey, name: &str) -> (Running, VerifierKey, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let options = witness::Options {
        name: name.to_owned(),
        logs: vec![log.clone()],
        password: None,
    };
    let witness = witness::Witness::open(directory.path(), options).unwrap();
    let key = witness.verifier_key().clone();
    (Running::start(witness.router()).await, key, directory)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_has_a_checkpoint_that_the_witnesses_have_seen() {
    let opened = open_log();
    let key = opened.1.verifier_key_v2().unwrap();
    let (a, a_key, _a) = honest(&key, "a.example").await;
    let (b, b_key, _b) = honest(&key, "b.example").await;
    let two = policy(
        &[(&a_key, &a.url), (&b_key, &b.url)],
        "group g all W0 W1\nquorum g",
    );
    let log = Arc::new(Witnessed::start(opened, two, true).await);
    // Nothing was cosigned yet.
    assert_eq!(log.running.get("/api/v2/checkpoint").await.0, 503);
    for number in 0..3 {
        let (status, entry) = log.log(&format!("entry {number}")).await;
        assert_eq!(status, 201, "{entry}");
        assert!(log.prove(&entry));
    }
    // Many at once share rounds: proofs are then of trees that are larger than an entry's batch.
    let many = (0..40).map(|number| {
        let log = log.clone();
        tokio::spawn(async move {
            let (status, entry) = log.log(&format!("many {number}")).await;
            assert_eq!(status, 201, "{entry}");
            assert!(log.prove(&entry));
        })
    });
    for one in many.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    let newest = log.newest().await;
    assert!(log.policy.is_cosigned(&newest));
    assert_eq!(Checkpoint::parse(&newest.text).unwrap().size, 43);

    // Version 1 knows nothing of it: its clients refuse a second signature.
    let (_, info) = log.running.get("/api/v1/log").await;
    let info: Value = serde_json::from_str(&info).unwrap();
    let head = info["signedTreeHead"].as_str().unwrap();
    assert_eq!(head.matches('\u{2014}').count(), 1);
    Arc::into_inner(log).unwrap().running.close().await;
    a.close().await;
    b.close().await;
}

/// What a witness does with a request.
type Behaviour = fn(&AddCheckpoint, &NoteSigner) -> Reply;

fn cosign(request: &AddCheckpoint, by: &NoteSigner) -> Reply {
    let note = Note::parse(&request.checkpoint).unwrap();
    Reply::status(200).body(format!("{}\n", by.sign(&note.text, 1_800_000_000).unwrap()))
}

const BAD: [(&str, Behaviour); 13] = [
    ("hangs", |_, _| Reply::Hang),
    ("closes", |_, _| Reply::Close),
    ("never ends", |_, _| Reply::Endless(Vec::new())),
    ("fails", |_, _| Reply::status(500)),
    ("says nothing", |_, _| Reply::status(200)),
    ("is huge", |_, _| {
        Reply::status(200).body(vec![b'x'; 8 << 20])
    }),
    ("redirects", |_, _| {
        Reply::status(302).with("location", "/elsewhere")
    }),
    ("signs another text", |_, by| {
        let line = by.sign(
            "other\n1\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n",
            1,
        );
        Reply::status(200).body(format!("{}\n", line.unwrap()))
    }),
    ("signs with another key", |request, by| {
        let key = PrivateKey::generate(Algorithm::Ed25519).unwrap();
        cosign(request, &NoteSigner::witness(by.name(), key).unwrap())
    }),
    ("has no time", |request, by| {
        let note = Note::parse(&request.checkpoint).unwrap();
        Reply::status(200).body(format!("{}\n", by.sign(&note.text, 0).unwrap()))
    }),
    ("is always of another size", |request, _| {
        Reply::status(409).body(format!("{}\n", u64::from(request.old_size == 0)))
    }),
    ("has seen more than there is", |_, _| {
        Reply::status(409).body(format!("{}\n", u64::MAX))
    }),
    ("has a size that is none", |_, _| {
        Reply::status(409).body("-1\n")
    }),
];

fn double(
    behave: impl Fn(&AddCheckpoint, &NoteSigner) -> Reply + Send + Sync + 'static,
) -> (FaultyServer, VerifierKey) {
    let key = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    let signer = NoteSigner::witness("double.example", key).unwrap();
    let key = signer.verifier_key().unwrap();
    let server = FaultyServer::start(move |request| {
        assert_eq!(request.path, "/prefix/add-checkpoint");
        let text = String::from_utf8(request.body.clone()).unwrap();
        behave(&AddCheckpoint::parse(&text).unwrap(), &signer)
    });
    (server, key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_witness_does_no_harm() {
    for (what, behave) in BAD {
        let (server, key) = double(behave);
        let url = format!("http://{}/prefix/", server.address());
        let log = Witnessed::start(open_log(), policy(&[(&key, &url)], "quorum W0"), false).await;
        let start = Instant::now();
        let (status, entry) = log.log(what).await;
        assert_eq!(status, 201, "{what}: {entry}");
        assert!(!log.prove(&entry), "{what}");
        assert_eq!(log.newest().await.signatures.len(), 1, "{what}");
        assert!(start.elapsed() < Duration::from_secs(4), "{what}");
        log.running.close().await;
    }
    // Nobody is there at all.
    let (_, key) = double(cosign);
    let url = format!("http://{}", FaultyServer::nobody());
    let log = Witnessed::start(open_log(), policy(&[(&key, &url)], "quorum W0"), true).await;
    let (status, refusal) = log.log("nobody").await;
    assert_eq!((status, &refusal["code"]), (503, &json!(14)));
    let message = refusal["message"].as_str().unwrap();
    assert!(
        message.contains("the entry is in the log, with the index 0"),
        "{message}"
    );
    log.running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_witness_holds_nobody_up_when_the_others_are_enough() {
    let (slow, slow_key) = double(|_, _| Reply::Hang);
    let (fast, fast_key) = double(cosign);
    let (slow_url, fast_url) = (
        format!("http://{}/prefix", slow.address()),
        format!("http://{}/prefix", fast.address()),
    );
    let any = policy(
        &[(&slow_key, &slow_url), (&fast_key, &fast_url)],
        "group g any W0 W1\nquorum g",
    );
    let log = Witnessed::start(open_log(), any, true).await;
    let start = Instant::now();
    for number in 0..10 {
        let (status, entry) = log.log(&number.to_string()).await;
        assert_eq!(status, 201);
        assert!(log.prove(&entry));
    }
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    // It was asked once a timeout, not once a checkpoint.
    assert!(slow.requests().len() <= 4, "{}", slow.requests().len());
    log.running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_witness_is_enough_when_the_others_are_gone() {
    let (slow, slow_key) = double(|request, by| {
        std::thread::sleep(Duration::from_millis(500));
        cosign(request, by)
    });
    let gone = Arc::new(AtomicBool::new(false));
    let seen = gone.clone();
    let (fast, fast_key) = double(move |request, by| match seen.load(Ordering::SeqCst) {
        true => Reply::Close,
        false => cosign(request, by),
    });
    let (slow_url, fast_url) = (
        format!("http://{}/prefix", slow.address()),
        format!("http://{}/prefix", fast.address()),
    );
    let any = policy(
        &[(&slow_key, &slow_url), (&fast_key, &fast_url)],
        "group g any W0 W1\nquorum g",
    );
    let log = Witnessed::start(open_log(), any, true).await;
    for number in 0..4 {
        // From here on, what the slow one was asked before keeps it.
        gone.store(number > 0, Ordering::SeqCst);
        let (status, entry) = log.log(&number.to_string()).await;
        assert_eq!(status, 201, "{entry}");
        assert!(log.prove(&entry));
    }
    log.running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_that_comes_back_is_used_again() {
    let there = Arc::new(AtomicBool::new(false));
    let seen = there.clone();
    let (server, key) = double(move |request, by| match seen.load(Ordering::SeqCst) {
        true => cosign(request, by),
        false => Reply::status(503),
    });
    let url = format!("http://{}/prefix", server.address());
    let log = Witnessed::start(open_log(), policy(&[(&key, &url)], "quorum W0"), false).await;
    let (_, entry) = log.log("alone").await;
    assert!(!log.prove(&entry));
    there.store(true, Ordering::SeqCst);
    // Without a new entry, it is asked again after a second.
    let start = Instant::now();
    let mut size = 0;
    while !log.policy.is_cosigned(&log.newest().await) {
        let newest = Checkpoint::parse(&log.newest().await.text).unwrap().size;
        assert!(newest >= size, "it became smaller");
        size = newest;
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "it never came back"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (_, entry) = log.log("seen").await;
    assert!(log.prove(&entry));
    log.running.close().await;
}

#[tokio::test]
async fn a_log_can_be_a_witness_of_others() {
    let (directory, log) = open_log();
    let other = super::log_key("other.example", Algorithm::Ed25519);
    let options = witness::Options {
        name: "127.0.0.1/witness".to_owned(),
        logs: vec![other.verifier_key().unwrap()],
        password: None,
    };
    let witness = witness::Witness::open(&directory.path().join("witness"), options).unwrap();
    log.host_witness(witness);
    let running = Running::start(log.router()).await;
    let checkpoint = super::signed("other.example", 1, Hash::from([1; 32]), &other);
    let body = format!("old 0\n\n{checkpoint}");
    let response = running.post("/witness/add-checkpoint", body).await;
    assert_eq!(response.status(), 200);
    let name = Digest::sha256(b"other.example").hex();
    assert_eq!(
        running.get(&format!("/witness/{name}/checkpoint")).await.0,
        200
    );
    assert_eq!(running.get("/ping").await.0, 200);
    running.close().await;
}

#[test]
fn a_witness_without_an_address_cannot_be_asked() {
    let (_, key) = double(cosign);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    for url in [
        "ftp://w.example",
        "w.example",
        "https://",
        "http://me@w.example",
        "http://w.example/?q",
    ] {
        let (_directory, log) = open_log();
        let error = log.ask_witnesses(policy(&[(&key, url)], "quorum W0"), false);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("\"W0\""), "{error}");
    }
}
