//! What a monitor finds in entries, and that the quick look never hides what the slow one would find.
//!
//! `fixtures/key.pgp.asc` and `fixtures/key.ssh.pub` were made for this test by gpg 2.2.40 and ssh-keygen of OpenSSH
//! 9.2; the fingerprints below are those that these programs print.

#![allow(clippy::unwrap_used, reason = "tests")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealmark_formats::Digest;
use sealmark_keys::{Algorithm, PrivateKey};
use sealmark_rekor::monitor::{Condition, Found, Look, Watch, fingerprint};
use sealmark_verify::policy::Match;
use sealmark_virtual::{By, Identity, Proofs, V1Kind, VirtualSigstore, What};
use sealmark_x509::FulcioExtension;

const ISSUER: &str = "https://id.example.com";
const WORKFLOW: &str = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
const REPOSITORY: &str = "https://github.com/acme/app";

fn exact(text: &str) -> Match {
    Match::Exact(text.to_owned())
}

fn pattern(text: &str) -> Match {
    Match::pattern(text).unwrap()
}

fn identity(subject: Match, issuers: Vec<Match>) -> Condition {
    Condition::Certificate {
        subject: Some(subject),
        issuers,
    }
}

/// Bodies of every kind that clients write today.
struct Bodies {
    by_key: Vec<u8>,
    by_person: Vec<u8>,
    by_workflow: Vec<u8>,
    person_v1: Vec<u8>,
    attestation_v1: Vec<u8>,
    key: PrivateKey,
    person: sealmark_x509::Certificate,
}

