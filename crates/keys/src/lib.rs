//! Public and private keys: algorithms, PEM, PKCS#8, encrypted key files, signature checks, key ids.
//!
//! Pure functions of bytes: no I/O but on readers that the caller gives, no clock. All cryptography is behind the
//! private module `engine`, which has two of them; on `wasm32`, where the portable one has to do, there are public keys
//! only. A [`PublicKey`] or [`PrivateKey`] that exists is well formed and strong enough to be used.
//!
//! ```
//! use sealmark_keys::{Algorithm, PrivateKey, PublicKey, Scheme};
//!
//! let key = PrivateKey::generate(Algorithm::EcdsaP256)?;
//! let signature = key.sign(b"a message")?;
//!
//! let public = PublicKey::from_pem(key.public_key().to_pem().as_bytes())?;
//! assert_eq!(public.verify(b"a message", &signature), Ok(Scheme::EcdsaSha256));
//! assert!(public.verify(b"another message", &signature).is_err());
//! # Ok::<(), sealmark_keys::Error>(())
//! ```

mod algorithm;
mod asn1;
mod engine;
mod error;
pub mod minisign;
pub mod openpgp;
mod pem;
#[cfg(not(target_arch = "wasm32"))]
mod private;
mod public;
mod scheme;
pub mod ssh;
mod tuf;
mod verify;

pub use algorithm::{Algorithm, Curve, KeyType};
pub use error::{Error, VerifyError};
#[cfg(not(target_arch = "wasm32"))]
pub use private::{Elsewhere, Input, PrivateKey, StreamSigner, seal_for};
pub use public::{KeyId, PublicKey};
pub use scheme::Scheme;
pub use sealmark_formats::{Digest, HashAlgorithm};
pub use verify::StreamVerifier;

/// The largest key file that is read, in bytes. An encrypted RSA-8192 key takes about 13 KiB.
pub const MAX_KEY_FILE: usize = 64 * 1024;
