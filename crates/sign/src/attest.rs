//! Attesting: a predicate about an image or a file, in a statement that is signed.
//!
//! What is signed is what the user gave: the predicate's text goes into the statement as it is, so that no number is
//! changed, no field lost and no order changed.

use serde_json::value::RawValue;

use sealmark_formats::bundle;
use sealmark_formats::statement::{self, Statement, Subject};
use sealmark_formats::{Digest, dsse};
use sealmark_oci::{Client, Descriptor, Reference, Repository, Want};
use sealmark_verify::evidence::{Content, Evidence};
use sealmark_verify::policy::{Attestation, PredicateType};
use sealmark_verify::{Artifact, Kind};

use crate::image::{Signed, subjects};
use crate::place::{Layouts, Place, State, make_bundle};
use crate::{Error, Signatory, blob, check, legacy};

/// What is attested.
#[derive(Clone, Copy, Debug)]
pub enum Claim<'a> {
    /// A predicate, for which the statement is made.
    Predicate {
        /// The URI that says what it means.
        predicate_type: &'a str,
        /// The predicate, as the text it is.
        predicate: &'a RawValue,
    },
    /// A whole statement, signed as the bytes it is; it must name the artifact as a subject.
    Statement(&'a [u8]),
}

/// What to attest of an image, and how.
pub struct Request<'a> {
    /// Talks to the registry.
    pub client: &'a Client,
    /// The image or index.
    pub image: &'a Reference,
    /// The repository that the attestation goes to.
    pub attestations: &'a Repository,
    /// Signs.
    pub signatory: &'a Signatory,
    /// What is said.
    pub claim: Claim<'a>,
    /// The forms in which it is kept.
    pub layouts: Layouts,
    /// Write legacy layers with docker's media types instead of OCI's.
    pub docker_media_types: bool,
    /// Attest of every image of an index too.
    pub recursive: bool,
    /// Attach; otherwise it is only returned.
    pub upload: bool,
    /// It takes the place of what this signer has attached of this type before.
    pub replace: bool,
}

/// Attests: the reference is resolved once, and only the digest is used after.
///
/// # Errors
/// [`Error`]; what was attached before the failure stays.
pub async fn attest(request: &Request<'_>) -> Result<Vec<Signed>, Error> {
    let subjects = subjects(request.client, request.image, request.recursive).await?;
    let mut attested = Vec::with_capacity(subjects.len());
    for subject in &subjects {
        attested.push(attest_one(request, subject).await?);
    }
    Ok(attested)
}

async fn attest_one(request: &Request<'_>, subject: &Descriptor) -> Result<Signed, Error> {
    let name = request.image.in_repository().to_string();
    let statement = statement_of(request.claim, &name, &subject.digest)?;
    let predicate_type = statement.predicate_type.as_str();
    let place = Place {
        client: request.client,
        repository: request.attestations,
        signatory: request.signatory,
        subject,
        kind: kind(predicate_type),
        upload: request.upload,
        docker_media_types: request.docker_media_types,
    };
    let existing = place
        .existing(match request.layouts {
            Layouts::Bundle => Want::BUNDLES,
            Layouts::Legacy | Layouts::Both => Want::ATTESTATIONS,
        })
        .await?;
    // What this signer has said before, of this type.
    let earlier: Vec<&Evidence> = match request.replace {
        true => existing
            .iter()
            .filter(|evidence| place.accepted(evidence).is_ok())
            .collect(),
        false => Vec::new(),
    };
    let mut signatures = Vec::new();
    // A large statement is there twice only if both forms are made of it.
    let (for_bundle, for_legacy) = match request.layouts {
        Layouts::Bundle => (statement.json, Vec::new()),
        Layouts::Legacy => (Vec::new(), statement.json),
        Layouts::Both => (statement.json.clone(), statement.json),
    };
    if request.layouts != Layouts::Legacy {
        let placed = place.bundle(for_bundle, predicate_type, &existing);
        let mut placed = placed.await?;
        placed.replaced = bundles_but(&earlier, &placed.state);
        if !placed.replaced.is_empty() {
            request
                .client
                .detach(request.attestations, &subject.digest, &placed.replaced)
                .await
                .map_err(|cause| Error::NotReplaced {
                    what: predicate_type.to_owned(),
                    cause: Box::new(cause),
                })?;
        }
        signatures.push(placed);
    }
    if request.layouts != Layouts::Bundle {
        let json = for_legacy;
        let replace = layers_but(&earlier, &json);
        let placed = legacy::attestation(&place, json, predicate_type, &existing, replace);
        signatures.push(placed.await?);
    }
    Ok(Signed {
        image: request.image.by_digest(&subject.digest),
        digest: subject.digest.clone(),
        signatures,
    })
}

