//! Services of an instance in a process of their own, each of which may be on another machine.
//!
//! One service has the directory to itself, laid out as its folder in an instance is: the folder of an instance's
//! service can be taken to another machine and served there. Several have a folder each, as in an instance.
//!
//! ```text
//! sealmark-part       {"layout", "url", "created"}: of one service; several have an instance's marker
//! chain.pem           of the CA and of the timestamp authority: their certificates, as clients need them
//! ```
//!
//! Invariant: as of an [`Instance`](super::Instance).

use std::collections::BTreeSet;
use std::fs::File;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use sealmark_identity::Configuration;
use sealmark_log::{Clock, SystemClock};
use sealmark_x509::Certificate;
use zeroize::Zeroizing;

use super::chain::{Chains, Kind};
use super::generations::Generations;
use super::{CtLogs, Identity, TUF_PATH, identity, others};
use crate::ca::{self, CertificateAuthority, Promises};
use crate::ct::{self, CtLog};
use crate::elsewhere::Places;
use crate::log::{self, TransparencyLog};
use crate::marker::{LOCK, Marker};
use crate::oidc::{self, DevIssuer};
use crate::tsa::TimestampAuthority;
use crate::tuf::{self, Repository};
use crate::{Error, durable, keyring, ops};

const MARKER: Marker = Marker {
    file: "sealmark-part",
    layout: 1,
    expected: "that of this service of sealmark",
};
/// The certificates of a CA or a timestamp authority.
const CHAIN: &str = "chain.pem";

/// A service of an instance.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// The transparency log.
    Log,
    /// The certificate authority.
    Ca,
    /// The CT log.
    Ct,
    /// The timestamp authority.
    Tsa,
    /// The TUF repository.
    Tuf,
    /// The issuer for development.
    Oidc,
}

impl Part {
    /// Its folder in an instance.
    fn folder(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Ca => "ca",
            Self::Ct => "ct",
            Self::Tsa => "tsa",
            Self::Tuf => "tuf",
            Self::Oidc => "oidc",
        }
    }

    /// The key that it has in an instance; `None` if its folder has a marker and a lock anyway.
    fn key(self) -> Option<&'static str> {
        match self {
            Self::Ca => Some("ca"),
            Self::Ct => Some(ct::TREE),
            Self::Tsa => Some("tsa"),
            Self::Oidc => Some("issuer"),
            Self::Log | Self::Tuf => None,
        }
    }
}

/// What services are opened with.
pub struct Options {
    /// Which.
    pub parts: BTreeSet<Part>,
    /// Where clients find them, without a slash at the end.
    pub url: String,
    /// The host of the URL.
    pub host: String,
    /// For the private keys. Without one they are kept as they are, protected by the mode of their files alone.
    pub password: Option<Zeroizing<Vec<u8>>>,
    /// Where keys are that are not in the directory; those of the log are in its own options.
    pub keys: Places,
    /// Whom the CA believes, besides the issuer for development of the same process.
    pub issuers: Configuration,
    /// Where the CA's certificates are logged, unless the CT log is of the same process.
    pub promises: Option<Promises>,
    /// Whose certificates the CT log takes, besides those of the CA of the same process.
    pub ct_roots: Vec<Certificate>,
    /// How the issuer for development is opened.
    pub dev_issuer: oidc::Options,
    /// How the transparency log is opened.
    pub log: log::Options,
}

/// Services, open.
pub struct Parts {
    /// The transparency log.
    pub log: Option<TransparencyLog>,
    /// The certificate authority.
    pub ca: Option<CertificateAuthority>,
    /// The CT log.
    pub ct: Option<CtLog>,
    /// The timestamp authority.
    pub tsa: Option<TimestampAuthority>,
    /// The TUF repository.
    pub tuf: Option<Repository>,
    /// The issuer for development.
    pub dev_issuer: Option<DevIssuer>,
    /// When they were made, in seconds since 1970: no key was in use before.
    pub created: u64,
    /// When keys that were made and do not sign yet are to sign, in seconds since 1970: those of the next process.
    pub turns_at: Option<u64>,
    /// Which of its generations the CT log is.
    ct_generation: u32,
    /// The CT log, and those before it, by their generations.
    ct_logs: Vec<(u32, CtLog)>,
    directory: PathBuf,
    is_one: bool,
    _lock: Option<File>,
}

