//! The test support, tested: what other tests stand on must not give way silently.

use std::time::Duration;

use sealmark_testkit::{DockerRegistry, Finished, Sandbox, SealmarkRegistry, Server, get, images};
use sealmark_testkit::{require_or_skip, skip};

#[test]
fn a_program_sees_nothing_of_the_users_settings() {
    let sandbox = Sandbox::new();
    let environment = sandbox
        .command("env")
        .env("EXTRA", "1")
        .run()
        .success()
        .stdout();
    let mut names: Vec<&str> = environment
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "AWS_EC2_METADATA_DISABLED",
            "DOCKER_CONFIG",
            "EXTRA",
            "HOME",
            "LC_ALL",
            "NO_COLOR",
            "PATH",
            "TMPDIR",
            "TZ",
            "XDG_RUNTIME_DIR",
        ]
    );
    let home = sandbox.join("home").display().to_string();
    assert!(environment.contains(&format!("HOME={home}\n")));
}

#[test]
fn a_programs_input_output_and_exit_code_are_kept_apart() {
    let sandbox = Sandbox::new();
    let script = sandbox.write("bin/script", "cat; echo problem >&2; exit 3\n");
    let finished = sandbox
        .command("sh")
        .arg(script)
        .stdin("hello")
        .run()
        .code(3);
    assert_eq!(
        (finished.stdout(), finished.stderr()),
        ("hello".into(), "problem\n".into())
    );
}

#[test]
fn more_output_than_a_pipe_holds_does_not_block() {
    let sandbox = Sandbox::new();
    let script = "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2";
    let finished = sandbox
        .command("sh")
        .args(["-c", script])
        .stdin(vec![0; 300_000])
        .run();
    assert_eq!(
        (finished.stdout_bytes().len(), finished.stderr().len()),
        (300_000, 300_000)
    );
}

#[test]
#[should_panic(
    expected = "expected exit code 0\n$ sh -c echo seen; echo heard >&2; exit 9\nended \
                           with code 9\n--- stdout\nseen\n\n--- stderr\nheard\n"
)]
fn a_failed_expectation_prints_all_that_the_program_wrote() {
    let _ = Sandbox::new()
        .command("sh")
        .args(["-c", "echo seen; echo heard >&2; exit 9"])
        .run()
        .success();
}

#[test]
#[should_panic(expected = "not done after 200ms, killed")]
fn a_program_that_hangs_is_killed() {
    let _ = Sandbox::new()
        .command("sleep")
        .arg("60")
        .timeout(Duration::from_millis(200))
        .run();
}

#[test]
fn a_server_is_gone_when_it_is_dropped() {
    let sandbox = Sandbox::new();
    let script = "echo ready on 7 >&2; exec sleep 60";
    let (server, port): (Server, u16) = sandbox
        .command("sh")
        .args(["-c", script])
        .serve(|line| line.trim().strip_prefix("ready on ")?.parse().ok());
    assert_eq!(port, 7);
    let process = format!("/proc/{}", server.pid());
    assert!(std::fs::exists(&process).unwrap());
    drop(server);
    assert!(!std::fs::exists(&process).unwrap());
}

#[test]
fn a_server_can_be_asked_to_end() {
    let sandbox = Sandbox::new();
    let script = "trap 'exit 4' TERM; echo ready; while :; do sleep 0.05; done";
    let program = sandbox.command("sh").args(["-c", script]);
    let (server, ()) = program.serve(|line| (line.trim() == "ready").then_some(()));
    assert_eq!(server.terminate().code(), Some(4));
}

#[test]
#[should_panic(expected = "ended at once")]
fn a_server_that_can_not_start_fails_the_test() {
    let sandbox = Sandbox::new();
    let _ = sandbox
        .command("sh")
        .args(["-c", "echo no >&2; exit 1"])
        .serve(|_| None::<()>);
}

