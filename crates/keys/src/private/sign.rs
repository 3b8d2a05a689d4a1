//! Signing: data in memory, a digest, a stream, and a file that can be read twice.
//!
//! A key signs in one way only: ECDSA with the hash of its curve, RSA PKCS#1 v1.5 with SHA-256, and pure Ed25519,
//! or Ed25519ph where all there is to sign is a digest.

use core::fmt;
use std::io::{Read, Seek};

use sealmark_formats::{Digest, Hasher};

use crate::engine::private::{self, KeyPair, ed25519};
use crate::{Error, PrivateKey, Scheme};

impl PrivateKey {
    /// The scheme of the signatures that [`sign`](Self::sign) makes.
    pub fn scheme(&self) -> Scheme {
        self.key_type().schemes()[0]
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        match self.pair() {
            KeyPair::Ed25519(pair) => private::sign_ed25519(pair, message),
            pair => pair.sign_digest(&Digest::of(self.public_key().hash(), message)),
        }
    }

    /// Signs data of which only the digest is known, made with the key's own hash.
    ///
    /// For ECDSA and RSA this is the same as [`sign`](Self::sign) over the data. With an Ed25519 key it makes an
    /// Ed25519ph signature over a SHA-512 digest, which is not the same.
    pub fn sign_digest(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        let needed = self.public_key().hash();
        if digest.algorithm() != needed {
            let (key, hash) = (self.key_type(), digest.algorithm());
            return Err(Error::DigestNotForKey { key, hash, needed });
        }
        self.pair().sign_digest(digest)
    }

    /// How often the data has to be read to sign it in constant memory: 2 for Ed25519 (RFC 8032, section 5.1.6,
    /// hashes it twice), otherwise 1.
    pub fn passes(&self) -> u8 {
        match self.pair() {
            KeyPair::Ed25519(_) => 2,
            _ => 1,
        }
    }

    /// Starts to sign data that comes in pieces; `None` for keys that need two [`passes`](Self::passes).
    pub fn stream_signer(&self) -> Option<StreamSigner<'_>> {
        let hasher = Hasher::new(self.public_key().hash());
        (self.passes() == 1).then_some(StreamSigner { key: self, hasher })
    }

    /// Signs what a reader gives from where it stands to its end, in constant memory; the same signature as
    /// [`sign`](Self::sign). Also gives the digest of the data by the key's own hash.
    ///
    /// # Errors
    /// [`Error::Read`], and with an Ed25519 key [`Error::DataChanged`] if the second pass finds other data.
    pub fn sign_reader<R: Read + Seek>(&self, mut reader: R) -> Result<(Vec<u8>, Digest), Error> {
        if let KeyPair::Ed25519(pair) = self.pair() {
            return ed25519::sign_reader(&*private::seed(pair)?, &mut reader);
        }
        let mut hasher = Hasher::new(self.public_key().hash());
        ed25519::for_each_piece(&mut reader, |piece| hasher.update(piece))
            .map_err(|error| Error::Read(error.to_string()))?;
        let digest = hasher.finish();
        Ok((self.sign_digest(&digest)?, digest))
    }
}

/// Signs data that comes in pieces; made by [`PrivateKey::stream_signer`].
pub struct StreamSigner<'a> {
    key: &'a PrivateKey,
    hasher: Hasher,
}

impl StreamSigner<'_> {
    /// Adds the next piece of the data.
    pub fn update(&mut self, data: &[u8]) {
        self.hasher.update(data);
    }

    /// The signature over all pieces, and their digest by the key's own hash.
    pub fn finish(self) -> Result<(Vec<u8>, Digest), Error> {
        let digest = self.hasher.finish();
        Ok((self.key.sign_digest(&digest)?, digest))
    }
}

impl fmt::Debug for StreamSigner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSigner")
            .field("key", self.key)
            .finish_non_exhaustive()
    }
}
