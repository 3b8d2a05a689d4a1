//! `save`: an image and everything that is attached to it, as an OCI layout on disk.

use std::path::PathBuf;

use sealmark_oci::copy::Options;
use sealmark_oci::{Destination, Layout, Reference, Source};

use super::copy::Outcome;
use crate::error::Error;
use crate::flags::{self, Format, RegistryFlags};
use crate::progress::Bar;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The image, by tag or digest
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Directory of the layout; it is made if it does not exist, and other images in it stay
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// Saves, and prints what was saved.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let image: Reference = arguments.image.parse().map_err(sealmark_oci::Error::from)?;
    let client = arguments.registry.client(terminal)?;
    let digest = client.digest(&image).await?;
    let source = Source::Registry {
        client,
        repository: image.in_repository(),
    };
    let destination = Destination::Layout {
        layout: Layout::create(&arguments.dir)?,
        name: image.tag.clone(),
    };
    let options = Options {
        attached_in: flags::attachments_elsewhere(terminal)?,
        ..Options::default()
    };
    let bar = Bar::over("Saving");
    let copied = sealmark_oci::copy(&source, &digest, &destination, &options, bar).await?;
    let directory = arguments.dir.display();
    let outcome = Outcome {
        source: image.by_digest(&digest).to_string(),
        destination: match &image.tag {
            Some(tag) => format!("{directory}:{tag}"),
            None => format!("{directory}@{digest}"),
        },
        copied: &copied,
    };
    outcome.print("Saved", arguments.output, terminal)
}
