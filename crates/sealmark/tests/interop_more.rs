//! Images and other tools, beyond signing and verifying one image: indexes, annotations, other repositories, several
//! signers, attestations, and what is left in the registry.

mod bench;

use bench::{Bench, Registries, Tool, have, json, legacy_layers, manifest, referrers};
use sealmark_testkit::{Images, images};
use serde_json::{Value, json as value};

/// The peers that every story here needs: one pushes images, one makes keys, two sign.
const PEERS: [&str; 4] = ["skopeo", "openssl", "cosign2", "cosign3"];

/// A bench with the keys of alice and bob, and the images.
fn ground() -> Option<(Bench, Images)> {
    let images = images()?;
    if !have(&PEERS) {
        return None;
    }
    let bench = Bench::new();
    for name in ["alice", "bob"] {
        // cosign needs an encrypted key; Sealmark signs with the same one unencrypted, which is faster.
        let plain = format!("{name}.pem");
        bench
            .peer("openssl")
            .args(["genpkey", "-algorithm", "EC", "-out", &plain])
            .args(["-pkeyopt", "ec_paramgen_curve:P-256"])
            .run()
            .success();
        bench
            .sealmark(&[
                "import-key-pair",
                "--key",
                &plain,
                "--output-key-prefix",
                name,
            ])
            .success();
    }
    Some((bench, images))
}

fn sign(bench: &Bench, key: &str, format: &str, words: &[&str]) -> Value {
    let sign = bench
        .run(Tool::Sealmark)
        .args(["sign", "--output", "json", "--format", format])
        .args(["--key", &format!("{key}.pem")])
        .args(words)
        .run()
        .success();
    json(&sign)
}

/// `sealmark verify` with the public key and these words.
fn verify(bench: &Bench, key: &str, words: &[&str]) -> sealmark_testkit::Finished {
    bench
        .run(Tool::Sealmark)
        .args(["verify", "--key", &format!("{key}.pub")])
        .args(words)
        .run()
}

/// The index and all that it lists, each digest once.
fn digests_of_index(images: &Images, tag: &str) -> Vec<String> {
    let root = images.digest(tag);
    let path = images.layout.join("blobs").join(root.replace(':', "/"));
    let index: Value =
        serde_json::from_slice(&std::fs::read(path).expect("a blob of the layout")).expect("JSON");
    let mut digests = vec![root];
    for entry in index["manifests"].as_array().expect("a list") {
        let digest = entry["digest"].as_str().expect("a digest").to_owned();
        if !digests.contains(&digest) {
            digests.push(digest);
        }
    }
    digests
}

#[test]
fn every_image_of_an_index_is_signed_once_and_verifies_in_cosign() {
    let Some((bench, images)) = ground() else {
        return;
    };
    let registries = Registries::start();
    for registry in registries.addresses() {
        for tag in [images.index, images.shared] {
            let repository = format!("{registry}/{tag}");
            let image = format!("{repository}:v1");
            assert!(images.push(&bench.sandbox, tag, &image));
            let signed = sign(&bench, "alice", "both", &["--recursive", &image]);
            let found: Vec<&str> = signed
                .as_array()
                .unwrap()
                .iter()
                .map(|image| image["digest"].as_str().unwrap())
                .collect();
            let expected = digests_of_index(&images, tag);
            assert_eq!(found, expected, "{image}");
            for digest in &expected {
                assert_eq!(referrers(&bench, &repository, digest).len(), 1, "{digest}");
                assert_eq!(
                    legacy_layers(&bench, &repository, digest).len(),
                    1,
                    "{digest}"
                );
                let image = format!("{repository}@{digest}");
                verify(&bench, "alice", &[&image]).success();
                verify(&bench, "bob", &[&image]).code(12);
                for tool in [Tool::Cosign2, Tool::Cosign3] {
                    bench.cosign_verify(tool, "alice", &[&image]).success();
                    bench.cosign_verify(tool, "bob", &[&image]).failure();
                }
            }
        }
    }
}

