//! `demo`: three stories of a supply chain, on this machine alone.
//!
//! Two registries, a stand-in for a cloud's KMS and a private Sigstore in this process, images made here, and the very
//! commands that a user would type, run as processes of their own, which have nothing of the user's settings. Every
//! step states what must come of it; if something else does, the demo fails.

mod attacks;
mod images;
mod keyless;
mod kms_key;
mod promotion;
mod services;
mod stage;

use std::path::{Path, PathBuf};
use std::time::Instant;

use sealmark_oci::{Client, Options};

use self::services::{Kms, Registry, Sigstore};
use self::stage::Stage;
use crate::error::Error;
use crate::terminal::Terminal;

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Play in this folder, which must be empty or not exist, and leave it there; without it nothing is left
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Everything that runs while the demo does.
struct World {
    public: Registry,
    internal: Registry,
    kms: Kms,
    sigstore: Option<Sigstore>,
    client: Client,
}

/// Walks through the demo.
pub(crate) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    if cfg!(not(feature = "aws")) {
        return Err(Error::NotSupported(
            "the demo signs with a key in AWS KMS, which this program was built without".to_owned(),
        ));
    }
    let started = Instant::now();
    let (temporary, directory) = folder(arguments.keep.as_deref())?;
    let mut world = World::start(&directory).await?;
    let mut stage = Stage::new(terminal, &directory);
    // The folder is removed then, too.
    let stopped = super::registry::stop_signal()?;
    let result = tokio::select! {
        result = play(&mut stage, &mut world) => result,
        () = stopped => Err(Error::Demo("it was stopped".to_owned())),
    };
    world.stop().await;
    result?;
    stage.summary(started.elapsed())?;
    match temporary {
        Some(_) => Ok(()),
        None => stage.say(&format!(
            "Everything is in {}: sealmark registry --dir {} serves the registry again.",
            directory.display(),
            directory.join(services::PUBLIC).display()
        )),
    }
}

/// The folder, and what removes it if it is not to be kept.
fn folder(keep: Option<&Path>) -> Result<(Option<tempfile::TempDir>, PathBuf), Error> {
    let Some(path) = keep else {
        let made = tempfile::Builder::new().prefix("sealmark-demo-").tempdir();
        let made = made.map_err(|cause| Error::Stream {
            action: "make a temporary folder",
            cause,
        })?;
        let path = made.path().to_owned();
        return Ok((Some(made), path));
    };
    std::fs::create_dir_all(path).map_err(|cause| Error::file("create", path, cause))?;
    let path = path
        .canonicalize()
        .map_err(|cause| Error::file("read", path, cause))?;
    let mut entries =
        std::fs::read_dir(&path).map_err(|cause| Error::file("read", &path, cause))?;
    match entries.next() {
        None => Ok((None, path)),
        Some(_) => Err(Error::Usage(format!(
            "--keep {}: it is not empty, and nothing in it was touched; name a folder that is empty or does not exist",
            path.display()
        ))),
    }
}

impl World {
    async fn start(directory: &Path) -> Result<Self, Error> {
        Ok(Self {
            public: Registry::start(directory, services::PUBLIC).await?,
            internal: Registry::start(directory, services::INTERNAL).await?,
            kms: Kms::start().await?,
            sigstore: None,
            client: Client::new(Options::default()),
        })
    }

    async fn stop(self) {
        self.public.stop().await;
        self.internal.stop().await;
        self.kms.stop().await;
        if let Some(sigstore) = self.sigstore {
            sigstore.stop().await;
        }
    }

    /// A release of an open-source program, in the public registry.
    fn release(&self, tag: &str) -> String {
        format!("{}/oss/flasksample:{tag}", self.public.address)
    }
}

async fn play(stage: &mut Stage<'_>, world: &mut World) -> Result<(), Error> {
    let World {
        public, internal, ..
    } = &world;
    stage.say(&format!(
        "Every command below is run as it stands. A public registry is at {}, another one of our own at {};\n\
         both are in this process, as is everything else. No network, no account.",
        public.address, internal.address
    ))?;
    kms_key::play(stage, world).await?;
    keyless::play(stage, world).await?;
    promotion::play(stage, world).await?;
    attacks::play(stage, world).await
}
