//! When what an instance is made of ends: read from its files, so that it can be asked beside a process that serves it.
//!
//! Invariant: nothing is written, locked or decrypted, and no key is asked for where it is.

use std::path::Path;

use sealmark_x509::Certificate;

use super::chain::{Chains, Kind, ROOT};
use super::generations::{Generation, Generations};
use super::rotate::known;
use crate::elsewhere::Kept;
use crate::log::{self, Interface};
use crate::tuf::{self, Role};
use crate::{Error, ct, keyring};

const DAY: i64 = 24 * 60 * 60;
/// So long before something ends it is warned of it, in days.
const AHEAD: i64 = 30;

/// Everything.
#[derive(Clone, Debug)]
pub struct Status {
    /// Where clients find the instance.
    pub url: String,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// What it is made of, service by service.
    pub items: Vec<Item>,
    /// What should be done, in sentences.
    pub warnings: Vec<String>,
}

/// A certificate, a key, a tree or the metadata of a role.
#[derive(Clone, Debug)]
pub struct Item {
    /// Of which service: `ca`, `ct`, `log`, `tsa`, `tuf`, `oidc`, `witness`.
    pub service: &'static str,
    /// What: `root`, `certificate`, `key`, `v1 tree`, `timestamp metadata` …
    pub what: String,
    /// What it is called.
    pub name: String,
    /// Whether it is in use.
    pub state: State,
    /// Since when it is good, in seconds since 1970.
    pub since: Option<i64>,
    /// Until when, if that is known.
    pub until: Option<i64>,
    /// Whole days until then; negative if it has passed.
    pub days_left: Option<i64>,
    /// Where its private key is.
    pub key: Option<KeyState>,
}

/// Whether something is in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It signs.
    Active,
    /// It will: clients learn of it.
    Waiting,
    /// It did, and clients believe what it signed.
    Retired,
}

/// Where a private key is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyState {
    /// Where the directory says.
    Kept(Kept),
    /// Not in the directory, which does not know where.
    Elsewhere,
}

impl KeyState {
    fn of(kept: Option<Kept>) -> Self {
        kept.map_or(Self::Elsewhere, Self::Kept)
    }
}

/// A time in seconds since 1970, for people.
pub(super) fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok();
    let time = time.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| format!("second {seconds}"), |time| time.to_string())
}

/// The state of the instance in `directory`, `now` being in seconds since 1970.
///
/// # Errors
/// [`Error::Impossible`] if there is none; if files cannot be read, or are not what they should be.
pub fn status(directory: &Path, now: u64) -> Result<Status, Error> {
    let identity = known(directory)?;
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let mut list = List {
        now,
        items: Vec::new(),
        warnings: Vec::new(),
    };
    for kind in [Kind::Signing, Kind::Stamping] {
        if kind == Kind::Stamping {
            list.ct(directory, identity.created)?;
            list.log(directory)?;
        }
        let chains = Chains::in_instance(directory, kind, "", None, identity.created)?;
        list.chains(&chains)?;
    }
    list.tuf(directory)?;
    for (service, name) in [("oidc", "issuer"), ("witness", "witness")] {
        let folder = directory.join(service);
        if let Some(kept) = keyring::kept(&folder, name)? {
            list.add(Item {
                key: Some(KeyState::Kept(kept)),
                ..list.item(service, "key", name)
            });
        }
    }
    let plain = |item: &&Item| item.key == Some(KeyState::Kept(Kept::Plain));
    let plain = list.items.iter().filter(plain).count();
    if plain > 0 {
        list.warnings.push(format!(
            "{plain} private keys are not encrypted: the mode of their files alone protects them; keys are encrypted if there is a password when they are made"
        ));
    }
    Ok(Status {
        url: identity.url,
        created: identity.created,
        items: list.items,
        warnings: list.warnings,
    })
}

struct List {
    now: i64,
    items: Vec<Item>,
    warnings: Vec<String>,
}

impl List {
    fn item(
        &self,
        service: &'static str,
        what: impl Into<String>,
        name: impl Into<String>,
    ) -> Item {
        Item {
            service,
            what: what.into(),
            name: name.into(),
            state: State::Active,
            since: None,
            until: None,
            days_left: None,
            key: None,
        }
    }

    fn add(&mut self, mut item: Item) {
        item.days_left = item.until.map(|until| (until - self.now).div_euclid(DAY));
        self.items.push(item);
    }

    /// Warns of what ends soon.
    fn warn(&mut self, what: &str, until: i64, remedy: &str) {
        let days = (until - self.now).div_euclid(DAY);
        let left = match days {
            ..0 => "has expired".to_owned(),
            0 => "expires within a day".to_owned(),
            1 => "expires tomorrow".to_owned(),
            days if days < AHEAD => format!("expires in {days} days"),
            _ => return,
        };
        let at = time(u64::try_from(until).unwrap_or_default());
        self.warnings
            .push(format!("{what} {left} ({at}): {remedy}"));
    }

