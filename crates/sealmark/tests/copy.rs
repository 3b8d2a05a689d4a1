//! `copy`, `save` and `load`: images move with what is attached to them, and other tools find all of it afterwards.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod bench;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use bench::{Bench, Registries, SEALMARK, Tool, have, json};
use sealmark_testkit::{
    DockerRegistry, FaultyServer, Images, Reply, Request, SealmarkRegistry, get, images,
};

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
    // Our layouts are no worse for it than its own: the registry refuses the same, with the same words.
    for (number, directory) in ["cosign", "saved"].into_iter().enumerate() {
        let to = format!("{}/by-cosign3-{number}:v1", registry.address());
        let load = bench
            .run(Tool::Cosign3)
            .args(["load", "--allow-http-registry"]);
        let load = load.args(["--dir", directory, &to]).run().failure();
        load.stderr_has("MANIFEST_BLOB_UNKNOWN");
    }
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

/// A registry that can only be read: whatever would change something is refused. Blobs are given out as long as `open`
/// says, up to `some`; which were is noted.
struct ReadOnly {
    server: FaultyServer,
    open: Arc<AtomicBool>,
    given: Arc<Mutex<BTreeSet<String>>>,
}

impl ReadOnly {
    fn before(registry: &str, some: usize) -> Self {
        let (open, given) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (is_open, note): (_, Arc<Mutex<BTreeSet<String>>>) = (open.clone(), Arc::clone(&given));
        let registry = registry.to_owned();
        let server = FaultyServer::start(move |request: &Request| {
            if !["GET", "HEAD"].contains(&request.method.as_str()) {
                return Reply::error(405, "UNSUPPORTED", "this registry is read-only");
            }
            if let (Some((_, digest)), "GET") =
                (request.path.split_once("/blobs/"), request.method.as_str())
            {
                let mut given = note.lock().unwrap();
                if !is_open.load(Ordering::SeqCst) && given.len() >= some {
                    return Reply::Hang;
                }
                given.insert(digest.to_owned());
            }
            let Ok(answer) = get(&registry, &request.path) else {
                return Reply::Close;
            };
            let mut reply = Reply::status(answer.status);
            for name in [
                "content-type",
                "docker-content-digest",
                "oci-filters-applied",
            ] {
                if let Some(value) = answer.header(name) {
                    reply = reply.with(name, value);
                }
            }
            reply.body(answer.body)
        });
        Self {
            server,
            open,
            given,
        }
    }
}

