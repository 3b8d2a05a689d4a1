//! `log monitor`, as somebody runs it who wants to know what is signed in their name.

#![allow(clippy::unwrap_used, reason = "tests")]

mod filled;

use std::path::PathBuf;
use std::time::Duration;

use filled::fill;
use sealmark_entries::{RequestV2, SentVerifier};
use sealmark_formats::log_entry::{EntrySignature, Verifier, hashedrekord_v2_body};
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_keys::PublicKey;
use sealmark_rekor::{Http, LogKey, Options, v1, v2};
use sealmark_testkit::{Finished, Program, Sandbox, Server};
use sealmark_virtual::{By, Identity, Made, Proofs, Signed, VirtualSigstore, What};
use serde_json::Value;

const SEALMARK: &str = env!("CARGO_BIN_EXE_sealmark");
const ISSUER: &str = "https://id.example.com";
/// `PKIX_ECDSA_P256_SHA_256` of sigstore_common.proto.
const P256: u64 = 5;

/// A running log, and a home.
struct Log {
    sandbox: Sandbox,
    url: String,
    directory: PathBuf,
    server: Server,
}

impl Log {
    fn start() -> Self {
        Self::listen(Sandbox::new(), "log", "127.0.0.1:0")
    }

    fn listen(sandbox: Sandbox, folder: &str, address: &str) -> Self {
        let directory = sandbox.join(folder);
        let program = sandbox
            .command(SEALMARK)
            .args(["serve", "--only", "log", "--listen", address, "--dir"])
            .arg(&directory);
        let (server, url) = program.serve(|line| {
            let (_, rest) = line.split_once("transparency log at ")?;
            rest.split(' ').next().map(str::to_owned)
        });
        Self {
            sandbox,
            url,
            directory,
            server,
        }
    }

    /// The same place and address, from another directory.
    fn restart(self, folder: &str) -> Self {
        let address = self.url.trim_start_matches("http://").to_owned();
        assert!(self.server.terminate().success());
        Self::listen(self.sandbox, folder, &address)
    }

    fn key(&self, name: &str) -> PublicKey {
        let pem = std::fs::read(self.directory.join("keys").join(name)).unwrap();
        PublicKey::from_pem(&pem).unwrap()
    }

    fn upload(&self, signed: &Signed) {
        let http = Http::new(&self.url, Options::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let proposed: Value =
                serde_json::from_slice(&signed.log_entries[0].canonicalized_body).unwrap();
            let keys = vec![LogKey::from(self.key("v1.pub"))];
            let first = v1::Client::new(http.clone(), keys);
            first.upload(&proposed, None).await.unwrap();
            let Made::File { digest, signature } = &signed.made else {
                panic!("these tests sign files");
            };
            let verifier = match &signed.certificate {
                Some(certificate) => SentVerifier::Certificate(certificate.der().to_vec()),
                None => SentVerifier::PublicKey(signed.key.public_key().spki_der().to_vec()),
            };
            let request = RequestV2 {
                digest: digest.bytes().to_vec(),
                signature: signature.clone(),
                verifier: Some(verifier),
                key_details: P256,
            };
            let second = v2::Client::new(http, "127.0.0.1", self.key("v2.pub"));
            second.upload(request).await.unwrap();
        });
    }

    fn monitor(&self, version: &str, words: &[&str]) -> Program {
        self.sandbox
            .command(SEALMARK)
            .args(["log", "monitor", "--rekor-url", &self.url])
            .args(["--log-version", version, "--trusted-root"])
            .arg(self.directory.join("trusted_root.json"))
            .args(words)
    }
}

/// The JSON lines of one type.
fn lines(finished: &Finished, of: &str) -> Vec<Value> {
    let text = finished.stdout();
    let all = text.lines().map(|line| serde_json::from_str(line).unwrap());
    all.filter(|line: &Value| line["type"] == of).collect()
}

fn indices(lines: &[Value]) -> Vec<u64> {
    lines
        .iter()
        .map(|line| line["index"].as_u64().unwrap())
        .collect()
}

