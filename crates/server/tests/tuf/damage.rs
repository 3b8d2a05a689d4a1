//! Directories that are not what they were: each is refused, and the refusal says which file it is.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sealmark_log::SystemClock;

use crate::copy_tree;
use crate::world::{Set, TRUSTED_ROOT, open, open_with};

#[test]
fn damage_is_named_and_nothing_is_changed() {
    type Damage = fn(&Path);
    fn edit(path: &Path, from: &str, to: &str) {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }
    fn remove(path: &Path) {
        std::fs::remove_file(path).unwrap();
    }
    let (whole, clock) = (tempfile::tempdir().unwrap(), Set::now());
    let repository = open(whole.path(), clock.clone()).unwrap();
    repository.rotate_root(None).unwrap();
    repository.publish(&[(TRUSTED_ROOT, "one")]).unwrap();
    drop(repository);
    let cases: &[(&str, Damage, &[&str])] = &[
        (
            "half a timestamp",
            |repository| {
                let path = repository.join("timestamp.json");
                let half = std::fs::read(&path).unwrap();
                std::fs::write(path, &half[..half.len() / 2]).unwrap();
            },
            &["timestamp.json", "EOF"],
        ),
        (
            "no timestamp",
            |repository| {
                remove(&repository.join("timestamp.json"));
            },
            &["timestamp.json", "it is missing"],
        ),
        (
            "a timestamp of another version",
            |repository| {
                edit(
                    &repository.join("timestamp.json"),
                    "\"expires\": \"20",
                    "\"expires\": \"21",
                );
            },
            &["timestamp.json", "no key of 2.root.json signed it"],
        ),
        (
            "a changed snapshot",
            |repository| {
                edit(
                    &repository.join("2.snapshot.json"),
                    "\"version\": 2",
                    "\"version\": 3",
                );
            },
            &["2.snapshot.json", "not as timestamp.json describes it"],
        ),
        (
            "no targets",
            |repository| {
                remove(&repository.join("2.targets.json"));
            },
            &["2.targets.json", "it is missing"],
        ),
        (
            "no first root",
            |repository| {
                remove(&repository.join("1.root.json"));
            },
            &["1.root.json", "it is missing"],
        ),
        (
            "a changed root",
            |repository| {
                edit(
                    &repository.join("2.root.json"),
                    "\"expires\": \"20",
                    "\"expires\": \"21",
                );
            },
            &["2.root.json", "signatures are not those"],
        ),
        (
            "a root with another threshold",
            |repository| {
                edit(
                    &repository.join("2.root.json"),
                    "\"threshold\": 1",
                    "\"threshold\": 2",
                );
            },
            &["2.root.json", "roles are not as this program writes them"],
        ),
        (
            "a root of another place",
            |repository| {
                std::fs::copy(
                    repository.join("1.root.json"),
                    repository.join("2.root.json"),
                )
                .unwrap();
            },
            &["2.root.json", "another version"],
        ),
        (
            "a changed target",
            |repository| {
                for file in std::fs::read_dir(repository.join("targets")).unwrap() {
                    std::fs::write(file.unwrap().path(), "two").unwrap();
                }
            },
            &[TRUSTED_ROOT, "its SHA-256 is"],
        ),
        (
            "no targets at all",
            |repository| {
                std::fs::remove_dir_all(repository.join("targets")).unwrap();
            },
            &[TRUSTED_ROOT, "it is missing"],
        ),
        (
            "an empty directory of files",
            |repository| {
                std::fs::remove_dir_all(repository).unwrap();
            },
            &["1.root.json", "it is missing"],
        ),
        (
            "no online key",
            |repository| {
                remove(&repository.join("../keys/online-1.pem"));
            },
            &["keys: restore it from a backup"],
        ),
        (
            "a marker of another kind",
            |repository| {
                std::fs::write(repository.join("../sealmark-tuf"), "{\"layout\":2}").unwrap();
            },
            &["has layout 2"],
        ),
        (
            "no marker",
            |repository| {
                remove(&repository.join("../sealmark-tuf"));
            },
            &["is not a TUF repository of sealmark"],
        ),
    ];
    for (what, damage, parts) in cases {
        let copy = tempfile::tempdir().unwrap();
        copy_tree(whole.path(), copy.path());
        damage(&copy.path().join("repository"));
        let refused = open(copy.path(), clock.clone()).unwrap_err().to_string();
        for part in *parts {
            assert!(refused.contains(part), "{what}: {refused}");
        }
    }
    let repository = open(whole.path(), clock).unwrap();
    assert!(!repository.publish(&[(TRUSTED_ROOT, "one")]).unwrap());
}

#[test]
fn other_directories_are_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("letter.txt"), "dear").unwrap();
    let refused = open(directory.path(), SystemClock).unwrap_err().to_string();
    assert!(refused.contains("nothing in it was touched"), "{refused}");
    assert!(!directory.path().join("keys").exists());
}

#[test]
fn keys_are_encrypted_and_a_wrong_password_is_said_to_be_one() {
    let directory = tempfile::tempdir().unwrap();
    let open = |password: &str| open_with(directory.path(), SystemClock, Some(password));
    drop(open("secret").unwrap());
    for name in ["root-1", "online-1"] {
        let pem = directory.path().join(format!("keys/{name}.pem"));
        let mode = std::fs::metadata(&pem).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let pem = std::fs::read_to_string(pem).unwrap();
        assert!(pem.starts_with("-----BEGIN ENCRYPTED"), "{pem}");
    }
    let refused = open("typo").unwrap_err().to_string();
    assert!(refused.contains("password"), "{refused}");
    let repository = open("secret").unwrap();
    repository.rotate_online(None).unwrap();
    drop(repository);
    drop(open("secret").unwrap());
}
