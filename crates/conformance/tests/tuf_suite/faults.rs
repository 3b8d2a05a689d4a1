//! Servers that fail, lie, or never end; and what is left on the disk then.

use std::time::Instant;

use sealmark_testkit::{FaultyServer, Reply};
use serde_json::json;

use crate::play;
use crate::story::Story;

const FILES: [&str; 5] = [
    "metadata/2.root.json",
    "metadata/timestamp.json",
    "metadata/1.snapshot.json",
    "metadata/1.targets.json",
    "targets/file",
];

/// A story whose target has one name on the server.
fn prepared() -> Story {
    let mut story = Story::new();
    story.repository.role("root")["consistent_snapshot"] = json!(true);
    story
        .repository
        .target("targets", "file", b"content")
        .publish();
    story
}

/// The path of one of [`FILES`], as it is asked for.
fn path(story: &Story, file: &str) -> String {
    if file != "targets/file" {
        return file.to_owned();
    }
    let hash = &story.repository.roles["targets"]["targets"]["file"]["hashes"]["sha256"];
    format!("targets/{}.file", hash.as_str().unwrap())
}

#[test]
fn a_status_that_is_no_answer_ends_the_update() {
    for status in [400, 401, 403, 404, 410, 429, 500, 503] {
        for file in FILES {
            println!("case: {status} for {file}");
            let mut story = prepared();
            story.differs("what else the reference client makes of statuses is its own");
            let path = path(&story, file);
            story.fault(&path, Reply::status(status));
            let no_more_roots = file.contains("root") && [403, 404].contains(&status);
            match no_more_roots {
                true => story.downloads(&["file"]),
                false => story.does_not_download(&["file"], ""),
            }
            story.mend();
            story.downloads(&["file"]);
        }
    }
}

#[test]
fn answers_that_never_end_or_lie_are_refused() {
    for file in FILES {
        for (what, reply, reason) in [
            ("endless", Reply::Endless(Vec::new()), "larger than"),
            ("a closed connection", Reply::Close, "cannot get"),
            (
                "a length that is too large for anything",
                Reply::status(200).with("content-length", u64::MAX / 2),
                "larger than",
            ),
            ("an empty file", Reply::status(200), ""),
            (
                "fewer bytes than announced",
                Reply::status(200)
                    .with("content-length", 5)
                    .with("connection", "close")
                    .body("four"),
                "cannot get",
            ),
            (
                "more bytes than announced",
                Reply::status(200)
                    .with("content-length", 4)
                    .with("connection", "close")
                    .body("{\"signed\""),
                "",
            ),
            (
                "a web page",
                Reply::status(200).body("<!DOCTYPE html><title>Welcome</title>"),
                "",
            ),
        ] {
            println!("case: {what} for {file}");
            let mut story = prepared();
            story.differs("how the reference client's HTTP library fails is its own");
            let path = path(&story, file);
            story.fault(&path, reply);
            let start = Instant::now();
            story.does_not_download(&["file"], reason);
            assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
            assert!(story.downloaded().is_empty());
            story.mend();
            story.downloads(&["file"]);
        }
    }
}

#[test]
fn a_server_that_says_nothing_is_left() {
    let mut story = prepared();
    story.differs("the reference client waits as long as it likes");
    story.fault("metadata/timestamp.json", Reply::Hang);
    let start = Instant::now();
    story.refuses("silence", "no byte of the answer within 10 s");
    assert!(start.elapsed().as_secs() < 25, "{:?}", start.elapsed());
    story.mend();
    story.accepts("after that");
}

#[test]
fn redirects_are_followed_but_not_for_ever() {
    let mut story = prepared();
    story.differs("the reference client follows as many as its HTTP library likes");
    let moved = |to: &str| Reply::status(302).with("location", to);
    story.fault(
        "metadata/timestamp.json",
        moved("/elsewhere/timestamp.json"),
    );
    let timestamp = story.repository.files["metadata/timestamp.json"].clone();
    story.fault(
        "elsewhere/timestamp.json",
        Reply::status(200).body(timestamp),
    );
    story.accepts("one");
    story.fault(
        "elsewhere/timestamp.json",
        moved("/metadata/timestamp.json"),
    );
    story.refuses("a circle", "cannot get");
}

#[test]
fn files_that_are_too_large_are_refused() {
    play(&[
        ("a root", |story| {
            story.repository.role("root")["x-filler"] = json!("x".repeat(600 << 10));
            story.repository.next_root(&[]);
            story.refuses("600 kB", "2.root.json is larger than 524288 bytes");
        }),
        ("a timestamp", |story| {
            story.repository.role("timestamp")["x-filler"] = json!("x".repeat(70 << 10));
            story.repository.publish();
            story.refuses("70 kB", "timestamp.json is larger than 65536 bytes");
        }),
        ("a snapshot", |story| {
            story.repository.role("snapshot")["x-filler"] = json!("x".repeat(3 << 20));
            story.repository.publish();
            story.refuses("3 MB", "1.snapshot.json is larger than 2097152 bytes");
        }),
        ("targets", |story| {
            story.repository.role("targets")["x-filler"] = json!("x".repeat(6 << 20));
            story.repository.publish();
            story.refuses("6 MB", "1.targets.json is larger than 5242880 bytes");
        }),
        ("a target", |story| {
            story.differs("our client takes no targets of more than 8 MiB");
            story
                .repository
                .target("targets", "large", &vec![0; (8 << 20) + 1]);
            story
                .repository
                .target("targets", "not so large", &vec![0; 8 << 20])
                .publish();
            story.does_not_download(&["large"], "large is larger than 8388608 bytes");
            story.downloads(&["not so large"]);
        }),
    ]);
}

#[test]
fn nobody_at_the_other_end_is_said_so() {
    let story = Story::new();
    let url = format!("http://{}/metadata", FaultyServer::nobody());
    let error = story
        .ours(&["--metadata-url", &url, "refresh"], true)
        .unwrap_err();
    assert!(
        error.starts_with(&format!("cannot get {url}/2.root.json: ")),
        "{error}"
    );
    assert_eq!(story.trusts(), "root 1");
}

#[test]
fn what_the_command_line_lacks_is_said() {
    let story = Story::new();
    for (arguments, reason) in [
        (&[][..], "usage:"),
        (&["refresh"], "--metadata-url is missing"),
        (&["--metadata-url"], "--metadata-url needs a value"),
        (&["--nonsense", "refresh"], "unknown: --nonsense"),
        (
            &["init", "/nowhere/root.json"],
            "cannot read /nowhere/root.json",
        ),
        (&["frobnicate"], "usage:"),
    ] {
        let error = story.ours(arguments, false).unwrap_err();
        assert!(error.contains(reason), "{arguments:?}: {error}");
    }
}
