//! Files that a command writes must not be files that it reads, nor each other.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// Refuses before anything is written.
pub(crate) fn check(inputs: &[&Path], outputs: &[&Path]) -> Result<(), Error> {
    let inputs: Vec<PathBuf> = inputs.iter().map(|path| resolved(path)).collect();
    let mut seen: Vec<PathBuf> = Vec::new();
    for output in outputs {
        let path = resolved(output);
        let clash = if inputs.contains(&path) {
            "is a file that this command reads"
        } else if seen.contains(&path) {
            "is named for two outputs"
        } else {
            seen.push(path);
            continue;
        };
        return Err(Error::Usage(format!(
            "{} {clash}; nothing was written",
            output.display()
        )));
    }
    Ok(())
}

/// The file that a path means, whether it exists or not.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new(".")).canonicalize().ok();
    match (parent, path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_by_two_names_is_one_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let other_name = directory.path().join(".").join("file");
        let new = directory.path().join("new");
        check(&[&file], &[&new]).unwrap();
        assert!(check(&[&file], &[&other_name]).is_err());
        assert!(check(&[], &[&new, &directory.path().join("./new")]).is_err());
    }
}
