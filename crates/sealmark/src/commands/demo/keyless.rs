//! The part of the demo without a key: a private Sigstore in this process, three releases of an image signed for an
//! identity, and verified when that Sigstore is gone.

use std::path::Path;
use std::time::Duration;

use sealmark_identity::Configuration;
use sealmark_oci::{Client, Repository};
use sealmark_server::elsewhere::Places;
use sealmark_server::instance::{Instance, Options};
use sealmark_server::{log, oidc, ops};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::client_files::publish_instance;
use super::super::serve::host;
use super::{Stage, images};
use crate::error::Error;

const JANE: &str = "jane@example.org";
/// Where the private Sigstore keeps everything, in the demo's folder.
const FOLDER: &str = "sigstore";
/// How long the tokens are good: longer than the demo takes anywhere.
const TOKEN_LIFETIME: Duration = Duration::from_secs(600);
/// How long it may take to stop.
const STOPPING: Duration = Duration::from_secs(5);

/// A private Sigstore that is being served.
struct Sigstore {
    issuer: oidc::DevIssuer,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Sigstore {
    async fn start(directory: &Path) -> Result<Self, Error> {
        let failed = |cause| Error::Stream {
            action: "listen on 127.0.0.1",
            cause,
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let url = format!("http://{}", listener.local_addr().map_err(failed)?);
        let name = host(&url)?.to_owned();
        let options = Options {
            log: log::Options::new(&name),
            host: name,
            password: None,
            keys: Places::default(),
            issuers: Configuration::default(),
            dev_issuer: Some(oidc::Options::new(format!("{url}{}", oidc::PATH))),
            url: url.clone(),
        };
        let folder = directory.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            let instance = Instance::open(&folder, options)?;
            let issuer = instance.dev_issuer.clone();
            let issuer = issuer.expect("the options ask for one");
            publish_instance(&folder, &url, &instance, Some(issuer.url().to_owned()))?;
            Ok::<_, Error>((instance, issuer))
        });
        // The task is not cancelled; if it panicked, so may this one.
        let (instance, issuer) = opened
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let stopped = instance.log.ending(async {
                let _ = stopped.await;
            });
            let server = instance.server(ops::Options::default());
            server.serve(listener, None, stopped).await;
        });
        Ok(Self {
            issuer,
            stop,
            server,
        })
    }

    async fn stop(self) {
        let _ = self.stop.send(());
        // It answers what is in flight and ends.
        let _ = tokio::time::timeout(STOPPING, self.server).await;
    }
}

/// Plays it.
pub(super) async fn play(
    stage: &mut Stage<'_>,
    client: &Client,
    address: &str,
) -> Result<(), Error> {
    let shop: Repository = format!("{address}/shop")
        .parse()
        .map_err(|error| Error::Oci(sealmark_oci::Error::from(error)))?;
    stage.title("Without a key: releases signed for an identity")?;
    let sigstore = Sigstore::start(&stage.directory.join(FOLDER)).await?;
    let issuer = sigstore.issuer.url().to_owned();
    stage.say(&format!(
        "A private Sigstore runs in this process, kept in {FOLDER}/: certificate authority, CT log, transparency log,\n\
         timestamp authority, and {issuer}, an identity provider. It gave {JANE} a token.\n\
         (SIGSTORE_ID_TOKEN is set to it, so nobody has to log in.)"
    ))?;
    stage.token = Some(sigstore.issuer.mint(JANE, TOKEN_LIFETIME)?);
    let root = format!("{FOLDER}/trusted_root.json");
    let config = format!("{FOLDER}/signing_config_rekor_v2.json");
    let mut releases = Vec::new();
    for (tag, title) in [
        ("v1", "sign release v1 for an identity"),
        ("v2", "sign release v2"),
        ("v3", "sign release v3"),
    ] {
        let files = [("app/run", format!("echo release {tag}\n"))];
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        let image = images::push_image(client, &shop, Some(tag), "amd64", &files).await?;
        let image = format!("{address}/shop@{}", image.digest);
        let services = ["--signing-config", &config, "--trusted-root", &root];
        let sign = [&["sign", "--yes"], &services[..], &[image.as_str()]].concat();
        stage.command(title, 0, &sign).await?;
        releases.push(format!("{address}/shop:{tag}"));
    }
    stage.token = None;
    sigstore.stop().await;
    stage.say("\nThe private Sigstore is stopped. Whoever verifies needs its trusted root, and asks nobody but the registry.")?;
    let releases: Vec<&str> = releases.iter().map(String::as_str).collect();
    let by = |who| {
        let who = [
            "--certificate-identity",
            who,
            "--certificate-oidc-issuer",
            &issuer,
        ];
        let verify = ["verify", "--trusted-root", root.as_str()];
        [verify.to_vec(), who.to_vec(), releases.clone()].concat()
    };
    stage
        .command("verify three releases by identity", 0, &by(JANE))
        .await?;
    let mut john = by("john@example.org");
    john.truncate(john.len() - 2);
    stage.command("refuse another identity", 12, &john).await
}
