//! `log monitor`: follows a log, proves that it only grows, and reports the entries that somebody looks for.

mod exec;
mod report;
mod wanted;

pub(crate) use wanted::HEADING;

use std::path::PathBuf;
use std::time::Duration;

use sealmark_rekor::monitor::{self, Monitor, Range, Start, State, Watch};
use tokio::sync::watch;

use super::super::registry::stop_signal;
use super::session::{Log, LogFlags};
use crate::error::Error;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    wanted: wanted::WantedFlags,
    /// How what is found is printed; json is one object a line
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    /// Keep running, and look for new entries every --interval
    #[arg(long)]
    follow: bool,
    /// rekor-monitor's name of the opposite of --follow
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    once: Option<bool>,
    /// How long --follow waits before it asks again
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = crate::app::duration)]
    interval: Duration,
    /// Where to begin in the first run: an index, or now
    #[arg(long, value_name = "INDEX", value_parser = start)]
    from: Option<Start>,
    /// The last index to read
    #[arg(long, value_name = "INDEX")]
    until: Option<u64>,
    /// File with the last checkpoint and the next index [default: one for each log in ~/.local/state/sealmark]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Program to start for each match and each contradiction, with the JSON line as its standard input
    #[arg(long, value_name = "COMMAND", value_parser = exec::words)]
    exec: Option<exec::Words>,
    /// How long --exec may take each time
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = crate::app::duration)]
    exec_timeout: Duration,
    /// Go on when --exec fails; without it, the entry is reported again in the next run
    #[arg(long)]
    exec_may_fail: bool,
    /// Exit with 21 if an entry was found that is looked for
    #[arg(long)]
    fail_on_match: bool,
    /// The log is no Rekor: its tiles (C2SP tlog-tiles) are right below --rekor-url, its checkpoints have this origin,
    /// and --rekor-public-key is its key
    #[arg(long, value_name = "NAME", conflicts_with_all = ["log_version", "signing_config", "trusted_root"])]
    origin: Option<String>,
    #[command(flatten)]
    log: LogFlags,
}

/// How what is found is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Format {
    /// For people.
    #[value(alias = "default")]
    Text,
    /// JSON, one object a line.
    Json,
}

/// Follows the log.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let follow = arguments.follow || arguments.once == Some(false);
    let wanted = arguments.wanted.read(terminal)?;
    let watch = Watch::new(wanted.conditions).map_err(Error::Usage)?;
    let (log, interface) = match &arguments.origin {
        Some(origin) => {
            let reader = arguments.log.open_tiles(origin, terminal).await?;
            (monitor::Log::Tiles(reader), "tiles")
        }
        None => match arguments.log.open(terminal).await?.log {
            Log::V1(client) => (monitor::Log::RekorV1(client), "v1"),
            Log::V2(client) => (monitor::Log::Tiles(client.reader().clone()), "v2"),
        },
    };
    let path = match arguments.state {
        Some(path) => path,
        None => default_state(&place(&log), interface)?,
    };
    let state = State::open(&path)?;
    terminal.detail(format!("the state is in {}", path.display()));
    if watch.is_empty() {
        terminal.note("nothing is looked for, so the log's consistency alone is checked");
    }
    let range = Range {
        start: arguments
            .from
            .or_else(|| wanted.start.map(Start::Index))
            .unwrap_or_default(),
        until: arguments.until.or(wanted.end),
    };
    let (stopping, stop) = watch::channel(false);
    let stopped = stop_signal()?;
    tokio::spawn(async move {
        stopped.await;
        // Nobody listens any more if the command is done.
        let _ = stopping.send(true);
    });
    let mut monitor = Monitor::new(log, watch, state, range, stop.clone());
    let exec = arguments.exec.map(|words| exec::Exec {
        words,
        timeout: arguments.exec_timeout,
        may_fail: arguments.exec_may_fail,
    });
    let mut printer = report::Printer::new(terminal, arguments.output == Format::Json, exec);
    let mut matches = 0;
    loop {
        let pass = monitor.pass(&mut printer).await;
        printer.end_of_pass();
        match pass {
            Ok(summary) => {
                matches += summary.matches;
                if !follow || summary.stopped || summary.done {
                    break;
                }
            }
            Err(error) if follow && passes(&error) => printer.warn(&format!(
                "{error}; trying again in {} s",
                arguments.interval.as_secs_f64()
            )),
            Err(error) => return Err(error.into()),
        }
        let mut stop = stop.clone();
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep(arguments.interval) => {}
        }
    }
    match arguments.fail_on_match && matches > 0 {
        true => Err(Error::Matched(matches)),
        false => Ok(()),
    }
}

/// Whether the next pass may do better.
fn passes(error: &monitor::Error) -> bool {
    matches!(
        error,
        monitor::Error::Log(_) | monitor::Error::NotTold { .. }
    )
}

/// The log's place, as a name for a file.
fn place(log: &monitor::Log) -> String {
    let http = match log {
        monitor::Log::Tiles(reader) => reader.http(),
        monitor::Log::RekorV1(client) => client.http(),
    };
    let url = http.shown();
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    rest.chars().map(|c| if fit(c) { c } else { '_' }).collect()
}

/// One file for each log, so that two monitors do not wait for each other.
fn default_state(place: &str, interface: &str) -> Result<PathBuf, Error> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = set("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".local/state")));
    let base = base.ok_or_else(|| {
        Error::Usage("there is no HOME to keep the state in; name a file with --state".to_owned())
    })?;
    Ok(base
        .join("sealmark")
        .join(format!("monitor-{place}-{interface}.json")))
}

/// Parses `now`, or an index.
fn start(text: &str) -> Result<Start, String> {
    match text {
        "now" => Ok(Start::Now),
        number => number
            .parse()
            .map(Start::Index)
            .map_err(|_| format!("{number:?} is neither an index nor the word now")),
    }
}
