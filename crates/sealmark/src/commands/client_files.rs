//! What clients need to know of a log, or of a whole instance, that is served: a trusted root, and signing configurations.
//!
//! All trees of the log are in the trusted root, each with the time in which its key was in use, so that what was signed
//! before a rotation is verified after it. The signing configurations have the trees that take entries.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sealmark_formats::TrustedRoot;
use sealmark_formats::revocation_feed::FEED_TARGET;
use sealmark_formats::signing_config::{Selector, Service, SigningConfig};
use sealmark_formats::trusted_root::{LogInstance, TimeRange};
use sealmark_server::instance::{Instance, Lasting, feed};
use sealmark_server::log::{Interface, ShardInfo, TransparencyLog, shards};
use sealmark_trust::service;
use sealmark_x509::Certificate;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::generate_key_pair::{Overwrite, write_whole};
use super::serve::host;
use crate::error::Error;

/// Where timestamps are asked for.
const TSA_PATH: &str = "/api/v1/timestamp";
/// The file that has where v1 is served.
const V1_CONFIG: &str = "signing_config.json";

/// The services beside the log, as clients need to know them.
struct Authorities<'a> {
    instance: &'a Instance,
    /// Where people log in, if that is known.
    oidc: Option<String>,
}

/// Writes the files of a whole instance, at `url`, with those that cosign 2 reads from its variables, and publishes them in
/// its TUF repository. All generations of all keys are in the trusted root; the other files have what signs now.
///
/// It waits until files are durable.
pub(super) fn publish_instance(
    directory: &Path,
    url: &str,
    instance: &Instance,
    oidc: Option<String>,
) -> Result<(), Error> {
    let log = &instance.log;
    let (v1, v2) = (log.shards(Interface::V1), log.shards(Interface::V2));
    let authorities = Authorities { instance, oidc };
    let [root, config, config_v2] = write(directory, url, &v1, &v2, Some(&authorities))?;
    let read = |path: &Path| std::fs::read(path).map_err(|cause| Error::file("read", path, cause));
    let json = |bytes: &[u8]| serde_json::from_slice::<Box<RawValue>>(bytes).ok();
    let pem = |chain: &[Certificate]| chain.iter().map(Certificate::to_pem).collect::<String>();
    let (root, config_v2) = (read(&root)?, read(&config_v2)?);
    let config = read(&config)?;
    let trust = format!(
        "{{\"mediaType\":\"application/vnd.dev.sigstore.clienttrustconfig.v0.1+json\",\"trustedRoot\":{},\"signingConfig\":{}}}\n",
        json(&root).expect("it was just written").get(),
        json(&config_v2).expect("it was just written").get(),
    );
    let rekor = read(&log.public_key_v1())?;
    // cosign 2 takes any number of certificates there, and looks for the issuer among them; the newest come first.
    let mut cas: Vec<Certificate> = Vec::new();
    for certificate in instance.ca_chains.iter().rev().flat_map(|chain| &chain.it) {
        if cas.iter().all(|other| other.der() != certificate.der()) {
            cas.push(certificate.clone());
        }
    }
    for (name, content) in [
        ("trust_config.json", trust.as_bytes()),
        ("fulcio.pem", pem(&cas).as_bytes()),
        ("ctfe.pub", instance.ct.public_key().to_pem().as_bytes()),
        ("rekor.pub", &rekor),
        ("tsa.pem", pem(instance.tsa.chain()).as_bytes()),
        ("root.json", &instance.tuf.first_root()),
    ] {
        write_whole(&directory.join(name), content, 0o644, Overwrite::Yes)?;
    }
    // By the names that the public instance has for them.
    instance.tuf.publish(&[
        ("trusted_root.json", root),
        ("signing_config.v0.2.json", config),
        ("signing_config_rekor_v2.v0.2.json", config_v2),
        (FEED_TARGET, feed(directory)?.to_json()),
    ])?;
    Ok(())
}

/// Where people log in, by the files of an instance that is not served now.
pub(super) fn known_oidc(directory: &Path) -> Option<String> {
    let config = std::fs::read(directory.join(V1_CONFIG)).ok()?;
    let config = SigningConfig::parse(&config).ok()?;
    config.oidc_urls.into_iter().next().map(|oidc| oidc.url)
}

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
        None,
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
    write(directory, &served.url, &v1, &v2, None).map(Some)
}

fn write(
    directory: &Path,
    url: &str,
    v1: &[ShardInfo],
    v2: &[ShardInfo],
    authorities: Option<&Authorities<'_>>,
) -> Result<[PathBuf; 3], Error> {
    let instances = v1.iter().chain(v2).map(|shard| instance(shard, url));
    let mut root = TrustedRoot {
        tlogs: instances.collect::<Result<_, _>>()?,
        ..TrustedRoot::empty()
    };
    let mut services = SigningConfig::default();
    if let Some(its) = authorities {
        let valid_for = TimeRange {
            start: time(its.instance.created),
            end: None,
        };
        let tsa_url = format!("{url}{TSA_PATH}");
        for chain in &its.instance.ca_chains {
            let entry = service::certificate_authority("the CA", &chain.it, url, lasts(chain))?;
            root.certificate_authorities.push(entry);
        }
        for log in &its.instance.ct_keys {
            let (path, key) = &log.it;
            let (pem, url) = (key.to_pem(), format!("{url}{path}"));
            let entry = service::log("the CT log", pem.as_bytes(), &url, None, lasts(log))?;
            root.ctlogs.push(entry);
        }
        for chain in &its.instance.tsa_chains {
            let from = "the timestamp authority";
            let entry = service::timestamp_authority(from, &chain.it, &tsa_url, lasts(chain))?;
            root.timestamp_authorities.push(entry);
        }
        let served = |url: &str| Service {
            url: url.to_owned(),
            major_api_version: 1,
            valid_for,
            operator: host(url).unwrap_or_default().to_owned(),
        };
        services.ca_urls.push(served(url));
        services
            .oidc_urls
            .extend(its.oidc.iter().map(|oidc| Service {
                url: oidc.clone(),
                ..served(url)
            }));
        services.tsa_urls.push(Service {
            url: tsa_url,
            ..served(url)
        });
        services.tsa_config = Some(Selector::Any);
    }
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
        ..services.clone()
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
    TimeRange {
        start: time(shard.created),
        end: shard.frozen.and_then(time),
    }
}

/// When clients believe something.
fn lasts<T>(it: &Lasting<T>) -> TimeRange {
    TimeRange {
        start: time(it.since),
        end: it.until.and_then(time),
    }
}

fn time(seconds: u64) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
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
