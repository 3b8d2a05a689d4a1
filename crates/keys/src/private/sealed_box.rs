//! libsodium's sealed boxes: what only the owner of an X25519 key can read, from a sender nobody knows.
//!
//! <https://doc.libsodium.org/public-key_cryptography/sealed_boxes>

use aws_lc_rs::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use blake2::digest::consts::U24;
use blake2::{Blake2b, Digest as _};
use salsa20::cipher::StreamCipher as _;
use salsa20::cipher::consts::U10;
use zeroize::Zeroizing;

use super::secretbox::{keystream, mac};
use crate::Error;

/// Encrypts for the owner of `recipient`, a public X25519 key: `ephemeral key || box`, where the box's nonce is the BLAKE2b
/// of both public keys.
///
/// # Errors
/// [`Error::Engine`], also if the key is one that no secret can be agreed with.
pub fn seal_for(recipient: &[u8; 32], message: &[u8]) -> Result<Vec<u8>, Error> {
    let failed = Error::Engine("agree on a secret with the recipient's X25519 key");
    let random = aws_lc_rs::rand::SystemRandom::new();
    let ephemeral = EphemeralPrivateKey::generate(&X25519, &random).map_err(|_| failed.clone())?;
    let public = ephemeral.compute_public_key().map_err(|_| failed.clone())?;
    let peer = UnparsedPublicKey::new(&X25519, recipient.as_slice());
    let key = agree_ephemeral(ephemeral, peer, failed.clone(), |shared| {
        let shared: Zeroizing<[u8; 32]> =
            Zeroizing::new(shared.try_into().map_err(|_| failed.clone())?);
        // crypto_box_beforenm: the agreed point is hashed into the key.
        let key = salsa20::hsalsa::<U10>((&*shared).into(), &[0; 16].into());
        Ok(Zeroizing::new(<[u8; 32]>::from(key)))
    })?;
    let mut nonce = Blake2b::<U24>::new();
    nonce.update(public.as_ref());
    nonce.update(recipient);
    let nonce: [u8; 24] = nonce.finalize().into();
    let (mut stream, mac_key) = keystream(&key, &nonce);
    let mut ciphertext = message.to_vec();
    stream.apply_keystream(&mut ciphertext);
    let tag = mac(&mac_key, &ciphertext);
    Ok([public.as_ref(), &tag, &ciphertext].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That boxes can be opened is judged where they are used, together with those of cosign.
    #[test]
    fn each_box_has_a_sender_of_its_own_and_a_key_without_a_secret_is_refused() {
        // RFC 7748, 6.1: Bob's public key.
        let key = hex::decode("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
            .unwrap();
        let key: [u8; 32] = key.try_into().unwrap();
        let (one, other) = (seal_for(&key, b"x").unwrap(), seal_for(&key, b"x").unwrap());
        assert_eq!(one.len(), 32 + 16 + 1);
        assert_ne!(one[..32], other[..32]);
        assert!(seal_for(&[0; 32], b"x").is_err());
    }
}
