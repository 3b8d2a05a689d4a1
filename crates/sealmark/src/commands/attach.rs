//! `attach`: attach to an image what was made elsewhere: a signature, an attestation, an SBOM.
//!
//! Nothing is signed, and no signature is verified, for no signer is named. What says that it is about another image is
//! refused all the same: it could never be worth anything where it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use sealmark_formats::simple_signing::SimpleSigning;
use sealmark_formats::statement::Statement;
use sealmark_formats::{Bundle, bundle, legacy};
use sealmark_oci::manifest::{
    BUNDLE_CONTENT_ANNOTATION, BUNDLE_PREDICATE_ANNOTATION, CREATED_ANNOTATION, EMPTY_JSON,
    bundle_manifest, legacy_image,
};
use sealmark_oci::{
    BundleAttachment, Client, Descriptor, Reference, Replace, Repository, attachment_tag,
};
use sealmark_verify::evidence::Content;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::download::SBOM_TYPES;
use crate::detached;
use crate::error::Error;
use crate::flags::{self, RegistryFlags};
use crate::terminal::Terminal;

/// Attestations in one file.
const MAX_IN_FILE: usize = 1000;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Attach a signature that was made elsewhere
    Signature(SignatureArguments),
    /// Attach attestations that were made elsewhere
    Attestation {
        /// A DSSE envelope or a bundle, or a line for each of several; several files by repeating
        #[arg(long, value_name = "FILE", required = true)]
        attestation: Vec<PathBuf>,
        #[command(flatten)]
        image: Image,
    },
    /// Attach an SBOM as it is, without a signature (better: attest)
    Sbom(SbomArguments),
}

#[derive(clap::Args, Debug)]
struct Image {
    /// The image, by tag or digest
    #[arg(value_name = "IMAGE")]
    image: String,
    #[command(flatten)]
    registry: RegistryFlags,
}

#[derive(clap::Args, Debug)]
struct SignatureArguments {
    /// The signature: a file with raw bytes or base64, or base64
    #[arg(long, value_name = "FILE|BASE64", required_unless_present = "bundle")]
    signature: Option<String>,
    /// What it is over; without it, what is signed of an image without annotations
    #[arg(long, value_name = "FILE", conflicts_with = "bundle")]
    payload: Option<PathBuf>,
    /// A Sigstore bundle instead
    #[arg(long, value_name = "FILE", conflicts_with = "signature")]
    bundle: Option<PathBuf>,
    /// Certificate of the signer, PEM
    #[arg(long, value_name = "FILE", alias = "cert")]
    certificate: Option<String>,
    /// Certificates of its issuers, PEM
    #[arg(long, value_name = "FILE", alias = "cert-chain")]
    certificate_chain: Option<String>,
    /// Answer of the log: what a Rekor answered, or what cosign keeps of it
    #[arg(long, value_name = "FILE")]
    rekor_response: Option<PathBuf>,
    /// Timestamp of the signature (RFC 3161): cosign's JSON, or DER
    #[arg(long, value_name = "FILE")]
    tsr: Option<PathBuf>,
    #[command(flatten)]
    image: Image,
}

/// Which document an SBOM is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum SbomType {
    Spdx,
    Cyclonedx,
    Syft,
}

/// In which form it is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum InputFormat {
    Json,
    Xml,
    Text,
}

/// Where an SBOM goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum SbomLayout {
    /// A referrer of the image, whose artifact type is the SBOM's media type
    Referrer,
    /// The tag sha256-….sbom, as cosign has it
    Legacy,
}

#[derive(clap::Args, Debug)]
struct SbomArguments {
    /// The SBOM
    #[arg(long, value_name = "FILE")]
    sbom: PathBuf,
    /// What it is
    #[arg(long = "type", value_enum, default_value = "spdx")]
    kind: SbomType,
    /// In which form it is written [default: found from the content]
    #[arg(long, value_enum)]
    input_format: Option<InputFormat>,
    /// Where it goes
    #[arg(long, value_enum, default_value = "referrer")]
    format: SbomLayout,
    #[command(flatten)]
    image: Image,
}

/// The image that something is attached to.
struct Subject {
    client: Client,
    image: Reference,
    repository: Repository,
    descriptor: Descriptor,
}

