//! `fsck`: reads a whole log, with its keys and what it consists of, and says where it contradicts itself.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use sealmark_keys::PublicKey;
use sealmark_log::{CheckpointSigner, Finding, Log, Settings};
use sealmark_tlog::{Checkpoint, Note};

use super::keys::{self, Password};
use super::shards::{Interface, MARKER, Record, Shards, Stage};
use super::state::{ENGINE, check_trees, read_locked};
use crate::Error;
use crate::elsewhere::Kept;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Fsck {
    /// The trees: name, origin and number of entries that were read.
    pub trees: Vec<(String, String, u64)>,
    /// What is not as it must be; nothing, if the log is sound.
    pub findings: Vec<Finding>,
}

impl Fsck {
    fn add(&mut self, place: impl ToString, reason: impl ToString) {
        self.findings.push(Finding {
            place: place.to_string(),
            reason: reason.to_string(),
        });
    }

    fn add_error(&mut self, directory: &Path, error: Error) {
        match error {
            Error::Log(sealmark_log::Error::Damaged { place, reason }) => self.add(place, reason),
            Error::Key { path, problem } => self.add(path.display(), problem),
            other => self.add(directory.display(), other),
        }
    }
}

/// Checks a log that no process serves: check a [`backup`](super::backup) of one that must not stop. Private keys that
/// are encrypted are compared with their public parts only if there is a password.
///
/// # Errors
/// [`Error::InUse`]; [`Error::NoLog`]; [`Error::Io`] if the directory cannot be read. What is wrong with the log is in
/// what is given.
pub fn fsck(directory: &Path, password: &Password) -> Result<Fsck, Error> {
    let mut report = Fsck::default();
    let (_lock, shards) = match read_locked(directory) {
        Ok(read) => read,
        Err(error @ Error::Log(sealmark_log::Error::Damaged { .. })) => {
            report.add_error(directory, error);
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    let mut signers: HashMap<String, Arc<dyn CheckpointSigner>> = HashMap::new();
    let parts = shards.shards.iter();
    for record in parts.filter(|record| record.stage == Stage::Ready) {
        match check_key(directory, record, password) {
            Err(error) => report.add_error(directory, error),
            Ok(key) => {
                let origin = record.origin();
                let reader: Arc<dyn CheckpointSigner> = Arc::new(Reader { origin, key });
                signers.insert(record.tree.clone(), reader);
            }
        }
    }
    let engine = directory.join(ENGINE);
    if !engine.exists() {
        if let Err(error) = check_trees(directory, &shards, &[]) {
            report.add_error(directory, error);
        }
        return Ok(report);
    }
    let found = sealmark_log::fsck(&engine, &signers)?;
    let names: Vec<String> = found.trees.iter().map(|(name, _)| name.clone()).collect();
    let unread = names.is_empty() && !found.findings.is_empty();
    report.findings.extend(found.findings);
    if !unread && let Err(error) = check_trees(directory, &shards, &names) {
        report.add_error(directory, error);
    }
    for (name, size) in found.trees {
        let record = shards.shards.iter().find(|record| record.tree == name);
        let origin = record.map(Record::origin).unwrap_or_default();
        report.trees.push((name, origin, size));
    }
    if report.findings.is_empty() {
        check_states(directory, &shards, &mut report)?;
    }
    Ok(report)
}

/// The key of a tree is there, and fits.
fn check_key(directory: &Path, record: &Record, password: &Password) -> Result<PublicKey, Error> {
    let name = &record.tree;
    let public = keys::read_public(directory, name, record.interface)?;
    let is_read = match keys::kept(directory, name)? {
        Kept::Plain => true,
        Kept::Encrypted => password.is_some(),
        // What is checked is the directory.
        Kept::At(_) => false,
    };
    if is_read {
        let private = keys::read_private(directory, name, record.interface, password)?;
        if private.public_key() != &public {
            return Err(Error::Key {
                path: keys::public_path(directory, name),
                problem: format!("it is not of the private key keys/{name}.pem"),
            });
        }
    }
    Ok(public)
}

/// The engine says the same as the file about what is frozen and what it is called.
fn check_states(directory: &Path, shards: &Shards, report: &mut Fsck) -> Result<(), Error> {
    let log = Log::open_directory(&directory.join(ENGINE), Settings::default())?;
    let marker = directory.join(MARKER);
    for record in &shards.shards {
        let Ok(tree) = log.tree(&record.tree) else {
            continue;
        };
        let name = &record.tree;
        if tree.origin() != record.origin() {
            let (origin, named) = (tree.origin(), record.origin());
            report.add(
                marker.display(),
                format!("tree {name:?} is {named:?} here, and {origin:?} in log/"),
            );
        }
        // The other way round, an end that was decided is only not done yet; opening the log does it.
        if tree.is_frozen() && record.frozen.is_none() {
            let reason = format!("tree {name:?} takes entries here, and is frozen in log/");
            report.add(marker.display(), reason);
        }
        if record.stage != Stage::Importing
            && tree.length_prefix() != record.interface.prefix()
            && record.interface == Interface::V2
        {
            let reason = format!("tree {name:?} of v2 has bundles that are not public");
            report.add(marker.display(), reason);
        }
    }
    Ok(())
}

/// Knows the checkpoints of a key, and signs none.
struct Reader {
    origin: String,
    key: PublicKey,
}

impl CheckpointSigner for Reader {
    fn origin(&self) -> &str {
        &self.origin
    }

    fn sign(&self, _: &Checkpoint, _: u64) -> Result<String, String> {
        Err("nothing is signed while a log is checked".to_owned())
    }

    fn open(&self, note: &str) -> Result<Checkpoint, String> {
        let open = || {
            let note = Note::parse(note)?;
            note.verify_by(None, &self.key)?;
            Checkpoint::parse(&note.text)
        };
        let checkpoint = open().map_err(|error: sealmark_tlog::Error| error.to_string())?;
        match checkpoint.origin == self.origin {
            true => Ok(checkpoint),
            false => Err(format!(
                "it is of the log {:?}, not of {:?}",
                checkpoint.origin, self.origin
            )),
        }
    }
}
