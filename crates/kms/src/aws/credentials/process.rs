//! `credential_process`: a program of the user's that prints credentials.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>

use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

use super::{Credentials, Document, failed};
use crate::aws::Error;

/// Credentials are a few hundred bytes.
const MAX_OUTPUT: usize = 64 << 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Versioned {
    version: u32,
    #[serde(flatten)]
    document: Document,
}

/// Runs the command as a shell does, and takes what it prints.
pub(super) async fn run(
    command: &str,
    title: &str,
    timeout: Duration,
) -> Result<Credentials, Error> {
    let program = command.split_whitespace().next().unwrap_or_default();
    let source = format!("{title} (credential_process {program})");
    let wrong = |reason: String| failed(&*source, reason);
    let mut shell = tokio::process::Command::new("sh");
    shell.arg("-c").arg(command);
    shell.stdin(Stdio::null()).stdout(Stdio::piped());
    shell.stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = shell
        .spawn()
        .map_err(|error| wrong(format!("it cannot be started: {error}")))?;
    let (mut output, mut words) = (
        Zeroizing::new(Vec::with_capacity(MAX_OUTPUT + 1)),
        Vec::new(),
    );
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
        return Err(wrong("it has no output".to_owned()));
    };
    let (mut stdout, mut stderr) = (
        stdout.take(MAX_OUTPUT as u64 + 1),
        stderr.take(MAX_OUTPUT as u64),
    );
    let all = async {
        let read = tokio::join!(
            stdout.read_to_end(&mut output),
            stderr.read_to_end(&mut words),
            child.wait()
        );
        read.2
    };
    let Ok(ended) = tokio::time::timeout(timeout, all).await else {
        let seconds = timeout.as_secs_f64();
        return Err(wrong(format!(
            "it did not end within {seconds} s; allow more time with --timeout"
        )));
    };
    let status = ended.map_err(|error| wrong(error.to_string()))?;
    if !status.success() {
        let words = sealmark_http::sanitise(&String::from_utf8_lossy(&words));
        return Err(wrong(format!("it failed ({status}): {words}")));
    }
    if output.len() > MAX_OUTPUT {
        return Err(wrong(format!("it prints more than {MAX_OUTPUT} bytes")));
    }
    // The parser's error may quote a secret.
    let printed: Versioned = serde_json::from_slice(&output).map_err(|_| {
        wrong(
            "what it prints is not the JSON with Version, AccessKeyId and SecretAccessKey"
                .to_owned(),
        )
    })?;
    if printed.version != 1 {
        return Err(wrong(format!(
            "it prints credentials of version {}, and known is 1",
            printed.version
        )));
    }
    printed.document.credentials(source.clone()).map_err(wrong)
}
