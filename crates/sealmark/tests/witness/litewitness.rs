//! litewitness (of torchwood), with its key in an SSH agent, as it wants it.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sealmark_formats::Digest;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_testkit::Server;

use super::bench::Bench;

/// How long it may take until it listens.
const START: Duration = Duration::from_secs(10);

/// A running litewitness.
pub(crate) struct Litewitness {
    /// `127.0.0.1:PORT`
    pub(crate) address: String,
    /// Its verifier key.
    pub(crate) key: String,
    _server: Server,
}

impl Litewitness {
    /// With these logs: origins, and verifier keys.
    pub(crate) fn start(bench: &Bench, logs: &[(&str, &str)]) -> Self {
        for (origin, key) in logs {
            let control = |command: &str| {
                let program = bench.peer("witnessctl").arg(command);
                program.args(["-db", "witness.db", "-origin", origin])
            };
            control("add-log").run().success();
            control("add-key").args(["-key", key]).run().success();
        }
        let fingerprint = agent(&bench.sandbox.join("agent"));
        let program = bench.peer("litewitness");
        let program = program.args(["-db", "witness.db", "-ssh-agent", "agent"]);
        let program = program.args(["-name", "witness.example/lite", "-key", &fingerprint]);
        // It says where it was told to listen, and not where it does.
        let (server, ()) = program
            .args(["-listen", "127.0.0.1:0"])
            .serve(|line| line.contains("msg=listening").then_some(()));
        let said = server.log();
        let (_, key) = said.split_once("vkey=").expect("it says its key");
        let key = key.split_whitespace().next().expect("it says its key");
        Self {
            address: format!("127.0.0.1:{}", port_of(server.pid())),
            key: key.to_owned(),
            _server: server,
        }
    }
}

/// The port on which a process listens, by what the kernel says.
fn port_of(pid: u32) -> u16 {
    let start = Instant::now();
    loop {
        let sockets: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .expect("it runs")
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .filter_map(|link| {
                let link = link.to_str()?.strip_prefix("socket:[")?.to_owned();
                link.strip_suffix(']').map(str::to_owned)
            })
            .collect();
        let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).expect("it runs");
        let port = table.lines().skip(1).find_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            // 0A is LISTEN.
            let listens = columns.get(3) == Some(&"0A");
            let its = columns
                .get(9)
                .is_some_and(|inode| sockets.iter().any(|own| own == inode));
            let (_, port) = columns.get(1)?.split_once(':')?;
            u16::from_str_radix(port, 16)
                .ok()
                .filter(|_| listens && its)
        });
        if let Some(port) = port {
            return port;
        }
        assert!(start.elapsed() < START, "litewitness does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An SSH agent with one Ed25519 key, for as long as the test runs; gives the fingerprint of the key.
/// <https://datatracker.ietf.org/doc/html/draft-miller-ssh-agent>
fn agent(socket: &Path) -> String {
    let key = PrivateKey::generate(Algorithm::Ed25519).expect("the engine makes keys");
    let spki = key.public_key().spki_der();
    let raw = &spki[spki.len() - 32..];
    let blob = [string(b"ssh-ed25519"), string(raw)].concat();
    let digest = Digest::sha256(&blob);
    let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(digest.bytes()));
    let listener = UnixListener::bind(socket).expect("the socket can be made");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (key, blob) = (key.clone(), blob.clone());
            std::thread::spawn(move || while serve(&stream, &key, &blob).is_some() {});
        }
    });
    fingerprint
}

/// Answers one request; `None` at the end.
fn serve(mut stream: &UnixStream, key: &PrivateKey, blob: &[u8]) -> Option<()> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut request = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut request).ok()?;
    let answer = match request.split_first() {
        // SSH_AGENTC_REQUEST_IDENTITIES, SSH_AGENT_IDENTITIES_ANSWER
        Some((11, _)) => [&[12, 0, 0, 0, 1], &*string(blob), &string(b"a test's")].concat(),
        // SSH_AGENTC_SIGN_REQUEST, SSH_AGENT_SIGN_RESPONSE
        Some((13, rest)) => {
            let (_, rest) = take(rest)?;
            let (data, _) = take(rest)?;
            let signature = string(&key.sign(data).ok()?);
            let signature = [string(b"ssh-ed25519"), signature].concat();
            [&[14], &*string(&signature)].concat()
        }
        // SSH_AGENT_FAILURE
        _ => vec![5],
    };
    stream.write_all(&string(&answer)).ok()
}

/// A string of the SSH protocol: its length in four bytes, and itself.
fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("it is short");
    [&length.to_be_bytes(), bytes].concat()
}

fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}
