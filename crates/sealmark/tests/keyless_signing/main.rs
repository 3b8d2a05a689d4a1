//! Signing for an identity, and with a key into a log: with services of our own, and verified by everybody.

mod faults;
mod flows;
mod world;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::Digest;
use sealmark_testkit::{FaultyServer, Reply, SealmarkRegistry, images, require_or_skip};
use serde_json::{Value, json};
use world::{JANE, SEALMARK, World};

/// What verifiers must be told.
fn jane(world: &World) -> Vec<String> {
    let words = ["--certificate-identity", JANE, "--certificate-oidc-issuer"];
    let mut words: Vec<String> = words.map(str::to_owned).to_vec();
    words.push(world.issuer_url());
    words
}

const SIGN: [&str; 6] = [
    "sign-blob",
    "--yes",
    "--trusted-root",
    "root.json",
    "--bundle",
    "b.json",
];

#[test]
fn a_file_is_signed_for_an_identity_and_everybody_verifies_it() {
    let world = World::start();
    let (cosign3, cosign2) = (require_or_skip!("cosign3"), require_or_skip!("cosign2"));
    let python = require_or_skip!("sigstore-python");
    // cosign 2 takes no proof for the only entry of a log: it has no hashes.
    let first = world
        .sealmark(&SIGN)
        .args(["--signing-config", "v1.json", "app.txt"]);
    first.run().success();
    for config in ["v1.json", "v2.json"] {
        let sign = world
            .sealmark(&SIGN)
            .args(["--signing-config", config, "app.txt"]);
        sign.run()
            .success()
            .stdout_has("bundle in b.json")
            .stdout_has("entry ")
            .stderr_has("certificate for jane@example.org");
        let bundle: Value = serde_json::from_str(&world.sandbox.read("b.json")).unwrap();
        let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
        let (version, timed) = match config {
            "v1.json" => ("0.0.1", &[][..]),
            _ => ("0.0.2", &["--use-signed-timestamps"][..]),
        };
        assert_eq!(entry["kindVersion"]["version"], version);
        let verify = [
            "verify-blob",
            "--bundle",
            "b.json",
            "--trusted-root",
            "root.json",
        ];
        for program in [SEALMARK.as_ref(), cosign3.as_path()] {
            let verified = world.sandbox.command(program).args(verify).args(timed);
            verified.args(jane(&world)).arg("app.txt").run().success();
        }
        if config == "v1.json" {
            let verified = world.sandbox.command(&cosign2).args(verify);
            let verified = verified.args(["--new-bundle-format"]).args(jane(&world));
            verified.arg("app.txt").run().success();
        }
        let trust = json!({
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": serde_json::from_str::<Value>(&world.sandbox.read("root.json")).unwrap(),
            "signingConfig": serde_json::from_str::<Value>(&world.sandbox.read(config)).unwrap(),
        });
        world.sandbox.write("trust.json", trust.to_string());
        let issuer = world.issuer_url();
        let words = [
            ["--trust-config", "trust.json"],
            ["verify", "identity"],
            ["--bundle", "b.json"],
            ["--cert-identity", JANE],
            ["--cert-oidc-issuer", issuer.as_str()],
        ];
        world
            .run(&python, &[words.as_flattened(), &["app.txt"]].concat())
            .success();
        let other = world.sandbox.command(SEALMARK).args(verify).args(timed);
        let stranger = [
            "--certificate-identity",
            "john@example.org",
            "--certificate-oidc-issuer",
        ];
        other
            .args(stranger)
            .args([issuer.as_str(), "app.txt"])
            .run()
            .failure();
    }
}

#[test]
fn an_image_is_signed_for_an_identity_once() {
    let world = World::start();
    let (cosign3, cosign2) = (require_or_skip!("cosign3"), require_or_skip!("cosign2"));
    let Some(images) = images() else { return };
    let registry = SealmarkRegistry::start(SEALMARK);
    let name = format!("{}/team/app", registry.address());
    if !images.push(&world.sandbox, images.single, &format!("{name}:v1")) {
        return;
    }
    let image = format!("{name}@{}", images.digest(images.single));
    for (format, config) in [("bundle", "v2.json"), ("both", "v1.json")] {
        let words = [
            "sign",
            "--yes",
            "--trusted-root",
            "root.json",
            "--format",
            format,
        ];
        let sign = || {
            world
                .sealmark(&words)
                .args(["--signing-config", config, &image])
        };
        let signed = sign().run().success();
        let signed = signed.stdout_has("entry ").stdout_has("of the log");
        assert!(!signed.stdout().contains("nothing was added"), "{signed}");
        // Jane has signed this already, although her key is another one now.
        sign().run().success().stdout_has("nothing was added");
    }
    let believing = ["verify", "--trusted-root", "root.json"];
    for (program, words) in [
        (SEALMARK.as_ref(), &believing[..]),
        (cosign3.as_path(), &believing[..]),
        (cosign2.as_path(), &["verify"][..]),
    ] {
        let verify = world
            .sandbox
            .command(program)
            .args(words)
            .args(jane(&world));
        let verify = match words {
            ["verify"] => verify
                .env("SIGSTORE_ROOT_FILE", "ca.pem")
                .env("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", "ct.pub")
                .env("SIGSTORE_REKOR_PUBLIC_KEY", "rekor.pub"),
            _ => verify,
        };
        verify.arg(&image).run().success();
    }
}

