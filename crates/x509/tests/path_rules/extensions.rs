//! Extensions: what must be there, what must not, and what must be understood.

use crate::draft::{ANY_PURPOSE, CODE_SIGNING, SERVER_AUTH, TIME_STAMPING};
use crate::draft::{
    AUTHORITY_KEY_ID, Accepted, BASIC_CONSTRAINTS, EMAIL, EXTENDED_KEY_USAGE, KEY_USAGE, Refused,
    SUBJECT_ALT_NAME, SUBJECT_KEY_ID, URI, check, names, purposes,
};
use crate::issuing::{sequence, tlv};

const UNKNOWN: &str = "1.2.3.4";
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
const POLICIES: &str = "2.5.29.32";

#[test]
fn the_chain_that_the_rows_change_is_good() {
    check(&[("nothing is changed", Accepted, |_| {})]);
}

#[test]
fn unknown_extensions() {
    check(&[
        ("not critical", Accepted, |c| {
            c.leaf.add(UNKNOWN, false, &[5, 0]);
            c.ca.add(UNKNOWN, false, &[5, 0]);
            c.root.add(UNKNOWN, false, &[5, 0]);
        }),
        ("critical in the leaf", Refused("that is not known"), |c| {
            c.leaf.add(UNKNOWN, true, &[5, 0]);
        }),
        ("critical in the CA", Refused("that is not known"), |c| {
            c.ca.add(UNKNOWN, true, &[5, 0]);
        }),
        (
            "critical in the root",
            Refused("\"CN=root\" cannot be used in a chain: its critical extension 1.2.3.4"),
            |c| {
                c.root.add(UNKNOWN, true, &[5, 0]);
            },
        ),
        (
            "critical policies in the CA",
            Refused("that is not known"),
            |c| {
                c.ca.add(POLICIES, true, &sequence(&[purposes(&[ANY_PURPOSE])]));
            },
        ),
        ("critical policies in the root", Accepted, |c| {
            c.root
                .add(POLICIES, true, &sequence(&[purposes(&[ANY_PURPOSE])]));
        }),
        ("twice in the leaf", Refused("it is there twice"), |c| {
            c.leaf.add(UNKNOWN, false, &[5, 0]);
            c.leaf.add(UNKNOWN, false, &[5, 0]);
        }),
        ("twice in the CA", Refused("it is there twice"), |c| {
            c.ca.add(BASIC_CONSTRAINTS, true, &sequence(&[]));
        }),
        ("twice in the root", Refused("it is there twice"), |c| {
            c.root.add(KEY_USAGE, true, &[3, 2, 2, 4]);
        }),
    ]);
}

#[test]
fn basic_constraints() {
    const NOT_CA: &str = "is not that of a CA";
    check(&[
        ("absent in the CA", Refused(NOT_CA), |c| {
            c.ca.remove(BASIC_CONSTRAINTS)
        }),
        ("absent in the root", Refused(NOT_CA), |c| {
            c.root.remove(BASIC_CONSTRAINTS)
        }),
        ("no CA in the CA", Refused(NOT_CA), |c| {
            c.ca.set(BASIC_CONSTRAINTS, true, &sequence(&[]))
        }),
        ("no CA in the root", Refused(NOT_CA), |c| {
            c.root.set(BASIC_CONSTRAINTS, true, &sequence(&[]));
        }),
        ("not critical in the CA", Accepted, |c| {
            c.ca.set(BASIC_CONSTRAINTS, false, &sequence(&[vec![1, 1, 0xff]]));
        }),
        ("not critical in the root", Accepted, |c| {
            c.root
                .set(BASIC_CONSTRAINTS, false, &sequence(&[vec![1, 1, 0xff]]));
        }),
        ("said to be no CA in the leaf", Accepted, |c| {
            c.leaf.set(BASIC_CONSTRAINTS, true, &sequence(&[]));
        }),
        (
            "a CA as the leaf",
            Refused("CAs sign certificates and nothing else"),
            |c| {
                c.leaf
                    .set(BASIC_CONSTRAINTS, true, &sequence(&[vec![1, 1, 0xff]]));
            },
        ),
        ("the default written out", Accepted, |c| {
            c.leaf
                .set(BASIC_CONSTRAINTS, true, &sequence(&[vec![1, 1, 0]]));
        }),
        ("no extensions at all in the CA", Refused(NOT_CA), |c| {
            c.ca.extensions = None
        }),
        (
            "no extensions at all in the leaf",
            Refused("is not for codeSigning"),
            |c| {
                c.leaf.extensions = None;
            },
        ),
    ]);
}

