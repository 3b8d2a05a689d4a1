//! The certificate transparency log of a CA: RFC 6962, and its tiles as static-ct-api has them.
//! <https://www.rfc-editor.org/rfc/rfc6962>, <https://c2sp.org/static-ct-api>
//!
//! It is a tree of the log engine, and as durable: a promise (SCT) is signed when its entry has an index and is on the
//! disk, and says the index. So no promise exists that the log does not keep, whatever happens.
//!
//! Invariants: a leaf is the very bytes that the promise signs; whoever submits the same again gets a promise for the
//! same place and time; what is accepted leads to a root of the CA.

mod answer;
mod leaf;
mod read;
mod signer;
mod submit;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use axum::Router;
use axum::extract::Request;
use sealmark_keys::PrivateKey;
use sealmark_log::{LateEntry, Log, Placed, TreeView};
use sealmark_tlog::tile::LengthPrefix;
use sealmark_x509::issue::{IssuingKey, sct_for_certificate, sct_for_precertificate};
use sealmark_x509::{Certificate, SignedCertificateTimestamp};

pub use signer::CtSigner;

use crate::locks::{read, write};
use crate::{Error, durable, ops};

/// Where the log is beside other services.
pub const PATH: &str = "/ct";

/// Where a generation of the log is beside other services, counted from 1.
pub fn path_of(generation: u32) -> String {
    match generation {
        1 => PATH.to_owned(),
        number => format!("{PATH}/{number}"),
    }
}

/// The generation that a path below [`PATH`] is of, and the rest of it.
fn generation_in(path: &str) -> (u32, &str) {
    let path = path.trim_start_matches('/');
    let found = path.split_once('/').and_then(|(number, rest)| {
        let parsed = number.parse().ok().filter(|it: &u32| *it > 1)?;
        (parsed.to_string() == number).then_some((parsed, rest))
    });
    found.unwrap_or((1, path))
}

/// What the tree is called in the engine.
pub const TREE: &str = "ct";
/// The folder of issuers' certificates, which is made after the tree.
pub(crate) const ISSUERS: &str = "issuers";

/// A certificate transparency log.
#[derive(Clone)]
pub struct CtLog(Arc<Inner>);

struct Inner {
    log: Arc<Log>,
    key: PrivateKey,
    /// Where issuers' certificates are kept, by fingerprint.
    issuers: PathBuf,
    /// Who it takes certificates of.
    roots: RwLock<Vec<Certificate>>,
    /// Fingerprints of issuers that are on the disk.
    known: RwLock<HashMap<[u8; 32], Arc<Certificate>>>,
}

/// Why a certificate is not logged.
#[derive(Debug, thiserror::Error)]
pub enum CtError {
    /// It cannot be.
    #[error("{0}")]
    Refused(String),
    /// The log did not take it.
    #[error(transparent)]
    Log(#[from] sealmark_log::Error),
    /// It is elsewhere, and does not answer.
    #[error("{0}")]
    Unavailable(String),
    /// A file could not be written, or the key did not sign.
    #[error("{0}")]
    Fault(String),
}

impl CtError {
    /// Whether it passes by itself, so that the same may be asked again.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Log(error) => error.is_passing(),
            Self::Unavailable(_) => true,
            Self::Refused(_) | Self::Fault(_) => false,
        }
    }
}

impl CtLog {
    /// A log in the tree [`TREE`] of `log`, which is made if it is not there. `directory` is for the certificates of
    /// issuers. The same key must have been given as a [`CtSigner`] when `log` was opened.
    ///
    /// # Errors
    /// If the tree cannot be made, or the directory not be read.
    pub fn open(
        log: Arc<Log>,
        origin: &str,
        key: PrivateKey,
        roots: Vec<Certificate>,
        directory: &Path,
    ) -> Result<Self, Error> {
        if log.trees().iter().all(|tree| tree.name() != TREE) {
            log.create_tree(TREE, LengthPrefix::Four, CtSigner::new(origin, key.clone()))?;
        }
        let issuers = directory.join(ISSUERS);
        durable::create_directory(&issuers)?;
        let mut known = HashMap::new();
        for name in durable::list(&issuers)? {
            let path = issuers.join(&name);
            // What a process that was killed had begun to write.
            if name.starts_with(".tmp") {
                durable::remove(&path)?;
                continue;
            }
            let damaged = |problem: String| Error::Damaged {
                path: path.clone(),
                problem,
            };
            let bytes = durable::read(&path)?.unwrap_or_default();
            let certificate =
                Certificate::from_der(&bytes).map_err(|error| damaged(error.to_string()))?;
            if certificate.fingerprint().hex() != name {
                return Err(damaged(
                    "it is another certificate than its name says".to_owned(),
                ));
            }
            known.insert(fingerprint(&certificate), Arc::new(certificate));
        }
        Ok(Self(Arc::new(Inner {
            log,
            key,
            issuers,
            roots: RwLock::new(roots),
            known: RwLock::new(known),
        })))
    }

    /// What promises are verified with.
    pub fn public_key(&self) -> &sealmark_keys::PublicKey {
        self.0.key.public_key()
    }

    /// Who it takes certificates of.
    pub fn roots(&self) -> Vec<Certificate> {
        read(&self.0.roots).clone()
    }

    /// Whether it takes certificates.
    pub fn is_healthy(&self) -> bool {
        self.0.log.health().is_ok()
    }

    /// Takes certificates of these CAs, from now on.
    pub fn set_roots(&self, roots: Vec<Certificate>) {
        *write(&self.0.roots) = roots;
    }

