//! The tag moves last: whatever breaks before, consumers have what they had, and the next promotion completes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sealmark_testkit::{Reply, SealmarkRegistry};

use super::bench::{SEALMARK, have, json};
use super::doors::{door, forward, puts_tag, reads};
use super::{Story, state, tagged};

#[test]
fn whichever_write_fails_the_tag_stays_and_the_next_promotion_completes() {
    let Some(story) = Story::begin() else { return };
    let image = story.release(story.images.single, &[]);
    let own = SealmarkRegistry::start(SEALMARK);
    let old = format!("{}/prod/app:v1", own.address());
    assert!(
        story
            .images
            .push(&story.bench.sandbox, story.images.index, &old)
    );
    let before = tagged(&story.bench, &old);
    let allowed = Arc::new(AtomicUsize::new(0));
    let left = Arc::clone(&allowed);
    let front = door(own.address(), move |request| {
        let used_up = || {
            let less = |n: usize| n.checked_sub(1);
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
                .is_err()
        };
        (!reads(request) && used_up()).then(|| Reply::error(403, "DENIED", "closed"))
    });
    let promoted = format!("{}/prod/app:v1", front.address());
    let mut writes = 0;
    loop {
        // Each time a few more, and each time what had arrived stays.
        allowed.store(writes % 5 + 1, Ordering::SeqCst);
        let finished = story.promote(&[&image, &promoted]);
        if finished.exit_code() == Some(0) {
            break;
        }
        finished.failure().stderr_has("closed");
        assert_eq!(tagged(&story.bench, &old), before, "after {writes}");
        writes += 1;
        assert!(writes < 40, "it never completes");
    }
    assert!(writes > 2, "there was nothing to interrupt");
    let digest = story.images.digest(story.images.single);
    assert_eq!(tagged(&story.bench, &old).as_deref(), Some(&*digest));
    story.verify(&promoted).success();
    let said = super::promotion(&story.bench, &promoted);
    assert!(said.is_object(), "one, and no more: {said}");
}

