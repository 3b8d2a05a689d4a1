//! What a service does with a log: append, find, prove, go on after a restart.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};

use sealmark_log::storage::{Memory, contract};
use sealmark_log::{
    Appended, Entry, Error, LateEntry, Limits, Log, MAX_KEY, MAX_KEYS, Placed, Settings,
};
use sealmark_tlog::tile::{Bundle, LengthPrefix, VerifiedTiles};
use sealmark_tlog::{Hash, Tile};
use support::*;

#[test]
fn every_storage_keeps_the_contract() {
    struct Shared(Arc<Memory>);
    impl contract::Reopen for Shared {
        type Storage = Arc<Memory>;
        fn open(&mut self) -> Arc<Memory> {
            self.0.clone()
        }
    }
    contract::check(&mut Shared(Arc::new(Memory::new())));

    struct OnDisk(tempfile::TempDir);
    impl contract::Reopen for OnDisk {
        type Storage = sealmark_log::storage::Directory;
        fn open(&mut self) -> Self::Storage {
            sealmark_log::storage::Directory::open(self.0.path()).unwrap()
        }
    }
    contract::check(&mut OnDisk(tempfile::tempdir().unwrap()));
}

#[test]
fn what_was_appended_is_found_and_proved_before_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open_directory(folder.path(), settings()).unwrap();
    log.create_tree("main", LengthPrefix::Two, signer("log.example"))
        .unwrap();
    let mut checkpoints = Vec::new();
    for n in 0..1000 {
        let integrated = new(log.append_blocking("main", entry(n)).unwrap());
        assert_eq!(integrated.index, n);
        believe(&integrated, &entry(n), &signer("log.example"));
        checkpoints.push(integrated.checkpoint.checkpoint.clone());
    }
    let check = |log: &Log| {
        let tree = log.tree("main").unwrap();
        assert_eq!(tree.size(), 1000);
        no_fork(&tree, &checkpoints);
        for n in 0..1000 {
            let stored = tree.entry(n).unwrap().unwrap();
            assert_eq!((stored.index, &stored.entry), (n, &entry(n)));
            assert_eq!(
                log.append_blocking("main", entry(n)).unwrap(),
                Appended::Duplicate { index: n }
            );
            let found = tree.search(&format!("sha256:{n}"), 0, 10).unwrap();
            assert_eq!(
                (found.entries, found.next, found.through),
                (vec![n], None, 1000)
            );
        }
        assert_eq!(tree.entry(1000).unwrap(), None);
        tree.inclusion_proof(3, 700).unwrap();
        assert!(tree.inclusion_proof(3, 1001).is_err());
        assert!(tree.consistency_proof(0, 1000).is_err());
    };
    check(&log);
    log.close();
    let log = Log::open_directory(folder.path(), settings()).unwrap();
    check(&log);
    drop(log);
    // The index is made again from the entries.
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    check(&Log::open_directory(folder.path(), settings()).unwrap());
}

#[test]
fn a_search_gives_pages_in_order() {
    let log = Log::open(
        Memory::new(),
        tempfile::tempdir().unwrap().path(),
        settings(),
    )
    .unwrap();
    let tree = log
        .create_tree("main", LengthPrefix::Two, signer("log.example"))
        .unwrap();
    for n in 0..1000 {
        log.append_blocking("main", entry(n)).unwrap();
    }
    let (mut found, mut from) = (Vec::new(), Some(0));
    while let Some(start) = from {
        let page = tree.search("email:3@example.org", start, 7).unwrap();
        assert!(page.entries.len() <= 7);
        found.extend(page.entries);
        from = page.next;
    }
    assert_eq!(found, (0..100).map(|n| 10 * n + 3).collect::<Vec<_>>());
    let nobody = tree.search("email:3@EXAMPLE.org", 0, 7).unwrap();
    assert!(nobody.entries.is_empty(), "keys are exact");
}

