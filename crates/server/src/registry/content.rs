//! Stored content on its way to a client, compared with its digest as it goes.
//!
//! Invariant: the last piece of a whole content is handed out only if the digest is right; else the body fails and
//! the connection ends before `Content-Length` bytes have gone.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use sealmark_formats::{Digest, Hasher};

use super::Inner;
use crate::Error;

/// Bytes read at once: few enough to hold for each client, enough to keep the disk busy.
const PIECE: u64 = 256 * 1024;

struct Reading {
    inner: Arc<Inner>,
    digest: Digest,
    file: File,
    left: u64,
    /// `None` for a part, which has no digest.
    hasher: Option<Hasher>,
}

impl Reading {
    fn read(&mut self) -> Result<Bytes, Error> {
        let path = || format!("content {}", self.digest);
        let length = self.left.min(PIECE);
        let mut piece = vec![0; length as usize];
        self.file
            .read_exact(&mut piece)
            .map_err(Error::io("read", path()))?;
        self.left -= length;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&piece);
        }
        if self.left == 0
            && let Some(hasher) = self.hasher.take()
        {
            self.inner
                .store
                .check_read(&self.digest, &hasher.finish())?;
        }
        Ok(piece.into())
    }
}

/// A body with `part` of the content in `file`, or with all of it.
pub(super) fn body(
    inner: Arc<Inner>,
    digest: Digest,
    file: File,
    size: u64,
    part: Option<Range<u64>>,
) -> Body {
    let hasher = part.is_none().then(|| Hasher::new(digest.algorithm()));
    let range = part.unwrap_or(0..size);
    let reading = Reading {
        inner,
        digest,
        file,
        left: range.end - range.start,
        hasher,
    };
    Body::from_stream(stream::try_unfold(
        (reading, Some(range.start)),
        |(mut reading, seek)| async move {
            if reading.left == 0 {
                return Ok(None);
            }
            let read = tokio::task::spawn_blocking(move || {
                if let Some(start) = seek.filter(|start| *start > 0) {
                    reading.file.seek(SeekFrom::Start(start))?;
                }
                let piece = reading.read().map_err(|error| {
                    tracing::error!("registry: {error}");
                    io::Error::other(error)
                })?;
                io::Result::Ok(Some((piece, (reading, None))))
            });
            read.await.map_err(io::Error::other)?
        },
    ))
}

/// What a `Range` header asks for of `size` bytes: `None` if it is to be ignored, `Some(Err(()))` if nothing can
/// satisfy it. Several ranges in one request are ignored, as RFC 9110 section 14.2 allows.
pub(super) fn parse_range(text: &str, size: u64) -> Option<Result<Range<u64>, ()>> {
    let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than fit mean more bytes than there are.
        is_number.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let range = match (first, last) {
        ("", suffix) => size.saturating_sub(number(suffix)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return None;
            }
            first..last.saturating_add(1).min(size)
        }
    };
    Some(if range.start < range.end {
        Ok(range)
    } else {
        Err(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_single_and_inclusive() {
        let table = [
            ("bytes=0-0", Some(Ok(0..1))),
            ("bytes=2-4", Some(Ok(2..5))),
            ("bytes=2-", Some(Ok(2..10))),
            ("bytes=-3", Some(Ok(7..10))),
            ("bytes=-30", Some(Ok(0..10))),
            ("bytes=0-18446744073709551615", Some(Ok(0..10))),
            ("bytes=0-99999999999999999999999", Some(Ok(0..10))),
            ("bytes=10-", Some(Err(()))),
            ("bytes=10-12", Some(Err(()))),
            ("bytes=-0", Some(Err(()))),
            ("bytes=5-4", None),
            ("bytes=0-1,3-4", None),
            ("bytes=", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("bytes=+1-2", None),
            ("items=0-1", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_range(text, 10), expected, "{text}");
        }
        assert_eq!(parse_range("bytes=0-", 0), Some(Err(())));
    }
}
