//! Images as a build leaves them: OCI layouts on disk, made from nothing, the same bytes every time.

use std::collections::BTreeMap;
use std::path::Path;

use sealmark_formats::Digest;
use sealmark_oci::manifest::{Index, OCI_CONFIG, OCI_MANIFEST, REF_NAME_ANNOTATION};
use sealmark_oci::{Client, Descriptor, Destination, ImageManifest, Layout, Reference, Source};

use crate::error::Error;

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Tar works in blocks of this size.
const BLOCK: usize = 512;

/// Packages as Debian and Python have them.
const OS_RELEASE: &str = "ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n";
const DPKG: &str = "Package: base-files\nStatus: install ok installed\nArchitecture: amd64\n\
     Version: 12.4+deb12u12\n\n\
     Package: python3\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.11.2-1+b1\n";
const FLASK: &str = "Metadata-Version: 2.1\nName: Flask\nVersion: 2.2.2\n";

/// Builds an image of a small program in Flask, in a new folder.
pub(super) fn build(folder: &Path, tag: &str, program: &str) -> Result<(), Error> {
    let packages = "usr/lib/python3/dist-packages";
    let flask = format!("{packages}/Flask-2.2.2.dist-info/METADATA");
    let files: [&[(&str, &str)]; 3] = [
        &[
            ("etc/os-release", OS_RELEASE),
            ("var/lib/dpkg/status", DPKG),
        ],
        &[(&flask, FLASK)],
        &[("app/app.py", program)],
    ];
    let mut layers = Vec::new();
    for files in files {
        let tar = tar(files);
        layers.push(Descriptor::of(LAYER, &tar));
        blob(folder, &tar)?;
    }
    let diff_ids: Vec<&Digest> = layers.iter().map(|layer| &layer.digest).collect();
    let config = serde_json::json!({
        "architecture": "amd64",
        "os": "linux",
        "config": { "Cmd": ["python3", "/app/app.py"] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    })
    .to_string();
    blob(folder, config.as_bytes())?;
    let manifest = ImageManifest {
        schema_version: 2,
        media_type: Some(OCI_MANIFEST.to_owned()),
        config: Descriptor::of(OCI_CONFIG, config.as_bytes()),
        layers,
        annotations: BTreeMap::new(),
        subject: None,
        artifact_type: None,
    }
    .to_json();
    blob(folder, &manifest)?;
    let mut image = Descriptor::of(OCI_MANIFEST, &manifest);
    image
        .annotations
        .insert(REF_NAME_ANNOTATION.to_owned(), tag.to_owned());
    write(
        &folder.join("index.json"),
        &Index::of(vec![image]).to_json(),
    )?;
    write(
        &folder.join("oci-layout"),
        br#"{"imageLayoutVersion":"1.0.0"}"#,
    )
}

/// Pushes it.
pub(super) async fn push(folder: &Path, client: &Client, image: &str) -> Result<(), Error> {
    let image: Reference = image.parse().map_err(sealmark_oci::Error::from)?;
    let layout = Layout::open(folder)?;
    let digest = layout.resolve(None)?.digest;
    let destination = Destination::Registry {
        client: client.clone(),
        repository: image.in_repository(),
        tag: image.tag.clone(),
    };
    let options = sealmark_oci::copy::Options {
        force: true,
        ..Default::default()
    };
    let source = Source::Layout(layout);
    let quiet = std::sync::Arc::new(());
    sealmark_oci::copy(&source, &digest, &destination, &options, quiet).await?;
    Ok(())
}

fn blob(folder: &Path, bytes: &[u8]) -> Result<(), Error> {
    let digest = Digest::sha256(bytes);
    write(&folder.join("blobs/sha256").join(digest.hex()), bytes)
}

/// Writes a file, and makes its folder.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(|cause| Error::file("create", folder, cause))?;
    std::fs::write(path, bytes).map_err(|cause| Error::file("write", path, cause))
}

/// A tar archive (POSIX.1-1988, ustar).
fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in files {
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
        archive.extend_from_slice(&header);
        archive.extend_from_slice(content.as_bytes());
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_one_that_tar_reads() {
        let archive = tar(&[("etc/first", "a"), ("app/run", "hello\n")]);
        assert_eq!(archive.len(), 6 * BLOCK);
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

    #[test]
    fn the_image_is_a_layout_and_always_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let digests = ["one", "two"].map(|name| {
            let folder = directory.path().join(name);
            build(&folder, "v1", "print('v1')\n").unwrap();
            let layout = Layout::open(&folder).unwrap();
            layout.resolve(Some("v1")).unwrap().digest
        });
        assert_eq!(digests[0], digests[1]);
    }
}
