//! Private key files: every PEM kind in use is read, Sigstore's encrypted kind is written.

use zeroize::Zeroizing;

use super::{pbes2, secretbox};
use crate::{Error, PrivateKey, pem};

/// What cosign writes.
const SIGSTORE: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
/// What cosign once wrote; the content is the same.
const COSIGN: &str = "ENCRYPTED COSIGN PRIVATE KEY";

impl PrivateKey {
    /// Reads a private key from PEM: `ENCRYPTED SIGSTORE PRIVATE KEY` and `ENCRYPTED COSIGN PRIVATE KEY`,
    /// `ENCRYPTED PRIVATE KEY` (PKCS#8 with PBES2), `PRIVATE KEY` (PKCS#8), `EC PRIVATE KEY` (SEC1) and
    /// `RSA PRIVATE KEY` (PKCS#1).
    ///
    /// `password` is called only if the file is encrypted and its form is right, and at most once; its error is
    /// given back as it is.
    ///
    /// ```
    /// use sealmark_keys::{Algorithm, Error, PrivateKey};
    /// use zeroize::Zeroizing;
    ///
    /// let key = PrivateKey::generate(Algorithm::EcdsaP256)?;
    /// let file = key.to_encrypted_pem(b"secret")?;
    /// let read = |password: &'static str| {
    ///     PrivateKey::from_pem(file.as_bytes(), || {
    ///         Ok::<_, Error>(Zeroizing::new(password.as_bytes().to_vec()))
    ///     })
    /// };
    /// assert_eq!(read("secret")?.public_key(), key.public_key());
    /// assert_eq!(read("typo").unwrap_err(), Error::WrongPassword);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn from_pem<E: From<Error>>(
        file: &[u8],
        password: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, E>,
    ) -> Result<Self, E> {
        let block = pem::decode(file)?;
        let content = block.content.as_slice();
        let key = match block.label.as_str() {
            SIGSTORE | COSIGN => {
                let sealed = secretbox::Sealed::parse(content)?;
                Self::from_pkcs8_der(&sealed.open(&password()?)?)
            }
            "ENCRYPTED PRIVATE KEY" => {
                let sealed = pbes2::Sealed::parse(content)?;
                Self::from_pkcs8_der(&sealed.open(&password()?)?)
            }
            "PRIVATE KEY" => Self::from_pkcs8_der(content),
            "EC PRIVATE KEY" => Self::from_sec1_der(content),
            "RSA PRIVATE KEY" => Self::from_pkcs1_der(content),
            other => Err(pem::wrong_kind(pem::PRIVATE, other)),
        };
        Ok(key?)
    }

    /// Whether a file holds a private key, and if so, whether it is encrypted. `None` if it is something else, or
    /// no PEM.
    pub fn is_encrypted_pem(file: &[u8]) -> Option<bool> {
        match pem::decode(file).ok()?.label.as_str() {
            SIGSTORE | COSIGN | "ENCRYPTED PRIVATE KEY" => Some(true),
            "PRIVATE KEY" | "EC PRIVATE KEY" | "RSA PRIVATE KEY" => Some(false),
            _ => None,
        }
    }

    /// The key as cosign writes it to `cosign.key`: PEM `ENCRYPTED SIGSTORE PRIVATE KEY`, scrypt with N=65536 and
    /// NaCl's secretbox around PKCS#8. The password may be empty, as with cosign.
    pub fn to_encrypted_pem(&self, password: &[u8]) -> Result<String, Error> {
        let sealed = secretbox::seal(&self.to_pkcs8_der()?, password)?;
        Ok(core::mem::take(&mut *pem::encode(SIGSTORE, &sealed)))
    }
}
