//! Uploads that are not finished: what has come, and where it is to go.
//!
//! Invariant: the file, its hash and its length always agree; a chunk that says where it belongs counts whole or
//! not at all. Uploads live in memory and in temporary files; none survives the process.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use bytes::BytesMut;
use sealmark_formats::{Digest, HashAlgorithm, Hasher};
use tempfile::NamedTempFile;

use super::body::Incoming;
use super::dispatch::blocking;
use super::grammar::Name;
use super::refusal::{Code, Refusal};
use super::store;
use crate::Error;

/// Bytes gathered before they are written, so that small pieces do not each cost a change of threads.
const WRITE_AT_ONCE: usize = 1024 * 1024;

/// What has come of a blob.
#[derive(Debug)]
pub(super) struct Partial {
    file: NamedTempFile,
    hasher: Hasher,
    algorithm: HashAlgorithm,
    written: u64,
}

impl Partial {
    pub(super) fn new(file: NamedTempFile, algorithm: HashAlgorithm) -> Self {
        Self {
            file,
            hasher: Hasher::new(algorithm),
            algorithm,
            written: 0,
        }
    }

    fn append(&mut self, data: &[u8]) -> Result<(), Error> {
        let path = self.file.path().to_owned();
        let file = self.file.as_file_mut();
        file.write_all(data).map_err(Error::io("write", path))?;
        self.hasher.update(data);
        self.written += data.len() as u64;
        Ok(())
    }

    fn return_to(&mut self, length: u64, hasher: Hasher) -> Result<(), Error> {
        let path = self.file.path().to_owned();
        let file = self.file.as_file_mut();
        let returned = file
            .set_len(length)
            .and_then(|()| file.seek(SeekFrom::Start(length)));
        returned.map_err(Error::io("write", path))?;
        (self.hasher, self.written) = (hasher, length);
        Ok(())
    }

    /// The file, if its content has this digest. An algorithm that was not foreseen costs reading it once more.
    pub(super) fn finish(self, digest: &Digest) -> Result<NamedTempFile, Error> {
        let found = if digest.algorithm() == self.algorithm {
            self.hasher.finish()
        } else {
            let path = self.file.path();
            let file = self.file.reopen().map_err(Error::io("read", path))?;
            store::hash_file(file, path, Hasher::new(digest.algorithm()))?
        };
        match found == *digest {
            true => Ok(self.file),
            false => Err(Error::DigestMismatch {
                expected: digest.clone(),
                found,
            }),
        }
    }
}

/// Where a chunk says that it belongs: the first and the last byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct ChunkRange {
    pub(super) first: u64,
    pub(super) last: u64,
}

impl ChunkRange {
    /// The specification's `^[0-9]+-[0-9]+$`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u64>().ok(),
            false => None,
        };
        let range = Self {
            first: number(first)?,
            last: number(last)?,
        };
        // The length must also be a number.
        (range.first <= range.last && range.last < u64::MAX).then_some(range)
    }

    pub(super) fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

/// Appends a body. If it stops early, a chunk with a `range` is taken back; without one, what came is kept, and the
/// client may ask how much that was. `None` in place of the partial means that it can no longer be used.
pub(super) async fn receive(
    mut partial: Partial,
    body: &mut Incoming,
    range: Option<ChunkRange>,
    limit: u64,
    session: Option<&Session>,
) -> (Option<Partial>, Result<(), Refusal>) {
    let (start, before) = (partial.written, partial.hasher.clone());
    let mut gathered = BytesMut::new();
    let outcome = loop {
        let (piece, end) = match body.next().await {
            Ok(Some(piece)) => (piece, None),
            Ok(None) => (Default::default(), Some(Ok(()))),
            Err(refusal) => (Default::default(), Some(Err(refusal))),
        };
        let total = partial.written + gathered.len() as u64 + piece.len() as u64;
        if total > limit {
            return (
                None,
                Err(Refusal::too_large(format!(
                    "this registry takes blobs of at most {limit} bytes"
                ))),
            );
        }
        let length = total - start;
        if let Some(range) = range
            && (length > range.length() || (end.is_some() && length < range.length()))
        {
            let message = format!(
                "the chunk has not the {} bytes that its Content-Range says",
                range.length()
            );
            break match end {
                Some(Err(refusal)) => Err(refusal),
                _ => Err(Refusal::bad_request(Code::SizeInvalid, message)),
            };
        }
        gathered.extend_from_slice(&piece);
        if gathered.len() >= WRITE_AT_ONCE || (end.is_some() && !gathered.is_empty()) {
            let data = gathered.split();
            let written = blocking(move || partial.append(&data).map(|()| partial)).await;
            match written {
                Ok(returned) => partial = returned,
                Err(refusal) => return (None, Err(refusal)),
            }
            if let Some(session) = session.filter(|_| range.is_none()) {
                session.note(partial.written);
            }
        }
        if let Some(outcome) = end {
            break outcome;
        }
    };
    if outcome.is_err() && range.is_some() {
        match blocking(move || partial.return_to(start, before).map(|()| partial)).await {
            Ok(returned) => partial = returned,
            Err(refusal) => return (None, Err(refusal)),
        }
    }
    if let Some(session) = session {
        session.note(partial.written);
    }
    (Some(partial), outcome)
}

