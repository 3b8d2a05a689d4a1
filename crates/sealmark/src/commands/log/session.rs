//! Which log, in which version of the interface, and whose key is believed.
//!
//! The log is that of `--rekor-url`, of a signing configuration, or the public instance's. Its key is the one the user
//! names, or that of a trusted root. A Rekor v1 also says its key itself; that is believed only when nothing better is
//! known, with a warning, and from then on it must stay the same.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use jiff::Timestamp;
use sealmark_formats::trusted_root::LogInstance;
use sealmark_keys::PublicKey;
use sealmark_rekor::{Compared, Http, LogKey, Memory, Options, SignedCheckpoint, tiles, v1, v2};
use sealmark_trust::{EnvironmentFiles, TrustedMaterial, material};

use crate::error::Error;
use crate::terminal::{self, Terminal};

/// The log that rekor-cli uses, too.
const PUBLIC: &str = "https://rekor.sigstore.dev";

/// Which log, and whom to believe.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Log options")]
pub(crate) struct LogFlags {
    // Not a doc comment: rustdoc wants links where help wants text.
    #[arg(
        long,
        help = "The log [default: https://rekor.sigstore.dev]",
        value_name = "URL",
        visible_alias = "rekor-server",
        alias = "rekor_server"
    )]
    rekor_url: Option<String>,
    /// Take the log from this signing configuration
    #[arg(long, value_name = "FILE", conflicts_with = "rekor_url")]
    signing_config: Option<PathBuf>,
    /// Version of the log's interface, 1 or 2; without it the log is asked
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u32).range(1..=2))]
    log_version: Option<u32>,
    /// Trusted root with the log's key
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,
    /// The log's public key (PEM)
    #[arg(
        long,
        value_name = "FILE",
        alias = "rekor_server_public_key",
        conflicts_with = "trusted_root"
    )]
    rekor_public_key: Option<PathBuf>,
    /// =false: do not remember the log's checkpoint, with which the next one is compared
    #[arg(long, value_name = "BOOL", alias = "store_tree_state", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    store_tree_state: Option<bool>,
    /// How often a request is repeated that failed for a reason that passes
    #[arg(long, value_name = "NUMBER", default_value_t = sealmark_rekor::DEFAULT_RETRIES)]
    retry: u32,
}

/// A log that can be asked.
pub(crate) struct Session {
    /// The client.
    pub(crate) log: Log,
    memory: Option<Memory>,
}

/// A client of one version.
pub(crate) enum Log {
    V1(v1::Client),
    V2(v2::Client),
}

/// Keys, and where they are from.
struct Keys {
    logs: Vec<LogInstance>,
    from: String,
    /// The user named them for this log.
    are_named: bool,
}

impl Session {
    /// How the log is called in messages.
    pub(crate) fn url(&self) -> &str {
        match &self.log {
            Log::V1(client) => client.http().shown(),
            Log::V2(client) => client.reader().http().shown(),
        }
    }

    /// Compares a checkpoint with the one that was last seen, and remembers the newer.
    pub(crate) async fn compare(&self, signed: &SignedCheckpoint) -> Result<Compared, Error> {
        let Some(memory) = &self.memory else {
            return Ok(Compared::First);
        };
        Ok(match &self.log {
            Log::V1(client) => memory.check_v1(client, signed).await?,
            Log::V2(client) => memory.check_v2(client.reader(), signed).await?,
        })
    }

    /// [`compare`](Self::compare) with the checkpoint of an entry's proof.
    pub(crate) async fn compare_entry(&self, entry: &sealmark_rekor::Entry) -> Result<(), Error> {
        if let Some(proof) = &entry.log_entry.inclusion_proof {
            let signed = SignedCheckpoint {
                note: proof.checkpoint.clone(),
                checkpoint: entry.checkpoint.clone(),
            };
            self.compare(&signed).await?;
        }
        Ok(())
    }
}

impl LogFlags {
    /// The log at this URL, looked at and not remembered.
    pub(crate) fn at(url: &str, trusted_root: Option<PathBuf>) -> Self {
        Self {
            rekor_url: Some(url.to_owned()),
            trusted_root,
            store_tree_state: Some(false),
            ..Self::default()
        }
    }

    /// Finds the log, its version, and its key.
    pub(crate) async fn open(&self, terminal: &Terminal) -> Result<Session, Error> {
        let (url, configured) = self.place()?;
        let http = Http::new(&url, self.options(terminal))?;
        let keys = self.keys(&http, terminal).await?;
        let memory = Memory::default_path(|name| std::env::var_os(name))
            .map(|path| Memory::new(path, self.store_tree_state != Some(false)));
        let version = match self.log_version.or(configured) {
            Some(version) => version,
            None => version_of(&http, keys.as_ref()).await?,
        };
        terminal.detail(format!("{} speaks version {version}", http.shown()));
        let log = match version {
            2 => Log::V2(v2_client(http, keys.as_ref())?),
            _ => Log::V1(v1_client(http, keys, memory.as_ref(), terminal).await?),
        };
        Ok(Session { log, memory })
    }