#[test]
fn killed_before_the_tag_moves_it_is_completed_by_the_next_one() {
    let Some(story) = Story::begin() else { return };
    let image = story.release(story.images.single, &[]);
    let own = SealmarkRegistry::start(SEALMARK);
    let closed = Arc::new(AtomicBool::new(true));
    let is_closed = Arc::clone(&closed);
    let front = door(own.address(), move |request| {
        // The very last step never ends.
        let is_last = puts_tag(request).is_some() && is_closed.load(Ordering::SeqCst);
        is_last.then_some(Reply::Hang)
    });
    let promoted = format!("{}/prod/app:v1", front.address());
    let words = ["promote", &image, &promoted, "--certificate-identity"];
    let mut child = std::process::Command::new(SEALMARK)
        .args(words)
        .arg(super::WHO)
        .arg("--certificate-oidc-issuer")
        .arg(&story.instance.issuer.url)
        .arg("--trusted-root")
        .arg(story.root())
        .args(["--key", "own.key"])
        .env("COSIGN_PASSWORD", super::bench::PASSWORD)
        .env("HOME", story.bench.sandbox.path())
        .current_dir(story.bench.sandbox.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let at_last_step = || front.requests().iter().any(|it| puts_tag(it).is_some());
    while !at_last_step() {
        assert!(start.elapsed() < Duration::from_secs(60), "it never came");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    closed.store(false, Ordering::SeqCst);
    let there = promoted;
    assert_eq!(tagged(&story.bench, &there), None);
    let before = state(&own.data());
    let again = json(&story.promote(&[&image, &there, "-o", "json"]).success());
    // Nothing was missing but the tag.
    assert_eq!(again["copied"]["manifestsSent"], 0, "{again}");
    assert_eq!(
        again["signatures"][0]["signatures"][0]["state"],
        "already-there"
    );
    assert_eq!(
        again["promotions"][0]["signatures"][0]["state"],
        "already-there"
    );
    assert_eq!(again["tag"]["state"], "set");
    let after = state(&own.data());
    let new: Vec<_> = after
        .keys()
        .filter(|path| !before.contains_key(*path))
        .collect();
    assert!(new.len() <= 1, "{new:?}");
    story.verify(&there).success();
}

#[test]
fn tags_that_cannot_be_changed_are_an_error_that_says_what_is_there() {
    let Some(story) = Story::begin() else { return };
    let image = story.release(story.images.single, &[]);
    let own = SealmarkRegistry::start(SEALMARK);
    let behind = own.address().to_owned();
    let front = door(own.address(), move |request| {
        let (name, tag) = puts_tag(request)?;
        let mut look = request.clone();
        look.method = "HEAD".to_owned();
        look.path = format!("/v2/{name}/manifests/{tag}");
        look.body.clear();
        let there = matches!(forward(&behind, &look), Reply::Full { status: 200, .. });
        there.then(|| {
            Reply::error(
                400,
                "TAG_INVALID",
                "the tag exists and the repository is immutable",
            )
        })
    });
    let old = format!("{}/prod/app:v1", own.address());
    assert!(
        story
            .images
            .push(&story.bench.sandbox, story.images.index, &old)
    );
    let before = tagged(&story.bench, &old);
    let promoted = format!("{}/prod/app:v1", front.address());
    story
        .promote(&[&image, &promoted])
        .failure()
        .stderr_has(&format!("the tag {promoted} was not moved"))
        .stderr_has("the repository is immutable")
        .stderr_has("promote to one that does not exist");
    assert_eq!(tagged(&story.bench, &old), before);
    let digest = story.images.digest(story.images.single);
    story
        .verify(&format!("{}/prod/app@{digest}", front.address()))
        .success();
    let new = format!("{}/prod/app:v2", front.address());
    story.promote(&[&image, &new]).success();
    story
        .promote(&[&image, &new])
        .success()
        .stdout_has("nothing was changed");
}

#[test]
fn a_tag_that_somebody_else_moves_meanwhile_is_left_alone() {
    let Some(story) = Story::begin() else { return };
    if !have(&["skopeo"]) {
        return;
    }
    let image = story.release(story.images.single, &[]);
    let own = SealmarkRegistry::start(SEALMARK);
    let behind = own.address().to_owned();
    let written = AtomicUsize::new(0);
    let front = door(own.address(), move |request| {
        written.fetch_add(usize::from(!reads(request)), Ordering::SeqCst);
        let is_tag = request.path.ends_with("/prod/app/manifests/v1") && reads(request);
        // First there is none; before the last step there is one.
        (is_tag && written.load(Ordering::SeqCst) > 0).then(|| {
            let mut other = request.clone();
            other.path = "/v2/prod/app/manifests/other".to_owned();
            forward(&behind, &other)
        })
    });
    let other = format!("{}/prod/app:other", own.address());
    assert!(
        story
            .images
            .push(&story.bench.sandbox, story.images.index, &other)
    );
    let promoted = format!("{}/prod/app:v1", front.address());
    story
        .promote(&[&image, &promoted])
        .failure()
        .stderr_has("somebody else moved");
    assert_eq!(
        tagged(&story.bench, &format!("{}/prod/app:v1", own.address())),
        None
    );
}

#[test]
fn a_dry_run_says_all_steps_and_writes_nothing() {
    let Some(story) = Story::begin() else { return };
    let image = story.release(story.images.index, &[]);
    let own = SealmarkRegistry::start(SEALMARK);
    let front = door(own.address(), |request| {
        (!reads(request)).then(|| Reply::error(405, "UNSUPPORTED", "a dry run writes"))
    });
    let promoted = format!("{}/prod/app:v1", front.address());
    story
        .promote(&[&image, &promoted, "--dry-run"])
        .success()
        .stdout_has("would copy to ")
        .stdout_has("would sign it, by key sha256:")
        .stdout_has(&format!("would attach a promotion from {image}"))
        .stdout_has(&format!("would set the tag {promoted}"))
        .stdout_has("nothing was changed (--dry-run)");
    let plan = json(
        &story
            .promote(&[&image, &promoted, "--dry-run", "-o", "json"])
            .success(),
    );
    assert_eq!(plan["dryRun"], true);
    assert_eq!(plan["changed"], true);
    assert_eq!(plan["promotion"]["source"]["reference"], image, "{plan}");
    let there = format!("{}/prod/app:v1", own.address());
    story.promote(&[&image, &there]).success();
    story
        .promote(&[&image, &there, "--dry-run"])
        .success()
        .stdout_has("has signed it there already")
        .stdout_has("has attached the same promotion already")
        .stdout_has("is this image already");
    // Nobody is asked for a certificate.
    let keyless = story.bench.run(super::Tool::Sealmark).arg("promote");
    story
        .by_identity(keyless)
        .args([&image, &promoted, "--dry-run"])
        .run()
        .success()
        .stdout_has("by whoever logs in");
}
