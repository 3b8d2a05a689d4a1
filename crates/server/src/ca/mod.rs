//! The certificate authority: what Fulcio does, over its interfaces v2 and v1.
//! <https://github.com/sigstore/fulcio/blob/main/docs/certificate-specification.md>
//!
//! Who brings a token of an issuer that the configuration knows, and proves to have a key, gets a certificate of some
//! minutes that says who that is. Each is in the CT log before it leaves: the promise inside it is signed when its
//! entry is on the disk.
//!
//! Invariants: the name is what the issuer signed, and the key is what the caller proved; certificate and
//! precertificate are the same but for the promise; nothing is waited for without a bound; each certificate leaves one
//! line in the audit log.
//!
//! Decisions where Fulcio's answer would harm: a proof may be over `email` or `sub`, whichever the client's library
//! signs, as both are of the same token; a refusal says why; an issuer or a CT log that does not answer is a 503 after
//! seconds, not a hang.

mod answer;
mod clock;
mod create;
mod grpc;
mod issue;
mod issuers;
mod promises;
mod refusal;
mod request;
mod tokens;

use std::future::Future;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use sealmark_identity::{Changes, Configuration, KeySet, SigningAlgorithm};
use sealmark_keys::PrivateKey;
use sealmark_log::Clock;
use sealmark_x509::Certificate;
use sealmark_x509::issue::{Name, key_id};
use tokio::sync::Semaphore;

use self::clock::ForwardClock;
pub use self::create::Authority;
pub use self::issuers::probe;
use self::issuers::{Issuers, Published};
pub use self::promises::{Promises, RemoteCt};
use self::tokens::UsedTokens;
use crate::grpc::about;
use crate::grpc::health::Watching;
use crate::grpc::is_grpc;
use crate::locks::{read, write};
use crate::{Error, ops};

/// How long certificates are valid, in seconds, unless less is asked for. As Fulcio's.
pub const LIFETIME: u64 = 600;
/// How long the CT log may take.
const CT_TIMEOUT: Duration = Duration::from_secs(10);
/// Long messages of gRPC that are read at once: some of at most 4 MiB each.
const MAX_MESSAGES: usize = 32;
/// Calls that watch the CA's health, at once.
const MAX_WATCHING: usize = 256;

/// What a CA is made of.
pub struct Options {
    /// The key that signs certificates: of the first certificate of `chain`.
    pub key: PrivateKey,
    /// The certificate of the key, those above it, the root last.
    pub chain: Vec<Certificate>,
    /// Where certificates are logged. Without one they have no promise, and clients that want one refuse them.
    pub ct: Option<Promises>,
    /// Who is believed.
    pub configuration: Configuration,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// A certificate authority.
#[derive(Clone)]
pub struct CertificateAuthority(Arc<Inner>);

struct Inner {
    signing: RwLock<Arc<Signing>>,
    /// The chains, in PEM, of other generations, and until when clients believe them.
    others: RwLock<Vec<(Vec<String>, Option<u64>)>>,
    ct: Option<Promises>,
    configuration: RwLock<Arc<Configuration>>,
    issuers: Issuers,
    used: UsedTokens,
    clock: ForwardClock,
    /// For what is read of long messages of gRPC at once.
    messages: Semaphore,
    watching: Watching,
}

/// Key and chain, which change together.
struct Signing {
    key: PrivateKey,
    chain: Vec<Certificate>,
    /// The chain in PEM, and what else of it is in every certificate.
    pems: Vec<String>,
    name: Name,
    key_id: Vec<u8>,
}

impl CertificateAuthority {
    /// A CA.
    ///
    /// # Errors
    /// If key and chain do not belong together, or are not those of a CA.
    pub fn new(options: Options) -> Result<Self, Error> {
        let signing = Signing::new(options.key, options.chain)?;
        Ok(Self(Arc::new(Inner {
            signing: RwLock::new(Arc::new(signing)),
            others: RwLock::default(),
            ct: options.ct,
            configuration: RwLock::new(Arc::new(options.configuration)),
            issuers: Issuers::new().map_err(Error::Authority)?,
            used: UsedTokens::default(),
            clock: ForwardClock::new(options.clock),
            messages: Semaphore::new(MAX_MESSAGES),
            watching: Watching::new(MAX_WATCHING),
        })))
    }

    /// From now on these issuers are believed, and no others. A request that has begun goes on with those of before.
    /// What is other now.
    pub fn configure(&self, configuration: Configuration) -> Changes {
        let changes = configuration.changes_from(&self.0.configuration());
        self.0.issuers.forget(&changes);
        *write(&self.0.configuration) = Arc::new(configuration);
        changes
    }

