//! A private Sigstore: certificate authority, CT log, transparency log, timestamp authority and TUF repository, and if wanted
//! an issuer of identities for development, on one port, out of one directory.
//!
//! ```text
//! sealmark-instance   {"layout", "url", "created"}: what this directory is
//! lock                locked while a process has it open
//! log/                the transparency log: see `log`
//! ca/keys/            the keys of the root and of the CA below it
//! ca/root.pem ca.pem  their certificates
//! ct/keys/ ct/log/ ct/issuers/   the CT log: its key, its tree, the certificates above its entries
//! oidc/keys/ oidc/users.yaml     the issuer for development: see `oidc`
//! tsa/keys/ tsa/root.pem tsa.pem the timestamp authority's root, its own key and certificate
//! tuf/                the TUF repository: see `tuf`
//! ```
//!
//! Invariant: what is made once (a key, a certificate) is durable before it is used, and is never made again. A start
//! that was cut off anywhere is finished by the next one.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use sealmark_identity::Configuration;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_log::{Clock, Log, Settings, SystemClock};
use sealmark_x509::{Certificate, ExtendedKeyUsage};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ca::{self, Authority, CertificateAuthority};
use crate::ct::{self, CtLog, CtSigner};
use crate::log::{self, TransparencyLog};
use crate::marker::{LOCK, Marker};
use crate::oidc::{self, DevIssuer};
use crate::tsa::TimestampAuthority;
use crate::tuf::{self, Repository};
use crate::{Error, durable, keyring, ops};

const MARKER: Marker = Marker {
    file: "sealmark-instance",
    layout: 1,
    expected: "an instance of sealmark",
};
/// Where the TUF repository is beside the other services.
pub const TUF_PATH: &str = "/tuf";

/// What an instance is opened with.
pub struct Options {
    /// Where clients find it, without a slash at the end. Its host is what the logs are called, for good.
    pub url: String,
    /// The host of the URL.
    pub host: String,
    /// For the private keys. Without one they are kept as they are, protected by the mode of their files alone.
    pub password: Option<Zeroizing<Vec<u8>>>,
    /// Whom the CA believes.
    pub issuers: Configuration,
    /// How the transparency log is opened.
    pub log: log::Options,
    /// How the issuer for development is opened, if there is to be one. The CA believes it, too.
    pub dev_issuer: Option<oidc::Options>,
}

/// A private Sigstore, open.
pub struct Instance {
    /// The transparency log.
    pub log: TransparencyLog,
    /// The certificate authority.
    pub ca: CertificateAuthority,
    /// Its CT log.
    pub ct: CtLog,
    /// The timestamp authority.
    pub tsa: TimestampAuthority,
    /// How clients come to trust the keys of all that.
    pub tuf: Repository,
    /// The issuer for development.
    pub dev_issuer: Option<DevIssuer>,
    /// When it was made, in seconds since 1970: no key was in use before.
    pub created: u64,
    _lock: File,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Identity {
    layout: u32,
    url: String,
    created: u64,
}

impl Instance {
    /// Opens the instance in `directory`, or makes one there.
    ///
    /// # Errors
    /// If another process has it open, if the directory holds something else, was damaged, or cannot be read or
    /// written.
    pub fn open(directory: &Path, options: Options) -> Result<Self, Error> {
        durable::create_directory(directory)?;
        let lock = durable::lock(&directory.join(LOCK))?;
        let identity = identity(directory, &options.url)?;
        let password = options.password.as_ref();
        let now = identity.created;
        let host = options.host.as_str();

        let signing = Chain {
            folder: directory.join("ca"),
            password,
            organization: host,
            now,
        };
        let purpose = ExtendedKeyUsage::CodeSigning;
        let root = signing.root("root", &format!("{host} root"))?;
        let ca = signing.below("ca", |key| {
            root.intermediate(key, host, &format!("{host} CA"), purpose, now)
        })?;
        let stamping = Chain {
            folder: directory.join("tsa"),
            ..signing
        };
        let tsa_root = stamping.root("root", &format!("{host} timestamp root"))?;
        let tsa = stamping.below("tsa", |key| {
            tsa_root.timestamper(key, host, &format!("{host} timestamp authority"), now)
        })?;

        let dev_issuer = options.dev_issuer;
        let dev_issuer =
            dev_issuer.map(|options| DevIssuer::open(&directory.join("oidc"), options));
        let dev_issuer = dev_issuer.transpose()?;
        let mut issuers = options.issuers;
        if let Some(issuer) = &dev_issuer {
            let all = [&[issuer.issuer()], issuers.issuers()].concat();
            issuers = Configuration::of(all);
        }

        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ct = open_ct(&directory.join("ct"), &options.url, &root, password)?;
        let ca = CertificateAuthority::new(ca::Options {
            key: ca.key,
            chain: vec![ca.certificate, root.certificate],
            ct: Some(ct.clone()),
            configuration: issuers,
            clock: clock.clone(),
        })?;
        if let Some(issuer) = &dev_issuer {
            ca.know_issuer(issuer.url(), issuer.key_set(), issuer.algorithms());
        }
        let log = TransparencyLog::open(&directory.join("log"), options.log)?;
        log.log_first()?;
        let tuf_options = tuf::Options {
            clock: clock.clone(),
            password: options.password.clone(),
        };
        let tuf = Repository::open(&directory.join("tuf"), tuf_options)?;
        Ok(Self {
            log,
            ca,
            ct,
            tsa: TimestampAuthority::new(tsa, &[tsa_root.certificate], clock)?,
            tuf,
            dev_issuer,
            created: identity.created,
            _lock: lock,
        })
    }

