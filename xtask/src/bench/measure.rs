//! What one run of a program costs: wall time, processor time, peak memory.
//!
//! Invariant: every run is measured by a process of its own (`xtask bench --measure`), which starts nothing else, so
//! that the kernel's sum over its ended children is that one run.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use crate::process::{self, Outcome};

/// What one run cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Cost {
    /// From its start to its end.
    pub(super) wall: Duration,
    /// On all cores, in user and kernel mode.
    pub(super) cpu: Duration,
    /// The largest resident set, in KiB. Never less than the measuring process's own, whose memory the child shares
    /// until it has become the program: see `getrusage(2)`, `ru_maxrss`.
    pub(super) peak_kib: u64,
}

/// The measuring process: runs `command` and prints its cost, as [`run`] reads it.
pub(super) fn child(command: &[&str]) -> Outcome<()> {
    let (program, arguments) = command
        .split_first()
        .ok_or("--measure needs a program to run")?;
    let start = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    let wall = start.elapsed().as_micros();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)
        .map_err(|error| format!("cannot read what {program} used: {error}"))?;
    let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    println!("{wall} {cpu} {}", usage.max_rss());
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} failed: {status}", command.join(" ")).into())
    }
}

/// Runs `command` in a measuring process. Its output is shown only if it fails, as part of the error.
pub(super) fn run(command: &Command) -> Outcome<Cost> {
    let own = std::env::current_exe()
        .map_err(|error| format!("cannot find this program to start it again: {error}"))?;
    let mut measured = Command::new(own);
    measured
        .args(["bench", "--measure"])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            measured.env(name, value);
        }
    }
    let line = process::succeed(&mut measured)?;
    parse(&line)
        .ok_or_else(|| format!("the measuring process printed no cost, but {line:?}").into())
}

fn parse(line: &str) -> Option<Cost> {
    let numbers: Vec<u64> = line
        .split_whitespace()
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    let [wall, cpu, peak_kib] = numbers[..] else {
        return None;
    };
    Some(Cost {
        wall: Duration::from_micros(wall),
        cpu: Duration::from_micros(cpu),
        peak_kib,
    })
}

/// Runs the commands in turn, A B A B …, so that what else the machine does meets all of them alike: once to warm up,
/// then `runs` times. `commands` gives them anew for each round, numbered from 0.
pub(super) fn in_turn(
    runs: usize,
    mut commands: impl FnMut(usize) -> Outcome<Vec<Command>>,
) -> Outcome<Vec<Vec<Cost>>> {
    let mut costs: Vec<Vec<Cost>> = Vec::new();
    for round in 0..=runs {
        for (at, command) in commands(round)?.iter().enumerate() {
            let cost = run(command)?;
            if costs.len() <= at {
                costs.push(Vec::new());
            }
            if round > 0 {
                costs[at].push(cost);
            }
        }
    }
    Ok(costs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_three_numbers() {
        let cost = Cost {
            wall: Duration::from_micros(1500),
            cpu: Duration::from_millis(1),
            peak_kib: 2048,
        };
        assert_eq!(parse("1500 1000 2048\n"), Some(cost));
        for line in ["", "1 2", "1 2 3 4", "1 2 x", "1 2 -3"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_program_that_fails_or_is_missing_is_an_error() {
        assert!(child(&["true"]).is_ok());
        let error = child(&["false"]).unwrap_err().to_string();
        assert_eq!(error, "false failed: exit status: 1");
        let error = child(&["/nonexistent/program"]).unwrap_err().to_string();
        assert!(error.starts_with("cannot run /nonexistent/program: "));
        assert!(child(&[]).is_err());
    }
}
