//! `load`: an image and everything that is attached to it, from an OCI layout on disk into a registry.

use sealmark_oci::copy::Options;
use sealmark_oci::{Destination, Layout, Reference, Source};

use super::copy::Outcome;
use crate::error::Error;
use crate::flags::{self, Format, RegistryFlags, layout_and_image};
use crate::progress::Bar;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Where the image goes: a repository with a tag; without one, `latest`
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Directory of the layout; where it has several images, DIR:NAME or DIR@DIGEST
    #[arg(long, value_name = "DIR")]
    dir: String,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// Loads, and prints what was loaded.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let image: Reference = arguments.image.parse().map_err(sealmark_oci::Error::from)?;
    let (directory, name) = layout_and_image(&arguments.dir);
    let layout = Layout::open(directory)?;
    let digest = layout.resolve(name)?.digest;
    if let Some(other) = image.digest.as_ref().filter(|other| **other != digest) {
        return Err(Error::Usage(format!(
            "the image in {directory} is {digest}, and cannot be loaded as {other}: name a tag, or no digest"
        )));
    }
    let repository = image.in_repository();
    let destination = Destination::Registry {
        client: arguments.registry.client(terminal)?,
        repository: repository.clone(),
        tag: image.tag.clone(),
    };
    // As cosign's: to load is to say which image the tag is from now on.
    let options = Options {
        force: true,
        attach_in: flags::attachments_elsewhere(terminal)?,
        ..Options::default()
    };
    let source = Source::Layout(layout);
    let bar = Bar::over("Loading");
    let copied = sealmark_oci::copy(&source, &digest, &destination, &options, bar).await?;
    let outcome = Outcome {
        source: format!("{directory}@{digest}"),
        destination: repository.at(&image.identifier()),
        copied: &copied,
    };
    outcome.print("Loaded", arguments.output, terminal)
}
