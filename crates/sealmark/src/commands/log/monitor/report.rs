//! Tells what is found: lines for people or JSON on standard output, and a program that `--exec` names.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use sealmark_rekor::monitor::{Event, Inconsistent, Match, Place, Progress, Reporter, Unreadable};

use super::exec::Exec;
use crate::error::Error;
use crate::printable::{printable, printable_json};
use crate::terminal::Terminal;

/// How often the progress is shown on a terminal.
const SHOW_EVERY: Duration = Duration::from_millis(250);
/// As many entries that cannot be read are told to people in one pass; all are counted, and JSON has all.
const MAX_TOLD: u64 = 10;

/// Prints events, and starts the program.
pub(super) struct Printer<'a> {
    terminal: &'a mut Terminal,
    json: bool,
    exec: Option<Exec>,
    /// Whether the progress is shown.
    shows: bool,
    /// When and where this pass began, if the progress was shown.
    began: Option<(Instant, u64)>,
    shown: Option<Instant>,
    unreadable: u64,
    /// Sizes by log, so that a log that has not grown is told of once.
    told: std::collections::HashMap<String, u64>,
}

impl<'a> Printer<'a> {
    pub(super) fn new(terminal: &'a mut Terminal, json: bool, exec: Option<Exec>) -> Self {
        Self {
            terminal,
            json,
            exec,
            shows: io::stderr().is_terminal(),
            began: None,
            shown: None,
            unreadable: 0,
            told: std::collections::HashMap::new(),
        }
    }

    /// The next pass begins anew.
    pub(super) fn end_of_pass(&mut self) {
        self.clear();
        self.began = None;
        self.unreadable = 0;
    }

    /// Warns the user.
    pub(super) fn warn(&mut self, text: &str) {
        self.clear();
        self.terminal.warn(text);
    }

    /// Removes the line with the progress.
    fn clear(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn print(&mut self, event: &Event) -> Result<(), Error> {
        self.clear();
        match event {
            Event::Match(found) => self.entry(found),
            Event::Unreadable(entry) => self.unreadable(entry),
            Event::Checkpoint(progress) => {
                self.checkpoint(progress);
                Ok(())
            }
            Event::Inconsistent(what) => self.inconsistent(what),
        }
    }

    fn entry(&mut self, found: &Match) -> Result<(), Error> {
        let lines = self.place(&found.place);
        self.terminal.line(format!(
            "{lines}: {} {}",
            printable(&found.kind),
            printable(&found.version)
        ))?;
        for reason in &found.matched {
            let line = format!("  {}: {} ({})", reason.by, reason.found, reason.wanted);
            self.terminal.line(printable(&line))?;
        }
        for signer in &found.signers {
            let mut line = "  signed by ".to_owned();
            line += &match signer.subjects.is_empty() {
                true => "a key without a name".to_owned(),
                false => signer.subjects.join(", "),
            };
            if let Some(issuer) = &signer.issuer {
                line += &format!(" at {issuer}");
            }
            if let Some(certificate) = &signer.certificate {
                line += &format!(", certificate {certificate}");
            }
            if let Some(key) = &signer.key {
                line += &format!(", key {key}");
            }
            self.terminal.line(printable(&line))?;
        }
        for digest in &found.digests {
            self.terminal.line(format!("  {digest}"))?;
        }
        self.terminal
            .line(format!("  uuid {}", printable(&found.place.uuid)))
    }

    fn place(&self, place: &Place) -> String {
        let time = place.time.as_ref();
        let time = time.map_or_else(String::new, |time| format!(" at {time}"));
        format!("entry {} of {}{time}", place.index, printable(&place.log))
    }

    fn unreadable(&mut self, entry: &Unreadable) -> Result<(), Error> {
        self.unreadable += 1;
        let place = self.place(&entry.place);
        match self.unreadable {
            1..=MAX_TOLD => self.terminal.line(format!(
                "{place} cannot be read: {}",
                printable(&entry.reason)
            )),
            _ => Ok(()),
        }
    }

    fn checkpoint(&mut self, progress: &Progress) {
        let log = printable(&progress.log);
        let same = self.told.insert(progress.log.clone(), progress.size) == Some(progress.size);
        if same && progress.read == 0 {
            return;
        }
        let size = progress.size;
        let consistent = match progress.consistent_with {
            None => format!("{log}: first seen with {size} entries"),
            Some(before) if before == size => format!("{log}: {size} entries as before"),
            Some(before) => format!("{log}: {size} entries, consistent with the {before} before"),
        };
        let read = match progress.read {
            0 => "no entry to read".to_owned(),
            1 => "1 entry read".to_owned(),
            read => format!("{read} entries read"),
        };
        let unreadable = match progress.unreadable {
            0 => String::new(),
            many => format!(", {many} cannot be read"),
        };
        self.terminal.note(format!(
            "{consistent}; {read}, {} found{unreadable}; next is {}",
            progress.matches, progress.next
        ));
    }

    fn inconsistent(&mut self, what: &Inconsistent) -> Result<(), Error> {
        self.terminal.line(format!(
            "THE LOG {} HAS CONTRADICTED ITSELF: {}",
            printable(&what.log),
            printable(&what.reason)
        ))
    }
}

impl Reporter for Printer<'_> {
    async fn report(&mut self, event: &Event) -> Result<(), String> {
        let line = serde_json::to_string(event).map_err(|error| error.to_string())?;
        let printed = match self.json {
            true => {
                self.clear();
                self.terminal.line(printable_json(&line))
            }
            false => self.print(event),
        };
        printed.map_err(|error| error.to_string())?;
        let is_urgent = matches!(event, Event::Match(_) | Event::Inconsistent(_));
        let Some(exec) = self.exec.as_ref().filter(|_| is_urgent) else {
            return Ok(());
        };
        // Whoever reads along sees it before the program runs.
        self.terminal.finish().map_err(|error| error.to_string())?;
        match exec.run(&line).await {
            Err(reason) if exec.may_fail => {
                self.terminal.warn(reason);
                Ok(())
            }
            other => other,
        }
    }

    fn flush(&mut self) -> Result<(), String> {
        self.terminal.finish().map_err(|error| error.to_string())
    }

    fn warn(&mut self, text: &str) {
        Printer::warn(self, text);
    }

    fn progress(&mut self, so_far: &Progress) {
        let now = Instant::now();
        if !self.shows || self.shown.is_some_and(|shown| now - shown < SHOW_EVERY) {
            return;
        }
        let (began, first) = *self.began.get_or_insert((now, so_far.read));
        let seconds = (now - began).as_secs_f64().max(0.001);
        let rate = (so_far.read.saturating_sub(first)) as f64 / seconds;
        let line = format!(
            "{}: {} of {} entries, {rate:.0} a second, {} found",
            printable(&so_far.log),
            so_far.next,
            so_far.size,
            so_far.matches
        );
        // A closed standard error is no reason to fail.
        let _ = write!(io::stderr(), "\r\x1b[K{line}");
        self.shown = Some(now);
    }
}
