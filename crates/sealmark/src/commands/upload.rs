//! `upload`: put files into a registry, as images that are pulled as any other.
//!
//! Manifests are cosign's, byte for byte: one layer with the file, and a configuration that says nothing.

use std::path::{Path, PathBuf};

use sealmark_oci::manifest::{Platform, legacy_image};
use sealmark_oci::{Client, Descriptor, Index, Reference, Repository};

use crate::detached;
use crate::error::Error;
use crate::flags::{AnnotationFlags, RegistryFlags};
use crate::terminal::Terminal;

/// Bytes of a file that tell what it is, as in <https://mimesniff.spec.whatwg.org/>.
const SNIFFED: usize = 512;
/// What files of these kinds begin with.
const MAGIC: [(&[u8], &str); 9] = [
    (b"\x1f\x8b\x08", "application/x-gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"%PDF-", "application/pdf"),
    (b"\0asm", "application/wasm"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%!PS-Adobe-", "application/postscript"),
];

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Put files into a registry
    Blob(BlobArguments),
}

#[derive(clap::Args, Debug)]
struct BlobArguments {
    /// Where: registry/name, with a tag if it is not latest
    #[arg(value_name = "REFERENCE")]
    reference: String,
    /// The file; with :OS/ARCH one of several, each for a platform
    #[arg(short, long = "files", value_name = "FILE[:PLATFORM]", required = true)]
    files: Vec<String>,
    /// Media type of the files [default: found from the content]
    #[arg(long = "ct", value_name = "TYPE")]
    content_type: Option<String>,
    #[command(flatten)]
    annotations: AnnotationFlags,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// Uploads, and prints where it is.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let What::Blob(arguments) = arguments.what;
    let reference: Reference = arguments
        .reference
        .parse()
        .map_err(sealmark_oci::Error::from)?;
    if reference.digest.is_some() {
        return Err(Error::Usage(format!(
            "{reference}: a digest follows from what is uploaded; name a tag"
        )));
    }
    let files: Vec<(PathBuf, Option<Platform>)> = arguments
        .files
        .iter()
        .map(|text| file(text))
        .collect::<Result<_, _>>()?;
    if files.len() > 1 && files.iter().any(|(_, platform)| platform.is_none()) {
        return Err(Error::Usage(
            "of several files each is for a platform: -f app-amd64:linux/amd64 -f app-arm64:linux/arm64".to_owned(),
        ));
    }
    let client = arguments.registry.client(terminal)?;
    let repository = reference.in_repository();
    let tag = reference.identifier();
    let mut images = Vec::new();
    for (path, platform) in &files {
        let (descriptor, manifest) = arguments
            .upload(path, &client, &repository, terminal)
            .await?;
        let own_tag = platform.is_none().then_some(tag.as_str());
        let kind = descriptor.media_type.clone();
        client
            .push_manifest(&repository, own_tag, &kind, manifest.into())
            .await?;
        images.push(Descriptor {
            platform: platform.clone(),
            ..descriptor
        });
    }
    let digest = match images.as_slice() {
        [one] if one.platform.is_none() => one.digest.clone(),
        _ => {
            let mut index = Index::of(images);
            index.annotations = arguments.annotations.parse()?;
            let kind = index.media_type.clone().unwrap_or_default();
            let pushed = client
                .push_manifest(&repository, Some(&tag), &kind, index.to_json().into())
                .await?;
            pushed.digest
        }
    };
    terminal.line(repository.with_digest(&digest).to_string())
}

impl BlobArguments {
    /// Uploads what a manifest needs.
    async fn upload(
        &self,
        path: &Path,
        client: &Client,
        repository: &Repository,
        terminal: &Terminal,
    ) -> Result<(Descriptor, Vec<u8>), Error> {
        let bytes = detached::payload(path)?;
        let media_type = match &self.content_type {
            Some(given) => given.clone(),
            None => sniff(&bytes).to_owned(),
        };
        terminal.note(format!(
            "Uploading file from [{}] to [{}] with media type [{media_type}]",
            path.display(),
            self.reference
        ));
        let layer = Descriptor::of(media_type, &bytes);
        let (mut manifest, config) = legacy_image(vec![layer], false);
        manifest.annotations = self.annotations.parse()?;
        client.push_blob(repository, bytes.into()).await?;
        client.push_blob(repository, config.into()).await?;
        let json = manifest.to_json();
        let kind = manifest.media_type.unwrap_or_default();
        Ok((Descriptor::of(kind, &json), json))
    }
}

/// `FILE`, `FILE:OS/ARCH` or `FILE:OS/ARCH/VARIANT`.
fn file(text: &str) -> Result<(PathBuf, Option<Platform>), Error> {
    let (path, platform) = match text.rsplit_once(':') {
        Some((path, platform)) if !Path::new(text).exists() => (path, Some(platform)),
        _ => (text, None),
    };
    let Some(platform) = platform else {
        return Ok((PathBuf::from(path), None));
    };
    let mut parts = platform.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(os), Some(architecture), variant, None)
            if !os.is_empty() && !architecture.is_empty() =>
        {
            let platform = Platform {
                architecture: architecture.to_owned(),
                os: os.to_owned(),
                variant: variant.map(str::to_owned),
                ..Platform::default()
            };
            Ok((PathBuf::from(path), Some(platform)))
        }
        _ => Err(Error::Usage(format!(
            "-f {text}: {platform:?} is no platform; write e.g. {path}:linux/amd64"
        ))),
    }
}

/// The media type that the first bytes tell, as Go's standard library does for cosign.
fn sniff(bytes: &[u8]) -> &'static str {
    let bytes = &bytes[..bytes.len().min(SNIFFED)];
    if let Some((_, kind)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return kind;
    }
    let text = bytes.trim_ascii_start();
    let begins = |tag: &str| {
        text.get(..tag.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()))
    };
    if begins("<?xml") {
        return "text/xml";
    }
    if begins("<!DOCTYPE HTML") || begins("<html") {
        return "text/html";
    }
    let is_binary = |byte: &u8| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    match bytes.iter().any(is_binary) {
        true => "application/octet-stream",
        false => "text/plain",
    }
}
