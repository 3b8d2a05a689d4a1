//! Blobs: pulled whole or in part, pushed at once or in chunks, mounted, deleted.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs>

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use sealmark_formats::{Digest, HashAlgorithm};

use super::body::Incoming;
use super::content;
use super::dispatch::{CONTENT_DIGEST, Call, OCTET_STREAM, blocking, etag, matches_etag, reply};
use super::grammar::{Name, parse_digest};
use super::refusal::{Code, Refusal};
use super::uploads::{self, ChunkRange, Partial, Session};

/// GET and HEAD of a blob (end-2).
pub(super) async fn get(call: &Call, name: &str, digest: &str) -> Result<Response, Refusal> {
    let (name, digest) = (call.name(name)?, call.digest(digest)?);
    let (inner, wanted) = (call.inner.clone(), (name.clone(), digest.clone()));
    let found = blocking(move || {
        let (name, digest) = wanted;
        let Some(entry) = inner.store.blob(&name, &digest)? else {
            return Ok(None);
        };
        match inner.store.open_content(&digest, &entry) {
            Ok(file) => Ok(Some((file, entry.size))),
            // It may have been deleted just now.
            Err(_) if inner.store.blob(&name, &digest)?.is_none() => Ok(None),
            Err(error) => Err(error),
        }
    });
    let Some((file, size)) = found.await? else {
        return Err(call.missing(&name, Code::BlobUnknown, format_args!("blob {digest}")));
    };
    let mut headers = vec![
        (CONTENT_DIGEST, digest.to_string()),
        (header::ETAG, etag(&digest)),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
    ];
    if call.has(&digest) {
        return Ok(reply(StatusCode::NOT_MODIFIED, &headers, Body::empty()));
    }
    headers.push((header::CONTENT_TYPE, OCTET_STREAM.to_owned()));
    if call.method == Method::HEAD {
        headers.push((header::CONTENT_LENGTH, size.to_string()));
        return Ok(reply(StatusCode::OK, &headers, Body::empty()));
    }
    let current = call
        .header(header::IF_RANGE)
        .is_none_or(|tag| matches_etag(tag, Some(&digest)));
    let range = call.header(header::RANGE).filter(|_| current);
    let (status, part) = match range.and_then(|text| content::parse_range(text, size)) {
        None => (StatusCode::OK, None),
        Some(Ok(part)) => (StatusCode::PARTIAL_CONTENT, Some(part)),
        Some(Err(())) => {
            let message = format!("the blob has {size} bytes");
            return Err(Refusal::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                Code::SizeInvalid,
                message,
            )
            .with(header::CONTENT_RANGE, &format!("bytes */{size}")));
        }
    };
    let length = part.as_ref().map_or(size, |part| part.end - part.start);
    headers.push((header::CONTENT_LENGTH, length.to_string()));
    if let Some(part) = &part {
        headers.push((
            header::CONTENT_RANGE,
            format!("bytes {}-{}/{size}", part.start, part.end - 1),
        ));
    }
    Ok(reply(
        status,
        &headers,
        content::body(call.inner.clone(), digest, file, size, part),
    ))
}

/// DELETE of a blob (end-10).
pub(super) async fn delete(call: &Call, name: &str, digest: &str) -> Result<Response, Refusal> {
    let name = call.name(name)?;
    // Nothing can be stored under a digest that is not one.
    let digest =
        parse_digest(digest).map_err(|problem| Refusal::not_found(Code::BlobUnknown, problem))?;
    let (inner, wanted) = (call.inner.clone(), (name.clone(), digest.clone()));
    if !blocking(move || inner.store.delete_blob(&wanted.0, &wanted.1)).await? {
        return Err(call.missing(&name, Code::BlobUnknown, format_args!("blob {digest}")));
    }
    Ok(reply(StatusCode::ACCEPTED, &[], Body::empty()))
}

/// POST of an upload (end-4a, 4b, 11): mounts, takes the whole blob, or begins.
pub(super) async fn start(
    call: &Call,
    body: &mut Incoming,
    name: &str,
) -> Result<Response, Refusal> {
    let name = call.name(name)?;
    if let Some(digest) = call
        .query
        .first("mount")
        .and_then(|text| parse_digest(text).ok())
        && mount(call, &name, &digest).await?
    {
        return Ok(created(&name, &digest));
    }
    let digest = call
        .query
        .first("digest")
        .map(|text| call.digest(text))
        .transpose()?;
    let algorithm = match (&digest, call.query.first("digest-algorithm")) {
        (Some(digest), _) => digest.algorithm(),
        (None, Some("sha512")) => HashAlgorithm::Sha512,
        (None, Some("sha256") | None) => HashAlgorithm::Sha256,
        (None, Some(_)) => {
            let message = "this registry has the digest algorithms sha256 and sha512";
            return Err(Refusal::bad_request(Code::DigestInvalid, message));
        }
    };
    let inner = call.inner.clone();
    let partial =
        blocking(move || Ok(Partial::new(inner.store.scratch_file()?, algorithm))).await?;
    let limit = call.inner.options.max_blob_bytes;
    let Some(digest) = digest else {
        let session = call.inner.uploads.start(name, partial)?;
        return Ok(progress(StatusCode::ACCEPTED, &session));
    };
    check_length(call, body, limit)?;
    let (partial, received) = uploads::receive(partial, body, None, limit, None).await;
    received?;
    let partial = partial.ok_or_else(uploads::unknown)?;
    store(call, &name, partial, &digest).await
}