#[test]
fn every_image_of_an_index_that_cosign_signed_verifies() {
    let Some((bench, images)) = ground() else {
        return;
    };
    let registries = Registries::start();
    for registry in registries.addresses() {
        for (tag, tool, legacy) in [
            (images.index, Tool::Cosign3, false),
            (images.shared, Tool::Cosign2, true),
        ] {
            let image = format!("{registry}/{tag}:v1");
            assert!(images.push(&bench.sandbox, tag, &image));
            bench
                .cosign_sign(tool, "alice", legacy, &["--recursive", &image])
                .success();
            for digest in digests_of_index(&images, tag) {
                let image = format!("{registry}/{tag}@{digest}");
                verify(&bench, "alice", &[&image]).success();
                verify(&bench, "bob", &[&image]).code(12);
            }
        }
    }
}

#[test]
fn annotations_are_checked_whoever_signed_them() {
    let Some((bench, images)) = ground() else {
        return;
    };
    let registries = Registries::start();
    let registry = registries.addresses()[0];
    let annotations = ["-a", "who=me", "-a", "build=7,more=x"];
    for (signer, format) in [
        (Tool::Sealmark, "bundle"),
        (Tool::Sealmark, "legacy"),
        (Tool::Cosign3, "bundle"),
        (Tool::Cosign2, "legacy"),
    ] {
        let name = format!("{registry}/{}-{format}:v1", signer.name());
        assert!(images.push(&bench.sandbox, images.single, &name));
        let words = [&annotations[..], &[&name]].concat();
        match signer {
            Tool::Sealmark => drop(sign(&bench, "alice", format, &words)),
            cosign => drop(
                bench
                    .cosign_sign(cosign, "alice", format == "legacy", &words)
                    .success(),
            ),
        }
        for (asked, good) in [
            (&["-a", "who=me"][..], true),
            (&["-a", "who=me", "-a", "build=7", "-a", "more=x"], true),
            (&["-a", "who=you"], false),
            (&["-a", "who=me", "-a", "other=1"], false),
        ] {
            let words = [asked, &[&name]].concat();
            let finished = verify(&bench, "alice", &words);
            match good {
                true => finished.success(),
                false => finished.code(12).stderr_has("annotation"),
            };
            // cosign 2 reads no bundles.
            for tool in [Tool::Cosign2, Tool::Cosign3] {
                if tool == Tool::Cosign2 && format == "bundle" {
                    continue;
                }
                let finished = bench.cosign_verify(tool, "alice", &words);
                match good {
                    true => finished.success(),
                    false => finished.failure(),
                };
            }
        }
    }
}

#[test]
fn output_cosign_is_what_cosign_itself_prints() {
    let Some((bench, images)) = ground() else {
        return;
    };
    let registries = Registries::start();
    let digest = images.digest(images.single);
    // How a registry lists what it has makes no difference here.
    for registry in registries.addresses().into_iter().take(1) {
        for (generation, format) in [(Tool::Cosign2, "legacy"), (Tool::Cosign3, "bundle")] {
            let repository = format!("{registry}/{format}");
            let image = format!("{repository}:v1");
            assert!(images.push(&bench.sandbox, images.single, &image));
            // Without annotations and with them, by Sealmark and by cosign.
            sign(&bench, "alice", format, &[&image]);
            sign(&bench, "alice", format, &["-a", "who=me,build=7", &image]);
            let legacy = format == "legacy";
            bench
                .cosign_sign(generation, "alice", legacy, &["-a", "who=cosign", &image])
                .success();
            // Another's signature is not printed.
            sign(&bench, "bob", format, &[&image]);
            for name in [image.clone(), format!("{repository}@{digest}")] {
                for annotations in [&[][..], &["-a", "who=me"]] {
                    let words = [annotations, &[&name]].concat();
                    let theirs = bench.cosign_verify(generation, "alice", &words).success();
                    let ours = [&words[..], &["--output", "cosign"]].concat();
                    let ours = verify(&bench, "alice", &ours).success();
                    let (ours, theirs) = (sorted(&json(&ours)), sorted(&json(&theirs)));
                    assert_eq!(ours, theirs, "{name} {annotations:?}");
                    assert_eq!(ours.len(), if annotations.is_empty() { 3 } else { 1 });
                }
            }
        }
    }
}

/// The elements in an order that does not depend on who lists them.
fn sorted(list: &Value) -> Vec<String> {
    let mut all: Vec<String> = list
        .as_array()
        .expect("a list")
        .iter()
        .map(Value::to_string)
        .collect();
    all.sort();
    all
}

