//! The directory: where everything is, who has it open, and what an interrupted process may have left in it.
//!
//! Invariant: [`open`] returns only when this process alone has the directory, and it holds nothing that no
//! repository refers to. The layout itself is drawn in the head of [`super`].

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sealmark_formats::{Digest, HashAlgorithm};

use super::durable;
use super::grammar::{Name, Tag};
use crate::Error;

/// The layout that this program writes; the content of [`MARKER`].
const LAYOUT: u32 = 1;
/// The file that says that a directory is a registry, and in which layout.
const MARKER: &str = "sealmark-registry";
/// The file whose lock says that a process has the directory open; its content names the process.
const LOCK: &str = "lock";

/// Paths below the registry's directory.
#[derive(Debug)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(super) fn content(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.root
            .join("blobs")
            .join(digest.algorithm().name())
            .join(&hex[..2])
            .join(hex)
    }

    pub(super) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    pub(super) fn repository(&self, name: &Name) -> PathBuf {
        self.root.join("repositories").join(name.as_str())
    }

    pub(super) fn blobs(&self, name: &Name) -> PathBuf {
        self.repository(name).join("_blobs")
    }

    pub(super) fn blob(&self, name: &Name, digest: &Digest) -> PathBuf {
        self.blobs(name).join(file_name(digest))
    }

    pub(super) fn manifests(&self, name: &Name) -> PathBuf {
        self.repository(name).join("_manifests")
    }

    pub(super) fn manifest(&self, name: &Name, digest: &Digest) -> PathBuf {
        self.manifests(name).join(file_name(digest))
    }

    pub(super) fn tags(&self, name: &Name) -> PathBuf {
        self.repository(name).join("_tags")
    }

    pub(super) fn tag(&self, name: &Name, tag: &Tag) -> PathBuf {
        self.tags(name).join(tag.file_name())
    }

    pub(super) fn referrers(&self, name: &Name, subject: &Digest) -> PathBuf {
        self.repository(name)
            .join("_referrers")
            .join(file_name(subject))
    }

    pub(super) fn referrer(&self, name: &Name, subject: &Digest, digest: &Digest) -> PathBuf {
        self.referrers(name, subject).join(file_name(digest))
    }
}

/// A digest as a file name; `:` is not allowed everywhere.
fn file_name(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm(), digest.hex())
}

/// The digest that a file is named after.
pub(super) fn parse_file_name(name: &str) -> Option<Digest> {
    let (algorithm, hex) = name.split_once('-')?;
    format!("{algorithm}:{hex}").parse().ok()
}

/// What [`open`] found.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) layout: Layout,
    /// The lock ends when this is closed, also by a crash.
    pub(super) lock: File,
    pub(super) repositories: Vec<Name>,
    /// How many repositories have this content as a blob or as a manifest.
    pub(super) references: HashMap<Digest, u64>,
}

/// Opens or creates the registry in `root`.
pub(super) fn open(root: &Path) -> Result<Opened, Error> {
    durable::create_directory(root)?;
    let lock = durable::lock(&root.join(LOCK))?;
    check_marker(root)?;
    let layout = Layout {
        root: root.to_owned(),
    };
    // Uploads belong to a process that is gone, so nobody can finish them.
    let uploads = layout.uploads();
    if uploads.exists() {
        fs::remove_dir_all(&uploads).map_err(Error::io("delete", &uploads))?;
    }
    durable::create_directory(&uploads)?;
    let mut opened = Opened {
        layout,
        lock,
        repositories: Vec::new(),
        references: HashMap::new(),
    };
    opened.read_repositories("", &root.join("repositories"))?;
    opened.remove_unreferenced(&root.join("blobs"))?;
    Ok(opened)
}

fn check_marker(root: &Path) -> Result<(), Error> {
    let path = root.join(MARKER);
    if let Some(found) = durable::read(&path)? {
        let found = String::from_utf8_lossy(&found)
            .trim()
            .chars()
            .take(100)
            .collect::<String>();
        return match found == format!("layout {LAYOUT}") {
            true => Ok(()),
            false => Err(Error::UnknownLayout {
                path,
                found,
                known: LAYOUT,
            }),
        };
    }
    // A process that died in its first moment may have left a temporary file of ours, whose name starts with a dot.
    let foreign = |name: &String| name != LOCK && !name.starts_with(".tmp");
    if durable::list(root)?.iter().any(foreign) {
        return Err(Error::ForeignDirectory {
            path: root.to_owned(),
            expected: "a registry of sealmark",
        });
    }
    durable::write(&path, format!("layout {LAYOUT}\n").as_bytes(), root)
}

impl Opened {
    /// Reads a directory of `repositories`. A component of a name never starts with `_`, so what does is a part of
    /// the repository itself. The depth is bounded by the length of a name.
    fn read_repositories(&mut self, prefix: &str, directory: &Path) -> Result<(), Error> {
        for entry in durable::list(directory)? {
            if matches!(entry.as_str(), "_blobs" | "_manifests") {
                for file in durable::list(&directory.join(&entry))? {
                    if let Some(digest) = parse_file_name(&file) {
                        *self.references.entry(digest).or_default() += 1;
                    }
                }
            } else if !entry.starts_with('_') {
                let text = if prefix.is_empty() {
                    entry.clone()
                } else {
                    format!("{prefix}/{entry}")
                };
                let Some(name) = Name::parse(&text) else {
                    continue;
                };
                let path = directory.join(&entry);
                if ["_blobs", "_manifests"]
                    .iter()
                    .any(|part| path.join(part).is_dir())
                {
                    self.repositories.push(name);
                }
                self.read_repositories(&text, &path)?;
            }
        }
        Ok(())
    }

    /// Removes content that was written, but whose membership in a repository was not: nobody was told of it.
    fn remove_unreferenced(&self, blobs: &Path) -> Result<(), Error> {
        for algorithm in HashAlgorithm::ALL {
            let directory = blobs.join(algorithm.name());
            for prefix in durable::list(&directory)? {
                let directory = directory.join(prefix);
                for hex in durable::list(&directory)? {
                    let digest = format!("{algorithm}:{hex}").parse::<Digest>();
                    if digest.is_ok_and(|digest| !self.references.contains_key(&digest)) {
                        durable::remove(&directory.join(hex))?;
                    }
                }
            }
        }
        Ok(())
    }
}