async fn mount(call: &Call, to: &Name, digest: &Digest) -> Result<bool, Refusal> {
    let from = match call.query.first("from").map(Name::parse) {
        Some(None) => return Ok(false),
        Some(Some(from)) => Some(from),
        None => None,
    };
    let (inner, to, digest) = (call.inner.clone(), to.clone(), digest.clone());
    blocking(move || inner.store.mount(from.as_ref(), &to, &digest)).await
}

/// GET of an upload (end-13).
pub(super) fn status(call: &Call, name: &str, id: &str) -> Result<Response, Refusal> {
    let session = call.inner.uploads.find(&call.name(name)?, id)?;
    Ok(progress(StatusCode::NO_CONTENT, &session))
}

/// DELETE of an upload.
pub(super) fn cancel(call: &Call, name: &str, id: &str) -> Result<Response, Refusal> {
    let session = call.inner.uploads.find(&call.name(name)?, id)?;
    call.inner.uploads.remove(&session);
    Ok(reply(StatusCode::NO_CONTENT, &[], Body::empty()))
}

/// PATCH of an upload (end-5): the next chunk, or, without `Content-Range`, all that comes.
pub(super) async fn append(
    call: &Call,
    body: &mut Incoming,
    name: &str,
    id: &str,
) -> Result<Response, Refusal> {
    let session = call.inner.uploads.find(&call.name(name)?, id)?;
    receive(call, body, &session).await?;
    Ok(progress(StatusCode::ACCEPTED, &session))
}

/// PUT of an upload (end-6): the last chunk, if there is one, and the digest of the whole.
pub(super) async fn finish(
    call: &Call,
    body: &mut Incoming,
    name: &str,
    id: &str,
) -> Result<Response, Refusal> {
    let session = call.inner.uploads.find(&call.name(name)?, id)?;
    let Some(digest) = call.query.first("digest") else {
        return Err(Refusal::bad_request(
            Code::DigestInvalid,
            "the parameter digest is missing",
        ));
    };
    let digest = call.digest(digest)?;
    receive(call, body, &session).await?;
    let partial = session
        .partial
        .lock()
        .await
        .take()
        .ok_or_else(uploads::unknown)?;
    // Right or wrong, this upload is over: no other digest could be right.
    call.inner.uploads.remove(&session);
    store(call, &session.name, partial, &digest).await
}

async fn receive(call: &Call, body: &mut Incoming, session: &Session) -> Result<(), Refusal> {
    let limit = call.inner.options.max_blob_bytes;
    let mut guard = session.partial.lock().await;
    let written = session.written();
    check_length(call, body, limit.saturating_sub(written))?;
    let out_of_order = |message: String| {
        Refusal::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            Code::BlobUploadInvalid,
            message,
        )
        .with(header::LOCATION, &location(session))
        .with(header::RANGE, &range(written))
    };
    let chunk = match call.headers.get(header::CONTENT_RANGE) {
        None => None,
        Some(value) => {
            let parsed = value.to_str().ok().and_then(ChunkRange::parse);
            let chunk =
                parsed.ok_or_else(|| out_of_order("Content-Range is not FIRST-LAST".to_owned()))?;
            if chunk.first != written {
                return Err(out_of_order(format!(
                    "the next chunk begins with byte {written}"
                )));
            }
            if body.length.is_some_and(|length| length != chunk.length()) {
                let message = "Content-Length and Content-Range contradict each other";
                return Err(Refusal::bad_request(Code::SizeInvalid, message));
            }
            Some(chunk)
        }
    };
    let partial = guard.take().ok_or_else(uploads::unknown)?;
    let (partial, received) = uploads::receive(partial, body, chunk, limit, Some(session)).await;
    if partial.is_none() {
        call.inner.uploads.remove(session);
    }
    *guard = partial;
    received
}

fn check_length(call: &Call, body: &Incoming, limit: u64) -> Result<(), Refusal> {
    match body.length {
        Some(length) if length > limit => {
            let max = call.inner.options.max_blob_bytes;
            Err(Refusal::too_large(format!(
                "this registry takes blobs of at most {max} bytes"
            )))
        }
        _ => Ok(()),
    }
}

async fn store(
    call: &Call,
    name: &Name,
    partial: Partial,
    digest: &Digest,
) -> Result<Response, Refusal> {
    let (inner, to, wanted) = (call.inner.clone(), name.clone(), digest.clone());
    blocking(move || inner.store.put_blob(&to, &wanted, partial.finish(&wanted)?)).await?;
    Ok(created(name, digest))
}

fn created(name: &Name, digest: &Digest) -> Response {
    let headers = [
        (header::LOCATION, format!("/v2/{name}/blobs/{digest}")),
        (CONTENT_DIGEST, digest.to_string()),
    ];
    reply(StatusCode::CREATED, &headers, Body::empty())
}

fn location(session: &Session) -> String {
    format!("/v2/{}/blobs/uploads/{}", session.name, session.id)
}

/// `0-LAST`, as the specification has it; that cannot say "nothing", for which clients expect `0-0`.
fn range(written: u64) -> String {
    format!("0-{}", written.saturating_sub(1))
}

fn progress(status: StatusCode, session: &Session) -> Response {
    let headers = [
        (header::LOCATION, location(session)),
        (header::RANGE, range(session.written())),
        (
            header::HeaderName::from_static("docker-upload-uuid"),
            session.id.clone(),
        ),
    ];
    reply(status, &headers, Body::empty())
}
