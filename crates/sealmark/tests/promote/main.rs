//! Promoting: an image signed by somebody else's pipeline comes into one's own registry under one's own key.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod air_gap;
#[path = "../bench/mod.rs"]
mod bench;
mod chain;
mod doors;
mod refusals;
mod steps;
#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../instance/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::path::Path;

use bench::{Bench, SEALMARK, Tool, have, json};
use sealmark_formats::Digest;
use sealmark_testkit::{DockerRegistry, Finished, Images, Program, SealmarkRegistry, images};
use serde_json::Value;
use world::{Instance, WHO};

/// A pipeline that signs for an identity in a registry of its own, and whoever promotes from there, with a key.
struct Story {
    bench: Bench,
    instance: Instance,
    images: Images,
    /// The pipeline's registry.
    public: SealmarkRegistry,
}

impl Story {
    fn begin() -> Option<Self> {
        let images = images()?;
        if !have(&["skopeo"]) {
            return None;
        }
        let bench = Bench::new();
        bench.make_key("ecdsa-p256", "own");
        let instance = Instance::start(&bench);
        Some(Self {
            bench,
            instance,
            images,
            public: SealmarkRegistry::start(SEALMARK),
        })
    }

    /// An image that the pipeline has signed, in its registry.
    fn release(&self, image: &str, sign: &[&str]) -> String {
        let name = format!("{}/acme/app:v1", self.public.address());
        assert!(self.images.push(&self.bench.sandbox, image, &name));
        self.keyless(&[&["sign", name.as_str()][..], sign].concat())
            .success();
        name
    }

    /// As the pipeline.
    fn keyless(&self, words: &[&str]) -> Finished {
        self.bench
            .run(Tool::Sealmark)
            .args(words)
            .args(["--yes", "--signing-config"])
            .arg(self.instance.file("signing_config.json"))
            .arg("--trusted-root")
            .arg(self.root())
            .env("SIGSTORE_ID_TOKEN", self.instance.issuer.token())
            .run()
    }

    fn root(&self) -> std::path::PathBuf {
        self.instance.file("trusted_root.json")
    }

    /// `promote`, asking for the pipeline's identity.
    fn promoting(&self, words: &[&str]) -> Program {
        let promote = self.bench.run(Tool::Sealmark).arg("promote").args(words);
        self.by_identity(promote).args(["--key", "own.key"])
    }

    fn promote(&self, words: &[&str]) -> Finished {
        self.promoting(words).run()
    }

    fn by_identity(&self, program: Program) -> Program {
        program
            .args(["--certificate-identity", WHO, "--certificate-oidc-issuer"])
            .arg(&self.instance.issuer.url)
            .arg("--trusted-root")
            .arg(self.root())
    }

    fn verify(&self, image: &str) -> Finished {
        self.bench.sealmark(&["verify", "--key", "own.pub", image])
    }
}

/// Every file of a registry, by its digest.
fn state(data: &Path) -> BTreeMap<String, Digest> {
    let mut files = BTreeMap::new();
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            match path.is_dir() {
                // Uploads that were begun and not finished.
                true if path.ends_with("_uploads") || path.ends_with("uploads") => {}
                true => folders.push(path),
                false => {
                    let bytes = std::fs::read(&path).unwrap();
                    files.insert(path.display().to_string(), Digest::sha256(&bytes));
                }
            }
        }
    }
    files
}

/// What the tag points at; `None` if there is no such tag.
fn tagged(bench: &Bench, image: &str) -> Option<String> {
    let raw = bench
        .peer("skopeo")
        .args(["inspect", "--raw", "--tls-verify=false"])
        .arg(format!("docker://{image}"))
        .run();
    (raw.exit_code() == Some(0)).then(|| Digest::sha256(raw.stdout_bytes()).to_string())
}

/// The promotion, as its signature is verified by `sealmark verify-attestation`; one and no more, in every form.
fn promotion(bench: &Bench, image: &str) -> Value {
    let words = [
        "verify-attestation",
        "--key",
        "own.pub",
        "--type",
        "promotion",
        "--output",
        "predicate",
        image,
    ];
    let printed = bench.sealmark(&words).success().stdout();
    let mut said: Vec<&str> = printed.lines().collect();
    said.dedup();
    assert_eq!(said.len(), 1, "{printed}");
    serde_json::from_str(said[0]).unwrap()
}

