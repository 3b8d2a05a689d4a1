//! Images in OCI layouts on disk, as other tools write them, with the signatures that they bring along.

mod bench;

use std::path::Path;

use bench::{Bench, SEALMARK, Tool, have, json};
use sealmark_testkit::{Finished, Images, SealmarkRegistry, images};
use serde_json::Value;

/// A registry with a signed single image, a signed index and an image without signatures.
struct Ground {
    bench: Bench,
    images: Images,
    registry: SealmarkRegistry,
}

impl Ground {
    fn new() -> Option<Self> {
        let images = images()?;
        if !have(&["skopeo"]) {
            return None;
        }
        let ground = Self {
            bench: Bench::new(),
            images,
            registry: SealmarkRegistry::start(SEALMARK),
        };
        ground.bench.make_key("ecdsa-p256", "alice");
        ground.bench.make_key("ecdsa-p256", "bob");
        for (name, tag) in [
            ("single", ground.images.single),
            ("index", ground.images.index),
            ("unsigned", ground.images.single),
        ] {
            let image = ground.image(name);
            assert!(ground.images.push(&ground.bench.sandbox, tag, &image));
        }
        for name in ["single", "index"] {
            ground
                .bench
                .sealmark(&[
                    "sign",
                    "--recursive",
                    "--format",
                    "both",
                    "--key",
                    "alice.key",
                    &ground.image(name),
                ])
                .success();
        }
        Some(ground)
    }

    fn image(&self, name: &str) -> String {
        format!("{}/{name}:v1", self.registry.address())
    }

    fn digest(&self, name: &str) -> String {
        let tag = match name {
            "index" => self.images.index,
            _ => self.images.single,
        };
        self.images.digest(tag)
    }

    /// skopeo copies what it is told to, and no more.
    fn skopeo(&self, source: &str, layout: &str, name: &str) {
        self.bench
            .peer("skopeo")
            .args(["copy", "--quiet", "--all", "--preserve-digests"])
            .arg("--src-tls-verify=false")
            .arg(format!("docker://{}/{source}", self.registry.address()))
            .arg(format!("oci:{layout}:{name}"))
            .run()
            .success();
    }

    fn verify(&self, key: &str, layout: &str) -> Finished {
        let key = format!("{key}.pub");
        self.bench.sealmark(&[
            "verify",
            "--local-image",
            "--output",
            "json",
            "--key",
            &key,
            layout,
        ])
    }

    /// Which layouts of signatures were accepted.
    #[track_caller]
    fn accepted(&self, layout: &str, digest: &str) -> Vec<String> {
        let report = self.verify("alice", layout).success();
        let report = json(&report);
        assert_eq!(report[0]["digest"], digest, "{layout}");
        assert_eq!(report[0]["verdict"], "verified");
        self.verify("bob", layout).code(12);
        let attachments = report[0]["demands"][0]["attachments"]
            .as_array()
            .expect("a list");
        let mut accepted: Vec<String> = attachments
            .iter()
            .filter(|attachment| attachment["accepted"] == true)
            .map(|attachment| attachment["layout"].as_str().expect("a name").to_owned())
            .collect();
        accepted.sort();
        accepted
    }
}

#[test]
fn layouts_of_cosign_save_verify() {
    let Some(ground) = Ground::new() else { return };
    if !have(&["cosign2", "cosign3"]) {
        return;
    }
    for (tool, expected) in [
        // cosign 2.5.0 knows no bundles, and saves none.
        (Tool::Cosign2, &["legacy-signature"][..]),
        (Tool::Cosign3, &["bundle", "legacy-signature"]),
    ] {
        for name in ["single", "index"] {
            let layout = format!("{}-{name}", tool.name());
            ground
                .bench
                .run(tool)
                .args(["save", "--allow-http-registry", "--dir", &layout])
                .arg(ground.image(name))
                .run()
                .success();
            let digest = ground.digest(name);
            assert_eq!(ground.accepted(&layout, &digest), expected, "{layout}");
            // Of an index cosign saves the signatures of the index itself, and none of the images in it.
            if name == "index" {
                let child = ground.images.digest(ground.images.single);
                let layout = format!("{layout}@{child}");
                ground.verify("alice", &layout).failure().stderr_has(&child);
            }
        }
        // An unsigned image.
        let layout = format!("{}-unsigned", tool.name());
        let repository = format!("{}/empty:v1", ground.registry.address());
        let arm = "v1-arm64";
        assert!(ground.images.push(&ground.bench.sandbox, arm, &repository));
        ground
            .bench
            .run(tool)
            .args([
                "save",
                "--allow-http-registry",
                "--dir",
                &layout,
                &repository,
            ])
            .run()
            .success();
        ground.verify("alice", &layout).code(10);
    }
}

#[test]
fn layouts_of_oras_verify() {
    let Some(ground) = Ground::new() else { return };
    if !have(&["oras"]) {
        return;
    }
    for name in ["single", "index", "unsigned"] {
        ground
            .bench
            .peer("oras")
            .args(["cp", "--from-plain-http", "--to-oci-layout", "--recursive"])
            .args([ground.image(name), format!("{name}:v1")])
            .run()
            .success();
    }
    for name in ["single", "index"] {
        let digest = ground.digest(name);
        // oras takes what refers to the image, and knows nothing of cosign's tags.
        assert_eq!(ground.accepted(&format!("{name}:v1"), &digest), ["bundle"]);
        // With or without a name: there is one image, though oras lists those of an index beside it.
        assert_eq!(ground.accepted(name, &digest), ["bundle"]);
        let by_digest = format!("{name}:{digest}");
        assert_eq!(ground.accepted(&by_digest, &digest), ["bundle"]);
    }
    let child = ground.images.digest(ground.images.single);
    assert_eq!(
        ground.accepted(&format!("index:{child}"), &child),
        ["bundle"]
    );
    ground
        .verify("alice", "unsigned:v1")
        .code(10)
        .stderr_has("has no signature");
    // A name that is not there.
    ground
        .verify("alice", "single:v2")
        .code(11)
        .stderr_has("v1");
}

