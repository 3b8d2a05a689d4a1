//! The file that says what a directory is, and in which layout.
//!
//! Invariant: a directory that holds something else is not touched, and neither is one of a layout that this program
//! does not know.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, durable, password};

/// The file whose lock says that a process has the directory open.
pub(crate) const LOCK: &str = "lock";

/// A file with JSON that has the member `layout`.
pub(crate) struct Marker {
    /// Its name.
    pub(crate) file: &'static str,
    /// The layout that this program writes, and the only one that it reads.
    pub(crate) layout: u32,
    /// What a directory with it is, for messages.
    pub(crate) expected: &'static str,
}

#[derive(Deserialize)]
struct Layout {
    layout: u32,
}

impl Marker {
    /// What it says; `None` if it is not there.
    pub(crate) fn read<T: DeserializeOwned>(&self, directory: &Path) -> Result<Option<T>, Error> {
        let path = directory.join(self.file);
        let damaged = |error: serde_json::Error| Error::Damaged {
            path: path.clone(),
            problem: error.to_string(),
        };
        let Some(found) = durable::read(&path)? else {
            return Ok(None);
        };
        let Layout { layout } = serde_json::from_slice(&found).map_err(damaged)?;
        if layout != self.layout {
            return Err(Error::UnknownLayout {
                path,
                found: format!("layout {layout}"),
                known: self.layout,
            });
        }
        serde_json::from_slice(&found).map(Some).map_err(damaged)
    }

    /// What it says; where there is nothing yet, it is written, and says what `new` gives.
    pub(crate) fn read_or_write<T: DeserializeOwned + Serialize>(
        &self,
        directory: &Path,
        new: impl FnOnce() -> T,
    ) -> Result<T, Error> {
        if let Some(found) = self.read(directory)? {
            return Ok(found);
        }
        let foreign =
            |name: &String| name != LOCK && !password::is_own(name) && !name.starts_with(".tmp");
        if durable::list(directory)?.iter().any(foreign) {
            return Err(Error::ForeignDirectory {
                path: directory.to_owned(),
                expected: self.expected,
            });
        }
        let new = new();
        self.write(directory, &new)?;
        Ok(new)
    }

    /// Replaces it.
    pub(crate) fn write<T: Serialize>(&self, directory: &Path, content: &T) -> Result<(), Error> {
        let path = directory.join(self.file);
        let json = serde_json::to_vec(content).map_err(|error| Error::Damaged {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        durable::write(&path, &json, directory)
    }
}
