//! A private Sigstore: certificate authority, CT log, transparency log, timestamp authority and TUF repository, and if wanted
//! an issuer of identities for development, on one port, out of one directory.
//!
//! ```text
//! sealmark-instance   {"layout", "url", "created"}: what this directory is
//! lock                locked while a process has it open
//! password.kms        the password of the private keys, if a key in a KMS wraps it: see `password`
//! log/                the transparency log: see `log`
//! ca/keys/            the keys of the root and of the CA below it
//! ca/root.pem ca.pem  their certificates
//! ct/keys/ ct/log/ ct/issuers/   the CT log: its key, its tree, the certificates above its entries
//! oidc/keys/ oidc/users.yaml     the issuer for development: see `oidc`
//! tsa/keys/ tsa/root.pem tsa.pem the timestamp authority's root, its own key and certificate
//! tuf/                the TUF repository: see `tuf`
//! revocations.v1.json what its feed of revocations has
//! ca/2/ … ct/2/ … tsa/2/ …   what came after a rotation: see `generations`
//! ```
//!
//! Of a key that is elsewhere, `keys/` has the reference and the public part: see `keyring`.
//!
//! Invariant: what is made once (a key, a certificate) is durable before it is used, and is never made again. A start
//! that was cut off anywhere is finished by the next one.

mod backup;
mod chain;
mod generations;
mod parts;
mod references;
mod revocations;
mod rotate;
mod status;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use sealmark_identity::Configuration;
use sealmark_keys::{Algorithm, PublicKey};
use sealmark_log::{Clock, Log, Settings, SystemClock};
use sealmark_x509::Certificate;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use self::backup::backup;
pub use self::generations::OVERLAP;
pub use self::parts::{Options as PartOptions, Part, Parts};
pub use self::references::{Reference, references};
pub use self::revocations::{change_feed, feed, follow_feed};
pub use self::rotate::{Rotated, Rotating, Stopped};
pub use self::status::{Item, KeyState, State, Status, status};

use self::chain::{Chains, Kind};
use self::generations::Generations;
use crate::ca::{self, CertificateAuthority};
use crate::ct::{self, CtLog, CtSigner};
use crate::elsewhere::Places;
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
    /// Where keys are that are not in the directory; those of the log are in its own options.
    pub keys: Places,
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
    /// The certificates of the CA, the one that signs first, of all its generations, oldest first.
    pub ca_chains: Vec<Lasting<Vec<Certificate>>>,
    /// Where the CT log is below the instance's URL, and its key, of all its generations, oldest first.
    pub ct_keys: Vec<Lasting<(String, PublicKey)>>,
    /// The certificates of the timestamp authority, its own first, of all its generations, oldest first.
    pub tsa_chains: Vec<Lasting<Vec<Certificate>>>,
    /// When keys that were made and do not sign yet are to sign, in seconds since 1970: those of the next process.
    pub turns_at: Option<u64>,
    ct_logs: Vec<(u32, CtLog)>,
    _lock: File,
}

