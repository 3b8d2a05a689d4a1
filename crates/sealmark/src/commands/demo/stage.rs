//! Runs the demo's commands and shows them, checks what comes of each, and tells it all in a table at the end.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::terminal::Terminal;

/// One step takes some tenths of a second; a step that hangs must not hang the demo.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);
/// Commands longer than this, in characters, are shown on several lines.
const WIDTH: usize = 110;
/// What is handed on from the user's environment: where programs and temporary files are, and nothing that changes what a
/// command does.
const HANDED_ON: [&str; 3] = ["PATH", "LD_LIBRARY_PATH", "TMPDIR"];

/// What must come of a step.
#[derive(Clone, Copy)]
pub(super) struct Must {
    exit: i32,
    says: &'static str,
    /// Not on the terminal but in this file.
    file: Option<&'static str>,
}

impl Must {
    /// It succeeds and says this.
    pub(super) fn say(says: &'static str) -> Self {
        Self::refuse(0, says)
    }

    /// It succeeds and writes this into a file.
    pub(super) fn write(file: &'static str, says: &'static str) -> Self {
        let file = Some(file);
        Self {
            file,
            ..Self::say(says)
        }
    }

    /// It ends with this exit code and says why.
    pub(super) fn refuse(exit: i32, says: &'static str) -> Self {
        let file = None;
        Self { exit, says, file }
    }

    /// Whether it came so, and what of it stands in the table.
    fn check(&self, exit: i32, said: &[u8], directory: &Path) -> Result<String, String> {
        let Self {
            exit: expected,
            says,
            file,
        } = *self;
        if exit != expected {
            return Err(format!("ended with exit code {exit}, not {expected}"));
        }
        let written = match file {
            Some(name) => std::fs::read(directory.join(name))
                .map_err(|error| format!("has not written {name}: {error}"))?,
            None => said.to_vec(),
        };
        if !String::from_utf8_lossy(&written).contains(says) {
            let place = file.map(|name| format!(" in {name}")).unwrap_or_default();
            return Err(format!("does not say \"{says}\"{place}"));
        }
        Ok(match (file, exit) {
            (Some(name), _) => format!("wrote {name}"),
            (None, 0) => says.to_owned(),
            (None, exit) => format!("refused ({exit}): {says}"),
        })
    }
}

/// A step that was done, as the table has it.
struct Done {
    title: &'static str,
    command: String,
    result: String,
    took: Duration,
}

/// Where the demo is played.
pub(super) struct Stage<'a> {
    terminal: &'a mut Terminal,
    pub(super) directory: &'a Path,
    /// What commands have in their environment.
    variables: BTreeMap<&'static str, String>,
    done: Vec<Done>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(terminal: &'a mut Terminal, directory: &'a Path) -> Self {
        Self {
            terminal,
            directory,
            variables: BTreeMap::new(),
            done: Vec::new(),
        }
    }

    /// Sets a variable for the commands that follow.
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.variables.insert(name, value.into());
    }

    /// Takes it back.
    pub(super) fn unset(&mut self, name: &'static str) {
        self.variables.remove(name);
    }

    pub(super) fn title(&mut self, title: &str) -> Result<(), Error> {
        self.terminal.line(format!("\n== {title}"))
    }

    pub(super) fn say(&mut self, text: &str) -> Result<(), Error> {
        self.terminal.line(format!("\n{text}"))
    }

    /// Runs this program with these arguments, prints the command and what it printed, and checks what came of it.
    pub(super) async fn step(
        &mut self,
        title: &'static str,
        must: Must,
        arguments: &[&str],
    ) -> Result<(), Error> {
        self.terminal
            .line(format!("\n$ {}", command_line(arguments)))?;
        // Whoever watches sees what is being done.
        self.terminal.finish()?;
        let failed = |cause| Error::Stream {
            action: "run a step of the demo",
            cause,
        };
        let program = std::env::current_exe().map_err(failed)?;
        let started = Instant::now();
        let handed_on = HANDED_ON
            .into_iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)));
        let output = tokio::process::Command::new(program)
            .args(arguments)
            .current_dir(self.directory)
            .env_clear()
            .envs(handed_on)
            .env("HOME", self.directory.join("home"))
            .envs(&self.variables)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(STEP_TIMEOUT, output)
            .await
            .map_err(|_| Error::Timeout {
                after: STEP_TIMEOUT,
                last_request: None,
            })?
            .map_err(failed)?;
        let took = started.elapsed();
        let exit = output.status.code().unwrap_or(-1);
        // Standard output is written at the end, as on a terminal.
        self.terminal.bytes(&output.stderr)?;
        self.terminal.bytes(&output.stdout)?;
        if exit != 0 {
            self.terminal.line(format!("(exit code {exit})"))?;
        }
        let said = [output.stderr, output.stdout].concat();
        let result = must
            .check(exit, &said, self.directory)
            .map_err(|fault| Error::Demo(format!("the step \"{title}\" {fault}")))?;
        self.done.push(Done {
            title,
            command: short(arguments),
            result,
            took,
        });
        Ok(())
    }

    /// The table of all steps.
    pub(super) fn summary(&mut self, took: Duration) -> Result<(), Error> {
        self.title("Summary")?;
        self.terminal.line("")?;
        let widest = |column: fn(&Done) -> &str, head: &str| {
            let widths = self.done.iter().map(|done| column(done).chars().count());
            widths.max().unwrap_or_default().max(head.len())
        };
        let (step, command, result) = (
            widest(|done| done.title, "step"),
            widest(|done| &done.command, "command"),
            widest(|done| &done.result, "result"),
        );
        let mut lines = vec![format!(
            "{:<step$}  {:<command$}  {:<result$}  {:>4}",
            "step", "command", "result", "ms"
        )];
        lines.extend(self.done.iter().map(|done| {
            format!(
                "{:<step$}  {:<command$}  {:<result$}  {:>4}",
                done.title,
                done.command,
                done.result,
                done.took.as_millis()
            )
        }));
        let count = self.done.len();
        lines.push(format!(
            "\n{count} steps, each with the result it must have, in {:.1} s. Nothing is left running.",
            took.as_secs_f64()
        ));
        for line in lines {
            self.terminal.line(line)?;
        }
        Ok(())
    }
}