#[test]
fn signatures_in_another_repository_are_found_both_ways() {
    let Some((bench, images)) = ground() else {
        return;
    };
    let registries = Registries::start();
    for registry in registries.addresses() {
        let elsewhere = format!("{registry}/signatures");
        for (tag, signer) in [("v1", Tool::Sealmark), ("v1-arm64", Tool::Cosign3)] {
            let image = format!("{registry}/app:{tag}");
            assert!(images.push(&bench.sandbox, tag, &image));
            let with = |tool, verb: &str, legacy: bool| {
                let command = bench.run(tool).env("COSIGN_REPOSITORY", &elsewhere);
                let key = if verb == "sign" {
                    "alice.key"
                } else {
                    "alice.pub"
                };
                let command = command.args([verb, "--key", key]);
                let command = match (tool, verb, legacy) {
                    (Tool::Sealmark, "sign", _) => command.args(["--format", "both"]),
                    (Tool::Sealmark, ..) => command,
                    (_, "verify", _) => command.arg("--insecure-ignore-tlog"),
                    (_, _, false) => command.arg("--signing-config").arg(&bench.signing_config),
                    (_, _, true) => command.args(["--tlog-upload=false"]),
                };
                let command = match verb {
                    "sign" => command.arg("--yes"),
                    _ => command,
                };
                command.args(["--allow-http-registry", &image]).run()
            };
            with(signer, "sign", false).success();
            if signer == Tool::Cosign3 {
                with(Tool::Cosign2, "sign", true).success();
            }
            for tool in Tool::ALL {
                with(tool, "verify", false).success();
            }
            let digest = images.digest(tag);
            assert_eq!(referrers(&bench, &elsewhere, &digest).len(), 1);
            assert_eq!(legacy_layers(&bench, &elsewhere, &digest).len(), 1);
            let app = format!("{registry}/app");
            assert!(referrers(&bench, &app, &digest).is_empty());
            assert!(legacy_layers(&bench, &app, &digest).is_empty());
            verify(&bench, "alice", &[&image]).code(10);
        }
    }
}

#[test]
fn legacy_signatures_at_a_prefixed_tag_are_found_both_ways() {
    let Some((bench, images)) = ground() else {
        return;
    };
    let registries = Registries::start();
    // How a registry lists what it has makes no difference here.
    for registry in registries.addresses().into_iter().take(1) {
        for signer in [Tool::Sealmark, Tool::Cosign2] {
            let repository = format!("{registry}/{}", signer.name());
            let image = format!("{repository}:v1");
            assert!(images.push(&bench.sandbox, images.single, &image));
            let words = ["--attachment-tag-prefix", "team-", &image];
            match signer {
                Tool::Sealmark => drop(sign(&bench, "alice", "legacy", &words)),
                cosign => drop(bench.cosign_sign(cosign, "alice", true, &words).success()),
            }
            let digest = images.digest(images.single).replace(':', "-");
            assert!(manifest(&bench, &format!("{repository}:team-{digest}.sig")).is_some());
            assert!(manifest(&bench, &format!("{repository}:{digest}.sig")).is_none());
            verify(&bench, "alice", &words).success();
            verify(&bench, "alice", &[&image]).code(10);
            for tool in [Tool::Cosign2, Tool::Cosign3] {
                bench.cosign_verify(tool, "alice", &words).success();
            }
        }
    }
}

#[test]
fn oras_discovers_the_bundle() {
    let Some((bench, images)) = ground() else {
        return;
    };
    if !have(&["oras"]) {
        return;
    }
    let registries = Registries::start();
    for registry in registries.addresses() {
        let image = format!("{registry}/app:v1");
        assert!(images.push(&bench.sandbox, images.single, &image));
        let signed = sign(&bench, "alice", "bundle", &[&image]);
        let discovered = bench
            .peer("oras")
            .args(["discover", "--plain-http", "--format", "json", &image])
            .run()
            .success();
        let discovered = json(&discovered);
        let referrers = discovered["referrers"].as_array().unwrap();
        assert_eq!(referrers.len(), 1);
        assert_eq!(referrers[0]["digest"], signed[0]["signatures"][0]["digest"]);
        assert_eq!(
            referrers[0]["artifactType"],
            "application/vnd.dev.sigstore.bundle.v0.3+json"
        );
        let annotations = &referrers[0]["annotations"];
        assert_eq!(annotations["dev.sigstore.bundle.content"], "dsse-envelope");
        assert_eq!(
            annotations["dev.sigstore.bundle.predicateType"],
            "https://sigstore.dev/cosign/sign/v1"
        );
    }
}

