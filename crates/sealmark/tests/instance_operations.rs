//! `serve rotate`, `serve backup` and `serve status`: an instance gets new keys, and what was signed before stays good, for
//! Sealmark, cosign 3, sigstore-python and python-tuf.

mod bench;

use std::path::PathBuf;
use std::time::Duration;

use bench::issuer::{Issuer, WHO};
use bench::{Bench, SEALMARK, have, json};
use sealmark_testkit::{Finished, Program, Server, get};
use serde_json::Value;

/// An instance that is started and stopped, always at the same address.
struct Instance {
    bench: Bench,
    issuer: Issuer,
    directory: &'static str,
    more: Vec<&'static str>,
    url: String,
    server: Option<Server>,
}

impl Instance {
    fn start(more: &[&'static str]) -> Self {
        let (bench, issuer) = (Bench::new(), Issuer::start());
        let config = format!(
            "oidc-issuers:\n  {}:\n    client-id: sigstore\n    type: email\n",
            issuer.url
        );
        bench.sandbox.write("issuers.yaml", config);
        bench.sandbox.write("password", "correct horse\n");
        let mut instance = Self {
            bench,
            issuer,
            directory: "instance",
            more: more.to_vec(),
            url: "http://127.0.0.1:0".to_owned(),
            server: None,
        };
        instance.again();
        instance
    }

    /// Starts it, where it was.
    fn again(&mut self) {
        let listen = self.url.trim_start_matches("http://");
        let program = self.bench.sandbox.command(SEALMARK);
        let program = program.args(["serve", "--dir", self.directory, "--listen", listen]);
        let program = program.args(["--config", "issuers.yaml"]).args(&self.more);
        let (server, url) = program.serve(|line| {
            let (_, rest) = line.split_once("Sigstore at ")?;
            rest.split(": ").next().map(str::to_owned)
        });
        self.server = Some(server);
        self.url = url;
    }

    fn stop(&mut self) {
        let server = self.server.take().expect("it runs");
        assert!(server.terminate().success());
    }

    fn file(&self, name: &str) -> PathBuf {
        self.bench.sandbox.join(self.directory).join(name)
    }

    fn sealmark(&self, words: &[&str]) -> Finished {
        self.bench.sandbox.command(SEALMARK).args(words).run()
    }

    /// `serve rotate` with these words.
    fn rotate(&self, words: &[&str]) -> Finished {
        let program = self.bench.sandbox.command(SEALMARK);
        let program = program.args(["serve", "rotate", "--dir", self.directory]);
        program.args(words).run()
    }

    fn status(&self) -> Value {
        let words = ["serve", "status", "--dir", self.directory, "-o", "json"];
        json(&self.sealmark(&words).success())
    }

    /// Items of a service: what it is, and its state.
    fn states(&self, service: &str) -> Vec<(String, String)> {
        let status = self.status();
        let items = status["items"].as_array().expect("it has items").clone();
        let text = |value: &Value| value.as_str().expect("it is text").to_owned();
        let of_service = items.iter().filter(|item| item["service"] == service);
        of_service
            .map(|item| (text(&item["what"]), text(&item["state"])))
            .collect()
    }

    fn program(&self, client: &str) -> Program {
        match client {
            "sealmark" => self.bench.sandbox.command(SEALMARK),
            peer => self.bench.peer(peer),
        }
    }

    fn sign(&self, client: &str, config: &str, name: &str) {
        self.bench.sandbox.write(name, format!("file {name}"));
        let (token, bundle) = (self.issuer.token(), format!("{name}.json"));
        let program = self.program(client).env("SIGSTORE_ID_TOKEN", &token).args([
            "sign-blob",
            "--yes",
            "--bundle",
            &bundle,
        ]);
        let program = program.arg("--signing-config").arg(self.file(config));
        let program = program.arg("--trusted-root");
        let program = program.arg(self.file("trusted_root.json"));
        program.arg(name).run().success();
    }

    /// Everybody verifies, by the files of the instance.
    fn all_verify(&self, name: &str) {
        let (bundle, issuer) = (format!("{name}.json"), self.issuer.url.as_str());
        for client in ["sealmark", "cosign3"] {
            let program = self.program(client);
            let program = program.args(["verify-blob", "--bundle", &bundle, "--trusted-root"]);
            let program = program.arg(self.file("trusted_root.json"));
            let program = program.args(["--certificate-identity", WHO]);
            let program = program.args(["--certificate-oidc-issuer", issuer]);
            program.arg(name).run().success();
        }
        let python = self.program("sigstore-python").arg("--trust-config");
        let python = python.arg(self.file("trust_config.json"));
        let python = python.args(["verify", "identity", "--bundle", &bundle]);
        let python = python.args(["--cert-identity", WHO, "--cert-oidc-issuer", issuer]);
        python.arg(name).run().success();
    }

    /// A client that learns by TUF.
    fn with_tuf(&self, client: &str) -> Program {
        let home = self.bench.sandbox.join(format!("tuf-{client}"));
        self.program(client).env("TUF_ROOT", home)
    }

    fn initialize(&self, client: &str) {
        let mirror = format!("{}/tuf", self.url);
        let program = self.with_tuf(client);
        let program = program.args(["initialize", "--mirror", &mirror, "--root"]);
        program.arg(self.file("root.json")).run().success();
    }

    fn verify_by_tuf(&self, client: &str, name: &str) {
        let program = self.with_tuf(client).args(["verify-blob", "--bundle"]);
        let program = program.arg(format!("{name}.json"));
        let program = program.args(["--certificate-identity", WHO]);
        let program = program.args(["--certificate-oidc-issuer", &self.issuer.url]);
        program.arg(name).run().success();
    }

    /// What python-tuf, which knows the first root, gets for the trusted root.
    fn python_tuf(&self) -> String {
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../server/tests/tuf/python_client.py"
        );
        let client = self.program("python-tuf").arg(script);
        let client = client.arg(self.bench.sandbox.join("python-tuf"));
        let client = client.arg(format!("{}/tuf", self.url));
        let client = client.arg(self.file("root.json")).arg("trusted_root.json");
        client.run().success().stdout().to_owned()
    }

