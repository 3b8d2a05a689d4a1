//! Standard output and standard error of a command.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;

use crate::app::Global;
use crate::error::Error;

/// Where a command prints.
pub(crate) struct Terminal {
    out: Box<dyn Write + Send>,
    verbose: bool,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self {
            out: Box::new(BufWriter::new(io::stdout())),
            verbose: false,
        }
    }

    /// Applies `--output-file` and `--verbose`.
    pub(crate) fn configure(&mut self, global: &Global) -> Result<(), Error> {
        self.verbose = global.verbose;
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
        self.bytes(text.as_ref().as_bytes())?;
        self.bytes(b"\n")
    }

    /// Prints a part of the result as it is.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(|cause| Error::Stream {
            action: "write the output",
            cause,
        })
    }

    /// Prints a value as JSON, for people to read too.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(value).map_err(|error| Error::Stream {
            action: "write JSON",
            cause: error.into(),
        })?;
        self.line(text)
    }

    /// Tells the user something beside the result.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        // A closed standard error is no reason to fail.
        let _ = writeln!(io::stderr(), "{}", text.as_ref());
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

    /// Whether a person can be asked.
    pub(crate) fn is_interactive(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Writes out what is buffered.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        match self.out.flush() {
            Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(Error::Stream {
                action: "write the output",
                cause,
            }),
            _ => Ok(()),
        }
    }

    /// Prints the one message of a failure.
    pub(crate) fn fail(&mut self, error: &Error) -> ExitCode {
        let _ = self.out.flush();
        self.note(format!("error: {error}"));
        ExitCode::from(error.exit_code())
    }
}
