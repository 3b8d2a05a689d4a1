//! A log that is rotated, frozen, copied and checked, as its operator and the programs of its users see it.

mod bench;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bench::log::{Log, sign, signed, verify};
use bench::{Bench, SEALMARK, Tool, have, json};
use sealmark_formats::Digest;
use sealmark_testkit::{Finished, get};
use serde_json::Value;

fn rotate(bench: &Bench, directory: &Path, words: &[&str]) -> Finished {
    let rotate = bench.run(Tool::Sealmark).args(["log", "rotate"]);
    rotate.arg(directory).args(words).run()
}

#[test]
fn rekor_cli_goes_on_through_a_rotation() {
    if !have(&["rekor-cli", "openssl"]) {
        return;
    }
    let bench = Bench::new();
    let log = Log::start(&bench);
    let upload = |log: &Log, name: &str| {
        let words = signed(&bench, name);
        let uploaded = log.rekor(&bench, &["upload"]).args(&words).run().success();
        let uuid = uploaded
            .stdout()
            .trim()
            .rsplit('/')
            .next()
            .map(str::to_owned);
        (words, uuid.expect("it says where the entry is"))
    };
    let (first, first_id) = upload(&log, "first");
    upload(&log, "second");
    let good = "Verification Successful!";
    log.rekor(&bench, &["loginfo"])
        .run()
        .success()
        .stdout_has(good);
    let before = log.info();

    let log = log.stopped_for(&bench, |directory| {
        let said = json(&rotate(&bench, directory, &["--output", "json"]).success());
        assert_eq!(said["frozen"]["size"], 2);
        assert_eq!(said["active"]["firstIndex"], 2);
        assert_eq!(said["frozen"]["treeID"], before["treeID"]);
    });
    // The new tree is empty.
    log.rekor(&bench, &["loginfo"])
        .run()
        .success()
        .stdout_has(good);
    let (third, third_id) = upload(&log, "third");
    assert_ne!(first_id[..16], third_id[..16], "they are of two trees");
    // What rekor-cli has kept of the tree that was active is a prefix of the one that is frozen.
    log.rekor(&bench, &["loginfo"])
        .run()
        .success()
        .stdout_has(good);
    let (_, fourth_id) = upload(&log, "fourth");
    log.rekor(&bench, &["loginfo"])
        .run()
        .success()
        .stdout_has(good);
    let info = log.info();
    assert_eq!(info["inactiveShards"][0]["rootHash"], before["rootHash"]);

    for (index, id) in [(0, &first_id), (2, &third_id), (3, &fourth_id)] {
        for id in [id.as_str(), &id[16..]] {
            log.rekor(&bench, &["get", "--uuid", id])
                .run()
                .success()
                .stdout_has(&format!("Index: {index}\n"));
        }
        let index = index.to_string();
        log.rekor(&bench, &["get", "--log-index", &index, "--format", "json"])
            .run()
            .success()
            .stdout_has(id);
    }
    for entry in [&first, &third] {
        log.rekor(&bench, &["verify"]).args(entry).run().success();
    }
    let hash = Digest::sha256(b"first").to_string();
    log.rekor(&bench, &["search", "--sha", &hash])
        .run()
        .success()
        .stdout_has(&first_id);
    let tree = before["treeID"].as_str().expect("the log has an id");
    let proof = [
        "logproof",
        "--first-size",
        "1",
        "--last-size",
        "2",
        "--tree-id",
        tree,
    ];
    log.rekor(&bench, &proof)
        .run()
        .success()
        .stdout_has("Hashes");

    // Our own client sees the same.
    let root = log.file("trusted_root.json");
    let ours = |words: &[&str]| {
        let ours = bench.run(Tool::Sealmark).arg("log").args(words);
        let ours = ours.args(["--rekor-url", &log.url, "--output", "json"]);
        json(&ours.arg("--trusted-root").arg(&root).run().success())
    };
    assert!(ours(&["info"]).to_string().contains(tree));
    for (index, id) in [("0", &first_id), ("3", &fourth_id)] {
        for words in [["get", "--log-index", index], ["get", "--uuid", id]] {
            assert!(ours(&words).to_string().contains(id.as_str()), "{words:?}");
        }
    }
    assert!(log.server.terminate().success());
}

