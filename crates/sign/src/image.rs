//! Signing an image in a registry.

use std::collections::BTreeMap;

use sealmark_formats::bundle::{self, Bundle};
use sealmark_formats::{Digest, dsse, statement};
use sealmark_oci::BundleAttachment;
use sealmark_oci::manifest::{
    BUNDLE_CONTENT_ANNOTATION, BUNDLE_PREDICATE_ANNOTATION, CREATED_ANNOTATION,
};
use sealmark_oci::{Client, Descriptor, Reference, Repository, Source, Want};
use sealmark_verify::evidence::{Content, Evidence, Layout};
use sealmark_verify::{Artifact, Kind};

use crate::{Error, Sighting, Signatory, check, log};

mod legacy;

/// What to sign, and how.
pub struct Request<'a> {
    /// Talks to the registry.
    pub client: &'a Client,
    /// The image or index.
    pub image: &'a Reference,
    /// The repository that the signature goes to.
    pub signatures: &'a Repository,
    /// Signs.
    pub signatory: &'a Signatory,
    /// Annotations of the signature.
    pub annotations: &'a BTreeMap<String, String>,
    /// The identity that a legacy payload claims, instead of the image's repository.
    pub container_identity: Option<&'a str>,
    /// The forms in which the signature is kept.
    pub layouts: Layouts,
    /// Write legacy signatures with docker's media types instead of OCI's.
    pub docker_media_types: bool,
    /// Sign every image of an index too.
    pub recursive: bool,
    /// Attach the signature; otherwise it is only returned.
    pub upload: bool,
}

/// The forms in which a signature is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Layouts {
    /// A Sigstore bundle that refers to the image.
    Bundle,
    /// A layer at the tag `sha256-….sig`.
    Legacy,
    /// Both.
    Both,
}

/// What was signed.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The image, by digest.
    pub image: Reference,
    /// Its digest.
    pub digest: Digest,
    /// Its signatures.
    pub signatures: Vec<Placed>,
}

/// A signature.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The form in which it is kept.
    pub layout: Layout,
    /// What is signed: the statement or the simple signing payload.
    pub payload: Vec<u8>,
    /// The signature over it.
    pub signature: Vec<u8>,
    /// The bundle, if that is the form.
    pub bundle: Option<Vec<u8>>,
    /// Who else has seen it.
    pub seen: Vec<Sighting>,
    /// What became of it.
    pub state: State,
}

/// What became of a signature.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum State {
    /// It is attached, in the manifest with this digest.
    Attached(Location),
    /// This key had signed the same content before: nothing was added.
    AlreadyThere(Location),
    /// It was not to be attached.
    NotUploaded,
}

/// Where a signature is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Location {
    /// `registry/repository@sha256:…` of the manifest.
    pub reference: String,
    /// The manifest's digest.
    pub digest: Digest,
    /// How it is found: a tag, or the referrers of the image.
    pub found_by: String,
}

/// Signs: the reference is resolved once, and only the digest is used after.
///
/// # Errors
/// [`Error`]; what was attached before the failure stays.
pub async fn sign(request: &Request<'_>) -> Result<Vec<Signed>, Error> {
    let root = request.client.resolve(request.image).await?;
    let subjects = match request.recursive && root.is_index() {
        true => {
            let source = Source::Registry {
                client: request.client.clone(),
                repository: request.image.in_repository(),
            };
            source.with_children(root).await?
        }
        false => vec![root],
    };
    let mut signed = Vec::with_capacity(subjects.len());
    for subject in &subjects {
        signed.push(sign_one(request, subject).await?);
    }
    Ok(signed)
}

async fn sign_one(request: &Request<'_>, subject: &Descriptor) -> Result<Signed, Error> {
    let mut signatures = Vec::new();
    let existing = match request.upload {
        true => existing(request, &subject.digest).await?,
        false => Vec::new(),
    };
    if request.layouts != Layouts::Legacy {
        signatures.push(as_bundle(request, subject, &existing).await?);
    }
    if request.layouts != Layouts::Bundle {
        signatures.push(legacy::as_legacy(request, subject, &existing).await?);
    }
    Ok(Signed {
        image: request.image.by_digest(&subject.digest),
        digest: subject.digest.clone(),
        signatures,
    })
}

/// What is attached already in the layouts that are to be written.
async fn existing(request: &Request<'_>, subject: &Digest) -> Result<Vec<Evidence>, Error> {
    let source = Source::Registry {
        client: request.client.clone(),
        repository: request.signatures.clone(),
    };
    let want = match request.layouts {
        Layouts::Bundle => Want::BUNDLES,
        Layouts::Legacy => Want::LEGACY_SIGNATURES,
        Layouts::Both => Want::SIGNATURES,
    };
    Ok(sealmark_oci::gather(&source, subject, want).await?)
}

