//! `copy`, `save` and `load`: images move with what is attached to them, and other tools find all of it afterwards.

mod bench;

use bench::{Bench, Registries, SEALMARK, Tool, have, json};
use sealmark_testkit::{Images, SealmarkRegistry, images};

/// A bench with alice's key, and an index that she signed in both layouts at `address`.
fn signed(address: &str) -> Option<(Bench, Images, String)> {
    let images = images()?;
    if !have(&["skopeo"]) {
        return None;
    }
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "alice");
    let image = format!("{address}/source:v1");
    assert!(images.push(&bench.sandbox, images.index, &image));
    let words = [
        "sign",
        "--recursive",
        "--format",
        "both",
        "--key",
        "alice.key",
    ];
    bench.sealmark(&[&words[..], &[&image]].concat()).success();
    Some((bench, images, image))
}

/// Every tool accepts alice's signature of the image.
fn check(bench: &Bench, image: &str) {
    let words = ["verify", "--key", "alice.pub", "--output", "json", image];
    let report = bench.sealmark(&words).success();
    let attachments = json(&report)[0]["demands"][0]["attachments"].to_string();
    for layout in ["bundle", "legacy-signature"] {
        assert!(attachments.contains(layout), "{image}: {attachments}");
    }
    for tool in Tool::found() {
        if tool != Tool::Sealmark {
            bench.cosign_verify(tool, "alice", &[image]).success();
        }
    }
    // cosign 3 looks for bundles first; this asks for the other layout.
    if Tool::found().contains(&Tool::Cosign3) {
        let words = ["--new-bundle-format=false", image];
        bench
            .cosign_verify(Tool::Cosign3, "alice", &words)
            .success();
    }
}

#[test]
fn a_signed_index_is_copied_between_registries_of_both_kinds() {
    let registries = Registries::start();
    for from in registries.addresses() {
        let Some((bench, images, image)) = signed(from) else {
            return;
        };
        for to in registries.addresses() {
            let copy = format!("{to}/from-{}:v2", from.replace(['.', ':'], "-"));
            let words = ["copy", "--output", "json", &image, &copy];
            let copied = json(&bench.sealmark(&words).success());
            assert_eq!(copied["digest"], images.digest(images.index));
            check(&bench, &copy);
            let child = images.digest(images.single);
            let (repository, _) = copy.rsplit_once(':').expect("a tag");
            check(&bench, &format!("{repository}@{child}"));
            // Again: nothing is sent.
            let again = json(&bench.sealmark(&words).success());
            assert_eq!(again["bytesSent"], 0, "{again}");
            assert_eq!(again["manifestsSent"], 0, "{again}");
        }
    }
}

#[test]
fn layouts_go_to_cosign_and_come_from_it() {
    let registry = SealmarkRegistry::start(SEALMARK);
    let Some((bench, images, image)) = signed(registry.address()) else {
        return;
    };
    let words = ["save", "--dir", "saved", &image];
    bench.sealmark(&words).success().stdout_has("saved:v1");
    let loaded = format!("{}/loaded:v1", registry.address());
    bench
        .sealmark(&["load", "--dir", "saved", &loaded])
        .success();
    check(&bench, &loaded);
    if !have(&["cosign2", "cosign3", "oras"]) {
        return;
    }
    // cosign 2 knows no bundles. cosign 3.1.1 pushes manifests before their blobs, so that registries refuse what it loads
    // from any layout with bundles, its own too.
    let by_cosign = format!("{}/by-cosign:v1", registry.address());
    let load = bench
        .run(Tool::Cosign2)
        .args(["load", "--allow-http-registry"]);
    load.args(["--dir", "saved", &by_cosign]).run().success();
    bench
        .cosign_verify(Tool::Cosign2, "alice", &[&by_cosign])
        .success();
    let save = bench
        .run(Tool::Cosign3)
        .args(["save", "--allow-http-registry"]);
    save.args(["--dir", "cosign", &image]).run().success();
    let from_cosign = format!("{}/from-cosign:v1", registry.address());
    bench
        .sealmark(&["load", "--dir", "cosign", &from_cosign])
        .success();
    check(&bench, &from_cosign);
    let by_oras = format!("{}/by-oras:v1", registry.address());
    bench
        .peer("oras")
        .args([
            "cp",
            "-r",
            "--from-oci-layout",
            "saved:v1",
            "--to-plain-http",
        ])
        .arg(&by_oras)
        .run()
        .success();
    let verify = ["verify", "--key", "alice.pub", &by_oras];
    bench.sealmark(&verify).success();
    let inspected = bench
        .peer("skopeo")
        .args(["inspect", "--raw"])
        .arg("oci:saved:v1");
    let inspected = inspected.run().success();
    let digest = sealmark_formats::Digest::sha256(inspected.stdout_bytes());
    assert_eq!(digest.to_string(), images.digest(images.index));
}

#[test]
fn a_tag_is_moved_by_force_and_flags_of_cosign_work() {
    let registry = SealmarkRegistry::start(SEALMARK);
    let Some((bench, images, image)) = signed(registry.address()) else {
        return;
    };
    let there = format!("{}/there:v1", registry.address());
    assert!(images.push(&bench.sandbox, images.single, &there));
    let failed = bench.sealmark(&["copy", &image, &there]).failure();
    failed.stderr_has("is there already").stderr_has("--force");
    bench
        .sealmark(&["copy", "--force", &image, &there])
        .success();
    check(&bench, &there);
    let only = format!("{}/only:v1", registry.address());
    let words = ["copy", "--only", "sig,att", &image, &only];
    bench
        .sealmark(&words)
        .success()
        .stdout_has("images       0");
    let words = ["copy", "--sig-only", &image, &only];
    bench.sealmark(&words).success().stderr_has("--only sig");
    let one = format!("{}/one:v1", registry.address());
    let words = [
        "copy",
        "--platform",
        "linux/amd64",
        "-o",
        "json",
        &image,
        &one,
    ];
    let copied = json(&bench.sealmark(&words).success());
    assert_eq!(copied["digest"], images.digest(images.single));
    check(&bench, &one);
    let words = ["copy", "--platform", "plan9/mips", &image, &one];
    bench.sealmark(&words).failure().stderr_has("linux/arm64");
}
