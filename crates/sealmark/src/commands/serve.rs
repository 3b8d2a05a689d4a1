//! `serve`: run Sigstore's services: a whole private instance, or some of its services, or a witness of logs.

mod backup;
mod check;
mod hash_password;
mod instance;
pub(crate) mod keys;
mod only;
mod parts;
pub(crate) mod password;
mod reloading;
pub(crate) mod revocations;
mod rotate;
mod status;
mod turn;
mod witness;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sealmark_server::instance::follow_feed;
use sealmark_server::log::{Duplicates, MAX_ATTESTATION, Options, TransparencyLog};
use sealmark_server::ops::Server;
use tokio::net::TcpListener;

use self::only::{Only, Which};
pub(crate) use self::password::Password;
use self::password::PasswordFlags;
use self::reloading::{Files, Reloading, users_file};
use self::turn::Turn;
use super::client_files::write_client_files;
use super::operations::OperationFlags;
use super::registry::stop_signal;
use crate::error::Error;
use crate::flags::size;
use crate::terminal::Terminal;

/// What is done with an instance besides serving it.
#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Say what is wrong with a configuration, and what may not be meant
    Check(check::Arguments),
    /// Write the lines of the --dev-users file for a password, which is read from standard input or asked for
    HashPassword(hash_password::Arguments),
    /// Give a service new keys, while the instance is stopped; what was signed with the old ones stays good
    Rotate(rotate::Arguments),
    /// Give the private keys another password, or have a key in a KMS wrap it, while the instance is stopped
    Password(password::Arguments),
    /// Copy an instance, which may be served meanwhile
    Backup(backup::Arguments),
    /// What the feed of revocations has, which everybody gets who trusts the TUF repository
    Revocations(revocations::Arguments),
    /// Say when certificates, keys, trees and TUF metadata end, and warn of what ends within 30 days
    Status(status::Arguments),
}

/// Flags.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    server: ServerArguments,
}

/// What `serve` alone has.
#[derive(clap::Args, Debug)]
pub(crate) struct ServerArguments {
    /// Run these services only, not a whole instance; may be repeated, or be a list: ca,ct
    #[arg(long, value_enum, value_name = "SERVICE", value_delimiter = ',')]
    only: Vec<Which>,
    /// Directory with all that the services keep, keys included; it is made if it does not exist
    // Only an action, which has one of its own, goes without it.
    #[arg(long, value_name = "DIR", required = true)]
    dir: Option<PathBuf>,
    /// Make the directory with its keys and certificates, say what other services and clients need of it, and end
    #[arg(long, requires = "only")]
    prepare: bool,
    /// Address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    listen: String,
    /// URL that clients use, if there is a proxy before it; its host becomes the log's name, for good
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Keep the payloads of in-toto attestations that are logged over v1, and show them to everyone who reads the entries
    #[arg(long)]
    store_attestations: bool,
    /// The longest payload that is kept; an entry with a longer one is logged without it
    #[arg(
        long,
        value_name = "SIZE", value_parser = attestation_size,
        default_value = "100KiB",
        requires = "store_attestations"
    )]
    max_attestation_size: usize,
    /// What who sends an entry over v2 that the log has already is told: 409 and its index, as Rekor does, or the entry
    #[arg(
        long,
        value_enum,
        value_name = "refuse|return",
        default_value = "refuse"
    )]
    v2_duplicates: WithDuplicates,
    #[command(flatten)]
    password: PasswordFlags,
    #[command(flatten)]
    keys: keys::KeyFlags,
    #[command(flatten)]
    instance: instance::InstanceFlags,
    #[command(flatten)]
    parts: parts::PartFlags,
    #[command(flatten)]
    witness: witness::WitnessFlags,
    #[command(flatten)]
    operation: OperationFlags,
}

/// What becomes of an entry that the log has already.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum WithDuplicates {
    /// It is refused
    Refuse,
    /// The one that the log has is given
    Return,
}

/// The size of an attestation that may be kept, in bytes.
fn attestation_size(text: &str) -> Result<usize, String> {
    let size = size(text).and_then(|size| usize::try_from(size).ok());
    size.filter(|size| *size <= MAX_ATTESTATION).ok_or_else(|| {
        format!(
            "it must be a size of at most {} MiB, e.g. 100KiB",
            MAX_ATTESTATION >> 20
        )
    })
}

