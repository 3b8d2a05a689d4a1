//! Keys in a transit engine: a real OpenBao, on loopback, in memory.
//!
//! Where the server is and who asks stands in the environment, so each question is asked by a process of its own: this test
//! program, again.

#![cfg(feature = "vault")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::sync::{Arc, Mutex};

use sealmark_formats::Digest;
use sealmark_keys::Algorithm;
use sealmark_kms::{Input, KeyRef, Options, Signer, create_key};
use sealmark_testkit::{OpenBao, Peer};

/// The key that the process is to sign with.
const KEY: &str = "SEALMARK_TEST_KEY";
/// Variables beside those of the server.
type Environment<'a> = &'a [(&'a str, &'a str)];
/// Or a key is made first, of each kind.
const MAKE: &str = "make";

/// Signs with a key in a process that has these variables beside those of the server; what that said.
fn ask(bao: &OpenBao, story: &str, key: &str, environment: Environment<'_>) -> String {
    let mut program = bao
        .home
        .command(std::env::current_exe().unwrap())
        .args(["--exact", story, "--nocapture"])
        .env(KEY, key)
        .env("SEALMARK_PEERS", Peer::folder().canonicalize().unwrap())
        .env("VAULT_ADDR", &bao.address)
        .env("VAULT_TOKEN", "root");
    for (name, value) in environment {
        program = program.env(name, value);
    }
    let finished = program.run();
    let said = finished.stdout();
    assert!(said.contains("SAID "), "{finished}");
    assert!(!said.contains("hunter2"), "{said}");
    said
}

/// The process of its own: signs, and prints what came of it.
fn sign(key: &str) {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&notes);
    let options = Options {
        note: Some(Arc::new(move |line: &str| {
            told.lock().unwrap().push(line.to_owned())
        })),
        ..Options::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let result = runtime.block_on(async {
        if key == MAKE {
            make(&options).await;
        }
        let key = KeyRef::parse(if key == MAKE {
            "vault://ecdsa-p256"
        } else {
            key
        })?;
        let no_password = || panic!("asked for a password");
        let signer = sealmark_kms::load_signer(&key, no_password, &options).await?;
        signer.sign(b"data").await
    });
    for note in notes.lock().unwrap().iter() {
        println!("NOTE {note}");
    }
    match result {
        Ok(_) => println!("SAID it signed"),
        Err(error) => println!("SAID {error}"),
    }
}

async fn make(options: &Options) {
    for algorithm in Algorithm::ALL {
        let key = KeyRef::parse(&format!("hashivault://{algorithm}")).unwrap();
        let made = create_key(&key, algorithm, options).await.unwrap();
        assert_eq!(made.public.key_type(), algorithm.key_type());
        assert_eq!(
            made.name,
            format!("hashivault://transit/{algorithm}/versions/1")
        );
        let again = create_key(&key, algorithm, options)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            again.contains("cannot be made: it is there already: nothing was made"),
            "{again}"
        );

        let message = b"what is signed";
        let no_password = || panic!("asked for a password");
        let signer = sealmark_kms::load_signer(&key, no_password, options)
            .await
            .unwrap();
        // Checked with the public key before it comes.
        let signature = signer.sign(message).await.unwrap();
        let Signer::Remote(remote) = &signer else {
            panic!("{signer:?}")
        };
        let digest = signer.scheme().hash().map(|hash| Digest::of(hash, message));
        let input = digest
            .as_ref()
            .map_or(Input::Message(message), Input::Digest);
        let verify = async |signature: &[u8]| {
            remote
                .service
                .verify(signer.scheme(), input, signature)
                .await
        };
        assert!(verify(&signature).await.unwrap());
        assert!(
            !verify(&signer.sign(b"another").await.unwrap())
                .await
                .unwrap()
        );
    }
}

#[test]
fn every_kind_of_key_is_made_there_and_signs() {
    if let Ok(key) = std::env::var(KEY) {
        return sign(&key);
    }
    let Some(bao) = OpenBao::start() else { return };
    let said = ask(&bao, "every_kind_of_key_is_made_there_and_signs", MAKE, &[]);
    assert!(said.contains("SAID it signed"), "{said}");
    assert!(said.contains("NOTE token from VAULT_TOKEN"), "{said}");
    assert!(
        said.contains("NOTE the token is that of token (policies root; expires never)"),
        "{said}"
    );
    assert!(
        said.contains("NOTE key hashivault://transit/ed25519/versions/1: Ed25519"),
        "{said}"
    );
}

