//! `cose`, `rfc3161` and `tuf`.

use super::{Case, refused, taken};

#[test]
fn cose_messages_are_taken_as_rekor_takes_them() {
    taken(&[
        "cose-certificate",
        "cose-es256",
        "cose-es256-aad",
        "cose-es256-empty-payload",
        "cose-es256-no-algorithm-but-aad",
        "cose-headers",
        "cose-intoto",
        "cose-intoto-no-statement",
        "cose-intoto-unprotected-type",
        "cose-long-length",
        "cose-ps256",
    ]);
}

#[test]
fn cose_messages_that_are_not_whole_are_refused() {
    refused(&[
        (
            "cose-bad-algorithm-text",
            false,
            "not supported: algorithms that are named by text",
        ),
        (
            "cose-bad-both-ivs",
            false,
            "IV and Partial IV must not both be present",
        ),
        (
            "cose-bad-content-type",
            false,
            "not of the form type/subtype",
        ),
        (
            "cose-bad-crit-missing",
            false,
            "missing critical header: Number(7)",
        ),
        (
            "cose-bad-crit-unprotected",
            false,
            "crit is not allowed there",
        ),
        ("cose-bad-cut", false, "the CBOR ends too early"),
        ("cose-bad-deep", false, "nested deeper than 16 levels"),
        (
            "cose-bad-duplicate-label",
            false,
            "the label Number(1) is there twice",
        ),
        ("cose-bad-empty", false, "spec.message in body is required"),
        ("cose-bad-huge-length", false, "the CBOR ends too early"),
        (
            "cose-bad-indefinite",
            false,
            "indefinite lengths are not allowed",
        ),
        ("cose-bad-kid", false, "kid or an IV is no byte string"),
        (
            "cose-bad-label-type",
            false,
            "a label is neither an integer nor text",
        ),
        ("cose-bad-nil-payload", false, "missing payload"),
        ("cose-bad-no-algorithm", false, "algorithm not found"),
        (
            "cose-bad-no-cbor",
            false,
            "not a COSE_Sign1 message with its tag",
        ),
        (
            "cose-bad-no-key",
            false,
            "spec.publicKey: the key file is not PEM",
        ),
        ("cose-bad-no-signature", false, "empty signature"),
        ("cose-bad-other-aad", false, "verification error"),
        ("cose-bad-other-key", false, "algorithm mismatch"),
        (
            "cose-bad-p384",
            false,
            "not supported: COSE messages that are signed with",
        ),
        ("cose-bad-ps512", false, "algorithm mismatch"),
        ("cose-bad-signature", false, "verification error"),
        ("cose-bad-tag-inside", false, "CBOR tags are not allowed"),
        ("cose-bad-trailing", false, "1 more bytes follow the CBOR"),
        (
            "cose-bad-untagged",
            false,
            "not a COSE_Sign1 message with its tag",
        ),
    ]);
}

#[test]
fn timestamps_are_taken_as_rekor_takes_them() {
    taken(&[
        "rfc3161-ess-v1",
        "rfc3161-p256",
        "rfc3161-p384",
        "rfc3161-rsa",
    ]);
}

#[test]
fn timestamps_that_are_not_whole_are_refused() {
    refused(&[
        ("rfc3161-bad-bare", false, "its reply is malformed"),
        ("rfc3161-bad-changed", false, "changed after it was signed"),
        ("rfc3161-bad-cut", false, "its reply is malformed"),
        (
            "rfc3161-bad-large",
            false,
            "tsr exceeds maximum allowed size (10kB)",
        ),
        ("rfc3161-bad-no-certificate", false, "which is not in it"),
        ("rfc3161-bad-no-tsr", false, "its reply is malformed"),
        ("rfc3161-bad-other-type", false, "it is not signed data"),
        ("rfc3161-bad-rejected", false, "gave no timestamp: status 2"),
        // Too weak since before there was a log.
        (
            "rfc3161-bad-sha1",
            true,
            "1.3.14.3.2.26, which is not supported",
        ),
        (
            "rfc3161-bad-signature",
            false,
            "the signature of the timestamp is not good",
        ),
        // Whatever stands after it would be logged with it.
        ("rfc3161-bad-trailing", true, "its reply is malformed"),
    ]);
}

#[test]
fn tuf_metadata_is_taken_as_rekor_takes_it() {
    taken(&[
        "tuf-base64",
        "tuf-dropped-fields",
        "tuf-no-spec-version",
        "tuf-other-key-id",
        "tuf-root",
        "tuf-snapshot-old-key",
        "tuf-targets",
        "tuf-timestamp",
        "tuf-unknown-signature",
    ]);
}

/// Rekor asks its clock. Here nobody does: what has expired is still what was signed.
#[test]
fn tuf_metadata_that_has_expired_is_taken() {
    for name in ["tuf-expired", "tuf-expired-root"] {
        Case::load(name).read().unwrap();
    }
}

#[test]
fn tuf_metadata_that_is_not_whole_is_refused() {
    const THRESHOLD: &str = "valid signatures did not meet threshold: ";
    refused(&[
        ("tuf-bad-changed", false, THRESHOLD),
        (
            "tuf-bad-duplicate",
            false,
            "the member \"version\" occurs twice",
        ),
        ("tuf-bad-expiry", false, "expires is no time of RFC 3339"),
        ("tuf-bad-float", false, "a number that is no integer"),
        ("tuf-bad-hex", false, "a signature is not hex"),
        // go-tuf signs with the longest salt that fits, python-tuf with one as long as the hash.
        ("tuf-bad-long-salt", true, THRESHOLD),
        ("tuf-bad-no-base64", false, "must be of type byte"),
        ("tuf-bad-no-expiry", false, "missing field `expires`"),
        ("tuf-bad-no-json", false, "spec.metadata.content: "),
        (
            "tuf-bad-null",
            false,
            "spec.metadata.content in body is required",
        ),
        (
            "tuf-bad-number",
            false,
            "spec.metadata.content in body must be of type object",
        ),
        ("tuf-bad-other-role-key", false, THRESHOLD),
        ("tuf-bad-other-type", false, "unknown role \"mirrors\""),
        (
            "tuf-bad-root-not-root",
            false,
            "spec.root.content: missing field `keys`",
        ),
        (
            "tuf-bad-root-threshold",
            false,
            "1 of the keys of root signed, 2 must",
        ),
        (
            "tuf-bad-root-unsigned",
            false,
            "0 of the keys of root signed, 2 must",
        ),
        (
            "tuf-bad-same-key-twice",
            false,
            "1 of the keys of timestamp signed, 2 must",
        ),
        (
            "tuf-bad-same-key-two-ids",
            false,
            "1 of the keys of timestamp signed, 2 must",
        ),
        (
            "tuf-bad-threshold",
            false,
            "1 of the keys of timestamp signed, 2 must",
        ),
        ("tuf-bad-threshold-zero", false, "invalid role threshold"),
        (
            "tuf-bad-unknown-key",
            false,
            "a key of the type \"ml-dsa\" and the scheme \"ml-dsa-44\"",
        ),
        ("tuf-bad-unknown-role", false, "unknown role \"mirrors\""),
        ("tuf-bad-version", false, "invalid type: string \"12\""),
    ]);
}
