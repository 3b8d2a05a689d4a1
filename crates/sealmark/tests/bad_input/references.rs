//! References that name no image.

use crate::{Ground, Table};

#[test]
fn a_reference_that_does_not_parse() {
    let ground = Ground::new();
    let mut table = Table::default();
    for (reference, message) in [
        (
            "registry.example/Team/App:v1",
            "\"registry.example/Team/App:v1\" is not an image reference: uppercase letters are not allowed in a repository name",
        ),
        (
            "registry.example/app@sha256:abc",
            "\"registry.example/app@sha256:abc\" is not an image reference: bad digest: the number of hex digits does not fit the algorithm",
        ),
        (
            "registry.example/app@md5:d41d8cd98f00b204e9800998ecf8427e",
            "\"registry.example/app@md5:d41d8cd98f00b204e9800998ecf8427e\" is not an image reference: bad digest: the algorithm is none of sha256, sha384, sha512",
        ),
        (
            "http://registry.example/app:v1",
            "\"http://registry.example/app:v1\" is not an image reference: leave http:// away, as in registry.example/app:v1",
        ),
        (
            "registry.example/app:v 1",
            "\"registry.example/app:v 1\" is not an image reference: the character ' ' is not allowed",
        ),
        (
            "registry.example/app:\u{1b}[2J",
            "\"registry.example/app:\\u{1b}[2J\" is not an image reference: the character '\\u{1b}' is not allowed",
        ),
        (
            "registry.example/app:",
            "\"registry.example/app:\" is not an image reference: the tag after ':' is empty",
        ),
        ("", "\"\" is not an image reference: it is empty"),
    ] {
        for command in ["sign", "verify"] {
            let key = if command == "sign" {
                "cosign.key"
            } else {
                "cosign.pub"
            };
            let program = ground.sealmark(command).args(["--key", key, reference]);
            table.expect(&format!("{command} {reference:?}"), program, 1, message);
        }
    }
}

#[test]
fn a_layout_that_is_none() {
    let ground = Ground::new();
    ground.write("dir/file", "");
    ground.write("layout/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    ground.write("layout/index.json", r#"{"schemaVersion":2,"manifests":[]}"#);
    let mut table = Table::default();
    for (path, exit, message) in [
        (
            "missing",
            1,
            "OCI layout missing is malformed: there is no such directory",
        ),
        (
            "dir",
            1,
            "OCI layout dir is malformed: there is no file `oci-layout`",
        ),
        (
            "layout",
            11,
            "not found: an image in OCI layout layout (the layout has no images)",
        ),
        (
            "layout:v1",
            11,
            "not found: v1 in OCI layout layout (the layout has no images)",
        ),
    ] {
        let line = format!("verify --key cosign.pub --local-image {path}");
        table.expect(path, ground.sealmark(&line), exit, message);
    }
}
