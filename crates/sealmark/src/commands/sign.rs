//! `sign`: sign images in a registry.

use std::path::{Path, PathBuf};

use sealmark_oci::Reference;
use sealmark_sign::fulcio::Issued;
use sealmark_sign::image::{self, Signed};
use sealmark_sign::{Layouts, Location, Sighting, Signatory, State};
use serde::Serialize;

use crate::error::Error;
use crate::flags::{self, AnnotationFlags, Format, RegistryFlags};
use crate::identity_flags::{IdentityFlags, Manners};
use crate::outputs;
use crate::printable::printable;
use crate::service_flags::ServiceFlags;
use crate::terminal::Terminal;

/// The form of a signature.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum LayoutFlag {
    /// A Sigstore bundle that refers to the image (cosign 3)
    Bundle,
    /// A layer at the tag sha256-….sig (cosign 1 and 2)
    Legacy,
    /// Both, for verifiers old and new
    Both,
}

impl LayoutFlag {
    /// What is meant, if cosign's own flag is given beside it.
    pub(super) fn or_cosigns(
        self,
        new_bundle_format: Option<bool>,
        terminal: &Terminal,
    ) -> Layouts {
        if let Some(new) = new_bundle_format {
            terminal.warn("--new-bundle-format is cosign's; write --format bundle|legacy|both");
            return match new {
                true => Layouts::Bundle,
                false => Layouts::Legacy,
            };
        }
        match self {
            Self::Bundle => Layouts::Bundle,
            Self::Legacy => Layouts::Legacy,
            Self::Both => Layouts::Both,
        }
    }
}

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Images, by tag or digest
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    /// Private key: a file, env://VARIABLE, https://…, or a key in a provider (awskms:///…); without one, a certificate
    /// for an identity is asked for
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Sign every image of an index too
    #[arg(short, long)]
    recursive: bool,
    #[command(flatten)]
    annotations: AnnotationFlags,
    /// The form of the signature
    #[arg(long, value_enum, default_value = "bundle")]
    format: LayoutFlag,
    /// Attach the signature to the image
    #[arg(long, default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    upload: bool,
    /// Also write the bundle to this file
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Write the payload that was signed to this file
    #[arg(long, value_name = "FILE")]
    output_payload: Option<PathBuf>,
    /// Write the signature (base64) to this file
    #[arg(long, value_name = "FILE")]
    output_signature: Option<PathBuf>,
    /// The identity that a legacy payload claims, instead of the image's repository
    #[arg(long, value_name = "REPOSITORY")]
    sign_container_identity: Option<String>,
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

/// Signs, and prints what was signed and where the signatures are.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let images: Vec<Reference> = arguments
        .images
        .iter()
        .map(|text| text.parse::<Reference>().map_err(sealmark_oci::Error::from))
        .collect::<Result<_, _>>()?;
    let layouts = arguments
        .format
        .or_cosigns(arguments.new_bundle_format, terminal);
    let annotations = arguments.annotations.parse()?;
    let files = [
        &arguments.bundle,
        &arguments.output_payload,
        &arguments.output_signature,
    ];
    if files.iter().any(|file| file.is_some()) && (images.len() > 1 || arguments.recursive) {
        return Err(Error::Usage(
            "--bundle, --output-payload and --output-signature name one file, so they go with one \
             image and without --recursive"
                .to_owned(),
        ));
    }
    if arguments.bundle.is_some() && matches!(layouts, Layouts::Legacy) {
        return Err(Error::Usage(
            "--bundle needs --format bundle or both".to_owned(),
        ));
    }
    let written: Vec<&Path> = files.into_iter().flatten().map(PathBuf::as_path).collect();
    let key = arguments.key.as_deref();
    outputs::check(
        &key.map(Path::new).into_iter().collect::<Vec<_>>(),
        &written,
    )?;
    let client = arguments.registry.client(terminal)?;
    let (identity, services) = (&arguments.identity, &arguments.services);
    let manners = Manners {
        yes: arguments.yes,
        input_is_taken: false,
    };
    let signatory = identity.signatory(key, services, manners, terminal).await?;
    let signer = signatory.signer();
    terminal.detail(format!(
        "signing with {} key {}",
        signer.public_key().algorithm_name(),
        signer.public_key().id()
    ));
    for reference in images.iter().filter(|reference| reference.digest.is_none()) {
        terminal.warn(format!(
            "{reference} is a tag, and what it points at can change; sign by digest to be sure \
             what you sign"
        ));
    }
    let mut results = Vec::new();
    for reference in &images {
        let request = image::Request {
            client: &client,
            image: reference,
            signatures: &flags::signature_repository(reference)?,
            signatory: &signatory,
            annotations: &annotations,
            container_identity: arguments.sign_container_identity.as_deref(),
            layouts,
            docker_media_types: flags::docker_media_types(),
            recursive: arguments.recursive,
            upload: arguments.upload,
        };
        let signed = image::sign(&request).await?;
        arguments.write_files(&signed)?;
        if arguments.output == Format::Text {
            for signed in &signed {
                print(signed, "signed", terminal)?;
            }
        }
        results.extend(signed);
    }
    if arguments.output == Format::Json {
        let by = SignerJson::new(&signatory);
        let list: Vec<_> = results
            .iter()
            .map(|signed| SignedJson::new(signed, &by))
            .collect();
        terminal.json(&list)?;
    }
    Ok(())
}

