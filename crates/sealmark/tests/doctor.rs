//! The doctor: everything that must be right is looked at, the cause is named, and nothing is changed.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod bench;
#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "instance/world.rs"]
mod world;

use base64::Engine as _;
use bench::{Bench, Registries, Tool, have};
use sealmark_testkit::{DockerRegistry, FaultyServer, Finished, Reply, SoftHsm, images};
use serde_json::Value;
use world::Instance;

fn doctor(bench: &Bench, words: &[&str]) -> Finished {
    bench.run(Tool::Sealmark).arg("doctor").args(words).run()
}

/// `check: outcome` of each.
fn outcomes(finished: &Finished) -> Vec<(String, String)> {
    let report: Value = serde_json::from_str(&finished.stdout()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = report["checks"].as_array().unwrap().iter();
    checks
        .map(|check| (text(&check["check"]), text(&check["outcome"])))
        .collect()
}

#[test]
fn without_anything_to_look_at_it_says_so_and_is_content() {
    let bench = Bench::new();
    let finished = doctor(&bench, &["-o", "json"]).success();
    let skipped = |name: &str| (name.to_owned(), "skipped".to_owned());
    let outcomes = outcomes(&finished);
    for check in [
        "clock",
        "key",
        "registry",
        "trusted root",
        "transparency log",
    ] {
        assert!(outcomes.contains(&skipped(check)), "{check}: {outcomes:?}");
    }
}

#[test]
fn in_a_whole_instance_everything_is_well() {
    if !have(&["skopeo"]) {
        return;
    }
    let Some(images) = images() else { return };
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "release");
    let instance = Instance::start(&bench);
    let registries = Registries::start();
    for (registry, how) in registries
        .addresses()
        .into_iter()
        .zip(["referrers API", "fallback tag"])
    {
        let image = format!("{registry}/app:v1");
        assert!(images.push(&bench.sandbox, images.single, &image));
        let config = instance.file("signing_config.json").display().to_string();
        let root = instance.file("trusted_root.json").display().to_string();
        let words = [
            image.as_str(),
            "--key",
            "release.key",
            "--sign",
            "--signing-config",
            &config,
            "--trusted-root",
            &root,
        ];
        let before = instance_size(&bench, &instance);
        doctor(&bench, &words)
            .success()
            .stdout_has("ok      clock: within 30 s of ")
            .stdout_has("ok      permission to sign: ECDSA P-256")
            .stdout_has("ok      image: ")
            .stdout_has(how)
            .stdout_has("ok      transparency log: ")
            .stdout_has("ok      certificate authority: ")
            .stdout_has("ok      timestamp authority: ")
            .stdout_has("warning login: nobody");
        assert_eq!(
            instance_size(&bench, &instance),
            before,
            "the log has grown"
        );
        assert!(
            bench::referrers(&bench, &format!("{registry}/app"), &digest(&bench, &image))
                .is_empty()
        );
        // Without the trusted root, the services are there and nobody says that they are the right ones.
        doctor(&bench, &["--signing-config", &config])
            .failure()
            .stdout_has("FAILED  certificate authority: ")
            .stdout_has("→ give the trusted root of this instance");
    }
}

fn digest(bench: &Bench, image: &str) -> String {
    let inspected = bench.peer("skopeo").args(["inspect", "--tls-verify=false"]);
    let inspected = inspected.arg(format!("docker://{image}")).run().success();
    let value: Value = serde_json::from_str(&inspected.stdout()).unwrap();
    value["Digest"].as_str().unwrap().to_owned()
}

fn instance_size(bench: &Bench, instance: &Instance) -> String {
    let info = bench
        .run(Tool::Sealmark)
        .args(["log", "info", "--rekor-url", &instance.url]);
    let info = info.args(["--store_tree_state=false", "--trusted-root"]);
    info.arg(instance.file("trusted_root.json"))
        .run()
        .success()
        .stdout()
}

