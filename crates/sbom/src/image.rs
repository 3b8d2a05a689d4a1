//! An image in a registry or in a layout on disk: which one, and its layers, several at a time.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use sealmark_formats::{Digest, Hasher};
use sealmark_oci::client::Manifest;
use sealmark_oci::manifest::{Parsed, Platform};
use sealmark_oci::{Descriptor, ImageManifest, Layout, Reference, Source};
use tokio::io::{AsyncReadExt as _, DuplexStream};
use tokio::runtime::Handle;

use crate::catalogue::{Sbom, Subject};
use crate::error::Error;
use crate::layer::Layer;
use crate::package::Purl;
use crate::unpack::Budget;

/// Layers that are looked through at the same time.
const PARALLEL: usize = 4;
/// Bytes between who fetches a layer and who looks through it.
const PIPE: usize = 1 << 20;
/// Indexes inside one another.
const MAX_DEPTH: usize = 3;
/// Platforms that an error lists.
const MAX_LISTED: usize = 20;

/// The packages in an image of a registry or layout.
///
/// `name` is how people call it; `root` is what it was resolved to; `platform` (`linux/amd64`) chooses from an index.
///
/// # Errors
/// As the registry refuses; [`Error::Platform`]; [`Error::Layer`] if any of the layers cannot be looked through: half an
/// SBOM would be taken for a whole one.
pub async fn image(
    source: &Source,
    name: &ImageName<'_>,
    root: &Digest,
    platform: &str,
) -> Result<Sbom, Error> {
    let (digest, image) = choose(source, root, platform).await?;
    if let Some(other) = image.layers.iter().find(|layer| !is_layer(layer)) {
        return Err(Error::NotAnImage {
            manifest: digest,
            media_type: sealmark_formats::excerpt(other.media_type.clone()),
        });
    }
    let budget = Arc::new(Budget::default());
    let layers: Vec<Layer> = futures_util::stream::iter(image.layers)
        .map(|descriptor| look_through(source, descriptor, Arc::clone(&budget)))
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    let subject = name.subject(digest);
    Ok(Sbom::of(subject, &layers))
}

/// The packages in a directory.
///
/// # Errors
/// If it cannot be read.
pub async fn directory(path: &Path) -> Result<Sbom, Error> {
    let root = path.to_owned();
    let walked = tokio::task::spawn_blocking(move || crate::directory::walk(&root));
    let layer = walked.await.map_err(|error| Error::File {
        path: path.to_owned(),
        cause: io::Error::other(error),
    })??;
    let subject = Subject {
        name: path.display().to_string(),
        digest: None,
        purl: None,
    };
    Ok(Sbom::of(subject, &[layer]))
}

/// How people call an image.
#[derive(Clone, Copy, Debug)]
pub enum ImageName<'a> {
    /// By its place in a registry.
    Registry(&'a Reference),
    /// By its layout on disk.
    Layout(&'a str),
}

impl ImageName<'_> {
    fn subject(&self, digest: Digest) -> Subject {
        match self {
            Self::Layout(name) => Subject {
                name: (*name).to_owned(),
                digest: Some(digest),
                purl: None,
            },
            Self::Registry(reference) => {
                let repository = format!("{}/{}", reference.registry, reference.repository);
                let last = reference.repository.rsplit('/').next().unwrap_or_default();
                let purl = Purl::new("oci", None, last, Some(&digest.to_string()))
                    .with("repository_url", &repository)
                    .with("tag", reference.tag.as_deref().unwrap_or_default());
                Subject {
                    name: match &reference.tag {
                        Some(tag) => format!("{repository}:{tag}"),
                        None => repository,
                    },
                    digest: Some(digest),
                    purl: Some(purl.to_string()),
                }
            }
        }
    }
}

fn is_layer(descriptor: &Descriptor) -> bool {
    let kinds = [
        "application/vnd.oci.image.layer.",
        "application/vnd.docker.image.rootfs.",
    ];
    kinds
        .iter()
        .any(|kind| descriptor.media_type.starts_with(kind))
}

/// The image for a platform; of a single image nobody asks which.
async fn choose(
    source: &Source,
    root: &Digest,
    platform: &str,
) -> Result<(Digest, ImageManifest), Error> {
    let mut digest = root.clone();
    for _ in 0..MAX_DEPTH {
        let index = match manifest(source, &digest).await?.parse()? {
            Parsed::Image(image) => return Ok((digest, *image)),
            Parsed::Index(index) => index,
        };
        let is_meant = |entry: &&Descriptor| match &entry.platform {
            Some(found) => matches(found, platform),
            None => entry.is_index(),
        };
        let Some(entry) = index.manifests.iter().find(is_meant) else {
            let platforms = index.manifests.iter().filter_map(|it| it.platform.as_ref());
            let have: Vec<String> = platforms
                .take(MAX_LISTED)
                .map(|it| sealmark_formats::excerpt(it.to_string()))
                .collect();
            return Err(Error::Platform {
                index: digest,
                wanted: platform.to_owned(),
                have: match have.is_empty() {
                    true => "none".to_owned(),
                    false => have.join(", "),
                },
            });
        };
        digest = entry.digest.clone();
    }
    Err(Error::Platform {
        index: digest,
        wanted: platform.to_owned(),
        have: format!("indexes more than {MAX_DEPTH} deep"),
    })
}