    fn trusted_root(&self) -> Value {
        let file = std::fs::read(self.file("trusted_root.json")).expect("it is there");
        serde_json::from_slice(&file).expect("it is JSON")
    }
}

/// How many entries of each kind a trusted root has, and how many of them have ended.
type Counts = [(usize, usize); 4];

fn counts(root: &Value) -> Counts {
    [
        "certificateAuthorities",
        "ctlogs",
        "tlogs",
        "timestampAuthorities",
    ]
    .map(|kind| {
        let all = root[kind].as_array().expect("it has some");
        let range = |entry: &Value| match entry["publicKey"].is_object() {
            true => entry["publicKey"]["validFor"]["end"].is_string(),
            false => entry["validFor"]["end"].is_string(),
        };
        (all.len(), all.iter().filter(|entry| range(entry)).count())
    })
}

#[test]
fn every_key_is_exchanged_and_old_signatures_stay_good() {
    if !have(&["cosign3", "sigstore-python", "python-tuf"]) {
        return;
    }
    let mut instance = Instance::start(&[]);
    for client in ["sealmark", "cosign3"] {
        instance.initialize(client);
    }
    let first_root = instance.python_tuf();
    instance.sign("cosign3", "signing_config_rekor_v2.json", "a0");
    instance.sign("sealmark", "signing_config.json", "b0");
    let port = instance.url.rsplit(':').next().expect("it has a port");
    let second_log = format!("http://localhost:{port}");
    let rotations: [(&[&str], Counts); 8] = [
        (&["ca"], [(2, 1), (1, 0), (2, 0), (1, 0)]),
        (&["ct"], [(2, 1), (2, 1), (2, 0), (1, 0)]),
        (&["tsa"], [(2, 1), (2, 1), (2, 0), (2, 1)]),
        (&["log"], [(2, 1), (2, 1), (3, 1), (2, 1)]),
        (
            &["log", "--interface", "v2", "--log-url", &second_log],
            [(2, 1), (2, 1), (4, 2), (2, 1)],
        ),
        (&["ca", "--new-root"], [(3, 2), (2, 1), (4, 2), (2, 1)]),
        (&["tsa", "--new-root"], [(3, 2), (2, 1), (4, 2), (3, 2)]),
        (&["ct"], [(3, 2), (3, 2), (4, 2), (3, 2)]),
    ];
    let mut names = vec!["a0".to_owned(), "b0".to_owned()];
    for (at, (words, expected)) in rotations.into_iter().enumerate() {
        instance.stop();
        instance.rotate(words).success();
        assert_eq!(counts(&instance.trusted_root()), expected, "{words:?}");
        instance.rotate(&["tuf"]).success();
        if at % 2 == 1 {
            instance.rotate(&["tuf", "--root"]).success();
        }
        instance.again();
        assert_eq!(counts(&instance.trusted_root()), expected, "{words:?}");
        // The program updates by itself; cosign keeps what it has for a day, unless it is told.
        instance.initialize("cosign3");
        let (new, config) = match at % 2 {
            0 => (format!("a{}", at + 1), "signing_config_rekor_v2.json"),
            _ => (format!("b{}", at + 1), "signing_config.json"),
        };
        let client = ["sealmark", "cosign3"][at / 2 % 2];
        instance.sign(client, config, &new);
        names.push(new.clone());
        for name in ["a0", "b0", &new] {
            instance.verify_by_tuf("sealmark", name);
            instance.verify_by_tuf("cosign3", name);
        }
        let root: Value = serde_json::from_str(&instance.python_tuf()).expect("it is JSON");
        assert_eq!(root, instance.trusted_root(), "{words:?}");
    }
    assert_ne!(instance.python_tuf(), first_root);
    for name in &names {
        instance.all_verify(name);
    }
    // The old CT logs can be read at their place, and take nothing; there is no fourth.
    let address = instance.url.trim_start_matches("http://");
    for (path, status) in [
        ("/ct/ct/v1/get-sth", 200),
        ("/ct/2/ct/v1/get-sth", 200),
        ("/ct/3/checkpoint", 200),
        ("/ct/4/checkpoint", 404),
        ("/ct/2/ct/v1/get-entries?start=0&end=0", 200),
    ] {
        let answer = get(address, path).expect("it answers");
        assert_eq!(answer.status, status, "{path}");
    }
    let retired = |service: &str| {
        let states = instance.states(service);
        let all = states.iter().filter(|(what, _)| what != "root");
        let old = all.clone().filter(|(_, state)| state == "retired");
        (all.count(), old.count())
    };
    assert_eq!(retired("ca"), (3, 2));
    assert_eq!(retired("ct"), (3, 2));
    assert_eq!(retired("tsa"), (3, 2));
    assert_eq!(retired("log"), (4, 2));
    assert_eq!(retired("tuf"), (4, 0));
}

