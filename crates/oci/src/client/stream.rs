//! A blob on its way from one place to another, piece by piece.
//!
//! Invariant: bytes are only given as whole while they have the size and the digest of their descriptor. The last piece is
//! held back until both are known, so that whoever receives a blob that was altered never receives all of it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use sealmark_formats::Hasher;
use tokio::io::AsyncReadExt as _;

use super::answer::{Answer, Pace};
use super::{Client, lock};
use crate::copy::Progress;
use crate::error::Error;
use crate::manifest::Descriptor;
use crate::reference::Repository;

/// As much of a file as is read at once.
const PIECE: usize = 128 << 10;
/// A blob that is not larger is moved in memory, which may save a request.
const SMALL: u64 = 64 << 10;

/// Where the bytes of a blob come from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A repository.
    Registry(Client, Repository),
    /// A file.
    File(PathBuf),
}

/// A blob that can be opened as often as it takes to move it.
pub(crate) struct BlobStream {
    origin: Origin,
    descriptor: Descriptor,
    progress: Arc<dyn Progress>,
    /// What the current try has reported as moved.
    reported: AtomicU64,
    /// Why the current try ended early.
    failure: Mutex<Option<Error>>,
}

impl core::fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("BlobStream")
            .field("origin", &self.origin)
            .field("descriptor", &self.descriptor)
            .finish_non_exhaustive()
    }
}

impl BlobStream {
    pub(crate) fn new(
        origin: Origin,
        descriptor: Descriptor,
        progress: Arc<dyn Progress>,
    ) -> Arc<Self> {
        Arc::new(Self {
            origin,
            descriptor,
            progress,
            reported: AtomicU64::new(0),
            failure: Mutex::new(None),
        })
    }

    pub(super) fn size(&self) -> u64 {
        self.descriptor.size
    }

    pub(super) fn take_failure(&self) -> Option<Error> {
        lock(&self.failure).take()
    }

    /// The bytes, from the start.
    pub(crate) async fn open(self: Arc<Self>) -> Result<Pieces, Error> {
        self.progress
            .retract(self.reported.swap(0, Ordering::Relaxed));
        let digest = &self.descriptor.digest;
        let (input, what) = match &self.origin {
            Origin::Registry(client, repository) => {
                let answer = client.open_blob(repository, digest).await?;
                let pace = Pace::new(client.options().timeout);
                let what = format!("blob {}", repository.at(&digest.to_string()));
                (Input::Answer(Box::new(answer), pace), what)
            }
            Origin::File(path) => {
                let file = tokio::fs::File::open(path)
                    .await
                    .map_err(|error| Error::io("reading", path, error))?;
                (Input::File(file), path.display().to_string())
            }
        };
        let hasher = Some(Hasher::new(digest.algorithm()));
        Ok(Pieces {
            stream: self,
            input,
            what,
            hasher,
            received: 0,
        })
    }

    /// The bytes as the body of a request. What goes wrong is kept for [`take_failure`](Self::take_failure).
    pub(super) fn body(self: Arc<Self>) -> reqwest::Body {
        let unopened = (self, None);
        let stream = futures_util::stream::try_unfold(unopened, |(stream, pieces)| async move {
            match Self::step(&stream, pieces).await {
                Ok(next) => Ok(next.map(|(piece, pieces)| (piece, (stream, Some(pieces))))),
                Err(error) => {
                    *lock(&stream.failure) = Some(error);
                    Err(std::io::Error::other("the source of the upload failed"))
                }
            }
        });
        reqwest::Body::wrap_stream(stream)
    }

    async fn step(
        self: &Arc<Self>,
        pieces: Option<Pieces>,
    ) -> Result<Option<(Bytes, Pieces)>, Error> {
        let mut pieces = match pieces {
            Some(pieces) => pieces,
            None => Arc::clone(self).open().await?,
        };
        Ok(pieces.next().await?.map(|piece| (piece, pieces)))
    }
}

enum Input {
    Answer(Box<Answer>, Pace),
    File(tokio::fs::File),
}

/// The bytes of a blob that is open.
pub(crate) struct Pieces {
    stream: Arc<BlobStream>,
    input: Input,
    what: String,
    /// None once the digest is known to be right.
    hasher: Option<Hasher>,
    received: u64,
}

impl Pieces {
    /// The next piece; `None` after the last.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Malformed`] if it is shorter than its descriptor says,
    /// [`Error::DigestMismatch`]; any other failure as what it is.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let size = self.stream.descriptor.size;
        let piece = match &mut self.input {
            Input::Answer(answer, pace) => answer.chunk(pace).await?,
            Input::File(file) => {
                let mut piece = vec![0; PIECE];
                let read = file
                    .read(&mut piece)
                    .await
                    .map_err(|error| Error::io("reading", &self.what, error))?;
                piece.truncate(read);
                (read > 0).then(|| Bytes::from(piece))
            }
        };
        if let Some(piece) = &piece {
            let length = piece.len() as u64;
            self.received += length;
            if self.received > size {
                let what = self.what.clone();
                return Err(Error::TooLarge { what, limit: size });
            }
            if let Some(hasher) = &mut self.hasher {
                hasher.update(piece);
            }
            self.stream.reported.fetch_add(length, Ordering::Relaxed);
            self.stream.progress.advance(length);
        } else if self.received < size {
            let reason = format!("it ends after {} of {size} bytes", self.received);
            return Err(Error::malformed(&self.what, reason));
        }
        if self.received == size
            && let Some(hasher) = self.hasher.take()
        {
            let found = hasher.finish();
            let expected = self.stream.descriptor.digest.clone();
            if found != expected {
                return Err(Error::DigestMismatch {
                    what: self.what.clone(),
                    expected,
                    found,
                });
            }
        }
        Ok(piece)
    }
}

impl Client {
    /// Moves a blob into a repository that does not have it.
    ///
    /// # Errors
    /// What is wrong with the source or with the blob, as such; as the registry refuses.
    pub(crate) async fn push_stream(
        &self,
        repository: &Repository,
        stream: Arc<BlobStream>,
    ) -> Result<(), Error> {
        let descriptor = stream.descriptor.clone();
        let body = if descriptor.size <= SMALL {
            let mut pieces = stream.open().await?;
            let mut bytes = Vec::new();
            while let Some(piece) = pieces.next().await? {
                bytes.extend_from_slice(&piece);
            }
            super::send::Body::Bytes(bytes.into())
        } else {
            super::send::Body::Stream(stream)
        };
        self.send_blob(repository, &descriptor.digest, body).await
    }
}
