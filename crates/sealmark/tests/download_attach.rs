//! What is attached is taken out, carried elsewhere and attached again: by cosign and here, each way round.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod bench;

use bench::{Bench, Registries, Tool, have, manifest, referrers};
use sealmark_testkit::{Finished, Images, images};
use serde_json::Value;

const REVIEW: &str = "https://example.com/review/v1";

fn ground() -> Option<(Bench, Images, Registries)> {
    if !have(&["skopeo", "cosign2", "cosign3"]) {
        return None;
    }
    let images = images()?;
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "k");
    Some((bench, images, Registries::start()))
}

fn cosign(bench: &Bench, tool: Tool, words: &[&str]) -> Finished {
    bench
        .run(tool)
        .args(words)
        .arg("--allow-http-registry")
        .run()
}

fn attest(bench: &Bench, tool: Tool, image: &str) {
    let predicate = bench.sandbox.write("predicate.json", r#"{"a":1}"#);
    let attest = bench.run(tool).args([
        "attest",
        "--key=k.key",
        "--yes",
        "--type",
        REVIEW,
        "--allow-http-registry",
    ]);
    let attest = match tool {
        Tool::Cosign3 => attest.arg("--signing-config").arg(&bench.signing_config),
        _ => attest.arg("--tlog-upload=false"),
    };
    attest
        .arg("--predicate")
        .arg(predicate)
        .arg(image)
        .run()
        .success();
}

fn lines(finished: &Finished) -> Vec<Value> {
    let text = finished.stdout();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn what_is_downloaded_is_what_cosign_downloads() {
    let Some((bench, images, registries)) = ground() else {
        return;
    };
    for registry in registries.addresses() {
        for (tool, legacy) in [(Tool::Cosign2, true), (Tool::Cosign3, false)] {
            let signed = format!("{registry}/{}/signed:v1", tool.name());
            let attested = format!("{registry}/{}/attested:v1", tool.name());
            for image in [&signed, &attested] {
                assert!(images.push(&bench.sandbox, images.single, image));
            }
            bench.sealmark(&["download", "signature", &signed]).code(10);
            bench
                .sealmark(&["download", "attestation", &attested])
                .code(10);
            bench.cosign_sign(tool, "k", legacy, &[&signed]).success();
            attest(&bench, tool, &attested);
            for (what, image, others) in [
                ("signature", &signed, &attested),
                ("attestation", &attested, &signed),
            ] {
                let ours = bench.sealmark(&["download", what, image]).success();
                let theirs = cosign(&bench, Tool::Cosign3, &["download", what, image]).success();
                assert_eq!(lines(&ours), lines(&theirs), "{what} {image}");
                assert_eq!(lines(&ours).len(), 1);
                // A signature is no attestation, and the other way round.
                bench.sealmark(&["download", what, others]).code(10);
            }
            let of_type = |kind: &str| {
                bench.sealmark(&[
                    "download",
                    "attestation",
                    "--predicate-type",
                    kind,
                    &attested,
                ])
            };
            let theirs = [
                "download",
                "attestation",
                "--predicate-type",
                REVIEW,
                &attested,
            ];
            let theirs = cosign(&bench, Tool::Cosign3, &theirs).success();
            assert_eq!(lines(&of_type(REVIEW).success()), lines(&theirs));
            of_type("vuln")
                .code(10)
                .stderr_has("no attestations with predicate type \"vuln\" found");
        }
    }
}

#[test]
fn what_was_downloaded_is_attached_elsewhere_and_verifies() {
    let Some((bench, images, registries)) = ground() else {
        return;
    };
    let addresses = registries.addresses();
    for (tool, legacy) in [(Tool::Cosign2, true), (Tool::Cosign3, false)] {
        let image = |registry: &str| format!("{registry}/{}/app:v1", tool.name());
        let (from, to) = (image(addresses[0]), image(addresses[addresses.len() - 1]));
        let to = to.replace("app:v1", "copy:v1");
        for image in [&from, &to] {
            assert!(images.push(&bench.sandbox, images.single, image));
        }
        bench.cosign_sign(tool, "k", legacy, &[&from]).success();
        attest(&bench, tool, &from);
        let attestation = bench
            .sealmark(&["download", "attestation", &from])
            .success();
        bench.sandbox.write("a.jsonl", attestation.stdout_bytes());
        let attached = bench
            .sealmark(&["attach", "attestation", "--attestation=a.jsonl", &to])
            .success();
        attached.stdout_has(&format!(
            "attached {REVIEW} as {}@sha256:",
            to.trim_end_matches(":v1")
        ));
        bench
            .run(tool)
            .args(["verify-attestation", "--key=k.pub", "--type", REVIEW])
            .args(["--insecure-ignore-tlog", "--allow-http-registry", &to])
            .run()
            .success();
        let signature = bench.sealmark(&["download", "signature", &from]).success();
        let words = match legacy {
            false => {
                bench.sandbox.write("s.json", signature.stdout_bytes());
                vec!["attach", "signature", "--bundle=s.json", &to]
            }
            true => {
                use base64::Engine as _;
                let line = &lines(&signature)[0];
                let payload = line["Payload"].as_str().unwrap();
                let payload = base64::engine::general_purpose::STANDARD
                    .decode(payload)
                    .unwrap();
                bench.sandbox.write("payload.json", payload);
                bench
                    .sandbox
                    .write("s.b64", line["Base64Signature"].as_str().unwrap());
                vec![
                    "attach",
                    "signature",
                    "--payload=payload.json",
                    "--signature=s.b64",
                    &to,
                ]
            }
        };
        bench.sealmark(&words).success();
        bench.cosign_verify(tool, "k", &[&to]).success();
        bench.sealmark(&["verify", "--key=k.pub", &to]).success();
        // The signature is of this image, and of no other.
        let other = to.replace("copy:v1", "other:v1");
        assert!(images.push(&bench.sandbox, images.index, &other));
        let mut words = words;
        *words.last_mut().unwrap() = &other;
        bench
            .sealmark(&words)
            .code(1)
            .stderr_has("nothing was attached");
        let words = ["attach", "attestation", "--attestation=a.jsonl", &other];
        bench
            .sealmark(&words)
            .code(1)
            .stderr_has("nothing was attached");
        let none = bench
            .sealmark(&["download", "attestation", &other])
            .code(10);
        assert_eq!(none.stdout(), "");
    }
}

#[test]
fn an_sbom_is_attached_where_others_find_it() {
    let Some((bench, images, registries)) = ground() else {
        return;
    };
    let spdx = r#"{"spdxVersion":"SPDX-2.3"}"#;
    bench.sandbox.write("sbom.json", spdx);
    for registry in registries.addresses() {
        let image = format!("{registry}/app:v1");
        assert!(images.push(&bench.sandbox, images.single, &image));
        let digest = images.digest(images.single);
        bench
            .sealmark(&["download", "sbom", &image])
            .code(10)
            .stderr_has("--predicate-type sbom");
        let attached = bench
            .sealmark(&["attach", "sbom", "--sbom=sbom.json", &image])
            .success();
        attached.stderr_has("does not sign the SBOM");
        let listed = referrers(&bench, &format!("{registry}/app"), &digest);
        assert_eq!(listed[0]["artifactType"], "application/spdx+json");
        let printed = bench.sealmark(&["download", "sbom", &image]).success();
        assert_eq!(printed.stdout(), spdx);
        // At the tag, cosign finds it, too; and what cosign attaches is found here.
        bench
            .sealmark(&[
                "attach",
                "sbom",
                "--sbom=sbom.json",
                "--format=legacy",
                &image,
            ])
            .success();
        let theirs = cosign(&bench, Tool::Cosign3, &["download", "sbom", &image]).success();
        assert_eq!(theirs.stdout().trim_end(), spdx);
        bench
            .sandbox
            .write("bom.json", "{\"bomFormat\":\"CycloneDX\"}");
        let words = [
            "attach",
            "sbom",
            "--sbom=bom.json",
            "--type=cyclonedx",
            &image,
        ];
        cosign(&bench, Tool::Cosign3, &words).success();
        let printed = bench.sealmark(&["download", "sbom", &image]).success();
        assert_eq!(printed.stdout(), "{\"bomFormat\":\"CycloneDX\"}");
    }
}

#[test]
fn blobs_are_uploaded_as_cosign_uploads_them() {
    let Some((bench, _, registries)) = ground() else {
        return;
    };
    bench.sandbox.write("a.txt", "hello\n");
    bench.sandbox.write("b.bin", [0_u8, 1, 2]);
    bench.sandbox.write("c.wasm", b"\0asm\x01\0\0\0");
    bench.sandbox.write("d.gz", [0x1f, 0x8b, 8, 0]);
    for registry in registries.addresses() {
        for (index, files) in [
            &["-f", "a.txt"][..],
            &["-f", "b.bin"],
            &["-f", "c.wasm"],
            &["-f", "d.gz", "-a", "k=v"],
            &["-f", "a.txt", "--ct", "application/x-own"],
            &[
                "-f",
                "a.txt:linux/amd64",
                "-f",
                "b.bin:linux/arm64",
                "-a",
                "k=v",
            ],
        ]
        .into_iter()
        .enumerate()
        {
            let place = |tool: &str| format!("{registry}/{tool}/{index}:v1");
            let (ours, theirs) = (place("sealmark"), place("cosign"));
            let words = [&["upload", "blob"], files, &[&ours]].concat();
            let printed = bench.sealmark(&words).success();
            let words = [&["upload", "blob"], files, &[&theirs]].concat();
            cosign(&bench, Tool::Cosign3, &words).success();
            assert_eq!(
                manifest(&bench, &ours),
                manifest(&bench, &theirs),
                "{files:?}"
            );
            assert!(printed.stdout().contains("@sha256:"));
            // What was printed is what can be pulled.
            assert_eq!(
                manifest(&bench, printed.stdout().trim_end()),
                manifest(&bench, &ours)
            );
        }
    }
    for words in [
        &["-f", "a.txt", "-f", "b.bin"][..],
        &["-f", "a.txt:amd64"],
        &["-f", "missing"],
    ] {
        let words = [&["upload", "blob"], words, &["127.0.0.1:1/x"]].concat();
        bench.sealmark(&words).code(1);
    }
}