    /// From now on this key signs.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn rotate(&self, key: PrivateKey, chain: Vec<Certificate>) -> Result<(), Error> {
        let signing = Arc::new(Signing::new(key, chain)?);
        *write(&self.0.signing) = signing;
        Ok(())
    }

    /// Other chains that clients are to believe, besides the one that signs: those of before and of later, each until a
    /// time in seconds since 1970, or as long as its certificates are valid.
    pub fn show_also(&self, chains: &[(Vec<Certificate>, Option<u64>)]) {
        let pems = |chain: &[Certificate]| chain.iter().map(Certificate::to_pem).collect();
        let chains = chains.iter().map(|(chain, until)| (pems(chain), *until));
        *write(&self.0.others) = chains.collect();
    }

    /// The keys of an issuer in this process, so that it is not asked over the network.
    pub fn know_issuer(&self, url: &str, keys: KeySet, algorithms: Vec<SigningAlgorithm>) {
        self.0
            .issuers
            .insert_local(url, Published { keys, algorithms });
    }

    /// The certificates, the one that signs first.
    pub fn chain(&self) -> Vec<Certificate> {
        self.0.signing().chain.clone()
    }

    /// All endpoints, with what a server needs to count them.
    pub fn service(&self) -> ops::Service {
        ops::Service::new("ca", self.clone().router(), answer::endpoint)
            .refusing(answer::refused_early)
    }

    /// `shutdown`, and then tells all who watch the CA's health that it ends, as their calls would keep a server.
    pub fn ending<F: Future<Output = ()>>(&self, shutdown: F) -> impl Future<Output = ()> + use<F> {
        let inner = Arc::downgrade(&self.0);
        async move {
            shutdown.await;
            if let Some(inner) = inner.upgrade() {
                inner.watching.stop();
            }
        }
    }

    /// What of gRPC a server with this CA has.
    pub(crate) fn grpc(&self) -> about::Service {
        about::Service {
            name: grpc::SERVICE,
            serves: grpc::serves(&self.0),
        }
    }

    /// All endpoints.
    pub fn router(self) -> Router {
        let answer = move |request: Request| {
            let inner = self.0.clone();
            async move {
                match is_grpc(request.headers()) {
                    true => grpc::serve(inner, request).await,
                    false => answer::serve(inner, request).await,
                }
            }
        };
        Router::new().fallback(answer)
    }
}

impl Inner {
    fn signing(&self) -> Arc<Signing> {
        read(&self.signing).clone()
    }

    /// The chains, in PEM, that clients are to believe now; the one that signs is the first.
    fn believed(&self) -> Vec<Vec<String>> {
        let now = self.clock.seconds().unwrap_or_default();
        let mut chains = vec![self.signing().pems.clone()];
        for (chain, until) in read(&self.others).iter() {
            if until.is_none_or(|until| until > now) && !chains.contains(chain) {
                chains.push(chain.clone());
            }
        }
        chains
    }

    fn configuration(&self) -> Arc<Configuration> {
        read(&self.configuration).clone()
    }

    /// Whether certificates can be logged.
    fn is_healthy(&self) -> bool {
        self.ct.as_ref().is_none_or(Promises::is_healthy)
    }
}

impl Signing {
    fn new(key: PrivateKey, chain: Vec<Certificate>) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Authority(reason);
        let Some(first) = chain.first() else {
            return Err(wrong("the CA has no certificate".to_owned()));
        };
        if first.spki_der() != key.public_key().spki_der() {
            return Err(wrong(format!(
                "the CA's key is not that of its certificate {:?}",
                first.subject()
            )));
        }
        for certificate in &chain {
            if !certificate.is_ca() {
                return Err(wrong(format!(
                    "{:?} is not the certificate of a CA",
                    certificate.subject()
                )));
            }
        }
        for pair in chain.windows(2) {
            if !pair[0].is_signed_by(&pair[1]) {
                return Err(wrong(format!(
                    "{:?} is not signed by {:?}, which follows it in the chain",
                    pair[0].subject(),
                    pair[1].subject()
                )));
            }
        }
        let key_id = match first.subject_key_id() {
            Some(id) => id.to_vec(),
            None => key_id(first.spki_der()).map_err(|error| wrong(error.to_string()))?,
        };
        Ok(Self {
            pems: chain.iter().map(Certificate::to_pem).collect(),
            name: Name::subject_of(first),
            key_id,
            key,
            chain,
        })
    }
}