    fn state(&mut self, all: &Generations, it: &Generation, service: &str) -> State {
        if it.until.is_some() {
            return State::Retired;
        }
        if it.number == all.current().number {
            return State::Active;
        }
        if seconds(it.since) <= self.now {
            self.warnings.push(format!(
                "{service} generation {} was to be used from {} on: start the instance anew",
                it.number,
                time(it.since)
            ));
        }
        State::Waiting
    }

    fn chains(&mut self, chains: &Chains<'_>) -> Result<(), Error> {
        let (generations, service) = (&chains.generations, chains.kind.name());
        for generation in generations.all() {
            let state = self.state(generations, generation, service);
            let [own, root] = chains.certificates(generation)?;
            if generation.root == Some(generation.number) {
                self.certificate(chains, generation, ROOT, &root, state, None)?;
            }
            self.certificate(chains, generation, service, &own, state, Some(generation))?;
        }
        Ok(())
    }

    fn certificate(
        &mut self,
        chains: &Chains<'_>,
        generation: &Generation,
        file: &str,
        certificate: &Certificate,
        state: State,
        believed: Option<&Generation>,
    ) -> Result<(), Error> {
        let service = chains.kind.name();
        let folder = chains.generations.folder(generation.number);
        let is_root = file == ROOT;
        // A root is in use as long as something below it is.
        let mut others = chains.generations.all().iter();
        let used = others.any(|it| it.root == Some(generation.number) && it.until.is_none());
        let state = match is_root && used && state == State::Retired {
            true => State::Active,
            false => state,
        };
        let validity = certificate.validity();
        let (start, end) = (
            seconds(validity.not_before.unix_seconds()),
            seconds(validity.not_after.unix_seconds()),
        );
        let trusted = believed.and_then(|it| it.until).map(seconds);
        let item = Item {
            state,
            since: Some(believed.map_or(start, |it| seconds(it.since).max(start))),
            until: Some(trusted.map_or(end, |until| until.min(end))),
            key: Some(KeyState::of(keyring::kept(&folder, file)?)),
            ..self.item(
                service,
                if is_root { "root" } else { "certificate" },
                certificate.subject(),
            )
        };
        self.add(item);
        if state == State::Active {
            let remedy = format!("`sealmark serve rotate {service} --new-root`");
            self.warn(&certificate.subject(), end, &remedy);
        }
        Ok(())
    }

    fn ct(&mut self, directory: &Path, created: u64) -> Result<(), Error> {
        let generations = Generations::read(&directory.join("ct"), created)?;
        for generation in generations.all() {
            let state = self.state(&generations, generation, "ct");
            let folder = generations.folder(generation.number);
            let item = Item {
                state,
                since: Some(seconds(generation.since)),
                until: generation.until.map(seconds),
                key: Some(KeyState::of(keyring::kept(&folder, ct::TREE)?)),
                ..self.item("ct", "log", ct::path_of(generation.number))
            };
            self.add(item);
        }
        Ok(())
    }

    fn log(&mut self, directory: &Path) -> Result<(), Error> {
        for (record, kept) in log::look(&directory.join("log"))? {
            let interface = match record.interface {
                Interface::V1 => "v1 tree",
                Interface::V2 => "v2 tree",
            };
            let item = Item {
                state: match record.frozen {
                    Some(_) => State::Retired,
                    None => State::Active,
                },
                since: Some(seconds(record.created)),
                until: record.frozen.map(seconds),
                key: Some(KeyState::of(kept)),
                ..self.item("log", interface, record.name)
            };
            self.add(item);
        }
        Ok(())
    }

    fn tuf(&mut self, directory: &Path) -> Result<(), Error> {
        for seen in tuf::look(&directory.join("tuf"))? {
            let what = format!("{} metadata", seen.role);
            let item = Item {
                since: Some(seen.signed),
                until: Some(seen.expires),
                key: Some(KeyState::of(seen.key.clone())),
                ..self.item("tuf", &*what, format!("version {}", seen.version))
            };
            self.add(item);
            let name = format!("TUF {what} version {}", seen.version);
            if seen.role == Role::Root && seen.key.is_none() {
                let remedy = "its key is elsewhere: `sealmark serve rotate tuf --renew-root --root-key FILE`";
                self.warn(&name, seen.expires, remedy);
            } else if seen.is_overdue(self.now) {
                let left = (seen.expires - self.now).div_euclid(DAY);
                self.warnings.push(format!(
                    "{name} was not signed anew, and {}: `sealmark serve` does that while it runs",
                    match left {
                        ..0 => "has expired".to_owned(),
                        days => format!("expires in {days} days"),
                    }
                ));
            }
        }
        Ok(())
    }
}

fn seconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}
