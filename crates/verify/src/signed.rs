//! What an attachment says and who it says made it, read and not believed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sealmark_formats::bundle::{self, Bundle, LogEntry, Material, MessageSignature, Version};
use sealmark_formats::simple_signing::SimpleSigning;
use sealmark_formats::statement::Statement;
use sealmark_formats::{Digest, HashAlgorithm, Hasher, dsse};
use sealmark_keys::{PublicKey, Scheme};
use sealmark_x509::{Certificate, SignedCertificateTimestamp};
use serde_json::Value;

use crate::checks::Failure;
use crate::evidence::{Content, Detached};
use crate::report::Claims;

/// Digests that are listed for people.
const MAX_LISTED: usize = 16;

/// An attachment in the form that all checks use, whatever layout it came in.
pub(crate) struct Signed<'a> {
    /// What the format is, for people.
    pub(crate) format: String,
    /// What is signed.
    pub(crate) payload: Payload<'a>,
    /// The signature.
    pub(crate) signature: Vec<u8>,
    /// Who is said to have made it.
    pub(crate) by: By,
    /// Entries in transparency logs.
    pub(crate) log_entries: Vec<LogEntry>,
    /// What entries must have, by the version of the bundle.
    pub(crate) entries_need: EntryProof,
    /// RFC 3161 responses.
    pub(crate) timestamps: Vec<Vec<u8>>,
    /// A CT log's promise that came beside the certificate.
    pub(crate) sct: Option<SignedCertificateTimestamp>,
}

/// What is signed.
pub(crate) enum Payload<'a> {
    /// Bytes that carry claims.
    Claims {
        /// The bytes that the signature is over: the payload, or its pre-authentication encoding.
        signed: SignedBytes<'a>,
        /// Whether the payload is that of an envelope: then it is what logs hash.
        in_envelope: bool,
        /// What they say.
        claims: Statements,
    },
    /// The artifact's own bytes.
    Artifact {
        /// The digest that a bundle claims.
        digest: Option<Digest>,
    },
}

/// What a signature is over, in two parts, so that a large payload is not copied.
pub(crate) struct SignedBytes<'a> {
    /// What stands before the payload; nothing where it is signed as it is.
    header: Vec<u8>,
    /// The payload.
    pub(crate) payload: Cow<'a, [u8]>,
}

impl SignedBytes<'_> {
    /// The digest of all that is signed.
    pub(crate) fn digest(&self, algorithm: HashAlgorithm) -> Digest {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(&self.header);
        hasher.update(&self.payload);
        hasher.finish()
    }

    /// Checks a signature over it.
    pub(crate) fn verify(&self, key: &PublicKey, signature: &[u8]) -> Result<Scheme, String> {
        if self.header.is_empty() {
            let checked = key.verify(&self.payload, signature);
            return checked.map_err(|error| error.to_string());
        }
        let mut verifier = key.stream_verifier(signature, None);
        verifier.update(&self.header);
        verifier.update(&self.payload);
        let checked = verifier.finish();
        checked
            .map(|(scheme, _)| scheme)
            .map_err(|error| error.to_string())
    }
}

impl Payload<'_> {
    /// The statement, if there is one, as it is in its envelope.
    pub(crate) fn statement(&self) -> Option<&[u8]> {
        match self {
            Self::Claims {
                signed,
                in_envelope: true,
                ..
            } => Some(&signed.payload),
            _ => None,
        }
    }
}

/// What a payload says of which artifacts. Of a statement it is the head, without the predicate.
pub(crate) enum Statements {
    SimpleSigning(SimpleSigning),
    InToto(Statement),
}

/// Who is said to have made the signature.
pub(crate) enum By {
    /// The holder of a key; the digest of the key, if it is named.
    Key(Option<Digest>),
    /// The holder of a certificate, with certificates that may lead to an authority.
    Certificate {
        leaf: Box<Certificate>,
        others: Vec<Certificate>,
    },
}

/// What a log entry must have to count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EntryProof {
    Promise,
    InclusionProof,
}