/// What was signed before a rotation is verified after it, and signing goes on.
#[test]
fn cosign_verifies_over_a_rotation() {
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "key");
    let log = Log::start(&bench);
    let tools = Tool::found();
    bench.sandbox.write("zeroth.txt", "zeroth");
    if tools.contains(&Tool::Cosign2) {
        sign(&bench, Tool::Cosign2, &log, "", "zeroth.txt", "zeroth.json").success();
    }
    let v2 = "signing_config_rekor_v2.json";
    let cases: Vec<(Tool, &str)> = [
        (Tool::Cosign2, ""),
        (Tool::Cosign3, "signing_config.json"),
        (Tool::Cosign3, v2),
    ]
    .into_iter()
    .filter(|(tool, _)| tools.contains(tool))
    .collect();
    let mut made: Vec<(String, String, bool)> = Vec::new();
    let mut round = |log: &Log, name: &str| {
        for (number, (signer, config)) in cases.iter().enumerate() {
            let file = format!("{name}{number}.txt");
            let bundle = format!("{name}{number}.json");
            bench.sandbox.write(&file, &file);
            sign(&bench, *signer, log, config, &file, &bundle).success();
            made.push((file, bundle, *config == v2));
        }
        for (file, bundle, is_v2) in &made {
            for verifier in &tools {
                if *is_v2 && *verifier == Tool::Cosign2 {
                    continue;
                }
                verify(&bench, *verifier, log, bundle, file).success();
                verify(&bench, *verifier, log, bundle, "key.pub").failure();
            }
        }
    };
    round(&log, "before");
    let old_root = std::fs::read(log.file("trusted_root.json")).unwrap();

    let mut files = Vec::new();
    let clients = |directory: &Path| {
        ["trusted_root.json", "signing_config.json", v2]
            .map(|name| std::fs::read_to_string(directory.join(name)).unwrap())
            .to_vec()
    };
    let port = log.address().rsplit(':').next().unwrap().to_owned();
    let log = log.stopped_for(&bench, |directory| {
        rotate(&bench, directory, &[]).success();
        rotate(&bench, directory, &["--interface", "v2"])
            .failure()
            .stderr_has("--url");
        let url = format!("http://localhost:{port}");
        rotate(&bench, directory, &["--interface", "v2", "--url", &url])
            .success()
            .stderr_has("give it to clients");
        files = clients(directory);
    });
    assert_eq!(
        clients(&log.directory),
        files,
        "they are there before it is served"
    );
    let root: Value =
        serde_json::from_slice(&std::fs::read(log.file("trusted_root.json")).unwrap()).unwrap();
    let logs = root["tlogs"].as_array().unwrap();
    assert_eq!(logs.len(), 4);
    for (log, is_frozen) in logs.iter().zip([true, false, true, false]) {
        let range = &log["publicKey"]["validFor"];
        assert!(range["start"].is_string());
        assert_eq!(range["end"].is_string(), is_frozen, "{log}");
    }
    let config: Value = serde_json::from_str(&bench.sandbox.read(format!("log/{v2}"))).unwrap();
    let services = config["rekorTlogUrls"].as_array().unwrap();
    assert_eq!(services.len(), 1);
    assert_eq!(services[0]["url"], format!("http://localhost:{port}"));
    round(&log, "after");

    // Who trusts only the old trees does not take entries of the new ones.
    bench.sandbox.write("old_root.json", old_root);
    for (number, (signer, _)) in cases.iter().enumerate() {
        let verify = bench.run(*signer).args(["verify-blob", "--key", "key.pub"]);
        let verify = match signer {
            Tool::Cosign2 => verify.arg("--new-bundle-format"),
            _ => verify,
        };
        verify
            .args(["--bundle", &format!("after{number}.json")])
            .args([
                "--trusted-root",
                "old_root.json",
                &format!("after{number}.txt"),
            ])
            .run()
            .failure();
    }
    assert!(log.server.terminate().success());
}

/// RSA signatures are always the same, so signing again sends the same entry.
#[test]
fn cosign_signs_the_same_again_if_the_log_returns_duplicates() {
    let bench = Bench::new();
    if !Tool::found().contains(&Tool::Cosign3) {
        return;
    }
    bench.make_key("rsa-2048", "key");
    bench.sandbox.write("a.txt", "a");
    let v2 = "signing_config_rekor_v2.json";
    let log = Log::start(&bench);
    sign(&bench, Tool::Cosign3, &log, v2, "a.txt", "one.json").success();
    sign(&bench, Tool::Cosign3, &log, v2, "a.txt", "two.json")
        .failure()
        .stderr_has("an equivalent entry already exists");
    let address = log.address().to_owned();
    assert!(log.server.terminate().success());
    let log = Log::listen_with(&bench, &address, &["--v2-duplicates", "return"]);
    sign(&bench, Tool::Cosign3, &log, v2, "a.txt", "two.json").success();
    for bundle in ["one.json", "two.json"] {
        verify(&bench, Tool::Cosign3, &log, bundle, "a.txt").success();
        let bundle: Value = serde_json::from_str(&bench.sandbox.read(bundle)).unwrap();
        let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
        assert!(
            entry["logIndex"].is_null() || entry["logIndex"] == "0",
            "{entry}"
        );
    }
    assert!(log.server.terminate().success());
}

