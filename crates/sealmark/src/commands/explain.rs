//! `explain`: who signed this, when, and how do we know? Nothing is asked for, so nothing is verified.

use std::path::{Path, PathBuf};

use sealmark_formats::Digest;
use sealmark_keys::PublicKey;
use sealmark_kms::KeyRef;
use sealmark_oci::{Layout, Source, Want};
use sealmark_sign::blob::FileBytes;
use sealmark_verify::artifact::needed_hashes;
use sealmark_verify::evidence::{Content, Evidence};
use sealmark_verify::report::{Attachment, CheckName, Outcome};
use sealmark_verify::{Artifact, Demand, Kind, Policy, Revocations, Signer, revocation};
use serde::Serialize;

use super::inspect::{self, Subject};
use super::promotions::{self, Step};
use crate::detached;
use crate::error::Error;
use crate::flags::{self, Format, RegistryFlags};
use crate::printable::printable;
use crate::report;
use crate::revocation_flags;
use crate::service_flags::key_options;
use crate::terminal::Terminal;
use crate::trust_flags::{self, TrustFlags};

/// Said with every result.
const NOT_VERIFIED: &str =
    "nobody was asked for, so nothing is verified: verify decides whether this may run";

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// An image, an OCI layout (DIR:NAME picks one of several), or a bundle; - for standard input
    #[arg(value_name = "BUNDLE|IMAGE")]
    what: String,
    /// The file that the bundle should be about
    #[arg(long, value_name = "FILE")]
    artifact: Option<PathBuf>,
    /// Public keys that may have signed; several by repeating
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    trust: TrustFlags,
    #[command(flatten)]
    registry: RegistryFlags,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExplainJson {
    what: String,
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trusting: Option<String>,
    attachments: Vec<Attachment>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    promotions: Vec<Step>,
}

/// Explains what the bundle says, or everything that is attached to the image.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let mut keys = Vec::new();
    for key in &arguments.key {
        keys.push(sealmark_kms::load_public(&KeyRef::parse(key)?, &key_options(terminal)).await?);
    }
    let trusted = arguments.trust.trusted(None, true, terminal).await?;
    let (digest, evidence) = arguments.gather(terminal).await?;
    let file = arguments.artifact.as_deref().map(FileBytes);
    let mut revocations = Revocations {
        evidence: evidence
            .iter()
            .filter(|one| revocation::is_revocation(one))
            .cloned()
            .collect(),
        ..Revocations::default()
    };
    revocation_flags::add_feed(&mut revocations, &trusted);
    let attachments: Vec<Attachment> = evidence
        .iter()
        .map(|evidence| {
            explain_one(
                evidence,
                digest.as_ref(),
                file.as_ref(),
                &keys,
                &revocations,
                &trusted.material,
            )
        })
        .collect::<Result<_, _>>()?;
    let promotions = promotions::steps(&attachments, &evidence);
    if arguments.output == Format::Json {
        return terminal.json(&ExplainJson {
            what: arguments.what,
            verified: false,
            digest,
            trusting: trusted.origin,
            attachments,
            promotions,
        });
    }
    let what = printable(&arguments.what).into_owned();
    match &digest {
        Some(digest) => terminal.line(format!("{what} ({digest})"))?,
        None => terminal.line(what)?,
    }
    if let Some(origin) = &trusted.origin {
        terminal.line(format!("trusting {origin}"))?;
    }
    if attachments.is_empty() {
        terminal.line("nothing is attached: nobody has signed this")?;
    }
    for (attachment, evidence) in attachments.iter().zip(&evidence) {
        terminal.line("")?;
        if digest.is_some() {
            let location = printable(&attachment.location);
            terminal.line(format!("{} {location}", attachment.layout.name()))?;
        }
        print(attachment, evidence, terminal)?;
    }
    promotions::print(&promotions, terminal)?;
    if digest.is_none() && arguments.artifact.is_none() {
        terminal.line("")?;
        terminal.line("the digest was not compared with a file: give it with --artifact")?;
    }
    terminal.line("")?;
    terminal.line(NOT_VERIFIED)
}

