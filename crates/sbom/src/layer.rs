//! A layer, looked through, and layers put on one another.
//!
//! <https://github.com/opencontainers/image-spec/blob/main/layer.md#representing-changes>
//!
//! Invariant: of what a layer tells, only that counts which no layer above removes or covers.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::io::Read;

use sealmark_formats::Digest;

use crate::found::{self, Found};
use crate::languages::Scan;
use crate::tar::{Archive, Entry, Kind};
use crate::unpack::{self, Budget};

/// Bytes of a path, as far as Linux has them.
const MAX_PATH: usize = 4096;
/// Problems that are told one by one.
pub(crate) const MAX_PROBLEMS: usize = 100;

/// What is left of a layer after it was looked through.
#[derive(Default)]
pub(crate) struct Layer {
    pub(crate) digest: Option<Digest>,
    pub(crate) found: BTreeMap<String, Found>,
    /// What is wrong with the layer itself.
    pub(crate) problems: Vec<String>,
    hasher: RandomState,
    /// Everything that is no directory, by its hash: a path each would take a hundred times the room.
    files: HashSet<u64>,
    directories: HashSet<u64>,
    removed: HashSet<String>,
    emptied: HashSet<String>,
}

impl Layer {
    /// Looks through a layer, packed.
    pub(crate) fn walk(
        digest: Digest,
        packed: &mut dyn Read,
        budget: &Budget,
    ) -> Result<Self, String> {
        let mut layer = Self {
            digest: Some(digest),
            ..Self::default()
        };
        let mut archive = Archive::new(unpack::open(packed, budget)?);
        while let Some(entry) = archive.next()? {
            budget.entry()?;
            layer.entry(&entry, &mut archive, budget)?;
        }
        Ok(layer)
    }

    fn entry(
        &mut self,
        entry: &Entry,
        stream: &mut impl Read,
        budget: &Budget,
    ) -> Result<(), String> {
        let Some(path) = normal(&entry.path) else {
            self.problem(format!(
                "the path {:?} leads out of the image, or is too long: left out",
                excerpt(&entry.path)
            ));
            return Ok(());
        };
        if self.is_whiteout(&path) {
            return Ok(());
        }
        if entry.kind == Kind::Directory {
            self.directories.insert(self.hasher.hash_one(&path));
            self.found.remove(&path);
            return Ok(());
        }
        self.cover(&path);
        let found = match &entry.kind {
            Kind::File => {
                let (size, executable) = (entry.size, entry.executable);
                found::look(&path, size, executable, Scan::Image, stream)
                    .map_err(|error| error.to_string())?
            }
            Kind::HardLink(target) => {
                let target = normal(target);
                target.and_then(|target| self.found.get(&target).cloned())
            }
            Kind::Symlink(target) => same_documentation(&path, target),
            Kind::Directory | Kind::Other => None,
        };
        if let Some(found) = found {
            budget.packages(found.count())?;
            self.found.insert(path, found);
        }
        Ok(())
    }

    /// Notes what a whiteout removes from the layers below.
    fn is_whiteout(&mut self, path: &str) -> bool {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(removed) = name.strip_prefix(".wh.") else {
            return false;
        };
        match removed {
            ".wh..opq" => drop(self.emptied.insert(folder.to_owned())),
            // The accounts of AUFS itself.
            removed if removed.starts_with(".wh.") => {}
            "" | "." | ".." => {}
            removed if folder.is_empty() => drop(self.removed.insert(removed.to_owned())),
            removed => drop(self.removed.insert(format!("{folder}/{removed}"))),
        }
        true
    }

    /// What is no directory takes the place of what the same layer had there before.
    fn cover(&mut self, path: &str) {
        self.files.insert(self.hasher.hash_one(path));
        self.found.remove(path);
        let below = format!("{path}/");
        let covered: Vec<String> = self
            .found
            .range(below.clone()..)
            .take_while(|(other, _)| other.starts_with(&below))
            .map(|(other, _)| other.clone())
            .collect();
        for path in covered {
            self.found.remove(&path);
        }
    }

