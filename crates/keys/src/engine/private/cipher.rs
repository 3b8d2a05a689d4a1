//! Symmetric primitives for encrypted key files.

use core::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{constant_time, pbkdf2};
use sealmark_formats::HashAlgorithm;
use zeroize::Zeroizing;

/// Compares in a time that does not depend on where the difference is.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// PBKDF2 with HMAC (RFC 8018, section 5.2); `None` for the hash is SHA-1.
pub(crate) fn pbkdf2(
    hash: Option<HashAlgorithm>,
    iterations: NonZeroU32,
    salt: &[u8],
    password: &[u8],
    key: &mut [u8],
) {
    let algorithm = match hash {
        None => pbkdf2::PBKDF2_HMAC_SHA1,
        Some(HashAlgorithm::Sha256) => pbkdf2::PBKDF2_HMAC_SHA256,
        Some(HashAlgorithm::Sha384) => pbkdf2::PBKDF2_HMAC_SHA384,
        Some(HashAlgorithm::Sha512) => pbkdf2::PBKDF2_HMAC_SHA512,
    };
    pbkdf2::derive(algorithm, iterations, salt, password, key);
}

/// AES-CBC with PKCS#7 padding; the length of the key chooses the cipher. `None` if anything does not fit.
pub(crate) fn decrypt_aes_cbc(
    key: &[u8],
    iv: [u8; 16],
    ciphertext: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let cipher = match key.len() {
        16 => &AES_128,
        24 => &AES_192,
        32 => &AES_256,
        _ => return None,
    };
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(cipher, key).ok()?).ok()?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let context = DecryptionContext::Iv128(FixedLength::from(iv));
    let plain = key.decrypt(&mut buffer, context).ok()?.len();
    buffer.truncate(plain);
    Some(buffer)
}
