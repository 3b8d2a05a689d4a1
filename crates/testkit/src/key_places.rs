//! Places for keys: a token in software, and a server with a transit engine.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::{Finished, Peer, Program, Sandbox, Server, skip};

/// How long OpenBao may take until it answers.
const START: Duration = Duration::from_secs(60);

/// SoftHSM with one token.
#[derive(Debug)]
pub struct SoftHsm {
    /// Where its files are.
    pub home: Sandbox,
    /// Its PKCS#11 module.
    pub module: PathBuf,
    configuration: PathBuf,
    label: String,
    pin: String,
}

impl SoftHsm {
    /// A token of this label; `None` and a word about it if a peer is missing.
    ///
    /// # Panics
    ///
    /// If the token cannot be made.
    pub fn start(label: &str, pin: &str) -> Option<Self> {
        for name in ["softhsm2-util", "libsofthsm2.so", "pkcs11-tool"] {
            if Peer::find(name).is_none() {
                skip(name);
                return None;
            }
        }
        let module = Peer::folder().join("libsofthsm2.so");
        let module = module.canonicalize().expect("the module was just seen");
        let home = Sandbox::new();
        let tokens = home.join("tokens");
        std::fs::create_dir(&tokens).expect("a folder can be made in the sandbox");
        let configuration = format!(
            "directories.tokendir = {}\nlog.level = ERROR\n",
            tokens.display()
        );
        let hsm = Self {
            configuration: home.write("softhsm2.conf", configuration),
            home,
            module,
            label: label.to_owned(),
            pin: pin.to_owned(),
        };
        hsm.command("softhsm2-util")
            .arg("--module")
            .arg(&hsm.module)
            .args(["--init-token", "--free", "--label", label])
            .args(["--so-pin", "12345678", "--pin", pin])
            .run()
            .success();
        Some(hsm)
    }

    /// The variable that leads to the token, and its value.
    pub fn environment(&self) -> (&'static str, &Path) {
        ("SOFTHSM2_CONF", &self.configuration)
    }

    fn command(&self, peer: &str) -> Program {
        let program = Peer::find(peer).expect("it was there when this was started");
        let (name, value) = self.environment();
        self.home.command(program).env(name, value)
    }

    /// OpenSC's pkcs11-tool with these words, logged in.
    pub fn tool(&self, words: &str) -> Finished {
        self.command("pkcs11-tool")
            .arg("--module")
            .arg(&self.module)
            .args(["--token-label", &self.label, "--login", "--pin", &self.pin])
            .args(words.split(' '))
            .run()
    }
}

/// OpenBao in memory, with a transit engine; the token `root` may do everything.
#[derive(Debug)]
pub struct OpenBao {
    /// Where its command line runs.
    pub home: Sandbox,
    /// `http://127.0.0.1:PORT`.
    pub address: String,
    _server: Server,
}

impl OpenBao {
    /// Starts it; `None` and a word about it if it is missing.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    pub fn start() -> Option<Self> {
        let Some(program) = Peer::find("bao") else {
            skip("bao");
            return None;
        };
        let home = Sandbox::new();
        // Of the port that it was given, the server says only which one it has taken after it.
        let port = |line: &str| {
            let (_, rest) = line.split_once("cluster address: \"127.0.0.1:")?;
            rest.split('"').next()?.parse::<u16>().ok()
        };
        let (server, port) = home
            .command(program)
            .args([
                "server",
                "-dev",
                "-dev-no-store-token",
                "-dev-root-token-id=root",
            ])
            .arg("-dev-listen-address=127.0.0.1:0")
            .serve(port);
        let bao = Self {
            home,
            address: format!("http://127.0.0.1:{}", port - 1),
            _server: server,
        };
        let start = Instant::now();
        while bao.run(&["token", "lookup"]).exit_code() != Some(0) {
            assert!(start.elapsed() < START, "OpenBao does not answer");
        }
        bao.run(&["secrets", "enable", "transit"]).success();
        Some(bao)
    }

    /// Its own command line.
    pub fn run(&self, words: &[&str]) -> Finished {
        self.home
            .command(Peer::find("bao").expect("it was there when this was started"))
            .env("BAO_ADDR", &self.address)
            .env("BAO_TOKEN", "root")
            .args(words)
            .run()
    }
}
