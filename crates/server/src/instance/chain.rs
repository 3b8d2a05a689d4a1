//! The certificates of the CA and of the timestamp authority: a root, and below it the one that signs.
//!
//! Invariant: a key and its certificate are durable before anything is signed with them; those of a generation that was
//! in use are read, and never made again.

use std::path::Path;

use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_x509::{Certificate, ExtendedKeyUsage};
use zeroize::Zeroizing;

use super::Lasting;
use super::generations::{Generation, Generations};
use crate::ca::Authority;
use crate::keyring::Suits;
use crate::{Error, durable, keyring};

/// What the files of a root are called.
pub(super) const ROOT: &str = "root";
/// A new key below a root that ends sooner is no use, in seconds: thirty days.
const MIN_ROOT: u64 = 30 * 86_400;

/// Which chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Signing,
    Stamping,
}

impl Kind {
    /// What folder and files are called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Signing => "ca",
            Self::Stamping => "tsa",
        }
    }

    fn root_name(self, host: &str) -> String {
        match self {
            Self::Signing => format!("{host} root"),
            Self::Stamping => format!("{host} timestamp root"),
        }
    }

    fn own_name(self, host: &str) -> String {
        match self {
            Self::Signing => format!("{host} CA"),
            Self::Stamping => format!("{host} timestamp authority"),
        }
    }
}

/// All generations of a chain.
pub(super) struct Chains<'a> {
    pub(super) kind: Kind,
    pub(super) generations: Generations,
    pub(super) host: &'a str,
    pub(super) password: Option<&'a Zeroizing<Vec<u8>>>,
    /// Where the key that signs is to be, if not in the directory; roots' keys are there.
    pub(super) place: Option<&'a str>,
}

impl<'a> Chains<'a> {
    /// Those of an instance.
    pub(super) fn in_instance(
        directory: &Path,
        kind: Kind,
        host: &'a str,
        password: Option<&'a Zeroizing<Vec<u8>>>,
        created: u64,
    ) -> Result<Self, Error> {
        Self::read(&directory.join(kind.name()), kind, host, password, created)
    }

    /// Those in a folder.
    pub(super) fn read(
        folder: &Path,
        kind: Kind,
        host: &'a str,
        password: Option<&'a Zeroizing<Vec<u8>>>,
        created: u64,
    ) -> Result<Self, Error> {
        Ok(Self {
            kind,
            generations: Generations::read(folder, created)?,
            host,
            password,
            place: None,
        })
    }

    /// With the key that signs where a reference says.
    pub(super) fn at(self, place: Option<&'a str>) -> Self {
        Self { place, ..self }
    }

    /// The one that signs, and its root's certificate. Those of a new instance are made.
    pub(super) fn current(&self, created: u64) -> Result<(Authority, Certificate), Error> {
        let current = self.generations.current();
        if current.number == 1 {
            let root = self.root(1, self.kind.root_name(self.host), created)?;
            let own = self.own(1, &root, self.kind.own_name(self.host), created)?;
            return Ok((own, root.certificate));
        }
        let [certificate, root] = self.certificates(current)?;
        let folder = self.generations.folder(current.number);
        let name = self.kind.name();
        let path = keyring::private_key_path(&folder, name);
        let suits = Suits::Certificates(Algorithm::EcdsaP256);
        let key = match keyring::agreed(&folder, name, suits, self.place)? {
            None => keyring::read(&folder, name, suits, self.password)?,
            agreed => agreed,
        };
        let key = key.ok_or_else(|| {
            keyring::trouble(&path, "it is missing: restore it from a backup, or rotate")
        })?;
        let own = belongs(&folder.join(format!("{name}.pem")), certificate, key)?;
        Ok((own, root))
    }

    /// The certificates of each, its own first, with the time in which clients believe it.
    pub(super) fn all(&self) -> Result<Vec<Lasting<Vec<Certificate>>>, Error> {
        let all = self.generations.all().iter();
        all.map(|generation| {
            Ok(Lasting {
                it: self.certificates(generation)?.to_vec(),
                since: generation.since,
                until: generation.until,
            })
        })
        .collect()
    }

    /// Its own certificate, and that of its root.
    pub(super) fn certificates(&self, generation: &Generation) -> Result<[Certificate; 2], Error> {
        let own = self.generations.folder(generation.number);
        let root = generation.root.unwrap_or(generation.number);
        let root = self.generations.folder(root);
        Ok([
            read(&own.join(format!("{}.pem", self.kind.name())))?,
            read(&root.join(format!("{ROOT}.pem")))?,
        ])
    }

