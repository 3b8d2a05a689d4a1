//! One file per command: its flags, and a function `run` that calls the crate that does it and prints what came of it.

pub(crate) mod attach;
pub(crate) mod attest;
pub(crate) mod attest_blob;
pub(crate) mod bundle;
pub(crate) mod clean;
mod client_files;
pub(crate) mod completion;
pub(crate) mod copy;
mod cosign_output;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod download;
pub(crate) mod explain;
pub(crate) mod generate_key_pair;
pub(crate) mod image_lists;
pub(crate) mod import_key_pair;
pub(crate) mod initialize;
pub(crate) mod inspect;
pub(crate) mod load;
pub(crate) mod log;
pub(crate) mod login;
pub(crate) mod man;
pub(crate) mod operations;
pub(crate) mod promote;
mod promotions;
pub(crate) mod provenance;
pub(crate) mod public_key;
pub(crate) mod registry;
pub(crate) mod revoke;
pub(crate) mod save;
pub(crate) mod sbom;
pub(crate) mod serve;
pub(crate) mod sign;
pub(crate) mod sign_blob;
pub(crate) mod signing_config;
pub(crate) mod token;
pub(crate) mod tree;
pub(crate) mod triangulate;
pub(crate) mod trusted_root;
pub(crate) mod upload;
pub(crate) mod verify;
pub(crate) mod verify_attestation;
pub(crate) mod verify_blob;
pub(crate) mod verify_blob_attestation;
mod verify_file;
mod verify_images;
pub(crate) mod version;

use std::sync::PoisonError;
use std::time::Duration;

use crate::app::{App, Command};
use crate::error::Error;
use crate::terminal::Terminal;

/// A request has the same bound as the command, and its error says more: whom it waited for. It comes first.
const GRACE: Duration = Duration::from_millis(500);

/// `--timeout`, where it is not given.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(180);

/// Runs the command within its time.
pub(crate) async fn run(app: App, terminal: &mut Terminal) -> Result<(), Error> {
    let timeout = app.global.timeout;
    // These run until they are told to stop, or are done when they are done.
    let unbounded = timeout.is_zero()
        || match &app.command {
            Command::Registry(_) | Command::Serve(_) | Command::Demo(_) => true,
            // Each of its checks has a bound of its own, so that what hangs is told with the rest.
            Command::Doctor(_) => true,
            Command::Log(arguments) => arguments.is_unbounded(),
            // A large image takes its time; each step on the way has a bound of its own.
            Command::Copy(_) | Command::Save(_) | Command::Load(_) | Command::Promote(_) => {
                timeout == DEFAULT_TIMEOUT
            }
            _ => false,
        };
    let last_request = terminal.last_request();
    let work = dispatch(app.command, terminal);
    if unbounded {
        return work.await;
    }
    tokio::time::timeout(timeout.saturating_add(GRACE), work)
        .await
        .unwrap_or_else(|_| {
            let last = last_request.lock();
            Err(Error::Timeout {
                after: timeout,
                last_request: last.unwrap_or_else(PoisonError::into_inner).clone(),
            })
        })
}

async fn dispatch(command: Command, terminal: &mut Terminal) -> Result<(), Error> {
    match command {
        Command::GenerateKeyPair(arguments) => generate_key_pair::run(arguments, terminal).await,
        Command::ImportKeyPair(arguments) => import_key_pair::run(arguments, terminal).await,
        Command::PublicKey(arguments) => public_key::run(arguments, terminal).await,
        Command::Sign(arguments) => sign::run(arguments, terminal).await,
        Command::Verify(arguments) => verify::run(arguments, terminal).await,
        Command::Revoke(arguments) => revoke::run(arguments, terminal).await,
        Command::Doctor(arguments) => doctor::run(arguments, terminal).await,
        Command::Attest(arguments) => attest::run(arguments, terminal).await,
        Command::AttestBlob(arguments) => attest_blob::run(arguments, terminal).await,
        Command::SignBlob(arguments) => sign_blob::run(arguments, terminal).await,
        Command::VerifyBlob(arguments) => verify_blob::run(arguments, terminal).await,
        Command::VerifyAttestation(arguments) => verify_attestation::run(arguments, terminal).await,
        Command::VerifyBlobAttestation(arguments) => {
            verify_blob_attestation::run(arguments, terminal).await
        }
        Command::Provenance(arguments) => provenance::run(arguments, terminal).await,
        Command::Download(arguments) => download::run(arguments, terminal).await,
        Command::Attach(arguments) => attach::run(arguments, terminal).await,
        Command::Upload(arguments) => upload::run(arguments, terminal).await,
        Command::Bundle(arguments) => bundle::run(arguments, terminal).await,
        Command::Manifest(arguments) => image_lists::manifest(arguments, terminal).await,
        Command::Dockerfile(arguments) => image_lists::dockerfile(arguments, terminal).await,
        Command::Tree(arguments) => tree::run(arguments, terminal).await,
        Command::Sbom(arguments) => sbom::run(arguments, terminal).await,
        Command::Explain(arguments) => explain::run(arguments, terminal).await,
        Command::Inspect(arguments) => inspect::run(arguments, terminal).await,
        Command::Triangulate(arguments) => triangulate::run(&arguments, terminal).await,
        Command::Copy(arguments) => copy::run(arguments, terminal).await,
        Command::Save(arguments) => save::run(arguments, terminal).await,
        Command::Load(arguments) => load::run(arguments, terminal).await,
        Command::Promote(arguments) => promote::run(*arguments, terminal).await,
        Command::Clean(arguments) => clean::run(arguments, terminal).await,
        Command::Initialize(arguments) => initialize::run(arguments, terminal).await,
        Command::TrustedRoot(arguments) => trusted_root::run(arguments, terminal).await,
        Command::SigningConfig(arguments) => signing_config::run(arguments, terminal).await,
        Command::Token(arguments) => token::run(arguments, terminal).await,
        Command::Login(arguments) => login::run(arguments, terminal).await,
        Command::Log(arguments) => log::run(arguments, terminal).await,
        Command::Registry(arguments) => registry::run(arguments, terminal).await,
        Command::Serve(arguments) => serve::run(arguments, terminal).await,
        Command::Demo(arguments) => demo::run(arguments, terminal).await,
        Command::Completion(arguments) => completion::run(&arguments, terminal),
        Command::Man(arguments) => man::run(&arguments, terminal),
        Command::Version(arguments) => version::run(&arguments, terminal),
    }
}
