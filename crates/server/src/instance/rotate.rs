//! New keys for an instance that no process serves.
//!
//! Invariant: a rotation is done or not done, whenever its process dies: keys and certificates of the new generation
//! come first, and the one file that names generations is replaced last. What clients are to know of it is published
//! after that, here or by the next start.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealmark_keys::Algorithm;
use sealmark_log::{Clock, SystemClock};
use zeroize::Zeroizing;

use super::chain::{Chains, Kind};
use super::generations::{Generation, Generations};
use super::{Identity, Instance, LOCK, MARKER, Options};
use crate::log::{self, ShardInfo};
use crate::tuf::{self, Repository};
use crate::{Error, ct, durable, keyring};

/// An instance that this process has, and does not serve.
pub struct Stopped {
    pub(super) directory: PathBuf,
    pub(super) identity: Identity,
    pub(super) password: Option<Zeroizing<Vec<u8>>>,
    pub(super) lock: File,
}

/// Whose keys are exchanged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rotating {
    /// The CA: a new key and certificate below the root, or below a new root.
    Ca {
        /// Make a new root.
        new_root: bool,
    },
    /// The CT log: a new log with a new key; the one before it can be read.
    Ct,
    /// The timestamp authority: a new key and certificate below its root, or below a new root.
    Tsa {
        /// Make a new root.
        new_root: bool,
    },
}

/// What came of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rotated {
    /// The new generation.
    pub number: u32,
    /// When it is used, and clients believe it, in seconds since 1970.
    pub since: u64,
    /// Until when clients believe the one before it, if that has ended.
    pub old_until: Option<u64>,
}

impl Stopped {
    /// Takes the instance in `directory`, so that no other process opens it.
    ///
    /// # Errors
    /// [`Error::InUse`] if one has it open; [`Error::Impossible`] if there is no instance.
    pub fn open(directory: &Path, password: Option<Zeroizing<Vec<u8>>>) -> Result<Self, Error> {
        // Nothing is to be made, not even the lock.
        let identity = known(directory)?;
        let lock = durable::lock(&directory.join(LOCK))?;
        Ok(Self {
            directory: directory.to_owned(),
            identity,
            password,
            lock,
        })
    }

    /// Where clients find it.
    pub fn url(&self) -> &str {
        &self.identity.url
    }

    /// Makes new keys, or has the one that signs where `place` says. They are used at once, or from the first start after `delay` seconds: until then clients learn
    /// of them.
    ///
    /// # Errors
    /// [`Error::Impossible`] if keys wait for their time already, or the root is about to expire; if files cannot be
    /// read or written, or the password is not that of the keys.
    pub fn rotate(
        &self,
        host: &str,
        rotating: Rotating,
        delay: u64,
        place: Option<&str>,
    ) -> Result<Rotated, Error> {
        let (created, now) = (self.identity.created, SystemClock.now_ms() / 1000);
        let since = now.saturating_add(delay);
        let password = self.password.as_ref();
        let (kind, new_root) = match rotating {
            Rotating::Ca { new_root } => (Kind::Signing, new_root),
            Rotating::Tsa { new_root } => (Kind::Stamping, new_root),
            Rotating::Ct => {
                let mut all = Generations::read(&self.directory.join("ct"), created)?;
                all.turn(now)?;
                refuse_second("ct", all.waiting())?;
                let (number, folder) = all.prepare()?;
                keyring::generate_at(&folder, ct::TREE, Algorithm::EcdsaP256, password, place)?;
                all.add(number, since, None)?;
                all.turn(now)?;
                return Ok(done(&all));
            }
        };
        let chains = Chains::in_instance(&self.directory, kind, host, password, created)?;
        // One that was never started has no keys yet. Otherwise the key there is is not asked for: it may be lost.
        if chains.certificates(chains.generations.current()).is_err() {
            chains.current(created)?;
        }
        let mut chains = chains.at(place);
        chains.generations.turn(now)?;
        refuse_second(kind.name(), chains.generations.waiting())?;
        chains.add(new_root, since, now)?;
        chains.generations.turn(now)?;
        Ok(done(&chains.generations))
    }

    /// Ends a tree of the transparency log, and begins the next: gives both.
    ///
    /// # Errors
    /// As [`log::rotate`].
    pub fn rotate_log(&self, rotation: &log::Rotation) -> Result<(ShardInfo, ShardInfo), Error> {
        log::rotate(&self.directory.join("log"), rotation)
    }

