//! `save`: an image and everything that is attached to it, as an OCI layout on disk.

use std::path::{Path, PathBuf};

use sealmark_oci::copy::Options;
use sealmark_oci::{Destination, Layout, Reference, Source};
use sealmark_trust::TrustedMaterial;

use super::copy::Outcome;
use crate::error::Error;
use crate::flags::{self, Format, RegistryFlags};
use crate::progress::Bar;
use crate::revocation_flags::RevocationFlags;
use crate::terminal::Terminal;
use crate::trust_flags::TrustFlags;
use crate::trust_pack::{self, Pack};

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The image, by tag or digest
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Directory of the layout; it is made if it does not exist, and other images in it stay
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Also put a trusted root, and the policy and revocations that are named, into the layout, for whoever takes the
    /// image out of it where there is no network
    #[arg(long)]
    with_trust: bool,
    /// The trusted root to put into it [default: the one that verify would believe]
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,
    /// The policy file to put into it, with the keys that it names
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Revocations to put into it: bundles, one a line; several files by repeating
    #[arg(long, value_name = "FILE")]
    revocations: Vec<PathBuf>,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// Saves, and prints what was saved.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let image: Reference = arguments.image.parse().map_err(sealmark_oci::Error::from)?;
    // Before anything is moved: a file that cannot be read is the plainer mistake.
    let pack = match arguments.with_trust {
        true => Some(arguments.pack(terminal).await?),
        false => {
            // Variables may have named them, for other commands.
            if arguments.policy.is_some() || !arguments.revocations.is_empty() {
                terminal.warn(
                    "a policy and revocations are put into the layout only with --with-trust",
                );
            }
            None
        }
    };
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
    if let (Some(pack), Destination::Layout { layout, .. }) = (&pack, &destination) {
        let digest = pack.write(layout)?;
        terminal.note(format!(
            "trusted material is in the layout as {}, {digest}; whoever takes it from there uses it only with \
             --trust-from-layout",
            trust_pack::NAME
        ));
    }
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

impl Arguments {
    /// What is to be believed about the image.
    async fn pack(&self, terminal: &Terminal) -> Result<Pack, Error> {
        let mut pack = Pack::default();
        let mut named = self.trusted_root.clone();
        if let Some(path) = &self.policy {
            let file = pack.policy(path)?;
            let folder = path.parent().unwrap_or_else(|| Path::new(""));
            named = named.or_else(|| file.trusted_root.map(|root| folder.join(root)));
        }
        let material = match named {
            Some(path) => TrustedMaterial::from_file(&path)?,
            None => match TrustFlags::default().initialised()? {
                Some(options) => TrustedMaterial::from_tuf(&options).await?,
                None => TrustedMaterial::embedded_public_good(),
            },
        };
        terminal.detail(format!("packing {}", material.origin));
        pack.root(material.trusted_root.to_json());
        if let Some(its) = &material.revocations {
            pack.feed(&its.feed)?;
        }
        RevocationFlags::of_files(self.revocations.clone()).in_files()?;
        for path in &self.revocations {
            pack.revocations(path)?;
        }
        Ok(pack)
    }
}