/// `()`, some time.
type Ended = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Parts {
    fn wait_for(&mut self, generations: &Generations) {
        let all = [self.turns_at, generations.turns_at()];
        self.turns_at = all.into_iter().flatten().min();
    }

    /// Opens services in `directory`, or makes them there.
    ///
    /// # Errors
    /// If another process has it open, if the directory holds something else, was damaged, or cannot be read or
    /// written; if a service lacks what it needs.
    pub fn open(directory: &Path, options: Options) -> Result<Self, Error> {
        if !directory.exists() {
            options.keys.check(&options.log.keys)?;
        }
        durable::create_directory(directory)?;
        let has = |part| options.parts.contains(&part);
        let one = options.parts.first().copied();
        let one = one.filter(|_| options.parts.len() == 1);
        let (lock, created) = match one {
            Some(part) => own_directory(directory, part, &options.url)?,
            None => {
                let lock = durable::lock(&directory.join(LOCK))?;
                let identity = identity(directory, &options.url)?;
                (Some(lock), identity.created)
            }
        };
        let mut parts = Self {
            log: None,
            ca: None,
            ct: None,
            tsa: None,
            tuf: None,
            dev_issuer: None,
            created,
            turns_at: None,
            ct_generation: 1,
            ct_logs: Vec::new(),
            directory: directory.to_owned(),
            is_one: one.is_some(),
            _lock: lock,
        };
        let password = options.password.as_ref();
        let host = options.host.as_str();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let today = clock.now_ms() / 1000;

        if has(Part::Oidc) {
            let folder = parts.folder(Part::Oidc);
            parts.dev_issuer = Some(DevIssuer::open(&folder, options.dev_issuer)?);
        }
        let signing = match has(Part::Ca) {
            true => {
                let folder = parts.folder(Part::Ca);
                let chains = Chains::read(&folder, Kind::Signing, host, password, created)?;
                let mut chains = chains.at(options.keys.ca.as_deref());
                chains.generations.turn(today)?;
                parts.wait_for(&chains.generations);
                Some((chains.current(created)?, chains.all()?))
            }
            false => None,
        };
        if has(Part::Ct) {
            let own = signing.iter().map(|((_, root), _)| root.clone());
            let roots: Vec<_> = own.chain(options.ct_roots).collect();
            let mut generations = Generations::read(&parts.folder(Part::Ct), created)?;
            generations.turn(today)?;
            parts.wait_for(&generations);
            let logs = CtLogs::open(
                &generations,
                &options.url,
                roots,
                password,
                options.keys.ct.as_deref(),
            )?;
            parts.ct_generation = generations.current().number;
            parts.ct = Some(logs.current);
            parts.ct_logs = logs.all;
        }
        if let Some(((ca, root), all)) = signing {
            let own = parts.dev_issuer.iter().map(DevIssuer::issuer);
            let issuers = own.chain(options.issuers.issuers().iter().cloned());
            let here = parts.ct.clone().map(Promises::from);
            let ca = CertificateAuthority::new(ca::Options {
                key: ca.key,
                chain: vec![ca.certificate, root],
                ct: here.or(options.promises),
                configuration: Configuration::of(issuers.collect()),
                clock: clock.clone(),
            })?;
            if let Some(issuer) = &parts.dev_issuer {
                ca.know_issuer(issuer.url(), issuer.key_set(), issuer.algorithms());
            }
            ca.show_also(&others(&all));
            write_chain(&parts.folder(Part::Ca), &ca.chain())?;
            parts.ca = Some(ca);
        }
        if has(Part::Tsa) {
            let folder = parts.folder(Part::Tsa);
            let chains = Chains::read(&folder, Kind::Stamping, host, password, created)?;
            let mut chains = chains.at(options.keys.tsa.as_deref());
            chains.generations.turn(today)?;
            parts.wait_for(&chains.generations);
            let (tsa, root) = chains.current(created)?;
            let tsa = TimestampAuthority::new(tsa, &[root], clock.clone())?;
            write_chain(&parts.folder(Part::Tsa), tsa.chain())?;
            parts.tsa = Some(tsa);
        }
        if has(Part::Tuf) {
            let password = options.password.clone();
            let tuf = tuf::Options { clock, password };
            let online_key = options.keys.tuf.as_deref();
            let folder = parts.folder(Part::Tuf);
            parts.tuf = Some(Repository::open_with(&folder, tuf, online_key)?);
        }
        if has(Part::Log) {
            let log = TransparencyLog::open(&parts.folder(Part::Log), options.log)?;
            log.log_first()?;
            parts.log = Some(log);
        }
        Ok(parts)
    }

    /// Where a service keeps what it has.
    pub fn folder(&self, part: Part) -> PathBuf {
        match self.is_one {
            true => self.directory.clone(),
            false => self.directory.join(part.folder()),
        }
    }

    /// The file with the certificates of the CA or the timestamp authority.
    pub fn chain_file(&self, part: Part) -> PathBuf {
        self.folder(part).join(CHAIN)
    }

    /// The file with the key of the CT log.
    pub fn ct_key_file(&self) -> PathBuf {
        let folder = self.folder(Part::Ct);
        let folder = match self.ct_generation {
            1 => folder,
            number => folder.join(number.to_string()),
        };
        keyring::public_key_path(&folder, ct::TREE)
    }

    /// Where the CT log is below the URL.
    pub fn ct_path(&self) -> String {
        ct::path_of(self.ct_generation)
    }

    /// All of them on one port.
    pub fn server(&self, options: ops::Options) -> ops::Server {
        // The first one answers what no other knows.
        let first = match &self.log {
            Some(log) => {
                log.speak_for(self.ca.iter().map(CertificateAuthority::grpc).collect());
                log.service()
            }
            None => self.health(),
        };
        let tuf = self.tuf.as_ref().map(|tuf| {
            ops::Service::new("tuf", Router::new().nest(TUF_PATH, tuf.router()), |path| {
                path.starts_with("/tuf/").then_some("tuf")
            })
        });
        let services = [
            Some(first),
            self.ca.as_ref().map(CertificateAuthority::service),
            (!self.ct_logs.is_empty()).then(|| CtLog::service_of(&self.ct_logs)),
            self.tsa.as_ref().map(TimestampAuthority::service),
            tuf,
            self.dev_issuer.as_ref().map(DevIssuer::service),
        ];
        let services = services.into_iter().flatten();
        services.fold(ops::Server::new(options), ops::Server::with)
    }

    /// `shutdown`, and then tells all who watch the health of a service that it ends.
    pub fn ending(&self, shutdown: impl Future<Output = ()> + Send + 'static) -> Ended {
        let mut all: Ended = Box::pin(shutdown);
        if let Some(log) = &self.log {
            all = Box::pin(log.ending(all));
        }
        if let Some(ca) = &self.ca {
            all = Box::pin(ca.ending(all));
        }
        all
    }

    /// Where there is no transparency log to answer for all: `/healthz`, and what nobody knows.
    fn health(&self) -> ops::Service {
        let ct = self.ct.clone();
        let answer = move |request: Request| {
            let healthy = ct.as_ref().is_none_or(CtLog::is_healthy);
            let (status, body) = match (request.uri().path(), healthy) {
                ("/ping", _) => (StatusCode::OK, "."),
                ("/healthz", true) => (StatusCode::OK, r#"{"status":"SERVING"}"#),
                ("/healthz", false) => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    r#"{"code":14,"message":"the CT log does not write; its own log says why","details":[]}"#,
                ),
                _ => (
                    StatusCode::NOT_FOUND,
                    r#"{"code":5,"message":"Not Found","details":[]}"#,
                ),
            };
            let json = [(axum::http::header::CONTENT_TYPE, "application/json")];
            async move { (status, json, body) }
        };
        ops::Service::new(
            "health",
            Router::new().fallback(answer),
            |path| match path {
                "/ping" => Some("/ping"),
                "/healthz" => Some("/healthz"),
                _ => None,
            },
        )
    }
}

