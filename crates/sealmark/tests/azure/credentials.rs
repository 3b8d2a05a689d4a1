//! With what one logs in, and as whom: the story's user could not find out.

use sealmark_testkit::Peer;
use sealmark_testkit::key_vault::{APPLICATION, EXPIRED_SECRET, IDENTITY_HEADER, SECRET, TENANT};

use crate::{World, message, openssl};

#[test]
fn each_source_logs_in_and_says_as_whom() {
    if !openssl() {
        return;
    }
    let world = World::new();
    let key = world.key("ec256");
    let words = ["public-key", "-v", "--key", &key];
    let application = format!("application {APPLICATION}");

    let secret = world.sealmark(&words).run().success();
    secret
        .stderr_has("Azure credential: the variables AZURE_CLIENT_ID and AZURE_CLIENT_SECRET")
        .stderr_has(&application)
        .stderr_has(&format!("tenant {TENANT}"))
        .stderr_has("and expires 20");

    let token = world.sandbox.write("federated", "a federated token\n");
    world
        .stranger(&words)
        .env("AZURE_TENANT_ID", TENANT)
        .env("AZURE_CLIENT_ID", APPLICATION)
        .env("AZURE_FEDERATED_TOKEN_FILE", &token)
        .run()
        .success()
        .stderr_has("passed over: the variables AZURE_CLIENT_ID and AZURE_CLIENT_SECRET: neither AZURE_CLIENT_SECRET nor")
        .stderr_has("Azure credential: workload identity");

    world
        .stranger(&words)
        .env("IDENTITY_ENDPOINT", world.vault.machine() + "/msi/token")
        .env("IDENTITY_HEADER", IDENTITY_HEADER)
        .run()
        .success()
        .stderr_has("Azure credential: managed identity")
        .stderr_has(&application);
    world
        .stranger(&words)
        .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", world.vault.machine())
        .run()
        .success()
        .stderr_has("Azure credential: managed identity");

    let token = world.vault.token_of_a_user(TENANT);
    world.program(
        "azd",
        &format!("#!/bin/sh\necho '{{\"token\":\"{token}\"}}'\n"),
    );
    world
        .stranger(&words)
        .run()
        .success()
        .stderr_has("passed over: the Azure CLI (az): az is not in PATH")
        .stderr_has("Azure credential: the Azure Developer CLI (azd); the token is that of user toddy@example.com");
    world.program(
        "az",
        &format!("#!/bin/sh\necho \"$@\" > az.words\necho '{{\"accessToken\":\"{token}\"}}'\n"),
    );
    world.stranger(&words).run().success().stderr_has(
        "Azure credential: the Azure CLI (az); the token is that of user toddy@example.com",
    );
    assert_eq!(
        world.sandbox.read("az.words").trim(),
        format!(
            "account get-access-token --output json --resource https://vault.azure.net --tenant {TENANT}"
        )
    );
    // One variable chooses.
    world
        .sealmark(&words)
        .env("AZURE_TOKEN_CREDENTIALS", "AzureDeveloperCLICredential")
        .run()
        .success()
        .stderr_has("Azure credential: the Azure Developer CLI");
}

#[test]
fn a_certificate_logs_in_too() {
    if !openssl() {
        return;
    }
    let world = World::new();
    let openssl = Peer::find("openssl").expect("it was there");
    let words = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "client.key",
        "-out",
        "client.crt",
        "-days",
        "2",
        "-subj",
        "/CN=an application",
    ];
    world.sandbox.command(openssl).args(words).run().success();
    let certificate = world.sandbox.read("client.crt");
    let both = world.sandbox.write(
        "client.pem",
        world.sandbox.read("client.key") + &certificate,
    );
    let key = world.key("ec256");
    let run = |file: &std::path::Path| {
        world
            .stranger(&["public-key", "-v", "--key", &key])
            .env("AZURE_TENANT_ID", TENANT)
            .env("AZURE_CLIENT_ID", APPLICATION)
            .env("AZURE_CLIENT_CERTIFICATE_PATH", file)
            .run()
    };
    let unknown = run(&both).code(1);
    assert!(
        message(&unknown).contains("the certificate is not one of application"),
        "{unknown}"
    );
    world.vault.trust_certificate(&certificate);
    run(&both).success().stderr_has(
        "Azure credential: the variables AZURE_CLIENT_ID and AZURE_CLIENT_CERTIFICATE_PATH",
    );
    let alone = run(&world.sandbox.join("client.crt")).code(1);
    assert!(message(&alone).contains("has no private key"), "{alone}");
    let pkcs12 = run(&world.sandbox.write("client.pfx", b"\x30\x82")).code(1);
    assert!(
        message(&pkcs12).contains("a PKCS#12 file is not supported: openssl pkcs12"),
        "{pkcs12}"
    );
}

