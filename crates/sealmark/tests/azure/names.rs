//! The story's commands as its user typed them, with the real names of hosts: in a network of the test's own, where those
//! names lead to the double and nothing can leave the machine.
//!
//! The test starts itself again inside such a network (`unshare`). Where the machine does not permit that, it is skipped,
//! aloud.

use std::process::Command;

use sealmark_testkit::key_vault::{APPLICATION, KeyVault, SECRET, TENANT};
use sealmark_testkit::{Finished, Program, skip};

use crate::{World, message, openssl};

/// Set inside the network of the test's own.
const INSIDE: &str = "SEALMARK_TEST_NETWORK";

/// Where Azure's names lead in there.
const ADDRESS: &str = "127.0.0.4";

/// What is done before the test starts again: a loopback interface, the metadata service's address, names, and no resolver.
const PREPARE: &str = r#"
set -e
ip link set lo up
ip address add 169.254.169.254/32 dev lo
names=$(mktemp)
printf '127.0.0.1 localhost\n127.0.0.4 login.microsoftonline.com tsm-kv-usw3-tst-cssc.vault.azure.net hsm-1.managedhsm.azure.net\n' > "$names"
mount --bind "$names" /etc/hosts
printf 'hosts: files\n' > "$names.nss"
[ ! -e /etc/nsswitch.conf ] || mount --bind "$names.nss" /etc/nsswitch.conf
rm -f "$names" "$names.nss"
exec "$@"
"#;

/// Runs the test of this name inside; `true` if this is inside.
fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = |words: &[&str]| {
        let mut command = Command::new("unshare");
        command.args([
            "--map-root-user",
            "--mount",
            "--net",
            "--propagation",
            "private",
        ]);
        command.args(words);
        command
    };
    let probe = unshare(&["sh", "-c", PREPARE, "sh", "true"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        skip("a network namespace (unshare, ip, mount)");
        return false;
    }
    let program = std::env::current_exe().expect("a test is a program");
    let program = program.to_str().expect("a path in UTF-8");
    let again = unshare(&[
        "sh",
        "-c",
        PREPARE,
        "sh",
        program,
        "--exact",
        test,
        "--nocapture",
    ])
    .env(INSIDE, "1")
    .output()
    .expect("it ran a moment ago");
    assert!(
        again.status.success(),
        "inside its own network:\n{}\n{}",
        String::from_utf8_lossy(&again.stdout),
        String::from_utf8_lossy(&again.stderr)
    );
    false
}

/// The story's vault.
fn world() -> World {
    let names = "DNS:login.microsoftonline.com,DNS:*.vault.azure.net,DNS:*.managedhsm.azure.net";
    World::at(KeyVault::start_at(
        &format!("{ADDRESS}:443"),
        "169.254.169.254:80",
        names,
    ))
}

/// The program with nothing set but the authority for TLS: Azure is where Azure is.
fn plain(world: &World, words: &[&str]) -> Program {
    world
        .sandbox
        .command(crate::SEALMARK)
        .args(words)
        .env("PATH", world.path())
        .env("SSL_CERT_FILE", world.vault.authority())
}

fn with_principal(program: Program) -> Program {
    program
        .env("AZURE_TENANT_ID", TENANT)
        .env("AZURE_CLIENT_ID", APPLICATION)
        .env("AZURE_CLIENT_SECRET", SECRET)
}

