//! An instance whose private keys are encrypted with a password that OpenBao wraps: who has no access to the key there has
//! files that are of no use. And how a directory comes to such a password, and away from it.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod bench;

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bench::instance::Instance;
use bench::{Bench, SEALMARK, json};
use sealmark_testkit::{OpenBao, Program, Server};
use serde_json::Value;

const KEY: &str = "openbao://sigstore";

fn bao() -> Option<OpenBao> {
    let bao = OpenBao::start()?;
    for (name, kind) in [
        ("sigstore", "aes256-gcm96"),
        ("other", "chacha20-poly1305"),
        ("ec", "ecdsa-p256"),
    ] {
        let (key, kind) = (format!("transit/keys/{name}"), format!("type={kind}"));
        bao.run(&["write", "-f", &key, &kind]).success();
    }
    Some(bao)
}

fn environment(bao: &OpenBao) -> Vec<(&'static str, String)> {
    vec![
        ("BAO_ADDR", bao.address.clone()),
        ("BAO_TOKEN", "root".to_owned()),
    ]
}

/// What OpenBao's own command line makes of the file.
fn opened_by_bao(bao: &OpenBao, wrapped: &Value) -> String {
    let purpose = "sealmark\npassword of the private keys of an instance\n";
    let instance = wrapped["instance"].as_str().unwrap();
    let data = STANDARD.encode(format!("{purpose}{instance}\n"));
    let ciphertext = wrapped["ciphertext"].as_str().unwrap();
    let opened = bao.run(&[
        "write",
        "-field=plaintext",
        "transit/decrypt/sigstore",
        &format!("ciphertext={ciphertext}"),
        &format!("associated_data={data}"),
    ]);
    let text = opened.success().stdout();
    String::from_utf8(STANDARD.decode(text.trim()).unwrap()).unwrap()
}

