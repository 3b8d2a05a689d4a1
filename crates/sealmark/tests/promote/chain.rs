//! Where an image has been: promotions on top of one another, and whom to believe about them.

use sealmark_testkit::SealmarkRegistry;

use super::bench::{SEALMARK, Tool, json};
use super::{Story, tagged};

#[test]
fn an_image_that_was_promoted_twice_tells_both_and_verify_asks_for_one() {
    let Some(story) = Story::begin() else { return };
    story.bench.make_key("ecdsa-p256", "prod");
    story.bench.make_key("ecdsa-p256", "mallory");
    let image = story.release(story.images.single, &[]);
    let registry = SealmarkRegistry::start(SEALMARK);
    let staging = format!("{}/staging/app:v1", registry.address());
    let prod = format!("{}/prod/app:v1", registry.address());
    story.promote(&[&image, &staging]).success();
    let words = [
        "promote",
        &staging,
        &prod,
        "--source-key",
        "own.pub",
        "--key",
        "prod.key",
    ];
    let from_public = format!("{}/acme/*", story.public.address());
    let from_staging = format!("{}/staging/**", registry.address());
    story.bench.sealmark(&words).success();
    assert!(tagged(&story.bench, &prod).is_some());
    // From another folder it is the same.
    for name in ["own.pub", "prod.key"] {
        let key = story.bench.sandbox.read(name);
        story.bench.sandbox.write(format!("elsewhere/{name}"), key);
    }
    let elsewhere = story.bench.run(Tool::Sealmark).args(words);
    elsewhere
        .current_dir(story.bench.sandbox.join("elsewhere"))
        .run()
        .success()
        .stdout_has("nothing was changed");

    let explain = [
        "explain",
        "--key",
        "own.pub",
        "--key",
        "prod.pub",
        "--trusted-root",
    ];
    let explain = || {
        story
            .bench
            .run(Tool::Sealmark)
            .args(explain)
            .arg(story.root())
    };
    let told = explain().arg(&prod).run().success();
    let text = told.stdout();
    let (first, second) = (
        text.find(&format!("from {image}")).unwrap(),
        text.find(&format!("from {staging}")).unwrap(),
    );
    assert!(first < second, "{text}");
    let chain = json(&explain().args(["-o", "json", &prod]).run().success());
    let steps = chain["promotions"].as_array().unwrap();
    assert_eq!(steps.len(), 2, "{chain}");
    assert_eq!(
        steps[0]["to"],
        format!("{}/staging/app", registry.address())
    );
    for step in steps {
        assert_eq!(step["sound"], true, "{chain}");
    }

    let verify = |words: &[&str]| {
        let verify = story.bench.run(Tool::Sealmark).arg("verify").args(words);
        verify.arg(&prod).run()
    };
    verify(&["--key", "prod.pub", "--promoted-from", &from_staging]).success();
    // Whoever promoted to staging is not believed by the holder of this key.
    verify(&["--key", "prod.pub", "--promoted-from", &from_public])
        .code(12)
        .stderr_has(&format!("promoted from {}/staging/app", registry.address()));
    verify(&["--key", "own.pub", "--promoted-from", &from_public]).success();
    verify(&[
        "--key",
        "prod.pub",
        "--promoted-from",
        "registry.example*/x",
    ])
    .failure()
    .stderr_has("--promoted-from");

    // Mallory says so, too, and has signed the image.
    let said = super::promotion(&story.bench, &prod).to_string();
    story.bench.sandbox.write("said.json", said);
    for words in [
        &["sign", "--key", "mallory.key", &prod][..],
        &[
            "attest",
            "--key",
            "mallory.key",
            "--type",
            "promotion",
            "--predicate",
            "said.json",
            &prod,
        ],
    ] {
        story.bench.sealmark(words).success();
    }
    verify(&["--key", "prod.pub", "--promoted-from", &from_public]).code(12);
    verify(&["--key", "mallory.pub", "--promoted-from", &from_public]).success();

    // As a policy file asks for it.
    for (from, code) in [(&from_staging, 0), (&from_public, 12)] {
        let pattern = from.replace('*', "").replace('.', "\\.");
        story.bench.sandbox.write(
            "policy.yaml",
            format!(
                "version: 1\nrules:\n  - images: ['**']\n    log: ignored\n    signature: {{signers: [{{key: prod.pub}}]}}\n    \
                 attestations:\n      - type: promotion\n        signers: [{{key: prod.pub}}]\n        predicate:\n          \
                 - {{path: /source/repository, matches: '^{pattern}'}}\n"
            ),
        );
        verify(&["--policy", "policy.yaml"]).code(code);
    }
    story.bench.sandbox.write(
        "signed.yaml",
        "version: 1\nrules:\n  - images: ['**']\n    log: ignored\n    signature: {signers: [{key: prod.pub}]}\n",
    );
    verify(&["--policy", "signed.yaml", "--promoted-from", &from_staging]).success();
    verify(&["--policy", "signed.yaml", "--promoted-from", &from_public]).code(12);
}

#[test]
fn an_image_that_was_only_signed_was_not_promoted() {
    let Some(story) = Story::begin() else { return };
    let registry = SealmarkRegistry::start(SEALMARK);
    let image = format!("{}/app:v1", registry.address());
    assert!(
        story
            .images
            .push(&story.bench.sandbox, story.images.single, &image)
    );
    story
        .bench
        .sealmark(&["sign", "--key", "own.key", &image])
        .success();
    let verify = ["verify", "--key", "own.pub", &image];
    story.bench.sealmark(&verify).success();
    story
        .bench
        .sealmark(&[&verify[..], &["--promoted-from", "**"]].concat())
        .code(10)
        .stderr_has("https://sealmark.dev/promotion/v1");
}

#[test]
fn a_forged_time_of_an_earlier_promotion_does_not_become_the_own_word() {
    let Some(story) = Story::begin() else { return };
    story.bench.make_key("ecdsa-p256", "mallory");
    let image = story.release(story.images.single, &[]);
    let registry = SealmarkRegistry::start(SEALMARK);
    let promoted = format!("{}/prod/app:v1", registry.address());
    let plan = json(
        &story
            .promote(&[&image, &promoted, "--dry-run", "-o", "json"])
            .success(),
    );
    let mut forged = plan["promotion"].clone();
    forged["promotedAt"] = "2001-01-01T00:00:00Z".into();
    story.bench.sandbox.write("forged.json", forged.to_string());
    assert!(
        story
            .images
            .push(&story.bench.sandbox, story.images.single, &promoted)
    );
    let forge = [
        "attest",
        "--key",
        "mallory.key",
        "--type",
        "promotion",
        "--predicate",
        "forged.json",
    ];
    story
        .bench
        .sealmark(&[&forge[..], &[&promoted]].concat())
        .success();
    story.promote(&[&image, &promoted]).success();
    let said = super::promotion(&story.bench, &promoted);
    assert_ne!(said["promotedAt"], "2001-01-01T00:00:00Z", "{said}");
}