#[test]
fn a_fallback_index_of_cosign_is_read_and_extended_without_loss() {
    let Some((bench, images)) = ground() else {
        return;
    };
    let Some(registry) = sealmark_testkit::DockerRegistry::start() else {
        return;
    };
    let repository = format!("{}/app", registry.address());
    let image = format!("{repository}:v1");
    let digest = images.digest(images.single);
    assert!(images.push(&bench.sandbox, images.single, &image));
    bench
        .cosign_sign(Tool::Cosign3, "alice", false, &[&image])
        .success();
    let before = referrers(&bench, &repository, &digest);
    // cosign 3.1.1 says in the index that its bundle is something else, and leaves out the annotations.
    assert_eq!(before.len(), 1);
    assert_eq!(
        before[0]["artifactType"],
        "application/vnd.oci.empty.v1+json"
    );
    assert!(before[0]["annotations"].is_null());
    verify(&bench, "alice", &[&image]).success();
    sign(&bench, "bob", "bundle", &[&image]);
    let after = referrers(&bench, &repository, &digest);
    assert_eq!(after.len(), 2);
    assert_eq!(after[0], before[0]);
    assert_eq!(
        after[1]["artifactType"],
        "application/vnd.dev.sigstore.bundle.v0.3+json"
    );
    // And cosign extends what we have written.
    bench
        .cosign_sign(Tool::Cosign3, "alice", false, &["-a", "n=2", &image])
        .success();
    assert_eq!(referrers(&bench, &repository, &digest).len(), 3);
    for key in ["alice", "bob"] {
        verify(&bench, key, &[&image]).success();
        bench.cosign_verify(Tool::Cosign3, key, &[&image]).success();
    }
    verify(&bench, "alice", &["-a", "n=2", &image]).success();
}

#[test]
fn signing_after_cosign_keeps_both_and_signing_again_adds_nothing() {
    let Some((bench, images)) = ground() else {
        return;
    };
    let registries = Registries::start();
    let digest = images.digest(images.single);
    for registry in registries.addresses() {
        for (format, cosign) in [("bundle", Tool::Cosign3), ("legacy", Tool::Cosign2)] {
            let repository = format!("{registry}/{format}");
            let image = format!("{repository}:v1");
            assert!(images.push(&bench.sandbox, images.single, &image));
            let counts = || {
                (
                    referrers(&bench, &repository, &digest).len(),
                    legacy_layers(&bench, &repository, &digest).len(),
                )
            };
            let expected = |count| match format {
                "bundle" => (count, 0),
                _ => (0, count),
            };
            bench
                .cosign_sign(cosign, "alice", format == "legacy", &[&image])
                .success();
            assert_eq!(counts(), expected(1));
            let state = |signed: &Value| signed[0]["signatures"][0]["state"].clone();
            let signed = sign(&bench, "bob", format, &[&image]);
            assert_eq!(state(&signed), "attached");
            assert_eq!(counts(), expected(2));
            for key in ["alice", "bob"] {
                verify(&bench, key, &[&image]).success();
                bench.cosign_verify(cosign, key, &[&image]).success();
            }
            // Again: with the key of bob, who signed here, and with that of alice, who signed with cosign.
            for key in ["bob", "alice"] {
                let signed = sign(&bench, key, format, &[&image]);
                assert_eq!(state(&signed), "already-there", "{registry} {format} {key}");
                assert_eq!(counts(), expected(2), "{registry} {format} {key}");
            }
            // Other annotations are another signature.
            sign(&bench, "bob", format, &["-a", "n=2", &image]);
            assert_eq!(counts(), expected(3));
        }
    }
}

