//! The TUF repository of an instance, as clients see it: from day to day, through rotations, crashes and damage.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod crash;
mod damage;
mod peers;
mod world;

use sealmark_keys::PrivateKey;
use sealmark_server::tuf::Role;
use serde_json::Value;
use world::{Follower, Set, TRUSTED_ROOT, open, serve};

fn versions(repository: &sealmark_server::tuf::Repository) -> [u64; 4] {
    repository.status().map(|status| status.version)
}

#[tokio::test]
async fn what_is_published_is_read_and_only_changes_are_signed() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Set::now());
    let repository = open(directory.path(), clock.clone()).unwrap();
    assert_eq!(versions(&repository), [1, 1, 1, 1]);
    assert!(repository.publish(&[(TRUSTED_ROOT, "one")]).unwrap());
    assert_eq!(versions(&repository), [1, 2, 2, 2]);
    assert!(!repository.publish(&[(TRUSTED_ROOT, "one")]).unwrap());
    assert!(!repository.refresh().unwrap());
    let url = serve(&repository).await;
    let follower = Follower::of(&repository.first_root());
    let read = follower.reads(&url, clock.timestamp()).await;
    assert_eq!(read.unwrap(), "one");
    let two = [(TRUSTED_ROOT, "two"), ("signing_config.v0.2.json", "{}")];
    assert!(repository.publish(&two).unwrap());
    assert_eq!(versions(&repository), [1, 3, 3, 3]);
    let read = follower.reads(&url, clock.timestamp()).await;
    assert_eq!(read.unwrap(), "two");
    // After a restart, it is the same.
    let root = repository.root_json();
    drop(repository);
    // The server above still has the repository, as a process that was not ended has it.
    let refused = open(directory.path(), clock.clone())
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("is in use by another process"),
        "{refused}"
    );
    let copy = tempfile::tempdir().unwrap();
    copy_tree(directory.path(), copy.path());
    let repository = open(copy.path(), clock.clone()).unwrap();
    assert!(!repository.publish(&two).unwrap());
    assert_eq!(versions(&repository), [1, 3, 3, 3]);
    assert_eq!(repository.root_json(), root);
    assert_eq!(repository.first_root(), root);
}

pub(crate) fn copy_tree(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            copy_tree(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test]
async fn two_years_of_days_and_no_client_finds_anything_expired() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Set::now());
    let repository = open(directory.path(), clock.clone()).unwrap();
    repository.publish(&[(TRUSTED_ROOT, "one")]).unwrap();
    let url = serve(&repository).await;
    let follower = Follower::of(&repository.first_root());
    let mut last = versions(&repository);
    for day in 0..730 {
        clock.pass_days(1);
        repository.refresh().unwrap();
        let now = versions(&repository);
        assert!(now.iter().zip(last).all(|(now, last)| *now >= last));
        assert!(now[3] > last[3], "day {day}: a timestamp of each day");
        last = now;
        for status in repository.status() {
            assert!(status.days_left >= 1, "day {day}: {status:?}");
        }
        if day % 30 == 0 {
            let read = follower.reads(&url, clock.timestamp()).await;
            assert_eq!(read.unwrap(), "one", "day {day}");
        }
    }
    // Lives of 365, 90 and 10 days, signed anew 60, 45 and 5 days before.
    let [root, targets, snapshot, _] = last;
    assert_eq!((root, targets), (3, 17));
    assert!((2 + 730 / 6..2 + 730 / 5).contains(&snapshot), "{snapshot}");
    // One that has been away for two years, and one that has the newest root only.
    for root in [repository.first_root(), repository.root_json()] {
        let read = Follower::of(&root).reads(&url, clock.timestamp()).await;
        assert_eq!(read.unwrap(), "one");
    }
    // What nobody needs is not kept.
    let files = std::fs::read_dir(directory.path().join("repository")).unwrap();
    assert!(files.count() < 3 + 16 + 16 + 3);
}

