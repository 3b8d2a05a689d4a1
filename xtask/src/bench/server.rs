//! A server that runs, is killed, and starts again.
//!
//! Invariant: it listens on loopback, and ends with its [`Server`].

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::registry::Process;
use crate::process::{self, Outcome};

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(60);

/// A server that answers.
pub(super) struct Server {
    /// `127.0.0.1:PORT`.
    pub(super) address: String,
    /// From the start of the program until it said that it serves.
    pub(super) started_in: Duration,
    process: Process,
    setup: Setup,
}

/// How it is started.
#[derive(Clone)]
struct Setup {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    /// All that it keeps, and what of that says only how entries are found.
    data: PathBuf,
    index: Vec<PathBuf>,
    log: PathBuf,
    /// What it answers when it serves.
    health: &'static str,
}

/// One that was killed.
pub(super) struct Killed {
    address: String,
    setup: Setup,
}

/// Bytes of a log on disk, in its files.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Disk {
    pub(super) index: u64,
    pub(super) rest: u64,
}

impl Server {
    /// `sealmark serve`, in a new directory.
    pub(super) fn sealmark(program: &Path, folder: &Path, name: &str) -> Outcome<Self> {
        let (directory, address) = (folder.join(name), free_address()?);
        let words = ["serve", "--only", "log", "--listen", &address, "--dir"];
        let mut arguments: Vec<String> = words.map(str::to_owned).into();
        arguments.push(directory.display().to_string());
        let setup = Setup {
            name: "sealmark serve".to_owned(),
            program: program.to_path_buf(),
            arguments,
            data: directory.join("log"),
            index: ["index", "private/v1/side", "private/v2/side"]
                .map(|name| directory.join("log").join(name))
                .into(),
            log: folder.join(format!("{name}.log")),
            health: "/healthz",
        };
        setup.start(address)
    }

    /// `sealmark serve` with all services, in a new directory.
    pub(super) fn instance(
        program: &Path,
        folder: &Path,
        name: &str,
        issuers: &Path,
    ) -> Outcome<Self> {
        let (directory, address) = (folder.join(name), free_address()?);
        let arguments = [
            "serve",
            "--listen",
            &address,
            "--dir",
            &directory.display().to_string(),
            "--config",
            &issuers.display().to_string(),
        ];
        let setup = Setup {
            arguments: arguments.map(str::to_owned).into(),
            data: directory,
            ..Setup::new("sealmark serve", program, folder, name)
        };
        setup.start(address)
    }

    /// Fulcio with a CA in memory, and without a CT log.
    pub(super) fn fulcio(program: &Path, folder: &Path, issuers: &Path) -> Outcome<Self> {
        let addresses = [free_address()?, free_address()?, free_address()?];
        let socket = folder.join("fulcio.socket").display().to_string();
        let arguments = [
            "serve",
            "--ca",
            "ephemeralca",
            "--ct-log-url",
            "",
            "--config-path",
            &issuers.display().to_string(),
            "--host",
            "127.0.0.1",
            "--port",
            port(&addresses[0]),
            "--grpc-host",
            "127.0.0.1",
            "--grpc-port",
            port(&addresses[1]),
            "--metrics-port",
            port(&addresses[2]),
            "--legacy-unix-domain-socket",
            &socket,
            "--log_type",
            "prod",
        ];
        let setup = Setup {
            arguments: arguments.map(str::to_owned).into(),
            ..Setup::new("Fulcio", program, folder, "fulcio")
        };
        setup.start(addresses[0].clone())
    }

    /// Sigstore's timestamp authority with a key in memory, which looks at no other clock.
    pub(super) fn timestamp_server(program: &Path, folder: &Path) -> Outcome<Self> {
        let address = free_address()?;
        let arguments = [
            "serve",
            "--host",
            "127.0.0.1",
            "--port",
            port(&address),
            "--timestamp-signer",
            "memory",
            "--disable-ntp-monitoring",
            "--log-type",
            "prod",
        ];
        let setup = Setup {
            arguments: arguments.map(str::to_owned).into(),
            health: "/ping",
            ..Setup::new("timestamp-server", program, folder, "timestamp-server")
        };
        setup.start(address)
    }

