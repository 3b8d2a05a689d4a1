//! Who signs, said in every way: by CI systems, by a code that is copied, by a program's secret; the keys of a run; the
//! question that is asked once; and `token`.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_testkit::{FaultyServer, Program, Reply, require_or_skip};
use serde_json::{Value, json};

use super::world::{JANE, SEALMARK, World};
use super::{SIGN, jane, refused};

/// Signs with what the place offers, and what comes out verifies.
fn sign_in(world: &World, place: impl FnOnce(Program) -> Program) {
    let sign = world.sandbox.command(SEALMARK).args(SIGN);
    let sign = place(sign.args(["--signing-config", "v2.json", "app.txt"]));
    sign.run()
        .success()
        .stderr_has("certificate for jane@example.org");
    let words = [
        "verify-blob",
        "--bundle",
        "b.json",
        "--trusted-root",
        "root.json",
    ];
    let verify = world
        .sandbox
        .command(SEALMARK)
        .args(words)
        .args(jane(world));
    verify.arg("app.txt").run().success();
    std::fs::remove_file(world.sandbox.join("b.json")).expect("it is ours");
}

#[test]
fn jobs_and_machines_sign_with_what_the_place_offers() {
    let world = World::start();
    let tokens = world.signing();
    let service = FaultyServer::start(move |request| {
        let token = tokens.token(json!({}));
        match request.path.split('?').next().unwrap_or_default() {
            "/v3/jobs/j/oidc/tokens" => {
                Reply::status(200).body(json!({"token": token}).to_string())
            }
            path if path.ends_with("/default/identity") => Reply::status(200).body(token),
            _ => Reply::status(404),
        }
    });
    let url = format!("http://{}/v3", service.address());
    sign_in(&world, |sign| {
        sign.env("BUILDKITE_AGENT_ACCESS_TOKEN", "a")
            .env("BUILDKITE_AGENT_ENDPOINT", url)
            .env("BUILDKITE_JOB_ID", "j")
    });
    sign_in(&world, |sign| {
        sign.env("GCE_METADATA_HOST", service.address())
    });
    sign_in(&world, |sign| {
        sign.env("GITLAB_CI", "true")
            .env("SIGSTORE_ID_TOKEN", world.token(json!({})))
    });
    let script = format!("#!/bin/sh\necho {}\n", world.token(json!({})));
    let made = world.sandbox.write("circleci", script);
    std::fs::create_dir_all(world.sandbox.join("bin")).unwrap();
    // Another process puts it there: a file that a thread's fresh child still has open cannot be run.
    let put = Command::new("install")
        .args(["-m", "755"])
        .args([made, world.sandbox.join("bin/circleci")])
        .status();
    assert!(put.expect("install is there").success());
    let path = format!(
        "{}:{}",
        world.sandbox.join("bin").display(),
        std::env::var("PATH").unwrap()
    );
    sign_in(&world, |sign| {
        sign.env("CIRCLECI", "true").env("PATH", path)
    });
}

#[test]
fn where_nobody_says_who_signs_the_error_says_what_was_looked_for() {
    let world = World::start();
    let sign = world.sandbox.command(SEALMARK).args(SIGN);
    let sign = sign.args(["--signing-config", "v1.json", "app.txt"]);
    sign.env("GITHUB_ACTIONS", "true")
        .run()
        .failure()
        .stderr_has("nobody says who signs")
        .stderr_has("give the job the permission `id-token: write`")
        .stderr_has(
            "looked for, in this order:\n  github-actions: ACTIONS_ID_TOKEN_REQUEST_URL and",
        )
        .stderr_has("\n  spiffe: ");
    let sign = world.sandbox.command(SEALMARK).args(SIGN);
    let sign = sign.args([
        "--signing-config",
        "v1.json",
        "--oidc-disable-ambient-providers",
        "app.txt",
    ]);
    let quiet = sign.run().failure();
    assert!(!quiet.stderr().contains("looked for"), "{quiet}");
}

