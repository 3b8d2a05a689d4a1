//! The program that `--exec` starts for each finding. No shell has a hand in it.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// A program and its arguments.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Words(Vec<String>);

/// What to start, and what its failure means.
pub(super) struct Exec {
    pub(super) words: Words,
    pub(super) timeout: Duration,
    pub(super) may_fail: bool,
}

impl Exec {
    /// Starts the program with `line` as its standard input, and waits for its success. What it prints goes to standard
    /// error.
    pub(super) async fn run(&self, line: &str) -> Result<(), String> {
        let Words(words) = &self.words;
        let (program, arguments) = words.split_first().ok_or("--exec is empty")?;
        let failed = |what: &str, cause: io::Error| format!("--exec {program}: {what}: {cause}");
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(io::stderr())
            .kill_on_drop(true)
            .spawn()
            .map_err(|cause| failed("cannot start", cause))?;
        let input = child.stdin.take();
        let exchange = async {
            if let Some(mut input) = input {
                let line = format!("{line}\n");
                match input.write_all(line.as_bytes()).await {
                    // A program that reads nothing is free to.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                    other => other.map_err(|cause| failed("cannot write to it", cause))?,
                }
            }
            child
                .wait()
                .await
                .map_err(|cause| failed("cannot wait", cause))
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("--exec {program}: it ended with {status}")),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(format!(
                "--exec {program}: it was not done after {} s and was killed; allow more with --exec-timeout",
                self.timeout.as_secs_f64()
            )),
        }
    }
}

/// Words as a shell would read them, with quotes and backslashes, and without anything that a shell would put in.
pub(super) fn words(text: &str) -> Result<Words, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some('\''), letter) => word.get_or_insert_default().push(letter),
            (_, '\\') => {
                let next = letters.next().ok_or("it ends with a backslash")?;
                word.get_or_insert_default().push(next);
            }
            (Some(_), letter) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(word);
    match words.first() {
        Some(program) if !program.is_empty() => Ok(Words(words)),
        _ => Err("it names no program".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_people_expect_and_nothing_is_put_in() {
        for (text, expected) in [
            ("notify", vec!["notify"]),
            ("  notify   -a  b ", vec!["notify", "-a", "b"]),
            ("'my prog' \"a 'b' c\" ''", vec!["my prog", "a 'b' c", ""]),
            (r"a\ b \'c", vec!["a b", "'c"]),
            (
                "echo $HOME `id` > x; y",
                vec!["echo", "$HOME", "`id`", ">", "x;", "y"],
            ),
            ("a'b'c", vec!["abc"]),
        ] {
            let expected = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(words(text), Ok(Words(expected)), "{text}");
        }
        for text in ["", " ", "'a", "a\\", "''"] {
            assert!(words(text).is_err(), "{text}");
        }
    }
}