/// The manifests of earlier bundles, without the one that holds what was to be said.
fn bundles_but(earlier: &[&Evidence], state: &State) -> Vec<Digest> {
    let kept = match state {
        State::Attached(location) | State::AlreadyThere(location) => Some(&location.digest),
        State::NotUploaded => None,
    };
    let bundles = earlier
        .iter()
        .filter(|evidence| matches!(evidence.content, Content::Bundle(_)));
    bundles
        .filter_map(|evidence| evidence.source.manifest.clone())
        .filter(|manifest| Some(manifest) != kept)
        .collect()
}

/// The blobs of earlier layers, without those that say the same.
fn layers_but(earlier: &[&Evidence], payload: &[u8]) -> Vec<Digest> {
    let layers = earlier.iter().filter_map(|evidence| {
        let Content::Envelope(detached) = &evidence.content else {
            return None;
        };
        let envelope = dsse::Envelope::parse(&detached.payload).ok()?;
        let same = crate::place::says_the_same(&envelope.payload, payload);
        (!same).then(|| Digest::sha256(&detached.payload))
    });
    layers.collect()
}

/// An attestation of a file.
pub type AttestedFile = blob::Signed;

/// Attests of a file, or of data of which only the digest is known. `name` is what the statement calls it.
///
/// # Errors
/// If the key does not sign, a given statement is not about the file, or somebody who is to see the signature does not.
pub async fn attest_file(
    signatory: &Signatory,
    claim: Claim<'_>,
    name: &str,
    digest: &Digest,
) -> Result<AttestedFile, Error> {
    attest_statement(signatory, statement_of(claim, name, digest)?, name, digest).await
}

/// [`attest_file`] with a statement that is ready: whoever has a large predicate gives it up before.
///
/// # Errors
/// As [`attest_file`].
pub async fn attest_statement(
    signatory: &Signatory,
    statement: ToSign,
    name: &str,
    digest: &Digest,
) -> Result<AttestedFile, Error> {
    let signatory = &signatory.current().await?;
    let made = make_bundle(signatory, statement.json).await?;
    let artifact = Artifact::by_digest(digest.clone());
    let content = Content::from_bundle(&made.json);
    let kind = kind(&statement.predicate_type);
    let (seen, _) = check::fresh(signatory, kind, &artifact, content, name)?;
    Ok(AttestedFile {
        verifier_pem: signatory.verifier_pem(),
        digest: digest.clone(),
        signature: made.signature,
        log_entries: made.log_entries,
        timestamps: made.timestamps,
        bundle: made.json.into(),
        seen,
    })
}

/// The envelope of an attestation in a bundle, as cosign 1 and 2 kept it.
///
/// # Errors
/// If the bundle holds no envelope.
pub fn envelope_of(bundle_json: &[u8]) -> Result<Vec<u8>, String> {
    let bundle = bundle::Bundle::parse(bundle_json).map_err(|error| error.to_string())?;
    match &bundle.content {
        bundle::Content::Dsse(envelope) => {
            serde_json::to_vec(envelope).map_err(|error| error.to_string())
        }
        bundle::Content::MessageSignature(_) => Err("it holds a signature, and no envelope".into()),
    }
}

/// A statement that is ready to be signed.
pub struct ToSign {
    json: Vec<u8>,
    predicate_type: String,
}

/// The statement that a claim makes about a file or image.
///
/// # Errors
/// If a given statement is not about it.
pub fn statement_of(claim: Claim<'_>, name: &str, digest: &Digest) -> Result<ToSign, Error> {
    match claim {
        Claim::Predicate {
            predicate_type,
            predicate,
        } => Ok(ToSign {
            json: statement::attestation(&[(name, digest)], predicate_type, predicate),
            predicate_type: predicate_type.to_owned(),
        }),
        Claim::Statement(json) => {
            let statement =
                Statement::parse_head(json).map_err(|error| Error::Statement(error.to_string()))?;
            if statement.subjects_with(digest).next().is_none() {
                return Err(Error::Statement(format!(
                    "none of its subjects has the digest {digest}{}",
                    named(&statement.subject)
                )));
            }
            Ok(ToSign {
                json: json.to_vec(),
                predicate_type: statement.predicate_type,
            })
        }
    }
}

/// Which subjects a statement has, for people.
fn named(subjects: &[Subject]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = subjects
        .iter()
        .flat_map(|subject| &subject.digest)
        .take(SHOWN)
        .map(|(algorithm, hex)| format!("{algorithm}:{hex}"))
        .collect();
    match shown.is_empty() {
        true => "; it has no subject with a digest".to_owned(),
        false => format!(
            "; it is about {}",
            sealmark_http::sanitise(&shown.join(", "))
        ),
    }
}

fn kind(predicate_type: &str) -> Kind {
    Kind::Attestation(Attestation {
        types: vec![PredicateType::Exact(predicate_type.to_owned())],
        ..Attestation::default()
    })
}