#[test]
fn a_copy_that_was_killed_is_completed_by_the_next_one_from_a_source_that_is_only_read() {
    const GIVEN: usize = 4;
    let source = SealmarkRegistry::start(SEALMARK);
    let Some((bench, _, image)) = signed(source.address()) else {
        return;
    };
    let front = ReadOnly::before(source.address(), GIVEN);
    let to = SealmarkRegistry::start(SEALMARK);
    let from = image.replace(source.address(), front.server.address());
    let copy = format!("{}/copy:v1", to.address());
    let mut killed = Command::new(SEALMARK)
        .args(["copy", &from, &copy])
        .env_clear()
        .env("HOME", bench.sandbox.join("home"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let has = |path: &str| get(to.address(), path).is_ok_and(|answer| answer.status == 200);
    // Until what the source gave out has arrived; the rest hangs.
    for _ in 0..600 {
        let given = front.given.lock().unwrap().clone();
        if given.len() == GIVEN && given.iter().all(|it| has(&format!("/v2/copy/blobs/{it}"))) {
            break;
        }
        sleep(Duration::from_millis(50));
    }
    assert_eq!(front.given.lock().unwrap().len(), GIVEN);
    // SIGKILL.
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(!has("/v2/copy/manifests/v1"), "the tag moves last");

    front.open.store(true, Ordering::SeqCst);
    let words = ["copy", "--output", "json", &from, &copy];
    let copied = json(&bench.sealmark(&words).success());
    let present = copied["blobsPresent"].as_u64().unwrap();
    assert!(present >= GIVEN as u64, "{copied}");
    assert!(copied["blobsSent"].as_u64().unwrap() > 0, "{copied}");
    check(&bench, &copy);
    let written = front.server.requests();
    let written = written
        .iter()
        .filter(|it| !["GET", "HEAD"].contains(&it.method.as_str()));
    assert_eq!(written.count(), 0, "nothing is written to the source");
    // Done is done: nothing is sent again.
    let again = json(&bench.sealmark(&words).success());
    assert_eq!(
        (&again["blobsSent"], &again["manifestsSent"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn each_registry_gets_its_own_credentials() {
    let (Some(from), Some(to)) = (
        DockerRegistry::start_with_login(),
        DockerRegistry::start_with_login(),
    ) else {
        return;
    };
    let source = SealmarkRegistry::start(SEALMARK);
    let Some((bench, images, open)) = signed(source.address()) else {
        return;
    };
    let login = |registry: &DockerRegistry, password: Option<&str>| {
        let login = registry.login().unwrap();
        let words = [
            "login",
            registry.address(),
            "--username",
            login.user,
            "--password",
        ];
        let password = password.unwrap_or(login.password);
        bench.sealmark(&[&words[..], &[password]].concat())
    };
    let between = format!("{}/between:v1", from.address());
    bench.sealmark(&["copy", &open, &between]).failure();
    login(&from, None).success();
    bench.sealmark(&["copy", &open, &between]).success();
    let copy = format!("{}/copy:v1", to.address());
    bench
        .sealmark(&["copy", &between, &copy])
        .failure()
        .stderr_has(to.address());
    login(&to, None).success();
    bench.sealmark(&["copy", &between, &copy]).success();
    let words = ["verify", "--key", "alice.pub", &copy];
    bench.sealmark(&words).success();
    assert_eq!(
        json(
            &bench
                .sealmark(&["save", "-o", "json", "--dir", "saved", &copy])
                .success()
        )["digest"],
        images.digest(images.index)
    );
}

#[test]
fn attachments_in_another_repository_are_copied_saved_and_loaded() {
    let registries = Registries::start();
    let Some(images) = images() else { return };
    for address in registries.addresses() {
        let bench = Bench::new();
        bench.make_key("ecdsa-p256", "alice");
        let image = format!("{address}/app:v1");
        assert!(images.push(&bench.sandbox, images.single, &image));
        let signatures = format!("{address}/signatures");
        let elsewhere = |words: &[&str]| {
            let run = bench.run(Tool::Sealmark);
            run.env("COSIGN_REPOSITORY", &signatures).args(words).run()
        };
        elsewhere(&["sign", "--format", "both", "--key", "alice.key", &image]).success();
        let verify = |image: &str| bench.sealmark(&["verify", "--key", "alice.pub", image]);
        verify(&image).failure();
        // Without it, the image alone is copied.
        let (alone, copy) = (format!("{address}/alone:v1"), format!("{address}/copy:v1"));
        bench.sealmark(&["copy", &image, &alone]).success();
        verify(&alone).failure();
        elsewhere(&["copy", &image, &copy])
            .success()
            .stderr_has("(COSIGN_REPOSITORY)");
        check(&bench, &copy);
        elsewhere(&["save", "--dir", "saved", &image]).success();
        let loaded = format!("{address}/loaded:v1");
        bench
            .sealmark(&["load", "--dir", "saved", &loaded])
            .success();
        check(&bench, &loaded);
        // What is loaded with it goes there, and is found there.
        let others = format!("{address}/others");
        let run = |words: &[&str]| {
            let run = bench.run(Tool::Sealmark);
            run.env("COSIGN_REPOSITORY", &others).args(words).run()
        };
        let third = format!("{address}/third:v1");
        run(&["load", "--dir", "saved", &third]).success();
        verify(&third).failure();
        run(&["verify", "--key", "alice.pub", &third]).success();
    }
}
