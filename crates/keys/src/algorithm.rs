//! Which kinds of keys there are, and their names.

use core::fmt;
use core::str::FromStr;

use sealmark_formats::HashAlgorithm;

use crate::Error;

/// The curves of ECDSA keys.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Curve {
    /// NIST P-256, secp256r1.
    P256,
    /// NIST P-384, secp384r1.
    P384,
    /// NIST P-521, secp521r1.
    P521,
}

impl Curve {
    /// Every curve, shortest first.
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// `P-256`, `P-384` or `P-521`.
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Length of a coordinate or of a private scalar in bytes.
    pub(crate) fn scalar_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// What a key is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum KeyType {
    /// ECDSA on a NIST curve.
    Ecdsa(Curve),
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// RSA; which padding is used is decided by the signature.
    Rsa {
        /// Length of the modulus, 2048 to 8192.
        bits: usize,
    },
}

impl KeyType {
    /// The hash that belongs to this key: what it signs with, and what is tried first when verifying.
    pub fn hash(self) -> HashAlgorithm {
        match self {
            Self::Ecdsa(Curve::P256) | Self::Rsa { .. } => HashAlgorithm::Sha256,
            Self::Ecdsa(Curve::P384) => HashAlgorithm::Sha384,
            Self::Ecdsa(Curve::P521) | Self::Ed25519 => HashAlgorithm::Sha512,
        }
    }

    /// The name as in [`Algorithm::name`]: `ecdsa-p256`, `ed25519`, `rsa-2048`. RSA keys may have other sizes than
    /// those that can be generated.
    pub fn name(self) -> String {
        match self {
            Self::Ecdsa(Curve::P256) => "ecdsa-p256".into(),
            Self::Ecdsa(Curve::P384) => "ecdsa-p384".into(),
            Self::Ecdsa(Curve::P521) => "ecdsa-p521".into(),
            Self::Ed25519 => "ed25519".into(),
            Self::Rsa { bits } => format!("rsa-{bits}"),
        }
    }
}

/// For people: `ECDSA P-256`, `Ed25519`, `RSA 2048`.
impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ecdsa(curve) => write!(f, "ECDSA {}", curve.name()),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
        }
    }
}

/// The kinds of keys that can be generated.
///
/// ```
/// use sealmark_keys::Algorithm;
/// assert_eq!("P-256".parse(), Ok(Algorithm::EcdsaP256));
/// assert_eq!("rsa-sign-pkcs1-3072-sha256".parse(), Ok(Algorithm::Rsa3072));
/// assert_eq!(
///     "ecdsa-p265".parse::<Algorithm>().unwrap_err().to_string(),
///     "unknown key algorithm \"ecdsa-p265\"; did you mean ecdsa-p256? known are ecdsa-p256, ecdsa-p384, \
///      ecdsa-p521, ed25519, rsa-2048, rsa-3072, rsa-4096",
/// );
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Algorithm {
    /// ECDSA on NIST P-256, with SHA-256.
    EcdsaP256,
    /// ECDSA on NIST P-384, with SHA-384.
    EcdsaP384,
    /// ECDSA on NIST P-521, with SHA-512.
    EcdsaP521,
    /// Ed25519.
    Ed25519,
    /// RSA, 2048 bits.
    Rsa2048,
    /// RSA, 3072 bits.
    Rsa3072,
    /// RSA, 4096 bits.
    Rsa4096,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 7] = [
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::Ed25519,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
    ];

    /// The name on the command line and in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::EcdsaP521 => "ecdsa-p521",
            Self::Ed25519 => "ed25519",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }

    /// What a key generated with this algorithm is.
    pub fn key_type(&self) -> KeyType {
        match self {
            Self::EcdsaP256 => KeyType::Ecdsa(Curve::P256),
            Self::EcdsaP384 => KeyType::Ecdsa(Curve::P384),
            Self::EcdsaP521 => KeyType::Ecdsa(Curve::P521),
            Self::Ed25519 => KeyType::Ed25519,
            Self::Rsa2048 => KeyType::Rsa { bits: 2048 },
            Self::Rsa3072 => KeyType::Rsa { bits: 3072 },
            Self::Rsa4096 => KeyType::Rsa { bits: 4096 },
        }
    }

    /// Names of the same algorithm elsewhere, folded: Sigstore's algorithm registry (`ecdsa-sha2-256-nistp256`),
    /// SEC 2 and X9.62 (`secp256r1`, `prime256v1`), JOSE's and the cloud providers' ways to write them.
    fn folded_names(self) -> &'static [&'static str] {
        match self {
            Self::EcdsaP256 => &[
                "ecdsap256",
                "p256",
                "nistp256",
                "ecdsasha2256nistp256",
                "ecdsap256sha256",
                "secp256r1",
                "prime256v1",
            ],
            Self::EcdsaP384 => &[
                "ecdsap384",
                "p384",
                "nistp384",
                "ecdsasha2384nistp384",
                "ecdsap384sha384",
                "secp384r1",
            ],
            Self::EcdsaP521 => &[
                "ecdsap521",
                "p521",
                "nistp521",
                "ecdsasha2512nistp521",
                "ecdsap521sha512",
                "secp521r1",
            ],
            Self::Ed25519 => &["ed25519", "ed25519ph"],
            Self::Rsa2048 => &["rsa2048", "rsasignpkcs12048sha256"],
            Self::Rsa3072 => &["rsa3072", "rsasignpkcs13072sha256"],
            Self::Rsa4096 => &["rsa4096", "rsasignpkcs14096sha256"],
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // Longer than any name; bounds the work below.
        let text: String = text.chars().take(64).collect();
        let folded: String = text
            .chars()
            .filter(|c| !matches!(c, '-' | '_' | ' '))
            .map(|c| c.to_ascii_lowercase())
            .collect();
        if let Some(algorithm) = Self::ALL
            .into_iter()
            .find(|a| a.folded_names().contains(&folded.as_str()))
        {
            return Ok(algorithm);
        }
        let distance = |algorithm: &Self| {
            algorithm
                .folded_names()
                .iter()
                .map(|name| edit_distance(name, &folded))
                .min()
        };
        let nearest = Self::ALL
            .into_iter()
            .min_by_key(distance)
            .map_or("", |a| a.name());
        let known = Self::ALL.map(|algorithm| algorithm.name()).join(", ");
        Err(Error::UnknownAlgorithm {
            text,
            nearest,
            known,
        })
    }
}

