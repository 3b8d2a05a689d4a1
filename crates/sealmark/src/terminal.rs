//! Standard output and standard error of a command.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::app::Global;
use crate::error::Error;
use crate::printable::{printable_json, printable_lines};

/// What was last asked of a registry, and its answer.
pub(crate) type LastRequest = Arc<Mutex<Option<String>>>;

/// Where a command prints, and what all commands share.
pub(crate) struct Terminal {
    out: Box<dyn Write + Send>,
    verbose: bool,
    timeout: Option<Duration>,
    last_request: LastRequest,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self {
            out: Box::new(BufWriter::new(io::stdout())),
            verbose: false,
            timeout: None,
            last_request: LastRequest::default(),
        }
    }

    /// Applies `--output-file` and `--verbose`.
    pub(crate) fn configure(&mut self, global: &Global) -> Result<(), Error> {
        self.verbose = global.verbose;
        self.timeout = Some(global.timeout).filter(|timeout| !timeout.is_zero());
        if let Some(path) = global
            .output_file
            .as_ref()
            .filter(|path| !path.as_os_str().is_empty())
        {
            let file = File::create(path).map_err(|cause| Error::file("write", path, cause))?;
            self.out = Box::new(BufWriter::new(file));
        }
        Ok(())
    }

    /// Prints a line of the result.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> Result<(), Error> {
        self.bytes(printable_lines(text.as_ref()).as_bytes())?;
        self.bytes(b"\n")
    }

    /// Prints a part of the result as it is.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        ignore_closed(self.out.write_all(bytes))
    }

    /// Prints a value as JSON, for people to read too.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(value).map_err(|error| Error::Stream {
            action: "write JSON",
            cause: error.into(),
        })?;
        self.line(printable_json(&text))
    }

    /// Tells the user something beside the result.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        note(text.as_ref());
    }

    /// Warns the user.
    pub(crate) fn warn(&self, text: impl AsRef<str>) {
        self.note(format!("warning: {}", text.as_ref()));
    }

    /// Tells how something was done, with `--verbose`.
    pub(crate) fn detail(&self, text: impl AsRef<str>) {
        if self.verbose {
            self.note(text);
        }
    }

    /// Whether `--verbose` was given.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// `--timeout`, if there is a bound.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Where the last request to a registry is noted.
    pub(crate) fn last_request(&self) -> LastRequest {
        Arc::clone(&self.last_request)
    }

    /// Whether a person can be asked.
    pub(crate) fn is_interactive(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Writes out what is buffered.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        ignore_closed(self.out.flush())
    }

    /// Prints the one message of a failure.
    pub(crate) fn fail(&mut self, error: &Error) -> ExitCode {
        let _ = self.out.flush();
        self.note(format!("error: {error}"));
        ExitCode::from(error.exit_code())
    }
}

/// Tells the user something; for callbacks, which have no [`Terminal`].
pub(crate) fn note(text: &str) {
    // A closed standard error is no reason to fail.
    let _ = writeln!(io::stderr(), "{}", printable_lines(text));
}

/// Whoever closed the pipe (`| head`) has read enough; what the command found out stays its exit code.
fn ignore_closed(result: io::Result<()>) -> Result<(), Error> {
    match result {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(Error::Stream {
            action: "write the output",
            cause,
        }),
        _ => Ok(()),
    }
}
