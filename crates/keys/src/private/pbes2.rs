//! Password-encrypted PKCS#8 (`ENCRYPTED PRIVATE KEY`), read only: PBES2 of RFC 8018, as openssl writes it.

use core::num::NonZeroU32;

use der::Decode;
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use pkcs5::pbes2::{self, Kdf, Parameters, Pbkdf2Prf};
use sealmark_formats::HashAlgorithm;
use spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use crate::Error;
use crate::engine::private::cipher;

/// Iterations of PBKDF2 that are accepted, some seconds of work. OWASP advises 600 000; openssl writes 2048.
const MAX_ITERATIONS: u32 = 10_000_000;
/// Memory that scrypt may take: 128 * N * r bytes.
const MAX_SCRYPT_MEMORY: u64 = 256 << 20;
/// Repetitions of scrypt, each over all of that memory.
const MAX_SCRYPT_PARALLELISM: u16 = 16;

fn unsupported(what: impl Into<String>) -> Error {
    Error::UnsupportedEncryption(what.into())
}

/// What a cipher or scheme is called that was used more than others, or its number.
fn name(oid: ObjectIdentifier) -> String {
    let oid = oid.to_string();
    match oid.as_str() {
        "1.2.840.113549.3.7" => "triple DES".into(),
        "1.3.14.3.2.7" => "DES".into(),
        "2.16.840.1.101.3.4.1.6" | "2.16.840.1.101.3.4.1.46" => "AES-GCM".into(),
        _ if oid.starts_with("1.2.840.113549.1.12.1.") => {
            "PKCS#12's password-based encryption".into()
        }
        _ => format!("OID {oid}"),
    }
}

/// An encrypted key whose form is right, so that it is worth asking for the password.
pub(crate) struct Sealed {
    parameters: Parameters,
    ciphertext: Vec<u8>,
    iv: [u8; 16],
    key_len: usize,
}

impl Sealed {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        const WHAT: &str = "encrypted PKCS#8 private key";
        let malformed = |error: der::Error| match error.kind() {
            der::ErrorKind::OidUnknown { oid } => unsupported(name(oid)),
            _ => Error::Malformed {
                what: WHAT,
                reason: error.to_string(),
            },
        };
        // EncryptedPrivateKeyInfo, RFC 5958, section 3.
        let (scheme, ciphertext) = AnyRef::from_der(bytes)
            .and_then(|any| {
                any.sequence(|r| {
                    Ok((
                        AlgorithmIdentifierRef::decode(r)?,
                        <&OctetStringRef>::decode(r)?,
                    ))
                })
            })
            .map_err(malformed)?;
        if scheme.oid != pbes2::PBES2_OID {
            return Err(unsupported(name(scheme.oid)));
        }
        let parameters = scheme.parameters.unwrap_or(AnyRef::NULL);
        let parameters = parameters.decode_as::<Parameters>().map_err(malformed)?;
        let (iv, key_len) = match parameters.encryption {
            pbes2::EncryptionScheme::Aes128Cbc { iv } => (iv, 16),
            pbes2::EncryptionScheme::Aes192Cbc { iv } => (iv, 24),
            pbes2::EncryptionScheme::Aes256Cbc { iv } => (iv, 32),
            other => return Err(unsupported(name(other.oid()))),
        };
        check(&parameters.kdf, key_len)?;
        Ok(Self {
            ciphertext: ciphertext.as_bytes().to_vec(),
            parameters,
            iv,
            key_len,
        })
    }

    pub(crate) fn open(self, password: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut key = Zeroizing::new([0; 32]);
        let key = &mut key[..self.key_len];
        derive(&self.parameters.kdf, password, key)?;
        // There is no tag: with a wrong password the padding is wrong, or else (1 in 256) what comes out is no key.
        let plain = cipher::decrypt_aes_cbc(key, self.iv, &self.ciphertext);
        let plain = plain.ok_or(Error::WrongPassword)?;
        match pkcs8::PrivateKeyInfoRef::from_der(&plain) {
            Ok(_) => Ok(plain),
            Err(_) => Err(Error::WrongPassword),
        }
    }
}

fn check(kdf: &Kdf, key_len: usize) -> Result<(), Error> {
    let length = kdf.key_length().map_or(key_len, usize::from);
    if length != key_len {
        return Err(unsupported(format!(
            "a key of {length} bytes for a cipher of {key_len}"
        )));
    }
    match kdf {
        Kdf::Pbkdf2(params) => {
            prf(params.prf)?;
            let count = params.iteration_count;
            if count == 0 || count > MAX_ITERATIONS {
                return Err(unsupported(format!("{count} iterations of PBKDF2")));
            }
        }
        Kdf::Scrypt(params) => {
            let (n, r, p) = (
                params.cost_parameter,
                params.block_size,
                params.parallelization,
            );
            let memory = n.saturating_mul(u64::from(r)).saturating_mul(128);
            if memory > MAX_SCRYPT_MEMORY || p > MAX_SCRYPT_PARALLELISM {
                return Err(unsupported(format!("scrypt with N={n}, r={r}, p={p}")));
            }
        }
        _ => return Err(unsupported("an unknown key derivation")),
    }
    Ok(())
}

fn prf(prf: Pbkdf2Prf) -> Result<Option<HashAlgorithm>, Error> {
    match prf {
        Pbkdf2Prf::HmacWithSha1 => Ok(None),
        Pbkdf2Prf::HmacWithSha256 => Ok(Some(HashAlgorithm::Sha256)),
        Pbkdf2Prf::HmacWithSha384 => Ok(Some(HashAlgorithm::Sha384)),
        Pbkdf2Prf::HmacWithSha512 => Ok(Some(HashAlgorithm::Sha512)),
        other => Err(unsupported(format!("PBKDF2 with HMAC OID {}", other.oid()))),
    }
}

fn derive(kdf: &Kdf, password: &[u8], key: &mut [u8]) -> Result<(), Error> {
    let failed = Error::Engine("derive a key from the password");
    match kdf {
        Kdf::Pbkdf2(params) => {
            let iterations = NonZeroU32::new(params.iteration_count).ok_or(failed)?;
            cipher::pbkdf2(
                prf(params.prf)?,
                iterations,
                params.salt.as_ref(),
                password,
                key,
            );
            Ok(())
        }
        Kdf::Scrypt(params) => {
            let scrypt = scrypt_params(params).ok_or_else(|| failed.clone())?;
            scrypt::scrypt(password, params.salt.as_ref(), &scrypt, key).map_err(|_| failed)
        }
        _ => Err(failed),
    }
}

fn scrypt_params(params: &pbes2::ScryptParams) -> Option<scrypt::Params> {
    let n = params.cost_parameter;
    if !n.is_power_of_two() || n < 2 {
        return None;
    }
    let log_n = u8::try_from(n.trailing_zeros()).ok()?;
    scrypt::Params::new(
        log_n,
        params.block_size.into(),
        params.parallelization.into(),
    )
    .ok()
}
