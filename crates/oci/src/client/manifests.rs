//! Manifests, tags, and the check of a login.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use sealmark_formats::Digest;
use serde::Deserialize;

use super::answer::Answer;
use super::challenge::Scope;
use super::request::{Call, Target};
use super::send::{Body, given_url, jitter};
use super::{Client, MAX_LISTED, MAX_MANIFEST, MAX_PAGES, Manifest, Pushed};
use crate::error::{Error, sanitise};
use crate::manifest::Descriptor;
use crate::reference::{Reference, Repository};

/// How often a manifest is pushed again of which the registry does not see the blobs yet.
const BLOB_TRIES: u32 = 4;

/// The registry's word for the digest of what it answers.
const CONTENT_DIGEST: &str = "docker-content-digest";

pub(super) const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";

impl Client {
    /// The digest that a reference means. A reference with a digest needs no request.
    ///
    /// # Errors
    /// As of [`resolve`](Self::resolve).
    pub async fn digest(&self, reference: &Reference) -> Result<Digest, Error> {
        match &reference.digest {
            Some(digest) => Ok(digest.clone()),
            None => Ok(self.resolve(reference).await?.digest),
        }
    }

    /// What a reference means, with size and media type: one HEAD request, which also proves that it exists.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the registry does not have it; any other failure as what it is.
    pub async fn resolve(&self, reference: &Reference) -> Result<Descriptor, Error> {
        let repository = reference.in_repository();
        let identifier = reference.identifier();
        let answer = self
            .call(read(&repository, Method::HEAD, &identifier))
            .await?;
        let digest = answer
            .header(CONTENT_DIGEST)
            .and_then(|text| text.parse::<Digest>().ok());
        if let (200, Some(found), Some(size)) = (answer.status(), digest, answer.length()) {
            if let Some(expected) = reference
                .digest
                .as_ref()
                .filter(|expected| **expected != found)
            {
                // The registry's word is not about another algorithm's digest.
                if expected.algorithm() == found.algorithm() {
                    let what = format!("manifest {reference}");
                    return Err(Error::DigestMismatch {
                        what,
                        expected: expected.clone(),
                        found,
                    });
                }
            } else if size <= MAX_MANIFEST {
                return Ok(Descriptor::new(media_type(&answer), found, size));
            }
        }
        // The registry does not say, or an error: an answer to HEAD has no words.
        Ok(self.manifest(&repository, &identifier).await?.descriptor())
    }

    /// A manifest or index by tag or digest. Its bytes are checked against the digest asked for, and against what the
    /// registry says that the digest is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::DigestMismatch`], [`Error::TooLarge`] beyond [`MAX_MANIFEST`],
    /// [`Error::NotRegistry`]; any other failure as what it is.
    pub async fn manifest(
        &self,
        repository: &Repository,
        identifier: &str,
    ) -> Result<Manifest, Error> {
        self.manifest_and_etag(repository, identifier)
            .await
            .map(|(manifest, _)| manifest)
    }

    pub(super) async fn manifest_and_etag(
        &self,
        repository: &Repository,
        identifier: &str,
    ) -> Result<(Manifest, Option<HeaderValue>), Error> {
        let mut answer = self.call(read(repository, Method::GET, identifier)).await?;
        if answer.status() != 200 {
            return Err(answer.refused().await);
        }
        let what = format!("manifest {}", repository.at(identifier));
        let bytes = answer.bytes(&what, MAX_MANIFEST).await?;
        let asked = identifier.parse::<Digest>().ok();
        let claimed = answer
            .header(CONTENT_DIGEST)
            .and_then(|text| text.parse::<Digest>().ok());
        for expected in [&asked, &claimed].into_iter().flatten() {
            let found = Digest::of(expected.algorithm(), &bytes);
            if found != *expected {
                // A login page has no digest to be altered from.
                answer.expect_json(&bytes)?;
                return Err(Error::DigestMismatch {
                    what,
                    expected: expected.clone(),
                    found,
                });
            }
        }
        // What has the digest asked for is what was pushed, whatever that is; at a tag, a login page might answer.
        if asked.is_none() {
            answer.expect_json(&bytes)?;
        }
        let digest = asked.unwrap_or_else(|| Digest::sha256(&bytes));
        let etag = answer
            .header("etag")
            .and_then(|etag| HeaderValue::from_str(etag).ok());
        let mut media_type = media_type(&answer);
        if !media_type.ends_with("json") || media_type == "application/json" {
            media_type = own_media_type(&bytes).unwrap_or(media_type);
        }
        Ok((
            Manifest {
                media_type,
                digest,
                bytes: bytes.into(),
            },
            etag,
        ))
    }

