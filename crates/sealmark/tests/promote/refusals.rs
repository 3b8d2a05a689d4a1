//! What is not to be promoted, and registries with their own ways: nothing arrives that should not.

use sealmark_testkit::{DockerRegistry, Reply, SealmarkRegistry};

use super::bench::{Registries, SEALMARK, Tool, have};
use super::doors::{door, reads};
use super::{Story, WHO, state};

#[test]
fn what_is_revoked_unsigned_or_signed_by_others_does_not_arrive() {
    let Some(story) = Story::begin() else { return };
    let image = story.release(story.images.single, &[]);
    story.bench.make_key("ecdsa-p256", "mallory");
    let own = SealmarkRegistry::start(SEALMARK);
    let before = state(&own.data());
    let promoted = format!("{}/prod/app:v1", own.address());
    let unsigned = format!("{}/acme/unsigned:v1", story.public.address());
    assert!(
        story
            .images
            .push(&story.bench.sandbox, story.images.index, &unsigned)
    );
    story
        .promote(&[&unsigned, &promoted])
        .code(10)
        .stderr_has("has no signature");
    story
        .promote(&[&format!("{unsigned}2"), &promoted])
        .code(11);
    let run = |words: &[&str]| {
        let promote = story
            .bench
            .run(Tool::Sealmark)
            .args(["promote", &image, &promoted]);
        let promote = promote.args(["--key", "own.key"]).args(words);
        promote.arg("--trusted-root").arg(story.root()).run()
    };
    let issuer = story.instance.issuer.url.as_str();
    run(&[
        "--certificate-identity",
        "mallory@example.com",
        "--certificate-oidc-issuer",
        issuer,
    ])
    .code(12)
    .stderr_has("mallory@example.com");
    run(&["--source-key", "mallory.pub"]).code(12);
    // Wrong combinations.
    for (words, why) in [
        (&[][..], "who must have signed the image at the source?"),
        (
            &["--certificate-identity", WHO][..],
            "--certificate-oidc-issuer",
        ),
        (
            &["--source-key", "mallory.pub", "--policy", "p.yaml"][..],
            "--source-key and --policy",
        ),
        (
            &["--source-key", "mallory.pub", "--require", "sbomm"][..],
            "did you mean sbom?",
        ),
        (
            &[
                "--source-key",
                "mallory.pub",
                "--source-name",
                "registry.example/app",
            ][..],
            "it is for layouts",
        ),
    ] {
        run(words).failure().stderr_has(why);
    }
    story
        .bench
        .run(Tool::Sealmark)
        .args([
            "promote",
            &image,
            &promoted,
            "--source-key",
            "own.pub",
            "--key",
            "own.key",
        ])
        .env("COSIGN_REPOSITORY", "registry.example/signatures")
        .run()
        .failure()
        .stderr_has("COSIGN_REPOSITORY");
    story
        .keyless(&[
            "revoke",
            &image,
            "--reason",
            "build-compromise",
            "--bundle",
            "feed.jsonl",
        ])
        .success();
    story
        .promote(&[&image, &promoted])
        .code(12)
        .stderr_has("revoked, buildCompromise");
    assert_eq!(
        state(&own.data()),
        before,
        "the destination was not touched"
    );
}

#[test]
fn a_revocation_in_a_file_stops_a_promotion() {
    let Some(story) = Story::begin() else { return };
    let image = story.release(story.images.single, &[]);
    let own = SealmarkRegistry::start(SEALMARK);
    let promoted = format!("{}/prod/app:v1", own.address());
    story
        .keyless(&["revoke", &image, "--no-upload", "--bundle", "feed.jsonl"])
        .success();
    story
        .promote(&[&image, &promoted, "--revocations", "feed.jsonl"])
        .code(12)
        .stderr_has("revoked");
    story.promote(&[&image, &promoted]).success();
    // What was revoked with the own key is not promoted again, although it is good at the source.
    let revoke = ["revoke", "--key", "own.key", &promoted];
    story.bench.sealmark(&revoke).success();
    story
        .promote(&[&image, &promoted])
        .code(12)
        .stderr_has("the tag was not moved")
        .stderr_has("revoked");
}

