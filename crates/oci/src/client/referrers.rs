//! What refers to an image: read through the API or the fallback index, and written so that others find it.
//!
//! Invariant: "there are none" is only said when the registry said so. A registry that refuses or fails gives an
//! error, never an empty list.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>,
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests-with-subject>

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{ACCEPT, HeaderValue};
use sealmark_formats::Digest;

use super::challenge::Scope;
use super::request::{Call, Target};
use super::send::{Body, jitter};
use super::{
    Attached, BundleAttachment, Client, MAX_LISTED, MAX_MANIFEST, MAX_PAGES, Referrers,
    ReferrersSource, lock,
};
use crate::error::{Error, sanitise};
use crate::manifest::{
    Descriptor, EMPTY_CONFIG, EMPTY_JSON, Index, OCI_INDEX, Parsed, bundle_manifest,
};
use crate::reference::{Repository, attachment_tag};

/// How often a registry's list is looked at for what was just pushed; some are a moment late.
const LISTING_LOOKS: u32 = 5;

impl Client {
    /// What refers to `subject`. With an artifact type, only referrers of that type, and those of which the type
    /// cannot be known from the list.
    ///
    /// # Errors
    /// Any failure, except that the registry has neither the API nor a fallback index; [`Error::NotReferrers`] if
    /// there is something else in the index's place.
    pub async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Referrers, Error> {
        let known = lock(&self.inner.referrers)
            .get(&repository.registry)
            .copied();
        let listed = match known {
            Some(false) => None,
            _ => {
                self.referrers_api(repository, subject, artifact_type)
                    .await?
            }
        };
        let mut referrers = match listed {
            Some(descriptors) => Referrers {
                descriptors,
                source: ReferrersSource::Api,
            },
            None => self.fallback_index(repository, subject).await?,
        };
        if let Some(wanted) = artifact_type {
            referrers
                .descriptors
                .retain(|descriptor| stated_type(descriptor).is_none_or(|stated| stated == wanted));
        }
        let mut seen = HashSet::new();
        referrers
            .descriptors
            .retain(|descriptor| seen.insert(descriptor.digest.clone()));
        Ok(referrers)
    }

