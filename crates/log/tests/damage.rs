//! Damaged, copied and shared directories: the log refuses what it cannot trust, and says what and where.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use sealmark_log::{CheckpointSigner, Error, Limits, Log, backup, export, fsck, import};
use sealmark_tlog::tile::LengthPrefix;
use support::*;

fn signers() -> HashMap<String, Arc<dyn CheckpointSigner>> {
    settings().signers
}

/// A closed log with 1000 entries, and then some that only the journal has: the process was killed, in effect, by
/// copying the directory while it ran.
fn log_directory() -> tempfile::TempDir {
    static ORIGINAL: OnceLock<tempfile::TempDir> = OnceLock::new();
    let original = ORIGINAL.get_or_init(make_log_directory);
    let copy = tempfile::tempdir().unwrap();
    copy_all(original.path(), copy.path());
    copy
}

fn make_log_directory() -> tempfile::TempDir {
    let original = tempfile::tempdir().unwrap();
    let log = Log::open_directory(original.path(), settings()).unwrap();
    log.create_tree("main", LengthPrefix::Two, signer("log.example"))
        .unwrap();
    for n in 0..1000 {
        log.append_blocking("main", entry(n)).unwrap();
    }
    log.close();
    let mut patient = settings();
    patient.limits = Limits::default();
    let log = Log::open_directory(original.path(), patient).unwrap();
    for n in 1000..1100 {
        log.append_blocking("main", entry(n)).unwrap();
    }
    let copy = tempfile::tempdir().unwrap();
    copy_all(original.path(), copy.path());
    copy
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let (path, to) = {
            let item = item.unwrap();
            (item.path(), to.join(item.file_name()))
        };
        if path.is_dir() {
            copy_all(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

fn newest_wal(directory: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = fs::read_dir(directory.join("wal"))
        .unwrap()
        .map(|item| item.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wal"))
        .collect();
    files.sort();
    files.pop().unwrap()
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn the_undamaged_directory_opens_and_is_sound() {
    let directory = log_directory();
    let report = fsck(directory.path(), &signers()).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.trees, [("main".to_owned(), 1100)]);
    let log = Log::open_directory(directory.path(), settings()).unwrap();
    let tree = log.tree("main").unwrap();
    for n in 0..1100 {
        assert_eq!(tree.entry(n).unwrap().unwrap().entry, entry(n));
    }
}

#[test]
fn a_damaged_directory_is_not_opened() {
    type Damage = fn(&Path);
    let table: &[(&str, Damage, &str)] = &[
        (
            "the last record, flipped",
            |d| change(&newest_wal(d), |b| *b.last_mut().unwrap() ^= 1),
            "is not whole",
        ),
        (
            "a record within, flipped",
            |d| {
                change(&newest_wal(d), |b| {
                    let at = b.len() / 2;
                    b[at] ^= 1
                })
            },
            "is not whole",
        ),
        (
            "the length of a record",
            |d| change(&newest_wal(d), |b| b[56] ^= 1),
            "is not whole",
        ),
        (
            "a journal that was cut",
            |d| change(&newest_wal(d), |b| b.truncate(b.len() - 100)),
            "is not whole",
        ),
        (
            "a journal that was emptied",
            |d| change(&newest_wal(d), Vec::clear),
            "its beginning",
        ),
        (
            "a journal file that is missing",
            |d| fs::remove_file(newest_wal(d)).unwrap(),
            "missing",
        ),
        (
            "no journal",
            |d| fs::remove_dir_all(d.join("wal")).unwrap(),
            "but there is",
        ),
        (
            "no note of what was committed",
            |d| fs::remove_file(d.join("wal/committed")).unwrap(),
            "but there is",
        ),
        (
            "that note, flipped",
            |d| {
                change(&d.join("wal/committed"), |b| {
                    b[3] ^= 1;
                    b[67] ^= 1
                })
            },
            "up to which record",
        ),
        (
            "the snapshot, flipped",
            |d| change(&d.join("snapshot"), |b| b[20] ^= 1),
            "is not what was written",
        ),
        (
            "the last tile, cut",
            |d| change(&d.join("public/main/tile/0/002"), |b| b.truncate(8191)),
            "8191 bytes",
        ),
        (
            "the last tile, flipped",
            |d| change(&d.join("public/main/tile/0/002"), |b| b[77] ^= 1),
            "is not the leaf",
        ),
        (
            "a tile before, flipped",
            |d| change(&d.join("public/main/tile/0/001"), |b| b[77] ^= 1),
            "not those of the snapshot",
        ),
        (
            "a tile, missing",
            |d| fs::remove_file(d.join("public/main/tile/0/000")).unwrap(),
            "it is missing",
        ),
        (
            "the last bundle, cut",
            |d| {
                change(&d.join("public/main/tile/entries/002"), |b| {
                    b.truncate(b.len() - 1)
                })
            },
            "ends inside of entry 255",
        ),
        (
            "the last bundle, flipped",
            |d| change(&d.join("public/main/tile/entries/002"), |b| b[500] ^= 1),
            "is not the leaf",
        ),
        (
            "the side of the last bundle",
            |d| change(&d.join("private/main/side/002"), |b| b[9] ^= 1),
            "not what was written",
        ),
        (
            "a tile ahead of the journal",
            |d| {
                fs::copy(
                    d.join("public/main/tile/0/000"),
                    d.join("public/main/tile/0/004"),
                )
                .unwrap();
            },
            "does not have",
        ),
        (
            "a checkpoint of another tree",
            |d| {
                change(&d.join("public/main/checkpoint"), |b| {
                    b[20] = if b[20] == b'A' { b'B' } else { b'A' }
                })
            },
            "checkpoint",
        ),
    ];
    for (name, damage, reason) in table {
        let directory = log_directory();
        damage(directory.path());
        let error = Log::open_directory(directory.path(), settings())
            .err()
            .unwrap_or_else(|| panic!("{name}: it was opened"));
        assert!(matches!(error, Error::Damaged { .. }), "{name}: {error}");
        assert!(error.to_string().contains(reason), "{name}: {error}");
        let report = fsck(directory.path(), &signers()).unwrap();
        assert!(!report.findings.is_empty(), "{name}: fsck finds nothing");
    }
}

#[test]
fn a_young_log_is_not_taken_for_none() {
    let original = tempfile::tempdir().unwrap();
    let log = Log::open_directory(original.path(), settings()).unwrap();
    log.create_tree("main", LengthPrefix::Two, signer("log.example"))
        .unwrap();
    log.append_blocking("main", entry(1)).unwrap();
    type Damage = fn(&Path);
    let table: &[(Damage, &str)] = &[
        (
            |d| fs::remove_file(d.join("wal/committed")).unwrap(),
            "committed",
        ),
        (
            |d| fs::remove_dir_all(d.join("wal")).unwrap(),
            "but there is",
        ),
        (|d| fs::remove_file(newest_wal(d)).unwrap(), "missing"),
    ];
    for (damage, reason) in table {
        let copy = tempfile::tempdir().unwrap();
        copy_all(&original.path().join("wal"), &copy.path().join("wal"));
        copy_all(&original.path().join("index"), &copy.path().join("index"));
        damage(copy.path());
        let error = Log::open_directory(copy.path(), settings()).err().unwrap();
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn an_older_copy_is_not_taken_for_the_log() {
    let directory = log_directory();
    let old = tempfile::tempdir().unwrap();
    copy_all(directory.path(), old.path());
    let log = Log::open_directory(directory.path(), settings()).unwrap();
    for n in 1100..1400 {
        log.append_blocking("main", entry(n)).unwrap();
    }
    drop(log);
    // The journal and snapshot of the copy beside the tiles and the checkpoint that were published since.
    for name in ["wal", "snapshot"] {
        let path = directory.path().join(name);
        match path.is_dir() {
            true => fs::remove_dir_all(&path).unwrap(),
            false => fs::remove_file(&path).unwrap(),
        }
    }
    fs::create_dir(directory.path().join("wal")).unwrap();
    copy_all(&old.path().join("wal"), &directory.path().join("wal"));
    fs::copy(
        old.path().join("snapshot"),
        directory.path().join("snapshot"),
    )
    .unwrap();
    let error = Log::open_directory(directory.path(), settings())
        .err()
        .unwrap();
    assert!(error.to_string().contains("older copy"), "{error}");
}

#[test]
fn fsck_finds_what_an_open_does_not_look_at() {
    type Damage = fn(&Path);
    let table: &[(&str, Damage, &str)] = &[
        (
            "an old bundle",
            |d| change(&d.join("public/main/tile/entries/000"), |b| b[40] ^= 1),
            "entry 3 is not the leaf",
        ),
        (
            "an old side file",
            |d| change(&d.join("private/main/side/000"), |b| b[40] ^= 1),
            "side/000",
        ),
        (
            "an index",
            |d| {
                let folder = d.join("index/main");
                let run = fs::read_dir(&folder)
                    .unwrap()
                    .next()
                    .unwrap()
                    .unwrap()
                    .path();
                change(&run, |b| b[5] ^= 1);
            },
            "index",
        ),
    ];
    for (name, damage, reason) in table {
        let directory = log_directory();
        damage(directory.path());
        let report = fsck(directory.path(), &signers()).unwrap();
        let found = format!("{:?}", report.findings);
        assert!(
            report.findings.len() == 1 && found.contains(reason),
            "{name}: {found}"
        );
    }
    // And whoever reads such an entry is told, too.
    let directory = log_directory();
    change(
        &directory.path().join("public/main/tile/entries/000"),
        |b| b[40] ^= 1,
    );
    let log = Log::open_directory(directory.path(), settings()).unwrap();
    let error = log.tree("main").unwrap().entry(3).unwrap_err();
    assert!(error.to_string().contains("entry 3"), "{error}");
}

#[test]
fn only_one_process_has_a_directory_open() {
    let directory = tempfile::tempdir().unwrap();
    let log = Log::open_directory(directory.path(), settings()).unwrap();
    // A lock belongs to the open file, so the same process is refused in the same way as another.
    let second = Log::open_directory(directory.path(), settings())
        .err()
        .unwrap();
    assert!(matches!(second, Error::Locked(_)), "{second}");
    let program = std::env::current_exe().unwrap();
    let other = std::process::Command::new(program)
        .args(["another_process", "--exact", "--nocapture"])
        .env("SEALMARK_LOG_TEST_DIRECTORY", directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&other.stdout);
    assert!(
        said.contains("refused: another process has the log"),
        "{said}"
    );
    drop(log);
    Log::open_directory(directory.path(), settings()).unwrap();
}

/// Not a test by itself: what the test above starts.
#[test]
fn another_process() {
    if let Some(directory) = std::env::var_os("SEALMARK_LOG_TEST_DIRECTORY") {
        match Log::open_directory(Path::new(&directory), settings()) {
            Ok(_) => println!("opened"),
            Err(error) => println!("refused: {error}"),
        }
    }
}

#[test]
fn a_backup_made_while_the_log_is_written_is_a_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = Log::open_directory(directory.path(), settings()).unwrap();
    let tree = log
        .create_tree("main", LengthPrefix::Two, signer("log.example"))
        .unwrap();
    let copies = tempfile::tempdir().unwrap();
    let (done, mut sizes) = (AtomicBool::new(false), Vec::new());
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (log, done) = (&log, &done);
            scope.spawn(move || {
                for n in 0.. {
                    if done.load(Ordering::SeqCst) {
                        break;
                    }
                    log.append_blocking("main", entry(writer * 1_000_000 + n))
                        .unwrap();
                }
            });
        }
        for copy in 0..5 {
            std::thread::sleep(std::time::Duration::from_millis(200));
            let before = tree.size();
            backup(directory.path(), &copies.path().join(copy.to_string())).unwrap();
            sizes.push(before);
        }
        done.store(true, Ordering::SeqCst);
    });
    for (copy, before) in sizes.into_iter().enumerate() {
        let copy = copies.path().join(copy.to_string());
        let report = fsck(&copy, &signers()).unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        let restored = Log::open_directory(&copy, settings()).unwrap();
        let checkpoint = restored.tree("main").unwrap().checkpoint();
        let size = checkpoint.checkpoint.size;
        // It may have what was on its way when the journal was copied, but never less than was promised before.
        assert!(before <= size, "{before} <= {size}");
        no_fork(&tree, [&checkpoint.checkpoint]);
        new(restored.append_blocking("main", entry(9_000_000)).unwrap());
    }
    assert!(matches!(
        backup(directory.path(), &copies.path().join("0")),
        Err(Error::Exists(_))
    ));
}

#[test]
fn an_export_is_imported_with_its_times_and_the_same_root() {
    let directory = log_directory();
    let log = Log::open_directory(directory.path(), settings()).unwrap();
    let tree = log.tree("main").unwrap();
    let mut exported = Vec::new();
    export(&tree, &mut exported).unwrap();

    let other = tempfile::tempdir().unwrap();
    let second = Log::open_directory(other.path(), settings()).unwrap();
    let copy = import(&second, "copy", signer("log.example"), &exported[..]).unwrap();
    assert_eq!(copy.checkpoint().checkpoint, tree.checkpoint().checkpoint);
    for n in [0, 255, 256, 1099] {
        assert_eq!(copy.entry(n).unwrap(), tree.entry(n).unwrap());
    }
    assert_eq!(copy.search("sha256:77", 0, 10).unwrap().entries, [77]);

    let text = String::from_utf8(exported).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let without_one = [&lines[..500], &lines[501..]].concat().join("\n");
    let cut = lines[..500].join("\n");
    for (n, (wrong, reason)) in [
        (without_one.as_str(), "is of entry 500"),
        (&cut, "its checkpoint of 1100 entries"),
        ("", "is empty"),
        ("{}", "first line"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("wrong-{n}");
        let error = import(&second, &name, signer("log.example"), wrong.as_bytes())
            .err()
            .unwrap();
        assert!(error.to_string().contains(reason), "{error}");
    }
}
