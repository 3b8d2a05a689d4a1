//! The directory of a whole instance, as crashes and accidents leave it: a start goes on with what is there, or says
//! which file is damaged. It never makes a second key, nor another root, in the place of one that was used.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sealmark_identity::Configuration;
use sealmark_server::Error;
use sealmark_server::instance::{Instance, Options};
use sealmark_server::log;
use sealmark_server::oidc;

const URL: &str = "http://sigstore.example:3000";

fn open(directory: &Path) -> Result<Instance, Error> {
    let options = Options {
        url: URL.to_owned(),
        host: "sigstore.example".to_owned(),
        password: None,
        keys: sealmark_server::elsewhere::Places::default(),
        issuers: Configuration::default(),
        log: log::Options::new("sigstore.example"),
        dev_issuer: Some(oidc::Options::new(format!("{URL}{}", oidc::PATH))),
    };
    let instance = Instance::open(directory, options)?;
    instance.tuf.publish(&[("trusted_root.json", "a root")])?;
    Ok(instance)
}

/// All that others know an instance by.
fn known_by(instance: &Instance) -> BTreeMap<&'static str, String> {
    let pems = |chain: &[sealmark_x509::Certificate]| -> String {
        chain
            .iter()
            .map(sealmark_x509::Certificate::to_pem)
            .collect()
    };
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let issuer = instance.dev_issuer.as_ref().unwrap();
    BTreeMap::from([
        ("CA", pems(&instance.ca.chain())),
        ("CT log", instance.ct.public_key().to_pem()),
        ("timestamps", pems(instance.tsa.chain())),
        ("log v1", read(&instance.log.public_key_v1())),
        ("tree", instance.log.tree_id().to_string()),
        ("issuer", issuer.key_set().to_json().unwrap().to_string()),
        ("TUF", String::from_utf8(instance.tuf.first_root()).unwrap()),
    ])
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// All files below a directory, by their path in it.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(root: &Path, directory: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(root, &path, found),
                false => {
                    let name = path.strip_prefix(root).unwrap().to_owned();
                    found.insert(name, fs::read(&path).unwrap());
                }
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(directory, directory, &mut found);
    found
}

/// The private keys.
fn keys(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = files(directory);
    found.retain(|path, _| {
        path.extension().is_some_and(|it| it == "pem")
            && path.components().any(|part| part.as_os_str() == "keys")
    });
    found
}

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Gone,
    Empty,
    Half,
    LastByte,
}

impl Damage {
    fn of(self, path: &Path) {
        let whole = fs::read(path).unwrap();
        match self {
            Self::Gone => fs::remove_file(path).unwrap(),
            Self::Empty => fs::write(path, "").unwrap(),
            Self::Half => fs::write(path, &whole[..whole.len() / 2]).unwrap(),
            Self::LastByte => fs::write(path, &whole[..whole.len().saturating_sub(1)]).unwrap(),
        }
    }
}

#[test]
fn a_damaged_file_is_named_or_made_good_and_no_key_is_another() {
    let whole = tempfile::tempdir().unwrap();
    let instance = open(whole.path()).unwrap();
    let before = known_by(&instance);
    drop(instance);
    assert!(keys(whole.path()).len() >= 9);
    let mut refused = 0;
    for (file, content) in files(whole.path()) {
        for damage in [Damage::Gone, Damage::Empty, Damage::Half, Damage::LastByte] {
            let what = format!("{damage:?}: {}", file.display());
            // What is small is read whole; of what is large the log's own tests try every byte.
            let is_small = file
                .extension()
                .is_some_and(|it| it == "pem" || it == "pub");
            let skips = matches!(damage, Damage::Empty | Damage::LastByte) && !is_small;
            if skips || content.is_empty() && !matches!(damage, Damage::Gone) {
                continue;
            }
            let directory = tempfile::tempdir().unwrap();
            copy(whole.path(), directory.path());
            damage.of(&directory.path().join(&file));
            let damaged_keys = keys(directory.path());
            match open(directory.path()) {
                Ok(instance) => {
                    let mut after = known_by(&instance);
                    // The key's own certificate may be another one, for the same key and by the same root: whoever trusts the
                    // root has no difference. It is what a crash leaves between a key and its certificate.
                    for (leaf, name) in [("ca/ca.pem", "CA"), ("tsa/tsa.pem", "timestamps")] {
                        if file == Path::new(leaf) {
                            let root =
                                |pem: &str| pem[pem.rfind("-----BEGIN").unwrap()..].to_owned();
                            assert_eq!(root(&after[name]), root(&before[name]), "{what}");
                            after.insert(name, before[name].clone());
                        }
                    }
                    for (name, value) in &before {
                        assert_eq!(&after[name], value, "{what}: {name}");
                    }
                    for (key, content) in keys(directory.path()) {
                        let same = damaged_keys.get(&key) == Some(&content);
                        assert!(same, "{what}: {key:?} is new");
                    }
                }
                Err(error) => {
                    refused += 1;
                    let text = error.to_string();
                    let name = file.file_name().unwrap().to_string_lossy().into_owned();
                    let folder = file
                        .parent()
                        .and_then(Path::file_name)
                        .map(|it| it.to_string_lossy().into_owned());
                    let names = text.contains("is not an instance of sealmark")
                        || text.contains(&name)
                        || folder.is_some_and(|it| text.contains(&it));
                    assert!(names, "{what}: {text}");
                    assert_eq!(
                        keys(directory.path()),
                        damaged_keys,
                        "{what}: a key was made or changed"
                    );
                }
            }
        }
    }
    assert!(refused > 30, "{refused}");
}

