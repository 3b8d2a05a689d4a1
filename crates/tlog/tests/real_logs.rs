//! Entries of real logs, as bundles carry them: the promise, the inclusion proof and the checkpoint of Rekor v1 and v2,
//! and the damaged ones of the conformance suite, which must fail where the damage is.

#![allow(clippy::unwrap_used, reason = "tests")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use sealmark_formats::Bundle;
use sealmark_formats::bundle::LogEntry;
use sealmark_formats::log_entry::{EntryBody, set_payload};
use sealmark_keys::{PublicKey, Scheme};
use sealmark_tlog::merkle::leaf_hash;
use sealmark_tlog::note::KeyKind;
use sealmark_tlog::{Checkpoint, Error, Hash, Note, Origin};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

fn entry(name: &str) -> LogEntry {
    let json = std::fs::read(format!("{FIXTURES}/bundles/{name}.json")).unwrap();
    Bundle::parse(&json).unwrap().log_entries.remove(0)
}

struct Log {
    host: String,
    key: PublicKey,
}

/// The log that the entry names.
fn log_of(entry: &LogEntry) -> Log {
    let json = std::fs::read(format!("{FIXTURES}/logs.json")).unwrap();
    let logs: Vec<serde_json::Value> = serde_json::from_slice(&json).unwrap();
    let bytes = |value: &serde_json::Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    let log = logs
        .iter()
        .find(|log| bytes(&log["logId"]) == entry.log_id)
        .unwrap();
    let (_, address) = log["baseUrl"].as_str().unwrap().split_once("://").unwrap();
    Log {
        host: address.split(':').next().unwrap().to_owned(),
        key: PublicKey::from_spki_der(&bytes(&log["publicKey"])).unwrap(),
    }
}

fn origin<'a>(entry: &LogEntry, log: &'a Log) -> Origin<'a> {
    match (entry.kind.as_str(), entry.kind_version.as_str()) {
        ("hashedrekord", "0.0.2") => Origin::Named(&log.host),
        _ => Origin::RekorV1,
    }
}

/// The checks that a verifier makes, in its order.
fn verify(entry: &LogEntry) -> Result<Checkpoint, Error> {
    let log = log_of(entry);
    let proof = entry.inclusion_proof.as_ref().unwrap();
    let checkpoint = Checkpoint::open(&proof.checkpoint, origin(entry, &log), &log.key)?;
    checkpoint.expect_tree(proof.tree_size, &proof.root_hash)?;
    let hash = |bytes: &Vec<u8>| Hash::try_from(bytes.as_slice()).unwrap();
    let hashes: Vec<Hash> = proof.hashes.iter().map(hash).collect();
    let leaf = leaf_hash(&entry.canonicalized_body);
    checkpoint.verify_inclusion(proof.log_index, &leaf, &hashes)?;
    Ok(checkpoint)
}

fn verify_promise(entry: &LogEntry) -> bool {
    let payload = set_payload(
        &STANDARD.encode(&entry.canonicalized_body),
        entry.integrated_time,
        &hex::encode(&entry.log_id),
        entry.log_index,
    );
    let promise = entry.inclusion_promise.as_ref().unwrap();
    let key = log_of(entry).key;
    key.verify_scheme(Scheme::EcdsaSha256, &payload, promise)
        .is_ok()
}

#[test]
fn entries_of_rekor_v1() {
    for (name, kind, tree) in [
        (
            "managed-key-and-trusted-root",
            "hashedrekord",
            "rekor.sigstage.dev - 8202293616175992157",
        ),
        (
            "happy-path-intoto-in-dsse-v3",
            "dsse",
            "rekor.sigstore.dev - 1193050959916656506",
        ),
        (
            "intoto-with-custom-trust-root",
            "intoto",
            "localhost:8000 - 124190645164477",
        ),
    ] {
        let entry = entry(name);
        assert_eq!(entry.kind, kind, "{name}");
        let checkpoint = verify(&entry).unwrap();
        assert_eq!(checkpoint.origin, tree, "{name}");
        assert!(verify_promise(&entry), "{name}");
        let body = EntryBody::parse(&entry.canonicalized_body).unwrap();
        assert!(matches!(body, EntryBody::Claims(_)), "{name}: {body:?}");
        assert_eq!(log_of(&entry).key.id().bytes(), entry.log_id, "{name}");
    }
}

