//! How fast the engine is: entries per second with many concurrent appenders, and what it costs.
//!
//! `cargo run --release -p sealmark-log --example append_load -- [ENTRIES [APPENDERS [LEAF_BYTES]]]`
//!
//! Each appender waits for one entry before it sends the next, as a connection does. Then the process "dies" (it ends
//! without closing the log) in a second run of itself, and the start after that is timed.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_log::{Appended, Entry, LocalSigner, Log, Settings};
use sealmark_tlog::NoteSigner;
use sealmark_tlog::tile::LengthPrefix;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const CHILD: &str = "SEALMARK_BENCH_DIRECTORY";

fn signer(directory: &Path) -> Outcome<LocalSigner> {
    let path = directory.with_extension("key");
    if !path.exists() {
        let key = PrivateKey::generate(Algorithm::EcdsaP256)?;
        fs::write(&path, key.to_pkcs8_der()?)?;
    }
    let key = PrivateKey::from_pkcs8_der(&fs::read(path)?)?;
    let signer = NoteSigner::log("log.example", key)?;
    Ok(LocalSigner::new("log.example", signer, Vec::new()))
}

fn entry(number: u64, leaf_bytes: usize) -> Entry {
    let mut leaf = format!("{number:020}").into_bytes();
    leaf.resize(leaf_bytes.max(20), b'.');
    Entry {
        leaf,
        keys: vec![
            format!("sha256:{:064x}", u128::from(number) * 0x9e37_79b9_7f4a_7c15),
            format!("email:user{}@example.org", number % 1000),
            format!("key:{:064x}", number % 5000),
        ],
        extra: Vec::new(),
    }
}

/// Resident memory, MiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

/// CPU seconds of this process.
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.split(") ").last().unwrap_or("").split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

fn bytes_in(folder: &Path) -> u64 {
    let Ok(items) = fs::read_dir(folder) else {
        return 0;
    };
    items
        .flatten()
        .map(|item| match item.metadata() {
            Ok(data) if data.is_dir() => bytes_in(&item.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}

fn load(log: &Arc<Log>, from: u64, entries: u64, appenders: u64, leaf_bytes: usize) -> Outcome<()> {
    let next = Arc::new(AtomicU64::new(from));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()?;
    let (began, cpu_before) = (Instant::now(), cpu());
    let tasks: Vec<_> = (0..appenders)
        .map(|_| {
            let (log, next) = (log.clone(), next.clone());
            runtime.spawn(async move {
                let mut times: Vec<Duration> = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= from + entries {
                        return Ok::<_, sealmark_log::Error>(times);
                    }
                    let sent = Instant::now();
                    let appended = log.append("main", entry(number, leaf_bytes)).await?;
                    assert!(matches!(appended, Appended::New(_)), "{number} was there");
                    times.push(sent.elapsed());
                    if number % 250_000 == 249_999 {
                        println!("  {} entries: {} MiB resident", number + 1, memory());
                    }
                }
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(runtime.block_on(task)??);
    }
    let (took, cpu) = (began.elapsed().as_secs_f64(), cpu() - cpu_before);
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    println!(
        "{appenders} appenders, {leaf_bytes} bytes: {:.0} entries/s, p50 {:?}, p99 {:?}, {:.0} µs CPU for an entry",
        entries as f64 / took,
        at(0.5),
        at(0.99),
        cpu / entries as f64 * 1e6
    );
    Ok(())
}

/// What a `GET` of an old entry costs: by its hash, with a proof.
fn reads(log: &Log) -> Outcome<()> {
    const READS: u64 = 2000;
    let tree = log.tree("main")?;
    let size = tree.size();
    let (began, cpu_before) = (Instant::now(), cpu());
    for n in 0..READS {
        let index = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16) % size;
        let stored = tree.entry(index)?.ok_or("there is no such entry")?;
        let leaf = sealmark_tlog::merkle::leaf_hash(&stored.entry.leaf);
        assert_eq!(tree.find(&leaf)?, Some(index));
        tree.inclusion_proof(index, size)?;
    }
    println!(
        "read, found and proved: {:?} each, {:.0} µs CPU",
        began.elapsed() / READS as u32,
        (cpu() - cpu_before) / READS as f64 * 1e6
    );
    Ok(())
}

fn main() -> Outcome<()> {
    if let Some(directory) = std::env::var_os(CHILD) {
        let directory = Path::new(&directory);
        let mut settings = Settings::default();
        settings
            .signers
            .insert("main".to_owned(), Arc::new(signer(directory)?));
        let log = Arc::new(Log::open_directory(directory, settings)?);
        let size = log.tree("main")?.size();
        load(&log, size, 20_000, 64, 1500)?;
        // As a kill does: nothing is closed.
        std::process::abort();
    }
    let arguments: Vec<u64> = std::env::args()
        .skip(1)
        .map(|a| a.parse())
        .collect::<Result<_, _>>()?;
    let argument = |at: usize, default: u64| arguments.get(at).copied().unwrap_or(default);
    let (entries, appenders, leaf) = (argument(0, 1_000_000), argument(1, 64), argument(2, 1500));
    let folder = std::env::temp_dir().join(format!("sealmark-append-load-{}", std::process::id()));
    let directory = folder.join("log");
    fs::create_dir_all(&folder)?;
    let log = Log::open_directory(&directory, Settings::default())?;
    log.create_tree("main", LengthPrefix::Two, signer(&directory)?)?;
    println!("empty: {} MiB resident", memory());
    let log = Arc::new(log);
    for few in [1, 8] {
        load(&log, few * 10_000_000_000, 500, few, leaf as usize)?;
    }
    load(&log, 0, entries, appenders, leaf as usize)?;
    println!("{} MiB resident", memory());
    reads(&log)?;
    drop(log);
    let own = (entries + 1000) * leaf;
    let (index, all) = (bytes_in(&directory.join("index")), bytes_in(&directory));
    println!(
        "on disk without index {:.3} × the entries' own bytes ({:.0} bytes more for an entry); index {:.0} bytes for an entry",
        (all - index) as f64 / own as f64,
        (all - index) as f64 / (entries + 1000) as f64 - leaf as f64,
        index as f64 / (entries + 1000) as f64
    );
    let killed = Command::new(std::env::current_exe()?)
        .env(CHILD, &directory)
        .status()?;
    println!("killed: {killed}");
    let mut settings = Settings::default();
    settings
        .signers
        .insert("main".to_owned(), Arc::new(signer(&directory)?));
    let began = Instant::now();
    let log = Log::open_directory(&directory, settings)?;
    let size = log.tree("main")?.size();
    println!(
        "start with {size} entries after the kill: {:?}, {} MiB resident",
        began.elapsed(),
        memory()
    );
    drop(log);
    fs::remove_dir_all(&folder)?;
    Ok(())
}
