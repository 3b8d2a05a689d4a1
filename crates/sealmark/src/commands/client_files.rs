//! What clients need to know of a log that is served: a trusted root, and signing configurations.
//!
//! All trees of the log are in the trusted root, each with the time in which its key was in use, so that what was signed
//! before a rotation is verified after it. The signing configurations have the trees that take entries.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sealmark_formats::TrustedRoot;
use sealmark_formats::signing_config::{Selector, Service, SigningConfig};
use sealmark_formats::trusted_root::{LogInstance, TimeRange};
use sealmark_server::log::{Interface, ShardInfo, TransparencyLog, shards};
use sealmark_trust::service;
use zeroize::Zeroizing;

use super::generate_key_pair::{Overwrite, write_whole};
use super::serve::host;
use crate::error::Error;

/// The file that has where v1 is served.
const V1_CONFIG: &str = "signing_config.json";

/// Writes the files into the log's directory; `url` is where the log is served.
pub(super) fn write_client_files(
    directory: &Path,
    url: &str,
    log: &TransparencyLog,
) -> Result<[PathBuf; 3], Error> {
    write(
        directory,
        url,
        &log.shards(Interface::V1),
        &log.shards(Interface::V2),
    )
}

/// Writes the files of a log that is not served now, for where it was served last; nothing if it never was. With them
/// clients can learn of a new tree before there are entries of it.
pub(super) fn update_client_files(
    directory: &Path,
    password: &Option<Zeroizing<Vec<u8>>>,
) -> Result<Option<[PathBuf; 3]>, Error> {
    let path = directory.join(V1_CONFIG);
    let config = match std::fs::read(&path) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|cause| Error::file("read", &path, cause))?,
    };
    let config = SigningConfig::parse(&config).map_err(|error| {
        let path = path.display();
        Error::Usage(format!(
            "{path} is no signing configuration: {error}; `serve` writes it again"
        ))
    })?;
    let Some(served) = config.rekor_tlog_urls.first() else {
        return Ok(None);
    };
    let (v1, v2): (Vec<_>, Vec<_>) = shards(directory, password)?
        .into_iter()
        .partition(|shard| shard.interface == Interface::V1);
    write(directory, &served.url, &v1, &v2).map(Some)
}

fn write(
    directory: &Path,
    url: &str,
    v1: &[ShardInfo],
    v2: &[ShardInfo],
) -> Result<[PathBuf; 3], Error> {
    let instances = v1.iter().chain(v2).map(|shard| instance(shard, url));
    let root = TrustedRoot {
        tlogs: instances.collect::<Result<_, _>>()?,
        ..TrustedRoot::empty()
    };
    let config = |shards: &[ShardInfo], version| SigningConfig {
        rekor_tlog_urls: shards
            .last()
            .map(|shard| Service {
                url: url_of(shard, url),
                major_api_version: version,
                valid_for: valid_for(shard),
                operator: shard.host.clone(),
            })
            .into_iter()
            .collect(),
        rekor_tlog_config: Some(Selector::Any),
        ..SigningConfig::default()
    };
    let files = [
        ("trusted_root.json", root.to_json()),
        (V1_CONFIG, config(v1, 1).to_json()),
        ("signing_config_rekor_v2.json", config(v2, 2).to_json()),
    ];
    let mut written = Vec::new();
    for (name, json) in files {
        let path = directory.join(name);
        write_whole(&path, &json, 0o644, Overwrite::Yes)?;
        written.push(path);
    }
    let [root, v1, v2] = written.try_into().expect("there are three files");
    Ok([root, v1, v2])
}

fn instance(shard: &ShardInfo, url: &str) -> Result<LogInstance, Error> {
    let key = &shard.public_key;
    let pem = std::fs::read(key).map_err(|cause| Error::file("read", key, cause))?;
    let origin = (shard.interface == Interface::V2).then_some(shard.host.as_str());
    let from = key.display().to_string();
    Ok(service::log(
        &from,
        &pem,
        &url_of(shard, url),
        origin,
        valid_for(shard),
    )?)
}

/// When the tree takes entries. Clients compare it with times that are cut to seconds, and so is the end.
fn valid_for(shard: &ShardInfo) -> TimeRange {
    let time = |seconds: u64| Timestamp::from_second(i64::try_from(seconds).ok()?).ok();
    TimeRange {
        start: time(shard.created),
        end: shard.frozen.and_then(time),
    }
}

/// Where clients find a tree: where the log is served, if it has that name; what was said when the tree was made; or the
/// place where the log is served, by the tree's name.
fn url_of(shard: &ShardInfo, served: &str) -> String {
    let name = host(served).unwrap_or_default();
    match &shard.url {
        _ if shard.host.eq_ignore_ascii_case(name) => served.to_owned(),
        Some(url) => url.clone(),
        None => with_host(served, name, &shard.host),
    }
}

/// A URL with another host.
fn with_host(url: &str, from: &str, to: &str) -> String {
    let brackets = |host: &str| match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    };
    url.replacen(
        &format!("//{}", brackets(from)),
        &format!("//{}", brackets(to)),
        1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_found_where_it_is_served() {
        let shard = |host: &str, url: Option<&str>| ShardInfo {
            interface: Interface::V2,
            tree: "v2".to_owned(),
            host: host.to_owned(),
            url: url.map(str::to_owned),
            tree_id: None,
            public_key: PathBuf::new(),
            created: 1,
            frozen: None,
            size: 0,
            first: 0,
        };
        for (host, url, served, found) in [
            ("a.example", None, "https://a.example", "https://a.example"),
            (
                "a.example",
                Some("https://a.example:1"),
                "https://a.example:2",
                "https://a.example:2",
            ),
            (
                "b.example",
                Some("https://b.example:1"),
                "https://a.example:2",
                "https://b.example:1",
            ),
            (
                "b.example",
                None,
                "https://a.example:2",
                "https://b.example:2",
            ),
            ("::1", None, "http://127.0.0.1:2", "http://[::1]:2"),
            ("localhost", None, "http://[::1]:2", "http://localhost:2"),
        ] {
            assert_eq!(
                url_of(&shard(host, url), served),
                found,
                "{host} {url:?} {served}"
            );
        }
    }
}
