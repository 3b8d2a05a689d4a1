//! Somebody else's plugin, `sigstore-kms-ourhsm`: here a script around OpenSSL, which knows nothing of this program.

use std::os::unix::fs::PermissionsExt as _;

use sealmark_testkit::Program;

use crate::bench::{Bench, Tool, have};
use crate::{message, share};

const PLUGIN: &str = r#"#!/bin/sh
set -e
args=$2
member() { printf %s "$args" | sed -n 's/.*"'"$1"'":"\([^"]*\)".*/\1/p'; }
key=$(member keyResourceID).hsm
digest() {
  case $args in
  *'"digest":"'*) member digest | openssl base64 -d -A > digest ;;
  *) openssl dgst -sha256 -binary > digest ;;
  esac
}
public() { printf '{"%s":{"publicKeyPEM":"%s"}}' "$1" "$(openssl pkey -in "$key" -pubout | openssl base64 -A)"; }
case $(member methodName) in
defaultAlgorithm) printf '{"defaultAlgorithm":{"defaultAlgorithm":"ecdsa-p256"}}' ;;
supportedAlgorithms) printf '{"supportedAlgorithms":{"supportedAlgorithms":["ecdsa-p256"]}}' ;;
createKey)
  if [ -e "$key" ]; then printf '{"errorMessage":"%s is there already"}' "$key"; exit 1; fi
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$key"
  public createKey ;;
publicKey) public publicKey ;;
signMessage)
  digest
  printf '{"signMessage":{"signature":"%s"}}' "$(openssl pkeyutl -sign -inkey "$key" -in digest | openssl base64 -A)" ;;
verifySignature)
  digest
  member signature | openssl base64 -d -A > signature
  if openssl pkeyutl -verify -inkey "$key" -in digest -sigfile signature > /dev/null; then
    printf '{"verifySignature":{}}'
  else
    printf '{"errorMessage":"the signature is not good"}'
  fi ;;
*) printf '{"errorMessage":"no such method"}' ;;
esac
"#;

#[test]
fn a_key_is_made_by_another_s_plugin_and_shared_with_cosign() {
    if !have(&["openssl", "cosign3"]) {
        return;
    }
    let bench = Bench::new();
    let program = bench.sandbox.write("bin/sigstore-kms-ourhsm", PLUGIN);
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", bench.sandbox.join("bin").display());
    let with = |program: Program| program.env("PATH", &path);
    let make = |tool: Tool, words: &[&str]| {
        with(
            bench
                .run(tool)
                .args(["generate-key-pair", "--kms"])
                .args(words),
        )
        .run()
    };

    let made = make(Tool::Sealmark, &["ourhsm://release"]).success();
    let made = made.stderr_has("Key made: ourhsm://release (ourhsm://release)");
    made.stderr_has("Public key written to cosign.pub");
    assert!(bench.sandbox.read("release.hsm").contains("PRIVATE KEY"));
    share(&bench, "ourhsm://release", with);
    // What the plugin is asked itself is asked once more.
    bench.sandbox.write("app.txt", "hello");
    let verify = [
        "verify-blob",
        "--verify-remotely",
        "--key",
        "ourhsm://release",
        "--bundle",
        "theirs",
        "app.txt",
    ];
    let verified = with(bench.run(Tool::Sealmark).args(verify)).run().success();
    verified.stderr_has("the provider of ourhsm://release verified it, too");

    let again = make(Tool::Sealmark, &["ourhsm://release", "--yes"]).code(1);
    assert_eq!(
        message(&again),
        "ourhsm://release: the plugin sigstore-kms-ourhsm says: release.hsm is there already"
    );
    let other = make(
        Tool::Sealmark,
        &["ourhsm://other", "--algorithm", "rsa-3072", "--yes"],
    )
    .code(1);
    assert_eq!(
        message(&other),
        "ourhsm://other: the plugin sigstore-kms-ourhsm makes no rsa-3072 keys; it makes: ecdsa-p256"
    );
    // A key that cosign has made there.
    make(Tool::Cosign3, &["ourhsm://theirs"]).success();
    share(&bench, "ourhsm://theirs", with);
}
