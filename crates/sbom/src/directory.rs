//! A directory, looked through like a layer, but for lock files, which count here.
//!
//! Invariant: symbolic links are not followed, and nothing but regular files is opened.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::error::Error;
use crate::found;
use crate::languages::Scan;
use crate::layer::Layer;
use crate::unpack::Budget;

/// Folders inside one another.
const MAX_DEPTH: usize = 128;

/// Looks through everything below `root`.
pub(crate) fn walk(root: &Path) -> Result<Layer, Error> {
    let budget = Budget::default();
    let mut layer = Layer::default();
    let too_much = |problem| Error::Directory {
        path: root.to_owned(),
        problem,
    };
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = match fs::read_dir(root.join(&folder)) {
            Ok(entries) => entries,
            Err(cause) if folder.is_empty() => {
                let path = root.to_owned();
                return Err(Error::File { path, cause });
            }
            Err(cause) => {
                layer.problem(format!("/{folder} cannot be read: {cause}"));
                continue;
            }
        };
        for entry in entries.filter_map(Result::ok) {
            budget.entry().map_err(too_much)?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                layer.problem(format!("{:?} is no text: left out", entry.path()));
                continue;
            };
            let path = match folder.as_str() {
                "" => name,
                folder => format!("{folder}/{name}"),
            };
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => folders.push((path, depth + 1)),
                Ok(kind) if kind.is_dir() => layer.problem(format!("/{path} is too deep")),
                Ok(kind) if kind.is_file() => match look(root, &path) {
                    Ok(Some(found)) => {
                        budget.packages(found.count()).map_err(too_much)?;
                        layer.found.insert(path, found);
                    }
                    Ok(None) => {}
                    Err(cause) => layer.problem(format!("/{path} cannot be read: {cause}")),
                },
                _ => {}
            }
        }
    }
    // The order in which a file system lists is no part of the result.
    layer.problems.sort();
    Ok(layer)
}

fn look(root: &Path, path: &str) -> std::io::Result<Option<found::Found>> {
    let mut file = fs::File::open(root.join(path))?;
    let metadata = file.metadata()?;
    let executable = metadata.permissions().mode() & 0o111 != 0;
    found::look(path, metadata.len(), executable, Scan::Directory, &mut file)
}
