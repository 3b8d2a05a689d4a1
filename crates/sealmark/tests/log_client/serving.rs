//! A log that runs, and what is signed for it.

use std::path::PathBuf;

use crate::bench::{Bench, SEALMARK};
use sealmark_testkit::{Finished, Program, Server};
use serde_json::Value;

/// A running log, and its directory.
pub(crate) struct Log {
    pub(crate) url: String,
    pub(crate) directory: PathBuf,
    server: Server,
}

impl Log {
    pub(crate) fn start(bench: &Bench) -> Self {
        Self::listen(bench, "127.0.0.1:0", "log")
    }

    pub(crate) fn listen(bench: &Bench, address: &str, directory: &str) -> Self {
        let directory = bench.sandbox.join(directory);
        let program = bench
            .sandbox
            .command(SEALMARK)
            .args(["serve", "--only", "log", "--listen", address, "--dir"])
            .arg(&directory);
        let (server, url) = program.serve(|line| {
            let (_, rest) = line.split_once("transparency log at ")?;
            rest.split(' ').next().map(str::to_owned)
        });
        Self {
            url,
            directory,
            server,
        }
    }

    pub(crate) fn address(&self) -> &str {
        let address = self.url.strip_prefix("http://");
        address.expect("the URL is that of a server without TLS")
    }

    pub(crate) fn stop(self) {
        assert!(self.server.terminate().success());
    }

    /// `sealmark log WORDS` on this log, which believes its trusted root.
    pub(crate) fn sealmark(&self, bench: &Bench, words: &[&str]) -> Program {
        let program = bench.sandbox.command(SEALMARK).arg("log").args(words);
        program
            .args(["--rekor-url", &self.url, "--trusted-root"])
            .arg(self.directory.join("trusted_root.json"))
    }

    /// The same on version 2 of the interface.
    pub(crate) fn sealmark_v2(&self, bench: &Bench, words: &[&str]) -> Program {
        self.sealmark(bench, words).args(["--log-version", "2"])
    }
}

/// A file and its signature by a new key, all called `name`: `name.txt`, `name.sig` and `name.pub`; gives the flags that
/// name them.
pub(crate) fn signed(bench: &Bench, name: &str) -> Vec<String> {
    let key = sealmark_keys::PrivateKey::generate(sealmark_keys::Algorithm::EcdsaP256)
        .expect("a key can be made");
    let signature = key.sign(name.as_bytes()).expect("a P-256 key signs");
    let file = |extension: &str| format!("{name}.{extension}");
    bench.sandbox.write(file("txt"), name);
    bench.sandbox.write(file("sig"), signature);
    bench
        .sandbox
        .write(file("pub"), key.public_key().to_pem().as_bytes());
    let words = [
        ["--artifact", &file("txt")],
        ["--signature", &file("sig")],
        ["--public-key", &file("pub")],
    ];
    words.concat().into_iter().map(str::to_owned).collect()
}

/// What a command printed as JSON.
pub(crate) fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout())
        .unwrap_or_else(|error| panic!("not JSON: {error}\n{finished}"))
}

/// Uploads, and gives what was printed as JSON.
pub(crate) fn upload(bench: &Bench, log: &Log, name: &str) -> Value {
    let words = signed(bench, name);
    let uploaded = log
        .sealmark(bench, &["upload", "--output", "json"])
        .args(words);
    json(&uploaded.run().success())
}
