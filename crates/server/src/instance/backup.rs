//! A copy of an instance, made while a process may serve it.
//!
//! Invariant: what says that the copy is an instance is written last, so a copy that was not finished is none. Files
//! are copied before what they were written before, so that whatever is named in the copy is in it.

use std::fs::{self, File};
use std::path::Path;

use super::MARKER;
use super::generations::Generations;
use super::rotate::known;
use crate::{Error, durable, log, password, tuf};

/// How often the TUF repository is copied, should a process sign it anew meanwhile.
const ATTEMPTS: usize = 5;

/// Copies the instance in `directory` to `to`, where nothing may be. Everything that was acknowledged before the call is
/// in the copy. The copy has the private keys, encrypted if they are; it is served as the instance was.
///
/// # Errors
/// [`Error::Impossible`] if there is no instance, or something at `to`; if files cannot be read or written.
pub fn backup(directory: &Path, to: &Path) -> Result<(), Error> {
    let identity = known(directory)?;
    if to.exists() {
        return Err(Error::Impossible(format!(
            "{} is there already: give a place that is not, nothing is written over",
            to.display()
        )));
    }
    password::refuse_while_changing(directory)?;
    let marker = directory.join(MARKER.file);
    let marker = durable::read(&marker)?.unwrap_or_default();
    durable::create_directory(to)?;
    for service in ["ca", "ct", "tsa"] {
        // Which generations there are is read first: those that it names do not change.
        let generations = Generations::read(&directory.join(service), identity.created)?;
        let file = durable::read(&generations.file())?;
        let copy = to.join(service);
        durable::create_directory(&copy)?;
        for generation in generations.all() {
            let from = generations.folder(generation.number);
            let to = match generation.number {
                1 => copy.clone(),
                number => copy.join(number.to_string()),
            };
            let engine = from.join("log");
            // A log without entries is made by the next start.
            if engine.join("wal/committed").exists() {
                sealmark_log::backup(&engine, &to.join("log"))?;
            }
            // Issuers were written before the entries that name them.
            for folder in ["keys", "issuers"] {
                copy_files(&from.join(folder), &to.join(folder), |_| true)?;
            }
            copy_files(&from, &to, |name| name.ends_with(".pem"))?;
        }
        if let Some(file) = file {
            let name = generations.file();
            let name = name.file_name().unwrap_or_default();
            durable::write(&copy.join(name), &file, &copy)?;
        }
    }
    log::backup(&directory.join("log"), &to.join("log"))?;
    copy_tuf(&directory.join("tuf"), &to.join("tuf"))?;
    for service in ["oidc", "witness"] {
        let (from, to) = (directory.join(service), to.join(service));
        for folder in ["keys", "logs"] {
            copy_files(&from.join(folder), &to.join(folder), |_| true)?;
        }
        copy_files(&from, &to, |name| name != super::LOCK)?;
    }
    // For clients; each start writes them anew.
    let is_for_clients = |name: &str| {
        [".json", ".pem", ".pub"]
            .iter()
            .any(|ending| name.ends_with(ending))
    };
    copy_files(directory, to, is_for_clients)?;
    password::copy(directory, to)?;
    // It may have been changed since: then some keys have the old one.
    password::refuse_while_changing(directory)?;
    durable::write(&to.join(MARKER.file), &marker, to)
}

/// Copies a TUF repository: keys, and all metadata. Should a process have replaced some of it meanwhile, once more.
fn copy_tuf(from: &Path, to: &Path) -> Result<(), Error> {
    let mut attempt = 1;
    loop {
        copy_files(&from.join("keys"), &to.join("keys"), |_| true)?;
        // The timestamp first: what it speaks of was there before it, and stays for some time.
        let repository = Path::new("repository");
        let is_timestamp = |name: &str| name == "timestamp.json";
        let (from_files, to_files) = (from.join(repository), to.join(repository));
        copy_files(&from_files, &to_files, is_timestamp)?;
        copy_files(&from_files, &to_files, |name| !is_timestamp(name))?;
        let targets = Path::new("targets");
        copy_files(&from_files.join(targets), &to_files.join(targets), |_| true)?;
        copy_files(from, to, |name| name != super::LOCK)?;
        match tuf::look(to) {
            Ok(_) => return Ok(()),
            Err(error) if attempt == ATTEMPTS => return Err(error),
            Err(_) => attempt += 1,
        }
    }
}

/// Copies the files of a folder, if it is there, with their modes; what is not finished is left out, and what goes away
/// meanwhile.
fn copy_files(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> Result<(), Error> {
    let mut names = durable::list(from)?;
    names.retain(|name| !name.starts_with(".tmp") && wanted(name) && !from.join(name).is_dir());
    if names.is_empty() {
        return Ok(());
    }
    durable::create_directory(to)?;
    for name in names {
        let (from, to) = (from.join(&name), to.join(&name));
        let copied = fs::copy(&from, &to).and_then(|_| File::open(&to)?.sync_all());
        match copied {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            copied => copied.map_err(Error::io("copy", &from))?,
        }
    }
    File::open(to)
        .and_then(|folder| folder.sync_all())
        .map_err(Error::io("flush", to))
}
