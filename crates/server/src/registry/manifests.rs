//! Manifests: pulled, pushed and deleted, by tag and by digest.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests>

use axum::body::Body;
use axum::http::header::HeaderName;
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use sealmark_formats::{Digest, HashAlgorithm};
use serde_json::json;

use super::body::Incoming;
use super::dispatch::{CONTENT_DIGEST, Call, blocking, etag, matches_etag, reply};
use super::grammar::{Name, Reference, Tag};
use super::manifest::{self, Manifest};
use super::refusal::{Code, Refusal};
use super::store::NewManifest;
use super::{MAX_MANIFEST_BYTES, MAX_TAGS_PER_PUSH};

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

/// GET and HEAD of a manifest (end-3).
pub(super) async fn get(call: &Call, name: &str, reference: &str) -> Result<Response, Refusal> {
    let name = call.name(name)?;
    // Nothing can be stored under a tag or a digest that is not one.
    let wanted = Reference::parse(reference)
        .map_err(|problem| Refusal::not_found(Code::ManifestUnknown, problem))?;
    let (inner, repository) = (call.inner.clone(), name.clone());
    let found = blocking(move || {
        let digest = match wanted {
            Reference::Digest(digest) => digest,
            Reference::Tag(tag) => match inner.store.tag(&repository, &tag)? {
                Some(digest) => digest,
                None => return Ok(None),
            },
        };
        let Some(entry) = inner.store.manifest(&repository, &digest)? else {
            return Ok(None);
        };
        match inner.store.read_manifest(&digest, &entry) {
            Ok(content) => Ok(Some((digest, entry.media_type, content))),
            // It may have been deleted just now.
            Err(_) if inner.store.manifest(&repository, &digest)?.is_none() => Ok(None),
            Err(error) => Err(error),
        }
    });
    let Some((digest, media_type, content)) = found.await? else {
        return Err(call.missing(
            &name,
            Code::ManifestUnknown,
            format_args!("manifest {reference}"),
        ));
    };
    let mut headers = vec![
        (CONTENT_DIGEST, digest.to_string()),
        (header::ETAG, etag(&digest)),
    ];
    if call.has(&digest) {
        return Ok(reply(StatusCode::NOT_MODIFIED, &headers, Body::empty()));
    }
    headers.push((header::CONTENT_TYPE, media_type));
    headers.push((header::CONTENT_LENGTH, content.len().to_string()));
    let body = if call.method == Method::HEAD {
        Body::empty()
    } else {
        Body::from(content)
    };
    Ok(reply(StatusCode::OK, &headers, body))
}

/// PUT of a manifest (end-7): by tag, or by digest with any number of `tag` parameters. `If-Match` and
/// `If-None-Match` protect what the tag names from being overwritten unseen.
pub(super) async fn put(
    call: &Call,
    body: &mut Incoming,
    name: &str,
    reference: &str,
) -> Result<Response, Refusal> {
    let name = call.name(name)?;
    let reference = Reference::parse(reference).map_err(|problem| {
        let code = if reference.contains(':') {
            Code::DigestInvalid
        } else {
            Code::ManifestInvalid
        };
        Refusal::bad_request(code, problem)
    })?;
    let (wanted, tags) = target(call, reference)?;
    let content_type = match call.header(header::CONTENT_TYPE) {
        Some(text) => Some(
            manifest::media_type(text)
                .map(str::to_owned)
                .ok_or_else(|| {
                    Refusal::bad_request(
                        Code::ManifestInvalid,
                        "the Content-Type is not a media type",
                    )
                })?,
        ),
        None => None,
    };
    let content = body.collect(MAX_MANIFEST_BYTES).await?;
    let algorithm = wanted
        .as_ref()
        .map_or(HashAlgorithm::Sha256, Digest::algorithm);
    let digest = Digest::of(algorithm, &content);
    if let Some(wanted) = wanted.filter(|wanted| *wanted != digest) {
        let message = format!("the manifest has the digest {digest}, not {wanted}");
        return Err(Refusal::bad_request(Code::DigestInvalid, message));
    }
    let parsed = Manifest::parse(&content, content_type.as_deref())
        .map_err(|problem| Refusal::bad_request(Code::ManifestInvalid, problem))?;
    require_content(call, &name, &parsed).await?;
    let descriptor = parsed.descriptor(&digest, content.len() as u64);
    let manifest = NewManifest {
        digest: digest.clone(),
        referrer: parsed.subject.clone().map(|subject| (subject, descriptor)),
        media_type: parsed.media_type,
        content,
        tags: tags.clone(),
    };
    let if_match = call.header(header::IF_MATCH).map(str::to_owned);
    let if_none_match = call.header(header::IF_NONE_MATCH).map(str::to_owned);
    let condition = move |current: Option<&Digest>| {
        if_match.is_none_or(|tags| matches_etag(&tags, current))
            && if_none_match.is_none_or(|tags| !matches_etag(&tags, current))
    };
    let (inner, repository) = (call.inner.clone(), name.clone());
    if !blocking(move || inner.store.put_manifest(&repository, &manifest, condition)).await? {
        let message =
            "what is there now is not what the request's condition says: pull it and try again";
        return Err(Refusal::new(
            StatusCode::PRECONDITION_FAILED,
            Code::ManifestInvalid,
            message,
        ));
    }
    let mut headers = vec![
        (header::LOCATION, format!("/v2/{name}/manifests/{digest}")),
        (CONTENT_DIGEST, digest.to_string()),
        (header::ETAG, etag(&digest)),
    ];
    headers.extend(
        parsed
            .subject
            .filter(|_| call.inner.options.referrers)
            .map(|s| (OCI_SUBJECT, s.to_string())),
    );
    if call.query.first("tag").is_some() {
        headers.extend(tags.iter().map(|tag| (OCI_TAG, tag.as_str().to_owned())));
    }
    Ok(reply(StatusCode::CREATED, &headers, Body::empty()))
}

