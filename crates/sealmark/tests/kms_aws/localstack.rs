//! LocalStack's KMS: keys of every kind that it has, and cosign with the same keys.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sealmark_testkit::{
    FaultyServer, Finished, Program, Sandbox, SealmarkRegistry, Server, get, images,
    require_or_skip,
};

use super::{SEALMARK, sealmark};

/// What LocalStack has; it has no Ed25519.
const ALGORITHMS: [&str; 6] = [
    "ecdsa-p256",
    "ecdsa-p384",
    "ecdsa-p521",
    "rsa-2048",
    "rsa-3072",
    "rsa-4096",
];
/// How long LocalStack may take to start on a busy machine.
const START: Duration = Duration::from_secs(180);

pub(super) fn start(sandbox: &Sandbox, program: PathBuf) -> (Server, String) {
    let address = FaultyServer::nobody();
    let (server, ()) = sandbox
        .command(program)
        .arg(&address)
        .env("CUSTOM_SSL_CERT_PATH", sandbox.join("server.pem"))
        .serve(|line| line.contains("starting LocalStack").then_some(()));
    let begun = Instant::now();
    while get(&address, "/_localstack/health").map_or(true, |answer| answer.status != 200) {
        assert!(
            begun.elapsed() < START,
            "LocalStack does not start\n{}",
            server.log()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    (server, address)
}

/// `ca.pem`, and `server.pem` with a key and the certificate that the authority has signed for `localhost`.
pub(super) fn certificates(sandbox: &Sandbox, openssl: &Path) {
    let run = |line: &str| {
        let openssl = sandbox.command(openssl).args(line.split(' '));
        openssl.run().success();
    };
    let new = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    run(&format!(
        "{new} -x509 -days 2 -subj /CN=test-authority -keyout ca.key -out ca.pem"
    ));
    run(&format!(
        "{new} -subj /CN=localhost -keyout server.key -out server.csr"
    ));
    sandbox.write("names", "subjectAltName=DNS:localhost\n");
    run(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt",
    );
    let both = sandbox.read("server.key") + &sandbox.read("server.crt");
    sandbox.write("server.pem", both);
}

#[test]
fn keys_of_every_kind_are_made_and_sign_and_cosign_agrees() {
    let localstack = require_or_skip!("localstack");
    let cosign = require_or_skip!("cosign3");
    let Some(images) = images() else { return };
    let sandbox = Sandbox::new();
    let openssl = require_or_skip!("openssl");
    certificates(&sandbox, &openssl);
    let (_server, kms) = start(&sandbox, localstack);
    let registry = SealmarkRegistry::start(SEALMARK);
    sandbox.write("file", "what is signed");
    sandbox.write("other", "what is not signed");
    let config = sandbox.join("signing-config.json");
    sandbox
        .command(&cosign)
        .args(["signing-config", "create", "--out"])
        .arg(&config)
        .run()
        .success();
    let ours = |line: &str| sealmark(&sandbox, &kms, line).run();
    let theirs = |line: &str| -> Finished {
        let line = line.replace("CONFIG", &config.display().to_string());
        let program: Program = sandbox.command(&cosign).args(line.split(' '));
        program
            .env("AWS_ENDPOINT_URL", format!("http://{kms}"))
            .env("AWS_REGION", "us-west-2")
            .env("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .run()
    };
    for algorithm in ALGORITHMS {
        let key = format!("awskms:///alias/{algorithm}");
        let made = ours(&format!(
            "generate-key-pair --kms {key} --algorithm {algorithm} --output-key-prefix {algorithm}"
        ))
        .success();
        assert!(
            made.stderr()
                .contains("Key made: awskms:///arn:aws:kms:us-west-2:000000000000:key/"),
            "{made}"
        );
        let public = ours(&format!("public-key --key {key}")).success().stdout();
        assert_eq!(public, sandbox.read(format!("{algorithm}.pub")));
        let again = ours(&format!("generate-key-pair --kms {key} --yes")).code(1);
        assert!(
            again
                .stderr()
                .contains("the alias is that of the key arn:aws:kms:"),
            "{again}"
        );

        // A file: with ours, with theirs, each checked by both, with the key in KMS and with the file.
        ours(&format!("sign-blob --key {key} --bundle ours.bundle file")).success();
        theirs(&format!(
            "sign-blob --key {key} --yes --signing-config CONFIG --bundle theirs.bundle file"
        ))
        .success();
        for bundle in ["ours.bundle", "theirs.bundle"] {
            let line = format!("verify-blob --key {key} --bundle {bundle}");
            ours(&format!("{line} file")).success();
            ours(&format!("{line} --verify-remotely file")).success();
            ours(&format!("{line} other")).code(12);
            ours(&format!(
                "verify-blob --key {algorithm}.pub --bundle {bundle} file"
            ))
            .success();
            theirs(&format!("{line} --insecure-ignore-tlog file")).success();
        }

        // An image.
        for (signer, name) in [(true, "ours"), (false, "theirs")] {
            let image = format!("{}/{name}-{algorithm}:v1", registry.address());
            if !images.push(&sandbox, images.single, &image) {
                return;
            }
            match signer {
                true => ours(&format!("sign --key {key} {image}")),
                false => theirs(&format!(
                    "sign --key {key} --yes --signing-config CONFIG --allow-http-registry {image}"
                )),
            }
            .success();
            ours(&format!("verify --key {key} --verify-remotely {image}")).success();
            theirs(&format!(
                "verify --key {key} --insecure-ignore-tlog --allow-http-registry {image}"
            ))
            .success();
        }
    }
    // An endpoint in the reference, which is always reached with TLS, wins over the one that is set.
    let port = kms.rsplit(':').next().unwrap_or_default();
    let key = format!("awskms://localhost:{port}/alias/ecdsa-p256");
    let line = format!("sign-blob --key {key} --bundle tls.bundle file");
    let tls = |line: &str, authorities: &str| {
        let program = sealmark(&sandbox, &FaultyServer::nobody(), line);
        program
            .env("AWS_CA_BUNDLE", sandbox.join(authorities))
            .run()
    };
    tls(&line, "ca.pem").success();
    theirs("verify-blob --key awskms:///alias/ecdsa-p256 --bundle tls.bundle --insecure-ignore-tlog file").success();
    let strange = sealmark(&sandbox, &FaultyServer::nobody(), &line)
        .run()
        .code(1);
    let expected = format!(
        "AWS KMS: POST https://localhost:{port}/: cannot connect: invalid peer certificate: UnknownIssuer"
    );
    assert!(strange.stderr().contains(&expected), "{strange}");
    let missing = tls(&line, "none.pem").code(1);
    assert!(
        missing.stderr().contains("none.pem: there is no such file"),
        "{missing}"
    );

    let id = ours("generate-key-pair --kms awskms:///61c124fb-bf47-4f95-a805-65dda7cd08ae").code(1);
    assert!(
        id.stderr()
            .contains("a new key gets its id from AWS; name it by an alias: awskms:///alias/NAME"),
        "{id}"
    );
    let none = ours("sign-blob --key awskms:///alias/none file").code(1);
    assert!(
        none.stderr().contains("NotFoundException: ")
            && none
                .stderr()
                .contains("aliases belong to one account and region"),
        "{none}"
    );
}