    /// A log of tiles that is no Rekor: they are right below its URL, and its checkpoints have this origin.
    pub(super) async fn open_tiles(
        &self,
        origin: &str,
        terminal: &Terminal,
    ) -> Result<tiles::Reader, Error> {
        let (url, _) = self.place()?;
        let http = Http::new(&url, self.options(terminal))?;
        let keys = match &self.rekor_public_key {
            Some(_) => self.keys(&http, terminal).await?,
            None => None,
        };
        let named = keys.and_then(|mut keys| keys.logs.pop());
        let named = named.ok_or_else(|| {
            Error::Usage(format!(
                "the key of {origin:?} is not known; give it with --rekor-public-key"
            ))
        })?;
        let key = PublicKey::from_spki_der(&named.public_key)?;
        Ok(tiles::Reader::new(http, origin, key))
    }

    /// Says where something is about to be written, if the user named no place.
    pub(crate) fn note_public(&self, terminal: &Terminal) {
        if self.rekor_url.is_none() && self.signing_config.is_none() {
            terminal.note(format!(
                "writing into {PUBLIC}, where everyone can read it, for good; --rekor-url names another log"
            ));
        }
    }

    /// The URL, and the version if a configuration names it.
    fn place(&self) -> Result<(String, Option<u32>), Error> {
        if let Some(url) = &self.rekor_url {
            return Ok((url.clone(), None));
        }
        let Some(path) = &self.signing_config else {
            return Ok((PUBLIC.to_owned(), None));
        };
        let config = material::signing_config_from_file(path)?;
        let wanted: Vec<u32> = self.log_version.map_or_else(|| vec![1, 2], |one| vec![one]);
        let logs = config
            .rekor(Timestamp::now(), &wanted)
            .map_err(|error| Error::Usage(format!("{}: {error}", path.display())))?;
        let first = logs.first().ok_or_else(|| {
            Error::Usage(format!(
                "{} names no transparency log; name one with --rekor-url",
                path.display()
            ))
        })?;
        Ok((first.url.clone(), Some(first.major_api_version)))
    }

    fn options(&self, terminal: &Terminal) -> Options {
        let (verbose, last) = (terminal.is_verbose(), terminal.last_request());
        let default = sealmark_rekor::DEFAULT_TIMEOUT;
        Options {
            timeout: terminal.timeout().map_or(default, |all| all.min(default)),
            retries: self.retry,
            on_request: Some(Arc::new(move |request: &sealmark_rekor::RequestLog| {
                let status = request
                    .status
                    .map_or_else(|| "no answer".to_owned(), |status| status.to_string());
                let line = format!("{} {} {status}", request.method, request.url);
                if verbose {
                    terminal::note(&format!("{line} {} ms", request.millis));
                }
                *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
            })),
        }
    }

    /// The keys that are known of this log.
    async fn keys(&self, http: &Http, terminal: &Terminal) -> Result<Option<Keys>, Error> {
        if let Some(path) = &self.rekor_public_key {
            let pem = super::files::read(path, sealmark_keys::MAX_KEY_FILE as u64)?;
            let from = path.display().to_string();
            let log = sealmark_trust::service::log(
                &from,
                &pem,
                http.shown(),
                None,
                sealmark_formats::trusted_root::TimeRange::ALWAYS,
            )?;
            return Ok(Some(Keys {
                logs: vec![log],
                from,
                are_named: true,
            }));
        }
        if let Some(path) = &self.trusted_root {
            return named_root(path, http).map(Some);
        }
        let variables = EnvironmentFiles::read(|name| std::env::var_os(name))?;
        if let Some(logs) = variables.tlogs {
            return Ok(Some(Keys {
                logs,
                from: "SIGSTORE_REKOR_PUBLIC_KEY".to_owned(),
                are_named: true,
            }));
        }
        let material = match initialised()? {
            Some(options) => TrustedMaterial::from_tuf(&options).await?,
            None => TrustedMaterial::embedded_public_good(),
        };
        let from = material.origin.to_string();
        let logs = of_host(material.trusted_root.tlogs, http);
        if logs.is_empty() {
            terminal.detail(format!("{from} names no log at {}", http.authority()));
            return Ok(None);
        }
        Ok(Some(Keys {
            logs,
            from,
            are_named: false,
        }))
    }
}

/// The logs of a trusted root that are at this host.
fn named_root(path: &Path, http: &Http) -> Result<Keys, Error> {
    let root = TrustedMaterial::from_file(path)?.trusted_root;
    let from = path.display().to_string();
    let others: Vec<String> = root.tlogs.iter().map(|log| log.base_url.clone()).collect();
    let logs = of_host(root.tlogs, http);
    if logs.is_empty() {
        let others = match others.as_slice() {
            [] => "no log at all".to_owned(),
            others => others.join(", "),
        };
        return Err(Error::Usage(format!(
            "{from} has no key of a log at {}, but of {others}; give the log's key with --rekor-public-key",
            http.authority()
        )));
    }
    Ok(Keys {
        logs,
        from,
        are_named: false,
    })
}