#[test]
fn many_writers_at_once_share_commits_and_never_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open_directory(folder.path(), settings()).unwrap();
    let tree = log
        .create_tree("main", LengthPrefix::Two, signer("log.example"))
        .unwrap();
    let seen = Mutex::new((HashSet::new(), Vec::new(), 0));
    std::thread::scope(|scope| {
        for writer in 0..16 {
            let (log, seen) = (&log, &seen);
            scope.spawn(move || {
                for n in 0..100 {
                    // Every entry is sent by two of them.
                    let entry = entry(writer / 2 * 100 + n);
                    let appended = log.append_blocking("main", entry.clone()).unwrap();
                    let mut seen = seen.lock().unwrap();
                    match appended {
                        Appended::New(integrated) => {
                            believe(&integrated, &entry, &signer("log.example"));
                            assert!(seen.0.insert(integrated.index), "an index twice");
                            seen.1.push(integrated.checkpoint.checkpoint.clone());
                        }
                        Appended::Duplicate { .. } => seen.2 += 1,
                    }
                }
            });
        }
    });
    let (indices, checkpoints, duplicates) = seen.into_inner().unwrap();
    assert_eq!(indices, (0..800).collect::<HashSet<u64>>());
    assert_eq!((duplicates, tree.size()), (800, 800));
    no_fork(&tree, &checkpoints);
    let sizes: BTreeSet<u64> = checkpoints
        .iter()
        .map(|checkpoint| checkpoint.size)
        .collect();
    assert!(sizes.len() < 800, "no commit was shared");
}

#[test]
fn tiles_are_as_anybody_can_verify_them() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open_directory(folder.path(), settings()).unwrap();
    let tree = log
        .create_tree("main", LengthPrefix::Two, signer("log.example"))
        .unwrap();
    for n in 0..700 {
        log.append_blocking("main", entry(n)).unwrap();
    }
    let checkpoint = tree.checkpoint().checkpoint.clone();
    let read =
        |tile: Tile| -> Result<_, sealmark_tlog::Error> { Ok(tree.tile(tile).unwrap().unwrap()) };
    let mut tiles = VerifiedTiles::open(700, &checkpoint.root, read).unwrap();
    for n in 0..700 {
        tiles.inclusion_proof(n).unwrap();
    }
    // Partial tiles of every size before are still there.
    for width in 1..=256 {
        let tile = Tile::new(0, 1, width).unwrap();
        assert_eq!(tree.tile(tile).unwrap().unwrap().len(), 32 * width);
        let bundle = Bundle::new(1, width).unwrap();
        let bytes = tree.bundle(bundle).unwrap().unwrap();
        let entries = bundle.decode(&bytes, LengthPrefix::Two).unwrap();
        assert_eq!(*entries[width - 1], entry(255 + width as u64).leaf);
    }
    assert_eq!(tree.tile(Tile::new(0, 2, 189).unwrap()).unwrap(), None);
    assert_eq!(tree.bundle(Bundle::new(2, 189).unwrap()).unwrap(), None);

    // What is full is there as files for any web server; what is not full, once the tree is frozen.
    log.freeze("main", Some("This log is frozen.")).unwrap();
    assert!(matches!(
        log.append_blocking("main", entry(9999)),
        Err(Error::Frozen(_))
    ));
    assert!(matches!(log.freeze("main", None), Err(Error::Frozen(_))));
    drop(tiles);
    drop(tree);
    log.close();
    let public = folder.path().join("public/main");
    let note = std::fs::read_to_string(public.join("checkpoint")).unwrap();
    assert!(note.contains("\nThis log is frozen.\n"), "{note}");
    let read = |tile: Tile| -> Result<Vec<u8>, sealmark_tlog::Error> {
        Ok(std::fs::read(public.join(tile.to_string())).unwrap())
    };
    VerifiedTiles::open(700, &checkpoint.root, read)
        .unwrap()
        .inclusion_proof(5)
        .unwrap();
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.path().join(name);
        std::fs::metadata(path).unwrap().permissions().mode() & 0o077
    };
    assert_eq!((mode("snapshot"), mode("private"), mode("wal")), (0, 0, 0));
    assert_ne!(mode("public/main/checkpoint"), 0);
    for name in [
        "tile/entries/001",
        "tile/entries/002.p/188",
        "tile/1/000.p/2",
    ] {
        assert!(public.join(name).exists(), "{name}");
    }
    let log = Log::open_directory(folder.path(), settings()).unwrap();
    assert!(log.tree("main").unwrap().is_frozen());
    assert!(matches!(
        log.append_blocking("main", entry(9999)),
        Err(Error::Frozen(_))
    ));
}

