//! `serve`: run Sigstore's services. Today that is the transparency log.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sealmark_formats::TrustedRoot;
use sealmark_formats::signing_config::{Selector, Service, SigningConfig};
use sealmark_formats::trusted_root::{LogInstance, TimeRange};
use sealmark_server::log::{Options, TransparencyLog};
use sealmark_server::ops::Server;
use sealmark_trust::service;
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use super::generate_key_pair::{Overwrite, write_whole};
use super::operations::OperationFlags;
use super::registry::stop_signal;
use crate::error::Error;
use crate::terminal::Terminal;

/// The password for the keys. Not a flag: other users of a machine can see those.
const PASSWORD_VARIABLE: &str = "SEALMARK_LOG_PASSWORD";

/// A service.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Which {
    /// The transparency log
    Log,
}

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Run this service only; the others are not there yet
    #[arg(long, value_enum, value_name = "SERVICE", required = true)]
    only: Which,
    /// Directory with all that the service keeps, keys included; it is made if it does not exist
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    listen: String,
    /// URL that clients use, if there is a proxy before it; its host becomes the log's name, for good
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    operation: OperationFlags,
}

/// Serves until SIGINT or SIGTERM.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let Which::Log = arguments.only;
    let directory = std::path::absolute(&arguments.dir)
        .map_err(|cause| Error::file("find", &arguments.dir, cause))?;
    let operation = &arguments.operation;
    operation.start_log();
    let stopped = stop_signal()?;
    let cannot_listen = |cause: io::Error| {
        Error::Usage(format!(
            "cannot listen on {}: {cause}; give another address with --listen, e.g. 127.0.0.1:0 for any free port",
            arguments.listen
        ))
    };
    let listener = TcpListener::bind(&arguments.listen)
        .await
        .map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    let url = url(arguments.url.as_deref(), operation.scheme(), address)?;
    let server_options = operation.options(address, terminal)?;
    let metrics = operation.metrics(terminal).await?;
    let options = Options {
        host: host(&url)?.to_owned(),
        password: password()?,
    };
    let encrypted = options.password.is_some();
    let folder = directory.clone();
    let opened = tokio::task::spawn_blocking(move || TransparencyLog::open(&folder, options)).await;
    // The task is not cancelled; if it panicked, so may this one.
    let log = opened.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    let files = write_client_files(&directory, &url, &log)?;
    let note = |text: String| operation.note(terminal, text);
    note(format!(
        "transparency log at {url} (listening on {address})"
    ));
    note(format!(
        "public key {}; tree {}",
        log.public_key_v1().display(),
        log.tree_id()
    ));
    note(format!(
        "for clients: {}",
        files
            .iter()
            .map(|file| file.display().to_string())
            .collect::<Vec<_>>()
            .join(", ")
    ));
    if !encrypted {
        terminal.detail(format!(
            "the private keys are protected by the mode of their files alone; with {PASSWORD_VARIABLE} at the first start they are encrypted"
        ));
    }
    note("log ready; Ctrl-C stops it".to_owned());
    let server = Server::new(server_options).with(log.service());
    // The server has the log from here on; with it the log ends.
    drop(log);
    server.serve(listener, metrics, stopped).await;
    note("log stopped".to_owned());
    Ok(())
}

/// The URL that clients use: what was given, or the address.
fn url(given: Option<&str>, scheme: &str, address: SocketAddr) -> Result<String, Error> {
    match given {
        Some(given) => Ok(given.trim_end_matches('/').to_owned()),
        None if address.ip().is_unspecified() => Err(Error::Usage(format!(
            "clients cannot use {address}: say with --url how they reach the log, e.g. --url https://rekor.example.com"
        ))),
        None => Ok(format!("{scheme}://{address}")),
    }
}

/// The host of a URL, without port and brackets: what clients take for the name of a log (`Hostname` of Go's URLs).
fn host(url: &str) -> Result<&str, Error> {
    let wrong = || {
        Error::Usage(format!(
            "{url:?} is not the URL of a log: it must be http:// or https:// and a host, with a port if need be, and nothing else"
        ))
    };
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .ok_or_else(wrong)?;
    if rest.contains(['/', '?', '#', '@', ' ']) {
        return Err(wrong());
    }
    let host = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(host, _)| host),
        None => rest.split(':').next(),
    };
    host.filter(|host| !host.is_empty()).ok_or_else(wrong)
}

fn password() -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    match std::env::var(PASSWORD_VARIABLE) {
        Ok(password) if password.is_empty() => Err(Error::Usage(format!(
            "{PASSWORD_VARIABLE} is empty: unset it, or give a password"
        ))),
        Ok(password) => Ok(Some(Zeroizing::new(password.into_bytes()))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Error::Usage(format!("{PASSWORD_VARIABLE} is not Unicode")))
        }
    }
}

/// Writes what clients need to know of the log.
fn write_client_files(
    directory: &Path,
    url: &str,
    log: &TransparencyLog,
) -> Result<[PathBuf; 3], Error> {
    let created = i64::try_from(log.created()).ok();
    let valid_for = TimeRange {
        start: created.and_then(|seconds| Timestamp::from_second(seconds).ok()),
        end: None,
    };
    let instance = |key: PathBuf, origin: Option<&str>| -> Result<LogInstance, Error> {
        let pem = std::fs::read(&key).map_err(|cause| Error::file("read", &key, cause))?;
        let from = key.display().to_string();
        Ok(service::log(&from, &pem, url, origin, valid_for)?)
    };
    let root = TrustedRoot {
        tlogs: vec![
            instance(log.public_key_v1(), None)?,
            instance(log.public_key_v2(), Some(log.host()))?,
        ],
        ..TrustedRoot::empty()
    };
    let config = |version| SigningConfig {
        rekor_tlog_urls: vec![Service {
            url: url.to_owned(),
            major_api_version: version,
            valid_for,
            operator: log.host().to_owned(),
        }],
        rekor_tlog_config: Some(Selector::Any),
        ..SigningConfig::default()
    };
    let files = [
        ("trusted_root.json", root.to_json()),
        ("signing_config.json", config(1).to_json()),
        ("signing_config_rekor_v2.json", config(2).to_json()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_named_by_the_host_of_its_url() {
        for (url, name) in [
            ("https://rekor.example.com", Some("rekor.example.com")),
            ("http://127.0.0.1:3000", Some("127.0.0.1")),
            ("http://[::1]:3000", Some("::1")),
            ("rekor.example.com", None),
            ("https://", None),
            ("https://rekor.example.com/log", None),
            ("https://me@rekor.example.com", None),
        ] {
            assert_eq!(host(url).ok(), name, "{url}");
        }
    }

    #[test]
    fn who_listens_on_every_address_must_say_the_url() {
        let anywhere = "0.0.0.0:3000".parse().unwrap();
        assert!(
            url(None, "https", anywhere)
                .unwrap_err()
                .to_string()
                .contains("--url")
        );
        let given = url(Some("https://rekor.example.com/"), "http", anywhere).unwrap();
        assert_eq!(given, "https://rekor.example.com");
    }
}
