//! Witnesses in `serve`: being one, and having the log's checkpoints cosigned by others.

use std::path::{Path, PathBuf};

use sealmark_server::instance::Part;
use sealmark_server::log::{TransparencyLog, WITNESS_PATH};
use sealmark_server::witness::{Options, Witness};
use sealmark_tlog::note::{KeyKind, VerifierKey};
use sealmark_tlog::policy::{MAX_POLICY, Policy};

use super::super::operations::OperationFlags;
use super::{Only, Password};
use crate::error::Error;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Witnesses")]
pub(super) struct WitnessFlags {
    /// A log whose checkpoints the witness cosigns, as NAME+HASH+KEY; may be repeated
    #[arg(long, value_name = "VKEY", value_parser = log_key)]
    log: Vec<VerifierKey>,
    /// The logs whose checkpoints the witness cosigns: those of a policy (c2sp.org/tlog-policy)
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The log also acts as a witness, of the logs of --log and --policy, at its URL with /witness
    #[arg(long)]
    witness: bool,
    /// Who cosigns the log's checkpoints of version 2, and how many must: a policy (c2sp.org/tlog-policy)
    #[arg(long, value_name = "FILE")]
    witness_policy: Option<PathBuf>,
    /// Show no checkpoint that has not the cosignatures that the policy asks for, rather than one without
    #[arg(long, requires = "witness_policy")]
    witness_required: bool,
}

fn log_key(text: &str) -> Result<VerifierKey, String> {
    let key: VerifierKey = text
        .parse()
        .map_err(|error: sealmark_tlog::Error| error.to_string())?;
    match key.kind() {
        KeyKind::CosignatureV1 => Err("it is the key of a witness, not of a log".to_owned()),
        _ => Ok(key),
    }
}

impl WitnessFlags {
    /// Checks that the flags go together.
    pub(super) fn check(&self, only: &Only) -> Result<(), Error> {
        let usage = |message: &str| Err(Error::Usage(message.to_owned()));
        let logs = !self.log.is_empty() || self.policy.is_some();
        match only {
            Only::Witness if self.witness => {
                usage("--witness is for a log; --only witness is a witness anyway")
            }
            Only::Witness if self.witness_policy.is_some() => {
                usage("--witness-policy is for a log: a witness has no checkpoints of its own")
            }
            Only::Parts(parts)
                if !parts.contains(&Part::Log)
                    && (logs || self.witness || self.witness_policy.is_some()) =>
            {
                usage("witnesses are for the transparency log, which --only leaves out")
            }
            Only::Everything | Only::Log | Only::Parts(_) if logs && !self.witness => {
                usage("--log and --policy are for a witness: add --witness, too")
            }
            _ if (self.witness || matches!(only, Only::Witness)) && !logs => {
                usage("a witness needs logs to cosign: name them with --log VKEY or --policy FILE")
            }
            _ => Ok(()),
        }
    }

    /// Opens the witness in `directory`, and says who it is.
    pub(super) async fn open(
        &self,
        directory: &Path,
        url: &str,
        password: Password,
        operation: &OperationFlags,
        terminal: &Terminal,
    ) -> Result<Witness, Error> {
        let mut logs = self.log.clone();
        if let Some(path) = &self.policy {
            let policy = read(path)?;
            if policy.logs.is_empty() {
                let path = path.display();
                return Err(Error::Usage(format!(
                    "{path} has no logs, which are lines \"log VKEY\""
                )));
            }
            logs.extend(policy.logs.into_iter().map(|log| log.key));
        }
        let options = Options {
            name: name(url)?,
            logs,
            password,
        };
        let (folder, count) = (directory.to_owned(), options.logs.len());
        let opened = tokio::task::spawn_blocking(move || Witness::open(&folder, options)).await;
        // The task is not cancelled; if it panicked, so may this one.
        let witness =
            opened.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        operation.note(terminal, format!("witness at {url} of {count} logs"));
        operation.note(terminal, format!("verifier key {}", witness.verifier_key()));
        Ok(witness)
    }

    /// Makes a log a witness, and has it ask witnesses, as far as the flags say so.
    pub(super) async fn join(
        &self,
        log: &TransparencyLog,
        directory: &Path,
        url: &str,
        password: Password,
        operation: &OperationFlags,
        terminal: &Terminal,
    ) -> Result<(), Error> {
        let v2 = log.verifier_key_v2()?;
        operation.note(terminal, format!("verifier key of v2 {v2}"));
        if self.witness {
            let (folder, url) = (directory.join("witness"), format!("{url}{WITNESS_PATH}"));
            log.host_witness(
                self.open(&folder, &url, password, operation, terminal)
                    .await?,
            );
        }
        let Some(path) = &self.witness_policy else {
            return Ok(());
        };
        let policy = read(path)?;
        let here = |log: &sealmark_tlog::policy::Log| log.key == v2;
        if !policy.logs.is_empty() && !policy.logs.iter().any(here) {
            operation.warn(terminal, format!(
                "{} has logs, and this one is none of them: clients with this policy will not trust it",
                path.display()
            ));
        }
        let asked = policy
            .witnesses
            .iter()
            .filter(|witness| witness.url.is_some())
            .count();
        if asked == 0 && policy.wants_witnesses() {
            return Err(Error::Usage(format!(
                "{} has no witness with a URL, so nobody can be asked",
                path.display()
            )));
        }
        log.ask_witnesses(policy, self.witness_required)?;
        operation.note(terminal, format!("{asked} witnesses are asked to cosign"));
        Ok(())
    }
}

fn read(path: &Path) -> Result<Policy, Error> {
    let file = std::fs::File::open(path).map_err(|cause| Error::file("open", path, cause))?;
    let mut text = Vec::new();
    let mut file = std::io::Read::take(file, MAX_POLICY as u64 + 1);
    std::io::Read::read_to_end(&mut file, &mut text)
        .map_err(|cause| Error::file("read", path, cause))?;
    Policy::parse(&text)
        .map_err(|error| Error::Usage(format!("cannot use {}: {error}", path.display())))
}

/// What a witness with this URL is called: host and path.
fn name(url: &str) -> Result<String, Error> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let (authority, path) = rest
        .map(|rest| rest.split_at(rest.find('/').unwrap_or(rest.len())))
        .unwrap_or_default();
    // The end of an address in brackets, or of a name, where a port may follow.
    let end = authority
        .find(']')
        .map_or_else(|| authority.find(':'), |at| Some(at + 1));
    let host = &authority[..end.unwrap_or(authority.len())];
    match host.is_empty() || url.contains(['?', '#', '@', ' ', '+']) {
        false => Ok(format!("{host}{path}")),
        true => Err(Error::Usage(format!(
            "{url:?} is not the URL of a witness: it must be http:// or https://, a host, and perhaps a path"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_is_named_by_its_url_without_scheme_and_port() {
        for (url, expected) in [
            ("https://witness.example.com", Some("witness.example.com")),
            ("http://127.0.0.1:3000", Some("127.0.0.1")),
            ("http://127.0.0.1:3000/witness", Some("127.0.0.1/witness")),
            ("http://[::1]:3000/a/b", Some("[::1]/a/b")),
            ("https://", None),
            ("witness.example.com", None),
            ("https://witness.example.com/?a", None),
            ("https://witness.example.com/a+b", None),
        ] {
            assert_eq!(name(url).ok().as_deref(), expected, "{url}");
        }
    }
}
