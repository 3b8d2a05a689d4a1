//! `clean`: remove what is attached to an image.
//!
//! Only what is found and named is removed: a list of referrers that is shared with others keeps their entries, and
//! what could not be removed is named in the error.

mod inventory;
mod remove;

use sealmark_oci::{Reference, Repository, Source};
use serde::Serialize;

use self::inventory::Item;
use crate::confirm::confirm;
use crate::error::Error;
use crate::flags::{self, Format, RegistryFlags};
use crate::printable::printable;
use crate::terminal::Terminal;

/// What is removed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Type {
    /// Signatures, in every layout
    Signature,
    /// Attestations, in every layout
    Attestation,
    /// SBOMs attached by cosign
    Sbom,
    /// Everything that refers to the image, also what other tools attached
    Referrer,
    /// Signatures, attestations and SBOMs
    All,
}

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The image, by tag or digest
    #[arg(value_name = "IMAGE")]
    image: String,
    /// What is removed
    #[arg(long = "type", value_enum, default_value = "all")]
    kind: Type,
    /// Do not ask
    #[arg(short, long, short_alias = 'y', alias = "yes")]
    force: bool,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// Lists, asks, removes, and prints what was removed.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let image: Reference = arguments.image.parse().map_err(sealmark_oci::Error::from)?;
    let client = arguments.registry.client(terminal)?;
    let digest = client.resolve(&image).await?.digest;
    let repository = flags::signature_repository(&image)?;
    let source = Source::Registry {
        client: client.clone(),
        repository: repository.clone(),
    };
    let found = inventory::take(&source, &client, &repository, &digest).await?;
    let (chosen, others): (Vec<Item>, Vec<Item>) = found
        .into_iter()
        .partition(|item| item.is_of(arguments.kind));
    for item in &others {
        terminal.detail(format!("stays: {}", item.describe(&repository)));
    }
    if chosen.is_empty() {
        terminal.note(format!("nothing to remove from {image}"));
    } else if !arguments.force {
        ask(&chosen, &repository, &image, terminal)?;
    }
    let outcome = remove::remove(&client, &repository, &digest, chosen).await;
    match arguments.output {
        Format::Text => {
            for item in &outcome.removed {
                terminal.line(format!("Removed {}", item.describe(&repository)))?;
            }
        }
        Format::Json => {
            let removed = outcome
                .removed
                .iter()
                .map(|item| Removed {
                    kind: item.kind.name(),
                    layout: item.layout,
                    reference: item.place(&repository),
                    predicate_type: item.predicate_type.as_deref(),
                })
                .collect::<Vec<_>>();
            terminal.json(&removed)?;
        }
    }
    match outcome.failure {
        None => Ok(()),
        Some((cause, remaining)) if remaining.is_empty() => Err(Error::Oci(cause)),
        Some((cause, remaining)) => {
            let list: Vec<String> = remaining
                .iter()
                .map(|item| item.describe(&repository))
                .collect();
            Err(Error::Usage(format!(
                "{cause}. Still there: {}",
                list.join("; ")
            )))
        }
    }
}

fn ask(
    chosen: &[Item],
    repository: &Repository,
    image: &Reference,
    terminal: &Terminal,
) -> Result<(), Error> {
    if !terminal.is_interactive() {
        return Err(Error::Usage(format!(
            "{} of {image} would be removed, and there is no terminal to ask: give --force, or look first with \
             sealmark tree {image}",
            match chosen.len() {
                1 => "one attachment".to_owned(),
                count => format!("{count} attachments"),
            }
        )));
    }
    for item in chosen {
        terminal.note(item.describe(repository));
    }
    if confirm("Remove for good?")? {
        return Ok(());
    }
    Err(Error::Usage("nothing was removed".to_owned()))
}

/// One removed attachment in JSON output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Removed<'a> {
    kind: &'static str,
    layout: &'static str,
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    predicate_type: Option<&'a str>,
}

impl Item {
    /// For people: what, and where.
    fn describe(&self, repository: &Repository) -> String {
        let predicate = match (&self.predicate_type, self.kind) {
            (Some(predicate), inventory::Kind::Attestation) => format!(" {predicate}"),
            _ => String::new(),
        };
        printable(&format!(
            "{} ({}{predicate}, {})",
            self.place(repository),
            self.kind.name(),
            self.layout
        ))
        .into_owned()
    }
}