/// Signs as many files, each time for the next of these names.
fn sign(sigstore: &VirtualSigstore, names: &[&str], from: usize) -> Vec<Signed> {
    let signed = names.iter().enumerate().map(|(number, name)| {
        let content = format!("file {}", from + number);
        let who = Identity::email(name, ISSUER);
        sigstore.sign(
            What::File(content.as_bytes()),
            By::Identity(&who),
            Proofs::REKOR_V1,
        )
    });
    signed.collect()
}

const JANE: &str = "jane@example.com";
const JOHN: &str = "john@example.com";

#[test]
fn who_signs_in_my_name_is_told_in_every_run_once() {
    let log = Log::start();
    let sigstore = VirtualSigstore::new();
    for signed in sign(&sigstore, &[JANE, JOHN, JANE], 0) {
        log.upload(&signed);
    }
    for version in ["1", "2"] {
        let state = format!("state-{version}.json");
        let run = |words: &[&str]| {
            let always = ["--identity", JANE, "--issuer", ISSUER, "--state", &state];
            log.monitor(version, &always).args(words).run()
        };
        // The first run begins now, unless it is told otherwise.
        let nothing = log
            .monitor(version, &["--identity", JANE, "--state", "other.json"])
            .run()
            .success();
        assert_eq!(nothing.stdout(), "", "{nothing}");
        let first = run(&["--from", "0", "--output", "json"]).success();
        let found = lines(&first, "match");
        assert_eq!(indices(&found), [0, 2], "{first}");
        let entry = &found[1];
        assert_eq!(entry["kind"], "hashedrekord");
        assert_eq!(entry["matched"][0]["by"], "identity");
        assert_eq!(entry["matched"][0]["found"], JANE);
        assert_eq!(entry["signers"][0]["subjects"][0], JANE);
        assert_eq!(entry["signers"][0]["issuer"], ISSUER);
        assert_eq!(entry["digests"][0], Digest::sha256(b"file 2").to_string());
        let uuid = entry["uuid"].as_str().unwrap();
        assert_eq!(uuid.len(), if version == "1" { 80 } else { 64 });
        assert_eq!(entry["time"].is_string(), version == "1", "{entry}");
        let progress = &lines(&first, "checkpoint")[0];
        assert_eq!(
            (&progress["size"], &progress["next"]),
            (&3.into(), &3.into())
        );

        let again = run(&["--output", "json"]).success();
        assert!(lines(&again, "match").is_empty(), "{again}");
        assert_eq!(lines(&again, "checkpoint")[0]["consistentWith"], 3);
    }
    for signed in sign(&sigstore, &[JOHN, JANE], 3) {
        log.upload(&signed);
    }
    for version in ["1", "2"] {
        let state = format!("state-{version}.json");
        let words = ["--identity", JANE, "--issuer", ISSUER, "--state", &state];
        let text = log.monitor(version, &words).run().success();
        text.stdout_has("entry 4 of 127.0.0.1")
            .stdout_has("signed by jane@example.com at https://id.example.com")
            .stderr_has("5 entries, consistent with the 3 before; 2 entries read, 1 found");
    }
}