/// An identity provider in which one is logged in at once; it keeps the nonce for the token.
fn provider(world: &World) -> FaultyServer {
    let tokens = world.signing();
    let nonce = std::sync::Mutex::new(String::new());
    FaultyServer::start(move |request| {
        let url = format!("http://{}", request.header("host").unwrap_or_default());
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let token = |claims| {
            let token = tokens.token(claims);
            Reply::status(200).body(json!({"id_token": token, "token_type": "Bearer"}).to_string())
        };
        match path {
            "/.well-known/openid-configuration" => {
                let document = json!({
                    "issuer": url, "token_endpoint": format!("{url}/token"),
                    "authorization_endpoint": format!("{url}/auth"),
                });
                Reply::status(200).body(document.to_string())
            }
            "/auth" if query.contains("redirect_uri=urn%3Aietf%3Awg%3Aoauth%3A2.0%3Aoob&") => {
                let found = query
                    .split('&')
                    .find_map(|pair| pair.strip_prefix("nonce="));
                *nonce.lock().expect("nobody panicked") = found.unwrap_or_default().to_owned();
                Reply::status(200)
                    .with("connection", "close")
                    .body("the code is c0-pied")
            }
            "/token" if form.contains("grant_type=client_credentials") => {
                let secret = format!("Basic {}", STANDARD.encode("sigstore:s3%26cret"));
                match request.header("authorization") == Some(secret.as_str()) {
                    true => token(json!({})),
                    false => Reply::status(401).body(r#"{"error":"invalid_client"}"#),
                }
            }
            "/token" if form.contains("code=c0-pied&redirect_uri=urn%3Aietf") => {
                token(json!({"nonce": *nonce.lock().expect("nobody panicked")}))
            }
            "/token" => Reply::status(400)
                .body(r#"{"error":"invalid_grant","error_description":"no such code"}"#),
            _ => Reply::status(404),
        }
    })
}

/// Signs like somebody without a browser: opens the URL elsewhere, and types `code`. Gives whether it went well, and what
/// was said.
fn copying(world: &World, provider: &str, words: &[&str], code: &str) -> (bool, String) {
    let mut child = Command::new(SEALMARK)
        .args(SIGN)
        .args(["--fulcio-url", &world.ca, "--rekor-url", &world.log])
        .args(["--oidc-issuer", provider, "--fulcio-auth-flow=normal"])
        .args(words)
        .arg("app.txt")
        .current_dir(world.sandbox.path())
        .env_clear()
        .env("HOME", world.sandbox.join("home"))
        // No program that opens a browser is there.
        .env("PATH", world.sandbox.join("bin"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it was just built");
    let mut said = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut all = String::new();
    let url = loop {
        let start = all.len();
        if said.read_line(&mut all).expect("it is text") == 0 {
            break None;
        }
        let line = all[start..].trim().to_owned();
        if line.starts_with("http") && line.contains("oob") {
            break Some(line);
        }
    };
    let url = url.unwrap_or_else(|| panic!("no URL is told: {all}"));
    let (host, path) = url
        .trim_start_matches("http://")
        .split_once('/')
        .expect("it has a path");
    sealmark_testkit::get(host, &format!("/{path}")).expect("the provider answers");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin
        .write_all(format!("{code}\n").as_bytes())
        .expect("it reads");
    drop(stdin);
    said.read_to_string(&mut all).expect("it is text");
    let status = child.wait().expect("it is a child");
    (status.success(), all)
}

#[test]
fn whoever_has_no_browser_copies_a_code() {
    let world = World::start();
    let provider = provider(&world);
    let provider = format!("http://{}", provider.address());
    let (good, said) = copying(&world, &provider, &[], "c0-pied");
    assert!(good, "{said}");
    assert!(said.contains("no browser can be opened here"), "{said}");
    assert!(said.contains("Enter the code: "), "{said}");
    assert!(said.contains("certificate for jane@example.org"), "{said}");
    let wanted = ["--oidc-redirect-url", "urn:ietf:wg:oauth:2.0:oob"];
    let (good, said) = copying(&world, &provider, &wanted, "wr0-ng");
    assert!(!good && said.contains("no such code"), "{said}");
    assert!(!said.contains("a browser opens"), "{said}");
    let (good, said) = copying(&world, &provider, &wanted, "");
    assert!(!good && said.contains("no code was entered"), "{said}");
}

#[test]
fn a_program_logs_in_with_its_secret() {
    let world = World::start();
    let provider = provider(&world);
    let provider = format!("http://{}", provider.address());
    world.sandbox.write("secret", "s3&cret\n");
    let flow = [
        "--fulcio-url",
        &world.ca,
        "--rekor-url",
        &world.log,
        "--oidc-issuer",
        &provider,
    ];
    let flow = [&flow[..], &["--fulcio-auth-flow", "client_credentials"]].concat();
    let sign = |words: &[&str]| {
        let sign = world.sandbox.command(SEALMARK).args(SIGN).args(&flow);
        sign.args(words).arg("app.txt").run()
    };
    sign(&["--oidc-client-secret-file", "secret"])
        .success()
        .stderr_has("certificate for jane@example.org");
    sign(&[])
        .failure()
        .stderr_has("give --oidc-client-secret-file");
    world.sandbox.write("secret", "another\n");
    let refused = sign(&["--oidc-client-secret-file", "secret"]).failure();
    let refused = refused.stderr_has("invalid_client").stderr_has(&provider);
    assert!(!refused.stderr().contains("another"), "{refused}");
}

#[test]
fn keys_of_a_run_are_of_every_algorithm() {
    let world = World::start();
    let cosign3 = require_or_skip!("cosign3");
    for algorithm in [
        "ecdsa-sha2-384-nistp384",
        "ecdsa-sha2-512-nistp521",
        "rsa-sign-pkcs1-2048-sha256",
        "rsa-sign-pkcs1-3072-sha256",
        "ed25519",
    ] {
        let sign = world
            .sealmark(&SIGN)
            .args(["--signing-algorithm", algorithm]);
        let tsa_only = [
            "--fulcio-url",
            &world.ca,
            "--timestamp-server-url",
            &world.tsa,
        ];
        // A log takes digests, and a signature of Ed25519 is over the file itself.
        let sign = match algorithm {
            "ed25519" => sign.args(tsa_only),
            _ => sign.args(["--signing-config", "v2.json"]),
        };
        sign.arg("app.txt").run().success();
        let mut words = vec![
            "verify-blob",
            "--bundle",
            "b.json",
            "--trusted-root",
            "root.json",
        ];
        if algorithm == "ed25519" {
            words.push("--insecure-ignore-tlog");
        }
        words.push("--use-signed-timestamps");
        // cosign 3.1 takes a key of Ed25519 for one of Ed25519ph.
        let others = [cosign3.as_path()]
            .into_iter()
            .filter(|_| algorithm != "ed25519");
        for program in others.chain([SEALMARK.as_ref()]) {
            let verify = world.sandbox.command(program).args(&words);
            verify.args(jane(&world)).arg("app.txt").run().success();
        }
    }
    std::fs::remove_file(world.sandbox.join("b.json")).unwrap();
    let ed25519 = [
        "--signing-algorithm",
        "ed25519",
        "--signing-config",
        "v1.json",
    ];
    refused(
        &world,
        &ed25519,
        None,
        &["a signature by an Ed25519 key is not over one"],
    );
}

/// Runs `sealmark` at a terminal, whose person answers `answer`.
const AT_A_TERMINAL: &str = r#"
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
said = b''
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    if not piece:
        break
    said += piece
    if said.endswith(b'[y/N] '):
        os.write(terminal, sys.argv[1].encode() + b'\n')
sys.stdout.write(said.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

#[test]
fn whoever_signs_is_asked_once_and_not_with_yes() {
    let world = World::start();
    world.sandbox.write("terminal.py", AT_A_TERMINAL);
    world.sandbox.write("other.txt", "another file\n");
    let sign = |answer: &str, more: &[&str]| {
        let python = world
            .sandbox
            .command("python3")
            .args(["terminal.py", answer, SEALMARK]);
        python
            .env("SIGSTORE_ID_TOKEN", world.token(json!({})))
            .args([
                "sign-blob",
                "--trusted-root",
                "root.json",
                "--signing-config",
                "v1.json",
            ])
            .args(more)
            .args(["app.txt", "other.txt"])
            .run()
    };
    let bundles = ["app.txt.sigstore.json", "other.txt.sigstore.json"];
    let there = || bundles.map(|name| world.sandbox.join(name).exists());
    let said = sign("n", &[])
        .failure()
        .stdout_has("not signed: you said no");
    assert_eq!(there(), [false, false], "{said}");
    let said = sign("y", &[])
        .success()
        .stdout_has(&format!("will keep {JANE} beside this signature"));
    assert_eq!(said.stdout().matches("[y/N]").count(), 1, "{said}");
    assert_eq!(there(), [true, true]);
    let said = sign("n", &["--yes"]).success();
    assert!(
        !said.stdout().contains("[y/N]") && !said.stdout().contains("will keep"),
        "{said}"
    );
}

#[test]
fn a_token_is_explained_and_which_claim_is_wrong() {
    let world = World::start();
    let run = |words: &[&str], token: Value| {
        let program = world.sandbox.command(SEALMARK).arg("token").args(words);
        program.env("SIGSTORE_ID_TOKEN", world.token(token)).run()
    };
    let online = ["--online", "--fulcio-url", &world.ca];
    let good = run(&online, json!({})).success();
    let good = good
        .stdout_has("identity token from SIGSTORE_ID_TOKEN")
        .stdout_has(&format!("  issuer: {}", world.issuer_url()))
        .stdout_has("  audience: sigstore")
        .stdout_has("  email: jane@example.org")
        .stdout_has("  ok      alg: ES256, key \"k1\"")
        .stdout_has("  ok      email_verified: jane@example.org is verified")
        .stdout_has(&format!(
            "  ok      signature: by a key that {} publishes",
            world.issuer_url()
        ))
        .stdout_has("  ok      issuer believed: by ");
    assert!(
        !good.stdout().contains("eyJ"),
        "the token is a secret\n{good}"
    );
    for (claims, what) in [
        (
            json!({"aud": "elsewhere"}),
            "aud: it is \"elsewhere\", not \"sigstore\"",
        ),
        (json!({"exp": 1_700_000_000}), "exp: it expired"),
        (
            json!({"email_verified": false}),
            "email_verified: the issuer does not say that jane@example.org is verified",
        ),
    ] {
        let bad = run(&["--online"], claims).failure();
        let bad = bad.stdout_has(&format!("  FAILED  {what}"));
        let claim = what.split(':').next().unwrap();
        bad.stderr_has(&format!(
            "a certificate authority would refuse this token: {claim}"
        ))
        .stdout_has("  ok      signature: ");
    }
    // Somebody else's token of the same name.
    let stranger = World::start();
    let forged = stranger.token(json!({"iss": world.issuer_url()}));
    world.sandbox.write("forged.jwt", forged);
    let forged = run(&["forged.jwt", "--online"], json!({})).failure();
    forged.stdout_has("  FAILED  signature: its signature is not one by a key that ");
    let unknown = run(&["--fulcio-url", &stranger.ca], json!({})).failure();
    unknown
        .stdout_has("  FAILED  issuer believed: ")
        .stdout_has("but of: http://127.0.0.1:");
    let json = run(&["--output", "json"], json!({})).success();
    let json: Value = serde_json::from_str(&json.stdout()).unwrap();
    assert_eq!(json["subject"], JANE);
    assert_eq!(json["claims"]["sub"], "1234");
    assert_eq!(
        json["checks"][0],
        json!({"what": "alg", "outcome": "passed", "reason": "ES256, key \"k1\""})
    );
}

#[test]
fn a_token_is_fetched_from_the_place_and_printed_only_if_asked_for() {
    let world = World::start();
    let token = world.token(json!({}));
    let body = json!({"value": token}).to_string();
    let github = FaultyServer::start(move |_| Reply::status(200).body(body.clone()));
    let run = |words: &[&str]| {
        let program = world.sandbox.command(SEALMARK).args(words);
        program
            .env(
                "ACTIONS_ID_TOKEN_REQUEST_URL",
                format!("http://{}/t", github.address()),
            )
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t")
            .run()
    };
    run(&["token", "--from", "ambient"])
        .success()
        .stdout_has("identity token from GitHub Actions");
    let raw = run(&["get-identity-token", "--from", "github-actions", "--raw"]).success();
    assert_eq!(raw.stdout().trim(), token);
    run(&["token", "--from", "spiffe"])
        .failure()
        .stderr_has("--oidc-provider spiffe: nothing shows that it is here");
    let nobody = world
        .sandbox
        .command(SEALMARK)
        .args(["token", "--from", "ambient"]);
    nobody
        .run()
        .failure()
        .stderr_has("looked for, in this order:");
}

#[test]
fn an_instance_that_was_initialised_needs_no_flags_and_with_another_root_nothing_is_published() {
    let world = World::start();
    // What `initialize` keeps comes from the TUF repository of a whole instance.
    let program = world.sandbox.command(SEALMARK);
    let serve = [
        "serve",
        "--dir",
        "instance",
        "--listen",
        "127.0.0.1:0",
        "--config",
        "issuers.yaml",
    ];
    let issuers = format!(
        "oidc-issuers:\n  {}:\n    client-id: sigstore\n    type: email\n",
        world.issuer_url()
    );
    world.sandbox.write("issuers.yaml", issuers);
    let (_server, url) = program.args(serve).serve(|line| {
        let (_, rest) = line.split_once("Sigstore at ")?;
        Some(rest.split_once(": ")?.0.to_owned())
    });
    let mirror = format!("{url}/tuf");
    let words = [
        "initialize",
        "--mirror",
        &mirror,
        "--root",
        "instance/root.json",
    ];
    world.sandbox.command(SEALMARK).args(words).run().success();
    let sign = |words: &[&str]| {
        world
            .sealmark(&["sign-blob", "--yes"])
            .args(words)
            .arg("app.txt")
            .run()
    };
    sign(&["--bundle", "i.json"])
        .success()
        .stderr_has(&format!("asking {url} for a certificate for {JANE}"));
    sign(&["--offline", "--bundle", "i2.json"]).success();
    let verify = ["verify-blob", "--bundle", "i.json"];
    let verify = world
        .sandbox
        .command(SEALMARK)
        .args(verify)
        .args(jane(&world));
    verify.arg("app.txt").run().success();
    // The root of another instance: its authority is not that of the certificate.
    sign(&["--bundle", "i3.json", "--trusted-root", "root.json"])
        .failure()
        .stderr_has("not by an authority that is trusted here");
    assert!(!world.sandbox.join("i3.json").exists());
}