#[test]
fn layouts_of_skopeo_verify_with_the_signatures_that_were_copied_too() {
    let Some(ground) = Ground::new() else { return };
    for name in ["single", "index"] {
        let digest = ground.digest(name);
        ground.skopeo(&format!("{name}:v1"), name, "v1");
        ground
            .verify("alice", name)
            .code(10)
            .stderr_has("has no signature");
        // The legacy signature keeps its tag, as a name in the layout.
        let tag = format!("{}.sig", digest.replace(':', "-"));
        ground.skopeo(&format!("{name}:{tag}"), name, &tag);
        assert_eq!(ground.accepted(name, &digest), ["legacy-signature"]);
        // The bundle says itself what it refers to.
        let repository = format!("{}/{name}", ground.registry.address());
        let referrers = bench::referrers(&ground.bench, &repository, &digest);
        let bundle = referrers[0]["digest"].as_str().unwrap();
        ground.skopeo(&format!("{name}@{bundle}"), name, "any-name");
        for layout in [name.to_owned(), format!("{name}:v1")] {
            let accepted = ground.accepted(&layout, &digest);
            assert_eq!(accepted, ["bundle", "legacy-signature"], "{layout}");
        }
    }
    // Several images: one must be named, by its name or digest.
    ground.skopeo("index:v1", "several", "multi");
    ground.skopeo("single:v1", "several", "single");
    let digest = ground.digest("single");
    for layout in ["several".to_owned(), "several:nothing".to_owned()] {
        ground
            .verify("alice", &layout)
            .failure()
            .stderr_has("multi")
            .stderr_has("single");
    }
    for layout in ["several:single".to_owned(), format!("several:{digest}")] {
        ground.verify("alice", &layout).code(10);
    }
}

#[test]
fn a_broken_layout_is_a_clear_error_and_never_a_good_signature() {
    let Some(ground) = Ground::new() else { return };
    let sandbox = &ground.bench.sandbox;
    let digest = ground.digest("single");
    let tag = format!("{}.sig", digest.replace(':', "-"));
    let build = |name: &str| {
        ground.skopeo("single:v1", name, "v1");
        ground.skopeo(&format!("single:{tag}"), name, &tag);
        assert_eq!(ground.accepted(name, &digest), ["legacy-signature"]);
        sandbox.join(name)
    };
    let blob = |layout: &Path, digest: &str| layout.join("blobs").join(digest.replace(':', "/"));
    let signatures = bench::manifest(
        &ground.bench,
        &format!("{}/single:{tag}", ground.registry.address()),
    )
    .unwrap();
    let payload = signatures["layers"][0]["digest"].as_str().unwrap();

    // Nothing there, or no layout.
    ground
        .verify("alice", "nowhere")
        .code(1)
        .stderr_has("nowhere");
    std::fs::create_dir(sandbox.join("folder")).unwrap();
    ground
        .verify("alice", "folder")
        .code(1)
        .stderr_has("oci-layout");

    // The version of another age.
    let layout = build("version");
    std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"9"}"#).unwrap();
    ground.verify("alice", "version").code(1).stderr_has("9");

    // No index, or one that is not JSON.
    let layout = build("index");
    std::fs::write(layout.join("index.json"), "{").unwrap();
    ground
        .verify("alice", "index")
        .code(1)
        .stderr_has("index.json");
    std::fs::remove_file(layout.join("index.json")).unwrap();
    ground
        .verify("alice", "index")
        .code(1)
        .stderr_has("index.json");

    // A manifest that is missing, or was changed.
    let layout = build("manifest");
    let path = blob(&layout, &digest);
    let manifest = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&manifest[..], b"\n"].concat()).unwrap();
    ground
        .verify("alice", "manifest")
        .code(1)
        .stderr_has(&digest);
    std::fs::remove_file(&path).unwrap();
    ground
        .verify("alice", "manifest")
        .failure()
        .stderr_has(&digest);

    // A payload that was changed: what is there is not what the manifest names.
    let layout = build("payload");
    let path = blob(&layout, payload);
    let bytes = std::fs::read_to_string(&path).unwrap();
    let other = bytes.replace("cosign container", "cosign_container");
    assert_ne!(other, bytes);
    std::fs::write(&path, other).unwrap();
    ground
        .verify("alice", "payload")
        .failure()
        .stderr_has(payload);
}

#[test]
fn cosign_verifies_the_layouts_that_sealmark_verifies() {
    let Some(ground) = Ground::new() else { return };
    if !have(&["cosign2"]) {
        return;
    }
    ground
        .bench
        .run(Tool::Cosign2)
        .args(["save", "--allow-http-registry", "--dir", "saved"])
        .arg(ground.image("single"))
        .run()
        .success();
    let theirs = ground
        .bench
        .cosign_verify(Tool::Cosign2, "alice", &["--local-image", "saved"])
        .success();
    let ours = ground
        .bench
        .sealmark(&[
            "verify",
            "--local-image",
            "--output",
            "cosign",
            "--key",
            "alice.pub",
            "saved",
        ])
        .success();
    let theirs: Value = json(&theirs);
    assert_eq!(json(&ours), theirs);
}
