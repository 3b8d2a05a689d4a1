//! The registries that images are signed in, and the image.
//!
//! Invariant: a registry listens on loopback and ends with its [`Registry`].

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::counter::Counter;
use super::tools::Tools;
use crate::process::{self, Outcome};

/// How long a registry may take until it listens.
const START: Duration = Duration::from_secs(30);

/// The image that is signed, of those that `cargo xtask image` builds.
const IMAGE: &str = "v1";

/// A registry that runs.
#[derive(Debug)]
pub(super) struct Registry {
    /// What it is, for the tables.
    pub(super) name: String,
    /// `127.0.0.1:PORT`.
    pub(super) address: String,
    /// The same registry, each request counted.
    pub(super) counter: Counter,
    _process: Process,
    layout: PathBuf,
    digest: String,
}

/// How an image is named to a program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum By {
    Tag,
    Digest,
}

impl By {
    /// Every way.
    pub(super) const ALL: [Self; 2] = [Self::Tag, Self::Digest];

    /// For the tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Digest => "digest",
        }
    }
}

/// Both kinds: Sealmark's own, with the referrers API, and Docker's, without.
pub(super) fn start_all(tools: &Tools) -> Outcome<[Registry; 2]> {
    let own = tools.registry(&tools.file("sealmark-registry"));
    let own = Registry::start(tools, "sealmark registry (referrers API)".to_owned(), own)?;
    let configuration = format!(
        "version: 0.1\nlog:\n  level: info\n  accesslog:\n    disabled: true\n\
         storage:\n  filesystem:\n    rootdirectory: {}\n\
         http:\n  addr: 127.0.0.1:0\n  secret: for one run\n",
        tools.file("docker-registry")
    );
    let file = tools.file("docker-registry.yml");
    process::write(Path::new(&file), configuration)?;
    let docker = tools.command(&tools.peer("docker-registry"), &["serve", &file]);
    let name = format!("{} (no referrers API)", tools.version_of("docker-registry"));
    Ok([own, Registry::start(tools, name, docker)?])
}

impl Registry {
    fn start(tools: &Tools, name: String, mut command: Command) -> Outcome<Self> {
        let log = PathBuf::from(tools.file(&format!("{name}.log")));
        let write = |error: std::io::Error| format!("cannot write {}: {error}", log.display());
        let file = File::create(&log).map_err(write)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().map_err(write)?)
            .stderr(file)
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        let mut process = Process(child);
        let address = listening(&mut process, &name, &log)?;
        let layout = tools.images();
        let digest = digest(&layout)?;
        Ok(Self {
            name,
            counter: Counter::start(&address)?,
            address,
            _process: process,
            layout,
            digest,
        })
    }

    /// Puts the image into a repository. The registry knows no signature of it there, if the repository is new.
    pub(super) fn push(&self, tools: &Tools, repository: &str) -> Outcome<()> {
        let from = format!("{}:{IMAGE}", self.layout.display());
        let to = self.image(repository, By::Tag);
        let mut command = tools.command(&tools.peer("oras"), &["cp", "--from-oci-layout", &from]);
        process::succeed(command.args(["--to-plain-http", &to])).map(|_| ())
    }

    /// The image's name.
    pub(super) fn image(&self, repository: &str, by: By) -> String {
        self.image_at(&self.address, repository, by)
    }

    /// The image's name in the registry whose requests are counted.
    pub(super) fn counted(&self, repository: &str, by: By) -> String {
        self.image_at(&self.counter.address, repository, by)
    }

    fn image_at(&self, address: &str, repository: &str, by: By) -> String {
        match by {
            By::Tag => format!("{address}/{repository}:{IMAGE}"),
            By::Digest => format!("{address}/{repository}@{}", self.digest),
        }
    }
}

/// Ends on drop.
#[derive(Debug)]
pub(super) struct Process(pub(super) Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then both calls say so, and that is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until the registry says where it listens.
fn listening(process: &mut Process, name: &str, log: &Path) -> Outcome<String> {
    let start = Instant::now();
    loop {
        let text = String::from_utf8_lossy(&process::read(log)?).into_owned();
        if let Some(address) = address(&text) {
            return Ok(address);
        }
        let ended = process.0.try_wait().is_ok_and(|status| status.is_some());
        if ended || start.elapsed() > START {
            let what = if ended {
                "ended at once"
            } else {
                "does not listen"
            };
            return Err(format!("{name} {what}:\n{}", text.trim_end()).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// From a finished line `… listening on http://127.0.0.1:40123` or `… msg="listening on 127.0.0.1:40123" …`.
fn address(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("listening on ")?;
    let (line, _) = rest.split_once('\n')?;
    let line = line.strip_prefix("http://").unwrap_or(line);
    let address = line.split(['"', ' ', ',']).next()?;
    address
        .starts_with("127.0.0.1:")
        .then(|| address.to_owned())
}

/// The digest of the image in the layout.
fn digest(layout: &Path) -> Outcome<String> {
    let file = layout.join("index.json");
    let index: Value = serde_json::from_slice(&process::read(&file)?)
        .map_err(|error| format!("{} is not JSON: {error}", file.display()))?;
    let manifests = index["manifests"].as_array().map_or(&[][..], Vec::as_slice);
    let found = manifests
        .iter()
        .find(|entry| entry["annotations"]["org.opencontainers.image.ref.name"] == IMAGE)
        .and_then(|entry| entry["digest"].as_str());
    Ok(found
        .ok_or_else(|| format!("{} lists no image {IMAGE}", file.display()))?
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_says_where_it_listens_when_the_line_is_whole() {
        let docker = "time=\"…\" level=info msg=\"listening on 127.0.0.1:40123\" go.version=go1\n";
        let own = "registry listening on http://127.0.0.1:5001\nkept in /data\n";
        assert_eq!(address(docker).as_deref(), Some("127.0.0.1:40123"));
        assert_eq!(address(own).as_deref(), Some("127.0.0.1:5001"));
        assert_eq!(address("registry listening on http://127.0.0.1:50"), None);
        assert_eq!(address("listening on 0.0.0.0:80\n"), None);
    }
}
