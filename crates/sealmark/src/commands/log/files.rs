//! Files that the user names, read within bounds.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sealmark_formats::{Digest, HashAlgorithm, Hasher};

use crate::error::Error;

/// The whole file, if it has at most `limit` bytes.
pub(super) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    open(path)?
        .take(limit + 1)
        .read_to_end(&mut content)
        .map_err(|cause| Error::file("read", path, cause))?;
    if content.len() as u64 > limit {
        return Err(Error::Usage(format!(
            "{} has more than {limit} bytes, which no such file has",
            path.display()
        )));
    }
    Ok(content)
}

/// The digest of a file of any size.
pub(super) fn digest(path: &Path, algorithm: HashAlgorithm) -> Result<Digest, Error> {
    let mut file = open(path)?;
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(Error::file("read", path, cause)),
        }
    }
}

fn open(path: &Path) -> Result<Box<dyn std::io::Read>, Error> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    let file = File::open(path).map_err(|cause| Error::file("read", path, cause))?;
    Ok(Box::new(file))
}
