//! The password of an instance's private keys: from a file, from the environment, or made at random and wrapped by a key in a
//! KMS. And `serve password`, which exchanges it.
//!
//! Invariant: a password that is made here was wrapped, unwrapped again and written before any key is encrypted with it.
//! Where a directory has a wrapped password, no other is used for it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sealmark_kms::wrap::{Context, Wrapped};
use sealmark_kms::{KeyRef, wrap};
use sealmark_server::password;
use serde_json::json;
use zeroize::Zeroizing;

use super::status::Format;
use super::{blocking, host, keys};
use crate::commands::log::absolute;
use crate::error::Error;
use crate::service_flags::key_options;
use crate::terminal::Terminal;

/// The password for the keys. Not a flag: other users of a machine can see those. The second one is what it was called
/// when there was only a log.
const VARIABLES: [&str; 2] = ["SEALMARK_PASSWORD", "SEALMARK_LOG_PASSWORD"];
/// A file with the password.
pub(super) const FILE_VARIABLE: &str = "SEALMARK_PASSWORD_FILE";
/// The key that wraps it.
const KMS_VARIABLE: &str = "SEALMARK_PASSWORD_KMS";
/// A password in a file is not longer than this, in bytes.
const MAX_PASSWORD: u64 = 64 * 1024;
/// The longest name of a host.
const MAX_NAME: usize = 253;
/// Time for wrapping or unwrapping, with all that a provider is asked for.
const ASKING: Duration = Duration::from_secs(60);

/// A password for the keys of a service, if there is one.
pub(crate) type Password = Option<Zeroizing<Vec<u8>>>;

/// Where the password comes from.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct PasswordFlags {
    /// File with the password that encrypts the private keys; or in SEALMARK_PASSWORD_FILE or SEALMARK_PASSWORD
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Key in a KMS that wraps the password, which is made at random, e.g. awskms:///alias/sigstore; or in
    /// SEALMARK_PASSWORD_KMS. The directory remembers it
    #[arg(long, value_name = "REF", value_parser = keys::checked, conflicts_with = "password_file")]
    password_kms: Option<String>,
}

impl PasswordFlags {
    /// Whether any was given.
    pub(super) fn are_given(&self) -> bool {
        self.password_file.is_some() || self.password_kms.is_some()
    }

    /// The password of a directory that there is.
    pub(super) async fn of(
        &self,
        directory: &Path,
        terminal: &Terminal,
    ) -> Result<Password, Error> {
        self.find(directory, None, terminal).await
    }

    /// The password of a directory that is served, and may be new; `url` is where clients find it.
    pub(super) async fn first(
        &self,
        directory: &Path,
        url: &str,
        terminal: &Terminal,
    ) -> Result<Password, Error> {
        self.find(directory, Some(&named(url)), terminal).await
    }

    /// `new` is the name of an instance for which one may be made.
    async fn find(
        &self,
        directory: &Path,
        new: Option<&str>,
        terminal: &Terminal,
    ) -> Result<Password, Error> {
        let folder = directory.to_owned();
        // What somebody has decided, and a crash has kept from being finished.
        if blocking(move || Ok(password::finish(&folder)?)).await? {
            terminal.note("the change of the password that was cut off is finished");
        }
        let file = file(self.password_file.as_deref());
        let key = self.key()?;
        if let Some(wrapped) = wrapped(directory)? {
            let path = directory.join(password::FILE);
            if let Some(key) = key.filter(|key| !wrapped.is_by(key)) {
                return Err(Error::Usage(format!(
                    "{} was wrapped by {}, not by {key}: leave the key out, or exchange it with `sealmark serve password --dir {} --new-password-kms {key}`",
                    path.display(),
                    wrapped.key(),
                    directory.display()
                )));
            }
            if let Some(other) = file.map(|_| FILE_VARIABLE).or_else(variable) {
                let given = match self.password_file {
                    Some(_) => "--password-file",
                    None => other,
                };
                return Err(Error::Usage(format!(
                    "the password of this directory is the one in {}, which {} wraps, so that {given} cannot be: leave it out",
                    path.display(),
                    wrapped.key()
                )));
            }
            return unwrap(&wrapped, terminal).await.map(Some);
        }
        let Some(key) = key else {
            return given(file.as_deref());
        };
        if file.is_some() || variable().is_some() {
            return Err(Error::Usage(format!(
                "a password that {key} wraps is made at random, so that none can be given: unset {FILE_VARIABLE} and {}",
                VARIABLES.join(" and ")
            )));
        }
        match new {
            Some(instance) if password::is_new(directory)? => {
                let secret = password::random()?;
                let made = make(&key, &secret, instance, terminal).await?;
                if !password::create(directory, &made.to_json())? {
                    // Another process has begun at the same time; one of the two will get the directory.
                    let wrapped = wrapped(directory)?.ok_or_else(|| missing(directory))?;
                    return unwrap(&wrapped, terminal).await.map(Some);
                }
                terminal.note(format!(
                    "the private keys are encrypted with a password that {} wraps, in {}",
                    made.key(),
                    directory.join(password::FILE).display()
                ));
                Ok(Some(secret))
            }
            _ => Err(Error::Usage(format!(
                "{} was made without a password that a KMS wraps: nothing was changed; stop the server and run `sealmark serve password --dir {} --new-password-kms {key}`, which encrypts its keys anew",
                directory.display(),
                directory.display()
            ))),
        }
    }