impl Image {
    async fn find(&self, terminal: &Terminal) -> Result<Subject, Error> {
        let image: Reference = self.image.parse().map_err(sealmark_oci::Error::from)?;
        let client = self.registry.client(terminal)?;
        Ok(Subject {
            descriptor: client.resolve(&image).await?,
            repository: flags::signature_repository(&image)?,
            client,
            image,
        })
    }
}

/// Attaches it, and prints where it is.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    match arguments.what {
        What::Signature(arguments) => signature(&arguments, terminal).await,
        What::Attestation { attestation, image } => {
            let mut all = Vec::new();
            for path in &attestation {
                all.extend(attestations(path)?);
            }
            let subject = image.find(terminal).await?;
            // Before anything is pushed: all, or none.
            for one in &all {
                one.check(&subject)?;
            }
            for one in &all {
                let place = one.attach(&subject).await?;
                terminal.line(format!("attached {} as {place}", one.predicate_type))?;
            }
            Ok(())
        }
        What::Sbom(arguments) => sbom(&arguments, terminal).await,
    }
}

/// A statement that somebody has signed.
struct Attestation {
    name: String,
    content: Content,
    statement: Statement,
    predicate_type: String,
}

fn attestations(path: &Path) -> Result<Vec<Attestation>, Error> {
    let bytes = detached::payload(path)?;
    let name = path.display().to_string();
    let wrong = |reason: String| Error::Usage(format!("{name}: {reason}"));
    let mut found = Vec::new();
    for json in serde_json::Deserializer::from_slice(&bytes).into_iter::<Box<RawValue>>() {
        let json = json.map_err(|error| wrong(format!("not JSON: {error}")))?;
        found.push(attestation(&name, json.get().as_bytes().to_vec())?);
        if found.len() > MAX_IN_FILE {
            return Err(wrong(format!("more than {MAX_IN_FILE} attestations")));
        }
    }
    match found.is_empty() {
        true => Err(wrong("it is empty".to_owned())),
        false => Ok(found),
    }
}

fn attestation(name: &str, json: Vec<u8>) -> Result<Attestation, Error> {
    let wrong = |reason: String| Error::Usage(format!("{name}: {reason}"));
    let content = detached::content(json);
    if let Content::Unreadable(reason) = &content {
        return Err(wrong(reason.clone()));
    }
    let envelope = super::cosign_output::envelope(&content).ok_or_else(|| {
        wrong("a signature over a file, and no statement about an image".to_owned())
    })?;
    let statement = Statement::parse(&envelope.payload).map_err(|it| wrong(it.to_string()))?;
    Ok(Attestation {
        name: name.to_owned(),
        content,
        predicate_type: statement.predicate_type.clone(),
        statement,
    })
}

impl Attestation {
    fn check(&self, subject: &Subject) -> Result<(), Error> {
        let digest = &subject.descriptor.digest;
        if self.statement.subjects_with(digest).next().is_some() {
            return Ok(());
        }
        let about: Vec<String> = self
            .statement
            .subject
            .iter()
            .flat_map(|it| &it.digest)
            .map(|(name, hex)| format!("{name}:{hex}"))
            .take(3)
            .collect();
        Err(Error::Usage(format!(
            "{}: it is about {}, and {} is {digest}; nothing was attached",
            self.name,
            match about.is_empty() {
                true => "nothing".to_owned(),
                false => about.join(" and "),
            },
            subject.image
        )))
    }

    /// A bundle becomes a referrer, an envelope a layer at the tag `.att`, as their readers look for them.
    async fn attach(&self, subject: &Subject) -> Result<String, Error> {
        match &self.content {
            Content::Bundle(bundle) => subject.attach_bundle(bundle, &self.predicate_type).await,
            Content::Envelope(detached) => {
                let blob = detached.payload.clone();
                let mut layer = Descriptor::of(legacy::DSSE_MEDIA_TYPE, &blob);
                layer
                    .annotations
                    .insert(legacy::SIGNATURE_ANNOTATION.to_owned(), String::new());
                layer
                    .annotations
                    .insert("predicateType".to_owned(), self.predicate_type.clone());
                subject.append("att", layer, blob).await
            }
            _ => Err(Error::Usage(format!(
                "{}: neither a DSSE envelope nor a bundle",
                self.name
            ))),
        }
    }
}

