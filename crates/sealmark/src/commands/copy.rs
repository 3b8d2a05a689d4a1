//! `copy`: an image and everything that is attached to it, from one repository to another.

use sealmark_oci::copy::{Only, Options};
use sealmark_oci::{Copied, Destination, Reference, Source};
use serde::Serialize;

use crate::error::Error;
use crate::flags::{self, Format, RegistryFlags};
use crate::progress::{Bar, bytes};
use crate::terminal::Terminal;

/// A kind of attachment, as cosign's copy names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Kind {
    /// Signatures, in every layout
    Sig,
    /// Attestations, in every layout
    Att,
    /// SBOMs attached by cosign
    Sbom,
}

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The image, by tag or digest
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Where it goes: a repository with a tag; without one, `latest`
    #[arg(value_name = "DESTINATION")]
    destination: String,
    /// Move the tag, and replace an SBOM, even if something else is there
    #[arg(short, long)]
    force: bool,
    /// Copy only what is attached, of these kinds, and not the image
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    only: Vec<Kind>,
    /// Of an index, copy only the image for this platform: os/architecture[/variant]
    #[arg(
        long,
        value_name = "PLATFORM",
        default_value = "",
        hide_default_value = true
    )]
    platform: String,
    /// Deprecated: use --only sig
    #[arg(long, hide = true)]
    sig_only: bool,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// Copies, and prints what was copied.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let from: Reference = arguments
        .source
        .parse()
        .map_err(sealmark_oci::Error::from)?;
    let to: Reference = arguments
        .destination
        .parse()
        .map_err(sealmark_oci::Error::from)?;
    if arguments.sig_only {
        terminal.warn("--sig-only is deprecated: use --only sig");
    }
    let client = arguments.registry.client(terminal)?;
    let digest = client.digest(&from).await?;
    if let Some(other) = to.digest.as_ref().filter(|other| **other != digest) {
        return Err(Error::Usage(format!(
            "{from} is {digest}, and cannot be copied to the digest {other}: name a tag, or no digest"
        )));
    }
    let source = Source::Registry {
        client: client.clone(),
        repository: from.in_repository(),
    };
    let destination = Destination::Registry {
        client,
        repository: to.in_repository(),
        tag: to.tag.clone(),
    };
    let options = Options {
        attached_in: flags::attachments_elsewhere(terminal)?,
        ..arguments.options()
    };
    let bar = Bar::over("Copying");
    let copied = sealmark_oci::copy(&source, &digest, &destination, &options, bar).await?;
    let outcome = Outcome {
        source: from.by_digest(&digest).to_string(),
        destination: match &to.tag {
            Some(tag) if options.only.is_none() => to.in_repository().at(tag),
            _ => to.by_digest(&copied.digest).to_string(),
        },
        copied: &copied,
    };
    outcome.print("Copied", arguments.output, terminal)
}

impl Arguments {
    fn options(&self) -> Options {
        let has = |kind| self.only.contains(&kind);
        let only = Only {
            signatures: self.sig_only || has(Kind::Sig),
            attestations: has(Kind::Att),
            sboms: has(Kind::Sbom),
        };
        Options {
            only: (only != Only::default()).then_some(only),
            platform: Some(self.platform.clone()).filter(|platform| !platform.is_empty()),
            force: self.force,
            ..Options::default()
        }
    }
}

/// What was moved from where to where.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome<'a> {
    pub(super) source: String,
    pub(super) destination: String,
    #[serde(flatten)]
    pub(super) copied: &'a Copied,
}

impl Outcome<'_> {
    pub(super) fn print(
        &self,
        verb: &str,
        format: Format,
        terminal: &mut Terminal,
    ) -> Result<(), Error> {
        let copied = self.copied;
        for skipped in &copied.skipped {
            terminal.warn(format!(
                "not copied: {}, listed as attached to {}: {}",
                skipped.digest, skipped.subject, skipped.reason
            ));
        }
        if format == Format::Json {
            return terminal.json(self);
        }
        terminal.line(format!("{verb} {} to {}", self.source, self.destination))?;
        terminal.line(format!("  digest       {}", copied.digest))?;
        terminal.line(format!("  images       {}", copied.images))?;
        terminal.line(format!("  attachments  {}", copied.attachments))?;
        terminal.line(format!(
            "  sent         {} in {} blobs, {} manifests; {} blobs were there already",
            bytes(copied.bytes_sent),
            copied.blobs_sent,
            copied.manifests_sent,
            copied.blobs_present
        ))
    }
}
