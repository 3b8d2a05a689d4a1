//! The configuration of `serve`: checked before it is used, and taken while requests run.

mod bench;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bench::issuer::{Issuer, ask};
use bench::{Bench, SEALMARK};
use sealmark_testkit::{Server, get};
use serde_json::{Value, json};

fn config(urls: &[&str]) -> String {
    let issuers = urls
        .iter()
        .map(|url| format!("  {url}:\n    client-id: sigstore\n    type: email\n"));
    format!("oidc-issuers:\n{}", issuers.collect::<String>())
}

struct Running {
    server: Server,
    address: String,
    metrics: String,
}

impl Running {
    fn start(bench: &Bench, more: &[&str]) -> Self {
        let program = bench.sandbox.command(SEALMARK);
        let words = ["serve", "--dir", "instance", "--listen", "127.0.0.1:0"];
        let program = program.args(words).args(["--metrics", "127.0.0.1:0"]);
        let (server, address) = program.args(more).serve(|line| {
            let (_, rest) = line.split_once("Sigstore at http://")?;
            rest.split(": ").next().map(str::to_owned)
        });
        let log = server.log();
        let metrics = log
            .lines()
            .find_map(|line| line.split_once("metrics at http://"));
        let metrics = metrics.expect("it says where its metrics are").1;
        let metrics = metrics.trim_end_matches("/metrics").to_owned();
        let running = Self {
            server,
            address,
            metrics,
        };
        running.wait("ready");
        running
    }

