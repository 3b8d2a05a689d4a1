//! The machine and the day of a run, described so that a reader can judge the figures.

use std::fs;

use jiff::Timestamp;

use crate::process::Outcome;

/// The day of the run, or of `SOURCE_DATE_EPOCH`.
pub(super) fn date() -> Outcome<String> {
    let time = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => seconds
            .parse()
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .ok_or_else(|| format!("SOURCE_DATE_EPOCH is no time: {seconds}"))?,
        Err(_) => Timestamp::now(),
    };
    Ok(time.strftime("%Y-%m-%d").to_string())
}

/// Processor, cores, memory, kernel.
pub(super) fn description() -> String {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = text("/proc/cpuinfo");
    let processor = field(&cpuinfo, "model name").unwrap_or(std::env::consts::ARCH);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let meminfo = text("/proc/meminfo");
    let memory = field(&meminfo, "MemTotal")
        .and_then(|value| value.strip_suffix(" kB")?.parse::<u64>().ok())
        .map_or(String::new(), |kib| {
            format!(", {} GiB of memory", (kib + (1 << 19)) >> 20)
        });
    let release = text("/proc/sys/kernel/osrelease");
    format!(
        "{processor}, {cores} cores{memory}, Linux {}",
        version(&release)
    )
}

/// The value of the first line `NAME : VALUE`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then_some(value.trim())
    })
}

/// `6.12` of `6.12.41+deb13-amd64`.
fn version(release: &str) -> String {
    let numbers: Vec<&str> = release.trim().split('.').take(2).collect();
    numbers.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_told_by_its_version_alone() {
        assert_eq!(version("6.12.41+deb13-amd64\n"), "6.12");
        assert_eq!(version(""), "");
    }

    #[test]
    fn a_field_is_the_first_of_its_name() {
        let text = "processor\t: 0\nmodel name\t: A CPU\nmodel name\t: B\n";
        assert_eq!(field(text, "model name"), Some("A CPU"));
        assert_eq!(field(text, "model"), None);
    }
}
