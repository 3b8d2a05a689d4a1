//! What is there when something went wrong: a process that died, a file that is gone or old, a clock that is wrong.

use std::fs;
use std::path::Path;

use sealmark_server::log::{Import, Interface, Options, TransparencyLog, export, fsck, rotate};
use serde_json::{Value, json};

use crate::copies::read_in;
use crate::served::Served;
use crate::shards::rotation;
use crate::{hashedrekord, key};

/// A copy of a directory as it is, which is what a killed process leaves.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the copy can be made");
    for entry in fs::read_dir(from).expect("the directory can be read") {
        let entry = entry.expect("the directory can be read");
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).expect("the file can be copied")),
        }
    }
}

fn open(directory: &Path) -> Result<TransparencyLog, String> {
    TransparencyLog::open(directory, Options::new("127.0.0.1")).map_err(|error| error.to_string())
}

fn marker(directory: &Path) -> Value {
    let file = fs::read(directory.join("sealmark-log")).expect("it is there");
    serde_json::from_slice(&file).expect("it is JSON")
}

fn set_marker(directory: &Path, marker: &Value) {
    fs::write(directory.join("sealmark-log"), marker.to_string()).expect("it can be written");
}

/// A log with an entry, before and after it was rotated.
async fn before_and_after() -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
    let scratch = tempfile::tempdir().expect("there is room");
    let (before, after) = (scratch.path().join("before"), scratch.path().join("after"));
    let log = Served::open(&before).await;
    log.create(&hashedrekord(&key(), b"a")).await;
    log.close().await;
    copy(&before, &after);
    rotate(&after, &rotation(Interface::V1)).expect("nobody has it open");
    (scratch, before, after)
}

