//! RSA signatures (RFC 8017, section 8): the operation with the public key, and what must come out of it.
//!
//! What comes out is never parsed: the one right PKCS#1 v1.5 encoding is built and compared, and of PSS every bit is
//! checked. Parsers that were lenient at this place accepted forgeries for small exponents (CVE-2006-4339 and its kin).

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use sealmark_formats::{Digest, HashAlgorithm, Hasher};

use crate::asn1::RsaPublic;

/// Bits of an exponent that [`RsaPublic`] lets through.
const EXPONENT_BITS: u32 = 31;

/// RSASSA-PKCS1-v1_5 (RFC 8017, section 8.2.2).
pub(in crate::engine) fn verify_pkcs1(key: &[u8], digest: &Digest, signature: &[u8]) -> bool {
    let Ok(key) = RsaPublic::from_der(key) else {
        return false;
    };
    let found = open(&key, signature);
    found.is_some() && found == emsa_pkcs1(digest, key.modulus.len())
}

/// The same with SHA-1.
pub(in crate::engine) fn verify_pkcs1_sha1(key: &[u8], sha1: &[u8], signature: &[u8]) -> bool {
    const INFO: [u8; 15] = [
        0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14,
    ];
    let Ok(key) = RsaPublic::from_der(key) else {
        return false;
    };
    let found = open(&key, signature);
    sha1.len() == 20 && found.is_some() && found == padded(&INFO, sha1, key.modulus.len())
}

/// RSASSA-PSS (RFC 8017, section 8.1.2), with MGF1 of the same hash and a salt as long as it.
pub(in crate::engine) fn verify_pss(key: &[u8], digest: &Digest, signature: &[u8]) -> bool {
    let Ok(key) = RsaPublic::from_der(key) else {
        return false;
    };
    let Some(message) = open(&key, signature) else {
        return false;
    };
    // What is encoded is one bit shorter than the modulus, and so may be one byte shorter.
    let bits = key.bits() - 1;
    let (above, message) = message.split_at(message.len() - bits.div_ceil(8));
    above.iter().all(|byte| *byte == 0) && is_emsa_pss(message, bits, digest)
}

/// RSAVP1 (RFC 8017, section 5.2.2): `signature ^ e mod n`, as long as the modulus. `None` if the signature has
/// another length, or is not less than the modulus.
fn open(key: &RsaPublic<'_>, signature: &[u8]) -> Option<Vec<u8>> {
    let n = key.modulus;
    if signature.len() != n.len() || signature >= n {
        return None;
    }
    let modulus = BoxedUint::from_be_slice_vartime(n);
    let precision = modulus.bits_precision();
    let modulus = Odd::new(modulus).into_option()?;
    let base = BoxedUint::from_be_slice(signature, precision).ok()?;
    let params = BoxedMontyParams::new_vartime(modulus);
    let opened = BoxedMontyForm::new(base, &params)
        .pow_bounded_exp(&BoxedUint::from(key.exponent), EXPONENT_BITS)
        .retrieve()
        .to_be_bytes();
    // The number has whole words; those bytes that the modulus does not have are zero.
    opened.get(opened.len() - n.len()..).map(<[u8]>::to_vec)
}

/// `DigestInfo` up to the digest (RFC 8017, section 9.2, note 1).
fn digest_info(hash: HashAlgorithm) -> [u8; 19] {
    // The last arc of the hash's object identifier, and the lengths of all, of the inner structure's digest.
    let (arc, len) = match hash {
        HashAlgorithm::Sha256 => (1, 32),
        HashAlgorithm::Sha384 => (2, 48),
        HashAlgorithm::Sha512 => (3, 64),
    };
    [
        0x30,
        17 + len,
        0x30,
        0x0d,
        0x06,
        0x09,
        0x60,
        0x86,
        0x48,
        0x01,
        0x65,
        0x03,
        0x04,
        0x02,
        arc,
        0x05,
        0x00,
        0x04,
        len,
    ]
}

/// EMSA-PKCS1-v1_5 (RFC 8017, section 9.2) of this length; `None` if it does not fit.
pub(in crate::engine) fn emsa_pkcs1(digest: &Digest, len: usize) -> Option<Vec<u8>> {
    padded(&digest_info(digest.algorithm()), digest.bytes(), len)
}

fn padded(info: &[u8], digest: &[u8], len: usize) -> Option<Vec<u8>> {
    let padding = len.checked_sub(3 + info.len() + digest.len())?;
    // At least eight bytes, by the standard.
    if padding < 8 {
        return None;
    }
    Some([&[0, 1], &*vec![0xff; padding], &[0], info, digest].concat())
}

/// EMSA-PSS-VERIFY (RFC 8017, section 9.1.2); `bits` is how many of the message's bits are used.
fn is_emsa_pss(message: &[u8], bits: usize, digest: &Digest) -> bool {
    let hash = digest.algorithm();
    let hash_len = hash.digest_len();
    let salt_len = hash_len;
    let Some(padding) = message.len().checked_sub(hash_len + salt_len + 2) else {
        return false;
    };
    let (masked, rest) = message.split_at(message.len() - hash_len - 1);
    let (found, trailer) = rest.split_at(hash_len);
    let unused = 8 * message.len() - bits;
    if trailer != [0xbc] || masked[0].leading_zeros() < unused as u32 {
        return false;
    }
    let mask = mgf1(hash, found, masked.len());
    let mut block: Vec<u8> = masked.iter().zip(mask).map(|(a, b)| a ^ b).collect();
    block[0] &= 0xff >> unused;
    let (zeros, rest) = block.split_at(padding);
    let (one, salt) = rest.split_at(1);
    if zeros.iter().any(|byte| *byte != 0) || one != [1] {
        return false;
    }
    let mut hasher = Hasher::new(hash);
    hasher.update(&[0; 8]);
    hasher.update(digest.bytes());
    hasher.update(salt);
    hasher.finish().bytes() == found
}

/// MGF1 (RFC 8017, appendix B.2.1).
pub(in crate::engine) fn mgf1(hash: HashAlgorithm, seed: &[u8], len: usize) -> Vec<u8> {
    let mut mask = Vec::with_capacity(len + hash.digest_len());
    let mut counter: u32 = 0;
    while mask.len() < len {
        let mut hasher = Hasher::new(hash);
        hasher.update(seed);
        hasher.update(&counter.to_be_bytes());
        mask.extend_from_slice(hasher.finish().bytes());
        counter += 1;
    }
    mask.truncate(len);
    mask
}