#[test]
fn keys_are_announced_before_they_are_used() {
    if !have(&["cosign3", "sigstore-python"]) {
        return;
    }
    let mut instance = Instance::start(&[]);
    instance.stop();
    instance.rotate(&["ca", "--in", "2d"]).success();
    instance
        .rotate(&["ca"])
        .failure()
        .stderr_has("new keys already");
    assert_eq!(counts(&instance.trusted_root())[0], (2, 0));
    instance.again();
    assert_eq!(counts(&instance.trusted_root())[0], (2, 0));
    instance.sign("sealmark", "signing_config_rekor_v2.json", "a");
    instance.all_verify("a");
    let certificates: Vec<_> = instance.states("ca");
    let states: Vec<&str> = certificates.iter().map(|(_, state)| &**state).collect();
    assert_eq!(states, ["active", "active", "waiting"]);
}

/// The same process serves on, under the same process id, and what was signed before stays good.
#[test]
fn a_running_instance_turns_to_the_new_keys_when_their_time_has_come() {
    if !have(&["cosign3", "sigstore-python"]) {
        return;
    }
    let mut instance = Instance::start(&[]);
    instance.sign("sealmark", "signing_config.json", "before");
    instance.stop();
    instance.rotate(&["ca", "--in", "4s"]).success();
    instance.rotate(&["tsa", "--in", "4s"]).success();
    instance.again();
    let turned = |instance: &Instance| {
        let certificates = instance.states("ca");
        certificates.iter().all(|(_, state)| state != "waiting")
    };
    let began = std::time::Instant::now();
    while !turned(&instance) {
        assert!(began.elapsed().as_secs() < 60, "it never turned");
        std::thread::sleep(Duration::from_millis(200));
    }
    // It may be between its two lives.
    let url = instance.url.clone();
    let address = url.trim_start_matches("http://");
    while get(address, "/healthz").is_err() {
        assert!(began.elapsed().as_secs() < 60, "it did not come back");
        std::thread::sleep(Duration::from_millis(50));
    }
    instance.sign("sealmark", "signing_config.json", "after");
    for name in ["before", "after"] {
        instance.all_verify(name);
    }
    assert_eq!(counts(&instance.trusted_root())[0], (2, 1));
    instance.stop();
}