fn write_chain(folder: &Path, chain: &[Certificate]) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    let pem: String = chain.iter().map(Certificate::to_pem).collect();
    let path = folder.join(CHAIN);
    if durable::read(&path)?.as_deref() != Some(pem.as_bytes()) {
        durable::write(&path, pem.as_bytes(), folder)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))
            .map_err(Error::io("make readable", &path))?;
    }
    Ok(())
}

/// Locks the directory of one service and reads what it is, or decides it. One that has the service's key and no marker
/// is the folder of an instance.
fn own_directory(directory: &Path, part: Part, url: &str) -> Result<(Option<File>, u64), Error> {
    let Some(name) = part.key() else {
        return Ok((None, SystemClock.now_ms() / 1000));
    };
    let lock = durable::lock(&directory.join(LOCK))?;
    if let Some(found) = MARKER.read::<Identity>(directory)? {
        if found.url != url {
            return Err(Error::OtherHost {
                path: directory.to_owned(),
                found: found.url,
                given: url.to_owned(),
            });
        }
        return Ok((Some(lock), found.created));
    }
    let key = keyring::public_key_path(directory, name);
    let written = key.metadata().and_then(|its| its.modified()).ok();
    let written = written.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let made = Identity {
        layout: MARKER.layout,
        url: url.to_owned(),
        created: written.map_or_else(|| SystemClock.now_ms() / 1000, |time| time.as_secs()),
    };
    let made = match written {
        // The folder of an instance.
        Some(_) => {
            MARKER.write(directory, &made)?;
            made
        }
        None => MARKER.read_or_write(directory, || made)?,
    };
    Ok((Some(lock), made.created))
}
