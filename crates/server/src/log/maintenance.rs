//! What an operator does to a log while nobody serves it: end a tree, and begin the next.
//!
//! Invariant: a command is done or not done, whenever its process dies. Each replaces the file that decides once, by
//! which it is done; the rest follows from that file, here or when the log is opened next.

use std::fmt;
use std::path::Path;

use sealmark_log::{Clock, SystemClock};

use super::ShardInfo;
use super::keys::{self, Password};
use super::shards::{Interface, Shards, keep_from_copying};
use super::state::{Shard, State, check_host};
use crate::elsewhere::Kept;
use crate::{Error, keyring};

/// How a log goes on.
#[derive(Clone)]
pub struct Rotation {
    /// Whose tree ends.
    pub interface: Interface,
    /// Where clients of the new tree go: its URL, and the host in it, which becomes the new tree's name. Without one it
    /// is called as the one before it; that is for v1 only, because in v2 the name is all that tells trees apart.
    pub place: Option<(String, String)>,
    /// Sign with the key that there is, instead of a new one. For v1 only.
    pub keep_key: bool,
    /// The reference of the new key, if it is elsewhere.
    pub key: Option<String>,
    /// For the private keys.
    pub password: Password,
}

impl fmt::Debug for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the password.
        f.debug_struct("Rotation")
            .field("interface", &self.interface)
            .field("place", &self.place)
            .field("keep_key", &self.keep_key)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// The trees of a log that no process serves: those of v1, oldest first, then those of v2.
///
/// # Errors
/// [`Error::InUse`]; [`Error::NoLog`]; if the log is not as it must be.
pub fn shards(directory: &Path, password: &Password) -> Result<Vec<ShardInfo>, Error> {
    let state = State::open_existing(directory, password)?;
    let shards = state.v1.iter().chain(&state.v2);
    Ok(shards
        .map(|shard| ShardInfo::of(directory, shard))
        .collect())
}

/// A tree, as its directory says without being opened.
pub(crate) struct Seen {
    pub(crate) interface: Interface,
    /// Its name in the directory, and what its checkpoints call it.
    pub(crate) name: String,
    pub(crate) created: u64,
    pub(crate) frozen: Option<u64>,
}

/// The trees of a log that a process may serve, and where their keys are, as far as that is known.
pub(crate) fn look(directory: &Path) -> Result<Vec<(Seen, Option<Kept>)>, Error> {
    let shards = Shards::read(directory)?.ok_or_else(|| Error::NoLog(directory.to_owned()))?;
    let of = |interface| shards.of(interface);
    let all = Interface::ALL.into_iter().flat_map(of);
    all.map(|record| {
        let seen = Seen {
            interface: record.interface,
            name: format!("{} ({})", record.tree, record.origin()),
            created: record.created,
            frozen: record.frozen,
        };
        Ok((seen, keyring::kept(directory, &record.tree)?))
    })
    .collect()
}

