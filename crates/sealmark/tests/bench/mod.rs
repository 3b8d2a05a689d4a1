//! What the tests with other tools share: keys, and how cosign is kept on this machine.

#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod instance;
pub(crate) mod issuer;
pub(crate) mod log;

use std::path::PathBuf;

use sealmark_testkit::{
    DockerRegistry, Finished, Peer, Program, Sandbox, SealmarkRegistry, get, skip,
};
use serde_json::Value;

pub(crate) const SEALMARK: &str = env!("CARGO_BIN_EXE_sealmark");
pub(crate) const PASSWORD: &str = "correct horse";

/// A tool that signs and verifies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tool {
    Sealmark,
    /// 2.5.0
    Cosign2,
    /// 3.1.1
    Cosign3,
}

impl Tool {
    pub(crate) const ALL: [Self; 3] = [Self::Sealmark, Self::Cosign2, Self::Cosign3];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sealmark => "sealmark",
            Self::Cosign2 => "cosign2",
            Self::Cosign3 => "cosign3",
        }
    }

    /// The tools that are there; the others are named aloud.
    pub(crate) fn found() -> Vec<Self> {
        let there = |tool: &Self| {
            let found = *tool == Self::Sealmark || Peer::find(tool.name()).is_some();
            if !found {
                skip(tool.name());
            }
            found
        };
        Self::ALL.into_iter().filter(there).collect()
    }
}

/// A home with keys, and with the files that tell cosign to use no log and to ask no network.
pub(crate) struct Bench {
    pub(crate) sandbox: Sandbox,
    /// Names no service at all.
    pub(crate) signing_config: PathBuf,
    /// Trusts no service at all.
    pub(crate) trusted_root: PathBuf,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::new();
        let signing_config = sandbox.write(
            "signing-config.json",
            r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}"#,
        );
        let trusted_root = sandbox.write(
            "trusted-root.json",
            r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#,
        );
        Self {
            sandbox,
            signing_config,
            trusted_root,
        }
    }

    /// Makes `name.key` and `name.pub`.
    pub(crate) fn make_key(&self, algorithm: &str, name: &str) {
        self.run(Tool::Sealmark)
            .args(["generate-key-pair", "--algorithm", algorithm])
            .args(["--output-key-prefix", name])
            .run()
            .success();
    }

    /// `tool`, knowing the password of the keys.
    ///
    /// # Panics
    ///
    /// If it is not there: see [`Tool::found`].
    pub(crate) fn run(&self, tool: Tool) -> Program {
        let program = match tool {
            Tool::Sealmark => PathBuf::from(SEALMARK),
            peer => Peer::find(peer.name()).expect("the caller looked for it"),
        };
        let run = self
            .sandbox
            .command(program)
            .env("COSIGN_PASSWORD", PASSWORD);
        match tool {
            Tool::Sealmark => run,
            // Nothing listens there: cosign is not to fetch a trusted root when none is needed.
            _ => run.env("TUF_MIRROR", "http://127.0.0.1:1"),
        }
    }

    /// Another program that the caller has found.
    pub(crate) fn peer(&self, name: &str) -> Program {
        let program = Peer::find(name).expect("the caller looked for it");
        self.sandbox.command(program)
    }

    /// `sealmark` with these words.
    pub(crate) fn sealmark(&self, words: &[&str]) -> Finished {
        self.run(Tool::Sealmark).args(words).run()
    }

    /// `cosign sign` with `name.key` and these further words, without a log.
    pub(crate) fn cosign_sign(
        &self,
        tool: Tool,
        key: &str,
        legacy: bool,
        words: &[&str],
    ) -> Finished {
        let sign = self.run(tool).args(["sign", "--key"]);
        let sign = sign.arg(format!("{key}.key"));
        let sign = match (tool, legacy) {
            (Tool::Cosign3, false) => sign.arg("--signing-config").arg(&self.signing_config),
            (Tool::Cosign3, true) => sign.args([
                "--tlog-upload=false",
                "--new-bundle-format=false",
                "--use-signing-config=false",
            ]),
            _ => sign.arg("--tlog-upload=false"),
        };
        sign.args(["--yes", "--allow-http-registry"])
            .args(words)
            .run()
    }

    /// `cosign verify` with `name.pub` and these further words, without a log.
    pub(crate) fn cosign_verify(&self, tool: Tool, key: &str, words: &[&str]) -> Finished {
        self.run(tool)
            .args(["verify", "--key", &format!("{key}.pub")])
            .args(["--insecure-ignore-tlog", "--allow-http-registry"])
            .args(words)
            .run()
    }
}

/// Whether all these peers are there; those that are not are named aloud.
pub(crate) fn have(names: &[&str]) -> bool {
    let missing: Vec<_> = names
        .iter()
        .filter(|name| Peer::find(name).is_none())
        .collect();
    for name in &missing {
        skip(name);
    }
    missing.is_empty()
}

/// Standard output as JSON.
#[track_caller]
pub(crate) fn json(finished: &Finished) -> Value {
    serde_json::from_slice(finished.stdout_bytes())
        .unwrap_or_else(|error| panic!("not JSON: {error}\n{finished}"))
}

/// A registry with the referrers API and one without.
pub(crate) struct Registries {
    embedded: SealmarkRegistry,
    docker: Option<DockerRegistry>,
}

impl Registries {
    pub(crate) fn start() -> Self {
        Self {
            embedded: SealmarkRegistry::start(SEALMARK),
            docker: DockerRegistry::start(),
        }
    }

    pub(crate) fn addresses(&self) -> Vec<&str> {
        let docker = self.docker.as_ref().map(DockerRegistry::address);
        [Some(self.embedded.address()), docker]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// What the registry lists as referring to `digest`, by its API or at the fallback tag.
pub(crate) fn referrers(bench: &Bench, repository: &str, digest: &str) -> Vec<Value> {
    let (registry, name) = repository.split_once('/').expect("HOST/NAME");
    let path = format!("/v2/{name}/referrers/{digest}");
    let response = get(registry, &path).expect("the registry answers");
    let index = if response.status == 200 {
        Some(serde_json::from_slice(&response.body).expect("the registry gives JSON"))
    } else {
        manifest(bench, &format!("{repository}:{}", digest.replace(':', "-")))
    };
    index
        .and_then(|index: Value| index["manifests"].as_array().cloned())
        .unwrap_or_default()
}

/// The signatures at the tag `sha256-….sig`.
pub(crate) fn legacy_layers(bench: &Bench, repository: &str, digest: &str) -> Vec<Value> {
    let tag = format!("{repository}:{}.sig", digest.replace(':', "-"));
    manifest(bench, &tag)
        .and_then(|manifest| manifest["layers"].as_array().cloned())
        .unwrap_or_default()
}

/// A manifest or index as skopeo sees it, if it is there.
pub(crate) fn manifest(bench: &Bench, reference: &str) -> Option<Value> {
    let raw = bench
        .peer("skopeo")
        .args(["inspect", "--raw", "--tls-verify=false"])
        .arg(format!("docker://{reference}"))
        .run();
    (raw.exit_code() == Some(0)).then(|| json(&raw))
}
