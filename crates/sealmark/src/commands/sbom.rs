//! `sbom`: list the packages inside an image or a directory.

use std::path::Path;

use sealmark_oci::client::Client;
use sealmark_oci::{Layout, Reference, Source};
use sealmark_sbom::{ImageName, Sbom, cyclonedx, spdx_json, table};

use crate::error::Error;
use crate::flags::{self, RegistryFlags};
use crate::terminal::Terminal;

/// The variable that makes documents reproducible: <https://reproducible-builds.org/specs/source-date-epoch/>.
const TIME_VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// Forms of an SBOM.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum SbomFormat {
    /// SPDX 2.3
    #[value(alias = "spdx")]
    SpdxJson,
    /// CycloneDX 1.6
    #[value(alias = "cyclonedx")]
    CyclonedxJson,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Output {
    /// One line for each package
    #[value(alias = "text")]
    Table,
    /// SPDX 2.3
    #[value(alias = "spdx")]
    SpdxJson,
    /// CycloneDX 1.6
    #[value(alias = "cyclonedx")]
    CyclonedxJson,
}

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// An image, by tag or digest; an OCI layout on disk, DIR or DIR:NAME; or any other directory
    #[arg(value_name = "IMAGE|LAYOUT|DIRECTORY")]
    subject: String,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
    /// Which image of an index [default: linux, and what this program was built for]
    #[arg(long, value_name = "OS/ARCHITECTURE")]
    platform: Option<String>,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// Prints the SBOM.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let platform = arguments.platform.clone().unwrap_or_else(own_platform);
    let sbom = match place(&arguments.subject) {
        Place::Layout(directory, name) => {
            let layout = Layout::open(directory)?;
            let root = layout.resolve(name)?.digest;
            let source = Source::Layout(layout);
            let name = ImageName::Layout(&arguments.subject);
            sealmark_sbom::image(&source, &name, &root, &platform).await?
        }
        Place::Directory(path) => sealmark_sbom::directory(path).await?,
        Place::Registry => {
            let image: Reference = arguments
                .subject
                .parse()
                .map_err(sealmark_oci::Error::from)?;
            let client = arguments.registry.client(terminal)?;
            let root = client.resolve(&image).await?.digest;
            let source = Source::Registry {
                client,
                repository: image.in_repository(),
            };
            sealmark_sbom::image(&source, &ImageName::Registry(&image), &root, &platform).await?
        }
    };
    tell_problems(&sbom, terminal);
    match arguments.output {
        Output::SpdxJson => {
            terminal.bytes(document(&sbom, SbomFormat::SpdxJson)?.as_bytes())?;
        }
        Output::CyclonedxJson => {
            terminal.bytes(document(&sbom, SbomFormat::CyclonedxJson)?.as_bytes())?;
        }
        Output::Table => {
            for line in table::lines(&sbom) {
                terminal.line(line)?;
            }
        }
    }
    Ok(())
}

/// The SBOM of a single image, and the image by its digest.
pub(super) async fn of_image(
    client: &Client,
    image: &Reference,
    format: SbomFormat,
    terminal: &Terminal,
) -> Result<(Reference, String), Error> {
    let root = client.resolve(image).await?;
    if root.is_index() {
        return Err(Error::Usage(format!(
            "{image} is an index, and has no packages of its own; attest of the images in it, which `sealmark tree {image}` \
             lists"
        )));
    }
    let source = Source::Registry {
        client: client.clone(),
        repository: image.in_repository(),
    };
    let (digest, name) = (root.digest, ImageName::Registry(image));
    let sbom = sealmark_sbom::image(&source, &name, &digest, &own_platform()).await?;
    tell_problems(&sbom, terminal);
    Ok((image.by_digest(&digest), document(&sbom, format)?))
}

enum Place<'a> {
    Layout(&'a str, Option<&'a str>),
    Directory(&'a Path),
    Registry,
}

fn place(subject: &str) -> Place<'_> {
    let (directory, name) = flags::layout_and_image(subject);
    let path = Path::new(directory);
    match name {
        _ if path.join("oci-layout").is_file() => Place::Layout(directory, name),
        None if path.is_dir() => Place::Directory(path),
        _ => Place::Registry,
    }
}

/// The platform of this machine as image indexes have it.
pub(super) fn own_platform() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("linux/{architecture}")
}

pub(super) fn tell_problems(sbom: &Sbom, terminal: &Terminal) {
    for problem in &sbom.problems {
        terminal.warn(format!("packages may be missing: {problem}"));
    }
}

fn document(sbom: &Sbom, format: SbomFormat) -> Result<String, Error> {
    let created = created()?;
    Ok(match format {
        SbomFormat::SpdxJson => spdx_json::document(sbom, &created),
        SbomFormat::CyclonedxJson => cyclonedx::document(sbom, &created),
    })
}

/// When the document was made: now, or what the variable says.
pub(super) fn created() -> Result<String, Error> {
    let time = match std::env::var(TIME_VARIABLE) {
        Ok(text) if !text.is_empty() => {
            let seconds = text.trim().parse().ok();
            let time = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
            time.ok_or_else(|| {
                Error::Usage(format!(
                    "{TIME_VARIABLE} is {text:?}: it must be a number of seconds since 1970"
                ))
            })?
        }
        _ => jiff::Timestamp::now(),
    };
    Ok(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
