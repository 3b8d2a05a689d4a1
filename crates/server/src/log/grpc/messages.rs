//! The messages of Rekor v2, as far as a log reads and writes them.
//!
//! <https://github.com/sigstore/rekor-tiles/tree/main/api/proto/rekor/v2>,
//! <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_rekor.proto>

use prost::{Message, Oneof};

use crate::grpc::Empty;

#[derive(Clone, PartialEq, Message)]
pub(super) struct CreateEntryRequest {
    #[prost(oneof = "Spec", tags = "1, 2")]
    pub(super) spec: Option<Spec>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Spec {
    #[prost(message, tag = "1")]
    HashedRekord(HashedRekordRequest),
    /// Nothing of it is read: it is refused.
    #[prost(message, tag = "2")]
    Dsse(Empty),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct HashedRekordRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) digest: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub(super) signature: Option<Signature>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Signature {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) content: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub(super) verifier: Option<Verifier>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Verifier {
    #[prost(oneof = "VerifierKind", tags = "1, 2")]
    pub(super) verifier: Option<VerifierKind>,
    #[prost(int32, tag = "3")]
    pub(super) key_details: i32,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum VerifierKind {
    #[prost(message, tag = "1")]
    PublicKey(RawBytes),
    #[prost(message, tag = "2")]
    Certificate(RawBytes),
}

/// A key or a certificate, in DER.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RawBytes {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) raw_bytes: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TransparencyLogEntry {
    #[prost(int64, tag = "1")]
    pub(super) log_index: i64,
    #[prost(message, optional, tag = "2")]
    pub(super) log_id: Option<LogId>,
    #[prost(message, optional, tag = "3")]
    pub(super) kind_version: Option<KindVersion>,
    // 4, the time, and 5, the promise, are not of version 2.
    #[prost(message, optional, tag = "6")]
    pub(super) inclusion_proof: Option<InclusionProof>,
    #[prost(bytes = "vec", tag = "7")]
    pub(super) canonicalized_body: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LogId {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key_id: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KindVersion {
    #[prost(string, tag = "1")]
    pub(super) kind: String,
    #[prost(string, tag = "2")]
    pub(super) version: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct InclusionProof {
    #[prost(int64, tag = "1")]
    pub(super) log_index: i64,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) root_hash: Vec<u8>,
    #[prost(int64, tag = "3")]
    pub(super) tree_size: i64,
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub(super) hashes: Vec<Vec<u8>>,
    #[prost(message, optional, tag = "5")]
    pub(super) checkpoint: Option<Checkpoint>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Checkpoint {
    #[prost(string, tag = "1")]
    pub(super) envelope: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TileRequest {
    #[prost(uint32, tag = "1")]
    pub(super) level: u32,
    #[prost(string, tag = "2")]
    pub(super) index: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EntryBundleRequest {
    #[prost(string, tag = "1")]
    pub(super) index: String,
}

/// `google.api.HttpBody`
#[derive(Clone, PartialEq, Message)]
pub(super) struct HttpBody {
    #[prost(string, tag = "1")]
    pub(super) content_type: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) data: Vec<u8>,
}
