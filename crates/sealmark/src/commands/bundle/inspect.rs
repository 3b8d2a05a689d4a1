//! `bundle inspect`: say what is in a bundle, and what is not in it that a verifier may ask for.

use std::path::{Path, PathBuf};

use sealmark_formats::Bundle;
use sealmark_formats::bundle::{Content, LogEntry, Material, Version};
use sealmark_formats::legacy::BlobBundle;

use crate::commands::inspect::facts::Facts;
use crate::commands::inspect::{NOT_VERIFIED, bundle};
use crate::detached;
use crate::error::Error;
use crate::flags::Format;
use crate::printable::printable;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The bundle, of any version, or as cosign 1 and 2 wrote it
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
}

/// Prints what is in it.
pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let path: &Path = &arguments.bundle;
    let name = path.display().to_string();
    let bytes = detached::payload(path)?;
    let (kind, content, missing) = match BlobBundle::parse(&bytes) {
        Ok(legacy) => (
            "legacy blob bundle (cosign 1 and 2)",
            bundle::blob_bundle_facts(&legacy),
            vec!["it is no Sigstore bundle; sealmark bundle upgrade makes one of it".to_owned()],
        ),
        Err(_) => {
            let parsed =
                Bundle::parse(&bytes).map_err(|error| Error::Usage(format!("{name}: {error}")))?;
            ("Sigstore bundle", bundle::facts(&parsed), missing(&parsed))
        }
    };
    match arguments.output {
        Format::Json => {
            let mut all = Facts::new();
            all.text("what", name);
            all.text("kind", kind);
            all.flag("verified", false);
            all.facts("content", content);
            all.list("missing", missing);
            terminal.json(&all)
        }
        Format::Text => {
            terminal.line(format!("{}: {kind}", printable(&name)))?;
            terminal.line(NOT_VERIFIED)?;
            for line in content.lines() {
                terminal.line(line)?;
            }
            for what in &missing {
                terminal.line(format!("missing: {what}"))?;
            }
            Ok(())
        }
    }
}

/// What a verifier may ask for and not find.
fn missing(bundle: &Bundle) -> Vec<String> {
    let by_certificate = !matches!(bundle.material, Material::PublicKey { .. });
    let timed = |entry: &LogEntry| entry.integrated_time != 0 && entry.inclusion_promise.is_some();
    let mut missing = Vec::new();
    if let Material::PublicKey { .. } = bundle.material {
        missing.push("the public key: a verifier must have it".to_owned());
    }
    if bundle.log_entries.is_empty() {
        missing.push("a transparency log's entry".to_owned());
    }
    for entry in &bundle.log_entries {
        if entry.inclusion_proof.is_none() {
            missing.push(format!(
                "the proof that entry {} is in its log{}",
                entry.log_index,
                match bundle.version {
                    Version::V0_1 => "; sealmark bundle upgrade fetches it",
                    _ => ", which this version asks for",
                }
            ));
        }
    }
    if bundle.timestamps.is_empty() {
        missing.push(
            match by_certificate && !bundle.log_entries.iter().any(timed) {
                true => "a time: neither a timestamp nor a log tells when the certificate was used"
                    .to_owned(),
                false => "a timestamp (RFC 3161)".to_owned(),
            },
        );
    }
    if let Content::MessageSignature(message) = &bundle.content
        && message.digest.is_none()
    {
        missing.push("the digest of what is signed".to_owned());
    }
    missing
}
