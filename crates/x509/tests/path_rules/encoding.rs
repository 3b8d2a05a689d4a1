//! The fields of a certificate, and DER: one way to write each value, and nothing behind it.

use crate::draft::{
    Accepted, BASIC_CONSTRAINTS, ECDSA_SHA256, KEY_USAGE, Refused, algorithm, check, generalized,
    name, name_as, utc,
};
use crate::issuing::{DAY, NOW, sequence, tlv};

#[test]
fn versions() {
    check(&[
        ("1 in the leaf", Refused("UnsupportedCertVersion"), |c| {
            c.leaf.version = Vec::new();
        }),
        ("1 in the CA, with extensions", Refused(""), |c| {
            c.ca.version = Vec::new()
        }),
        ("1 in the CA", Refused(""), |c| {
            c.ca.version = Vec::new();
            c.ca.extensions = None;
        }),
        ("1 in the root", Refused("is not that of a CA"), |c| {
            c.root.version = Vec::new();
            c.root.extensions = None;
        }),
        ("1 written out", Refused(""), |c| {
            c.leaf.version = vec![0xa0, 3, 2, 1, 0]
        }),
        ("2", Refused(""), |c| {
            c.leaf.version = vec![0xa0, 3, 2, 1, 1]
        }),
        ("4", Refused(""), |c| {
            c.leaf.version = vec![0xa0, 3, 2, 1, 3]
        }),
    ]);
}

#[test]
fn serial_numbers() {
    check(&[
        ("zero", Accepted, |c| c.leaf.serial = vec![2, 1, 0]),
        ("negative", Refused("its serial number is negative"), |c| {
            c.leaf.serial = vec![2, 1, 0x80]
        }),
        (
            "negative in the CA",
            Refused("its serial number is negative"),
            |c| {
                c.ca.serial = vec![2, 1, 0xff];
            },
        ),
        ("20 octets", Accepted, |c| {
            c.leaf.serial = tlv(2, &[0x7f; 20])
        }),
        ("20 octets, the first of them high", Accepted, |c| {
            c.leaf.serial = tlv(2, &[&[0][..], &[0xff; 20]].concat());
        }),
        ("21 octets", Refused("more than 20 octets"), |c| {
            c.leaf.serial = tlv(2, &[0x7f; 21]);
        }),
        (
            "without octets",
            Refused("not a valid X.509 certificate"),
            |c| c.leaf.serial = vec![2, 0],
        ),
        (
            "a zero octet in front",
            Refused("not a valid X.509 certificate"),
            |c| {
                c.leaf.serial = vec![2, 2, 0, 1];
            },
        ),
    ]);
}

#[test]
fn validity() {
    const EXPIRED: &str = "had expired";
    const EARLY: &str = "was not yet valid";
    // 2023-01-01 to 2025-01-01.
    const FIRST: u64 = NOW - 365 * DAY;
    const LAST: u64 = NOW + 366 * DAY;
    check(&[
        ("the first second", Accepted, |c| c.at = FIRST),
        ("the second before", Refused(EARLY), |c| c.at = FIRST - 1),
        ("the last second", Accepted, |c| c.at = LAST),
        ("the second after", Refused(EXPIRED), |c| c.at = LAST + 1),
        (
            "the CA expired before the leaf",
            Refused("\"CN=ca\" had expired"),
            |c| {
                c.ca.validity = sequence(&[utc("230101000000Z"), utc("231231235959Z")]);
            },
        ),
        (
            "the CA begins after the leaf",
            Refused("\"CN=ca\" was not yet valid"),
            |c| {
                c.ca.validity = sequence(&[utc("240101000001Z"), utc("250101000000Z")]);
            },
        ),
        (
            "the root expired before the leaf",
            Refused("\"CN=root\" had expired"),
            |c| {
                c.root.validity = sequence(&[utc("230101000000Z"), utc("231231235959Z")]);
            },
        ),
        ("the end before the start", Refused(EXPIRED), |c| {
            c.leaf.validity = sequence(&[utc("230101000000Z"), utc("220101000000Z")]);
        }),
        ("1970", Refused(EXPIRED), |c| {
            c.leaf.validity = sequence(&[utc("700101000000Z"), utc("700102000000Z")]);
        }),
        ("1950, which UTCTime calls 50", Refused("UTCTime"), |c| {
            c.leaf.validity = sequence(&[utc("500101000000Z"), utc("250101000000Z")]);
        }),
        ("2049", Accepted, |c| {
            c.leaf.validity = sequence(&[utc("230101000000Z"), utc("491231235959Z")]);
        }),
        ("9999, for ever", Accepted, |c| {
            c.leaf.validity = sequence(&[utc("230101000000Z"), generalized("99991231235959Z")]);
        }),
        ("GeneralizedTime before 2050", Accepted, |c| {
            c.leaf.validity = sequence(&[generalized("20230101000000Z"), utc("250101000000Z")]);
        }),
    ]);
}

