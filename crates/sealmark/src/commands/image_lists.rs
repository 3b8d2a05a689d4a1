//! `manifest verify` and `dockerfile verify`: verify every image that a file names.
//!
//! What cannot be told to be an image or not is taken for one: an image that is passed over is one that nobody verified.

mod dockerfile;
mod manifest;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::verify::{self, Flags};
use crate::error::Error;
use crate::terminal::Terminal;

/// A larger file is refused, in bytes: the largest manifests of whole platforms have some megabytes.
const MAX_FILE: u64 = 16 << 20;
/// Images of one file.
const MAX_IMAGES: usize = 1000;

/// Flags of `manifest`.
#[derive(clap::Args, Debug)]
pub(crate) struct ManifestArguments {
    #[command(subcommand)]
    what: Manifest,
}

#[derive(clap::Subcommand, Debug)]
enum Manifest {
    /// Verify the signatures of every image in a file of Kubernetes manifests
    Verify {
        /// YAML or JSON with any number of manifests; - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        flags: Box<Flags>,
    },
}

/// Flags of `dockerfile`.
#[derive(clap::Args, Debug)]
pub(crate) struct DockerfileArguments {
    #[command(subcommand)]
    what: Dockerfile,
}

#[derive(clap::Subcommand, Debug)]
enum Dockerfile {
    /// Verify the signatures of every image that a Dockerfile builds on
    Verify {
        /// The Dockerfile; - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Verify the image alone that the last stage builds on
        #[arg(long)]
        base_image_only: bool,
        /// Value of an ARG; otherwise that of the environment, or the one in the file
        #[arg(long, value_name = "NAME=VALUE")]
        build_arg: Vec<String>,
        #[command(flatten)]
        flags: Box<Flags>,
    },
}

/// Verifies the images of manifests.
pub(crate) async fn manifest(
    arguments: ManifestArguments,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let Manifest::Verify { file, flags } = arguments.what;
    let text = read(&file)?;
    let images = manifest::images(&text).map_err(|reason| wrong(&file, &reason))?;
    verify_all(&file, images, *flags, terminal).await
}

/// Verifies the images of a Dockerfile.
pub(crate) async fn dockerfile(
    arguments: DockerfileArguments,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let Dockerfile::Verify {
        file,
        base_image_only,
        build_arg,
        flags,
    } = arguments.what;
    let given: BTreeMap<&str, &str> = build_arg
        .iter()
        .map(|text| {
            text.split_once('=')
                .ok_or_else(|| Error::Usage(format!("--build-arg {text}: it is NAME=VALUE")))
        })
        .collect::<Result<_, _>>()?;
    let argument = |name: &str| match given.get(name) {
        Some(value) => Some((*value).to_owned()),
        None => std::env::var(name).ok(),
    };
    let text = read(&file)?;
    let found = dockerfile::images(&text, &argument).map_err(|reason| wrong(&file, &reason))?;
    let images = match base_image_only {
        true => found.base.into_iter().collect(),
        false => found.all,
    };
    verify_all(&file, images, *flags, terminal).await
}

async fn verify_all(
    file: &Path,
    images: Vec<String>,
    flags: Flags,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    if images.is_empty() {
        return Err(wrong(
            file,
            "no image is named in it, so nothing was verified",
        ));
    }
    if images.len() > MAX_IMAGES {
        return Err(wrong(
            file,
            &format!("more than {MAX_IMAGES} images are named in it"),
        ));
    }
    terminal.note(format!("Extracted image(s): {}", images.join(", ")));
    verify::images(&images, flags, terminal).await
}

fn wrong(file: &Path, reason: &str) -> Error {
    Error::Usage(format!("{}: {reason}", file.display()))
}

fn read(path: &Path) -> Result<String, Error> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read = match path == Path::new("-") {
        true => std::io::stdin()
            .lock()
            .take(MAX_FILE + 1)
            .read_to_end(&mut bytes),
        false => std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|cause| Error::file("read", path, cause))?;
    if bytes.len() as u64 > MAX_FILE {
        let reason = format!("it is larger than {} MiB", MAX_FILE >> 20);
        return Err(wrong(path, &reason));
    }
    String::from_utf8(bytes).map_err(|error| wrong(path, &format!("it is not UTF-8: {error}")))
}

/// Adds an image that is not there yet.
fn add(images: &mut Vec<String>, image: &str) {
    if !images.iter().any(|known| known == image) {
        images.push(image.to_owned());
    }
}