impl Arguments {
    /// The evidence, and the digest of the image.
    async fn gather(
        &self,
        terminal: &mut Terminal,
    ) -> Result<(Option<Digest>, Vec<Evidence>), Error> {
        let local = |layout: Layout, name: Option<&str>| -> Result<_, Error> {
            let digest = layout.resolve(name)?.digest;
            Ok((Source::Layout(layout), digest))
        };
        let (directory, name) = flags::layout_and_image(&self.what);
        let (source, digest) = if Path::new(directory).join("oci-layout").is_file() {
            local(Layout::open(directory)?, name)?
        } else {
            match inspect::subject(&self.what)? {
                Subject::Bytes(bytes) => {
                    let evidence = detached::from_file(self.what.clone(), detached::content(bytes));
                    if let Content::Unreadable(reason) = &evidence.content {
                        return Err(Error::Usage(format!(
                            "{}: {}",
                            printable(&self.what),
                            printable(reason)
                        )));
                    }
                    return Ok((None, vec![evidence]));
                }
                Subject::Layout(layout) => local(layout, None)?,
                Subject::Image(image) => {
                    let client = self.registry.client(terminal)?;
                    let repository = flags::signature_repository(&image)?;
                    let digest = client.resolve(&image).await?.digest;
                    (Source::Registry { client, repository }, digest)
                }
            }
        };
        if self.artifact.is_some() {
            return Err(Error::Usage(
                "--artifact is the file that a bundle is about, and this is an image".to_owned(),
            ));
        }
        let evidence = sealmark_oci::gather(&source, &digest, Want::ALL).await?;
        Ok((Some(digest), evidence))
    }
}

fn explain_one(
    evidence: &Evidence,
    digest: Option<&Digest>,
    file: Option<&FileBytes<'_>>,
    keys: &[PublicKey],
    revocations: &Revocations,
    trust: &sealmark_verify::TrustedMaterial,
) -> Result<Attachment, Error> {
    let one = core::slice::from_ref(evidence);
    let artifact = match (digest, file) {
        (Some(digest), _) => Artifact::by_digest(digest.clone()),
        (None, Some(file)) => {
            let signers = keys.iter().cloned().map(Signer::Key).collect();
            let policy = Policy::from(Demand::new(Kind::BlobSignatureOrStatement, signers));
            let mut digests = file
                .digests(&needed_hashes(one, &policy))
                .map_err(Error::Usage)?;
            if digests.is_empty() {
                return Err(Error::Usage("no digest was made of the file".to_owned()));
            }
            Artifact {
                digest: digests.remove(0),
                more_digests: digests,
                bytes: Some(file),
            }
        }
        // What it says of itself is all there is.
        (None, None) => {
            let claimed = evidence.claimed_digest();
            Artifact::by_digest(claimed.unwrap_or_else(|| Digest::sha256(b"")))
        }
    };
    let compared = digest.is_some() || file.is_some();
    let mut explained =
        sealmark_verify::explain(&artifact, one, trust, keys, revocations, trust_flags::now());
    let mut explained = explained
        .pop()
        .ok_or_else(|| Error::Usage("there is nothing to explain".to_owned()))?;
    for check in &mut explained.checks {
        // It was compared with what it says itself.
        if check.name == CheckName::Digest && !compared {
            check.outcome = Outcome::Skipped {
                reason: "not compared, no file was given".to_owned(),
            };
        }
    }
    Ok(explained)
}

/// Who, when, what, and how that is known.
fn print(
    attachment: &Attachment,
    evidence: &Evidence,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let passed = |name: CheckName| {
        attachment
            .checks
            .iter()
            .find(|check| check.name == name)
            .and_then(|check| match &check.outcome {
                Outcome::Passed { evidence } => Some(printable(evidence).into_owned()),
                _ => None,
            })
    };
    let by_key = || {
        let signer = attachment.claimed_signer.as_ref()?;
        Some(format!("key {}", signer.key_id.as_deref()?))
    };
    let unknown = || {
        let found = attachment.failure().and_then(|check| match &check.outcome {
            Outcome::Failed { found, .. } => Some(printable(found).into_owned()),
            _ => None,
        });
        format!("not told: {}", found.unwrap_or_default())
    };
    let who = match (passed(CheckName::Identity), passed(CheckName::Certificate)) {
        (Some(identity), Some(_)) => identity,
        (Some(identity), None) => format!("{identity}, which nobody trusted vouches for"),
        (None, _) => by_key().unwrap_or_else(unknown),
    };
    let log = passed(CheckName::TransparencyLog);
    let timestamp = passed(CheckName::Timestamp);
    let when = match (log, timestamp) {
        (None, None) => "no trusted log or timestamp authority says when".to_owned(),
        (log, timestamp) => {
            let all: Vec<_> = log.into_iter().chain(timestamp).collect();
            all.join("; ")
        }
    };
    terminal.line(format!("  who:  {who}"))?;
    terminal.line(format!("  when: {when}"))?;
    if let Some(kind) = passed(CheckName::Kind) {
        let over = evidence
            .claimed_digest()
            .map_or_else(String::new, |digest| format!(" over {digest}"));
        terminal.line(format!("  what: {kind}{over}"))?;
    }
    let failures = attachment
        .checks
        .iter()
        .filter(|check| matches!(check.outcome, Outcome::Failed { .. }))
        .count();
    let verdict = match failures {
        0 => "every check that can be made passes".to_owned(),
        1 => "1 check fails".to_owned(),
        several => format!("{several} checks fail"),
    };
    terminal.line(format!("  how do we know: {verdict}"))?;
    report::explain_checks(attachment, terminal)
}