    /// The key that is named.
    fn key(&self) -> Result<Option<KeyRef>, Error> {
        let text = match &self.password_kms {
            Some(text) => text.clone(),
            None if self.password_file.is_some() => return Ok(None),
            None => match std::env::var(KMS_VARIABLE) {
                Ok(text) if !text.is_empty() => text,
                _ => return Ok(None),
            },
        };
        Ok(Some(KeyRef::parse(&text)?))
    }
}

/// The password for the keys of a log, by the variables and by what is in its directory.
pub(crate) async fn of(directory: &Path, terminal: &Terminal) -> Result<Password, Error> {
    PasswordFlags::default().of(directory, terminal).await
}

/// What the directory has wrapped.
pub(super) fn wrapped(directory: &Path) -> Result<Option<Wrapped>, Error> {
    let Some(content) = password::read(directory)? else {
        return Ok(None);
    };
    let path = directory.join(password::FILE);
    let wrapped = Wrapped::parse(&content);
    wrapped
        .map(Some)
        .map_err(|reason| Error::Usage(format!("cannot use {}: {reason}", path.display())))
}

fn missing(directory: &Path) -> Error {
    let path = directory.join(password::FILE);
    Error::Usage(format!("{} went away while it was read", path.display()))
}

async fn make(
    key: &KeyRef,
    secret: &[u8],
    instance: &str,
    terminal: &Terminal,
) -> Result<Wrapped, Error> {
    let options = key_options(terminal);
    let asking = wrap::wrap(key, secret, Context { instance }, &options);
    let made = tokio::time::timeout(ASKING, asking).await;
    Ok(made.map_err(|_| silent(&key.to_string()))??)
}

/// Has the password unwrapped.
pub(super) async fn unwrap(
    wrapped: &Wrapped,
    terminal: &Terminal,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let options = key_options(terminal);
    let opened = tokio::time::timeout(ASKING, wrap::unwrap(wrapped, &options)).await;
    Ok(opened.map_err(|_| silent(wrapped.key()))??)
}

fn silent(key: &str) -> Error {
    Error::Usage(format!("{key}: no answer within {} s", ASKING.as_secs()))
}

/// What providers are told whose password it is: the host of a URL, or as much of it as there is.
fn named(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let name = host(url).unwrap_or(rest);
    let shown = name.chars().filter(char::is_ascii_graphic);
    shown.take(MAX_NAME).collect()
}

/// The file that is named.
fn file(given: Option<&Path>) -> Option<PathBuf> {
    let named = std::env::var_os(FILE_VARIABLE).filter(|path| !path.is_empty());
    given
        .map(Path::to_owned)
        .or_else(|| named.map(PathBuf::from))
}

/// The variable that has a password.
fn variable() -> Option<&'static str> {
    let mut names = VARIABLES.into_iter();
    names.find(|name| std::env::var_os(name).is_some())
}