    /// As [`manifest`](Self::manifest), and `None` if the registry does not have it.
    ///
    /// # Errors
    /// Any failure but [`Error::NotFound`].
    pub async fn manifest_if_exists(
        &self,
        repository: &Repository,
        identifier: &str,
    ) -> Result<Option<Manifest>, Error> {
        match self.manifest(repository, identifier).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the repository has a manifest, by tag or digest.
    ///
    /// # Errors
    /// Any failure but that it is not there.
    pub async fn manifest_exists(
        &self,
        repository: &Repository,
        identifier: &str,
    ) -> Result<bool, Error> {
        let answer = self
            .call(read(repository, Method::HEAD, identifier))
            .await?;
        match answer.status() {
            200 => Ok(true),
            404 => Ok(false),
            _ => Err(answer.refused().await),
        }
    }

    /// Puts a manifest, under a tag, or only by its digest.
    ///
    /// # Errors
    /// As the registry refuses; [`Error::DigestMismatch`] if it stored something else.
    pub async fn push_manifest(
        &self,
        repository: &Repository,
        tag: Option<&str>,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Pushed, Error> {
        match self
            .put_manifest(repository, tag, media_type, bytes, Vec::new())
            .await?
        {
            Put::Stored(pushed) => Ok(pushed),
            Put::Precondition(answer) => Err(answer.refused().await),
        }
    }

    pub(super) async fn put_manifest(
        &self,
        repository: &Repository,
        tag: Option<&str>,
        media_type: &str,
        bytes: Bytes,
        mut headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Put, Error> {
        let digest = Digest::sha256(&bytes);
        let identifier = tag.map_or_else(|| digest.to_string(), str::to_owned);
        let value = HeaderValue::from_str(media_type)
            .map_err(|error| Error::malformed(format!("media type {media_type:?}"), error))?;
        headers.push((CONTENT_TYPE, value));
        let call = Call {
            method: Method::PUT,
            registry: &repository.registry,
            to: Target::Path(format!("/v2/{}/manifests/{identifier}", repository.name)),
            headers,
            body: Body::Bytes(bytes),
            scopes: vec![Scope::push(&repository.name)],
            operation: "pushing the manifest",
            target: repository.at(&identifier),
            repeatable: true,
        };
        let mut tries = 0;
        let answer = loop {
            let mut answer = self.call(call.clone()).await?;
            let passing = match answer.status() {
                200..=204 => break answer,
                412 => return Ok(Put::Precondition(Box::new(answer))),
                // While another client pushes the same blob, such as the empty configuration, docker's registry says
                // for a moment that it has none.
                400 | 404 => answer.says("MANIFEST_BLOB_UNKNOWN").await?,
                _ => false,
            };
            if !passing || tries == BLOB_TRIES {
                return Err(answer.refused().await);
            }
            tokio::time::sleep(jitter(Duration::from_millis(100) * (1 << tries))).await;
            tries += 1;
        };
        let claimed = answer
            .header(CONTENT_DIGEST)
            .and_then(|text| text.parse::<Digest>().ok());
        if let Some(found) = claimed
            .filter(|claimed| claimed.algorithm() == digest.algorithm() && *claimed != digest)
        {
            let what = format!("manifest pushed to {}", repository.at(&identifier));
            return Err(Error::DigestMismatch {
                what,
                expected: digest,
                found,
            });
        }
        let subject_indexed = answer.header("oci-subject").is_some();
        Ok(Put::Stored(Pushed {
            digest,
            subject_indexed,
        }))
    }

    /// Deletes a manifest.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not there; [`Error::Rejected`] if the registry does not delete.
    pub async fn delete_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<(), Error> {
        self.delete(repository, &digest.to_string()).await
    }

    /// Deletes a tag, and leaves the manifest.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not there; [`Error::Rejected`] if the registry does not delete tags.
    pub async fn delete_tag(&self, repository: &Repository, tag: &str) -> Result<(), Error> {
        self.delete(repository, tag).await
    }

    async fn delete(&self, repository: &Repository, identifier: &str) -> Result<(), Error> {
        let answer = self
            .call(Call {
                scopes: vec![Scope::delete(&repository.name)],
                operation: "deleting",
                ..read(repository, Method::DELETE, identifier)
            })
            .await?;
        match answer.status() {
            200..=204 => Ok(()),
            _ => Err(answer.refused().await),
        }
    }

    /// The tags of a repository.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the repository is unknown; [`Error::TooMany`] beyond [`MAX_LISTED`].
    pub async fn tags(&self, repository: &Repository) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let what = format!("tags of {repository}");
        let mut tags = Vec::new();
        let mut next = Target::Path(format!("/v2/{}/tags/list?n=1000", repository.name));
        for _ in 0..MAX_PAGES {
            let answer = self
                .call(Call {
                    method: Method::GET,
                    registry: &repository.registry,
                    to: next,
                    headers: Vec::new(),
                    body: Body::Empty,
                    scopes: vec![Scope::pull(&repository.name)],
                    operation: "listing the tags of",
                    target: repository.to_string(),
                    repeatable: true,
                })
                .await?;
            if answer.status() != 200 {
                return Err(answer.refused().await);
            }
            let following = self.next_page(&answer)?;
            let page: Page = answer.json(&what, MAX_MANIFEST).await?;
            tags.extend(page.tags.unwrap_or_default());
            if tags.len() > MAX_LISTED {
                return Err(Error::TooMany {
                    what,
                    limit: MAX_LISTED,
                });
            }
            match following {
                Some(target) => next = target,
                None => return Ok(tags),
            }
        }
        Err(Error::TooMany {
            what: format!("pages of {what}"),
            limit: MAX_PAGES,
        })
    }

    /// Where the next page is, from `Link: <…>; rel="next"`, RFC 8288.
    pub(super) fn next_page(&self, answer: &Answer) -> Result<Option<Target>, Error> {
        let Some(link) = answer.header("link") else {
            return Ok(None);
        };
        let Some(next) = next_link(link) else {
            return Ok(None);
        };
        let url =
            given_url(&answer.url, next, self.options()).map_err(|reason| Error::Redirect {
                attempt: answer.attempt.clone(),
                reason: format!("next page {reason}"),
            })?;
        if super::transport::authority(&url) != super::transport::authority(&answer.url) {
            return Err(Error::Redirect {
                attempt: answer.attempt.clone(),
                reason: format!(
                    "the next page is on another host: {}",
                    sanitise(url.as_str())
                ),
            });
        }
        Ok(Some(Target::Url(url)))
    }

    /// Checks that the registry accepts the credential that [`lookup`](crate::credentials::lookup) finds for it. A
    /// registry that asks for none accepts any.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if it does not.
    pub async fn check_login(&self, registry: &str) -> Result<(), Error> {
        let answer = self
            .call(Call {
                method: Method::GET,
                registry,
                to: Target::Path("/v2/".to_owned()),
                headers: Vec::new(),
                body: Body::Empty,
                scopes: Vec::new(),
                operation: "logging in to",
                target: registry.to_owned(),
                repeatable: true,
            })
            .await?;
        match answer.status() {
            200 => Ok(()),
            _ => Err(answer.refused().await),
        }
    }
}

/// What came of a conditional PUT.
pub(super) enum Put {
    Stored(Pushed),
    /// 412: the condition does not hold, or the tag is immutable.
    Precondition(Box<Answer>),
}

/// The URL in the header `Link` that has `rel="next"`.
pub(super) fn next_link(header: &str) -> Option<&str> {
    header.split(',').find_map(|link| {
        let (url, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let parameters = parameters.replace([' ', '"'], "").to_ascii_lowercase();
        parameters
            .split(';')
            .any(|parameter| parameter == "rel=next")
            .then_some(url)
    })
}

fn read<'a>(repository: &'a Repository, method: Method, identifier: &str) -> Call<'a> {
    Call {
        method,
        registry: &repository.registry,
        to: Target::Path(format!("/v2/{}/manifests/{identifier}", repository.name)),
        headers: vec![(ACCEPT, HeaderValue::from_static(ACCEPTED))],
        body: Body::Empty,
        scopes: vec![Scope::pull(&repository.name)],
        operation: "reading the manifest",
        target: repository.at(identifier),
        repeatable: true,
    }
}

fn media_type(answer: &Answer) -> String {
    sanitise(answer.content_type())
}

fn own_media_type(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape {
        media_type: String,
    }
    serde_json::from_slice::<Shape>(bytes)
        .ok()
        .map(|shape| sanitise(&shape.media_type))
}
