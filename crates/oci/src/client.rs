//! The registry client: what the distribution specification offers, with its faults answered.
//!
//! Every call goes through `request`, which finds the scheme and presents credentials once they are asked for; it
//! goes through `send`, the only place that sends anything, which waits when the registry asks to and follows
//! redirects without leaking; and its answer is read through `answer`, which bounds everything. Nothing is sent
//! before the first call, and a [`Client`] costs nothing to make.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

mod answer;
mod auth;
mod blobs;
mod challenge;
mod detach;
#[cfg(fuzzing)]
pub mod fuzzing;
mod manifests;
pub(crate) mod referrers;
mod request;
mod send;
mod shared_tag;
pub(crate) mod stream;
mod transport;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use sealmark_formats::Digest;

pub use self::shared_tag::Replace;
use crate::error::Error;
use crate::manifest::{Descriptor, ImageManifest, Index, Parsed};
use crate::options::Options;
use crate::reference::Repository;

/// Largest manifest or index that is read. The specification asks registries to accept this much.
pub const MAX_MANIFEST: u64 = 4 << 20;
/// Pages of a list that are followed; at a registry's usual 100 a page, 100,000 entries.
pub const MAX_PAGES: usize = 1000;
/// Entries of a list that are kept.
pub const MAX_LISTED: usize = 100_000;

/// Talks to registries. Clones share connections, tokens and what was learnt.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

type Turn = Arc<tokio::sync::Mutex<()>>;

struct Inner {
    options: Options,
    transports: transport::Transports,
    auth: auth::Tokens,
    /// Scheme of each host, once one has answered.
    schemes: Mutex<HashMap<String, transport::Scheme>>,
    /// Whether a registry has the referrers API, once known.
    referrers: Mutex<HashMap<String, bool>>,
    /// Whether a registry takes a small blob in one request, once known.
    at_once: Mutex<HashMap<String, bool>>,
    /// Blobs that are known to be in a repository.
    present: Mutex<HashSet<(Repository, Digest)>>,
    /// Writers of a tag in this process take turns: `shared_tag` says why.
    turns: Mutex<HashMap<(Repository, String), Turn>>,
}

/// A manifest or index as the registry has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    /// The media type that the registry gives, or the document's own.
    pub media_type: String,
    /// The digest of [`bytes`](Self::bytes).
    pub digest: Digest,
    /// The bytes, as they came.
    pub bytes: Bytes,
}

impl Manifest {
    /// Points at this manifest.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(
            self.media_type.clone(),
            self.digest.clone(),
            self.bytes.len() as u64,
        )
    }

    /// Looks inside.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(&self) -> Result<Parsed, Error> {
        Parsed::read(
            &format!("manifest {}", self.digest),
            &self.media_type,
            &self.bytes,
        )
    }

    /// Looks inside a manifest that must be a single image or artifact.
    ///
    /// # Errors
    /// [`Error::Malformed`], also if it is an index.
    pub fn image(&self) -> Result<ImageManifest, Error> {
        match self.parse()? {
            Parsed::Image(image) => Ok(*image),
            Parsed::Index(_) => Err(Error::malformed(
                format!("manifest {}", self.digest),
                "an image manifest is expected, this is an index",
            )),
        }
    }

    /// Looks inside a manifest that must be an index.
    ///
    /// # Errors
    /// [`Error::Malformed`], also if it is a single image.
    pub fn index(&self) -> Result<Index, Error> {
        match self.parse()? {
            Parsed::Index(index) => Ok(*index),
            Parsed::Image(_) => Err(Error::malformed(
                format!("manifest {}", self.digest),
                "an index is expected, this is an image manifest",
            )),
        }
    }
}

/// What a registry answered to a manifest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pushed {
    /// The manifest's digest.
    pub digest: Digest,
    /// The registry says that it lists the manifest as a referrer of its subject (`OCI-Subject`). A hint: there were
    /// registries that said so without having the API.
    pub subject_indexed: bool,
}

/// Where a list of referrers came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReferrersSource {
    /// The referrers API.
    Api,
    /// The index at the tag `sha256-…`, since the registry has no API.
    FallbackIndex,
    /// The registry has neither.
    None,
}

/// What refers to an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Referrers {
    /// The referrers. From a fallback index their `artifact_type` may be wrong: old clients wrote the
    /// configuration's type there.
    pub descriptors: Vec<Descriptor>,
    /// Where the list came from.
    pub source: ReferrersSource,
}

/// How an attachment was made findable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attached {
    /// Digest of the attachment's manifest.
    pub digest: Digest,
    /// Where it is listed.
    pub via: ReferrersSource,
}

/// A Sigstore bundle to attach.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BundleAttachment {
    /// The bundle's JSON.
    pub json: Bytes,
    /// The bundle's media type.
    pub media_type: String,
    /// Annotations of its manifest: when it was created, its content and predicate type.
    pub annotations: BTreeMap<String, String>,
}

impl Client {
    /// Makes a client. Nothing is read or sent yet.
    pub fn new(options: Options) -> Self {
        let transports = transport::Transports::default();
        Self {
            inner: Arc::new(Inner {
                options,
                transports,
                auth: auth::Tokens::default(),
                schemes: Mutex::default(),
                referrers: Mutex::default(),
                at_once: Mutex::default(),
                present: Mutex::default(),
                turns: Mutex::default(),
            }),
        }
    }

    /// How this client reaches registries.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }
}

impl core::fmt::Debug for Client {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Client")
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}

/// A lock that is only ever held for a look or a change of a map, so that its data is whole even after a panic.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