impl Arguments {
    fn write_files(&self, signed: &[Signed]) -> Result<(), Error> {
        use base64::Engine as _;
        let write = |path: &Option<PathBuf>, bytes: &[u8]| match path {
            Some(path) => {
                std::fs::write(path, bytes).map_err(|cause| Error::file("write", path, cause))
            }
            None => Ok(()),
        };
        for signature in signed.iter().flat_map(|signed| &signed.signatures) {
            if let Some(bundle) = &signature.bundle {
                write(&self.bundle, bundle)?;
            }
            write(&self.output_payload, &signature.payload)?;
            let base64 = base64::engine::general_purpose::STANDARD.encode(&signature.signature);
            write(&self.output_signature, base64.as_bytes())?;
        }
        Ok(())
    }
}

/// One image, after what was done with it, and where its signatures are.
pub(super) fn print(signed: &Signed, done: &str, terminal: &mut Terminal) -> Result<(), Error> {
    terminal.line(format!("{done} {}", signed.image))?;
    for signature in &signed.signatures {
        let layout = signature.layout.name();
        terminal.line(match &signature.state {
            State::Attached(Location {
                reference,
                found_by,
                ..
            }) => {
                format!("  {layout}: {reference} ({found_by})")
            }
            State::AlreadyThere(Location { reference, .. }) => format!(
                "  {layout}: this key has signed this already, nothing was added: {}",
                printable(reference)
            ),
            State::NotUploaded => format!("  {layout}: not attached (--upload=false)"),
        })?;
        for old in &signature.replaced {
            terminal.line(format!("    in the place of {old}"))?;
        }
        for sighting in &signature.seen {
            terminal.line(format!("    {}", seen(sighting)))?;
        }
    }
    Ok(())
}

/// Who else has seen a signature, in one line.
pub(super) fn seen(sighting: &Sighting) -> String {
    let by = printable(&sighting.by);
    let time = sighting.time.as_deref();
    match sighting.log_index {
        Some(index) => format!(
            "entry {index} of the log {by}{}",
            time.map(|time| format!(", {time}")).unwrap_or_default()
        ),
        None => format!("timestamp by {by}: {}", time.unwrap_or("no time")),
    }
}

/// Who signed, in JSON output.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignerJson {
    key_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
}

impl SignerJson {
    pub(super) fn new(signatory: &Signatory) -> Self {
        let issued = signatory.issued();
        Self {
            key_id: signatory.signer().public_key().id().to_string(),
            subject: issued.map(Issued::subject),
            issuer: issued.map(|issued| issued.issuer().to_owned()),
        }
    }
}

/// One signed image in JSON output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignedJson<'a> {
    image: String,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    predicate_type: Option<&'a str>,
    #[serde(flatten)]
    by: &'a SignerJson,
    signatures: Vec<SignatureJson<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignatureJson<'a> {
    layout: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found_by: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    seen: &'a [Sighting],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    replaced: Vec<String>,
}

impl<'a> SignedJson<'a> {
    /// What was signed is an attestation of this type.
    pub(super) fn of_type(mut self, predicate_type: &'a str) -> Self {
        self.predicate_type = Some(predicate_type);
        self
    }

    pub(super) fn new(signed: &'a Signed, by: &'a SignerJson) -> Self {
        let signatures = signed.signatures.iter().map(|placed| {
            let (state, location) = match &placed.state {
                State::Attached(location) => ("attached", Some(location)),
                State::AlreadyThere(location) => ("already-there", Some(location)),
                State::NotUploaded => ("not-uploaded", None),
            };
            SignatureJson {
                layout: placed.layout.name(),
                state,
                reference: location.map(|l| l.reference.as_str()),
                digest: location.map(|l| l.digest.to_string()),
                found_by: location.map(|l| l.found_by.as_str()),
                seen: &placed.seen,
                replaced: placed.replaced.iter().map(ToString::to_string).collect(),
            }
        });
        Self {
            image: signed.image.to_string(),
            digest: signed.digest.to_string(),
            predicate_type: None,
            by,
            signatures: signatures.collect(),
        }
    }
}