    /// Waits until the server has said so.
    fn wait(&self, text: &str) {
        let start = Instant::now();
        while !self.server.log().contains(text) {
            assert!(
                start.elapsed().as_secs() < 20,
                "no {text:?} in\n{}",
                self.server.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn metric(&self, name: &str) -> f64 {
        let text = get(&self.metrics, "/metrics")
            .expect("there are metrics")
            .body;
        let text = String::from_utf8(text).expect("they are a text");
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}"))
            .trim()
            .parse()
            .expect("a number")
    }
}

const GOOD: &str = "sealmark_config_last_reload_successful{file=\"issuers\"}";
const WHEN: &str = "sealmark_config_last_reload_success_timestamp_seconds{file=\"issuers\"}";

/// A file that is replaced as a whole, as editors and configuration management do it.
fn replace(bench: &Bench, content: &str) -> PathBuf {
    let new = bench.sandbox.write("issuers.new", content);
    let path = bench.sandbox.join("issuers.yaml");
    std::fs::rename(new, &path).expect("both are ours");
    path
}

#[test]
fn issuers_come_and_go_while_requests_run() {
    let bench = Bench::new();
    let (old, new) = (Issuer::start(), Issuer::start());
    replace(&bench, &config(&[&old.url]));
    let running = Running::start(&bench, &["--config", "issuers.yaml"]);
    let address = running.address.as_str();
    assert_eq!(ask(address, &old.token()).0, 200);
    let (status, answer) = ask(address, &new.token());
    assert_eq!(status, 400, "{answer}");
    assert_eq!(running.metric(GOOD), 1.0);
    let first = running.metric(WHEN);

    // Somebody asks all the time, and is never refused.
    let stop = Arc::new(AtomicBool::new(false));
    let asking = {
        let (stop, address, token) = (stop.clone(), address.to_owned(), old.token());
        std::thread::spawn(move || {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                let (status, answer) = ask(&address, &token);
                assert_eq!(status, 200, "{answer}");
                count += 1;
            }
            count
        })
    };
    std::thread::sleep(Duration::from_millis(1100));
    replace(&bench, &config(&[&old.url, &new.url]));
    running.wait(&format!("issuers.yaml is in use: added {}", new.url));
    assert_eq!(ask(address, &new.token()).0, 200);
    assert!(running.metric(WHEN) > first);

    // What is broken changes nothing, and is told with its lines.
    let broken = config(&[&old.url]).replace("type: email", "typ: email");
    replace(&bench, &broken);
    running.wait("issuers.yaml:4: ");
    running.wait("what was there before stays in use");
    assert!(running.server.log().contains("unknown field \"typ\""));
    assert_eq!(running.metric(GOOD), 0.0);
    assert_eq!(ask(address, &new.token()).0, 200);

    // What is repaired is taken at once, if one asks for it.
    replace(&bench, &config(&[&old.url]));
    let hangup = Command::new("kill")
        .args(["-HUP", &running.server.pid().to_string()])
        .status();
    assert!(hangup.expect("kill is there").success());
    running.wait(&format!("issuers.yaml is in use: removed {}", new.url));
    assert_eq!(running.metric(GOOD), 1.0);
    assert_eq!(ask(address, &new.token()).0, 400);
    stop.store(true, Ordering::Relaxed);
    let count = asking.join().expect("nobody was refused");
    assert!(count > 3, "{count}");
    assert!(running.server.terminate().success());
}

#[test]
fn users_come_and_go_too() {
    let bench = Bench::new();
    let users = |names: &[&str]| {
        let mut file = "users:\n".to_owned();
        for name in names {
            let hash = bench
                .sandbox
                .command(SEALMARK)
                .args(["serve", "hash-password", name]);
            file += &hash.stdin("correct horse\n").run().success().stdout();
        }
        bench.sandbox.write("users.yaml", file);
    };
    users(&["jane@example.org"]);
    let running = Running::start(&bench, &["--dev-issuer", "--dev-users", "users.yaml"]);
    users(&["jane@example.org", "joe@example.org"]);
    running.wait("users.yaml is in use: 2 users may log in");
    bench.sandbox.write("users.yaml", "users: []\n");
    running.wait("it has 0 users");
    assert_eq!(
        running.metric("sealmark_config_last_reload_successful{file=\"users\"}"),
        0.0
    );
    assert!(running.server.terminate().success());
}

#[test]
fn a_check_says_all_that_is_wrong_and_where() {
    let bench = Bench::new();
    let check = |file: &str, more: &[&str]| {
        let program = bench.sandbox.command(SEALMARK);
        program
            .args(["serve", "check", "--config", file])
            .args(more)
            .run()
    };
    bench.sandbox.write("bad.yaml", "oidc-issuers:\n  https://a.example:\n    client-id: sigstore\n    typ: email\n  http://b.example:\n    client-id: sigstore\n    type: email\n");
    let finished = check("bad.yaml", &[]).code(1);
    assert_eq!(
        finished.stdout(),
        "bad.yaml:2: the issuer https://a.example: type is missing\n\
         bad.yaml:4: the issuer https://a.example: unknown field \"typ\"; there are issuer-url, client-id, type, ci-provider, issuer-claim, subject-domain, spiffe-trust-domain, challenge-claim, ca-cert, skip-email-verification, allow, single-use-tokens, description, contact, environment\n\
         bad.yaml:5: warning: the issuer http://b.example: http: whoever is between it and this CA can exchange its keys, and so be anybody; use https\n"
    );
    finished.stderr_has("there are 2 faults");
    bench.sandbox.write("good.json", "{\"OIDCIssuers\": {\"https://a.example\": {\"ClientID\": \"sigstore\", \"Type\": \"email\"}}}");
    let finished = check("good.json", &[]).success();
    assert_eq!(
        finished.stdout(),
        "good.json: 1 issuer, no fault, 0 warnings\n"
    );
    let finished = check("bad.yaml", &["--output", "json"]).code(1);
    let json: Value = serde_json::from_str(&finished.stdout()).expect("it is JSON");
    assert_eq!(
        json["findings"][0],
        json!({"line": 2, "fault": true, "message": "the issuer https://a.example: type is missing"})
    );

    // Issuers are asked as the CA will ask them.
    let (good, away) = (Issuer::start(), "http://127.0.0.1:1");
    bench
        .sandbox
        .write("online.yaml", config(&[&good.url, away]));
    let finished = check("online.yaml", &["--online"]).code(1);
    let said = finished.stdout();
    assert!(
        said.contains(&format!(
            "online.yaml:2: the issuer {} answers: 1 keys, ES256",
            good.url
        )),
        "{said}"
    );
    assert!(said.contains("online.yaml:5: the issuer http://127.0.0.1:1: http://127.0.0.1:1/.well-known/openid-configuration did not answer"), "{said}");
    finished.stderr_has("there is 1 fault");

    bench
        .sandbox
        .write("users.yaml", "users:\n  - email: jane\n    password: x\n");
    let program = bench.sandbox.command(SEALMARK);
    let finished = program
        .args(["serve", "check", "--dev-users", "users.yaml"])
        .run()
        .code(1);
    assert!(finished.stdout().contains("\"jane\" is no e-mail address"));
}

#[test]
fn everybody_is_anybody_only_where_that_is_said() {
    let bench = Bench::new();
    let serve = |more: &[&str]| {
        let program = bench.sandbox.command(SEALMARK);
        let words = ["serve", "--dir", "instance", "--dev-issuer", "--listen"];
        program.args(words).args(more)
    };
    for more in [
        &["0.0.0.0:0", "--url", "http://sigstore.example"][..],
        &["127.0.0.1:0", "--url", "https://sigstore.example"],
    ] {
        let finished = serve(more).run().failure();
        let finished = finished.stderr_has("would give whoever reaches");
        finished.stderr_has("--dev-issuer-open-to-all");
        assert!(!bench.sandbox.join("instance").exists());
    }
    let finished = bench
        .sandbox
        .command(SEALMARK)
        .args(["serve", "hash-password", "jane"]);
    finished
        .stdin("x")
        .run()
        .failure()
        .stderr_has("is no e-mail address");
    let hash = bench
        .sandbox
        .command(SEALMARK)
        .args(["serve", "hash-password"]);
    let hash = hash.stdin("correct horse").run().success().stdout();
    assert!(hash.starts_with("$scrypt$ln=15,r=8,p=1$"), "{hash}");
    let open = [
        "127.0.0.1:0",
        "--url",
        "https://sigstore.example",
        "--dev-issuer-open-to-all",
    ];
    let (server, ()) = serve(&open).serve(|line| line.contains("ready").then_some(()));
    assert!(
        server.log().contains("asks nobody for a password"),
        "{}",
        server.log()
    );
    assert!(server.terminate().success());
}

#[test]
fn a_service_may_have_a_limit_of_its_own() {
    let bench = Bench::new();
    let issuer = Issuer::start();
    replace(&bench, &config(&[&issuer.url]));
    let flags = [
        "--config",
        "issuers.yaml",
        "--rate-limit",
        "tsa=2/h,log=off,5/h",
    ];
    let running = Running::start(&bench, &flags);
    let statuses = |path: &str, times: usize| -> Vec<u16> {
        let status = |_| get(&running.address, path).expect("it answers").status;
        (0..times).map(status).collect()
    };
    assert_eq!(statuses("/api/v1/timestamp/certchain", 3), [200, 200, 429]);
    // The others have not paid for it.
    assert_eq!(
        statuses("/api/v2/trustBundle", 6),
        [200, 200, 200, 200, 200, 429]
    );
    assert_eq!(
        statuses("/ct/ct/v1/get-sth", 6),
        [200, 200, 200, 200, 200, 429]
    );
    assert_eq!(statuses("/api/v1/log", 8), [200; 8]);
    let program = bench.sandbox.command(SEALMARK);
    let words = ["serve", "--dir", "x", "--rate-limit", "fulcio=1/s"];
    program
        .args(words)
        .run()
        .failure()
        .stderr_has("there are log, ca, ct, tsa, tuf, oidc, witness");
    assert!(running.server.terminate().success());
}

/// `systemctl reload`, or whoever exchanges a certificate, sends SIGHUP to every service.
#[test]
fn a_service_with_nothing_to_reload_outlives_sighup() {
    let bench = Bench::new();
    let start = |only: &[&str], dir: &str, more: &[&str]| {
        let program = bench.sandbox.command(SEALMARK).arg("serve").args(only);
        let program = program.args(["--listen", "127.0.0.1:0", "--dir", dir]);
        let program = program.args(more);
        program.serve(|line| line.contains("ready").then_some(())).0
    };
    let outlives = |server: Server| {
        for _ in 0..2 {
            let hangup = Command::new("kill")
                .args(["-HUP", &server.pid().to_string()])
                .status();
            assert!(hangup.expect("kill is there").success());
            std::thread::sleep(Duration::from_millis(200));
        }
        let log = server.log();
        assert!(
            log.contains("SIGHUP: there is no file that is read again"),
            "{log}"
        );
        // It ends as it is told to, and has not before.
        assert!(server.terminate().success());
        log
    };
    let log = outlives(start(&["--only", "log"], "log", &[]));
    let (_, key) = log
        .split_once("verifier key of v2 ")
        .expect("it says its key");
    let key = key.split_whitespace().next().expect("a key");
    outlives(start(&["--only", "witness"], "witness", &["--log", key]));
    outlives(start(&["--only", "tsa"], "tsa", &[]));
    outlives(start(&[], "instance", &["--dev-issuer"]));
}
