//! The person who logs in: a browser that is opened, and a code that is asked for at the terminal.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sealmark_sign::identity::login::Person;
use url::Url;
use zeroize::Zeroizing;

/// A line with a code is not longer than this, in bytes.
const MAX_LINE: u64 = 8 << 10;
/// A program that opens a browser and cannot says so within this time; one that is the browser stays.
const OPENING: Duration = Duration::from_secs(2);
/// How often it is looked at.
const POLL: Duration = Duration::from_millis(10);

/// The person at the terminal.
pub(crate) struct AtTerminal {
    /// Whether standard input is something else, so that the terminal itself is asked.
    pub(crate) input_is_taken: bool,
}

impl Person for AtTerminal {
    fn has_browser(&self) -> bool {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let far_away = ["SSH_CONNECTION", "SSH_TTY"].into_iter().any(set);
        let screen = ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"]
            .into_iter()
            .any(set);
        // A browser over there would be one that nobody sees.
        !far_away || screen
    }

    fn open(&self, url: &Url) -> bool {
        let program = match cfg!(target_os = "macos") {
            true => "open",
            false => "xdg-open",
        };
        let mut command = Command::new(program);
        command
            .arg(url.as_str())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else {
            return false;
        };
        let started = Instant::now();
        while started.elapsed() < OPENING {
            match child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => std::thread::sleep(POLL),
                // Nobody knows; the person has the URL.
                Err(_) => return true,
            }
        }
        true
    }

    fn code(&self) -> Result<Zeroizing<String>, String> {
        eprint!("Enter the code: ");
        let _ = io::stderr().flush();
        match self.input_is_taken {
            false => line(&mut io::stdin().lock()),
            true => {
                let terminal = std::fs::File::open("/dev/tty");
                let terminal = terminal.map_err(|_| {
                    "standard input is the file to sign, and there is no terminal: give a token with --identity-token"
                        .to_owned()
                })?;
                line(&mut BufReader::new(terminal))
            }
        }
    }
}

fn line(reader: &mut impl BufRead) -> Result<Zeroizing<String>, String> {
    let mut line = Zeroizing::new(String::new());
    let read = reader.take(MAX_LINE).read_line(&mut line);
    match read {
        Err(cause) => Err(cause.to_string()),
        Ok(0) => Err(
            "standard input is at its end; log in on another device with --fulcio-auth-flow device, or give a token \
             with --identity-token"
                .to_owned(),
        ),
        Ok(_) => Ok(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_one_line() {
        let code = line(&mut "abc-def\nsomething else\n".as_bytes()).unwrap();
        assert_eq!(code.trim(), "abc-def");
        assert!(line(&mut "".as_bytes()).unwrap_err().contains("device"));
    }
}
