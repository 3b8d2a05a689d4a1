//! A program that serves while a test runs.
//!
//! Invariant: when the [`Server`] is dropped, its process has ended. If the test is failing, the end of its log is
//! printed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::program::Program;

/// How long a server may take until it is ready.
const START: Duration = Duration::from_secs(30);

/// How long a server may take to end after SIGTERM.
const STOP: Duration = Duration::from_secs(15);

/// How much of the log a failing test prints.
const LAST_LINES: usize = 40;

/// A running server; killed on drop.
#[derive(Debug)]
pub struct Server {
    line: String,
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Server {
    /// Starts `program` and waits for a line, on standard output or standard error, from which `ready` gets what a
    /// client must know. Servers are to listen on port 0 and say which port that became: no port is guessed.
    ///
    /// # Panics
    ///
    /// If the program ends or gives no such line for 30 seconds.
    pub fn start<T>(mut program: Program, ready: impl Fn(&str) -> Option<T>) -> (Self, T) {
        let line = program.line();
        program
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = program.spawn();
        let log = Arc::new(Mutex::new(String::new()));
        let (sender, lines) = channel();
        follow(child.stdout.take(), &log, sender.clone());
        follow(child.stderr.take(), &log, sender);
        let server = Self { line, child, log };
        let answer = server.wait_for(&lines, ready);
        (server, answer)
    }

    fn wait_for<T>(&self, lines: &Receiver<String>, ready: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + START;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    if let Some(answer) = ready(&line) {
                        return answer;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => panic!("{} ended at once", self.line),
                Err(RecvTimeoutError::Timeout) => panic!("{} is not ready: {START:?}", self.line),
            }
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that it wrote so far, both streams.
    pub fn log(&self) -> String {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ends it at once, as a power failure would.
    pub fn kill(&mut self) {
        // It may have ended by itself; then both calls say so, and that is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end with SIGTERM and waits until it has.
    ///
    /// # Panics
    ///
    /// If it has not ended after 15 seconds.
    pub fn terminate(mut self) -> ExitStatus {
        let pid = self.pid().to_string();
        let sent = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &pid])
            .status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "cannot send SIGTERM to {}",
            self.line
        );
        let deadline = Instant::now() + STOP;
        loop {
            match self
                .child
                .try_wait()
                .expect("a child of this process can be waited for")
            {
                Some(status) => return status,
                None if Instant::now() > deadline => panic!("{} ignores SIGTERM", self.line),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
            eprintln!(
                "--- end of the log of {}\n{}\n---",
                self.line,
                last.join("\n")
            );
        }
    }
}

/// Reads a stream line by line for as long as the server lives, so that it never blocks on a full pipe.
fn follow(
    pipe: Option<impl Read + Send + 'static>,
    log: &Arc<Mutex<String>>,
    lines: Sender<String>,
) {
    let Some(pipe) = pipe else { return };
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while matches!(reader.read_until(b'\n', &mut bytes), Ok(1..)) {
            let line = String::from_utf8_lossy(&bytes).into_owned();
            bytes.clear();
            log.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_str(&line);
            // Nobody listens any more once the server is ready.
            let _ = lines.send(line);
        }
    });
}