#[test]
fn several_trees_live_on_one_journal() {
    let folder = tempfile::tempdir().unwrap();
    let v1 = Arc::new(rekor_v1_signer());
    let settings = || {
        let mut settings = settings();
        settings.signers.insert("v1".to_owned(), v1.clone());
        settings
    };
    let log = Log::open_directory(folder.path(), settings()).unwrap();
    log.create_tree("main", LengthPrefix::Two, signer("log.example"))
        .unwrap();
    log.create_tree("v1", LengthPrefix::Four, v1.clone())
        .unwrap();
    let exists = log.create_tree("v1", LengthPrefix::Four, v1.clone());
    assert!(matches!(exists, Err(Error::Exists(_))));
    for name in ["", "..", "a/b", "A", ".a", &"a".repeat(65)] {
        let refused = log.create_tree(name, LengthPrefix::Two, signer("x"));
        assert!(matches!(refused, Err(Error::Refused(_))), "{name}");
    }
    let long = Entry {
        leaf: vec![b'l'; 100_000],
        ..Entry::default()
    };
    assert!(matches!(
        log.append_blocking("main", long.clone()),
        Err(Error::Refused(_))
    ));
    std::thread::scope(|scope| {
        for tree in ["main", "v1"] {
            let log = &log;
            // The same leaf in two trees is no duplicate.
            scope.spawn(move || {
                (0..600).for_each(|n| drop(new(log.append_blocking(tree, entry(n)).unwrap())))
            });
        }
    });
    let integrated = new(log.append_blocking("v1", long.clone()).unwrap());
    believe(&integrated, &long, &v1);
    assert_eq!(integrated.checkpoint.note.matches('\u{2014}').count(), 1);
    log.close();
    let log = Log::open_directory(folder.path(), settings()).unwrap();
    let names: Vec<String> = log
        .trees()
        .iter()
        .map(|tree| tree.name().to_owned())
        .collect();
    assert_eq!(names, ["main", "v1"]);
    let stored = log.tree("v1").unwrap().entry(600).unwrap().unwrap();
    assert_eq!(stored.entry, long);
    assert!(folder.path().join("public/main/tile/entries/001").exists());
    assert!(!folder.path().join("public/v1/tile/entries").exists());
}

