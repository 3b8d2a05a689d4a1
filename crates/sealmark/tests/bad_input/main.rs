//! Bad input: whatever is wrong, the user is told once, completely, truly, in time, and with the documented exit code.
//!
//! Each table has one line for each mistake or fault, with the whole message. What holds for all of them is in
//! [`Table::expect`].

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod attachments;
mod blobs;
mod content;
mod flags;
mod keys;
mod output;
mod references;
mod registry;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sealmark_testkit::{Finished, Program, Sandbox};

const SEALMARK: &str = env!("CARGO_BIN_EXE_sealmark");
const PASSWORD: &str = "correct horse battery";
/// A bound that only a program that hangs, or reads what has no end, reaches.
const IN_TIME: Duration = Duration::from_secs(20);

/// A folder with a key pair (`cosign.key`, `cosign.pub`) and a file (`app.txt`) to sign.
struct Ground {
    sandbox: Sandbox,
}

impl Ground {
    fn new() -> Self {
        let ground = Self {
            sandbox: Sandbox::new(),
        };
        ground.run("generate-key-pair").success();
        ground.write("app.txt", "hello");
        ground
    }

    /// The program with the right password and these words.
    fn sealmark(&self, line: &str) -> Program {
        self.sandbox
            .command(SEALMARK)
            .env("COSIGN_PASSWORD", PASSWORD)
            .timeout(IN_TIME)
            .args(line.split_whitespace())
    }

    fn run(&self, line: &str) -> Finished {
        self.sealmark(line).run()
    }

    /// The id of `cosign.pub`.
    fn key_id(&self) -> String {
        let told = self
            .run("public-key -v --key cosign.pub")
            .success()
            .stderr();
        let id = told
            .split_whitespace()
            .find(|word| word.starts_with("sha256:"));
        id.unwrap().to_owned()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        self.sandbox.write(name, bytes)
    }

    fn read(&self, name: &str) -> String {
        self.sandbox.read(name)
    }

    fn exists(&self, name: &str) -> bool {
        Path::new(&self.sandbox.join(name)).exists()
    }
}

/// What is expected of many runs; on drop, all that was not met is told together.
#[derive(Default)]
struct Table {
    faults: Vec<String>,
    rows: usize,
}

impl Table {
    /// Runs a command that fails with this exit code and this message, and with nothing else: one message, nothing on
    /// standard output, no secret, no control character, in time.
    fn expect(&mut self, what: &str, program: Program, exit: i32, message: &str) {
        self.rows += 1;
        let started = Instant::now();
        let finished = program.run();
        let (stdout, stderr) = (finished.stdout(), finished.stderr());
        let said: String = stderr
            .lines()
            .filter(|line| !is_note(line))
            .map(|line| format!("{line}\n"))
            .collect();
        let mut fault = |text: String| self.faults.push(format!("{what}: {text}"));
        if finished.exit_code() != Some(exit) {
            fault(format!("exit code {:?}, not {exit}", finished.exit_code()));
        }
        if said != format!("error: {message}\n") {
            fault(format!("expected\nerror: {message}\nfound\n{said}"));
        }
        if !stdout.is_empty() {
            fault(format!("a failure has a result on stdout:\n{stdout}"));
        }
        if stderr.contains(PASSWORD) || stderr.contains("panicked") {
            fault(format!("a secret or a panic:\n{stderr}"));
        }
        if stderr.chars().any(|c| c.is_control() && c != '\n') {
            fault(format!("control characters: {stderr:?}"));
        }
        if started.elapsed() > IN_TIME / 2 {
            fault(format!("took {:?}", started.elapsed()));
        }
    }
}

/// What is said beside the message, in success too.
fn is_note(line: &str) -> bool {
    line.starts_with("transparency log: not used") || line.starts_with("warning: ")
}

impl Drop for Table {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        assert!(self.rows > 0, "the table is empty");
        assert!(
            self.faults.is_empty(),
            "{} faults\n\n{}",
            self.faults.len(),
            self.faults.join("\n")
        );
    }
}
