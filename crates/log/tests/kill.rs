//! A process that appends under load is killed at random moments, again and again. Whatever it acknowledged is there
//! afterwards, at its index, and every checkpoint it ever showed is of the tree that is there now.
//!
//! `SEALMARK_KILL_ROUNDS` says how often; 20 if it does not.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sealmark_log::{Appended, Log, Settings, fsck};
use sealmark_tlog::tile::LengthPrefix;
use sealmark_tlog::{Checkpoint, Hash};
use support::*;

const DIRECTORY: &str = "SEALMARK_LOG_TEST_DIRECTORY";
const START: &str = "SEALMARK_LOG_TEST_START";
const WRITERS: u64 = 16;

fn two_trees() -> Settings {
    let mut settings = settings();
    settings.signers.insert(
        "other".to_owned(),
        std::sync::Arc::new(signer("other.example")),
    );
    settings
}

/// Not a test by itself: the process that is killed. A line is printed only when the log has acknowledged.
#[test]
fn appender() {
    let (Some(directory), Ok(start)) = (std::env::var_os(DIRECTORY), std::env::var(START)) else {
        return;
    };
    let start: u64 = start.parse().unwrap();
    let log = Log::open_directory(Path::new(&directory), two_trees()).unwrap();
    for (name, origin) in [("main", "log.example"), ("other", "other.example")] {
        if log.tree(name).is_err() {
            log.create_tree(name, LengthPrefix::Two, signer(origin))
                .unwrap();
        }
    }
    println!("ready");
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let log = &log;
            scope.spawn(move || {
                let tree = if writer % 2 == 0 { "main" } else { "other" };
                for n in 0.. {
                    let number = start + n * WRITERS + writer;
                    let Appended::New(new) = log.append_blocking(tree, entry(number)).unwrap()
                    else {
                        continue;
                    };
                    let checkpoint = &new.checkpoint.checkpoint;
                    let line = format!(
                        "ack {tree} {number} {} {} {}\n",
                        new.index, checkpoint.size, checkpoint.root
                    );
                    // One write for one line, so that a kill cannot mix two.
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            });
        }
    });
}

#[derive(Default)]
struct Acknowledged {
    indices: HashMap<u64, u64>,
    checkpoints: Vec<Checkpoint>,
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill() {
    let rounds = std::env::var("SEALMARK_KILL_ROUNDS");
    let rounds: u64 = rounds.map_or(20, |rounds| rounds.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged: HashMap<String, Acknowledged> = HashMap::new();
    let mut moment = 0x2545_f491_4f6c_dd1d_u64 ^ u64::from(std::process::id());
    let began = Instant::now();
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["appender", "--exact", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .env(START, (round * 10_000_000).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line.ends_with("ready"));
        assert!(ready, "round {round}: the log did not open");
        moment ^= moment << 13;
        moment ^= moment >> 7;
        moment ^= moment << 17;
        // Some are killed at once, some after several snapshots.
        let wait = Duration::from_millis(moment % 700);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(wait);
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for line in lines.map_while(Result::ok) {
            let fields: Vec<&str> = line.split(' ').collect();
            // The last line may be cut.
            let ["ack", tree, number, index, size, root] = fields[..] else {
                continue;
            };
            let Ok(root) = root.parse::<Hash>() else {
                continue;
            };
            let tree = acknowledged.entry(tree.to_owned()).or_default();
            let twice = tree
                .indices
                .insert(index.parse().unwrap(), number.parse().unwrap());
            assert_eq!(twice, None, "round {round}: index {index} twice");
            tree.checkpoints.push(Checkpoint {
                origin: String::new(),
                size: size.parse().unwrap(),
                root,
                extensions: Vec::new(),
            });
        }
        killer.join().unwrap();
        if round % 10 == 4 || round + 1 == rounds {
            check(directory.path(), &acknowledged);
        }
    }
    let count: usize = acknowledged.values().map(|tree| tree.indices.len()).sum();
    println!(
        "{rounds} kills in {:?}, {count} entries acknowledged, none lost",
        began.elapsed()
    );
    assert!(count > 0, "nothing was ever acknowledged");
}

fn check(directory: &Path, acknowledged: &HashMap<String, Acknowledged>) {
    let report = fsck(directory, &two_trees().signers).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let log = Log::open_directory(directory, two_trees()).unwrap();
    for (name, acknowledged) in acknowledged {
        let tree = log.tree(name).unwrap();
        no_fork(&tree, acknowledged.checkpoints.iter().step_by(41));
        let mut found = 0;
        let mut next = 0;
        while next < tree.size() {
            for stored in tree.entries(next, 256).unwrap() {
                next = stored.index + 1;
                if let Some(number) = acknowledged.indices.get(&stored.index) {
                    assert_eq!(stored.entry, entry(*number), "{name} {}", stored.index);
                    found += 1;
                }
            }
        }
        assert_eq!(found, acknowledged.indices.len(), "{name}: some are lost");
    }
}
