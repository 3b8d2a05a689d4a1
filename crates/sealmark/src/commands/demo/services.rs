//! What the demo's commands talk to: registries, a stand-in for AWS KMS, a private Sigstore. All on loopback, on free
//! ports, in this process.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use sealmark_identity::Configuration;
use sealmark_server::elsewhere::Places;
use sealmark_server::instance::{Instance, Options};
use sealmark_server::kms::Names;
use sealmark_server::{kms, log, oidc, ops, registry};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::client_files::publish_instance;
use super::super::serve::host;
use crate::error::Error;

/// Where the public registry, our own, and the private Sigstore keep what they have, in the demo's folder.
pub(super) const PUBLIC: &str = "registry";
pub(super) const INTERNAL: &str = "own-registry";
pub(super) const SIGSTORE: &str = "sigstore";

/// Who may sign with the key in KMS: an access key, of which the stand-in looks at the id alone.
pub(super) const ACCESS_KEY: &str = "DEMO";
pub(super) const REGION: &str = "us-west-2";
/// The key's names are those of AWS's own documentation.
const ACCOUNT: &str = "111122223333";
pub(super) const KEY_ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
pub(super) const ALIAS: &str = "release";

/// How long the tokens are good: longer than the demo takes anywhere.
const TOKEN_LIFETIME: Duration = Duration::from_secs(600);
/// How long a service may take to answer what is in flight and end.
const STOPPING: Duration = Duration::from_secs(5);

/// A service that runs.
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    fn start<F: Future<Output = ()> + Send + 'static>(
        serve: impl FnOnce(oneshot::Receiver<()>) -> F,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(stopped));
        Self { stop, task }
    }

    async fn stop(self) {
        // It may have ended already.
        let _ = self.stop.send(());
        let _ = tokio::time::timeout(STOPPING, self.task).await;
    }
}

/// A free port, and its address.
async fn listen() -> Result<(TcpListener, String), Error> {
    let failed = |cause| Error::Stream {
        action: "listen on 127.0.0.1",
        cause,
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?.to_string();
    Ok((listener, address))
}

/// Does what waits for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    // The task is not cancelled; if it panicked, so may this one.
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// A registry.
pub(super) struct Registry {
    pub(super) address: String,
    running: Running,
}

impl Registry {
    pub(super) async fn start(directory: &Path, name: &str) -> Result<Self, Error> {
        let (listener, address) = listen().await?;
        let folder = directory.join(name);
        let registry = blocking(move || Ok(registry::Registry::open(&folder)?)).await?;
        let running = Running::start(|stopped| registry.serve(listener, ended(stopped)));
        Ok(Self { address, running })
    }

    pub(super) async fn stop(self) {
        self.running.stop().await;
    }
}

/// A stand-in for AWS KMS, with one key.
pub(super) struct Kms {
    pub(super) url: String,
    /// The key's ARN.
    pub(super) arn: String,
    running: Running,
}

impl Kms {
    pub(super) async fn start() -> Result<Self, Error> {
        let (listener, address) = listen().await?;
        let kms = kms::Kms::new(Names {
            region: REGION.to_owned(),
            account: ACCOUNT.to_owned(),
            id: KEY_ID.to_owned(),
            alias: ALIAS.to_owned(),
            access_key: ACCESS_KEY.to_owned(),
        })?;
        Ok(Self {
            url: format!("http://{address}"),
            arn: kms.arn(),
            running: Running::start(|stopped| kms.serve(listener, ended(stopped))),
        })
    }

    pub(super) async fn stop(self) {
        self.running.stop().await;
    }
}

/// A private Sigstore: all of `serve --dev-issuer`.
pub(super) struct Sigstore {
    pub(super) url: String,
    issuer: oidc::DevIssuer,
    running: Running,
}

impl Sigstore {
    pub(super) async fn start(directory: &Path) -> Result<Self, Error> {
        let (listener, address) = listen().await?;
        let url = format!("http://{address}");
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
        let (folder, known_as) = (directory.join(SIGSTORE), url.clone());
        let (instance, issuer) = blocking(move || {
            let instance = Instance::open(&folder, options)?;
            let issuer = instance.dev_issuer.clone();
            let issuer = issuer.expect("the options ask for one");
            publish_instance(&folder, &known_as, &instance, Some(issuer.url().to_owned()))?;
            Ok((instance, issuer))
        })
        .await?;
        let running = Running::start(|stopped| async move {
            let stopped = instance.log.ending(ended(stopped));
            let server = instance.server(ops::Options::default());
            server.serve(listener, None, stopped).await;
        });
        Ok(Self {
            url,
            issuer,
            running,
        })
    }

    /// Its identity provider.
    pub(super) fn issuer(&self) -> &str {
        self.issuer.url()
    }

    /// What shows that the bearer is this one.
    pub(super) fn token(&self, email: &str) -> Result<String, Error> {
        Ok(self.issuer.mint(email, TOKEN_LIFETIME)?)
    }

    pub(super) async fn stop(self) {
        self.running.stop().await;
    }
}

async fn ended(stopped: oneshot::Receiver<()>) {
    // Whoever drops the other end wants it to stop, too.
    let _ = stopped.await;
}