/// Whatever a rotation had done when its process died, the log is the old one or the new one, and goes on.
#[tokio::test]
async fn a_rotation_that_was_cut_short_is_done_or_not() {
    let (scratch, before, after) = before_and_after().await;
    let new_key = fs::read(after.join("keys/v1-2.pem")).unwrap();
    let mut pending = marker(&after);
    pending["shards"][2]["stage"] = json!("pending");
    type Step<'a> = &'a dyn Fn(&Path);
    let key_written: Step<'_> = &|at| fs::write(at.join("keys/v1-2.pem"), &new_key).unwrap();
    let decided: Step<'_> = &|at| set_marker(at, &pending);
    let engine_done: Step<'_> = &|at| {
        fs::remove_dir_all(at.join("log")).unwrap();
        copy(&after.join("log"), &at.join("log"));
    };
    // The old tree is frozen, the new one not there yet.
    let engine_half_done: Step<'_> = &|at| {
        let mut frozen = pending.clone();
        frozen["shards"].as_array_mut().unwrap().pop();
        set_marker(at, &frozen);
        drop(open(at).unwrap());
        set_marker(at, &pending);
    };
    let cases: [(&[Step<'_>], usize); 5] = [
        (&[], 1),
        (&[key_written], 1),
        (&[key_written, decided], 2),
        (&[key_written, engine_half_done], 2),
        (&[key_written, decided, engine_done], 2),
    ];
    for (number, (steps, trees)) in cases.into_iter().enumerate() {
        let at = scratch.path().join(number.to_string());
        copy(&before, &at);
        for step in steps {
            step(&at);
        }
        let sound = fsck(&at, &None).unwrap();
        assert!(sound.findings.is_empty(), "{number}: {:?}", sound.findings);
        let log = Served::open(&at).await;
        assert_eq!(log.trees.len(), trees, "case {number}");
        let (_, shown) = log.create(&hashedrekord(&key(), b"b")).await;
        assert_eq!(shown["logIndex"], 1);
        log.close().await;
        if trees == 2 {
            assert_eq!(fs::read(at.join("keys/v1-2.pem")).unwrap(), new_key);
        }
        // And it can be rotated again.
        rotate(&at, &rotation(Interface::V1)).unwrap();
        let log = Served::open(&at).await;
        assert_eq!(log.trees.len(), trees + 1);
        log.close().await;
    }
}

#[tokio::test]
async fn what_is_missing_or_of_another_time_is_named() {
    let (scratch, before, after) = before_and_after().await;
    type Harm<'a> = &'a dyn Fn(&Path);
    let from = |folder: &'static str, source: std::path::PathBuf| {
        move |at: &Path| {
            fs::remove_dir_all(at.join(folder)).unwrap();
            copy(&source.join(folder), &at.join(folder));
        }
    };
    let cases: [(&str, Harm<'_>, &[&str]); 8] = [
        (
            "the key of an old tree",
            &|at| fs::remove_file(at.join("keys/v1.pem")).unwrap(),
            &["keys/v1.pem", "missing"],
        ),
        (
            "the key of the new tree",
            &|at| fs::remove_file(at.join("keys/v1-2.pem")).unwrap(),
            &["keys/v1-2.pem", "missing"],
        ),
        (
            "another key",
            &|at| {
                fs::copy(at.join("keys/v1.pem"), at.join("keys/v1-2.pem")).unwrap();
            },
            &["v1-2"],
        ),
        (
            "a tree that nobody knows",
            &|at| set_marker(at, &marker(&before)),
            &["\"v1-2\"", "does not name"],
        ),
        (
            "the trees of yesterday",
            &from("log", before.clone()),
            &["no tree \"v1-2\"", "sealmark-log"],
        ),
        (
            "no trees",
            &|at| fs::remove_dir_all(at.join("log")).unwrap(),
            &["no tree \"v1\""],
        ),
        (
            "a frozen tree that takes entries",
            &|at| {
                let mut marker = marker(at);
                let shards = marker["shards"].as_array_mut().unwrap();
                shards.retain(|shard| shard["tree"] != "v1-2");
                shards[0].as_object_mut().unwrap().remove("frozen");
                set_marker(at, &marker);
            },
            &["v1"],
        ),
        (
            "half a file",
            &|at| fs::write(at.join("sealmark-log"), "{\"layout\":2,").unwrap(),
            &["sealmark-log"],
        ),
    ];
    for (number, (name, harm, words)) in cases.into_iter().enumerate() {
        let at = scratch.path().join(number.to_string());
        copy(&after, &at);
        harm(&at);
        let error = open(&at).expect_err(name);
        let report = fsck(&at, &None).unwrap();
        let found = format!("{:?}", report.findings);
        assert!(!report.findings.is_empty(), "{name}");
        for word in words {
            assert!(error.contains(word), "{name}: {error}");
            let found = found.replace('\\', "");
            assert!(found.contains(word), "{name}: {found}");
        }
        assert_eq!(open(&at).expect_err(name), error, "nothing was made up");
    }
    drop(open(&after).unwrap());
}

#[tokio::test]
async fn nobody_works_on_a_log_that_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let log = Served::open(directory.path()).await;
    log.create(&hashedrekord(&key(), b"a")).await;
    let at = directory.path();
    for error in [
        rotate(at, &rotation(Interface::V1)).map(drop),
        sealmark_server::log::freeze(at, None, &None).map(drop),
        fsck(at, &None).map(drop),
        export(at, None, Vec::new()).map(drop),
    ] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains("in use by another process"), "{error}");
    }
    log.create(&hashedrekord(&key(), b"b")).await;
    log.close().await;
    let nowhere = directory.path().join("nowhere");
    let error = rotate(&nowhere, &rotation(Interface::V1)).unwrap_err();
    assert!(error.to_string().contains("no transparency log"), "{error}");
    assert!(!nowhere.exists(), "nothing was made");
}

/// A clock that stands before the newest entry would make promises of a time that is past.
#[tokio::test]
async fn with_a_clock_that_was_set_back_nothing_begins() {
    let directory = tempfile::tempdir().unwrap();
    let (here, there) = (
        directory.path().join("here"),
        directory.path().join("there"),
    );
    let log = Served::open(&here).await;
    log.create(&hashedrekord(&key(), b"a")).await;
    log.close().await;
    let mut lines = Vec::new();
    export(&here, None, &mut lines).unwrap();
    // An entry of an hour from now is what a log has whose clock was an hour ahead.
    let text = String::from_utf8(lines).unwrap();
    let (header, line) = text.split_once('\n').unwrap();
    let mut line: Value = serde_json::from_str(line).unwrap();
    let ahead = line["integratedMs"].as_u64().unwrap() + 3_600_000;
    line["integratedMs"] = json!(ahead);
    let export = format!("{header}\n{line}\n");
    let error = read_in(&there, export.as_bytes(), &Import::default()).unwrap_err();
    assert!(error.to_string().contains("clock"), "{error}");
    for error in [
        open(&there).unwrap_err(),
        rotate(&there, &rotation(Interface::V1))
            .unwrap_err()
            .to_string(),
    ] {
        assert!(error.contains("the clock stands at"), "{error}");
    }
}
