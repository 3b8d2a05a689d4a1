//! Trusted material that travels with images in a layout on disk: a trusted root, a policy with its keys, and revocations.
//!
//! It is an OCI artifact that refers to no image, with one layer for each file, named as oras names files. Whoever can write
//! the layout can write it: what it says about whom to believe is worth what the layout's maker is, and is used only when
//! the user says so. Revocations can only take away, and are verified as any others.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use sealmark_formats::Digest;
use sealmark_formats::revocation_feed::Feed;
use sealmark_formats::trusted_root::MAX_SIZE;
use sealmark_kms::KeyRef;
use sealmark_oci::layout::TRUST_TYPE;
use sealmark_oci::manifest::{EMPTY_JSON, OCI_MANIFEST, REF_NAME_ANNOTATION, empty_config};
use sealmark_oci::{Descriptor, ImageManifest, Layout};
use sealmark_verify::policy_file::{MAX_POLICY_FILE, PolicyFile};

use crate::detached;
use crate::error::Error;

/// The artifact's name in the layout.
pub(crate) const NAME: &str = "sealmark-trust";
/// Media types of the layers.
const ROOT: &str = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
const POLICY: &str = "application/vnd.sealmark.policy.v1+yaml";
const KEY: &str = "application/x-pem-file";
const REVOCATIONS: &str = "application/vnd.sealmark.revocations.v1+jsonl";
/// The annotation by which a layer is a file.
const TITLE: &str = "org.opencontainers.image.title";

/// Files in one artifact; a policy names some keys.
const MAX_FILES: usize = 256;
/// A file of revocations is not larger, in bytes, as with --revocations.
const MAX_REVOCATIONS: u64 = 16 << 20;
/// A public key, in bytes.
const MAX_KEY: u64 = 1 << 16;
/// How deep in folders, and how long a name is.
const MAX_DEPTH: usize = 8;
const MAX_NAME: usize = 200;

/// The files, by the path that they have beside one another.
#[derive(Debug, Default)]
pub(crate) struct Pack {
    files: BTreeMap<String, (&'static str, Vec<u8>)>,
}

/// A pack as files on disk, which vanish with it.
#[derive(Debug)]
pub(crate) struct Unpacked {
    _directory: tempfile::TempDir,
    pub(crate) root: Option<PathBuf>,
    pub(crate) policy: Option<PathBuf>,
    pub(crate) revocations: Vec<PathBuf>,
}

impl Pack {
    /// Adds the trusted root.
    pub(crate) fn root(&mut self, json: Vec<u8>) {
        self.files
            .insert("trusted_root.json".to_owned(), (ROOT, json));
    }

    /// Adds a policy file and the keys that it names.
    pub(crate) fn policy(&mut self, path: &Path) -> Result<PolicyFile, Error> {
        let wrong = |cause: String| Error::Usage(format!("{}: {cause}", path.display()));
        let yaml = detached::read_bounded(path, MAX_POLICY_FILE as u64, "policy file")?;
        let text = String::from_utf8(yaml.clone()).map_err(|cause| wrong(cause.to_string()))?;
        let file = PolicyFile::parse(&text).map_err(|cause| wrong(cause.to_string()))?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        for rule in &file.rules {
            for key in rule.keys(&file).map_err(|cause| wrong(cause.to_string()))? {
                let KeyRef::File(name) = KeyRef::parse(key)? else {
                    continue;
                };
                let name = name.to_string_lossy().into_owned();
                check(&name).map_err(|why| {
                    wrong(format!(
                        "the key {name} cannot be packed: {why}; keep it beside the policy"
                    ))
                })?;
                let pem = detached::read_bounded(&folder.join(&name), MAX_KEY, "public key")?;
                let is_public = pem.starts_with(b"-----BEGIN PUBLIC KEY-----");
                if !is_public {
                    // What travels is read by others.
                    return Err(wrong(format!(
                        "the key {name} is no public key in PEM, and is not packed"
                    )));
                }
                self.add(name, KEY, pem)?;
            }
        }
        self.add("policy.yaml".to_owned(), POLICY, yaml)?;
        Ok(file)
    }

    /// Adds a file of revocations.
    pub(crate) fn revocations(&mut self, path: &Path) -> Result<(), Error> {
        let lines = detached::read_bounded(path, MAX_REVOCATIONS, "file of revocations")?;
        let name = format!("revocations/{}.jsonl", self.files.len());
        self.add(name, REVOCATIONS, lines)
    }

    /// Adds what the feed of a TUF repository has.
    pub(crate) fn feed(&mut self, feed: &Feed) -> Result<(), Error> {
        let lines: Vec<u8> = feed.bundles().flat_map(line).collect();
        match lines.is_empty() {
            true => Ok(()),
            false => self.add("revocations/feed.jsonl".to_owned(), REVOCATIONS, lines),
        }
    }

    fn add(&mut self, name: String, kind: &'static str, bytes: Vec<u8>) -> Result<(), Error> {
        match self.files.get(&name) {
            Some((_, other)) if *other != bytes => Err(Error::Usage(format!(
                "two files would be packed as {name}: name one of them differently"
            ))),
            _ => {
                self.files.insert(name, (kind, bytes));
                Ok(())
            }
        }
    }