impl Subject {
    async fn attach_bundle(&self, bundle: &Bundle, predicate_type: &str) -> Result<String, Error> {
        let annotations = [
            (BUNDLE_CONTENT_ANNOTATION, "dsse-envelope".to_owned()),
            (BUNDLE_PREDICATE_ANNOTATION, predicate_type.to_owned()),
            (CREATED_ANNOTATION, now()),
        ];
        let attachment = BundleAttachment {
            json: bundle.to_json().into(),
            media_type: bundle.media_type.clone(),
            annotations: annotations
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        };
        let attached = self
            .client
            .attach_bundle(&self.repository, &self.descriptor, attachment)
            .await?;
        Ok(self.repository.with_digest(&attached.digest).to_string())
    }

    async fn append(
        &self,
        suffix: &str,
        layer: Descriptor,
        blob: Vec<u8>,
    ) -> Result<String, Error> {
        let digest = self
            .client
            .append_legacy(
                &self.repository,
                &self.descriptor.digest,
                suffix,
                layer,
                blob.into(),
                Replace::Nothing,
                flags::docker_media_types(),
            )
            .await?;
        Ok(self.repository.with_digest(&digest).to_string())
    }
}

fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

async fn signature(arguments: &SignatureArguments, terminal: &mut Terminal) -> Result<(), Error> {
    // cosign takes a bundle as the payload, too.
    let given = arguments.bundle.as_deref().or(arguments.payload.as_deref());
    let payload = given.map(detached::payload).transpose()?;
    let parsed = payload.as_deref().and_then(|json| Bundle::parse(json).ok());
    if let (Some(path), Some(bundle)) = (given, parsed) {
        let one = match &bundle.content {
            bundle::Content::Dsse(_) => attestation(&path.display().to_string(), bundle.to_json())?,
            bundle::Content::MessageSignature(_) => {
                return Err(Error::Usage(format!(
                    "{}: a signature over a file, and no statement about an image",
                    path.display()
                )));
            }
        };
        let subject = arguments.image.find(terminal).await?;
        one.check(&subject)?;
        let place = one.attach(&subject).await?;
        return terminal.line(format!("attached the signature as {place}"));
    }
    if arguments.bundle.is_some() {
        return Err(Error::Usage(
            "--bundle: it is no Sigstore bundle".to_owned(),
        ));
    }
    let text = arguments.signature.as_deref().unwrap_or_default();
    let (_, bytes) = detached::signature(text)?;
    let mut annotations = BTreeMap::from([(
        legacy::SIGNATURE_ANNOTATION.to_owned(),
        base64::engine::general_purpose::STANDARD.encode(bytes),
    )]);
    for (flag, name) in [
        (&arguments.certificate, legacy::CERTIFICATE_ANNOTATION),
        (&arguments.certificate_chain, legacy::CHAIN_ANNOTATION),
    ] {
        if let Some(text) = flag {
            let (pem, _) = detached::certificate(text)?;
            annotations.insert(name.to_owned(), String::from_utf8_lossy(&pem).into_owned());
        }
    }
    if let Some(path) = &arguments.rekor_response {
        let bundle = rekor_bundle(&detached::payload(path)?)
            .map_err(|reason| Error::Usage(format!("{}: {reason}", path.display())))?;
        annotations.insert(legacy::BUNDLE_ANNOTATION.to_owned(), json(&bundle)?);
    }
    if let Some(path) = &arguments.tsr {
        let response = detached::timestamp(path)?;
        let timestamp = legacy::Rfc3161Timestamp { response };
        annotations.insert(legacy::TIMESTAMP_ANNOTATION.to_owned(), json(&timestamp)?);
    }
    let subject = arguments.image.find(terminal).await?;
    let digest = &subject.descriptor.digest;
    let payload = payload.unwrap_or_else(|| {
        let repository = subject.image.in_repository().to_string();
        SimpleSigning::new(&repository, digest, &BTreeMap::new()).to_json()
    });
    let claims = SimpleSigning::parse(&payload)
        .map_err(|error| Error::Usage(format!("--payload: {error}")))?;
    let about = &claims.critical.image.docker_manifest_digest;
    if about != digest {
        return Err(Error::Usage(format!(
            "--payload: it is about {about}, and {} is {digest}; nothing was attached",
            subject.image
        )));
    }
    let mut layer = Descriptor::of(legacy::SIMPLE_SIGNING_MEDIA_TYPE, &payload);
    layer.annotations = annotations;
    let place = subject.append("sig", layer, payload).await?;
    terminal.line(format!("attached the signature as {place}"))
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Stream {
        action: "write JSON",
        cause: error.into(),
    })
}

