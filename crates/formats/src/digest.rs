//! Hash algorithms and digests, written as in the OCI image specification: `sha256:` and lower-case hex.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod engine;

/// The hash algorithms that Sigstore's formats use.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum HashAlgorithm {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl HashAlgorithm {
    /// Every algorithm, shortest first.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name in OCI digests and in-toto digest sets: `sha256`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The name in protobuf JSON (`HashAlgorithm` of sigstore_common.proto): `SHA2_256`.
    pub fn protobuf_name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA2_256",
            Self::Sha384 => "SHA2_384",
            Self::Sha512 => "SHA2_512",
        }
    }

    /// Length of a digest in bytes.
    pub fn digest_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The algorithm with this [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// The algorithm with this [`protobuf_name`](Self::protobuf_name).
    pub fn from_protobuf_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.protobuf_name() == name)
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A digest with its algorithm. The length always fits the algorithm.
///
/// ```
/// use sealmark_formats::Digest;
/// let empty = Digest::sha256(b"");
/// assert_eq!(
///     empty.to_string(),
///     "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
/// );
/// assert_eq!(empty.to_string().parse::<Digest>().unwrap(), empty);
/// assert!("sha256:abc".parse::<Digest>().is_err());
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digest {
    algorithm: HashAlgorithm,
    bytes: Vec<u8>,
}

impl Digest {
    /// The digest of `data`.
    pub fn of(algorithm: HashAlgorithm, data: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(data);
        hasher.finish()
    }

    /// The SHA-256 digest of `data`.
    pub fn sha256(data: &[u8]) -> Self {
        Self::of(HashAlgorithm::Sha256, data)
    }

    /// A digest from its raw bytes; `None` if the length does not fit the algorithm.
    pub fn from_bytes(algorithm: HashAlgorithm, bytes: &[u8]) -> Option<Self> {
        (bytes.len() == algorithm.digest_len()).then(|| Self {
            algorithm,
            bytes: bytes.to_vec(),
        })
    }

    /// The algorithm.
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The raw bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes in lower-case hex, without the algorithm.
    pub fn hex(&self) -> String {
        hex::encode(&self.bytes)
    }

    /// The first twelve hex digits, for people.
    pub fn short(&self) -> String {
        hex::encode(&self.bytes[..6])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex())
    }
}

/// Why a text is not a digest.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not a digest: {reason}")]
pub struct DigestError {
    /// The text, cut to a length that can be printed.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |reason| DigestError {
            text: text.chars().take(100).collect(),
            reason,
        };
        let (name, digits) = text
            .split_once(':')
            .ok_or_else(|| error("expected ALGORITHM:HEX, e.g. sha256:…"))?;
        let algorithm = HashAlgorithm::from_name(name)
            .ok_or_else(|| error("the algorithm is none of sha256, sha384, sha512"))?;
        if digits.len() != 2 * algorithm.digest_len() {
            return Err(error("the number of hex digits does not fit the algorithm"));
        }
        if !digits
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        {
            return Err(error(
                "only the digits 0-9 and a-f (lower case) are allowed",
            ));
        }
        let bytes = hex::decode(digits).map_err(|_| error("not hex"))?;
        Ok(Self { algorithm, bytes })
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The raw SHA-256 digest of `data`, without an allocation: for trees, which hash millions of small pieces.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    engine::sha256(data)
}

/// Hashes a stream piece by piece.
#[derive(Clone)]
pub struct Hasher {
    algorithm: HashAlgorithm,
    context: engine::Context,
}

impl Hasher {
    /// Starts a hash.
    pub fn new(algorithm: HashAlgorithm) -> Self {
        Self {
            algorithm,
            context: engine::Context::new(algorithm),
        }
    }

    /// Adds the next piece.
    pub fn update(&mut self, data: &[u8]) {
        self.context.update(data);
    }

    /// The digest of all pieces.
    pub fn finish(self) -> Digest {
        Digest {
            algorithm: self.algorithm,
            bytes: self.context.finish(),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// SHA-1, 20 bytes, for what old formats name by it. It shows that two things differ, and never that they are the same.
pub fn sha1_for_legacy_use_only(data: &[u8]) -> Vec<u8> {
    engine::sha1(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digests of "abc" in FIPS 180-4's examples; whole, and in pieces.
    #[test]
    fn hashes_are_those_of_the_standard() {
        for text in [
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "sha384:cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
             8086072ba1e7cc2358baeca134c825a7",
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ] {
            let expected: Digest = text.parse().unwrap();
            let mut hasher = Hasher::new(expected.algorithm());
            hasher.update(b"a");
            let mut copy = hasher.clone();
            hasher.update(b"not bc");
            copy.update(b"bc");
            assert_eq!(copy.finish(), expected);
            assert_eq!(Digest::of(expected.algorithm(), b"abc"), expected);
        }
        assert_eq!(
            hex::encode(sha1_for_legacy_use_only(b"abc")),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
    }
}
