//! Revoking: three releases, of which the second was signed during a break-in, and only that one falls.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod feed;
mod signed_between;

#[path = "../bench/mod.rs"]
mod bench;
#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../instance/world.rs"]
mod world;

use base64::Engine as _;
use bench::{Bench, Registries, Tool, have, json};
use sealmark_testkit::{Finished, Images, images};
use serde_json::Value;
use world::{Instance, WHO};

const TYPE: &str = "https://sealmark.dev/revocation/v1";

/// A pipeline that signs for an identity, a registry, and a security team with a key.
struct Story {
    bench: Bench,
    instance: Instance,
}

impl Story {
    fn begin() -> Self {
        let bench = Bench::new();
        bench.make_key("ecdsa-p256", "security");
        let instance = Instance::start(&bench);
        Self { bench, instance }
    }

    fn keyless(&self, words: &[&str]) -> Finished {
        self.bench
            .run(Tool::Sealmark)
            .args(words)
            .args(["--yes", "--signing-config"])
            .arg(self.instance.file("signing_config.json"))
            .arg("--trusted-root")
            .arg(self.instance.file("trusted_root.json"))
            .env("SIGSTORE_ID_TOKEN", self.instance.issuer.token())
            .run()
    }

    /// With the security team's key, into the same log.
    fn security(&self, words: &[&str]) -> Finished {
        self.bench
            .run(Tool::Sealmark)
            .args(words)
            .args(["--key", "security.key", "--yes", "--signing-config"])
            .arg(self.instance.file("signing_config.json"))
            .arg("--trusted-root")
            .arg(self.instance.file("trusted_root.json"))
            .run()
    }

    /// Different images, so that each has signatures of its own.
    fn release(&self, images: &Images, registry: &str, tag: &str) -> String {
        let image = format!("{registry}/app-{tag}:{tag}");
        let source = match tag {
            "v1" => images.single,
            _ => images.index,
        };
        assert!(images.push(&self.bench.sandbox, source, &image));
        self.keyless(&["sign", &image]).success();
        image
    }

    fn verify(&self, tool: Tool, image: &str, words: &[&str]) -> Finished {
        let tool = self.bench.run(tool).arg("verify").args(words);
        tool.arg("--trusted-root")
            .arg(self.instance.file("trusted_root.json"))
            .args(["--certificate-identity", WHO, "--certificate-oidc-issuer"])
            .arg(&self.instance.issuer.url)
            .args(["--allow-http-registry", image])
            .run()
    }

