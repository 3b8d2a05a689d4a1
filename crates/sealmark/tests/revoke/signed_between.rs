//! "What did this identity sign between these moments?": by the log of signatures, and by that of certificates, whose
//! answer leaves nothing out.

use jiff::Timestamp;
use sealmark_testkit::{FaultyServer, Finished, Reply, get};
use serde_json::Value;

use super::Story;
use super::bench::{Tool, json};
use super::world::WHO;

impl Story {
    fn log(&self, words: &[&str]) -> Finished {
        let run = self.bench.run(Tool::Sealmark).arg("log").args(words);
        run.arg("--trusted-root")
            .arg(self.instance.file("trusted_root.json"))
            .run()
    }

    fn sign_file(&self, name: &str) {
        self.bench.sandbox.write(name, format!("file {name}"));
        let bundle = format!("{name}.json");
        self.keyless(&["sign-blob", "--bundle", &bundle, name])
            .success();
    }
}

#[test]
fn what_an_identity_signed_within_a_window_is_found_and_proven() {
    let story = Story::begin();
    let url = story.instance.url.clone();
    let minute = jiff::SignedDuration::from_mins(1);
    let before = (Timestamp::now() - minute).to_string();
    story.sign_file("one");
    story.sign_file("two");
    let after = (Timestamp::now() + minute).to_string();
    let window = ["--from", &before, "--to", &after];
    let of = |name: &str| {
        sealmark_formats::Digest::sha256(story.bench.sandbox.read(name).as_bytes()).to_string()
    };

    // The log of signatures: an index finds, and what it finds is proven.
    for version in ["1", "2"] {
        if version == "2" {
            let config = story.instance.file("signing_config_rekor_v2.json");
            let run = story.bench.run(Tool::Sealmark).args(["sign-blob", "--yes"]);
            run.args(["--bundle", "v2.json", "--signing-config"])
                .arg(config)
                .arg("--trusted-root")
                .arg(story.instance.file("trusted_root.json"))
                .env("SIGSTORE_ID_TOKEN", story.instance.issuer.token())
                .arg("one")
                .run()
                .success();
        }
        let asked = ["search", "--rekor-url", &url, "--log-version", version];
        let asked = [&asked[..], &["--identity", WHO, "--list"]].concat();
        let found = story.log(&[&asked[..], &window].concat()).success();
        let found = found.stderr_has("that there is no more is its word");
        let lines = found.stdout();
        assert!(lines.contains(&of("one")), "{lines}");
        assert!(lines.lines().all(|line| line.contains(WHO)), "{lines}");
        assert_eq!(lines.contains(&of("two")), version == "1", "{lines}");
        for empty in [["--from", &after], ["--to", &before]] {
            story
                .log(&[&asked[..], &empty].concat())
                .failure()
                .stderr_has("none of them is of this time");
        }
    }
    story
        .log(&[
            "search",
            "--subject",
            WHO,
            "--from",
            &after,
            "--to",
            &before,
        ])
        .failure()
        .stderr_has("nothing can be between them");

    // The log of certificates: all of it is read, and proven to be all.
    let asked = ["certificates", "--identity", WHO];
    let issuer = ["--issuer", &story.instance.issuer.url];
    let found = story.log(&[&asked[..], &issuer, &window, &["-o", "json"]].concat());
    let found = json(&found.success());
    let logged = found[0]["certificates"].as_array().unwrap();
    assert_eq!(logged.len(), 3, "{found}");
    assert_eq!(found[0]["treeSize"], 3);
    for one in logged {
        assert_eq!(one["identities"][0], WHO);
        assert_eq!(one["issuer"], story.instance.issuer.url);
    }
    story
        .log(&[&asked[..], &window].concat())
        .success()
        .stdout_has(WHO)
        .stderr_has("3 of the 3 certificates in")
        .stderr_has("all were read and proven");
    for nothing in [["--to", &before[..]], ["--identity", "mallory@example.org"]] {
        let words = [&["certificates"], &nothing[..]].concat();
        let none = story.log(&words).success();
        none.stderr_has("0 of the 3 certificates");
    }
    story
        .log(&["certificates", "--ct-log-url", "http://127.0.0.1:1/ct"])
        .failure()
        .stderr_has("names no log at http://127.0.0.1:1/ct, only http://");
}

/// A log of certificates that hides one, or shows another in its place, is found out.
#[test]
fn a_certificate_log_that_hides_something_is_not_believed() {
    let story = Story::begin();
    story.sign_file("one");
    story.sign_file("two");
    let root = std::fs::read_to_string(story.instance.file("trusted_root.json")).unwrap();
    let of_log: Value = serde_json::from_str(&root).unwrap();
    let log = of_log["ctlogs"][0]["baseUrl"].as_str().unwrap().to_owned();
    type Lie = fn(&mut Value);
    let lies: [(&str, Lie, &str); 5] = [
        (
            "get-entries",
            |answer| twice(answer),
            "together they hash to",
        ),
        (
            "get-entries",
            |answer| answer["entries"] = serde_json::json!([]),
            "0 entries, where 1 to 2 were asked for",
        ),
        (
            "get-entries",
            |answer| {
                let other = answer["entries"][1]["extra_data"].clone();
                answer["entries"][0]["extra_data"] = other;
            },
            "the certificate beside it is not the one in the tree",
        ),
        (
            "get-sth",
            |answer| answer["tree_size"] = serde_json::json!(1),
            "do not trust this answer",
        ),
        (
            "get-sth",
            |answer| answer["timestamp"] = serde_json::json!(1),
            "do not trust this answer",
        ),
    ];
    for (place, lie, reason) in lies {
        let from = log.clone();
        let server = FaultyServer::start(move |request| {
            let (_, path) = request.path.split_once("/ct/v1/").unwrap();
            let (address, prefix) = from.trim_start_matches("http://").split_once('/').unwrap();
            let answer = get(address, &format!("/{prefix}/ct/v1/{path}")).unwrap();
            let mut answer: Value = serde_json::from_slice(&answer.body).unwrap();
            if path.starts_with(place) {
                lie(&mut answer);
            }
            Reply::status(200).body(answer.to_string())
        });
        let lying = root.replace(&log, &format!("http://{}", server.address()));
        story.bench.sandbox.write("lying.json", lying);
        let run = story.bench.run(Tool::Sealmark);
        let run = run.args(["log", "certificates", "--trusted-root", "lying.json"]);
        let refused = run.run().failure().stderr_has(reason);
        assert_eq!(refused.stdout(), "", "{reason}");
    }
}

/// The first entry in the place of the second.
fn twice(answer: &mut Value) {
    let first = answer["entries"][0].clone();
    answer["entries"][1] = first;
}
