//! `config.json` of docker and `auth.json` of podman.
//!
//! Invariant: what is not understood stays in the file when it is written back, and the file is never half written.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Credential, Kind};
use crate::error::Error;
use crate::options::Secret;
use crate::reference::DOCKER_HUB;

/// Larger files are not credentials.
const MAX_CONFIG: u64 = 4 << 20;

pub(super) struct Config {
    path: PathBuf,
    file: File,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
pub(super) struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    identitytoken: String,
    #[serde(default)]
    registrytoken: String,
}

impl Entry {
    pub(super) fn basic(username: &str, password: &Secret) -> Self {
        let auth = STANDARD.encode(format!("{username}:{}", password.expose()));
        Self {
            auth,
            ..Self::default()
        }
    }

    /// `None` for an entry that only says that a helper has the credential.
    fn kind(&self) -> Result<Option<Kind>, &'static str> {
        if !self.registrytoken.is_empty() {
            return Ok(Some(Kind::RegistryToken(
                self.registrytoken.as_str().into(),
            )));
        }
        if !self.identitytoken.is_empty() {
            return Ok(Some(Kind::IdentityToken(
                self.identitytoken.as_str().into(),
            )));
        }
        if !self.auth.is_empty() {
            let text = self.auth.trim();
            let bytes = STANDARD
                .decode(text)
                .or_else(|_| STANDARD_NO_PAD.decode(text))
                .map_err(|_| "its `auth` is not base64")?;
            let text = String::from_utf8(bytes).map_err(|_| "its `auth` is not text")?;
            let (username, password) = text
                .split_once(':')
                .ok_or("its `auth` is not USER:PASSWORD")?;
            // Docker pads with NUL.
            let password = password.trim_end_matches('\0');
            return Ok(Some(Kind::Basic {
                username: username.to_owned(),
                password: password.into(),
            }));
        }
        if !self.username.is_empty() {
            return Ok(Some(Kind::Basic {
                username: self.username.clone(),
                password: self.password.as_str().into(),
            }));
        }
        Ok(None)
    }
}

impl Config {
    /// `None` if there is no such file.
    pub(super) fn read(registry: &str, path: &Path) -> Result<Option<Self>, Error> {
        let Some(bytes) = read_bounded(registry, path)? else {
            return Ok(None);
        };
        Self::parse(registry, path, &bytes).map(Some)
    }

    /// The content of the file at `path`.
    pub(super) fn parse(registry: &str, path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let file = if bytes.iter().all(u8::is_ascii_whitespace) {
            File::default()
        } else {
            serde_json::from_slice(bytes)
                .map_err(|error| broken(registry, path, without_content(&error)))?
        };
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The entry for `host` or `host/name`, however its key is spelled.
    pub(super) fn entry(&self, registry: &str, key: &str) -> Result<Option<Credential>, Error> {
        let exact = self.file.auths.get(key).map(|entry| (key, entry));
        let spelled = || {
            let mut entries = self.file.auths.iter();
            entries
                .find(|(name, _)| plain_key(name) == key)
                .map(|(name, e)| (name.as_str(), e))
        };
        let Some((name, entry)) = exact.or_else(spelled) else {
            return Ok(None);
        };
        let kind = entry.kind().map_err(|reason| {
            broken(
                registry,
                &self.path,
                format!("the entry {name:?} is unusable: {reason}"),
            )
        })?;
        let source = format!("{}, entry {name}", self.path.display());
        Ok(kind.map(|kind| Credential { kind, source }))
    }

    /// The name of the credential helper for a registry.
    pub(super) fn helper(&self, registry: &str) -> Option<&str> {
        let mut helpers = self.file.cred_helpers.iter();
        helpers
            .find(|(name, _)| {
                let name = plain_key(name);
                name == registry || registry == DOCKER_HUB && name == "docker.io"
            })
            .map(|(_, helper)| helper)
            .or(self.file.creds_store.as_ref())
            .map(String::as_str)
            .filter(|helper| !helper.is_empty())
    }
}

/// Docker writes keys as URLs of its old API: `https://index.docker.io/v1/`.
fn plain_key(key: &str) -> &str {
    let key = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    let key = key.trim_end_matches('/');
    key.strip_suffix("/v1")
        .or_else(|| key.strip_suffix("/v2"))
        .unwrap_or(key)
}

fn broken(registry: &str, path: &Path, reason: impl core::fmt::Display) -> Error {
    Error::Credentials {
        registry: registry.to_owned(),
        reason: format!("cannot understand {}: {reason}", path.display()),
    }
}

/// Where JSON is not of the expected form. The parser's own words would repeat what stands there, which may be a secret.
fn without_content(error: &serde_json::Error) -> String {
    if !error.is_data() {
        return error.to_string();
    }
    let (line, column) = (error.line(), error.column());
    format!("something else than expected stands before line {line}, column {column}")
}

fn read_bounded(registry: &str, path: &Path) -> Result<Option<Vec<u8>>, Error> {
    use std::io::Read as _;
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(Error::io("reading", path, error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_CONFIG + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("reading", path, error))?;
    if bytes.len() as u64 > MAX_CONFIG {
        return Err(broken(registry, path, "it is too large"));
    }
    Ok(Some(bytes))
}

/// Sets or removes one entry of `auths`.
pub(super) fn write(
    registry: &str,
    path: &Path,
    key: &str,
    entry: Option<Entry>,
) -> Result<(), Error> {
    // A dotfile is often a link into a repository of dotfiles: that file is meant.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut document: Map<String, Value> = match read_bounded(registry, &path)? {
        Some(bytes) if !bytes.iter().all(u8::is_ascii_whitespace) => serde_json::from_slice(&bytes)
            .map_err(|error| broken(registry, &path, without_content(&error)))?,
        _ => Map::new(),
    };
    let auths = document
        .entry("auths")
        .or_insert_with(|| Value::Object(Map::new()));
    if auths.is_null() {
        *auths = Value::Object(Map::new());
    }
    let auths = auths
        .as_object_mut()
        .ok_or_else(|| broken(registry, &path, "`auths` is not an object"))?;
    auths.retain(|name, _| plain_key(name) != plain_key(key));
    if let Some(entry) = entry {
        let mut fields = Map::new();
        if !entry.auth.is_empty() {
            fields.insert("auth".to_owned(), Value::String(entry.auth));
        }
        auths.insert(key.to_owned(), Value::Object(fields));
    }
    let mut text = serde_json::to_string_pretty(&document).expect("JSON values serialise");
    text.push('\n');
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    let error = |error| Error::io("writing", &path, error);
    create_private_dir(dir).map_err(error)?;
    // Made with mode 0600, and only then given its name.
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(error)?;
    file.write_all(text.as_bytes()).map_err(error)?;
    file.as_file().sync_all().map_err(error)?;
    file.persist(&path).map_err(|failed| error(failed.error))?;
    Ok(())
}

fn create_private_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(dir)
}

#[cfg(test)]
mod tests {
    use super::super::HUB_KEY;
    use super::*;

    #[test]
    fn keys_are_compared_without_their_dress() {
        for (key, plain) in [
            (HUB_KEY, DOCKER_HUB),
            ("https://ghcr.io", "ghcr.io"),
            ("http://localhost:5000/v2/", "localhost:5000"),
            ("ghcr.io/team/app", "ghcr.io/team/app"),
            ("quay.io/v1/", "quay.io"),
        ] {
            assert_eq!(plain_key(key), plain);
        }
    }
}