#[test]
fn one_certificate_serves_several_files() {
    let world = World::start();
    for name in ["a.txt", "b.txt", "c.txt"] {
        world.sandbox.write(name, name);
    }
    let sign = [
        "sign-blob",
        "--trusted-root",
        "root.json",
        "--signing-config",
        "v1.json",
    ];
    let sign = world
        .sealmark(&sign)
        .args(["-v", "a.txt", "b.txt", "c.txt"]);
    let signed = sign.run().success();
    assert_eq!(
        signed.stderr().matches("/api/v2/signingCert 200").count(),
        1,
        "{signed}"
    );
    let mut certificates: Vec<Value> = Vec::new();
    for name in ["a.txt", "b.txt", "c.txt"] {
        let bundle = world.sandbox.read(format!("{name}.sigstore.json"));
        let bundle: Value = serde_json::from_str(&bundle).unwrap();
        certificates.push(bundle["verificationMaterial"]["certificate"].clone());
    }
    certificates.dedup();
    assert_eq!(certificates.len(), 1);
}

#[test]
fn a_key_signs_into_a_log_and_cosign_demands_the_log() {
    let world = World::start();
    let cosign3 = require_or_skip!("cosign3");
    let make = world.sandbox.command(SEALMARK).arg("generate-key-pair");
    make.env("COSIGN_PASSWORD", "").run().success();
    let urls = [
        ["--rekor-url", world.log.as_str()],
        ["--timestamp-server-url", world.tsa.as_str()],
    ];
    for services in [&["--signing-config", "v2.json"][..], urls.as_flattened()] {
        let sign = world
            .sealmark(&SIGN)
            .args(services)
            .env("COSIGN_PASSWORD", "");
        let signed = sign
            .args(["--key", "cosign.key", "app.txt"])
            .run()
            .success();
        let signed = signed.stdout_has("entry ").stdout_has("timestamp by ");
        assert!(!signed.stderr().contains("certificate for"), "{signed}");
        let verify = [
            "verify-blob",
            "--key",
            "cosign.pub",
            "--bundle",
            "b.json",
            "--trusted-root",
            "root.json",
        ];
        for program in [SEALMARK.as_ref(), cosign3.as_path()] {
            world
                .run(program, &[&verify[..], &["app.txt"]].concat())
                .success();
        }
    }
    // Without the log it is as before: nobody is asked.
    let sign = world.sealmark(&SIGN).env("COSIGN_PASSWORD", "");
    let sign = sign.args(["--key", "cosign.key", "--tlog-upload=false", "app.txt"]);
    sign.run().success();
    assert!(!world.sandbox.read("b.json").contains("tlogEntries"));
}

/// Signs with other services than this world's, and expects a refusal that leaves nothing behind.
fn refused(world: &World, words: &[&str], token: Option<String>, expected: &[&str]) {
    let token = token.unwrap_or_else(|| world.token(json!({})));
    let secret = token
        .rsplit('.')
        .next()
        .expect("a token has dots")
        .to_owned();
    let sign = world.sandbox.command(SEALMARK).args(SIGN).args(words);
    let finished = sign
        .arg("app.txt")
        .env("SIGSTORE_ID_TOKEN", token)
        .run()
        .failure();
    for part in expected {
        assert!(
            finished.stderr().contains(part),
            "expected {part:?}\n{finished}"
        );
    }
    assert!(
        !finished.stderr().contains(&secret),
        "the token is a secret\n{finished}"
    );
    assert!(
        !world.sandbox.join("b.json").exists(),
        "nothing is published\n{finished}"
    );
}

