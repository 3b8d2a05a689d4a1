//! The certificate that connections are encrypted with, and its replacement while the server runs.
//!
//! Invariant: what is in use is a key with the certificate that belongs to it. Files that are changed one after the
//! other are taken when they fit; until then, and if they are no good, the old ones stay in use.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sealmark_x509::Certificate;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// Bytes of either file: chains of a dozen RSA certificates are some 30 KiB.
const MAX_FILE: u64 = 1 << 20;
/// What RFC 7301 calls the versions of HTTP, the better first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why files cannot be what connections are encrypted with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The operating system refused something.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{} cannot be used for TLS: {problem}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// Both are good, but not with each other.
    #[error(
        "the key in {} is not that of the first certificate in {}: give the two that belong together",
        key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The file with the certificates.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
}

/// A certificate chain and its key, in two PEM files.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Current>,
}

#[derive(Clone)]
struct Current {
    config: Arc<ServerConfig>,
    /// When the certificate expires, in seconds since 1970.
    expires: u64,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads both files: the server's certificate with its intermediates, and the key, each in PEM.
    ///
    /// # Errors
    /// If they cannot be read or used; the message says which and why.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: RwLock::new(load(certificate, key)?),
        })
    }

    /// The mode of the key's file, if others than its owner may read or write it.
    pub fn key_is_open_to_others(&self) -> Option<u32> {
        let mode = fs::metadata(&self.key).ok()?.mode() & 0o7777;
        (mode & 0o077 != 0).then_some(mode)
    }

    /// When the certificate expires, in seconds since 1970.
    pub(crate) fn expires(&self) -> u64 {
        self.current().expires
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current().config)
    }

    /// Looks at the files for ever, and puts them to use when they change.
    pub(super) async fn reload(&self) {
        let mut seen = self.stamps();
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.stamps();
            if now == seen {
                continue;
            }
            match load(&self.certificate, &self.key) {
                Ok(current) => {
                    tracing::info!(
                        "TLS: the certificate in {} is in use",
                        self.certificate.display()
                    );
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
                }
                Err(error) => tracing::warn!("TLS: the old certificate stays in use: {error}"),
            }
            seen = now;
        }
    }

    fn current(&self) -> Current {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// What changes when a file does; of what a symbolic link leads to.
    fn stamps(&self) -> [Option<(u64, u64, i64, i64)>; 2] {
        [&self.certificate, &self.key].map(|path| {
            let found = fs::metadata(path).ok()?;
            Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
        })
    }
}

fn load(certificate: &Path, key: &Path) -> Result<Current, TlsError> {
    let chain = read_chain(certificate)?;
    let first = chain.first().ok_or_else(|| TlsError::Unusable {
        path: certificate.to_owned(),
        problem: "no certificate is in it, or none in PEM (-----BEGIN CERTIFICATE-----)".to_owned(),
    })?;
    let expires = check_validity(certificate, first)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let signing = provider
        .key_provider
        .load_private_key(read_key(key)?)
        .map_err(|error| unusable(key, format!("its key is of no kind that TLS has: {error}")))?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Ok(()) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            return Err(TlsError::Mismatch {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
            });
        }
        Err(error) => return Err(unusable(certificate, error.to_string())),
    }
    let resolver = rustls::sign::SingleCertAndKey::from(certified);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(certificate, error.to_string()))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(Current {
        config: Arc::new(config),
        expires,
    })
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(path, format!("it is not well-formed PEM: {error}")))
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = zeroize::Zeroizing::new(read(path)?);
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let encrypted = b"ENCRYPTED";
        let problem = match error {
            pem::Error::NoItemsFound
                if bytes.windows(encrypted.len()).any(|part| part == encrypted) =>
            {
                "its key is encrypted, which is not supported: a server starts without being asked"
                    .to_owned()
            }
            pem::Error::NoItemsFound => {
                "no private key is in it, or none in PEM (-----BEGIN PRIVATE KEY-----)".to_owned()
            }
            other => format!("it is not well-formed PEM: {other}"),
        };
        unusable(path, problem)
    })
}

/// Refuses a certificate that no client would take today; gives when it expires.
fn check_validity(path: &Path, der: &CertificateDer<'_>) -> Result<u64, TlsError> {
    let certificate = Certificate::from_der(der).map_err(|error| {
        unusable(
            path,
            format!("its first certificate is unreadable: {error}"),
        )
    })?;
    let validity = certificate.validity();
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (start, end) = (validity.not_before, validity.not_after);
    if now < start.unix_seconds() {
        let problem = format!("its certificate is not valid before {start}; is the clock right?");
        return Err(unusable(path, problem));
    }
    if now > end.unix_seconds() {
        let problem = format!("its certificate expired at {end}: get a new one");
        return Err(unusable(path, problem));
    }
    Ok(end.unix_seconds())
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(failed)?.len() > MAX_FILE {
        let problem = format!("it is larger than {MAX_FILE} bytes");
        return Err(unusable(path, problem));
    }
    fs::read(path).map_err(failed)
}

fn unusable(path: &Path, problem: impl Into<String>) -> TlsError {
    TlsError::Unusable {
        path: path.to_owned(),
        problem: problem.into(),
    }
}
