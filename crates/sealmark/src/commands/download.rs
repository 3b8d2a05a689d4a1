//! `download`: print what is attached to an image, one JSON text a line. Nothing is verified.
//!
//! The forms are cosign's: a bundle as it is; a legacy signature as an object with `Base64Signature`, `Payload` and what
//! is kept beside it; a legacy attestation as its DSSE envelope. Both layouts are looked at, and what cannot be read is
//! named on standard error.

use sealmark_formats::dsse::Envelope;
use sealmark_formats::legacy;
use sealmark_formats::predicate_type::PredicateType;
use sealmark_formats::statement::{COSIGN_SIGN_V1, Statement};
use sealmark_oci::{Client, Descriptor, Reference, Repository, Source, Want, attachment_tag};
use sealmark_verify::evidence::{Content, Detached, Evidence};
use sealmark_x509::Certificate;
use serde::Serialize;

use super::cosign_output;
use crate::error::{Error, VerificationExit};
use crate::flags::{self, RegistryFlags};
use crate::printable::printable_json;
use crate::terminal::Terminal;

/// Artifact types of SBOMs that refer to an image, and of the layers that hold them.
pub(super) const SBOM_TYPES: [&str; 9] = [
    "application/spdx+json",
    "text/spdx+json",
    "spdx+json",
    "text/spdx",
    "text/spdx+xml",
    "application/vnd.cyclonedx+json",
    "application/vnd.cyclonedx+xml",
    "application/vnd.cyclonedx",
    "application/vnd.syft+json",
];

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Print the signatures of an image
    Signature(Image),
    /// Print the attestations of an image
    Attestation {
        #[command(flatten)]
        image: Image,
        /// Only those of this type: a name, or a URI
        #[arg(long, value_name = "TYPE")]
        predicate_type: Option<String>,
        /// Of an index, the image for this platform: linux/amd64
        #[arg(long, value_name = "PLATFORM")]
        platform: Option<String>,
    },
    /// Print the SBOM that is attached to an image, unsigned
    Sbom {
        #[command(flatten)]
        image: Image,
        /// Of an index, the image for this platform: linux/amd64
        #[arg(long, value_name = "PLATFORM")]
        platform: Option<String>,
    },
}

#[derive(clap::Args, Debug)]
struct Image {
    /// The image, by tag or digest
    #[arg(value_name = "IMAGE")]
    image: String,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// Prints it.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    match arguments.what {
        What::Signature(image) => {
            let (client, repository, subject) = image.find(None, terminal).await?;
            let found = gather(client, repository, &subject, Want::SIGNATURES).await?;
            let lines = lines(&found, terminal, |content| match content {
                Content::SimpleSigning(detached) => Some(signature_line(detached)),
                Content::Bundle(bundle) => match predicate_type(content) {
                    Some(kind) if kind != COSIGN_SIGN_V1 => None,
                    _ => Some(Ok(bundle.to_json())),
                },
                _ => None,
            })?;
            print(lines, "no signatures associated", &image.image, terminal)
        }
        What::Attestation {
            image,
            predicate_type: wanted,
            platform,
        } => {
            let types = wanted.as_deref().map(PredicateType::named).transpose();
            let types =
                types.map_err(|error| Error::Usage(format!("--predicate-type: {error}")))?;
            let (client, repository, subject) = image.find(platform.as_deref(), terminal).await?;
            let found = gather(client, repository, &subject, Want::ATTESTATIONS).await?;
            let lines = lines(&found, terminal, |content| {
                let kind = predicate_type(content)?;
                let fits = match &types {
                    Some(types) => types.iter().any(|it| it.matches(&kind)),
                    None => kind != COSIGN_SIGN_V1,
                };
                match content {
                    Content::Bundle(bundle) if fits => Some(Ok(bundle.to_json())),
                    Content::Envelope(detached) if fits => Some(one_line(&detached.payload)),
                    _ => None,
                }
            })?;
            let none = match &wanted {
                Some(wanted) => format!("no attestations with predicate type {wanted:?} found"),
                None => "found no attestations".to_owned(),
            };
            print(lines, &none, &image.image, terminal)
        }
        What::Sbom { image, platform } => sbom(&image, platform.as_deref(), terminal).await,
    }
}

impl Image {
    async fn find(
        &self,
        platform: Option<&str>,
        terminal: &Terminal,
    ) -> Result<(Client, Repository, Descriptor), Error> {
        let image: Reference = self.image.parse().map_err(sealmark_oci::Error::from)?;
        let client = self.registry.client(terminal)?;
        let subject = client.resolve(&image).await?;
        let subject = match platform {
            Some(platform) => for_platform(&client, &image, subject, platform).await?,
            None => subject,
        };
        Ok((client, flags::signature_repository(&image)?, subject))
    }
}

/// The image of an index that runs on a platform; an image alone is taken as it is, as cosign does.
async fn for_platform(
    client: &Client,
    image: &Reference,
    subject: Descriptor,
    platform: &str,
) -> Result<Descriptor, Error> {
    if !subject.is_index() {
        return Ok(subject);
    }
    let manifest = client
        .manifest(&image.in_repository(), &subject.digest.to_string())
        .await?;
    let mut names = Vec::new();
    for child in manifest.index()?.manifests {
        let name = child.platform.as_ref().map(ToString::to_string);
        match name {
            // linux/arm64 is any variant of it.
            Some(name) if name == platform || name.starts_with(&format!("{platform}/")) => {
                return Ok(child);
            }
            name => names.extend(name),
        }
    }
    Err(Error::Usage(format!(
        "{image} has no image for {platform}, only for {}",
        names.join(", ")
    )))
}