#[tokio::test]
async fn a_server_that_was_off_for_a_year_signs_before_it_serves() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Set::now());
    let repository = open(directory.path(), clock.clone()).unwrap();
    repository.publish(&[(TRUSTED_ROOT, "one")]).unwrap();
    let first = repository.first_root();
    drop(repository);
    clock.pass_days(400);
    let repository = open(directory.path(), clock.clone()).unwrap();
    let url = serve(&repository).await;
    let read = Follower::of(&first).reads(&url, clock.timestamp()).await;
    assert_eq!(read.unwrap(), "one");
    assert_eq!(versions(&repository)[0], 2);
}

#[tokio::test]
async fn a_clock_that_was_set_back_signs_nothing_that_has_expired() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Set::now());
    let repository = open(directory.path(), clock.clone()).unwrap();
    repository.publish(&[(TRUSTED_ROOT, "one")]).unwrap();
    let before = versions(&repository);
    clock.pass_days(-1);
    assert!(!repository.refresh().unwrap(), "a day is no harm");
    clock.pass_days(-6);
    let refused = repository.publish(&[(TRUSTED_ROOT, "two")]);
    let refused = refused.unwrap_err().to_string();
    for part in ["cannot sign timestamp version 3", "set the clock right"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert_eq!(versions(&repository), before);
    drop(repository);
    let repository = open(directory.path(), clock.clone()).unwrap();
    assert_eq!(versions(&repository), before);
    assert!(repository.publish(&[(TRUSTED_ROOT, "two")]).is_err());
    // The clock was wrong before, and is right now.
    repository.believe_clock();
    assert!(repository.publish(&[(TRUSTED_ROOT, "two")]).unwrap());
    let url = serve(&repository).await;
    let follower = Follower::of(&repository.first_root());
    let read = follower.reads(&url, clock.timestamp()).await;
    assert_eq!(read.unwrap(), "two");
}

#[tokio::test]
async fn keys_are_exchanged_under_the_eyes_of_clients() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Set::now());
    let repository = open(directory.path(), clock.clone()).unwrap();
    repository.publish(&[(TRUSTED_ROOT, "one")]).unwrap();
    let first: Value = serde_json::from_slice(&repository.first_root()).unwrap();
    let url = serve(&repository).await;
    let follower = Follower::of(&repository.first_root());
    follower.reads(&url, clock.timestamp()).await.unwrap();
    repository.rotate_root(None).unwrap();
    follower.reads(&url, clock.timestamp()).await.unwrap();
    assert_eq!(follower.root_version(), 2);
    repository.rotate_online(None).unwrap();
    repository.publish(&[(TRUSTED_ROOT, "two")]).unwrap();
    let read = follower.reads(&url, clock.timestamp()).await;
    assert_eq!(read.unwrap(), "two");
    assert_eq!(follower.root_version(), 4);
    let newest: Value = serde_json::from_slice(&repository.root_json()).unwrap();
    for role in ["root", "timestamp"] {
        let keys = |root: &Value| root["signed"]["roles"][role]["keyids"].clone();
        assert_eq!(keys(&newest).as_array().unwrap().len(), 1);
        assert_ne!(keys(&newest), keys(&first));
    }
    let mut keys: Vec<String> = std::fs::read_dir(directory.path().join("keys"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    keys.sort();
    let expected = ["online-3.pem", "online-3.pub", "root-2.pem", "root-2.pub"];
    assert_eq!(keys, expected, "the old keys are gone");
}

#[tokio::test]
async fn an_exchange_that_was_interrupted_goes_on() {
    for exported in [false, true] {
        let (directory, clock) = (tempfile::tempdir().unwrap(), Set::now());
        let repository = open(directory.path(), clock.clone()).unwrap();
        repository.publish(&[(TRUSTED_ROOT, "one")]).unwrap();
        let key = read_key(&directory.path().join("keys/root-1.pem"));
        let given = exported.then_some(&key);
        if exported {
            let to = directory.path().join("exported.pem");
            repository.export_root_key(&to).unwrap();
        }
        // The root lives longer than this, the timestamp does not: it is refused between the two steps.
        clock.pass_days(-7);
        let refused = repository.rotate_online(given).unwrap_err().to_string();
        assert!(refused.contains("cannot sign timestamp"), "{refused}");
        clock.pass_days(7);
        let url = serve(&repository).await;
        let follower = Follower::of(&repository.first_root());
        let read = follower.reads(&url, clock.timestamp()).await;
        assert_eq!(read.unwrap(), "one");
        assert_eq!(follower.root_version(), 2);
        let copy = tempfile::tempdir().unwrap();
        copy_tree(directory.path(), copy.path());
        for repository in [repository, open(copy.path(), clock.clone()).unwrap()] {
            if exported {
                repository.refresh().unwrap();
                assert_eq!(versions(&repository)[0], 2);
                repository.sign_root_with(&key).unwrap();
            } else {
                repository.refresh().unwrap();
            }
            assert_eq!(versions(&repository)[0], 3);
            let root: Value = serde_json::from_slice(&repository.root_json()).unwrap();
            let keys = root["signed"]["roles"]["timestamp"]["keyids"].clone();
            assert_eq!(keys.as_array().unwrap().len(), 1);
            assert!(repository.publish(&[(TRUSTED_ROOT, "two")]).unwrap());
            let url = serve(&repository).await;
            let read = follower.reads(&url, clock.timestamp()).await;
            assert_eq!(read.unwrap(), "two");
        }
    }
}

#[tokio::test]
async fn it_is_kept_fresh_until_the_server_stops() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Set::now());
    let repository = open(directory.path(), clock.clone()).unwrap();
    clock.pass_days(1);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async { drop(stopped.await) };
    let task = tokio::spawn(repository.clone().keep_fresh(shutdown));
    while versions(&repository)[3] == 1 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    stop.send(()).unwrap();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(10), task).await;
    ended.unwrap().unwrap();
    assert_eq!(versions(&repository), [1, 1, 1, 2]);
}

