//! An OCI registry in one directory, for tests, demonstrations and the transfer of images into closed networks.
//!
//! It implements the [distribution specification] 1.1, including the referrers API, and the parts of its successor
//! that clients may already use: several tags in one push (`?tag=`) and `?digest-algorithm=`. There is no other
//! process and no database: the directory is the registry, and a copy of it is a backup.
//!
//! ```text
//! sealmark-registry                                   "layout 1": what this directory is
//! lock                                                locked while a process has it open
//! blobs/sha256/0a/0a1b…                               content, once, whoever has it
//! repositories/library/alpine/_blobs/sha256-0a1b…     the repository has this blob: {"size"}
//! repositories/library/alpine/_manifests/sha256-2c3d… … this manifest: {"size", "mediaType"}
//! repositories/library/alpine/_tags/latest            the digest that the tag names
//! repositories/library/alpine/_referrers/S/D          the descriptor of manifest D, whose subject is S
//! uploads/                                            not finished; emptied when the registry is opened
//! ```
//!
//! Invariants: what was acknowledged survives `kill -9` and loss of power; content is written only under the digest
//! that it has, and compared again when it is read (whole blobs and manifests against the digest, parts of blobs
//! against the size), so that damage is an error, never a wrong answer; nothing a client sends is used in a
//! path before the specification's grammar has accepted it.
//!
//! Decisions where the specification leaves a choice: an image manifest must have its blobs in the repository; an
//! index may list manifests that are not there, which makes it possible to carry one platform of an image
//! ([`Options::sparse_indexes`]); `mount` without `from` finds the blob in any repository; a name, tag or digest
//! that cannot exist is 404 when read and 400 when written; deleting is allowed.
//!
//! There is no encryption and, unless [`Options::basic`] is set, no authentication: listen on loopback.
//!
//! [distribution specification]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md

mod blobs;
mod body;
mod content;
mod dispatch;
mod grammar;
mod layout;
mod listings;
mod manifest;
mod manifests;
mod refusal;
mod store;
mod uploads;

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::any;
use tokio::net::TcpListener;

use self::store::Store;
use self::uploads::Uploads;
use crate::{Error, durable, listen};

/// Bytes of a manifest: the size that the specification wants accepted at least. A manifest is held in memory.
pub const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a blob, unless [`Options::max_blob_bytes`] says otherwise: more than any image layer in the field.
pub const MAX_BLOB_BYTES: u64 = 64 * 1024 * 1024 * 1024;
/// Uploads at once, unless [`Options::max_uploads`] says otherwise. Each holds a file open.
pub const MAX_UPLOADS: usize = 256;
/// How long an upload may lie still, unless [`Options::upload_idle`] says otherwise.
pub const UPLOAD_IDLE: Duration = Duration::from_secs(60 * 60);
/// Descriptors in one answer of the referrers API, unless [`Options::referrers_page`] says otherwise.
pub const REFERRERS_PAGE: usize = 1000;
/// Tags, or repositories, in one answer. Clients that do not follow `Link` see no more.
pub const TAGS_PAGE: usize = 10_000;
/// Tags that one push of a manifest may set.
pub const MAX_TAGS_PER_PUSH: usize = 100;

/// How a registry behaves.
#[derive(Clone)]
pub struct Options {
    /// Whether there is a referrers API. Without it, the registry answers like older ones: 404 in plain text, and no
    /// `OCI-Subject`. Referrers are recorded all the same, so that it can be switched on later.
    pub referrers: bool,
    /// Whether everything that changes the registry is refused (405).
    pub read_only: bool,
    /// Whether an index may list manifests that are not in the repository.
    pub sparse_indexes: bool,
    /// User and password that every request must carry.
    pub basic: Option<(String, String)>,
    /// Bytes of the largest blob.
    pub max_blob_bytes: u64,
    /// Uploads at once; more are refused (429).
    pub max_uploads: usize,
    /// How long an upload may lie still before it is dropped.
    pub upload_idle: Duration,
    /// Descriptors in one answer of the referrers API; there is a `Link` to the rest.
    pub referrers_page: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            referrers: true,
            read_only: false,
            sparse_indexes: true,
            basic: None,
            max_blob_bytes: MAX_BLOB_BYTES,
            max_uploads: MAX_UPLOADS,
            upload_idle: UPLOAD_IDLE,
            referrers_page: REFERRERS_PAGE,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Written out for the sake of one field: the password is not shown.
        f.debug_struct("Options")
            .field("referrers", &self.referrers)
            .field("read_only", &self.read_only)
            .field("sparse_indexes", &self.sparse_indexes)
            .field("basic", &self.basic.as_ref().map(|(user, _)| (user, "…")))
            .field("max_blob_bytes", &self.max_blob_bytes)
            .field("max_uploads", &self.max_uploads)
            .field("upload_idle", &self.upload_idle)
            .field("referrers_page", &self.referrers_page)
            .finish()
    }
}

/// A registry, open. Its directory is locked until the last clone, and the last router made of one, is gone.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sealmark_server::registry::Registry;
/// let directory = tempfile::tempdir()?;
/// let registry = Registry::open(directory.path())?;
/// // One process at a time:
/// assert!(Registry::open(directory.path()).is_err());
/// let router: axum::Router = registry.router();
/// # drop(router);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    uploads: Uploads,
    options: Options,
}

impl Registry {
    /// Opens the registry in `directory`, which is created if it is missing, with the default [`Options`].
    ///
    /// # Errors
    /// If another process has it open, if the directory holds something else, or if it cannot be read or written.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        Self::open_with(directory, Options::default())
    }

    /// Opens the registry in `directory`. This reads the names of all files and deletes what an interrupted process
    /// left.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(directory: &Path, options: Options) -> Result<Self, Error> {
        let store = Store::open(directory)?;
        let uploads = Uploads::new(options.max_uploads, options.upload_idle);
        Ok(Self(Arc::new(Inner {
            store,
            uploads,
            options,
        })))
    }

    /// The endpoints below `/v2/`.
    pub fn router(self) -> Router {
        let answer = any(|State(inner): State<Arc<Inner>>, request: Request| {
            dispatch::answer(inner, request)
        });
        Router::new()
            .route("/v2", answer.clone())
            .route("/v2/", answer.clone())
            .route("/v2/{*path}", answer)
            .with_state(self.0)
    }

    /// Serves on `listener` until `shutdown` completes, then lets requests in flight finish, as [`listen::serve`]
    /// does.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        listen::serve(self.router(), listener, shutdown).await;
    }
}

/// Opens the registry in `directory` with the default [`Options`] and serves it on `listener` until `shutdown`
/// completes; requests in flight then finish.
///
/// # Errors
/// As [`Registry::open`].
pub async fn serve(
    directory: &Path,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let directory = directory.to_owned();
    let opened = tokio::task::spawn_blocking(move || Registry::open(&directory)).await;
    // The task is not cancelled; if it panicked, so may this one.
    let registry = opened.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    registry.serve(listener, shutdown).await;
    Ok(())
}
