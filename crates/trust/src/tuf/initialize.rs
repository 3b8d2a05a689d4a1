//! `initialize`: trust a repository anew, from a root that the user gives or the embedded one.

use std::path::Path;

use sealmark_formats::{Digest, HashAlgorithm};
use serde::{Deserialize, Serialize};

use super::*;

/// Where `initialize` takes the root from.
#[derive(Clone, Debug)]
pub enum RootSource {
    /// The embedded one; only for the public repository.
    Embedded,
    /// A file or an `https://…` or `http://…` URL; a URL demands a checksum.
    Location(String),
}

/// What came of `initialize`.
#[derive(Debug)]
pub struct Initialized {
    /// The repository.
    pub mirror: String,
    /// Version of the newest root.
    pub root_version: u64,
    /// Until when the repository's word counts, if it is not renewed.
    pub expires: Timestamp,
    /// The names of the targets.
    pub targets: Vec<String>,
}

/// `remote.json`, as cosign keeps it.
#[derive(Deserialize, Serialize)]
struct RemoteJson {
    mirror: String,
}

/// The repository that was initialised last.
pub(super) fn remembered_mirror(cache: &Path) -> Result<Option<String>, Error> {
    let path = cache.join("remote.json");
    match std::fs::metadata(&path) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(Error::file("read", path, cause)),
        Ok(_) => {}
    }
    let json = crate::material::read(&path)?;
    let remote: RemoteJson = serde_json::from_slice(&json).map_err(|e| Error::Unsuitable {
        from: path.display().to_string(),
        reason: format!("it does not name a mirror: {e}; run `sealmark initialize` again"),
    })?;
    Ok(Some(remote.mirror).filter(|mirror| !mirror.is_empty()))
}

/// Makes `options.mirror` the repository that is trusted, from `root` (its SHA-256 or, as `sha512:…`, SHA-512 being
/// `checksum`), forgetting what the cache had of it. Everything is fetched and checked before the cache is touched.
///
/// # Errors
/// If the root is not the one that was meant, or as [`refresh`] and
/// [`TrustedMaterial::of_repository`](crate::TrustedMaterial::of_repository).
pub async fn initialize(
    options: &Options,
    root: &RootSource,
    checksum: Option<&str>,
) -> Result<Initialized, Error> {
    let checksum = checksum.map(Checksum::parse).transpose()?;
    let (pinned, given) = match (&options.root, root) {
        (Some(root), _) => (root.clone(), true),
        (None, RootSource::Location(place)) => (fetch_root(place, checksum.is_some()).await?, true),
        (None, RootSource::Embedded) if options.mirror.trim_end_matches('/') == PUBLIC_MIRROR => {
            (EMBEDDED_ROOT.to_vec(), false)
        }
        (None, RootSource::Embedded) => {
            return Err(Error::NoRoot {
                mirror: options.mirror.clone(),
            });
        }
    };
    if let Some(checksum) = checksum {
        checksum.check(&pinned)?;
    }
    let online = Options {
        offline: false,
        ..options.clone()
    };
    let (mut repository, _lock) = update::start_anew(&online, &pinned).await?;
    // A repository that cannot be verified with is refused now, not at the first signature.
    crate::TrustedMaterial::of_repository(&repository).await?;
    repository.commit(given.then_some(pinned.as_slice()))?;
    let remote = RemoteJson {
        mirror: options.mirror.clone(),
    };
    let json = serde_json::to_vec(&remote).expect("a string serialises");
    cache::write_whole(&options.cache.join("remote.json"), &json)?;
    Ok(Initialized {
        mirror: options.mirror.clone(),
        root_version: repository.root_version(),
        expires: repository.expires(),
        targets: repository.target_names().map(str::to_owned).collect(),
    })
}

async fn fetch_root(place: &str, has_checksum: bool) -> Result<Vec<u8>, Error> {
    if !place.starts_with("https://") && !place.starts_with("http://") {
        return crate::material::read(Path::new(place));
    }
    if !has_checksum {
        return Err(Error::Configuration {
            what: "root",
            text: place.to_owned(),
            reason: "a root from a URL needs --root-checksum: everything that is trusted follows from it".to_owned(),
        });
    }
    remote::get_url(place, MAX_ROOT).await
}

/// A checksum of a root: hex of its SHA-256, or `sha512:` and hex of its SHA-512.
struct Checksum {
    algorithm: HashAlgorithm,
    digits: String,
}

impl Checksum {
    fn parse(text: &str) -> Result<Self, Error> {
        let (algorithm, digits) = match text.split_once(':') {
            None => (HashAlgorithm::Sha256, text),
            Some(("sha256", digits)) => (HashAlgorithm::Sha256, digits),
            Some(("sha512", digits)) => (HashAlgorithm::Sha512, digits),
            Some((other, _)) => {
                return Err(Error::Configuration {
                    what: "checksum",
                    text: text.to_owned(),
                    reason: format!("{other} is neither sha256 nor sha512"),
                });
            }
        };
        let digits = digits.to_ascii_lowercase();
        if hex::decode(&digits).map_or(0, |bytes| bytes.len()) != algorithm.digest_len() {
            return Err(Error::Configuration {
                what: "checksum",
                text: text.to_owned(),
                reason: format!(
                    "a {algorithm} checksum is {} hex digits",
                    2 * algorithm.digest_len()
                ),
            });
        }
        Ok(Self { algorithm, digits })
    }

    fn check(&self, root: &[u8]) -> Result<(), Error> {
        let found = Digest::of(self.algorithm, root).hex();
        if found == self.digits {
            return Ok(());
        }
        Err(Error::Checksum {
            algorithm: self.algorithm.name(),
            expected: self.digits.clone(),
            found,
        })
    }
}
