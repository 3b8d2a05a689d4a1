//! Flags of the commands that verify: revocations in files, and who may revoke what others signed.

use std::path::PathBuf;

use sealmark_trust::RevocationFeed;
use sealmark_verify::evidence::{Content, Evidence};
use sealmark_verify::policy_file::{PolicyFile, PolicyFileError, SignerRef, SignerText};
use sealmark_verify::report::RevocationSource;
use sealmark_verify::{Revocations, revocation};

use crate::detached;
use crate::error::Error;
use crate::policy_flags::absolute;
use crate::trust_flags::{self, Trusted};

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
    /// Accept nothing unless the feed of revocations of the TUF repository is as fresh as this: 90s, 15m, 24h, 7d
    #[arg(long, value_name = "DURATION")]
    require_fresh_revocations: Option<String>,
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
            (
                self.require_fresh_revocations.is_some(),
                "--require-fresh-revocations",
            ),
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

    /// How fresh a feed must be, as a policy file has it.
    pub(crate) fn fresh(&self) -> Option<String> {
        self.require_fresh_revocations.clone()
    }

    /// The revocations in the files and in the feed of whom is trusted, and whether that is as fresh as `file` demands.
    pub(crate) fn read(&self, file: &PolicyFile, trusted: &Trusted) -> Result<Revocations, Error> {
        let mut revocations = self.in_files()?;
        add_feed(&mut revocations, trusted);
        let usage = |error: PolicyFileError| Error::Usage(error.to_string());
        if let Some(seconds) = file.fresh_revocations().map_err(usage)? {
            revocations.stale = stale(seconds, trusted.feed.as_ref());
        }
        Ok(revocations)
    }

    /// The revocations in the files. Each must be one: a file that says nothing is no reason to believe that nothing is
    /// revoked.
    pub(crate) fn in_files(&self) -> Result<Revocations, Error> {
        let mut evidence: Vec<Evidence> = Vec::new();
        let mut sources = Vec::new();
        for path in &self.revocations {
            let text = detached::read_bounded(path, MAX_FILE, "file of revocations")?;
            let before = evidence.len();
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
            sources.push(RevocationSource {
                kind: "file",
                location: Some(path.display().to_string()),
                revocations: evidence.len() - before,
                as_of: None,
            });
        }
        Ok(Revocations {
            evidence,
            stale: None,
            sources,
        })
    }
}

/// Adds what the feed of whom is trusted has.
pub(crate) fn add_feed(revocations: &mut Revocations, trusted: &Trusted) {
    let Some(its) = &trusted.feed else {
        return;
    };
    let before = revocations.evidence.len();
    let evidence = its.feed.bundles().zip(1_usize..).map(|(bundle, number)| {
        let location = format!("the feed of {}, number {number}", its.mirror);
        detached::from_file(location, Content::from_bundle(bundle))
    });
    revocations.evidence.extend(evidence);
    revocations.sources.push(RevocationSource {
        kind: "feed",
        location: Some(its.mirror.clone()),
        revocations: revocations.evidence.len() - before,
        as_of: its.signed.map(|time| time.to_string()),
    });
}

/// Why the feed is not as fresh as it must be.
fn stale(seconds: i64, feed: Option<&RevocationFeed>) -> Option<String> {
    let wanted = format!("revocations as of the last {} are demanded", span(seconds));
    let Some(feed) = feed else {
        return Some(format!(
            "{wanted}, and there is no feed: initialize a TUF repository that has one, and name no other trusted root"
        ));
    };
    let Some(signed) = feed.signed else {
        return Some(format!(
            "{wanted}, and {} does not say when it was signed",
            feed.mirror
        ));
    };
    let age = trust_flags::now().saturating_sub(signed.as_second());
    (age > seconds).then(|| {
        format!(
            "{wanted}, and the feed of {} is of {signed}, {} ago",
            feed.mirror,
            span(age)
        )
    })
}

/// Seconds for people.
fn span(seconds: i64) -> String {
    match seconds {
        172_800.. => format!("{} days", seconds / 86_400),
        7_200.. => format!("{} hours", seconds / 3600),
        120.. => format!("{} minutes", seconds / 60),
        _ => format!("{seconds} seconds"),
    }
}
