//! Beside rekor-cli 1.5.3: what one uploads the other finds, and both say the same of it.

use sealmark_formats::Digest;
use serde_json::Value;

use crate::bench::{Bench, have};
use crate::serving::{Log, json, signed, upload};

/// `rekor-cli WORDS`, in JSON.
fn rekor(bench: &Bench, log: &Log, words: &[&str]) -> sealmark_testkit::Program {
    let program = bench.peer("rekor-cli").args(words);
    program.args(["--rekor_server", &log.url, "--format", "json"])
}

/// The flags for the files of `name`, as rekor-cli takes them too: of `hashedrekord` it wants the hash.
fn by_hash(name: &str) -> Vec<String> {
    let hash = Digest::sha256(name.as_bytes()).hex();
    let (signature, public) = (format!("{name}.sig"), format!("{name}.pub"));
    let words = [
        ["--artifact-hash", &hash],
        ["--signature", &signature],
        ["--public-key", &public],
    ];
    words.concat().into_iter().map(str::to_owned).collect()
}

/// What both print of an entry.
fn common(entry: &Value) -> Vec<(&'static str, Value)> {
    let names = [
        "Attestation",
        "AttestationType",
        "Body",
        "IntegratedTime",
        "LogID",
        "LogIndex",
        "UUID",
    ];
    names.map(|name| (name, entry[name].clone())).to_vec()
}

#[test]
fn what_one_uploads_the_other_finds() {
    if !have(&["rekor-cli"]) {
        return;
    }
    let bench = Bench::new();
    let log = Log::start(&bench);
    let ours = upload(&bench, &log, "ours");
    assert_eq!(ours["AlreadyExists"], false, "{ours}");
    signed(&bench, "theirs");
    let theirs = by_hash("theirs");
    let x509 = ["--type", "hashedrekord", "--pki-format", "x509"];
    let location = rekor(&bench, &log, &["upload"])
        .args(x509)
        .args(&theirs)
        .run()
        .success();
    let location = json(&location)["Location"].clone();
    let theirs_id = location
        .as_str()
        .and_then(|place| place.rsplit('/').next())
        .expect("rekor-cli says where the entry is")
        .to_owned();

    // Both entries, by index and by both lengths of id.
    for (index, id) in [(0, ours["UUID"].as_str().unwrap()), (1, &theirs_id)] {
        let index = index.to_string();
        for by in [
            ["--log-index", index.as_str()],
            ["--uuid", id],
            ["--uuid", &id[16..]],
        ] {
            let we = log.sealmark(&bench, &["get", "--output", "json"]).args(by);
            let they = rekor(&bench, &log, &["get"]).args(by);
            let (we, they) = (json(&we.run().success()), json(&they.run().success()));
            assert_eq!(common(&we), common(&they), "{by:?}");
            assert_eq!(we["Verified"]["treeSize"], 2);
        }
    }

    // What was uploaded is verified, by the other's files and flags, and found.
    for name in ["ours", "theirs"] {
        let file = |extension: &str| format!("{name}.{extension}");
        let [text, public] = ["txt", "pub"].map(file);
        let words = by_hash(name);
        let we = log
            .sealmark(&bench, &["verify", "-o", "json"])
            .args(&words)
            .run();
        let they = rekor(&bench, &log, &["verify"]).args(x509).args(&words);
        let (we, they) = (json(&we.success()), json(&they.run().success()));
        assert_eq!(we["UUID"], they["EntryUUID"], "{name}: {they}");
        assert_eq!(we["LogIndex"], they["Index"], "{name}: {they}");
        for found_by in [["--artifact", text.as_str()], ["--public-key", &public]] {
            let we = log
                .sealmark(&bench, &["search", "-o", "json"])
                .args(found_by)
                .run();
            let they = rekor(&bench, &log, &["search", "--pki-format", "x509"])
                .args(found_by)
                .run();
            let (we, they) = (json(&we.success()), json(&they.success()));
            assert_eq!(we["UUIDs"], they["UUIDs"], "{found_by:?}");
        }
    }
    let words = ["search", "--email", "nobody@example.com"];
    log.sealmark(&bench, &words).run().failure();
    rekor(&bench, &log, &words).run().failure();

    // An entry that is there already is none of anyone's failures.
    let again = log
        .sealmark(&bench, &["upload"])
        .args(&theirs)
        .run()
        .success();
    again.stdout_has("Entry already exists at index 1");

    // The log as a whole.
    let (we, they) = (
        log.sealmark(&bench, &["info", "-o", "json"])
            .run()
            .success(),
        rekor(&bench, &log, &["loginfo"]).run().success(),
    );
    let (we, they) = (json(&we), json(&they));
    for name in ["ActiveTreeSize", "TotalTreeSize", "RootHash", "TreeID"] {
        assert_eq!(we[name], they[name], "{name} of {they}");
    }
    let sizes = ["--first-size", "1", "--last-size", "2"];
    let (we, they) = (
        log.sealmark(&bench, &["proof", "-o", "json"]).args(sizes),
        rekor(&bench, &log, &["logproof"]).args(sizes),
    );
    let (we, they) = (json(&we.run().success()), json(&they.run().success()));
    assert_eq!(we["Hashes"], they["Hashes"]);
    assert_eq!(we["RootHash"], they["RootHash"]);

    // And the form of bundles.
    let index = ["get", "--log-index", "1"];
    let we = log.sealmark(&bench, &index).args(["--format", "tle"]).run();
    let they = bench.peer("rekor-cli").args(index);
    let they = they.args(["--rekor_server", &log.url, "--format", "tle"]);
    let (we, they) = (json(&we.success()), json(&they.run().success()));
    // The checkpoint is signed anew whenever it is asked for.
    let proof = |entry: &Value| {
        let mut proof = entry["inclusionProof"].clone();
        proof["checkpoint"] = Value::Null;
        proof
    };
    assert_eq!(proof(&we), proof(&they));
    for name in [
        "logIndex",
        "logId",
        "kindVersion",
        "integratedTime",
        "canonicalizedBody",
    ] {
        assert_eq!(we[name], they[name], "{name}");
    }
    log.stop();
}