impl<'a> Signed<'a> {
    /// Reads an attachment; see [`Demand::allow_certificate_chain`](crate::Demand::allow_certificate_chain).
    pub(crate) fn read(
        content: &'a Content,
        allow_certificate_chain: bool,
    ) -> Result<Self, Failure> {
        match content {
            Content::Unreadable(reason) => Err(malformed(reason.clone())),
            Content::Bundle(bundle) => from_bundle(bundle, allow_certificate_chain),
            Content::SimpleSigning(detached) => {
                let claims = SimpleSigning::parse(&detached.payload)
                    .map_err(|error| malformed(error.to_string()))?;
                let payload = Payload::Claims {
                    signed: SignedBytes {
                        header: Vec::new(),
                        payload: Cow::Borrowed(&detached.payload),
                    },
                    in_envelope: false,
                    claims: Statements::SimpleSigning(claims),
                };
                let signature = detached.signature.clone();
                from_detached(
                    "simple signing payload with a signature",
                    payload,
                    signature,
                    detached,
                )
            }
            Content::Envelope(detached) => {
                let envelope = dsse::Envelope::parse(&detached.payload)
                    .map_err(|error| malformed(error.to_string()))?;
                let (payload, signature) = in_envelope(Cow::Owned(envelope))?;
                from_detached("DSSE envelope", payload, signature, detached)
            }
            Content::Blob(detached) => {
                let payload = Payload::Artifact { digest: None };
                let signature = detached.signature.clone();
                from_detached("a signature of its own", payload, signature, detached)
            }
        }
    }

    /// What a verified signature says.
    pub(crate) fn claims(&self) -> Option<Claims> {
        match &self.payload {
            Payload::Artifact { .. } => None,
            Payload::Claims {
                claims: Statements::SimpleSigning(payload),
                ..
            } => Some(Claims {
                claim_type: payload.critical.kind.clone(),
                docker_reference: Some(payload.critical.identity.docker_reference.clone()),
                digests: vec![payload.critical.image.docker_manifest_digest.to_string()],
                annotations: payload.optional.clone().unwrap_or_default(),
            }),
            Payload::Claims {
                claims: Statements::InToto(statement),
                ..
            } => Some(Claims {
                claim_type: statement.predicate_type.clone(),
                docker_reference: None,
                digests: statement
                    .subject
                    .iter()
                    .flat_map(|subject| &subject.digest)
                    .map(|(name, hex)| format!("{name}:{hex}"))
                    .take(MAX_LISTED)
                    .collect(),
                annotations: match statement.subject.as_slice() {
                    [subject] => subject.annotations.clone(),
                    _ => BTreeMap::new(),
                },
            }),
        }
    }

    /// The annotations that speak for the artifact with this digest.
    pub(crate) fn annotations<'b>(
        &'b self,
        digest: &'b Digest,
    ) -> Vec<&'b BTreeMap<String, Value>> {
        match &self.payload {
            Payload::Artifact { .. } => Vec::new(),
            Payload::Claims {
                claims: Statements::SimpleSigning(payload),
                ..
            } => payload.optional.iter().collect(),
            Payload::Claims {
                claims: Statements::InToto(statement),
                ..
            } => statement
                .subjects_with(digest)
                .map(|subject| &subject.annotations)
                .collect(),
        }
    }
}

fn malformed(reason: String) -> Failure {
    Failure::new("a well-formed signature or attestation", reason)
}

fn certificate(der: &[u8]) -> Result<Certificate, Failure> {
    Certificate::from_der(der).map_err(|error| malformed(format!("the certificate: {error}")))
}

fn from_bundle(bundle: &Bundle, allow_certificate_chain: bool) -> Result<Signed<'_>, Failure> {
    let by = match &bundle.material {
        material @ Material::PublicKey { .. } => By::Key(material.key_digest()),
        Material::Certificate(der) => By::Certificate {
            leaf: Box::new(certificate(der)?),
            others: Vec::new(),
        },
        Material::CertificateChain(_)
            if bundle.version == Version::V0_3 && !allow_certificate_chain =>
        {
            return Err(malformed(
                "a bundle version 0.3 has a certificate and not a chain of them".to_owned(),
            )
            .remedy("--allow-certificate-chain accepts the bundles of cosign that have one"));
        }
        Material::CertificateChain(chain) => {
            let mut chain = chain
                .iter()
                .map(|der| certificate(der))
                .collect::<Result<Vec<_>, _>>()?;
            if chain.is_empty() {
                return Err(malformed("the certificate chain is empty".to_owned()));
            }
            By::Certificate {
                leaf: Box::new(chain.remove(0)),
                others: chain,
            }
        }
    };
    let (what, payload, signature) = match &bundle.content {
        bundle::Content::Dsse(envelope) => {
            let (payload, signature) = in_envelope(Cow::Borrowed(envelope))?;
            ("DSSE envelope", payload, signature)
        }
        bundle::Content::MessageSignature(MessageSignature { digest, signature }) => (
            "message signature",
            Payload::Artifact {
                digest: digest.clone(),
            },
            signature.clone(),
        ),
    };
    Ok(Signed {
        format: format!("Sigstore bundle with a {what}, {}", bundle.media_type),
        payload,
        signature,
        by,
        log_entries: bundle.log_entries.clone(),
        entries_need: match bundle.version {
            Version::V0_1 => EntryProof::Promise,
            Version::V0_2 | Version::V0_3 => EntryProof::InclusionProof,
        },
        timestamps: bundle.timestamps.clone(),
        sct: None,
    })
}

