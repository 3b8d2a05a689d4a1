//! Blobs: read with their digest checked, pushed with as few requests as possible.

use std::path::Path;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use sealmark_formats::{Digest, Hasher};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::answer::{Answer, Pace};
use super::challenge::Scope;
use super::request::{Call, Target};
use super::send::{Body, given_url};
use super::{Client, lock};
use crate::error::{ConnectCause, Error};
use crate::manifest::Descriptor;
use crate::reference::Repository;

/// Above this size, asking whether a blob is there is cheaper than sending it again.
const ASK_FIRST: u64 = 64 << 10;

impl Client {
    /// A blob, if it is not larger than `limit` bytes and has the digest.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::TooLarge`], [`Error::DigestMismatch`]; any other failure as what it is.
    pub async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        let mut answer = self.open_blob(repository, digest).await?;
        let what = format!("blob {}", repository.at(&digest.to_string()));
        let bytes = answer.bytes(&what, limit).await?;
        let found = Digest::of(digest.algorithm(), &bytes);
        if found != *digest {
            return Err(Error::DigestMismatch {
                what,
                expected: digest.clone(),
                found,
            });
        }
        Ok(bytes)
    }

    /// Writes a blob of any size to `to`, piece by piece.
    ///
    /// # Errors
    /// As of [`blob`](Self::blob). What has been written until then must not be used.
    pub async fn blob_to(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        to: &mut (dyn AsyncWrite + Unpin + Send),
    ) -> Result<(), Error> {
        let digest = &descriptor.digest;
        let mut answer = self.open_blob(repository, digest).await?;
        let what = format!("blob {}", repository.at(&digest.to_string()));
        let mut pace = Pace::new(self.options().timeout);
        let mut hasher = Hasher::new(digest.algorithm());
        let mut received = 0;
        while let Some(chunk) = answer.chunk(&mut pace).await? {
            received += chunk.len() as u64;
            if received > descriptor.size {
                return Err(Error::TooLarge {
                    what,
                    limit: descriptor.size,
                });
            }
            hasher.update(&chunk);
            to.write_all(&chunk)
                .await
                .map_err(|error| Error::io("writing", &what, error))?;
        }
        to.flush()
            .await
            .map_err(|error| Error::io("writing", &what, error))?;
        let found = hasher.finish();
        if found != *digest {
            return Err(Error::DigestMismatch {
                what,
                expected: digest.clone(),
                found,
            });
        }
        Ok(())
    }

    pub(super) async fn open_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Answer, Error> {
        let answer = self
            .call(blob_call(repository, Method::GET, digest))
            .await?;
        match answer.status() {
            200 => Ok(answer),
            _ => Err(answer.refused().await),
        }
    }

    /// Whether the repository has a blob.
    ///
    /// # Errors
    /// Any failure but that it is not there.
    pub async fn blob_exists(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, Error> {
        if self.is_present(repository, digest) {
            return Ok(true);
        }
        let answer = self
            .call(blob_call(repository, Method::HEAD, digest))
            .await?;
        match answer.status() {
            200 => {
                self.remember(repository, digest);
                Ok(true)
            }
            404 => Ok(false),
            _ => Err(answer.refused().await),
        }
    }

    /// Puts a blob, unless the repository has it.
    ///
    /// # Errors
    /// As the registry refuses.
    pub async fn push_blob(&self, repository: &Repository, bytes: Bytes) -> Result<Digest, Error> {
        let digest = Digest::sha256(&bytes);
        self.upload(repository, &digest, bytes.len() as u64, Body::Bytes(bytes))
            .await?;
        Ok(digest)
    }

    /// Puts a file as a blob, unless the repository has it. The registry checks that it has the digest.
    ///
    /// # Errors
    /// As the registry refuses; [`Error::Io`] if the file cannot be read.
    pub async fn push_blob_file(
        &self,
        repository: &Repository,
        digest: &Digest,
        path: &Path,
    ) -> Result<(), Error> {
        let metadata = tokio::fs::metadata(path)
            .await
            .map_err(|error| Error::io("reading", path, error))?;
        let body = Body::File(path.to_owned(), metadata.len());
        self.upload(repository, digest, metadata.len(), body).await
    }

    async fn upload(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: u64,
        body: Body,
    ) -> Result<(), Error> {
        if self.is_present(repository, digest)
            || size > ASK_FIRST && self.blob_exists(repository, digest).await?
        {
            return Ok(());
        }
        self.send_blob(repository, digest, body).await
    }

    /// Sends a blob, as often as connections break.
    pub(super) async fn send_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        body: Body,
    ) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            let sent = self.upload_once(repository, digest, body.clone()).await;
            // Where a stream's source failed, that the upload broke off is only what follows.
            match sent.map_err(|error| body.source_failure().unwrap_or(error)) {
                Ok(()) => break,
                // A broken upload's session is gone: start anew.
                Err(
                    Error::Connect {
                        cause: ConnectCause::Broken,
                        ..
                    }
                    | Error::Server {
                        status: 502..=504, ..
                    },
                ) if tries <= self.options().retries => {}
                Err(error) => return Err(error),
            }
        }
        self.remember(repository, digest);
        Ok(())
    }

    async fn upload_once(
        &self,
        repository: &Repository,
        digest: &Digest,
        body: Body,
    ) -> Result<(), Error> {
        let start = upload_call(
            repository,
            digest,
            &format!("/v2/{}/blobs/uploads/", repository.name),
        );
        let mut answer = None;
        if let Body::Bytes(bytes) = &body
            && bytes.len() as u64 <= ASK_FIRST
            && self.may_take_at_once(repository)
        {
            match self.send_at_once(&start, digest, &body).await {
                Ok(at_once) if at_once.status() == 201 => {
                    lock(&self.inner.at_once).insert(repository.registry.clone(), true);
                    return Ok(());
                }
                // The session is open, the bytes were not taken.
                Ok(at_once) if at_once.status() == 202 => answer = Some(at_once),
                // The true cause, if there is one, comes from doing it step by step.
                Ok(_)
                | Err(
                    Error::Server { .. }
                    | Error::Connect {
                        cause: ConnectCause::Broken,
                        ..
                    },
                ) => {}
                Err(error) => return Err(error),
            }
            lock(&self.inner.at_once).insert(repository.registry.clone(), false);
        }
        let answer = match answer {
            Some(answer) => answer,
            None => self.call(start.clone()).await?,
        };
        if answer.status() != 202 {
            return Err(answer.refused().await);
        }
        let location = answer.header("location").ok_or_else(|| {
            Error::malformed(
                format!("{}'s answer to an upload", repository.registry),
                "it does not say where to send the blob",
            )
        })?;
        let mut url =
            given_url(&answer.url, location, self.options()).map_err(|reason| Error::Redirect {
                attempt: answer.attempt.clone(),
                reason: format!("upload {reason}"),
            })?;
        url.query_pairs_mut()
            .append_pair("digest", &digest.to_string());
        let octets = HeaderValue::from_static("application/octet-stream");
        let answer = self
            .call(Call {
                method: Method::PUT,
                to: Target::Url(url),
                headers: vec![(CONTENT_TYPE, octets)],
                body,
                repeatable: false,
                ..start
            })
            .await?;
        match answer.status() {
            200..=204 => Ok(()),
            _ => Err(answer.refused().await),
        }
    }

    /// Whether the registry takes a small blob in one request: known, or not yet known not to.
    fn may_take_at_once(&self, repository: &Repository) -> bool {
        lock(&self.inner.at_once)
            .get(&repository.registry)
            .copied()
            .unwrap_or(true)
    }

    /// Whether the registry is known to take a small blob in one request.
    pub(super) fn takes_at_once(&self, repository: &Repository) -> bool {
        lock(&self.inner.at_once).get(&repository.registry) == Some(&true)
    }

    /// The one-request upload of the specification. A registry without it answers 202, or refuses.
    async fn send_at_once(
        &self,
        start: &Call<'_>,
        digest: &Digest,
        body: &Body,
    ) -> Result<Answer, Error> {
        let mut call = start.clone();
        if let Target::Path(path) = &mut call.to {
            path.push_str(&format!("?digest={digest}"));
        }
        let octets = HeaderValue::from_static("application/octet-stream");
        call.headers.push((CONTENT_TYPE, octets));
        call.body = body.clone();
        self.call(call).await
    }

    /// Makes a blob of another repository of the same registry known in `to`, without sending it. False if the
    /// registry does not do that; then it must be pushed.
    ///
    /// # Errors
    /// If the registry cannot be reached, or fails.
    pub async fn mount_blob(
        &self,
        from: &Repository,
        to: &Repository,
        digest: &Digest,
    ) -> Result<bool, Error> {
        if from.registry != to.registry {
            return Ok(false);
        }
        if self.is_present(to, digest) {
            return Ok(true);
        }
        let path = format!(
            "/v2/{}/blobs/uploads/?mount={digest}&from={}",
            to.name, from.name
        );
        let mut call = upload_call(to, digest, &path);
        call.scopes.push(Scope::pull(&from.name));
        let answer = self.call(call).await?;
        match answer.status() {
            201 => {
                self.remember(to, digest);
                Ok(true)
            }
            // It may lack a right on `from`, or the ability: pushing tells.
            202 | 400..=499 => Ok(false),
            _ => Err(answer.refused().await),
        }
    }

    fn is_present(&self, repository: &Repository, digest: &Digest) -> bool {
        lock(&self.inner.present).contains(&(repository.clone(), digest.clone()))
    }

    fn remember(&self, repository: &Repository, digest: &Digest) {
        lock(&self.inner.present).insert((repository.clone(), digest.clone()));
    }
}

fn blob_call<'a>(repository: &'a Repository, method: Method, digest: &Digest) -> Call<'a> {
    Call {
        method,
        registry: &repository.registry,
        to: Target::Path(format!("/v2/{}/blobs/{digest}", repository.name)),
        headers: Vec::new(),
        body: Body::Empty,
        scopes: vec![Scope::pull(&repository.name)],
        operation: "reading the blob",
        target: repository.at(&digest.to_string()),
        repeatable: true,
    }
}

fn upload_call<'a>(repository: &'a Repository, digest: &Digest, path: &str) -> Call<'a> {
    Call {
        method: Method::POST,
        registry: &repository.registry,
        to: Target::Path(path.to_owned()),
        headers: Vec::new(),
        body: Body::Empty,
        scopes: vec![Scope::push(&repository.name)],
        operation: "pushing the blob",
        target: repository.at(&digest.to_string()),
        repeatable: true,
    }
}