#[test]
fn a_file_of_rekor_monitor_says_what_to_look_for() {
    let log = Log::start();
    let sigstore = VirtualSigstore::new();
    for signed in sign(&sigstore, &[JANE, JOHN, "eve@example.org"], 0) {
        log.upload(&signed);
    }
    let config = "startIndex: 0
monitoredValues:
  certIdentities:
    - certSubject: ^j[a-z]*@example\\.com$
      issuers: [https://id\\.example]
    - certSubject: eve@example.org
      issuers: [https://elsewhere]
outputIdentities: identities.txt
";
    log.sandbox.write("config.yaml", config);
    for version in ["1", "2"] {
        let words = [
            "--config",
            "config.yaml",
            "--output",
            "json",
            "--fail-on-match",
        ];
        let run = log.monitor(version, &words).run().code(21);
        assert_eq!(indices(&lines(&run, "match")), [0, 1], "{run}");
        run.stderr_has("outputIdentities")
            .stderr_has("found 2 entries");
    }
    log.sandbox
        .write("wrong.yaml", "monitoredValues:\n  certSubjects: []\n");
    log.monitor("2", &["--config", "wrong.yaml"])
        .run()
        .code(1)
        .stderr_has("wrong.yaml")
        .stderr_has("line 2");
}

#[test]
fn a_program_is_told_and_what_it_does_not_take_comes_again() {
    let log = Log::start();
    let sigstore = VirtualSigstore::new();
    for signed in sign(&sigstore, &[JANE, JOHN, JANE, JANE], 0) {
        log.upload(&signed);
    }
    log.sandbox.write(
        "take.sh",
        "cat >> taken.jsonl\n[ \"$(wc -l < taken.jsonl)\" -ne 2 ]\n",
    );
    let words = ["--identity", JANE, "--from", "0", "--exec", "sh take.sh"];
    let run = log.monitor("2", &words).run().code(1);
    run.stderr_has("entry 2 was not reported")
        .stderr_has("sh: it ended with exit status: 1");
    log.monitor("2", &words).run().success();
    let taken = log.sandbox.read("taken.jsonl");
    let taken: Vec<Value> = taken
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(indices(&taken), [0, 2, 2, 3]);

    let state = ["--state", "other.json"];
    let may_fail = [
        "--identity",
        JANE,
        "--from",
        "0",
        "--exec",
        "false",
        "--exec-may-fail",
    ];
    let run = log.monitor("2", &may_fail).args(state).run().success();
    run.stdout_has("entry 3")
        .stderr_has("warning: --exec false: it ended with");
    let slow = [
        "--identity",
        JANE,
        "--from",
        "0",
        "--exec",
        "sleep 60",
        "--exec-timeout",
        "200ms",
        "--state",
        "third.json",
    ];
    log.monitor("2", &slow)
        .timeout(Duration::from_secs(20))
        .run()
        .code(1)
        .stderr_has("was killed; allow more with --exec-timeout");
    log.monitor(
        "2",
        &[
            "--exec",
            "no-such-program",
            "--identity",
            JANE,
            "--from",
            "0",
        ],
    )
    .args(["--state", "fourth.json"])
    .run()
    .code(1)
    .stderr_has("cannot start");
}

/// Somebody restores the log from yesterday's backup: its keys sign a second history.
#[test]
fn a_log_that_was_restored_from_a_backup_is_an_alarm() {
    let log = Log::start();
    let sigstore = VirtualSigstore::new();
    log.upload(&sign(&sigstore, &[JANE], 0)[0]);
    // The backup, of a log that has stopped.
    let log = log.restart("log");
    let log = {
        let address = log.url.trim_start_matches("http://").to_owned();
        assert!(log.server.terminate().success());
        copy(&log.directory, &log.sandbox.join("backup"));
        copy(&log.directory, &log.sandbox.join("backup-2"));
        Log::listen(log.sandbox, "log", &address)
    };
    for signed in sign(&sigstore, &[JOHN, JOHN], 1) {
        log.upload(&signed);
    }
    let words = [
        "--identity",
        JANE,
        "--output",
        "json",
        "--exec",
        "tee alarm.json",
    ];
    for version in ["1", "2"] {
        log.monitor(version, &words).run().success();
    }
    let log = log.restart("backup");
    for version in ["1", "2"] {
        let run = log.monitor(version, &words).run().code(20);
        assert_eq!(lines(&run, "inconsistent")[0]["what"], "rollback", "{run}");
        run.stderr_has("HAS CONTRADICTED ITSELF");
    }
    for signed in sign(&sigstore, &[JANE, JANE, JANE, JANE], 10) {
        log.upload(&signed);
    }
    for version in ["1", "2"] {
        let run = log.monitor(version, &words).run().code(20);
        let alarm = &lines(&run, "inconsistent")[0];
        assert_eq!(alarm["what"], "fork", "{run}");
        assert!(lines(&run, "match").is_empty(), "{run}");
        let evidence = alarm["evidence"].as_str().unwrap();
        let kept: Value = serde_json::from_slice(&std::fs::read(evidence).unwrap()).unwrap();
        assert_eq!(kept["before"], alarm["before"]);
        assert_eq!(kept["after"], alarm["after"]);
        let told: Value = serde_json::from_str(&log.sandbox.read("alarm.json")).unwrap();
        assert_eq!(&told, alarm);
    }
    // As many entries as before, but others.
    let log = log.restart("backup-2");
    for signed in sign(&sigstore, &[JANE, JANE], 20) {
        log.upload(&signed);
    }
    for version in ["1", "2"] {
        let run = log.monitor(version, &words).run().code(20);
        assert_eq!(lines(&run, "inconsistent")[0]["what"], "fork", "{run}");
        run.stderr_has("two ").stderr_has("trees");
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    let status = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Entries as a Rekor v2 has them, every `nth` with Jane's certificate and the others with John's. Each has a digest of
/// its own; no log that checks signatures would take them.
fn many(count: usize, nth: usize) -> impl Iterator<Item = Vec<u8>> {
    let sigstore = VirtualSigstore::new();
    let signed = sign(&sigstore, &[JANE, JOHN], 0);
    (0..count).map(move |number| {
        let signed = &signed[usize::from(number % nth != 0)];
        let digest = Digest::of(HashAlgorithm::Sha256, &number.to_be_bytes());
        let certificate = signed.certificate.as_ref().unwrap();
        let signature = EntrySignature {
            signature: Some(signed.signature().to_vec()),
            verifier: Verifier::Certificate(certificate.der().to_vec()),
            key_details: Some("PKIX_ECDSA_P256_SHA_256".to_owned()),
        };
        hashedrekord_v2_body(&digest, &signature).unwrap()
    })
}

/// What Jane has signed among so many; in which order entries come into a log is the log's affair.
fn of_jane(count: usize, nth: usize) -> Vec<String> {
    let mut digests: Vec<String> = (0..count)
        .step_by(nth)
        .map(|number| Digest::sha256(&number.to_be_bytes()).to_string())
        .collect();
    digests.sort();
    digests
}

/// The digests in the lines that a program has got, sorted. One that was killed may have left half a line.
fn digests(log: &Log, file: &str) -> Vec<String> {
    let text = log.sandbox.read(file);
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let digests = lines.map(|line| line["digests"][0].as_str().unwrap().to_owned());
    let mut digests: Vec<String> = digests.collect();
    digests.sort();
    digests
}

/// A log with many entries.
fn filled(count: usize, nth: usize) -> Log {
    let log = Log::start();
    let address = log.url.trim_start_matches("http://").to_owned();
    let (sandbox, directory) = (log.sandbox, log.directory);
    assert!(log.server.terminate().success());
    fill(&directory, "127.0.0.1", many(count, nth));
    Log::listen(sandbox, "log", &address)
}

#[test]
fn kill_9_loses_no_match() {
    let log = filled(3000, 30);
    log.sandbox
        .write("take.sh", "cat >> taken.jsonl\nsleep 0.01\n");
    let words = ["--identity", JANE, "--from", "0", "--exec", "sh take.sh"];
    // Moments that differ from run to run of the test would make its failures hard to repeat.
    let mut moment = 40u64;
    let mut kills = 0;
    loop {
        let (mut running, ()) = log
            .monitor("2", &words)
            .args(["--follow", "--interval", "100ms"])
            .serve(|_| Some(()));
        moment = moment * 7919 % 1999;
        std::thread::sleep(Duration::from_millis(moment));
        running.kill();
        kills += 1;
        let state: Value = serde_json::from_str(&log.sandbox.read(state_file(&log))).unwrap();
        if state["logs"]["127.0.0.1"]["next"] == 3000 || kills > 200 {
            break;
        }
    }
    let mut taken = digests(&log, "taken.jsonl");
    taken.dedup();
    assert_eq!(taken, of_jane(3000, 30));
    assert!(kills > 1, "it was never interrupted");
}

/// Where the state is if nobody says.
fn state_file(log: &Log) -> PathBuf {
    let place = log.url.trim_start_matches("http://").replace(':', "_");
    PathBuf::from(format!(
        "home/.local/state/sealmark/monitor-{place}-v2.json"
    ))
}

#[test]
fn a_stopped_monitor_goes_on_where_it_was() {
    let log = filled(2000, 10);
    log.sandbox
        .write("take.sh", "cat >> taken.jsonl\nsleep 0.01\n");
    let words = [
        "--identity",
        JANE,
        "--from",
        "0",
        "--exec",
        "sh take.sh",
        "--state",
        "s.json",
    ];
    for _ in 0..3 {
        let (running, ()) = log.monitor("2", &words).arg("--follow").serve(|_| Some(()));
        std::thread::sleep(Duration::from_millis(300));
        assert!(running.terminate().success());
    }
    log.monitor("2", &words).run().success();
    // Nothing twice: what was reported is remembered when it stops by itself.
    assert_eq!(digests(&log, "taken.jsonl"), of_jane(2000, 10));
}

#[test]
fn following_finds_what_comes_later() {
    let log = Log::start();
    let sigstore = VirtualSigstore::new();
    let signed = sign(&sigstore, &[JANE, JANE], 0);
    for version in ["1", "2"] {
        let taken = format!("taken-{version}.jsonl");
        let exec = format!("tee -a {taken}");
        let words = [
            "--identity",
            JANE,
            "--exec",
            &exec,
            "--follow",
            "--interval",
            "100ms",
        ];
        let (running, ()) = log
            .monitor(version, &words)
            .serve(|line| line.contains("first seen").then_some(()));
        log.upload(&signed[usize::from(version == "2")]);
        let mut waited = 0;
        while !log.sandbox.join(&taken).exists() && waited < 100 {
            std::thread::sleep(Duration::from_millis(100));
            waited += 1;
        }
        assert!(running.terminate().success());
        assert_eq!(log.sandbox.read(&taken).lines().count(), 1);
    }
}

#[test]
fn what_is_wrong_with_the_question_is_told() {
    let log = Log::start();
    for (words, message) in [
        (&["--identity-regexp", "("][..], "--identity-regexp \"(\""),
        (&["--identity", ""], "--identity is empty"),
        (&["--key", "nothing"], "there is no such file"),
        (&["--digest", "sha256:00"], "sha256:00"),
        (&["--certificate-oid", "1.2.3"], "write OID=TEXT"),
        (&["--certificate-oid", "build=x"], "no object identifier"),
        (
            &["--from", "yesterday"],
            "neither an index nor the word now",
        ),
        (&["--exec", "'"], "a quote is not closed"),
    ] {
        log.monitor("2", words).run().code(1).stderr_has(message);
    }
    // Without anything to look for, consistency is what is left.
    log.monitor("2", &[])
        .run()
        .success()
        .stderr_has("the log's consistency alone is checked");
}

/// What any program for such logs can read, ours can, and the other way round: a Rekor v2 is one, a level lower.
#[test]
fn any_log_of_tiles_can_be_followed() {
    let log = Log::start();
    for signed in sign(&VirtualSigstore::new(), &[JOHN, JANE], 0) {
        log.upload(&signed);
    }
    let run = |origin: &str, key: &str| {
        log.sandbox
            .command(SEALMARK)
            .args([
                "log",
                "monitor",
                "--rekor-url",
                &format!("{}/api/v2", log.url),
            ])
            .args(["--origin", origin, "--rekor-public-key"])
            .arg(log.directory.join("keys").join(key))
            .args(["--from", "0", "--identity", JANE])
            .run()
    };
    run("127.0.0.1", "v2.pub")
        .success()
        .stdout_has("entry 1 of 127.0.0.1");
    run("elsewhere.example", "v2.pub")
        .code(1)
        .stderr_has("elsewhere.example");
    run("127.0.0.1", "v1.pub")
        .code(1)
        .stderr_has("do not trust");
}
