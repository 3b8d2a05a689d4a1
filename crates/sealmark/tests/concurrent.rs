//! Many signers of one image at the same time: no signature is lost, and none is there twice.
//!
//! The hard case is a list that all of them change: the fallback index of a registry without the referrers API, and
//! the manifest of legacy signatures at its tag.

mod bench;

use std::sync::Barrier;

use bench::{Bench, Registries, Tool, have, legacy_layers, referrers};
use sealmark_testkit::{Finished, images};

const SIGNERS: usize = 8;
const ROUNDS: usize = 3;

/// Runs the commands at the same time.
fn at_once<C: FnOnce() -> Finished + Send>(commands: Vec<C>) -> Vec<Finished> {
    let start = Barrier::new(commands.len());
    std::thread::scope(|scope| {
        let running: Vec<_> = commands
            .into_iter()
            .map(|command| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    command()
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("a command that was run"))
            .collect()
    })
}

/// Eight keys sign; afterwards all verify, and as many signatures are there as were made.
fn eight_sign(format: &str) {
    let Some(images) = images() else { return };
    if !have(&["skopeo", "openssl"]) {
        return;
    }
    let bench = Bench::new();
    let registries = Registries::start();
    let digest = images.digest(images.single);
    let keys: Vec<String> = (0..SIGNERS).map(|number| format!("key{number}")).collect();
    for key in &keys {
        // Not encrypted: 144 times to derive a key from a password would take longer than all the rest.
        bench
            .peer("openssl")
            .args([
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ])
            .args(["-out", &format!("{key}.key")])
            .run()
            .success();
        let public = bench
            .sealmark(&["public-key", "--key", &format!("{key}.key")])
            .success();
        bench
            .sandbox
            .write(format!("{key}.pub"), public.stdout_bytes());
    }
    for registry in registries.addresses() {
        for round in 0..ROUNDS {
            let repository = format!("{registry}/round{round}");
            let image = format!("{repository}:v1");
            assert!(images.push(&bench.sandbox, images.single, &image));
            let sign = |key: &String| {
                let (bench, image, key) = (&bench, &image, format!("{key}.key"));
                move || bench.sealmark(&["sign", "--format", format, "--key", &key, image])
            };
            for signed in at_once(keys.iter().map(sign).collect()) {
                signed.success();
            }
            for key in &keys {
                bench
                    .sealmark(&["verify", "--key", &format!("{key}.pub"), &image])
                    .success();
            }
            let expected = |there: bool| if there { SIGNERS } else { 0 };
            let bundles = referrers(&bench, &repository, &digest).len();
            assert_eq!(bundles, expected(format != "legacy"), "{image}");
            let legacy = legacy_layers(&bench, &repository, &digest).len();
            assert_eq!(legacy, expected(format != "bundle"), "{image}");
        }
    }
}

#[test]
fn eight_bundles_at_once() {
    eight_sign("bundle");
}

#[test]
fn eight_legacy_signatures_at_once() {
    eight_sign("legacy");
}

#[test]
fn eight_signers_of_both_forms_at_once() {
    eight_sign("both");
}

#[test]
fn a_signature_made_while_cosign_attests_is_reported_truthfully() {
    let Some(images) = images() else { return };
    if !have(&["skopeo", "cosign3"]) {
        return;
    }
    let bench = Bench::new();
    bench.make_key("ecdsa-p256", "alice");
    bench.make_key("ecdsa-p256", "cosign");
    bench.sandbox.write("predicate.json", "{}");
    let registries = Registries::start();
    let digest = images.digest(images.single);
    for registry in registries.addresses() {
        let repository = format!("{registry}/mixed");
        let image = format!("{repository}:v1");
        assert!(images.push(&bench.sandbox, images.single, &image));
        let sign = || bench.sealmark(&["sign", "--key", "alice.key", &image]);
        let attest = || {
            bench
                .run(Tool::Cosign3)
                .args([
                    "attest",
                    "--key",
                    "cosign.key",
                    "--yes",
                    "--allow-http-registry",
                ])
                .arg("--signing-config")
                .arg(&bench.signing_config)
                .args([
                    "--predicate",
                    "predicate.json",
                    "--type",
                    "https://example.com/test",
                ])
                .arg(&image)
                .run()
        };
        let commands: Vec<Box<dyn FnOnce() -> Finished + Send>> =
            vec![Box::new(sign), Box::new(attest)];
        let finished = at_once(commands);
        let verified = bench.sealmark(&["verify", "--key", "alice.pub", &image]);
        // cosign 3.1.1 writes the fallback index without looking whether it has changed, so that where both write it
        // either entry can be lost after both have said that they are done. Informative: how it went this time.
        println!(
            "{image}: sealmark {:?}, cosign {:?}, {} referrers, signature {:?}",
            finished[0].exit_code(),
            finished[1].exit_code(),
            referrers(&bench, &repository, &digest).len(),
            verified.exit_code(),
        );
        // Where the registry keeps the list, nothing is lost. Elsewhere signing again mends it.
        if verified.exit_code() != Some(0) {
            assert_ne!(registry, registries.addresses()[0], "{verified}");
            bench
                .sealmark(&["sign", "--key", "alice.key", &image])
                .success();
            bench
                .sealmark(&["verify", "--key", "alice.pub", &image])
                .success();
        }
    }
}
