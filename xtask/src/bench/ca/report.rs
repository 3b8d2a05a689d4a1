//! The figures of `cargo xtask bench ca` as tables, and their section of `docs/benchmarks.md`.

use super::SECTION;
use crate::bench::generator::{Load, count, median, series};
use crate::bench::machine;
use crate::bench::table::{Aim, Row, Table, Unit};
use crate::go_programs::{FULCIO, TIMESTAMP_SERVER};
use crate::process::Outcome;

/// All figures; a load for each round.
pub(super) struct Report {
    pub(super) floors: Vec<Load>,
    pub(super) certificates: Vec<Load>,
    /// With tokens that are for several certificates.
    pub(super) shared: Vec<Load>,
    pub(super) timestamps: Vec<Load>,
    pub(super) half_certificates: Vec<Load>,
    pub(super) half_timestamps: Vec<Load>,
    pub(super) fulcio: Vec<Load>,
    pub(super) timestamp_server: Vec<Load>,
    /// Seconds.
    pub(super) first_starts: Vec<f64>,
    pub(super) starts: Vec<f64>,
    pub(super) idle_kib: Vec<u64>,
    pub(super) after_kib: Option<u64>,
    connections: &'static str,
    per_token: &'static str,
}

/// Loads beside the signatures that they need.
struct Kind<'a> {
    title: &'static str,
    each: &'static str,
    floor: &'static str,
    floor_name: &'static str,
    loads: &'a [Load],
    half: &'a [Load],
}

impl Report {
    pub(super) fn new(connections: &'static str, per_token: &'static str) -> Self {
        Self {
            floors: Vec::new(),
            certificates: Vec::new(),
            shared: Vec::new(),
            timestamps: Vec::new(),
            half_certificates: Vec::new(),
            half_timestamps: Vec::new(),
            fulcio: Vec::new(),
            timestamp_server: Vec::new(),
            first_starts: Vec::new(),
            starts: Vec::new(),
            idle_kib: Vec::new(),
            after_kib: None,
            connections,
            per_token,
        }
    }

    /// The section, markers included.
    pub(super) fn section(&self) -> Outcome<String> {
        let mut certificates = self.full(&Kind {
            title: "Certificates (v2, a token and a P-256 key each, in the CT log)",
            each: "a certificate",
            floor: "certificates",
            floor_name: "its five signatures, nothing else",
            loads: &self.certificates,
            half: &self.half_certificates,
        });
        certificates.rows.push(Row::figures(
            format!("{} certificates with one token", self.per_token),
            Unit::PerSecond,
            &series(&self.shared, "perSecond"),
            &series(&self.floors, "certificatesAllCores"),
            None,
        ));
        let timestamps = self.full(&Kind {
            title: "Timestamps (RFC 3161, P-256)",
            each: "a timestamp",
            floor: "timestamps",
            floor_name: "its signature, nothing else",
            loads: &self.timestamps,
            half: &self.half_timestamps,
        });
        let mut tables = vec![certificates, timestamps, self.whole()];
        if !self.fulcio.is_empty() {
            let other = format!("Fulcio {} without a CT log", FULCIO.version);
            tables.push(beside(
                "Certificates, beside Fulcio",
                other,
                &self.certificates,
                &self.fulcio,
            ));
        }
        if !self.timestamp_server.is_empty() {
            let other = format!("timestamp-server {}", TIMESTAMP_SERVER.version);
            let title = "Timestamps, beside Sigstore's timestamp authority";
            tables.push(beside(
                title,
                other,
                &self.timestamps,
                &self.timestamp_server,
            ));
        }
        let tables: Vec<String> = tables.iter().map(Table::markdown).collect();
        Ok(SECTION.marked(&format!(
            include_str!("section.md"),
            date = machine::date()?,
            machine = machine::description(),
            rounds = self.floors.len(),
            syncs = median(&series(&self.floors, "syncs")),
            connections = self.connections,
            tables = tables.join("\n"),
        )))
    }

    fn full(&self, kind: &Kind<'_>) -> Table {
        let all = series(&self.floors, &format!("{}AllCores", kind.floor));
        let one: Vec<f64> = series(&self.floors, &format!("{}OneThread", kind.floor))
            .iter()
            .map(|rate| 1e6 / rate)
            .collect();
        let plain = |what: &str, loads: &[Load], name: &str, aim| {
            Row::figures(what, Unit::Milliseconds, &series(loads, name), &[], aim)
        };
        Table {
            title: kind.title.to_owned(),
            other: kind.floor_name.to_owned(),
            rows: vec![
                Row::figures(
                    "all cores, the load generator on the same",
                    Unit::PerSecond,
                    &series(kind.loads, "perSecond"),
                    &all,
                    Some(Aim::AtLeast(0.6)),
                ),
                Row::figures(
                    format!("CPU time of the server for {}", kind.each),
                    Unit::Microseconds,
                    &series(kind.loads, "serverCpu"),
                    &one,
                    None,
                ),
                Row::figures(
                    format!("CPU time of the load generator for {}", kind.each),
                    Unit::Microseconds,
                    &series(kind.loads, "ownCpu"),
                    &[],
                    None,
                ),
                plain("time of a request, median", kind.loads, "p50", None),
                plain("time of a request, 99 %", kind.loads, "p99", None),
                plain("at half of that rate: median", kind.half, "p50", None),
                plain(
                    "at half of that rate: 99 %",
                    kind.half,
                    "p99",
                    Some(Aim::Own(30.0)),
                ),
            ],
        }
    }

