//! `sign-blob`: sign files.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use sealmark_formats::legacy::BlobBundle;
use sealmark_formats::simple_signing::SimpleSigning;
use sealmark_sign::blob::{self, Signed};
use sealmark_sign::{Sighting, Signatory, log};
use serde::Serialize;

use super::sign::{SignerJson, seen};
use crate::error::Error;
use crate::flags::Format;
use crate::identity_flags::{IdentityFlags, Manners};
use crate::input::Input;
use crate::outputs;
use crate::service_flags::ServiceFlags;
use crate::terminal::Terminal;

/// Claims are not larger than this, in bytes; only the start of a file is looked at for them.
const MAX_CLAIMS: u64 = 64 * 1024;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Files to sign; - is standard input, sha256:… is a file elsewhere
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Private key: a file, env://VARIABLE, https://…, or a key in a provider (awskms:///…); without one, a certificate
    /// for an identity is asked for
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Where the bundle goes; with several files {} stands for a file's name, and FILE.sigstore.json is the default
    #[arg(long, value_name = "FILE")]
    bundle: Option<String>,
    /// Write a bundle as cosign 1 and 2 did
    #[arg(long)]
    legacy_bundle: bool,
    /// cosign's switch between bundle formats: =false is --legacy-bundle
    #[arg(long, value_name = "BOOL", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    new_bundle_format: Option<bool>,
    /// Write the signature alone to this file
    #[arg(long, value_name = "FILE")]
    output_signature: Option<PathBuf>,
    /// =false: write the signature as raw bytes instead of base64
    #[arg(long, default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    b64: bool,
    /// Write the certificate for the identity to this file, PEM; if a long run needs several, all of them
    #[arg(long, value_name = "FILE")]
    output_certificate: Option<PathBuf>,
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
struct SignedJson {
    file: String,
    digest: String,
    #[serde(flatten)]
    by: SignerJson,
    signature: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    seen: Vec<Sighting>,
}

/// Signs each file into a bundle of its own.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let key = arguments.key.as_deref();
    let targets = arguments.targets()?;
    let inputs: Vec<&Path> = arguments
        .files
        .iter()
        .map(Path::new)
        .chain(key.map(Path::new))
        .collect();
    let outputs: Vec<&Path> = targets
        .iter()
        .flatten()
        .chain(&arguments.output_signature)
        .chain(&arguments.output_certificate)
        .map(PathBuf::as_path)
        .collect();
    outputs::check(&inputs, &outputs)?;
    let manners = Manners {
        yes: arguments.yes,
        input_is_taken: arguments.files.iter().any(|name| name == "-"),
    };
    let (identity, services) = (&arguments.identity, &arguments.services);
    let signatory = identity.signatory(key, services, manners, terminal).await?;
    if arguments.output_certificate.is_some() && signatory.issued().is_none() {
        return Err(Error::Usage(
            "--output-certificate: a signature with a key has no certificate".to_owned(),
        ));
    }
    let mut certificates: Vec<String> = Vec::new();
    let legacy = arguments.legacy_bundle || arguments.new_bundle_format == Some(false);
    let mut results = Vec::new();
    for (name, target) in arguments.files.iter().zip(&targets) {
        let input = Input::open(name)?;
        look_for_claims(name, &input, terminal)?;
        let signed = sign(&signatory, &input).await?;
        let bundle = match legacy {
            true => legacy_bundle(&signed)?,
            false => signed.bundle.clone(),
        };
        if let Some(path) = &arguments.output_certificate
            && !certificates.contains(&signed.verifier_pem)
        {
            certificates.push(signed.verifier_pem.clone());
            write(path, certificates.concat().as_bytes())?;
        }
        let base64 = base64::engine::general_purpose::STANDARD.encode(&signed.signature);
        if let Some(target) = target {
            write(target, &bundle)?;
        }
        if let Some(path) = &arguments.output_signature {
            write(
                path,
                if arguments.b64 {
                    base64.as_bytes()
                } else {
                    &signed.signature
                },
            )?;
        }
        let result = SignedJson {
            file: name.clone(),
            digest: signed.digest.to_string(),
            by: SignerJson::new(&signatory),
            signature: base64,
            bundle: target.as_ref().map(|path| path.display().to_string()),
            seen: signed.seen,
        };
        if arguments.output == Format::Text {
            arguments.print(&result, terminal)?;
        }
        results.push(result);
    }
    if arguments.output == Format::Json {
        terminal.json(&results)?;
    }
    Ok(())
}

