//! A build tells how it was made, signs that, and whoever deploys asks for what must be in it.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod bench;

use bench::{Bench, Registries, Tool, have, json};
use sealmark_testkit::{Finished, Program, images};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A machine of GitHub's, on which a workflow was started by hand.
fn in_workflow(bench: &Bench, program: Program) -> Program {
    let event = bench.sandbox.write(
        "event.json",
        r#"{"inputs":{"release":"yes","npm_token":"npm_abc"}}"#,
    );
    [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_REPOSITORY", "team/app"),
        (
            "GITHUB_WORKFLOW_REF",
            "team/app/.github/workflows/release.yml@refs/heads/main",
        ),
        ("GITHUB_REF", "refs/tags/v1.2.3"),
        ("GITHUB_SHA", COMMIT),
        ("GITHUB_RUN_ID", "77"),
        ("GITHUB_TOKEN", "ghs_0123456789abcdef"),
    ]
    .into_iter()
    .fold(program, |program, (name, value)| program.env(name, value))
    .env("GITHUB_EVENT_PATH", event)
}

fn provenance(bench: &Bench, words: &[&str]) -> Finished {
    let program = bench.run(Tool::Sealmark).arg("provenance");
    in_workflow(bench, program).args(words).run()
}

#[test]
fn a_workflow_tells_what_it_is_and_no_secret() {
    let bench = Bench::new();
    let told = provenance(&bench, &[]).success();
    let told = told.stderr_has("left out: the input npm_token, which by its name is a secret");
    let predicate = json(&told);
    assert_eq!(
        predicate["runDetails"]["builder"]["id"],
        "https://github.com/team/app/.github/workflows/release.yml@refs/heads/main"
    );
    assert!(!told.stdout().contains("npm_abc") && !told.stdout().contains("ghs_"));
    assert_eq!(told.stdout(), provenance(&bench, &[]).stdout());
    // What would be a secret all the same is not written.
    for words in [
        &["--parameter", "x=ghs_0123456789abcdef"][..],
        &["--parameter", "password=x"],
        &["--builder-id", "no URI"],
        &["--commit", "HEAD"],
        &["--material", "x"],
        &["--started-on", "today"],
        &["subject"],
        &["--statement"],
    ] {
        let refused = provenance(&bench, words).code(1);
        assert_eq!(refused.stdout(), "", "{words:?}");
    }
}

#[test]
fn flags_say_all_where_no_system_is_known() {
    let bench = Bench::new();
    let missing = bench.sealmark(&["provenance"]).code(1);
    missing.stderr_has("--builder-id is missing");
    bench.sandbox.write("app.tar.gz", "app");
    let base = format!("image@sha256:{}", "ab".repeat(32));
    let material = format!("pkg:docker/alpine@3.20@sha256:{}", "cd".repeat(32));
    let statement = json(
        &bench
            .sealmark(&[
                "provenance",
                "--statement",
                "--builder-id=https://ci.example.com",
                "--build-type=https://ci.example.com/make",
                "--source=https://me:pass@git.example.com/app",
                "--ref=refs/heads/main",
                "--commit",
                COMMIT,
                "--parameter=target=all",
                "--material",
                &material,
                "--invocation-id=4",
                "--started-on=2026-01-02T03:04:05Z",
                "app.tar.gz",
                &base,
            ])
            .success(),
    );
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    assert_eq!(statement["subject"][0]["name"], "app.tar.gz");
    assert_eq!(statement["subject"][1]["digest"]["sha256"], "ab".repeat(32));
    let definition = &statement["predicate"]["buildDefinition"];
    assert_eq!(definition["externalParameters"]["target"], "all");
    let dependencies = &definition["resolvedDependencies"];
    assert_eq!(
        dependencies[0]["uri"],
        "git+https://git.example.com/app@refs/heads/main"
    );
    assert_eq!(dependencies[1]["uri"], "pkg:docker/alpine@3.20");
    assert_eq!(
        statement["predicate"]["runDetails"]["metadata"]["startedOn"],
        "2026-01-02T03:04:05Z"
    );
}

