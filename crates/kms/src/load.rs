//! Reads keys from files, the environment and URLs.

use std::io::ErrorKind;
use std::path::Path;

use sealmark_keys::{Algorithm, MAX_KEY_FILE, PrivateKey, PublicKey};
use tokio::io::AsyncReadExt;
use zeroize::Zeroizing;

#[cfg(feature = "aws")]
use crate::aws;
#[cfg(feature = "azure")]
use crate::azure;
use crate::stored::{self, Wanted};
use crate::{Error, KeyRef, Options, RemoteKey, Signer, fetch, plugin};

/// Gets a public key to verify with.
///
/// Where there is an unencrypted private key, its public key is taken.
///
/// # Errors
/// [`Error::Read`] if it is not there or cannot be read, [`Error::Key`] if it is no public key, and
/// [`Error::EncryptedPrivateKey`].
pub async fn load_public(key: &KeyRef, options: &Options) -> Result<PublicKey, Error> {
    Ok(load_verifier(key, options).await?.0)
}

/// As [`load_public`], with the key in its provider if it is in one.
///
/// # Errors
/// As [`load_public`].
pub async fn load_verifier(
    key: &KeyRef,
    options: &Options,
) -> Result<(PublicKey, Option<RemoteKey>), Error> {
    match remote(key, options).await? {
        Some(key) => Ok((key.public.clone(), Some(key))),
        None => Ok((local_public(key, options).await?, None)),
    }
}

async fn local_public(key: &KeyRef, options: &Options) -> Result<PublicKey, Error> {
    if let Some(files) = stored::files(key, Wanted::Public, options).await? {
        let public = files.public_key(key)?;
        options.tell(format!("key {key}: {}", public.algorithm_name()));
        return Ok(public);
    }
    let file = read(key).await?;
    match PrivateKey::is_encrypted_pem(&file) {
        Some(true) => {
            return Err(Error::EncryptedPrivateKey {
                key: key.to_string(),
            });
        }
        Some(false) => {
            let no_password = || Err(Error::Password("the key is not encrypted".into()));
            return private(key, &file, no_password).map(|key| key.public_key().clone());
        }
        None => {}
    }
    PublicKey::from_pem(&file).map_err(|cause| Error::Key {
        key: key.to_string(),
        cause,
    })
}

/// Gets a key to sign with.
///
/// `password` is called at most once, and only if the key is encrypted, on a thread where it may block; what it
/// fails with should be [`Error::Password`].
///
/// # Errors
/// [`Error::Read`] if it is not there or cannot be read, [`Error::Key`] if it is no private key or the password is
/// wrong.
pub async fn load_signer<P>(key: &KeyRef, password: P, options: &Options) -> Result<Signer, Error>
where
    P: FnOnce() -> Result<Zeroizing<Vec<u8>>, Error> + Send + 'static,
{
    if let Some(key) = remote(key, options).await? {
        return Ok(Signer::Remote(key));
    }
    let files = stored::files(key, Wanted::Private, options).await?;
    let (key, options) = (key.clone(), options.clone());
    if let Some(files) = files {
        let private = move || {
            let private = files.private_key(&key, password)?;
            options.tell(format!(
                "key {key}: {}",
                private.public_key().algorithm_name()
            ));
            Ok(Signer::Local(private))
        };
        return tokio::task::spawn_blocking(private)
            .await
            .map_err(|error| Error::Interrupted(error.to_string()))?;
    }
    let file = read(&key).await?;
    // scrypt takes some 0.2 s, and a password prompt as long as it takes.
    tokio::task::spawn_blocking(move || private(&key, &file, password).map(Signer::Local))
        .await
        .map_err(|error| Error::Interrupted(error.to_string()))?
}

/// The key, if it is in a provider.
pub(crate) async fn remote(key: &KeyRef, options: &Options) -> Result<Option<RemoteKey>, Error> {
    match key {
        #[cfg(feature = "azure")]
        KeyRef::Azure(key) => Ok(Some(azure::open(key, options).await?)),
        #[cfg(not(feature = "azure"))]
        KeyRef::Azure(_) => Err(not_built(key, "Azure Key Vault")),
        KeyRef::Plugin(key) => Ok(Some(plugin::open(key, options).await?)),
        KeyRef::File(_)
        | KeyRef::Env(_)
        | KeyRef::Url(_)
        | KeyRef::Kubernetes(_)
        | KeyRef::GitLab(_)
        | KeyRef::GitHub(_) => Ok(None),
        #[cfg(feature = "aws")]
        KeyRef::Aws(key) => Ok(Some(aws::load(key, options).await?)),
        #[cfg(not(feature = "aws"))]
        KeyRef::Aws(_) => Err(not_built(key, "AWS KMS")),
        #[cfg(feature = "google")]
        KeyRef::Google(key) => crate::google::open(key, options).await.map(Some),
        #[cfg(not(feature = "google"))]
        KeyRef::Google(_) => Err(not_built(key, "Google Cloud KMS")),
        #[cfg(feature = "pkcs11")]
        KeyRef::Pkcs11(key) => crate::pkcs11::open(key, options).await.map(Some),
        #[cfg(not(feature = "pkcs11"))]
        KeyRef::Pkcs11(_) => Err(not_built(key, "PKCS#11")),
        #[cfg(feature = "vault")]
        KeyRef::Vault(key) => crate::vault::open(key, options).await.map(Some),
        #[cfg(not(feature = "vault"))]
        KeyRef::Vault(_) => Err(not_built(key, "Vault")),
    }
}