    /// Puts it into the layout, in the place of a former one; gives the digest of the artifact.
    pub(crate) fn write(&self, layout: &Layout) -> Result<Digest, Error> {
        layout.add_blob(EMPTY_JSON)?;
        let mut layers = Vec::new();
        for (name, (kind, bytes)) in &self.files {
            layout.add_blob(bytes)?;
            let mut layer = Descriptor::of(*kind, bytes);
            layer.annotations.insert(TITLE.to_owned(), name.clone());
            layers.push(layer);
        }
        let manifest = ImageManifest {
            schema_version: 2,
            media_type: Some(OCI_MANIFEST.to_owned()),
            config: empty_config(),
            layers,
            annotations: BTreeMap::new(),
            subject: None,
            artifact_type: Some(TRUST_TYPE.to_owned()),
        };
        let json = manifest.to_json();
        let mut entry = Descriptor::of(OCI_MANIFEST, &json);
        entry.artifact_type = Some(TRUST_TYPE.to_owned());
        entry
            .annotations
            .insert(REF_NAME_ANNOTATION.to_owned(), NAME.to_owned());
        layout.add_manifest(&entry, &json)?;
        Ok(entry.digest)
    }
}

/// What the layout has of it, as files in a new folder; `None` if it has nothing.
pub(crate) fn unpack(layout: &Layout) -> Result<Option<Unpacked>, Error> {
    let wrong = |why: String| {
        Error::Usage(format!(
            "the trusted material in {} is not to be used: {why}",
            layout.dir().display()
        ))
    };
    let mut manifests = layout.trust()?;
    let Some(manifest) = manifests.pop() else {
        return Ok(None);
    };
    if !manifests.is_empty() {
        return Err(wrong(
            "there are several, and which one counts is not said".to_owned(),
        ));
    }
    if manifest.layers.len() > MAX_FILES {
        return Err(wrong(format!("it has more than {MAX_FILES} files")));
    }
    let failed = |cause| Error::file("write", std::env::temp_dir(), cause);
    let directory = tempfile::tempdir().map_err(failed)?;
    let mut unpacked = Unpacked {
        root: None,
        policy: None,
        revocations: Vec::new(),
        _directory: directory,
    };
    let folder = unpacked._directory.path().to_owned();
    for layer in &manifest.layers {
        let limit = match layer.media_type.as_str() {
            ROOT => MAX_SIZE as u64,
            POLICY => MAX_POLICY_FILE as u64,
            KEY => MAX_KEY,
            REVOCATIONS => MAX_REVOCATIONS,
            // Of a later version, perhaps, and nothing that this one could respect.
            other => return Err(wrong(format!("it has a file of type {other:?}"))),
        };
        let name = layer.annotations.get(TITLE).map_or("", String::as_str);
        check(name).map_err(|why| wrong(format!("its file {name:?}: {why}")))?;
        let bytes = layout.blob(&layer.digest, limit)?;
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|cause| Error::file("make", parent, cause))?;
        }
        // A second file of one name would be read in the place of the first.
        let mut file =
            std::fs::File::create_new(&path).map_err(|cause| Error::file("write", &path, cause))?;
        std::io::Write::write_all(&mut file, &bytes)
            .map_err(|cause| Error::file("write", &path, cause))?;
        let slot = match layer.media_type.as_str() {
            ROOT => &mut unpacked.root,
            POLICY => &mut unpacked.policy,
            REVOCATIONS => {
                unpacked.revocations.push(path);
                continue;
            }
            _ => continue,
        };
        if slot.replace(path).is_some() {
            return Err(wrong(format!(
                "it has two files of type {}",
                layer.media_type
            )));
        }
    }
    Ok(Some(unpacked))
}

/// JSON on one line: a line break in it is between its parts, never within a string.
fn line(json: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let breaks = |byte: &u8| matches!(byte, b'\n' | b'\r');
    json.iter()
        .map(move |byte| if breaks(byte) { b' ' } else { *byte })
        .chain([b'\n'])
}

/// A name leads to a file within a folder, and to nothing else.
fn check(name: &str) -> Result<(), &'static str> {
    let path = Path::new(name);
    let mut parts = path.components();
    if name.is_empty() || name.len() > MAX_NAME || name.contains(['\\', ':', '\0']) {
        return Err("that is no name of a file");
    }
    if !parts.all(|part| matches!(part, Component::Normal(_))) {
        return Err("it leads out of its folder");
    }
    match path.components().count() > MAX_DEPTH {
        true => Err("it is in too many folders"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_lead_out_of_the_folder() {
        for (name, good) in [
            ("policy.yaml", true),
            ("keys/release.pub", true),
            ("", false),
            ("/etc/passwd", false),
            ("../release.pub", false),
            ("keys/../../release.pub", false),
            ("c:\\release.pub", false),
            ("a/b/c/d/e/f/g/h/i", false),
        ] {
            assert_eq!(check(name).is_ok(), good, "{name}");
        }
    }
}
