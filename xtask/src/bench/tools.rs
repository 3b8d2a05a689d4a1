//! The programs that are compared, and what each is told to do.
//!
//! Invariant: both get the same work. Neither asks a log, a timestamp service or a trust root: a key signs and
//! verifies with nothing but the registry.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::process::{self, Outcome};

/// Of the key file. It protects a key that lives as long as the run.
const PASSWORD: &str = "a password for one run";

/// One side of a comparison.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tool {
    Sealmark,
    Cosign,
}

impl Tool {
    /// In the order in which they take turns.
    pub(super) const BOTH: [Self; 2] = [Self::Sealmark, Self::Cosign];

    /// As it is part of a repository's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sealmark => "sealmark",
            Self::Cosign => "cosign",
        }
    }
}

/// Who signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Key {
    Usual,
    Another,
}

impl Key {
    /// The name of its files, without `.key` and `.pub`.
    fn file(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::Another => "another",
        }
    }
}

/// Where everything is.
#[derive(Debug)]
pub(super) struct Tools {
    sealmark: PathBuf,
    peers: PathBuf,
    folder: PathBuf,
}

impl Tools {
    /// Makes the key pairs and cosign's configuration in `folder`, which is also the home of every program that runs.
    pub(super) fn prepare(sealmark: PathBuf, peers: PathBuf, folder: &Path) -> Outcome<Self> {
        let tools = Self {
            sealmark,
            peers,
            folder: folder.to_path_buf(),
        };
        let cosign = |arguments: &[&str]| {
            let mut command = tools.command(&tools.peer("cosign3"), arguments);
            process::succeed(command.current_dir(folder))
        };
        for key in [Key::Usual, Key::Another] {
            cosign(&["generate-key-pair", "--output-key-prefix", key.file()])?;
        }
        // An empty configuration: no log, no timestamps.
        cosign(&["signing-config", "create", "--out", "signing-config.json"])?;
        Ok(tools)
    }

    /// A file of this run.
    pub(super) fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// A program of `.peers/bin`, or of the machine.
    pub(super) fn peer(&self, name: &str) -> PathBuf {
        let fetched = self.peers.join("bin").join(name);
        if fetched.exists() {
            return fetched;
        }
        process::on_path(name).unwrap_or(fetched)
    }

    fn private(&self, key: Key) -> String {
        self.file(&format!("{}.key", key.file()))
    }

    /// Of [`Key::Usual`], which made all that is verified.
    fn public(&self) -> String {
        self.file(&format!("{}.pub", Key::Usual.file()))
    }

    /// The layout that `cargo xtask image` writes.
    pub(super) fn images(&self) -> PathBuf {
        self.peers.join("images/oci")
    }

    /// The name and version of a peer, as `cargo xtask peers` filed it: `cosign-3.1.1`.
    pub(super) fn version_of(&self, name: &str) -> String {
        std::fs::read_link(self.peers.join("bin").join(name))
            .map_or_else(|_| name.to_owned(), |target| target.display().to_string())
    }

    /// `program` in an environment that holds nothing of the user's.
    pub(super) fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &self.folder)
            .env("TMPDIR", &self.folder)
            .env("COSIGN_PASSWORD", PASSWORD);
        command
    }

    /// One of the two programs, whose flags are the same.
    pub(super) fn tool(&self, tool: Tool, arguments: &[&str]) -> Command {
        match tool {
            Tool::Sealmark => self.command(&self.sealmark, arguments),
            Tool::Cosign => self.command(&self.peer("cosign3"), arguments),
        }
    }

    /// Starts and ends.
    pub(super) fn version(&self, tool: Tool) -> Command {
        self.tool(tool, &["version"])
    }

    /// Signs an image, as a bundle.
    pub(super) fn sign(&self, tool: Tool, key: Key, image: &str) -> Command {
        let (key, configuration) = (self.private(key), self.file("signing-config.json"));
        match tool {
            Tool::Sealmark => self.tool(tool, &["sign", "--key", &key, image]),
            Tool::Cosign => {
                let flags = ["--signing-config", &configuration, "-y"];
                let mut command = self.tool(tool, &["sign", "--key", &key]);
                command.args(flags).args(["--allow-http-registry", image]);
                command
            }
        }
    }

    /// Verifies an image.
    pub(super) fn verify(&self, tool: Tool, image: &str) -> Command {
        let mut command = self.tool(tool, &["verify", "--key", &self.public()]);
        if tool == Tool::Cosign {
            command.args(["--insecure-ignore-tlog", "--allow-http-registry"]);
        }
        command.arg(image);
        command
    }

    /// Signs a file with cosign.
    pub(super) fn sign_blob(&self, file: &str, bundle: &str) -> Command {
        let (key, configuration) = (self.private(Key::Usual), self.file("signing-config.json"));
        let mut command = self.tool(Tool::Cosign, &["sign-blob", "--key", &key, "-y"]);
        command.args(["--signing-config", &configuration, "--bundle", bundle, file]);
        command
    }

    /// Verifies a file.
    pub(super) fn verify_blob(&self, tool: Tool, file: &str, bundle: &str) -> Command {
        let key = self.public();
        let mut command = self.tool(tool, &["verify-blob", "--key", &key, "--bundle", bundle]);
        if tool == Tool::Cosign {
            command.arg("--insecure-ignore-tlog");
        }
        command.arg(file);
        command
    }

    /// `sealmark registry` in `folder`.
    pub(super) fn registry(&self, folder: &str) -> Command {
        let listen = ["--listen", "127.0.0.1:0"];
        let mut command = self.tool(Tool::Sealmark, &["registry", "--dir", folder]);
        command.args(listen);
        command
    }
}

/// Builds Sealmark as it is released; the program's path.
pub(super) fn build_sealmark(checkout: &Path) -> Outcome<PathBuf> {
    eprintln!("building sealmark, optimised");
    let mut command = process::cargo(checkout);
    command
        .args(["build", "--release", "--locked", "--package", "sealmark"])
        .arg("--message-format=json-render-diagnostics");
    let messages = process::succeed(&mut command)?;
    executable(&messages, "sealmark").ok_or_else(|| "cargo build named no program sealmark".into())
}

/// The program `name` in Cargo's messages, one JSON object a line.
pub(super) fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_where_cargo_says() {
        let messages = "{\"target\":{\"name\":\"build-script-build\"},\"executable\":\"/b\"}\n\
            {\"target\":{\"name\":\"sealmark\"},\"executable\":null}\nnot JSON\n\
            {\"target\":{\"name\":\"sealmark\"},\"executable\":\"/t/release/sealmark\"}\n";
        let expected = Some(PathBuf::from("/t/release/sealmark"));
        assert_eq!(executable(messages, "sealmark"), expected);
        assert_eq!(
            executable("{\"reason\":\"build-finished\"}", "sealmark"),
            None
        );
    }
}
