//! `verify`: verify the signatures of images.

use sealmark_formats::Digest;
use sealmark_oci::{Client, Layout, Reference, Repository, Source, Want};
use sealmark_verify::evidence::{Content, Evidence};
use sealmark_verify::report::{Report, Verdict};
use sealmark_verify::{Artifact, Kind, Policy, Signer};
use serde::Serialize;

use crate::error::{Error, VerificationExit};
use crate::flags::{self, AnnotationFlags, RegistryFlags};
use crate::printable::printable_json;
use crate::report::{self, OutputFormat};
use crate::terminal::Terminal;
use crate::trust_flags::{self, SignerFlags, TrustFlags};

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Images, by tag or digest; with --local-image a directory
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    #[command(flatten)]
    signer: SignerFlags,
    #[command(flatten)]
    annotations: AnnotationFlags,
    /// =false: do not check that the signature is of this image
    #[arg(long, default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    check_claims: bool,
    /// The images are OCI layouts on disk; DIR:NAME picks one of several
    #[arg(long)]
    local_image: bool,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: OutputFormat,
    #[command(flatten)]
    trust: TrustFlags,
    /// Accepted and without effect
    #[arg(long, hide = true, value_name = "N")]
    max_workers: Option<u32>,
    /// Accepted and without effect: no log is asked
    #[arg(long, hide = true, value_name = "URL")]
    rekor_url: Option<String>,
    /// Accepted and without effect: the hash follows from the key
    #[arg(long, hide = true, value_name = "ALGORITHM")]
    signature_digest_algorithm: Option<String>,
    /// Accepted and without effect: every layout is looked at
    #[arg(long, hide = true)]
    new_bundle_format: bool,
    /// Accepted and without effect: every layout is looked at
    #[arg(long, hide = true)]
    experimental_oci11: bool,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// An image whose evidence was gathered and verified.
struct Verified {
    /// As the user wrote it.
    name: String,
    /// What to deploy: the image by digest.
    pinned: String,
    evidence: Vec<Evidence>,
    report: Report,
    /// Identities were asked for, and no key.
    by_identity: bool,
}

/// Verifies each image; the first that fails decides the exit code, after all were looked at.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let demands = trust_flags::demands(&arguments.signer, &arguments.trust, terminal).await?;
    let trust = demands.trust;
    let policy = Policy {
        kind: Kind::ImageSignature,
        signers: demands.signers,
        threshold: demands.threshold,
        annotations: arguments.annotations.parse()?,
        check_claims: arguments.check_claims,
        log: demands.log,
        timestamp: demands.timestamp,
        sct: demands.sct,
    };
    let client = arguments.registry.client(terminal)?;
    let mut first_failure = None;
    let mut json = Vec::new();
    for (name, looked_at) in arguments.images.iter().zip(1..) {
        let gathered = match arguments.local_image {
            true => gather_local(name).await,
            false => gather(&client, name).await,
        };
        let failure = match gathered {
            Ok((pinned, digest, evidence)) => {
                let artifact = Artifact::by_digest(digest);
                let now = trust_flags::now();
                let report = sealmark_verify::verify(&artifact, &evidence, &trust, &policy, now);
                let verified = Verified {
                    name: name.clone(),
                    pinned,
                    evidence,
                    report,
                    by_identity: policy
                        .signers
                        .iter()
                        .all(|s| matches!(s, Signer::Identity(_))),
                };
                let failure = verified.failure();
                match arguments.output {
                    OutputFormat::Text => verified.print_text(terminal)?,
                    OutputFormat::Json => json.push(verified.json()),
                    OutputFormat::Cosign if failure.is_none() => {
                        terminal.line(verified.cosign_json()?)?;
                    }
                    OutputFormat::Cosign => {}
                }
                failure
            }
            Err(Error::Oci(error)) if error.is_not_found() => Some(Error::Verification {
                exit: VerificationExit::ImageMissing,
                message: error.to_string(),
            }),
            Err(error) => Some(error),
        };
        if let Some(failure) = &failure
            && json.len() < looked_at
        {
            json.push(ImageJson::Failed {
                image: name.clone(),
                error: failure.to_string(),
            });
        }
        match failure {
            Some(failure) if first_failure.is_some() => terminal.note(format!("error: {failure}")),
            failure => first_failure = first_failure.or(failure),
        }
    }
    if arguments.output == OutputFormat::Json {
        terminal.json(&json)?;
    }
    first_failure.map_or(Ok(()), Err)
}

