//! A log that is served, and how its clients are called.

use std::path::{Path, PathBuf};

use sealmark_formats::Digest;
use sealmark_testkit::{Finished, Program, Server, get};
use serde_json::Value;

use super::{Bench, SEALMARK, Tool};

/// A running log, and its directory.
pub(crate) struct Log {
    pub(crate) url: String,
    pub(crate) directory: PathBuf,
    pub(crate) server: Server,
}

impl Log {
    pub(crate) fn start(bench: &Bench) -> Self {
        Self::listen(bench, "127.0.0.1:0")
    }

    pub(crate) fn listen(bench: &Bench, address: &str) -> Self {
        Self::listen_with(bench, address, &[])
    }

    /// With further flags of `serve`.
    pub(crate) fn listen_with(bench: &Bench, address: &str, words: &[&str]) -> Self {
        let directory = bench.sandbox.join("log");
        let program = bench
            .sandbox
            .command(SEALMARK)
            .args(["serve", "--only", "log", "--listen", address, "--dir"])
            .arg(&directory)
            .args(words);
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

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        let address = self.url.strip_prefix("http://");
        address.expect("the URL is that of a server without TLS")
    }

    /// Stops it, and starts it again at the same place after `work` was done.
    pub(crate) fn stopped_for(self, bench: &Bench, work: impl FnOnce(&Path)) -> Self {
        let address = self.address().to_owned();
        assert!(self.server.terminate().success());
        work(&self.directory);
        Self::listen(bench, &address)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The key of the tree of v1 that takes entries.
    pub(crate) fn key(&self) -> PathBuf {
        let info = self.info();
        let older = info["inactiveShards"].as_array().map_or(0, Vec::len);
        match older {
            0 => self.file("keys/v1.pub"),
            _ => self.file(&format!("keys/v1-{}.pub", older + 1)),
        }
    }

    pub(crate) fn info(&self) -> Value {
        let response = get(self.address(), "/api/v1/log").expect("the log answers");
        serde_json::from_slice(&response.body).expect("the log answers in JSON")
    }

    pub(crate) fn rekor(&self, bench: &Bench, words: &[&str]) -> Program {
        let program = bench.peer("rekor-cli").args(words);
        program.args(["--rekor_server", &self.url])
    }
}

/// What OpenSSL signed, as `rekor-cli` wants to hear it.
pub(crate) fn signed(bench: &Bench, name: &str) -> Vec<String> {
    let openssl = |words: &[&str]| bench.peer("openssl").args(words).run().success();
    let [key, public, file, signature] =
        ["key", "pub", "txt", "sig"].map(|extension| format!("{name}.{extension}"));
    bench.sandbox.write(&file, name);
    openssl(&[
        "ecparam",
        "-name",
        "prime256v1",
        "-genkey",
        "-noout",
        "-out",
        &key,
    ]);
    openssl(&["ec", "-in", &key, "-pubout", "-out", &public]);
    openssl(&["dgst", "-sha256", "-sign", &key, "-out", &signature, &file]);
    let hash = Digest::sha256(name.as_bytes()).hex();
    let words = [
        ["--type", "hashedrekord"],
        ["--pki-format", "x509"],
        ["--artifact-hash", &hash],
        ["--signature", &signature],
        ["--public-key", &public],
    ];
    words.concat().into_iter().map(str::to_owned).collect()
}

pub(crate) fn sign(
    bench: &Bench,
    tool: Tool,
    log: &Log,
    config: &str,
    file: &str,
    to: &str,
) -> Finished {
    let sign = bench
        .run(tool)
        .args(["sign-blob", "--key", "key.key", "--yes", "--bundle", to]);
    let sign = match tool {
        Tool::Cosign2 => sign
            .args(["--new-bundle-format", "--rekor-url", &log.url])
            .env("SIGSTORE_REKOR_PUBLIC_KEY", log.key()),
        _ => sign
            .arg("--signing-config")
            .arg(log.file(config))
            .arg("--trusted-root")
            .arg(log.file("trusted_root.json")),
    };
    sign.arg(file).run()
}

pub(crate) fn verify(bench: &Bench, tool: Tool, log: &Log, bundle: &str, file: &str) -> Finished {
    let verify = bench
        .run(tool)
        .args(["verify-blob", "--key", "key.pub", "--bundle", bundle])
        .arg("--trusted-root")
        .arg(log.file("trusted_root.json"));
    let verify = match tool {
        Tool::Cosign2 => verify.arg("--new-bundle-format"),
        _ => verify,
    };
    verify.arg(file).run()
}
