//! `serve status`: when everything that an instance is made of ends.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use sealmark_server::elsewhere::Kept;
use sealmark_server::instance::{Item, KeyState, State, status};
use serde_json::{Value, json};

use super::{blocking, password};
use crate::commands::log::absolute;
use crate::error::Error;
use crate::terminal::Terminal;

/// How something is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Directory of the instance, which may be served meanwhile
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Fail if there is anything to warn of
    #[arg(long)]
    check: bool,
    /// How the result is printed
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// Tells.
pub(super) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let directory = absolute(&arguments.dir)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = since.map_or(0, |since| since.as_secs());
    let wrapped = password::wrapped(&directory)?;
    let status = blocking(move || Ok(status(&directory, now)?)).await?;
    match arguments.output {
        Format::Json => terminal.json(&json!({
            "url": status.url,
            "created": i64::try_from(status.created).ok().and_then(time),
            "items": status.items.iter().map(show).collect::<Vec<Value>>(),
            "warnings": status.warnings,
            "passwordKms": wrapped.as_ref().map(|wrapped| wrapped.key()),
        }))?,
        Format::Text => {
            let heads = ["", "WHAT", "NAME", "STATE", "SINCE", "UNTIL", "DAYS", "KEY"];
            let mut rows = vec![heads.map(str::to_owned)];
            rows.extend(status.items.iter().map(row));
            for line in table(&rows) {
                terminal.line(line)?;
            }
            if let Some(wrapped) = &wrapped {
                terminal.line(format!(
                    "the private keys' password: wrapped by {}",
                    wrapped.key()
                ))?;
            }
        }
    }
    for warning in &status.warnings {
        terminal.warn(warning);
    }
    match status.warnings.len() {
        1.. if arguments.check => Err(Error::Log(
            "the instance needs attention; the warnings say what".to_owned(),
        )),
        _ => Ok(()),
    }
}

fn time(seconds: i64) -> Option<String> {
    Timestamp::from_second(seconds)
        .ok()
        .map(|time| time.to_string())
}

fn state(state: State) -> &'static str {
    match state {
        State::Active => "active",
        State::Waiting => "waiting",
        State::Retired => "retired",
    }
}

fn key(key: &KeyState) -> &str {
    match key {
        KeyState::Kept(Kept::Encrypted) => "encrypted",
        KeyState::Kept(Kept::Plain) => "plain",
        KeyState::Kept(Kept::At(_)) => "reference",
        KeyState::Elsewhere => "elsewhere",
    }
}

/// Where a key is, if the directory has its reference.
fn reference(item: &Item) -> Option<&str> {
    match &item.key {
        Some(KeyState::Kept(Kept::At(reference))) => Some(reference),
        _ => None,
    }
}

fn show(item: &Item) -> Value {
    json!({
        "service": item.service,
        "what": item.what,
        "name": item.name,
        "state": state(item.state),
        "since": item.since.and_then(time),
        "until": item.until.and_then(time),
        "daysLeft": item.days_left,
        "key": item.key.as_ref().map(key),
        "keyReference": reference(item),
    })
}

fn row(item: &Item) -> [String; 8] {
    // The hour of a day is for programs.
    let date = |seconds: Option<i64>| {
        let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
        time.map_or_else(
            || "-".to_owned(),
            |time| time.strftime("%Y-%m-%d").to_string(),
        )
    };
    [
        item.service.to_owned(),
        item.what.clone(),
        item.name.clone(),
        state(item.state).to_owned(),
        date(item.since),
        date(item.until),
        item.days_left
            .map_or_else(|| "-".to_owned(), |days| days.to_string()),
        match reference(item) {
            Some(reference) => format!("kept in {reference}"),
            None => item.key.as_ref().map_or("-", key).to_owned(),
        },
    ]
}

/// Rows whose columns stand below each other.
fn table(rows: &[[String; 8]]) -> Vec<String> {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let widths: [usize; 8] = std::array::from_fn(width);
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(widths);
        let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