#[test]
fn path_length() {
    fn of(length: &[u8]) -> Vec<u8> {
        sequence(&[vec![1, 1, 0xff], tlv(2, length)])
    }
    check(&[
        ("0 in the CA", Accepted, |c| {
            c.ca.set(BASIC_CONSTRAINTS, true, &of(&[0]))
        }),
        ("1 in the root", Accepted, |c| {
            c.root.set(BASIC_CONSTRAINTS, true, &of(&[1]))
        }),
        ("255 in the root", Accepted, |c| {
            c.root.set(BASIC_CONSTRAINTS, true, &of(&[0, 255]))
        }),
        (
            "0 in the root",
            Refused("allows 0 CAs below it, and there are 1"),
            |c| {
                c.root.set(BASIC_CONSTRAINTS, true, &of(&[0]));
            },
        ),
        (
            "256 in the root",
            Refused("basicConstraints is malformed"),
            |c| {
                c.root.set(BASIC_CONSTRAINTS, true, &of(&[1, 0]));
            },
        ),
        (
            "negative in the CA",
            Refused("basicConstraints is malformed"),
            |c| {
                c.ca.set(BASIC_CONSTRAINTS, true, &of(&[0xff]));
            },
        ),
    ]);
}

#[test]
fn key_usage() {
    check(&[
        ("absent in the CA", Accepted, |c| c.ca.remove(KEY_USAGE)),
        ("absent in the leaf", Accepted, |c| c.leaf.remove(KEY_USAGE)),
        ("not critical", Accepted, |c| {
            c.ca.set(KEY_USAGE, false, &[3, 2, 2, 0x04]);
            c.leaf.set(KEY_USAGE, false, &[3, 2, 7, 0x80]);
        }),
        (
            "no keyCertSign in the CA",
            Refused("\"CN=ca\" is not for keyCertSign"),
            |c| {
                c.ca.set(KEY_USAGE, true, &[3, 2, 7, 0x80]);
            },
        ),
        (
            "no keyCertSign in the root",
            Refused("\"CN=root\" is not for keyCertSign"),
            |c| {
                c.root.set(KEY_USAGE, true, &[3, 2, 1, 0x02]);
            },
        ),
        ("nonRepudiation in the leaf", Accepted, |c| {
            c.leaf.set(KEY_USAGE, true, &[3, 2, 6, 0x40]);
        }),
        (
            "keyEncipherment in the leaf",
            Refused("is not for digitalSignature"),
            |c| {
                c.leaf.set(KEY_USAGE, true, &[3, 2, 5, 0x20]);
            },
        ),
        (
            "keyCertSign in the leaf",
            Refused("it is not that of a CA"),
            |c| {
                c.leaf.set(KEY_USAGE, true, &[3, 2, 2, 0x84]);
            },
        ),
        (
            "nothing in the leaf",
            Refused("is not for digitalSignature"),
            |c| {
                c.leaf.set(KEY_USAGE, true, &[3, 1, 0]);
            },
        ),
    ]);
}

#[test]
fn extended_key_usage() {
    const NOT_FOR: &str = "is not for codeSigning";
    check(&[
        ("absent in the leaf", Refused(NOT_FOR), |c| {
            c.leaf.remove(EXTENDED_KEY_USAGE)
        }),
        ("any in the leaf", Refused(NOT_FOR), |c| {
            c.leaf
                .set(EXTENDED_KEY_USAGE, false, &purposes(&[ANY_PURPOSE]));
        }),
        ("clientAuth in the leaf", Refused(NOT_FOR), |c| {
            c.leaf
                .set(EXTENDED_KEY_USAGE, false, &purposes(&[CLIENT_AUTH]));
        }),
        ("several in the leaf", Accepted, |c| {
            c.leaf.set(
                EXTENDED_KEY_USAGE,
                false,
                &purposes(&[CLIENT_AUTH, CODE_SIGNING]),
            );
        }),
        ("critical in the leaf", Accepted, |c| {
            c.leaf
                .set(EXTENDED_KEY_USAGE, true, &purposes(&[CODE_SIGNING]));
        }),
        ("an empty list in the leaf", Refused(NOT_FOR), |c| {
            c.leaf.set(EXTENDED_KEY_USAGE, false, &sequence(&[]));
        }),
        ("an empty list in the CA", Refused(""), |c| {
            c.ca.set(EXTENDED_KEY_USAGE, false, &sequence(&[]));
        }),
        ("the same in the CA", Accepted, |c| {
            c.ca.set(EXTENDED_KEY_USAGE, false, &purposes(&[CODE_SIGNING]));
        }),
        ("any in the CA", Accepted, |c| {
            c.ca.set(EXTENDED_KEY_USAGE, false, &purposes(&[ANY_PURPOSE]));
        }),
        (
            "another in the CA",
            Refused("\"CN=ca\" is not for codeSigning, but for serverAuth"),
            |c| {
                c.ca.set(EXTENDED_KEY_USAGE, false, &purposes(&[SERVER_AUTH]));
            },
        ),
        (
            "another in the root",
            Refused("\"CN=root\" is not for codeSigning"),
            |c| {
                c.root
                    .set(EXTENDED_KEY_USAGE, false, &purposes(&[TIME_STAMPING]));
            },
        ),
    ]);
}