#[test]
fn an_image_of_a_pipeline_is_promoted_and_every_client_verifies_it_by_identity_and_by_key() {
    let Some(story) = Story::begin() else { return };
    if !have(&["cosign2", "cosign3"]) {
        return;
    }
    let image = story.release(story.images.index, &["--format", "both"]);
    let own = SealmarkRegistry::start(SEALMARK);
    let docker = DockerRegistry::start();
    let addresses = [
        Some(own.address()),
        docker.as_ref().map(DockerRegistry::address),
    ];
    for registry in addresses.into_iter().flatten() {
        let promoted = format!("{registry}/prod/app:v1");
        let digest = story.images.digest(story.images.index);
        story
            .promote(&[&image, &promoted])
            .success()
            .stdout_has("verified ")
            .stdout_has("verified at the destination, with the own key alone")
            .stdout_has(&format!("{promoted} is "));
        assert_eq!(tagged(&story.bench, &promoted).as_deref(), Some(&*digest));
        // By the own key: sealmark, cosign 3, and, since the source has signatures in the legacy form, cosign 2.
        story.verify(&promoted).success();
        for tool in [Tool::Cosign2, Tool::Cosign3] {
            story
                .bench
                .cosign_verify(tool, "own", &[&promoted])
                .success();
        }
        // By the identity: what came along.
        for tool in [Tool::Sealmark, Tool::Cosign3] {
            let verify = story.bench.run(tool).arg("verify");
            let verify = story.by_identity(verify);
            verify
                .args(["--allow-http-registry", &promoted])
                .run()
                .success();
        }
        story
            .bench
            .run(Tool::Cosign2)
            .args(["verify", "--certificate-identity", WHO])
            .arg("--certificate-oidc-issuer")
            .arg(&story.instance.issuer.url)
            .env("SIGSTORE_ROOT_FILE", story.instance.file("fulcio.pem"))
            .env(
                "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE",
                story.instance.file("ctfe.pub"),
            )
            .env(
                "SIGSTORE_REKOR_PUBLIC_KEY",
                story.instance.file("rekor.pub"),
            )
            .args(["--allow-http-registry", &promoted])
            .run()
            .success();
        // What it says.
        let said = promotion(&story.bench, &promoted);
        assert_eq!(said["source"]["reference"], image, "{said}");
        assert_eq!(said["source"]["digest"], digest, "{said}");
        assert_eq!(
            said["destination"],
            format!("{registry}/prod/app"),
            "{said}"
        );
        let verified = said["verified"].as_array().unwrap();
        assert_eq!(verified.len(), 2, "in both forms: {said}");
        for one in verified {
            assert_eq!(one["signer"]["identity"], WHO, "{said}");
            assert!(one["seen"][0]["logIndex"].is_u64(), "{said}");
            assert_eq!(
                one["seen"][0]["logId"].as_str().unwrap().len(),
                64,
                "{said}"
            );
        }
        let schema = include_str!("../../../../docs/promotion.schema.json");
        let schema: Value = serde_json::from_str(schema).unwrap();
        for name in schema["required"].as_array().unwrap() {
            assert!(
                said[name.as_str().unwrap()] != Value::Null,
                "{name}: {said}"
            );
        }
    }
}

#[test]
fn a_repetition_changes_nothing_at_all_and_says_so() {
    let Some(story) = Story::begin() else { return };
    let image = story.release(story.images.index, &["--format", "both"]);
    let own = SealmarkRegistry::start(SEALMARK);
    let docker = DockerRegistry::start();
    let mut registries = vec![(own.address().to_owned(), own.data())];
    registries.extend(
        docker
            .as_ref()
            .map(|it| (it.address().to_owned(), it.data())),
    );
    for (registry, data) in registries {
        let promoted = format!("{registry}/prod/app:v1");
        let words = [image.as_str(), &promoted, "--recursive"];
        story.promote(&words).success();
        let before = state(&data);
        // The time must differ by what the statement counts in.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        story
            .promote(&words)
            .success()
            .stdout_has("was promoted to")
            .stdout_has("before: nothing was changed");
        assert_eq!(state(&data), before);
        let again = json(
            &story
                .promote(&[&words[..], &["-o", "json"]].concat())
                .success(),
        );
        assert_eq!(again["changed"], false, "{again}");
        assert_eq!(again["tag"]["state"], "already-there", "{again}");
        assert_eq!(state(&data), before);
        // Each image of the index is signed, too.
        let (repository, _) = promoted.rsplit_once(':').unwrap();
        let child = story.images.digest(story.images.single);
        story.verify(&format!("{repository}@{child}")).success();
    }
}

#[test]
fn without_a_key_the_own_signature_is_by_an_identity() {
    let Some(story) = Story::begin() else { return };
    let image = story.release(story.images.single, &[]);
    let own = SealmarkRegistry::start(SEALMARK);
    // Without a tag it is the source's.
    let promoted = format!("{}/prod/app", own.address());
    let promote = || {
        let promote = story.bench.run(Tool::Sealmark).arg("promote");
        story
            .by_identity(promote)
            .args([&image, &promoted])
            .args(["--yes", "--signing-config"])
            .arg(story.instance.file("signing_config.json"))
            .env("SIGSTORE_ID_TOKEN", story.instance.issuer.token())
            .run()
    };
    promote()
        .success()
        .stdout_has(&format!("{promoted}:v1 is "));
    let before = state(&own.data());
    promote().success().stdout_has("nothing was changed");
    assert_eq!(state(&own.data()), before);
}
