//! What signing gave, and every form in which clients keep it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::bundle::{self, Bundle, LogEntry, Material, MessageSignature, Version};
use sealmark_formats::legacy::{self, RekorBundle, RekorPayload, Rfc3161Timestamp};
use sealmark_formats::{Digest, HashAlgorithm, dsse};
use sealmark_keys::PrivateKey;
use sealmark_x509::Certificate;

const WRITABLE: &str = "strings can be written as JSON";

/// A signature with all that proves it. Tests change what they like.
#[derive(Clone, Debug)]
pub struct Signed {
    /// What was signed, and the signature.
    pub made: Made,
    /// The key that made it.
    pub key: PrivateKey,
    /// The signer's certificate, if there is one.
    pub certificate: Option<Certificate>,
    /// The certificates above it, the root last.
    pub issuers: Vec<Certificate>,
    /// Entries of logs.
    pub log_entries: Vec<LogEntry>,
    /// Replies of timestamp authorities.
    pub timestamps: Vec<Vec<u8>>,
}

/// What was signed, and the signature.
#[derive(Clone, Debug)]
pub enum Made {
    /// A signature over a file.
    File {
        /// The file's digest, by the hash of the key.
        digest: Digest,
        /// The signature.
        signature: Vec<u8>,
    },
    /// An envelope with its signature.
    Envelope(dsse::Envelope),
    /// A signature over a simple signing payload.
    SimpleSigning {
        /// The payload.
        payload: Vec<u8>,
        /// The signature.
        signature: Vec<u8>,
    },
}

impl Signed {
    /// The signature.
    pub fn signature(&self) -> &[u8] {
        match &self.made {
            Made::File { signature, .. } | Made::SimpleSigning { signature, .. } => signature,
            Made::Envelope(envelope) => &envelope.signatures[0].sig,
        }
    }

    /// The signer's certificate, or else the key, in PEM.
    pub fn verifier_pem(&self) -> String {
        match &self.certificate {
            Some(certificate) => certificate.to_pem(),
            None => self.key.public_key().to_pem(),
        }
    }

    /// The envelope as clients write it; nothing if there is none.
    pub fn envelope_json(&self) -> Vec<u8> {
        match &self.made {
            Made::Envelope(envelope) => serde_json::to_vec(envelope).expect(WRITABLE),
            _ => Vec::new(),
        }
    }

    /// A Sigstore bundle of this version.
    ///
    /// # Panics
    /// For simple signing payloads, which bundles do not have.
    pub fn bundle(&self, version: Version) -> Bundle {
        let content = match &self.made {
            Made::File { digest, signature } => {
                bundle::Content::MessageSignature(MessageSignature {
                    digest: Some(digest.clone()),
                    signature: signature.clone(),
                })
            }
            Made::Envelope(envelope) => bundle::Content::Dsse(envelope.clone()),
            Made::SimpleSigning { .. } => panic!("no bundle has a simple signing payload"),
        };
        let media_type = match version {
            Version::V0_1 => "application/vnd.dev.sigstore.bundle+json;version=0.1",
            Version::V0_2 => "application/vnd.dev.sigstore.bundle+json;version=0.2",
            Version::V0_3 => bundle::MEDIA_TYPE_V0_3,
        };
        Bundle {
            media_type: media_type.to_owned(),
            version,
            log_entries: self.log_entries.clone(),
            timestamps: self.timestamps.clone(),
            ..Bundle::new(self.material(version), content)
        }
    }

    fn material(&self, version: Version) -> Material {
        match &self.certificate {
            None => Material::PublicKey {
                hint: self.key.public_key().id().hint(),
            },
            Some(leaf) if version == Version::V0_3 => Material::Certificate(leaf.der().to_vec()),
            Some(leaf) => {
                // "The last certificate in the chain MUST NOT be the root."
                let below = self
                    .issuers
                    .split_last()
                    .map_or(&[][..], |(_, below)| below);
                let chain = core::iter::once(leaf).chain(below);
                Material::CertificateChain(chain.map(|it| it.der().to_vec()).collect())
            }
        }
    }