#[test]
fn key_ids() {
    check(&[
        ("absent everywhere", Accepted, |c| {
            for certificate in [&mut c.root, &mut c.ca, &mut c.leaf] {
                certificate.remove(SUBJECT_KEY_ID);
                certificate.remove(AUTHORITY_KEY_ID);
            }
        }),
        ("the leaf's names another key", Accepted, |c| {
            c.leaf
                .set(AUTHORITY_KEY_ID, false, &sequence(&[tlv(0x80, b"another")]));
        }),
        ("the CA's names another key", Accepted, |c| {
            c.ca.set(AUTHORITY_KEY_ID, false, &sequence(&[tlv(0x80, b"another")]));
        }),
        (
            "the authority's is critical",
            Refused("that is not known"),
            |c| {
                c.leaf
                    .set(AUTHORITY_KEY_ID, true, &sequence(&[tlv(0x80, b"ca")]));
            },
        ),
        (
            "the subject's is critical",
            Refused("that is not known"),
            |c| {
                c.ca.set(SUBJECT_KEY_ID, true, &tlv(4, b"ca"));
            },
        ),
        (
            "the subject's is malformed",
            Refused("subjectKeyIdentifier is malformed"),
            |c| {
                c.ca.set(SUBJECT_KEY_ID, false, &[5, 0]);
            },
        ),
    ]);
}

#[test]
fn subject_alt_names() {
    fn of(tag: u8, name: &[u8]) -> Vec<u8> {
        names(&[(tag, name)])
    }
    const CONTROL: &str = "a name has a control character";
    check(&[
        ("absent", Accepted, |c| c.leaf.remove(SUBJECT_ALT_NAME)),
        ("not critical, with an empty subject", Accepted, |c| {
            c.leaf
                .set(SUBJECT_ALT_NAME, false, &of(EMAIL, b"me@example.com"));
        }),
        (
            "without a name",
            Refused("subjectAltName is malformed: it has no name"),
            |c| {
                c.leaf.set(SUBJECT_ALT_NAME, true, &names(&[]));
            },
        ),
        ("NUL in an address", Refused(CONTROL), |c| {
            c.leaf.set(
                SUBJECT_ALT_NAME,
                true,
                &of(EMAIL, b"me@example.com\0.evil.example"),
            );
        }),
        ("NUL in a URI", Refused(CONTROL), |c| {
            c.leaf.set(
                SUBJECT_ALT_NAME,
                true,
                &of(URI, b"https://good.example\0.evil.example"),
            );
        }),
        ("a line break in a URI", Refused(CONTROL), |c| {
            c.leaf
                .set(SUBJECT_ALT_NAME, true, &of(URI, b"https://good.example\n"));
        }),
        ("UTF-8 in an address", Refused("a name is not ASCII"), |c| {
            c.leaf.set(
                SUBJECT_ALT_NAME,
                true,
                &of(EMAIL, "mü@example.com".as_bytes()),
            );
        }),
        (
            "an IP address of five bytes",
            Refused("an IP address has 5 bytes"),
            |c| {
                c.leaf.set(
                    SUBJECT_ALT_NAME,
                    true,
                    &of(crate::draft::IP, &[1, 2, 3, 4, 5]),
                );
            },
        ),
        (
            "a string in the place of the list",
            Refused("subjectAltName is malformed"),
            |c| {
                c.leaf
                    .set(SUBJECT_ALT_NAME, true, &tlv(0x0c, b"me@example.com"));
            },
        ),
    ]);
}