/// What cosign attests is kept, and rekor-cli shows it.
#[test]
fn attestations_are_kept_if_the_operator_wants() {
    let bench = Bench::new();
    if !Tool::found().contains(&Tool::Cosign2) || !have(&["rekor-cli"]) {
        return;
    }
    bench.make_key("ecdsa-p256", "key");
    bench.sandbox.write("predicate.json", "{\"built\": true}");
    let mut address = "127.0.0.1:0".to_owned();
    for (round, flags) in [&[][..], &["--store-attestations"]].into_iter().enumerate() {
        let log = Log::listen_with(&bench, &address, flags);
        address = log.address().to_owned();
        let file = format!("{round}.txt");
        bench.sandbox.write(&file, &file);
        bench
            .run(Tool::Cosign2)
            .args([
                "attest-blob",
                "--key",
                "key.key",
                "--yes",
                "--new-bundle-format",
            ])
            .args(["--bundle", "bundle.json", "--type", "custom"])
            .args(["--predicate", "predicate.json", "--rekor-url", &log.url])
            .args(["--rekor-entry-type", "intoto", &file])
            .env("SIGSTORE_REKOR_PUBLIC_KEY", log.key())
            .run();
        let index = round.to_string();
        let got = ["get", "--log-index", &index, "--format", "json"];
        let shown = json(&log.rekor(&bench, &got).run().success());
        let kept = shown["Attestation"].as_str().unwrap_or_default();
        let statement: Value = serde_json::from_str(kept).unwrap_or_default();
        let digest = Digest::sha256(file.as_bytes()).hex();
        match round {
            0 => assert_eq!(kept, "", "{shown}"),
            _ => assert_eq!(
                statement["subject"][0]["digest"]["sha256"], digest,
                "{shown}"
            ),
        }
        assert!(log.server.terminate().success());
    }
    bench
        .sealmark(&[
            "serve",
            "--only",
            "log",
            "--dir",
            "x",
            "--max-attestation-size",
            "1KiB",
        ])
        .failure()
        .stderr_has("--store-attestations");
}

#[test]
fn an_operator_checks_copies_and_moves_a_log() {
    if !have(&["rekor-cli", "openssl"]) {
        return;
    }
    let bench = Bench::new();
    let log = Log::start(&bench);
    let entry = signed(&bench, "first");
    log.rekor(&bench, &["upload"]).args(&entry).run().success();
    // Only a copy is made while the log is served.
    for command in [
        &["log", "fsck", "log"][..],
        &["log", "rotate", "log"],
        &["log", "freeze", "log"],
    ] {
        bench
            .sealmark(command)
            .failure()
            .stderr_has("in use by another process (process ")
            .stderr_has("stop the server first");
    }
    bench.sealmark(&["log", "backup", "log", "copy"]).success();
    bench
        .sealmark(&["log", "backup", "log", "copy"])
        .failure()
        .stderr_has("is there already");
    let sound = bench
        .sealmark(&["log", "fsck", "copy", "--output", "json"])
        .success();
    let sound = json(&sound);
    assert_eq!(sound["sound"], true);
    assert_eq!(sound["trees"][0]["size"], 1);
    assert_eq!(sound["trees"].as_array().unwrap().len(), 2);
    let info = log.info();
    assert!(log.server.terminate().success());

    bench
        .sealmark(&["log", "export", "copy", "out.jsonl"])
        .success()
        .stdout_has("1 entries");
    bench
        .sealmark(&["log", "export", "copy", "out.jsonl"])
        .failure()
        .stderr_has("out.jsonl");
    let printed = bench.sealmark(&["log", "export", "copy", "-"]).success();
    assert_eq!(printed.stdout(), bench.sandbox.read("out.jsonl"));
    let moved = [
        "log",
        "import",
        "moved",
        "out.jsonl",
        "--key",
        "copy/keys/v1.pem",
    ];
    bench.sealmark(&moved).success().stdout_has("1 entries");
    bench
        .sealmark(&["log", "fsck", "moved"])
        .success()
        .stdout_has("sound");

    // The copy is the log, and so is what was moved.
    for directory in ["copy", "moved"] {
        std::fs::remove_dir_all(bench.sandbox.join("log")).unwrap();
        std::fs::rename(bench.sandbox.join(directory), bench.sandbox.join("log")).unwrap();
        let log = Log::start(&bench);
        for same in ["treeID", "treeSize", "rootHash"] {
            assert_eq!(log.info()[same], info[same], "{directory}: {same}");
        }
        log.rekor(&bench, &["verify"]).args(&entry).run().success();
        assert!(log.server.terminate().success());
    }

    // What is damaged is named, and scripts learn it.
    let words = ["log", "freeze", "log"];
    bench.sealmark(&words).success().stdout_has("1 entries");
    bench.sealmark(&words).success().stdout_has("nothing to do");
    std::fs::remove_file(bench.sandbox.join("log/keys/v1.pem")).unwrap();
    bench
        .sealmark(&["log", "fsck", "log"])
        .code(1)
        .stdout_has("log/keys/v1.pem: it is missing")
        .stderr_has("1 finding");
    let found = bench
        .sealmark(&["log", "fsck", "log", "--output", "json"])
        .code(1);
    assert_eq!(json(&found)["sound"], false);
    bench
        .sealmark(&["log", "fsck", "nowhere"])
        .failure()
        .stderr_has("has no transparency log");
}

