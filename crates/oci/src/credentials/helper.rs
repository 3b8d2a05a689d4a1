//! Docker's credential helpers: programs named `docker-credential-NAME`.
//!
//! Invariant: a helper ends within [`TIMEOUT`], or is killed; a secret goes to its standard input, never to its
//! arguments. <https://github.com/docker/docker-credential-helpers#development>

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Credential, Environment, Kind};
use crate::error::{Error, sanitise};
use crate::options::Secret;

/// A helper may ask a cloud, or a person to touch something.
const TIMEOUT: Duration = Duration::from_secs(30);
/// As much of a helper's output as is read.
const MAX_OUTPUT: u64 = 1 << 20;
/// Docker's user name for an identity token.
const IDENTITY_USER: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Got {
    #[serde(default)]
    username: String,
    secret: String,
}

#[derive(Serialize)]
struct Stored<'a> {
    #[serde(rename = "ServerURL")]
    server: &'a str,
    #[serde(rename = "Username")]
    username: &'a str,
    #[serde(rename = "Secret")]
    secret: &'a str,
}

pub(super) async fn get(
    helper: &str,
    server: &str,
    registry: &str,
    config: &Path,
    environment: &Environment,
) -> Result<Option<Credential>, Error> {
    let run = Run {
        helper,
        registry,
        config,
        environment,
    };
    let (ok, output) = run.run("get", server.as_bytes()).await?;
    if !ok {
        return if says_not_found(&output) {
            Ok(None)
        } else {
            Err(run.failed("get", &output))
        };
    }
    // The parser's message could repeat the secret.
    let got: Got = serde_json::from_slice(&output)
        .map_err(|_| run.error("its answer is not {\"Username\":…,\"Secret\":…}"))?;
    let kind = if got.username == IDENTITY_USER {
        Kind::IdentityToken(got.secret.into())
    } else if got.username.is_empty() && got.secret.is_empty() {
        return Ok(None);
    } else {
        Kind::Basic {
            username: got.username,
            password: got.secret.into(),
        }
    };
    Ok(Some(Credential {
        kind,
        source: format!("docker-credential-{helper}"),
    }))
}

pub(super) async fn store(
    helper: &str,
    server: &str,
    username: &str,
    password: &Secret,
    registry: &str,
    config: &Path,
    environment: &Environment,
) -> Result<(), Error> {
    let stored = Stored {
        server,
        username,
        secret: password.expose(),
    };
    let input = serde_json::to_vec(&stored).expect("strings serialise");
    let run = Run {
        helper,
        registry,
        config,
        environment,
    };
    match run.run("store", &input).await? {
        (true, _) => Ok(()),
        (false, output) => Err(run.failed("store", &output)),
    }
}

pub(super) async fn erase(
    helper: &str,
    server: &str,
    registry: &str,
    config: &Path,
    environment: &Environment,
) -> Result<(), Error> {
    let run = Run {
        helper,
        registry,
        config,
        environment,
    };
    match run.run("erase", server.as_bytes()).await? {
        (true, _) => Ok(()),
        (false, output) if says_not_found(&output) => Ok(()),
        (false, output) => Err(run.failed("erase", &output)),
    }
}

fn says_not_found(output: &[u8]) -> bool {
    String::from_utf8_lossy(output).contains("credentials not found in native keychain")
}

struct Run<'a> {
    helper: &'a str,
    registry: &'a str,
    config: &'a Path,
    environment: &'a Environment,
}

impl Run<'_> {
    /// Whether it succeeded, and what it wrote.
    async fn run(&self, verb: &str, input: &[u8]) -> Result<(bool, Vec<u8>), Error> {
        let program = self.find()?;
        let mut command = tokio::process::Command::new(&program);
        command
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if let Some(path) = &self.environment.path {
            command.env("PATH", path);
        }
        if let Some(home) = &self.environment.home {
            command.env("HOME", home);
        }
        let mut child = command
            .spawn()
            .map_err(|error| self.error(&format!("it does not start: {error}")))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let work = async {
            if let Some(mut stdin) = stdin {
                // A helper may end without reading; what it says then is more useful than a broken pipe.
                let _ = stdin.write_all(input).await;
            }
            let mut output = Vec::new();
            if let Some(stdout) = stdout {
                stdout.take(MAX_OUTPUT).read_to_end(&mut output).await?;
            }
            Ok::<_, std::io::Error>((child.wait().await?.success(), output))
        };
        match tokio::time::timeout(TIMEOUT, work).await {
            Ok(done) => done.map_err(|error| self.error(&format!("it cannot be run: {error}"))),
            Err(_) => Err(self.error(&format!("it did not end within {} s", TIMEOUT.as_secs()))),
        }
    }

    fn find(&self) -> Result<PathBuf, Error> {
        let name = format!("docker-credential-{}", self.helper);
        if name.contains(['/', '\\', '\0']) {
            return Err(self.error("its name is not a program's"));
        }
        let path = self.environment.path.clone().unwrap_or_default();
        std::env::split_paths(&path)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(&name))
            .find(|program| program.is_file())
            .ok_or_else(|| self.error("it is not in PATH; install it, or remove it from that file"))
    }

    fn failed(&self, verb: &str, output: &[u8]) -> Error {
        // Only `get` writes a secret, and only when it succeeds.
        let words = sanitise(&String::from_utf8_lossy(output));
        self.error(&format!("`{verb}` failed: {words}"))
    }

    fn error(&self, reason: &str) -> Error {
        Error::Credentials {
            registry: self.registry.to_owned(),
            reason: format!(
                "{} names the helper docker-credential-{}: {reason}",
                self.config.display(),
                sanitise(self.helper),
            ),
        }
    }
}