#[test]
fn each_fault_is_named_and_the_rest_is_looked_at_all_the_same() {
    let bench = Bench::new();
    // Nothing listens there.
    doctor(
        &bench,
        &[
            "127.0.0.1:9/app:v1",
            "--key",
            "awskm:///alias/release",
            "--rekor-url",
            "http://127.0.0.1:9",
            "-o",
            "json",
        ],
    )
    .failure()
    .stdout_has("did you mean awskms")
    .stdout_has("127.0.0.1:9")
    .stderr_has("3 of ");

    // A clock that others do not agree with.
    let late =
        FaultyServer::start(|_| Reply::status(401).with("date", "Mon, 01 Jan 2024 00:00:00 GMT"));
    let image = format!("{}/app:v1", late.address());
    let finished = doctor(&bench, &[&image, "-o", "json"]).failure();
    assert_eq!(
        outcomes(&finished)[0],
        ("clock".to_owned(), "failed".to_owned())
    );
    assert!(outcomes(&finished).contains(&("login".to_owned(), "failed".to_owned())));
}

/// The cache of the TUF repository stays as it was, also where there is something newer to fetch.
#[test]
fn what_was_initialised_is_looked_at_and_not_changed() {
    let bench = Bench::new();
    let instance = Instance::start(&bench);
    let mirror = format!("{}/tuf", instance.url);
    let initialize = bench
        .run(Tool::Sealmark)
        .args(["initialize", "--mirror", &mirror, "--root"]);
    let cache = bench.sandbox.join("tuf-cache");
    let initialize = initialize.arg(instance.file("root.json"));
    initialize.env("TUF_ROOT", &cache).run().success();
    let files = || {
        let mut all = Vec::new();
        let mut folders = vec![cache.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => all.push((path.clone(), std::fs::read(path).unwrap())),
                }
            }
        }
        all.sort();
        all
    };
    let (gone, _) = files()
        .into_iter()
        .find(|(path, _)| path.ends_with("timestamp.json"))
        .unwrap();
    std::fs::remove_file(gone).unwrap();
    let before = files();
    let looked = bench
        .run(Tool::Sealmark)
        .arg("doctor")
        .env("TUF_ROOT", &cache);
    looked
        .run()
        .success()
        .stdout_has("ok      trusted root: the TUF repository ")
        .stdout_has("ok      transparency log: ")
        .stdout_has("ok      certificate authority: ");
    assert!(files() == before, "the cache was changed");
}

/// A registry that takes connections and says nothing: the rest is told all the same, and every check has its line.
#[test]
fn what_hangs_is_told_with_the_rest() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let image = format!("{}/app:v1", silent.local_addr().unwrap());
    let bench = Bench::new();
    let finished = doctor(&bench, &[&image, "--timeout", "2s", "-o", "json"]).failure();
    let outcomes = outcomes(&finished);
    assert_eq!(outcomes.len(), 14, "{outcomes:?}");
    assert!(
        outcomes
            .iter()
            .any(|(check, outcome)| check == "registry" && outcome == "failed")
    );
    assert!(
        outcomes
            .iter()
            .any(|(check, outcome)| check == "referrers" && outcome == "skipped")
    );
}

#[test]
fn a_key_on_a_token_is_found_and_signs_or_the_pin_is_wrong() {
    const PIN: &str = "4711";
    let Some(hsm) = SoftHsm::start("story", PIN) else {
        return;
    };
    hsm.tool("--keypairgen --key-type EC:prime256v1 --id 01 --label release")
        .success();
    let bench = Bench::new();
    let look = |pin: &str| {
        let (variable, configuration) = hsm.environment();
        bench
            .run(Tool::Sealmark)
            .args([
                "doctor",
                "--key",
                "pkcs11:token=story;object=release",
                "--sign",
            ])
            .env(variable, configuration)
            .env("COSIGN_PKCS11_MODULE_PATH", &hsm.module)
            .env("COSIGN_PKCS11_PIN", pin)
            .run()
    };
    look(PIN)
        .success()
        .stdout_has("ok      credentials: ")
        .stdout_has("can be read")
        .stdout_has("ok      key type: ecdsa-p256")
        .stdout_has("ok      permission to sign: ");
    let wrong = look("hunter2").failure();
    assert!(
        wrong.stdout().contains("the token refuses the PIN"),
        "{wrong}"
    );
    assert!(!wrong.stdout().contains("hunter2"), "{wrong}");
    assert!(wrong.stdout().contains("COSIGN_PKCS11_PIN"), "{wrong}");
}

