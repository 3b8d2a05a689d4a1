//! A home for the programs that one test runs.
//!
//! Invariant: nothing that is set up for the user (home, logins, keys, proxies, clouds) reaches a program in here.

use std::path::{Path, PathBuf};

use crate::program::Program;

/// A folder that is the home of all programs started from it; removed with everything in it on drop.
#[derive(Debug)]
pub struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    /// An empty home.
    ///
    /// # Panics
    ///
    /// If the folder for temporary files can't be written.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("sealmark-test-").tempdir();
        let folder = folder.expect("cannot create a temporary folder");
        for name in ["home", "home/.docker", "run", "tmp"] {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).expect("cannot create a folder in a temporary folder");
        }
        Self { folder }
    }

    /// The folder in which programs run.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path inside; a file need not be there.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file and returns its path.
    ///
    /// # Panics
    ///
    /// If it can't be written.
    pub fn write(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .unwrap_or_else(|error| panic!("cannot create {}: {error}", folder.display()));
        }
        std::fs::write(&path, bytes)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path
    }

    /// Reads a file as text.
    ///
    /// # Panics
    ///
    /// If it can't be read or is not UTF-8.
    pub fn read(&self, name: impl AsRef<Path>) -> String {
        let path = self.join(name);
        std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
    }

    /// `program`, to be run in this folder with an environment of its own: only `PATH` comes from outside.
    pub fn command(&self, program: impl AsRef<Path>) -> Program {
        let mut command = std::process::Command::new(program.as_ref());
        command.env_clear().current_dir(self.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.join("home"));
        // One place for registry logins, whichever of its names a program goes by. Not REGISTRY_AUTH_FILE: docker-registry
        // takes every REGISTRY_… for a part of its configuration.
        command.env("DOCKER_CONFIG", self.join("home/.docker"));
        command.env("XDG_RUNTIME_DIR", self.join("run"));
        command.env("TMPDIR", self.join("tmp"));
        command
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("NO_COLOR", "1");
        // Cloud SDKs would otherwise ask the network where they are.
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        Program::new(command)
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}