/// The flags of rekor-cli with its own spelling, word for word.
#[test]
fn scripts_for_rekor_cli_work() {
    if !have(&["rekor-cli"]) {
        return;
    }
    let bench = Bench::new();
    let log = Log::start(&bench);
    signed(&bench, "file");
    let words = by_hash("file");
    let scripts: [&[&str]; 4] = [
        &[
            "upload",
            "--type",
            "hashedrekord:0.0.1",
            "--pki-format",
            "x509",
        ],
        &["verify", "--type", "hashedrekord", "--pki-format", "x509"],
        &["loginfo", "--store_tree_state=false"],
        &["logproof", "--first-size", "1", "--last-size", "1"],
    ];
    for script in scripts {
        let files = match script[0] {
            "upload" | "verify" => words.as_slice(),
            _ => &[],
        };
        let run = |program: sealmark_testkit::Program| {
            program
                .args(script)
                .args(["--rekor_server", &log.url, "--format=default"])
                .args(files)
                .run()
                .success()
        };
        run(bench.peer("rekor-cli"));
        run(bench.sandbox.command(crate::bench::SEALMARK).arg("log"));
    }
    log.stop();
}

/// cosign signs into the log; the entry of its bundle is the one that is found there.
#[test]
fn what_cosign_logged_is_found() {
    if !have(&["cosign3"]) {
        return;
    }
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "key");
    let log = Log::start(&bench);
    bench.sandbox.write("app", "an application");
    for (config, version) in [
        ("signing_config.json", 1),
        ("signing_config_rekor_v2.json", 2),
    ] {
        let bundle = format!("{version}.json");
        bench
            .run(crate::bench::Tool::Cosign3)
            .args([
                "sign-blob",
                "--key",
                "key.key",
                "--yes",
                "--bundle",
                &bundle,
            ])
            .arg("--signing-config")
            .arg(log.directory.join(config))
            .arg("--trusted-root")
            .arg(log.directory.join("trusted_root.json"))
            .arg("app")
            .run()
            .success();
        let bundle: Value = serde_json::from_str(&bench.sandbox.read(&bundle)).unwrap();
        let logged = &bundle["verificationMaterial"]["tlogEntries"][0];
        let version = version.to_string();
        let got = log
            .sealmark(&bench, &["get", "--log-index", "0", "-o", "tle"])
            .args(["--log-version", &version])
            .run()
            .success();
        let got = json(&got);
        assert_eq!(got["canonicalizedBody"], logged["canonicalizedBody"]);
        assert_eq!(got["logId"], logged["logId"]);

        let signature = bundle["messageSignature"]["signature"].as_str().unwrap();
        bench.sandbox.write("app.sig", signature);
        log.sealmark(&bench, &["verify", "--log-version", &version])
            .args(["--artifact", "app", "--signature", "app.sig"])
            .args(["--public-key", "key.pub", "--log-index", "0"])
            .run()
            .success();
    }
    log.stop();
}

