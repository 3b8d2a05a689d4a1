//! Running one program to its end, and what it left.

use std::ffi::OsStr;
use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::server::Server;

/// How long a program may run: ten times what the slowest needs on two busy cores.
const TIMEOUT: Duration = Duration::from_secs(120);

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(5);

/// A program that is about to run. Made by [`Sandbox::command`](crate::Sandbox::command).
#[derive(Debug)]
pub struct Program {
    command: Command,
    stdin: Vec<u8>,
    timeout: Duration,
}

impl Program {
    pub(crate) fn new(command: Command) -> Self {
        Self {
            command,
            stdin: Vec::new(),
            timeout: TIMEOUT,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs in another folder than the sandbox's.
    #[must_use]
    pub fn current_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// What the program reads; without this, nothing.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Another limit than two minutes.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    ///
    /// If it can't be started, or is not done in time; then it is killed.
    pub fn run(mut self) -> Finished {
        let line = self.line();
        self.command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self.spawn();
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        let stdin = child.stdin.take();
        let bytes = std::mem::take(&mut self.stdin);
        // A program need not read what it is given; then writing fails, which is its own affair.
        let writer = std::thread::spawn(move || stdin.map(|mut pipe| pipe.write_all(&bytes)));
        let start = Instant::now();
        let status = loop {
            match child
                .try_wait()
                .expect("a child of this process can be waited for")
            {
                Some(status) => break Some(status),
                None if start.elapsed() > self.timeout => {
                    let _ = child.kill();
                    let _ = child.wait();
                    break None;
                }
                None => std::thread::sleep(POLL),
            }
        };
        let finished = Finished {
            line,
            code: status.and_then(|status| status.code()),
            stdout: stdout.join().unwrap_or_default(),
            stderr: stderr.join().unwrap_or_default(),
        };
        drop(writer);
        assert!(
            status.is_some(),
            "not done after {:?}, killed\n{finished}",
            self.timeout
        );
        finished
    }

    /// Starts the program as a server; see [`Server::start`].
    ///
    /// # Panics
    ///
    /// If it ends or says nothing that `ready` takes for 30 seconds.
    pub fn serve<T>(self, ready: impl Fn(&str) -> Option<T>) -> (Server, T) {
        Server::start(self, ready)
    }

    pub(crate) fn line(&self) -> String {
        let mut words = vec![self.command.get_program().to_string_lossy().into_owned()];
        words.extend(
            self.command
                .get_args()
                .map(|word| word.to_string_lossy().into_owned()),
        );
        words.join(" ")
    }

    pub(crate) fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    pub(crate) fn spawn(&mut self) -> Child {
        let line = self.line();
        self.command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {line}: {error}"))
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What came before an error is still what the program wrote.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// What a program left. Its `Display` is for the message of a failed assertion.
#[derive(Debug)]
pub struct Finished {
    line: String,
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Finished {
    /// The exit code; `None` if a signal ended it.
    pub fn exit_code(&self) -> Option<i32> {
        self.code
    }

    /// Standard output as text.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output as it is.
    pub fn stdout_bytes(&self) -> &[u8] {
        &self.stdout
    }

    /// Standard error as text.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Asserts exit code 0.
    ///
    /// # Panics
    ///
    /// With another exit code, printing all that the program wrote.
    #[track_caller]
    pub fn success(self) -> Self {
        self.code(0)
    }

    /// Asserts an exit code.
    ///
    /// # Panics
    ///
    /// With another exit code, printing all that the program wrote.
    #[track_caller]
    pub fn code(self, expected: i32) -> Self {
        assert!(
            self.code == Some(expected),
            "expected exit code {expected}\n{self}"
        );
        self
    }

    /// Asserts any exit code but 0, and a program that was not ended by a signal.
    ///
    /// # Panics
    ///
    /// On success or a signal, printing all that the program wrote.
    #[track_caller]
    pub fn failure(self) -> Self {
        assert!(
            self.code.is_some_and(|code| code != 0),
            "expected a failure\n{self}"
        );
        self
    }

    /// Asserts that standard output contains `text`.
    ///
    /// # Panics
    ///
    /// If it does not, printing all that the program wrote.
    #[track_caller]
    pub fn stdout_has(self, text: &str) -> Self {
        assert!(
            self.stdout().contains(text),
            "expected {text:?} in stdout\n{self}"
        );
        self
    }

    /// Asserts that standard error contains `text`.
    ///
    /// # Panics
    ///
    /// If it does not, printing all that the program wrote.
    #[track_caller]
    pub fn stderr_has(self, text: &str) -> Self {
        assert!(
            self.stderr().contains(text),
            "expected {text:?} in stderr\n{self}"
        );
        self
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self
            .code
            .map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
        let (stdout, stderr) = (self.stdout(), self.stderr());
        write!(
            f,
            "$ {}\nended with {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}",
            self.line
        )
    }
}
