//! `jar` and `alpine`.

use super::{refused, taken};

#[test]
fn jars_are_taken_as_rekor_takes_them() {
    taken(&[
        "jar-block-attached",
        "jar-block-attached-no-attributes",
        "jar-block-chain",
        "jar-block-no-attributes",
        "jar-block-padded",
        "jar-block-plain",
        "jar-block-pss",
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
        "jar-timestamp",
        "jar-unsigned-entry",
    ]);
}

#[test]
fn jars_that_are_not_whole_are_refused() {
    refused(&[
        (
            "jar-bad-attached-other",
            false,
            "the content is not what was signed",
        ),
        ("jar-bad-block-trailing", false, "other bytes follow it"),
        (
            "jar-bad-key-id",
            false,
            "not supported: signers that are named by a key identifier",
        ),
        ("jar-bad-no-certificates", false, "which is not in it"),
        // Rekor logs the first certificate, and finds the entry by it, whoever's it is.
        (
            "jar-bad-other-certificate-first",
            true,
            "whose first certificate is not the signer's",
        ),
        (
            "jar-bad-other-content",
            false,
            "the content is not what was signed",
        ),
        (
            "jar-bad-pss-salt",
            true,
            "the PKCS #7 signature is not good",
        ),
        (
            "jar-bad-sha1-block",
            true,
            "not supported: the PKCS #7 signature's digest uses",
        ),
        ("jar-bad-timestamp", false, "is for another signature"),
        (
            "jar-bad-timestamp-signature",
            false,
            "the signature of the timestamp is not good",
        ),
        (
            "jar-bad-two-signers",
            true,
            "any other number than one signer",
        ),
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

#[test]
fn alpine_packages_are_taken_as_rekor_takes_them() {
    taken(&[
        "alpine-certificate",
        "alpine-hash",
        "alpine-no-data",
        "alpine-not-cut",
        "alpine-package",
        "alpine-pax",
        "alpine-quotes",
        "alpine-upper-datahash",
    ]);
}

#[test]
fn alpine_packages_that_are_not_whole_are_refused() {
    refused(&[
        (
            "alpine-bad-control",
            false,
            "did not make the signature \".SIGN.RSA.packager.rsa.pub\"",
        ),
        // Nine megabytes of zeros beside the .PKGINFO, in as many kilobytes.
        (
            "alpine-bad-control-large",
            true,
            "control.tar.gz exceeds max allowed size",
        ),
        ("alpine-bad-cut", false, "reading signature.tar.gz"),
        (
            "alpine-bad-data",
            false,
            "does not match value from .PKGINFO",
        ),
        (
            "alpine-bad-data-missing",
            false,
            "does not match value from .PKGINFO",
        ),
        (
            "alpine-bad-datahash",
            false,
            "does not match value from .PKGINFO (\"hello\")",
        ),
        // No tool signs packages so.
        (
            "alpine-bad-ecdsa",
            true,
            "only RSA with SHA-1 (.SIGN.RSA) is supported",
        ),
        (
            "alpine-bad-empty",
            false,
            "spec.package.content in body is required",
        ),
        (
            "alpine-bad-info",
            false,
            "key-value delimiter not found: \"no delimiter\"",
        ),
        (
            "alpine-bad-info-large",
            false,
            "exceeds max allowed size 1048576",
        ),
        // Rekor logs other bytes than were signed.
        ("alpine-bad-info-utf8", true, ".PKGINFO is not UTF-8"),
        ("alpine-bad-long-name", true, "entries of the type 'L'"),
        (
            "alpine-bad-no-datahash",
            false,
            "does not match value from .PKGINFO (\"\")",
        ),
        ("alpine-bad-no-gzip", false, "reading signature.tar.gz"),
        ("alpine-bad-no-info", false, ".PKGINFO file was not located"),
        (
            "alpine-bad-no-signature",
            false,
            "no signature detected in alpine package",
        ),
        ("alpine-bad-no-tar", false, "the tar archive ends too early"),
        ("alpine-bad-other-hash", false, "SHA mismatch"),
        (
            "alpine-bad-other-key",
            false,
            "publicKey, which is ecdsa-p256, did not make",
        ),
        (
            "alpine-bad-pax-path",
            true,
            "names or sizes in extended headers",
        ),
        (
            "alpine-bad-pem-signature",
            true,
            "not supported: signatures in PEM",
        ),
        (
            "alpine-bad-sha256",
            false,
            "\".SIGN.RSA256.x\"; only RSA with SHA-1",
        ),
        ("alpine-bad-signature", false, "did not make the signature"),
        (
            "alpine-bad-signature-large",
            false,
            "signature.tar.gz exceeds max allowed size",
        ),
        ("alpine-bad-tar-sum", false, "a checksum in the tar archive"),
        ("alpine-bad-two-infos", true, ".PKGINFO is there twice"),
        (
            "alpine-bad-unsigned",
            false,
            "no signature detected in alpine package",
        ),
        ("alpine-bad-upper-hash", false, "SHA mismatch"),
    ]);
}