#[test]
fn what_breaks_a_bound_is_refused_and_not_in_the_log() {
    let log = Log::open(
        Memory::new(),
        tempfile::tempdir().unwrap().path(),
        settings(),
    )
    .unwrap();
    let tree = log
        .create_tree("main", LengthPrefix::Two, signer("log.example"))
        .unwrap();
    let many = Entry {
        keys: vec![String::new(); MAX_KEYS + 1],
        ..entry(1)
    };
    let long = Entry {
        keys: vec!["k".repeat(MAX_KEY + 1)],
        ..entry(1)
    };
    let extra = Entry {
        extra: vec![0; sealmark_log::MAX_EXTRA + 1],
        ..entry(1)
    };
    for (entry, reason) in [
        (many, "4097 keys"),
        (long, "1025 bytes"),
        (extra, "extra data"),
    ] {
        let error = log.append_blocking("main", entry).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert!(matches!(
        log.append_blocking("other", entry(1)),
        Err(Error::UnknownTree(_))
    ));
    assert_eq!(tree.size(), 0);
    assert_eq!(tree.find(&Hash::from([0; 32])).unwrap(), None);
}

#[test]
fn a_tree_without_its_key_can_be_read() {
    let (storage, index) = (Arc::new(Memory::new()), tempfile::tempdir().unwrap());
    let log = Log::open(storage.clone(), index.path(), settings()).unwrap();
    log.create_tree("main", LengthPrefix::Two, signer("log.example"))
        .unwrap();
    log.append_blocking("main", entry(1)).unwrap();
    drop(log);
    let log = Log::open(storage.clone(), index.path(), Settings::default()).unwrap();
    assert_eq!(
        log.tree("main").unwrap().entry(0).unwrap().unwrap().entry,
        entry(1)
    );
    assert!(matches!(
        log.append_blocking("main", entry(2)),
        Err(Error::NoSigner(_))
    ));
    drop(log);
    let other = Settings::with_signer("main", rekor_v1_signer());
    let refused = Log::open(storage, index.path(), other).err().unwrap();
    assert!(
        refused
            .to_string()
            .contains("not by the key that was given"),
        "{refused}"
    );
}

#[test]
fn too_much_at_once_is_refused_and_the_log_goes_on() {
    let mut few = settings();
    few.limits = Limits {
        max_waiting: 4,
        ..small()
    };
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open_directory(folder.path(), few).unwrap();
    let tree = log
        .create_tree("main", LengthPrefix::Two, signer("log.example"))
        .unwrap();
    let counts = Mutex::new((0, 0));
    std::thread::scope(|scope| {
        for writer in 0..32 {
            let (log, counts) = (&log, &counts);
            scope.spawn(move || {
                for n in 0..50 {
                    match log.append_blocking("main", entry(writer * 50 + n)) {
                        Ok(_) => counts.lock().unwrap().0 += 1,
                        Err(Error::Overloaded { retry_after, .. }) => {
                            assert!(!retry_after.is_zero());
                            counts.lock().unwrap().1 += 1;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    let (taken, refused) = counts.into_inner().unwrap();
    assert!(refused > 0, "32 writers never filled a queue of 4");
    assert_eq!(tree.size(), taken);
    new(log.append_blocking("main", entry(100_000)).unwrap());
}

#[test]
fn the_clock_never_runs_backwards_in_the_log() {
    let clock = SetClock::at(1_000_000_000);
    let mut with_clock = settings();
    with_clock.clock = Arc::new(clock.clone());
    let (storage, index) = (Arc::new(Memory::new()), tempfile::tempdir().unwrap());
    let log = Log::open(storage.clone(), index.path(), with_clock.clone()).unwrap();
    log.create_tree("main", LengthPrefix::Two, signer("log.example"))
        .unwrap();
    let first = new(log.append_blocking("main", entry(1)).unwrap());
    assert_eq!(first.integrated_ms, 1_000_000_000);
    // A small step back is waited out, a large one is not believed.
    clock.set(1_000_000_000 - 3_000);
    let second = new(log.append_blocking("main", entry(2)).unwrap());
    assert_eq!(second.integrated_ms, 1_000_000_000);
    clock.set(1_000_000_000 - 60_000);
    let refused = log.append_blocking("main", entry(3)).unwrap_err();
    assert!(matches!(refused, Error::ClockSetBack { .. }), "{refused}");
    drop(log);
    let refused = Log::open(storage.clone(), index.path(), with_clock.clone())
        .err()
        .unwrap();
    assert!(matches!(refused, Error::ClockSetBack { .. }), "{refused}");
    clock.set(1_000_000_001);
    let log = Log::open(storage, index.path(), with_clock).unwrap();
    let third = new(log.append_blocking("main", entry(3)).unwrap());
    assert_eq!((third.index, third.integrated_ms), (2, 1_000_000_001));
}

#[test]
fn an_async_service_appends_and_follows() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(Log::open_directory(folder.path(), settings()).unwrap());
    let tree = log
        .create_tree("main", LengthPrefix::Two, signer("log.example"))
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let follower = tokio::spawn({
            let tree = tree.clone();
            async move { tree.wait_for_size(20).await }
        });
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                let log = log.clone();
                tokio::spawn(async move { log.append("main", entry(n)).await.unwrap() })
            })
            .collect();
        let mut indices = BTreeSet::new();
        for task in tasks {
            indices.insert(new(task.await.unwrap()).index);
        }
        assert_eq!(indices, (0..20).collect());
        assert_eq!(follower.await.unwrap(), 20);
        assert_eq!(tree.wait_for_size(3).await, 20);
    });
}

#[tokio::test]
async fn a_leaf_may_say_where_and_when_it_is_and_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let late = |n: u64| LateEntry {
        identity: format!("certificate {n}").into_bytes(),
        make: Box::new(move |index, time| format!("{n} at {index:05} {time:020}").into_bytes()),
        length: 0,
        keys: vec![format!("sha256:{n}")],
        extra: Vec::new(),
    };
    let log = Log::open_directory(folder.path(), settings()).unwrap();
    log.create_tree("main", LengthPrefix::Two, signer("log.example"))
        .unwrap();
    let mut sent = Vec::new();
    // Twice each, at the same time: whoever is second in a batch, or after it, is the duplicate.
    for n in 0..300 {
        sent.push(log.append_late("main", late(n)));
        sent.push(log.append_late("main", late(n)));
    }
    let answers = futures_util::future::join_all(sent).await;
    let mut leaves = std::collections::HashMap::new();
    for (at, answer) in answers.into_iter().enumerate() {
        let n = (at / 2) as u64;
        if let Placed::New {
            index,
            integrated_ms,
        } = answer.unwrap()
        {
            let leaf = format!("{n} at {index:05} {integrated_ms:020}");
            assert_eq!(leaves.insert(n, (index, leaf)), None);
        }
    }
    assert_eq!(leaves.len(), 300);
    drop(log);
    let log = Log::open_directory(folder.path(), settings()).unwrap();
    for (n, (index, leaf)) in leaves {
        let stored = log.tree("main").unwrap().entry(index).unwrap().unwrap();
        assert_eq!(stored.entry.leaf, leaf.into_bytes());
        let again = log.append_late("main", late(n)).await.unwrap();
        assert_eq!(again, Placed::Duplicate { index });
    }
    assert_eq!(log.tree("main").unwrap().size(), 300);
}
