//! Limits on the names below a CA (RFC 5280, section 4.2.1.10). What is excluded wins. Limits of kinds that the path
//! builder does not know forbid every name of the kind: they are never passed over.

use crate::draft::{
    Accepted, DIRECTORY, DNS, Draft, EMAIL, IP, NAME_CONSTRAINTS, Refused, SUBJECT_ALT_NAME, URI,
    check, limits, name, names,
};

const NOT_PERMITTED: &str = "limits the names below it";

fn limit(ca: &mut Draft, permitted: &[(u8, &[u8])], excluded: &[(u8, &[u8])]) {
    ca.set(NAME_CONSTRAINTS, true, &limits(permitted, excluded));
}

fn named(leaf: &mut Draft, list: &[(u8, &[u8])]) {
    leaf.set(SUBJECT_ALT_NAME, true, &names(list));
}

#[test]
fn host_names_and_addresses() {
    check(&[
        ("host, permitted", Accepted, |c| {
            limit(&mut c.ca, &[(DNS, b"example.com")], &[]);
            named(&mut c.leaf, &[(DNS, b"ci.example.com")]);
        }),
        ("host, another", Refused(NOT_PERMITTED), |c| {
            limit(&mut c.ca, &[(DNS, b"example.com")], &[]);
            named(&mut c.leaf, &[(DNS, b"ci.example.org")]);
        }),
        ("host, one of two", Refused(NOT_PERMITTED), |c| {
            limit(&mut c.ca, &[(DNS, b"example.com")], &[]);
            named(
                &mut c.leaf,
                &[(DNS, b"ci.example.com"), (DNS, b"ci.example.org")],
            );
        }),
        (
            "host, only the end of a label",
            Refused(NOT_PERMITTED),
            |c| {
                limit(&mut c.ca, &[(DNS, b"example.com")], &[]);
                named(&mut c.leaf, &[(DNS, b"badexample.com")]);
            },
        ),
        ("host, by the root", Refused(NOT_PERMITTED), |c| {
            limit(&mut c.root, &[(DNS, b"example.com")], &[]);
            named(&mut c.leaf, &[(DNS, b"ci.example.org")]);
        }),
        (
            "host, excluded",
            Refused("\"CN=ca\" limits the names below it"),
            |c| {
                limit(&mut c.ca, &[], &[(DNS, b"example.com")]);
                named(&mut c.leaf, &[(DNS, b"ci.example.com")]);
            },
        ),
        (
            "host, permitted and excluded",
            Refused(NOT_PERMITTED),
            |c| {
                limit(
                    &mut c.ca,
                    &[(DNS, b"example.com")],
                    &[(DNS, b"ci.example.com")],
                );
                named(&mut c.leaf, &[(DNS, b"ci.example.com")]);
            },
        ),
        ("host, another excluded", Accepted, |c| {
            limit(&mut c.ca, &[], &[(DNS, b"example.com")]);
            named(&mut c.leaf, &[(DNS, b"ci.example.org")]);
        }),
        ("not critical", Refused(NOT_PERMITTED), |c| {
            c.ca.set(
                NAME_CONSTRAINTS,
                false,
                &limits(&[(DNS, b"example.com")], &[]),
            );
            named(&mut c.leaf, &[(DNS, b"ci.example.org")]);
        }),
        ("of another kind of name", Accepted, |c| {
            limit(&mut c.ca, &[(DNS, b"example.com")], &[]);
            named(&mut c.leaf, &[(URI, b"https://ci.example.org/job")]);
        }),
        ("address, permitted", Accepted, |c| {
            limit(&mut c.ca, &[(IP, &[192, 0, 2, 0, 255, 255, 255, 0])], &[]);
            named(&mut c.leaf, &[(IP, &[192, 0, 2, 7])]);
        }),
        ("address, another", Refused(NOT_PERMITTED), |c| {
            limit(&mut c.ca, &[(IP, &[192, 0, 2, 0, 255, 255, 255, 0])], &[]);
            named(&mut c.leaf, &[(IP, &[192, 0, 3, 7])]);
        }),
    ]);
}

#[test]
fn kinds_whose_limits_are_not_supported() {
    check(&[
        ("e-mail, permitted", Refused(NOT_PERMITTED), |c| {
            limit(&mut c.ca, &[(EMAIL, b"example.com")], &[]);
            named(&mut c.leaf, &[(EMAIL, b"me@example.com")]);
        }),
        ("e-mail, another", Refused(NOT_PERMITTED), |c| {
            limit(&mut c.ca, &[(EMAIL, b"example.com")], &[]);
            named(&mut c.leaf, &[(EMAIL, b"me@example.org")]);
        }),
        ("e-mail, excluded", Refused(NOT_PERMITTED), |c| {
            limit(&mut c.root, &[], &[(EMAIL, b"example.com")]);
            named(&mut c.leaf, &[(EMAIL, b"me@example.com")]);
        }),
        ("e-mail, but the leaf has none", Accepted, |c| {
            limit(&mut c.ca, &[(EMAIL, b"example.com")], &[]);
        }),
        ("URI, permitted", Refused(NOT_PERMITTED), |c| {
            limit(&mut c.ca, &[(URI, b"id.example")], &[]);
        }),
        ("URI, another", Refused(NOT_PERMITTED), |c| {
            limit(&mut c.ca, &[(URI, b"x.example")], &[])
        }),
        ("URI, excluded", Refused(NOT_PERMITTED), |c| {
            limit(&mut c.ca, &[], &[(URI, b"id.example")])
        }),
        ("URI, but the leaf has none", Accepted, |c| {
            limit(&mut c.ca, &[(URI, b"id.example")], &[]);
            named(&mut c.leaf, &[(EMAIL, b"me@example.com")]);
        }),
        ("directory name, permitted", Refused(NOT_PERMITTED), |c| {
            let all = name("somebody");
            limit(&mut c.ca, &[(DIRECTORY, &all)], &[]);
            c.leaf.subject = all;
        }),
        ("directory name, excluded", Refused(NOT_PERMITTED), |c| {
            limit(&mut c.ca, &[], &[(DIRECTORY, &name("somebody"))]);
            c.leaf.subject = name("somebody");
        }),
    ]);
}

#[test]
fn malformed_limits() {
    check(&[
        ("with a minimum", Refused(""), |c| {
            // GeneralSubtree with minimum [0] 1.
            let base = [0x82, 3, b'a', b'.', b'b', 0x80, 1, 1];
            let subtree = [&[0x30, 8][..], &base].concat();
            let value = [&[0x30, 12, 0xa0, 10][..], &subtree].concat();
            c.ca.set(NAME_CONSTRAINTS, true, &value);
            named(&mut c.leaf, &[(DNS, b"a.b")]);
        }),
        ("an address without a mask", Refused(""), |c| {
            limit(&mut c.ca, &[(IP, &[192, 0, 2, 0])], &[]);
            named(&mut c.leaf, &[(IP, &[192, 0, 2, 7])]);
        }),
        ("not a sequence", Refused(""), |c| {
            c.ca.set(NAME_CONSTRAINTS, true, &[5, 0]);
            named(&mut c.leaf, &[(DNS, b"a.b")]);
        }),
    ]);
}