/// Makes a key where the reference says, which is in a provider.
///
/// # Errors
/// [`Error::NotMade`] if keys are not made there, and what the provider says.
pub async fn create_key(
    key: &KeyRef,
    algorithm: Algorithm,
    options: &Options,
) -> Result<RemoteKey, Error> {
    let _ = (algorithm, options);
    match key {
        #[cfg(feature = "aws")]
        KeyRef::Aws(key) => Ok(aws::create(key, algorithm, options).await?),
        #[cfg(not(feature = "aws"))]
        KeyRef::Aws(_) => Err(not_built(key, "AWS KMS")),
        #[cfg(feature = "azure")]
        KeyRef::Azure(key) => Ok(azure::create(key, algorithm, options).await?),
        #[cfg(not(feature = "azure"))]
        KeyRef::Azure(_) => Err(not_built(key, "Azure Key Vault")),
        KeyRef::Plugin(key) => Ok(plugin::create(key, algorithm, options).await?),
        #[cfg(feature = "google")]
        KeyRef::Google(key) => crate::google::create(key, algorithm, options).await,
        #[cfg(not(feature = "google"))]
        KeyRef::Google(_) => Err(not_built(key, "Google Cloud KMS")),
        #[cfg(feature = "pkcs11")]
        KeyRef::Pkcs11(key) => crate::pkcs11::create(key, algorithm, options).await,
        #[cfg(not(feature = "pkcs11"))]
        KeyRef::Pkcs11(_) => Err(not_built(key, "PKCS#11")),
        #[cfg(feature = "vault")]
        KeyRef::Vault(key) => crate::vault::create(key, algorithm, options).await,
        #[cfg(not(feature = "vault"))]
        KeyRef::Vault(_) => Err(not_built(key, "Vault")),
        KeyRef::File(_)
        | KeyRef::Env(_)
        | KeyRef::Url(_)
        | KeyRef::Kubernetes(_)
        | KeyRef::GitLab(_)
        | KeyRef::GitHub(_) => Err(Error::NotMade {
            key: key.to_string(),
            instead: match key.keeps_key_pairs() {
                true => format!(
                    "a key pair is kept there without --kms: sealmark generate-key-pair {key}"
                ),
                false => "without --kms the pair is written to files".to_owned(),
            },
        }),
    }
}

/// The build has not what is needed for the key.
#[allow(dead_code, reason = "unless every feature is on")]
pub(crate) fn not_built(key: &KeyRef, provider: &'static str) -> Error {
    Error::NotSupported {
        reference: format!("{:?}", key.to_string()),
        provider,
        alternative: "this program was built without it; a release has every provider",
    }
}

pub(crate) fn private(
    key: &KeyRef,
    file: &[u8],
    password: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, Error>,
) -> Result<PrivateKey, Error> {
    /// Keeps the caller's own error apart from those of the key file.
    enum Cause {
        Key(sealmark_keys::Error),
        Password(Error),
    }
    impl From<sealmark_keys::Error> for Cause {
        fn from(cause: sealmark_keys::Error) -> Self {
            Self::Key(cause)
        }
    }
    PrivateKey::from_pem(file, || password().map_err(Cause::Password)).map_err(
        |cause| match cause {
            Cause::Key(cause) => Error::Key {
                key: key.to_string(),
                cause,
            },
            Cause::Password(error) => error,
        },
    )
}

async fn read(key: &KeyRef) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = |reason: String| Error::Read {
        key: key.to_string(),
        reason,
    };
    let content = match key {
        KeyRef::File(path) => read_file(path).await.map_err(failed)?,
        KeyRef::Env(name) => match std::env::var_os(name) {
            Some(value) => Some(Zeroizing::new(value.into_encoded_bytes())),
            None => {
                return Err(failed(format!(
                    "the environment variable {name} is not set"
                )));
            }
        },
        KeyRef::Url(url) => fetch::fetch(url).await.map_err(failed)?,
        KeyRef::Aws(_)
        | KeyRef::Azure(_)
        | KeyRef::Google(_)
        | KeyRef::Pkcs11(_)
        | KeyRef::Plugin(_)
        | KeyRef::Vault(_)
        | KeyRef::Kubernetes(_)
        | KeyRef::GitLab(_)
        | KeyRef::GitHub(_) => {
            return Err(failed("it never leaves its provider".to_owned()));
        }
    };
    match content {
        Some(content) if content.len() <= MAX_KEY_FILE => Ok(content),
        _ => Err(Error::Key {
            key: key.to_string(),
            cause: sealmark_keys::Error::TooLarge,
        }),
    }
}

/// The content, or `None` if it is larger than a key can be; such a file is not read.
async fn read_file(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
    let reason = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    };
    let metadata = tokio::fs::metadata(path).await.map_err(reason)?;
    if metadata.is_dir() {
        return Err("it is a directory".to_owned());
    }
    if metadata.len() > MAX_KEY_FILE as u64 {
        return Ok(None);
    }
    let file = tokio::fs::File::open(path).await.map_err(reason)?;
    // Pipes tell no length, and files grow. Reserved at once, so that no copy of a secret is left behind.
    let mut content = Zeroizing::new(Vec::with_capacity(MAX_KEY_FILE + 1));
    file.take(MAX_KEY_FILE as u64 + 1)
        .read_to_end(&mut content)
        .await
        .map_err(reason)?;
    Ok((content.len() <= MAX_KEY_FILE).then_some(content))
}
