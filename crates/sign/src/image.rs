//! Signing an image in a registry.

use std::collections::BTreeMap;

use sealmark_formats::simple_signing::SimpleSigning;
use sealmark_formats::{Digest, statement};
use sealmark_oci::{Client, Descriptor, Reference, Repository, Source, Want};
use sealmark_verify::Kind;

use crate::place::{Layouts, Place, Placed};
use crate::{Error, Signatory, legacy};

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

/// Signs: the reference is resolved once, and only the digest is used after.
///
/// # Errors
/// [`Error`]; what was attached before the failure stays.
pub async fn sign(request: &Request<'_>) -> Result<Vec<Signed>, Error> {
    let subjects = subjects(request.client, request.image, request.recursive).await?;
    let mut signed = Vec::with_capacity(subjects.len());
    for subject in &subjects {
        signed.push(sign_one(request, subject).await?);
    }
    Ok(signed)
}

async fn sign_one(request: &Request<'_>, subject: &Descriptor) -> Result<Signed, Error> {
    let place = Place {
        client: request.client,
        repository: request.signatures,
        signatory: request.signatory,
        subject,
        kind: Kind::ImageSignature,
        upload: request.upload,
        docker_media_types: request.docker_media_types,
    };
    let existing = place
        .existing(match request.layouts {
            Layouts::Bundle => Want::BUNDLES,
            Layouts::Legacy => Want::LEGACY_SIGNATURES,
            Layouts::Both => Want::SIGNATURES,
        })
        .await?;
    let mut signatures = Vec::new();
    if request.layouts != Layouts::Legacy {
        let payload = statement::image_signature(&subject.digest, request.annotations);
        let made = place.bundle(payload, statement::COSIGN_SIGN_V1, &existing);
        signatures.push(made.await?);
    }
    if request.layouts != Layouts::Bundle {
        let repository = request.image.in_repository().to_string();
        let identity = request.container_identity.unwrap_or(&repository);
        let payload = SimpleSigning::new(identity, &subject.digest, request.annotations).to_json();
        signatures.push(legacy::signature(&place, payload, &existing).await?);
    }
    Ok(Signed {
        image: request.image.by_digest(&subject.digest),
        digest: subject.digest.clone(),
        signatures,
    })
}

/// The image or index, and if wanted every image in it, resolved once.
pub(crate) async fn subjects(
    client: &Client,
    image: &Reference,
    recursive: bool,
) -> Result<Vec<Descriptor>, Error> {
    let root = client.resolve(image).await?;
    match recursive && root.is_index() {
        true => {
            let source = Source::Registry {
                client: client.clone(),
                repository: image.in_repository(),
            };
            Ok(source.with_children(root).await?)
        }
        false => Ok(vec![root]),
    }
}