    /// What cosign 1 and 2 kept beside a signature.
    pub fn legacy(&self) -> Legacy {
        let (payload, signature) = match &self.made {
            Made::File { signature, .. } => (Vec::new(), signature.clone()),
            Made::SimpleSigning { payload, signature } => (payload.clone(), signature.clone()),
            // The signature is in the envelope, and the annotation is empty.
            Made::Envelope(_) => (self.envelope_json(), Vec::new()),
        };
        let chain: String = self.issuers.iter().map(Certificate::to_pem).collect();
        Legacy {
            payload,
            signature,
            certificate: self.certificate.as_ref().map(|it| it.to_pem().into_bytes()),
            chain: (!chain.is_empty()).then(|| chain.into_bytes()),
            log_entry: self
                .log_entries
                .iter()
                .find(|entry| entry.inclusion_promise.is_some())
                .map(rekor_bundle),
            timestamps: self.timestamps.clone(),
            is_envelope: matches!(self.made, Made::Envelope(_)),
        }
    }
}

/// The form in which cosign 1 and 2 kept an entry of the log.
fn rekor_bundle(entry: &LogEntry) -> RekorBundle {
    let id = Digest::from_bytes(HashAlgorithm::Sha256, &entry.log_id);
    RekorBundle {
        signed_entry_timestamp: entry.inclusion_promise.clone().unwrap_or_default(),
        payload: RekorPayload {
            body: entry.canonicalized_body.clone(),
            integrated_time: entry.integrated_time,
            log_index: i64::try_from(entry.log_index).expect("logs of tests are short"),
            log_id: id.expect("ids of logs have 32 bytes").hex(),
        },
    }
}

/// What cosign 1 and 2 kept beside a signature.
#[derive(Clone, Debug)]
pub struct Legacy {
    /// What is signed: nothing for a file, the JSON of an envelope.
    pub payload: Vec<u8>,
    /// The signature; empty for an envelope.
    pub signature: Vec<u8>,
    /// The signer's certificate, PEM.
    pub certificate: Option<Vec<u8>>,
    /// The certificates above it, PEM.
    pub chain: Option<Vec<u8>>,
    /// The log's promise.
    pub log_entry: Option<RekorBundle>,
    /// Replies of timestamp authorities.
    pub timestamps: Vec<Vec<u8>>,
    is_envelope: bool,
}

impl Legacy {
    /// The media type of the layer that holds the payload in a registry.
    pub fn media_type(&self) -> &'static str {
        match self.is_envelope {
            true => legacy::DSSE_MEDIA_TYPE,
            false => legacy::SIMPLE_SIGNING_MEDIA_TYPE,
        }
    }

    /// The annotations of that layer.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut annotations = BTreeMap::new();
        let mut add = |name: &str, value: String| annotations.insert(name.to_owned(), value);
        add(
            legacy::SIGNATURE_ANNOTATION,
            STANDARD.encode(&self.signature),
        );
        if let Some(certificate) = &self.certificate {
            add(legacy::CERTIFICATE_ANNOTATION, text(certificate));
        }
        if let Some(chain) = &self.chain {
            add(legacy::CHAIN_ANNOTATION, text(chain));
        }
        if let Some(entry) = &self.log_entry {
            let json = serde_json::to_string(entry).expect(WRITABLE);
            add(legacy::BUNDLE_ANNOTATION, json);
        }
        // The layout has room for one.
        if let Some(response) = self.timestamps.first() {
            let stamp = Rfc3161Timestamp {
                response: response.clone(),
            };
            let json = serde_json::to_string(&stamp).expect(WRITABLE);
            add(legacy::TIMESTAMP_ANNOTATION, json);
        }
        annotations
    }
}
