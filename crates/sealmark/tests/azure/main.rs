//! Keys in Azure Key Vault, as their user meets them: with the program itself, against a double of Key Vault, Entra and
//! managed identities on loopback (`sealmark_testkit::key_vault` says what it is made after).

mod credentials;
mod keys;
mod names;
mod password;
mod plugin;
mod refusals;

use std::path::{Path, PathBuf};

use sealmark_testkit::key_vault::KeyVault;
use sealmark_testkit::{Finished, Peer, Program, Sandbox};

const SEALMARK: &str = env!("CARGO_BIN_EXE_sealmark");

/// A user with a vault.
struct World {
    vault: KeyVault,
    sandbox: Sandbox,
}

impl World {
    fn new() -> Self {
        Self::at(KeyVault::start())
    }

    fn at(vault: KeyVault) -> Self {
        let sandbox = Sandbox::new();
        // No tool of Azure's that this machine may have, and no plugins but those of the test.
        std::fs::create_dir(sandbox.join("bin")).expect("a folder of the test");
        for tool in ["cat", "sed", "sleep"] {
            let path = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(tool));
            let path = path
                .iter()
                .find(|path| path.is_file())
                .expect("every system has it");
            std::os::unix::fs::symlink(path, sandbox.join("bin").join(tool))
                .expect("a folder of the test");
        }
        Self { vault, sandbox }
    }

    /// The reference to a key, in cosign's form.
    fn key(&self, name: &str) -> String {
        format!("azurekms://{}/{name}", self.vault.host())
    }

    /// The program, logged in as the application with all permissions.
    fn sealmark(&self, words: &[&str]) -> Program {
        self.vault.logged_in(self.stranger(words))
    }

    /// The program, with no credentials at all.
    fn stranger(&self, words: &[&str]) -> Program {
        let program = self.sandbox.command(SEALMARK).args(words);
        self.vault.beside(program).env("PATH", self.path())
    }

    /// `PATH` with the test's own folder alone.
    fn path(&self) -> String {
        self.sandbox.join("bin").display().to_string()
    }

    /// A program of the test in `PATH`.
    fn program(&self, name: &str, script: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.sandbox.write(format!("bin/{name}"), script);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("a file of the test");
        path
    }

    /// This program in `PATH` as the plugin for `azurekms`.
    fn plugin(&self) -> PathBuf {
        let path = self.sandbox.join("bin/sigstore-kms-azurekms");
        if !path.exists() {
            std::os::unix::fs::symlink(SEALMARK, &path).expect("a folder of the test");
        }
        path
    }

    /// Makes `NAME.pub` of a key.
    fn public_key(&self, name: &str) -> String {
        let file = format!("{name}.pub");
        self.sealmark(&["public-key", "--key", &self.key(name), "--outfile", &file])
            .run()
            .success();
        file
    }

    /// cosign, logged in, with this program as its plugin, and without any network.
    fn cosign(&self, cosign: &Path, words: &[&str]) -> Program {
        self.plugin();
        let program = self.sandbox.command(cosign).args(words);
        self.vault
            .logged_in(program)
            .env("PATH", self.path())
            .env("TUF_MIRROR", "http://127.0.0.1:1")
    }
}

/// Whether OpenSSL is there, which has the keys of the double.
fn openssl() -> bool {
    let there = Peer::find("openssl").is_some();
    if !there {
        sealmark_testkit::skip("openssl");
    }
    there
}

/// The message of a failure, without the program's name for it.
fn message(finished: &Finished) -> String {
    let text = finished.stderr();
    let line = text
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("error: "));
    line.unwrap_or_else(|| panic!("no message\n{finished}"))
        .to_owned()
}