/// Something that clients believe for some time.
#[derive(Clone, Debug)]
pub struct Lasting<T> {
    /// What.
    pub it: T,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// Until when, if it has a successor.
    pub until: Option<u64>,
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
        if !directory.join(MARKER.file).exists() {
            options.keys.check(&options.log.keys)?;
        }
        durable::create_directory(directory)?;
        let lock = durable::lock(&directory.join(LOCK))?;
        Self::open_locked(directory, lock, options)
    }

    fn open_locked(directory: &Path, lock: File, options: Options) -> Result<Self, Error> {
        let identity = identity(directory, &options.url)?;
        let password = options.password.as_ref();
        let now = identity.created;
        let host = options.host.as_str();

        let keys = &options.keys;
        let signing = Chains::in_instance(directory, Kind::Signing, host, password, now)?;
        let stamping = Chains::in_instance(directory, Kind::Stamping, host, password, now)?;
        let mut signing = signing.at(keys.ca.as_deref());
        let mut stamping = stamping.at(keys.tsa.as_deref());
        let mut promising = Generations::read(&directory.join("ct"), now)?;
        let today = SystemClock.now_ms() / 1000;
        signing.generations.turn(today)?;
        stamping.generations.turn(today)?;
        promising.turn(today)?;
        let waiting = [&signing.generations, &stamping.generations, &promising];
        let turns_at = waiting.iter().filter_map(|one| one.turns_at()).min();
        let (ca, root) = signing.current(now)?;
        let (tsa, tsa_root) = stamping.current(now)?;
        let (ca_chains, tsa_chains) = (signing.all()?, stamping.all()?);

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
        let roots = ca_chains
            .iter()
            .filter_map(|chain| chain.it.last().cloned());
        let ct = CtLogs::open(
            &promising,
            &options.url,
            roots.collect(),
            password,
            keys.ct.as_deref(),
        )?;
        let ca = CertificateAuthority::new(ca::Options {
            key: ca.key,
            chain: vec![ca.certificate, root],
            ct: Some(ct.current.clone().into()),
            configuration: issuers,
            clock: clock.clone(),
        })?;
        ca.show_also(&others(&ca_chains));
        if let Some(issuer) = &dev_issuer {
            ca.know_issuer(issuer.url(), issuer.key_set(), issuer.algorithms());
        }
        let log = TransparencyLog::open(&directory.join("log"), options.log)?;
        log.log_first()?;
        let tuf_options = tuf::Options {
            clock: clock.clone(),
            password: options.password.clone(),
        };
        let tuf = Repository::open_with(
            &directory.join("tuf"),
            tuf_options,
            options.keys.tuf.as_deref(),
        )?;
        Ok(Self {
            log,
            ca,
            ct: ct.current,
            tsa: TimestampAuthority::new(tsa, &[tsa_root], clock)?,
            tuf,
            dev_issuer,
            created: identity.created,
            ca_chains,
            ct_keys: ct.keys,
            tsa_chains,
            turns_at,
            ct_logs: ct.all,
            _lock: lock,
        })
    }

    /// All services on one port.
    pub fn server(&self, options: ops::Options) -> ops::Server {
        self.log.speak_for(vec![self.ca.grpc()]);
        // The first one answers what no other knows.
        let server = ops::Server::new(options)
            .with(self.log.service())
            .with(self.ca.service())
            .with(CtLog::service_of(&self.ct_logs))
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

/// Chains as the CA shows them.
fn others(chains: &[Lasting<Vec<Certificate>>]) -> Vec<(Vec<Certificate>, Option<u64>)> {
    let chains = chains.iter().map(|chain| (chain.it.clone(), chain.until));
    chains.collect()
}

/// The CT log, and those before it, which take nothing any more.
struct CtLogs {
    current: CtLog,
    all: Vec<(u32, CtLog)>,
    keys: Vec<Lasting<(String, PublicKey)>>,
}

impl CtLogs {
    fn open(
        generations: &Generations,
        url: &str,
        roots: Vec<Certificate>,
        password: Option<&Zeroizing<Vec<u8>>>,
        reference: Option<&str>,
    ) -> Result<Self, Error> {
        let place = url.split_once("://").map_or(url, |(_, place)| place);
        let (mut current, mut all, mut keys) = (None, Vec::new(), Vec::new());
        for generation in generations.all() {
            let folder = generations.folder(generation.number);
            let path = ct::path_of(generation.number);
            let is_current = generation.number == generations.current().number;
            // Who takes certificates of no root takes none.
            let roots = match is_current {
                true => roots.clone(),
                false => Vec::new(),
            };
            let origin = format!("{place}{path}");
            let reference = reference.filter(|_| is_current);
            let (log, key) = open_ct(&folder, &origin, roots, password, reference)?;
            keys.push(Lasting {
                it: (path, key),
                since: generation.since,
                until: generation.until,
            });
            all.push((generation.number, log.clone()));
            if is_current {
                current = Some(log);
            }
        }
        Ok(Self {
            current: current.expect("one of the generations is the current one"),
            all,
            keys,
        })
    }
}

fn open_ct(
    folder: &Path,
    origin: &str,
    roots: Vec<Certificate>,
    password: Option<&Zeroizing<Vec<u8>>>,
    reference: Option<&str>,
) -> Result<(CtLog, PublicKey), Error> {
    let engine = folder.join("log");
    keyring::not_lost(folder, ct::TREE, &engine)?;
    // The issuers' folder is made when the tree is there. A new tree under the same key would be a fork of the old one.
    let issuers = folder.join(ct::ISSUERS);
    if issuers.exists() && !engine.exists() {
        return Err(Error::Impossible(format!(
            "{} is missing, although {} belongs to it: restore it from a backup; no other log is begun under its key",
            engine.display(),
            issuers.display()
        )));
    }
    let key = keyring::key_at(folder, ct::TREE, Algorithm::EcdsaP256, password, reference)?;
    let public = key.public_key().clone();
    let settings = Settings::with_signer(ct::TREE, CtSigner::new(origin, key.clone()));
    let engine = Log::open_directory(&engine, settings)?;
    let log = CtLog::open(Arc::new(engine), origin, key, roots, folder)?;
    Ok((log, public))
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
