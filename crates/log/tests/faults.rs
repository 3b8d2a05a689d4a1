//! A storage that fails at each operation in each way: what the log answers, whether it goes on, and what is there
//! after a restart.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sealmark_log::storage::{Fault, Faulty, Memory, Operation};
use sealmark_log::{Appended, Error, Limits, Log};
use sealmark_tlog::Checkpoint;
use sealmark_tlog::tile::LengthPrefix;
use support::*;

struct Stage {
    storage: Arc<Faulty<Arc<Memory>>>,
    index: tempfile::TempDir,
    limits: Limits,
}

impl Stage {
    fn new(limits: Limits) -> Self {
        Self {
            storage: Arc::new(Faulty::new(Arc::new(Memory::new()))),
            index: tempfile::tempdir().unwrap(),
            limits,
        }
    }

    fn open(&self) -> Log {
        let mut settings = settings();
        settings.limits = self.limits.clone();
        let log = Log::open(self.storage.clone(), self.index.path(), settings).unwrap();
        if log.tree("main").is_err() {
            log.create_tree("main", LengthPrefix::Two, signer("log.example"))
                .unwrap();
        }
        log
    }
}

/// Until it is healthy, or not: the writer needs a moment.
fn becomes(log: &Log, healthy: bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if log.health().is_ok() == healthy {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// What a client is to see.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    /// Entries are refused while it lasts, and taken after.
    Refuses,
    /// Entries are refused until a restart, after which the refused one is there or not.
    Stops { is_there: bool },
    /// Entries are taken; the log says that it is not well.
    Lags,
}

#[test]
fn each_operation_fails_as_the_table_says() {
    use Fault::*;
    use Operation::*;
    for (operation, fault, then) in [
        (Commit, NotDone, Then::Refuses),
        (Commit, UnknownNotDone, Then::Stops { is_there: false }),
        (Commit, UnknownDone, Then::Stops { is_there: true }),
        (Commit, InPart, Then::Stops { is_there: true }),
        (Put, NotDone, Then::Lags),
        (Put, UnknownNotDone, Then::Lags),
        (Put, UnknownDone, Then::Lags),
        (Put, InPart, Then::Lags),
        (Replace, NotDone, Then::Lags),
        (Replace, UnknownDone, Then::Lags),
        (Forget, NotDone, Then::Lags),
        (Forget, UnknownDone, Then::Lags),
    ] {
        let context = format!("{operation:?} {fault:?}");
        let stage = Stage::new(small());
        let log = stage.open();
        let mut checkpoints = Vec::new();
        let mut append = |log: &Log, n: u64| {
            let appended = log.append_blocking("main", entry(n));
            appended.map(|appended| checkpoints.push(new(appended).checkpoint.checkpoint.clone()))
        };
        for n in 0..250 {
            append(&log, n).unwrap();
        }
        stage.storage.set(Some((operation, fault)));
        let during: Vec<_> = (250..700).map(|n| append(&log, n)).collect();
        match then {
            Then::Refuses => assert!(
                during
                    .iter()
                    .all(|r| matches!(r, Err(Error::NotWritten(_)))),
                "{context}"
            ),
            Then::Stops { .. } => assert!(
                during
                    .iter()
                    .all(|r| matches!(r, Err(Error::Stopped { .. }))),
                "{context}"
            ),
            Then::Lags => {
                assert!(during.iter().all(Result::is_ok), "{context}");
                assert!(becomes(&log, false), "{context}: it never says so");
            }
        }
        stage.storage.set(None);
        match then {
            Then::Stops { .. } => {
                assert!(
                    matches!(append(&log, 1000), Err(Error::Stopped { .. })),
                    "{context}"
                );
                assert!(log.health().is_err());
            }
            _ => {
                append(&log, 1000).unwrap();
                assert!(becomes(&log, true), "{context}: {:?}", log.health());
            }
        }
        let before = log.tree("main").unwrap().size();
        drop(log);
        let log = stage.open();
        let tree = log.tree("main").unwrap();
        no_fork(&tree, &checkpoints);
        if let Then::Stops { is_there } = then {
            assert_eq!(tree.size(), before + u64::from(is_there), "{context}");
            let resent = log.append_blocking("main", entry(250)).unwrap();
            assert_eq!(
                matches!(resent, Appended::Duplicate { .. }),
                is_there,
                "{context}"
            );
        } else {
            assert_eq!(tree.size(), before, "{context}");
        }
    }
}

#[test]
fn a_storage_that_takes_no_tiles_becomes_an_overload_and_recovers() {
    let stage = Stage::new(Limits {
        max_unwritten_bytes: 100_000,
        ..small()
    });
    let log = stage.open();
    stage.storage.set(Some((Operation::Put, Fault::NotDone)));
    let refused = (0..2000).find_map(|n| log.append_blocking("main", entry(n)).err());
    assert!(
        matches!(refused, Some(Error::Overloaded { .. })),
        "{refused:?}"
    );
    stage.storage.set(None);
    assert!(becomes(&log, true));
    new(log.append_blocking("main", entry(5000)).unwrap());
}

#[test]
fn a_reader_is_told_when_the_storage_cannot_be_read() {
    let stage = Stage::new(small());
    let log = stage.open();
    for n in 0..600 {
        log.append_blocking("main", entry(n)).unwrap();
    }
    let tree = log.tree("main").unwrap();
    drop(log);
    stage.storage.set(Some((Operation::Get, Fault::NotDone)));
    assert!(matches!(tree.entry(3), Err(Error::Io { .. })));
    assert!(matches!(
        tree.inclusion_proof(3, 600),
        Err(Error::Io { .. })
    ));
    assert!(
        tree.entry(599).unwrap().is_some(),
        "the newest are in memory"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any sequence of faults and restarts: never a fork, never an index twice, never an acknowledged loss.
    #[test]
    fn whatever_happens_nothing_acknowledged_is_lost(
        steps in prop::collection::vec((0usize..9, 1u64..120), 1..12)
    ) {
        let stage = Stage::new(small());
        let mut log = Some(stage.open());
        let (mut number, mut acknowledged) = (0, Vec::<(u64, u64)>::new());
        let mut checkpoints: Vec<Checkpoint> = Vec::new();
        for (fault, count) in steps {
            let plan = [
                None,
                Some((Operation::Commit, Fault::NotDone)),
                Some((Operation::Commit, Fault::UnknownDone)),
                Some((Operation::Commit, Fault::UnknownNotDone)),
                Some((Operation::Put, Fault::InPart)),
                Some((Operation::Put, Fault::UnknownDone)),
                Some((Operation::Replace, Fault::UnknownDone)),
                Some((Operation::Forget, Fault::UnknownDone)),
                None,
            ][fault];
            stage.storage.set(plan);
            let open = log.as_ref().unwrap();
            for _ in 0..count {
                number += 1;
                if let Ok(appended) = open.append_blocking("main", entry(number)) {
                    let new = new(appended);
                    acknowledged.push((number, new.index));
                    checkpoints.push(new.checkpoint.checkpoint.clone());
                }
            }
            if fault % 2 == 0 {
                drop(log.take());
                stage.storage.set(None);
                log = Some(stage.open());
            }
        }
        drop(log.take());
        stage.storage.set(None);
        let log = stage.open();
        let tree = log.tree("main").unwrap();
        no_fork(&tree, &checkpoints);
        let mut indices: Vec<u64> = acknowledged.iter().map(|(_, index)| *index).collect();
        indices.dedup();
        prop_assert_eq!(indices.len(), acknowledged.len());
        for (number, index) in acknowledged {
            prop_assert_eq!(tree.entry(index).unwrap().unwrap().entry, entry(number));
            prop_assert_eq!(tree.find(&sealmark_tlog::merkle::leaf_hash(&entry(number).leaf)).unwrap(), Some(index));
        }
    }
}
