//! Every image that a manifest or a Dockerfile names is verified, or the file is not.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod bench;

use bench::{Bench, Registries, Tool, have, json};
use sealmark_testkit::{Finished, images};

/// Signed by the key as cosign 2 does, signed as a bundle, and not signed.
struct Ground {
    bench: Bench,
    _registries: Registries,
    legacy: String,
    bundle: String,
    unsigned: String,
}

fn ground() -> Option<Ground> {
    if !have(&["skopeo", "cosign2", "cosign3"]) {
        return None;
    }
    let images = images()?;
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "k");
    let registries = Registries::start();
    let [legacy, bundle, unsigned] = ["legacy", "bundle", "unsigned"].map(|name| {
        let image = format!("{}/{name}:v1", registries.addresses()[0]);
        assert!(images.push(&bench.sandbox, images.single, &image));
        image
    });
    bench
        .cosign_sign(Tool::Cosign2, "k", true, &[&legacy])
        .success();
    bench
        .cosign_sign(Tool::Cosign3, "k", false, &[&bundle])
        .success();
    Some(Ground {
        bench,
        _registries: registries,
        legacy,
        bundle,
        unsigned,
    })
}

impl Ground {
    fn verify(&self, words: &[&str]) -> Finished {
        let run = self.bench.run(Tool::Sealmark).args(words);
        run.arg("--key=k.pub").run()
    }

    fn cosign(&self, words: &[&str]) -> Finished {
        let run = self.bench.run(Tool::Cosign2).args(words);
        run.args([
            "--key=k.pub",
            "--insecure-ignore-tlog",
            "--allow-http-registry",
        ])
        .run()
    }

    /// A pod with these images, the first in an init container.
    fn pod(&self, images: &[&str]) {
        let containers = |images: &[&str]| {
            let list: Vec<_> = images
                .iter()
                .map(|it| format!("{{name: c, image: \"{it}\"}}"))
                .collect();
            list.join(", ")
        };
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  initContainers: [{}]\n  containers: [{}]\n",
            containers(&images[..1]),
            containers(&images[1..]),
        );
        self.bench.sandbox.write("pod.yaml", text);
    }
}

#[test]
fn the_verdict_on_a_manifest_is_cosigns_where_cosign_can_tell() {
    let Some(ground) = ground() else {
        return;
    };
    let (legacy, bundle, unsigned) = (&*ground.legacy, &*ground.bundle, &*ground.unsigned);
    for images in [
        &[legacy, legacy][..],
        &[legacy, unsigned],
        &[unsigned, legacy],
        &[legacy, "127.0.0.1:1/none:v1"],
    ] {
        ground.pod(images);
        let ours = ground.verify(&["manifest", "verify", "pod.yaml"]);
        let theirs = ground.cosign(&["manifest", "verify", "pod.yaml"]);
        assert_eq!(
            ours.exit_code() == Some(0),
            theirs.exit_code() == Some(0),
            "{images:?}\n{ours}\n{theirs}"
        );
    }
    // Both layouts at once, which no cosign can.
    ground.pod(&[legacy, bundle]);
    let ours = ground.verify(&["manifest", "verify", "pod.yaml"]).success();
    let ours = ours
        .stderr_has("Extracted image(s): ")
        .stderr_has(legacy)
        .stderr_has(bundle);
    assert_eq!(ours.stdout().matches("verified ").count(), 2);
    ground.cosign(&["manifest", "verify", "pod.yaml"]).failure();
    // A report for each, whatever becomes of the others.
    ground.pod(&[unsigned, bundle]);
    let report = ground
        .verify(&["manifest", "verify", "-o", "json", "pod.yaml"])
        .code(10);
    let report = json(&report);
    let of = |image: &str| {
        report
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["image"] == image)
            .unwrap()
    };
    assert_eq!(of(unsigned)["verdict"], "no-signatures");
    assert_eq!(of(bundle)["verdict"], "verified");
}

#[test]
fn what_cosign_passes_over_is_verified() {
    let Some(ground) = ground() else {
        return;
    };
    let unsigned = &ground.unsigned;
    for text in [
        format!("kind: Widget\nspec: {{image: \"{unsigned}\"}}\n"),
        format!(
            "kind: List\nitems: [{{kind: Pod, spec: {{containers: [{{image: \"{unsigned}\"}}]}}}}]\n"
        ),
        format!(
            "kind: CronJob\nspec: {{jobTemplate: {{spec: {{template: {{spec: {{ephemeralContainers: [{{image: \"{unsigned}\"}}]}}}}}}}}}}\n"
        ),
        format!(
            "kind: X\n---\n---\nkind: Pod\nspec: {{volumes: [{{image: {{reference: \"{unsigned}\"}}}}]}}\n"
        ),
        format!("x: &x {{image: \"{unsigned}\"}}\ny: *x\n"),
        format!("{{\"kind\":\"Pod\",\"spec\":{{\"containers\":[{{\"image\":\"{unsigned}\"}}]}}}}"),
    ] {
        ground.bench.sandbox.write("m.yaml", &text);
        let refused = ground.verify(&["manifest", "verify", "m.yaml"]).code(10);
        refused.stderr_has("unsigned:v1");
    }
    for text in ["kind: Service\n", "", "a: [", "image: ''", "image: '%%%'"] {
        ground.bench.sandbox.write("m.yaml", text);
        ground.verify(&["manifest", "verify", "m.yaml"]).code(1);
    }
}

#[test]
fn a_dockerfile_is_verified_without_its_own_stages() {
    let Some(ground) = ground() else {
        return;
    };
    let (legacy, bundle, unsigned) = (&ground.legacy, &ground.bundle, &ground.unsigned);
    let dockerfile = |text: &str| ground.bench.sandbox.write("Dockerfile", text);
    let name = legacy.trim_end_matches(":v1");
    dockerfile(&format!(
        "ARG TAG=v1\nFROM {name}:${{TAG}} AS build\nRUN make\nCOPY --from={bundle} /x /x\nFROM build\n"
    ));
    let good = ground
        .verify(&["dockerfile", "verify", "Dockerfile"])
        .success();
    assert_eq!(good.stdout().matches("verified ").count(), 2);
    let base = ground
        .verify(&["dockerfile", "verify", "--base-image-only", "Dockerfile"])
        .success();
    base.stderr_has(&format!("Extracted image(s): {legacy}\n"));
    ground
        .verify(&[
            "dockerfile",
            "verify",
            "--build-arg=TAG=missing",
            "Dockerfile",
        ])
        .code(11);
    // What is built with and not on is verified, too, unless it is not asked for.
    dockerfile(&format!(
        "FROM {unsigned} AS build\nFROM {legacy}\nCOPY --from=build /x /x\n"
    ));
    let ours = ground
        .verify(&["dockerfile", "verify", "Dockerfile"])
        .code(10);
    ours.stderr_has("unsigned:v1");
    ground
        .cosign(&["dockerfile", "verify", "Dockerfile"])
        .failure();
    ground
        .verify(&["dockerfile", "verify", "--base-image-only", "Dockerfile"])
        .success();
    dockerfile(&format!("FROM {legacy}\n"));
    for words in [
        &["dockerfile", "verify", "Dockerfile"][..],
        &["dockerfile", "verify", "--base-image-only", "Dockerfile"],
    ] {
        ground.verify(words).success();
        ground.cosign(words).success();
    }
    for text in ["FROM scratch\n", "FROM x:$UNKNOWN\n", "RUN x\n"] {
        dockerfile(text);
        ground
            .verify(&["dockerfile", "verify", "Dockerfile"])
            .code(1);
    }
}
