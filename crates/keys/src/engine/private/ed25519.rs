//! What aws-lc-rs lacks of signing with Ed25519 (RFC 8032): messages in pieces, and Ed25519ph. By ed25519-dalek.

use core::cell::RefCell;
use std::io::{Read, Seek, SeekFrom};

use ed25519_dalek::hazmat::{self, ExpandedSecretKey};
use ed25519_dalek::{SignatureError, VerifyingKey};
use sealmark_formats::{Digest, HashAlgorithm, Hasher};
use sha2::{Digest as _, Sha512};
use zeroize::Zeroizing;

use crate::Error;
use crate::engine::ed25519::Prehashed;

/// Size of the pieces in which data is read.
const PIECE: usize = 64 * 1024;

/// Makes an Ed25519ph signature, without context, over a SHA-512 digest.
pub(crate) fn sign_prehashed(seed: &[u8; 32], digest: &[u8]) -> Result<Vec<u8>, Error> {
    let secret = expand(seed);
    let key = VerifyingKey::from(&secret);
    let digest = Prehashed::new(digest).ok_or(Error::Engine("sign"))?;
    hazmat::raw_sign_prehashed::<Sha512, Prehashed>(&secret, digest, &key, None)
        .map(|signature| signature.to_bytes().to_vec())
        .map_err(|_| Error::Engine("sign"))
}

/// Makes a pure Ed25519 signature in two passes over the data from where the reader stands, and gives the SHA-512
/// digest of the data with it.
///
/// Both passes must see the same data: two signatures whose secret nonce comes from the same first pass, but which
/// sign different second passes, give the private key away. So the digests of both are compared before the
/// signature leaves this function.
pub(crate) fn sign_reader<R: Read + Seek>(
    seed: &[u8; 32],
    reader: &mut R,
) -> Result<(Vec<u8>, Digest), Error> {
    let start = reader
        .stream_position()
        .map_err(|error| Error::Read(error.to_string()))?;
    let reader = RefCell::new(reader);
    let digests: RefCell<Vec<Digest>> = RefCell::default();
    let failure: RefCell<Option<std::io::Error>> = RefCell::default();
    let pass = |context: &mut Sha512| {
        let mut reader = reader.borrow_mut();
        let mut read = || {
            let mut hasher = Hasher::new(HashAlgorithm::Sha512);
            reader.seek(SeekFrom::Start(start))?;
            for_each_piece(&mut **reader, |piece| {
                hasher.update(piece);
                sha2::Digest::update(context, piece);
            })?;
            digests.borrow_mut().push(hasher.finish());
            Ok(())
        };
        read().map_err(|error| {
            *failure.borrow_mut() = Some(error);
            SignatureError::new()
        })
    };
    let secret = expand(seed);
    let key = VerifyingKey::from(&secret);
    let signature = hazmat::raw_sign_byupdate::<Sha512, _>(&secret, pass, &key);
    if let Some(error) = failure.into_inner() {
        return Err(Error::Read(error.to_string()));
    }
    let signature = signature.map_err(|_| Error::Engine("sign"))?;
    match digests.into_inner().as_slice() {
        [first, second] if first == second => Ok((signature.to_bytes().to_vec(), first.clone())),
        _ => Err(Error::DataChanged),
    }
}

/// Reads to the end in pieces.
pub(crate) fn for_each_piece<R: Read + ?Sized>(
    reader: &mut R,
    mut piece: impl FnMut(&[u8]),
) -> std::io::Result<()> {
    let mut buffer = Zeroizing::new(vec![0; PIECE]);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => piece(&buffer[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// RFC 8032, section 5.1.5.
fn expand(seed: &[u8; 32]) -> ExpandedSecretKey {
    let hash = Zeroizing::new(<[u8; 64]>::from(Sha512::digest(seed)));
    ExpandedSecretKey::from_bytes(&hash)
}