/// An upload that a client may come back to.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) name: Name,
    written: AtomicU64,
    touched: Mutex<Instant>,
    /// Taken by the request that writes; `None` if that one failed.
    pub(super) partial: tokio::sync::Mutex<Option<Partial>>,
}

impl Session {
    /// Bytes that have come.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    fn note(&self, written: u64) {
        self.written.store(written, Ordering::Release);
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn idle(&self) -> Duration {
        self.touched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }
}

/// All uploads.
#[derive(Debug)]
pub(super) struct Uploads {
    max: usize,
    idle: Duration,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
}

impl Uploads {
    pub(super) fn new(max: usize, idle: Duration) -> Self {
        Self {
            max,
            idle,
            sessions: Mutex::new(HashMap::new()),
        }
    }

    /// The sessions, without those that were left alone for too long; one that is being written to is not idle.
    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions
            .retain(|_, session| session.idle() < self.idle || session.partial.try_lock().is_err());
        sessions
    }

    pub(super) fn start(&self, name: Name, partial: Partial) -> Result<Arc<Session>, Refusal> {
        let session = Arc::new(Session {
            id: random_uuid()?,
            name,
            written: AtomicU64::new(0),
            touched: Mutex::new(Instant::now()),
            partial: tokio::sync::Mutex::new(Some(partial)),
        });
        let mut sessions = self.sessions();
        if sessions.len() >= self.max {
            let message = format!(
                "{} uploads are in progress: finish or cancel one, or wait",
                sessions.len()
            );
            return Err(Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                Code::TooManyRequests,
                message,
            ));
        }
        sessions.insert(session.id.clone(), session.clone());
        Ok(session)
    }

    pub(super) fn find(&self, name: &Name, id: &str) -> Result<Arc<Session>, Refusal> {
        self.sessions()
            .get(id)
            .filter(|session| session.name == *name)
            .cloned()
            .ok_or_else(unknown)
    }

    pub(super) fn remove(&self, session: &Session) {
        self.sessions().remove(&session.id);
    }
}

pub(super) fn unknown() -> Refusal {
    let message = "there is no such upload: it was finished, cancelled or left alone, or the registry was restarted";
    Refusal::not_found(Code::BlobUploadUnknown, message)
}

/// A random (version 4) UUID, which the specification wants in the location of an upload.
fn random_uuid() -> Result<String, Refusal> {
    let mut bytes = [0u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| {
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Code::Unknown,
            "the registry has no randomness",
        )
    })?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_ranges_have_two_plain_numbers() {
        assert_eq!(
            ChunkRange::parse("0-9"),
            Some(ChunkRange { first: 0, last: 9 })
        );
        assert_eq!(ChunkRange::parse("7-7").map(ChunkRange::length), Some(1));
        for bad in [
            "",
            "-",
            "0",
            "0-",
            "-9",
            "9-0",
            "+0-9",
            "0-+9",
            "0-9/10",
            "bytes 0-9",
            "bytes=0-9",
            "0-9-",
        ] {
            assert_eq!(ChunkRange::parse(bad), None, "{bad}");
        }
        assert_eq!(ChunkRange::parse("0-18446744073709551615"), None);
        assert_eq!(ChunkRange::parse("0-18446744073709551616"), None);
    }

    #[test]
    fn session_ids_are_uuids() {
        let id = random_uuid().unwrap();
        assert_eq!(
            (id.len(), &id[14..15], id.matches('-').count()),
            (36, "4", 4)
        );
        assert_ne!(id, random_uuid().unwrap());
    }
}
