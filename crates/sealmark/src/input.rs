//! A file on the command line: its path, `-` for standard input, or the digest of a file that is elsewhere.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sealmark_formats::Digest;

use crate::error::Error;

/// What the user named.
pub(crate) enum Input {
    File(PathBuf),
    /// Standard input, kept in a file since it may have to be read twice.
    Standard(tempfile::NamedTempFile),
    Digest(Digest),
}

impl Input {
    /// A digest is one only if there is no file of that name.
    pub(crate) fn open(name: &str) -> Result<Self, Error> {
        if name == "-" {
            let failed = |cause| Error::Stream {
                action: "read standard input",
                cause,
            };
            let mut file = tempfile::NamedTempFile::new().map_err(failed)?;
            io::copy(&mut io::stdin().lock(), &mut file).map_err(failed)?;
            file.flush().map_err(failed)?;
            return Ok(Self::Standard(file));
        }
        let path = Path::new(name);
        match name.parse() {
            Ok(digest) if !path.exists() => Ok(Self::Digest(digest)),
            _ => Ok(Self::File(path.to_owned())),
        }
    }
}