    /// Makes the next generation, below the newest root or a new one; clients are to believe it from `since` on.
    pub(super) fn add(&mut self, new_root: bool, since: u64, now: u64) -> Result<(), Error> {
        let last = self.generations.all().last();
        let last_root = last.and_then(|it| it.root).unwrap_or(1);
        let (number, _) = self.generations.prepare()?;
        let (root_number, root) = match new_root {
            true => {
                let name = format!("{} {number}", self.kind.root_name(self.host));
                (number, self.root(number, name, now)?)
            }
            false => {
                let folder = self.generations.folder(last_root);
                let path = folder.join(format!("{ROOT}.pem"));
                let certificate = read(&path)?;
                let ends = certificate.validity().not_after;
                if ends.unix_seconds() < now.saturating_add(MIN_ROOT) {
                    return Err(Error::Impossible(format!(
                        "{} expires at {ends}, and all below it: make a new one with --new-root",
                        path.display()
                    )));
                }
                let key = keyring::read(&folder, ROOT, Algorithm::EcdsaP384, self.password)?;
                let key = key.ok_or_else(|| {
                    let key = keyring::private_key_path(&folder, ROOT);
                    keyring::trouble(&key, "it is missing, and only it signs below its root: put it back for as long as this takes, or make a new root with --new-root")
                })?;
                (last_root, belongs(&path, certificate, key)?)
            }
        };
        let name = format!("{} {number}", self.kind.own_name(self.host));
        self.own(number, &root, name, now)?;
        self.generations.add(number, since, Some(root_number))
    }

    /// The root, below which the other one is made when the root is durable.
    fn root(&self, number: u32, name: String, now: u64) -> Result<Authority, Error> {
        let folder = self.generations.folder(number);
        let root = folder.join(format!("{ROOT}.pem"));
        let below = folder.join(format!("{}.pem", self.kind.name()));
        if below.exists() && !root.exists() {
            return Err(Error::Impossible(format!(
                "{} is missing, although {} is below it: restore it from a backup; no other root is made",
                root.display(),
                below.display()
            )));
        }
        let suits = Suits::Only(Algorithm::EcdsaP384);
        self.made(number, ROOT, suits, None, |key| {
            Authority::root(key, self.host, &name, now)
        })
    }

    fn own(
        &self,
        number: u32,
        root: &Authority,
        name: String,
        now: u64,
    ) -> Result<Authority, Error> {
        let (host, purpose) = (self.host, ExtendedKeyUsage::CodeSigning);
        self.made(
            number,
            self.kind.name(),
            Suits::Certificates(Algorithm::EcdsaP256),
            self.place,
            |key| match self.kind {
                Kind::Signing => root.intermediate(key, host, &name, purpose, now),
                Kind::Stamping => root.timestamper(key, host, &name, now),
            },
        )
    }

    /// A key and its certificate, which are made if they are not there.
    fn made(
        &self,
        number: u32,
        file: &str,
        suits: Suits,
        place: Option<&str>,
        make: impl FnOnce(PrivateKey) -> Result<Authority, Error>,
    ) -> Result<Authority, Error> {
        let folder = self.generations.folder(number);
        let path = folder.join(format!("{file}.pem"));
        keyring::not_lost(&folder, file, &path)?;
        let key = keyring::key_at(&folder, file, suits, self.password, place)?;
        if path.exists() {
            return belongs(&path, read(&path)?, key);
        }
        let made = make(key)?;
        let pem = made.certificate.to_pem();
        durable::write(&path, pem.as_bytes(), &folder)?;
        Ok(made)
    }
}

fn read(path: &Path) -> Result<Certificate, Error> {
    let damaged = |problem: String| Error::Damaged {
        path: path.to_owned(),
        problem,
    };
    let pem = durable::read(path)?.ok_or_else(|| damaged("it is missing".to_owned()))?;
    Certificate::from_pem(&pem).map_err(|error| damaged(error.to_string()))
}

fn belongs(path: &Path, certificate: Certificate, key: PrivateKey) -> Result<Authority, Error> {
    match certificate.spki_der() == key.public_key().spki_der() {
        true => Ok(Authority { key, certificate }),
        false => Err(Error::Damaged {
            path: path.to_owned(),
            problem: "it is the certificate of another key".to_owned(),
        }),
    }
}