#[test]
fn a_wrong_password_is_told_with_the_file_that_has_it_and_without_itself() {
    let Some(registry) = DockerRegistry::start_with_login() else {
        return;
    };
    let login = registry.login().unwrap();
    let bench = Bench::new();
    let image = format!("{}/app:v1", registry.address());
    let look = |password: &str| {
        let auth =
            base64::engine::general_purpose::STANDARD.encode(format!("{}:{password}", login.user));
        let file = serde_json::json!({"auths": {registry.address(): {"auth": auth}}});
        let file = bench
            .sandbox
            .write("run/containers/auth.json", file.to_string());
        let looked = bench.run(Tool::Sealmark).args(["doctor", &image]);
        let looked = looked.env("XDG_RUNTIME_DIR", bench.sandbox.join("run"));
        let looked = looked.env("NO_PROXY", "127.0.0.1").run();
        // Which files and variables count is told, and what is in them is not.
        let configuration = looked.stdout();
        let line = configuration
            .lines()
            .find(|line| line.contains(" configuration: "));
        let line = line.unwrap();
        assert!(line.contains(&file.display().to_string()), "{line}");
        assert!(
            line.contains("NO_PROXY") && !line.contains("127.0.0.1"),
            "{line}"
        );
        looked
    };
    let wrong = look("hunter2")
        .failure()
        .stdout_has("FAILED  login: user alice, from ")
        .stdout_has("containers/auth.json")
        .stdout_has(&format!("→ sealmark login {}", registry.address()));
    assert!(!wrong.stdout().contains("hunter2"), "{wrong}");
    let right = look(login.password);
    assert!(
        right.stdout().contains("ok      login: user alice, from "),
        "{right}"
    );
}

#[test]
fn a_trusted_root_whose_services_have_ended_is_no_more_to_be_believed() {
    let bench = Bench::new();
    let instance = Instance::start(&bench);
    let text = std::fs::read_to_string(instance.file("trusted_root.json")).unwrap();
    let whole: Value = serde_json::from_str(&text).unwrap();
    for (part, name, end, outcome) in [
        ("tlogs", "log", -3600, "FAILED "),
        ("ctlogs", "CT log", -3600, "FAILED "),
        (
            "timestampAuthorities",
            "timestamp authority",
            -3600,
            "FAILED ",
        ),
        ("tlogs", "log", 24 * 3600, "warning"),
    ] {
        let mut root = whole.clone();
        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(end);
        for one in root[part].as_array_mut().unwrap() {
            let range = match part {
                "timestampAuthorities" => &mut one["validFor"],
                _ => &mut one["publicKey"]["validFor"],
            };
            range["start"] = "2020-01-01T00:00:00Z".into();
            range["end"] = end.to_string().into();
        }
        let path = bench.sandbox.write("stale.json", root.to_string());
        let looked = doctor(&bench, &["--trusted-root", &path.display().to_string()]);
        let text = looked.stdout();
        let line = text
            .lines()
            .find(|line| line.contains(" trusted root: "))
            .unwrap();
        assert!(line.starts_with(outcome), "{part}: {looked}");
        assert!(line.contains(&format!("the {name} ")), "{part}: {looked}");
        assert!(text.contains("→ fetch a newer one"), "{looked}");
        assert_eq!(
            looked.exit_code() == Some(0),
            outcome == "warning",
            "{looked}"
        );
    }
}
