//! What providers give and take that is not in the form that Sigstore has it: numbers of keys and of signatures.
//!
//! Everything here is DER ([X.690](https://www.itu.int/rec/T-REC-X.690)), short and with definite lengths. What is made is
//! read again by `sealmark_keys`, which judges it.

use sealmark_formats::HashAlgorithm;
use sealmark_keys::{Curve, PublicKey};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const NULL: [u8; 2] = [0x05, 0x00];

/// Object identifiers with tag and length.
const RSA_ENCRYPTION: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
const EC_PUBLIC_KEY: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";
const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";

/// A curve's object identifier with tag and length, as PKCS#11's `CKA_EC_PARAMS` has it, too.
pub(crate) fn curve_oid(curve: Curve) -> &'static [u8] {
    match curve {
        Curve::P256 => b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
        Curve::P384 => b"\x06\x05\x2b\x81\x04\x00\x22",
        Curve::P521 => b"\x06\x05\x2b\x81\x04\x00\x23",
    }
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        length @ 0..=0x7f => out.push(length as u8),
        length => {
            let bytes = length.to_be_bytes();
            let significant = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
            out.push(0x80 | significant.len() as u8);
            out.extend_from_slice(significant);
        }
    }
    out.extend_from_slice(content);
    out
}

/// A number that is not negative, from its big-endian bytes.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut content = bytes[zeros..].to_vec();
    if content.first().is_none_or(|byte| byte & 0x80 != 0) {
        content.insert(0, 0);
    }
    tlv(INTEGER, &content)
}

fn spki(algorithm: &[u8], key: &[u8]) -> Result<PublicKey, sealmark_keys::Error> {
    let bits = tlv(BIT_STRING, &[&[0], key].concat());
    PublicKey::from_spki_der(&tlv(SEQUENCE, &[tlv(SEQUENCE, algorithm), bits].concat()))
}

/// The RSA key with this modulus and this exponent.
pub(crate) fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Result<PublicKey, sealmark_keys::Error> {
    let key = tlv(SEQUENCE, &[integer(modulus), integer(exponent)].concat());
    spki(&[RSA_ENCRYPTION, &NULL].concat(), &key)
}

/// The ECDSA key with this point, uncompressed as in SEC 1.
pub(crate) fn ecdsa_key(curve: Curve, point: &[u8]) -> Result<PublicKey, sealmark_keys::Error> {
    spki(&[EC_PUBLIC_KEY, curve_oid(curve)].concat(), point)
}

/// The Ed25519 key with these 32 bytes.
pub(crate) fn ed25519_key(key: &[u8]) -> Result<PublicKey, sealmark_keys::Error> {
    spki(ED25519, key)
}

/// An ECDSA signature from `r` and `s` behind each other, each of the same length; `None` if they cannot be that.
pub(crate) fn ecdsa_signature(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.is_empty() || !raw.len().is_multiple_of(2) {
        return None;
    }
    let (r, s) = raw.split_at(raw.len() / 2);
    Some(tlv(SEQUENCE, &[integer(r), integer(s)].concat()))
}

/// PKCS#1's `DigestInfo`, what an RSA key signs of a digest (RFC 8017, 9.2).
pub(crate) fn digest_info(hash: HashAlgorithm, digest: &[u8]) -> Vec<u8> {
    let last = match hash {
        HashAlgorithm::Sha256 => 1,
        HashAlgorithm::Sha384 => 2,
        HashAlgorithm::Sha512 => 3,
    };
    let oid = [
        b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02".as_slice(),
        &[last],
    ]
    .concat();
    let algorithm = tlv(SEQUENCE, &[oid.as_slice(), &NULL].concat());
    tlv(SEQUENCE, &[algorithm, tlv(OCTET_STRING, digest)].concat())
}

/// What is in an OCTET STRING that is all of `bytes`, if they are one, of at most 255 bytes.
pub(crate) fn octet_string(bytes: &[u8]) -> Option<&[u8]> {
    let content = match bytes {
        [OCTET_STRING, 0x81, length, content @ ..] if *length >= 0x80 => (length, content),
        [OCTET_STRING, length, content @ ..] if *length < 0x80 => (length, content),
        _ => return None,
    };
    (content.1.len() == usize::from(*content.0)).then_some(content.1)
}

#[cfg(test)]
mod tests {
    use sealmark_formats::Digest;
    use sealmark_keys::{Algorithm, PrivateKey};

    use super::*;

    /// The keys' own encoding, written by aws-lc-rs, is the judge.
    #[test]
    fn keys_from_numbers_are_those_that_the_numbers_were_taken_from() {
        for algorithm in Algorithm::ALL {
            if matches!(algorithm, Algorithm::Rsa4096) {
                continue; // as the others, and slow to make
            }
            let key = PrivateKey::generate(algorithm).unwrap();
            let der = key.public_key().spki_der();
            let made = match algorithm {
                Algorithm::EcdsaP256 => ecdsa_key(Curve::P256, &der[der.len() - 65..]),
                Algorithm::EcdsaP384 => ecdsa_key(Curve::P384, &der[der.len() - 97..]),
                Algorithm::EcdsaP521 => ecdsa_key(Curve::P521, &der[der.len() - 133..]),
                Algorithm::Ed25519 => ed25519_key(&der[der.len() - 32..]),
                Algorithm::Rsa2048 => rsa_key(&der[der.len() - 261..der.len() - 5], &[0, 1, 0, 1]),
                _ => rsa_key(&der[der.len() - 389..der.len() - 5], &[1, 0, 1]),
            };
            assert_eq!(made.unwrap().spki_der(), der, "{algorithm}");
        }
    }

    #[test]
    fn signatures_and_digests_are_written_as_the_standards_have_them() {
        assert_eq!(
            ecdsa_signature(&[0, 0, 0x80, 1]).unwrap(),
            b"\x30\x08\x02\x01\x00\x02\x03\x00\x80\x01"
        );
        assert_eq!(ecdsa_signature(b""), None);
        assert_eq!(ecdsa_signature(b"abc"), None);
        // RFC 8017, 9.2, note 1.
        let info = digest_info(HashAlgorithm::Sha256, Digest::sha256(b"").bytes());
        assert_eq!(
            hex::encode(&info[..19]),
            "3031300d060960864801650304020105000420"
        );
        let info = digest_info(HashAlgorithm::Sha512, &[7; 64]);
        assert_eq!(
            hex::encode(&info[..19]),
            "3051300d060960864801650304020305000440"
        );
        assert_eq!(octet_string(b"\x04\x02ab"), Some(b"ab".as_slice()));
        assert_eq!(
            octet_string(&tlv(OCTET_STRING, &[4; 133])),
            Some([4; 133].as_slice())
        );
        assert_eq!(octet_string(b"\x04\x03ab"), None);
        assert_eq!(octet_string(b""), None);
    }
}