/// Whenever a rotation is killed, the log is the old one or the new one.
#[test]
fn a_rotation_outlives_kill_9() {
    let bench = Bench::new();
    let log = Log::start(&bench);
    let directory = log.directory.clone();
    let address = log.address().to_owned();
    assert!(log.server.terminate().success());
    let mut trees = 1;
    let mut cut = 0;
    // A rotation takes some ten milliseconds; each is killed a little later than the one before.
    for round in 0..24u64 {
        let mut child = Command::new(SEALMARK)
            .args(["log", "rotate"])
            .arg(&directory)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(3 * (round % 16)));
        child.kill().unwrap();
        let finished = child.wait().unwrap().success();
        cut += usize::from(!finished);
        let report = bench
            .run(Tool::Sealmark)
            .args(["log", "fsck", "--output", "json"]);
        let report = json(&report.arg(&directory).run().success());
        assert_eq!(report["sound"], true, "round {round}: {report}");
        let log = Log::listen(&bench, &address);
        let info = log.info();
        let now = 1 + info["inactiveShards"].as_array().unwrap().len();
        let (least, most) = (trees + usize::from(finished), trees + 1);
        assert!(
            (least..=most).contains(&now),
            "round {round}: {trees} to {now}"
        );
        trees = now;
        let ready = get(log.address(), "/healthz").unwrap();
        assert_eq!(ready.status, 200);
        assert!(log.server.terminate().success());
    }
    assert!(cut > 3, "{cut} were cut short");
}

/// Whenever an import is killed, there is no tree of it, or the whole.
#[test]
fn an_import_outlives_kill_9() {
    if !have(&["rekor-cli", "openssl"]) {
        return;
    }
    let bench = Bench::new();
    let log = Log::start(&bench);
    for name in ["one", "two", "three"] {
        let entry = signed(&bench, name);
        log.rekor(&bench, &["upload"]).args(&entry).run().success();
    }
    assert!(log.server.terminate().success());
    bench
        .sealmark(&["log", "export", "log", "out.jsonl"])
        .success();
    let import = [
        "log",
        "import",
        "moved",
        "out.jsonl",
        "--key",
        "log/keys/v1.pem",
    ];
    let moved = bench.sandbox.join("moved");
    let mut cut = 0;
    for round in 0..30 {
        let mut child = Command::new(SEALMARK)
            .args(import)
            .current_dir(bench.sandbox.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(3 * (round % 16)));
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            break;
        }
        cut += 1;
        // There may be nothing at all yet.
        if !moved.join("sealmark-log").exists() {
            continue;
        }
        let report = json(
            &bench
                .sealmark(&["log", "fsck", "moved", "--output", "json"])
                .success(),
        );
        assert_eq!(report["sound"], true, "round {round}: {report}");
    }
    assert!(cut > 0);
    let again = bench.sealmark(&import);
    let is_whole = again.exit_code() == Some(0) || again.stderr().contains("already");
    assert!(is_whole, "{again}");
    let info = std::fs::read(moved.join("sealmark-log")).unwrap();
    let info: Value = serde_json::from_slice(&info).unwrap();
    let ready = info["shards"].as_array().unwrap().iter();
    assert_eq!(
        ready.filter(|shard| shard["stage"].is_null()).count(),
        1,
        "{info}"
    );
    bench.sealmark(&["log", "fsck", "moved"]).success();
}
