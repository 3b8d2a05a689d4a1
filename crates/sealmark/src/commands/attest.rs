//! `attest`: say something about images, signed, and attach it to them.

use std::path::PathBuf;
use std::sync::Arc;

use sealmark_oci::Reference;
use sealmark_sign::attest;
use sealmark_sign::image::Signed;
use sealmark_verify::evidence::Layout;

use super::sbom::SbomFormat;
use super::sign::{LayoutFlag, SignedJson, SignerJson, print};
use crate::claim_flags::ClaimFlags;
use crate::error::Error;
use crate::flags::{self, Format, RegistryFlags};
use crate::identity_flags::{IdentityFlags, Manners};
use crate::outputs;
use crate::service_flags::ServiceFlags;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Images, by tag or digest
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    #[command(flatten)]
    claim: ClaimFlags,
    /// Private key: a file, env://VARIABLE, or https://…; without one, a certificate for an identity is asked for
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Attest of every image of an index too
    #[arg(short, long)]
    recursive: bool,
    /// The form of the attestation
    #[arg(long, value_enum, default_value = "bundle")]
    format: LayoutFlag,
    /// It takes the place of what this signer has attached of this type before
    #[arg(long)]
    replace: bool,
    /// Do not attach the attestation, print it
    #[arg(long)]
    no_upload: bool,
    /// Also write the bundle to this file
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// cosign 2's switch between layouts: =false is --format legacy
    #[arg(long, value_name = "BOOL", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    new_bundle_format: Option<bool>,
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
    #[command(flatten)]
    registry: RegistryFlags,
}

/// Attests, and prints what was attested and where it is.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let images: Vec<Reference> = arguments
        .images
        .iter()
        .map(|text| text.parse::<Reference>().map_err(sealmark_oci::Error::from))
        .collect::<Result<_, _>>()?;
    let layouts = arguments
        .format
        .or_cosigns(arguments.new_bundle_format, terminal);
    let one = images.len() == 1 && !arguments.recursive;
    if arguments.bundle.is_some() && (!one || layouts == sealmark_sign::Layouts::Legacy) {
        return Err(Error::Usage(
            "--bundle names one file, so it goes with one image, without --recursive, and with --format bundle or both"
                .to_owned(),
        ));
    }
    let key = arguments.key.as_deref();
    let inputs: Vec<_> = key
        .map(std::path::Path::new)
        .into_iter()
        .chain(arguments.claim.file())
        .collect();
    let outputs: Vec<_> = arguments.bundle.as_deref().into_iter().collect();
    outputs::check(&inputs, &outputs)?;
    let sbom = arguments.claim.sbom();
    if sbom.is_some() && arguments.recursive {
        return Err(Error::Usage(
            "--sbom and --recursive: an index has no packages of its own; name the images in it by digest".to_owned(),
        ));
    }
    let given = match sbom {
        None => Some(Arc::new(arguments.claim.read(terminal)?)),
        Some(_) => None,
    };
    let manners = Manners {
        yes: arguments.yes,
        input_is_taken: arguments.claim.reads_standard_input(),
    };
    let client = arguments.registry.client(terminal)?;
    let mut claims = Vec::new();
    for image in images {
        claims.push(match (&given, sbom) {
            (Some(given), _) => (image, Arc::clone(given)),
            (None, format) => {
                let format = format.unwrap_or(SbomFormat::SpdxJson);
                // What was looked through is what is attested, wherever the tag points then.
                let (image, sbom) =
                    super::sbom::of_image(&client, &image, format, terminal).await?;
                let name = image.to_string();
                let claim = &arguments.claim;
                let name = format!("the SBOM of {name}");
                let given = claim.predicate("--sbom:", &name, sbom.into_bytes(), terminal)?;
                (image, Arc::new(given))
            }
        });
    }
    let (identity, services) = (&arguments.identity, &arguments.services);
    let signatory = identity.signatory(key, services, manners, terminal).await?;
    let mut results = Vec::new();
    for (reference, given) in &claims {
        let request = attest::Request {
            client: &client,
            image: reference,
            attestations: &flags::signature_repository(reference)?,
            signatory: &signatory,
            claim: given.claim(),
            layouts,
            docker_media_types: flags::docker_media_types(),
            recursive: arguments.recursive,
            upload: !arguments.no_upload,
            replace: arguments.replace,
        };
        let attested = attest::attest(&request).await?;
        arguments.write_bundle(&attested)?;
        if arguments.output == Format::Text {
            for attested in &attested {
                arguments.print(attested, given.predicate_type(), terminal)?;
            }
        }
        results.extend(attested.into_iter().map(|attested| (attested, given)));
    }
    if arguments.output == Format::Json {
        let by = SignerJson::new(&signatory);
        let list: Vec<_> = results
            .iter()
            .map(|(attested, given)| SignedJson::new(attested, &by).of_type(given.predicate_type()))
            .collect();
        terminal.json(&list)?;
    }
    Ok(())
}

impl Arguments {
    fn write_bundle(&self, attested: &[Signed]) -> Result<(), Error> {
        let placed = attested.iter().flat_map(|attested| &attested.signatures);
        let bundles = placed.filter_map(|placed| placed.bundle.as_ref());
        for (path, bundle) in self.bundle.iter().zip(bundles) {
            std::fs::write(path, bundle).map_err(|cause| Error::file("write", path, cause))?;
        }
        Ok(())
    }

    fn print(
        &self,
        attested: &Signed,
        predicate_type: &str,
        terminal: &mut Terminal,
    ) -> Result<(), Error> {
        if !self.no_upload {
            return print(attested, &format!("attested {predicate_type} of"), terminal);
        }
        // For scripts: nothing but what was made.
        for placed in &attested.signatures {
            match (&placed.bundle, placed.layout) {
                (Some(bundle), _) if self.bundle.is_none() => {
                    terminal.line(String::from_utf8_lossy(bundle))?;
                }
                (None, Layout::LegacyAttestation) => {
                    terminal.line(String::from_utf8_lossy(&placed.envelope()))?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}
