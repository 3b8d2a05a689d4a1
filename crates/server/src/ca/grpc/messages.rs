//! The messages of Fulcio v2, as far as a CA reads and writes them.
//! <https://github.com/sigstore/fulcio/blob/main/fulcio.proto>

use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CreateSigningCertificateRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) credentials: Option<Credentials>,
    #[prost(oneof = "AskedKey", tags = "2, 3")]
    pub(crate) key: Option<AskedKey>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum AskedKey {
    #[prost(message, tag = "2")]
    PublicKeyRequest(PublicKeyRequest),
    #[prost(bytes, tag = "3")]
    CertificateSigningRequest(Vec<u8>),
}

/// In the original it is a `oneof` of one; on the wire that is the same.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Credentials {
    #[prost(string, tag = "1")]
    pub(crate) oidc_identity_token: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PublicKeyRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) public_key: Option<PublicKey>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) proof_of_possession: Vec<u8>,
}

/// 1, the algorithm, is not read: it follows from the key, and clients write all sorts of things there.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PublicKey {
    #[prost(string, tag = "2")]
    pub(crate) content: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SigningCertificate {
    #[prost(oneof = "SignedCertificate", tags = "1, 2")]
    pub(crate) certificate: Option<SignedCertificate>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum SignedCertificate {
    #[prost(message, tag = "1")]
    DetachedSct(DetachedSct),
    #[prost(message, tag = "2")]
    EmbeddedSct(EmbeddedSct),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DetachedSct {
    #[prost(message, optional, tag = "1")]
    pub(crate) chain: Option<CertificateChain>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) signed_certificate_timestamp: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EmbeddedSct {
    #[prost(message, optional, tag = "1")]
    pub(crate) chain: Option<CertificateChain>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TrustBundle {
    #[prost(message, repeated, tag = "1")]
    pub(crate) chains: Vec<CertificateChain>,
}

/// Each in PEM.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CertificateChain {
    #[prost(string, repeated, tag = "1")]
    pub(crate) certificates: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Configuration {
    #[prost(message, repeated, tag = "1")]
    pub(crate) issuers: Vec<OidcIssuer>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OidcIssuer {
    #[prost(oneof = "IssuerUrl", tags = "1, 2")]
    pub(crate) issuer: Option<IssuerUrl>,
    #[prost(string, tag = "3")]
    pub(crate) audience: String,
    #[prost(string, tag = "4")]
    pub(crate) challenge_claim: String,
    #[prost(string, tag = "5")]
    pub(crate) spiffe_trust_domain: String,
    #[prost(string, tag = "6")]
    pub(crate) issuer_type: String,
    #[prost(string, tag = "7")]
    pub(crate) subject_domain: String,
    #[prost(bool, tag = "8")]
    pub(crate) skip_email_verification: bool,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum IssuerUrl {
    #[prost(string, tag = "1")]
    Exact(String),
    #[prost(string, tag = "2")]
    Wildcard(String),
}
