//! New keys, and a root key that is kept elsewhere.
//!
//! A client that reads between any two steps finds what it can trust. For a new online key this takes two roots: one
//! that names the old and the new key, under which everything is signed with both, and one that names only the new.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sealmark_keys::PrivateKey;
use zeroize::Zeroizing;

use super::metadata::{Document, Key, Role, Root};
use super::state::State;
use super::{Error, Inner, Repository, keys};
use crate::{Error as Trouble, durable, keyring};

impl Repository {
    /// Exchanges the root key: the next root is signed by the old key and a new one, which is here then. `root_key` is
    /// the old one, if it was exported.
    ///
    /// # Errors
    /// If the old key is neither here nor given, if files cannot be written, or the clock was set back.
    pub fn rotate_root(&self, root_key: Option<&PrivateKey>) -> Result<(), Trouble> {
        let inner = &self.0;
        let mut state = inner.lock();
        let old = root_signer(&state, root_key)?;
        let new = inner.new_key(&state, keys::ROOT, None)?;
        let (named, online) = (inner.id(&new)?, state.root.online.clone());
        inner.write_root(&mut state, named, online, &[&old, &new])?;
        state.root_key = Some(new);
        keys::forget(&inner.disk.directory, &state.root)
    }

    /// Exchanges the key that signs targets, snapshot and timestamp. `root_key` is the root key, if it was exported.
    ///
    /// # Errors
    /// If the root key is neither here nor given, if files cannot be written, or the clock was set back. If it fails
    /// half-way, the repository is good, with two keys; the next call goes on.
    pub fn rotate_online(&self, root_key: Option<&PrivateKey>) -> Result<(), Trouble> {
        self.rotate_online_to(root_key, None)
    }

    /// As [`rotate_online`](Self::rotate_online), to a key that is elsewhere, if there is a reference.
    ///
    /// # Errors
    /// As [`rotate_online`](Self::rotate_online); if that key cannot be reached, or is none for TUF.
    pub fn rotate_online_to(
        &self,
        root_key: Option<&PrivateKey>,
        reference: Option<&str>,
    ) -> Result<(), Trouble> {
        let inner = &self.0;
        let mut state = inner.lock();
        let signer = root_signer(&state, root_key)?;
        if state.online.len() == 1 {
            let new = inner.new_key(&state, keys::ONLINE, reference)?;
            let mut online = state.root.online.clone();
            online.push(inner.id(&new)?);
            let named = state.root.key.clone();
            inner.write_root(&mut state, named, online, &[&signer])?;
            state.online.push(new);
        }
        inner.finish(&mut state, &signer)
    }

    /// Signs the root anew with the exported root key.
    ///
    /// # Errors
    /// If it is another key, if files cannot be written, or the clock was set back.
    pub fn sign_root_with(&self, root_key: &PrivateKey) -> Result<(), Trouble> {
        let inner = &self.0;
        let mut state = inner.lock();
        let signer = root_signer(&state, Some(root_key))?;
        if state.online.len() > 1 {
            return inner.finish(&mut state, &signer);
        }
        let (named, online) = (state.root.key.clone(), state.root.online.clone());
        inner.write_root(&mut state, named, online, &[&signer])
    }

    /// Signs the root anew with the root key, which is here.
    ///
    /// # Errors
    /// As [`sign_root_with`](Self::sign_root_with); if the key is elsewhere.
    pub fn renew_root(&self) -> Result<(), Trouble> {
        let signer = root_signer(&self.0.lock(), None)?;
        self.sign_root_with(&signer)
    }

    /// Moves the root key to the file `to`, encrypted as it is here. Without it, the root cannot be signed anew: one
    /// year later no client trusts the repository any more.
    ///
    /// # Errors
    /// If it is not here, if the file exists (but with this very key, after a crash), or cannot be written.
    pub fn export_root_key(&self, to: &Path) -> Result<(), Trouble> {
        let inner = &self.0;
        let mut state = inner.lock();
        let directory = &inner.disk.directory;
        let name = keys::name_of(directory, &state.root.key)?.ok_or(Error::NoRootKey)?;
        let own = keyring::private_key_path(directory, &name);
        let key = durable::read(&own)?.map(Zeroizing::new);
        let key = key.ok_or(Error::NoRootKey)?;
        let exists = match durable::read(to)?.map(Zeroizing::new) {
            Some(found) if found == key => true,
            Some(_) => {
                return Err(Error::Exists {
                    path: to.to_owned(),
                }
                .into());
            }
            None => false,
        };
        write_new(to, &key, exists).map_err(Trouble::io("write", to))?;
        durable::remove(&own)?;
        state.root_key = None;
        Ok(())
    }
}

impl Inner {
    /// The key that the next root is the first to name.
    fn new_key(
        &self,
        state: &State,
        kind: &str,
        reference: Option<&str>,
    ) -> Result<PrivateKey, Trouble> {
        let version = state.root.document.version + 1;
        let password = self.password.as_ref();
        keys::make(&self.disk.directory, kind, version, password, reference)
    }

    fn id(&self, key: &PrivateKey) -> Result<Key, Trouble> {
        keys::id(&self.disk.directory, key)
    }

    /// Goes on with an exchange of the online key that was interrupted, if the root key is here. `false` if none was.
    pub(super) fn finish_interrupted(&self, state: &mut State) -> Result<bool, Trouble> {
        let signer = state.root_key.clone().filter(|_| state.online.len() > 1);
        let Some(signer) = signer else {
            return Ok(false);
        };
        self.finish(state, &signer).map(|()| true)
    }

    /// Signs everything with both online keys, and then names only the new one.
    fn finish(&self, state: &mut State, signer: &PrivateKey) -> Result<(), Trouble> {
        self.renew(state, None)?;
        let newest = state.root.online.last().cloned().into_iter().collect();
        let named = state.root.key.clone();
        self.write_root(state, named, newest, &[signer])?;
        state.online = state.online.pop().into_iter().collect();
        keys::forget(&self.disk.directory, &state.root)
    }

    /// Writes the next root.
    pub(super) fn write_root(
        &self,
        state: &mut State,
        key: Key,
        online: Vec<Key>,
        signers: &[&PrivateKey],
    ) -> Result<(), Trouble> {
        let version = state.root.document.version + 1;
        let expires = self.expiry(state, Role::Root, version)?;
        let content = Root::content(&key, &online);
        let document = Document::sign(Role::Root, version, expires, content, signers)?;
        self.disk.write(&document.file(), &document.bytes)?;
        state.root = Root {
            document,
            key,
            online,
        };
        Ok(())
    }
}

/// Who signs the next root.
fn root_signer(state: &State, given: Option<&PrivateKey>) -> Result<PrivateKey, Error> {
    let version = state.root.document.version;
    let Some(given) = given else {
        let here = state.root_key.clone();
        return here.ok_or(Error::RootKeyAway {
            version: version + 1,
        });
    };
    let id = Key::of(given.public_key()).map(|key| key.id);
    let expected = state.root.key.id.clone();
    match id.as_ref() == Some(&expected) {
        true => Ok(given.clone()),
        false => Err(Error::OtherRootKey {
            given: id.unwrap_or_else(|| format!("a {} key", given.key_type())),
            version,
            expected,
        }),
    }
}

/// Writes a file that nobody else can read, durably.
fn write_new(path: &Path, content: &[u8], exists: bool) -> io::Result<()> {
    if exists {
        File::open(path)?.sync_all()?;
    } else {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(content)?;
        file.sync_all()?;
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()
}
