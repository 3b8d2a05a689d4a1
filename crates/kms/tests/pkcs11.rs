//! Keys on a token: SoftHSM's, with openssl and OpenSC's pkcs11-tool as witnesses.
//!
//! SoftHSM finds its tokens by an environment variable, so each story runs in a process of its own: this test program,
//! again.

#![cfg(feature = "pkcs11")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sealmark_formats::Digest;
use sealmark_keys::{Algorithm, Scheme};
use sealmark_kms::{Error, Input, KeyRef, Options, RemoteKey, Signer, create_key};
use sealmark_testkit::{Finished, Peer, Sandbox, SoftHsm, skip};
use zeroize::Zeroizing;

const PIN: &str = "482910";
const HOME: &str = "SEALMARK_TEST_TOKENS";

/// Tells `story` in a process that has a token `story`; `words` are those of pkcs11-tool, one call each.
fn tell(name: &str, words: &[&str], story: impl Fn(&Path, &Path)) {
    if Peer::find("openssl").is_none() {
        return skip("openssl");
    }
    if let Some(home) = std::env::var_os(HOME) {
        let module = Peer::folder()
            .join("libsofthsm2.so")
            .canonicalize()
            .unwrap();
        return story(Path::new(&home), &module);
    }
    let Some(hsm) = SoftHsm::start("story", PIN) else {
        return;
    };
    openssl_certificate(&hsm.home);
    for line in words {
        hsm.tool(line).success();
    }
    let (variable, configuration) = hsm.environment();
    hsm.home
        .command(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env(variable, configuration)
        .env(HOME, hsm.home.path())
        .env("SEALMARK_PEERS", Peer::folder().canonicalize().unwrap())
        .run()
        .success()
        .stdout_has("1 passed");
}

/// `key.der` and `cert.der`: a key with a certificate.
fn openssl_certificate(home: &Sandbox) {
    let openssl = |words: &str| {
        let openssl = Peer::find("openssl").unwrap();
        home.command(openssl).args(words.split(' ')).run().success()
    };
    openssl("ecparam -name prime256v1 -genkey -noout -out key.pem");
    openssl("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der");
    openssl("pkey -in key.pem -pubout -outform DER -out pub.der");
    openssl("req -new -x509 -key key.pem -subj /CN=release -days 30 -outform DER -out cert.der");
}

/// What was told, and options that tell it.
fn options() -> (Arc<Mutex<Vec<String>>>, Options) {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&notes);
    let options = Options {
        note: Some(Arc::new(move |line: &str| {
            told.lock().unwrap().push(line.to_owned())
        })),
        ask: Some(Arc::new(|_: &str| {
            Ok(Zeroizing::new(PIN.as_bytes().to_vec()))
        })),
        ..Options::default()
    };
    (notes, options)
}

fn on_token(module: &Path, key: &str) -> KeyRef {
    KeyRef::parse(&format!(
        "pkcs11:token=story;{key}?module-path={}",
        module.display()
    ))
    .unwrap()
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(work)
}

async fn signer(key: &KeyRef, options: &Options) -> Result<Signer, Error> {
    sealmark_kms::load_signer(key, || panic!("asked for a password"), options).await
}

fn remote(signer: &Signer) -> &RemoteKey {
    match signer {
        Signer::Remote(key) => key,
        other => panic!("{other:?}"),
    }
}

/// The refusal of a key to sign with, whether it comes when it is looked for or when it signs.
fn refusal(reference: &str, options: &Options) -> String {
    let parsed = KeyRef::parse(reference).unwrap();
    let error = wait(async {
        match signer(&parsed, options).await {
            Ok(signer) => signer.sign(b"data").await.unwrap_err(),
            Err(error) => error,
        }
    });
    let text = error.to_string();
    assert!(!text.contains(PIN) && !text.contains("hunter2"), "{text}");
    text
}

fn openssl_verifies(
    home: &Path,
    scheme: Scheme,
    pem: &str,
    message: &[u8],
    signature: &[u8],
) -> Finished {
    let sandbox = Sandbox::new();
    sandbox.write("key.pub", pem);
    sandbox.write("message", message);
    sandbox.write("signature", signature);
    let run = sandbox.command(Peer::find("openssl").unwrap());
    let _ = home;
    match scheme {
        Scheme::Ed25519 => run.args(
            "pkeyutl -verify -pubin -inkey key.pub -rawin -in message -sigfile signature"
                .split(' '),
        ),
        other => {
            let hash = other.hash().unwrap().name().replace('-', "");
            let run = run.args([
                "dgst",
                &format!("-{hash}"),
                "-verify",
                "key.pub",
                "-signature",
                "signature",
            ]);
            match other {
                Scheme::RsaPssSha256 => run.args(["-sigopt", "rsa_padding_mode:pss", "message"]),
                _ => run.arg("message"),
            }
        }
    }
    .run()
}