async fn as_bundle(
    request: &Request<'_>,
    subject: &Descriptor,
    existing: &[Evidence],
) -> Result<Placed, Error> {
    let payload = statement::image_signature(&subject.digest, request.annotations);
    let twin = existing
        .iter()
        .filter_map(|evidence| match &evidence.content {
            Content::Bundle(bundle) => match &bundle.content {
                bundle::Content::Dsse(envelope) if says_the_same(&envelope.payload, &payload) => {
                    Some((evidence, bundle, envelope))
                }
                _ => None,
            },
            _ => None,
        })
        // Others may have signed the same.
        .find_map(|(evidence, bundle, envelope)| {
            let seen = accepted(request.signatory, &subject.digest, evidence).ok()?;
            Some((evidence, bundle, envelope, seen))
        });
    if let Some((evidence, bundle, envelope, seen)) = twin
        && let Some(signature) = envelope.signatures.first()
    {
        return Ok(Placed {
            layout: Layout::Bundle,
            payload: envelope.payload.clone(),
            signature: signature.sig.clone(),
            bundle: Some(bundle.to_json()),
            seen,
            state: already_there(evidence, &subject.digest, "referrer"),
        });
    }
    let mut envelope = dsse::Envelope {
        payload,
        payload_type: dsse::IN_TOTO_PAYLOAD_TYPE.to_owned(),
        signatures: Vec::new(),
    };
    let signatory = &request.signatory.current().await?;
    let signature = signatory.signer().sign(&envelope.pae()).await?;
    envelope.signatures.push(dsse::Signature {
        sig: signature.clone(),
        keyid: None,
    });
    let payload = envelope.payload.clone();
    let witnessed = signatory
        .witness(log::Signed::Envelope {
            envelope: &envelope,
            signature: &signature,
        })
        .await?;
    let content = bundle::Content::Dsse(envelope);
    let mut bundle = Bundle::new(signatory.material(), content);
    bundle.timestamps = witnessed.timestamps;
    bundle.log_entries = witnessed.log_entries;
    let json = bundle.to_json();
    let content = Content::from_bundle(&json);
    let seen = check_fresh(signatory, subject, content)?;
    let state = match request.upload {
        false => State::NotUploaded,
        true => {
            let annotations = BTreeMap::from([
                (BUNDLE_CONTENT_ANNOTATION, "dsse-envelope".to_owned()),
                (
                    BUNDLE_PREDICATE_ANNOTATION,
                    statement::COSIGN_SIGN_V1.to_owned(),
                ),
                (CREATED_ANNOTATION, now()),
            ]);
            let attachment = BundleAttachment {
                json: json.clone().into(),
                media_type: bundle.media_type.clone(),
                annotations: annotations
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .collect(),
            };
            let attached = request
                .client
                .attach_bundle(request.signatures, subject, attachment)
                .await?;
            State::Attached(Location {
                reference: request.signatures.with_digest(&attached.digest).to_string(),
                digest: attached.digest,
                found_by: format!("referrer of {}", subject.digest),
            })
        }
    };
    Ok(Placed {
        layout: Layout::Bundle,
        payload,
        signature,
        bundle: Some(json),
        seen,
        state,
    })
}

/// Whether a statement says the same as ours, although it may be written in other bytes: cosign writes
/// `"annotations":{}` where there are none.
fn says_the_same(payload: &[u8], ours: &[u8]) -> bool {
    let rewritten = || serde_json::to_vec(&statement::Statement::parse(payload).ok()?).ok();
    payload == ours || rewritten().is_some_and(|payload| payload == ours)
}

fn already_there(evidence: &Evidence, subject: &Digest, how: &str) -> State {
    let digest = evidence
        .source
        .manifest
        .clone()
        .unwrap_or_else(|| subject.clone());
    State::AlreadyThere(Location {
        reference: evidence.source.location.clone(),
        digest,
        found_by: format!("{how} of {subject}"),
    })
}

fn check_fresh(
    signatory: &Signatory,
    subject: &Descriptor,
    content: Content,
) -> Result<Vec<Sighting>, Error> {
    let artifact = Artifact::by_digest(subject.digest.clone());
    let what = subject.digest.to_string();
    check::fresh(signatory, Kind::ImageSignature, &artifact, content, &what)
}

fn accepted(
    signatory: &Signatory,
    digest: &Digest,
    evidence: &Evidence,
) -> Result<Vec<Sighting>, String> {
    let artifact = Artifact::by_digest(digest.clone());
    check::made_by(signatory, Kind::ImageSignature, &artifact, evidence)
}

fn now() -> String {
    // Whole seconds, as cosign writes it.
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}
