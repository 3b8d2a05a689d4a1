//! Small images made from nothing: layers, configuration, manifest, and an index for two platforms.

use std::collections::BTreeMap;

use sealmark_formats::Digest;
use sealmark_oci::manifest::{Index, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Platform};
use sealmark_oci::{Client, Descriptor, Error, ImageManifest, Repository};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Tar works in blocks of this size.
const BLOCK: usize = 512;

/// Pushes an image of several layers, one file each, and gives its descriptor.
pub(super) async fn push_image(
    client: &Client,
    repository: &Repository,
    tag: Option<&str>,
    architecture: &str,
    files: &[(&str, &str)],
) -> Result<Descriptor, Error> {
    let mut layers = Vec::new();
    for (name, content) in files {
        let tar = tar(name, content.as_bytes());
        layers.push(Descriptor::of(LAYER, &tar));
        client.push_blob(repository, tar.into()).await?;
    }
    let diff_ids: Vec<&Digest> = layers.iter().map(|layer| &layer.digest).collect();
    let config = serde_json::json!({
        "architecture": architecture,
        "os": "linux",
        "config": { "Cmd": ["/app/run"] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    })
    .to_string()
    .into_bytes();
    let manifest = ImageManifest {
        schema_version: 2,
        media_type: Some(OCI_MANIFEST.to_owned()),
        config: Descriptor::of(OCI_CONFIG, &config),
        layers,
        annotations: BTreeMap::new(),
        subject: None,
        artifact_type: None,
    }
    .to_json();
    client.push_blob(repository, config.into()).await?;
    let mut descriptor = Descriptor::of(OCI_MANIFEST, &manifest);
    client
        .push_manifest(repository, tag, OCI_MANIFEST, manifest.into())
        .await?;
    descriptor.platform = Some(Platform {
        architecture: architecture.to_owned(),
        os: "linux".to_owned(),
        ..Platform::default()
    });
    Ok(descriptor)
}

/// Pushes an index of images that are there already.
pub(super) async fn push_index(
    client: &Client,
    repository: &Repository,
    tag: &str,
    images: Vec<Descriptor>,
) -> Result<(), Error> {
    let index = Index::of(images).to_json();
    client
        .push_manifest(repository, Some(tag), OCI_INDEX, index.into())
        .await?;
    Ok(())
}

/// A tar archive with one file (POSIX.1-1988, ustar), the same bytes every time.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; BLOCK];
    let mut field = |offset: usize, bytes: &[u8]| {
        header[offset..offset + bytes.len()].copy_from_slice(bytes);
    };
    field(0, name.as_bytes());
    field(100, b"0000644\0");
    field(108, b"0000000\0");
    field(116, b"0000000\0");
    field(124, format!("{:011o}\0", content.len()).as_bytes());
    field(136, b"00000000000\0");
    field(148, b"        ");
    field(156, b"0");
    field(257, b"ustar\x0000");
    let checksum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{checksum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    archive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_one_that_tar_reads() {
        let archive = tar("app/run", b"hello\n");
        assert_eq!(archive.len(), 4 * BLOCK);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("layer.tar");
        std::fs::write(&path, archive).unwrap();
        let Ok(output) = std::process::Command::new("tar")
            .arg("-xOf")
            .arg(&path)
            .arg("app/run")
            .output()
        else {
            println!("skipped: tar not found");
            return;
        };
        assert_eq!(
            output.stdout,
            b"hello\n",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
