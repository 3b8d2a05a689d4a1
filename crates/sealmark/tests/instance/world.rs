//! An instance that runs, and an issuer of tokens that it believes.

use std::path::PathBuf;

use sealmark_testkit::Server;

#[allow(unused_imports, reason = "not every test asks who signs")]
pub(crate) use crate::bench::issuer::{Issuer, WHO};
use crate::bench::{Bench, SEALMARK};

pub(crate) struct Instance {
    pub(crate) url: String,
    directory: PathBuf,
    pub(crate) server: Server,
    pub(crate) issuer: Issuer,
}

impl Instance {
    pub(crate) fn start(bench: &Bench) -> Self {
        Self::with(bench, |_| String::new())
    }

    /// With more issuers than the one of people: what else stands in the configuration, given that one's URL.
    pub(crate) fn with(bench: &Bench, more: impl FnOnce(&str) -> String) -> Self {
        let issuer = Issuer::start();
        let config = format!(
            "oidc-issuers:\n  {}:\n    client-id: sigstore\n    type: email\n{}",
            issuer.url,
            more(&issuer.url)
        );
        Self::start_with(bench, issuer, &config)
    }

    /// With other issuers.
    pub(crate) fn of(bench: &Bench, config: &str) -> Self {
        Self::start_with(bench, Issuer::start(), config)
    }

    fn start_with(bench: &Bench, issuer: Issuer, config: &str) -> Self {
        bench.sandbox.write("issuers.yaml", config);
        let (server, url) = serve(bench, "127.0.0.1:0");
        Self {
            url,
            directory: bench.sandbox.join("instance"),
            server,
            issuer,
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").expect("it has no TLS")
    }
}

pub(crate) fn serve(bench: &Bench, listen: &str) -> (Server, String) {
    let program = bench.sandbox.command(SEALMARK);
    let words = ["serve", "--dir", "instance", "--listen", listen];
    program
        .args(words)
        .args(["--config", "issuers.yaml"])
        .serve(|line| {
            let (_, rest) = line.split_once("Sigstore at ")?;
            rest.split(": ").next().map(str::to_owned)
        })
}
