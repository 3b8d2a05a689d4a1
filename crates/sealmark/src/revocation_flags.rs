//! Flags of the commands that verify: revocations in files, and who may revoke what others signed.

use std::path::PathBuf;

use sealmark_verify::evidence::{Content, Evidence};
use sealmark_verify::policy_file::{SignerRef, SignerText};
use sealmark_verify::{Revocations, revocation};

use crate::detached;
use crate::error::Error;
use crate::policy_flags::absolute;

/// A file of revocations is not larger, in bytes.
const MAX_FILE: u64 = 16 << 20;
/// Revocations in all files together.
const MAX_REVOCATIONS: usize = 10_000;

/// What of revocations.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Revocation options")]
pub(crate) struct RevocationFlags {
    /// Revocations to respect, beside those attached to the image: bundles, one a line; several files by repeating
    #[arg(long, value_name = "FILE")]
    revocations: Vec<PathBuf>,
    /// Key of somebody who may revoke what others signed; several by repeating
    #[arg(long, value_name = "KEY")]
    revoker_key: Vec<String>,
    /// Identity of somebody who may revoke what others signed
    #[arg(long, value_name = "IDENTITY", requires = "revoker_oidc_issuer")]
    revoker_identity: Option<String>,
    /// Identity provider of --revoker-identity
    #[arg(long, value_name = "URL", requires = "revoker_identity")]
    revoker_oidc_issuer: Option<String>,
}

impl RevocationFlags {
    /// The flags that name these files, and nobody who may revoke.
    pub(crate) fn of_files(files: Vec<PathBuf>) -> Self {
        Self {
            revocations: files,
            ..Self::default()
        }
    }

    /// Respects the revocations in this file, too.
    pub(crate) fn take(&mut self, path: PathBuf) {
        self.revocations.push(path);
    }

    /// A flag that a policy file has a place for.
    pub(crate) fn in_policy(&self) -> Option<&'static str> {
        [
            (!self.revoker_key.is_empty(), "--revoker-key"),
            (self.revoker_identity.is_some(), "--revoker-identity"),
        ]
        .into_iter()
        .find_map(|(given, flag)| given.then_some(flag))
    }

    /// Who may revoke, as a policy file has it.
    pub(crate) fn revokers(&self) -> Result<Vec<SignerRef>, Error> {
        let texts = [&self.revoker_identity, &self.revoker_oidc_issuer];
        let mut given = self.revoker_key.iter().chain(texts.into_iter().flatten());
        if given.any(String::is_empty) {
            return Err(Error::Usage(
                "a revoker's key, identity or issuer is empty: is a variable not set?".to_owned(),
            ));
        }
        let keys = self.revoker_key.iter().map(|key| SignerText {
            key: Some(absolute(key)),
            ..SignerText::default()
        });
        let identity = self.revoker_identity.as_ref().map(|subject| SignerText {
            subject: Some(subject.clone()),
            issuer: self.revoker_oidc_issuer.clone(),
            ..SignerText::default()
        });
        Ok(keys
            .chain(identity)
            .map(|signer| SignerRef::Here(Box::new(signer)))
            .collect())
    }

    /// The revocations in the files. Each must be one: a file that says nothing is no reason to believe that nothing is
    /// revoked.
    pub(crate) fn read(&self) -> Result<Revocations, Error> {
        let mut evidence: Vec<Evidence> = Vec::new();
        for path in &self.revocations {
            let text = detached::read_bounded(path, MAX_FILE, "file of revocations")?;
            let lines = text.split(|byte| *byte == b'\n').enumerate();
            for (number, line) in lines.filter(|(_, line)| !line.trim_ascii().is_empty()) {
                let location = format!("{}:{}", path.display(), number + 1);
                let one = detached::from_file(location.clone(), Content::from_bundle(line));
                if !revocation::is_revocation(&one) {
                    let why = match &one.content {
                        Content::Unreadable(reason) => reason.clone(),
                        _ => "it is of another type".to_owned(),
                    };
                    return Err(Error::Usage(format!("{location} is no revocation: {why}")));
                }
                evidence.push(one);
                if evidence.len() > MAX_REVOCATIONS {
                    return Err(Error::Usage(format!(
                        "--revocations has more than {MAX_REVOCATIONS} revocations"
                    )));
                }
            }
        }
        Ok(Revocations {
            evidence,
            stale: None,
        })
    }
}