#[test]
fn forms_of_times() {
    const MALFORMED: &str = "not a valid X.509 certificate";
    check(&[
        ("GeneralizedTime with a fraction", Refused(MALFORMED), |c| {
            c.leaf.validity = sequence(&[utc("230101000000Z"), generalized("20500101000000.5Z")]);
        }),
        ("GeneralizedTime without seconds", Refused(MALFORMED), |c| {
            c.leaf.validity = sequence(&[utc("230101000000Z"), generalized("205001010000Z")]);
        }),
        ("GeneralizedTime with an offset", Refused(MALFORMED), |c| {
            c.leaf.validity = sequence(&[utc("230101000000Z"), generalized("20500101000000+0100")]);
        }),
        ("UTCTime without seconds", Refused(MALFORMED), |c| {
            c.leaf.validity = sequence(&[utc("2301010000Z"), utc("250101000000Z")]);
        }),
        ("UTCTime with an offset", Refused(MALFORMED), |c| {
            c.leaf.validity = sequence(&[utc("230101000000+0100"), utc("250101000000Z")]);
        }),
        ("UTCTime without Z", Refused(MALFORMED), |c| {
            c.leaf.validity = sequence(&[utc("230101000000"), utc("250101000000Z")]);
        }),
        ("the 30th of February", Refused(MALFORMED), |c| {
            c.leaf.validity = sequence(&[utc("230230000000Z"), utc("250101000000Z")]);
        }),
        ("one time only", Refused(MALFORMED), |c| {
            c.leaf.validity = sequence(&[utc("230101000000Z")]);
        }),
    ]);
}

#[test]
fn names() {
    check(&[
        ("the leaf without a subject", Accepted, |c| {
            c.leaf.subject = sequence(&[])
        }),
        (
            "a CA without a subject",
            Refused("it is that of a CA without a name"),
            |c| {
                c.ca.subject = sequence(&[]);
                c.leaf.issuer = sequence(&[]);
            },
        ),
        (
            "a root without a subject",
            Refused("it is that of a CA without a name"),
            |c| {
                c.root.subject = sequence(&[]);
                c.root.issuer = sequence(&[]);
                c.ca.issuer = sequence(&[]);
            },
        ),
        (
            "an issuer that is nobody",
            Refused("which is not trusted"),
            |c| {
                c.leaf.issuer = sequence(&[]);
            },
        ),
        (
            "the issuer's name in other letters",
            Refused("which is not trusted"),
            |c| {
                c.leaf.issuer = name("CA");
            },
        ),
        (
            "the issuer's name as another string type",
            Refused("which is not trusted"),
            |c| {
                c.leaf.issuer = name_as(0x13, "ca");
            },
        ),
        ("the anchor is issued by another", Accepted, |c| {
            c.root.issuer = name("higher")
        }),
    ]);
}

#[test]
fn der() {
    const MALFORMED: &str = "not a valid X.509 certificate";
    check(&[
        ("bytes behind the certificate", Refused(MALFORMED), |c| {
            c.leaf.spoil = |der| [der, vec![0]].concat();
        }),
        (
            "bytes behind the CA's certificate",
            Refused(MALFORMED),
            |c| {
                c.ca.spoil = |der| [der, vec![5, 0]].concat();
            },
        ),
        ("a byte is missing", Refused(MALFORMED), |c| {
            c.leaf.spoil = |der| der[..der.len() - 1].to_vec();
        }),
        ("bytes behind the extensions", Refused(MALFORMED), |c| {
            c.leaf.rest = vec![5, 0]
        }),
        ("an indefinite length outside", Refused(MALFORMED), |c| {
            c.leaf.spoil = |der| [&[0x30, 0x80][..], &der[4..], &[0, 0]].concat();
        }),
        (
            "an indefinite length in the name",
            Refused(MALFORMED),
            |c| {
                c.leaf.subject = vec![0x30, 0x80, 0, 0];
            },
        ),
        (
            "a length in two bytes that fits in one",
            Refused(MALFORMED),
            |c| {
                c.leaf.serial = vec![2, 0x81, 1, 7];
            },
        ),
        ("a length with a zero in front", Refused(MALFORMED), |c| {
            c.leaf.spoil = |der| [&[0x30, 0x83, 0][..], &der[2..]].concat();
        }),
        ("TRUE as 1", Refused("basicConstraints is malformed"), |c| {
            c.ca.set(BASIC_CONSTRAINTS, true, &sequence(&[vec![1, 1, 1]]));
        }),
        (
            "unused bits that are set",
            Refused("keyUsage is malformed"),
            |c| {
                c.leaf.set(KEY_USAGE, true, &[3, 2, 7, 0xff]);
            },
        ),
        (
            "bytes behind a value",
            Refused("basicConstraints is malformed"),
            |c| {
                c.ca.set(BASIC_CONSTRAINTS, true, &[0x30, 3, 1, 1, 0xff, 5, 0]);
            },
        ),
        (
            "an empty list of extensions",
            Refused("is not for codeSigning"),
            |c| {
                c.leaf.extensions = Some(Vec::new());
            },
        ),
        ("unique ids", Refused("TrailingData"), |c| {
            c.leaf.unique_ids = vec![0x81, 2, 0, 7]
        }),
    ]);
}

#[test]
fn the_algorithm_is_named_twice_and_the_same() {
    const MISMATCH: &str = "SignatureAlgorithmMismatch";
    check(&[
        ("other outside of the leaf", Refused(MISMATCH), |c| {
            c.leaf.outer_algorithm = algorithm("1.2.840.10045.4.3.3");
        }),
        ("other inside of the leaf", Refused(MISMATCH), |c| {
            c.leaf.inner_algorithm = algorithm("1.2.840.10045.4.3.3");
        }),
        ("parameters only outside", Refused(MISMATCH), |c| {
            let with_null = [algorithm(ECDSA_SHA256)[2..].to_vec(), vec![5, 0]].concat();
            c.leaf.outer_algorithm = tlv(0x30, &with_null);
        }),
        ("other inside of the CA", Refused(""), |c| {
            c.ca.inner_algorithm = algorithm("1.2.840.10045.4.3.3");
        }),
        ("other inside of the root", Refused(MISMATCH), |c| {
            c.root.inner_algorithm = algorithm("1.2.840.10045.4.3.3");
        }),
    ]);
}