    /// The certificates of the CA, the one that signs first.
    pub fn ca_chain(&self) -> Vec<Certificate> {
        self.ca.chain()
    }

    /// All services on one port.
    pub fn server(&self, options: ops::Options) -> ops::Server {
        // The first one answers what no other knows.
        let server = ops::Server::new(options)
            .with(self.log.service())
            .with(self.ca.service())
            .with(self.ct.service())
            .with(self.tsa.service())
            .with(ops::Service::new(
                "tuf",
                Router::new().nest(TUF_PATH, self.tuf.router()),
                |path| path.starts_with("/tuf/").then_some("tuf"),
            ));
        match &self.dev_issuer {
            Some(issuer) => server.with(issuer.service()),
            None => server,
        }
    }
}

/// Where keys and certificates of one chain are.
#[derive(Clone)]
struct Chain<'a> {
    folder: PathBuf,
    password: Option<&'a Zeroizing<Vec<u8>>>,
    organization: &'a str,
    now: u64,
}

impl Chain<'_> {
    fn root(&self, file: &str, name: &str) -> Result<Authority, Error> {
        let key = keyring::key(&self.folder, file, Algorithm::EcdsaP384, self.password)?;
        self.with(file, key, |key| {
            Authority::root(key, self.organization, name, self.now)
        })
    }

    fn below(
        &self,
        file: &str,
        make: impl FnOnce(PrivateKey) -> Result<Authority, Error>,
    ) -> Result<Authority, Error> {
        let key = keyring::key(&self.folder, file, Algorithm::EcdsaP256, self.password)?;
        self.with(file, key, make)
    }

    /// The certificate of this key, which is made if there is none yet.
    fn with(
        &self,
        file: &str,
        key: PrivateKey,
        make: impl FnOnce(PrivateKey) -> Result<Authority, Error>,
    ) -> Result<Authority, Error> {
        let path = self.folder.join(format!("{file}.pem"));
        let damaged = |problem: String| Error::Damaged {
            path: path.clone(),
            problem,
        };
        let Some(pem) = durable::read(&path)? else {
            let made = make(key)?;
            let pem = made.certificate.to_pem();
            durable::write(&path, pem.as_bytes(), &self.folder)?;
            return Ok(made);
        };
        let certificate =
            Certificate::from_pem(&pem).map_err(|error| damaged(error.to_string()))?;
        if certificate.spki_der() != key.public_key().spki_der() {
            return Err(damaged("it is the certificate of another key".to_owned()));
        }
        Ok(Authority { key, certificate })
    }
}

fn open_ct(
    folder: &Path,
    url: &str,
    root: &Authority,
    password: Option<&Zeroizing<Vec<u8>>>,
) -> Result<CtLog, Error> {
    let key = keyring::key(folder, ct::TREE, Algorithm::EcdsaP256, password)?;
    let place = url.split_once("://").map_or(url, |(_, place)| place);
    let origin = format!("{place}{}", ct::PATH);
    let settings = Settings::with_signer(ct::TREE, CtSigner::new(&origin, key.clone()));
    let engine = Log::open_directory(&folder.join("log"), settings)?;
    let roots = vec![root.certificate.clone()];
    CtLog::open(Arc::new(engine), &origin, key, roots, folder)
}

/// Reads what the directory is, or decides it.
fn identity(directory: &Path, url: &str) -> Result<Identity, Error> {
    let identity = MARKER.read_or_write(directory, || Identity {
        layout: MARKER.layout,
        url: url.to_owned(),
        created: SystemClock.now_ms() / 1000,
    })?;
    if identity.url != url {
        return Err(Error::OtherHost {
            path: directory.to_owned(),
            found: identity.url,
            given: url.to_owned(),
        });
    }
    Ok(identity)
}
