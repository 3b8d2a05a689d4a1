//! Key pairs that lie in a service as files do in a folder: encrypted private key, public key and password, which whoever
//! may read them can take away. The key signs here, not there.
//!
//! Invariant: the public key that is given out is that of the private key, where both were read.

use sealmark_keys::{MAX_KEY_FILE, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use crate::{Error, KeyRef, Options};

/// A pair that is to be kept somewhere.
pub struct KeyPair {
    /// The private key, an encrypted key file.
    pub private: Zeroizing<String>,
    /// The public key, PEM.
    pub public: String,
    /// The password of the private key.
    pub password: Zeroizing<Vec<u8>>,
}

impl KeyPair {
    /// The pair of a key.
    ///
    /// # Errors
    /// [`Error::Key`] if the key cannot be encrypted, as one that is elsewhere.
    pub fn of(key: &PrivateKey, password: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        let private = key
            .to_encrypted_pem(&password)
            .map_err(|cause| Error::Key {
                key: key.public_key().id().to_string(),
                cause,
            })?;
        Ok(Self {
            private: Zeroizing::new(private),
            public: key.public_key().to_pem(),
            password,
        })
    }
}

/// What is in such a place.
#[cfg_attr(
    not(any(feature = "kubernetes", feature = "gitlab")),
    allow(dead_code, reason = "there is no such place in this build")
)]
pub(crate) struct Files {
    /// Where, for messages.
    pub(crate) place: String,
    pub(crate) private: Option<Zeroizing<Vec<u8>>>,
    /// What the private key is called there.
    pub(crate) private_name: &'static str,
    pub(crate) public: Option<Zeroizing<Vec<u8>>>,
    pub(crate) public_name: &'static str,
    pub(crate) password: Option<Zeroizing<Vec<u8>>>,
    pub(crate) password_name: &'static str,
}

/// What is asked for: places that give one thing for each request need not be asked for all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wanted {
    Private,
    Public,
}

/// Why a service is asked: what reads may be sent again when it is busy.
#[cfg_attr(
    not(any(feature = "kubernetes", feature = "gitlab")),
    allow(dead_code, reason = "there is no such place in this build")
)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    Read,
    Write,
}

#[cfg_attr(
    not(any(feature = "kubernetes", feature = "gitlab")),
    allow(dead_code, reason = "there is no such place in this build")
)]
impl Purpose {
    /// What then has failed, for messages.
    pub(crate) fn failed(self) -> &'static str {
        match self {
            Self::Read => "cannot be read",
            Self::Write => "cannot be written",
        }
    }
}

/// What the reference leads to, if that is such a place.
pub(crate) async fn files(
    key: &KeyRef,
    wanted: Wanted,
    options: &Options,
) -> Result<Option<Files>, Error> {
    let _ = (wanted, options);
    match key {
        #[cfg(feature = "kubernetes")]
        KeyRef::Kubernetes(reference) => crate::kubernetes::read(reference, options).await.map(Some),
        #[cfg(not(feature = "kubernetes"))]
        KeyRef::Kubernetes(_) => Err(crate::load::not_built(key, "Kubernetes secret")),
        #[cfg(feature = "gitlab")]
        KeyRef::GitLab(reference) => crate::gitlab::read(reference, wanted, options).await.map(Some),
        #[cfg(not(feature = "gitlab"))]
        KeyRef::GitLab(_) => Err(crate::load::not_built(key, "GitLab")),
        KeyRef::GitHub(_) => Err(Error::Read {
            key: key.to_string(),
            reason: "GitHub gives a secret to workflows alone, and never back; in a workflow, put it into the environment \
                     (env: COSIGN_PRIVATE_KEY: ${{ secrets.COSIGN_PRIVATE_KEY }}), and give env://COSIGN_PRIVATE_KEY or \
                     env://COSIGN_PUBLIC_KEY"
                .to_owned(),
        }),
        _ => Ok(None),
    }
}

