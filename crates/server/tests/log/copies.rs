//! A log taken elsewhere.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sealmark_server::Error;
use sealmark_server::log::{Import, Interface, ShardInfo, backup, export, fsck, import, rotate};
use serde_json::{Value, json};

use crate::served::Served;
use crate::shards::{request_v2, rotation};
use crate::{hashedrekord, key};

/// A copy taken under load is a log with all that was acknowledged before it began.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_has_every_entry_that_was_acknowledged() {
    let scratch = tempfile::tempdir().unwrap();
    let (at, to) = (scratch.path().join("log"), scratch.path().join("copy"));
    let log = Arc::new(Served::open(&at).await);
    let stop = Arc::new(AtomicBool::new(false));
    let (acknowledged, mut ids) = tokio::sync::mpsc::unbounded_channel();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (log, stop, acknowledged) = (log.clone(), stop.clone(), acknowledged.clone());
            let key = key();
            tokio::spawn(async move {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let data = format!("{writer}/{number}");
                    let (id, _) = log.create(&hashedrekord(&key, data.as_bytes())).await;
                    drop(acknowledged.send(id));
                }
            })
        })
        .collect();
    drop(acknowledged);
    // More than a bundle, so that there are files, and what is only in the journal.
    let mut before = Vec::new();
    while before.len() < 300 {
        before.push(ids.recv().await.unwrap());
    }
    while let Ok(id) = ids.try_recv() {
        before.push(id);
    }
    let (from, copy) = (at.clone(), to.clone());
    tokio::task::spawn_blocking(move || backup(&from, &copy))
        .await
        .unwrap()
        .unwrap();
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    Arc::into_inner(log).unwrap().close().await;

    let report = fsck(&to, &None).unwrap();
    assert_eq!(report.findings, []);
    let log = Served::open(&to).await;
    for id in &before {
        let shown = log.json(&format!("/api/v1/log/entries/{id}")).await;
        log.prove(id, &shown[id]);
    }
    log.create(&hashedrekord(&key(), b"goes on")).await;
    log.close().await;
    let error = backup(&at, &to).unwrap_err();
    assert!(error.to_string().contains("is there already"), "{error}");
}

/// Shard by shard, a log moves to another directory, and its clients notice nothing.
#[tokio::test]
async fn an_export_becomes_the_same_log_elsewhere() {
    let scratch = tempfile::tempdir().unwrap();
    let (here, there) = (scratch.path().join("here"), scratch.path().join("there"));
    let key = key();
    let log = Served::open(&here).await;
    let mut ids = vec![log.create(&hashedrekord(&key, b"a")).await.0];
    ids.push(log.create(&hashedrekord(&key, b"b")).await.0);
    let sent = log
        .post("/api/v2/log/entries", &request_v2(&key, b"a"))
        .await;
    assert_eq!(sent.status(), 201);
    log.close().await;
    rotate(&here, &rotation(Interface::V1)).unwrap();
    let log = Served::open(&here).await;
    ids.push(log.create(&hashedrekord(&key, b"c")).await.0);
    let mut before = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        let shown = log
            .json(&format!("/api/v1/log/entries?logIndex={index}"))
            .await;
        before.push(shown[id]["integratedTime"].clone());
    }
    let trees: Vec<u64> = log.trees.iter().map(|(tree, _)| *tree).collect();
    log.close().await;

    for (name, tree) in [
        ("v1", trees[0].to_string()),
        ("v1-2", "v1-2".to_owned()),
        ("v2", "v2".to_owned()),
    ] {
        let mut lines = Vec::new();
        let written = export(&here, Some(&tree), &mut lines).unwrap();
        assert_eq!(written.tree, name);
        let pem = std::fs::read(here.join(format!("keys/{name}.pem"))).unwrap();
        let made = Import {
            key: Some(pem),
            password: None,
        };
        let made = read_in(&there, lines.as_slice(), &made).unwrap();
        assert_eq!(made.size, written.size);
        let again = read_in(&there, lines.as_slice(), &Import::default());
        let error = again.unwrap_err().to_string();
        assert!(error.contains("already"), "{error}");
    }
    let error = export(&here, Some("v3"), Vec::new())
        .unwrap_err()
        .to_string();
    assert!(error.contains("v1, v2, v1-2"), "{error}");
    assert_eq!(fsck(&there, &None).unwrap().findings, []);
    let log = Served::open(&there).await;
    for (index, id) in ids.iter().enumerate() {
        let shown = log
            .json(&format!("/api/v1/log/entries?logIndex={index}"))
            .await;
        log.prove(id, &shown[id]);
        assert_eq!(shown[id]["integratedTime"], before[index]);
    }
    let info = log.json("/api/v1/log").await;
    assert_eq!(info["treeID"], trees[1].to_string());
    let again = log
        .post("/api/v1/log/entries", &hashedrekord(&key, b"d"))
        .await;
    assert_eq!(again.status(), 201);
    log.close().await;
}