/// What rekor-cli sends for a kind of entry, this program sends: the same JSON, made of the same files.
#[test]
fn entries_are_proposed_as_rekor_cli_proposes_them() {
    if !have(&["rekor-cli"]) {
        return;
    }
    let bench = Bench::new();
    signed(&bench, "file");
    let envelope = crate::tiles::envelope(&bench);
    bench.sandbox.write("envelope.json", envelope);
    let server = sealmark_testkit::FaultyServer::start(|request| {
        match (request.method.as_str(), request.path.as_str()) {
            // Enough of a log for both to come to the entry.
            ("GET", "/api/v1/log") => sealmark_testkit::Reply::status(200).body("{\"treeSize\":0}"),
            _ => sealmark_testkit::Reply::error(400, "no", "no"),
        }
    });
    let url = format!("http://{}", server.address());
    bench
        .sandbox
        .write("log.pub", bench.sandbox.read("file.pub"));
    let of_file = ["--artifact", "file.txt", "--signature", "file.sig"];
    let hash = Digest::sha256(b"file").hex();
    let by_hash = ["--artifact-hash", &hash, "--signature", "file.sig"];
    let of_envelope = ["--artifact", "envelope.json"];
    let cases: [(&str, &[&str], &str); 5] = [
        ("hashedrekord", &by_hash, "file.pub"),
        ("rekord", &of_file, "file.pub"),
        ("dsse", &of_envelope, "envelope.pub"),
        ("intoto", &of_envelope, "envelope.pub"),
        ("intoto:0.0.1", &of_envelope, "envelope.pub"),
    ];
    for (kind, files, key) in cases {
        let words = ["--type", kind, "--pki-format", "x509", "--public-key", key];
        let before = server.requests().len();
        let they = bench.peer("rekor-cli").args(["upload"]).args(words);
        let they = they.args(files).args(["--rekor_server", &url]);
        they.run().failure();
        let we = bench.sandbox.command(crate::bench::SEALMARK);
        let we = we.args(["log", "upload", "--rekor-public-key", "log.pub"]);
        let we = we.args(words).args(files).args(["--rekor-url", &url]);
        let we = we.run().failure();
        let requests = server.requests();
        let sent: Vec<&sealmark_testkit::Request> = requests[before..]
            .iter()
            .filter(|request| request.method == "POST")
            .collect();
        let by_us = |request: &&&sealmark_testkit::Request| {
            let agent = request.header("user-agent").unwrap_or_default();
            agent.starts_with("sealmark/")
        };
        // rekor-cli tries an older version of intoto when one is refused.
        let they = sent.iter().find(|request| !by_us(request));
        let ours = sent.iter().find(by_us);
        let body = |request: Option<&&sealmark_testkit::Request>| {
            let request = request.unwrap_or_else(|| panic!("{kind}: nothing was sent\n{we}"));
            without_null(serde_json::from_slice(&request.body).expect("an entry is JSON"))
        };
        assert_eq!(body(they), body(ours), "{kind}");
    }
}

/// Go writes `null` for lists that are empty.
fn without_null(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_null(value)))
            .collect(),
        other => other,
    }
}
