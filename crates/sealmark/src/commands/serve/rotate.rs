//! `serve rotate`: new keys for a service of an instance that is stopped, made known to clients.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sealmark_identity::Configuration;
use sealmark_keys::PrivateKey;
use sealmark_server::elsewhere::Places;
use sealmark_server::instance::{Options, Rotated, Rotating, Stopped};
use sealmark_server::log::{self, Interface, Rotation};
use sealmark_server::tuf::{Repository, Role};
use serde_json::{Value, json};

use super::status::Format;
use super::{Password, PasswordFlags, blocking, host, keys};
use crate::commands::client_files::{known_oidc, publish_instance};
use crate::commands::log::{Which as Trees, absolute, name, show};
use crate::error::Error;
use crate::terminal::Terminal;

/// A private key's file is not longer than this, in bytes.
const MAX_KEY: u64 = 1 << 20;
/// Keys do not wait longer, in seconds: a year.
const MAX_WAIT: u64 = 366 * 86_400;
/// With --tuf-root-key, the root is signed anew when it ends within so many days; it is good for a year.
const RENEW_ROOT: i64 = 90;

/// Whose keys are exchanged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Service {
    /// The certificate authority
    Ca,
    /// Its certificate transparency log
    Ct,
    /// The transparency log
    Log,
    /// The timestamp authority
    Tsa,
    /// The TUF repository
    Tuf,
}

/// Flags.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Which service
    #[arg(value_enum)]
    service: Service,
    /// Directory of the instance, as `serve` has it as --dir; stop the server first
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    password: PasswordFlags,
    /// The new key, if it is elsewhere, e.g. awskms:///alias/ca-2: what sign has as --key
    #[arg(long, value_name = "REF", value_parser = keys::checked)]
    key: Option<String>,
    /// Tell clients of the new keys now, and use them after this time, e.g. 2d or 36h (ca, ct, tsa)
    #[arg(long = "in", value_name = "TIME", value_parser = wait)]
    wait: Option<u64>,
    /// A new root, too, not only a new key below it (ca, tsa)
    #[arg(long)]
    new_root: bool,
    /// Whose tree ends; the other interface goes on as it is (log)
    #[arg(long, value_enum)]
    interface: Option<Trees>,
    /// Where clients find the new tree; needed for v2, whose trees are told by their names (log)
    #[arg(long, value_name = "URL")]
    log_url: Option<String>,
    /// The root key, not the one that signs the rest (tuf)
    #[arg(long, conflicts_with = "renew_root")]
    root: bool,
    /// No new key: sign the root anew, which is good for a year then (tuf)
    #[arg(long)]
    renew_root: bool,
    /// The root key, if it is not in DIR (tuf)
    #[arg(long, value_name = "FILE")]
    root_key: Option<PathBuf>,
    /// Move the root key to this file in the end; alone, do only that (tuf)
    #[arg(long, value_name = "FILE")]
    export_root_key: Option<PathBuf>,
    /// How the result is printed
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// A time in seconds.
fn wait(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let unit = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        "w" => Some(7 * 86_400),
        _ => None,
    };
    let seconds = unit.and_then(|unit| number.parse::<u64>().ok()?.checked_mul(unit));
    seconds
        .filter(|seconds| *seconds <= MAX_WAIT)
        .ok_or_else(|| {
            "it must be seconds, minutes, hours, days or weeks, e.g. 30m, 36h, 2d or 1w, and at most a year"
                .to_owned()
        })
}