fn bodies() -> Bodies {
    let sigstore = VirtualSigstore::new();
    let key = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let person = Identity::email("jane@example.com", ISSUER);
    let workflow = Identity::uri(WORKFLOW, "https://token.example.com")
        .with(FulcioExtension::SourceRepositoryUri, REPOSITORY);
    let body = |by: By<'_>, proofs| {
        let signed = sigstore.sign(What::File(b"content"), by, proofs);
        (signed.log_entries[0].canonicalized_body.clone(), signed)
    };
    let (by_person, signed) = body(By::Identity(&person), Proofs::REKOR_V2);
    let mut attestation =
        sigstore.sign_only(What::Statement(br#"{"_type":"x"}"#), By::Identity(&person));
    sigstore.log_v1(&mut attestation, V1Kind::Dsse);
    Bodies {
        by_key: body(By::Key(&key), Proofs::REKOR_V2).0,
        by_person,
        by_workflow: body(By::Identity(&workflow), Proofs::REKOR_V2).0,
        person_v1: body(By::Identity(&person), Proofs::REKOR_V1).0,
        attestation_v1: attestation.log_entries[0].canonicalized_body.clone(),
        key,
        person: signed.certificate.unwrap(),
    }
}

fn look(condition: Condition, body: &[u8]) -> Look {
    Watch::new(vec![condition]).unwrap().look(body)
}

fn found(condition: Condition, body: &[u8]) -> Option<Found> {
    match look(condition, body) {
        Look::Found(found) => Some(*found),
        Look::Nothing => None,
        Look::Unreadable(reason) => panic!("{reason}"),
    }
}

#[test]
fn an_entry_is_found_by_what_it_says() {
    let bodies = bodies();
    let spki = bodies.key.public_key().spki_der().to_vec();
    let person_key = Digest::sha256(bodies.person.spki_der()).hex();
    let all = [
        &bodies.by_key,
        &bodies.by_person,
        &bodies.by_workflow,
        &bodies.person_v1,
        &bodies.attestation_v1,
    ];
    let jane = || exact("jane@example.com");
    let of = || vec![exact(ISSUER)];
    let key = |fingerprint: String, spki| Condition::Key { fingerprint, spki };
    let oid = |oid: &str, value: &str| Condition::Extension {
        oid: oid.to_owned(),
        values: vec!["other".to_owned(), value.to_owned()],
    };
    let content = Digest::sha256(b"content");
    let digest = |text: &str| Condition::Digest(text.parse().unwrap());
    for (condition, expected) in [
        (identity(jane(), vec![]), "01011"),
        (identity(jane(), of()), "01011"),
        (identity(jane(), vec![exact("https://id.example")]), "00000"),
        (
            identity(jane(), vec![pattern("^https://id"), exact("x")]),
            "01011",
        ),
        (identity(exact("jane@example.co"), vec![]), "00000"),
        (identity(exact("JANE@example.com"), vec![]), "00000"),
        (identity(pattern("(?i)JANE@EXAMPLE"), vec![]), "01011"),
        (
            identity(pattern("^https://github.com/acme/"), vec![]),
            "00100",
        ),
        (identity(exact(WORKFLOW), vec![pattern("token")]), "00100"),
        (
            Condition::Certificate {
                subject: None,
                issuers: of(),
            },
            "01011",
        ),
        (Condition::Subject(jane()), "01011"),
        (Condition::Subject(pattern("example|acme")), "01111"),
        (oid("1.3.6.1.4.1.57264.1.12", REPOSITORY), "00100"),
        (oid("1.3.6.1.4.1.57264.1.13", REPOSITORY), "00000"),
        (oid("1.3.6.1.4.1.57264.1.8", ISSUER), "01011"),
        (
            key(Digest::sha256(&spki).hex(), Some(spki.clone())),
            "10000",
        ),
        (key(Digest::sha256(&spki).hex(), None), "10000"),
        (
            key(person_key, Some(bodies.person.spki_der().to_vec())),
            "01000",
        ),
        (key(bodies.person.fingerprint().hex(), None), "01000"),
        (Condition::Digest(content), "11110"),
        (
            digest(&Digest::sha256(br#"{"_type":"x"}"#).to_string()),
            "00001",
        ),
        (digest(&Digest::sha256(b"another").to_string()), "00000"),
    ] {
        let name = condition.to_string();
        let seen: String = all
            .iter()
            .map(|body| match found(condition.clone(), body) {
                Some(found) => {
                    assert_eq!(found.reasons.len(), 1, "{name}");
                    '1'
                }
                None => '0',
            })
            .collect();
        assert_eq!(seen, expected, "{name}");
        // With a pattern beside it, nothing is ruled out quickly; the answer must be the same.
        let slowly = Watch::new(vec![condition, identity(pattern("never found"), vec![])]).unwrap();
        let seen: String = all
            .iter()
            .map(|body| match slowly.look(body) {
                Look::Found(_) => '1',
                _ => '0',
            })
            .collect();
        assert_eq!(seen, expected, "{name}, slowly");
    }
}

#[test]
fn a_report_says_who_signed_what() {
    let bodies = bodies();
    let found = found(
        identity(exact("jane@example.com"), vec![]),
        &bodies.by_person,
    )
    .unwrap();
    assert_eq!((&*found.kind, &*found.version), ("hashedrekord", "0.0.2"));
    assert_eq!(found.digests, [Digest::sha256(b"content")]);
    let [signer] = &found.signers[..] else {
        panic!("{found:?}")
    };
    assert_eq!(signer.subjects, ["jane@example.com"]);
    assert_eq!(signer.issuer.as_deref(), Some(ISSUER));
    let fingerprint = bodies.person.fingerprint().hex();
    assert_eq!(signer.certificate.as_ref(), Some(&fingerprint));
    assert_eq!(found.reasons[0].by, "identity");
    assert_eq!(found.reasons[0].found, "jane@example.com");
}

/// Whoever can write into a log can write nonsense into it.
#[test]
fn an_entry_that_cannot_be_read_is_told_of_unless_it_is_ruled_out() {
    let bodies = bodies();
    let jane = || identity(exact("jane@example.com"), vec![]);
    let unreadable = |condition, body: &[u8]| match look(condition, body) {
        Look::Unreadable(reason) => reason,
        other => panic!("{other:?}"),
    };
    for body in [
        &b"nonsense"[..],
        b"",
        b"{}",
        b"[1]",
        b"\xff\xfe",
        b"{\"kind\":1}",
    ] {
        unreadable(jane(), body);
    }
    let kind = br#"{"apiVersion":"0.0.1","kind":"new","spec":{}}"#;
    let reason = unreadable(jane(), kind);
    assert!(reason.contains("the kind \"new\" \"0.0.1\""), "{reason}");

    // A certificate that is cut, or has one wrong byte in its structure.
    let text = String::from_utf8(bodies.by_person).unwrap();
    let der = STANDARD.encode(bodies.person.der());
    let mut broken = bodies.person.der().to_vec();
    broken[4] ^= 0x10;
    let with_name = text.replace(&der, &STANDARD.encode(&broken));
    let reason = unreadable(jane(), with_name.as_bytes());
    assert!(reason.contains("certificate cannot be read"), "{reason}");
    unreadable(identity(pattern("john"), vec![]), with_name.as_bytes());
    // John's name is not in it, wherever one looks.
    let john = identity(exact("john@example.com"), vec![]);
    assert_eq!(look(john, with_name.as_bytes()), Look::Nothing);
    // Digests stand beside the certificate.
    let digest = Condition::Digest(Digest::sha256(b"content"));
    assert!(found(digest, with_name.as_bytes()).is_some());
    let other = Condition::Digest(Digest::sha256(b"other"));
    assert_eq!(look(other, with_name.as_bytes()), Look::Nothing);
}

/// JSON can say the same in several ways, and a log is not bound to the canonical one.
#[test]
fn the_quick_look_is_not_deceived_by_spelling() {
    let bodies = bodies();
    let text = String::from_utf8(bodies.by_person).unwrap();
    let jane = || identity(exact("jane@example.com"), vec![]);
    let der = STANDARD.encode(bodies.person.der());
    let escaped = format!("\\u{:04x}{}", u32::from(der.as_bytes()[0]), &der[1..]);
    for (what, body) in [
        ("an escaped letter", text.replace(&der, &escaped)),
        ("white space", text.replace("\":", "\" : ")),
        (
            "an escaped name",
            text.replace("rawBytes", "raw\\u0042ytes"),
        ),
        (
            "a field more",
            text.replace("\"kind\"", "\"extra\":0,\"kind\""),
        ),
    ] {
        match look(jane(), body.as_bytes()) {
            Look::Found(_) | Look::Unreadable(_) => {}
            Look::Nothing => panic!("{what} hides the entry"),
        }
    }
}

fn rekord(format: &str, key: &[u8]) -> Vec<u8> {
    let spec = serde_json::json!({
        "apiVersion": "0.0.1", "kind": "rekord", "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": "00".repeat(32)}},
            "signature": {"content": "AA==", "format": format, "publicKey": {"content": STANDARD.encode(key)}},
        },
    });
    spec.to_string().into_bytes()
}