    /// rekor-tiles on a directory, in a new one. A checkpoint each second, where its default is ten, lets it answer
    /// sooner; duplicates are found, as Sealmark finds them.
    pub(super) fn rekor_tiles(program: &Path, folder: &Path) -> Outcome<Self> {
        let (directory, key) = (folder.join("rekor-tiles"), folder.join("rekor-tiles.pem"));
        let (directory, key) = (directory.display().to_string(), key.display().to_string());
        let mut make = Command::new("openssl");
        process::succeed(make.args(["genpkey", "-algorithm", "ed25519", "-out", &key]))?;
        let addresses = [free_address()?, free_address()?, free_address()?];
        let arguments = [
            "serve",
            "--storage-dir",
            &directory,
            "--signer-filepath",
            &key,
            "--hostname",
            "127.0.0.1",
            "--http-port",
            port(&addresses[0]),
            "--grpc-port",
            port(&addresses[1]),
            "--http-metrics-port",
            port(&addresses[2]),
            "--persistent-antispam",
            "--checkpoint-interval",
            "1s",
            "--log-level",
            "error",
        ];
        let setup = Setup {
            name: "rekor-tiles".to_owned(),
            program: program.to_path_buf(),
            arguments: arguments.map(str::to_owned).into(),
            data: folder.join("rekor-tiles"),
            index: vec![folder.join("rekor-tiles/.state/antispam")],
            log: folder.join("rekor-tiles.log"),
            health: "/healthz",
        };
        setup.start(addresses[0].clone())
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Resident memory in KiB.
    pub(super) fn memory(&self) -> Outcome<u64> {
        let path = PathBuf::from(format!("/proc/{}/status", self.pid()));
        let status = String::from_utf8_lossy(&process::read(&path)?).into_owned();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        Ok(kib.ok_or_else(|| format!("{} has no VmRSS", path.display()))?)
    }

    /// Entries in a tree.
    pub(super) fn size(&self, api: &str) -> Outcome<u64> {
        let unreadable = |body: &str| format!("{} says no size, but {body:?}", self.setup.name);
        match api {
            "v1" => {
                let body = self.get("/api/v1/log")?;
                let info: Value = serde_json::from_str(&body).map_err(|_| unreadable(&body))?;
                Ok(info["treeSize"].as_u64().ok_or_else(|| unreadable(&body))?)
            }
            _ => {
                let body = self.get("/api/v2/checkpoint")?;
                let size = body.lines().nth(1).and_then(|line| line.parse().ok());
                Ok(size.ok_or_else(|| unreadable(&body))?)
            }
        }
    }

    fn get(&self, path: &str) -> Outcome<String> {
        let (status, body) = get(&self.address, path)
            .map_err(|error| format!("{} does not answer: {error}", self.setup.name))?;
        match status {
            200 => Ok(body),
            _ => Err(format!("{} answers {status} to {path}: {body}", self.setup.name).into()),
        }
    }

    /// What it takes on disk now.
    pub(super) fn disk(&self) -> Outcome<Disk> {
        let all = bytes_in(&self.setup.data)?;
        let mut index = 0;
        for folder in self.setup.index.iter().filter(|folder| folder.exists()) {
            index += bytes_in(folder)?;
        }
        Ok(Disk {
            index,
            rest: all.saturating_sub(index),
        })
    }

    /// SIGKILL, at once.
    pub(super) fn kill(self) -> Killed {
        Killed {
            address: self.address,
            setup: self.setup,
        }
    }
}

impl Killed {
    pub(super) fn start_again(self) -> Outcome<Server> {
        self.setup.start(self.address)
    }
}

impl Setup {
    /// Without arguments, and without anything that it keeps.
    fn new(name: &str, program: &Path, folder: &Path, file: &str) -> Self {
        Self {
            name: name.to_owned(),
            program: program.to_path_buf(),
            arguments: Vec::new(),
            data: folder.join(file),
            index: Vec::new(),
            log: folder.join(format!("{file}.log")),
            health: "/healthz",
        }
    }

    fn start(self, address: String) -> Outcome<Server> {
        let log = File::create(&self.log)
            .map_err(|error| format!("cannot write {}: {error}", self.log.display()))?;
        let began = Instant::now();
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", self.name))?;
        let mut process = Process(child);
        while !matches!(get(&address, self.health), Ok((200, _))) {
            let ended = process.0.try_wait().is_ok_and(|status| status.is_some());
            if ended || began.elapsed() > START {
                let text = String::from_utf8_lossy(&process::read(&self.log)?).into_owned();
                return Err(format!("{} does not serve:\n{}", self.name, text.trim_end()).into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Server {
            address,
            started_in: began.elapsed(),
            process,
            setup: self,
        })
    }
}

/// The port of an address.
fn port(address: &str) -> &str {
    address.rsplit(':').next().unwrap_or("0")
}

/// An address that was free a moment ago.
pub(super) fn free_address() -> Outcome<String> {
    let listener = TcpListener::bind("127.0.0.1:0");
    let address = listener.and_then(|listener| listener.local_addr());
    Ok(address
        .map_err(|error| format!("no free port: {error}"))?
        .to_string())
}

/// Status and body of a small answer.
fn get(address: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(START))?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status.unwrap_or(0), body.to_owned()))
}

/// Of all files in a folder, also those that come and go meanwhile.
fn bytes_in(folder: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    for path in process::list(folder)? {
        match fs::symlink_metadata(&path) {
            Ok(data) if data.is_dir() => bytes += bytes_in(&path)?,
            Ok(data) => bytes += data.len(),
            Err(_) => {}
        }
    }
    Ok(bytes)
}
