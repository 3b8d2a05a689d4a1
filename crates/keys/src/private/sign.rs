//! Signing: data in memory, a digest, a stream, and a file that can be read twice.
//!
//! A key signs in one way only: ECDSA with the hash of its curve, RSA PKCS#1 v1.5 with SHA-256, and pure Ed25519,
//! or Ed25519ph where all there is to sign is a digest.

use core::fmt;
use std::io::{Read, Seek};

use sealmark_formats::{Digest, Hasher};

use super::{Elsewhere, Input, Secret};
use crate::engine::private::{self, KeyPair, ed25519};
use crate::{Error, KeyType, PrivateKey, Scheme};

impl PrivateKey {
    /// The scheme of the signatures that [`sign`](Self::sign) makes.
    pub fn scheme(&self) -> Scheme {
        self.key_type().schemes()[0]
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        match (&self.secret, self.key_type()) {
            (Secret::Here(pair), KeyType::Ed25519) => match &**pair {
                KeyPair::Ed25519(pair) => private::sign_ed25519(pair, message),
                _ => Err(Error::Engine("sign")),
            },
            (Secret::Elsewhere(key), KeyType::Ed25519) => {
                self.signed_elsewhere(&**key, Input::Message(message))
            }
            _ => self.sign_digest(&Digest::of(self.public_key().hash(), message)),
        }
    }

    /// Asks for a signature, and believes it only if the public key does.
    fn signed_elsewhere(&self, key: &dyn Elsewhere, input: Input<'_>) -> Result<Vec<u8>, Error> {
        let signature = key.sign(input).map_err(Error::Elsewhere)?;
        let (scheme, public) = (self.scheme(), self.public_key());
        let checked = match input {
            Input::Digest(digest) => public.verify_digest_scheme(scheme, digest, &signature),
            Input::Message(message) => public.verify_scheme(scheme, message, &signature),
        };
        match checked {
            Ok(()) => Ok(signature),
            Err(error) => Err(Error::Elsewhere(format!(
                "key {} gave a signature that its public key does not verify: {error}",
                public.id()
            ))),
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
        match (&self.secret, self.key_type()) {
            (Secret::Here(pair), _) => pair.sign_digest(digest),
            (Secret::Elsewhere(_), KeyType::Ed25519) => Err(Error::Elsewhere(
                "an Ed25519 key that is elsewhere signs data, and no digests".to_owned(),
            )),
            (Secret::Elsewhere(key), _) => self.signed_elsewhere(&**key, Input::Digest(digest)),
        }
    }

    /// How often the data has to be read to sign it in constant memory: 2 for Ed25519 (RFC 8032, section 5.1.6,
    /// hashes it twice), otherwise 1.
    pub fn passes(&self) -> u8 {
        match self.key_type() {
            KeyType::Ed25519 => 2,
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
    /// [`Error::Read`], [`Error::Elsewhere`] for Ed25519 keys that are elsewhere, and with an Ed25519 key [`Error::DataChanged`] if the second pass finds other data.
    pub fn sign_reader<R: Read + Seek>(&self, mut reader: R) -> Result<(Vec<u8>, Digest), Error> {
        if self.key_type() == KeyType::Ed25519 {
            return match &self.secret {
                Secret::Here(pair) => match &**pair {
                    KeyPair::Ed25519(pair) => {
                        ed25519::sign_reader(&*private::seed(pair)?, &mut reader)
                    }
                    _ => Err(Error::Engine("sign")),
                },
                Secret::Elsewhere(_) => Err(Error::Elsewhere(
                    "an Ed25519 key that is elsewhere signs no streams".to_owned(),
                )),
            };
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Algorithm;

    /// A token that holds a key.
    struct Token(PrivateKey);

    impl Elsewhere for Token {
        fn sign(&self, input: Input<'_>) -> Result<Vec<u8>, String> {
            let signed = match input {
                Input::Digest(digest) => self.0.sign_digest(digest),
                Input::Message(message) => self.0.sign(message),
            };
            signed.map_err(|error| error.to_string())
        }
    }

    #[test]
    fn a_key_that_is_elsewhere_signs_as_one_that_is_here_and_is_not_given_away() {
        for algorithm in [
            Algorithm::EcdsaP256,
            Algorithm::EcdsaP384,
            Algorithm::Ed25519,
            Algorithm::Rsa2048,
        ] {
            let key = PrivateKey::generate(algorithm).unwrap();
            let public = key.public_key().clone();
            let there = PrivateKey::elsewhere(public.clone(), Arc::new(Token(key)));
            let signature = there.sign(b"data").unwrap();
            assert_eq!(public.verify(b"data", &signature).unwrap(), there.scheme());
            assert!(matches!(there.to_pkcs8_der(), Err(Error::Elsewhere(_))));
        }
    }

    #[test]
    fn what_a_foreign_key_signs_is_not_taken() {
        let [shown, used] = [(); 2].map(|()| PrivateKey::generate(Algorithm::EcdsaP256).unwrap());
        let there = PrivateKey::elsewhere(shown.public_key().clone(), Arc::new(Token(used)));
        let error = there.sign(b"data").unwrap_err().to_string();
        assert!(
            error.contains("gave a signature that its public key does not verify"),
            "{error}"
        );
    }
}
