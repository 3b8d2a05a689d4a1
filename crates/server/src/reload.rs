//! Configuration that is taken while the server runs: whom the CA believes, and who may log in at the issuer for
//! development.
//!
//! Invariants: what is in use was whole and good when it was read, and was exchanged at once; a file that is no good
//! changes nothing but what is said of it. The files are read every [`LOOK`], and whenever the operator asks
//! (SIGHUP); what they say, not when they were written, decides whether something is new.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use sealmark_formats::digest::sha256;
use sealmark_identity::{Configuration, Finding, Issuer};
use tokio::sync::Notify;

use crate::ca::CertificateAuthority;
use crate::oidc::DevIssuer;
use crate::ops::{self, Kind};

/// How often files are looked at.
pub const LOOK: Duration = Duration::from_secs(3);
/// Bytes of a file that are looked at: as its readers.
const MAX_FILE: u64 = 1 << 20;

/// What came of a file that was read again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Told {
    /// It is in use: what changed.
    Taken(String),
    /// It is no good, for these reasons, and what was before stays in use.
    Refused(String),
}

/// Files that are read again.
#[derive(Default)]
pub struct Reload {
    watched: Vec<Watched>,
}

struct Watched {
    path: PathBuf,
    /// As metrics call it.
    name: &'static str,
    used: User,
    state: Arc<State>,
    /// Of what the file had when it was looked at last.
    seen: Option<[u8; 32]>,
}

enum User {
    /// With issuers that are believed whatever the file says.
    Ca(CertificateAuthority, Vec<Issuer>),
    Users(DevIssuer),
}

struct State {
    good: AtomicBool,
    /// Seconds since 1970.
    taken: AtomicU64,
}

impl Reload {
    /// Has a CA believe the issuers of a file, and `always` those of `own`. The file was read before.
    pub fn issuers(&mut self, path: &Path, ca: CertificateAuthority, own: Vec<Issuer>) {
        self.watch(path, "issuers", User::Ca(ca, own));
    }

    /// Lets those log in whom a file has. It was read before.
    pub fn users(&mut self, path: &Path, issuer: DevIssuer) {
        self.watch(path, "users", User::Users(issuer));
    }

    fn watch(&mut self, path: &Path, name: &'static str, used: User) {
        self.watched.push(Watched {
            seen: read(path).ok().map(|text| sha256(&text)),
            path: path.to_owned(),
            name,
            used,
            state: Arc::new(State {
                good: AtomicBool::new(true),
                taken: AtomicU64::new(now()),
            }),
        });
    }

    /// Whether there is nothing to be read again.
    pub fn is_empty(&self) -> bool {
        self.watched.is_empty()
    }

    /// What metrics tell of it. It is to be added after a service that answers.
    pub fn service(&self) -> ops::Service {
        let states = self.watched.iter();
        let states: Vec<_> = states
            .map(|watched| (watched.name, watched.state.clone()))
            .collect();
        ops::Service::new("configuration", Router::new(), |_| None).measuring(move |text, _| {
            text.family(
                "sealmark_config_last_reload_successful",
                Kind::Gauge,
                "1 if the file is in use as it was last seen, 0 if an older one is, because it is no good.",
            );
            for (name, state) in &states {
                let good = state.good.load(Ordering::Relaxed);
                text.sample(&[("file", name)], f64::from(u8::from(good)));
            }
            text.family(
                "sealmark_config_last_reload_success_timestamp_seconds",
                Kind::Gauge,
                "When what is in use of the file was read, in seconds since 1970.",
            );
            for (name, state) in &states {
                text.sample(&[("file", name)], state.taken.load(Ordering::Relaxed) as f64);
            }
        })
    }

    /// Looks at the files for ever, and whenever `now` is notified; `tell` is for the operator.
    pub async fn run(mut self, now: Arc<Notify>, tell: impl Fn(Told)) {
        loop {
            let asked = tokio::time::timeout(LOOK, now.notified()).await.is_ok();
            for watched in &mut self.watched {
                if let Some(told) = watched.look(asked).await {
                    tell(told);
                }
            }
        }
    }
}

impl Watched {
    /// Reads the file, and puts it to use if it is another one or somebody asked.
    async fn look(&mut self, asked: bool) -> Option<Told> {
        let path = self.path.clone();
        let content = tokio::task::spawn_blocking(move || read(&path))
            .await
            .ok()?;
        let seen = content.as_ref().ok().map(|text| sha256(text));
        if seen == self.seen && !asked {
            return None;
        }
        // A file that is not there is told once, as one that is no good.
        self.seen = seen;
        let path = self.path.display();
        let taken = match content {
            Ok(text) => self.take(&text).await,
            Err(error) => Err(format!("cannot read {path}: {error}")),
        };
        self.state.good.store(taken.is_ok(), Ordering::Relaxed);
        Some(match taken {
            Ok(change) => {
                self.state.taken.store(now(), Ordering::Relaxed);
                Told::Taken(format!("{path} is in use: {change}"))
            }
            Err(reasons) => Told::Refused(format!(
                "{path} is no good, and what was there before stays in use:\n{reasons}"
            )),
        })
    }

    async fn take(&self, text: &[u8]) -> Result<String, String> {
        match &self.used {
            User::Ca(ca, own) => {
                let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
                let checked = Configuration::check(text);
                let Some(configuration) = checked.configuration else {
                    return Err(lines(&self.path, &checked.findings));
                };
                let issuers = [own.as_slice(), configuration.issuers()].concat();
                let changes = ca.configure(Configuration::of(issuers));
                Ok(changes.to_string())
            }
            User::Users(issuer) => {
                let (issuer, path) = (issuer.clone(), self.path.clone());
                let read = tokio::task::spawn_blocking(move || issuer.read_users(&path)).await;
                let read = read.map_err(|error| error.to_string())?;
                let count = read.map_err(|error| error.to_string())?;
                Ok(format!("{count} users may log in"))
            }
        }
    }
}

/// Faults, each as `FILE:LINE: what`.
pub fn lines(path: &Path, findings: &[Finding]) -> String {
    let faults = findings.iter().filter(|finding| finding.is_fault);
    let lines: Vec<_> = faults.map(|finding| line(path, finding)).collect();
    lines.join("\n")
}

/// A finding as `FILE:LINE: what`.
pub fn line(path: &Path, finding: &Finding) -> String {
    let place = match finding.line {
        Some(line) => format!("{}:{line}", path.display()),
        None => path.display().to_string(),
    };
    let kind = if finding.is_fault { "" } else { "warning: " };
    format!("{place}: {kind}{}", finding.message)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut text = Vec::new();
    let file = std::fs::File::open(path)?;
    // One byte more than may be there is enough for its reader to refuse it.
    file.take(MAX_FILE + 1).read_to_end(&mut text)?;
    Ok(text)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
