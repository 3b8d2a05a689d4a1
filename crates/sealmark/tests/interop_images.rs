//! Images signed by one tool and verified by another, in real registries.
//!
//! The matrix: {Sealmark, cosign 2.5.0, cosign 3.1.1} sign × the same verify × {a registry with the referrers API, one
//! without} × {P-256, P-384, RSA-2048, Ed25519} × {bundle, legacy}. What a peer cannot do is listed by name in
//! [`peer_cannot`], and is proven: a peer that can after all fails the test too.

use std::path::{Path, PathBuf};

use sealmark_testkit::{
    DockerRegistry, Finished, Peer, Program, Sandbox, SealmarkRegistry, images, skip,
};

const SEALMARK: &str = env!("CARGO_BIN_EXE_sealmark");
const PASSWORD: &str = "correct horse";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Tool {
    Sealmark,
    Cosign2,
    Cosign3,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Layout {
    Bundle,
    Legacy,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Work {
    Sign,
    /// Verify what this tool has signed.
    Verify(Tool),
}

const TOOLS: [Tool; 3] = [Tool::Sealmark, Tool::Cosign2, Tool::Cosign3];
const LAYOUTS: [Layout; 2] = [Layout::Bundle, Layout::Legacy];
const ALGORITHMS: [&str; 4] = ["ecdsa-p256", "ecdsa-p384", "rsa-2048", "ed25519"];

/// What a peer itself cannot do, and why.
fn peer_cannot(tool: Tool, work: Work, algorithm: &str, layout: Layout) -> Option<&'static str> {
    match (tool, work, algorithm, layout) {
        (Tool::Cosign2, _, _, Layout::Bundle) => {
            Some("cosign 2.5.0 has no bundles for images (they came with 2.6)")
        }
        (Tool::Cosign2 | Tool::Cosign3, Work::Verify(Tool::Cosign3), "ed25519", _) => {
            Some("cosign 3.1.1 signs with Ed25519ph and verifies pure Ed25519")
        }
        _ => None,
    }
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Sealmark => "sealmark",
            Self::Cosign2 => "cosign2",
            Self::Cosign3 => "cosign3",
        }
    }

    fn program(self) -> Option<PathBuf> {
        match self {
            Self::Sealmark => Some(SEALMARK.into()),
            peer => Peer::find(peer.name()),
        }
    }
}

/// Keys, and what cosign needs to stay on this machine.
struct Bench {
    sandbox: Sandbox,
    signing_config: Option<PathBuf>,
}

impl Bench {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        for algorithm in ALGORITHMS {
            sealmark(&sandbox)
                .args(["generate-key-pair", "--algorithm", algorithm])
                .args(["--output-key-prefix", algorithm])
                .run()
                .success();
        }
        // An empty signing configuration is how cosign 3 is told to use no log.
        let signing_config = Peer::find("cosign3").map(|cosign| {
            let path = sandbox.join("signing-config.json");
            sandbox
                .command(cosign)
                .args(["signing-config", "create", "--out"])
                .arg(&path)
                .run()
                .success();
            path
        });
        Self {
            sandbox,
            signing_config,
        }
    }

    fn key(&self, algorithm: &str) -> PathBuf {
        self.sandbox.join(format!("{algorithm}.key"))
    }

    fn public_key(&self, algorithm: &str) -> PathBuf {
        self.sandbox.join(format!("{algorithm}.pub"))
    }

    fn sign(&self, tool: Tool, algorithm: &str, layout: Layout, image: &str) -> Finished {
        let program = tool.program().expect("the caller looked for it");
        let mut command = self
            .sandbox
            .command(program)
            .env("COSIGN_PASSWORD", PASSWORD);
        command = command.args(["sign", "--key"]).arg(self.key(algorithm));
        command = match (tool, layout) {
            (Tool::Sealmark, Layout::Bundle) => command.args(["--format", "bundle"]),
            (Tool::Sealmark, Layout::Legacy) => command.args(["--format", "legacy"]),
            (Tool::Cosign2, Layout::Legacy) => command.arg("--tlog-upload=false"),
            (Tool::Cosign2, Layout::Bundle) => {
                command.args(["--tlog-upload=false", "--new-bundle-format"])
            }
            (Tool::Cosign3, Layout::Legacy) => command.args([
                "--tlog-upload=false",
                "--new-bundle-format=false",
                "--use-signing-config=false",
            ]),
            (Tool::Cosign3, Layout::Bundle) => {
                let config = self
                    .signing_config
                    .as_deref()
                    .unwrap_or_else(|| Path::new(""));
                command.arg("--signing-config").arg(config)
            }
        };
        command
            .args(["--yes", "--allow-http-registry", image])
            .run()
    }

    fn verify(&self, tool: Tool, signer: Tool, algorithm: &str, image: &str) -> Finished {
        let program = tool.program().expect("the caller looked for it");
        let mut command = self.sandbox.command(program).args(["verify", "--key"]);
        command = command.arg(self.public_key(algorithm));
        // The hash follows from the key, but cosign must be told so; cosign 2 signs with SHA-256 whatever the key.
        if tool != Tool::Sealmark && signer != Tool::Cosign2 && algorithm == "ecdsa-p384" {
            command = command.args(["--signature-digest-algorithm", "sha384"]);
        }
        command
            .args(["--insecure-ignore-tlog", "--allow-http-registry", image])
            .run()
    }
}

fn sealmark(sandbox: &Sandbox) -> Program {
    sandbox.command(SEALMARK).env("COSIGN_PASSWORD", PASSWORD)
}

/// Runs the whole matrix on one registry.
fn matrix(registry: &str) {
    let Some(images) = images() else { return };
    let bench = Bench::new();
    let tools: Vec<Tool> = TOOLS
        .into_iter()
        .filter(|tool| {
            let found = tool.program().is_some();
            if !found {
                skip(tool.name());
            }
            found
        })
        .collect();
    let mut faults = Vec::new();
    let mut check = |finished: Finished, tool, work, algorithm, layout| {
        let good = finished.exit_code() == Some(0);
        let what = format!("{} {work:?} {algorithm} {layout:?}", Tool::name(tool));
        match peer_cannot(tool, work, algorithm, layout) {
            Some(reason) if good => {
                faults.push(format!("{what}: works, and is listed as: {reason}"));
            }
            Some(reason) => println!("peer cannot: {what}: {reason}"),
            None if !good => faults.push(format!("{what}: {}", finished.stderr())),
            None => {}
        }
        good
    };
    for signer in &tools {
        for layout in LAYOUTS {
            for algorithm in ALGORITHMS {
                let name = format!("{}-{layout:?}-{algorithm}", signer.name()).to_lowercase();
                let image = format!("{registry}/{name}:v1");
                if !images.push(&bench.sandbox, images.single, &image) {
                    return;
                }
                let signed = bench.sign(*signer, algorithm, layout, &image);
                if !check(signed, *signer, Work::Sign, algorithm, layout) {
                    continue;
                }
                for verifier in &tools {
                    let verified = bench.verify(*verifier, *signer, algorithm, &image);
                    check(
                        verified,
                        *verifier,
                        Work::Verify(*signer),
                        algorithm,
                        layout,
                    );
                }
            }
        }
    }
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn every_tool_verifies_what_every_tool_signs_with_referrers() {
    let registry = SealmarkRegistry::start(SEALMARK);
    matrix(registry.address());
}

#[test]
fn every_tool_verifies_what_every_tool_signs_without_referrers() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    matrix(registry.address());
}