/// A command as one types it, long ones on several lines: a flag and its value stay together.
fn command_line(arguments: &[&str]) -> String {
    let mut lines = vec!["sealmark".to_owned()];
    let mut words = arguments.iter().peekable();
    while let Some(word) = words.next() {
        let mut piece = quoted(word);
        if word.starts_with("--")
            && let Some(value) = words.next_if(|next| !next.starts_with("--"))
        {
            piece = format!("{piece} {}", quoted(value));
        }
        match lines.last_mut() {
            Some(line) if line.len() + piece.len() < WIDTH => {
                line.push(' ');
                line.push_str(&piece);
            }
            _ => lines.push(format!("    {piece}")),
        }
    }
    lines.join(" \\\n")
}

fn quoted(word: &str) -> String {
    match word.contains(' ') {
        true => format!("\"{word}\""),
        false => word.to_owned(),
    }
}

/// A command for the table: its name and what it is about, without the registry.
fn short(arguments: &[&str]) -> String {
    let name = arguments.first().unwrap_or(&"");
    let about = arguments.last().unwrap_or(&"");
    let about = about.rsplit('/').next().unwrap_or(about);
    format!("{name} … {about}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_types_it() {
        assert_eq!(
            command_line(&["revoke", "--yes", "--text", "taken over", "a/b:v2"]),
            "sealmark revoke --yes --text \"taken over\" a/b:v2"
        );
        let long = "x".repeat(WIDTH);
        assert_eq!(
            command_line(&["verify", "--key", &long, "a/b:v2"]),
            format!("sealmark verify \\\n    --key {long} \\\n    a/b:v2")
        );
    }

    #[test]
    fn the_table_says_what_a_command_is_about() {
        assert_eq!(
            short(&["verify", "--key", "k", "127.0.0.1:5000/a:v2"]),
            "verify … a:v2"
        );
    }

    #[test]
    fn what_does_not_come_as_it_must_is_a_fault() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("key"), "PUBLIC").unwrap();
        for (must, exit, said, result) in [
            (Must::say("verified"), 0, "verified a", Ok("verified")),
            (
                Must::refuse(12, "revoked"),
                12,
                "it is revoked",
                Ok("refused (12): revoked"),
            ),
            (Must::write("key", "PUBLIC"), 0, "", Ok("wrote key")),
            (
                Must::say("verified"),
                12,
                "verified",
                Err("ended with exit code 12, not 0"),
            ),
            (
                Must::refuse(12, "revoked"),
                0,
                "verified",
                Err("ended with exit code 0, not 12"),
            ),
            (
                Must::refuse(12, "revoked"),
                12,
                "another identity",
                Err("does not say \"revoked\""),
            ),
            (
                Must::write("key", "PRIVATE"),
                0,
                "PRIVATE",
                Err("does not say \"PRIVATE\" in key"),
            ),
        ] {
            let found = must.check(exit, said.as_bytes(), directory.path());
            assert_eq!(found.as_deref().map_err(String::as_str), result);
        }
        let missing = Must::write("other", "").check(0, b"", directory.path());
        assert!(missing.unwrap_err().contains("has not written other"));
    }
}