/// `linux/arm64` is `linux/arm64/v8`, too.
fn matches(found: &Platform, wanted: &str) -> bool {
    let full = found.to_string();
    full == wanted || format!("{}/{}", found.os, found.architecture) == wanted
}

async fn manifest(source: &Source, digest: &Digest) -> Result<Manifest, Error> {
    Ok(match source {
        Source::Registry { client, repository } => {
            client.manifest(repository, &digest.to_string()).await?
        }
        Source::Layout(layout) => layout.manifest(digest)?,
    })
}

async fn look_through(
    source: &Source,
    descriptor: Descriptor,
    budget: Arc<Budget>,
) -> Result<Layer, Error> {
    let digest = descriptor.digest.clone();
    let (client, repository) = match source {
        Source::Registry { client, repository } => (client, repository),
        Source::Layout(layout) => {
            let layout = layout.clone();
            let walked =
                tokio::task::spawn_blocking(move || from_disk(&layout, &descriptor, &budget));
            return walked
                .await
                .map_err(|_| Error::Interrupted { layer: digest })?;
        }
    };
    let (mut entrance, exit) = tokio::io::duplex(PIPE);
    let runtime = Handle::current();
    let walked = {
        let digest = digest.clone();
        tokio::task::spawn_blocking(move || {
            let mut stream = Blocking { exit, runtime };
            walk_whole(digest, &mut stream, &budget)
        })
    };
    let fetch = async {
        let fetched = client.blob_to(repository, &descriptor, &mut entrance).await;
        drop(entrance);
        fetched
    };
    let (fetched, walked) = tokio::join!(fetch, walked);
    let walked = walked.map_err(|_| Error::Interrupted {
        layer: digest.clone(),
    })?;
    match (walked, fetched) {
        (Err(Stopped::Before(problem)), _) => Err(Error::Layer {
            layer: digest,
            problem,
        }),
        // Whoever was cut off reads nonsense at the end: the cause is the fetching.
        (_, Err(error)) => Err(error.into()),
        (Err(Stopped::AtEnd(problem)), Ok(())) => Err(Error::Layer {
            layer: digest,
            problem,
        }),
        (Ok(layer), Ok(())) => Ok(layer),
    }
}

/// Why nobody looked any further.
enum Stopped {
    /// More bytes would have come.
    Before(String),
    /// All bytes were there.
    AtEnd(String),
}

/// Looks through a layer, and takes what comes after its archive, for the digest is that of all bytes.
fn walk_whole(digest: Digest, stream: &mut dyn Read, budget: &Budget) -> Result<Layer, Stopped> {
    let mut ended = Ended {
        stream,
        ended: false,
    };
    let walked = Layer::walk(digest, &mut ended, budget);
    match walked {
        Ok(layer) => match io::copy(&mut ended, &mut io::sink()) {
            Ok(_) => Ok(layer),
            Err(error) => Err(Stopped::AtEnd(error.to_string())),
        },
        Err(problem) if ended.ended => Err(Stopped::AtEnd(problem)),
        Err(problem) => Err(Stopped::Before(problem)),
    }
}

struct Ended<'a> {
    stream: &'a mut dyn Read,
    ended: bool,
}

impl Read for Ended<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        self.ended |= read == 0 && !buffer.is_empty();
        Ok(read)
    }
}

/// The end of a pipe, read on a thread that may wait.
struct Blocking {
    exit: DuplexStream,
    runtime: Handle,
}

impl Read for Blocking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(self.exit.read(buffer))
    }
}

/// A layer of a layout; it counts only if it has its digest.
fn from_disk(layout: &Layout, descriptor: &Descriptor, budget: &Budget) -> Result<Layer, Error> {
    let path = layout.blob_path(&descriptor.digest);
    let file = std::fs::File::open(&path).map_err(|cause| Error::File {
        path: path.clone(),
        cause,
    })?;
    let mut hashing = Hashing {
        stream: file.take(descriptor.size.saturating_add(1)),
        hasher: Hasher::new(descriptor.digest.algorithm()),
    };
    let layer = descriptor.digest.clone();
    let walked = walk_whole(layer.clone(), &mut hashing, budget);
    if let Err(Stopped::Before(problem)) = walked {
        return Err(Error::Layer { layer, problem });
    }
    let found = hashing.hasher.finish();
    if found != descriptor.digest {
        return Err(Error::Layer {
            layer,
            problem: format!("{} has the digest {found}", path.display()),
        });
    }
    walked.map_err(|stopped| match stopped {
        Stopped::Before(problem) | Stopped::AtEnd(problem) => Error::Layer { layer, problem },
    })
}

struct Hashing<R> {
    stream: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}