    /// `None` if the registry has no such API.
    async fn referrers_api(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Option<Vec<Descriptor>>, Error> {
        let target = repository.at(&subject.to_string());
        let what = format!("list of referrers of {target}");
        let mut path = format!("/v2/{}/referrers/{subject}", repository.name);
        if let Some(wanted) = artifact_type {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("artifactType", wanted);
            path = format!("{path}?{}", query.finish());
        }
        let mut next = Target::Path(path);
        let mut descriptors = Vec::new();
        for page in 0..MAX_PAGES {
            let mut answer = self
                .call(Call {
                    method: Method::GET,
                    registry: &repository.registry,
                    to: next,
                    headers: vec![(ACCEPT, HeaderValue::from_static(OCI_INDEX))],
                    body: Body::Empty,
                    scopes: vec![Scope::pull(&repository.name)],
                    operation: "listing the referrers of",
                    target: target.clone(),
                    repeatable: true,
                })
                .await?;
            match answer.status() {
                200 => {}
                // The specification says 404. Registries from before the API also refuse the path in other ways,
                // and none of these is about credentials or the registry's health.
                400 | 404 | 405 | 406 | 501 if page == 0 => {
                    self.remember_absence(repository, answer).await;
                    return Ok(None);
                }
                _ => return Err(answer.refused().await),
            }
            let following = self.next_page(&answer)?;
            let bytes = answer.bytes(&what, MAX_MANIFEST).await?;
            answer.expect_json(&bytes)?;
            let index: Index =
                serde_json::from_slice(&bytes).map_err(|error| Error::malformed(&what, error))?;
            descriptors.extend(index.manifests);
            if descriptors.len() > MAX_LISTED {
                return Err(Error::TooMany {
                    what,
                    limit: MAX_LISTED,
                });
            }
            match following {
                Some(target) => next = target,
                None => {
                    lock(&self.inner.referrers).insert(repository.registry.clone(), true);
                    return Ok(Some(descriptors));
                }
            }
        }
        Err(Error::TooMany {
            what: format!("pages of the {what}"),
            limit: MAX_PAGES,
        })
    }

    /// That the image or its repository is unknown says nothing about the API for others.
    async fn remember_absence(&self, repository: &Repository, answer: super::answer::Answer) {
        let (codes, _) = answer.words().await;
        if !codes
            .iter()
            .any(|code| code == "NAME_UNKNOWN" || code == "MANIFEST_UNKNOWN")
        {
            lock(&self.inner.referrers)
                .entry(repository.registry.clone())
                .or_insert(false);
        }
    }

    pub(crate) async fn fallback_index(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Referrers, Error> {
        let tag = attachment_tag("", subject, "");
        let Some((manifest, _)) = self.attachments_at(repository, &tag).await? else {
            return Ok(Referrers {
                descriptors: Vec::new(),
                source: ReferrersSource::None,
            });
        };
        let found = match manifest.parse() {
            Ok(Parsed::Index(index)) => Ok(index.manifests),
            Ok(Parsed::Image(image)) => Err(format!("a manifest of type {:?}", image.kind())),
            Err(Error::Malformed { reason, .. }) => Err(format!("malformed: {reason}")),
            Err(error) => return Err(error),
        };
        let descriptors = found.map_err(|found| Error::NotReferrers {
            tag: repository.at(&tag),
            digest: manifest.digest.clone(),
            found: sanitise(&found),
        })?;
        Ok(Referrers {
            descriptors,
            source: ReferrersSource::FallbackIndex,
        })
    }

    /// Attaches a manifest that has `subject` to it. Its blobs must have been pushed. Where the registry has no
    /// referrers API, the manifest is listed in the fallback index, and what others list at the same time stays.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the manifest has another subject; [`Error::NotListed`] if the registry has the API and
    /// does not list it; [`Error::Contended`]; any other failure as what it is.
    pub async fn attach(
        &self,
        repository: &Repository,
        subject: &Descriptor,
        media_type: &str,
        manifest: Bytes,
    ) -> Result<Attached, Error> {
        let entry = referrer_descriptor(subject, media_type, &manifest)?;
        let pushed = self
            .push_manifest(repository, None, media_type, manifest)
            .await?;
        let known = lock(&self.inner.referrers)
            .get(&repository.registry)
            .copied();
        let via = match known {
            Some(true) if pushed.subject_indexed => ReferrersSource::Api,
            Some(false) => ReferrersSource::FallbackIndex,
            _ => {
                self.probe(repository, &subject.digest, &[&pushed.digest])
                    .await?
            }
        };
        if via == ReferrersSource::FallbackIndex {
            self.add_to_fallback_index(repository, &subject.digest, &[entry])
                .await?;
        }
        Ok(Attached {
            digest: pushed.digest,
            via,
        })
    }

    /// Finds out how the registry lists referrers, by looking for one that was just pushed. The header `OCI-Subject`
    /// is not enough: there were registries that sent it without having the API.
    async fn probe(
        &self,
        repository: &Repository,
        subject: &Digest,
        own: &[&Digest],
    ) -> Result<ReferrersSource, Error> {
        let mut missing = None;
        for look in 0..LISTING_LOOKS {
            if look > 0 {
                tokio::time::sleep(jitter(Duration::from_millis(100) * (1 << look))).await;
            }
            let Some(listed) = self.referrers_api(repository, subject, None).await? else {
                return Ok(ReferrersSource::FallbackIndex);
            };
            let listed: HashSet<_> = listed.into_iter().map(|entry| entry.digest).collect();
            missing = own.iter().find(|digest| !listed.contains(**digest));
            if missing.is_none() {
                return Ok(ReferrersSource::Api);
            }
        }
        match missing {
            None => Ok(ReferrersSource::Api),
            Some(digest) => Err(Error::NotListed {
                target: repository.at(&subject.to_string()),
                host: repository.registry.clone(),
                digest: (*digest).clone(),
            }),
        }
    }

    /// Sees to it that manifests, which the repository has, are found as referrers of `subject`: the registry lists
    /// them, or the fallback index does, in one write. What others listed stays.
    pub(crate) async fn see_listed(
        &self,
        repository: &Repository,
        subject: &Digest,
        entries: &[Descriptor],
    ) -> Result<(), Error> {
        let known = lock(&self.inner.referrers)
            .get(&repository.registry)
            .copied();
        let via = match known {
            Some(false) => ReferrersSource::FallbackIndex,
            _ => {
                let own: Vec<&Digest> = entries.iter().map(|entry| &entry.digest).collect();
                self.probe(repository, subject, &own).await?
            }
        };
        match via {
            ReferrersSource::FallbackIndex => {
                self.add_to_fallback_index(repository, subject, entries)
                    .await
            }
            ReferrersSource::Api | ReferrersSource::None => Ok(()),
        }
    }

    /// Attaches a Sigstore bundle as cosign 3 does: one manifest, pushed by digest, with the bundle as its only layer.
    ///
    /// # Errors
    /// As of [`attach`](Self::attach).
    pub async fn attach_bundle(
        &self,
        repository: &Repository,
        subject: &Descriptor,
        bundle: BundleAttachment,
    ) -> Result<Attached, Error> {
        let layer = Descriptor::of(bundle.media_type, &bundle.json);
        let manifest = bundle_manifest(subject, layer, bundle.annotations);
        self.push_blob(repository, bundle.json).await?;
        // The same for every bundle, so that it is there but for the first one; asking costs as much as sending it
        // in one request.
        let empty = Digest::sha256(EMPTY_JSON);
        // docker's registry answers 500 while another client pushes the same blob: sending it tells.
        if self.takes_at_once(repository)
            || !self.blob_exists(repository, &empty).await.unwrap_or(false)
        {
            self.push_blob(repository, Bytes::from_static(EMPTY_JSON))
                .await?;
        }
        let media_type = manifest.media_type.clone().unwrap_or_default();
        self.attach(repository, subject, &media_type, manifest.to_json().into())
            .await
    }
}

/// The artifact type that a list states, if it can be believed: old clients wrote the type of the empty
/// configuration instead, and some registries report that.
pub(crate) fn stated_type(descriptor: &Descriptor) -> Option<&str> {
    descriptor
        .artifact_type
        .as_deref()
        .filter(|stated| !stated.is_empty() && *stated != EMPTY_CONFIG)
}

/// A manifest as a list of referrers describes it.
pub(crate) fn referrer_descriptor(
    subject: &Descriptor,
    media_type: &str,
    manifest: &[u8],
) -> Result<Descriptor, Error> {
    let what = "the attachment's manifest";
    let parsed = Parsed::read(what, media_type, manifest)?;
    if parsed
        .subject()
        .is_none_or(|own| own.digest != subject.digest)
    {
        let reason = format!("its subject is not {}", subject.digest);
        return Err(Error::malformed(what, reason));
    }
    let mut entry = Descriptor::of(media_type, manifest);
    match parsed {
        Parsed::Image(image) => {
            entry.artifact_type = Some(image.kind().to_owned());
            entry.annotations = image.annotations;
        }
        Parsed::Index(index) => {
            entry.artifact_type = index.artifact_type;
            entry.annotations = index.annotations;
        }
    }
    Ok(entry)
}
