//! `inspect`: say what something is and what is in it. Nothing is verified.
//!
//! What it is follows from its content alone. Each kind has a function that gives [`Facts`], and the two ways of
//! printing are views of these.

pub(super) mod bundle;
mod certificate;
mod detect;
pub(super) mod facts;
mod image;
mod json;
mod key;

use std::io::Read;
use std::path::Path;

use sealmark_oci::{Layout, Reference};

use self::facts::Facts;
use crate::error::Error;
use crate::flags::{self, Format, RegistryFlags};
use crate::printable::printable;
use crate::terminal::Terminal;

/// The largest file that is read, in bytes. Bundles with an SBOM inside have some 10 MiB.
const MAX_INPUT: u64 = 128 << 20;
/// Said with every result.
pub(super) const NOT_VERIFIED: &str = "nothing was verified: this is what it says of itself";

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// An image, an OCI layout, or a file: a bundle, manifest, certificate, key, envelope, …; - for standard input
    #[arg(value_name = "WHAT")]
    what: String,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// What is inspected.
pub(super) enum Subject {
    Bytes(Vec<u8>),
    Layout(Layout),
    Image(Reference),
}

/// Prints what it is.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let what = &arguments.what;
    let (kind, facts) = match subject(what)? {
        Subject::Bytes(bytes) => detect::describe(&bytes)
            .map_err(|reason| Error::Usage(format!("{}: {reason}", printable(what))))?,
        Subject::Layout(layout) => image::describe_layout(&layout)?,
        Subject::Image(reference) => {
            let client = arguments.registry.client(terminal)?;
            let attachments = flags::signature_repository(&reference)?;
            image::describe(&client, &reference, attachments).await?
        }
    };
    match arguments.output {
        Format::Json => {
            let mut all = Facts::new();
            all.text("what", what);
            all.text("kind", kind);
            all.flag("verified", false);
            all.facts("content", facts);
            terminal.json(&all)
        }
        Format::Text => {
            terminal.line(format!("{}: {kind}", printable(what)))?;
            terminal.line(NOT_VERIFIED)?;
            for line in facts.lines() {
                terminal.line(line)?;
            }
            Ok(())
        }
    }
}

/// A file or directory that exists wins over an image of the same name.
pub(super) fn subject(what: &str) -> Result<Subject, Error> {
    if what == "-" {
        let stdin = std::io::stdin();
        return read(stdin.lock(), Path::new("-")).map(Subject::Bytes);
    }
    let path = Path::new(what);
    if path.is_dir() {
        if path.join("oci-layout").is_file() {
            return Ok(Subject::Layout(Layout::open(path)?));
        }
        return Err(Error::Usage(format!(
            "{} is a directory and no OCI layout: there is no file oci-layout in it",
            printable(what)
        )));
    }
    if path.exists() {
        let file = std::fs::File::open(path).map_err(|cause| Error::file("read", path, cause))?;
        return read(file, path).map(Subject::Bytes);
    }
    let no_file = || Error::Usage(format!("there is no file {}", printable(what)));
    if looks_like_a_file(what) {
        return Err(no_file());
    }
    match what.parse::<Reference>() {
        Ok(reference) => Ok(Subject::Image(reference)),
        Err(error) => Err(Error::Usage(format!("there is no such file, and {error}"))),
    }
}

/// A name that would go to Docker Hub only because a file's name was mistyped.
fn looks_like_a_file(what: &str) -> bool {
    const SUFFIXES: [&str; 12] = [
        ".json",
        ".jsonl",
        ".pem",
        ".crt",
        ".cer",
        ".der",
        ".key",
        ".pub",
        ".sig",
        ".bundle",
        ".sigstore",
        ".txt",
    ];
    let is_tagged = what.contains([':', '@']);
    what.starts_with(['/', '.', '~'])
        || !is_tagged && SUFFIXES.iter().any(|suffix| what.ends_with(suffix))
}

fn read(from: impl Read, path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    from.take(MAX_INPUT + 1)
        .read_to_end(&mut bytes)
        .map_err(|cause| Error::file("read", path, cause))?;
    if bytes.len() as u64 > MAX_INPUT {
        return Err(Error::Usage(format!(
            "{} is larger than {} MiB, and nothing that is recognised is",
            path.display(),
            MAX_INPUT >> 20
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_wins_over_an_image_of_the_same_name() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("alpine");
        std::fs::write(&file, "x").unwrap();
        assert!(matches!(subject(file.to_str().unwrap()), Ok(Subject::Bytes(b)) if b == b"x"));
        assert!(matches!(
            subject("ghcr.io/team/app:v1"),
            Ok(Subject::Image(_))
        ));
        let error = |what| match subject(what) {
            Ok(_) => panic!("{what} was taken"),
            Err(error) => error.to_string(),
        };
        assert_eq!(error("cosign.pub"), "there is no file cosign.pub");
        assert_eq!(error("./alpine"), "there is no file ./alpine");
        assert!(error("Not An Image").starts_with("there is no such file, and "));
        assert!(error(directory.path().to_str().unwrap()).contains("no OCI layout"));
    }
}