#[test]
fn a_key_in_openbao_wraps_the_password_of_an_instance() {
    let Some(bao) = bao() else { return };
    let mut instance = Instance::new(environment(&bao));

    // A key that there is not is not made, whatever the token may; one that cannot wrap is named. Nothing is begun.
    for (key, part) in [
        ("openbao://sigstor", "has no key \"sigstor\""),
        (
            "openbao://ec",
            "it is of the type ecdsa-p256, and those that wrap are aes256-gcm96",
        ),
        ("instance.key", "use --password-file"),
    ] {
        let refused = instance.server(&["--password-kms", key]).run().failure();
        assert!(refused.stderr().contains(part), "{refused}");
        assert!(!instance.file("ca").exists() && !instance.file("password.kms").exists());
    }
    bao.run(&["read", "transit/keys/sigstor"]).failure();

    instance.start(&["--password-kms", KEY]);
    instance.sign("sealmark", "signing_config.json", "first");
    let mut log = instance.stop();
    let file = instance.file("password.kms");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let wrapped: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(wrapped["key"], "openbao://transit/sigstore");
    assert_eq!(wrapped["algorithm"], "aes256-gcm96");
    assert_eq!(wrapped["instance"], "127.0.0.1");
    let secret = opened_by_bao(&bao, &wrapped);
    assert_eq!(secret.len(), 43);

    // All keys are encrypted, and it is said with what.
    let status = json(&instance.on_directory(&["status", "-o", "json"]).success());
    assert_eq!(status["passwordKms"], "openbao://transit/sigstore");
    let items = status["items"].as_array().unwrap();
    assert!(items.iter().all(|item| item["key"] != "plain"), "{status}");
    let told = instance.on_directory(&["status"]).success().stdout();
    assert!(
        told.contains("wrapped by openbao://transit/sigstore"),
        "{told}"
    );
    let told = instance.on_directory(&["check"]).success().stdout();
    assert!(
        told.contains("password: openbao://transit/sigstore wraps it"),
        "{told}"
    );
    let told = instance
        .on_directory(&["check", "--online"])
        .success()
        .stdout();
    assert!(
        told.contains("openbao://transit/sigstore has unwrapped it"),
        "{told}"
    );

    // Later starts need no flag, and neither do other commands.
    instance.on_directory(&["rotate", "tsa"]).success();
    instance.start(&[]);
    instance.sign("sealmark", "signing_config.json", "second");
    log += &instance.stop();
    instance.start(&["--password-kms", "openbao://transit/keys/sigstore"]);
    instance.sealmark_verifies(&["first", "second"]);
    log += &instance.stop();
    assert!(!log.contains(&secret), "the password is in the log");

    // Another key, or another password, is refused.
    let refused = instance
        .server(&["--password-kms", "openbao://other"])
        .run()
        .failure();
    assert!(
        refused
            .stderr()
            .contains("was wrapped by openbao://transit/sigstore, not by openbao://other"),
        "{refused}"
    );
    instance.bench.sandbox.write("password", "other\n");
    let refused = instance
        .server(&["--password-file", "password"])
        .run()
        .failure();
    assert!(
        refused.stderr().contains("--password-file cannot be"),
        "{refused}"
    );

    // A copy has the file, and is served with it.
    let copied = instance.on_directory(&["backup", "--to", "copy"]).success();
    assert!(
        copied
            .stderr()
            .contains("that openbao://transit/sigstore wraps"),
        "{copied}"
    );
    let copy = instance.bench.sandbox.join("copy");
    assert_eq!(
        std::fs::read(copy.join("password.kms")).unwrap(),
        std::fs::read(&file).unwrap()
    );

    // It was wrapped for this instance, and not for one of another name.
    let moved = std::fs::read_to_string(&file).unwrap();
    let moved = moved.replace("127.0.0.1", "sigstore.example.com");
    std::fs::write(copy.join("password.kms"), moved).unwrap();
    let refused = instance
        .operator(&["check", "--online", "--dir", "copy"])
        .run()
        .failure();
    assert!(
        refused.stdout().contains("cannot unwrap the password"),
        "{refused}"
    );

    // The key does not let old versions be used: nobody starts, and the file is as it was.
    let before = std::fs::read(&file).unwrap();
    bao.run(&["write", "-f", "transit/keys/sigstore/rotate"])
        .success();
    let least = |version: &str| {
        let version = format!("min_decryption_version={version}");
        bao.run(&["write", "transit/keys/sigstore/config", &version])
            .success();
    };
    least("2");
    let refused = instance.server(&[]).run().failure();
    let said = refused.stderr();
    assert!(
        said.contains("openbao://transit/sigstore cannot unwrap the password"),
        "{said}"
    );
    assert_eq!(std::fs::read(&file).unwrap(), before);
    least("1");

    // Who may not is told what is missing and whose token it is.
    let token = bao.run(&["token", "create", "-policy=default", "-field=token"]);
    let token = token.success().stdout().trim().to_owned();
    instance.environment[1].1.clone_from(&token);
    let said = instance.server(&[]).run().failure().stderr();
    assert!(
        said.contains("must allow \"update\" on \"transit/decrypt/sigstore\"")
            && said.contains("is that of token"),
        "{said}"
    );
    assert!(!said.contains(&token), "{said}");
    // Those who only read files need nobody.
    instance.on_directory(&["status"]).success();
    instance.environment[1].1 = "root".to_owned();
    // Nobody answers there.
    drop(bao);
    let said = instance.server(&[]).run().failure().stderr();
    assert!(
        said.contains("openbao://transit/sigstore") || said.contains("127.0.0.1"),
        "{said}"
    );
}

/// A log in the folder `log`, whose two keys are enough here.
struct Alone {
    bench: Bench,
    bao: OpenBao,
}

impl Alone {
    fn new() -> Option<Self> {
        let bao = bao()?;
        let bench = Bench::new();
        Some(Self { bench, bao })
    }

    fn command(&self, words: &[&str]) -> Program {
        let program = self.bench.sandbox.command(SEALMARK).args(words);
        let variables = environment(&self.bao);
        variables
            .iter()
            .fold(program, |program, (name, value)| program.env(name, value))
    }

    fn serve(&self, more: &[&str]) -> Program {
        let words = [
            "serve",
            "--only",
            "log",
            "--dir",
            "log",
            "--listen",
            "127.0.0.1:0",
        ];
        self.command(&words).args(more)
    }

    fn start(&self, more: &[&str]) -> Server {
        self.serve(more)
            .serve(|line| line.contains("log ready").then_some(()))
            .0
    }

    /// `serve password` with these flags.
    fn change(&self, more: &[&str]) -> Program {
        self.command(&["serve", "password", "--dir", "log"])
            .args(more)
    }