/// Serves until SIGINT or SIGTERM, or does what the subcommand says.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    match arguments.action {
        Some(Action::Check(arguments)) => check::run(arguments, terminal).await,
        Some(Action::HashPassword(arguments)) => hash_password::run(&arguments, terminal),
        Some(Action::Rotate(arguments)) => rotate::run(arguments, terminal).await,
        Some(Action::Password(arguments)) => password::run(arguments, terminal).await,
        Some(Action::Backup(arguments)) => backup::run(arguments, terminal).await,
        Some(Action::Revocations(arguments)) => revocations::run(arguments, terminal).await,
        Some(Action::Status(arguments)) => status::run(arguments, terminal).await,
        None => serve(arguments.server, terminal).await,
    }
}

/// Works on files, off the threads of the runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    // The task is not cancelled; if it panicked, so may this one.
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

async fn serve(arguments: ServerArguments, terminal: &mut Terminal) -> Result<(), Error> {
    let only = Only::of(&arguments.only)?;
    let instance = &arguments.instance;
    let places = arguments.keys.places(&only)?;
    arguments.witness.check(&only)?;
    instance.check(&only)?;
    let parts = &arguments.parts;
    parts.check(only.parts(), instance, arguments.prepare)?;
    if arguments.prepare && only.parts().is_none() {
        return Err(Error::Usage(
            "--prepare is for services of an instance, such as --only ca: a log or a witness alone needs nothing of others"
                .to_owned(),
        ));
    }
    if arguments.prepare && arguments.url.is_none() && arguments.listen.ends_with(":0") {
        return Err(Error::Usage(
            "what is prepared is known by its URL for good: give --url, or --listen with the port that it will have"
                .to_owned(),
        ));
    }
    let given = arguments.dir.as_deref().unwrap_or_else(|| Path::new("."));
    let directory =
        std::path::absolute(given).map_err(|cause| Error::file("find", given, cause))?;
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
    // An issuer alone has the directory to itself.
    let issuer_folder = match &only {
        Only::Parts(parts) if parts.len() == 1 => directory.clone(),
        _ => directory.join("oidc"),
    };
    instance.check_reach(&only, &issuer_folder, &url, address)?;
    let files = Files {
        config: instance.config.clone(),
        users: users_file(instance.dev_users.as_deref(), &issuer_folder),
    };
    let server_options = operation.options(address, terminal)?;
    let is_first = std::fs::read_dir(&directory).map_or(true, |mut files| files.next().is_none());
    let password = arguments.password.first(&directory, &url, terminal).await?;
    keys::install(&password, terminal);
    if is_first && password.is_none() {
        operation.note(
            terminal,
            format!("the private keys are not encrypted: the mode of their files alone protects them. With --password-file or --password-kms at the first start, or {}, they are", password::FILE_VARIABLE),
        );
    }
    let metrics = operation.metrics(terminal).await?;
    if let Only::Witness = only {
        let witness = arguments
            .witness
            .open(&directory, &url, password, operation, terminal)
            .await?;
        let reloading = Reloading::of_nothing(operation)?;
        operation.note(terminal, "witness ready; Ctrl-C stops it");
        let server = Server::new(server_options).with(witness.service());
        server.serve(listener, metrics, stopped).await;
        drop(reloading);
        operation.note(terminal, "witness stopped");
        return Ok(());
    }
    let options = Options {
        password: password.clone(),
        attestations: arguments
            .store_attestations
            .then_some(arguments.max_attestation_size),
        duplicates: match arguments.v2_duplicates {
            WithDuplicates::Refuse => Duplicates::Refuse,
            WithDuplicates::Return => Duplicates::Return,
        },
        keys: [places.log.clone(), places.log_v2.clone()],
        ..Options::new(host(&url)?)
    };
    if let Only::Everything = only {
        let opened = instance
            .open(&directory, &url, places, options, operation, terminal)
            .await?;
        let witness = &arguments.witness;
        witness
            .join(&opened.log, &directory, &url, password, operation, terminal)
            .await?;
        let turn = Turn::at(opened.turns_at);
        let stopped = opened.ca.ending(opened.log.ending(turn.or(stopped)));
        // Signs its metadata anew long before it expires, for as long as this process runs.
        let fresh = tokio::spawn(opened.tuf.clone().keep_fresh(std::future::pending()));
        let (tuf, folder) = (opened.tuf.clone(), directory.clone());
        let feed = tokio::spawn(async move {
            follow_feed(tuf, &folder, std::future::pending()).await;
        });
        let server = opened.server(server_options);
        let (ca, issuer) = (Some(&opened.ca), opened.dev_issuer.as_ref());
        let (server, reloading) = files.follow(ca, issuer, server, operation)?;
        operation.note(terminal, "ready; Ctrl-C stops it");
        server.serve(listener, metrics, stopped).await;
        fresh.abort();
        feed.abort();
        drop((reloading, opened));
        return turn.or_stop(&arguments.listen, operation, terminal);
    }
    if let Only::Parts(parts) = &only {
        let opened = arguments
            .parts
            .open(
                parts, &directory, &url, places, options, instance, operation, terminal,
            )
            .await?;
        if arguments.prepare {
            return Ok(());
        }
        if let Some(log) = &opened.log {
            let witness = &arguments.witness;
            witness
                .join(log, &directory, &url, password, operation, terminal)
                .await?;
        }
        let turn = Turn::at(opened.turns_at);
        let stopped = opened.ending(turn.or(stopped));
        let mut tasks = Vec::new();
        if let (Some(tuf), Some(targets)) = (&opened.tuf, arguments.parts.tuf_targets()) {
            tasks.push(tokio::spawn(tuf.clone().keep_fresh(std::future::pending())));
            let tuf = tuf.clone();
            tasks.push(tokio::spawn(async move {
                tuf.follow_folder(&targets, std::future::pending()).await;
            }));
        }
        let server = opened.server(server_options);
        let (ca, issuer) = (opened.ca.as_ref(), opened.dev_issuer.as_ref());
        let (server, reloading) = files.follow(ca, issuer, server, operation)?;
        let ready = format!("ready, listening on {address}; Ctrl-C stops it");
        operation.note(terminal, ready);
        server.serve(listener, metrics, stopped).await;
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        drop((reloading, opened));
        return turn.or_stop(&arguments.listen, operation, terminal);
    }
    let folder = directory.clone();
    let log = blocking(move || Ok(TransparencyLog::open(&folder, options)?)).await?;
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
    let witness = &arguments.witness;
    witness
        .join(&log, &directory, &url, password, operation, terminal)
        .await?;
    let reloading = Reloading::of_nothing(operation)?;
    operation.note(terminal, "log ready; Ctrl-C stops it");
    let server = Server::new(server_options).with(log.service());
    let stopped = log.ending(stopped);
    // The server has the log from here on; with it the log ends.
    drop(log);
    server.serve(listener, metrics, stopped).await;
    drop(reloading);
    operation.note(terminal, "log stopped");
    Ok(())
}

/// The URL that clients use: what was given, or the address.
fn url(given: Option<&str>, scheme: &str, address: SocketAddr) -> Result<String, Error> {
    match given {
        Some(given) => Ok(given.trim_end_matches('/').to_owned()),
        None if address.ip().is_unspecified() => Err(Error::Usage(format!(
            "clients cannot use {address}: say with --url how they reach the service, e.g. --url https://rekor.example.com"
        ))),
        None => Ok(format!("{scheme}://{address}")),
    }
}

/// The host of a URL, without port and brackets: what clients take for the name of a log (`Hostname` of Go's URLs).
pub(super) fn host(url: &str) -> Result<&str, Error> {
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
    fn attestations_that_are_kept_have_a_bound() {
        for (text, bytes) in [
            ("100KiB", Some(102_400)),
            ("4096", Some(4096)),
            ("4MiB", Some(4 << 20)),
            ("5MiB", None),
            ("-1", None),
        ] {
            assert_eq!(attestation_size(text).ok(), bytes, "{text}");
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