#[test]
fn dockers_registry_answers_and_keeps_what_skopeo_pushes() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let Some(images) = images() else { return };
    let base = get(registry.address(), "/v2/").unwrap();
    assert_eq!((base.status, base.body.as_slice()), (200, b"{}".as_slice()));
    let sandbox = Sandbox::new();
    for tag in [images.single, images.index, images.shared] {
        let reference = format!("{}/team/hello:{tag}", registry.address());
        if !images.push(&sandbox, tag, &reference) {
            return;
        }
        // skopeo asked the registry; a second client must see the same digest that the layout has.
        let skopeo = require_or_skip!("skopeo");
        let inspect = [
            "inspect",
            "--raw",
            "--tls-verify=false",
            &format!("docker://{reference}"),
        ];
        let manifest = sandbox.command(skopeo).args(inspect).run().success();
        let file = sandbox.write("manifest", manifest.stdout_bytes());
        let sum = sandbox
            .command("sha256sum")
            .arg(file)
            .run()
            .success()
            .stdout();
        let digest = format!("sha256:{}", sum.split(' ').next().unwrap());
        assert_eq!(digest, images.digest(tag), "{tag}");
    }
    assert!(
        registry
            .data()
            .join("docker/registry/v2/repositories/team/hello")
            .is_dir()
    );
    assert!(registry.log().contains("/v2/team/hello/manifests/multi"));
}

#[test]
fn a_registry_with_a_login_wants_it() {
    let Some(registry) = DockerRegistry::start_with_login() else {
        return;
    };
    let refused = get(registry.address(), "/v2/").unwrap();
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.header("WWW-Authenticate"),
        Some("Basic realm=\"sealmark\"")
    );
    let login = registry.login().unwrap();
    let oras = require_or_skip!("oras");
    let sandbox = Sandbox::new();
    let arguments = [
        "login",
        "--plain-http",
        "--username",
        login.user,
        "--password-stdin",
    ];
    let program = sandbox
        .command(&oras)
        .args(arguments)
        .arg(registry.address());
    program.stdin(login.password).run().success();
    let program = sandbox
        .command(&oras)
        .args(arguments)
        .arg(registry.address());
    program.stdin("wrong").run().failure();
}

#[test]
fn sealmarks_registry_is_found_by_the_first_line_that_it_prints() {
    let sandbox = Sandbox::new();
    // Stands for the program, of which this crate must not know more than its arguments and its first line.
    let script = "#!/bin/sh\necho \"$*\"\necho 'registry listening on http://127.0.0.1:9' >&2\n\
                  exec sleep 60\n";
    let program = sandbox.write("sealmark", script);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    let registry = SealmarkRegistry::start_with(program, &["--read-only"]);
    assert_eq!(registry.address(), "127.0.0.1:9");
    let arguments = format!(
        "registry --dir {} --listen 127.0.0.1:0 --read-only",
        registry.data().display()
    );
    while !registry.log().contains(&arguments) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn every_peer_runs() {
    for (name, argument) in [
        ("cosign2", "version"),
        ("cosign3", "version"),
        ("docker-registry", "--version"),
        ("openssl", "version"),
        ("oras", "version"),
        ("skopeo", "--version"),
        ("umoci", "--version"),
    ] {
        match sealmark_testkit::Peer::find(name) {
            Some(program) => drop(
                Sandbox::new()
                    .command(program)
                    .arg(argument)
                    .run()
                    .success(),
            ),
            None => skip(name),
        }
    }
}

/// Runs `every_peer_runs` on a machine without peers.
fn without_peers(required: &str) -> Finished {
    let program = std::env::current_exe().expect("a running program has a path");
    Sandbox::new()
        .command(program)
        .args(["--exact", "every_peer_runs"])
        .env("SEALMARK_PEERS", "/nonexistent")
        .env("SEALMARK_REQUIRE_PEERS", required)
        .run()
}

#[test]
fn a_missing_peer_skips_aloud_though_the_test_passes() {
    without_peers("0")
        .success()
        .stderr_has("skipped: cosign3 not found (looked in /nonexistent; run `cargo xtask peers`)");
}

#[test]
fn a_missing_peer_fails_the_test_where_peers_are_required() {
    let finished = without_peers("1").failure();
    let text = format!("{}{}", finished.stdout(), finished.stderr());
    assert!(
        text.contains("cosign2 is required but not in /nonexistent"),
        "{finished}"
    );
}
