//! The figures of `cargo xtask bench log` as tables, and their section of `docs/benchmarks.md`.

use super::{APIS, SECTION};
use crate::bench::generator::{Load, count, median, series};
use crate::bench::machine;
use crate::bench::server::Disk;
use crate::bench::table::{Aim, Row, Table, Unit};
use crate::go_programs::REKOR_TILES;
use crate::process::Outcome;

/// Starts after a kill that are timed.
const STARTS: usize = 3;

/// The long run of one interface.
pub(super) struct Long {
    pub(super) load: Load,
    pub(super) disk: Disk,
    /// Seconds until it served.
    pub(super) starts: Vec<f64>,
}

/// All figures.
pub(super) struct Report {
    pub(super) floors: Vec<Load>,
    /// By interface, then by round.
    pub(super) loads: [Vec<Load>; APIS.len()],
    pub(super) peer: Vec<Load>,
    /// Bytes on disk, and bytes of the leaves.
    pub(super) peer_disk: Option<(u64, f64)>,
    pub(super) half: Vec<Load>,
    pub(super) long: Vec<Long>,
    entries: u64,
    connections: &'static str,
    peer_connections: usize,
}

impl Report {
    pub(super) fn new(entries: u64, connections: &'static str, peer_connections: usize) -> Self {
        Self {
            floors: Vec::new(),
            loads: Default::default(),
            peer: Vec::new(),
            peer_disk: None,
            half: Vec::new(),
            long: Vec::new(),
            entries,
            connections,
            peer_connections,
        }
    }

    pub(super) fn starts(&self) -> usize {
        STARTS
    }

    /// Entries in a second, the median of all rounds.
    pub(super) fn rate(&self, api: usize) -> f64 {
        let mut rates = series(&self.loads[api], "perSecond");
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or(1.0)
    }

    /// Of all that the peer logged.
    pub(super) fn peer_leaf_bytes(&self) -> f64 {
        let bytes = |load: &Load| load.figure("leafBytes") * count(load.entries());
        self.peer.iter().map(bytes).sum()
    }

    /// The section, markers included.
    pub(super) fn section(&self) -> Outcome<String> {
        let mut tables = Vec::new();
        for at in 0..APIS.len() {
            tables.push(self.full(at));
            tables.push(self.lasting(at));
        }
        if !self.peer.is_empty() {
            tables.push(self.beside_peer());
        }
        let tables: Vec<String> = tables.iter().map(Table::markdown).collect();
        Ok(SECTION.marked(&format!(
            include_str!("section.md"),
            date = machine::date()?,
            machine = machine::description(),
            rounds = self.floors.len(),
            syncs = median(&series(&self.floors, "syncs")),
            connections = self.connections,
            peer = REKOR_TILES.version,
            peer_connections = self.peer_connections,
            tables = tables.join("\n"),
        )))
    }

    /// Beside the signature checks alone.
    fn full(&self, at: usize) -> Table {
        let (loads, half) = (&self.loads[at], std::slice::from_ref(&self.half[at]));
        let all = series(&self.floors, "checksAllCores");
        let one: Vec<f64> = series(&self.floors, "checksOneThread")
            .iter()
            .map(|rate| 1e6 / rate)
            .collect();
        let plain = |what: &str, unit, loads: &[Load], name: &str, aim| {
            Row::figures(what, unit, &series(loads, name), &[], aim)
        };
        Table {
            title: format!("Log entries ({})", title(at)),
            other: "one P-256 check per entry, nothing else".to_owned(),
            rows: vec![
                Row::figures(
                    "all cores, the load generator on the same",
                    Unit::PerSecond,
                    &series(loads, "perSecond"),
                    &all,
                    Some(Aim::AtLeast(0.5)),
                ),
                Row::figures(
                    "CPU time of the server for an entry",
                    Unit::Microseconds,
                    &series(loads, "serverCpu"),
                    &one,
                    None,
                ),
                plain(
                    "CPU time of the load generator for an entry",
                    Unit::Microseconds,
                    loads,
                    "ownCpu",
                    None,
                ),
                plain(
                    "time of a request, median",
                    Unit::Milliseconds,
                    loads,
                    "p50",
                    None,
                ),
                plain(
                    "time of a request, 99 %",
                    Unit::Milliseconds,
                    loads,
                    "p99",
                    None,
                ),
                plain(
                    "at half of that rate: median",
                    Unit::Milliseconds,
                    half,
                    "p50",
                    None,
                ),
                plain(
                    "at half of that rate: 99 %",
                    Unit::Milliseconds,
                    half,
                    "p99",
                    Some(Aim::Own(50.0)),
                ),
            ],
        }
    }

