//! `registry`: run a small registry on this machine.

use std::io;
use std::path::PathBuf;

use sealmark_server::registry::{Options, Registry};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::Error;
use crate::terminal::Terminal;

/// The password for `--basic-user`. Not a flag: other users of a machine can see those.
const PASSWORD_VARIABLE: &str = "SEALMARK_REGISTRY_PASSWORD";

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Directory that the registry is kept in; it is made if it does not exist
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000")]
    listen: String,
    /// Be like a registry without the referrers API
    #[arg(long)]
    no_referrers: bool,
    /// Refuse everything that changes the registry
    #[arg(long)]
    read_only: bool,
    /// Ask every client for this user name, and for the password in SEALMARK_REGISTRY_PASSWORD
    #[arg(long, value_name = "NAME")]
    basic_user: Option<String>,
}

/// Serves until SIGINT or SIGTERM.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let options = Options {
        referrers: !arguments.no_referrers,
        read_only: arguments.read_only,
        basic: arguments.basic()?,
        ..Options::default()
    };
    let protected = options.basic.is_some();
    let directory = std::path::absolute(&arguments.dir)
        .map_err(|cause| Error::file("find", &arguments.dir, cause))?;
    // What goes wrong on the disk is told to the operator; a client gets a message without paths.
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_target(false)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    let registry = Registry::open_with(&directory, options)?;
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
    terminal.note(format!("registry listening on http://{address}"));
    terminal.note(format!(
        "kept in {}; meant for tests, demos and air-gapped transfer; Ctrl-C stops it",
        directory.display()
    ));
    if !address.ip().is_loopback() {
        terminal.warn(format!(
            "{address} can be reached from other machines: {} over plain HTTP; put a server with TLS in front of it",
            match (protected, arguments.read_only) {
                (true, _) => "the password goes",
                (false, true) => "everyone can pull",
                (false, false) => "everyone can push, pull and delete",
            }
        ));
    }
    registry.serve(listener, stopped).await;
    terminal.note("registry stopped");
    Ok(())
}

impl Arguments {
    fn basic(&self) -> Result<Option<(String, String)>, Error> {
        let Some(user) = &self.basic_user else {
            return Ok(None);
        };
        match std::env::var(PASSWORD_VARIABLE) {
            Ok(password) if !password.is_empty() => Ok(Some((user.clone(), password))),
            _ => Err(Error::Usage(format!(
                "--basic-user needs the password in the environment variable {PASSWORD_VARIABLE}"
            ))),
        }
    }
}

/// Completes when the process is told to stop. The handlers are there when this returns.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()>, Error> {
    let listen = |kind| {
        signal(kind).map_err(|cause| Error::Stream {
            action: "listen for signals",
            cause,
        })
    };
    let (mut interrupt, mut terminate) = (
        listen(SignalKind::interrupt())?,
        listen(SignalKind::terminate())?,
    );
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