/// Where there is no signature, it helps to hear that there are attestations.
const INSTEAD: Want = Want::ATTESTATIONS;

type Gathered = (String, Digest, Vec<Evidence>);

async fn gather(client: &Client, name: &str) -> Result<Gathered, Error> {
    let image: Reference = name.parse().map_err(sealmark_oci::Error::from)?;
    let repository: Repository = flags::signature_repository(&image)?;
    let digest = match &image.digest {
        Some(digest) => digest.clone(),
        None => client.resolve(&image).await?.digest,
    };
    let source = Source::Registry {
        client: client.clone(),
        repository,
    };
    let mut evidence = sealmark_oci::gather(&source, &digest, Want::SIGNATURES).await?;
    if evidence.is_empty() {
        // No signature, or no image? A digest that was given has not been looked up so far.
        if image.digest.is_some() {
            client.resolve(&image).await?;
        }
        evidence = sealmark_oci::gather(&source, &digest, INSTEAD).await?;
    }
    Ok((image.by_digest(&digest).to_string(), digest, evidence))
}

async fn gather_local(name: &str) -> Result<Gathered, Error> {
    let (directory, image) = flags::layout_and_image(name);
    let layout = Layout::open(directory)?;
    let subject = layout.resolve(image)?;
    let source = Source::Layout(layout);
    let mut evidence = sealmark_oci::gather(&source, &subject.digest, Want::SIGNATURES).await?;
    if evidence.is_empty() {
        evidence = sealmark_oci::gather(&source, &subject.digest, INSTEAD).await?;
    }
    Ok((
        format!("{directory}@{}", subject.digest),
        subject.digest,
        evidence,
    ))
}

/// One image in `--output json`.
#[derive(Serialize)]
#[serde(untagged)]
enum ImageJson {
    /// It was looked at.
    Looked {
        image: String,
        pinned: String,
        #[serde(flatten)]
        report: Report,
    },
    /// It could not be looked at.
    Failed { image: String, error: String },
}

/// One signature in `--output cosign`, as `cosign verify` prints it.
#[derive(Serialize)]
struct CosignJson {
    critical: serde_json::Value,
    optional: serde_json::Value,
}

impl Verified {
    fn failure(&self) -> Option<Error> {
        let (exit, message) = match self.report.verdict {
            Verdict::Verified => return None,
            Verdict::NoSignatures => (
                VerificationExit::Unsigned,
                report::no_signatures(&self.name, &self.report),
            ),
            Verdict::NoMatchingSignatures => {
                let exit = match self.by_identity
                    && !self.evidence.iter().any(Evidence::has_certificate)
                {
                    true => VerificationExit::CertificateMissing,
                    false => VerificationExit::NoMatch,
                };
                (exit, report::no_match(&self.name, &self.report))
            }
        };
        Some(Error::Verification { exit, message })
    }

    fn print_text(&self, terminal: &mut Terminal) -> Result<(), Error> {
        // A failure is said once, by its message.
        if self.report.verdict != Verdict::Verified {
            return Ok(());
        }
        terminal.line(format!("verified {}", self.pinned))?;
        report::print(&self.report, terminal)
    }

    fn json(self) -> ImageJson {
        ImageJson::Looked {
            image: self.name,
            pinned: self.pinned,
            report: self.report,
        }
    }

    /// cosign's own output: one element for each good signature.
    fn cosign_json(&self) -> Result<String, Error> {
        let accepted = self.report.attachments.iter().zip(&self.evidence);
        let list: Vec<_> = accepted
            .filter(|(attachment, _)| attachment.accepted)
            .filter_map(|(attachment, evidence)| match &evidence.content {
                Content::SimpleSigning(detached) => {
                    let payload: serde_json::Value =
                        serde_json::from_slice(&detached.payload).ok()?;
                    Some(CosignJson {
                        critical: payload["critical"].clone(),
                        optional: payload["optional"].clone(),
                    })
                }
                _ => {
                    let claims = attachment.claims.clone().unwrap_or_default();
                    Some(CosignJson {
                        critical: serde_json::json!({
                            "identity": { "docker-reference": self.name },
                            "image": { "docker-manifest-digest": self.report.digest },
                            "type": claims.claim_type,
                        }),
                        optional: serde_json::json!(claims.annotations),
                    })
                }
            })
            .collect();
        serde_json::to_string(&list)
            .map(|text| printable_json(&text))
            .map_err(|error| Error::Stream {
                action: "write JSON",
                cause: error.into(),
            })
    }
}
