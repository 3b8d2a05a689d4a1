//! The feed: what is revoked reaches verifiers through TUF, whoever has the registry, also those without a network.

use std::time::{Duration, Instant};

use sealmark_testkit::{Finished, images};

use super::bench::{Registries, Tool, have, json};
use super::world::WHO;
use super::{Story, world};

/// The server looks every three seconds.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(60);

impl Story {
    fn initialize(&self, home: &str) {
        let run = self.bench.run(Tool::Sealmark).env("TUF_ROOT", home);
        run.args(["initialize", "--mirror"])
            .arg(format!("{}/tuf", self.instance.url))
            .arg("--root")
            .arg(self.instance.file("root.json"))
            .run()
            .success();
    }

    /// On a machine whose TUF cache is `home`.
    fn verify_at(&self, home: &str, image: &str, words: &[&str]) -> Finished {
        let run = self.bench.run(Tool::Sealmark).env("TUF_ROOT", home);
        run.args(["verify", "--certificate-identity", WHO])
            .args(["--certificate-oidc-issuer", &self.instance.issuer.url])
            .args(words)
            .arg(image)
            .run()
    }

    fn until_revoked(&self, home: &str, image: &str) {
        let begin = Instant::now();
        while self
            .verify_at(home, image, &[])
            .stdout()
            .contains("verified ")
        {
            assert!(begin.elapsed() < PUBLISHED_WITHIN, "it is not published");
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn feed(&self, words: &[&str]) -> Finished {
        let words = [&["serve", "revocations"][..], words].concat();
        self.bench.sealmark(&words)
    }
}

#[test]
fn what_is_revoked_reaches_other_machines_and_holds_offline() {
    if !have(&["skopeo"]) {
        return;
    }
    let Some(images) = images() else { return };
    let story = Story::begin();
    let registries = Registries::start();
    let registry = registries.addresses()[0].to_owned();
    let v1 = story.release(&images, &registry, "v1");
    let v2 = story.release(&images, &registry, "v2");
    story.initialize("laptop");
    let fresh = ["--require-fresh-revocations", "24h"];
    story
        .verify_at("laptop", &v2, &fresh)
        .success()
        .stdout_has("revocations: feed http://");
    // An old copy of what clients fetch, for later.
    let copy = |to: &str| {
        let from = story.bench.sandbox.join("laptop");
        let to = story.bench.sandbox.join(to);
        let done = std::process::Command::new("cp")
            .arg("-r")
            .args([from, to])
            .status();
        assert!(done.unwrap().success());
    };
    copy("old");

    let words = ["revoke", &v2, "--no-upload", "--bundle", "revoked.json"];
    let feed = [
        &words[..],
        &["--reason", "build-compromise", "--feed", "instance"],
    ]
    .concat();
    story.keyless(&feed).success().stderr_has("in the feed of");
    story.until_revoked("laptop", &v2);
    story
        .verify_at("laptop", &v2, &["--offline"])
        .code(12)
        .stderr_has("revoked, buildCompromise")
        .stderr_has("the feed of http://");
    story.verify_at("laptop", &v1, &["--offline"]).success();
    // Offline and before: there nobody can know.
    story.verify_at("old", &v2, &["--offline"]).success();
    let report = story.verify_at("laptop", &v1, &["--output", "json"]);
    let report = json(&report.success());
    let sources = report[0]["revocationSources"].as_array().unwrap();
    assert_eq!(sources[1]["kind"], "feed");
    assert_eq!(sources[1]["revocations"], 1);
    assert!(sources[1]["asOf"].is_string());

    // What is saved for the other side of an air gap has it, too.
    let save = story.bench.run(Tool::Sealmark).env("TUF_ROOT", "laptop");
    save.args(["save", "--with-trust", "--dir", "saved", &v2])
        .run()
        .success();
    story.bench.make_key("ecdsa-p256", "own");
    let promote = story.bench.run(Tool::Sealmark);
    promote
        .args(["promote", "--key", "own.key", "oci:saved"])
        .arg(format!("{registry}/own:v2"))
        .args(["--certificate-identity", WHO])
        .args(["--certificate-oidc-issuer", &story.instance.issuer.url])
        .arg("--trusted-root")
        .arg(story.instance.file("trusted_root.json"))
        .run()
        .code(12)
        .stderr_has("revoked, buildCompromise");

    // It is there once, and what is taken out is gone for those who come after.
    story
        .feed(&["add", "--dir", "instance", "revoked.json"])
        .success()
        .stdout_has("0 added");
    let list = json(
        &story
            .feed(&["list", "--dir", "instance", "-o", "json"])
            .success(),
    );
    let statement = list[0]["statement"].as_str().unwrap().to_owned();
    story
        .feed(&["remove", "--dir", "instance", &statement])
        .success();
    story
        .feed(&["remove", "--dir", "instance", &statement])
        .failure()
        .stderr_has("no such statement");
}

#[test]
fn a_feed_that_is_missing_or_goes_back_is_no_feed() {
    if !have(&["skopeo"]) {
        return;
    }
    let Some(images) = images() else { return };
    let story = Story::begin();
    let registries = Registries::start();
    let registry = registries.addresses()[0].to_owned();
    let v1 = story.release(&images, &registry, "v1");
    let v2 = story.release(&images, &registry, "v2");
    let fresh = ["--require-fresh-revocations", "24h"];
    // A trusted root in a file has no feed.
    story
        .verify(Tool::Sealmark, &v1, &fresh)
        .failure()
        .stderr_has("there is no feed");
    story.initialize("laptop");
    std::thread::sleep(Duration::from_secs(3));
    story
        .verify_at("laptop", &v1, &["--require-fresh-revocations", "1s"])
        .code(12)
        .stderr_has("the feed of http://")
        .stderr_has("ago");
    story
        .verify_at("laptop", &v1, &["--require-fresh-revocations", "soon"])
        .failure()
        .stderr_has("is not like 90s");

    // A stranger's: by a key that nobody gave it is not taken, and taken it changes nothing.
    let stranger = ["revoke", &v1, "--no-upload", "--key", "security.key"];
    let about = ["--identity", WHO, "--issuer", &story.instance.issuer.url];
    let words = [&stranger[..], &about, &["--bundle", "stranger.json"]].concat();
    story.bench.sealmark(&words).success();
    story
        .feed(&["add", "--dir", "instance", "stranger.json"])
        .failure()
        .stderr_has("is not taken into the feed");
    let add = ["add", "--dir", "instance", "--key", "security.pub"];
    story
        .feed(&[&add[..], &["stranger.json"]].concat())
        .success()
        .stdout_has("1 added");

    // The repository goes back to what it was: the client has seen more.
    let instance = story.bench.sandbox.join("instance/tuf");
    let before = story.bench.sandbox.join("before");
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        let done = std::process::Command::new("cp")
            .arg("-rT")
            .args([from, to])
            .status();
        assert!(done.unwrap().success());
    };
    copy(&instance, &before);
    let words = ["revoke", &v2, "--no-upload", "--feed", "instance"];
    story.keyless(&words).success();
    story.until_revoked("laptop", &v2);
    let report = story.verify_at("laptop", &v1, &["--output", "json"]);
    let report = json(&report.success());
    let ignored = report[0]["ignoredRevocations"].as_array().unwrap();
    assert!(ignored.iter().any(|one| {
        let place = one["location"].as_str().unwrap();
        place.contains("the feed of")
    }));
    let address = story.instance.address().to_owned();
    let Story {
        bench,
        instance: running,
        ..
    } = story;
    let issuer = running.issuer;
    drop(running.server);
    std::fs::remove_dir_all(bench.sandbox.join("instance/tuf")).unwrap();
    copy(&before, &bench.sandbox.join("instance/tuf"));
    std::fs::remove_file(bench.sandbox.join("instance/revocations.v1.json")).unwrap();
    let (_server, _) = world::serve(&bench, &address);
    bench
        .run(Tool::Sealmark)
        .env("TUF_ROOT", "laptop")
        .args(["verify", "--certificate-identity", WHO])
        .args(["--certificate-oidc-issuer", &issuer.url, &v2])
        .run()
        .failure()
        .stderr_has("went back");
}
