//! `jar` and `alpine`.

use super::{refused, taken};

#[test]
fn jars_are_taken_as_rekor_takes_them() {
    taken(&[
        "jar-comment",
        "jar-hash",
        "jar-lower-case",
        "jar-named",
        "jar-p256",
        "jar-p384",
        "jar-prefix",
        "jar-rsa",
        "jar-rsa-pss",
        "jar-rsa-sha512",
        "jar-sections",
        "jar-stored",
        "jar-unsigned-entry",
    ]);
}

#[test]
fn jars_that_are_not_whole_are_refused() {
    refused(&[
        ("jar-bad-block", false, "not a valid PKCS #7 signature"),
        (
            "jar-bad-changed-file",
            false,
            "\"pkg/one.txt\" in MANIFEST.MF: sha256 mismatch",
        ),
        (
            "jar-bad-changed-manifest",
            false,
            "manifest signature: sha256 mismatch",
        ),
        (
            "jar-bad-changed-sf",
            false,
            "the content is not what was signed",
        ),
        ("jar-bad-cut", false, "not a valid zip file"),
        (
            "jar-bad-dsa",
            false,
            "not supported: the PKCS #7 signature's signature uses",
        ),
        ("jar-bad-duplicate", false, "\"pkg/one.txt\" is there twice"),
        (
            "jar-bad-duplicate-first",
            true,
            "\"pkg/one.txt\" is there twice",
        ),
        (
            "jar-bad-empty",
            false,
            "spec.archive.content in body is required",
        ),
        (
            "jar-bad-empty-zip",
            false,
            "JAR contains no META-INF/MANIFEST.MF",
        ),
        ("jar-bad-hash-algorithm", false, "should be one of [sha256]"),
        (
            "jar-bad-large-metadata",
            false,
            "exceeds max allowed size 1048576",
        ),
        // Rekor logs the block that nobody checked, and finds the entry by it.
        ("jar-bad-loose-block", true, "several signature blocks"),
        (
            "jar-bad-missing-file",
            false,
            "it is in manifest but not JAR",
        ),
        ("jar-bad-no-block", false, "with no matching signature"),
        (
            "jar-bad-no-content",
            false,
            "spec.archive.content in body is required",
        ),
        (
            "jar-bad-no-manifest",
            false,
            "JAR contains no META-INF/MANIFEST.MF",
        ),
        ("jar-bad-no-sf", false, "JAR contains no signatures"),
        ("jar-bad-no-zip", false, "not a valid zip file"),
        ("jar-bad-other-hash", false, "SHA mismatch"),
        ("jar-bad-sha1", true, "not supported"),
        ("jar-bad-sha1-digests", true, "not supported"),
        ("jar-bad-short-hash", false, "SHA mismatch"),
        ("jar-bad-two", false, "multiple signatures detected in JAR"),
        (
            "jar-bad-two-manifests",
            true,
            "the JAR has several manifests",
        ),
        ("jar-bad-unsigned", false, "JAR contains no signatures"),
        ("jar-bad-upper-hash", false, "SHA mismatch"),
        ("jar-ed25519", false, "1.3.101.112"),
    ]);
}