#[test]
fn an_image_is_deployed_only_if_it_was_built_as_it_must_be() {
    let (Some(images), true) = (images(), have(&["skopeo", "cosign2", "cosign3"])) else {
        return;
    };
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "ci");
    let registries = Registries::start();
    for (registry, layout) in registries.addresses().into_iter().zip(["bundle", "legacy"]) {
        let image = format!("{registry}/app:v1");
        assert!(images.push(&bench.sandbox, images.single, &image));
        let attest = bench.run(Tool::Sealmark).args([
            "attest",
            "--key",
            "ci.key",
            "--provenance",
            "--format",
            layout,
            &image,
        ]);
        in_workflow(&bench, attest).run().success();
        let verify = |words: &[&str]| {
            let program = bench.run(Tool::Sealmark);
            let program = program.args(["verify-attestation", "--key", "ci.pub"]);
            program.args(words).arg(&image).run()
        };
        let good = [
            "--slsa",
            "--slsa-builder-id=https://github.com/team/app/.github/workflows/release.yml",
            "--slsa-source=github.com/team/app",
            "--slsa-ref=refs/tags/v1.2.3",
            "--slsa-level=1",
            "--slsa-input=release=yes",
        ];
        // The workflow ran from main, and for a tag: both are said, so that neither alone is what was built.
        verify(&["--slsa"]).success();
        verify(&good[..3])
            .success()
            .stdout_has("from github.com/team/app");
        verify(&[good[4], good[5]]).success();
        verify(&["--slsa-commit", COMMIT]).success();
        for (flag, expected, found) in [
            (
                "--slsa-source=github.com/team/other",
                "source github.com/team/other",
                "found github.com/team/app",
            ),
            (
                "--slsa-builder-id=https://ci.example.com",
                "builder https://ci.example.com",
                "release.yml@refs/heads/main",
            ),
            ("--slsa-branch=dev", "branch dev", "found refs/"),
            (
                "--slsa-level=2",
                "signed by the builder itself",
                "found signed with a key",
            ),
            (
                "--slsa-input=release=no",
                "input release=no",
                "found release=yes",
            ),
            (
                "--slsa-material=pkg:docker/alpine@3.20",
                "material pkg:docker/alpine@3.20",
                "found 1 others",
            ),
        ] {
            let refused = verify(&[flag]).code(12);
            refused
                .stderr_has(&format!("expected {expected}"))
                .stderr_has(found);
        }
        verify(&["--slsa-level=4"]).code(1);
        verify(&["--slsa-tag="])
            .code(1)
            .stderr_has("is a variable not set?");
        // cosign verifies what was attested, as the type that it has for it.
        let tool = if layout == "legacy" {
            Tool::Cosign2
        } else {
            Tool::Cosign3
        };
        bench
            .run(tool)
            .args([
                "verify-attestation",
                "--key",
                "ci.pub",
                "--type",
                "slsaprovenance1",
            ])
            .args(["--insecure-ignore-tlog", "--allow-http-registry", &image])
            .run()
            .success();
    }
}

#[test]
fn a_file_is_taken_only_if_it_was_built_as_it_must_be() {
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "ci");
    bench.sandbox.write("app.tar.gz", "app");
    let statement = provenance(&bench, &["--statement", "app.tar.gz"]).success();
    bench
        .sandbox
        .write("statement.json", statement.stdout_bytes());
    bench
        .sealmark(&[
            "attest-blob",
            "--key=ci.key",
            "--statement=statement.json",
            "--bundle=b.json",
            "app.tar.gz",
        ])
        .success();
    let verify = |flag: &str| {
        bench.sealmark(&[
            "verify-blob-attestation",
            "--key=ci.pub",
            "--bundle=b.json",
            flag,
            "app.tar.gz",
        ])
    };
    verify("--slsa-source=https://github.com/team/app").success();
    verify("--slsa-source=https://github.com/team/apps").code(12);
}
