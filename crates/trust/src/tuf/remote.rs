//! A repository as it lies on a server or in a directory: untrusted bytes, bounded in size and time.

use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::StatusCode;
use reqwest::redirect::Policy;
use url::Url;

use crate::Error;

/// Until the connection is there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one file: none is large, and a command waits for it.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Without a byte.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Hops that are followed, enough for a content network. Who may redirect may also answer: nothing is trusted yet.
const MAX_REDIRECTS: usize = 5;

/// Where a repository is.
#[derive(Debug)]
pub(super) enum Remote {
    /// A web server.
    Http { base: Url, client: reqwest::Client },
    /// A directory of this machine, for air gaps.
    Directory(PathBuf),
}

impl Remote {
    /// The repository at `mirror`: `https://…`, `http://…` or `file:///…`.
    pub(super) fn new(mirror: &str) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Configuration {
            what: "mirror",
            text: mirror.to_owned(),
            reason,
        };
        let url = Url::parse(&format!("{}/", mirror.trim_end_matches('/'))).map_err(|e| {
            wrong(format!("{e}; give https://…, http://… or file:///… (names of storage buckets are not supported)"))
        })?;
        match url.scheme() {
            "file" => url
                .to_file_path()
                .map(Self::Directory)
                .map_err(|()| wrong("it names no directory of this machine".to_owned())),
            "http" | "https" => {
                let client = reqwest::Client::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .read_timeout(STALL_TIMEOUT)
                    .timeout(TIMEOUT)
                    .user_agent(concat!("sealmark/", env!("CARGO_PKG_VERSION")))
                    .redirect(Policy::limited(MAX_REDIRECTS))
                    .build()
                    .map_err(|e| network(&url, e))?;
                Ok(Self::Http { base: url, client })
            }
            other => Err(wrong(format!("{other} is none of https, http and file"))),
        }
    }

    /// The file at `path`, which is relative and written as in a URL, or `None` if there is none.
    pub(super) async fn get(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Directory(directory) => {
                // As a server does it, which never leaves its directory.
                let path = percent_decode_str(path).decode_utf8_lossy();
                let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
                if !Path::new(&*path).components().all(inside) {
                    return Ok(None);
                }
                let file = directory.join(&*path);
                let mut content = Vec::new();
                match std::fs::File::open(&file)
                    .and_then(|opened| opened.take(limit + 1).read_to_end(&mut content))
                {
                    Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
                    Err(cause) => Err(Error::file("read", file, cause)),
                    Ok(_) if content.len() as u64 > limit => Err(Error::TooLarge {
                        what: file.display().to_string(),
                        limit,
                    }),
                    Ok(_) => Ok(Some(content)),
                }
            }
            Self::Http { base, client } => {
                // Not joined as a link is, by which `//elsewhere/` would be another server.
                let url = format!("{base}{path}");
                let url = Url::parse(&url).map_err(|e| Error::Network {
                    url,
                    cause: e.to_string(),
                })?;
                download(client, &url, limit).await
            }
        }
    }
}

/// Gets a file that is at `url` and nowhere in a repository yet: a root that the user names.
pub(super) async fn get_url(url: &str, limit: u64) -> Result<Vec<u8>, Error> {
    let (base, name) = url.rsplit_once('/').unwrap_or((url, ""));
    let missing = || Error::Network {
        url: url.to_owned(),
        cause: "the server has no such file".to_owned(),
    };
    Remote::new(base)?
        .get(name, limit)
        .await?
        .ok_or_else(missing)
}

async fn download(
    client: &reqwest::Client,
    url: &Url,
    limit: u64,
) -> Result<Option<Vec<u8>>, Error> {
    let failed = |e| network(url, e);
    let mut response = client.get(url.clone()).send().await.map_err(failed)?;
    match response.status() {
        status if status.is_success() => {}
        // Storage buckets say 403 of files that are not there.
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => return Ok(None),
        status => {
            return Err(Error::Network {
                url: url.to_string(),
                cause: format!("the server answered {status}"),
            });
        }
    }
    let too_large = || Error::TooLarge {
        what: url.to_string(),
        limit,
    };
    if response
        .content_length()
        .is_some_and(|length| length > limit)
    {
        return Err(too_large());
    }
    let mut content = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if content.len() as u64 + chunk.len() as u64 > limit {
            return Err(too_large());
        }
        content.extend_from_slice(&chunk);
    }
    Ok(Some(content))
}

fn network(url: &Url, error: reqwest::Error) -> Error {
    let cause = if error.is_timeout() {
        format!(
            "no byte of the answer within {} s, or not all within {} s",
            STALL_TIMEOUT.as_secs(),
            TIMEOUT.as_secs()
        )
    } else {
        // The outer errors only repeat the URL.
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        cause.to_string()
    };
    Error::Network {
        url: url.to_string(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_is_not_left() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("repository");
        std::fs::create_dir_all(inside.join("a b")).unwrap();
        std::fs::write(folder.path().join("secret"), b"secret").unwrap();
        std::fs::write(inside.join("a b/é"), b"here").unwrap();
        let remote = Remote::Directory(inside.clone());
        for (path, found) in [
            ("a%20b/%C3%A9", true),
            ("a b/é", true),
            ("./a%20b/%C3%A9", true),
            ("a%20b/absent", false),
            ("../secret", false),
            ("..%2Fsecret", false),
            ("a%20b/../../secret", false),
            ("%2Fetc%2Fhostname", false),
            ("/etc/hostname", false),
        ] {
            let content = remote.get(path, 6).await.unwrap();
            assert_eq!(content.is_some(), found, "{path}");
        }
        let error = remote.get("a%20b/%C3%A9", 3).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 3, .. }), "{error}");
    }
}
