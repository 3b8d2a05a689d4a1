//! Witnesses: what a log gets from one, and what a log makes of good and bad ones.

#![allow(clippy::unwrap_used, reason = "tests")]

mod asked;
mod running;

use reqwest::StatusCode;
use running::{Running, log_key, signed, witness};
use sealmark_formats::Digest;
use sealmark_keys::Algorithm;
use sealmark_server::witness::{Options, Witness};
use sealmark_tlog::merkle::{MemoryTree, leaf_hash};
use sealmark_tlog::witness::AddCheckpoint;
use sealmark_tlog::{Checkpoint, Hash, Note, NoteSignature, NoteSigner, cosignature};

const ORIGIN: &str = "log.example/2026";

/// A log's tree with so many leaves.
fn tree(leaves: u64) -> MemoryTree {
    let mut tree = MemoryTree::new();
    (0..leaves).for_each(|leaf| tree.push(leaf_hash(&leaf.to_be_bytes())));
    tree
}

/// A request that is as it should be.
fn request(tree: &MemoryTree, old_size: u64, size: u64, by: &NoteSigner) -> AddCheckpoint {
    let proof = match old_size {
        0 => Vec::new(),
        _ => tree.consistency_proof(old_size, size).unwrap(),
    };
    AddCheckpoint {
        old_size,
        proof,
        checkpoint: signed(ORIGIN, size, tree.root_at(size).unwrap(), by),
    }
}

