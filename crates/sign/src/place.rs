//! Where an attachment goes: one artifact, and the layouts that it may be attached in.
//!
//! Whoever attaches something goes the same way: look at what is there, sign only what this signer has not signed yet,
//! show it to the services, verify it, and only then push it.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use sealmark_formats::bundle::{self, Bundle};
use sealmark_formats::{Digest, dsse, statement};
use sealmark_keys::KeyType;
use sealmark_kms::Signer;
use sealmark_oci::manifest::{
    BUNDLE_CONTENT_ANNOTATION, BUNDLE_PREDICATE_ANNOTATION, CREATED_ANNOTATION,
};
use sealmark_oci::{BundleAttachment, Client, Descriptor, Replace, Repository, Source, Want};
use sealmark_verify::evidence::{Content, Evidence, Layout};
use sealmark_verify::{Artifact, Kind};

use crate::{Error, Sighting, Signatory, check, log};

/// The forms in which a signature is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Layouts {
    /// A Sigstore bundle that refers to the image.
    Bundle,
    /// A layer at the tag `sha256-….sig`, or `sha256-….att` for attestations.
    Legacy,
    /// Both.
    Both,
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
    pub bundle: Option<Bytes>,
    /// Who else has seen it.
    pub seen: Vec<Sighting>,
    /// What became of it.
    pub state: State,
    /// Older ones of the same signer that it took the place of.
    pub replaced: Vec<Digest>,
}

impl Placed {
    /// The DSSE envelope of a statement, as cosign 1 and 2 keep it.
    pub fn envelope(&self) -> Vec<u8> {
        let envelope = dsse::Envelope {
            payload: self.payload.clone(),
            payload_type: dsse::IN_TOTO_PAYLOAD_TYPE.to_owned(),
            signatures: vec![dsse::Signature {
                sig: self.signature.clone(),
                keyid: None,
            }],
        };
        serde_json::to_vec(&envelope).expect("bytes and texts can be written as JSON")
    }
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

/// One artifact, who signs, and where what is signed goes.
pub(crate) struct Place<'a> {
    pub(crate) client: &'a Client,
    /// The repository that attachments go to.
    pub(crate) repository: &'a Repository,
    pub(crate) signatory: &'a Signatory,
    pub(crate) subject: &'a Descriptor,
    /// What the attachment must be to verify.
    pub(crate) kind: Kind,
    /// Attach; otherwise nothing is read or written.
    pub(crate) upload: bool,
    /// Write legacy layers with docker's media types instead of OCI's.
    pub(crate) docker_media_types: bool,
}