#[test]
fn a_login_that_fails_ends_the_search_and_says_why() {
    if !openssl() {
        return;
    }
    let world = World::new();
    let key = world.key("ec256");
    // Somebody is logged in there, too: as whom one does not want to work.
    let token = world.vault.token_of_a_user(TENANT);
    world.program(
        "az",
        &format!("#!/bin/sh\necho '{{\"accessToken\":\"{token}\"}}'\n"),
    );
    for (variable, value, part) in [
        (
            "AZURE_CLIENT_SECRET",
            "wrong",
            "give the secret's value, not its id",
        ),
        (
            "AZURE_CLIENT_SECRET",
            EXPIRED_SECRET,
            "has expired; make one with",
        ),
        (
            "AZURE_CLIENT_ID",
            "b0000000-0000-4000-8000-000000000001",
            "there is no application b0000000-0000-4000-8000-000000000001 in tenant",
        ),
        (
            "AZURE_TENANT_ID",
            "contoso.example",
            "there is no tenant contoso.example in this cloud",
        ),
    ] {
        let refused = world
            .sealmark(&["public-key", "--key", &key])
            .env(variable, value)
            .run()
            .code(1);
        let said = message(&refused);
        assert!(said.contains(part) && said.contains("AADSTS"), "{said}");
        assert!(
            !said.contains(SECRET) && !said.contains(EXPIRED_SECRET),
            "{said}"
        );
    }
    let refused = world
        .sealmark(&["public-key", "--key", &key])
        .env("AZURE_AUTHORITY_HOST", "http://login.example.com")
        .run()
        .code(1);
    assert!(
        message(&refused).contains("must begin with https://"),
        "{refused}"
    );
}

/// The story's surprise: the variables were not all set, and the user of the Azure CLI was refused in their place.
#[test]
fn whoever_works_as_somebody_else_is_told_so() {
    if !openssl() {
        return;
    }
    let world = World::new();
    let token = world.vault.token_of_a_user(TENANT);
    world.program(
        "az",
        &format!("#!/bin/sh\necho '{{\"accessToken\":\"{token}\"}}'\n"),
    );
    let refused = world
        .stranger(&["public-key", "--key", &world.key("policy")])
        .env("AZURE_CLIENT_ID", APPLICATION)
        .env("AZURE_CLIENT_SECRET", SECRET)
        .run()
        .code(1);
    let said = message(&refused);
    for part in [
        "user toddy@example.com",
        "from the Azure CLI (az), whose own application id is 04b07795-8ddb-461a-bbee-02f9e1bf7b46",
        "If it should be another identity: these were looked for first",
        "AZURE_TENANT_ID is not set",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn without_any_credential_each_source_says_what_it_misses() {
    if !openssl() {
        return;
    }
    let world = World::new();
    world.program(
        "az",
        "#!/bin/sh\necho \"ERROR: Please run 'az login' to setup account.\" >&2\nexit 1\n",
    );
    let refused = world
        .stranger(&["public-key", "--key", &world.key("ec256")])
        .run()
        .code(1);
    let said = message(&refused);
    for part in [
        "AZURE_TENANT_ID is not set",
        "AZURE_FEDERATED_TOKEN_FILE is not set",
        "managed identity: no metadata service of Azure",
        "the Azure CLI (az): nobody is logged in (az login --tenant",
        "azd is not in PATH",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    world.program("az", "#!/bin/sh\nsleep 60\n");
    let slow = world
        .stranger(&[
            "public-key",
            "--key",
            &world.key("ec256"),
            "--timeout",
            "2s",
        ])
        .run()
        .code(1);
    assert!(
        message(&slow).contains("2s") || message(&slow).contains("within 2 s"),
        "{slow}"
    );
}