#[test]
fn every_kind_of_key_is_made_on_the_token_and_signs_as_openssl_finds_good() {
    let name = "every_kind_of_key_is_made_on_the_token_and_signs_as_openssl_finds_good";
    tell(name, &[], |home, module| {
        let (notes, options) = options();
        for algorithm in Algorithm::ALL {
            let key = on_token(module, &format!("object={algorithm}"));
            wait(async {
                let made = create_key(&key, algorithm, &options).await.unwrap();
                assert_eq!(made.public.key_type(), algorithm.key_type());
                let again = create_key(&key, algorithm, &options)
                    .await
                    .unwrap_err()
                    .to_string();
                assert!(
                    again.contains("cannot be made: it is there already (object="),
                    "{again}"
                );

                // What is printed leads to the same key.
                let signer = signer(&KeyRef::parse(&made.name).unwrap(), &options)
                    .await
                    .unwrap();
                assert_eq!(signer.public_key(), &made.public);
                let message = b"what the token signs";
                let signature = signer.sign(message).await.unwrap();
                let pem = made.public.to_pem();
                openssl_verifies(home, signer.scheme(), &pem, message, &signature).success();

                // The token is asked itself.
                let digest = signer.scheme().hash().map(|hash| Digest::of(hash, message));
                let input = digest
                    .as_ref()
                    .map_or(Input::Message(message), Input::Digest);
                let service = &remote(&signer).service;
                assert!(
                    service
                        .verify(signer.scheme(), input, &signature)
                        .await
                        .unwrap()
                );
                let mut other = signer.sign(b"another").await.unwrap();
                assert!(
                    !service
                        .verify(signer.scheme(), input, &other)
                        .await
                        .unwrap()
                );
                other.truncate(5);
                assert!(
                    !service
                        .verify(signer.scheme(), input, &other)
                        .await
                        .unwrap()
                );
            });
        }
        // One login serves all of the run.
        let notes = notes.lock().unwrap().join("\n");
        assert_eq!(
            notes
                .matches("logging in to the token \"story\" with the PIN typed")
                .count(),
            1,
            "{notes}"
        );
        assert!(notes.contains(": ECDSA P-384 with SHA-384"), "{notes}");
        assert!(!notes.contains(PIN));
    });
}

#[test]
fn keys_that_other_tools_have_put_there_are_found_by_label_by_id_and_by_certificate() {
    let name = "keys_that_other_tools_have_put_there_are_found_by_label_by_id_and_by_certificate";
    let words = [
        "--write-object key.der --type privkey --id 01 --label release",
        "--write-object pub.der --type pubkey --id 01 --label release",
        "--write-object cert.der --type cert --id 01 --label release",
        "--write-object key.der --type privkey --id 02 --label card",
        "--write-object cert.der --type cert --id 02 --label card",
        "--keypairgen --key-type RSA:2048 --id 03 --label pss --allowed-mechanisms RSA-PKCS-PSS",
        "--keypairgen --key-type EC:secp384r1 --id 04 --label twice",
        "--keypairgen --key-type EC:secp384r1 --id 05 --label twice",
    ];
    tell(name, &words, |home, module| {
        let (notes, options) = options();
        for (key, scheme) in [
            ("object=release", Scheme::EcdsaSha256),
            ("id=%01;type=public", Scheme::EcdsaSha256),
            // No public key object, as on many cards.
            ("object=card", Scheme::EcdsaSha256),
            ("object=twice;id=%05", Scheme::EcdsaSha384),
        ] {
            wait(async {
                let signer = signer(&on_token(module, key), &options).await.unwrap();
                assert_eq!(signer.scheme(), scheme, "{key}");
                let signature = signer.sign(b"data").await.unwrap();
                let pem = signer.public_key().to_pem();
                openssl_verifies(home, scheme, &pem, b"data", &signature).success();
            });
        }
        let notes = notes.lock().unwrap().join("\n");
        assert!(
            notes.contains("the token has a certificate for this key, CN=release: it is not used"),
            "{notes}"
        );

        let uri = |key: &str| format!("pkcs11:token=story;{key}?module-path={}", module.display());
        let several = refusal(&uri("object=twice"), &options);
        assert!(
            several.ends_with(
                "cannot be found: several keys are meant: object=twice;id=%04, object=twice;id=%05; add id= to the URI"
            ),
            "{several}"
        );
        let pss = refusal(&uri("object=pss"), &options);
        assert!(
            pss.contains(
                "cannot sign: the token lets this private key be used with CKM_RSA_PKCS_PSS only"
            ),
            "{pss}"
        );
        let none = refusal(&uri("object=relase"), &options);
        assert!(
            none.contains(
                "cannot be found: token \"story\": no key object=relase on it; those there are: "
            ),
            "{none}"
        );
        assert!(none.contains("object=release;id=%01"), "{none}");
    });
}