impl Place<'_> {
    /// What is attached already.
    pub(crate) async fn existing(&self, want: Want) -> Result<Vec<Evidence>, Error> {
        if !self.upload {
            return Ok(Vec::new());
        }
        let source = Source::Registry {
            client: self.client.clone(),
            repository: self.repository.clone(),
        };
        Ok(sealmark_oci::gather(&source, &self.subject.digest, want).await?)
    }

    /// Puts a statement into a bundle that refers to the artifact.
    pub(crate) async fn bundle(
        &self,
        payload: Vec<u8>,
        predicate_type: &str,
        existing: &[Evidence],
    ) -> Result<Placed, Error> {
        let twin = existing
            .iter()
            .filter_map(|evidence| match &evidence.content {
                Content::Bundle(bundle) => match &bundle.content {
                    bundle::Content::Dsse(envelope)
                        if says_the_same(&envelope.payload, &payload) =>
                    {
                        Some((evidence, bundle, envelope))
                    }
                    _ => None,
                },
                _ => None,
            })
            // Others may have signed the same.
            .find_map(|(evidence, bundle, envelope)| {
                let seen = self.accepted(evidence).ok()?;
                Some((evidence, bundle, envelope, seen))
            });
        if let Some((evidence, bundle, envelope, seen)) = twin
            && let Some(signature) = envelope.signatures.first()
        {
            return Ok(Placed {
                layout: Layout::Bundle,
                payload: envelope.payload.clone(),
                signature: signature.sig.clone(),
                bundle: Some(bundle.to_json().into()),
                seen,
                state: self.already_there(evidence, "referrer"),
                replaced: Vec::new(),
            });
        }
        let made = make_bundle(self.signatory, payload).await?;
        let (seen, content) = self.check_fresh(Content::from_bundle(&made.json))?;
        let state = match self.upload {
            false => State::NotUploaded,
            true => {
                let annotations = [
                    (BUNDLE_CONTENT_ANNOTATION, "dsse-envelope".to_owned()),
                    (BUNDLE_PREDICATE_ANNOTATION, predicate_type.to_owned()),
                    (CREATED_ANNOTATION, now()),
                ];
                let attachment = BundleAttachment {
                    json: made.json.clone(),
                    media_type: made.media_type,
                    annotations: annotations
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect(),
                };
                let attached = self
                    .client
                    .attach_bundle(self.repository, self.subject, attachment)
                    .await?;
                State::Attached(Location {
                    reference: self.repository.with_digest(&attached.digest).to_string(),
                    digest: attached.digest,
                    found_by: format!("referrer of {}", self.subject.digest),
                })
            }
        };
        Ok(Placed {
            layout: Layout::Bundle,
            payload: match content {
                Content::Bundle(bundle) => match bundle.content {
                    bundle::Content::Dsse(envelope) => envelope.payload,
                    bundle::Content::MessageSignature(_) => Vec::new(),
                },
                _ => Vec::new(),
            },
            signature: made.signature,
            bundle: Some(made.json),
            seen,
            state,
            replaced: Vec::new(),
        })
    }

    /// Adds a layer to the image at the tag with this suffix.
    pub(crate) async fn layer(
        &self,
        suffix: &str,
        media_type: &str,
        blob: Vec<u8>,
        annotations: BTreeMap<String, String>,
        replace: Replace,
    ) -> Result<State, Error> {
        if !self.upload {
            return Ok(State::NotUploaded);
        }
        let mut layer = Descriptor::of(media_type, &blob);
        layer.annotations.extend(annotations);
        let pushed = self
            .client
            .append_legacy(
                self.repository,
                &self.subject.digest,
                suffix,
                layer,
                blob.into(),
                replace,
                self.docker_media_types,
            )
            .await?;
        let prefix = &self.client.options().tag_prefix;
        let tag = sealmark_oci::attachment_tag(prefix, &self.subject.digest, suffix);
        Ok(State::Attached(Location {
            reference: self.repository.with_digest(&pushed).to_string(),
            digest: pushed,
            found_by: format!("tag {tag}"),
        }))
    }

    pub(crate) fn already_there(&self, evidence: &Evidence, how: &str) -> State {
        let subject = &self.subject.digest;
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

    /// Verifies what was just made; gives who else has seen it, and back what was verified.
    pub(crate) fn check_fresh(&self, content: Content) -> Result<(Vec<Sighting>, Content), Error> {
        let artifact = Artifact::by_digest(self.subject.digest.clone());
        let what = self.subject.digest.to_string();
        let kind = self.kind.clone();
        check::fresh(self.signatory, kind, &artifact, content, &what)
    }

    /// Whether this is a good one of this signer; who else has seen it.
    pub(crate) fn accepted(&self, evidence: &Evidence) -> Result<Vec<Sighting>, String> {
        let artifact = Artifact::by_digest(self.subject.digest.clone());
        check::made_by(self.signatory, self.kind.clone(), &artifact, evidence)
    }
}

/// A bundle that was just made. The payload is in the text alone: it may be large.
pub(crate) struct MadeBundle {
    pub(crate) signature: Vec<u8>,
    pub(crate) media_type: String,
    pub(crate) json: Bytes,
    pub(crate) timestamps: Vec<Vec<u8>>,
    pub(crate) log_entries: Vec<bundle::LogEntry>,
}

