//! What is attached to an artifact, or given beside a file, that may speak for it.

use std::collections::BTreeMap;

use sealmark_formats::bundle::{self, Bundle};
use sealmark_formats::legacy;
use sealmark_formats::log_entry::EntryBody;
use sealmark_formats::simple_signing::SimpleSigning;
use sealmark_formats::statement::Statement;
use sealmark_formats::{Digest, dsse};

/// One attachment, before anything about it is believed.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Where it was found.
    pub source: Source,
    /// What it is.
    pub content: Content,
}

impl Evidence {
    /// Whether it comes with a signer's certificate, believed or not.
    pub fn has_certificate(&self) -> bool {
        match &self.content {
            Content::Bundle(bundle) => {
                !matches!(bundle.material, bundle::Material::PublicKey { .. })
            }
            Content::SimpleSigning(d) | Content::Envelope(d) | Content::Blob(d) => {
                d.certificate.is_some()
            }
            Content::Unreadable(_) => false,
        }
    }
}

impl Evidence {
    /// The digest of what it says it is about, believed or not: the first, if there are several.
    pub fn claimed_digest(&self) -> Option<Digest> {
        match &self.content {
            Content::Bundle(bundle) => match &bundle.content {
                bundle::Content::MessageSignature(message) => {
                    message.digest.clone().or_else(|| {
                        logged_digest(bundle.log_entries.iter().map(|e| &*e.canonicalized_body))
                    })
                }
                bundle::Content::Dsse(envelope) => subject(&envelope.payload),
            },
            Content::SimpleSigning(detached) => SimpleSigning::parse(&detached.payload)
                .ok()
                .map(|payload| payload.critical.image.docker_manifest_digest),
            Content::Envelope(detached) => dsse::Envelope::parse(&detached.payload)
                .ok()
                .and_then(|envelope| subject(&envelope.payload)),
            Content::Blob(detached) => {
                logged_digest(detached.log_entry.iter().map(|entry| &*entry.payload.body))
            }
            Content::Unreadable(_) => None,
        }
    }
}

fn subject(statement: &[u8]) -> Option<Digest> {
    let statement = Statement::parse_head(statement).ok()?;
    statement
        .subject
        .iter()
        .flat_map(|subject| &subject.digest)
        .find_map(|(name, hex)| format!("{name}:{hex}").parse().ok())
}

/// What log entries say that the signature is over.
fn logged_digest<'a>(bodies: impl Iterator<Item = &'a [u8]>) -> Option<Digest> {
    bodies
        .filter_map(|body| EntryBody::parse(body).ok())
        .find_map(|body| match body {
            EntryBody::Claims(claims) => claims.artifact_digest,
            EntryBody::Other { .. } => None,
        })
}

/// Where evidence was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    /// In which form it was kept.
    pub layout: Layout,
    /// Digest of the manifest that holds it; `None` for a file.
    pub manifest: Option<Digest>,
    /// Where to find it, for people: `registry/repository@sha256:…`, or a path.
    pub location: String,
}

/// The forms in which signatures are kept.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Layout {
    /// A Sigstore bundle in a manifest that refers to the artifact (cosign 3).
    Bundle,
    /// A layer of the image at the tag `sha256-….sig` (cosign 1 and 2).
    LegacySignature,
    /// A layer of the image at the tag `sha256-….att` (cosign 1 and 2).
    LegacyAttestation,
    /// Simple signing layers in a manifest that refers to the artifact (cosign 2, experimental).
    Oci11Signature,
    /// A file beside the artifact.
    File,
}

impl Layout {
    /// The name in JSON output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::LegacySignature => "legacy-signature",
            Self::LegacyAttestation => "legacy-attestation",
            Self::Oci11Signature => "oci-1-1",
            Self::File => "file",
        }
    }
}

/// What an attachment is.
#[derive(Clone, Debug)]
pub enum Content {
    /// A Sigstore bundle.
    Bundle(Box<Bundle>),
    /// A simple signing payload with a signature over it.
    SimpleSigning(Detached),
    /// A DSSE envelope as cosign 1 and 2 keep it; [`Detached::payload`] is the envelope's JSON.
    Envelope(Detached),
    /// A signature over the artifact's own bytes.
    Blob(Detached),
    /// Something that should be one of the above and could not be read: it is reported, never passed over in silence.
    Unreadable(String),
}