fn read_key(path: &std::path::Path) -> PrivateKey {
    let none = || Err(sealmark_keys::Error::WrongPassword);
    PrivateKey::from_pem(&std::fs::read(path).unwrap(), none).unwrap()
}

#[tokio::test]
async fn the_root_key_can_be_kept_elsewhere() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, clock) = (tempfile::tempdir().unwrap(), Set::now());
    let safe = tempfile::tempdir().unwrap();
    let file = safe.path().join("root.pem");
    let repository = open(directory.path(), clock.clone()).unwrap();
    repository.publish(&[(TRUSTED_ROOT, "one")]).unwrap();
    std::fs::write(&file, "something else").unwrap();
    let refused = repository.export_root_key(&file).unwrap_err().to_string();
    assert!(refused.contains("give the name of a new file"), "{refused}");
    std::fs::remove_file(&file).unwrap();
    // As a crash between the two steps of the move leaves it.
    std::fs::copy(directory.path().join("keys/root-1.pem"), &file).unwrap();
    repository.export_root_key(&file).unwrap();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!directory.path().join("keys/root-1.pem").exists());
    let refused = repository.export_root_key(&file).unwrap_err().to_string();
    assert!(refused.contains("it was exported before"), "{refused}");
    drop(repository);
    let repository = open(directory.path(), clock.clone()).unwrap();
    // Everything else goes on.
    clock.pass_days(340);
    assert!(repository.refresh().unwrap());
    let root = repository.status()[0];
    let said = (root.role, root.version, root.days_left, root.key_here);
    assert_eq!(said, (Role::Root, 1, 25, false));
    for refused in [repository.rotate_root(None), repository.rotate_online(None)] {
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains("give its file with --root-key"),
            "{refused}"
        );
    }
    let online = read_key(&directory.path().join("keys/online-1.pem"));
    let refused = repository.sign_root_with(&online).unwrap_err().to_string();
    assert!(refused.contains("is not the root key"), "{refused}");
    let key = read_key(&file);
    repository.sign_root_with(&key).unwrap();
    assert_eq!(repository.status()[0].days_left, 365);
    repository.rotate_online(Some(&key)).unwrap();
    assert_eq!(repository.status()[0].version, 4);
    let url = serve(&repository).await;
    let follower = Follower::of(&repository.first_root());
    let read = follower.reads(&url, clock.timestamp()).await;
    assert_eq!(read.unwrap(), "one");
    repository.rotate_root(Some(&key)).unwrap();
    assert!(repository.status()[0].key_here, "the new one");
    follower.reads(&url, clock.timestamp()).await.unwrap();
    assert_eq!(follower.root_version(), 5);
}