/// Keeps a pair where the reference says, and gives what was done, in words. A pair that is there is replaced only if
/// `replace` says so.
///
/// # Errors
/// [`Error::PairThere`], [`Error::NotKept`] if that is no such place, and what the service says.
pub async fn store(
    key: &KeyRef,
    pair: &KeyPair,
    replace: bool,
    options: &Options,
) -> Result<String, Error> {
    let _ = (pair, replace, options);
    match key {
        #[cfg(feature = "kubernetes")]
        KeyRef::Kubernetes(reference) => {
            crate::kubernetes::store(reference, pair, replace, options).await
        }
        #[cfg(not(feature = "kubernetes"))]
        KeyRef::Kubernetes(_) => Err(crate::load::not_built(key, "Kubernetes secret")),
        #[cfg(feature = "gitlab")]
        KeyRef::GitLab(reference) => crate::gitlab::store(reference, pair, replace, options).await,
        #[cfg(not(feature = "gitlab"))]
        KeyRef::GitLab(_) => Err(crate::load::not_built(key, "GitLab")),
        #[cfg(feature = "github")]
        KeyRef::GitHub(reference) => crate::github::store(reference, pair, replace, options).await,
        #[cfg(not(feature = "github"))]
        KeyRef::GitHub(_) => Err(crate::load::not_built(key, "GitHub")),
        _ => Err(Error::NotKept {
            key: key.to_string(),
        }),
    }
}

impl Files {
    fn missing(&self, key: &KeyRef, name: &str) -> Error {
        Error::Read {
            key: key.to_string(),
            reason: format!(
                "{} has no {name}; a key pair is kept there by: sealmark generate-key-pair {key}",
                self.place
            ),
        }
    }

    fn wrong(&self, key: &KeyRef, name: &str, cause: sealmark_keys::Error) -> Error {
        let reason = match cause {
            sealmark_keys::Error::WrongPassword => format!(
                "{}: {} is not the password of {name}",
                self.place, self.password_name
            ),
            cause => format!("{}: {name}: {cause}", self.place),
        };
        Error::Read {
            key: key.to_string(),
            reason,
        }
    }

    /// The public key; where there is none, that of the private key, if its password is there, too.
    pub(crate) fn public_key(&self, key: &KeyRef) -> Result<PublicKey, Error> {
        let Some(public) = &self.public else {
            if self.private.is_none() {
                return Err(self.missing(key, self.public_name));
            }
            let no_password = || {
                Err(Error::EncryptedPrivateKey {
                    key: key.to_string(),
                })
            };
            return self
                .private_key(key, no_password)
                .map(|key| key.public_key().clone());
        };
        self.bounded(key, self.public_name, public)?;
        PublicKey::from_pem(public).map_err(|cause| self.wrong(key, self.public_name, cause))
    }

    /// The private key. `password` is asked if there is none in the place.
    pub(crate) fn private_key(
        &self,
        key: &KeyRef,
        password: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, Error>,
    ) -> Result<PrivateKey, Error> {
        let Some(file) = &self.private else {
            return Err(self.missing(key, self.private_name));
        };
        self.bounded(key, self.private_name, file)?;
        let kept = self.password.clone();
        let found = crate::load::private(key, file, || kept.map_or_else(password, Ok));
        let private = found.map_err(|error| match error {
            Error::Key { cause, .. } if self.password.is_some() => {
                self.wrong(key, self.private_name, cause)
            }
            other => other,
        })?;
        if let Some(public) = &self.public
            && PublicKey::from_pem(public).ok().as_ref() != Some(private.public_key())
        {
            return Err(Error::Read {
                key: key.to_string(),
                reason: format!(
                    "{}: {} is not the public key of {}, so nobody who has it could verify",
                    self.place, self.public_name, self.private_name
                ),
            });
        }
        Ok(private)
    }

    fn bounded(&self, key: &KeyRef, name: &str, file: &[u8]) -> Result<(), Error> {
        match file.len() > MAX_KEY_FILE {
            true => Err(self.wrong(key, name, sealmark_keys::Error::TooLarge)),
            false => Ok(()),
        }
    }
}
