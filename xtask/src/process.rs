//! Running programs and touching files, with errors that name the program or the file.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What went wrong, complete in itself.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// The result of every step of `xtask`.
pub(crate) type Outcome<T> = Result<T, Failure>;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Cargo, without the variables that `cargo run` sets for this program: build scripts that look at them would run again.
pub(crate) fn cargo(checkout: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(checkout);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// What a finished program wrote.
pub(crate) struct Output {
    /// Whether its exit code was 0.
    pub(crate) success: bool,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// Runs `command` to its end and captures what it writes; an error only if it can't be started.
pub(crate) fn capture(command: &mut Command) -> Outcome<Output> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run {}: {error}", name(command)))?;
    Ok(Output {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs `command` and returns its standard output; a failing exit code is an error that quotes it.
pub(crate) fn succeed(command: &mut Command) -> Outcome<String> {
    let output = capture(command)?;
    if output.success {
        Ok(output.stdout)
    } else {
        let text = format!("{}{}", output.stdout, output.stderr);
        Err(format!("{} failed:\n{}", line(command), text.trim_end()).into())
    }
}

/// Runs `command` with its output visible; a failing exit code is an error.
pub(crate) fn show(command: &mut Command) -> Outcome<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("cannot run {}: {error}", name(command)))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} failed: {status}", line(command)).into())
    }
}

/// Like [`succeed`], but the program is ended when `limit` has passed. What it writes goes to the file `log`, whose
/// last line is the error.
pub(crate) fn succeed_within(command: &mut Command, limit: Duration, log: &Path) -> Outcome<()> {
    write(log, "")?;
    let file = fs::File::create(log)
        .map_err(|error| format!("cannot write {}: {error}", log.display()))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .map_err(|error| format!("cannot run {}: {error}", name(command)))?;
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(_)) => {
                let text = read(log)?;
                let text = String::from_utf8_lossy(&text).into_owned();
                let last = text.lines().rfind(|line| !line.trim().is_empty());
                return Err(last.unwrap_or("no reason given").trim().into());
            }
            Ok(None) if start.elapsed() < limit => std::thread::sleep(Duration::from_millis(100)),
            Ok(None) | Err(_) => {
                // The program may have ended by itself meanwhile; then there is nothing to end.
                let _ = child.kill();
                let _ = child.wait();
                let seconds = limit.as_secs();
                return Err(format!("{} took more than {seconds} s", line(command)).into());
            }
        }
    }
}

/// The first program of this name on `PATH`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Creates a folder and those above it.
pub(crate) fn create_dir(path: &Path) -> Outcome<()> {
    fs::create_dir_all(path)
        .map_err(|error| format!("cannot create the folder {}: {error}", path.display()).into())
}

/// Writes a file, in whose folder it may create others.
pub(crate) fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Outcome<()> {
    if let Some(folder) = path.parent() {
        create_dir(folder)?;
    }
    fs::write(path, bytes)
        .map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}

/// Reads a whole file.
pub(crate) fn read(path: &Path) -> Outcome<Vec<u8>> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()).into())
}

/// The names in a folder, sorted.
pub(crate) fn list(path: &Path) -> Outcome<Vec<PathBuf>> {
    let error =
        |error: std::io::Error| format!("cannot list the folder {}: {error}", path.display());
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(error)? {
        entries.push(entry.map_err(error)?.path());
    }
    entries.sort();
    Ok(entries)
}

/// Removes a folder and all that is in it, if it is there.
pub(crate) fn remove_dir(path: &Path) -> Outcome<()> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("cannot remove {}: {error}", path.display()).into()),
    }
}

/// Moves a finished folder into its place: seen whole or not at all.
pub(crate) fn rename(from: &Path, to: &Path) -> Outcome<()> {
    fs::rename(from, to).map_err(|error| {
        format!(
            "cannot rename {} to {}: {error}",
            from.display(),
            to.display()
        )
        .into()
    })
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn line(command: &Command) -> String {
    let mut words = vec![name(command)];
    words.extend(
        command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned()),
    );
    words.join(" ")
}