/// Levenshtein's distance, counted in characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substitution = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_use_is_understood() {
        let table = [
            (
                Algorithm::EcdsaP256,
                "ecdsa-p256 ecdsa-sha2-256-nistp256 p256 p-256 P-256 ECDSA_P256",
            ),
            (
                Algorithm::EcdsaP384,
                "ecdsa-p384 ecdsa-sha2-384-nistp384 p384 P-384 secp384r1",
            ),
            (
                Algorithm::EcdsaP521,
                "ecdsa-p521 ecdsa-sha2-512-nistp521 p521 P-521",
            ),
            (Algorithm::Ed25519, "ed25519 Ed25519 ED25519"),
            (
                Algorithm::Rsa2048,
                "rsa-2048 rsa2048 RSA_2048 rsa-sign-pkcs1-2048-sha256",
            ),
            (
                Algorithm::Rsa3072,
                "rsa-3072 RSA-3072 rsa-sign-pkcs1-3072-sha256",
            ),
            (
                Algorithm::Rsa4096,
                "rsa-4096 rsa4096 rsa-sign-pkcs1-4096-sha256",
            ),
        ];
        for (algorithm, names) in table {
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
            assert_eq!(algorithm.key_type().name(), algorithm.name());
            for name in names.split(' ') {
                assert_eq!(name.parse(), Ok(algorithm), "{name}");
            }
        }
    }

    #[test]
    fn a_wrong_name_gets_the_nearest_suggested() {
        let table = [
            ("ecdsa-p265", "ecdsa-p256"),
            ("ed2551", "ed25519"),
            ("rsa-8192", "rsa-3072"),
            ("rsa4069", "rsa-4096"),
            ("p-348", "ecdsa-p384"),
        ];
        for (name, nearest) in table {
            let Err(Error::UnknownAlgorithm {
                nearest: found,
                known,
                ..
            }) = name.parse::<Algorithm>()
            else {
                panic!("{name} was accepted");
            };
            assert_eq!(found, nearest, "{name}");
            assert!(known.starts_with("ecdsa-p256, ") && known.ends_with(", rsa-4096"));
        }
        let long = "é"
            .repeat(10_000)
            .parse::<Algorithm>()
            .unwrap_err()
            .to_string();
        assert!(long.len() < 400);
    }
}