/// A signature and what is kept beside it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Detached {
    /// What is signed; empty for [`Content::Blob`].
    pub payload: Vec<u8>,
    /// The signature; empty for [`Content::Envelope`], whose payload carries it.
    pub signature: Vec<u8>,
    /// The signer's certificate, PEM.
    pub certificate: Option<Vec<u8>>,
    /// Issuers' certificates, PEM.
    pub chain: Option<Vec<u8>>,
    /// The log's promise.
    pub log_entry: Option<legacy::RekorBundle>,
    /// RFC 3161 responses, DER.
    pub timestamps: Vec<Vec<u8>>,
    /// A CT log's promise for the certificate, as JSON or in TLS form.
    pub sct: Option<Vec<u8>>,
}

impl Content {
    /// Reads a bundle as it is stored in a registry or a file.
    pub fn from_bundle(json: &[u8]) -> Self {
        match Bundle::parse(json) {
            Ok(bundle) => Self::Bundle(Box::new(bundle)),
            Err(error) => Self::Unreadable(error.to_string()),
        }
    }

    /// Reads a layer of a legacy manifest: the blob and the annotations beside it. `media_type` is the layer's.
    pub fn from_legacy_layer(
        media_type: &str,
        blob: Vec<u8>,
        annotations: &BTreeMap<String, String>,
    ) -> Self {
        match legacy_layer(media_type, blob, annotations) {
            Ok(content) => content,
            Err(reason) => Self::Unreadable(sealmark_formats::excerpt(reason)),
        }
    }

    /// What is signed and the signature over it: two attachments that share them are copies of each other.
    pub(crate) fn identity(&self) -> Option<(&[u8], &[u8])> {
        match self {
            Self::Bundle(bundle) => match &bundle.content {
                bundle::Content::MessageSignature(message) => Some((&[], &message.signature)),
                bundle::Content::Dsse(envelope) => envelope
                    .signatures
                    .first()
                    .map(|s| (&*envelope.payload, &*s.sig)),
            },
            Self::SimpleSigning(detached) | Self::Blob(detached) | Self::Envelope(detached) => {
                Some((&detached.payload, &detached.signature))
            }
            Self::Unreadable(_) => None,
        }
    }
}

fn legacy_layer(
    media_type: &str,
    payload: Vec<u8>,
    annotations: &BTreeMap<String, String>,
) -> Result<Content, String> {
    let mut detached = Detached {
        payload,
        ..Detached::default()
    };
    if let Some(text) = annotations.get(legacy::SIGNATURE_ANNOTATION) {
        use base64::Engine as _;
        detached.signature = base64::engine::general_purpose::STANDARD
            .decode(text.trim())
            .map_err(|error| format!("the signature annotation is not base64: {error}"))?;
    }
    let text = |name| annotations.get(name).filter(|value| !value.is_empty());
    detached.certificate = text(legacy::CERTIFICATE_ANNOTATION).map(|pem| pem.clone().into());
    detached.chain = text(legacy::CHAIN_ANNOTATION).map(|pem| pem.clone().into());
    if let Some(json) = text(legacy::BUNDLE_ANNOTATION) {
        detached.log_entry = Some(
            serde_json::from_str(json)
                .map_err(|error| format!("the bundle annotation is not valid: {error}"))?,
        );
    }
    if let Some(json) = text(legacy::TIMESTAMP_ANNOTATION) {
        let timestamp: legacy::Rfc3161Timestamp = serde_json::from_str(json)
            .map_err(|error| format!("the timestamp annotation is not valid: {error}"))?;
        detached.timestamps.push(timestamp.response);
    }
    match media_type {
        legacy::SIMPLE_SIGNING_MEDIA_TYPE if detached.signature.is_empty() => Err(format!(
            "a payload without a signature: the layer has no annotation {}",
            legacy::SIGNATURE_ANNOTATION
        )),
        legacy::SIMPLE_SIGNING_MEDIA_TYPE => Ok(Content::SimpleSigning(detached)),
        legacy::DSSE_MEDIA_TYPE => {
            dsse::Envelope::parse(&detached.payload).map_err(|error| error.to_string())?;
            Ok(Content::Envelope(detached))
        }
        other => Err(format!("layer of unknown media type {other:?}")),
    }
}