#[test]
fn a_pin_comes_from_the_uri_a_file_or_a_person_and_a_wrong_one_is_tried_once() {
    let name = "a_pin_comes_from_the_uri_a_file_or_a_person_and_a_wrong_one_is_tried_once";
    let words = ["--keypairgen --key-type EC:prime256v1 --id 01 --label release"];
    tell(name, &words, |home, module| {
        let (_, asking) = options();
        let alone = Options {
            ask: None,
            ..asking.clone()
        };
        let uri = |more: &str| {
            format!(
                "pkcs11:object=release?module-path={}{more}",
                module.display()
            )
        };
        // Whoever verifies needs no PIN.
        wait(sealmark_kms::load_public(
            &KeyRef::parse(&uri("")).unwrap(),
            &alone,
        ))
        .unwrap();
        let message = refusal(&uri(""), &alone);
        assert!(
            message.ends_with(
                "cannot sign: the token needs its PIN: set COSIGN_PKCS11_PIN, or give \
                               pin-source=file:/PATH after the URI's question mark"
            ),
            "{message}"
        );
        let message = refusal(&uri("&pin-value=hunter2"), &alone);
        assert!(
            message.contains("cannot sign: the token refuses the PIN (from the URI's pin-value); "),
            "{message}"
        );
        let missing = refusal(&uri("&pin-source=file:/nonexistent/pin"), &alone);
        assert!(
            missing.contains("the PIN cannot be read from /nonexistent/pin: No such file"),
            "{missing}"
        );

        let file = home.join("pin");
        std::fs::write(&file, format!("{PIN}\n")).unwrap();
        let key = uri(&format!("&pin-source=file:{}", file.display()));
        wait(async {
            let signer = signer(&KeyRef::parse(&key).unwrap(), &alone).await.unwrap();
            signer.sign(b"data").await.unwrap();
        });
    });
}

#[test]
fn what_is_said_where_the_module_or_the_token_is_not_there() {
    let name = "what_is_said_where_the_module_or_the_token_is_not_there";
    tell(name, &[], |home, module| {
        let (_, options) = options();
        let at = |token: &str, path: &str| {
            format!("pkcs11:token={token};object=release?module-path={path}")
        };
        let softhsm = module.display().to_string();
        let text = home.join("text.so");
        std::fs::write(&text, "not a library").unwrap();
        let library = [
            "/lib/x86_64-linux-gnu/libm.so.6",
            "/lib/aarch64-linux-gnu/libm.so.6",
        ];
        let library = library
            .into_iter()
            .find(|path| Path::new(path).exists())
            .unwrap();
        let table = [
            (
                at("other", &softhsm),
                "no such token; those there are: \"story\" (serial ",
            ),
            (
                at("story", "/nonexistent/module.so"),
                "there is no module /nonexistent/module.so",
            ),
            (
                at("story", "module.so"),
                "the module's path module.so is not absolute",
            ),
            (
                at("story", "/usr/lib"),
                "/usr/lib is a folder: give the module's file, or module-name, too",
            ),
            (
                at("story", library),
                "libm.so.6 is a library, but not a PKCS#11 module",
            ),
            (
                at("story", text.to_str().unwrap()),
                "text.so cannot be loaded as a PKCS#11 module: ",
            ),
            (
                "pkcs11:token=story;object=release".to_owned(),
                "which module has the token? Give ?module-path=/PATH/MODULE.so in the URI, or COSIGN_PKCS11_MODULE_PATH",
            ),
            (
                "pkcs11:object=release?module-name=nonexistent".to_owned(),
                "no libnonexistent.so or nonexistent.so in /usr/lib/x86_64-linux-gnu/pkcs11, ",
            ),
        ];
        for (reference, message) in table {
            let said = refusal(&reference, &options);
            assert!(
                said.contains(" cannot be found: ") && said.contains(message),
                "{said}"
            );
        }
    });
}

/// A module whose first function never comes back.
const HANGING: &str = "#[unsafe(no_mangle)] pub extern \"C\" fn C_GetFunctionList(_: *mut *mut u8) -> u64 { loop { std::thread::sleep(std::time::Duration::from_secs(1)) } }";

#[test]
fn a_module_that_hangs_ends_with_the_deadline() {
    let home = Sandbox::new();
    let source = home.write("hanging.rs", HANGING);
    let library = home.join("libhanging.so");
    let rustc = std::env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    let compiled = std::process::Command::new(rustc)
        .args(["--edition", "2024", "--crate-type", "cdylib", "-o"])
        .args([&library, &source])
        .status();
    assert!(compiled.unwrap().success());
    let (_, mut options) = options();
    options.timeout = Duration::from_millis(300);
    let reference = format!(
        "pkcs11:object=a?module-name=hanging&module-path={}",
        home.path().display()
    );
    let start = Instant::now();
    let said = refusal(&reference, &options);
    assert!(
        said.contains("did not come back within 0.3 s: is the token plugged in"),
        "{said}"
    );
    assert!(start.elapsed() < Duration::from_secs(20));
}