#[tokio::test]
async fn files_have_their_types_and_caches_know_what_changes() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Set::now());
    let repository = open(directory.path(), clock).unwrap();
    let targets = [(TRUSTED_ROOT, "{}"), ("ca.pem", "pem"), ("other", "x")];
    repository.publish(&targets).unwrap();
    let url = serve(&repository).await;
    let file = |name: &str| {
        let targets = directory.path().join("repository/targets");
        let mut files = std::fs::read_dir(targets)
            .unwrap()
            .map(|file| file.unwrap());
        let found = files.find(|file| file.file_name().to_string_lossy().ends_with(name));
        format!("/targets/{}", found.unwrap().file_name().to_string_lossy())
    };
    let (json, good) = ("application/json", "public, max-age=31536000, immutable");
    let text = "text/plain; charset=utf-8";
    let http = reqwest::Client::new();
    for (path, status, kind, cache) in [
        ("/1.root.json", 200, json, good),
        ("/2.root.json", 404, text, "no-store"),
        ("/01.root.json", 404, text, "no-store"),
        ("/timestamp.json", 200, json, "no-cache"),
        ("/2.snapshot.json", 200, json, good),
        ("/2.targets.json", 200, json, good),
        (file(TRUSTED_ROOT).as_str(), 200, json, good),
        (file(".ca.pem").as_str(), 200, text, good),
        (
            file(".other").as_str(),
            200,
            "application/octet-stream",
            good,
        ),
        ("/keys/root-1.pem", 404, text, "no-store"),
        ("/../keys/root-1.pem", 404, "", ""),
        (
            "/targets/..%2f..%2fkeys%2froot-1.pem",
            404,
            text,
            "no-store",
        ),
        ("/", 404, "", ""),
    ] {
        let response = http.get(format!("{url}{path}")).send().await.unwrap();
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .map_or("", |it| it.to_str().unwrap())
        };
        assert_eq!(response.status().as_u16(), status, "{path}");
        if !kind.is_empty() {
            let said = (header("content-type"), header("cache-control"));
            assert_eq!(said, (kind, cache), "{path}");
        }
        let tag = header("etag").to_owned();
        let head = http.head(format!("{url}{path}")).send().await.unwrap();
        assert_eq!(head.status().as_u16(), status, "HEAD {path}");
        assert!(head.bytes().await.unwrap().is_empty());
        if status == 200 {
            let again = http
                .get(format!("{url}{path}"))
                .header("if-none-match", tag);
            assert_eq!(again.send().await.unwrap().status().as_u16(), 304, "{path}");
        }
    }
    let put = http.put(format!("{url}/1.root.json")).send().await.unwrap();
    assert_eq!(put.status().as_u16(), 405);
    assert_eq!(put.headers()["allow"], "GET, HEAD");
}

#[test]
fn what_cannot_be_a_target_is_refused() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Set::now());
    let repository = open(directory.path(), clock).unwrap();
    let before = versions(&repository);
    let long = "x".repeat(129);
    for (targets, part) in [
        (vec![("../escape", "x")], "letters, digits, dots"),
        (vec![("", "x")], "letters, digits, dots"),
        (vec![(long.as_str(), "x")], "letters, digits, dots"),
        (vec![("a", "x"), ("a", "y")], "given twice"),
        (
            vec![("large", "x".repeat((8 << 20) + 1).as_str())],
            "at most 8388608",
        ),
    ] {
        let refused = repository.publish(&targets).unwrap_err().to_string();
        assert!(refused.contains(part), "{refused}");
    }
    let names: Vec<String> = (0..65).map(|number| format!("target{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let refused = repository.publish(&many).unwrap_err().to_string();
    assert!(refused.contains("at most 64 targets"), "{refused}");
    assert_eq!(versions(&repository), before);
}
