//! A program of the place that prints a token.
//!
//! Invariants: it is found by `PATH` as the place has it, its output and its time are bounded, and what it printed is
//! in no error: only what it said on standard error is, on one line, cut.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use sealmark_identity::MAX_TOKEN;
use tokio::io::AsyncReadExt;
use zeroize::Zeroizing;

use super::Place;
use crate::Error;
use sealmark_http::{Options, sanitise};

/// As much of standard error as is read: its end is quoted.
const MAX_SAID: u64 = 16 << 10;

/// A program that is there.
pub(super) struct Program {
    name: &'static str,
    path: PathBuf,
}

impl Program {
    pub(super) fn find(place: &Place<'_>, name: &'static str) -> Option<Self> {
        let folders = place.get("PATH")?;
        let mut paths = std::env::split_paths(&folders).map(|folder| folder.join(name));
        let path = paths.find(|path| {
            let found = std::fs::metadata(path);
            found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        })?;
        Some(Self { name, path })
    }
}

/// Runs the program, and gives what it printed.
pub(super) async fn output(
    program: &Program,
    words: &[&str],
    options: &Options,
) -> Result<Zeroizing<String>, Error> {
    let line = format!("{} {}", program.name, words.join(" "));
    let failed = |reason: String| Error::Identity(format!("no identity token: `{line}` {reason}"));
    if let Some(note) = &options.on_request {
        note(&format!("running {line}"));
    }
    let mut command = tokio::process::Command::new(&program.path);
    command
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let run = async {
        let mut child = command.spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut token = Zeroizing::new(Vec::new());
        let mut said = Vec::new();
        let read_token = async {
            let Some(stdout) = stdout else { return Ok(0) };
            stdout
                .take(MAX_TOKEN as u64 + 1)
                .read_to_end(&mut token)
                .await
        };
        let read_said = async {
            let Some(stderr) = stderr else { return Ok(0) };
            stderr.take(MAX_SAID).read_to_end(&mut said).await
        };
        let (a, b) = tokio::join!(read_token, read_said);
        a.and(b)?;
        let status = child.wait().await?;
        Ok::<_, std::io::Error>((status, token, said))
    };
    let done = tokio::time::timeout(options.timeout, run).await;
    let after = options.timeout.as_secs_f64();
    let done = done.map_err(|_| failed(format!("was not done within {after} s")))?;
    let (status, token, said) = done.map_err(|cause| failed(format!("cannot be run: {cause}")))?;
    if !status.success() {
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        let last = last.map(|line| format!(": {}", sanitise(line)));
        return Err(failed(format!(
            "ended with {status}{}",
            last.unwrap_or_default()
        )));
    }
    let token = std::str::from_utf8(&token).map(|text| Zeroizing::new(text.to_owned()));
    token.map_err(|_| failed("printed something else".to_owned()))
}
