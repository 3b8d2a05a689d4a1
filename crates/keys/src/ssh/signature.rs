//! SSHSIG: signatures over files.

use sealmark_formats::{Digest, HashAlgorithm};

use super::key::PublicKey;
use super::{Strings, put};
use crate::{Curve, Error, KeyType, Scheme, asn1, pem};

const WHAT: &str = "SSH signature";
const LABEL: &str = "SSH SIGNATURE";
const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;
/// What `ssh-keygen -Y sign` is told with `-n`: the only one that Rekor takes.
const NAMESPACE: &[u8] = b"file";
/// The hash of the file that Rekor writes into every canonical form.
const HASH: &[u8] = b"sha512";

/// A signature over a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signature {
    /// In the envelope, as it is in keys.
    key: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
}

impl Signature {
    /// Reads a file of `ssh-keygen -Y sign -n file`.
    ///
    /// # Errors
    /// [`Error::Malformed`]; [`Error::NotSupported`] for another namespace than `file`, or another hash than SHA-512.
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        let malformed = |reason: String| Error::Malformed { what: WHAT, reason };
        let block = pem::decode(file)
            .map_err(|_| malformed("there is no -----BEGIN SSH SIGNATURE----- block".to_owned()))?;
        if block.label != LABEL {
            return Err(malformed(format!("it is a {}", block.label)));
        }
        let mut outer = Strings::of(&block.content, WHAT);
        if outer.take(MAGIC.len())? != MAGIC || outer.u32()? != VERSION {
            return Err(outer.malformed("it is not SSHSIG of version 1"));
        }
        let key = outer.string()?;
        let namespace = outer.string()?;
        if namespace != NAMESPACE {
            return Err(Error::NotSupported(format!(
                "SSH signatures in the namespace {:?}; sign with ssh-keygen -Y sign -n file",
                shown(namespace)
            )));
        }
        let _reserved = outer.string()?;
        let hash = outer.string()?;
        if hash != HASH {
            return Err(Error::NotSupported(format!(
                "SSH signatures over the hash {:?}; sign over sha512, which is the default",
                shown(hash)
            )));
        }
        let mut inner = Strings::of(outer.string()?, WHAT);
        outer.end()?;
        let (algorithm, signature) = (inner.string()?.to_vec(), inner.string()?.to_vec());
        inner.end()?;
        PublicKey::from_blob(key)?
            .ok_or_else(|| outer.malformed("the key in it is of no type that is known"))?;
        Ok(Self {
            key: key.to_vec(),
            algorithm,
            signature,
        })
    }

    /// The canonical form.
    pub fn canonical(&self) -> String {
        let mut inner = Vec::new();
        put(&self.algorithm, &mut inner);
        put(&self.signature, &mut inner);
        let mut outer = MAGIC.to_vec();
        outer.extend(VERSION.to_be_bytes());
        for string in [&self.key[..], NAMESPACE, b"", HASH, &inner] {
            put(string, &mut outer);
        }
        core::mem::take(&mut *pem::encode(LABEL, &outer))
    }

    /// Checks that the key made it over the data.
    ///
    /// # Errors
    /// [`Error::NotSigned`]; [`Error::NotSupported`] for RSA with SHA-1.
    pub fn verify(&self, key: &PublicKey, data: &[u8]) -> Result<(), Error> {
        if key.blob != self.key {
            return Err(Error::NotSigned("it names another key".to_owned()));
        }
        let mut message = MAGIC.to_vec();
        let digest = Digest::of(HashAlgorithm::Sha512, data);
        for string in [NAMESPACE, b"", HASH, digest.bytes()] {
            put(string, &mut message);
        }
        let wrong = || {
            let algorithm = shown(&self.algorithm);
            let name = key.type_name();
            Error::NotSigned(format!("{algorithm:?} is no algorithm of {name} keys"))
        };
        let own = self.algorithm == key.type_name().as_bytes();
        let mut signature = self.signature.clone();
        let scheme = match key.key.key_type() {
            KeyType::Ed25519 if own => Scheme::Ed25519,
            KeyType::Ecdsa(curve) if own => {
                let mut numbers = Strings::of(&self.signature, WHAT);
                let (r, s) = (numbers.mpint()?, numbers.mpint()?);
                numbers.end()?;
                signature = asn1::two_numbers(r, s, WHAT)?;
                // RFC 5656, section 6.2.1.
                match curve {
                    Curve::P256 => Scheme::EcdsaSha256,
                    Curve::P384 => Scheme::EcdsaSha384,
                    Curve::P521 => Scheme::EcdsaSha512,
                }
            }
            KeyType::Rsa { .. } => match self.algorithm.as_slice() {
                b"rsa-sha2-256" => Scheme::RsaPkcs1Sha256,
                b"rsa-sha2-512" => Scheme::RsaPkcs1Sha512,
                b"ssh-rsa" => {
                    return Err(Error::NotSupported(
                        "SSH signatures of RSA with SHA-1; sign with a newer ssh-keygen".to_owned(),
                    ));
                }
                _ => return Err(wrong()),
            },
            _ => return Err(wrong()),
        };
        key.key
            .verify_scheme(scheme, &message, &signature)
            .map_err(|_| {
                Error::NotSigned("it was made with another key, or over other data".to_owned())
            })
    }
}

fn shown(bytes: &[u8]) -> String {
    sealmark_formats::excerpt(String::from_utf8_lossy(bytes).into_owned())
}
