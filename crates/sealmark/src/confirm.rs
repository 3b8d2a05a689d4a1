//! Questions to the person at the terminal.

use std::io::{self, BufRead, Read, Write};

use crate::error::Error;

/// An answer is not longer than this, in bytes.
const MAX_ANSWER: u64 = 1024;

/// Asks on standard error, and reads the answer from standard input. Anything but `y` or `yes` is no. Ask only if
/// [`Terminal::is_interactive`](crate::terminal::Terminal::is_interactive).
pub(crate) fn confirm(question: &str) -> Result<bool, Error> {
    eprint!("{question} [y/N] ");
    let _ = io::stderr().flush();
    let mut answer = String::new();
    io::stdin()
        .lock()
        .take(MAX_ANSWER)
        .read_line(&mut answer)
        .map_err(|cause| Error::Stream {
            action: "read the answer",
            cause,
        })?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(["y", "Y\n", "yes", " YES \r\n"].into_iter().all(is_yes));
        assert!(!["", "\n", "n", "yeah", "ja", "y y"].into_iter().any(is_yes));
    }
}
