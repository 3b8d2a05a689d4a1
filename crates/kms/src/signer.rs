//! What signs: one variant for each place where a key can be.

use std::io::{Read, Seek};
use std::path::Path;

use sealmark_keys::{Digest, PrivateKey, PublicKey, Scheme};

use crate::{Error, Input, RemoteKey};

/// A key that can sign, wherever it is. Work is done off the asynchronous threads.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Signer {
    /// In this process.
    Local(PrivateKey),
    /// In a provider, which it never leaves.
    Remote(RemoteKey),
}

impl From<PrivateKey> for Signer {
    fn from(key: PrivateKey) -> Self {
        Self::Local(key)
    }
}

impl Signer {
    /// The public key that checks the signatures.
    pub fn public_key(&self) -> &PublicKey {
        match self {
            Self::Local(key) => key.public_key(),
            Self::Remote(key) => &key.public,
        }
    }

    /// The scheme of the signatures that are made.
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::Local(key) => key.scheme(),
            Self::Remote(key) => key.scheme,
        }
    }

    /// Signs a message.
    pub async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        match self {
            Self::Local(key) => {
                let message = message.to_vec();
                self.off_thread(key, move |key| key.sign(&message)).await
            }
            Self::Remote(key) => key.sign_message(message).await,
        }
    }

    /// Signs data of which only the digest is known, made with the key's own hash; see
    /// [`PrivateKey::sign_digest`].
    pub async fn sign_digest(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        match self {
            Self::Local(key) => {
                let digest = digest.clone();
                self.off_thread(key, move |key| key.sign_digest(&digest))
                    .await
            }
            Self::Remote(key) => key.sign(Input::Digest(digest)).await,
        }
    }

    /// Signs a file in constant memory, and gives the digest of it by the key's own hash.
    pub async fn sign_file(&self, path: &Path) -> Result<(Vec<u8>, Digest), Error> {
        let file = tokio::fs::File::open(path)
            .await
            .map_err(|error| Error::Open {
                path: path.display().to_string(),
                reason: error.to_string(),
            })?;
        let signed = self.sign_reader(file.into_std().await).await;
        signed.map_err(|error| match error {
            // The reader does not know the name.
            Error::Sign {
                cause: sealmark_keys::Error::Read(reason),
                ..
            } => Error::Open {
                path: path.display().to_string(),
                reason,
            },
            other => other,
        })
    }

    /// Signs what a reader gives, from where it stands to its end, in constant memory, and gives the digest of it
    /// by the key's own hash.
    pub async fn sign_reader<R>(&self, reader: R) -> Result<(Vec<u8>, Digest), Error>
    where
        R: Read + Seek + Send + 'static,
    {
        match self {
            Self::Local(key) => {
                self.off_thread(key, move |key| key.sign_reader(reader))
                    .await
            }
            Self::Remote(key) => key.sign_reader(reader).await,
        }
    }

    async fn off_thread<T, F>(&self, key: &PrivateKey, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&PrivateKey) -> Result<T, sealmark_keys::Error> + Send + 'static,
    {
        let key = key.clone();
        tokio::task::spawn_blocking(move || work(&key))
            .await
            .map_err(|error| Error::Interrupted(error.to_string()))?
            .map_err(|cause| Error::Sign {
                key: self.public_key().id().to_string(),
                cause,
            })
    }
}
