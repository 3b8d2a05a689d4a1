//! `serve --only`: services in processes of their own make one instance.

mod bench;

use std::net::TcpListener;

use bench::issuer::{Issuer, WHO};
use bench::{Bench, SEALMARK, have};
use sealmark_testkit::{Finished, Server, get};
use serde_json::Value;

/// An address that nobody has.
fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it has an address");
    address.to_string()
}

/// What a service is run with: its name, which is also its directory, its address, and the rest.
fn words<'a>(name: &'a str, address: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let start = ["serve", "--only", name, "--dir", name, "--listen", address];
    [&start, more].concat()
}

fn prepare(bench: &Bench, name: &str, address: &str) -> Finished {
    let program = bench.sandbox.command(SEALMARK);
    let words = words(name, address, &["--prepare"]);
    program.args(words).run().success()
}

fn serve(bench: &Bench, name: &str, address: &str, more: &[&str]) -> Server {
    let program = bench.sandbox.command(SEALMARK);
    let ready = |line: &str| line.contains("ready").then_some(());
    program.args(words(name, address, more)).serve(ready).0
}

/// The words after `command` in the line that a service told.
fn told(log: &str, command: &str) -> Vec<String> {
    let line = log
        .lines()
        .find_map(|line| line.trim().strip_prefix(command));
    let line = line.unwrap_or_else(|| panic!("no {command:?} in\n{log}"));
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn four_processes_are_one_sigstore() {
    if !have(&["cosign3"]) {
        return;
    }
    let bench = Bench::new();
    let issuer = Issuer::start();
    let config = format!(
        "oidc-issuers:\n  {}:\n    client-id: sigstore\n    type: email\n",
        issuer.url
    );
    bench.sandbox.write("issuers.yaml", config);
    let [ca, ct, tsa, log] = [free(), free(), free(), free()];
    // The CA and its CT log each need the other's certificate or key, before either is served.
    prepare(&bench, "ca", &ca);
    prepare(&bench, "ct", &ct);
    let roots = ["--ct-roots", "ca/chain.pem"];
    let ct_server = serve(&bench, "ct", &ct, &roots);
    let ct_url = format!("http://{ct}/ct");
    let flags = ["--config", "issuers.yaml", "--ct-url", &ct_url];
    let flags = [&flags[..], &["--ct-key", "ct/keys/ct.pub"]].concat();
    let ca_server = serve(&bench, "ca", &ca, &flags);
    let tsa_server = serve(&bench, "tsa", &tsa, &[]);
    let log_server = serve(&bench, "log", &log, &[]);

    // What each says is what a trusted root and a signing configuration are made of.
    let log_url = format!("http://{log}");
    let since = "start-time=2020-01-01T00:00:00Z";
    let rekor = format!("url={log_url},public-key=log/keys/v2.pub,{since},origin=127.0.0.1");
    let mut root = vec!["--rekor".to_owned(), rekor];
    for server in [&ca_server, &ct_server, &tsa_server] {
        root.extend(told(&server.log(), "sealmark trusted-root create "));
    }
    let rekor = format!("url={log_url},api-version=2,{since},operator=test");
    let mut config = vec!["--rekor".to_owned(), rekor];
    for server in [&ca_server, &tsa_server] {
        config.extend(told(&server.log(), "sealmark signing-config create "));
    }
    let create = |command: &str, words: &[String], out: &str| {
        let program = bench.sandbox.command(SEALMARK).args([command, "create"]);
        program.args(words).args(["--out", out]).run().success();
    };
    create("trusted-root", &root, "root.json");
    config.extend(["--rekor-config", "ANY", "--tsa-config", "ANY"].map(str::to_owned));
    create("signing-config", &config, "config.json");

    let programs = || [bench.sandbox.command(SEALMARK), bench.peer("cosign3")];
    for (at, signer) in programs().into_iter().enumerate() {
        let (file, bundle) = (format!("{at}.txt"), format!("{at}.json"));
        bench.sandbox.write(&file, &file);
        let signer = signer.args(["sign-blob", "--yes", "--bundle", &bundle]);
        let signer = signer.args([
            "--signing-config",
            "config.json",
            "--trusted-root",
            "root.json",
        ]);
        let signer = signer.env("SIGSTORE_ID_TOKEN", issuer.token());
        signer.arg(&file).run().success();
        for verifier in programs() {
            let verifier = verifier.args(["verify-blob", "--bundle", &bundle]);
            let verifier = verifier.args(["--trusted-root", "root.json"]);
            let verifier = verifier.args(["--certificate-oidc-issuer", &issuer.url]);
            let verifier = verifier.args(["--certificate-identity", WHO]);
            verifier.arg(&file).run().success();
        }
    }

    // What was signed is in both logs.
    let size = |address: &str, path: &str| {
        let answer = get(address, path).expect("it answers");
        let answer: Value = serde_json::from_slice(&answer.body).expect("it is JSON");
        answer["tree_size"].as_u64()
    };
    assert_eq!(size(&ct, "/ct/ct/v1/get-sth"), Some(2));
    for server in [&ca, &ct, &tsa, &log] {
        assert_eq!(get(server, "/healthz").expect("it answers").status, 200);
    }
    // Each answers for itself alone.
    assert_eq!(
        get(&tsa, "/api/v2/trustBundle").expect("it answers").status,
        404
    );
    assert_eq!(
        get(&ca, "/api/v1/timestamp/certchain")
            .expect("it answers")
            .status,
        404
    );

    // Without its CT log the CA issues nothing, and says why.
    assert!(ct_server.terminate().success());
    let (status, answer) = bench::issuer::ask(&ca, &issuer.token());
    assert_eq!(status, 503, "{answer}");
    let message = answer["message"].as_str().expect("it is a text");
    assert!(
        message.contains("Error entering certificate in CTL"),
        "{message}"
    );
    // It goes on when the log does.
    let ct_server = serve(&bench, "ct", &ct, &roots);
    assert_eq!(bench::issuer::ask(&ca, &issuer.token()).0, 200);
    assert_eq!(size(&ct, "/ct/ct/v1/get-sth"), Some(3));
    for server in [ca_server, ct_server, tsa_server, log_server] {
        assert!(server.terminate().success());
    }
}

#[test]
fn several_services_share_a_process_and_a_directory() {
    let bench = Bench::new();
    let issuer = Issuer::start();
    let config = format!(
        "oidc-issuers:\n  {}:\n    client-id: sigstore\n    type: email\n",
        issuer.url
    );
    bench.sandbox.write("issuers.yaml", config);
    let address = free();
    let start = [
        "serve",
        "--only",
        "ca,ct,oidc",
        "--dir",
        "some",
        "--listen",
        &address,
    ];
    let start = || {
        let program = bench.sandbox.command(SEALMARK).args(start);
        let program = program.args(["--config", "issuers.yaml"]);
        program.serve(|line| line.contains("ready").then_some(())).0
    };
    let server = start();
    let (status, answer) = bench::issuer::ask(&address, &issuer.token());
    assert_eq!(status, 200, "{answer}");
    assert!(answer["signedCertificateEmbeddedSct"].is_object());
    // The CA believes the issuer beside it, too.
    let answer = get(&address, "/api/v2/configuration").expect("it answers");
    let text = String::from_utf8(answer.body).expect("it is a text");
    assert!(text.contains(&format!("http://{address}/oidc")), "{text}");
    let bundle = get(&address, "/api/v2/trustBundle")
        .expect("it answers")
        .body;
    assert!(server.terminate().success());
    let server = start();
    assert_eq!(
        get(&address, "/api/v2/trustBundle")
            .expect("it answers")
            .body,
        bundle
    );
    assert!(server.terminate().success());
}

#[test]
fn a_tuf_repository_hands_out_a_folder_and_what_it_becomes() {
    let bench = Bench::new();
    bench
        .sandbox
        .write("targets/trusted_root.json", "{\"one\": 1}");
    bench.sandbox.write("targets/.ignored", "x");
    let address = free();
    let server = serve(&bench, "tuf", &address, &["--tuf-targets", "targets"]);
    let newest = || -> (u64, Vec<String>) {
        let read = |path: &str| -> Value {
            let answer = get(&address, path).expect("it answers");
            serde_json::from_slice(&answer.body).expect("it is JSON")
        };
        let version = |json: &Value, of: &str| json["signed"]["meta"][of]["version"].as_u64();
        let snapshot = version(&read("/tuf/timestamp.json"), "snapshot.json").expect("it has one");
        let snapshot = read(&format!("/tuf/{snapshot}.snapshot.json"));
        let targets = version(&snapshot, "targets.json").expect("it has one");
        let names = read(&format!("/tuf/{targets}.targets.json"));
        let names = names["signed"]["targets"].as_object().expect("it has some");
        (targets, names.keys().cloned().collect())
    };
    let (first, names) = newest();
    assert_eq!(names, ["trusted_root.json"]);
    bench
        .sandbox
        .write("targets/signing_config.v0.2.json", "{}");
    let start = std::time::Instant::now();
    loop {
        let (version, names) = newest();
        if version > first {
            assert_eq!(names, ["signing_config.v0.2.json", "trusted_root.json"]);
            break;
        }
        assert!(start.elapsed().as_secs() < 20, "{}", server.log());
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert!(server.terminate().success());
}

#[test]
fn what_a_service_lacks_is_said_before_anything_is_made() {
    let bench = Bench::new();
    bench.sandbox.write(
        "issuers.yaml",
        "oidc-issuers:\n  https://a.example:\n    client-id: x\n    type: email\n",
    );
    let issuers = ["--config", "issuers.yaml"];
    for (only, words, message) in [
        ("ca", &[][..], "nobody could get a certificate"),
        ("ca", &issuers[..], "a certificate authority needs a CT log"),
        (
            "ca",
            &[
                "--config",
                "issuers.yaml",
                "--ct-url",
                "http://127.0.0.1:1/ct",
            ],
            "--ct-key",
        ),
        (
            "ca,ct",
            &["--config", "issuers.yaml", "--without-ct"],
            "without a CT log beside it",
        ),
        ("ct", &[], "--ct-roots FILE"),
        ("ct", &issuers, "--config is for the certificate authority"),
        (
            "tsa",
            &["--ct-roots", "a.pem"],
            "--ct-roots is for a CT log",
        ),
        ("tuf", &[], "--tuf-targets DIR"),
        (
            "tsa",
            &["--witness"],
            "witnesses are for the transparency log",
        ),
        ("tsa", &["--dev-issuer"], "--only, name oidc"),
        ("tsa,witness", &[], "--only witness goes alone"),
        (
            "log",
            &["--prepare"],
            "--prepare is for services of an instance",
        ),
        (
            "ca",
            &["--prepare"],
            "give --url, or --listen with the port",
        ),
    ] {
        let program = bench.sandbox.command(SEALMARK);
        let start = [
            "serve",
            "--only",
            only,
            "--dir",
            "d",
            "--listen",
            "127.0.0.1:0",
        ];
        let finished = program.args(start).args(words).run();
        finished.failure().stderr_has(message);
        assert!(!bench.sandbox.join("d").exists(), "{only} {words:?}");
    }
    // Somebody else's directory is not touched.
    bench.sandbox.write("mine/letter.txt", "Dear");
    let program = bench.sandbox.command(SEALMARK);
    let start = [
        "serve",
        "--only",
        "tsa",
        "--dir",
        "mine",
        "--listen",
        "127.0.0.1:0",
    ];
    program
        .args(start)
        .run()
        .failure()
        .stderr_has("is not empty");
    // A certificate authority that logs nowhere says what that means.
    let address = free();
    let more = ["--config", "issuers.yaml", "--without-ct"];
    let server = serve(&bench, "ca", &address, &more);
    assert!(
        server
            .log()
            .contains("warning: no CT log has the certificates"),
        "{}",
        server.log()
    );
    assert!(server.terminate().success());
}

#[test]
fn the_folder_of_an_instances_service_can_be_served_elsewhere() {
    let bench = Bench::new();
    let address = free();
    let program = bench.sandbox.command(SEALMARK);
    let words = [
        "serve",
        "--dir",
        "instance",
        "--dev-issuer",
        "--listen",
        &address,
    ];
    let (server, ()) = program
        .args(words)
        .serve(|line| line.contains("ready").then_some(()));
    let ask = |address: &str, path: &str| get(address, path).expect("it answers").body;
    let chain = ask(&address, "/api/v1/timestamp/certchain");
    let roots = ask(&address, "/ct/ct/v1/get-roots");
    let bundle = ask(&address, "/api/v2/trustBundle");
    assert!(server.terminate().success());
    for name in ["tsa", "ct", "ca"] {
        let moved = std::process::Command::new("cp")
            .arg("-a")
            .args([
                bench.sandbox.join("instance").join(name),
                bench.sandbox.join(name),
            ])
            .status();
        assert!(moved.expect("cp is there").success());
    }
    let elsewhere = free();
    let server = serve(&bench, "tsa", &elsewhere, &[]);
    assert_eq!(ask(&elsewhere, "/api/v1/timestamp/certchain"), chain);
    assert!(server.terminate().success());
    // A CT log's URL is part of what it signs.
    let server = serve(&bench, "ct", &address, &["--ct-roots", "ca/root.pem"]);
    assert_eq!(ask(&address, "/ct/ct/v1/get-roots"), roots);
    assert!(server.terminate().success());
    bench.sandbox.write("issuers.yaml", "oidc-issuers: {}\n");
    let more = ["--config", "issuers.yaml", "--without-ct"];
    let server = serve(&bench, "ca", &elsewhere, &more);
    assert_eq!(ask(&elsewhere, "/api/v2/trustBundle"), bundle);
    assert!(server.terminate().success());
}
