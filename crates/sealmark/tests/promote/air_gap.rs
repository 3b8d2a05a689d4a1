//! Through an air gap: one layout has all that the other side needs, other tools read it, and what it says about whom to
//! believe is not believed for that.

use sealmark_testkit::SealmarkRegistry;
use serde_json::{Value, json};

use super::bench::{SEALMARK, Tool, have, json};
use super::{Story, WHO, state};

const NAME: &str = "registry.example/acme/app";

fn save(story: &Story, image: &str) {
    story.bench.sandbox.write(
        "policy.yaml",
        format!(
            "version: 1\nrules:\n  - images: ['registry.example/acme/*']\n    signature:\n      threshold: 1\n      signers:\n        \
             - {{issuer: '{}', subject: {WHO}}}\n        - {{key: keys/team.pub}}\n",
            story.instance.issuer.url
        ),
    );
    story.bench.make_key("ecdsa-p256", "team");
    let key = story.bench.sandbox.read("team.pub");
    story.bench.sandbox.write("keys/team.pub", key);
    let save = story
        .bench
        .run(Tool::Sealmark)
        .args(["save", "--dir", "saved"]);
    let save = save.args(["--with-trust", "--policy", "policy.yaml", "--trusted-root"]);
    save.arg(story.root())
        .arg(image)
        .run()
        .success()
        .stderr_has("only with --trust-from-layout");
}

#[test]
fn a_layout_brings_image_signatures_and_trust_and_the_own_trust_decides() {
    let Some(story) = Story::begin() else { return };
    let image = story.release(story.images.index, &["--format", "both"]);
    save(&story, &image);
    let own = SealmarkRegistry::start(SEALMARK);
    let before = state(&own.data());
    let promoted = format!("{}/prod/app:v1", own.address());
    // With the own trusted root, and whom one asks for.
    let named = ["oci:saved", &promoted, "--source-name", NAME];
    story
        .promote(&[&named[..], &["--dry-run"]].concat())
        .success()
        .stderr_has("the layout has a trusted root and a policy, which is not believed");
    // Without saying so, nothing of it counts.
    let alone = |words: &[&str]| {
        let promote = story
            .bench
            .run(Tool::Sealmark)
            .args(["promote", "--key", "own.key"]);
        promote.args(named).args(words).run()
    };
    alone(&[]).failure().stderr_has("who must have signed");
    alone(&[
        "--certificate-identity",
        WHO,
        "--certificate-oidc-issuer",
        &story.instance.issuer.url,
    ])
    .failure();
    assert_eq!(state(&own.data()), before);
    alone(&["--trust-from-layout"])
        .success()
        .stderr_has("whom to believe is what registry.example/acme/app:v1 says itself");
    story.verify(&promoted).success();
    let said = super::promotion(&story.bench, &promoted);
    assert_eq!(said["source"]["reference"], format!("{NAME}:v1"), "{said}");
    let policy =
        sealmark_formats::Digest::sha256(story.bench.sandbox.read("policy.yaml").as_bytes());
    assert_eq!(said["policy"]["digest"], policy.to_string(), "{said}");
    alone(&["--trust-from-layout"])
        .success()
        .stdout_has("nothing was changed");
    // The trust itself stays where it is.
    let files = state(&own.data());
    let root = sealmark_formats::Digest::sha256(&std::fs::read(story.root()).unwrap());
    assert!(!files.values().any(|digest| *digest == root));
    // A name that the policy has no rule for.
    let promote =
        story
            .bench
            .run(Tool::Sealmark)
            .args(["promote", "--key", "own.key", "oci:saved:v1"]);
    let promote = promote.args([promoted.as_str(), "--trust-from-layout", "--source-name"]);
    promote
        .arg("registry.example/other")
        .run()
        .code(12)
        .stderr_has("has no rule");
}