impl Arguments {
    /// The bundle of each file. No two files share one.
    fn targets(&self) -> Result<Vec<Option<PathBuf>>, Error> {
        if self.output_signature.is_some() && self.files.len() > 1 {
            return Err(Error::Usage(
                "--output-signature names one file, so it goes with one file".to_owned(),
            ));
        }
        let target = |name: &String| match &self.bundle {
            Some(pattern) if pattern.contains("{}") => {
                Some(PathBuf::from(pattern.replace("{}", name)))
            }
            Some(path) => Some(PathBuf::from(path)),
            // The signature goes elsewhere: to its own file, or to standard output as cosign 2 did.
            None if self.output_signature.is_some() || self.files.len() == 1 => None,
            None => Some(PathBuf::from(format!("{name}.sigstore.json"))),
        };
        let targets: Vec<_> = self.files.iter().map(target).collect();
        for (index, path) in targets.iter().enumerate() {
            if path.is_some() && targets[..index].contains(path) {
                return Err(Error::Usage(
                    "each file needs a bundle of its own: with several files write --bundle with {} for \
                     a file's name, e.g. --bundle {}.sigstore.json"
                        .to_owned(),
                ));
            }
        }
        if self.files.len() > 1
            && let Some(name) = self
                .files
                .iter()
                .find(|name| *name == "-" || name.contains(':'))
        {
            return Err(Error::Usage(format!(
                "{name} goes alone: it has no name to call its bundle by"
            )));
        }
        Ok(targets)
    }

    fn print(&self, result: &SignedJson, terminal: &mut Terminal) -> Result<(), Error> {
        match &result.bundle {
            Some(bundle) => {
                terminal.line(format!(
                    "signed {} ({}): bundle in {bundle}",
                    result.file, result.digest
                ))?;
                for sighting in &result.seen {
                    terminal.line(format!("  {}", seen(sighting)))?;
                }
                Ok(())
            }
            None => match &self.output_signature {
                Some(path) => terminal.line(format!(
                    "signed {} ({}): signature in {}",
                    result.file,
                    result.digest,
                    path.display()
                )),
                // For scripts: nothing but the signature.
                None => terminal.line(&result.signature),
            },
        }
    }
}

/// The signature of a file is a signature over its bytes, and these can be claims about something else: then the same
/// signature is good for that too.
fn look_for_claims(name: &str, input: &Input, terminal: &Terminal) -> Result<(), Error> {
    let path = match input {
        Input::File(path) => path.as_path(),
        Input::Standard(file) => file.path(),
        Input::Digest(_) => return Ok(()),
    };
    let mut start = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(MAX_CLAIMS).read_to_end(&mut start));
    if read.is_err() {
        // Signing will read it and tell.
        return Ok(());
    }
    if start.starts_with(b"DSSEv1 ") {
        return Err(Error::Usage(format!(
            "{name} is what the signature of a DSSE envelope is over: signing it as a file would make a good \
             attestation of whatever is in it"
        )));
    }
    if let Ok(claims) = SimpleSigning::parse(&start) {
        terminal.warn(format!(
            "{name} is the payload of an image signature: its signature is good for the image {} too",
            claims.critical.image.docker_manifest_digest
        ));
    }
    Ok(())
}

async fn sign(signatory: &Signatory, input: &Input) -> Result<Signed, Error> {
    Ok(match input {
        Input::File(path) => blob::sign_file(signatory, path).await?,
        Input::Standard(file) => blob::sign_file(signatory, file.path()).await?,
        Input::Digest(digest) => blob::sign_digest(signatory, digest).await?,
    })
}

fn legacy_bundle(signed: &Signed) -> Result<Vec<u8>, Error> {
    let no_room = |what: &str| {
        Error::Usage(format!(
            "a bundle as cosign 1 and 2 wrote it has no room for {what}; write it without --legacy-bundle"
        ))
    };
    let rekor_bundle = match signed.log_entries.as_slice() {
        [] => None,
        [one] => {
            Some(log::promise_of(one).ok_or_else(|| no_room("an entry of a log of version 2"))?)
        }
        _ => return Err(no_room("several log entries")),
    };
    if !signed.timestamps.is_empty() {
        return Err(no_room("timestamps"));
    }
    let bundle = BlobBundle {
        signature: signed.signature.clone(),
        certificate: signed.verifier_pem.clone().into_bytes(),
        rekor_bundle,
    };
    Ok(bundle.to_json())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    std::fs::write(path, bytes).map_err(|cause| Error::file("write", path, cause))
}