#[test]
fn what_cannot_be_trusted_is_refused_and_nothing_is_published() {
    let world = World::start();
    let v1 = ["--signing-config", "v1.json"];
    let aud = Some(world.token(json!({"aud": "elsewhere"})));
    refused(
        &world,
        &v1,
        aud,
        &["the server answered 400", "for the audience \"elsewhere\""],
    );
    let old = Some(world.token(json!({"exp": 1_700_000_000})));
    refused(
        &world,
        &v1,
        old,
        &["identity token from SIGSTORE_ID_TOKEN", "expired"],
    );

    let down = FaultyServer::start(|_| {
        let reply = Reply::status(503).with("content-type", "application/json");
        reply.body(r#"{"code":14,"message":"the CT log is away"}"#)
    });
    let url = format!("http://{}", down.address());
    let with_ca = ["--fulcio-url", &url, "--rekor-url", &world.log];
    let expected = [
        "certificate authority",
        &url,
        "503",
        "the CT log is away",
        "try again later",
    ];
    refused(&world, &with_ca, None, &expected);

    let nobody = format!("http://{}", FaultyServer::nobody());
    let with_ca = ["--fulcio-url", &nobody, "--rekor-url", &world.log];
    refused(
        &world,
        &with_ca,
        None,
        &["certificate authority", &nobody, "cannot connect"],
    );

    // A timestamp of something else.
    let request = json!({
        "artifactHash": STANDARD.encode(Digest::sha256(b"something else").bytes()),
        "hashAlgorithm": "sha256", "certificates": true,
    });
    let other = world.post(&world.tsa, request.to_string());
    let server = FaultyServer::start(move |_| Reply::status(200).body(other.clone()));
    let liar = format!("http://{}/ts", server.address());
    let words = [
        "--fulcio-url",
        &world.ca,
        "--rekor-url",
        &world.log,
        "--timestamp-server-url",
        &liar,
    ];
    refused(
        &world,
        &words,
        None,
        &[
            "timestamp authority",
            &liar,
            "the timestamp is for data with the digest",
        ],
    );

    // A log that has something else.
    let other = world.sealmark(&[
        "sign-blob",
        "--yes",
        "--trusted-root",
        "root.json",
        "root.json",
    ]);
    let other = other.args(["--signing-config", "v1.json", "--bundle", "other.json"]);
    other.run().success();
    let other = sealmark_testkit::get(
        world.log.trim_start_matches("http://"),
        "/api/v1/log/entries?logIndex=0",
    );
    let other = other.expect("the log answers").body;
    let server = FaultyServer::start(move |request| match request.method.as_str() {
        "POST" => Reply::status(201).body(other.clone()),
        _ => Reply::status(200).body(r#"{"treeSize":1}"#),
    });
    let liar = format!("http://{}", server.address());
    let words = ["--fulcio-url", &world.ca, "--rekor-url", &liar];
    refused(
        &world,
        &words,
        None,
        &[
            "in no transparency log",
            server.address(),
            "not the entry that was sent",
        ],
    );

    // An authority that nobody here has heard of.
    let stranger = World::start();
    let words = ["--fulcio-url", &world.ca, "--rekor-url", &world.log];
    std::fs::copy(
        stranger.sandbox.join("root.json"),
        world.sandbox.join("root.json"),
    )
    .unwrap();
    refused(
        &world,
        &words,
        None,
        &[
            "not by an authority that is trusted here",
            "nothing was signed or published",
        ],
    );
}

#[test]
fn services_that_do_not_suffice_are_named() {
    let world = World::start();
    refused(
        &world,
        &["--fulcio-url", &world.ca],
        None,
        &["no transparency log or timestamp authority is named"],
    );
    refused(
        &world,
        &["--rekor-url", &world.log],
        None,
        &["a certificate authority is needed"],
    );
    refused(
        &world,
        &["--use-signing-config=false"],
        None,
        &["services are needed"],
    );
    let both = ["--signing-config", "v1.json", "--rekor-url", &world.log];
    refused(&world, &both, None, &["no URL of one goes with it"]);
}

#[test]
fn a_person_logs_in_on_another_device() {
    let world = World::start();
    let token = world.token(json!({}));
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let provider = FaultyServer::start(move |request| {
        let url = format!("http://{}", request.header("host").unwrap_or_default());
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let answer = match request.path.as_str() {
            "/.well-known/openid-configuration" => json!({
                "issuer": url, "token_endpoint": format!("{url}/token"),
                "authorization_endpoint": format!("{url}/auth"),
                "device_authorization_endpoint": format!("{url}/device"),
            }),
            "/device" if form.contains("code_challenge_method=S256") => json!({
                "device_code": "d", "user_code": "WDJB-MJHT", "interval": 1,
                "verification_uri": format!("{url}/enter"),
            }),
            "/token" if !form.contains("device_code=d&code_verifier=") => json!({}),
            "/token" => match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => {
                    let pending = r#"{"error":"authorization_pending"}"#;
                    return Reply::status(400).body(pending);
                }
                _ => json!({"id_token": token}),
            },
            _ => return Reply::status(404),
        };
        Reply::status(200).body(answer.to_string())
    });
    let provider = format!("http://{}", provider.address());
    let sign = world.sandbox.command(SEALMARK).args(SIGN);
    let sign = sign.args(["--fulcio-url", &world.ca, "--rekor-url", &world.log]);
    let sign = sign.args(["--oidc-issuer", &provider, "--fulcio-auth-flow", "device"]);
    sign.arg("app.txt")
        .run()
        .success()
        .stderr_has("enter the code WDJB-MJHT")
        .stderr_has("certificate for jane@example.org");
}

#[test]
fn a_person_logs_in_in_a_browser() {
    let world = World::start();
    // A browser that brings the provider's answer at once, after a stranger who brings another one. What the provider
    // has seen decides about the token: its nonce is in it.
    let nonce = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let seen = std::sync::Arc::clone(&nonce);
    let signing = world.signing();
    let provider = FaultyServer::start(move |request| {
        let url = format!("http://{}", request.header("host").unwrap_or_default());
        let parameter = |name: &str| {
            let (_, query) = request.path.split_once('?').unwrap_or_default();
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let found = pairs.find(|(found, _)| *found == name);
            found.map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        match request.path.split('?').next().unwrap_or_default() {
            "/.well-known/openid-configuration" => Reply::status(200).body(
                json!({
                    "issuer": url, "token_endpoint": format!("{url}/token"),
                    "authorization_endpoint": format!("{url}/auth"),
                })
                .to_string(),
            ),
            "/auth" => {
                *seen.lock().unwrap() = parameter("nonce");
                let redirect = parameter("redirect_uri")
                    .replace("%3A", ":")
                    .replace("%2F", "/");
                let place = format!("{redirect}?code=c1&state={}", parameter("state"));
                Reply::status(302).with("location", place)
            }
            "/token" => {
                let token = signing.token(json!({"nonce": *seen.lock().unwrap()}));
                Reply::status(200).body(json!({"id_token": token}).to_string())
            }
            _ => Reply::status(404),
        }
    });
    let provider = format!("http://{}", provider.address());
    let curl = "#!/bin/sh\nexec python3 - \"$1\" <<'E'\nimport sys, urllib.request\n\
                urllib.request.urlopen(sys.argv[1])\nE\n";
    let opener = world.sandbox.write("bin/xdg-open", curl);
    std::fs::set_permissions(&opener, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        world.sandbox.join("bin").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let sign = world.sandbox.command(SEALMARK).args(SIGN).env("PATH", path);
    let sign = sign.args(["--fulcio-url", &world.ca, "--rekor-url", &world.log]);
    let sign = sign.args(["--oidc-issuer", &provider, "--fulcio-auth-flow", "normal"]);
    sign.arg("app.txt")
        .run()
        .success()
        .stderr_has("to log in, a browser opens")
        .stderr_has("certificate for jane@example.org");
    assert!(!nonce.lock().unwrap().is_empty());
}

#[test]
fn github_actions_and_a_projected_file_say_who_signs() {
    let world = World::start();
    let token = world.token(json!({}));
    let given = json!({"value": token, "count": 1}).to_string();
    let github = FaultyServer::start(move |request| {
        let right = request.path.ends_with("&audience=sigstore")
            && request.header("authorization") == Some("Bearer request-token");
        match right {
            true => Reply::status(200).body(given.clone()),
            false => Reply::status(403),
        }
    });
    let sign = world.sandbox.command(SEALMARK).args(SIGN);
    let sign = sign.args(["--signing-config", "v1.json", "app.txt"]);
    let url = format!("http://{}/token?api-version=2.0", github.address());
    sign.env("ACTIONS_ID_TOKEN_REQUEST_URL", url)
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token")
        .run()
        .success()
        .stderr_has("certificate for jane@example.org");

    world.sandbox.write("token.jwt", world.token(json!({})));
    let sign = world.sandbox.command(SEALMARK).args(SIGN);
    let sign = sign.args([
        "--identity-token",
        "token.jwt",
        "--signing-config",
        "v1.json",
        "app.txt",
    ]);
    sign.run().success();

    let sign = world.sandbox.command(SEALMARK).args(SIGN);
    let sign = sign.args([
        "--signing-config",
        "v1.json",
        "--fulcio-auth-flow",
        "token",
        "app.txt",
    ]);
    sign.env("GITLAB_CI", "true")
        .run()
        .failure()
        .stderr_has("id_tokens");
}