#[test]
fn the_story_s_azure_commands_work_or_say_the_true_cause() {
    if !openssl() || !inside("names::the_story_s_azure_commands_work_or_say_the_true_cause") {
        return;
    }
    let world = world();
    world.sandbox.write("file", "the file\n");
    let sign = |key: &str| -> Finished {
        let words = [
            "sign-blob",
            "-v",
            "--key",
            key,
            "--bundle",
            "bundle",
            "file",
        ];
        with_principal(plain(&world, &words)).run()
    };
    let host = "tsm-kv-usw3-tst-cssc.vault.azure.net";
    let name = "sigstore-azure-test-key";
    // The newest version, to be pasted as the portal shows it.
    let newest = sign(&format!("azurekms://{host}/{name}")).success();
    let said = newest.stderr();
    let at = said.find("(version ").expect("a version") + "(version ".len();
    let version = &said[at..at + 32];
    for key in [
        // "copying the key identifier from the Azure Portal and pasting it … (without the https:// part) won't do the job"
        format!("azurekms://{host}/keys/{name}/{version}"),
        format!("https://{host}/keys/{name}/{version}"),
        format!("{host}/keys/{name}/{version}"),
        // "just hung for minutes"
        format!("azurekms://tsm-kv-usw3-tst-cssc/{name}"),
        // "Apparently, I have generated an incompatible key!" It is RSA.
        format!("azurekms://{host}/{name}"),
        // "After generating a new key"
        format!("azurekms://{host}/{name}-ec"),
    ] {
        sign(&key)
            .success()
            .stderr_has(&format!("azurekms://{host}/{name}"))
            .stderr_has(&format!("application {APPLICATION}"));
    }

    // "the AppId from the error message didn't match": the Azure CLI's user, who may not sign.
    let token = world.vault.token_of_a_user(TENANT);
    world.program(
        "az",
        &format!("#!/bin/sh\necho '{{\"accessToken\":\"{token}\"}}'\n"),
    );
    let words = [
        "sign-blob",
        "--key",
        &format!("azurekms://{host}/policy-sign"),
        "--bundle",
        "bundle",
        "file",
    ];
    let refused = plain(&world, &words)
        .env("AZURE_CLIENT_ID", APPLICATION)
        .env("AZURE_TOKEN_CREDENTIALS", "dev")
        .run()
        .code(1);
    let said = message(&refused);
    for part in [
        "user toddy@example.com",
        "whose own application id is 04b07795-8ddb-461a-bbee-02f9e1bf7b46",
        "lacks the permission keys/sign in the access policy of the vault tsm-kv-usw3-tst-cssc",
        "az keyvault set-policy --name tsm-kv-usw3-tst-cssc",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // The metadata service at its own address.
    let key = format!("azurekms://{host}/ec256");
    plain(&world, &["public-key", "-v", "--key", &key])
        .env("AZURE_TOKEN_CREDENTIALS", "prod")
        .run()
        .success()
        .stderr_has("Azure credential: managed identity");
    // Not to a proxy, which could be anywhere.
    plain(&world, &["public-key", "--key", &key])
        .env("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("http_proxy", "http://127.0.0.1:1")
        .run()
        .success();
}

#[test]
fn a_vault_that_is_not_there_is_said_so_at_once() {
    if !openssl() || !inside("names::a_vault_that_is_not_there_is_said_so_at_once") {
        return;
    }
    let world = world();
    for (key, part) in [
        (
            "azurekms://tsm-kv-usw3-tst-csc/k",
            "is written in full, tsm-kv-usw3-tst-csc.managedhsm.azure.net",
        ),
        (
            "https://tsm-kv-usw3-tst-csc.vault.azure.net/keys/k",
            "check its spelling; a vault that was deleted",
        ),
    ] {
        let refused = with_principal(plain(&world, &["public-key", "--key", key]))
            .run()
            .code(1);
        let said = message(&refused);
        assert!(
            said.contains(
                "there is no vault at tsm-kv-usw3-tst-csc.vault.azure.net: the name is not known"
            ),
            "{said}"
        );
        assert!(said.contains(part), "{said}");
    }
    // A token for vaults is not for a managed HSM, and is not sent there.
    let key = "https://hsm-1.managedhsm.azure.net/keys/ec256";
    let refused = with_principal(plain(&world, &["public-key", "--key", key]))
        .run()
        .code(1);
    let said = message(&refused);
    assert!(
        said.contains("it wants a token for vault.azure.net, of which it is no part"),
        "{said}"
    );
    assert!(
        world
            .vault
            .requests()
            .iter()
            .all(|request| !request.path.contains("oauth2"))
    );
}