#[test]
fn a_copy_of_a_running_instance_goes_on_in_its_place() {
    if !have(&["cosign3", "sigstore-python"]) {
        return;
    }
    let mut instance = Instance::start(&[]);
    instance.sign("sealmark", "signing_config.json", "first");
    instance.stop();
    instance.rotate(&["ca"]).success();
    instance.rotate(&["ct"]).success();
    instance.again();
    instance.sign("sealmark", "signing_config_rekor_v2.json", "second");
    let backup = ["serve", "backup", "--dir", "instance", "--to", "copy"];
    instance.sealmark(&backup).success();
    instance
        .sealmark(&backup)
        .failure()
        .stderr_has("is there already");
    instance.stop();
    std::fs::remove_dir_all(instance.file("")).expect("the disk is lost");
    instance.directory = "copy";
    instance.again();
    instance.sign("cosign3", "signing_config_rekor_v2.json", "third");
    for name in ["first", "second", "third"] {
        instance.all_verify(name);
    }
    instance.stop();
    for service in ["ca", "ct", "tsa", "log", "tuf"] {
        instance.rotate(&[service]).success();
    }
    instance.again();
    instance.sign("sealmark", "signing_config.json", "fourth");
    instance.all_verify("fourth");
    instance.all_verify("first");
}

#[test]
fn keys_are_encrypted_and_the_tuf_root_key_is_elsewhere() {
    if !have(&["cosign3"]) {
        return;
    }
    let flags = ["--password-file", "password", "--tuf-root-key", "root.key"];
    let mut instance = Instance::start(&flags);
    let keys = |status: &Value, wanted: &str| {
        let items = status["items"].as_array().expect("it has items").iter();
        items.filter(|item| item["key"] == wanted).count()
    };
    let status = instance.status();
    assert_eq!(keys(&status, "plain"), 0, "{status:#}");
    assert_eq!(keys(&status, "elsewhere"), 1, "{status:#}");
    assert_eq!(status["warnings"].as_array().map(Vec::len), Some(0));
    instance.initialize("cosign3");
    instance
        .rotate(&["tuf"])
        .failure()
        .stderr_has("stop the server");
    instance.stop();
    let password = ["--password-file", "password"];
    let rotate = |words: &[&str]| instance.rotate(&[words, &password].concat());
    instance.rotate(&["ca"]).failure().stderr_has("keys/");
    rotate(&["tuf"]).failure().stderr_has("--root-key");
    rotate(&["ca", "--root-key", "root.key"])
        .failure()
        .stderr_has("is for tuf");
    let offline = ["--root-key", "root.key"];
    rotate(&[&["tuf"], &offline[..]].concat()).success();
    rotate(&[&["tuf", "--renew-root"], &offline[..]].concat()).success();
    let moved = [
        &["tuf", "--root", "--export-root-key", "new.key"],
        &offline[..],
    ]
    .concat();
    rotate(&moved).success();
    // The old key is nobody's any more.
    rotate(&[&["tuf", "--renew-root"], &offline[..]].concat()).failure();
    rotate(&["tuf", "--renew-root", "--root-key", "new.key"]).success();
    rotate(&["ca"]).success();
    rotate(&["tsa", "--new-root"]).success();
    let folder = std::fs::read_dir(instance.file("tuf/keys")).expect("it is there");
    for file in folder {
        let name = file.expect("it is there").file_name();
        let name = name.to_string_lossy();
        assert!(
            !(name.starts_with("root") && name.ends_with(".pem")),
            "{name}"
        );
    }
    let key = instance.bench.sandbox.read("new.key");
    assert!(
        key.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY"),
        "{key}"
    );
    instance.again();
    instance.initialize("cosign3");
    instance.sign("sealmark", "signing_config_rekor_v2.json", "a");
    instance.verify_by_tuf("cosign3", "a");
}