    /// Its TUF repository, whose keys can be exchanged. The instance is this process's for as long as `self` is there.
    ///
    /// # Errors
    /// As [`Repository::open`].
    pub fn tuf(&self) -> Result<Repository, Error> {
        let options = tuf::Options {
            clock: Arc::new(SystemClock),
            password: self.password.clone(),
        };
        Repository::open(&self.directory.join("tuf"), options)
    }

    /// The instance, open.
    ///
    /// # Errors
    /// As [`Instance::open`].
    pub fn into_instance(self, options: Options) -> Result<Instance, Error> {
        Instance::open_locked(&self.directory, self.lock, options)
    }
}

/// What the directory is, which must be an instance.
pub(super) fn known(directory: &Path) -> Result<Identity, Error> {
    MARKER.read(directory)?.ok_or_else(|| {
        Error::Impossible(format!(
            "{} has no instance of sealmark: give the directory that `sealmark serve` has as --dir",
            directory.display()
        ))
    })
}

fn refuse_second(service: &str, waiting: Option<&Generation>) -> Result<(), Error> {
    match waiting {
        None => Ok(()),
        Some(waiting) => Err(Error::Impossible(format!(
            "{service} has new keys already, generation {}, which wait for {}: start the instance then, and rotate after that",
            waiting.number,
            super::status::time(waiting.since)
        ))),
    }
}

