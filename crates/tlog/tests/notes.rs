//! Signed notes, checkpoints and cosignatures, as their specifications describe them.

#![allow(clippy::unwrap_used, reason = "tests")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use sealmark_keys::{Algorithm, PrivateKey, PublicKey};
use sealmark_tlog::note::{KeyKind, MAX_LINES, MAX_NOTE, MAX_SIGNATURES};
use sealmark_tlog::{
    Checkpoint, Error, Hash, Note, NoteSignature, NoteSigner, Origin, cosignature,
};

/// The example of Go's golang.org/x/mod/sumdb/note (BSD-3-Clause).
const GO_EXAMPLE: &str = "\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.

\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
";

fn go_example_key() -> PublicKey {
    // PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW, behind the algorithm's byte.
    let key = STANDARD
        .decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
        .unwrap();
    let mut spki = hex::decode("302a300506032b6570032100").unwrap();
    spki.extend_from_slice(&key[1..]);
    PublicKey::from_spki_der(&spki).unwrap()
}

const TEXT: &str = "log.example/2026\n3\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n";

fn key(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::generate(algorithm).unwrap()
}

/// A line by this key, as `kind`.
fn line(kind: KeyKind, name: &str, key: &PrivateKey, text: &str) -> NoteSignature {
    let hash = kind.key_hash(name, key.public_key());
    let signature = match kind {
        KeyKind::CosignatureV1 => {
            let message = cosignature::message(1_700_000_000, text);
            let mut bytes = 1_700_000_000_u64.to_be_bytes().to_vec();
            bytes.extend(key.sign(message.as_bytes()).unwrap());
            bytes
        }
        _ => key.sign(text.as_bytes()).unwrap().to_vec(),
    };
    NoteSignature {
        name: name.to_owned(),
        key_hash: hash.bytes()[..4].try_into().unwrap(),
        signature,
    }
}

fn note(signatures: Vec<NoteSignature>) -> Note {
    let note = Note {
        text: TEXT.to_owned(),
        signatures,
    };
    assert_eq!(Note::parse(&note.to_string()).unwrap(), note);
    note
}

#[test]
fn the_example_of_the_first_implementation() {
    let note = Note::parse(GO_EXAMPLE).unwrap();
    assert_eq!(note.to_string(), GO_EXAMPLE);
    assert_eq!(note.text.lines().count(), 2);
    let key = go_example_key();
    let verified = note.verify_by(Some("PeterNeumann"), &key).unwrap();
    assert_eq!((verified.line, verified.kind), (0, KeyKind::Ed25519));
    assert_eq!(note.verify_by(None, &key), Ok(verified));
    let other = Note::parse(&GO_EXAMPLE.replace("answer", "problem")).unwrap();
    assert!(matches!(
        other.verify_by(None, &key),
        Err(Error::Signature { .. })
    ));
}

#[test]
fn every_kind_of_key_signs_in_its_forms() {
    for (algorithm, kind) in [
        (Algorithm::Ed25519, KeyKind::Ed25519),
        (Algorithm::Ed25519, KeyKind::Spki),
        (Algorithm::Ed25519, KeyKind::CosignatureV1),
        (Algorithm::EcdsaP256, KeyKind::Spki),
        (Algorithm::EcdsaP384, KeyKind::Spki),
        (Algorithm::Rsa2048, KeyKind::Rsa),
        (Algorithm::Rsa2048, KeyKind::Spki),
    ] {
        let key = key(algorithm);
        let note = note(vec![line(kind, "log.example", &key, TEXT)]);
        let verified = note
            .verify_by(Some("log.example"), key.public_key())
            .unwrap();
        assert_eq!(verified.kind, kind);
        assert_eq!(verified.timestamp.is_some(), kind == KeyKind::CosignatureV1);
        let renamed = note.verify_by(Some("other.example"), key.public_key());
        assert!(
            matches!(renamed, Err(Error::NotSigned { .. })),
            "{algorithm:?} {kind:?}"
        );
    }
}