/// Whole folders that are gone, as after a restore that forgot some.
#[test]
fn a_missing_folder_is_no_new_beginning() {
    let whole = tempfile::tempdir().unwrap();
    drop(open(whole.path()).unwrap());
    for folder in [
        "ca/keys",
        "ct/keys",
        "ct/log",
        "tsa/keys",
        "log/keys",
        "log/log",
        "tuf/keys",
        "tuf/repository",
    ] {
        let directory = tempfile::tempdir().unwrap();
        copy(whole.path(), directory.path());
        fs::remove_dir_all(directory.path().join(folder)).unwrap();
        let before = keys(directory.path());
        let opened = open(directory.path());
        let error = opened
            .err()
            .unwrap_or_else(|| panic!("{folder}: it began anew"))
            .to_string();
        let says = ["is missing", "is damaged", "restore it"];
        assert!(
            says.iter().any(|it| error.contains(it)),
            "{folder}: {error}"
        );
        assert_eq!(keys(directory.path()), before, "{folder}: a key was made");
    }
}

/// Files come one after the other, each whole when it has its name: what a crash leaves is the first of them, and
/// temporary files.
#[test]
fn a_first_start_that_was_cut_off_anywhere_is_finished_by_the_next() {
    let whole = tempfile::tempdir().unwrap();
    drop(open(whole.path()).unwrap());
    // In the order in which they were made.
    let mut made: Vec<(std::time::SystemTime, PathBuf)> = files(whole.path())
        .into_keys()
        .map(|path| {
            let data = fs::metadata(whole.path().join(&path)).unwrap();
            (data.modified().unwrap(), path)
        })
        .collect();
    made.sort();
    let is_small = |path: &Path| {
        ["ca", "ct/keys", "tsa", "oidc"]
            .iter()
            .any(|part| path.starts_with(part))
            || path == Path::new("sealmark-instance")
            || path == Path::new("lock")
    };
    let small: Vec<&PathBuf> = made
        .iter()
        .map(|(_, path)| path)
        .filter(|path| is_small(path))
        .collect();
    for count in 1..=small.len() {
        let directory = tempfile::tempdir().unwrap();
        let mut before = BTreeMap::new();
        // The lock is there before all else.
        for path in std::iter::once(&PathBuf::from("lock")).chain(small.iter().take(count).copied())
        {
            let to = directory.path().join(path);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(whole.path().join(path), &to).unwrap();
            before.insert(path.clone(), fs::read(&to).unwrap());
        }
        before.remove(Path::new("lock"));
        if !before.contains_key(Path::new("sealmark-instance")) {
            continue;
        }
        // What the one after was when it was being written.
        if let Some(next) = small.get(count) {
            let content = fs::read(whole.path().join(next)).unwrap();
            let folder = directory.path().join(next.parent().unwrap());
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(".tmpAbCdEf"), &content[..content.len() / 2]).unwrap();
        }
        let opened = open(directory.path());
        let opened = opened.unwrap_or_else(|error| panic!("{count}: {error}"));
        let first = known_by(&opened);
        drop(opened);
        for (path, content) in before {
            assert_eq!(
                fs::read(directory.path().join(&path)).unwrap(),
                content,
                "{count}: {path:?}"
            );
        }
        let again = open(directory.path()).unwrap_or_else(|error| panic!("{count}: {error}"));
        assert_eq!(known_by(&again), first, "{count}");
    }
}