async fn gather(
    client: Client,
    repository: Repository,
    subject: &Descriptor,
    want: Want,
) -> Result<Vec<Evidence>, Error> {
    let source = Source::Registry { client, repository };
    Ok(sealmark_oci::gather(&source, &subject.digest, want).await?)
}

fn lines(
    found: &[Evidence],
    terminal: &Terminal,
    line: impl Fn(&Content) -> Option<Result<Vec<u8>, Error>>,
) -> Result<Vec<Vec<u8>>, Error> {
    for evidence in found {
        if let Content::Unreadable(reason) = &evidence.content {
            terminal.warn(format!("{}: {reason}", evidence.source.location));
        }
    }
    found.iter().filter_map(|it| line(&it.content)).collect()
}

fn print(
    lines: Vec<Vec<u8>>,
    none: &str,
    image: &str,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    if lines.is_empty() {
        return Err(Error::Verification {
            exit: VerificationExit::Unsigned,
            message: format!("{image}: {none}"),
        });
    }
    for line in lines {
        terminal.line(printable_json(&String::from_utf8_lossy(&line)))?;
    }
    Ok(())
}

fn predicate_type(content: &Content) -> Option<String> {
    let envelope: Envelope = cosign_output::envelope(content)?;
    Some(Statement::parse(&envelope.payload).ok()?.predicate_type)
}

/// JSON as it is, if that is one line.
fn one_line(json: &[u8]) -> Result<Vec<u8>, Error> {
    let json = json.trim_ascii();
    if !json.contains(&b'\n') {
        return Ok(json.to_vec());
    }
    let value: serde_json::Value = serde_json::from_slice(json).map_err(not_written)?;
    serde_json::to_vec(&value).map_err(not_written)
}

fn not_written(error: serde_json::Error) -> Error {
    Error::Stream {
        action: "write JSON",
        cause: error.into(),
    }
}

/// A legacy signature as cosign prints it. Of certificates it prints every field that Go reads from them; here is the
/// one that the others are read from.
#[derive(Serialize)]
struct SignatureLine {
    #[serde(rename = "Base64Signature")]
    signature: String,
    #[serde(rename = "Payload")]
    payload: String,
    #[serde(rename = "Cert")]
    certificate: Option<RawCertificate>,
    #[serde(rename = "Chain")]
    chain: Option<Vec<RawCertificate>>,
    #[serde(rename = "Bundle")]
    bundle: Option<legacy::RekorBundle>,
    #[serde(rename = "RFC3161Timestamp")]
    timestamp: Option<legacy::Rfc3161Timestamp>,
}

#[derive(Serialize)]
struct RawCertificate {
    #[serde(rename = "Raw")]
    raw: String,
}

fn signature_line(detached: &Detached) -> Result<Vec<u8>, Error> {
    use base64::Engine as _;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let certificates = |pem: &Option<Vec<u8>>| {
        let chain = Certificate::chain_from_pem(pem.as_deref()?).ok()?;
        let raw = chain.iter().map(|it| RawCertificate {
            raw: encode(it.der()),
        });
        Some(raw.collect::<Vec<_>>())
    };
    let line = SignatureLine {
        signature: encode(&detached.signature),
        payload: encode(&detached.payload),
        certificate: certificates(&detached.certificate).and_then(|it| it.into_iter().next()),
        chain: certificates(&detached.chain),
        bundle: detached.log_entry.clone(),
        timestamp: detached
            .timestamps
            .first()
            .map(|response| legacy::Rfc3161Timestamp {
                response: response.clone(),
            }),
    };
    serde_json::to_vec(&line).map_err(not_written)
}

async fn sbom(image: &Image, platform: Option<&str>, terminal: &mut Terminal) -> Result<(), Error> {
    let (client, repository, subject) = image.find(platform, terminal).await?;
    let tag = attachment_tag(&client.options().tag_prefix, &subject.digest, "sbom");
    let mut found = Vec::new();
    if let Some(manifest) = client.manifest_if_exists(&repository, &tag).await? {
        found.extend(manifest.image()?.layers.into_iter().next());
    }
    let listed = client.referrers(&repository, &subject.digest, None).await?;
    for descriptor in listed.descriptors {
        let stated = descriptor.artifact_type.as_deref();
        if !stated.is_some_and(|kind| SBOM_TYPES.contains(&kind)) {
            continue;
        }
        let manifest = client
            .manifest(&repository, &descriptor.digest.to_string())
            .await?;
        let layers = manifest.image()?.layers.into_iter();
        found.extend(layers.filter(|layer| SBOM_TYPES.contains(&layer.media_type.as_str())));
    }
    let Some(layer) = found.first() else {
        return Err(Error::Verification {
            exit: VerificationExit::Unsigned,
            message: format!(
                "{}: no SBOM is attached as it is. One that is attested is printed by sealmark download attestation \
                 --predicate-type sbom {0}",
                image.image
            ),
        });
    };
    terminal.warn(format!(
        "this SBOM is not signed, and whoever may push can exchange it; sealmark verify-attestation --type sbom {} has \
         those that are",
        image.image
    ));
    terminal.note(format!("Found SBOM of media type: {}", layer.media_type));
    if found.len() > 1 {
        terminal.note(format!("and {} more; this is the first", found.len() - 1));
    }
    let limit = client.options().max_attachment;
    let bytes = client.blob(&repository, &layer.digest, limit).await?;
    terminal.bytes(&bytes)
}