/// Ends the tree that takes entries, and begins a new one: gives both. No process may serve the log.
///
/// # Errors
/// [`Error::InUse`]; [`Error::NoLog`]; [`Error::Impossible`] if the new tree of v2 has no name of its own; if the log is
/// not as it must be.
pub fn rotate(directory: &Path, rotation: &Rotation) -> Result<(ShardInfo, ShardInfo), Error> {
    let Rotation {
        interface,
        password,
        ..
    } = rotation;
    let state = State::open_existing(directory, password)?;
    if rotation.keep_key && rotation.key.is_some() {
        return Err(Error::Impossible(
            "the key is either kept or exchanged: leave out --keep-key or the new key".to_owned(),
        ));
    }
    let _quiet = keep_from_copying(directory)?;
    let old = current(&state, *interface)?;
    let (host, url) = match &rotation.place {
        Some((url, host)) => (host.clone(), Some(url.clone())),
        None => (old.record.host.clone(), None),
    };
    check_host(&host)?;
    if *interface == Interface::V2 {
        let known = |shard: &Shard| shard.record.host.eq_ignore_ascii_case(&host);
        if state.v2.iter().any(known) {
            return Err(Error::Impossible(format!(
                "a new tree of v2 begins at index 0 and is told from the others by its name alone, and {host:?} is the name of one: say with --url where clients find the new one, e.g. --url https://log2.example.com"
            )));
        }
        if rotation.keep_key {
            return Err(Error::Impossible(
                "a new tree of v2 always has a new key: leave out --keep-key".to_owned(),
            ));
        }
    }
    let now = end_of(old)?;
    let mut shards = state.shards.clone();
    let name = shards.next_name(*interface);
    // Nothing was ever signed with a key that the file does not name, so one that an earlier attempt left is replaced.
    match (rotation.keep_key, keys::kept(directory, &old.record.tree)?) {
        (true, Kept::Encrypted | Kept::Plain) => {
            keys::write(directory, &name, &old.key, password)?;
        }
        (true, Kept::At(place)) => {
            drop(keys::generate(
                directory,
                &name,
                *interface,
                password,
                Some(&place),
            )?);
        }
        (false, _) => {
            let place = rotation.key.as_deref();
            drop(keys::generate(
                directory, &name, *interface, password, place,
            )?);
        }
    }
    end(&mut shards, &old.record.tree, now);
    shards.add(*interface, &host, now)?.url = url;
    shards.write(directory)?;
    let state = state.reopen(directory, shards, password)?;
    match state.of(*interface) {
        [.., old, new] => Ok((ShardInfo::of(directory, old), ShardInfo::of(directory, new))),
        _ => Err(Error::Impossible("the log has no new tree".to_owned())),
    }
}

/// Ends the trees that take entries, of one interface or of both, for good: the log can only be read. Gives what was
/// ended, which is nothing if all was. No process may serve the log.
///
/// # Errors
/// [`Error::InUse`]; [`Error::NoLog`]; if the log is not as it must be.
pub fn freeze(
    directory: &Path,
    interface: Option<Interface>,
    password: &Password,
) -> Result<Vec<ShardInfo>, Error> {
    let state = State::open_existing(directory, password)?;
    let _quiet = keep_from_copying(directory)?;
    let mut shards = state.shards.clone();
    let mut ended = Vec::new();
    for of in Interface::ALL {
        if interface.is_some_and(|only| only != of) {
            continue;
        }
        if let Some(last) = state.of(of).last().filter(|last| !last.is_frozen()) {
            end(&mut shards, &last.record.tree, end_of(last)?);
            ended.push(last.record.tree.clone());
        }
    }
    if ended.is_empty() {
        return Ok(Vec::new());
    }
    shards.write(directory)?;
    let state = state.reopen(directory, shards, password)?;
    let all = state.v1.iter().chain(&state.v2);
    let ended = all.filter(|shard| ended.contains(&shard.record.tree));
    Ok(ended.map(|shard| ShardInfo::of(directory, shard)).collect())
}

fn current(state: &State, interface: Interface) -> Result<&Shard, Error> {
    state.of(interface).last().ok_or_else(|| {
        Error::Impossible(format!(
            "the log has no tree of {interface} yet: it gets one when it is served"
        ))
    })
}

/// Marks a tree as frozen.
pub(super) fn end(shards: &mut Shards, tree: &str, now: u64) {
    let mut all = shards.shards.iter_mut();
    if let Some(record) = all.find(|record| record.tree == tree && record.frozen.is_none()) {
        record.frozen = Some(now);
    }
}

/// When a tree ends: now, and not before its last entry.
pub(super) fn end_of(shard: &Shard) -> Result<u64, Error> {
    let newest = shard.tree.size().checked_sub(1);
    let newest = newest.map(|index| shard.tree.entry(index)).transpose()?;
    let newest = newest.flatten().map_or(0, |entry| entry.integrated_ms);
    Ok(SystemClock.now_ms().max(newest) / 1000)
}

#[cfg(test)]
mod tests {
    use crate::log::frozen_line;

    #[test]
    fn the_line_of_a_frozen_checkpoint_is_that_of_rekor() {
        // `date -u -d @1795336813 '+%a %b %e %T %Z %Y'`
        assert_eq!(
            frozen_line(1_795_336_813),
            "Log frozen \u{2014} Sun Nov 22 08:40:13 UTC 2026"
        );
        assert_eq!(
            frozen_line(0),
            "Log frozen \u{2014} Thu Jan  1 00:00:00 UTC 1970"
        );
    }
}