#[tokio::test]
async fn what_is_no_export_or_of_another_key_becomes_no_tree() {
    let scratch = tempfile::tempdir().unwrap();
    let (here, there) = (scratch.path().join("here"), scratch.path().join("there"));
    let log = Served::open(&here).await;
    for data in [b"a", b"b"] {
        log.create(&hashedrekord(&key(), data)).await;
    }
    log.close().await;
    let mut lines = Vec::new();
    export(&here, None, &mut lines).unwrap();
    let text = String::from_utf8(lines).unwrap();
    let mut cut: Vec<&str> = text.lines().collect();
    cut.pop();
    let cut = cut.join("\n");
    let mut changed: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut line: Value = serde_json::from_str(&changed[2]).unwrap();
    line["leaf"] = json!("e30=");
    changed[2] = line.to_string();
    let other = another_key();
    for (input, key, words) in [
        ("", None, "first line"),
        ("{\"checkpoint\":\"x\"}\n", None, "cannot be imported"),
        (&*text, Some(other), "did not sign"),
        (&*cut, None, "its 1 entries"),
        (&*changed.join("\n"), None, "its 2 entries"),
    ] {
        let how = Import {
            key: key.map(String::into_bytes),
            password: None,
        };
        let error = read_in(&there, input.as_bytes(), &how)
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
    // What did not become a tree is in nobody's way.
    assert_eq!(fsck(&there, &None).unwrap().findings, []);
    let made = read_in(&there, text.as_bytes(), &Import::default()).unwrap();
    assert_eq!((made.size, made.first), (2, 0));
    assert_eq!(
        Served::open(&there).await.json("/api/v1/log").await["treeSize"],
        2
    );
}

/// A key that signed nothing.
fn another_key() -> String {
    let scratch = tempfile::tempdir().expect("there is room");
    let options = sealmark_server::log::Options::new("a");
    drop(
        sealmark_server::log::TransparencyLog::open(scratch.path(), options)
            .expect("the directory is empty"),
    );
    std::fs::read_to_string(scratch.path().join("keys/v1.pem")).expect("it is there")
}

/// [`import`] is for threads that may block.
pub(crate) fn read_in(to: &Path, input: &[u8], how: &Import) -> Result<ShardInfo, Error> {
    std::thread::scope(|scope| {
        let work = scope.spawn(|| import(to, input, how));
        work.join().expect("it gives what went wrong")
    })
}

/// A copy that was cut short is no log, and while one is made no tree begins or ends.
#[tokio::test]
async fn a_copy_is_of_one_time_or_is_none() {
    let scratch = tempfile::tempdir().unwrap();
    let (at, to) = (scratch.path().join("log"), scratch.path().join("copy"));
    let log = Served::open(&at).await;
    log.create(&hashedrekord(&key(), b"a")).await;
    log.close().await;
    let copying = std::fs::File::open(at.join("backup.lock")).unwrap();
    copying.lock_shared().unwrap();
    for error in [
        rotate(&at, &rotation(Interface::V1)).map(drop),
        sealmark_server::log::freeze(&at, None, &None).map(drop),
        read_in(&at, b"{}", &Import::default()).map(drop),
    ] {
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("is being copied") || error.contains("export"),
            "{error}"
        );
    }
    Served::open(&at).await.close().await;
    drop(copying);
    backup(&at, &to).unwrap();
    let key = std::fs::metadata(to.join("keys/v1.pem"))
        .unwrap()
        .permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&key) & 0o777, 0o600);
    std::fs::remove_file(to.join("sealmark-log")).unwrap();
    let error = fsck(&to, &None).unwrap_err().to_string();
    assert!(error.contains("has no transparency log"), "{error}");
    let options = sealmark_server::log::Options::new("127.0.0.1");
    let error = sealmark_server::log::TransparencyLog::open(&to, options).unwrap_err();
    assert!(
        error.to_string().contains("is not empty and is not"),
        "{error}"
    );
}