    /// What stays: memory, disk, and the next start.
    fn lasting(&self, at: usize) -> Table {
        let Long { load, disk, starts } = &self.long[at];
        let memory = load.memory();
        let mebibytes = |samples: &[(u64, u64)]| -> Vec<f64> {
            samples
                .iter()
                .map(|(_, kib)| count(*kib) / 1024.0)
                .collect()
        };
        // The first fifth is the start: buffers that any log has grow then.
        let fifth = memory.len() / 5;
        let leaf = load.figure("leafBytes");
        let each = |bytes: u64| count(bytes) / count(load.entries());
        Table {
            title: format!(
                "A log of {} entries ({})",
                thousands(self.entries),
                title(at)
            ),
            other: "to be compared with".to_owned(),
            rows: vec![
                Row::figures(
                    "memory: in the last fifth, and in the second",
                    Unit::Mebibytes,
                    &mebibytes(&memory[memory.len() - fifth..]),
                    &mebibytes(&memory[fifth..2 * fifth]),
                    Some(Aim::Ratio(1.1)),
                ),
                Row::figures(
                    "peak memory",
                    Unit::Mebibytes,
                    &[load.figure("peakKib") / 1024.0],
                    &[],
                    None,
                ),
                Row::figures(
                    "disk for an entry without the index; its own bytes",
                    Unit::Bytes,
                    &[each(disk.rest)],
                    &[leaf],
                    Some(Aim::Ratio(1.1)),
                ),
                Row::figures(
                    "disk for an entry: index",
                    Unit::Bytes,
                    &[each(disk.index)],
                    &[leaf],
                    None,
                ),
                Row::figures(
                    "start after `kill -9` under load",
                    Unit::Seconds,
                    starts,
                    &[],
                    Some(Aim::Own(2.0)),
                ),
            ],
        }
    }

    fn beside_peer(&self) -> Table {
        let (own, peer) = (&self.loads[1], &self.peer);
        let row = |what: &str, unit, name: &str| {
            Row::figures(what, unit, &series(own, name), &series(peer, name), None)
        };
        let mebibytes = |loads: &[Load]| -> Vec<f64> {
            series(loads, "peakKib")
                .iter()
                .map(|kib| kib / 1024.0)
                .collect()
        };
        let mut rows = vec![
            row("entries", Unit::PerSecond, "perSecond"),
            row(
                "CPU time of the server for an entry",
                Unit::Microseconds,
                "serverCpu",
            ),
            row("time of a request, median", Unit::Milliseconds, "p50"),
            row("time of a request, 99 %", Unit::Milliseconds, "p99"),
            Row::figures(
                "peak memory",
                Unit::Mebibytes,
                &mebibytes(own),
                &mebibytes(peer),
                None,
            ),
        ];
        if let (Some((bytes, leaves)), Some(long)) = (self.peer_disk, self.long.get(1)) {
            let own = count(long.disk.index + long.disk.rest) / count(long.load.entries());
            let entries: u64 = peer.iter().map(Load::entries).sum();
            rows.push(Row::figures(
                format!(
                    "disk for an entry of {:.0} bytes, index and all",
                    leaves / count(entries)
                ),
                Unit::Bytes,
                &[own],
                &[count(bytes) / count(entries)],
                None,
            ));
        }
        Table {
            title: format!("Log entries ({}), beside rekor-tiles", title(1)),
            other: format!(
                "rekor-tiles {}, {} connections",
                REKOR_TILES.version, self.peer_connections
            ),
            rows,
        }
    }
}

fn title(at: usize) -> String {
    format!("Rekor {}, hashedrekord with a P-256 key", APIS[at])
}

/// `1,000,000`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_section_has_every_figure_and_says_which_aims_are_met() {
        let floor =
            json!({"checksOneThread": 10_000, "checksAllCores": 20_000, "cores": 2, "syncs": 500});
        let load = |peak: u64| {
            let memory: Vec<_> = (0..50).map(|n| (n * 20_000, 51_200)).collect();
            Load(json!({
                "entries": 1000, "perSecond": 11_000, "p50": 5.0, "p99": 20.0, "serverCpu": 140.0,
                "ownCpu": 20.0, "leafBytes": 600.0, "peakKib": peak, "memory": memory,
            }))
        };
        let mut report = Report::new(1_000_000, "64", 2048);
        report.floors = vec![Load(floor)];
        report.loads = [vec![load(1024)], vec![load(1024)]];
        report.half = vec![load(1024), load(1024)];
        report.peer = vec![load(4096)];
        report.peer_disk = Some((1_000_000, 600_000.0));
        let long = || Long {
            load: load(1024),
            disk: Disk {
                index: 30_000,
                rest: 700_000,
            },
            starts: vec![0.5, 0.4, 0.6],
        };
        report.long = vec![long(), long()];
        let section = report.section().unwrap();
        for part in [
            "A log of 1,000,000 entries",
            "| 11000/s",
            "0.55  | ratio ≥ 0.50: met",
            "≤ 50.0 ms: met",
            "1.00  | ratio ≤ 1.10: met",
            "| 700 bytes",
            "1.17  | ratio ≤ 1.10: not met",
            "0.50 s (0.40–0.60)",
            "beside rekor-tiles",
        ] {
            assert!(section.contains(part), "{part}\n{section}");
        }
    }
}