#[test]
fn revocations_in_the_layout_are_respected_whether_it_is_believed_or_not() {
    let Some(story) = Story::begin() else { return };
    let image = story.release(story.images.single, &[]);
    let words = ["revoke", &image, "--no-upload", "--bundle", "feed.jsonl"];
    story.keyless(&words).success();
    let save = [
        "save",
        "--dir",
        "saved",
        "--with-trust",
        "--revocations",
        "feed.jsonl",
        &image,
    ];
    story.bench.sealmark(&save).success();
    let own = SealmarkRegistry::start(SEALMARK);
    let promoted = format!("{}/prod/app", own.address());
    story
        .promote(&["oci:saved", &promoted])
        .code(12)
        .stderr_has("revoked");
    // A variable that is set for other commands stops no one, and what is named in vain is told.
    let plain = story
        .bench
        .run(Tool::Sealmark)
        .env("COSIGN_POLICY", "policy.yaml");
    plain
        .args(["save", "--dir", "plain", &image])
        .run()
        .success()
        .stderr_has("only with --with-trust");
    // What is no revocation is not packed.
    story.bench.sandbox.write("other.jsonl", "{}\n");
    let save = [
        "save",
        "--dir",
        "other",
        "--with-trust",
        "--revocations",
        "other.jsonl",
        &image,
    ];
    story
        .bench
        .sealmark(&save)
        .failure()
        .stderr_has("is no revocation");
}

#[test]
fn other_tools_read_the_layout() {
    let Some(story) = Story::begin() else { return };
    if !have(&["oras", "skopeo", "cosign3"]) {
        return;
    }
    let image = story.release(story.images.index, &["--format", "both"]);
    save(&story, &image);
    let digest = story.images.digest(story.images.index);
    let raw = story
        .bench
        .peer("skopeo")
        .args(["inspect", "--raw", "oci:saved:v1"]);
    let raw = raw.run().success();
    assert_eq!(
        sealmark_formats::Digest::sha256(raw.stdout_bytes()).to_string(),
        digest
    );
    // oras finds the signatures, and takes the trusted material out as files.
    let discover = story
        .bench
        .peer("oras")
        .args(["discover", "--oci-layout", "saved:v1"]);
    discover
        .args(["--format", "json"])
        .run()
        .success()
        .stdout_has("application/vnd.dev.sigstore.bundle");
    let pull = story.bench.peer("oras").args(["pull", "--oci-layout"]);
    pull.args(["saved:sealmark-trust", "-o", "pulled"])
        .run()
        .success();
    assert_eq!(
        story.bench.sandbox.read("pulled/policy.yaml"),
        story.bench.sandbox.read("policy.yaml")
    );
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let root = parse(&story.bench.sandbox.read("pulled/trusted_root.json"));
    assert_eq!(
        root["tlogs"],
        parse(&std::fs::read_to_string(story.root()).unwrap())["tlogs"]
    );
    let own = SealmarkRegistry::start(SEALMARK);
    let promoted = format!("{}/prod/app:v1", own.address());
    story.promote(&["oci:saved:v1", &promoted]).success();
    // By identity, from what came through, with cosign.
    let verify = story.bench.run(Tool::Cosign3).arg("verify");
    let verify = story.by_identity(verify);
    verify
        .args(["--allow-http-registry", &promoted])
        .run()
        .success();
    story
        .bench
        .cosign_verify(Tool::Cosign3, "own", &[&promoted])
        .success();
    if have(&["cosign2"]) {
        let by_cosign = format!("{}/by-cosign/app:v1", own.address());
        let load = story
            .bench
            .run(Tool::Cosign2)
            .args(["load", "--allow-http-registry"]);
        load.args(["--dir", "saved", &by_cosign]).run().success();
    }
    // load and verify --local-image see one image, as before.
    let loaded = format!("{}/loaded/app:v1", own.address());
    story
        .bench
        .sealmark(&["load", "--dir", "saved", &loaded])
        .success();
    let verify = story
        .bench
        .run(Tool::Sealmark)
        .args(["verify", "--local-image", "saved"]);
    story.by_identity(verify).run().success();
}

