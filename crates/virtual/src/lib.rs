//! A Sigstore in memory, for tests: a CA, a CT log, transparency logs of both versions, a timestamp authority.
//!
//! Its clock shows what the test sets, nothing leaves the process, and what it makes is what a real instance makes,
//! byte for byte in form. Evidence that is wrong in one thing is made by the same parts, used wrongly: every field is
//! open, and every step of signing can be taken alone.
//!
//! Keys are made anew from the system's randomness; nothing else differs from run to run. What cannot fail here but by
//! a mistake in a test panics.
//!
//! ```
//! use sealmark_virtual::{By, Identity, Proofs, VirtualSigstore, What};
//! use sealmark_formats::bundle::Version;
//!
//! let sigstore = VirtualSigstore::new();
//! let person = Identity::email("person@example.com", "https://issuer.example.com");
//! let signed = sigstore.sign(What::File(b"content"), By::Identity(&person), Proofs::REKOR_V1);
//! let bundle = signed.bundle(Version::V0_3);
//! assert_eq!(bundle.log_entries[0].integrated_time, sigstore.clock.now());
//! assert_eq!(sigstore.trusted_root().certificate_authorities.len(), 1);
//! ```

mod authority;
mod clock;
mod ct;
mod rekor;
mod signed;
mod signing;
mod sigstore;
mod tree;
mod tsa;

pub use authority::{CertificateAuthority, Identity, Issuer};
pub use clock::{Clock, DAY, HOUR, MINUTE, START, YEAR};
pub use ct::CtLog;
pub use rekor::{RekorV1, RekorV2, Witness};
pub use signed::{Legacy, Made, Signed};
pub use signing::{By, Proofs, V1Kind, What};
pub use sigstore::VirtualSigstore;
pub use tree::Tree;
pub use tsa::TimestampAuthority;

use sealmark_formats::trusted_root::TimeRange;
use sealmark_keys::{Curve, KeyType, PublicKey};

/// The range from one second to another, both counted from 1970 and both inside.
pub fn seconds(from: i64, until: i64) -> TimeRange {
    let second = |time| jiff::Timestamp::from_second(time).expect("times of tests are in this era");
    TimeRange {
        start: Some(second(from)),
        end: Some(second(until)),
    }
}

/// The name of a key's kind in trusted roots (`PublicKeyDetails` of sigstore_common.proto).
pub fn key_details(key: &PublicKey) -> String {
    match key.key_type() {
        KeyType::Ecdsa(Curve::P256) => "PKIX_ECDSA_P256_SHA_256".to_owned(),
        KeyType::Ecdsa(Curve::P384) => "PKIX_ECDSA_P384_SHA_384".to_owned(),
        KeyType::Ecdsa(Curve::P521) => "PKIX_ECDSA_P521_SHA_512".to_owned(),
        KeyType::Ed25519 => "PKIX_ED25519".to_owned(),
        KeyType::Rsa { bits } => format!("PKIX_RSA_PKCS1V15_{bits}_SHA256"),
    }
}