#[test]
fn engines_versions_namespaces_and_tokens_are_found_where_they_are() {
    const STORY: &str = "engines_versions_namespaces_and_tokens_are_found_where_they_are";
    if let Ok(key) = std::env::var(KEY) {
        return sign(&key);
    }
    let Some(bao) = OpenBao::start() else { return };
    for words in [
        vec!["write", "-f", "transit/keys/release", "type=ecdsa-p256"],
        vec!["write", "-f", "transit/keys/release/rotate"],
        vec!["secrets", "enable", "-path=team/signing", "transit"],
        vec!["write", "-f", "team/signing/keys/other", "type=ed25519"],
        vec!["namespace", "create", "branch"],
        vec!["secrets", "enable", "-namespace=branch", "transit"],
        vec![
            "write",
            "-namespace=branch",
            "-f",
            "transit/keys/inner",
            "type=rsa-2048",
        ],
    ] {
        bao.run(&words).success();
    }
    bao.home.write("home/.vault-token", "root\n");
    let table: [(&str, Environment<'_>, &str); 9] = [
        (
            "hashivault://release",
            &[],
            "key hashivault://transit/release/versions/2: ECDSA P-256",
        ),
        (
            "hashivault://release/versions/1",
            &[],
            "key hashivault://transit/release/versions/1",
        ),
        (
            "vault://transit/keys/release?version=1",
            &[],
            "key hashivault://transit/release/versions/1",
        ),
        (
            "hashivault://release",
            &[("VAULT_KEY_PREFIX", "vault:v1:")],
            "transit/release/versions/1",
        ),
        (
            "openbao://team/signing/other",
            &[("BAO_TOKEN", "root"), ("VAULT_TOKEN", "hunter2")],
            "NOTE token from BAO_TOKEN",
        ),
        (
            "openbao://other",
            &[("TRANSIT_SECRET_ENGINE_PATH", "team/signing")],
            "key openbao://team/signing/other/versions/1: Ed25519",
        ),
        (
            "hashivault://inner?namespace=branch",
            &[],
            "transit/inner/versions/1?namespace=branch: RSA 2048",
        ),
        (
            "hashivault://inner",
            &[("VAULT_NAMESPACE", "branch")],
            "transit/inner/versions/1: RSA 2048",
        ),
        (
            "hashivault://release",
            &[("VAULT_TOKEN", "")],
            "home/.vault-token",
        ),
    ];
    for (key, environment, note) in table {
        let said = ask(&bao, STORY, key, environment);
        assert!(
            said.contains("SAID it signed") && said.contains(note),
            "{key}: {said}"
        );
    }
}

const READ_ONLY: &str = "path \"transit/keys/release\" { capabilities = [\"read\"] }";

#[test]
fn a_refusal_says_what_is_missing() {
    const STORY: &str = "a_refusal_says_what_is_missing";
    if let Ok(key) = std::env::var(KEY) {
        return sign(&key);
    }
    let Some(bao) = OpenBao::start() else { return };
    let policy = bao.home.write("reader.hcl", READ_ONLY);
    for words in [
        vec!["write", "-f", "transit/keys/release", "type=ecdsa-p256"],
        vec!["write", "-f", "transit/keys/box", "type=aes256-gcm96"],
        vec!["policy", "write", "reader", policy.to_str().unwrap()],
    ] {
        bao.run(&words).success();
    }
    let token = [
        "token",
        "create",
        "-field=token",
        "-policy=reader",
        "-display-name=ci",
        "-ttl=1h",
    ];
    let reader = bao.run(&token).success().stdout();
    let reader: Environment<'_> = &[("VAULT_TOKEN", reader.trim())];
    let table: [(&str, Environment<'_>, &[&str]); 11] = [
        (
            "hashivault://release",
            reader,
            &[
                "hashivault://transit/release/versions/1 cannot sign: permission denied: a policy of the token must allow \"update\" \
             on \"transit/sign/release/sha2-256\"; the token (VAULT_TOKEN) is that of token-ci (policies default, reader; \
             expires 20",
            ],
        ),
        (
            "hashivault://box",
            reader,
            &[
                "hashivault://box cannot be read: permission denied: a policy of the token must allow \"read\" on \"transit/keys/box\"",
            ],
        ),
        (
            "hashivault://release",
            &[("VAULT_TOKEN", "hunter2")],
            &[
                "permission denied: the token (VAULT_TOKEN) has expired, was revoked, or is of another server",
            ],
        ),
        (
            "hashivault://box",
            &[],
            &["cannot be used: it is of the type aes256-gcm96, which does not sign"],
        ),
        (
            "hashivault://nothing",
            &[],
            &["cannot be read: the engine \"transit\" has no key \"nothing\""],
        ),
        (
            "hashivault://nowhere/release",
            &[],
            &["cannot be read: there is no secrets engine at \"nowhere\""],
        ),
        (
            "hashivault://release/versions/7",
            &[],
            &["cannot be used: it has no version 7; there is 1"],
        ),
        (
            "hashivault://release",
            &[("VAULT_TOKEN", "")],
            &["cannot be used: no token: set VAULT_TOKEN or BAO_TOKEN"],
        ),
        (
            "hashivault://release",
            &[("VAULT_ADDR", "")],
            &["where is the server? Set VAULT_ADDR or BAO_ADDR"],
        ),
        (
            "hashivault://release",
            &[("VAULT_ADDR", "http://vault.example:8200")],
            &["VAULT_ADDR is http://, which is allowed to this machine only"],
        ),
        (
            "hashivault://release",
            &[("VAULT_CACERT", "/nonexistent")],
            &[
                "the certificate authorities of VAULT_CACERT cannot be read from /nonexistent: No such file",
            ],
        ),
    ];
    for (key, environment, messages) in table {
        let said = ask(&bao, STORY, key, environment);
        for message in messages {
            assert!(said.contains(message), "{key}: {said}");
        }
    }
    bao.run(&["operator", "seal"]).success();
    let said = ask(&bao, STORY, "hashivault://release", &[]);
    assert!(
        said.contains("cannot be read: the server is sealed: somebody who has its unseal keys"),
        "{said}"
    );
}