    pub(crate) fn problem(&mut self, problem: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    /// Whether a file of a layer below is not there any more.
    fn hides(&self, path: &str) -> bool {
        let has = |set: &HashSet<u64>, path: &str| set.contains(&self.hasher.hash_one(path));
        let here = self.removed.contains(path)
            || has(&self.files, path)
            || has(&self.directories, path)
            || self.emptied.contains("");
        here || path.match_indices('/').any(|(at, _)| {
            let above = &path[..at];
            self.removed.contains(above) || self.emptied.contains(above) || has(&self.files, above)
        })
    }
}

/// What survives of the layers, the lowest first: for each path what is told there, and in which layer.
pub(crate) fn merge(layers: &[Layer]) -> BTreeMap<&str, (&Found, Option<&Digest>)> {
    let mut all = BTreeMap::new();
    for (number, layer) in layers.iter().enumerate() {
        let above = &layers[number + 1..];
        for (path, found) in &layer.found {
            if !above.iter().any(|above| above.hides(path)) {
                all.insert(path.as_str(), (found, layer.digest.as_ref()));
            }
        }
    }
    all
}

/// A path from the root of the image; none if it leads out of it.
fn normal(path: &[u8]) -> Option<String> {
    if path.len() > MAX_PATH {
        return None;
    }
    let path = String::from_utf8_lossy(path);
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return None,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn excerpt(path: &[u8]) -> String {
    sealmark_formats::excerpt(String::from_utf8_lossy(path).into_owned())
}

/// `usr/share/doc/libgcc-s1 -> gcc-12-base`
fn same_documentation(path: &str, target: &[u8]) -> Option<Found> {
    let (_, "") = found::documentation_of(path)? else {
        return None;
    };
    let target = str::from_utf8(target).ok()?;
    let target = target.rsplit_once("/doc/").map_or(target, |(_, name)| name);
    let plain = !target.is_empty() && !target.contains('/');
    plain.then(|| Found::SameDocumentation(target.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(found: &[&str], others: &[&str]) -> Layer {
        let mut layer = Layer::default();
        let budget = Budget::default();
        for path in found {
            layer.cover(path);
            let found = Found::Unread(String::new());
            layer.found.insert((*path).to_owned(), found);
        }
        for path in others {
            let kind = match path.ends_with('/') {
                true => Kind::Directory,
                false => Kind::File,
            };
            let entry = Entry {
                path: path.as_bytes().to_vec(),
                kind,
                size: 0,
                executable: false,
            };
            layer.entry(&entry, &mut std::io::empty(), &budget).unwrap();
        }
        layer
    }

    #[test]
    fn what_a_layer_above_removes_or_covers_does_not_count() {
        for (above, left) in [
            (&["x"][..], &["a/b/c", "a/d", "e"][..]),
            (&["a/", "a/b/"], &["a/b/c", "a/d", "e"]),
            (&["a/b/.wh.c"], &["a/d", "e"]),
            (&["a/.wh.b"], &["a/d", "e"]),
            (&[".wh.a"], &["e"]),
            (&["./a//.wh..wh..opq"], &["e"]),
            (&["a/b/.wh..wh..opq"], &["a/d", "e"]),
            (&["/.wh..wh..opq"], &[]),
            (&["a/.wh..wh.plnk", "a/.wh."], &["a/b/c", "a/d", "e"]),
            (&["e/"], &["a/b/c", "a/d"]),
            (&["a"], &["e"]),
            (&["../a", "a/../e"], &["a/b/c", "a/d", "e"]),
        ] {
            let layers = [layer(&["a/b/c", "a/d", "e"], &[]), layer(&[], above)];
            let merged: Vec<&str> = merge(&layers).into_keys().collect();
            assert_eq!(merged, left, "{above:?}");
        }
        // A whiteout is for the layers below, not for its own.
        let layers = [
            layer(&["a/b"], &[]),
            layer(&["a/c"], &["a/.wh..wh..opq", ".wh.a"]),
        ];
        assert_eq!(merge(&layers).into_keys().collect::<Vec<_>>(), ["a/c"]);
    }

    #[test]
    fn tricks_with_paths_are_told() {
        let layer = layer(&[], &["../etc/passwd", "/etc/passwd"]);
        assert_eq!(
            layer.problems,
            ["the path \"../etc/passwd\" leads out of the image, or is too long: left out"]
        );
    }
}
