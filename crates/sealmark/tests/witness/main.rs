//! `serve` with witnesses: a log that litewitness and our own witness watch, and what users make of it.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../bench/mod.rs"]
mod bench;
mod litewitness;

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bench::{Bench, SEALMARK, Tool, have};
use litewitness::Litewitness;
use sealmark_formats::Digest;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_testkit::{Server, get, post};
use sealmark_tlog::merkle::{MemoryTree, leaf_hash};
use sealmark_tlog::policy::Policy;
use sealmark_tlog::witness::AddCheckpoint;
use sealmark_tlog::{Checkpoint, Note, NoteSigner};
use serde_json::{Value, json};

/// `sealmark serve`, running.
struct Service {
    server: Server,
    /// `127.0.0.1:PORT`
    address: String,
    /// The verifier key that it says it has: that of v2, or of the witness.
    key: String,
    directory: PathBuf,
}

impl Service {
    fn start(bench: &Bench, only: &str, address: &str, words: &[&str]) -> Self {
        let directory = bench.sandbox.join(only);
        let program = bench
            .sandbox
            .command(SEALMARK)
            .args(["serve", "--only", only, "--listen", address, "--dir"])
            .arg(&directory)
            .args(words);
        let (server, ()) = program.serve(|line| line.contains(" ready;").then_some(()));
        let said = server.log();
        let after = |mark: &str| {
            let (_, rest) = said.split_once(mark).expect("it says who it is");
            rest.split([' ', '\n', ')'])
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        let key = match only {
            "witness" => after("verifier key "),
            _ => after("verifier key of v2 "),
        };
        Self {
            address: after(" at http://"),
            key,
            server,
            directory,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Logs something, and gives the entry.
    fn log(&self, content: &str) -> Value {
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
        let answer = post(&self.address, "/api/v2/log/entries", request.to_string()).unwrap();
        let body = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, 201, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    fn newest(&self) -> Note {
        let answer = get(&self.address, "/api/v2/checkpoint").unwrap();
        assert_eq!(answer.status, 200);
        Note::parse(str::from_utf8(&answer.body).unwrap()).unwrap()
    }
}

fn envelope(entry: &Value) -> Note {
    let note = entry["inclusionProof"]["checkpoint"]["envelope"].as_str();
    Note::parse(note.unwrap()).unwrap()
}

/// The key that a log will have in this bench: it is made at the first start.
fn log_key(bench: &Bench) -> String {
    let log = Service::start(bench, "log", "127.0.0.1:0", &[]);
    let key = log.key.clone();
    assert!(log.server.terminate().success());
    key
}

#[test]
fn litewitness_cosigns_what_cosign_logs_and_a_policy_demands_it() {
    if !have(&["litewitness", "witnessctl", "cosign3"]) {
        return;
    }
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "key");
    let key = log_key(&bench);
    let witness = Litewitness::start(&bench, &[("127.0.0.1", &key)]);
    let policy = format!(
        "log {key}\nwitness lite {} http://{}\nquorum lite\n",
        witness.key, witness.address
    );
    bench.sandbox.write("witnesses", &policy);
    let policy = Policy::parse(policy.as_bytes()).unwrap();
    let words = ["--witness-policy", "witnesses", "--witness-required"];
    let log = Service::start(&bench, "log", "127.0.0.1:0", &words);

    bench.sandbox.write("app", "an app");
    bench
        .run(Tool::Cosign3)
        .args([
            "sign-blob",
            "--key",
            "key.key",
            "--yes",
            "--bundle",
            "app.json",
        ])
        .arg("--signing-config")
        .arg(log.file("signing_config_rekor_v2.json"))
        .arg("--trusted-root")
        .arg(log.file("trusted_root.json"))
        .arg("app")
        .run()
        .success();
    let bundle: Value = serde_json::from_str(&bench.sandbox.read("app.json")).unwrap();
    let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
    assert!(policy.is_cosigned(&envelope(entry)), "{bundle}");
    // Nobody minds the second signature.
    for tool in [Tool::Cosign3, Tool::Sealmark] {
        bench
            .run(tool)
            .args(["verify-blob", "--key", "key.pub", "--bundle", "app.json"])
            .arg("--trusted-root")
            .arg(log.file("trusted_root.json"))
            .arg("app")
            .run()
            .success();
    }
    // And who asks for it, finds it.
    let stranger = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    let stranger = NoteSigner::witness("stranger.example", stranger).unwrap();
    let stranger = stranger.verifier_key().unwrap().to_string();
    for (witness, code) in [(&witness.key, 0), (&stranger, 12)] {
        let file = format!(
            "version: 1\ntrustedRoot: {}\nrules:\n  - files: [\"**\"]\n    signature:\n      signers: [{{key: key.pub}}]\n    \
             log:\n      atLeast: 1\n      witnesses: [{{key: \"{witness}\"}}]\n",
            log.file("trusted_root.json").display()
        );
        bench.sandbox.write("policy.yaml", file);
        let verified = bench.sealmark(&[
            "verify-blob",
            "--policy",
            "policy.yaml",
            "--bundle",
            "app.json",
            "app",
        ]);
        let verified = verified.code(code);
        if code != 0 {
            verified.stderr_has("0 of the 1 witnesses that are needed");
        }
    }

    // The log grows, and is started again: litewitness says which size it has, and gets the proof from there.
    for number in 0..5 {
        assert!(policy.is_cosigned(&envelope(&log.log(&format!("entry {number}")))));
    }
    assert!(log.server.terminate().success());
    let log = Service::start(&bench, "log", "127.0.0.1:0", &words);
    let entry = log.log("after");
    assert_eq!(entry["logIndex"], "6");
    assert!(policy.is_cosigned(&envelope(&entry)));
    let newest = log.newest();
    assert!(policy.is_cosigned(&newest));
    assert_eq!(Checkpoint::parse(&newest.text).unwrap().size, 7);
    // What litewitness serves to monitors is what it has cosigned.
    let name = Digest::sha256(b"127.0.0.1").hex();
    let seen = get(&witness.address, &format!("/{name}/checkpoint")).unwrap();
    if seen.status == 200 {
        let seen = Note::parse(str::from_utf8(&seen.body).unwrap()).unwrap();
        assert_eq!(seen.text, newest.text);
    }
}

#[test]
fn our_witness_watches_our_log_and_another_log_may_be_the_witness() {
    let bench = Bench::new();
    let key = log_key(&bench);
    let witness = Service::start(&bench, "witness", "127.0.0.1:0", &["--log", &key]);
    let text = format!(
        "witness ours {} http://{}\nquorum ours\n",
        witness.key, witness.address
    );
    bench.sandbox.write("witnesses", &text);
    let policy = Policy::parse(text.as_bytes()).unwrap();
    let log = Service::start(
        &bench,
        "log",
        "127.0.0.1:0",
        &["--witness-policy", "witnesses"],
    );
    for number in 0..3 {
        assert!(policy.is_cosigned(&envelope(&log.log(&number.to_string()))));
    }
    assert!(policy.is_cosigned(&log.newest()));
    let name = Digest::sha256(b"127.0.0.1").hex();
    let seen = get(&witness.address, &format!("/{name}/checkpoint")).unwrap();
    let seen = Note::parse(str::from_utf8(&seen.body).unwrap()).unwrap();
    assert!(policy.is_cosigned(&seen));

    // Without the witness the log goes on, and says so once.
    assert!(witness.server.terminate().success());
    for number in 3..6 {
        assert!(!policy.is_cosigned(&envelope(&log.log(&number.to_string()))));
    }
    let said = log.server.log();
    assert_eq!(said.matches("does not cosign").count(), 1, "{said}");
    assert!(log.server.terminate().success());

    // The same log as a witness of others.
    let other = NoteSigner::log(
        "other.example",
        PrivateKey::generate(Algorithm::Ed25519).unwrap(),
    );
    let other = other.unwrap();
    let vkey = other.verifier_key().unwrap().to_string();
    let log = Service::start(&bench, "log", "127.0.0.1:0", &["--witness", "--log", &vkey]);
    let mut tree = MemoryTree::new();
    tree.push(leaf_hash(b"first"));
    let request = first(&tree, &other).to_string();
    let answer = post(&log.address, "/witness/add-checkpoint", request).unwrap();
    assert_eq!(answer.status, 200);
    let line = String::from_utf8(answer.body).unwrap();
    assert!(line.starts_with("\u{2014} 127.0.0.1/witness "), "{line}");
}

/// A request about all of a tree to a witness that knows nothing.
fn first(tree: &MemoryTree, by: &NoteSigner) -> AddCheckpoint {
    AddCheckpoint {
        old_size: 0,
        proof: Vec::new(),
        checkpoint: checkpoint(tree, tree.size(), by),
    }
}

fn checkpoint(tree: &MemoryTree, size: u64, by: &NoteSigner) -> String {
    let checkpoint = Checkpoint {
        origin: by.name().to_owned(),
        size,
        root: tree.root_at(size).unwrap(),
        extensions: Vec::new(),
    };
    let note = checkpoint.sign(0, std::slice::from_ref(by)).unwrap();
    note.to_string()
}

#[test]
fn a_witness_that_is_killed_has_not_forgotten_what_it_signed() {
    let bench = Bench::new();
    let key = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    let log = NoteSigner::log("log.example", key).unwrap();
    let vkey = log.verifier_key().unwrap().to_string();
    let mut tree = MemoryTree::new();
    (0..4000_u64).for_each(|leaf| tree.push(leaf_hash(&leaf.to_be_bytes())));
    let mut acknowledged = 0;
    for round in 1..=4_u64 {
        let mut witness = Service::start(&bench, "witness", "127.0.0.1:0", &["--log", &vkey]);
        // What it has is at least what it has answered, and what a client may have missed is one more.
        let asked = post(
            &witness.address,
            "/add-checkpoint",
            AddCheckpoint {
                old_size: 3999,
                proof: tree.consistency_proof(3999, 4000).unwrap(),
                checkpoint: checkpoint(&tree, 4000, &log),
            }
            .to_string(),
        );
        let asked = asked.unwrap();
        assert_eq!(asked.status, 409);
        let has: u64 = str::from_utf8(&asked.body).unwrap().trim().parse().unwrap();
        assert!(
            (acknowledged..=acknowledged + 1).contains(&has),
            "{has}, {acknowledged}"
        );
        acknowledged = has;
        std::thread::scope(|scope| {
            let (address, tree, log) = (witness.address.clone(), &tree, &log);
            let sender = scope.spawn(move || {
                let mut size = has;
                loop {
                    let request = AddCheckpoint {
                        old_size: size,
                        proof: match size {
                            0 => Vec::new(),
                            _ => tree.consistency_proof(size, size + 1).unwrap(),
                        },
                        checkpoint: checkpoint(tree, size + 1, log),
                    };
                    match post(&address, "/add-checkpoint", request.to_string()) {
                        Ok(answer) => assert_eq!(answer.status, 200),
                        Err(_) => return size,
                    }
                    size += 1;
                }
            });
            std::thread::sleep(std::time::Duration::from_millis(100 + 37 * round));
            witness.server.kill();
            let last = sender.join().unwrap();
            assert!(last > acknowledged, "it cosigned nothing in round {round}");
            acknowledged = last;
        });
    }
}

#[test]
fn flags_that_do_not_go_together_are_refused() {
    let bench = Bench::new();
    let key = NoteSigner::log(
        "log.example",
        PrivateKey::generate(Algorithm::Ed25519).unwrap(),
    );
    let vkey = key.unwrap().verifier_key().unwrap().to_string();
    bench.sandbox.write("empty", "quorum none\n");
    bench.sandbox.write("wrong", "quorum none\nnonsense\n");
    bench
        .sandbox
        .write("silent", format!("witness w {}\nquorum w\n", vkey));
    for (words, message) in [
        (
            &["--only", "witness"][..],
            "name them with --log VKEY or --policy FILE",
        ),
        (&["--only", "witness", "--policy", "empty"], "has no logs"),
        (
            &["--only", "witness", "--policy", "wrong"],
            "line 2 of the policy: \"nonsense\"",
        ),
        (
            &["--only", "witness", "--log", "abc"],
            "is not a verifier key",
        ),
        (
            &["--only", "witness", "--witness", "--log", &vkey],
            "is a witness anyway",
        ),
        (
            &[
                "--only",
                "witness",
                "--log",
                &vkey,
                "--witness-policy",
                "empty",
            ],
            "is for a log",
        ),
        (&["--only", "log", "--log", &vkey], "add --witness"),
        (&["--only", "log", "--witness"], "name them with --log"),
        (&["--only", "log", "--witness-required"], "--witness-policy"),
        (
            &["--only", "log", "--witness-policy", "silent"],
            "no witness with a URL",
        ),
        (&["--only", "log", "--witness-policy", "nowhere"], "nowhere"),
    ] {
        bench
            .run(Tool::Sealmark)
            .args(["serve", "--listen", "127.0.0.1:0", "--dir", "dir"])
            .args(words)
            .run()
            .failure()
            .stderr_has(message);
    }
}
