//! Registries for tests: Docker's own, and Sealmark's.

use std::path::{Path, PathBuf};

use crate::peer::{Peer, skip};
use crate::sandbox::Sandbox;
use crate::server::Server;

/// The name and password that a registry with a login knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Login {
    /// The user's name.
    pub user: &'static str,
    /// The password.
    pub password: &'static str,
}

/// `alice`, whose password has a space in it.
const ALICE: Login = Login {
    user: "alice",
    password: "correct horse",
};

/// Her line in htpasswd: bcrypt, the only hash that docker-registry takes, with cost 5 for speed.
const ALICE_HTPASSWD: &str = "alice:$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n";

/// Docker's registry 2.8: no referrers API, so that clients use the fallback tag. Stops on drop, and its content is
/// gone.
#[derive(Debug)]
pub struct DockerRegistry {
    server: Server,
    address: String,
    login: Option<Login>,
    sandbox: Sandbox,
}

impl DockerRegistry {
    /// Starts an empty registry that takes everything, deletion too; `None`, aloud, if the program is missing.
    ///
    /// # Panics
    ///
    /// If it does not start, or is missing where peers are required.
    pub fn start() -> Option<Self> {
        Self::launch(None)
    }

    /// Like [`start`](Self::start), but every request needs a [`login`](Self::login) (HTTP Basic).
    ///
    /// # Panics
    ///
    /// If it does not start, or is missing where peers are required.
    pub fn start_with_login() -> Option<Self> {
        Self::launch(Some(ALICE))
    }

    fn launch(login: Option<Login>) -> Option<Self> {
        let Some(program) = Peer::find("docker-registry") else {
            skip("docker-registry");
            return None;
        };
        let sandbox = Sandbox::new();
        let auth = match login {
            Some(_) => {
                let file = sandbox.write("htpasswd", ALICE_HTPASSWD);
                format!(
                    "auth:\n  htpasswd:\n    realm: sealmark\n    path: {}\n",
                    file.display()
                )
            }
            None => String::new(),
        };
        let configuration = format!(
            "version: 0.1\nlog:\n  level: info\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: {}\n  \
             delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:0\n  secret: for tests\n{auth}",
            sandbox.join("data").display()
        );
        let configuration = sandbox.write("config.yml", configuration);
        let program = sandbox.command(program).arg("serve").arg(configuration);
        let (server, address) = program.serve(listening);
        Some(Self {
            server,
            address,
            login,
            sandbox,
        })
    }

    /// `127.0.0.1:PORT`, as it begins an image's name.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The login that it demands, if it does.
    pub fn login(&self) -> Option<Login> {
        self.login
    }

    /// The folder with its content: `docker/registry/v2/…`.
    pub fn data(&self) -> PathBuf {
        self.sandbox.join("data")
    }

    /// Its log, with a line for each request.
    pub fn log(&self) -> String {
        self.server.log()
    }
}

/// From `… msg="listening on 127.0.0.1:40123" …`.
fn listening(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("listening on ")?;
    let address = rest.split(['"', ' ', ',']).next()?.trim();
    address
        .starts_with("127.0.0.1:")
        .then(|| address.to_owned())
}

/// `sealmark registry`, with its referrers API. Stops on drop.
#[derive(Debug)]
pub struct SealmarkRegistry {
    server: Server,
    address: String,
    sandbox: Sandbox,
}

impl SealmarkRegistry {
    /// Starts `program` (a test of the crate `sealmark` has it as `env!("CARGO_BIN_EXE_sealmark")`) on an empty folder.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start(program: impl AsRef<Path>) -> Self {
        Self::start_with(program, &[])
    }

    /// Like [`start`](Self::start), with more arguments for `sealmark registry`.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start_with(program: impl AsRef<Path>, arguments: &[&str]) -> Self {
        let sandbox = Sandbox::new();
        let data = sandbox.join("data");
        let program = sandbox
            .command(program)
            .args(["registry", "--dir"])
            .arg(&data);
        let program = program.args(["--listen", "127.0.0.1:0"]).args(arguments);
        let (server, address) = program.serve(|line| {
            let (_, address) = line
                .trim_end()
                .split_once("registry listening on http://")?;
            Some(address.to_owned())
        });
        Self {
            server,
            address,
            sandbox,
        }
    }

    /// `127.0.0.1:PORT`, as it begins an image's name.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The folder with its content.
    pub fn data(&self) -> PathBuf {
        self.sandbox.join("data")
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// The process, to be ended in one way or another.
    pub fn server(&mut self) -> &mut Server {
        &mut self.server
    }
}