/// The password in this file, or in a variable.
fn given(file: Option<&Path>) -> Result<Password, Error> {
    if let Some(path) = file {
        return read_password(path).map(Some);
    }
    for variable in VARIABLES {
        match std::env::var(variable) {
            Ok(password) if password.is_empty() => {
                return Err(Error::Usage(format!(
                    "{variable} is empty: unset it, or give a password"
                )));
            }
            Ok(password) => return Ok(Some(Zeroizing::new(password.into_bytes()))),
            Err(std::env::VarError::NotPresent) => {}
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(Error::Usage(format!("{variable} is not Unicode")));
            }
        }
    }
    Ok(None)
}

/// A password is the first line of its file, or all of it.
fn read_password(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = |cause| Error::file("read", path, cause);
    let mut password = Zeroizing::new(Vec::new());
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_PASSWORD)
        .read_to_end(&mut password)
        .map_err(failed)?;
    let ends = |byte: &u8| [b'\n', b'\r'].contains(byte);
    let end = password.iter().position(ends).unwrap_or(password.len());
    if end == 0 {
        let path = path.display();
        return Err(Error::Usage(format!("{path} has no password in it")));
    }
    password.truncate(end);
    Ok(password)
}

/// Flags.
#[derive(clap::Args, Debug)]
#[command(group = clap::ArgGroup::new("new").required(true))]
pub(crate) struct Arguments {
    /// Directory of the instance, or of a service, as `serve` has it as --dir; stop the server first
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    password: PasswordFlags,
    /// File with the new password
    #[arg(long, value_name = "FILE", group = "new")]
    new_password_file: Option<PathBuf>,
    /// Key in a KMS that wraps the new password, which is made at random
    #[arg(long, value_name = "REF", value_parser = keys::checked, group = "new")]
    new_password_kms: Option<String>,
    /// File of a key elsewhere that has the password, too, such as the TUF root key; may be repeated
    #[arg(long, value_name = "FILE")]
    also: Vec<PathBuf>,
    /// How the result is printed
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// Encrypts all keys of a directory with another password.
pub(super) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    let directory = absolute(&arguments.dir)?;
    if !directory.is_dir() {
        let dir = directory.display();
        return Err(Error::Usage(format!("there is no directory {dir}")));
    }
    let also: Result<Vec<_>, _> = arguments.also.iter().map(|file| absolute(file)).collect();
    let also = also?;
    let old = arguments.password.of(&directory, terminal).await?;
    let (new, made) = match (&arguments.new_password_file, &arguments.new_password_kms) {
        (Some(file), _) => (read_password(file)?, None),
        (None, key) => {
            let key = KeyRef::parse(key.as_deref().unwrap_or_default())?;
            let secret = password::random()?;
            let url = password::url(&directory)?;
            let url = url.unwrap_or_else(|| {
                let name = directory.file_name().unwrap_or_default();
                name.to_string_lossy().into_owned()
            });
            let made = make(&key, &secret, &named(&url), terminal).await?;
            (secret, Some(made))
        }
    };
    let (folder, json) = (directory.clone(), made.as_ref().map(Wrapped::to_json));
    let count = blocking(move || {
        let changed = password::change(&folder, old.as_ref(), &new, json.as_deref(), &also);
        Ok(changed?)
    })
    .await?;
    let key = made.as_ref().map(Wrapped::key);
    if arguments.output == Format::Json {
        return terminal.json(&json!({"keys": count, "passwordKms": key}));
    }
    terminal.line(match key {
        Some(key) => format!(
            "{count} private keys are encrypted with a new password, which {key} wraps, in {}",
            directory.join(password::FILE).display()
        ),
        None => format!("{count} private keys are encrypted with the new password"),
    })?;
    terminal.note(
        "copies that were made before have the old password; so have key files elsewhere that --also did not name",
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_of_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        for (content, password) in [
            ("secret", Some("secret")),
            ("two words\n", Some("two words")),
            ("secret\r\nand more\n", Some("secret")),
            ("", None),
            ("\nsecret", None),
        ] {
            std::fs::write(&path, content).unwrap();
            let read = read_password(&path).ok();
            let read = read.as_ref().map(|read| str::from_utf8(read).unwrap());
            assert_eq!(read, password, "{content:?}");
        }
    }

    #[test]
    fn providers_are_told_the_host_of_an_instance() {
        for (url, name) in [
            ("https://sigstore.example.com:8443", "sigstore.example.com"),
            ("https://example.com/witness", "example.com/witness"),
            ("log", "log"),
        ] {
            assert_eq!(named(url), name);
        }
    }
}