fn in_envelope(envelope: Cow<'_, dsse::Envelope>) -> Result<(Payload<'_>, Vec<u8>), Failure> {
    if envelope.payload_type != dsse::IN_TOTO_PAYLOAD_TYPE {
        return Err(Failure::new(
            format!("payloadType {:?}", dsse::IN_TOTO_PAYLOAD_TYPE),
            format!("payloadType {:?}", envelope.payload_type),
        ));
    }
    let statement =
        Statement::parse_head(&envelope.payload).map_err(|error| malformed(error.to_string()))?;
    let [signature] = envelope.signatures.as_slice() else {
        return Err(Failure::new(
            "exactly one signature in the envelope",
            format!("{}", envelope.signatures.len()),
        ));
    };
    let signature = signature.sig.clone();
    let payload = Payload::Claims {
        signed: SignedBytes {
            header: dsse::pae_header(&envelope.payload_type, envelope.payload.len()),
            payload: match envelope {
                Cow::Borrowed(envelope) => Cow::Borrowed(&envelope.payload),
                Cow::Owned(envelope) => Cow::Owned(envelope.payload),
            },
        },
        in_envelope: true,
        claims: Statements::InToto(statement),
    };
    Ok((payload, signature))
}

fn from_detached<'a>(
    format: &str,
    payload: Payload<'a>,
    signature: Vec<u8>,
    detached: &Detached,
) -> Result<Signed<'a>, Failure> {
    let chain = |pem: &Vec<u8>| {
        Certificate::chain_from_pem(pem)
            .map_err(|error| malformed(format!("the certificate: {error}")))
    };
    let by = match &detached.certificate {
        None => By::Key(None),
        Some(pem) => {
            let mut certificates = chain(pem)?;
            if certificates.is_empty() {
                return Err(malformed("the certificate is missing".to_owned()));
            }
            let leaf = Box::new(certificates.remove(0));
            if let Some(pem) = &detached.chain {
                certificates.extend(chain(pem)?);
            }
            By::Certificate {
                leaf,
                others: certificates,
            }
        }
    };
    let sct = match &detached.sct {
        None => None,
        Some(bytes) => Some(sct(bytes)?),
    };
    let log_entries = match &detached.log_entry {
        None => Vec::new(),
        Some(entry) => vec![legacy_entry(entry)?],
    };
    Ok(Signed {
        format: format.to_owned(),
        payload,
        signature,
        by,
        log_entries,
        entries_need: EntryProof::Promise,
        timestamps: detached.timestamps.clone(),
        sct,
    })
}

/// An SCT in either of the forms in which CAs and tools hand it on: the log's JSON answer (RFC 6962, section 4.1), or the
/// TLS structure (section 3.2).
fn sct(bytes: &[u8]) -> Result<SignedCertificateTimestamp, Failure> {
    let json = bytes.trim_ascii_start().starts_with(b"{");
    match json {
        true => SignedCertificateTimestamp::from_json(bytes),
        false => SignedCertificateTimestamp::from_tls(bytes),
    }
    .map_err(|error| malformed(format!("the detached SCT: {error}")))
}

/// The log's promise of cosign 1 and 2, in the form of today. Kind and version stand in the body.
fn legacy_entry(entry: &sealmark_formats::legacy::RekorBundle) -> Result<LogEntry, Failure> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kind {
        kind: String,
        api_version: String,
    }
    let kind: Kind = serde_json::from_slice(&entry.payload.body)
        .map_err(|error| malformed(format!("the log entry's body: {error}")))?;
    let log_index = u64::try_from(entry.payload.log_index)
        .map_err(|_| malformed("the log index is negative".to_owned()))?;
    let digits: String = entry.payload.log_id.to_ascii_lowercase();
    let log_id: Digest = format!("sha256:{digits}")
        .parse()
        .map_err(|_| malformed("the log id is not 64 hex digits".to_owned()))?;
    Ok(LogEntry {
        log_index,
        log_id: log_id.bytes().to_vec(),
        kind: kind.kind,
        kind_version: kind.api_version,
        integrated_time: entry.payload.integrated_time,
        inclusion_promise: Some(entry.signed_entry_timestamp.clone()),
        inclusion_proof: None,
        canonicalized_body: entry.payload.body.clone(),
    })
}
