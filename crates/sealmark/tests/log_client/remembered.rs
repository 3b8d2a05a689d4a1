//! What is remembered of a log from one command to the next.

use crate::bench::{Bench, SEALMARK};
use crate::serving::{Log, json, signed};

const STATE: &str = "home/.local/state/sealmark/logs.json";

#[test]
fn a_log_has_to_go_on_from_where_it_was() {
    let bench = Bench::new();
    let log = Log::start(&bench);
    let address = log.address().to_owned();
    for version in ["1", "2"] {
        let info = || {
            let info = log.sealmark(&bench, &["info", "--log-version", version]);
            info.run().success()
        };
        let upload = |name: &str| {
            log.sealmark(&bench, &["upload", "--log-version", version])
                .args(signed(&bench, &format!("{name}{version}")))
                .run()
                .success()
        };
        info().stdout_has("nothing to compare it with yet");
        upload("one");
        info().stdout_has("the same tree as last time");
        // Others go on writing, and the next command sees that nothing was lost.
        let before = bench.sandbox.read(STATE);
        for name in ["two", "three", "four"] {
            upload(name);
        }
        bench.sandbox.write(STATE, &before);
        info().stdout_has("grown from 1 entry, which it still has");
    }
    log.stop();

    // The operator restores a backup that is older than the last entry.
    copy(&bench, "log", "backup");
    let log = Log::listen(&bench, &address, "log");
    for version in ["1", "2"] {
        log.sealmark(&bench, &["upload", "--log-version", version])
            .args(signed(&bench, &format!("last{version}")))
            .run()
            .success();
    }
    log.stop();
    copy(&bench, "backup", "log");
    let log = Log::listen(&bench, &address, "log");
    for (version, what) in [("1", 5), ("2", 5)] {
        let then = what;
        let now = then - 1;
        log.sealmark(&bench, &["info", "--log-version", version])
            .run()
            .failure()
            .stderr_has(&format!(
                "error: do not trust this answer of {address}: a tree of {now} entries: it had {then} when it was last \
                 seen from here, and cannot prove that it still has them: it was rolled back"
            ));
    }
    log.stop();
}

/// `from` takes the place of `to`.
fn copy(bench: &Bench, from: &str, to: &str) {
    let (from, to) = (bench.sandbox.join(from), bench.sandbox.join(to));
    let _ = std::fs::remove_dir_all(&to);
    bench
        .sandbox
        .command("cp")
        .arg("-r")
        .arg(from)
        .arg(to)
        .run()
        .success();
}

#[test]
fn who_wants_it_leaves_no_trace() {
    let bench = Bench::new();
    let log = Log::start(&bench);
    for _ in 0..2 {
        log.sealmark(&bench, &["info", "--store-tree-state=false"])
            .run()
            .success()
            .stdout_has("nothing to compare it with yet");
    }
    assert!(!bench.sandbox.join(STATE).exists());
    log.stop();
}

#[test]
fn a_key_that_the_server_names_is_believed_once() {
    let bench = Bench::new();
    let log = Log::start(&bench);
    let info = |log: &Log| {
        let info = bench.sandbox.command(SEALMARK).args(["log", "info"]);
        info.args(["--rekor-url", &log.url]).run()
    };
    info(&log)
        .success()
        .stderr_has("is not known, so what the server says is believed: sha256:");
    info(&log)
        .success()
        .stderr_has("is the one that the server named when it was first asked");
    let address = log.address().to_owned();
    log.stop();
    // Somebody else answers there now, with a key of his own.
    let other = Log::listen(&bench, &address, "other");
    let failed = info(&other).failure();
    let tree = json(
        &other
            .sealmark(&bench, &["info", "-o", "json"])
            .run()
            .success(),
    );
    let tree = tree["TreeID"].as_str().unwrap();
    failed.stderr_has(&format!(
        "error: do not trust this answer of {address}: the checkpoint of tree {tree}: no signature on the note is by"
    ));
    // A log of version 2 says no key at all.
    let words = ["log", "info", "--log-version", "2", "--rekor-url"];
    bench
        .sandbox
        .command(SEALMARK)
        .args(words)
        .arg(&other.url)
        .run()
        .failure()
        .stderr_has("a log of version 2 does not say it: give it with --rekor-public-key");
    let key = other.directory.join("keys/v2.pub");
    bench
        .sandbox
        .command(SEALMARK)
        .args(words)
        .arg(&other.url)
        .arg("--rekor-public-key")
        .arg(key)
        .run()
        .success();
    other.stop();
}

#[test]
fn a_trusted_root_without_the_log_is_no_reason_to_believe_the_server() {
    let bench = Bench::new();
    let log = Log::start(&bench);
    bench
        .sandbox
        .command(SEALMARK)
        .args(["log", "info", "--rekor-url", &log.url, "--trusted-root"])
        .arg(&bench.trusted_root)
        .run()
        .failure()
        .stderr_has("has no key of a log at")
        .stderr_has("but of no log at all; give the log's key with --rekor-public-key");
    log.stop();
}