impl Arguments {
    /// Checks that the flags go together.
    fn check(&self) -> Result<(), Error> {
        use Service::{Ca, Ct, Log, Tsa, Tuf};
        let tuf = self.root || self.renew_root;
        let tuf = tuf || self.root_key.is_some() || self.export_root_key.is_some();
        for (given, flag, services) in [
            (self.wait.is_some(), "--in", &[Ca, Ct, Tsa][..]),
            (self.new_root, "--new-root", &[Ca, Tsa]),
            (self.interface.is_some(), "--interface", &[Log]),
            (self.log_url.is_some(), "--log-url", &[Log]),
            (
                tuf,
                "each of --root, --renew-root, --root-key and --export-root-key",
                &[Tuf],
            ),
        ] {
            if given && !services.contains(&self.service) {
                let names: Vec<_> = services
                    .iter()
                    .map(|it| format!("{it:?}").to_lowercase())
                    .collect();
                let names = names.join(", ");
                return Err(Error::Usage(format!("{flag} is for {names}")));
            }
        }
        let is_online = !self.root && !self.renew_root;
        let is_online = is_online && (self.export_root_key.is_none() || self.root_key.is_some());
        if self.service == Tuf && self.key.is_some() && !is_online {
            return Err(Error::Usage(
                "--key is for the key that signs targets, snapshot and timestamp; a root key elsewhere is a file, which --export-root-key makes"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

/// What was done, for people and for programs.
struct Done {
    lines: Vec<String>,
    json: Value,
}

/// Rotates.
pub(super) async fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<(), Error> {
    arguments.check()?;
    let format = arguments.output;
    let directory = absolute(&arguments.dir)?;
    let password = arguments.password.of(&directory, terminal).await?;
    keys::install(&password, terminal);
    let done = blocking(move || rotate(&arguments, &directory, password)).await;
    if let Err(Error::Server(sealmark_server::Error::InUse { .. })) = &done {
        terminal.note(
            "keys are exchanged while nobody signs with them: stop the server (SIGTERM lets its requests finish), rotate, and start it again; that takes seconds, and clients try again. `serve backup` and `serve status` work beside it",
        );
    }
    let done = done?;
    if format == Format::Json {
        return terminal.json(&done.json);
    }
    for line in done.lines {
        terminal.line(line)?;
    }
    Ok(())
}

fn rotate(arguments: &Arguments, directory: &Path, password: Password) -> Result<Done, Error> {
    let stopped = Stopped::open(directory, password.clone())?;
    let url = stopped.url().to_owned();
    let host = host(&url)?.to_owned();
    let new_root = arguments.new_root;
    let rotating = match arguments.service {
        Service::Ca => Rotating::Ca { new_root },
        Service::Ct => Rotating::Ct,
        Service::Tsa => Rotating::Tsa { new_root },
        Service::Log => {
            let mut done = rotate_log(arguments, &stopped, &host, password.clone())?;
            publish(stopped, directory, &url, host, password)?;
            done.lines.push(told(directory));
            return Ok(done);
        }
        Service::Tuf => return rotate_tuf(arguments, &stopped.tuf()?, password.as_ref()),
    };
    let place = arguments.key.as_deref();
    let rotated = stopped.rotate(&host, rotating, arguments.wait.unwrap_or_default(), place)?;
    publish(stopped, directory, &url, host, password)?;
    let service = format!("{:?}", arguments.service).to_lowercase();
    let mut done = of_generation(&service, rotated);
    done.lines.push(told(directory));
    Ok(done)
}

/// Tells clients. Should this process die before, the next start does it.
fn publish(
    stopped: Stopped,
    directory: &Path,
    url: &str,
    host: String,
    password: Password,
) -> Result<(), Error> {
    let instance = stopped.into_instance(Options {
        url: url.to_owned(),
        log: log::Options {
            password: password.clone(),
            ..log::Options::new(&host)
        },
        host,
        password,
        keys: Places::default(),
        issuers: Configuration::default(),
        dev_issuer: None,
    })?;
    publish_instance(directory, url, &instance, known_oidc(directory))
}

fn told(directory: &Path) -> String {
    format!(
        "published, old and new: {} and the TUF repository; start the server again",
        directory.join("trusted_root.json").display()
    )
}

fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok();
    let time = time.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.unwrap_or_default().to_string()
}

fn of_generation(service: &str, rotated: Rotated) -> Done {
    let Rotated {
        number,
        since,
        old_until,
    } = rotated;
    let lines = match old_until {
        Some(until) => vec![
            format!(
                "{service}: generation {number} signs from {} on",
                time(since)
            ),
            format!(
                "generation {} stays trusted for what it signed until {}",
                number - 1,
                time(until)
            ),
        ],
        None => vec![format!(
            "{service}: generation {number} signs after {}; until then clients learn of it",
            time(since)
        )],
    };
    let json = json!({
        "service": service,
        "generation": number,
        "since": time(since),
        "previousUntil": old_until.map(time),
    });
    Done { lines, json }
}

fn rotate_log(
    arguments: &Arguments,
    stopped: &Stopped,
    own: &str,
    password: Password,
) -> Result<Done, Error> {
    let interface = arguments.interface.map_or(Interface::V1, Interface::from);
    let place = match &arguments.log_url {
        Some(url) => {
            let url = url.trim_end_matches('/');
            Some((url.to_owned(), host(url)?.to_owned()))
        }
        None => None,
    };
    if interface == Interface::V1 && place.as_ref().is_some_and(|(_, host)| host != own) {
        return Err(Error::Usage(format!(
            "an instance has one URL, and its tree of v1 the host of that, {own}: leave out --log-url"
        )));
    }
    let rotation = Rotation {
        interface,
        place,
        keep_key: false,
        key: arguments.key.clone(),
        password,
    };
    let (old, new) = stopped.rotate_log(&rotation)?;
    Ok(Done {
        lines: vec![
            format!("frozen: {}, {} entries", name(&old), old.size),
            format!(
                "active: {}, which begins at index {}",
                name(&new),
                new.first
            ),
        ],
        json: json!({"service": "log", "frozen": show(&old), "active": show(&new)}),
    })
}

fn rotate_tuf(
    arguments: &Arguments,
    repository: &Repository,
    password: Option<&zeroize::Zeroizing<Vec<u8>>>,
) -> Result<Done, Error> {
    let key = match &arguments.root_key {
        Some(path) => Some(read_key(path, password)?),
        None => None,
    };
    let key = key.as_ref();
    let mut lines = Vec::new();
    if arguments.renew_root {
        match key {
            Some(key) => repository.sign_root_with(key)?,
            None => repository.renew_root()?,
        }
        lines.push("the root was signed anew".to_owned());
    } else if arguments.root {
        repository.rotate_root(key)?;
        lines.push("a new root key signs roots; the old one has signed for it".to_owned());
        if key.is_some() && arguments.export_root_key.is_none() {
            lines.push(
                "the new root key is in DIR: move it away with --export-root-key FILE".to_owned(),
            );
        }
    } else if arguments.export_root_key.is_none() || key.is_some() {
        repository.rotate_online_to(key, arguments.key.as_deref())?;
        lines.push("a new key signs targets, snapshot and timestamp".to_owned());
    }
    if let Some(path) = &arguments.export_root_key {
        repository.export_root_key(path)?;
        lines.push(format!(
            "the root key is in {}, and nowhere else: keep it, and sign the root within a year (--renew-root --root-key FILE)",
            path.display()
        ));
    }
    let status = repository.status();
    let roles: Vec<Value> = status
        .iter()
        .map(|role| {
            json!({
                "role": role.role.name(),
                "version": role.version,
                "expires": Timestamp::from_second(role.expires).ok().map(|it| it.to_string()),
                "keyHere": role.key_here,
            })
        })
        .collect();
    let root = status.iter().find(|role| role.role == Role::Root);
    if let Some(root) = root {
        lines.push(format!(
            "root version {}, for {} days; clients follow by themselves",
            root.version, root.days_left
        ));
    }
    Ok(Done {
        lines,
        json: json!({"service": "tuf", "roles": roles}),
    })
}

/// Has the root key in `file`, not in the directory; if it is there, it signs the root when that is due.
pub(super) fn keep_elsewhere(
    repository: &Repository,
    file: &Path,
    password: Option<&zeroize::Zeroizing<Vec<u8>>>,
) -> Result<(), Error> {
    let root = repository.status()[0];
    if root.key_here {
        return Ok(repository.export_root_key(file)?);
    }
    if root.days_left < RENEW_ROOT && file.exists() {
        repository.sign_root_with(&read_key(file, password)?)?;
    }
    Ok(())
}

fn read_key(
    path: &Path,
    password: Option<&zeroize::Zeroizing<Vec<u8>>>,
) -> Result<PrivateKey, Error> {
    let failed = |cause| Error::file("read", path, cause);
    let length = std::fs::metadata(path).map_err(failed)?.len();
    let wrong =
        |reason: String| Error::Usage(format!("{} is no root key: {reason}", path.display()));
    if length > MAX_KEY {
        return Err(wrong("it is too long".to_owned()));
    }
    let file = zeroize::Zeroizing::new(std::fs::read(path).map_err(failed)?);
    PrivateKey::from_pem(&file, || {
        let password = password.cloned();
        password.ok_or(sealmark_keys::Error::WrongPassword)
    })
    .map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_wait_for_minutes_to_weeks() {
        for (text, seconds) in [
            ("30m", Some(1800)),
            ("36h", Some(129_600)),
            ("2d", Some(172_800)),
            ("1w", Some(604_800)),
            ("2", None),
            ("d", None),
            ("-1d", None),
            ("400d", None),
            ("99999999999999999999d", None),
        ] {
            assert_eq!(wait(text).ok(), seconds, "{text}");
        }
    }
}
