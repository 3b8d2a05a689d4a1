//! Certificates, and what others say about them: chains to a CA, promises of CT logs, words of timestamp authorities;
//! read, verified, and in [`issue`] written.
//!
//! Pure functions of bytes: no I/O, no clock; times are seconds since 1970 that the caller passes in. Reading and
//! deciding are apart. A [`Certificate`], a [`SignedCertificateTimestamp`] or a [`TimestampToken`] that exists is well
//! formed, and that is all that it is; [`verify_chain`], [`verify_embedded_sct`], [`verify_detached_sct`] and
//! [`TimestampToken::verify`] each answer one question about it, against the material that the caller trusts.
//!
//! ```
//! use sealmark_x509::{Certificate, FulcioExtension, SubjectAltName};
//! # let pem = include_bytes!("../tests/fixtures/github-workflow.pem");
//! let certificate = Certificate::from_pem(pem)?;
//!
//! let [SubjectAltName::Uri(workflow)] = certificate.subject_alt_names() else { panic!() };
//! assert!(workflow.ends_with("/extremely-dangerous-oidc-beacon.yml@refs/heads/main"));
//! assert_eq!(
//!     certificate.fulcio().get(FulcioExtension::Issuer),
//!     Some("https://token.actions.githubusercontent.com"),
//! );
//! assert_eq!(certificate.validity().seconds(), 600);
//! # Ok::<(), sealmark_x509::Error>(())
//! ```

mod certificate;
mod chain;
mod chain_error;
mod element;
mod error;
mod extensions;
mod fulcio;
pub mod issue;
mod pem;
mod pkcs7;
mod request;
mod san;
mod sct;
mod sct_verification;
mod signature_algorithms;
mod timestamp;
mod validity;

pub use certificate::{Certificate, Serial};
pub use chain::{Chain, Purpose, verify_chain};
pub use chain_error::ChainError;
pub use error::Error;
pub use extensions::{BasicConstraints, ExtendedKeyUsage, KeyUsage, Unread};
pub use fulcio::{Extensions as FulcioExtensions, FulcioExtension};
pub use pkcs7::{DetachedSignature, MAX_DETACHED_SIGNATURE, Pkcs7Error};
pub use request::CertificateRequest;
pub use san::SubjectAltName;
pub use sct::{MAX_DETACHED_SCT, SignedCertificateTimestamp};
pub use sct_verification::{
    SctError, log_leaf, verify_detached_sct, verify_embedded_sct, verify_precertificate_sct,
    verify_tree_head,
};
pub use timestamp::{
    MAX_TIMESTAMP, MAX_TIMESTAMP_REQUEST, TimestampError, TimestampRequest, TimestampRequestError,
    TimestampToken, VerifiedTimestamp,
};
pub use validity::{Instant, UnixSeconds, Validity};

/// The largest certificate that is read, in bytes of DER. Fulcio's take about 2 KiB; certificates with hundreds of
/// names exist and stay below this.
pub const MAX_CERTIFICATE: usize = 64 * 1024;
/// The largest number of certificates in one PEM text. Chains have 2 to 4.
pub const MAX_CHAIN: usize = 32;
/// The largest PEM text that is read, in bytes: room for long chains, and none for filling memory.
pub const MAX_PEM: usize = 1024 * 1024;