    /// Starts and memory.
    fn whole(&self) -> Table {
        let mebibytes =
            |kib: &[u64]| -> Vec<f64> { kib.iter().map(|kib| count(*kib) / 1024.0).collect() };
        let milliseconds =
            |seconds: &[f64]| -> Vec<f64> { seconds.iter().map(|seconds| seconds * 1e3).collect() };
        let row =
            |what: &str, unit, figures: &[f64], aim| Row::figures(what, unit, figures, &[], aim);
        let after: Vec<u64> = self.after_kib.into_iter().collect();
        Table {
            title: "The whole instance".to_owned(),
            other: String::new(),
            rows: vec![
                row(
                    "start, after `kill -9`",
                    Unit::Milliseconds,
                    &milliseconds(&self.starts),
                    Some(Aim::Own(300.0)),
                ),
                row(
                    "first start, in a new directory",
                    Unit::Milliseconds,
                    &milliseconds(&self.first_starts),
                    Some(Aim::Own(300.0)),
                ),
                row(
                    "memory a second after a start",
                    Unit::Mebibytes,
                    &mebibytes(&self.idle_kib),
                    Some(Aim::Own(60.0)),
                ),
                row(
                    "memory after all rounds",
                    Unit::Mebibytes,
                    &mebibytes(&after),
                    None,
                ),
            ],
        }
    }
}

fn beside(title: &str, other: String, own: &[Load], peer: &[Load]) -> Table {
    let row = |what: &str, unit, name: &str, scale: f64| {
        let scaled = |loads| -> Vec<f64> {
            series(loads, name)
                .iter()
                .map(|figure| figure * scale)
                .collect()
        };
        Row::figures(what, unit, &scaled(own), &scaled(peer), None)
    };
    Table {
        title: title.to_owned(),
        other,
        rows: vec![
            row(
                "all cores, the load generator on the same",
                Unit::PerSecond,
                "perSecond",
                1.0,
            ),
            row(
                "CPU time of the server",
                Unit::Microseconds,
                "serverCpu",
                1.0,
            ),
            row("time of a request, median", Unit::Milliseconds, "p50", 1.0),
            row("time of a request, 99 %", Unit::Milliseconds, "p99", 1.0),
            row("peak memory", Unit::Mebibytes, "peakKib", 1.0 / 1024.0),
        ],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_section_has_every_figure_and_says_which_aims_are_met() {
        let load = |rate: u64| {
            Load(json!({
                "entries": 1000, "perSecond": rate, "p50": 5.0, "p99": 20.0, "serverCpu": 300.0,
                "ownCpu": 20.0, "peakKib": 51_200,
            }))
        };
        let floor = json!({
            "certificatesOneThread": 5000, "certificatesAllCores": 10_000,
            "timestampsOneThread": 20_000, "timestampsAllCores": 40_000, "cores": 2, "syncs": 500,
        });
        let mut report = Report::new("64", "10");
        report.floors = vec![Load(floor)];
        report.certificates = vec![load(6500)];
        report.shared = vec![load(7000)];
        report.timestamps = vec![load(20_000)];
        report.half_certificates = vec![load(3250)];
        report.half_timestamps = vec![load(10_000)];
        report.fulcio = vec![load(250)];
        report.timestamp_server = vec![load(800)];
        report.starts = vec![0.1, 0.12, 0.11];
        report.first_starts = vec![0.4];
        report.idle_kib = vec![30_720];
        report.after_kib = Some(61_440);
        let section = report.section().unwrap();
        for part in [
            "| 6500/s",
            "0.65  | ratio ≥ 0.60: met",
            "0.50  | ratio ≥ 0.60: not met",
            "≤ 30.0 ms: met",
            "10 certificates with one token",
            "110 ms (100–120)",
            "≤ 300 ms: not met",
            "30.0 MiB",
            "beside Fulcio",
            "26.00",
            "timestamp-server 2",
        ] {
            assert!(section.contains(part), "{part}\n{section}");
        }
    }
}