#[test]
fn a_pack_that_leads_out_of_its_folder_or_is_there_twice_is_not_used() {
    let Some(story) = Story::begin() else { return };
    let image = story.release(story.images.single, &[]);
    save(&story, &image);
    let own = SealmarkRegistry::start(SEALMARK);
    let promoted = format!("{}/prod/app", own.address());
    let promote = || story.promote(&["oci:saved:v1", &promoted, "--source-name", NAME]);
    let index: Value = serde_json::from_str(&story.bench.sandbox.read("saved/index.json")).unwrap();
    let entries = index["manifests"].as_array().unwrap().clone();
    let trust = entries
        .iter()
        .find(|entry| entry["artifactType"] == "application/vnd.sealmark.trust.v1")
        .unwrap()
        .clone();
    let blob = |digest: &Value| format!("saved/blobs/sha256/{}", &digest.as_str().unwrap()[7..]);
    let manifest: Value =
        serde_json::from_str(&story.bench.sandbox.read(blob(&trust["digest"]))).unwrap();
    let add = |changed: &Value, keep: bool| {
        let bytes = changed.to_string();
        let digest = sealmark_formats::Digest::sha256(bytes.as_bytes()).to_string();
        story.bench.sandbox.write(blob(&json!(digest)), &bytes);
        let mut new = trust.clone();
        new["digest"] = json!(digest);
        new["size"] = json!(bytes.len());
        let mut list: Vec<Value> = entries.clone();
        list.retain(|entry| keep || entry["digest"] != trust["digest"]);
        list.push(new);
        let mut index = index.clone();
        index["manifests"] = json!(list);
        story
            .bench
            .sandbox
            .write("saved/index.json", index.to_string());
    };
    for title in ["../../escaped", "/tmp/escaped", "a:b"] {
        let mut changed = manifest.clone();
        changed["layers"][0]["annotations"]["org.opencontainers.image.title"] = json!(title);
        add(&changed, false);
        promote().failure().stderr_has("is not to be used");
    }
    let mut changed = manifest.clone();
    changed["annotations"] = json!({"another": "one"});
    add(&changed, true);
    promote().failure().stderr_has("there are several");
}

#[test]
fn the_own_sbom_is_attested_and_compared_with_the_sources() {
    let Some(story) = Story::begin() else { return };
    let image = story.release(story.images.single, &[]);
    story.bench.sandbox.write(
        "theirs.json",
        json!({
            "spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "app", "dataLicense": "CC0-1.0",
            "documentNamespace": "https://example.com/1",
            "creationInfo": {"created": "2026-01-01T00:00:00Z", "creators": ["Tool: x"]},
            "packages": [{"name": "left-pad", "SPDXID": "SPDXRef-1", "downloadLocation": "NOASSERTION", "externalRefs": [{
                "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:npm/left-pad@1.3.0"
            }]}],
        })
        .to_string(),
    );
    story
        .keyless(&["attest", "--predicate", "theirs.json", &image])
        .success();
    let own = SealmarkRegistry::start(SEALMARK);
    let promoted = format!("{}/prod/app:v1", own.address());
    let words = [image.as_str(), &promoted, "--rescan-sbom"];
    story
        .promote(&words)
        .success()
        .stdout_has("packages, attested by the own key")
        .stdout_has("- pkg:npm/left-pad@1.3.0")
        .stdout_has("+ pkg:deb/");
    let before = state(&own.data());
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let again = json(
        &story
            .promote(&[&words[..], &["-o", "json"]].concat())
            .success(),
    );
    assert_eq!(again["changed"], false, "{again}");
    assert_eq!(again["sboms"][0]["added"], false, "{again}");
    let only = &again["sboms"][0]["difference"]["onlyAtSource"];
    assert_eq!(*only, json!(["pkg:npm/left-pad@1.3.0"]));
    assert_eq!(state(&own.data()), before);
    let verify = [
        "verify-attestation",
        "--key",
        "own.pub",
        "--type",
        "sbom",
        &promoted,
    ];
    story.bench.sealmark(&verify).success();
    // Of an index, of each image in it.
    let index = story.release(story.images.index, &[]);
    let promoted = format!("{}/prod/index:v1", own.address());
    let all = json(
        &story
            .promote(&[&index, &promoted, "--rescan-sbom", "-o", "json"])
            .success(),
    );
    assert_eq!(all["sboms"].as_array().unwrap().len(), 2, "{all}");
}