#[tokio::test]
async fn each_request_gets_the_answer_that_the_protocol_has_for_it() {
    let log = log_key(ORIGIN, Algorithm::Ed25519);
    let stranger = log_key(ORIGIN, Algorithm::Ed25519);
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(witness(directory.path(), &[&log]).router()).await;
    let tree = tree(300);
    let newest = format!("/{}/checkpoint", Digest::sha256(ORIGIN.as_bytes()).hex());
    assert_eq!(running.get(&newest).await.0, StatusCode::NOT_FOUND);

    let good = |old, new| request(&tree, old, new, &log).to_string();
    let root = |size| tree.root_at(size).unwrap();
    let with = |old_size, proof, checkpoint| {
        let request = AddCheckpoint {
            old_size,
            proof,
            checkpoint,
        };
        request.to_string()
    };
    let other = Hash::from([7; 32]);
    let proof = |old, new| tree.consistency_proof(old, new).unwrap();
    let unknown = log_key("other.example", Algorithm::Ed25519);
    let mut forged = Note::parse(&signed(ORIGIN, 10, root(10), &log)).unwrap();
    forged.signatures[0].signature[5] ^= 1;
    let mut both = forged.clone();
    both.signatures.push(
        Note::parse(&signed(ORIGIN, 10, root(10), &log))
            .unwrap()
            .signatures[0]
            .clone(),
    );
    // In this order: each is asked of the state that those before have left.
    let cases = [
        (
            "an unknown log",
            with(0, vec![], signed("other.example", 1, root(1), &unknown)),
            404,
        ),
        (
            "a stranger's key",
            request(&tree, 0, 10, &stranger).to_string(),
            403,
        ),
        (
            "a forged signature",
            with(0, vec![], forged.to_string()),
            403,
        ),
        (
            "a forged and a good one",
            with(0, vec![], both.to_string()),
            403,
        ),
        ("nonsense", "old\n".to_owned(), 400),
        ("no note", "old 0\n\nlog\n".to_owned(), 400),
        (
            "no checkpoint",
            format!(
                "old 0\n\n{}",
                Note::sign("a\n", 0, std::slice::from_ref(&log)).unwrap()
            ),
            400,
        ),
        ("bytes", "\u{1}".to_owned(), 400),
        (
            "old above new",
            with(11, vec![], signed(ORIGIN, 10, root(10), &log)),
            400,
        ),
        ("a size never seen", good(5, 10), 409),
        (
            "a root of nothing",
            with(0, vec![], signed(ORIGIN, 0, other, &log)),
            422,
        ),
        (
            "a proof from nothing",
            with(0, vec![other], signed(ORIGIN, 10, root(10), &log)),
            422,
        ),
        (
            "the empty tree",
            with(0, vec![], signed(ORIGIN, 0, root(0), &log)),
            200,
        ),
        ("the first", good(0, 10), 200),
        ("the first again", good(0, 10), 409),
        ("the same", good(10, 10), 200),
        (
            "another of the size",
            with(10, vec![], signed(ORIGIN, 10, other, &log)),
            422,
        ),
        (
            "without proof",
            with(10, vec![], signed(ORIGIN, 257, root(257), &log)),
            422,
        ),
        (
            "a wrong proof",
            with(10, proof(11, 257), signed(ORIGIN, 257, root(257), &log)),
            422,
        ),
        (
            "another history",
            with(10, proof(10, 257), signed(ORIGIN, 257, other, &log)),
            422,
        ),
        ("a longer one", good(10, 257), 200),
        ("backwards", good(10, 20), 409),
    ];
    let mut size = 0;
    for (what, body, status) in cases {
        let response = running.post("/add-checkpoint", body.clone()).await;
        assert_eq!(response.status(), status, "{what}");
        let content_type = response.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        let text = response.text().await.unwrap();
        match status {
            200 => {
                let request = AddCheckpoint::parse(&body).unwrap();
                let mut note = Note::parse(&request.checkpoint).unwrap();
                size = Checkpoint::parse(&note.text).unwrap().size;
                let line = text.strip_suffix('\n').unwrap();
                note.signatures.push(NoteSignature::parse(line).unwrap());
                let key = running.witness_key(&directory);
                let seen = cosignature::verify(&note, "witness.example", &key).unwrap();
                assert!(seen.timestamp > 1_700_000_000);
                // What others read is the same: the log's line and the witness'.
                let (status, read) = running.get(&newest).await;
                assert_eq!((status, read), (StatusCode::OK, note.to_string()), "{what}");
            }
            409 => {
                assert_eq!(content_type, "text/x.tlog.size", "{what}");
                assert_eq!(text, format!("{size}\n"), "{what}");
            }
            _ => assert!(!text.is_empty() && text.ends_with('\n'), "{what}: {text}"),
        }
    }
    let long = running.post("/add-checkpoint", "x".repeat(1 << 20)).await;
    assert_eq!(long.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        running.get("/add-checkpoint").await.0,
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(
        running.get("/..%2fkeys%2fwitness.pem/checkpoint").await.0,
        StatusCode::NOT_FOUND
    );
    let (_, about) = running.get("/").await;
    assert!(about.contains("witness.example+"), "{about}");
    running.close().await;

    // Closed and opened again, it knows what it has cosigned.
    let running = Running::start(witness(directory.path(), &[&log]).router()).await;
    let response = running.post("/add-checkpoint", good(0, 300)).await;
    assert_eq!(response.text().await.unwrap(), "257\n");
    let response = running.post("/add-checkpoint", good(257, 300)).await;
    assert_eq!(response.status(), StatusCode::OK);
    running.close().await;
}

#[tokio::test]
async fn a_rekor_of_version_1_is_witnessed_by_its_key_alone() {
    let directory = tempfile::tempdir().unwrap();
    let rekor = log_key("rekor.example", Algorithm::EcdsaP256);
    let running = Running::start(witness(directory.path(), &[&rekor]).router()).await;
    let tree = tree(4);
    for shard in ["rekor.example - 1193050959916656506", "rekor.example - 7"] {
        let body = AddCheckpoint {
            old_size: 0,
            proof: Vec::new(),
            checkpoint: signed(shard, 4, tree.root(), &rekor),
        };
        let response = running.post("/add-checkpoint", body.to_string()).await;
        assert_eq!(response.status(), StatusCode::OK, "{shard}");
    }
    let foreign = signed("rekor.example - x", 4, tree.root(), &rekor);
    let foreign = format!("old 0\n\n{foreign}");
    let response = running.post("/add-checkpoint", foreign).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    running.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_histories_that_come_at_once_one_is_cosigned() {
    let log = log_key(ORIGIN, Algorithm::Ed25519);
    for round in 0..8_u8 {
        let directory = tempfile::tempdir().unwrap();
        let running = Running::start(witness(directory.path(), &[&log]).router()).await;
        let bodies = (0..8_u8).map(|history| {
            let root = Hash::from([round * 8 + history + 1; 32]);
            format!("old 0\n\n{}", signed(ORIGIN, 5, root, &log))
        });
        let answers = bodies.map(|body| running.post("/add-checkpoint", body));
        let answers = futures_util::future::join_all(answers).await;
        let cosigned = answers
            .iter()
            .filter(|answer| answer.status() == StatusCode::OK);
        assert_eq!(cosigned.count(), 1);
        running.close().await;
    }
}

#[test]
fn a_witness_keeps_its_name_its_key_and_what_it_has_seen() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let options = Options {
            name: name.to_owned(),
            logs: Vec::new(),
            password: None,
        };
        Witness::open(directory.path(), options)
    };
    let first = open("witness.example").unwrap();
    let key = first.verifier_key().clone();
    let busy = open("witness.example").unwrap_err();
    assert!(busy.to_string().contains("in use"), "{busy}");
    drop(first);
    let mode = std::fs::metadata(directory.path().join("keys/witness.pem"));
    assert_eq!(mode.unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(*open("witness.example").unwrap().verifier_key(), key);
    let other = open("other.example").unwrap_err().to_string();
    assert!(other.contains("\"witness.example\""), "{other}");
    // A record that was changed is not built upon.
    let name = Digest::sha256(ORIGIN.as_bytes()).hex();
    let log = log_key(ORIGIN, Algorithm::Ed25519);
    let note = signed(ORIGIN, 1, Hash::from([1; 32]), &log);
    std::fs::write(directory.path().join("logs").join(name), note).unwrap();
    let damaged = open("witness.example").unwrap_err().to_string();
    assert!(damaged.contains("is damaged"), "{damaged}");

    let foreign = tempfile::tempdir().unwrap();
    std::fs::write(foreign.path().join("file"), "mine").unwrap();
    let options = Options {
        name: "witness.example".to_owned(),
        logs: Vec::new(),
        password: None,
    };
    let refused = Witness::open(foreign.path(), options).unwrap_err();
    assert!(
        refused.to_string().contains("is not a witness"),
        "{refused}"
    );
}