#[test]
fn lines_of_strangers_are_ignored_and_false_lines_are_not() {
    let (log, stranger) = (key(Algorithm::Ed25519), key(Algorithm::EcdsaP256));
    let own = line(KeyKind::Ed25519, "log.example", &log, TEXT);
    let strange = line(KeyKind::Spki, "log.example", &stranger, TEXT);
    let many = note(vec![strange.clone(), own.clone(), strange]);
    assert_eq!(many.verify_by(None, log.public_key()).unwrap().line, 1);

    // A second line that claims to be the log's.
    let mut forged = own.clone();
    forged.signature[0] ^= 1;
    let error = note(vec![own.clone(), forged])
        .verify_by(None, log.public_key())
        .unwrap_err();
    assert!(matches!(error, Error::Signature { .. }), "{error}");

    // Of a name that the key does not have.
    let mut renamed = own;
    renamed.name = "else.example".to_owned();
    let error = note(vec![renamed])
        .verify_by(None, log.public_key())
        .unwrap_err();
    assert!(
        error.to_string().contains("signed by: else.example ("),
        "{error}"
    );
}

#[test]
fn a_witness_cosigns_with_its_time() {
    let (log, witness) = (key(Algorithm::Ed25519), key(Algorithm::Ed25519));
    let signed = note(vec![
        line(KeyKind::Ed25519, "log.example/2026", &log, TEXT),
        line(KeyKind::CosignatureV1, "witness.example/w1", &witness, TEXT),
    ]);
    let seen = cosignature::verify(&signed, "witness.example/w1", witness.public_key()).unwrap();
    assert_eq!(seen.timestamp, 1_700_000_000);
    assert_eq!(seen.witness, "witness.example/w1");
    let origin = Origin::Named("log.example/2026");
    Checkpoint::open(&signed.to_string(), origin, log.public_key()).unwrap();

    // The log's own signature is no cosignature, and a witness is asked by its name.
    let error = cosignature::verify(&signed, "log.example/2026", log.public_key()).unwrap_err();
    assert!(matches!(error, Error::NotSigned { .. }), "{error}");
    let error = cosignature::verify(&signed, "witness.example", witness.public_key()).unwrap_err();
    assert!(matches!(error, Error::NotSigned { .. }), "{error}");

    // The time is signed.
    let mut later = signed.clone();
    later.signatures[1].signature[7] += 1;
    let error =
        cosignature::verify(&later, "witness.example/w1", witness.public_key()).unwrap_err();
    assert!(matches!(error, Error::Signature { .. }), "{error}");
    later.signatures[1].signature.pop();
    let error =
        cosignature::verify(&later, "witness.example/w1", witness.public_key()).unwrap_err();
    assert!(matches!(error, Error::SignatureForm { .. }), "{error}");

    // A key that cannot cosign.
    let ecdsa = key(Algorithm::EcdsaP256);
    let error = cosignature::verify(&signed, "witness.example/w1", ecdsa.public_key()).unwrap_err();
    assert!(matches!(error, Error::NotSigned { .. }), "{error}");
}

#[test]
fn malformed_notes_are_refused_with_the_reason() {
    let line = GO_EXAMPLE.lines().last().unwrap();
    let many = |count: usize| format!("text\n\n{}", format!("{line}\n").repeat(count));
    assert_eq!(
        Note::parse(&many(MAX_SIGNATURES)).unwrap().signatures.len(),
        MAX_SIGNATURES
    );
    for (note, reason) in [
        (String::new(), "there is no empty line"),
        (format!("text\n{line}\n"), "there is no empty line"),
        ("text\n\n".to_owned(), "it has no signature"),
        (format!("text\n\n{line}"), "its last line does not end"),
        (format!("text\n\n{line}\n\n"), "it has no signature"),
        (format!("te\txt\n\n{line}\n"), "the control character '\\t'"),
        (format!("text\r\n\n{line}\n"), "the control character '\\r'"),
        (
            "text\n\n- name AAAAAAAA\n".to_owned(),
            "does not start with an em dash",
        ),
        ("text\n\n\u{2014} AAAAAAAA\n".to_owned(), "has no name"),
        (
            "text\n\n\u{2014}  AAAAAAAA\n".to_owned(),
            "a name that is empty",
        ),
        (
            "text\n\n\u{2014} a+b AAAAAAAA\n".to_owned(),
            "a space or a plus",
        ),
        (
            "text\n\n\u{2014} a\u{2003}b AAAAAAAA\n".to_owned(),
            "a space or a plus",
        ),
        ("text\n\n\u{2014} a AAAAAA==\n".to_owned(), "is too short"),
        ("text\n\n\u{2014} a AAAA AAAA\n".to_owned(), "is not base64"),
        (many(MAX_SIGNATURES + 1), "65 signatures, at most 64"),
        (
            format!("{}\n{line}\n", "x\n".repeat(MAX_LINES + 1)),
            "257 lines, at most 256",
        ),
        ("x".repeat(MAX_NOTE + 1), "at most 262144 are allowed"),
    ] {
        let error = Note::parse(&note).unwrap_err();
        assert!(matches!(error, Error::Note(_)));
        assert!(error.to_string().contains(reason), "{note:.60}: {error}");
    }
}