    fn log_id(&self) -> String {
        let root = std::fs::read(self.instance.file("trusted_root.json")).unwrap();
        let root: Value = serde_json::from_slice(&root).unwrap();
        let id = root["tlogs"][0]["logId"]["keyId"].as_str().unwrap();
        let id = base64::engine::general_purpose::STANDARD
            .decode(id)
            .unwrap();
        id.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[test]
fn the_release_of_the_break_in_falls_and_the_others_stay() {
    if !have(&["skopeo", "cosign3"]) {
        return;
    }
    let Some(images) = images() else { return };
    let story = Story::begin();
    let registries = Registries::start();
    for registry in registries.addresses() {
        let v1 = story.release(&images, registry, "v1");
        let v2 = story.release(&images, registry, "v2");
        let reason = [
            "--reason",
            "build-compromise",
            "--text",
            "the runner was taken over",
        ];
        let revoke = |more: &[&str]| {
            let words = [&["revoke", v2.as_str()][..], &reason, more].concat();
            story.keyless(&words)
        };
        revoke(&["--dry-run"])
            .success()
            .stdout_has("would fall: every signature of this artifact by this signer");
        story.verify(Tool::Sealmark, &v2, &[]).success();
        revoke(&["--bundle", "revoked.json", "--format", "both"])
            .success()
            .stdout_has("falls: every signature")
            .stdout_has("revocation attached to ");
        story
            .verify(Tool::Sealmark, &v2, &[])
            .code(12)
            .stderr_has("revoked, buildCompromise: the runner was taken over (by the signer");
        story.verify(Tool::Sealmark, &v1, &[]).success();
        let report = story.verify(Tool::Sealmark, &v2, &["--output", "json"]);
        let report: Value = serde_json::from_str(&report.stdout()).unwrap();
        let attachments = report[0]["demands"][0]["attachments"].as_array().unwrap();
        let last = |attachment: &Value| attachment["checks"].as_array().unwrap().last().cloned();
        let revoked = attachments
            .iter()
            .filter_map(last)
            .find(|check| check["outcome"] == "failed");
        assert_eq!(revoked.unwrap()["check"], "revocation");
        story
            .bench
            .run(Tool::Sealmark)
            .args(["explain", "--trusted-root"])
            .arg(story.instance.file("trusted_root.json"))
            .args(["--allow-http-registry", &v2])
            .run()
            .success()
            .stdout_has("FAILED  revocation: expected a signature that is not revoked");

        story
            .bench
            .sealmark(&["tree", &v2])
            .success()
            .stdout_has("REVOKED")
            .stdout_has("claimed to be revoked, buildCompromise: the runner was taken over")
            .stdout_has("claimed log entry: ");

        // A client that knows nothing of it sees a good signature, and an attestation like any other, if there is one.
        story.verify(Tool::Cosign3, &v2, &[]).success();
        story
            .bench
            .run(Tool::Cosign3)
            .args([
                "verify-attestation",
                "--new-bundle-format=false",
                "--type",
                TYPE,
            ])
            .arg("--trusted-root")
            .arg(story.instance.file("trusted_root.json"))
            .args(["--certificate-identity", WHO, "--certificate-oidc-issuer"])
            .arg(&story.instance.issuer.url)
            .args(["--allow-http-registry", &v2])
            .run()
            .success();

        // It was a mistake.
        story
            .keyless(&[
                "revoke",
                &v2,
                "--undo",
                "revoked.json",
                "--reason",
                "mistake",
            ])
            .success();
        story.verify(Tool::Sealmark, &v2, &[]).success();
        // And it was not: out of the registry with it, so that every client sees it.
        let anew = ["--text", "it was no mistake", "--detach"];
        let words = [
            &["revoke", v2.as_str(), "--reason", "build-compromise"][..],
            &anew,
        ]
        .concat();
        story.keyless(&words).success().stderr_has("removed ");
        story.verify(Tool::Sealmark, &v2, &[]).failure();
        story.verify(Tool::Cosign3, &v2, &[]).failure();
    }
}

#[test]
fn the_security_team_revokes_what_an_identity_signed_within_a_window() {
    if !have(&["skopeo"]) {
        return;
    }
    let Some(images) = images() else { return };
    let story = Story::begin();
    let registries = Registries::start();
    let registry = registries.addresses()[0].to_owned();
    let v1 = story.release(&images, &registry, "v1");
    let v2 = story.release(&images, &registry, "v2");
    let report = json(
        &story
            .verify(Tool::Sealmark, &v2, &["--output", "json"])
            .success(),
    );
    let seen = &report[0]["demands"][0]["attachments"][0]["seen"][0];
    let index = seen["logIndex"].as_u64().unwrap();
    let range = format!("{}:{index}-{index}", story.log_id());
    story
        .security(&[
            "revoke",
            "--identity",
            WHO,
            "--issuer",
            &story.instance.issuer.url,
            "--log-range",
            &range,
            "--reason",
            "identity-compromise",
            "--bundle",
            "feed.jsonl",
        ])
        .success();
    let with = |image: &str, more: &[&str]| {
        let words = [&["--revocations", "feed.jsonl"][..], more].concat();
        story.verify(Tool::Sealmark, image, &words)
    };
    // Nobody has said that the security team may.
    with(&v2, &[]).success();
    let may = ["--revoker-key", "security.pub"];
    with(&v2, &may)
        .code(12)
        .stderr_has("log position")
        .stderr_has("by a revoker of the policy");
    with(&v1, &may).success();
    // As a policy file has it.
    story.bench.sandbox.write(
        "policy.yaml",
        format!(
            "version: 1\nrevokers: [{{key: security.pub}}]\nrules:\n  - images: ['**']\n    signature:\n      \
             signers:\n        - issuer: {}\n          subject: {WHO}\n",
            story.instance.issuer.url
        ),
    );
    let by_policy = |image: &str| {
        let verify = story
            .bench
            .run(Tool::Sealmark)
            .args(["verify", "--policy", "policy.yaml"]);
        let verify = verify.args(["--revocations", "feed.jsonl", "--trusted-root"]);
        verify
            .arg(story.instance.file("trusted_root.json"))
            .arg(image)
            .run()
    };
    by_policy(&v1).success();
    by_policy(&v2).code(12).stderr_has("revoked");
}

#[test]
fn one_signature_of_two_falls_and_what_cannot_be_meant_is_refused() {
    if !have(&["skopeo"]) {
        return;
    }
    let Some(images) = images() else { return };
    let bench = Bench::new();
    for name in ["alice", "bob"] {
        bench.make_key("ecdsa-p256", name);
    }
    let registries = Registries::start();
    let image = format!("{}/app:v1", registries.addresses()[0]);
    assert!(images.push(&bench.sandbox, images.single, &image));
    for name in ["alice", "bob"] {
        let key = format!("{name}.key");
        bench.sealmark(&["sign", "--key", &key, &image]).success();
    }
    let verify = |name: &str| {
        let key = format!("{name}.pub");
        bench.sealmark(&["verify", "--key", &key, &image])
    };
    // Bob may not revoke what Alice signed; what he says is told, and without effect.
    bench
        .sealmark(&[
            "revoke",
            &image,
            "--key",
            "bob.key",
            "--signed-by",
            "alice.pub",
        ])
        .success();
    verify("alice").success();
    let revoked = [
        "revoke",
        &image,
        "--key",
        "alice.key",
        "--reason",
        "key-compromise",
    ];
    bench
        .sealmark(&revoked)
        .success()
        .stdout_has("stays")
        .stdout_has("falls");
    bench
        .sealmark(&revoked)
        .success()
        .stdout_has("nothing was added");
    verify("alice").code(12).stderr_has("keyCompromise");
    verify("bob").success();

    let none = Value::from(64).to_string();
    for (words, why) in [
        (
            &["revoke", &image, "--key", "alice.key", "--log-index", &none][..],
            "no such signature",
        ),
        (&["revoke", "--key", "alice.key"][..], "required"),
        (
            &[
                "revoke",
                &image,
                "--key",
                "alice.key",
                "--log-range",
                "ab:1-2",
            ][..],
            "64 digits",
        ),
        (
            &[
                "revoke",
                &image,
                "--key",
                "alice.key",
                "--undo",
                "alice.pub",
            ][..],
            "alice.pub",
        ),
    ] {
        bench.sealmark(words).failure().stderr_has(why);
    }
    bench.sandbox.write("empty.jsonl", "{}\n");
    let with = [
        "verify",
        "--key",
        "bob.pub",
        "--revocations",
        "empty.jsonl",
        &image,
    ];
    bench
        .sealmark(&with)
        .failure()
        .stderr_has("empty.jsonl:1 is no revocation");
}