#[test]
fn entries_of_rekor_v2() {
    for name in [
        "bundle-with-sct-with-extensions",
        "rekor2-checkpoint-cosigned",
        "rekor2-checkpoint-multiple-cosigs",
        "rekor2-checkpoint-origin-not-first",
        "rekor2-dsse-happy-path",
    ] {
        let entry = entry(name);
        let checkpoint = verify(&entry).unwrap_or_else(|error| panic!("{name}: {error}"));
        let log = log_of(&entry);
        assert_eq!(checkpoint.origin, log.host, "{name}");
        assert_eq!(checkpoint.rekor_v1_tree(), None);
        let id = KeyKind::Ed25519.key_hash(&log.host, &log.key);
        assert_eq!(id.bytes().as_slice(), entry.log_id, "{name}");
    }
}

#[test]
fn the_line_of_the_log_is_found_wherever_it_stands() {
    for (name, lines, line) in [
        ("rekor2-checkpoint-cosigned", 2, 0),
        ("rekor2-checkpoint-multiple-cosigs", 3, 0),
        ("rekor2-checkpoint-origin-not-first", 2, 1),
    ] {
        let entry = entry(name);
        let log = log_of(&entry);
        let note = Note::parse(&entry.inclusion_proof.unwrap().checkpoint).unwrap();
        let verified = note.verify_by(Some(&log.host), &log.key).unwrap();
        assert_eq!(
            (note.signatures.len(), verified.line),
            (lines, line),
            "{name}"
        );
        assert_eq!(verified.kind, KeyKind::Ed25519);
        // Witnesses come with a time, but a name alone proves nothing.
        let witness = note.verify_by(Some("witness.example"), &log.key);
        assert!(matches!(witness, Err(Error::NotSigned { .. })), "{name}");
    }
}

#[test]
fn golden_leaf_hashes_and_trees() {
    let entry = entry("managed-key-and-trusted-root");
    assert_eq!(entry.canonicalized_body.len(), 557);
    assert_eq!(
        leaf_hash(&entry.canonicalized_body).to_string(),
        "c0cf27a9f0d71486640624e2152902ce62c475eb50074187322648639e35bae7"
    );
    assert_eq!(entry.log_index, 51_753_644);
    assert_eq!(
        entry.inclusion_proof.as_ref().unwrap().log_index,
        20_071_232
    );
    let root = "b20f70a2a411056df012e567be2086d3578d03425b371e6d591c5bd0b7311724";
    let checkpoint = verify(&entry).unwrap();
    assert_eq!(
        (checkpoint.size, checkpoint.root),
        (20_071_233, root.parse().unwrap())
    );
}

#[test]
fn damaged_entries_fail_where_the_damage_is() {
    type Expected = fn(&Error) -> bool;
    let cases: [(&str, Expected, &str); 5] = [
        (
            "checkpoint-wrong-roothash_fail",
            |error| matches!(error, Error::OtherTree { .. }),
            "the proof is for a tree with 23083062 leaves and the root 75aba195e60ae18c80771c300ed4",
        ),
        (
            "inclusion-proof-corrupted-hash_fail",
            |error| {
                matches!(
                    error,
                    Error::RootMismatch {
                        proof: "inclusion",
                        ..
                    }
                )
            },
            "the inclusion proof leads to the root ",
        ),
        (
            "rekor2-checkpoint-missing-origin_fail",
            |error| matches!(error, Error::Checkpoint(_)),
            "the second line must be the size in decimal digits, but is \"rs1YPY0ydAV0lx",
        ),
        (
            "rekor2-checkpoint-missing-size_fail",
            |error| matches!(error, Error::Checkpoint(_)),
            "the second line must be the size in decimal digits, but is \"rs1YPY0ydAV0lx",
        ),
        (
            "rekor2-checkpoint-missing-root-hash_fail",
            |error| matches!(error, Error::Checkpoint(_)),
            "the third line, the root hash, is missing",
        ),
    ];
    for (name, expected, text) in cases {
        let error = verify(&entry(name)).unwrap_err();
        assert!(expected(&error), "{name}: {error:?}");
        assert!(error.to_string().contains(text), "{name}: {error}");
    }
}