fn done(generations: &Generations) -> Rotated {
    let all = generations.all();
    let new = &all[all.len() - 1];
    Rotated {
        number: new.number,
        since: new.since,
        old_until: all.iter().rev().nth(1).and_then(|old| old.until),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::fail_after;

    const HOST: &str = "sigstore.example";

    fn options() -> Options {
        Options {
            url: format!("https://{HOST}"),
            host: HOST.to_owned(),
            password: None,
            keys: crate::elsewhere::Places::default(),
            issuers: sealmark_identity::Configuration::default(),
            log: log::Options::new(HOST),
            dev_issuer: None,
        }
    }

    /// What clients would be told to believe.
    fn believed(instance: &Instance) -> (Vec<String>, Vec<String>, Vec<String>) {
        let chains = |chains: &[super::super::Lasting<Vec<sealmark_x509::Certificate>>]| {
            let all = chains
                .iter()
                .map(|it| it.it[0].fingerprint().hex().to_owned());
            all.collect::<Vec<_>>()
        };
        let keys = instance.ct_keys.iter().map(|key| key.it.1.id().to_string());
        (
            chains(&instance.ca_chains),
            keys.collect(),
            chains(&instance.tsa_chains),
        )
    }

    /// The reference of a key that is elsewhere, which in these tests is a file's path.
    fn key_elsewhere(folder: &Path) -> String {
        crate::elsewhere::install(Box::new(|reference| {
            let file = std::fs::read(reference).map_err(|error| error.to_string())?;
            let key = sealmark_keys::PrivateKey::from_pkcs8_der(&file);
            key.map_err(|error| error.to_string())
        }));
        let key = sealmark_keys::PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
        let path = folder.join("key");
        std::fs::write(&path, key.to_pkcs8_der().unwrap()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_key_that_moved_is_the_same_key_or_refused() {
        let (directory, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let place = key_elsewhere(folder.path());
        let with = |place: &str| Options {
            keys: crate::elsewhere::Places {
                ca: Some(place.to_owned()),
                ..Default::default()
            },
            ..options()
        };
        drop(Instance::open(directory.path(), with(&place)).unwrap());
        // The same key under another name is the one that is known from then on.
        let moved = format!("{place}-moved");
        std::fs::rename(&place, &moved).unwrap();
        let lost = Instance::open(directory.path(), options()).err().unwrap();
        assert!(lost.to_string().contains(&place), "{lost}");
        drop(Instance::open(directory.path(), with(&moved)).unwrap());
        drop(Instance::open(directory.path(), options()).unwrap());
        // Another key under the name that is known.
        let other = key_elsewhere(folder.path());
        std::fs::rename(&other, &moved).unwrap();
        let refused = Instance::open(directory.path(), options()).err().unwrap();
        assert!(refused.to_string().contains("another key now"), "{refused}");
        // It goes on after a rotation, for which the old key is not needed.
        let stopped = Stopped::open(directory.path(), None).unwrap();
        let rotating = Rotating::Ca { new_root: false };
        stopped.rotate(HOST, rotating, 0, Some(&moved)).unwrap();
        let instance = stopped.into_instance(options()).unwrap();
        assert_eq!(instance.ca_chains.len(), 2);
        let file = std::fs::read_to_string(directory.path().join("ca/2/keys/ca.ref"));
        assert_eq!(file.unwrap().trim(), moved);
    }

    /// For each number of writes after which a process may die: dies there, starts, and has all that there was before;
    /// and whatever there is more, is used.
    #[test]
    fn a_rotation_that_dies_anywhere_is_done_or_not_done() {
        let elsewhere = tempfile::tempdir().unwrap();
        let place = key_elsewhere(elsewhere.path());
        let place = Some(place.as_str());
        for (rotating, place) in [
            (Rotating::Ca { new_root: false }, None),
            (Rotating::Ca { new_root: false }, place),
            (Rotating::Ca { new_root: true }, None),
            (Rotating::Ct, None),
            (Rotating::Ct, place),
            (Rotating::Tsa { new_root: true }, None),
            (Rotating::Tsa { new_root: true }, place),
        ] {
            let mut outcomes = Vec::new();
            for writes in 0.. {
                let directory = tempfile::tempdir().unwrap();
                let before = believed(&Instance::open(directory.path(), options()).unwrap());
                let stopped = Stopped::open(directory.path(), None).unwrap();
                fail_after(Some(writes));
                let result = stopped.rotate(HOST, rotating, 0, place);
                fail_after(None);
                drop(stopped);
                let instance = Instance::open(directory.path(), options()).unwrap();
                let after = believed(&instance);
                let counts = [&after.0, &after.1, &after.2].map(Vec::len);
                let is_done = counts.iter().sum::<usize>() == 4;
                assert!(is_done || counts == [1, 1, 1], "{rotating:?} {writes}");
                for (before, after) in [
                    (&before.0, &after.0),
                    (&before.1, &after.1),
                    (&before.2, &after.2),
                ] {
                    assert_eq!(before[0], after[0], "{rotating:?} {writes}");
                }
                // The newest signs, whatever was left half-way.
                let newest = instance.ca.chain()[0].fingerprint().hex().to_owned();
                assert_eq!(Some(&newest), after.0.last());
                assert_eq!(
                    Some(instance.ct.public_key().id().to_string()),
                    after.1.last().cloned()
                );
                drop(instance);
                outcomes.push(is_done);
                if result.is_ok() {
                    break;
                }
                // Whoever tries again has it, and only once.
                if !is_done {
                    let stopped = Stopped::open(directory.path(), None).unwrap();
                    let rotated = stopped.rotate(HOST, rotating, 0, place).unwrap();
                    assert_eq!(rotated.number, 2);
                }
            }
            assert!(outcomes.len() > 3, "{rotating:?} has few steps");
            assert!(outcomes.is_sorted(), "{rotating:?} {outcomes:?}");
            assert_eq!(outcomes.last(), Some(&true));
        }
    }

    #[test]
    fn keys_that_wait_are_believed_and_do_not_sign() {
        let directory = tempfile::tempdir().unwrap();
        drop(Instance::open(directory.path(), options()).unwrap());
        let stopped = Stopped::open(directory.path(), None).unwrap();
        for rotating in [
            Rotating::Ca { new_root: true },
            Rotating::Ct,
            Rotating::Tsa { new_root: false },
        ] {
            let rotated = stopped.rotate(HOST, rotating, 3600, None).unwrap();
            assert_eq!((rotated.number, rotated.old_until), (2, None));
            let refused = stopped
                .rotate(HOST, rotating, 0, None)
                .unwrap_err()
                .to_string();
            assert!(refused.contains("has new keys already"), "{refused}");
        }
        let instance = stopped.into_instance(options()).unwrap();
        let believed = believed(&instance);
        assert_eq!(
            [&believed.0, &believed.1, &believed.2].map(Vec::len),
            [2; 3]
        );
        assert_eq!(instance.ca.chain()[0].fingerprint().hex(), believed.0[0]);
        assert_eq!(instance.ct.public_key().id().to_string(), believed.1[0]);
        assert_eq!(instance.tsa.chain()[0].fingerprint().hex(), believed.2[0]);
        // Both roots, so that certificates of either can be logged.
        assert_eq!(instance.ct.roots().len(), 2);
    }

    #[test]
    fn there_must_be_an_instance() {
        let directory = tempfile::tempdir().unwrap();
        let error = Stopped::open(directory.path(), None).err().unwrap();
        assert!(error.to_string().contains("no instance"), "{error}");
        assert!(
            std::fs::read_dir(directory.path())
                .unwrap()
                .next()
                .is_none()
        );
    }
}
