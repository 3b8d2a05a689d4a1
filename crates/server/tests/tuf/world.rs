//! A repository on loopback, a clock that the test sets, and a client that remembers what it trusts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sealmark_log::{Clock, SystemClock};
use sealmark_server::tuf::{Options, Repository};
use sealmark_server::{Error, listen};
use sealmark_trust::tuf::Client;
use tempfile::TempDir;
use tokio::net::TcpListener;
use zeroize::Zeroizing;

pub(crate) const DAY: u64 = 24 * 60 * 60;
pub(crate) const TRUSTED_ROOT: &str = "trusted_root.json";

/// A clock that is set.
#[derive(Clone)]
pub(crate) struct Set(Arc<AtomicU64>);

impl Set {
    pub(crate) fn now() -> Self {
        Self(Arc::new(AtomicU64::new(SystemClock.now_ms())))
    }

    pub(crate) fn pass_days(&self, days: i64) {
        let milliseconds = days * DAY as i64 * 1000;
        let now = self.0.load(Ordering::SeqCst);
        self.0
            .store(now.wrapping_add_signed(milliseconds), Ordering::SeqCst);
    }

    pub(crate) fn timestamp(&self) -> Timestamp {
        let milliseconds = i64::try_from(self.now_ms()).expect("a time of this century");
        Timestamp::from_millisecond(milliseconds).expect("a time of this century")
    }
}

impl Clock for Set {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) fn open(directory: &Path, clock: impl Clock) -> Result<Repository, Error> {
    open_with(directory, clock, None)
}

/// Opens a repository that this process may just have closed: a program that another test starts has all open files
/// for a moment, and with them the lock.
pub(crate) fn open_with(
    directory: &Path,
    clock: impl Clock,
    password: Option<&str>,
) -> Result<Repository, Error> {
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let password = password.map(|password| Zeroizing::new(password.as_bytes().to_vec()));
        let clock = clock.clone();
        match Repository::open(directory, Options { clock, password }) {
            Err(Error::InUse { .. }) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
}

/// Serves it below `/tuf`, as the instance does.
pub(crate) async fn serve(repository: &Repository) -> String {
    let router = axum::Router::new().nest("/tuf", repository.router());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it has an address");
    tokio::spawn(listen::serve(router, listener, std::future::pending()));
    format!("http://{address}/tuf")
}

/// A client whose directory is there for as long as it is.
pub(crate) struct Follower {
    directory: TempDir,
}

impl Follower {
    pub(crate) fn of(root: &[u8]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Client::trust(directory.path(), root).expect("the root is written");
        Self { directory }
    }

    /// What the client reads in the target after an update; what went wrong otherwise.
    pub(crate) async fn reads(&self, url: &str, now: Timestamp) -> Result<String, String> {
        let client = Client::new(self.directory.path(), url, now);
        let repository = client.refresh().await.map_err(|error| error.to_string())?;
        let there: PathBuf = self.directory.path().join("downloads");
        std::fs::create_dir_all(&there).map_err(|error| error.to_string())?;
        let targets = format!("{url}/targets/");
        let path = repository.download(TRUSTED_ROOT, &targets, &there).await;
        let path = path.map_err(|error| error.to_string())?;
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }

    pub(crate) fn root_version(&self) -> u64 {
        let json = std::fs::read(self.directory.path().join("root.json")).expect("it has a root");
        let json: serde_json::Value = serde_json::from_slice(&json).expect("it is JSON");
        json["signed"]["version"]
            .as_u64()
            .expect("it has a version")
    }
}
