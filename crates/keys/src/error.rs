//! Errors: what was attempted on which key, why it failed, what to do next.

use sealmark_formats::HashAlgorithm;

use crate::{KeyType, MAX_KEY_FILE, Scheme};

/// Why a key could not be read, made, written or used to sign. No variant carries secret bytes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The secret is not in this process, and what has it did not do what was asked.
    #[error("{0}")]
    Elsewhere(String),
    /// The key file is larger than any key.
    #[error(
        "the key file is larger than {} KiB, which no key is; is it the right file?",
        MAX_KEY_FILE / 1024
    )]
    TooLarge,
    /// The key file has no content.
    #[error("the key file is empty")]
    Empty,
    /// The key file has no PEM block.
    #[error("the key file is not PEM: {0}")]
    NotPem(String),
    /// The PEM block is of another kind than needed.
    #[error("expected {expected}, found {found}; {advice}")]
    WrongKind {
        /// What is needed here.
        expected: &'static str,
        /// What the file holds.
        found: String,
        /// What to do.
        advice: String,
    },
    /// The bytes are not a key of the kind they say they are.
    #[error("not a valid {what}: {reason}")]
    Malformed {
        /// What the bytes should be, e.g. `PKCS#8 private key`.
        what: &'static str,
        /// What is wrong with them.
        reason: String,
    },
    /// A kind of key that cannot be used.
    #[error(
        "keys of the kind {0} are not supported; use ECDSA P-256, P-384 or P-521, Ed25519, or RSA"
    )]
    UnsupportedKey(String),
    /// It is right in its own world, and cannot be used here.
    #[error("not supported: {0}")]
    NotSupported(String),
    /// A signature of OpenPGP, OpenSSH or minisign is not by the key over the data.
    #[error("the signature does not match: {0}")]
    NotSigned(String),
    /// The RSA modulus is too short.
    #[error("an RSA key of {bits} bits is too weak; use 2048 bits or more")]
    WeakRsa {
        /// Length of the modulus.
        bits: usize,
    },
    /// The RSA modulus is too long to be checked in reasonable time.
    #[error("an RSA key of {bits} bits is too large; use 8192 bits or fewer")]
    LargeRsa {
        /// Length of the modulus.
        bits: usize,
    },
    /// The RSA public exponent is even, 1, or wider than 31 bits.
    #[error("the RSA key's public exponent is not an odd number from 3 to 2147483647")]
    RsaExponent,
    /// The private key file is encrypted and the password does not open it.
    #[error("wrong password for the private key")]
    WrongPassword,
    /// scrypt parameters that no Sigstore client writes; others could be chosen to exhaust memory.
    #[error(
        "unsupported scrypt parameters N={n}, r={r}, p={p} in the encrypted private key: \
         N may be 32768, 65536 or 131072, with r=8 and p=1"
    )]
    ScryptParameters {
        /// Cost.
        n: u64,
        /// Block size.
        r: u64,
        /// Parallelism.
        p: u64,
    },
    /// An encrypted PKCS#8 file made in a way that cannot be read.
    #[error(
        "the private key is encrypted with {0}, which is not supported; decrypt it first: \
         openssl pkey -in KEY -out PLAIN"
    )]
    UnsupportedEncryption(String),
    /// A name that is no algorithm.
    #[error("unknown key algorithm {text:?}; did you mean {nearest}? known are {known}")]
    UnknownAlgorithm {
        /// The text, cut to a length that can be printed.
        text: String,
        /// The known name nearest to it.
        nearest: &'static str,
        /// All known names.
        known: String,
    },
    /// The key cannot sign a digest of this kind.
    #[error("an {key} key cannot sign a {hash} digest; it signs {needed} digests")]
    DigestNotForKey {
        /// The key.
        key: KeyType,
        /// The digest given.
        hash: HashAlgorithm,
        /// The digest that this key signs.
        needed: HashAlgorithm,
    },
    /// The data to sign could not be read.
    #[error("cannot read the data to sign: {0}")]
    Read(String),
    /// The data to sign was not the same when it was read a second time.
    #[error("the data changed while it was being signed with an Ed25519 key, which reads it twice")]
    DataChanged,
    /// The cryptographic library failed.
    #[error("the cryptographic library failed to {0}")]
    Engine(&'static str),
}

/// Why a signature was not accepted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The signature was not made with this key over this data, in any of the schemes tried.
    #[error("the signature does not match: {}", mismatch(*key, tried, not_tried))]
    Mismatch {
        /// The key.
        key: KeyType,
        /// Schemes that were tried.
        tried: Vec<Scheme>,
        /// Schemes that the key allows but that could not be tried, as the data was not hashed for them.
        not_tried: Vec<Scheme>,
    },
    /// Pure Ed25519 signs the data itself.
    #[error(
        "an Ed25519 signature cannot be checked against a {0} digest alone; the signed data is needed"
    )]
    DigestNotEnough(HashAlgorithm),
    /// The scheme belongs to another kind of key.
    #[error("an {key} key does not make {scheme} signatures")]
    SchemeNotForKey {
        /// The key.
        key: KeyType,
        /// The scheme asked for.
        scheme: Scheme,
    },
    /// The digest is of another kind than the scheme signs.
    #[error("a {scheme} signature cannot be checked against a {hash} digest")]
    DigestNotForScheme {
        /// The scheme asked for.
        scheme: Scheme,
        /// The digest given.
        hash: HashAlgorithm,
    },
}

fn mismatch(key: KeyType, tried: &[Scheme], not_tried: &[Scheme]) -> String {
    let names = |schemes: &[Scheme]| {
        schemes
            .iter()
            .map(|scheme| scheme.describe(key))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut text = format!(
        "it was made with another key, or over other data (tried {}",
        names(tried)
    );
    if !not_tried.is_empty() {
        text += &format!("; not tried {}", names(not_tried));
    }
    text + ")"
}
