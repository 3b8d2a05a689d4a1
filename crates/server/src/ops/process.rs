//! What the operating system tells of this process, under the names that Prometheus' own clients use.
//! <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>

use std::fs;
use std::time::SystemTime;

use super::exposition::{Exposition, Kind};

pub(super) fn measure(exposition: &mut Exposition, started: SystemTime) {
    let started = started
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    exposition.single(
        "process_start_time_seconds",
        Kind::Gauge,
        "When the server started, in seconds since 1970.",
        started.as_secs_f64(),
    );
    // Where there is no /proc there are no such metrics.
    if let Some(bytes) = resident_bytes() {
        exposition.single(
            "process_resident_memory_bytes",
            Kind::Gauge,
            "Memory that is in use.",
            bytes,
        );
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        exposition.single(
            "process_open_fds",
            Kind::Gauge,
            "Open files and connections.",
            open.count() as f64,
        );
    }
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024.0)
}