/// The digest that the content must have, and the tags that are to name it. With a tag in the path, the digest may
/// be a parameter.
fn target(call: &Call, reference: Reference) -> Result<(Option<Digest>, Vec<Tag>), Refusal> {
    let (digest, mut tags) = match reference {
        Reference::Digest(digest) => (Some(digest), Vec::new()),
        Reference::Tag(tag) => (
            call.query
                .first("digest")
                .map(|text| call.digest(text))
                .transpose()?,
            vec![tag],
        ),
    };
    for text in call.query.all("tag") {
        let Some(tag) = Tag::parse(text) else {
            let message = format!(
                "{:?} is not a tag",
                text.chars().take(200).collect::<String>()
            );
            return Err(Refusal::bad_request(Code::ManifestInvalid, message));
        };
        if !tags.contains(&tag) {
            tags.push(tag);
        }
        if tags.len() > MAX_TAGS_PER_PUSH {
            let message = format!("one push sets at most {MAX_TAGS_PER_PUSH} tags");
            return Err(Refusal::new(
                StatusCode::URI_TOO_LONG,
                Code::Unsupported,
                message,
            ));
        }
    }
    Ok((digest, tags))
}

/// Refuses a manifest whose blobs are not in the repository, with one error for each. The subject may come later;
/// so may the manifests of an index, unless the options say otherwise.
async fn require_content(call: &Call, name: &Name, manifest: &Manifest) -> Result<(), Refusal> {
    let mut blobs = manifest.blobs.clone();
    let mut manifests = if call.inner.options.sparse_indexes {
        Vec::new()
    } else {
        manifest.manifests.clone()
    };
    for digests in [&mut blobs, &mut manifests] {
        digests.sort();
        digests.dedup();
    }
    let (inner, repository) = (call.inner.clone(), name.clone());
    let missing = blocking(move || {
        let mut missing = Vec::new();
        for blob in blobs {
            if inner.store.blob(&repository, &blob)?.is_none() {
                missing.push(("blob", blob));
            }
        }
        for manifest in manifests {
            if inner.store.manifest(&repository, &manifest)?.is_none() {
                missing.push(("manifest", manifest));
            }
        }
        Ok(missing)
    });
    let missing = missing.await?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(missing.into_iter().fold(
        Refusal::several(StatusCode::NOT_FOUND),
        |refusal, (kind, digest)| {
            let message = format!(
                "the repository {name} has no {kind} {digest}: push it before the manifest"
            );
            refusal.and(
                Code::ManifestBlobUnknown,
                message,
                json!({"digest": digest}),
            )
        },
    ))
}

/// DELETE of a manifest or a tag (end-9).
pub(super) async fn delete(call: &Call, name: &str, reference: &str) -> Result<Response, Refusal> {
    let name = call.name(name)?;
    let wanted = Reference::parse(reference)
        .map_err(|problem| Refusal::not_found(Code::ManifestUnknown, problem))?;
    let (inner, repository) = (call.inner.clone(), name.clone());
    let deleted = blocking(move || match wanted {
        Reference::Tag(tag) => inner.store.delete_tag(&repository, &tag),
        Reference::Digest(digest) => {
            let Some(entry) = inner.store.manifest(&repository, &digest)? else {
                return Ok(false);
            };
            // A damaged manifest can be deleted; its entry among the referrers then no longer counts.
            let content = inner.store.read_manifest(&digest, &entry).ok();
            let parsed =
                content.and_then(|content| Manifest::parse(&content, Some(&entry.media_type)).ok());
            let subject = parsed.and_then(|manifest| manifest.subject);
            inner
                .store
                .delete_manifest(&repository, &digest, subject.as_ref())
        }
    });
    if !deleted.await? {
        return Err(call.missing(
            &name,
            Code::ManifestUnknown,
            format_args!("manifest {reference}"),
        ));
    }
    Ok(reply(StatusCode::ACCEPTED, &[], Body::empty()))
}