#[test]
fn keys_of_other_formats_are_found_by_what_their_tools_print() {
    let pgp = rekord("pgp", include_bytes!("fixtures/key.pgp.asc"));
    let ssh = rekord("ssh", include_bytes!("fixtures/key.ssh.pub"));
    let minisign = rekord(
        "minisign",
        // The example of minisign's own documentation.
        b"untrusted comment: minisign public key\nRWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\n",
    );
    let key = |text: &str| Condition::Key {
        fingerprint: fingerprint(text).unwrap(),
        spki: None,
    };
    for (condition, body) in [
        (
            key("1E72 CBBE 1280 8B03 130A  0356 7401 A46A AAE4 43D0"),
            &pgp,
        ),
        (key("1D84ACF6FF994C8DE39A91D32DB1CAAF4C4A61D2"), &pgp),
        (Condition::Subject(exact("monitor@example.com")), &pgp),
        (Condition::Subject(pattern("^Monitor Test <")), &pgp),
        (
            key("SHA256:EPxhJP4p5d1402DZSpW0BzpcEV6fAyN53ZgzqDlVK0E"),
            &ssh,
        ),
        (Condition::Subject(exact("someone@example.com")), &ssh),
    ] {
        assert!(found(condition.clone(), body).is_some(), "{condition}");
        assert!(found(condition.clone(), &minisign).is_none(), "{condition}");
    }
    let raw = STANDARD
        .decode("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3")
        .unwrap();
    let spki = [
        &hex::decode("302a300506032b6570032100").unwrap()[..],
        &raw[10..],
    ]
    .concat();
    assert!(found(key(&Digest::sha256(&spki).hex()), &minisign).is_some());

    // What is cut is told of.
    for body in [
        rekord("pgp", b"-----BEGIN PGP"),
        rekord("ssh", b"ssh-rsa"),
        rekord("minisign", b"RW"),
    ] {
        match look(Condition::Subject(exact("a")), &body) {
            Look::Unreadable(reason) => assert!(reason.contains("cannot be read"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}
