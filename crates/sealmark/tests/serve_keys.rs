//! An instance whose keys are on a token, or in OpenBao: it signs with them, starts again with them and with no others,
//! and comes to them from files by a rotation, after which everything that was signed before stays good.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod bench;

use bench::have;
use bench::instance::{Instance, PIN};
use sealmark_testkit::{OpenBao, SoftHsm};

fn reference(object: &str) -> String {
    format!("pkcs11:token=sigstore;object={object}")
}

fn token(keys: &[(&str, &str)]) -> Option<SoftHsm> {
    let hsm = SoftHsm::start("sigstore", PIN)?;
    for (at, (label, kind)) in keys.iter().enumerate() {
        hsm.tool(&format!(
            "--keypairgen --key-type {kind} --id {:02} --label {label}",
            at + 1
        ))
        .success();
    }
    Some(hsm)
}

#[test]
fn every_key_of_an_instance_is_on_a_token() {
    if !have(&["cosign3"]) {
        return;
    }
    let Some(hsm) = token(&[
        ("ca", "EC:secp384r1"),
        ("ct", "EC:prime256v1"),
        ("log", "EC:prime256v1"),
        ("log-v2", "EC:edwards25519"),
        ("tsa", "rsa:2048"),
        ("tuf", "EC:prime256v1"),
    ]) else {
        return;
    };
    let mut instance = Instance::on_a_token(&hsm);
    let services = ["ca", "ct", "log", "log-v2", "tsa", "tuf"];
    let flags: Vec<String> = services
        .iter()
        .map(|name| format!("--key={name}={}", reference(name)))
        .collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();

    // A CT log signs with P-256 and nothing else: said, and nothing is begun with another key.
    let wrong = format!("ct={}", reference("tsa"));
    let refused = instance.server(&["--key", &wrong]).run().failure();
    let said = refused.stderr();
    assert!(said.contains("object=tsa is a RSA"), "{said}");
    assert!(said.contains("this service signs with "), "{said}");
    assert!(!instance.file("").exists());

    instance.start(&flags);
    let signed = instance.all_sign("first");
    let log = instance.stop();
    // Each certificate is told, whatever else is.
    assert!(log.matches("certificate issued").count() >= 4, "{log}");
    for service in ["ca", "ct", "log", "tsa"] {
        let keys = instance.file(service).join("keys");
        let files = std::fs::read_dir(keys).unwrap();
        let pems = files.filter(|file| {
            let name = file.as_ref().unwrap().file_name();
            let name = name.to_str().unwrap();
            name.ends_with(".pem") && name != "root.pem"
        });
        assert_eq!(pems.count(), 0, "{service} has a private key");
    }

    // The directory remembers where they are, and says it.
    let expected: Vec<_> = ["ca", "ct", "log", "log-v2", "tsa", "tuf"]
        .iter()
        .map(|name| (name.split('-').next().unwrap().to_owned(), reference(name)))
        .collect();
    assert_eq!(instance.elsewhere(), expected);
    let told = instance.on_directory(&["status"]).success().stdout();
    assert!(
        told.contains("kept in pkcs11:token=sigstore;object=ca"),
        "{told}"
    );
    instance.start(&[]);
    instance.all_sign("second");
    instance.all_verify(&signed.iter().map(String::as_str).collect::<Vec<_>>());
    instance.stop();

    // It can be asked whether they can be reached.
    let told = instance.on_directory(&["check", "--online"]).success();
    let told = told.stdout();
    assert_eq!(told.matches(" answers: ").count(), 6, "{told}");

    // Another key is refused, and what to do is said.
    let other = format!("ca={}", reference("log"));
    let said = instance.server(&["--key", &other]).run().failure().stderr();
    assert!(said.contains("object=log is another key"), "{said}");
    assert!(said.contains("serve rotate"), "{said}");
    assert!(!said.contains(PIN), "{said}");

    // The token is away.
    let nowhere = instance.bench.sandbox.write("no-token.conf", "");
    instance.environment[0].1 = nowhere.to_str().unwrap().to_owned();
    let said = instance.server(&[]).run().failure().stderr();
    assert!(said.contains("pkcs11:token=sigstore;object=ca"), "{said}");
    let said = instance.on_directory(&["check", "--online"]).failure();
    assert!(said.stderr().contains("6 faults"), "{said}");
    // Those who only read files need no token.
    instance.on_directory(&["status"]).success();
    let copied = instance.on_directory(&["backup", "--to", "copy"]).success();
    assert!(
        copied
            .stderr()
            .contains("a key of ca is not in it, only its name"),
        "{copied}"
    );
}

#[test]
fn keys_go_from_files_to_a_token_and_old_bundles_stay_good() {
    if !have(&["cosign3"]) {
        return;
    }
    let services = ["ca", "ct", "log", "tsa", "tuf"];
    let Some(hsm) = token(&services.map(|name| (name, "EC:prime256v1"))) else {
        return;
    };
    let mut instance = Instance::on_a_token(&hsm);
    instance.start(&[]);
    let first = instance.all_sign("first");
    instance.stop();
    assert_eq!(instance.elsewhere(), []);

    for service in services {
        let key = reference(service);
        let words = ["rotate", service, "--key", &key];
        instance.on_directory(&words).success();
    }
    let expected: Vec<_> = services
        .iter()
        .map(|name| ((*name).to_owned(), reference(name)))
        .collect();
    assert_eq!(instance.elsewhere(), expected);
    instance.start(&[]);
    let second = instance.all_sign("second");
    let all: Vec<&str> = first.iter().chain(&second).map(String::as_str).collect();
    instance.all_verify(&all);
    // Who asks the CA learns of both chains, as the older is believed for a while.
    let address = instance.url.trim_start_matches("http://");
    let bundle = sealmark_testkit::get(address, "/api/v2/trustBundle").unwrap();
    let bundle: serde_json::Value = serde_json::from_slice(&bundle.body).unwrap();
    assert_eq!(bundle["chains"].as_array().unwrap().len(), 2, "{bundle}");
    instance.stop();

    // A root key is no key for --key, and v1 has P-256 alone.
    let words = ["rotate", "tuf", "--root", "--key", "awskms:///alias/root"];
    instance.on_directory(&words).failure();
}

#[test]
fn keys_of_an_instance_are_in_openbao() {
    if !have(&["cosign3"]) {
        return;
    }
    let Some(bao) = OpenBao::start() else { return };
    for (name, kind) in [
        ("ca", "rsa-3072"),
        ("log", "ecdsa-p256"),
        ("log-v2", "ed25519"),
        ("tsa", "ecdsa-p384"),
    ] {
        let (key, kind) = (format!("transit/keys/{name}"), format!("type={kind}"));
        bao.run(&["write", "-f", &key, &kind]).success();
    }
    let mut instance = Instance::new(vec![
        ("BAO_ADDR", bao.address.clone()),
        ("BAO_TOKEN", "root".to_owned()),
    ]);
    instance.start(&[
        "--key=ca=openbao://ca",
        "--key=log=openbao://log",
        "--key=log-v2=openbao://log-v2",
        "--key=tsa=openbao://tsa",
    ]);
    instance.all_sign("bao");
    instance.stop();
    // Who may not use them is told of which key and why.
    instance.environment[1].1 = "nobody".to_owned();
    let said = instance.server(&[]).run().failure().stderr();
    assert!(said.contains("openbao://ca"), "{said}");
    // Nobody answers there.
    drop(bao);
    let said = instance.server(&[]).run().failure().stderr();
    assert!(said.contains("openbao://ca"), "{said}");
    assert!(said.contains("127.0.0.1"), "{said}");
}
