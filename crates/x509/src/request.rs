//! Certificate requests: PKCS#10, RFC 2986.
//!
//! Read for the key that they are about, and that whoever made them has it. What they ask for, names and extensions, is
//! for no CA here to believe.

use der::Tag;
use sealmark_keys::{KeyType, PublicKey, Scheme};

use crate::element::Element;
use crate::{Error, MAX_CERTIFICATE, pem};

const LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

/// A certificate request that is well formed.
#[derive(Clone, Debug)]
pub struct CertificateRequest {
    key: PublicKey,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

impl CertificateRequest {
    /// Reads PEM, or DER.
    ///
    /// # Errors
    /// If it is larger than a certificate may be, is not a request, or is about a key of a kind that is not known.
    pub fn from_pem_or_der(bytes: &[u8]) -> Result<Self, Error> {
        let der = match bytes.first() {
            Some(0x30) => bytes.to_vec(),
            _ => pem::labelled(bytes, &LABELS)?,
        };
        if der.len() > MAX_CERTIFICATE {
            return Err(Error::TooLarge(der.len()));
        }
        Self::from_der(&der)
    }

    fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        let malformed = |error: der::Error| Error::Request(error.to_string());
        let read = || -> der::Result<_> {
            let mut outer = Element::only(bytes)?.elements()?;
            let info = outer.expect(Tag::Sequence)?;
            outer.expect(Tag::Sequence)?; // The algorithm follows from the key, as everywhere here.
            let signature = outer.expect(Tag::BitString)?;
            outer.finish()?;
            let mut inner = info.elements()?;
            inner.expect(Tag::Integer)?;
            inner.expect(Tag::Sequence)?; // The subject.
            let spki = inner.expect(Tag::Sequence)?;
            Ok((info.der, spki.der, signature.content))
        };
        let (signed, spki, signature) = read().map_err(malformed)?;
        let key =
            PublicKey::from_spki_der(spki).map_err(|error| Error::Request(error.to_string()))?;
        let signature = match signature.split_first() {
            Some((0, signature)) => signature.to_vec(),
            _ => {
                return Err(Error::Request(
                    "its signature is no row of octets".to_owned(),
                ));
            }
        };
        Ok(Self {
            key,
            signed: signed.to_vec(),
            signature,
        })
    }

    /// The key that it is about.
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// Whether the key that it is about made it, with a hash of the SHA-2 family. Ed25519 without a hash before it.
    pub fn is_signed_by_its_key(&self) -> bool {
        let schemes: &[Scheme] = match self.key.key_type() {
            KeyType::Ecdsa(_) => &[
                Scheme::EcdsaSha256,
                Scheme::EcdsaSha384,
                Scheme::EcdsaSha512,
            ],
            KeyType::Rsa { .. } => &[
                Scheme::RsaPkcs1Sha256,
                Scheme::RsaPkcs1Sha384,
                Scheme::RsaPkcs1Sha512,
            ],
            KeyType::Ed25519 => &[Scheme::Ed25519],
        };
        let mut schemes = schemes.iter();
        schemes.any(|scheme| {
            let key = &self.key;
            key.verify_scheme(*scheme, &self.signed, &self.signature)
                .is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=jane -keyout /dev/null
    const P256: &str = include_str!("../tests/fixtures/request-p256.pem");
    // openssl req -new -newkey ed25519 -nodes -subj /emailAddress=jane@example.org -keyout /dev/null
    const ED25519: &str = include_str!("../tests/fixtures/request-ed25519.pem");

    #[test]
    fn requests_of_openssl_are_read_and_verify() {
        for (text, key) in [(P256, "ECDSA P-256"), (ED25519, "Ed25519")] {
            let request = CertificateRequest::from_pem_or_der(text.as_bytes()).unwrap();
            assert_eq!(request.public_key().key_type().to_string(), key);
            assert!(request.is_signed_by_its_key());
            let der = pem::labelled(text.as_bytes(), &LABELS).unwrap();
            assert!(
                CertificateRequest::from_pem_or_der(&der)
                    .unwrap()
                    .is_signed_by_its_key()
            );
            for at in 0..der.len() {
                let mut changed = der.clone();
                changed[at] ^= 1;
                if let Ok(changed) = CertificateRequest::from_pem_or_der(&changed) {
                    let same = changed.public_key().spki_der() == request.public_key().spki_der();
                    // The outer algorithm is not looked at, and is not signed.
                    assert!(!changed.is_signed_by_its_key() || same, "octet {at}");
                }
                assert!(CertificateRequest::from_pem_or_der(&der[..at]).is_err());
            }
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in [
            "",
            "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
            "0",
        ] {
            assert!(CertificateRequest::from_pem_or_der(text.as_bytes()).is_err());
        }
        let long = [0x30; MAX_CERTIFICATE + 1];
        let error = CertificateRequest::from_pem_or_der(&long).unwrap_err();
        assert!(matches!(error, Error::TooLarge(_)));
    }
}