#[test]
fn attestations_that_are_required_must_be_there_and_by_the_same_signer() {
    let Some(story) = Story::begin() else { return };
    let image = story.release(story.images.index, &[]);
    let own = SealmarkRegistry::start(SEALMARK);
    let before = state(&own.data());
    let promoted = format!("{}/prod/app:v1", own.address());
    let promote = || story.promote(&[&image, &promoted, "--require", "sbom,provenance"]);
    promote().code(10).stderr_has("https://spdx.dev/Document");
    // Of one image of the index only: arm64 has none.
    let (repository, _) = image.rsplit_once(':').unwrap();
    let child = format!("{repository}@{}", story.images.digest(story.images.single));
    story
        .keyless(&["attest", "--sbom", "spdx-json", &child])
        .success();
    promote().failure().stderr_has("its image sha256:");
    // By somebody else.
    story.bench.sandbox.write(
        "sbom.json",
        r#"{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"app","dataLicense":"CC0-1.0","documentNamespace":"https://example.com/1","creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: x"]},"packages":[]}"#,
    );
    story.bench.sandbox.write(
        "provenance.json",
        r#"{"buildDefinition":{"buildType":"https://example.com/build","externalParameters":{}},"runDetails":{"builder":{"id":"https://example.com/builder"}}}"#,
    );
    let by_key = [
        "attest",
        "--key",
        "own.key",
        "--predicate",
        "sbom.json",
        &image,
    ];
    story.bench.sealmark(&by_key).success();
    promote().failure();
    assert_eq!(state(&own.data()), before);
    story
        .keyless(&["attest", "--predicate", "sbom.json", &image])
        .success();
    promote().code(10).stderr_has("https://slsa.dev/provenance");
    story
        .keyless(&[
            "attest",
            "--predicate",
            "provenance.json",
            "--type",
            "slsaprovenance1",
            &image,
        ])
        .success();
    promote().success();
    let said = super::promotion(&story.bench, &promoted);
    assert_eq!(
        said["policy"]["required"],
        serde_json::json!(["provenance", "sbom"])
    );
    let types: Vec<_> = said["verified"].as_array().unwrap().iter().collect();
    assert_eq!(types.len(), 3, "{said}");
}

#[test]
fn docker_media_types_stay_what_they_are() {
    let Some(story) = Story::begin() else { return };
    let registries = Registries::start();
    let image = format!("{}/acme/docker:v1", story.public.address());
    let source = format!(
        "oci:{}:{}",
        story.images.layout.display(),
        story.images.single
    );
    let convert = story
        .bench
        .peer("skopeo")
        .args(["copy", "--quiet", "--format", "v2s2"]);
    let convert = convert.args(["--dest-tls-verify=false", &source]);
    convert.arg(format!("docker://{image}")).run().success();
    story.keyless(&["sign", &image]).success();
    for registry in registries.addresses() {
        let promoted = format!("{registry}/prod/docker:v1");
        story.promote(&[&image, &promoted]).success();
        story.verify(&promoted).success();
        let manifest = super::bench::manifest(&story.bench, &promoted).unwrap();
        let docker = "application/vnd.docker.distribution.manifest.v2+json";
        assert_eq!(manifest["mediaType"], docker);
    }
}

#[test]
fn each_registry_gets_its_own_credentials_and_the_source_is_only_read() {
    let Some(story) = Story::begin() else { return };
    let Some(own) = DockerRegistry::start_with_login() else {
        return;
    };
    let image = story.release(story.images.single, &[]);
    let (_, name) = image.split_once('/').unwrap();
    let source = door(story.public.address(), |request| {
        (!reads(request)).then(|| Reply::error(405, "UNSUPPORTED", "it is only read"))
    });
    let login = own.login().unwrap();
    let image = format!("{}/{name}", source.address());
    let promoted = format!("{}/prod/app:v1", own.address());
    story
        .promote(&[&image, &promoted])
        .failure()
        .stderr_has("credentials");
    let user = [
        "--registry-username",
        login.user,
        "--registry-password",
        login.password,
    ];
    let words = [&[image.as_str(), &promoted][..], &user].concat();
    story.promote(&words).success();
    story
        .promote(&words)
        .success()
        .stdout_has("nothing was changed");
    assert!(!source.requests().is_empty());
    for request in source.requests() {
        assert!(reads(&request), "{request:?}");
        assert!(
            request.header("authorization").is_none(),
            "{}",
            request.path
        );
    }
    // And the other way round: what is for the source does not go to the destination.
    let back = SealmarkRegistry::start(SEALMARK);
    let front = door(back.address(), |request| {
        (request.method == "DELETE").then(|| Reply::error(405, "UNSUPPORTED", "no deletion"))
    });
    let target = format!("{}/back/app:v1", front.address());
    let user = [
        "--source-registry-username",
        login.user,
        "--source-registry-password",
        login.password,
    ];
    let words = [&[promoted.as_str(), &target][..], &user].concat();
    story.promote(&words).success();
    for request in front.requests() {
        assert!(
            request.header("authorization").is_none(),
            "{}",
            request.path
        );
    }
    if have(&["cosign3"]) {
        story
            .bench
            .cosign_verify(Tool::Cosign3, "own", &[&target])
            .success();
    }
}