/// Signs a statement, and shows the signature to everybody who is to see it.
pub(crate) async fn make_bundle(
    signatory: &Signatory,
    payload: Vec<u8>,
) -> Result<MadeBundle, Error> {
    let signatory = &signatory.current().await?;
    let (envelope, signature) = sign_envelope(signatory, payload).await?;
    let witnessed = signatory
        .witness(log::Signed::Envelope {
            envelope: &envelope,
            signature: &signature,
            key: signatory.signer().public_key(),
        })
        .await?;
    let mut bundle = Bundle::new(signatory.material(), bundle::Content::Dsse(envelope));
    bundle.timestamps = witnessed.timestamps;
    bundle.log_entries = witnessed.log_entries;
    Ok(MadeBundle {
        signature,
        json: bundle.to_json().into(),
        media_type: bundle.media_type,
        timestamps: bundle.timestamps,
        log_entries: bundle.log_entries,
    })
}

/// A DSSE envelope with one signature over a statement, and that signature.
pub(crate) async fn sign_envelope(
    signatory: &Signatory,
    payload: Vec<u8>,
) -> Result<(dsse::Envelope, Vec<u8>), Error> {
    signatory.check_size_for_logs(payload.len())?;
    let payload = Bytes::from(payload);
    let signer = signatory.signer();
    let payload_type = dsse::IN_TOTO_PAYLOAD_TYPE;
    let signature = match (signer, signer.public_key().key_type()) {
        // A provider gets the whole message for this kind of key.
        (Signer::Remote(_), KeyType::Ed25519) => {
            signer.sign(&dsse::pae(payload_type, &payload)).await?
        }
        _ => {
            let header = dsse::pae_header(payload_type, payload.len()).into();
            let signed = signer.sign_reader(InTwoParts::new(header, payload.clone()));
            signed.await?.0
        }
    };
    let envelope = dsse::Envelope {
        // Not copied: nobody else has it any more.
        payload: payload.into(),
        payload_type: payload_type.to_owned(),
        signatures: vec![dsse::Signature {
            sig: signature.clone(),
            keyid: None,
        }],
    };
    Ok((envelope, signature))
}

/// The pre-authentication encoding, read without a copy of the payload.
struct InTwoParts {
    parts: [Bytes; 2],
    at: usize,
}

impl InTwoParts {
    fn new(header: Bytes, payload: Bytes) -> Self {
        Self {
            parts: [header, payload],
            at: 0,
        }
    }
}

impl Read for InTwoParts {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let [header, payload] = &self.parts;
        let rest = match header.get(self.at..) {
            Some(rest) if !rest.is_empty() => rest,
            _ => payload.get(self.at - header.len()..).unwrap_or_default(),
        };
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

impl Seek for InTwoParts {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let end = self.parts[0].len() + self.parts[1].len();
        let from = |start: usize, by: i64| match usize::try_from(by.unsigned_abs()) {
            Ok(count) if by < 0 => start.checked_sub(count),
            Ok(count) => start.checked_add(count),
            Err(_) => None,
        };
        let to = match to {
            SeekFrom::Start(at) => usize::try_from(at).ok(),
            SeekFrom::End(by) => from(end, by),
            SeekFrom::Current(by) => from(self.at, by),
        };
        let to = to.filter(|to| *to <= end);
        self.at = to.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at as u64)
    }
}

/// Predicates are compared as the texts they are, and the rest of a statement is small: two that say the same do not differ
/// by more bytes than this.
const MAX_REWRITTEN: usize = 1 << 20;

/// Whether a statement says the same as ours, although it may be written in other bytes: cosign writes
/// `"annotations":{}` where there are none.
pub(crate) fn says_the_same(payload: &[u8], ours: &[u8]) -> bool {
    if payload.len().abs_diff(ours.len()) > MAX_REWRITTEN {
        return false;
    }
    let rewritten = |json| serde_json::to_vec(&statement::Statement::parse(json).ok()?).ok();
    payload == ours || rewritten(payload).is_some_and(|json| rewritten(ours) == Some(json))
}

fn now() -> String {
    // Whole seconds, as cosign writes it.
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}