#[test]
fn the_text_ends_at_the_last_empty_line() {
    let note = GO_EXAMPLE.replacen('\n', "\n\n", 1);
    assert_eq!(Note::parse(&note).unwrap().text.matches("\n\n").count(), 1);
}

#[test]
fn checkpoints_are_read_strictly() {
    let root = STANDARD.encode([0xaa; 32]);
    let checkpoint = Checkpoint::parse(TEXT).unwrap();
    assert_eq!(checkpoint.origin, "log.example/2026");
    assert_eq!(checkpoint.size, 3);
    assert_eq!(checkpoint.root, Hash::from([0xaa; 32]));
    assert_eq!(checkpoint.to_string(), TEXT);
    let largest = format!("o\n{}\n{root}\nTimestamp: 1\nother\n", u64::MAX);
    let extended = Checkpoint::parse(&largest).unwrap();
    assert_eq!(extended.extensions, ["Timestamp: 1", "other"]);
    assert_eq!(extended.to_string(), largest);
    assert_eq!(
        Checkpoint::parse(&format!("o\n0\n{root}\n")).unwrap().size,
        0
    );

    for (text, reason) in [
        (String::new(), "last line does not end"),
        ("\n".to_owned(), "the origin, is empty"),
        ("o\n".to_owned(), "one line only"),
        ("o\n1\n".to_owned(), "the root hash, is missing"),
        (format!("o\n01\n{root}\n"), "decimal digits, but is \"01\""),
        (format!("o\n+1\n{root}\n"), "decimal digits"),
        (format!("o\n-1\n{root}\n"), "decimal digits"),
        (format!("o\n\n{root}\n"), "decimal digits"),
        (format!("o\n0x1\n{root}\n"), "decimal digits"),
        (
            format!("o\n18446744073709551616\n{root}\n"),
            "decimal digits",
        ),
        (format!("o\n1\n{root}"), "last line does not end"),
        (format!("o\n1\n{root} \n"), "base64 of 32 bytes"),
        (
            format!("o\n1\n{}\n", root.trim_end_matches('=')),
            "base64 of 32 bytes",
        ),
        (
            format!("o\n1\n{}\n", STANDARD.encode([1; 31])),
            "base64 of 32 bytes",
        ),
        (
            format!("o\n1\n{}\n", hex::encode([1; 32])),
            "base64 of 32 bytes",
        ),
        (format!("o\n1\n{root}\n\n"), "an extension line is empty"),
        (format!("o\n1\n{root}\n\nx\n"), "an extension line is empty"),
    ] {
        let error = Checkpoint::parse(&text).unwrap_err();
        assert!(matches!(error, Error::Checkpoint(_)));
        assert!(error.to_string().contains(reason), "{text:?}: {error}");
    }
}