    /// Logs a precertificate and promises it. `chain` are the certificates above it, its issuer first; they are believed
    /// to be its chain.
    ///
    /// # Errors
    /// If it is no precertificate, or the log did not take it: then there is no promise.
    pub async fn promise(
        &self,
        precertificate: &Certificate,
        chain: &[Certificate],
    ) -> Result<SignedCertificateTimestamp, CtError> {
        self.log(precertificate, chain, true).await
    }

    /// As [`promise`](Self::promise), for a certificate that is final: a detached promise.
    ///
    /// # Errors
    /// If the log did not take it.
    pub async fn promise_final(
        &self,
        certificate: &Certificate,
        chain: &[Certificate],
    ) -> Result<SignedCertificateTimestamp, CtError> {
        self.log(certificate, chain, false).await
    }

    async fn log(
        &self,
        certificate: &Certificate,
        chain: &[Certificate],
        is_precertificate: bool,
    ) -> Result<SignedCertificateTimestamp, CtError> {
        let inner = &self.0;
        let refused = |error: sealmark_x509::issue::IssueError| CtError::Refused(error.to_string());
        let issuer = chain
            .first()
            .ok_or_else(|| CtError::Refused("the certificate has no issuer".to_owned()))?;
        inner.keep_issuers(chain)?;
        // The leaf but for its time and place is made once: it is what tells entries apart, and when both are known they
        // are put into it. What is signed is the very leaf.
        let extensions = leaf::leaf_index(0);
        let unsigned = match is_precertificate {
            true => sct_for_precertificate(certificate, issuer, 0, &extensions, &inner.key),
            false => sct_for_certificate(certificate, 0, &extensions, &inner.key),
        };
        let mut unsigned = unsigned.map_err(refused)?;
        let template = unsigned.to_be_signed.clone();
        let late = LateEntry {
            length: template.len(),
            identity: template.clone(),
            make: Box::new(move |index, time| leaf::placed(template, index, time)),
            keys: leaf::keys(certificate),
            extra: leaf::extra(certificate, chain, is_precertificate),
        };
        let (index, time) = match inner.log.append_late(TREE, late).await? {
            Placed::New {
                index,
                integrated_ms,
            } => (index, integrated_ms),
            Placed::Duplicate { index } => {
                let stored = self.tree()?.entry(index)?;
                let stored = stored.ok_or_else(|| {
                    CtError::Fault("the log lost an entry that it says it has".to_owned())
                })?;
                (index, stored.integrated_ms)
            }
        };
        unsigned.to_be_signed = leaf::placed(unsigned.to_be_signed, index, time);
        unsigned.sct.timestamp = time;
        unsigned.sct.extensions = leaf::leaf_index(index).to_vec();
        unsigned
            .sign(&inner.key)
            .map_err(|error| CtError::Fault(error.to_string()))
    }

    fn tree(&self) -> Result<TreeView, sealmark_log::Error> {
        self.0.log.tree(TREE)
    }

    /// All endpoints below [`PATH`], with what a server needs to count them.
    pub fn service(&self) -> ops::Service {
        Self::service_of(&[(1, self.clone())])
    }

    /// All endpoints of several generations of a log, each at its [path](path_of).
    pub fn service_of(logs: &[(u32, Self)]) -> ops::Service {
        let logs: HashMap<u32, Self> = logs.iter().cloned().collect();
        let logs = Arc::new(logs);
        let answer = move |mut request: Request| {
            let (number, path) = generation_in(request.uri().path());
            let log = logs.get(&number).cloned();
            if number > 1 {
                let query = request.uri().query().map(|query| format!("?{query}"));
                let rest = format!("/{path}{}", query.unwrap_or_default());
                // A part of a URI that was read is one.
                *request.uri_mut() = rest.parse().unwrap_or_default();
            }
            async move {
                match log {
                    Some(log) => answer::serve(log, request).await,
                    None => answer::no_such_log(),
                }
            }
        };
        let router = Router::new().nest(PATH, Router::new().fallback(answer));
        ops::Service::new("ct", router, |path| {
            let path = path.strip_prefix(PATH).filter(|it| it.starts_with('/'))?;
            Some(answer::endpoint(generation_in(path).1))
        })
    }

    /// All endpoints, below the log's own path.
    pub fn router(self) -> Router {
        let answer = move |request: Request| {
            let log = self.clone();
            async move { answer::serve(log, request).await }
        };
        Router::new().fallback(answer)
    }
}

impl Inner {
    /// Keeps the certificates above an entry, before the entry is there that names them.
    fn keep_issuers(&self, chain: &[Certificate]) -> Result<(), CtError> {
        for certificate in chain {
            let id = fingerprint(certificate);
            if read(&self.known).contains_key(&id) {
                continue;
            }
            let path = self.issuers.join(certificate.fingerprint().hex());
            durable::write(&path, certificate.der(), &self.issuers)
                .map_err(|error| CtError::Fault(error.to_string()))?;
            write(&self.known).insert(id, Arc::new(certificate.clone()));
        }
        Ok(())
    }
}

fn fingerprint(certificate: &Certificate) -> [u8; 32] {
    let digest = certificate.fingerprint();
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.bytes());
    bytes
}

/// The id of the log: the digest of its key.
fn log_id(key: &PrivateKey) -> [u8; 32] {
    let mut id = [0; 32];
    id.copy_from_slice(IssuingKey::public_key(key).id().bytes());
    id
}