    fn wrapped(&self) -> Vec<u8> {
        std::fs::read(self.bench.sandbox.join("log/password.kms")).unwrap_or_default()
    }
}

#[test]
fn killed_between_wrapping_and_use_the_next_start_goes_on_with_the_same_password() {
    for wait in [0, 5, 60, 300] {
        let Some(log) = Alone::new() else { return };
        let (mut server, ()) = log.serve(&["--password-kms", KEY]).serve(|line| {
            line.contains("a password that openbao://transit/sigstore wraps")
                .then_some(())
        });
        std::thread::sleep(Duration::from_millis(wait));
        server.kill();
        let wrapped = log.wrapped();
        assert!(!wrapped.is_empty());
        for flags in [&["--password-kms", KEY][..], &[]] {
            assert!(log.start(flags).terminate().success());
            assert_eq!(log.wrapped(), wrapped, "killed after {wait} ms");
        }
        log.command(&["log", "fsck", "log"]).run().success();
    }
}

#[test]
fn a_directory_comes_to_a_wrapped_password_and_away_from_it() {
    let Some(log) = Alone::new() else { return };
    let keys = || {
        let folder = log.bench.sandbox.join("log/keys");
        let files = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().path());
        let mut keys: Vec<_> = files
            .filter(|file| file.extension().unwrap() == "pub")
            .collect();
        keys.sort();
        keys.iter()
            .map(|file| std::fs::read(file).unwrap())
            .collect::<Vec<_>>()
    };
    for (name, password) in [("p", "correct horse\n"), ("q", "battery staple\n")] {
        log.bench.sandbox.write(name, password);
    }
    let server = log.start(&["--password-file", "p"]);
    let ours = keys();
    let words = ["--password-file", "p", "--new-password-kms", KEY];
    // While it is served, nothing is changed.
    let refused = log.change(&words).run().failure();
    assert!(
        refused.stderr().contains("in use by another process"),
        "{refused}"
    );
    assert!(server.terminate().success());
    // It is said how to come to it, and nothing is changed by asking for it.
    let refused = log.serve(&["--password-kms", KEY]).run().failure();
    assert!(
        refused.stderr().contains("sealmark serve password --dir"),
        "{refused}"
    );
    // Not without the old password.
    log.change(&["--new-password-kms", KEY]).run().failure();
    assert!(log.wrapped().is_empty());

    let changed = log.change(&words).run().success().stdout();
    assert!(changed.contains("2 private keys are encrypted with a new password, which openbao://transit/sigstore wraps"), "{changed}");
    assert!(log.start(&[]).terminate().success());
    log.serve(&["--password-file", "p"]).run().failure();
    // A new password, wrapped by another key.
    let first = log.wrapped();
    log.change(&["--new-password-kms", "openbao://other"])
        .run()
        .success();
    assert_ne!(log.wrapped(), first);
    assert!(
        log.start(&["--password-kms", "openbao://other"])
            .terminate()
            .success()
    );
    // And back to a file.
    log.change(&["--new-password-file", "q"]).run().success();
    assert!(log.wrapped().is_empty());
    assert!(log.start(&["--password-file", "q"]).terminate().success());
    let refused = log.serve(&["--password-file", "p"]).run().failure();
    assert!(refused.stderr().contains("password"), "{refused}");
    assert_eq!(keys(), ours);
}

#[test]
fn a_change_of_the_password_may_be_killed_at_any_time() {
    let Some(log) = Alone::new() else { return };
    assert!(log.start(&["--password-kms", KEY]).terminate().success());
    let mut moment = 0x2545_f491_4f6c_dd1d_u64 ^ u64::from(std::process::id());
    let (mut killed, mut changed) = (0, 0);
    for _ in 0..10 {
        moment ^= moment << 13;
        moment ^= moment >> 7;
        moment ^= moment << 17;
        let before = log.wrapped();
        let mut child = Command::new(SEALMARK)
            .args(["serve", "password", "--new-password-kms", KEY, "--dir"])
            .arg(log.bench.sandbox.join("log"))
            .envs(environment(&log.bao))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(moment % 2500));
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
        // Every key has one and the same password, which is found.
        assert!(log.start(&[]).terminate().success());
        changed += usize::from(log.wrapped() != before);
    }
    println!("{killed} of 10 were killed; {changed} of 10 have changed the password");
    log.command(&["log", "fsck", "log"]).run().success();
}
