//! What cosign 1 and 2 put beside a signature: layer annotations, and the bundle file of `sign-blob --bundle`.

use serde::{Deserialize, Serialize};

use crate::encoding::{ParseError, base64_bytes, decode_base64};

/// Layer annotation: the signature over the payload, base64.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// Layer annotation: the signer's certificate, PEM.
pub const CERTIFICATE_ANNOTATION: &str = "dev.sigstore.cosign/certificate";
/// Layer annotation: intermediates and root, PEM.
pub const CHAIN_ANNOTATION: &str = "dev.sigstore.cosign/chain";
/// Layer annotation: a [`RekorBundle`].
pub const BUNDLE_ANNOTATION: &str = "dev.sigstore.cosign/bundle";
/// Layer annotation: a [`Rfc3161Timestamp`].
pub const TIMESTAMP_ANNOTATION: &str = "dev.sigstore.cosign/rfc3161timestamp";

/// Media type of the layer that holds a simple signing payload.
pub const SIMPLE_SIGNING_MEDIA_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Media type of the layer that holds a DSSE envelope.
pub const DSSE_MEDIA_TYPE: &str = "application/vnd.dsse.envelope.v1+json";
/// `artifactType` of experimental OCI 1.1 signatures.
pub const OCI11_SIGNATURE_TYPE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

/// The log's promise as cosign 1 and 2 store it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RekorBundle {
    /// The log's signature over the canonical form of the payload.
    #[serde(with = "base64_bytes")]
    pub signed_entry_timestamp: Vec<u8>,
    /// The entry.
    pub payload: RekorPayload,
}

/// The entry that a [`RekorBundle`] promises.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RekorPayload {
    /// The canonical entry.
    #[serde(with = "base64_bytes")]
    pub body: Vec<u8>,
    /// Seconds since 1970.
    pub integrated_time: i64,
    /// Global index.
    pub log_index: i64,
    /// SHA-256 of the log's key, hex.
    #[serde(rename = "logID")]
    pub log_id: String,
}

/// An RFC 3161 response as cosign stores it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Rfc3161Timestamp {
    /// A DER `TimeStampResp`.
    #[serde(rename = "SignedRFC3161Timestamp", with = "base64_bytes")]
    pub response: Vec<u8>,
}

/// The file that `cosign sign-blob --bundle` wrote before Sigstore bundles.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BlobBundle {
    /// The signature over the blob.
    pub signature: Vec<u8>,
    /// PEM of a certificate or a public key; empty if the file has none. It is a claim of the file, never a reason
    /// to trust it.
    pub certificate: Vec<u8>,
    /// The log's promise.
    pub rekor_bundle: Option<RekorBundle>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct BlobBundleJson {
    base64_signature: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    cert: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rekor_bundle: Option<RekorBundle>,
}

impl BlobBundle {
    /// Parses the file.
    ///
    /// # Errors
    /// If it is not JSON of this shape, or base64 is invalid.
    pub fn parse(json: &[u8]) -> Result<Self, ParseError> {
        let format = "legacy blob bundle";
        let raw: BlobBundleJson = serde_json::from_slice(json)
            .map_err(|error| ParseError::new(format, error.to_string()))?;
        let decode = |field: &str, text: &str| {
            decode_base64(text.trim())
                .map_err(|error| ParseError::new(format, format!("{field}: {error}")))
        };
        Ok(Self {
            signature: decode("base64Signature", &raw.base64_signature)?,
            certificate: decode("cert", &raw.cert)?,
            rekor_bundle: raw.rekor_bundle,
        })
    }

    /// The JSON form.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&BlobBundleJson {
            base64_signature: crate::encoding::encode_base64(&self.signature),
            cert: crate::encoding::encode_base64(&self.certificate),
            rekor_bundle: self.rekor_bundle.clone(),
        })
        .expect("strings serialise")
    }
}
