//! Lists, a page at a time: tags, referrers, repositories.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#content-discovery>

use axum::body::Body;
use axum::http::header::HeaderName;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::dispatch::{Call, blocking, reply};
use super::grammar::{Tag, parse_digest};
use super::manifest::{Descriptor, OCI_INDEX};
use super::refusal::{Code, Refusal};
use super::{MAX_MANIFEST_BYTES, TAGS_PAGE};

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
/// Bytes of an answer of the referrers API besides the descriptors; a client reads it like any index.
const INDEX_FRAME: usize = 256;

/// GET of a repository's tags (end-8).
pub(super) async fn tags(call: &Call, name: &str) -> Result<Response, Refusal> {
    let name = call.name(name)?;
    if !call.inner.store.knows(&name) {
        return Err(call.missing(&name, Code::NameUnknown, "tags"));
    }
    let (inner, repository) = (call.inner.clone(), name.clone());
    let tags = blocking(move || inner.store.tags(&repository)).await?;
    let key = Tag::sort_key;
    let (tags, more) = page(call, tags, |tag, last| key(tag) > key(last))?;
    let link = more.then(|| next(call, &format!("/v2/{name}/tags/list"), &tags));
    Ok(list(&json!({"name": name.as_str(), "tags": tags}), link))
}

/// GET of all repositories.
pub(super) fn catalog(call: &Call) -> Result<Response, Refusal> {
    let (names, more) = page(call, call.inner.store.repositories(), |name, last| {
        name > last
    })?;
    let link = more.then(|| next(call, "/v2/_catalog", &names));
    Ok(list(&json!({"repositories": names}), link))
}

/// What `n` and `last` ask for of a sorted list, and whether there is more.
fn page(
    call: &Call,
    mut items: Vec<String>,
    is_after: impl Fn(&str, &str) -> bool,
) -> Result<(Vec<String>, bool), Refusal> {
    if let Some(last) = call.query.first("last").filter(|last| !last.is_empty()) {
        items.retain(|item| is_after(item, last));
    }
    let n = match call.query.first("n") {
        None | Some("") => TAGS_PAGE,
        Some(text) => text.parse::<usize>().map_err(|_| {
            Refusal::bad_request(
                Code::Unsupported,
                "the parameter n is not a number of entries",
            )
        })?,
    };
    let more = n > 0 && items.len() > n.min(TAGS_PAGE);
    items.truncate(n.min(TAGS_PAGE));
    Ok((items, more))
}

fn next(call: &Call, path: &str, items: &[String]) -> String {
    let last = items.last().map(String::as_str).unwrap_or_default();
    let n = call
        .query
        .first("n")
        .filter(|n| !n.is_empty())
        .map(|n| format!("n={n}&"))
        .unwrap_or_default();
    link(path, &format!("{n}last={}", encode(last)))
}

fn link(path: &str, query: &str) -> String {
    format!("<{path}?{query}>; rel=\"next\"")
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn list(content: &serde_json::Value, link: Option<String>) -> Response {
    let mut headers = vec![(header::CONTENT_TYPE, "application/json".to_owned())];
    headers.extend(link.map(|link| (header::LINK, link)));
    reply(StatusCode::OK, &headers, Body::from(content.to_string()))
}

/// GET of the manifests whose subject has this digest (end-12).
pub(super) async fn referrers(call: &Call, name: &str, subject: &str) -> Result<Response, Refusal> {
    if !call.inner.options.referrers {
        // What registries without this API say, so that clients are tested against it.
        return Ok((StatusCode::NOT_FOUND, "404 page not found\n").into_response());
    }
    let name = call.name(name)?;
    // This endpoint is never 404 for a repository or a subject that is unknown, and always 400 for a bad digest.
    let digest = parse_digest(subject)
        .map_err(|problem| Refusal::bad_request(Code::DigestInvalid, problem))?;
    let (inner, repository, wanted) = (call.inner.clone(), name.clone(), digest.clone());
    let mut descriptors = blocking(move || inner.store.referrers(&repository, &wanted)).await?;
    let filter = call
        .query
        .first("artifactType")
        .filter(|filter| !filter.is_empty());
    if let Some(filter) = filter {
        descriptors.retain(|descriptor| descriptor.artifact_type.as_deref() == Some(filter));
    }
    if let Some(last) = call.query.first("last") {
        descriptors.retain(|descriptor| descriptor.digest.to_string().as_str() > last);
    }
    let asked = call
        .query
        .first("n")
        .and_then(|n| n.parse::<usize>().ok())
        .filter(|n| *n > 0);
    let limit = asked
        .unwrap_or(usize::MAX)
        .min(call.inner.options.referrers_page)
        .max(1);
    let fitting = fitting(&descriptors).min(limit);
    let more = descriptors.len() > fitting;
    descriptors.truncate(fitting);

    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors});
    let mut headers = vec![(header::CONTENT_TYPE, OCI_INDEX.to_owned())];
    if filter.is_some() {
        headers.push((FILTERS_APPLIED, "artifactType".to_owned()));
    }
    if let Some(last) = descriptors.last().filter(|_| more) {
        let n = asked.map(|n| format!("n={n}&")).unwrap_or_default();
        let filter = filter
            .map(|filter| format!("artifactType={}&", encode(filter)))
            .unwrap_or_default();
        let query = format!("{n}{filter}last={}", encode(&last.digest.to_string()));
        headers.push((
            header::LINK,
            link(&format!("/v2/{name}/referrers/{digest}"), &query),
        ));
    }
    Ok(reply(
        StatusCode::OK,
        &headers,
        Body::from(index.to_string()),
    ))
}

/// How many of the descriptors make an index that is not larger than a manifest may be; one at least.
fn fitting(descriptors: &[Descriptor]) -> usize {
    let mut left = MAX_MANIFEST_BYTES - INDEX_FRAME;
    let fits = |descriptor: &&Descriptor| {
        let size = serde_json::to_vec(descriptor).map_or(0, |json| json.len() + 1);
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    };
    descriptors.iter().take_while(fits).count().max(1)
}
