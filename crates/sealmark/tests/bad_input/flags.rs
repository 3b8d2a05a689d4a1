//! Flags that are unknown, contradict each other, or ask for what is not there yet.

use crate::{Ground, Table};

const IMAGE: &str = "127.0.0.1:9/team/app:v1";

#[test]
fn what_is_not_supported_says_what_is_missing() {
    let ground = Ground::new();
    let mut table = Table::default();
    for (line, message) in [
        (
            "sign --insecure-skip-verify --fulcio-url=https://fulcio.example.com IMAGE",
            "not supported: --insecure-skip-verify needs an unverified certificate authority, which this version lacks",
        ),
        (
            "sign --sk IMAGE",
            "not supported: --sk needs hardware tokens (PIV), which this version lacks",
        ),
        (
            "sign --timestamp-client-cert=client.pem IMAGE",
            "not supported: --timestamp-client-cert needs timestamps in files of their own, and client certificates for timestamp authorities, which this version lacks",
        ),
    ] {
        let line = line.replace("IMAGE", IMAGE);
        table.expect(&line, ground.sealmark(&line), 1, message);
    }
}

#[test]
fn services_that_are_missing_are_named() {
    let ground = Ground::new();
    let mut table = Table::default();
    for (line, message) in [
        (
            "sign-blob --rekor-url=https://rekor.example.com app.txt",
            "without --key a certificate authority is needed, and none is named: give a --signing-config that names one, --fulcio-url, or run `sealmark initialize` with an instance that has one",
        ),
        (
            "sign-blob --fulcio-url=https://fulcio.example.com app.txt",
            "a certificate for an identity is valid for minutes, so somebody else must say when the signature was made, and no transparency log or timestamp authority is named: give a --signing-config that names one, --rekor-url or --timestamp-server-url",
        ),
        (
            "sign-blob --use-signing-config=false app.txt",
            "without --key services are needed, and none are named: give --signing-config, or --fulcio-url with --rekor-url or --timestamp-server-url",
        ),
        (
            "sign-blob --key cosign.key --identity-token=x app.txt",
            "--key and --identity-token: sign with a key, or for an identity",
        ),
    ] {
        table.expect(line, ground.sealmark(line), 1, message);
    }
}

#[test]
fn flags_that_are_wrong() {
    let ground = Ground::new();
    ground.write("root.json", "[]");
    let mut table = Table::default();
    for (line, message) in [
        (
            "piv-tool IMAGE",
            "not supported: piv-tool, which cosign has and this version lacks",
        ),
        (
            "sign-blob --key cosign.key --bundle app.txt app.txt",
            "app.txt is a file that this command reads; nothing was written",
        ),
        (
            "sign-blob --key cosign.key --bundle cosign.key app.txt",
            "cosign.key is a file that this command reads; nothing was written",
        ),
        (
            "sign-blob --key cosign.key --bundle b --output-signature ./b app.txt",
            "./b is named for two outputs; nothing was written",
        ),
        (
            "public-key --key cosign.key --outfile cosign.key",
            "cosign.key is a file that this command reads; nothing was written",
        ),
        (
            "verify --key cosign.pub -a x=1 -a x=2 IMAGE",
            "-a x is given twice, with different values",
        ),
        (
            "sign --kye cosign.key IMAGE",
            "unexpected argument '--kye' found\n\n  tip: a similar argument exists: '--key'\n\nUsage: sealmark sign [OPTIONS] <IMAGE>...\n\nFor more information, try '--help'.",
        ),
        (
            "sign --annotation a=b --key cosign.key IMAGE",
            "unexpected argument '--annotation' found\n\n  tip: a similar argument exists: '--annotations'\n\nUsage: sealmark sign --annotations <KEY=VALUE> <IMAGE>...\n\nFor more information, try '--help'.",
        ),
        (
            "sing --key cosign.key IMAGE",
            "unrecognized subcommand 'sing'\n\n  tip: some similar subcommands exist: 'sign-blob', 'sign'\n\nUsage: sealmark [OPTIONS] <COMMAND>\n\nFor more information, try '--help'.",
        ),
        (
            "sign --key cosign.key",
            "the following required arguments were not provided:\n  <IMAGE>...\n\nUsage: sealmark sign --key <KEY> <IMAGE>...\n\nFor more information, try '--help'.",
        ),
        (
            "verify --key cosign.pub --timeout soon IMAGE",
            "invalid value 'soon' for '--timeout <TIME>': \"soon\" is not a time; write e.g. 90s, 3m or 1m30s\n\nFor more information, try '--help'.",
        ),
        (
            "verify --key cosign.pub -a novalue IMAGE",
            "-a novalue: an annotation is KEY=VALUE",
        ),
        (
            "verify --key cosign.pub -o yaml IMAGE",
            "invalid value 'yaml' for '--output <OUTPUT>'\n  [possible values: text, json, cosign, predicate]\n\nFor more information, try '--help'.",
        ),
        (
            "verify --key cosign.pub --check-claims=maybe IMAGE",
            "invalid value 'maybe' for '--check-claims[=<BOOL>]': value was not a boolean\n\nFor more information, try '--help'.",
        ),
        (
            "sign --key cosign.key --format legacy --bundle b.json IMAGE",
            "--bundle needs --format bundle or both",
        ),
        (
            "sign --key cosign.key --bundle b.json IMAGE IMAGE",
            "--bundle, --output-payload and --output-signature name one file, so they go with one image and without --recursive",
        ),
        (
            "verify IMAGE",
            "who must have signed? Give a public key with --key, or an identity with --certificate-identity and --certificate-oidc-issuer",
        ),
        (
            "verify-blob --signature AAAA app.txt",
            "who must have signed? Give a public key with --key, or an identity with --certificate-identity and --certificate-oidc-issuer",
        ),
        (
            "verify --certificate-identity=me@example.com IMAGE",
            "an identity is worth what its identity provider is: name it with --certificate-oidc-issuer (or --certificate-oidc-issuer-regexp)",
        ),
        (
            "verify --certificate-oidc-issuer=https://example.com IMAGE",
            "whose signature? Name the identity with --certificate-identity (or --certificate-identity-regexp)",
        ),
        (
            "verify --key cosign.pub --threshold 2 IMAGE",
            "--threshold 2: of 1 signers between 1 and 1 can be asked for",
        ),
        (
            "verify --key cosign.pub --trusted-root root.json IMAGE",
            "root.json: not a valid Sigstore trusted root: it is not a JSON object",
        ),
        (
            "verify --key cosign.pub --trusted-root none.json IMAGE",
            "cannot read none.json: No such file or directory (os error 2)",
        ),
        (
            "verify --key cosign.pub --registry-cacert none.pem registry.invalid/a:v1",
            "--registry-cacert: cannot read none.pem: No such file or directory (os error 2)",
        ),
        (
            "version --output-file none/out.txt",
            "cannot write none/out.txt: No such file or directory (os error 2)",
        ),
        (
            "version --output-file .",
            "cannot write .: Is a directory (os error 21)",
        ),
    ] {
        let line = line.replace("IMAGE", IMAGE);
        table.expect(&line, ground.sealmark(&line), 1, message);
    }
}
