//! Writing into a layout on disk.
//!
//! `index.json` is written once, at the end. It lists the image under its name, with cosign's mark; each referrer
//! without a name, which is how oras finds it; and each legacy image under its tag. What refers to what is in the
//! manifests themselves: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sealmark_formats::Digest;
use tokio::io::AsyncWriteExt as _;

use super::plan::{Item, Plan, Role};
use super::{PARALLEL_BLOBS, Progress, Sent};
use crate::attachments::{Source, blocking};
use crate::client::stream::{BlobStream, Origin};
use crate::error::Error;
use crate::layout::{
    KIND_ANNOTATION, KIND_ATTESTATIONS, KIND_IMAGE, KIND_INDEX, KIND_SIGNATURES, Layout,
};
use crate::manifest::{Descriptor, REF_NAME_ANNOTATION};
use crate::reference::attachment_tag;

pub(super) async fn write(
    plan: &Plan,
    blobs: &[(&Source, Vec<Descriptor>)],
    layout: &Layout,
    name: Option<&str>,
    progress: Arc<dyn Progress>,
) -> Result<Sent, Error> {
    layout.sweep()?;
    let (count, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
    let each = blobs
        .iter()
        .flat_map(|(source, blobs)| blobs.iter().map(move |blob| (*source, blob)));
    stream::iter(each)
        .map(|(source, blob)| {
            let (count, bytes, progress) = (&count, &bytes, &progress);
            async move {
                if has_blob(layout, &blob.digest, blob.size).await? {
                    progress.advance(blob.size);
                    return Ok::<(), Error>(());
                }
                receive(source, layout, blob, progress).await?;
                count.fetch_add(1, Relaxed);
                bytes.fetch_add(blob.size, Relaxed);
                Ok(())
            }
        })
        .buffer_unordered(PARALLEL_BLOBS)
        .try_collect::<()>()
        .await?;
    let mut manifests = 0;
    let mut entries = Vec::new();
    for item in &plan.items {
        let manifest = &item.manifest;
        let size = manifest.bytes.len() as u64;
        if !has_blob(layout, &manifest.digest, size).await? {
            let (layout, manifest) = (layout.clone(), manifest.clone());
            blocking(move || layout.put_blob(&manifest.digest, &manifest.bytes)).await?;
            manifests += 1;
        }
        entries.extend(entry(item, &plan.root.digest, name));
    }
    layout.list(&entries)?;
    let count = count.into_inner();
    Ok(Sent {
        blobs: count,
        bytes: bytes.into_inner(),
        present: blobs.iter().map(|(_, blobs)| blobs.len()).sum::<usize>() - count,
        manifests,
    })
}

async fn has_blob(layout: &Layout, digest: &Digest, size: u64) -> Result<bool, Error> {
    let (layout, digest) = (layout.clone(), digest.clone());
    blocking(move || layout.has_blob(&digest, size)).await
}

async fn receive(
    source: &Source,
    layout: &Layout,
    blob: &Descriptor,
    progress: &Arc<dyn Progress>,
) -> Result<(), Error> {
    let origin = match source {
        Source::Registry { client, repository } => {
            Origin::Registry(client.clone(), repository.clone())
        }
        Source::Layout(from) => Origin::File(from.blob_path(&blob.digest)),
    };
    let stream = BlobStream::new(origin, blob.clone(), Arc::clone(progress));
    let mut tries = 0;
    loop {
        tries += 1;
        match receive_once(&stream, layout, blob).await {
            Err(error) if is_passing(&error) && tries < TRIES => {}
            other => return other,
        }
    }
}

/// How often a blob is read whose connection breaks.
const TRIES: u32 = 4;

fn is_passing(error: &Error) -> bool {
    let cause = crate::error::ConnectCause::Broken;
    matches!(error, Error::Connect { cause: found, .. } if *found == cause)
}

async fn receive_once(
    stream: &Arc<BlobStream>,
    layout: &Layout,
    blob: &Descriptor,
) -> Result<(), Error> {
    let mut pieces = Arc::clone(stream).open().await?;
    let path = layout.blob_path(&blob.digest);
    let failed = |error| Error::io("writing", &path, error);
    let partial = layout.partial(&blob.digest)?;
    let mut file = tokio::fs::File::from_std(partial.reopen().map_err(failed)?);
    while let Some(piece) = pieces.next().await? {
        file.write_all(&piece).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    drop(file);
    layout.keep(&blob.digest, partial)
}

/// How `index.json` lists a manifest; what an index in it lists already is not.
fn entry(item: &Item, root: &Digest, name: Option<&str>) -> Option<Descriptor> {
    let plain = || item.manifest.descriptor();
    let is_root = |digest: &Digest| digest == root;
    let mark = |entry: &mut Descriptor, kind: &str| {
        entry
            .annotations
            .insert(KIND_ANNOTATION.to_owned(), kind.to_owned());
    };
    match &item.role {
        Role::Image if is_root(&item.manifest.digest) => {
            let mut entry = plain();
            let kind = if entry.is_index() {
                KIND_INDEX
            } else {
                KIND_IMAGE
            };
            mark(&mut entry, kind);
            if let Some(name) = name {
                entry
                    .annotations
                    .insert(REF_NAME_ANNOTATION.to_owned(), name.to_owned());
            }
            Some(entry)
        }
        Role::Image | Role::Part => None,
        Role::Referrer { entry, .. } => {
            let mut entry = (**entry).clone();
            // What a manifest says of itself must not name or mark it here.
            entry.annotations.remove(REF_NAME_ANNOTATION);
            entry.annotations.remove(KIND_ANNOTATION);
            Some(entry)
        }
        Role::Legacy { subject, suffix } => {
            let mut entry = plain();
            entry.annotations.insert(
                REF_NAME_ANNOTATION.to_owned(),
                attachment_tag("", subject, suffix),
            );
            // cosign takes the first that is marked for the signatures of the image itself.
            match *suffix {
                "sig" if is_root(subject) => mark(&mut entry, KIND_SIGNATURES),
                "att" if is_root(subject) => mark(&mut entry, KIND_ATTESTATIONS),
                _ => {}
            }
            Some(entry)
        }
    }
}