fn of_host(logs: Vec<LogInstance>, http: &Http) -> Vec<LogInstance> {
    let same = |log: &LogInstance| {
        Http::new(&log.base_url, Options::default()).is_ok_and(|other| other.host() == http.host())
    };
    logs.into_iter().filter(same).collect()
}

/// The repository that `initialize` chose.
fn initialised() -> Result<Option<sealmark_trust::tuf::Options>, Error> {
    let variable = |name: &str| std::env::var_os(name);
    if variable("HOME").is_none() && variable("TUF_ROOT").is_none() {
        return Ok(None);
    }
    let options = sealmark_trust::tuf::Options::from_environment(variable, Timestamp::now())?;
    Ok(options.is_initialised()?.then_some(options))
}

/// What the log speaks: version 1 if it does, as rekor-cli would.
async fn version_of(http: &Http, keys: Option<&Keys>) -> Result<u32, Error> {
    if http.shown() == PUBLIC {
        return Ok(1);
    }
    // A trusted root that has only logs named as those of version 2 says enough.
    let only_v2 = |keys: &Keys| {
        let is_v2 = |log: &LogInstance| {
            PublicKey::from_spki_der(&log.public_key)
                .is_ok_and(|key| key.id().bytes() != log.log_id)
        };
        keys.logs.iter().all(is_v2)
    };
    if keys.is_some_and(only_v2) {
        return Ok(2);
    }
    Ok(sealmark_rekor::version_of(http).await?)
}

fn v2_client(http: Http, keys: Option<&Keys>) -> Result<v2::Client, Error> {
    let unknown = || {
        Error::Usage(format!(
            "the key of {} is not known, and a log of version 2 does not say it: give it with --rekor-public-key, or a \
             --trusted-root that has it",
            http.authority()
        ))
    };
    let keys = keys.ok_or_else(unknown)?;
    let now = Timestamp::now();
    let host = http.host().to_owned();
    let mut usable: Vec<(&LogInstance, PublicKey)> = keys
        .logs
        .iter()
        .filter_map(|log| Some((log, PublicKey::from_spki_der(&log.public_key).ok()?)))
        .filter(|(log, key)| keys.are_named || is_v2_id(&host, key, &log.log_id))
        .collect();
    // The newest that counts now.
    usable.sort_by_key(|(log, _)| (log.valid_for.contains(now), log.valid_for.start));
    let (_, key) = usable.pop().ok_or_else(|| {
        Error::Usage(format!(
            "{} has no key of a log of version 2 at {}; give it with --rekor-public-key",
            keys.from,
            http.authority()
        ))
    })?;
    Ok(v2::Client::new(http, host, key))
}

/// Whether entries of a Rekor v2 called `host` name it so.
fn is_v2_id(host: &str, key: &PublicKey, id: &[u8]) -> bool {
    let mut kinds = sealmark_tlog::note::KeyKind::of(key).iter();
    kinds
        .next()
        .is_some_and(|kind| kind.key_hash(host, key).bytes() == id)
}

async fn v1_client(
    http: Http,
    keys: Option<Keys>,
    memory: Option<&Memory>,
    terminal: &Terminal,
) -> Result<v1::Client, Error> {
    if let Some(keys) = keys {
        terminal.detail(format!("the log's key is from {}", keys.from));
        let read = |log: &LogInstance| {
            PublicKey::from_spki_der(&log.public_key).map(|key| LogKey {
                key,
                valid_for: log.valid_for,
            })
        };
        let keys = keys.logs.iter().filter_map(|log| read(log).ok()).collect();
        return Ok(v1::Client::new(http, keys));
    }
    let url = http.shown();
    let remembered = match memory {
        Some(memory) => memory.keys(url)?,
        None => Vec::new(),
    };
    let better = "give it with --rekor-public-key or --trusted-root";
    let keys = if remembered.is_empty() {
        let claimed = v1::claimed_keys(&http).await?;
        let ids: Vec<String> = claimed.iter().map(|key| key.id().to_string()).collect();
        terminal.warn(format!(
            "the key of {url} is not known, so what the server says is believed: {}; {better}",
            ids.join(", ")
        ));
        if let Some(memory) = memory {
            memory.remember_keys(url, &claimed)?;
        }
        claimed
    } else {
        terminal.warn(format!(
            "the key of {url} is the one that the server named when it was first asked; {better}"
        ));
        remembered
    };
    Ok(v1::Client::new(
        http,
        keys.into_iter().map(LogKey::from).collect(),
    ))
}
