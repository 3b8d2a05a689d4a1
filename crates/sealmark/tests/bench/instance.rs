//! An instance that is started, stopped and used by its operator and by clients.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::PathBuf;

use sealmark_testkit::{Finished, Program, Server, SoftHsm};

use super::issuer::{Issuer, WHO};
use super::{Bench, SEALMARK, json};

/// The PIN of tokens.
pub(crate) const PIN: &str = "482910";

/// An address that nobody listens on.
fn free() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// An instance, what its programs need to reach its keys, and clients that do not have that.
pub(crate) struct Instance {
    pub(crate) bench: Bench,
    pub(crate) issuer: Issuer,
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) url: String,
    pub(crate) server: Option<Server>,
}

impl Instance {
    pub(crate) fn new(environment: Vec<(&'static str, String)>) -> Self {
        let (bench, issuer) = (Bench::new(), Issuer::start());
        let config = format!(
            "oidc-issuers:\n  {}:\n    client-id: sigstore\n    type: email\n",
            issuer.url
        );
        bench.sandbox.write("issuers.yaml", config);
        Self {
            bench,
            issuer,
            environment,
            url: format!("http://{}", free()),
            server: None,
        }
    }

    pub(crate) fn on_a_token(hsm: &SoftHsm) -> Self {
        let (variable, configuration) = hsm.environment();
        let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        Self::new(vec![
            (variable, text(configuration)),
            ("COSIGN_PKCS11_MODULE_PATH", text(&hsm.module)),
            ("COSIGN_PKCS11_PIN", PIN.to_owned()),
        ])
    }

    /// `serve` with these words.
    pub(crate) fn operator(&self, words: &[&str]) -> Program {
        let program = self.bench.sandbox.command(SEALMARK).arg("serve");
        let of_keys = self.environment.iter();
        let program = of_keys.fold(program, |program, (name, value)| program.env(name, value));
        program.args(words)
    }

    pub(crate) fn server(&self, more: &[&str]) -> Program {
        let listen = self.url.trim_start_matches("http://");
        let words = ["--dir", "instance", "--listen", listen];
        let program = self.operator(&words).args(["--config", "issuers.yaml"]);
        program.args(more)
    }

    pub(crate) fn start(&mut self, more: &[&str]) {
        let (server, url) = self.server(more).serve(|line| {
            let (_, rest) = line.split_once("Sigstore at ")?;
            rest.split(": ").next().map(str::to_owned)
        });
        (self.server, self.url) = (Some(server), url);
    }

    pub(crate) fn stop(&mut self) -> String {
        let server = self.server.take().expect("it runs");
        let log = server.log();
        assert!(server.terminate().success());
        log
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.bench.sandbox.join("instance").join(name)
    }

    pub(crate) fn on_directory(&self, words: &[&str]) -> Finished {
        self.operator(words).args(["--dir", "instance"]).run()
    }

    pub(crate) fn client(&self, name: &str) -> Program {
        match name {
            "sealmark" => self.bench.sandbox.command(SEALMARK),
            peer => self.bench.peer(peer),
        }
    }

    /// Signs with the client's own choice of a log.
    pub(crate) fn sign(&self, client: &str, config: &str, name: &str) {
        self.bench.sandbox.write(name, format!("file {name}"));
        let (token, bundle) = (self.issuer.token(), format!("{name}.json"));
        let program = self.client(client).env("SIGSTORE_ID_TOKEN", &token);
        let program = program.args(["sign-blob", "--yes", "--bundle", &bundle]);
        let program = program.arg("--signing-config").arg(self.file(config));
        let program = program.arg("--trusted-root");
        let program = program.arg(self.file("trusted_root.json"));
        program.arg(name).run().success();
    }

    /// Everybody verifies, by the files of the instance.
    pub(crate) fn all_verify(&self, names: &[&str]) {
        self.verify_with(&["sealmark", "cosign3"], names);
    }

    /// As [`Self::all_verify`], without cosign.
    pub(crate) fn sealmark_verifies(&self, names: &[&str]) {
        self.verify_with(&["sealmark"], names);
    }

    fn verify_with(&self, clients: &[&str], names: &[&str]) {
        for (client, name) in names
            .iter()
            .flat_map(|name| clients.iter().map(move |client| (client, name)))
        {
            let program = self.client(client).args(["verify-blob", "--bundle"]);
            let program = program.arg(format!("{name}.json")).arg("--trusted-root");
            let program = program.arg(self.file("trusted_root.json"));
            let program = program.args(["--certificate-identity", WHO]);
            let program = program.args(["--certificate-oidc-issuer", &self.issuer.url]);
            program.arg(name).run().success();
        }
    }

    /// Both clients sign, into the tree of v1 and into that of v2.
    pub(crate) fn all_sign(&self, prefix: &str) -> Vec<String> {
        let mut names = Vec::new();
        for client in ["sealmark", "cosign3"] {
            for (log, config) in [
                ("v1", "signing_config.json"),
                ("v2", "signing_config_rekor_v2.json"),
            ] {
                let name = format!("{prefix}-{client}-{log}");
                self.sign(client, config, &name);
                names.push(name);
            }
        }
        let all: Vec<_> = names.iter().map(String::as_str).collect();
        self.all_verify(&all);
        names
    }

    /// Service and where its key is, of all that is in use and is not in the directory.
    pub(crate) fn elsewhere(&self) -> Vec<(String, String)> {
        let status = json(&self.on_directory(&["status", "-o", "json"]).success());
        let items = status["items"].as_array().unwrap().iter();
        let mut found: Vec<_> = items
            .filter(|item| item["state"] == "active")
            .filter_map(|item| {
                let place = item["keyReference"].as_str()?.to_owned();
                Some((item["service"].as_str()?.to_owned(), place))
            })
            .collect();
        found.dedup();
        found
    }
}
