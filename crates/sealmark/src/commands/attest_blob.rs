//! `attest-blob`: say something about a file, signed, in a bundle.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use sealmark_formats::{Digest, HashAlgorithm};
use sealmark_sign::Sighting;
use sealmark_sign::attest;
use sealmark_sign::blob::FileBytes;
use serde::Serialize;

use super::sign::{SignerJson, seen};
use crate::claim_flags::ClaimFlags;
use crate::error::Error;
use crate::flags::Format;
use crate::identity_flags::{IdentityFlags, Manners};
use crate::input::Input;
use crate::outputs;
use crate::service_flags::ServiceFlags;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
#[command(mut_arg("sbom", |argument| argument.hide(true)))]
pub(crate) struct Arguments {
    /// The file; - is standard input, sha256:… is a file elsewhere
    #[arg(value_name = "FILE", required_unless_present = "hash")]
    file: Option<String>,
    #[command(flatten)]
    claim: ClaimFlags,
    /// SHA-256 of a file that is elsewhere, in hex; FILE is only its name then
    #[arg(long, value_name = "HEX")]
    hash: Option<String>,
    /// Private key: a file, env://VARIABLE, or https://…; without one, a certificate for an identity is asked for
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Where the bundle goes; without it, it is printed
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Write the DSSE envelope alone to this file
    #[arg(long, value_name = "FILE")]
    output_attestation: Option<PathBuf>,
    /// Write the signature alone (base64) to this file
    #[arg(long, value_name = "FILE")]
    output_signature: Option<PathBuf>,
    /// Do not ask whether an identity may become public
    #[arg(short, long)]
    yes: bool,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    services: ServiceFlags,
    #[command(flatten)]
    identity: IdentityFlags,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AttestedJson<'a> {
    file: &'a str,
    digest: String,
    predicate_type: &'a str,
    #[serde(flatten)]
    by: SignerJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    seen: &'a [Sighting],
}

/// Attests, and writes the bundle.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let key = arguments.key.as_deref();
    let file = arguments.file.as_deref().unwrap_or_default();
    let inputs: Vec<&Path> = [Path::new(file)]
        .into_iter()
        .filter(|path| !path.as_os_str().is_empty())
        .chain(key.map(Path::new))
        .chain(arguments.claim.file())
        .collect();
    let outputs: Vec<&Path> = [
        &arguments.bundle,
        &arguments.output_attestation,
        &arguments.output_signature,
    ]
    .into_iter()
    .flatten()
    .map(PathBuf::as_path)
    .collect();
    outputs::check(&inputs, &outputs)?;
    if file == "-" && arguments.claim.reads_standard_input() {
        return Err(Error::Usage(
            "standard input can be the file or the predicate, not both".to_owned(),
        ));
    }
    let digest = arguments.digest(file)?;
    let given = arguments.claim.read(terminal)?;
    let manners = Manners {
        yes: arguments.yes,
        input_is_taken: file == "-" || arguments.claim.reads_standard_input(),
    };
    let (identity, services) = (&arguments.identity, &arguments.services);
    let signatory = identity.signatory(key, services, manners, terminal).await?;
    let name = Path::new(file).file_name().and_then(|name| name.to_str());
    let name = match (
        name,
        arguments.hash.is_some() || file.parse::<Digest>().is_err(),
    ) {
        (Some(name), true) if name != "-" => name,
        _ => "",
    };
    let statement = attest::statement_of(given.claim(), name, &digest)?;
    let predicate_type = given.predicate_type().to_owned();
    // It is in the statement, and may be large.
    drop(given);
    let made = attest::attest_statement(&signatory, statement, name, &digest).await?;
    let write = |path: &Option<PathBuf>, bytes: &[u8]| match path {
        Some(path) => {
            std::fs::write(path, bytes).map_err(|cause| Error::file("write", path, cause))
        }
        None => Ok(()),
    };
    write(&arguments.bundle, &made.bundle)?;
    if arguments.output_attestation.is_some() {
        write(
            &arguments.output_attestation,
            &attest::envelope_of(&made.bundle).map_err(Error::Usage)?,
        )?;
    }
    let base64 = base64::engine::general_purpose::STANDARD.encode(&made.signature);
    write(&arguments.output_signature, base64.as_bytes())?;
    match (arguments.output, &arguments.bundle) {
        (Format::Json, bundle) => terminal.json(&AttestedJson {
            file,
            digest: digest.to_string(),
            predicate_type: &predicate_type,
            by: SignerJson::new(&signatory),
            bundle: bundle.as_ref().map(|path| path.display().to_string()),
            seen: &made.seen,
        }),
        (Format::Text, Some(bundle)) => {
            terminal.line(format!(
                "attested {} of {} ({digest}): bundle in {}",
                &predicate_type,
                if name.is_empty() { "data" } else { name },
                bundle.display()
            ))?;
            for sighting in &made.seen {
                terminal.line(format!("  {}", seen(sighting)))?;
            }
            Ok(())
        }
        (Format::Text, None) => terminal.line(String::from_utf8_lossy(&made.bundle)),
    }
}

impl Arguments {
    fn digest(&self, file: &str) -> Result<Digest, Error> {
        if let Some(hex) = &self.hash {
            let hex = hex.strip_prefix("sha256:").unwrap_or(hex);
            return format!("sha256:{hex}").parse().map_err(|error| {
                Error::Usage(format!("--hash is the SHA-256 of the file in hex: {error}"))
            });
        }
        let input = Input::open(file)?;
        let path = match &input {
            Input::File(path) => path.as_path(),
            Input::Standard(file) => file.path(),
            Input::Digest(digest) => return Ok(digest.clone()),
        };
        let digests = FileBytes(path).digests(&[HashAlgorithm::Sha256]);
        let digests = digests.map_err(Error::Usage)?;
        digests
            .into_iter()
            .next()
            .ok_or_else(|| Error::Usage(format!("{file} has no digest")))
    }
}
