//! RSA keys in a vault that wrap the password of a server's private keys.

use sealmark_testkit::Program;
use serde_json::Value;

use super::World;

impl World {
    fn serve(&self, key: Option<&str>) -> Program {
        let words = [
            "serve",
            "--only",
            "log",
            "--listen",
            "127.0.0.1:0",
            "--dir",
            "log",
        ];
        let program = self.sealmark(&words);
        match key {
            Some(key) => program.args(["--password-kms", &self.key(key)]),
            None => program,
        }
    }
}

#[test]
fn an_rsa_key_wraps_a_password_and_others_say_why_not() {
    let world = World::new();
    for (key, part) in [
        (
            "ec256",
            "it is a ECDSA P-256 key, and a password is wrapped by an RSA key",
        ),
        (
            "policy-wrap",
            "lacks the permission keys/wrapKey in the access policy",
        ),
        (
            "policy-unwrap",
            "lacks the permission keys/unwrapKey in the access policy",
        ),
        ("disabled", "disabled"),
    ] {
        let refused = world.serve(Some(key)).run().failure();
        assert!(refused.stderr().contains(part), "{refused}");
        assert!(!world.sandbox.join("log/password.kms").exists());
    }
    for key in [Some("rsa2048"), None, Some("rsa2048")] {
        let (server, ()) = world
            .serve(key)
            .serve(|line| line.contains("log ready").then_some(()));
        assert!(server.terminate().success());
    }
    let file = world.sandbox.read("log/password.kms");
    let wrapped: Value = serde_json::from_str(&file).unwrap();
    // The version, which alone unwraps.
    let key = wrapped["key"].as_str().unwrap();
    assert!(
        key.starts_with(&format!("{}/", world.key("rsa2048"))),
        "{key}"
    );
    assert_eq!(wrapped["algorithm"], "RSA-OAEP-256");
    // It is for one instance.
    world
        .sandbox
        .write("log/password.kms", file.replace("127.0.0.1", "example.com"));
    let refused = world.serve(None).run().failure();
    assert!(
        refused
            .stderr()
            .contains("was wrapped for another instance"),
        "{refused}"
    );
}
