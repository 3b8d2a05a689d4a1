//! What CAs, CT logs and timestamp authorities write: certificates, SCTs, timestamp tokens.
//!
//! The counterpart of what the rest of this crate reads, and as pure: serial numbers, nonces and times are passed in.
//! What signs is an [`IssuingKey`]; where the key is elsewhere and answers later, every structure also comes in two
//! steps, first the bytes to be signed and then the whole around the signature. Invariant: lengths are minimal and
//! numbers are canonical (DER), so what is hashed here is what everybody hashes.
//!
//! ```
//! use sealmark_keys::{Algorithm, PrivateKey};
//! use sealmark_x509::issue::{CertificateTemplate, Extension, Name, Usage};
//! use sealmark_x509::BasicConstraints;
//!
//! let key = PrivateKey::generate(Algorithm::EcdsaP256)?;
//! let name = Name::organization("example.com", "root")?;
//! let root = CertificateTemplate {
//!     serial: vec![1],
//!     issuer: name.clone(),
//!     subject: name,
//!     not_before: 1_704_067_200,
//!     not_after: 2_019_600_000,
//!     public_key: key.public_key().spki_der().to_vec(),
//!     extensions: vec![
//!         Extension::key_usage(&[Usage::KeyCertSign, Usage::CrlSign])?,
//!         Extension::basic_constraints(BasicConstraints { ca: true, path_len: Some(1) })?,
//!     ],
//! }
//! .sign(&key)?;
//! assert_eq!(root.subject(), "CN=root,O=example.com");
//! assert!(root.is_ca() && root.is_self_issued());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod algorithm;
mod certificate;
mod extension;
mod name;
mod sct;
mod timestamp;

use der::Tag;
use der::asn1::ObjectIdentifier;
use der::{DateTime, Encode};
#[cfg(not(target_arch = "wasm32"))]
use sealmark_keys::PrivateKey;
use sealmark_keys::{PublicKey, Scheme};

use crate::element::encode;

pub(crate) use algorithm::hash_in_imprint;
pub use certificate::{CertificateTemplate, WrittenTemplate, signed_certificate};
pub use extension::{Extension, Usage, key_id};
pub use name::Name;
pub use sct::{UnsignedSct, sct_for_certificate, sct_for_precertificate};
pub use timestamp::{TimestampInfo, UnsignedTimestamp, granted};

/// A certificate that was written, in PEM, as [`Certificate::to_pem`](crate::Certificate::to_pem).
pub fn to_pem(der: &[u8]) -> String {
    crate::pem::encode("CERTIFICATE", der)
}

/// What a CA, a CT log or a timestamp authority signs with.
pub trait IssuingKey {
    /// The public key.
    fn public_key(&self) -> &PublicKey;

    /// The scheme of the signatures that [`sign`](Self::sign) makes.
    fn scheme(&self) -> Scheme;

    /// Signs a message.
    ///
    /// # Errors
    /// Why the key did not sign, as a complete message.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String>;
}

// The engine for WebAssembly makes no signatures.
#[cfg(not(target_arch = "wasm32"))]
impl IssuingKey for PrivateKey {
    fn public_key(&self) -> &PublicKey {
        Self::public_key(self)
    }

    fn scheme(&self) -> Scheme {
        Self::scheme(self)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        Self::sign(self, message).map_err(|error| error.to_string())
    }
}

/// Why something was not written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// A value has no place in the structure.
    #[error("{what} cannot be written: {reason}")]
    Unwritable {
        /// Which value.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// Signatures of this scheme have no name in the structure.
    #[error("{what} cannot be signed with {scheme}; use a key that signs otherwise")]
    Scheme {
        /// What was to be signed.
        what: &'static str,
        /// The key's scheme.
        scheme: Scheme,
    },
    /// The key did not sign.
    #[error("the issuing key did not sign: {0}")]
    Key(String),
}

impl IssueError {
    fn unwritable(what: &'static str, reason: impl core::fmt::Display) -> Self {
        Self::Unwritable {
            what,
            reason: reason.to_string(),
        }
    }
}

/// What a structure of more than 256 MiB is; nothing here comes near.
impl From<der::Error> for IssueError {
    fn from(error: der::Error) -> Self {
        Self::unwritable("an ASN.1 structure", error)
    }
}

pub(crate) fn sequence(elements: &[&[u8]]) -> der::Result<Vec<u8>> {
    encode(Tag::Sequence, &elements.concat())
}

/// A SET OF: its elements are in the order of their bytes (X.690, section 11.6).
fn set_of(elements: &[Vec<u8>]) -> der::Result<Vec<u8>> {
    encode(Tag::Set, &sorted(elements))
}

fn sorted(elements: &[Vec<u8>]) -> Vec<u8> {
    let mut elements: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
    elements.sort_unstable();
    elements.concat()
}

pub(crate) fn object_identifier(what: &'static str, text: &str) -> Result<Vec<u8>, IssueError> {
    let oid: ObjectIdentifier = text.parse().map_err(|_| {
        IssueError::unwritable(what, format_args!("{text:?} is no object identifier"))
    })?;
    Ok(oid.to_der()?)
}

/// A positive INTEGER of these bytes, big-endian.
fn positive(what: &'static str, bytes: &[u8], max: usize) -> Result<Vec<u8>, IssueError> {
    let start = bytes.iter().position(|byte| *byte != 0);
    let Some(start) = start else {
        return Err(IssueError::unwritable(what, "it must be larger than zero"));
    };
    let mut content = bytes[start..].to_vec();
    if content[0] & 0x80 != 0 {
        content.insert(0, 0);
    }
    if content.len() > max {
        let reason = format!(
            "it takes {} bytes, at most {max} are allowed",
            content.len()
        );
        return Err(IssueError::unwritable(what, reason));
    }
    Ok(encode(Tag::Integer, &content)?)
}

fn date_time(what: &'static str, unix_seconds: u64) -> Result<DateTime, IssueError> {
    DateTime::from_unix_duration(core::time::Duration::from_secs(unix_seconds))
        .map_err(|_| IssueError::unwritable(what, "it is after the year 9999"))
}