#[test]
fn both_forms_verify_in_both_generations_and_neither_hides_the_other() {
    let Some((bench, images)) = ground() else {
        return;
    };
    let registries = Registries::start();
    for registry in registries.addresses() {
        let image = format!("{registry}/both:v1");
        assert!(images.push(&bench.sandbox, images.single, &image));
        let signed = sign(&bench, "alice", "both", &[&image]);
        let layouts: Vec<&Value> = signed[0]["signatures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|signature| &signature["layout"])
            .collect();
        assert_eq!(layouts, ["bundle", "legacy-signature"]);
        verify(&bench, "alice", &[&image]).success();
        for tool in [Tool::Cosign2, Tool::Cosign3] {
            bench.cosign_verify(tool, "alice", &[&image]).success();
        }
        for (name, bundle, legacy) in [("one", "alice", "bob"), ("other", "bob", "alice")] {
            let image = format!("{registry}/{name}:v1");
            assert!(images.push(&bench.sandbox, images.single, &image));
            sign(&bench, bundle, "bundle", &[&image]);
            sign(&bench, legacy, "legacy", &[&image]);
            for (key, layout) in [(bundle, "bundle"), (legacy, "legacy-signature")] {
                let report = verify(&bench, key, &["--output", "json", &image]).success();
                let accepted: Vec<Value> = json(&report)[0]["demands"][0]["attachments"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|attachment| attachment["accepted"] == true)
                    .map(|attachment| attachment["layout"].clone())
                    .collect();
                assert_eq!(accepted, [layout], "{registry} {key}");
            }
        }
    }
}

#[test]
fn an_attestation_is_no_signature_and_that_is_said() {
    let Some((bench, images)) = ground() else {
        return;
    };
    let registries = Registries::start();
    let predicate = bench.sandbox.write("predicate.json", r#"{"passed":true}"#);
    for registry in registries.addresses() {
        for tool in [Tool::Cosign3, Tool::Cosign2] {
            let image = format!("{registry}/{}:v1", tool.name());
            assert!(images.push(&bench.sandbox, images.single, &image));
            let attest = bench.run(tool).args(["attest", "--key", "alice.key"]);
            let attest = match tool {
                Tool::Cosign3 => attest.arg("--signing-config").arg(&bench.signing_config),
                _ => attest.arg("--tlog-upload=false"),
            };
            attest
                .args(["--yes", "--allow-http-registry", "--type"])
                .arg("https://example.com/test")
                .arg("--predicate")
                .arg(&predicate)
                .arg(&image)
                .run()
                .success();
            for output in ["text", "json", "cosign"] {
                verify(&bench, "alice", &["--output", output, &image])
                    .code(10)
                    .stderr_has("has no signature")
                    .stderr_has("attestation");
            }
            let report = json(&verify(&bench, "alice", &["--output", "json", &image]));
            assert_eq!(report[0]["verdict"], "no-signatures");
            assert_eq!(
                report[0]["demands"][0]["attachments"]
                    .as_array()
                    .map(Vec::len),
                Some(1)
            );
            assert_eq!(report[0]["demands"][0]["attachments"][0]["accepted"], false);
            let tree = bench.sealmark(&["tree", &image]).success();
            assert!(
                tree.stdout()
                    .contains("attestation https://example.com/test"),
                "{tree}"
            );
            // A signature beside it counts.
            sign(&bench, "alice", "bundle", &[&image]);
            verify(&bench, "alice", &[&image]).success();
        }
    }
}

#[test]
fn experimental_signatures_of_cosign_2_verify() {
    let Some((bench, images)) = ground() else {
        return;
    };
    let registries = Registries::start();
    let digest = images.digest(images.single);
    for registry in registries.addresses() {
        let repository = format!("{registry}/app");
        let image = format!("{repository}:v1");
        assert!(images.push(&bench.sandbox, images.single, &image));
        bench
            .run(Tool::Cosign2)
            .env("COSIGN_EXPERIMENTAL", "1")
            .args(["sign", "--registry-referrers-mode", "oci-1-1", "--yes"])
            .args(["--tlog-upload=false", "--allow-http-registry"])
            .args(["--key", "alice.key", &image])
            .run()
            .success();
        assert_eq!(referrers(&bench, &repository, &digest).len(), 1);
        assert!(legacy_layers(&bench, &repository, &digest).is_empty());
        let report = verify(&bench, "alice", &["--output", "json", &image]).success();
        let report = json(&report);
        assert_eq!(
            report[0]["demands"][0]["attachments"][0]["layout"],
            "oci-1-1"
        );
        assert_eq!(
            report[0]["demands"][0]["attachments"][0]["accepted"],
            value!(true)
        );
        verify(&bench, "bob", &[&image]).code(12);
    }
}