/// An entry as a Rekor v1 answers with it, by its UUID.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    body: String,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
    verification: Verification,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verification {
    signed_entry_timestamp: String,
}

/// What cosign keeps of a log's answer, from that or from the answer itself.
pub(super) fn rekor_bundle(bytes: &[u8]) -> Result<legacy::RekorBundle, String> {
    if let Ok(bundle) = serde_json::from_slice::<legacy::RekorBundle>(bytes) {
        return Ok(bundle);
    }
    let answers = serde_json::from_slice::<BTreeMap<String, Answer>>(bytes);
    let mut answers = answers.map_err(|error| {
        format!("neither what a Rekor answers nor what cosign keeps of it: {error}")
    })?;
    let answer = match answers.len() {
        1 => answers.pop_first().map(|(_, answer)| answer),
        _ => None,
    };
    let answer = answer.ok_or("not exactly one entry is in it")?;
    let decode = |field: &str, text: &str| {
        base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(|error| format!("{field} is not base64: {error}"))
    };
    Ok(legacy::RekorBundle {
        signed_entry_timestamp: decode(
            "signedEntryTimestamp",
            &answer.verification.signed_entry_timestamp,
        )?,
        payload: legacy::RekorPayload {
            body: decode("body", &answer.body)?,
            integrated_time: answer.integrated_time,
            log_index: answer.log_index,
            log_id: answer.log_id,
        },
    })
}

async fn sbom(arguments: &SbomArguments, terminal: &mut Terminal) -> Result<(), Error> {
    let bytes = detached::payload(&arguments.sbom)?;
    let form = arguments
        .input_format
        .unwrap_or_else(|| match bytes.trim_ascii_start().first() {
            Some(b'{') => InputFormat::Json,
            Some(b'<') => InputFormat::Xml,
            _ => InputFormat::Text,
        });
    let media_type = match (arguments.kind, form) {
        (SbomType::Spdx, InputFormat::Json) => match arguments.format {
            SbomLayout::Referrer => "application/spdx+json",
            SbomLayout::Legacy => "text/spdx+json",
        },
        (SbomType::Spdx, InputFormat::Xml) => "text/spdx+xml",
        (SbomType::Spdx, InputFormat::Text) => "text/spdx",
        (SbomType::Cyclonedx, InputFormat::Json) => "application/vnd.cyclonedx+json",
        (SbomType::Cyclonedx, InputFormat::Xml) => "application/vnd.cyclonedx+xml",
        (SbomType::Syft, InputFormat::Json) => "application/vnd.syft+json",
        (kind, form) => {
            return Err(Error::Usage(format!(
                "{}: there is no {kind:?} SBOM as {form:?}",
                arguments.sbom.display()
            )));
        }
    };
    debug_assert!(SBOM_TYPES.contains(&media_type), "download finds it");
    terminal.warn(format!(
        "this does not sign the SBOM: whoever may push can exchange it. Signed it is with sealmark attest --type sbom \
         --predicate {}",
        arguments.sbom.display()
    ));
    let subject = arguments.image.find(terminal).await?;
    let layer = Descriptor::of(media_type, &bytes);
    let (client, repository) = (&subject.client, &subject.repository);
    client.push_blob(repository, bytes.into()).await?;
    let place = match arguments.format {
        SbomLayout::Referrer => {
            let created = (CREATED_ANNOTATION.to_owned(), now());
            let annotations = BTreeMap::from([created]);
            let manifest = bundle_manifest(&subject.descriptor, layer, annotations);
            client.push_blob(repository, EMPTY_JSON.into()).await?;
            let kind = manifest.media_type.clone().unwrap_or_default();
            let attached = client
                .attach(
                    repository,
                    &subject.descriptor,
                    &kind,
                    manifest.to_json().into(),
                )
                .await?;
            repository.with_digest(&attached.digest).to_string()
        }
        SbomLayout::Legacy => {
            let (manifest, config) = legacy_image(vec![layer], flags::docker_media_types());
            client.push_blob(repository, config.into()).await?;
            let prefix = &client.options().tag_prefix;
            let tag = attachment_tag(prefix, &subject.descriptor.digest, "sbom");
            let kind = manifest.media_type.clone().unwrap_or_default();
            client
                .push_manifest(repository, Some(&tag), &kind, manifest.to_json().into())
                .await?;
            repository.at(&tag)
        }
    };
    terminal.line(format!("attached the SBOM ({media_type}) as {place}"))
}
