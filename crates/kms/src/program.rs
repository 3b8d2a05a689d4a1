//! Programs that are asked for something: found in `PATH`, bounded in time and in what they say.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use zeroize::Zeroizing;

/// The largest answer: a token, a key, a signature.
const MAX_STDOUT: u64 = 1 << 20;
/// What is kept of standard error.
const MAX_STDERR: u64 = 64 << 10;

/// A program in `PATH`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Program {
    name: String,
    path: PathBuf,
}

/// What a program left.
pub(crate) struct Output {
    /// Whether it ended with 0.
    pub(crate) success: bool,
    /// Whether it ended by itself.
    pub(crate) exited: bool,
    /// Its answer, which may be a token.
    pub(crate) stdout: Zeroizing<Vec<u8>>,
    /// The beginning of its complaints.
    pub(crate) stderr: Vec<u8>,
}

impl Program {
    /// The program of this name. Folders of `PATH` that are relative do not count: what lies in the current directory may
    /// be anybody's.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let path = std::env::var_os("PATH")?;
        let file = std::env::split_paths(&path)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(name))
            .find(|file| is_program(file))?;
        Some(Self {
            name: name.to_owned(),
            path: file,
        })
    }

    /// The program in this file.
    #[cfg_attr(
        not(feature = "kubernetes"),
        allow(dead_code, reason = "the others are found by name")
    )]
    pub(crate) fn at(file: &std::path::Path) -> Option<Self> {
        is_program(file).then(|| Self {
            name: file.display().to_string(),
            path: file.to_owned(),
        })
    }

    /// Runs it to its end, with this on its standard input.
    ///
    /// # Errors
    /// Why there is no answer, naming the program.
    pub(crate) async fn run(
        &self,
        arguments: &[&str],
        stdin: Vec<u8>,
        timeout: Duration,
    ) -> Result<Output, String> {
        self.run_with(arguments, &[], stdin, timeout).await
    }

    /// [`run`](Self::run) with these variables besides those that there are.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(crate) async fn run_with(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
        stdin: Vec<u8>,
        timeout: Duration,
    ) -> Result<Output, String> {
        let name = &self.name;
        let mut child = Command::new(&self.path)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot run {}: {error}", self.path.display()))?;
        let input = child.stdin.take();
        let write = async move {
            if let Some(mut pipe) = input {
                // A program need not read what it is given.
                let _ = pipe.write_all(&stdin).await;
                let _ = pipe.shutdown().await;
            }
        };
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let (_, stdout, stderr) = tokio::join!(
                write,
                read(stdout, MAX_STDOUT, true),
                read(stderr, MAX_STDERR, false)
            );
            let stdout = stdout.ok_or_else(|| {
                format!("{name} was stopped: it answered more than {MAX_STDOUT} bytes")
            })?;
            let status = child
                .wait()
                .await
                .map_err(|error| format!("cannot wait for {name}: {error}"))?;
            Ok(Output {
                success: status.success(),
                exited: status.code().is_some(),
                stdout: Zeroizing::new(stdout),
                stderr: stderr.unwrap_or_default(),
            })
        };
        tokio::time::timeout(timeout, work)
            .await
            .unwrap_or_else(|_| {
                Err(format!(
                    "{name} was stopped: no answer within {} s; allow more time with --timeout",
                    timeout.as_secs_f64()
                ))
            })
    }
}

#[cfg(unix)]
fn is_program(file: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &std::path::Path) -> bool {
    file.is_file()
}

/// All that comes, or `None` if it is more than `limit` and nothing of it may be missing; else the rest is thrown away.
async fn read(pipe: Option<impl AsyncRead + Unpin>, limit: u64, whole: bool) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let Some(mut pipe) = pipe else {
        return Some(bytes);
    };
    // What came before an error is still what the program wrote.
    let _ = (&mut pipe).take(limit + 1).read_to_end(&mut bytes).await;
    if bytes.len() as u64 > limit {
        if whole {
            return None;
        }
        bytes.truncate(limit as usize);
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
    Some(bytes)
}
