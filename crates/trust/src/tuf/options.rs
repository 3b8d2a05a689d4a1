//! Which repository, from which root, cached where.

use std::ffi::OsString;
use std::path::Path;

use super::*;

/// How a repository is used.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where caches are: `$TUF_ROOT`, or `.sigstore/root` in the home directory.
    pub cache: PathBuf,
    /// The repository's URL.
    pub mirror: String,
    /// The root to begin with; without one, that of the cache's `initialize`, or the embedded one for the public
    /// repository.
    pub root: Option<Vec<u8>>,
    /// Ask nothing but the cache.
    pub offline: bool,
    /// What time it is.
    pub now: Timestamp,
}

impl Options {
    /// The public repository with a cache in `cache`.
    pub fn new(cache: impl Into<PathBuf>, now: Timestamp) -> Self {
        Self {
            cache: cache.into(),
            mirror: PUBLIC_MIRROR.to_owned(),
            root: None,
            offline: false,
            now,
        }
    }

    /// Whether a repository was chosen: by `initialize`, or by the environment.
    ///
    /// # Errors
    /// If what `initialize` left cannot be read.
    pub fn is_initialised(&self) -> Result<bool, Error> {
        let chosen = self.root.is_some() || self.mirror != PUBLIC_MIRROR;
        Ok(chosen || initialize::remembered_mirror(&self.cache)?.is_some())
    }

    /// As the environment says: `TUF_ROOT` is the cache, `TUF_MIRROR` the repository (without it, the one that was
    /// last initialised), `TUF_ROOT_JSON` a file with the root. `variable` looks one up.
    ///
    /// # Errors
    /// If there is no home directory, or a file that is named cannot be read.
    pub fn from_environment(
        variable: impl Fn(&str) -> Option<OsString>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let cache = match variable("TUF_ROOT") {
            Some(cache) => PathBuf::from(cache),
            None => {
                let home = variable("HOME").ok_or_else(|| Error::Configuration {
                    what: "variable",
                    text: "HOME".to_owned(),
                    reason: "it is not set; say in TUF_ROOT where the cache is".to_owned(),
                })?;
                Path::new(&home).join(".sigstore/root")
            }
        };
        let mirror = match variable("TUF_MIRROR") {
            Some(mirror) => Some(mirror.into_string().map_err(|text| Error::Configuration {
                what: "variable TUF_MIRROR",
                text: text.to_string_lossy().into_owned(),
                reason: "it is not UTF-8".to_owned(),
            })?),
            None => initialize::remembered_mirror(&cache)?,
        };
        let root = variable("TUF_ROOT_JSON")
            .map(|path| crate::material::read(Path::new(&path)))
            .transpose()?;
        Ok(Self {
            mirror: mirror.unwrap_or_else(|| PUBLIC_MIRROR.to_owned()),
            root,
            ..Self::new(cache, now)
        })
    }
}