/// A real checkpoint with its signature line changed.
#[test]
fn a_checkpoint_counts_only_with_the_signature_of_the_log() {
    type Change = fn(&str) -> String;
    type Expected = fn(&Error) -> bool;
    let cases: [(Change, Expected); 3] = [
        (
            |signed| signed.split("\n\n").next().unwrap_or_default().to_owned() + "\n\n",
            |error| matches!(error, Error::Note(_)),
        ),
        // Another key hash: the first characters of the line's base64.
        (
            |signed| signed.replace("wNI9aj", "xNI9aj"),
            |error| matches!(error, Error::NotSigned { .. }),
        ),
        (
            |signed| signed.replace("EBIgOd66", "EBIgOd67"),
            |error| matches!(error, Error::Signature { .. }),
        ),
    ];
    for (change, expected) in cases {
        let mut entry = entry("happy-path-intoto-in-dsse-v3");
        let proof = entry.inclusion_proof.as_mut().expect("it has a proof");
        let changed = change(&proof.checkpoint);
        assert_ne!(changed, proof.checkpoint);
        proof.checkpoint = changed;
        let error = verify(&entry).unwrap_err();
        assert!(expected(&error), "{error:?}");
    }
}

#[test]
fn a_promise_for_anything_else_is_none() {
    let real = entry("happy-path-intoto-in-dsse-v3");
    assert!(verify_promise(&real));
    let mut changed = [real.clone(), real.clone(), real.clone(), real];
    changed[0].integrated_time += 1;
    changed[1].log_index += 1;
    changed[2].canonicalized_body.push(b' ');
    changed[3].inclusion_promise.as_mut().unwrap()[20] ^= 1;
    assert!(changed.iter().all(|entry| !verify_promise(entry)));
}

#[test]
fn an_entry_that_records_another_encoding_of_the_signature_is_refused() {
    // The suite's case: the entry has the signature in base64 once, where clients write it twice.
    let entry = entry("intoto-log-entry-mismatch_fail");
    let error = EntryBody::parse(&entry.canonicalized_body).unwrap_err();
    let text = "spec.content.envelope.signatures[0].sig is not base64 of base64";
    assert!(error.to_string().contains(text), "{error}");
}

#[test]
fn a_checkpoint_of_another_log_is_not_this_logs() {
    let v2 = entry("rekor2-checkpoint-cosigned");
    let log = log_of(&v2);
    let signed = &v2.inclusion_proof.as_ref().unwrap().checkpoint;
    for origin in [
        Origin::RekorV1,
        Origin::Named("log2025-alpha2.rekor.sigstage.dev"),
    ] {
        let error = Checkpoint::open(signed, origin, &log.key).unwrap_err();
        assert!(matches!(error, Error::Origin { .. }), "{error}");
    }
    // The right name with another log's key.
    let other = log_of(&entry("rekor2-dsse-happy-path")).key;
    let error = Checkpoint::open(signed, Origin::Named(&log.host), &other).unwrap_err();
    assert!(matches!(error, Error::NotSigned { .. }), "{error}");
}

proptest! {
    /// Real checkpoints with one character changed are refused, or the change was in a line that nobody trusts.
    #[test]
    fn no_change_of_a_checkpoint_goes_unnoticed(at: prop::sample::Index, to in any::<char>()) {
        let entry = entry("rekor2-checkpoint-cosigned");
        let log = log_of(&entry);
        let signed = entry.inclusion_proof.unwrap().checkpoint;
        let log_lines = signed.find("\u{2014} witness").unwrap();
        let mut changed: Vec<char> = signed.chars().collect();
        let position = at.index(changed.len());
        let before = core::mem::replace(&mut changed[position], to);
        let changed: String = changed.into_iter().collect();
        let opened = Checkpoint::open(&changed, Origin::Named(&log.host), &log.key);
        let trusted = signed.char_indices().nth(position).unwrap().0 < log_lines;
        prop_assert!(opened.is_err() || before == to || !trusted, "{changed}");
    }
}
