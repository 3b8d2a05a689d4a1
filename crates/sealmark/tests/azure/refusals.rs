//! What the user is told when the vault refuses, is not there, or does not answer.

use std::time::Instant;

use sealmark_testkit::FaultyServer;
use sealmark_testkit::key_vault::{APPLICATION, OBJECT, OTHER_TENANT, TENANT};

use crate::{World, message, openssl};

#[test]
fn a_refusal_names_the_missing_permission_and_who_misses_it() {
    if !openssl() {
        return;
    }
    let world = World::new();
    let who = format!("application {APPLICATION} (object {OBJECT}, tenant {TENANT})");
    for (name, parts) in [
        (
            "policy",
            vec![
                who.as_str(),
                "lacks the permission keys/get in the access policy",
                "az keyvault set-policy",
            ],
        ),
        (
            "rbac",
            vec![
                who.as_str(),
                "which the role \"Key Vault Crypto User\" gives",
            ],
        ),
        (
            "firewall",
            vec![
                "the vault's firewall does not let this machine in (it sees the address 203.0.113.9)",
            ],
        ),
        (
            "connection",
            vec!["the vault takes connections over its private link only"],
        ),
        (
            "no-such-key",
            vec![
                "has no key no-such-key",
                "if it was deleted, recover it: az keyvault key recover",
            ],
        ),
        (
            "throttled",
            vec!["the vault is asked too much", "it wants 60 s of peace"],
        ),
    ] {
        let refused = world
            .sealmark(&["public-key", "--key", &world.key(name)])
            .run()
            .code(1);
        for part in parts {
            assert!(
                message(&refused).contains(part),
                "{name}: {part}\n{refused}"
            );
        }
    }
    // The doctor says the same, beside the credential that was taken.
    let looked = world
        .sealmark(&["doctor", "--key", &world.key("policy"), "--sign"])
        .run()
        .failure();
    for part in [
        "FAILED  key: ",
        who.as_str(),
        "lacks the permission keys/get in the access policy",
        "az keyvault set-policy",
    ] {
        assert!(looked.stdout().contains(part), "{part}\n{looked}");
    }
    assert!(
        !looked.stdout().contains("permission to sign: E"),
        "{looked}"
    );
    let old = world.key("ec256") + "/0123456789abcdef0123456789abcdef";
    let refused = world.sealmark(&["public-key", "--key", &old]).run().code(1);
    let said = message(&refused);
    assert!(
        said.contains("has no version 0123456789abcdef0123456789abcdef of a key ec256"),
        "{said}"
    );
}

#[test]
fn a_vault_that_is_busy_is_asked_again() {
    if !openssl() {
        return;
    }
    let world = World::new();
    world.vault.throttle(2);
    world.public_key("ec256");
}

#[test]
fn a_token_of_another_tenant_is_not_sent_or_is_refused_in_words() {
    if !openssl() {
        return;
    }
    let world = World::new();
    let key = world.key("ec256");
    // By GUID that is known before anything secret is sent.
    let refused = world
        .sealmark(&["public-key", "--key", &key])
        .env("AZURE_TENANT_ID", OTHER_TENANT)
        .run()
        .code(1);
    let said = message(&refused);
    assert!(said.contains(&format!("trusts the tenant {TENANT}, and AZURE_TENANT_ID is {OTHER_TENANT}; set AZURE_TENANT_ID={TENANT}")), "{said}");
    assert!(
        world
            .vault
            .requests()
            .iter()
            .all(|request| !request.path.contains("oauth2"))
    );
    world
        .sealmark(&["public-key", "--key", &key])
        .env("AZURE_TENANT_ID", OTHER_TENANT)
        .env("AZURE_ADDITIONALLY_ALLOWED_TENANTS", "*")
        .run()
        .success();
    // The Azure CLI gives what it has.
    let token = world.vault.token_of_a_user(OTHER_TENANT);
    world.program(
        "az",
        &format!("#!/bin/sh\necho '{{\"accessToken\":\"{token}\"}}'\n"),
    );
    let refused = world.stranger(&["public-key", "--key", &key]).run().code(1);
    let said = message(&refused);
    assert!(said.contains(&format!("the vault trusts the tenant {TENANT}, and the token, which is that of user toddy@example.com")), "{said}");
    assert!(said.contains("(AKV10032)"), "{said}");
}

#[test]
fn nothing_waits_for_ever_and_the_host_is_named() {
    if !openssl() {
        return;
    }
    let world = World::new();
    let started = Instant::now();
    let slow = world
        .sealmark(&["public-key", "--key", &world.key("slow"), "--timeout", "2s"])
        .run()
        .code(1);
    assert!(started.elapsed().as_secs() < 20, "{slow}");
    assert!(message(&slow).contains(&world.vault.host()), "{slow}");
    let nobody = FaultyServer::nobody();
    let key = format!("azurekms://{nobody}/k");
    let refused = world.sealmark(&["public-key", "--key", &key]).run().code(1);
    assert!(message(&refused).contains(&nobody), "{refused}");
    assert!(message(&refused).contains("cannot connect"), "{refused}");
}