#[test]
fn the_trees_of_rekor_v1_are_in_its_origins() {
    for (origin, tree) in [
        (
            "rekor.sigstore.dev - 1193050959916656506",
            Some(("rekor.sigstore.dev", 1_193_050_959_916_656_506)),
        ),
        ("a - b - 7", Some(("a - b", 7))),
        ("rekor.sigstore.dev", None),
        ("rekor.sigstore.dev - ", None),
        ("rekor.sigstore.dev - +7", None),
        ("rekor.sigstore.dev - 7a", None),
        ("rekor.sigstore.dev -7", None),
    ] {
        let text = TEXT.replace("log.example/2026", origin);
        assert_eq!(
            Checkpoint::parse(&text).unwrap().rekor_v1_tree(),
            tree,
            "{origin}"
        );
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), lines in "([ -~]{0,20}\n|\u{2014} [a-z+ ]{0,5}[A-Za-z0-9+/=]{0,20}\n|\n){0,9}") {
        let key = go_example_key();
        for input in [&text, &lines] {
            if let Ok(note) = Note::parse(input) {
                prop_assert_eq!(&note.to_string(), input);
                prop_assert!(note.verify_by(None, &key).is_err());
            }
            if let Ok(checkpoint) = Checkpoint::parse(input) {
                prop_assert_eq!(&checkpoint.to_string(), input);
            }
            let _ = NoteSignature::parse(input);
            let _ = Checkpoint::open(input, Origin::RekorV1, &key);
        }
    }

    #[test]
    fn no_numbers_of_a_checkpoint_panic(origin in "[^\n]{0,9}", size in "[0-9]{0,22}", root in "[A-Za-z0-9+/]{42,44}=?") {
        let _ = Checkpoint::parse(&format!("{origin}\n{size}\n{root}\n"));
    }
}

#[test]
fn what_a_log_and_a_witness_sign_is_verified() {
    let ed25519 = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    let ecdsa = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let checkpoint = |origin: &str| Checkpoint {
        origin: origin.to_owned(),
        size: 7,
        root: Hash::from([9; 32]),
        extensions: Vec::new(),
    };

    let log = NoteSigner::log("log.example", ed25519.clone()).unwrap();
    let witness = NoteSigner::witness("witness.example", ed25519.clone()).unwrap();
    let v2 = checkpoint("log.example")
        .sign(1_700_000_000, &[log, witness])
        .unwrap();
    let named = Origin::Named("log.example");
    let opened = Checkpoint::open(&v2.to_string(), named, ed25519.public_key()).unwrap();
    assert_eq!(opened, checkpoint("log.example"));
    let seen = cosignature::verify(&v2, "witness.example", ed25519.public_key()).unwrap();
    assert_eq!(seen.timestamp, 1_700_000_000);

    let log = NoteSigner::log("rekor.example", ecdsa.clone()).unwrap();
    let v1 = checkpoint("rekor.example - 42").sign(0, &[log]).unwrap();
    Checkpoint::open(&v1.to_string(), Origin::RekorV1, ecdsa.public_key()).unwrap();

    assert!(NoteSigner::log("two words", ed25519.clone()).is_err());
    assert!(NoteSigner::witness("witness.example", ecdsa.clone()).is_err());
    let signer = NoteSigner::log("log.example", ecdsa).unwrap();
    assert!(checkpoint("two\nlines").sign(0, &[signer]).is_err());
}

#[test]
fn the_verifier_key_of_a_witness_is_read_and_its_hash_is_checked() {
    let key = PrivateKey::generate(Algorithm::Ed25519).unwrap();
    let name = "witness.example";
    let spki = key.public_key().spki_der();
    let raw = &spki[spki.len() - 32..];
    let written = |kind: KeyKind, number: u8, name: &str| {
        let hash = kind.key_hash(name, key.public_key());
        let encoded = STANDARD.encode([&[number], raw].concat());
        format!("{name}+{}+{encoded}", hex::encode(&hash.bytes()[..4]))
    };
    for (kind, number) in [(KeyKind::CosignatureV1, 4), (KeyKind::Ed25519, 1)] {
        let text = written(kind, number, name);
        let (found, public) = cosignature::witness_key(&text).unwrap();
        assert_eq!((found.as_str(), &public), (name, key.public_key()));
    }
    let good = written(KeyKind::CosignatureV1, 4, name);
    for (wrong, why) in [
        ("witness.example".to_owned(), "it is not NAME+HASH+BASE64"),
        (
            good.replace("witness", "another"),
            "its hash is not that of name and key",
        ),
        (
            good.replace("witness.example", "two words"),
            "its name is not one",
        ),
        (
            written(KeyKind::CosignatureV1, 3, name),
            "it is not of type 1 (Ed25519)",
        ),
        (format!("{name}+00000000+%"), "its key is not base64"),
        (
            format!("{name}+00000000+BAAA"),
            "it has no public key of its type",
        ),
    ] {
        let error = cosignature::witness_key(&wrong).unwrap_err().to_string();
        assert!(error.contains(why), "{wrong}: {error}");
    }
}