#[test]
fn who_serves_unencrypted_keys_is_told_so_once() {
    let mut instance = Instance::start(&[]);
    let told = |instance: &Instance| {
        let server = instance.server.as_ref().expect("it runs");
        server.log().contains("private keys are not encrypted")
    };
    assert!(told(&instance));
    let status = instance.status();
    let warning = status["warnings"][0].as_str().expect("it warns");
    assert!(warning.contains("are not encrypted"), "{warning}");
    let check = ["serve", "status", "--dir", "instance", "--check"];
    instance
        .sealmark(&check)
        .failure()
        .stderr_has("needs attention");
    instance.stop();
    instance.again();
    assert!(!told(&instance));
    // Nobody rotates what is served, and nothing is changed by trying.
    let before = instance.trusted_root();
    for service in ["ca", "ct", "tsa", "log", "tuf"] {
        instance
            .rotate(&[service])
            .failure()
            .stderr_has("in use by another process");
    }
    assert_eq!(instance.trusted_root(), before);
    for words in [
        &["serve", "status", "--dir", "nowhere"][..],
        &["serve", "backup", "--dir", "nowhere", "--to", "there"],
        &["serve", "rotate", "ca", "--dir", "nowhere"],
    ] {
        instance
            .sealmark(words)
            .failure()
            .stderr_has("no instance of sealmark");
        assert!(!instance.bench.sandbox.join("nowhere").exists());
    }
}

#[test]
fn kill_9_amid_a_rotation_leaves_an_instance_that_starts() {
    let mut instance = Instance::start(&[]);
    let words = ["ca", "ct", "tsa", "log", "tuf"];
    let mut amid = 0;
    for round in 0..15 {
        instance.stop();
        let service = words[round % words.len()];
        let mut rotation = std::process::Command::new(SEALMARK)
            .args(["serve", "rotate", service, "--dir"])
            .arg(instance.file(""))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("it starts");
        std::thread::sleep(Duration::from_millis(15 + 17 * round as u64));
        if rotation.try_wait().expect("it can be asked").is_none() {
            amid += 1;
        }
        rotation.kill().expect("it is killed, or has ended");
        rotation.wait().expect("it has ended");
        instance.again();
        let name = format!("f{round}");
        instance.sign("sealmark", "signing_config.json", &name);
        for name in ["f0", &name] {
            let program = instance.program("sealmark");
            let program = program.args(["verify-blob", "--bundle", &format!("{name}.json")]);
            let program = program.arg("--trusted-root");
            let program = program.arg(instance.file("trusted_root.json"));
            let program = program.args(["--certificate-identity", WHO]);
            let program = program.args(["--certificate-oidc-issuer", &instance.issuer.url]);
            program.arg(name).run().success();
        }
    }
    assert!(amid > 0, "each rotation was over before it could be killed");
}
